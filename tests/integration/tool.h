/*
 * A program of this build as a user runs it: arguments, environment, what it reads, what it prints
 * on either stream, how it ends.
 */
#ifndef TESTS_TOOL_H
#define TESTS_TOOL_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/buf.h"

#define TOOL_TTY     1u /* both output streams are one terminal */
#define TOOL_ARGS    24
#define TOOL_SIGNALS 128 /* status of a program that a signal ended: this and the signal */

struct tool {
    pid_t pid;
    int in, out, err;              /* our ends of its pipes, -1: closed */
    struct buf out_text, err_text; /* what it printed so far */
    int status;                    /* once it has ended */
};

/*
 * Starts a program of the build folder. args and env end with NULL; env as of child_start(). False
 * with TAP commentary.
 */
bool tool_start(struct tool *t, const char *program, const char *const *args,
                const char *const *env, unsigned flags);
/* The same for any program. */
bool tool_start_path(struct tool *t, const char *path, const char *const *args,
                     const char *const *env, unsigned flags);
void tool_write(struct tool *t, const char *text);
void tool_close_input(struct tool *t);
/* Waits until it has printed the text (on the standard output, or the error stream). */
bool tool_wait_out(struct tool *t, const char *text);
bool tool_wait_err(struct tool *t, const char *text);
void tool_signal(struct tool *t, int signal);
/* Waits for its end and returns its exit status; -1 if it does not end. */
int tool_wait(struct tool *t);
/* The same once its input was closed. */
int tool_end(struct tool *t);
/* What it printed, as strings. */
const char *tool_out(struct tool *t);
const char *tool_err(struct tool *t);
/* Frees the texts; kills it if it still runs. */
void tool_done(struct tool *t);

#endif
