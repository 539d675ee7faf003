#include "config.h"
#include "tool.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "child.h"
#include "rig.h"

#define TOOL_TIMEOUT_MS (3 * RIG_TIMEOUT_MS)
#define TOOL_OUTPUT_MAX (64 * 1024 * 1024)

static int open_terminal(int *ret_slave)
{
    int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);

    if (master < 0 || grantpt(master) < 0 || unlockpt(master) < 0)
        return -1;
    *ret_slave = open(ptsname(master), O_RDWR | O_NOCTTY | O_CLOEXEC);
    return *ret_slave < 0 ? -1 : master;
}

/* Runs in the child. */
static void run(const char *path, const char *const *args, const char *const *env, const int fds[3])
{
    const char *argv[TOOL_ARGS + 2] = {path};

    for (size_t i = 0; args[i] != NULL && i < TOOL_ARGS; i++)
        argv[i + 1] = args[i];
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (int i = 0; i < 3; i++) {
        if (dup2(fds[i], i) < 0)
            _exit(126);
    }
    signal(SIGPIPE, SIG_DFL);
    child_set_environment(env);
    execv(path, (char *const *)(const void *)argv);
    _exit(127);
}

static bool open_streams(struct tool *t, unsigned flags, int theirs[3])
{
    int in[2], out[2], err[2];

    if (pipe2(in, O_CLOEXEC) < 0)
        return false;
    theirs[0] = in[0];
    t->in = in[1];
    if (flags & TOOL_TTY) {
        t->out = open_terminal(&theirs[1]);
        theirs[2] = t->out >= 0 ? fcntl(theirs[1], F_DUPFD_CLOEXEC, 0) : -1;
        return t->out >= 0;
    }
    if (pipe2(out, O_CLOEXEC) < 0 || pipe2(err, O_CLOEXEC) < 0)
        return false;
    t->out = out[0];
    theirs[1] = out[1];
    t->err = err[0];
    theirs[2] = err[1];
    return true;
}

bool tool_start_path(struct tool *t, const char *path, const char *const *args,
                     const char *const *env, unsigned flags)
{
    int theirs[3];

    memset(t, 0, sizeof *t);
    t->in = t->out = t->err = -1;
    buf_init(&t->out_text, TOOL_OUTPUT_MAX);
    buf_init(&t->err_text, TOOL_OUTPUT_MAX);
    signal(SIGPIPE, SIG_IGN);
    if (!open_streams(t, flags, theirs)) {
        printf("# no pipes: %s\n", strerror(errno));
        return false;
    }
    fflush(NULL);
    t->pid = fork();
    if (t->pid == 0)
        run(path, args, env, theirs);
    for (int i = 0; i < 3; i++)
        close(theirs[i]);
    return t->pid > 0;
}

bool tool_start(struct tool *t, const char *program, const char *const *args,
                const char *const *env, unsigned flags)
{
    char path[4200];

    memset(t, 0, sizeof *t);
    t->in = t->out = t->err = -1;
    return rig_program(path, sizeof path, program) && tool_start_path(t, path, args, env, flags);
}

void tool_write(struct tool *t, const char *text)
{
    size_t n = strlen(text);

    if (t->in >= 0 && write(t->in, text, n) != (ssize_t)n)
        printf("# cannot write all of the input: %s\n", strerror(errno));
}

static void close_stream(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

void tool_close_input(struct tool *t)
{
    close_stream(&t->in);
}

static void take(int *fd, struct buf *text)
{
    uint8_t chunk[65536];
    ssize_t n = read(*fd, chunk, sizeof chunk);

    if (n > 0)
        buf_append(text, chunk, (size_t)n);
    else if (n == 0 || errno != EINTR)
        close_stream(fd); /* a terminal says EIO at its end */
}

/* Reads something of what it prints; false after the time, or if both streams have ended. */
static bool take_some(struct tool *t, long long until)
{
    struct pollfd fds[] = {{t->out, POLLIN, 0}, {t->err, POLLIN, 0}};
    long long left = until - child_now_ms();

    if ((t->out < 0 && t->err < 0) || left <= 0)
        return false;
    if (poll(fds, 2, (int)left) <= 0)
        return errno == EINTR;
    if (fds[0].revents != 0)
        take(&t->out, &t->out_text);
    if (fds[1].revents != 0)
        take(&t->err, &t->err_text);
    return true;
}

static const char *text_of(struct buf *b)
{
    const char *s = buf_cstr(b);

    return s != NULL ? s : "";
}

const char *tool_out(struct tool *t)
{
    return text_of(&t->out_text);
}

const char *tool_err(struct tool *t)
{
    return text_of(&t->err_text);
}

static bool wait_text(struct tool *t, struct buf *b, const char *text)
{
    long long until = child_now_ms() + TOOL_TIMEOUT_MS;

    while (strstr(text_of(b), text) == NULL) {
        if (!take_some(t, until)) {
            printf("# it did not print \"%s\", but \"%s\"\n", text, text_of(b));
            return false;
        }
    }
    return true;
}

bool tool_wait_out(struct tool *t, const char *text)
{
    return wait_text(t, &t->out_text, text);
}

bool tool_wait_err(struct tool *t, const char *text)
{
    return wait_text(t, &t->err_text, text);
}

void tool_signal(struct tool *t, int number)
{
    if (t->pid > 0)
        kill(t->pid, number);
}

int tool_wait(struct tool *t)
{
    long long until = child_now_ms() + TOOL_TIMEOUT_MS;
    int status;

    while (take_some(t, until))
        ;
    if (t->pid <= 0)
        return t->status;
    if (t->out >= 0 || t->err >= 0) {
        printf("# it does not end\n");
        kill(t->pid, SIGKILL);
    }
    while (waitpid(t->pid, &status, 0) < 0 && errno == EINTR)
        ;
    t->pid = 0;
    t->status = WIFEXITED(status) ? WEXITSTATUS(status) : TOOL_SIGNALS + WTERMSIG(status);
    return t->out >= 0 || t->err >= 0 ? -1 : t->status;
}

int tool_end(struct tool *t)
{
    tool_close_input(t);
    return tool_wait(t);
}

void tool_done(struct tool *t)
{
    if (t->pid > 0) {
        kill(t->pid, SIGKILL);
        waitpid(t->pid, NULL, 0);
    }
    close_stream(&t->in);
    close_stream(&t->out);
    close_stream(&t->err);
    buf_done(&t->out_text);
    buf_done(&t->err_text);
}
