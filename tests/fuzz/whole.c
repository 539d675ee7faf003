#include "config.h"
#include "whole.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "rpc/server_private.h"

struct whole whole;

#define WAIT_MS 20000

/* ---- steps ---- */

unsigned steps_byte(struct steps *s)
{
    if (s->left == 0)
        return 0;
    s->left--;
    return *s->p++;
}

struct span steps_bytes(struct steps *s)
{
    size_t n = steps_byte(s);
    struct span bytes;

    if (n > s->left)
        n = s->left;
    bytes = span_of(s->p, n);
    s->p += n;
    s->left -= n;
    return bytes;
}

/* ---- nobody else is reached ---- */

static uint16_t ports[16];
static unsigned n_ports;

int __real_connect(int fd, const struct sockaddr *a, socklen_t len);
int __wrap_connect(int fd, const struct sockaddr *a, socklen_t len);
int __real_listen(int fd, int backlog);
int __wrap_listen(int fd, int backlog);

int __wrap_listen(int fd, int backlog)
{
    int r = __real_listen(fd, backlog);
    struct sockaddr_in a = {.sin_family = AF_INET};
    socklen_t len = sizeof a;

    if (r == 0 && getsockname(fd, (struct sockaddr *)&a, &len) == 0 && a.sin_family == AF_INET)
        ports[n_ports++ % 16] = a.sin_port;
    return r;
}

int __wrap_connect(int fd, const struct sockaddr *a, socklen_t len)
{
    const struct sockaddr_in *in = (const struct sockaddr_in *)(const void *)a;

    for (unsigned i = 0; a->sa_family == AF_INET && i < 16; i++) {
        if (in->sin_addr.s_addr == htonl(INADDR_LOOPBACK) && in->sin_port == ports[i] &&
            in->sin_port != 0)
            return __real_connect(fd, a, len);
    }
    errno = ECONNREFUSED;
    return -1;
}

/* ---- the rig ---- */

void whole_require(bool ok, const char *what)
{
    if (ok)
        return;
    fprintf(stderr, "%s\n", what);
    abort();
}

static int admit(void *arg, struct rpc_scall *call, struct err *err)
{
    if (span_equal_str(rpc_scall_method(call), "Die"))
        return err_set(err, WSPR_ENOTAUTH, "not today");
    return 0;
}

static const struct rpc_authorizer all_but_die = {admit, NULL};

static int look_up(void *arg, struct span suffix, struct rpc_object *ret, struct err *err)
{
    int r = whole.g.slow.dispatcher.lookup(&whole.g.slow, suffix, ret, err);

    if (ret->authorizer == &rpc_authorizer_all)
        ret->authorizer = &all_but_die;
    return r;
}

/* Bounds that a short input can reach. */
static const struct gateway_limits limits = {
    .conns = 64,
    .flows_per_conn = 16,
    .kept_per_flow = 512,
    .kept_per_conn = 1024,
    .calls_per_conn = 4096,
    .message_max = 3000,
    .out_soft = 4096,
    .out_hard = 32768,
    .out_total = 49152,
    .in_total = 16384,
    .signatures = 3,
    .servers_per_conn = 3,
    .names_per_server = 2,
    .invocations = 6,
};

void whole_begin(void)
{
    struct gw_opts opts = {
        .limits = limits,
        .rpc = {.value_max = 8192,
                .queue_max = 16384,
                .in_total = 65536,
                .calls = 24,
                .flows_per_vc = 8},
        .service = true,
        .accounts = true,
        .plugins = {request_plugin_entry(), stream_plugin_entry(), signature_plugin_entry(),
                    serve_plugin_entry(), stop_server_plugin_entry(),
                    assoc_identity_plugin_entry()},
    };

    gw_init(&whole.g, &opts);
    for (unsigned i = 0; i < WHOLE_PAGES; i++)
        whole.pages[i].peer.fd = -1;
    whole.guard = (struct rpc_dispatcher){look_up, NULL};
    whole.g.server->dispatcher = whole.guard;
}

/* ---- time ---- */

void whole_turn(unsigned n)
{
    while (n-- > 0) {
        loop_worker_turn(whole.g.w, 0);
        for (unsigned i = 0; i < WHOLE_PAGES; i++) {
            if (whole.pages[i].peer.fd >= 0 && !whole.pages[i].deaf)
                whole_page_read(&whole.pages[i]);
        }
    }
}

void whole_until(bool (*done)(void), bool helped, const char *what)
{
    int64_t end = clock_mono() + WAIT_MS * CLOCK_MS;

    for (unsigned turns = 1; !done(); turns++) {
        whole_require(clock_mono() < end, what);
        whole_turn(1);
        if (turns < 256)
            continue;
        /* Sockets of a loaded machine take their time, too. */
        loop_worker_turn(whole.g.w, CLOCK_MS);
        if (helped)
            loop_worker_skip(whole.g.w, CLOCK_S);
    }
}

void whole_skip(unsigned which)
{
    static const int64_t times[] = {CLOCK_MS,     100 * CLOCK_MS, CLOCK_S,       11 * CLOCK_S,
                                    61 * CLOCK_S, 181 * CLOCK_S,  3600 * CLOCK_S};

    loop_worker_skip(whole.g.w, times[which % (sizeof times / sizeof times[0])]);
    whole_turn(2);
}

/* ---- the end ---- */

static bool nothing_is_left(void)
{
    const struct gateway_stats *s = gateway_stats(whole.g.gateway);

    return s->conns == 0 && s->flows == 0 && s->servers == 0 && s->pending == 0 &&
           s->out_bytes == 0 && s->in_bytes == 0 && whole.g.server->n_calls == 0 &&
           whole.g.slow.running == 0;
}

static bool new_page_serves(void)
{
    return whole.pages[0].endpoint[0] != '\0';
}

static bool new_page_is_answered(void)
{
    whole_require(!whole.pages[1].refused, whole.pages[1].error);
    return whole.pages[0].n_waiting == 1;
}

/* After whatever came before: a page that serves is called by another. */
static void check_health(void)
{
    struct whole_page *p = &whole.pages[0];
    struct steps call = {(const uint8_t *)"\x03\x01\x00\x00\x30", 5};

    whole_page_open(p, 0);
    whole_page_serve(p, 1, 0, 0);
    whole_until(new_page_serves, false, "a new page cannot serve");
    whole_page_open(&whole.pages[1], 0);
    whole.at = 1;
    whole_page_step(&call);
    whole_until(new_page_is_answered, false, "a new page is not called");
}

void whole_end(void)
{
    for (unsigned i = 0; i < WHOLE_PAGES; i++)
        whole_page_drop(&whole.pages[i]);
    whole_until(nothing_is_left, true, "something is left when all pages are gone");
    if (whole.runs++ % 8 == 0) {
        check_health();
        for (unsigned i = 0; i < WHOLE_PAGES; i++)
            whole_page_drop(&whole.pages[i]);
        whole_until(nothing_is_left, true, "something is left of healthy pages");
    }
    whole.g.slow.changed = false;
    whole.at = 0;
}
