/*
 * A command of the shell as a peer on the loop: what is written to it is its standard input, what
 * it prints comes back, what it says on its error stream is kept for when it fails.
 *
 * Loop's thread. `ended` comes exactly once, last, when it has ended and all that it printed was
 * taken; the object is freed by its owner from there on. No callback comes from inside these
 * functions.
 */
#ifndef TOOLS_WSPR_EXEC_H
#define TOOLS_WSPR_EXEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/error.h"
#include "loop/timer.h"

#define CLI_EXEC_IN_MAX  (16 * 1024 * 1024) /* bytes that may be left by `data` */
#define CLI_EXEC_OUT_LOW 65536              /* queued input of the command, for `drained` */
#define CLI_EXEC_SAID    65536              /* bytes of its error stream that are kept */

struct cli_exec_ops {
    /* Bytes that it printed; returns how many were used (the rest comes again, with more). */
    size_t (*data)(void *arg, const uint8_t *p, size_t len);
    /* It prints no more. `data` left so many bytes, which are lost after this. Optional. */
    void (*eof)(void *arg);
    /* Its queued input fell to CLI_EXEC_OUT_LOW or less. Optional. */
    void (*drained)(void *arg);
    /* status as of waitpid(); why is set if the connection to it broke. */
    void (*ended)(void *arg, int status, const struct err *why);
};

struct cli_exec {
    struct loop_worker *w;
    const struct cli_exec_ops *ops;
    void *arg;
    pid_t pid;                         /* and process group */
    struct loop_sock *in, *out, *errs; /* NULL: ended */
    struct loop_timer timer;
    int64_t pause; /* until it is looked for again */
    int64_t kill_at;
    int status;
    bool reaped;
    struct buf said;
    struct err why;
};

/* env: further variables, ended by NULL. WSPR_ESYS, WSPR_ENOMEM; nothing is to be freed then. */
int cli_exec_start(struct cli_exec *x, struct loop_worker *w, const char *command,
                   const char *const *env, const struct cli_exec_ops *ops, void *arg,
                   struct err *err);
void cli_exec_write(struct cli_exec *x, const void *p, size_t len);
/* Bytes of its input that it has not taken yet. */
size_t cli_exec_queued(const struct cli_exec *x);
/* Ends its input. */
void cli_exec_close_input(struct cli_exec *x);
void cli_exec_pause(struct cli_exec *x);
void cli_exec_resume(struct cli_exec *x);
/* Asks it to end (SIGTERM to it and its children), and after a moment makes it. */
void cli_exec_kill(struct cli_exec *x);
/* What it said on its error stream, without white space around it. */
struct span cli_exec_said(const struct cli_exec *x);
/* Frees what it holds; one that still runs is killed at once. */
void cli_exec_done(struct cli_exec *x);

#endif
