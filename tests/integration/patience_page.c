#include "config.h"
#include "patience.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "child.h"

#define BEAT_MS 500
#define TURN_MS 50 /* how often one who waits looks whether it is over */

bool page_open(struct patience *p, struct wspeer *page, int port)
{
    struct timeval most = {2, 0};
    struct wspeer_frame frame;

    if (wspeer_connect(page, port, "/ws?extras=cancel", NULL, RIG_TIMEOUT_MS) == 0 &&
        wspeer_recv_message(page, &frame, RIG_TIMEOUT_MS) == WSPEER_FRAME) {
        /* Nobody hangs in a send, whatever the daemon does. */
        setsockopt(page->fd, SOL_SOCKET, SO_SNDTIMEO, &most, sizeof most);
        for (unsigned i = 0; i < PATIENCE_PAGES; i++) {
            if (p->pages[i] == NULL) {
                p->pages[i] = page;
                break;
            }
        }
        return true;
    }
    if (!patience_over(p))
        patience_trouble(p, "a page cannot connect: %s", page->error);
    wspeer_close(page);
    patience_rest(p, TURN_MS);
    return false;
}

void page_falls_silent(struct patience *p, struct wspeer *page)
{
    for (unsigned i = 0; i < PATIENCE_PAGES; i++) {
        if (p->pages[i] == page)
            p->pages[i] = NULL;
    }
}

void page_close(struct patience *p, struct wspeer *page)
{
    page_falls_silent(p, page);
    wspeer_close(page);
}

void page_beat(struct patience *p)
{
    long long now = child_now_ms();

    if (now < p->beat + BEAT_MS)
        return;
    p->beat = now;
    for (unsigned i = 0; i < PATIENCE_PAGES; i++) {
        if (p->pages[i] != NULL && page_takes(p->pages[i], 0))
            wspeer_send(p->pages[i], WSPEER_FIN | WSPEER_PONG, "", 0);
    }
}

const char *name_of(char *name, size_t size, const char *endpoint, const char *suffix)
{
    snprintf(name, size, "/%s//%s", endpoint, suffix);
    return name;
}

void page_call(struct wspeer *page, long id, const char *name, const char *method, const char *args,
               int results, bool streaming)
{
    size_t size = strlen(args) + 2 * PATIENCE_ENDPOINT;
    char *text = malloc(size);

    if (text == NULL)
        abort();
    snprintf(text, size,
             "{\"id\":%ld,\"data\":\"{\\\"name\\\":\\\"%s\\\",\\\"method\\\":\\\"%s\\\","
             "\\\"inArgs\\\":%s,\\\"numOutArgs\\\":%d,\\\"isStreaming\\\":%s}\",\"type\":0}",
             id, name, method, args, results, streaming ? "true" : "false");
    wspeer_send_text(page, text);
    free(text);
}

void page_call_big(struct wspeer *page, long id, const char *name, const char *method, size_t size,
                   int results)
{
    char *args = malloc(size + 16);

    if (args == NULL)
        abort();
    memcpy(args, "[\\\"", 3);
    memset(args + 3, 'b', size);
    memcpy(args + 3 + size, "\\\"]", 4);
    page_call(page, id, name, method, args, results, false);
    free(args);
}

void page_value(struct wspeer *page, long id, const char *json)
{
    size_t size = strlen(json) + 64;
    char *text = malloc(size);

    if (text == NULL)
        abort();
    snprintf(text, size, "{\"id\":%ld,\"data\":\"%s\",\"type\":3}", id, json);
    wspeer_send_text(page, text);
    free(text);
}

bool page_takes(struct wspeer *page, int timeout_ms)
{
    struct pollfd p = {page->fd, POLLOUT, 0};

    return page->fd >= 0 && poll(&p, 1, timeout_ms) > 0 && (p.revents & (POLLERR | POLLHUP)) == 0;
}

const char *page_next(struct patience *p, struct wspeer *page, int timeout_ms, bool *ret_ended)
{
    long long until = child_now_ms() + timeout_ms;
    struct wspeer_frame frame;

    *ret_ended = false;
    do {
        enum wspeer_result r = wspeer_recv_message(page, &frame, TURN_MS);

        page_beat(p);
        if (r == WSPEER_FRAME && frame.op != WSPEER_CLOSE)
            return (char *)frame.data;
        if (r != WSPEER_TIMEOUT) {
            *ret_ended = true;
            return NULL;
        }
    } while (child_now_ms() < until && !patience_over(p));
    return NULL;
}

unsigned page_drain(struct wspeer *page)
{
    struct wspeer_frame frame;
    unsigned n = 0;

    while (n < 10000 && wspeer_recv_message(page, &frame, 0) == WSPEER_FRAME)
        n++;
    return n;
}

bool page_serve(struct patience *p, struct wspeer *page, const char *name,
                char endpoint[PATIENCE_ENDPOINT])
{
    char text[1024];
    const char *got, *at;
    bool ended;

    snprintf(text, sizeof text,
             "{\"id\":1,\"type\":1,\"data\":\"{\\\"name\\\":\\\"%s\\\",\\\"serverId\\\":1,"
             "\\\"service\\\":{\\\"flow\\\":{\\\"InArgs\\\":[\\\"s\\\"],\\\"NumOutArgs\\\":2,"
             "\\\"IsStreaming\\\":true},\\\"echo\\\":{\\\"InArgs\\\":[\\\"s\\\"],"
             "\\\"NumOutArgs\\\":2}}}\"}",
             name);
    wspeer_send_text(page, text);
    got = page_next(p, page, RIG_TIMEOUT_MS, &ended);
    at = got != NULL ? strstr(got, "\\\"@2@") : NULL;
    if (at == NULL) {
        if (!patience_over(p))
            patience_trouble(p, "a page cannot serve: %.100s", got != NULL ? got : page->error);
        return false;
    }
    snprintf(endpoint, PATIENCE_ENDPOINT, "%.*s", (int)strcspn(at + 2, "\\"), at + 2);
    return true;
}

/* Cuts `"key": "value"` (escaped once) out of a frame; "" if it is not there. */
static void member(const char *frame, const char *key, char *out, size_t size)
{
    char mark[32];
    const char *at;
    size_t n = 0;

    snprintf(mark, sizeof mark, "\\\"%s\\\": \\\"", key);
    at = strstr(frame, mark);
    out[0] = '\0';
    if (at == NULL)
        return;
    at += strlen(mark);
    /* Quotes of the text itself have more than one backslash before them; they are left out. */
    while (*at != '\0' && n + 1 < size) {
        size_t slashes = strspn(at, "\\");

        if (slashes == 1 && at[1] == '"')
            break;
        if (slashes == 0)
            out[n++] = *at;
        at += slashes > 0 ? slashes + (at[slashes] == '"') : 1;
    }
    out[n] = '\0';
}

/* What tells one call from another would make each error one of its own. */
static void without_names(char *text)
{
    char *out = text;

    for (const char *at = text; *at != '\0'; at++) {
        size_t digits = strspn(at, "0123456789"), hex = strspn(at, "0123456789abcdef");

        if (out > text && strchr(":@/", out[-1]) != NULL && (digits > 0 || hex == 32)) {
            at += hex - 1;
            *out++ = 'N';
        } else {
            *out++ = *at;
        }
    }
    *out = '\0';
}

static void lost_frame(struct patience *p, const char *who, const char *frame)
{
    char id[80], msg[600], *tail, what[160];

    member(frame, "iD", id, sizeof id);
    member(frame, "msg", msg, sizeof msg);
    without_names(msg);
    tail = strlen(msg) > 70 ? msg + strlen(msg) - 70 : msg;
    snprintf(what, sizeof what, "%.60s \"%s%.75s\"", id[0] != '\0' ? id : "(no id)",
             tail != msg ? "..." : "", tail);
    patience_lost(p, who, id[0] != '\0' ? PATIENCE_TYPED : PATIENCE_UNTYPED, what);
}

void page_losses(struct patience *p, struct wspeer *page, const char *who, unsigned n)
{
    long long until = child_now_ms() + PATIENCE_WAIT_MS;
    bool ended = false;

    while (n > 0 && !patience_over(p) && child_now_ms() < until) {
        const char *frame = page_next(p, page, 1000, &ended);

        if (ended) {
            patience_lost(p, who, PATIENCE_CUT, page->error);
            return;
        }
        if (frame == NULL)
            continue;
        if (strstr(frame, "{\\\"type\\\": 2,") != NULL) {
            lost_frame(p, who, frame);
            n--;
        } else if (strstr(frame, "{\\\"type\\\": 0,") != NULL) {
            n--;
        }
    }
    if (!patience_over(p))
        for (; n > 0; n--)
            patience_lost(p, who, PATIENCE_NOTHING, "");
}
