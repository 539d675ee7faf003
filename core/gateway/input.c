/*
 * What is kept of the messages of all pages together: the beginnings of those that are not
 * complete, stream values that wait, calls with arguments that are not sent yet, descriptions and
 * names of objects. Each has a limit of its own for one page, but many could fill the memory all
 * the same: beyond in_total the one with most ends.
 *
 * It is counted when a page has sent something and after each turn in which its flows or calls
 * changed; a count of all is made when the limit seems to be passed.
 *
 * The beginning of a message has to become more all the time. Else a few bytes now and then, or
 * pings, would be a sign of life for ever, and what is kept of the message would stay as long.
 */
#include "config.h"

#include <inttypes.h>

#include "base/clock.h"
#include "gateway/private.h"

#define MESSAGE_RATE 256 /* bytes a second; slower than any link, over the time between two pings */

static const char too_much[] = "too much is kept of the messages of all pages, and most of yours";
static const char too_slow[] = "a message takes too long";

static void recount(struct wspr_conn *c)
{
    size_t kept = 0;

    if (c->phase == CONN_OPEN)
        kept = ws_dec_held(&c->dec) + c->kept_bytes + c->call_bytes + c->server_bytes;
    c->gw->stats.in_bytes += (uint64_t)kept - c->in_counted;
    c->in_counted = kept;
}

void gateway_conn_count_input(struct wspr_conn *c)
{
    recount(c);
    if (c->gw->stats.in_bytes > c->gw->limits.in_total)
        loop_worker_later(c->gw->worker, &c->gw->input_relief);
}

static struct wspr_conn *count_all(struct gateway *gw)
{
    struct wspr_conn *most = NULL;

    LIST_FOREACH (node, &gw->conns) {
        struct wspr_conn *c = LIST_OBJECT(node, struct wspr_conn, node);

        if (c->phase == CONN_OPEN)
            ws_dec_trim(&c->dec);
        recount(c);
        if (most == NULL || c->in_counted > most->in_counted)
            most = c;
    }
    return most;
}

/* A task: the one that is to end may be on the stack when the limit is noticed. */
void gateway_relieve_input(void *arg)
{
    struct gateway *gw = arg;
    struct wspr_conn *c = count_all(gw);

    while (c != NULL && gw->stats.in_bytes > gw->limits.in_total) {
        gw->stats.err_input++;
        log_write(gw->log, LOG_LEVEL_WARN, "gateway",
                  "conn=%" PRIu64 " is ended: %zu bytes are kept of its messages, %" PRIu64
                  " of those of all pages",
                  c->number, c->in_counted, gw->stats.in_bytes);
        gateway_conn_close(c, WS_CLOSE_TRY_LATER, too_much);
        c = count_all(gw);
    }
}

void gateway_conn_check_progress(struct wspr_conn *c)
{
    uint32_t begun = (uint32_t)ws_dec_begun(&c->dec), before = c->begun_before;
    int64_t least = c->gw->limits.ping_period / CLOCK_MS * MESSAGE_RATE / 1000;

    c->begun_before = begun;
    if (before == 0 || begun - before >= least)
        return;
    c->gw->stats.err_timeout++;
    log_write(c->gw->log, LOG_LEVEL_INFO, "gateway", "conn=%" PRIu64 " is closed: %s", c->number,
              too_slow);
    gateway_conn_close(c, WS_CLOSE_POLICY, too_slow);
}
