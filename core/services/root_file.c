#include "config.h"
#include "services/root_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "services/identity_file.h"

static int path_of(const char *dir, char *ret_path, size_t size, struct err *err)
{
    static const char name[] = "/root";
    int r = identity_state_dir(dir, ret_path, size - sizeof name, err);

    if (r == 0)
        memcpy(ret_path + strlen(ret_path), name, sizeof name);
    return r;
}

int root_file_write(const char *dir, const char *root, struct err *err)
{
    char path[IDENTITY_PATH_MAX], temporary[IDENTITY_PATH_MAX + 32], text[ROOT_FILE_MAX];
    int r = path_of(dir, path, sizeof path, err), fd, n;
    bool ok;

    if (r < 0)
        return r;
    n = snprintf(text, sizeof text, "%s\n", root);
    if (n < 0 || (size_t)n >= sizeof text)
        return err_set(err, WSPR_ELIMIT, "the root is too long");
    snprintf(temporary, sizeof temporary, "%s.%d", path, (int)getpid());
    fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    ok = fd >= 0 && write(fd, text, (size_t)n) == n;
    if (fd >= 0)
        ok = close(fd) == 0 && ok;
    if (ok && rename(temporary, path) == 0)
        return 0;
    r = err_set(err, WSPR_ESYS, "cannot write \"%s\": %s", path, strerror(errno));
    if (fd >= 0)
        unlink(temporary);
    return r;
}

bool root_file_read(const char *dir, char *ret_root, size_t size)
{
    char path[IDENTITY_PATH_MAX];
    ssize_t n;
    int fd;

    if (path_of(dir, path, sizeof path, NULL) < 0)
        return false;
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    n = read(fd, ret_root, size - 1);
    close(fd);
    if (n <= 0)
        return false;
    ret_root[n] = '\0';
    ret_root[strcspn(ret_root, "\n")] = '\0';
    return ret_root[0] == '/';
}

void root_file_remove(const char *dir, const char *root)
{
    char path[IDENTITY_PATH_MAX], now[ROOT_FILE_MAX];

    if (root_file_read(dir, now, sizeof now) && strcmp(now, root) == 0 &&
        path_of(dir, path, sizeof path, NULL) == 0)
        unlink(path);
}
