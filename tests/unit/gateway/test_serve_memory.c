/*
 * Each allocation fails in turn while a page serves, is called with a stream, answers and stops.
 * Whatever is lost, everybody gets an answer or the end of the connection, and nothing is left.
 *
 * The pages here take no memory of the heap: only what is tested may fail.
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "failmalloc.h"
#include "gwrig.h"
#include "tap.h"
#include "unit/rpc/raw.h"

#define RUNS_MAX 5000

static struct gw g;

struct quiet_page {
    int fd;
    bool ended;
    size_t len;
    char in[65536]; /* everything that came, frames and heads as they are */
    const char *wanted;
};

static struct quiet_page a, b;
static unsigned n_good, n_refused, n_lost, n_hung;

/* ---- pages ---- */

static bool take(void *arg)
{
    struct quiet_page *p = arg;
    ssize_t n;

    while (!p->ended && p->len + 1 < sizeof p->in) {
        n = recv(p->fd, p->in + p->len, sizeof p->in - 1 - p->len, MSG_DONTWAIT);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            break;
        if (n <= 0)
            p->ended = true;
        for (ssize_t i = 0; i < n; i++) {
            /* Frame heads hold NULs. */
            if (p->in[p->len + (size_t)i] == '\0')
                p->in[p->len + (size_t)i] = ' ';
        }
        p->len += n > 0 ? (size_t)n : 0;
    }
    p->in[p->len] = '\0';
    /* An envelope for whose decoding there is no memory is answered without an id. */
    return p->ended || strstr(p->in, p->wanted) != NULL ||
           strstr(p->in, "can't unmarshall JSONMessage: no memory") != NULL;
}

/* Waits for text; false if the connection ended before, or nothing came. */
static bool expect(struct quiet_page *p, const char *text)
{
    p->wanted = text;
    if (!raw_until(g.w, take, p, 15000)) {
        n_hung++;
        tap_note("nothing came: wanted %s, have %s", text, p->in);
        return false;
    }
    return strstr(p->in, text) != NULL;
}

static void put(struct quiet_page *p, const char *text)
{
    uint8_t frame[4096] = {0x81, 0x80 | 126};
    size_t len = strlen(text);

    memset(frame + 8, ' ', 126); /* longer texts only: their heads are all alike */
    memcpy(frame + 8, text, len);
    if (len < 126)
        len = 126;
    frame[2] = (uint8_t)(len >> 8);
    frame[3] = (uint8_t)len; /* the mask is zero */
    send(p->fd, frame, len + 8, MSG_NOSIGNAL);
}

static void open_page(struct quiet_page *p)
{
    static const char head[] = "GET /ws?extras=cancel HTTP/1.1\r\nHost: 127.0.0.1\r\n"
                               "Upgrade: websocket\r\nConnection: Upgrade\r\n"
                               "Sec-WebSocket-Key: AAECAwQFBgcICQoLDA0ODw==\r\n"
                               "Sec-WebSocket-Version: 13\r\n\r\n";

    *p = (struct quiet_page){.fd = wspeer_tcp(gateway_port(g.gateway))};
    send(p->fd, head, sizeof head - 1, MSG_NOSIGNAL);
    TAP_IS(expect(p, "mounttableRoot"));
}

/* ---- one conversation ---- */

/* The endpoint in the answer to a serve request. */
static bool find_endpoint(char *endpoint, size_t size)
{
    const char *at = strstr(a.in, "@2@tcp");

    if (at == NULL)
        return false;
    snprintf(endpoint, size, "%.*s", (int)strcspn(at, "\\"), at);
    return true;
}

static void request(const char *endpoint)
{
    char text[1024];

    snprintf(
        text, sizeof text,
        "{\"id\":3,\"data\":\"{\\\"name\\\":\\\"/%s//x\\\",\\\"method\\\":\\\"flow\\\","
        "\\\"inArgs\\\":[{\\\"a\\\":[1,null]}],\\\"numOutArgs\\\":2,\\\"isStreaming\\\":true}\","
        "\"type\":0}",
        endpoint);
    put(&b, text);
    put(&b, "{\"id\":3,\"data\":\"{\\\"up\\\":1}\",\"type\":3}");
    put(&b, "{\"id\":3,\"type\":4}");
}

static bool is_invoked_or_refused(void *arg)
{
    bool of_a, of_b;

    a.wanted = "\\\"type\\\": 3";
    b.wanted = "\"id\": 3";
    of_a = take(&a);
    of_b = take(&b);
    return of_a || of_b;
}

/* Any end of the call will do. */
static bool caller_is_told(void *arg)
{
    b.wanted = "{\"id\": 3, \"data\": \"{\\\"type\\\": 0";
    return take(&b) || strstr(b.in, "{\"id\": 3, \"data\": \"{\\\"type\\\": 2") != NULL || a.ended;
}

static void converse(void)
{
    char endpoint[512];

    put(&a,
        "{\"id\":1,\"data\":\"{\\\"serverId\\\":1,\\\"service\\\":{\\\"flow\\\":{\\\"InArgs\\\":"
        "[\\\"s\\\"],\\\"NumOutArgs\\\":2,\\\"IsStreaming\\\":true}}}\",\"type\":1}");
    if (!expect(&a, "{\"id\": 1, ")) {
        n_lost++;
        return;
    }
    if (!find_endpoint(endpoint, sizeof endpoint)) {
        n_refused++;
        return;
    }
    request(endpoint);
    if (!raw_until(g.w, is_invoked_or_refused, NULL, 15000)) {
        n_hung++;
        tap_note("a call went nowhere");
        return;
    }
    if (strstr(a.in, "\\\"type\\\": 3") != NULL) {
        put(&a, "{\"id\":0,\"data\":\"{\\\"down\\\":[1]}\",\"type\":3}");
        put(&a,
            "{\"id\":0,\"data\":\"{\\\"results\\\":[[\\\"r\\\"]],\\\"err\\\":null}\",\"type\":2}");
    }
    if (!raw_until(g.w, caller_is_told, NULL, 15000)) {
        n_hung++;
        tap_note("the caller was not told: %s", b.in);
    }
    n_good += strstr(b.in, "{\"id\": 3, \"data\": \"{\\\"type\\\": 0") != NULL;
    put(&a, "{\"id\":5,\"data\":\"1\",\"type\":6}");
    expect(&a, "{\"id\": 5, ");
}

static bool nothing_is_left(void *arg)
{
    const struct gateway_stats *s = gateway_stats(g.gateway);

    return s->conns == 0 && s->servers == 0 && s->pending == 0 && s->flows == 0;
}

/* What earlier conversations left behind would save this one the allocations that are to fail. */
static void forget_spares(void)
{
    gateway_flow_free_spares(g.gateway);
    gateway_call_free_spares(g.gateway);
    gateway_sig_free_spares(g.gateway);
}

static void test_each_allocation(void)
{
    struct gw_opts opts = {
        .service = true,
        .plugins = {request_plugin_entry(), stream_plugin_entry(), signature_plugin_entry(),
                    serve_plugin_entry(), stop_server_plugin_entry()},
    };
    unsigned long n = 0, made;

    gw_init(&g, &opts);
    do {
        open_page(&a);
        open_page(&b);
        forget_spares();
        failmalloc_at(++n);
        converse();
        made = failmalloc_count();
        failmalloc_at(0);
        close(a.fd);
        close(b.fd);
        if (!raw_until(g.w, nothing_is_left, NULL, GW_TIMEOUT_MS)) {
            TAP_OK(false, "allocation %lu leaves something behind", n);
            break;
        }
    } while (made >= n && n < RUNS_MAX && n_hung < 5);
    TAP_IS(n > 50 && n_good > 10);
    TAP_OK(n < RUNS_MAX && n_hung == 0, "%lu runs, %u without an answer", n, n_hung);
    tap_note("%lu allocations failed in turn: %u calls went well, %u servers were refused, %u "
             "connections ended",
             n - 1, n_good, n_refused, n_lost);
    gw_done(&g);
}

static const struct tap_case cases[] = {
    {"each allocation of a call of a page", test_each_allocation},
};

int main(int argc, char **argv)
{
    const struct tap_suite suites[] = {TAP_SUITE("serve-memory", cases)};

    return tap_main(argc, argv, suites, 1);
}
