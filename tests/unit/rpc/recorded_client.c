/*
 * The recorded calls, made by our client: it writes the same bytes, and what the recorded server
 * answered leads to the recorded outcome.
 */
#include "config.h"

#include "raw.h"
#include "recorded_tests.h"
#include "recording.h"
#include "base/clock.h"
#include "rig.h"
#include "security/caveat.h"
#include "security/identity.h"
#include "security/internal.h"
#include "security/types.h"
#include "tap.h"
#include "tcall.h"
#include "vom/convert.h"
#include "vom/wiretypes.h"

#define CALL_ARGS 8

/* A granter that gives what was recorded. */
struct recorded_granter {
    struct rpc_granter granter;
    const struct vom_value *blessing; /* NULL: refuses */
};

static int grant_recorded(struct rpc_granter *granter, const struct security_identity *server,
                          struct security_identity **ret_blessing, struct err *err)
{
    struct recorded_granter *g = (struct recorded_granter *)granter;

    if (g->blessing == NULL)
        return err_set(err, WSPR_EINTERNAL, "no blessing for you");
    return security_identity_from_value(g->blessing, 0, ret_blessing, err);
}

static struct {
    bool up;
    struct rig_ids ids;
    struct rig rig;
    struct raw_peer peer;
    struct security_private *indebted; /* the client with the recorded third-party caveat */
    struct buf asked;                  /* what it must write to the discharger */
    struct recorded_granter granter;
    unsigned calls, failures;
} t;

static void client_begin(void)
{
    struct rig_opts opts = {0};

    rig_ids_init(&t.ids);
    opts.identity = t.ids.client;
    opts.trust = t.ids.trust;
    rig_init(&t.rig, &opts);
    raw_init(&t.peer, t.rig.w, t.ids.server);
    raw_listen(&t.peer);
    t.granter.granter = (struct rpc_granter){.grant = grant_recorded, .refs = 1};
    t.up = true;
}

void client_end(void)
{
    if (!t.up)
        return;
    t.up = false;
    tap_note("called: %u with the same bytes, %u that fail before", t.calls, t.failures);
    TAP_OK(t.peer.n_circuits == 1 + (t.indebted != NULL), "%u circuits", t.peer.n_circuits);
    TAP_IS(t.indebted == NULL || rpc_runtime_stats(t.rig.rt)->discharges == 1);
    TAP_IS(t.granter.granter.refs == 1);
    security_private_unref(t.indebted);
    buf_done(&t.asked);
    rig_done(&t.rig, false);
    raw_done(&t.peer);
    loop_worker_free(t.rig.w);
    rig_ids_done(&t.ids);
}

/* ---- outcomes ---- */

static void check_error(const struct tcall *c, struct json_object *e)
{
    const char *id = vec_str(e, "id");

    TAP_OK(strcmp(tcall_error(c), vec_str(e, "msg")) == 0 && strcmp(err_id(&c->err), id) == 0,
           "error %s \"%s\", not %s \"%s\"", err_id(&c->err), tcall_error(c), id,
           vec_str(e, "msg"));
}

static void check_outcome(const struct tcall *c, struct json_object *recording,
                          const struct recording_items *answer)
{
    struct json_object *e = vec_get(vec_get(recording, "client_outcome"), "finish_error");
    const struct recording_item *item = &answer->item[answer->n];
    unsigned n_items = 0;

    if (e != NULL) {
        check_error(c, e);
        return;
    }
    TAP_OK(c->err.code == 0, "error \"%s\"", tcall_error(c));
    TAP_OK(answer->n > c->n_results && item[-1 - (int)c->n_results].kind == ITEM_RESPONSE,
           "%u results", c->n_results);
    for (unsigned i = 0; i < c->n_results && c->n_results < answer->n; i++)
        TAP_OK(vom_value_equal(&c->results[i], &item[(int)i - (int)c->n_results].value) == 1,
               "result %u", i);
    for (size_t i = 1; i < answer->n; i++)
        n_items +=
            answer->item[i - 1].kind == ITEM_RESPONSE && !answer->item[i - 1].response.end_stream;
    TAP_OK(c->n_items == n_items, "%u stream items, not %u", c->n_items, n_items);
}

/* ---- credentials ---- */

/* The recorded caveat with another place where the discharge is to be had. */
static void move_discharger(const struct vom_value *caveat, struct arena *a,
                            struct vom_value *ret_v)
{
    struct vom_value v;
    struct buf place = BUF_INIT(1024);

    TAP_IS(security_deref(*caveat, &v) == 1);
    TAP_IS(vom_convert(a, &v, &security_type_third_party, NULL, &v, NULL) == 0);
    buf_printf(&place, "/%s//discharger", t.peer.endpoint);
    vom_value_set(&v, SECURITY_THIRD_LOCATION,
                  vom_value_span(&vom_type_string, arena_copy(a, buf_span(&place))));
    TAP_IS(vom_value_new_to(a, &security_type_third_party_ptr, v, ret_v) == 0);
    buf_done(&place);
}

/* The client's key under a certificate with the caveat. */
static struct security_private *indebted(const struct vom_value *caveat)
{
    struct buf bytes = BUF_INIT(65536);
    struct security_caveat c = {.service = span_str("*")};
    struct security_blessing b = {
        .name = span_str("indebted"),
        .now = clock_wall(),
        .duration = 3600 * CLOCK_S,
        .caveats = &c,
        .n_caveats = 1,
    };
    struct security_identity *blessing;
    struct security_private *id;

    TAP_IS(vom_encode(&bytes, caveat, NULL) == 0);
    c.bytes = buf_span(&bytes);
    TAP_IS(security_private_bless(t.ids.client,
                                  security_identity_key(security_private_public(t.ids.client)), &b,
                                  &blessing, NULL) == 0);
    TAP_IS(security_private_derive(t.ids.client, blessing, &id, NULL) == 0);
    security_identity_unref(blessing);
    buf_done(&bytes);
    return id;
}

/* Makes the identity, and the bytes that the recorded client would write to our discharger. */
static void indebted_begin(void)
{
    struct json_object *flow = recording_flow(recording_named("discharge"), 1);
    struct arena a = ARENA_INIT(1 << 20);
    struct recording_items items;
    struct vom_value caveat;
    struct vom_enc enc;
    struct buf c2s;

    if (t.indebted != NULL)
        return;
    c2s = recording_bytes(flow, true);
    recording_read(&items, buf_span(&c2s), true);
    move_discharger(&items.item[1].value, &a, &caveat);
    t.indebted = indebted(&caveat);
    buf_init(&t.asked, 65536);
    vom_enc_init(&enc);
    vom_enc_prime(&enc, &t.asked, &vom_preset_request);
    TAP_IS(rpc_request_put(&enc, &t.asked, &items.item[0].request) == 0);
    TAP_IS(vom_enc_value(&enc, &t.asked, &caveat, NULL) == 0);
    TAP_IS(rpc_request_put(&enc, &t.asked, &items.item[2].request) == 0);
    vom_enc_done(&enc);
    arena_done(&a);
    recording_items_done(&items);
    buf_done(&c2s);
}

static bool is_asked(void *arg)
{
    struct raw_flow *f = raw_flow_at(&t.peer, 1);

    return f != NULL && f->in.len >= t.asked.len;
}

/* The discharger is asked while the call's own flow waits; it answers what was recorded. */
static void answer_discharger(void)
{
    struct json_object *flow = recording_flow(recording_named("discharge"), 1);
    struct buf s2c = recording_bytes(flow, false);
    struct raw_flow *f;

    TAP_OK(raw_until(t.rig.w, is_asked, NULL, 30000), "no discharge is asked for");
    f = raw_flow_at(&t.peer, 1);
    if (f != NULL) {
        TAP_IS(raw_flow_at(&t.peer, 0)->in.len == 0);
        TAP_OK(span_equal(buf_span(&f->in), buf_span(&t.asked)), "other bytes to the discharger");
        raw_write(f, buf_span(&s2c));
        raw_close(f);
        raw_flow_free(f);
    }
    buf_done(&s2c);
}

/* ---- calls that come to a flow ---- */

struct arrival {
    struct raw_flow *flow;
    size_t len;
};

static bool has_arrived(void *arg)
{
    struct arrival *a = arg;

    a->flow = raw_flow_at(&t.peer, 0);
    return a->flow != NULL && a->flow->in.len >= a->len;
}

static bool has_started(void *arg)
{
    struct tcall *c = arg;

    return c->n_started > 0 || c->n_done > 0;
}

/* Sends the recorded items, then ends the stream if the recorded client did. */
static void send_items(struct tcall *c, const struct recording_items *said)
{
    raw_until(t.rig.w, has_started, c, 5000);
    for (size_t i = 1; i < said->n; i++) {
        const struct recording_item *before = &said->item[i - 1];

        if (said->item[i].kind != ITEM_VALUE || before->kind != ITEM_REQUEST ||
            i <= said->item[0].request.n_args)
            continue;
        TAP_IS(tcall_send(c, &said->item[i].value) == 0);
    }
    if (said->item[said->n - 1].kind == ITEM_REQUEST && said->item[said->n - 1].request.end_stream)
        rpc_call_close_send(c->call);
}

static int32_t results_wanted(struct json_object *recording, const struct recording_items *answer)
{
    struct json_object *results = vec_get(vec_get(recording, "client_outcome"), "results");

    if (strcmp(vec_str(recording, "id"), "bad-resultcount") == 0)
        return 1;
    if (results != NULL)
        return (int32_t)json_object_array_length(results);
    return RPC_ANY_RESULTS;
}

/* The call itself, with the recorded arguments and credentials. */
static void call_as_recorded(const char *id, const struct recording_items *said, int32_t n_results,
                             struct tcall *c)
{
    const struct rpc_request *rq = &said->item[0].request;
    size_t extra = rq->has_blessing + rq->n_discharges; /* values before the arguments */
    struct vom_value args[CALL_ARGS];
    char name[512], method[64];
    struct tcall_how how = {
        .name = name,
        .method = method,
        .args = args,
        .n_args = rq->n_args,
        .opts = {.timeout = rq->timeout != 0 ? rq->timeout : RPC_TIMEOUT_OF_SERVER,
                 .n_results = n_results,
                 .streaming = said->n != 2 + extra + rq->n_args},
        .no_items = strcmp(id, "stream-server-unread") == 0,
    };

    snprintf(name, sizeof name, "/%s%.*s", t.peer.endpoint, SPAN_ARG(rq->suffix));
    snprintf(method, sizeof method, "%.*s", SPAN_ARG(rq->method));
    for (size_t i = 0; i < rq->n_args && i < CALL_ARGS; i++)
        args[i] = said->item[1 + extra + i].value;
    if (rq->has_blessing) {
        t.granter.blessing = &said->item[1].value;
        how.opts.granter = &t.granter.granter;
    }
    if (rq->n_discharges > 0) {
        indebted_begin();
        how.opts.identity = t.indebted;
    }
    tcall_init(c);
    TAP_IS(tcall_start(c, rpc_runtime_client(t.rig.rt), &how));
    if (rq->n_discharges > 0 && rpc_runtime_stats(t.rig.rt)->discharges == 0)
        answer_discharger();
    if (how.opts.streaming)
        send_items(c, said);
}

static void play_call(const char *id, struct json_object *recording, struct json_object *flow)
{
    struct buf c2s = recording_bytes(flow, true), s2c = recording_bytes(flow, false);
    struct recording_items said, answer;
    struct arrival a = {.len = c2s.len};
    bool cancels = strncmp(id, "cancel", 6) == 0 && strncmp(id, "cache", 5) != 0;
    struct tcall c;

    recording_read(&said, buf_span(&c2s), true);
    recording_read(&answer, buf_span(&s2c), false);
    call_as_recorded(id, &said, results_wanted(recording, &answer), &c);
    TAP_OK(raw_until(t.rig.w, has_arrived, &a, 5000), "the call does not come");
    raw_run(t.rig.w, 1);
    if (a.flow != NULL) {
        TAP_OK(span_equal(buf_span(&a.flow->in), buf_span(&c2s)), "other bytes");
        if (s2c.len > 0 && strcmp(id, "deadline-recv") != 0) {
            raw_write(a.flow, buf_span(&s2c));
            raw_close(a.flow);
        }
    }
    if (cancels) {
        rpc_call_cancel(c.call);
        c.call = NULL;
        raw_run(t.rig.w, 20);
        TAP_OK(a.flow != NULL && a.flow->eof && c.n_done == 0, "the cancel does not come");
    } else {
        TAP_OK(raw_until(t.rig.w, tcall_is_done, &c, 5000), "the call does not end");
        check_outcome(&c, recording, &answer);
    }
    t.calls++;
    raw_flow_free(a.flow);
    tcall_done(&c);
    recording_items_done(&said);
    recording_items_done(&answer);
    buf_done(&c2s);
    buf_done(&s2c);
}

/* ---- calls that do not ---- */

static bool has_gone(void *arg)
{
    struct raw_flow *f = raw_flow_at(&t.peer, 0);

    return f != NULL && f->eof;
}

static void play_failure(struct json_object *recording)
{
    struct json_object *e = vec_get(vec_get(recording, "client_outcome"), "start_error");
    struct vom_value arg = vom_value_str("z");
    struct tcall_how how = {
        .name = vec_str(recording, "object_name"),
        .method = vec_str(recording, "method"),
        .args = &arg,
        .n_args = 1,
    };
    const char *id = vec_str(recording, "id");
    char name[512];
    struct tcall c;

    /* A server that is there, and is not the one that is wanted. */
    if (strcmp(id, "auth-remoteid") == 0)
        how.opts.server_pattern = span_str("somebodyelse");
    else if (strcmp(id, "blessing-refused") == 0)
        how.opts.granter = &t.granter.granter;
    if (how.opts.server_pattern.len > 0 || how.opts.granter != NULL) {
        snprintf(name, sizeof name, "/%s//x", t.peer.endpoint);
        how.name = name;
    }
    t.granter.blessing = NULL;
    tcall_init(&c);
    TAP_IS(tcall_start(&c, rpc_runtime_client(t.rig.rt), &how));
    TAP_OK(raw_until(t.rig.w, tcall_is_done, &c, 5000), "the call does not end");
    check_error(&c, e);
    if (how.name == name) {
        TAP_OK(raw_until(t.rig.w, has_gone, NULL, 30000), "the flow does not end");
        TAP_IS(raw_flow_at(&t.peer, 0)->in.len == 0);
        raw_flow_free(raw_flow_at(&t.peer, 0));
    }
    tcall_done(&c);
    t.failures++;
}

void client_case(void)
{
    const char *id = tap_case_name();
    struct json_object *recording = recording_named(id);
    struct json_object *flow = recording_flow(recording, 0);

    if (!t.up)
        client_begin();
    if (strcmp(id, "noname") == 0) {
        /* It ends at a mount table. */
        names_conversation(id);
        t.failures++;
        return;
    }
    if (flow != NULL)
        play_call(id, recording, flow);
    else
        play_failure(recording);
}
