/*
 * Lines of the standard input (or another descriptor), read beside the loop: a file, a pipe or a
 * terminal, without making any of them non-blocking. One line may be of any length up to a limit.
 * On the loop's thread; no callback comes from inside these functions.
 */
#ifndef TOOLS_WSPR_INPUT_H
#define TOOLS_WSPR_INPUT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/span.h"
#include "loop/offload.h"

#define CLI_LINE_MAX  (64 * 1024 * 1024)
#define CLI_CHUNK_MAX 65536

struct cli_input {
    int fd;
    int wake[2]; /* ends a read that waits */
    struct loop_worker *w;
    struct loop_offload *pool;
    struct loop_job job;
    struct loop_task task;
    bool reading; /* the job is out */
    bool paused, stopped, eof;
    int error;    /* errno of the reading */
    size_t count; /* lines so far */
    struct buf lines;
    size_t searched; /* of lines: no newline in so much of it */
    /*
     * One line without its newline, number from 1. False: no more until cli_input_resume. It may
     * call cli_input_stop.
     */
    bool (*line)(void *arg, struct span line, size_t number);
    /* No more lines. error: errno, or 0. */
    void (*end)(void *arg, int error);
    void *arg;
    uint8_t chunk[CLI_CHUNK_MAX];
    size_t chunk_len;
};

/* Starts reading; fill in fd, w, pool, line, end and arg before. 0 or -1 with errno. */
int cli_input_start(struct cli_input *in);
void cli_input_resume(struct cli_input *in);
/* No callback follows. The memory must stay until cli_input_wait. */
void cli_input_stop(struct cli_input *in);
/* Runs the loop until nothing of a stopped input is left, and frees what it holds. */
void cli_input_wait(struct cli_input *in);

#endif
