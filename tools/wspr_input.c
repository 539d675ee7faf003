/*
 * The reading is a job of the pool, so that it may block:
 *
 *     job: wait for input or a wake-up, read a chunk -> loop: cut it into lines -> job ...
 *
 * While lines are left, or the reader is paused, there is no job and so no reading.
 */
#include "config.h"
#include "wspr_input.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "loop/worker.h"

static void input_next(void *arg);

/* Any thread. */
static void input_read(void *arg)
{
    struct cli_input *in = arg;
    struct pollfd fds[] = {{in->fd, POLLIN, 0}, {in->wake[0], POLLIN, 0}};
    ssize_t n;

    in->chunk_len = 0;
    while (poll(fds, 2, -1) < 0) {
        if (errno != EINTR)
            break;
    }
    if (fds[1].revents != 0)
        return;
    do {
        n = read(in->fd, in->chunk, sizeof in->chunk);
    } while (n < 0 && errno == EINTR);
    if (n > 0)
        in->chunk_len = (size_t)n;
    else
        in->eof = true;
    in->error = n < 0 ? errno : 0;
}

static void input_came(void *arg, int status)
{
    struct cli_input *in = arg;

    in->reading = false;
    if (in->stopped)
        return;
    if (status < 0) {
        in->eof = true;
        in->error = ECANCELED;
    }
    buf_append(&in->lines, in->chunk, in->chunk_len);
    if (buf_error(&in->lines) != 0) {
        in->eof = true;
        in->error = buf_error(&in->lines) == WSPR_ELIMIT ? EMSGSIZE : ENOMEM;
        buf_reset(&in->lines);
    }
    input_next(in);
}

/* The next line that is complete, newline included; at the end of the input the rest. */
static bool input_line(struct cli_input *in, struct span *ret_line)
{
    struct span all = buf_span(&in->lines);
    const uint8_t *end = NULL;

    if (all.len > in->searched)
        end = memchr(all.p + in->searched, '\n', all.len - in->searched);
    in->searched = all.len;
    if (end != NULL)
        *ret_line = span_of(all.p, (size_t)(end - all.p) + 1);
    else if (in->eof && all.len > 0)
        *ret_line = all;
    else
        return false;
    in->searched = 0;
    return true;
}

/* Gives out lines, then reads on. */
static void input_next(void *arg)
{
    struct cli_input *in = arg;
    struct span line;

    while (!in->paused && !in->stopped && input_line(in, &line)) {
        struct span text = line;

        while (text.len > 0 && (text.p[text.len - 1] == '\n' || text.p[text.len - 1] == '\r'))
            text.len--;
        in->count++;
        if (!in->line(in->arg, text, in->count))
            in->paused = true;
        if (!in->stopped)
            buf_consume(&in->lines, line.len);
    }
    if (in->paused || in->stopped || in->reading)
        return;
    if (in->eof) {
        in->stopped = true;
        in->end(in->arg, in->error);
        return;
    }
    if (loop_offload_submit(in->pool, in->w, LOOP_LANE_WAIT, &in->job) == 0) {
        in->reading = true;
    } else {
        in->stopped = true;
        in->end(in->arg, EAGAIN);
    }
}

int cli_input_start(struct cli_input *in)
{
    if (pipe(in->wake) < 0)
        return -1;
    buf_init(&in->lines, CLI_LINE_MAX);
    loop_job_init(&in->job, input_read, input_came, in);
    loop_task_init(&in->task, input_next, in);
    loop_worker_later(in->w, &in->task);
    return 0;
}

void cli_input_resume(struct cli_input *in)
{
    if (!in->paused || in->stopped)
        return;
    in->paused = false;
    loop_worker_later(in->w, &in->task);
}

void cli_input_stop(struct cli_input *in)
{
    if (in->stopped && !in->reading)
        return;
    in->stopped = true;
    loop_task_cancel(&in->task);
    if (in->reading)
        loop_job_cancel(&in->job);
    if (in->reading && write(in->wake[1], "", 1) < 0)
        return; /* the pipe is full of wake-ups already */
}

void cli_input_wait(struct cli_input *in)
{
    if (in->w == NULL)
        return;
    while (in->reading)
        loop_worker_turn(in->w, -1);
    loop_task_cancel(&in->task);
    buf_done(&in->lines);
    close(in->wake[0]);
    close(in->wake[1]);
    in->w = NULL;
}
