/* The relay's routing: the recorded session, and what it does with each message. */
#include "config.h"

#include "hub_rig.h"
#include "relay_tests.h"
#include "vectors.h"
#include "wspr/error.h"

enum { SERVER, CLIENT, OTHER };

static struct hub_rig r;

static struct naming_rid rid_of(uint64_t n)
{
    return naming_rid_fixed(n);
}

static void begin(void)
{
    struct naming_rid rid = rid_of(0x5555555555555555);

    TAP_IS(hub_rig_init(&r));
    TAP_IS(proxy_hub_register(&r.hub, &r.ports[SERVER].reg, &r.ports[SERVER].port, &rid, 10,
                              NULL) == 0);
}

static void end(void)
{
    hub_rig_done(&r);
    TAP_IS(r.hub.stats.circuits == 0 && r.hub.stats.servers == 0);
}

static int say(int port, struct buf *b)
{
    int e = hub_port_input(&r.ports[port], buf_span(b));

    buf_done(b);
    return e;
}

static int open_vc_to(int port, uint32_t vci, const char *rid, const struct vc_counter *c, size_t n)
{
    struct buf b = BUF_INIT(65536);
    char dst[128];

    snprintf(dst, sizeof dst, "@2@tcp@127.0.0.1:1@%s@1@2@@", rid);
    vc_msg_put_open_vc(&b, vci, span_str(dst), span_str("@2@tcp@127.0.0.1:2@@1@2@@"), c, n);
    return say(port, &b);
}

static int open_vc(int port, uint32_t vci)
{
    struct vc_counter c = {vci, 0, 1048576};

    return open_vc_to(port, vci, "00000000000000005555555555555555", &c, 1);
}

static int send_data(int port, uint32_t vci, size_t n)
{
    static const uint8_t zeros[1 << 20];
    struct buf b = BUF_INIT(2 << 20);

    vc_msg_put_data(&b, vci, 14, 0x82, span_of(zeros, n));
    return say(port, &b);
}

static int send_close(int port, uint32_t vci, const char *text)
{
    struct buf b = BUF_INIT(65536);

    vc_msg_put_close_vc(&b, vci, span_str(text));
    return say(port, &b);
}

/* The next message that went out on a port, taken off; kind -1 if there is none. */
static struct vc_msg next(int port)
{
    static struct buf taken[HUB_PORTS];
    struct buf *out = &r.ports[port].out;
    struct span all = buf_span(out), rest = all, copy;
    struct vc_msg m = {.kind = (enum vc_msg_kind) - 1};

    buf_done(&taken[port]);
    buf_init(&taken[port], 2 << 20);
    if (vc_msg_next(&rest, VC_MSG_BODY_MAX, &m, NULL, NULL) <= 0)
        return (struct vc_msg){.kind = (enum vc_msg_kind) - 1};
    buf_append(&taken[port], all.p, all.len - rest.len);
    buf_consume(out, all.len - rest.len);
    copy = buf_span(&taken[port]);
    vc_msg_next(&copy, VC_MSG_BODY_MAX, &m, NULL, NULL);
    return m;
}

static bool closes(int port, uint32_t vci, const char *text)
{
    struct vc_msg m = next(port);

    if (m.kind == VC_MSG_CLOSE_VC && m.vci == vci && span_equal_str(m.text, text))
        return true;
    tap_note("kind %d, VCI %u, \"%.*s\"", (int)m.kind, m.vci, SPAN_ARG(m.text));
    return false;
}

static bool quiet(int port)
{
    return r.ports[port].out.len == 0;
}

/* ---- the recording ---- */

/* Of the session, from where a client comes. */
static unsigned replay(struct json_object *msgs, size_t piece)
{
    struct buf want[2] = {BUF_INIT(1 << 20), BUF_INIT(1 << 20)};
    unsigned n = 0;
    bool on = false;

    begin();
    for (size_t i = 0; i < json_object_array_length(msgs); i++) {
        struct json_object *m = json_object_array_get_idx(msgs, i);
        const char *conn = vec_str(m, "conn"), *dir = vec_str(m, "dir");
        int port = strcmp(conn, "server-proxy") == 0 ? SERVER : CLIENT;
        struct buf b;

        on = on || strcmp(conn, "client-proxy") == 0;
        if (strcmp(conn, "server-proxy#2") == 0)
            break; /* another registration, which is no routing */
        if (!on)
            continue;
        n++;
        if (strcmp(conn, "client-proxy#2") == 0)
            port = OTHER;
        if (vec_str(m, "event") != NULL) {
            if (strcmp(dir, "c2s") == 0)
                hub_port_down(&r.ports[port]);
            continue;
        }
        b = vec_hex(vec_str(m, "hex"));
        if (strcmp(dir, "c2s") == 0) {
            for (size_t at = 0; at < b.len; at += piece) {
                size_t len = b.len - at < piece ? b.len - at : piece;

                TAP_OK(hub_port_input(&r.ports[port], span_of(buf_data(&b) + at, len)) == 0,
                       "message %zu", i);
            }
        } else if (port != OTHER) {
            buf_append_span(&want[port], buf_span(&b));
        } else {
            struct vc_msg m2 = next(OTHER);
            struct span in = buf_span(&b);
            struct vc_msg recorded;

            TAP_IS(vc_msg_next(&in, VC_MSG_BODY_MAX, &recorded, NULL, NULL) > 0);
            TAP_IS(m2.kind == recorded.kind && m2.vci == recorded.vci &&
                   span_equal(m2.text, recorded.text));
        }
        buf_done(&b);
    }
    for (int i = 0; i < 2; i++) {
        TAP_OK(span_equal(buf_span(&r.ports[i].out), buf_span(&want[i])),
               "port %d: %zu bytes instead of %zu", i, r.ports[i].out.len, want[i].len);
        buf_done(&want[i]);
    }
    end();
    return n;
}

static void recorded_session(void)
{
    struct json_object *all = vectors_load("handshake_v2.json"), *list = vec_get(all, "sessions");
    unsigned n = 0;

    for (size_t i = 0; i < json_object_array_length(list); i++) {
        struct json_object *s = json_object_array_get_idx(list, i);

        if (strcmp(vec_str(s, "name"), "proxy_v2") != 0)
            continue;
        n = replay(vec_get(s, "messages"), SIZE_MAX);
        replay(vec_get(s, "messages"), 1);
        replay(vec_get(s, "messages"), 7);
    }
    tap_note("handshake_v2.json: proxy_v2, %u messages of relayed circuits, whole, in pieces of 7 "
             "bytes and of one",
             n);
    TAP_IS(n == 79);
    json_object_put(all);
}

/* ---- messages ---- */

static void opening(void)
{
    struct vc_counter c[] = {{10, 0, 5}, {10, 14, 6}, {12, 0, 7}}, one;
    struct vc_counters counters;
    struct vc_msg m;

    begin();
    TAP_IS(open_vc(CLIENT, 12) == 0);
    m = next(SERVER);
    TAP_IS(m.kind == VC_MSG_OPEN_VC && m.vci == 11);
    TAP_IS(open_vc_to(CLIENT, 10, "00000000000000005555555555555555", c, 3) == 0);
    m = next(SERVER);
    TAP_IS(m.kind == VC_MSG_OPEN_VC && m.vci == 13 && m.counters.n == 2);
    counters = m.counters;
    TAP_IS(vc_counters_next(&counters, &one) && one.vci == 13 && one.flow == 0 && one.bytes == 5);
    TAP_IS(vc_counters_next(&counters, &one) && one.vci == 13 && one.flow == 14 && one.bytes == 6);
    /* The counter of another circuit takes its own way. */
    m = next(SERVER);
    TAP_IS(m.kind == VC_MSG_CREDIT && m.counters.n == 1);
    counters = m.counters;
    TAP_IS(vc_counters_next(&counters, &one) && one.vci == 11 && one.bytes == 7);
    /* A number that is in use on the server's connection is not given out. */
    TAP_IS(open_vc(SERVER, 15) == 0);
    m = next(SERVER);
    TAP_IS(m.kind == VC_MSG_OPEN_VC && m.vci == 17);
    TAP_IS(quiet(CLIENT) && quiet(SERVER));
    end();
}

static void many_counters(void)
{
    struct vc_counter c[100];
    unsigned n = 0;
    struct vc_msg m;

    begin();
    for (unsigned i = 0; i < 100; i++)
        c[i] = (struct vc_counter){10, i, 1};
    TAP_IS(open_vc_to(CLIENT, 10, "00000000000000005555555555555555", c, 100) == 0);
    while ((m = next(SERVER)).kind == VC_MSG_OPEN_VC || m.kind == VC_MSG_CREDIT)
        n += (unsigned)m.counters.n;
    TAP_OK(n == 100, "%u counters", n);
    end();
}

/* There is room for OpenVC and for some of the credit that came with it. */
static void no_room_for_counters(void)
{
    struct vc_counter c[1000];
    struct vc_msg m;

    begin();
    r.hub.limits.peer_queue = 4096;
    for (unsigned i = 0; i < 1000; i++)
        c[i] = (struct vc_counter){10, i, 1};
    TAP_IS(open_vc_to(CLIENT, 10, "00000000000000005555555555555555", c, 1000) == 0);
    TAP_IS(r.hub.stats.overflows == 1 && r.hub.stats.circuits == 0);
    m = next(SERVER);
    TAP_IS(m.kind == VC_MSG_OPEN_VC && m.vci == 11);
    while ((m = next(SERVER)).kind == VC_MSG_CREDIT)
        ;
    TAP_IS(m.kind == VC_MSG_CLOSE_VC && m.vci == 11 && quiet(SERVER));
    TAP_IS(next(CLIENT).kind == VC_MSG_CLOSE_VC && quiet(CLIENT));
    end();
}

static void data_passes_unchanged(void)
{
    struct vc_msg m;

    begin();
    open_vc(CLIENT, 10);
    next(SERVER);
    TAP_IS(send_data(CLIENT, 10, 70000) == 0);
    m = next(SERVER);
    TAP_IS(m.kind == VC_MSG_DATA && m.vci == 11 && m.flow == 14 && m.flags == 0x82 &&
           m.payload.len == 70000);
    TAP_IS(send_data(SERVER, 11, 0) == 0);
    m = next(CLIENT);
    TAP_IS(m.kind == VC_MSG_DATA && m.vci == 10 && m.payload.len == 0);
    TAP_IS(send_close(SERVER, 11, "enough") == 0 && closes(CLIENT, 10, "enough"));
    TAP_IS(send_data(CLIENT, 10, 5) == 0);
    TAP_IS(closes(CLIENT, 10, "routing table has no entry for the VC") && quiet(SERVER));
    TAP_IS(send_close(CLIENT, 10, "") == 0 && quiet(CLIENT) && quiet(SERVER));
    TAP_IS(r.hub.stats.unrouted == 1);
    end();
}

static void a_number_twice(void)
{
    begin();
    open_vc(CLIENT, 10);
    next(SERVER);
    TAP_IS(open_vc(CLIENT, 10) == 0);
    TAP_IS(closes(CLIENT, 10, "the VC was opened a second time"));
    TAP_IS(closes(SERVER, 11, "the VC was opened a second time"));
    r.ports[CLIENT].ours = 20;
    TAP_IS(open_vc(CLIENT, 20) == 0);
    TAP_IS(closes(CLIENT, 20, "the VC was opened a second time") && quiet(SERVER));
    end();
}

static void what_is_for_the_relay(void)
{
    begin();
    /* The engine of this test accepts nothing, which shows that it was asked. */
    TAP_IS(open_vc_to(CLIENT, 10, "", NULL, 0) == 0);
    TAP_IS(closes(CLIENT, 10, "VCs not accepted"));
    TAP_IS(open_vc_to(CLIENT, 10, "0000000000000000000000000000bbbb", NULL, 0) == 0);
    TAP_IS(closes(CLIENT, 10, "VCs not accepted"));
    TAP_IS(open_vc_to(CLIENT, 10, "nonsense", NULL, 0) < 0);
    end();
}

static void registrations(void)
{
    struct naming_rid taken = rid_of(0x5555555555555555), null = rid_of(0), own = rid_of(0xbbbb),
                      other;
    struct proxy_reg reg = {0};
    struct err e = ERR_INIT;

    begin();
    list_init(&reg.node);
    other = rid_of(0x6666);
    TAP_IS(proxy_hub_register(&r.hub, &reg, &r.ports[OTHER].port, &taken, 10, &e) == WSPR_EUNKNOWN);
    TAP_OK(strcmp(err_text(&e), "server with routing id 00000000000000005555555555555555 is "
                                "already being proxied") == 0,
           "%s", err_text(&e));
    TAP_IS(proxy_hub_register(&r.hub, &reg, &r.ports[OTHER].port, &null, 10, NULL) < 0);
    TAP_IS(proxy_hub_register(&r.hub, &reg, &r.ports[OTHER].port, &own, 10, NULL) < 0);
    TAP_IS(proxy_hub_register(&r.hub, &reg, &r.ports[OTHER].port, &other, 40, NULL) == 0);
    /* Numbers of circuits begin behind that of the registration. */
    TAP_IS(open_vc_to(CLIENT, 10, "00000000000000000000000000006666", NULL, 0) == 0);
    TAP_IS(next(OTHER).vci == 41);
    proxy_hub_unregister(&r.hub, &reg);
    proxy_hub_unregister(&r.hub, &reg);
    TAP_IS(send_data(CLIENT, 10, 3) == 0 && next(OTHER).vci == 41);
    TAP_IS(open_vc_to(CLIENT, 12, "00000000000000000000000000006666", NULL, 0) == 0);
    TAP_IS(closes(CLIENT, 12,
                  "no server with routing id 00000000000000000000000000006666 is being proxied"));
    err_done(&e);
    end();
}

static void loss(void)
{
    begin();
    open_vc(CLIENT, 10);
    open_vc(OTHER, 10);
    open_vc(SERVER, 10); /* to itself */
    next(SERVER), next(SERVER), next(SERVER);
    hub_port_down(&r.ports[CLIENT]);
    TAP_IS(closes(SERVER, 11, "remote process vanished") && quiet(SERVER) && quiet(OTHER));
    hub_port_down(&r.ports[SERVER]);
    TAP_IS(closes(OTHER, 10, "remote process vanished") && quiet(SERVER));
    TAP_IS(r.hub.stats.servers == 0 && r.hub.stats.circuits == 0);
    end();
}

/* A circuit whose other end does not read is closed; one beside it is not. */
static void queues(void)
{
    unsigned n = 0;

    begin();
    r.hub.limits.circuit_queue = 1 << 20;
    open_vc(CLIENT, 10);
    open_vc(OTHER, 10);
    while (r.hub.stats.overflows == 0 && n++ < 100)
        TAP_IS(send_data(CLIENT, 10, 65536) == 0);
    TAP_OK(n > 8 && n < 32, "%u messages", n);
    TAP_IS(r.ports[CLIENT].paused == false); /* it was, until its only circuit was closed */
    TAP_IS(r.hub.stats.pauses == 1);
    TAP_IS(next(CLIENT).kind == VC_MSG_CLOSE_VC);
    TAP_IS(send_data(OTHER, 10, 65536) == 0 && quiet(OTHER));
    /* What was written makes room again: much more than the limit passes in all. */
    open_vc(CLIENT, 12);
    for (unsigned i = 0; i < 100; i++) {
        TAP_IS(send_data(CLIENT, 12, 65536) == 0);
        if (i % 8 == 7) {
            buf_reset(&r.ports[SERVER].out);
            proxy_port_drained(&r.ports[SERVER].port);
        }
    }
    TAP_IS(r.hub.stats.overflows == 1 && quiet(CLIENT));
    /* A second destination: its reading may not stop for one of them. */
    TAP_IS(r.ports[CLIENT].paused);
    proxy_hub_unregister(&r.hub, &r.ports[SERVER].reg);
    {
        struct naming_rid rid = rid_of(0x5555555555555555);

        TAP_IS(proxy_hub_register(&r.hub, &r.ports[3].reg, &r.ports[3].port, &rid, 10, NULL) == 0);
    }
    open_vc(CLIENT, 14);
    TAP_IS(!r.ports[CLIENT].paused && next(3).kind == VC_MSG_OPEN_VC);
    TAP_IS(send_data(CLIENT, 12, 65536) == 0 && !r.ports[CLIENT].paused);
    end();
}

const struct tap_case proxy_hub_cases[PROXY_HUB_CASES] = {
    {"the recorded session", recorded_session},
    {"opening", opening},
    {"many counters", many_counters},
    {"no room for all counters", no_room_for_counters},
    {"data passes unchanged", data_passes_unchanged},
    {"a number twice", a_number_twice},
    {"what is for the relay itself", what_is_for_the_relay},
    {"registrations", registrations},
    {"loss of either side", loss},
    {"queues", queues},
};
