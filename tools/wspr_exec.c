/*
 * Three socket pairs, one for each stream: a command that does not read its input loses none of its
 * output by that. When output and errors have ended the process is looked for with growing pauses
 * until it is gone: most are gone already, and a thread or a signal handler for the others is not
 * worth it.
 */
#include "config.h"
#include "wspr_exec.h"

#include <errno.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "loop/sock.h"

#define STREAMS     3 /* by descriptor: 0, 1, 2 */
#define FIRST_PAUSE CLOCK_MS
#define LONG_PAUSE  (CLOCK_S / 10)
#define TERM_GRACE  (2 * CLOCK_S)

extern char **environ;

/* ---- the end ---- */

static void look_for_end(void *arg)
{
    struct cli_exec *x = arg;
    pid_t pid;

    if (!x->reaped) {
        do {
            pid = waitpid(x->pid, &x->status, WNOHANG);
        } while (pid < 0 && errno == EINTR);
        x->reaped = pid != 0;
    }
    if (x->kill_at != 0 && !x->reaped && loop_worker_now(x->w) >= x->kill_at)
        kill(-x->pid, SIGKILL);
    if (x->reaped && x->out == NULL && x->errs == NULL) {
        x->ops->ended(x->arg, x->status, x->why.code != 0 ? &x->why : NULL);
        return;
    }
    /* While it prints there is nothing to look for, unless it is to be killed. */
    if ((x->out != NULL || x->errs != NULL) && x->kill_at == 0)
        return;
    loop_timer_start(&x->timer, x->pause);
    x->pause = x->pause * 2 > LONG_PAUSE ? LONG_PAUSE : x->pause * 2;
}

static void stream_ended(struct cli_exec *x, struct loop_sock **stream)
{
    loop_sock_close(*stream);
    *stream = NULL;
    if (x->out == NULL && x->errs == NULL)
        loop_timer_start(&x->timer, 0);
}

/* ---- its input ---- */

static size_t in_data(void *arg, uint8_t *p, size_t len)
{
    return len;
}

/* It reads no more: what is left for it goes nowhere. */
static void in_closed(void *arg, const struct err *why)
{
    struct cli_exec *x = arg;

    loop_sock_close(x->in);
    x->in = NULL;
    if (x->ops->drained != NULL)
        x->ops->drained(x->arg);
}

static void in_drained(void *arg)
{
    struct cli_exec *x = arg;

    if (x->ops->drained != NULL)
        x->ops->drained(x->arg);
}

/* ---- its output ---- */

static size_t out_data(void *arg, uint8_t *p, size_t len)
{
    struct cli_exec *x = arg;

    return x->ops->data(x->arg, p, len);
}

static void out_closed(void *arg, const struct err *why)
{
    struct cli_exec *x = arg;

    /* One that ends without having read its input resets the connection. */
    if (why->code == WSPR_ELIMIT)
        err_copy(&x->why, why);
    if (x->ops->eof != NULL)
        x->ops->eof(x->arg);
    stream_ended(x, &x->out);
}

/* The beginning of what it says is kept, the rest goes nowhere. */
static size_t errs_data(void *arg, uint8_t *p, size_t len)
{
    struct cli_exec *x = arg;
    size_t room = CLI_EXEC_SAID - x->said.len;

    buf_append(&x->said, p, len < room ? len : room);
    return len;
}

static void errs_closed(void *arg, const struct err *why)
{
    struct cli_exec *x = arg;

    stream_ended(x, &x->errs);
}

struct span cli_exec_said(const struct cli_exec *x)
{
    struct span s = buf_span(&x->said);

    while (s.len > 0 && strchr(" \t\r\n", s.p[0]) != NULL)
        s = span_of(s.p + 1, s.len - 1);
    while (s.len > 0 && strchr(" \t\r\n", s.p[s.len - 1]) != NULL)
        s.len--;
    return s;
}

/* ---- the beginning ---- */

/* Our environment with more behind it; the first of equal names counts, so ours go first. */
static char **make_environment(const char *const *more)
{
    size_t n = 0, m = 0;
    const char **all;

    while (environ[n] != NULL)
        n++;
    while (more[m] != NULL)
        m++;
    all = calloc(n + m + 1, sizeof *all);
    for (size_t i = 0; all != NULL && i < m; i++)
        all[i] = more[i];
    for (size_t i = 0; all != NULL && i < n; i++)
        all[m + i] = environ[i];
    return (char **)(uintptr_t)all;
}

static int spawn(struct cli_exec *x, const char *command, char **env, const int *theirs)
{
    const char *argv[] = {"sh", "-c", command, NULL};
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none, usual;
    int r = 0;

    sigemptyset(&none);
    sigemptyset(&usual);
    sigaddset(&usual, SIGPIPE);
    sigaddset(&usual, SIGINT);
    sigaddset(&usual, SIGTERM);
    if (posix_spawn_file_actions_init(&actions) != 0)
        return ENOMEM;
    if (posix_spawnattr_init(&attributes) != 0) {
        posix_spawn_file_actions_destroy(&actions);
        return ENOMEM;
    }
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGDEF |
                                              POSIX_SPAWN_SETSIGMASK);
    posix_spawnattr_setpgroup(&attributes, 0);
    posix_spawnattr_setsigdefault(&attributes, &usual);
    posix_spawnattr_setsigmask(&attributes, &none);
    for (int i = 0; i < STREAMS && r == 0; i++)
        r = posix_spawn_file_actions_adddup2(&actions, theirs[i], i);
    if (r == 0)
        r = posix_spawn(&x->pid, "/bin/sh", &actions, &attributes, (char *const *)(uintptr_t)argv,
                        env);
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
    return r;
}

static int run(struct cli_exec *x, const char *command, const char *const *more, const int *theirs,
               struct err *err)
{
    char **env = make_environment(more);
    int r = env != NULL ? spawn(x, command, env, theirs) : ENOMEM;

    free(env);
    return r == 0 ? 0 : err_set(err, WSPR_ESYS, "cannot run the command: %s", strerror(r));
}

/* Makes the streams; theirs are the command's ends. */
static int open_streams(struct cli_exec *x, int *theirs, struct err *err)
{
    static const struct loop_sock_ops ops[STREAMS] = {
        {.data = in_data, .closed = in_closed, .drained = in_drained},
        {.data = out_data, .closed = out_closed},
        {.data = errs_data, .closed = errs_closed},
    };
    struct loop_sock **const ours[STREAMS] = {&x->in, &x->out, &x->errs};

    for (int i = 0; i < STREAMS; i++) {
        struct loop_sock_opts opts = {
            .ops = &ops[i],
            .arg = x,
            .in_max = CLI_EXEC_IN_MAX,
            .out_max = 4 * CLI_EXEC_IN_MAX,
            .out_low = CLI_EXEC_OUT_LOW,
        };
        int pair[2], r;

        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
            return err_set(err, WSPR_ESYS, "cannot run the command: %s", strerror(errno));
        theirs[i] = pair[1];
        r = loop_sock_adopt(x->w, pair[0], &opts, ours[i], err);
        if (r < 0)
            return r;
    }
    return 0;
}

int cli_exec_start(struct cli_exec *x, struct loop_worker *w, const char *command,
                   const char *const *env, const struct cli_exec_ops *ops, void *arg,
                   struct err *err)
{
    int theirs[STREAMS] = {-1, -1, -1}, r;

    *x = (struct cli_exec){.w = w, .ops = ops, .arg = arg, .pause = FIRST_PAUSE};
    buf_init(&x->said, CLI_EXEC_SAID);
    loop_timer_init(&x->timer, w, look_for_end, x);
    r = open_streams(x, theirs, err);
    if (r == 0)
        r = run(x, command, env, theirs, err);
    for (int i = 0; i < STREAMS; i++) {
        if (theirs[i] >= 0)
            close(theirs[i]);
    }
    if (r < 0)
        cli_exec_done(x);
    return r;
}

/* ---- in between ---- */

void cli_exec_write(struct cli_exec *x, const void *p, size_t len)
{
    if (x->in != NULL)
        loop_sock_write(x->in, p, len);
}

size_t cli_exec_queued(const struct cli_exec *x)
{
    return x->in != NULL ? loop_sock_queued(x->in) : 0;
}

void cli_exec_close_input(struct cli_exec *x)
{
    if (x->in != NULL)
        loop_sock_shutdown(x->in);
}

void cli_exec_pause(struct cli_exec *x)
{
    if (x->out != NULL)
        loop_sock_pause(x->out);
}

void cli_exec_resume(struct cli_exec *x)
{
    if (x->out != NULL)
        loop_sock_resume(x->out);
}

static void drop_streams(struct cli_exec *x)
{
    struct loop_sock **const ours[STREAMS] = {&x->in, &x->out, &x->errs};

    for (int i = 0; i < STREAMS; i++) {
        if (*ours[i] != NULL)
            loop_sock_abort(*ours[i]);
        *ours[i] = NULL;
    }
}

void cli_exec_kill(struct cli_exec *x)
{
    if (x->pid <= 0 || x->reaped || x->kill_at != 0)
        return;
    kill(-x->pid, SIGTERM);
    x->kill_at = loop_worker_now(x->w) + TERM_GRACE;
    drop_streams(x);
    loop_timer_start(&x->timer, x->pause);
}

void cli_exec_done(struct cli_exec *x)
{
    loop_timer_stop(&x->timer);
    drop_streams(x);
    if (x->pid > 0 && !x->reaped) {
        kill(-x->pid, SIGKILL);
        while (waitpid(x->pid, &x->status, 0) < 0 && errno == EINTR)
            ;
    }
    x->reaped = true;
    buf_done(&x->said);
    err_done(&x->why);
}
