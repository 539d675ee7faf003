#include "config.h"
#include "base/streams.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

bool streams_open(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
        if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR) != fd)
            return false;
    }
    return true;
}

bool streams_flush(void)
{
    return fflush(stdout) == 0 && ferror(stdout) == 0;
}
