/*
 * The recorded conversations about names, led by our client with one peer that plays all servers:
 * each request has the recorded bytes, in the recorded order. What the answers say of servers is
 * changed to lead to the peer.
 */
#include "config.h"

#include "naming/name.h"
#include "raw.h"
#include "recorded_tests.h"
#include "recording.h"
#include "rig.h"
#include "rpc/namespace.h"
#include "rpc/resolve.h"
#include "tap.h"
#include "tcall.h"
#include "vom/wiretypes.h"

#define TALK_FLOWS 6
#define TALK_ARGS  4

enum talk_kind { TALK_CALL, TALK_MOUNT, TALK_UNMOUNT, TALK_GLOB };

/* One operation and its flows: 0 is the recording's own, the others follow. */
static const struct talk {
    const char *id;
    enum talk_kind kind;
    const char *name; /* NULL: that of the recording */
    int flows[TALK_FLOWS];
    unsigned entries; /* of a listing */
} talks[] = {
    {"publish-sample", TALK_MOUNT, "cache", {1, 0, -1}, 0},
    {"cache-set-resolved", TALK_CALL, NULL, {1, 0, -1}, 0},
    {"bad-argcount-few", TALK_CALL, NULL, {1, 0, -1}, 0},
    {"add", TALK_CALL, NULL, {1, 0, -1}, 0},
    {"deep", TALK_CALL, NULL, {1, 2, 0, -1}, 0},
    {"noname", TALK_CALL, NULL, {1, -1}, 0},
    {"retry-next", TALK_CALL, NULL, {1, 0, -1}, 0},
    {"nonmt-chain", TALK_CALL, NULL, {1, 0, -1}, 0},
    {"proxied-call", TALK_CALL, NULL, {1, 0, -1}, 0},
    {"publish-proxied", TALK_MOUNT, "proxied", {1, 0, -1}, 0},
    {"stop-unmounts", TALK_UNMOUNT, "test/server", {1, 2, -1}, 0},
    {"stop-unmounts", TALK_UNMOUNT, "sub/deep/server", {3, 4, 0, -1}, 0},
    {"namespace-glob", TALK_GLOB, "*", {0, 1, -1}, 5},
    {"namespace-glob-sub", TALK_GLOB, "sub/...", {0, 1, 2, 3, -1}, 3},
};

static struct {
    struct rig_ids ids;
    struct rig rig;
    struct raw_peer peer;
    struct tcall call;
    struct err err; /* of anything but a call */
    bool done;
    unsigned entries, flows;
} t;

/* ---- what the peer answers ---- */

/* Puts the peer's endpoint in the place of a recorded one that could be connected to. */
static struct span lead_here(struct arena *a, struct span name)
{
    struct buf out = BUF_INIT(4096);
    struct span address, rest;
    char *copy;

    naming_name_split(name, &address, &rest);
    if (address.len == 0 || memmem(address.p, address.len, "127.0.0.1:1@", 12) != NULL)
        return name;
    buf_append_str(&out, "/");
    buf_append_str(&out, t.peer.endpoint);
    buf_append(&out, address.p + address.len,
               (size_t)(name.p + name.len - (address.p + address.len)));
    copy = arena_strndup(a, buf_cstr(&out), out.len);
    buf_done(&out);
    return span_str(copy);
}

static void lead_servers_here(struct arena *a, struct vom_value *list)
{
    for (size_t i = 0; i < vom_value_len(list); i++) {
        struct vom_value server = vom_value_at(list, i), name = vom_value_field(&server, "Server");

        name.s = lead_here(a, name.s);
        vom_value_set_field(&server, "Server", name);
        vom_value_set(list, i, server);
    }
}

static struct buf answer_of(struct json_object *flow)
{
    struct buf bytes = recording_bytes(flow, false), out = BUF_INIT(1 << 20);
    struct recording_items items;
    struct vom_enc enc;
    int r = 0;

    recording_read(&items, buf_span(&bytes), false);
    vom_enc_init(&enc);
    vom_enc_prime(&enc, &out, &vom_preset_response);
    for (size_t i = 0; i < items.n && r == 0; i++) {
        struct recording_item *item = &items.item[i];

        if (item->kind == ITEM_RESPONSE) {
            r = rpc_response_put(&enc, &out, &item->response);
            continue;
        }
        if (item->value.type->kind == VOM_KIND_SLICE) {
            lead_servers_here(&items.arena, &item->value);
        } else if (item->value.type->kind == VOM_KIND_STRUCT &&
                   vom_value_field(&item->value, "Servers").type != NULL) {
            struct vom_value servers = vom_value_field(&item->value, "Servers");

            lead_servers_here(&items.arena, &servers);
        }
        r = vom_enc_value(&enc, &out, &item->value, NULL);
    }
    TAP_OK(r == 0, "the answer cannot be written: %d", r);
    vom_enc_done(&enc);
    recording_items_done(&items);
    buf_done(&bytes);
    return out;
}

/* ---- the client's side ---- */

static void on_done(void *arg, const struct err *err)
{
    t.done = true;
    if (err != NULL)
        err_copy(&t.err, err);
}

static void on_entry(void *arg, const struct rpc_glob_entry *e)
{
    t.entries++;
    TAP_OK(e->err == NULL, "%.*s: %s", SPAN_ARG(e->name), e->err != NULL ? err_text(e->err) : "");
}

static bool is_done(void *arg)
{
    return t.done || t.call.n_done > 0;
}

static void begin(const struct talk *talk, struct json_object *recording)
{
    static const struct rpc_glob_ops ops = {on_entry, on_done};
    struct json_object *own = recording_flow(recording, 0);
    struct buf bytes = own != NULL ? recording_bytes(own, true) : (struct buf)BUF_INIT(16);
    struct rpc_client *client = rpc_runtime_client(t.rig.rt);
    const char *text = talk->name != NULL ? talk->name : vec_str(recording, "object_name");
    struct arena a = ARENA_INIT(65536);
    struct vom_value args[TALK_ARGS] = {vom_value_str("z")};
    struct recording_items said = {.n = 0};
    struct tcall_how how = {.args = args, .n_args = 1, .opts.n_results = RPC_ANY_RESULTS};
    struct span name = lead_here(&a, span_str(text));
    bool begun = true;

    if (own != NULL && recording_read(&said, buf_span(&bytes), true)) {
        how.n_args = said.item[0].request.n_args;
        for (size_t i = 0; i < how.n_args && i < TALK_ARGS; i++)
            args[i] = said.item[1 + i].value;
    }
    how.name = arena_strndup(&a, (const char *)name.p, name.len);
    how.method = vec_str(recording, "method");
    if (talk->kind == TALK_CALL)
        begun = tcall_start(&t.call, client, &how);
    else if (talk->kind == TALK_MOUNT)
        begun =
            rpc_mount(client, name, args[0].s, (uint32_t)args[1].u, NULL, on_done, NULL) != NULL;
    else if (talk->kind == TALK_UNMOUNT)
        begun = rpc_unmount(client, name, args[0].s, NULL, on_done, NULL) != NULL;
    else
        begun = rpc_glob(client, name, NULL, &ops, NULL) != NULL;
    TAP_IS(begun);
    if (own != NULL)
        recording_items_done(&said);
    arena_done(&a);
    buf_done(&bytes);
}

/* ---- one conversation ---- */

struct wanted {
    size_t len;
    struct raw_flow *flow;
};

static bool has_come(void *arg)
{
    struct wanted *w = arg;

    w->flow = raw_flow_at(&t.peer, 0);
    return is_done(NULL) || (w->flow != NULL && w->flow->in.len >= w->len);
}

/* Listings of the recorded client did not end their requests; ours do. */
static bool same_request(struct span got, struct span want, bool listing)
{
    static const uint8_t end[] = {0xff, 0x82, 0x03, 0x04, 0x01, 0x00};

    if (listing && got.len == want.len + sizeof end &&
        memcmp(got.p + want.len, end, sizeof end) == 0)
        got.len = want.len;
    return span_equal(got, want);
}

static void play_flow(const struct talk *talk, struct json_object *flow)
{
    struct buf c2s = recording_bytes(flow, true), answer = answer_of(flow);
    struct wanted w = {.len = c2s.len};
    bool listing = strcmp(vec_str(flow, "method"), "Glob") == 0;

    TAP_OK(raw_until(t.rig.w, has_come, &w, 20000) && w.flow != NULL, "%s at \"%s\" does not come",
           vec_str(flow, "method"), vec_str(flow, "suffix"));
    if (w.flow != NULL) {
        TAP_OK(same_request(buf_span(&w.flow->in), buf_span(&c2s), listing),
               "%s at \"%s\": other bytes", vec_str(flow, "method"), vec_str(flow, "suffix"));
        raw_write(w.flow, buf_span(&answer));
        raw_close(w.flow);
        raw_flow_free(w.flow);
        t.flows++;
    }
    buf_done(&answer);
    buf_done(&c2s);
}

static void play_talk(const struct talk *talk)
{
    struct json_object *recording = recording_named(talk->id);
    struct json_object *outcome = vec_get(recording, "client_outcome"), *error = NULL;
    const struct err *e = talk->kind == TALK_CALL ? &t.call.err : &t.err;

    t.done = false;
    t.entries = 0;
    tcall_init(&t.call);
    rpc_client_set_names(rpc_runtime_client(t.rig.rt), 0, 0);
    begin(talk, recording);
    for (int i = 0; talk->flows[i] >= 0; i++)
        play_flow(talk, recording_flow(recording, (size_t)talk->flows[i]));
    TAP_OK(raw_until(t.rig.w, is_done, NULL, 20000), "%s does not end", talk->id);
    TAP_OK(raw_flow_at(&t.peer, 0) == NULL, "%s: another flow", talk->id);
    if (talk->kind == TALK_CALL) {
        error = vec_get(outcome, "start_error");
        error = error != NULL ? error : vec_get(outcome, "finish_error");
    }
    if (error == NULL)
        TAP_OK(e->code == 0, "%s: \"%s\"", talk->id, err_text(e));
    else
        TAP_OK(strcmp(err_text(e), vec_str(error, "msg")) == 0 &&
                   strcmp(err_id(e), vec_str(error, "id")) == 0,
               "%s: %s \"%s\"", talk->id, err_id(e), err_text(e));
    TAP_OK(t.entries == talk->entries, "%s: %u entries", talk->id, t.entries);
    tcall_done(&t.call);
    err_done(&t.err);
}

static void names_begin(void)
{
    struct rig_opts opts = {0};
    const char *roots[1];
    char root[512];

    rig_ids_init(&t.ids);
    opts.identity = t.ids.client;
    opts.trust = t.ids.trust;
    rig_init(&t.rig, &opts);
    raw_init(&t.peer, t.rig.w, t.ids.server);
    raw_listen(&t.peer);
    snprintf(root, sizeof root, "/%s", t.peer.endpoint);
    roots[0] = root;
    TAP_IS(rpc_client_set_roots(rpc_runtime_client(t.rig.rt), roots, 1, NULL) == 0);
    t.flows = 0;
}

static void names_end(void)
{
    rig_done(&t.rig, false);
    raw_done(&t.peer);
    loop_worker_free(t.rig.w);
    rig_ids_done(&t.ids);
}

void names_conversation(const char *id)
{
    names_begin();
    for (size_t i = 0; i < sizeof talks / sizeof talks[0]; i++) {
        if (strcmp(talks[i].id, id) == 0)
            play_talk(&talks[i]);
    }
    TAP_OK(t.flows > 0, "there is no conversation %s", id);
    names_end();
}

void names_conversations(void)
{
    const size_t n = sizeof talks / sizeof talks[0];

    names_begin();
    for (size_t i = 0; i < n; i++)
        play_talk(&talks[i]);
    tap_note("names: %zu conversations with the same bytes, %u requests", n, t.flows);
    names_end();
}
