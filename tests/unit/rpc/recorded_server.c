/* What the recorded clients wrote, played to our server: it answers as the recorded one did. */
#include "config.h"

#include "base/clock.h"
#include "object.h"
#include "naming/name.h"
#include "raw.h"
#include "recorded_tests.h"
#include "recording.h"
#include "rig.h"
#include "rpc/publisher.h"
#include "rpc/resolve.h"
#include "security/identity.h"
#include "services/mounttable.h"
#include "services/sample.h"
#include "tap.h"
#include "vom/wiretypes.h"

#define RECORDED_TIME (INT64_C(1795354219) * CLOCK_S) /* of cache-mostrecent */

enum server_kind {
    SERVER_SAMPLE,
    SERVER_OBJECT,
    SERVER_SOLO,
    SERVER_NOTHING,
    SERVER_NAMES,
    SERVERS
};
enum client_kind { CLIENT_SELF, CLIENT_OTHER, CLIENT_FRIEND, CLIENT_LIMITED, CLIENTS };

static struct {
    bool up;
    struct rig_ids ids;
    struct rig rig;
    struct object object;
    struct sample *sample;
    struct mounttable *names;
    struct rpc_server *server[SERVERS];
    char endpoint[SERVERS][256];
    struct raw_peer peer[CLIENTS];
    struct raw_circuit *circuit[CLIENTS][SERVERS];
    unsigned same_bytes, same_content, adapted, others, skipped;
} t;

static int64_t recorded_time(void)
{
    return RECORDED_TIME;
}

/* Time stands still, so that nothing is taken off a TTL. */
static int64_t no_time(void *arg)
{
    return 0;
}

static void server_begin(void)
{
    struct sample_opts sample = {.wall = recorded_time};
    struct mounttable_opts names = {.now = no_time};
    struct rig_opts opts = {0};

    rig_ids_init(&t.ids);
    opts.identity = t.ids.server;
    opts.trust = t.ids.trust;
    rig_init(&t.rig, &opts);
    object_init(&t.object, t.ids.trust);
    t.sample = sample_new(&sample);
    t.server[SERVER_SAMPLE] =
        rig_serve(&t.rig, sample_dispatcher(t.sample), t.endpoint[SERVER_SAMPLE]);
    t.server[SERVER_OBJECT] = rig_serve(&t.rig, &t.object.dispatcher, t.endpoint[SERVER_OBJECT]);
    t.server[SERVER_SOLO] = rig_serve(&t.rig, &t.object.solo, t.endpoint[SERVER_SOLO]);
    t.server[SERVER_NOTHING] = rig_serve(&t.rig, &t.object.nothing, t.endpoint[SERVER_NOTHING]);
    names.worker = t.rig.w;
    TAP_IS(mounttable_new(&names, &t.names, NULL) == 0);
    t.server[SERVER_NAMES] =
        rig_serve(&t.rig, mounttable_dispatcher(t.names), t.endpoint[SERVER_NAMES]);
    raw_init(&t.peer[CLIENT_SELF], t.rig.w, t.ids.server);
    raw_init(&t.peer[CLIENT_OTHER], t.rig.w, t.ids.client);
    raw_init(&t.peer[CLIENT_FRIEND], t.rig.w, t.ids.friend);
    raw_init(&t.peer[CLIENT_LIMITED], t.rig.w, t.ids.limited);
    t.up = true;
}

void server_end(void)
{
    if (!t.up)
        return;
    t.up = false;
    tap_note("served: %u with the same bytes, %u with the same content, %u adapted, %u skipped",
             t.same_bytes, t.same_content, t.adapted, t.skipped);
    tap_note("served on the way to others: %u with the same bytes", t.others);
    TAP_OK(true, "counted");
    for (size_t i = 0; i < CLIENTS; i++)
        raw_done(&t.peer[i]);
    for (size_t i = 0; i < SERVERS; i++)
        rig_stop(&t.rig, t.server[i], 0);
    mounttable_free(t.names);
    rig_done(&t.rig, true);
    sample_free(t.sample);
    object_done(&t.object);
    rig_ids_done(&t.ids);
}

/* ---- who calls whom ---- */

enum play { PLAY_ANSWER, PLAY_CANCEL, PLAY_CLOSE };

struct scene {
    const char *id; /* ending in '*': all that begin so */
    enum server_kind server;
    enum client_kind client;
    enum play play;
};

/* The first that fits counts. */
static const struct scene scenes[] = {
    {"signature-mounttable", SERVER_NAMES, CLIENT_OTHER, PLAY_ANSWER},
    {"tags-mount", SERVER_NAMES, CLIENT_OTHER, PLAY_ANSWER},
    {"resolvestep-nonmt", SERVER_SAMPLE, CLIENT_SELF, PLAY_ANSWER},
    {"glob-nonmt", SERVER_SAMPLE, CLIENT_SELF, PLAY_ANSWER},
    {"unresolvestep-mt", SERVER_NAMES, CLIENT_OTHER, PLAY_ANSWER},
    {"cache-*", SERVER_SAMPLE, CLIENT_SELF, PLAY_ANSWER},
    {"error-*", SERVER_SAMPLE, CLIENT_SELF, PLAY_ANSWER},
    {"bad-*", SERVER_SAMPLE, CLIENT_SELF, PLAY_ANSWER},
    {"signature-*", SERVER_SAMPLE, CLIENT_SELF, PLAY_ANSWER},
    {"tags-*", SERVER_SAMPLE, CLIENT_SELF, PLAY_ANSWER},
    {"sample-denied", SERVER_SAMPLE, CLIENT_OTHER, PLAY_ANSWER},
    {"closure", SERVER_OBJECT, CLIENT_OTHER, PLAY_ANSWER},
    {"noerr-result", SERVER_OBJECT, CLIENT_OTHER, PLAY_ANSWER},
    {"add", SERVER_OBJECT, CLIENT_OTHER, PLAY_ANSWER},
    {"deep", SERVER_OBJECT, CLIENT_OTHER, PLAY_ANSWER},
    {"apperror*", SERVER_OBJECT, CLIENT_OTHER, PLAY_ANSWER},
    {"anynil", SERVER_OBJECT, CLIENT_OTHER, PLAY_ANSWER},
    {"timeout-*", SERVER_OBJECT, CLIENT_OTHER, PLAY_ANSWER},
    {"stream-*", SERVER_OBJECT, CLIENT_OTHER, PLAY_ANSWER},
    {"cancel*", SERVER_OBJECT, CLIENT_OTHER, PLAY_CANCEL},
    {"deadline", SERVER_OBJECT, CLIENT_OTHER, PLAY_CLOSE},
    {"deadline-recv", SERVER_OBJECT, CLIENT_OTHER, PLAY_ANSWER},
    {"disp-*", SERVER_OBJECT, CLIENT_OTHER, PLAY_ANSWER},
    {"solo-*", SERVER_SOLO, CLIENT_OTHER, PLAY_ANSWER},
    {"no-dispatcher", SERVER_NOTHING, CLIENT_OTHER, PLAY_ANSWER},
    {"auth-nil-blessed", SERVER_OBJECT, CLIENT_FRIEND, PLAY_ANSWER},
    {"auth-caveat-method", SERVER_OBJECT, CLIENT_LIMITED, PLAY_ANSWER},
    {"auth-*", SERVER_OBJECT, CLIENT_OTHER, PLAY_ANSWER},
    {"blessing*", SERVER_OBJECT, CLIENT_OTHER, PLAY_ANSWER},
    {"discharge*", SERVER_OBJECT, CLIENT_OTHER, PLAY_ANSWER},
    {"retry-next", SERVER_OBJECT, CLIENT_OTHER, PLAY_ANSWER},
    {"nonmt-chain", SERVER_OBJECT, CLIENT_OTHER, PLAY_ANSWER},
    {"proxied-call", SERVER_OBJECT, CLIENT_OTHER, PLAY_ANSWER},
    {"namespace-glob*", SERVER_NAMES, CLIENT_OTHER, PLAY_ANSWER},
    {"resolvestep*", SERVER_NAMES, CLIENT_OTHER, PLAY_ANSWER},
    {"mount*", SERVER_NAMES, CLIENT_OTHER, PLAY_ANSWER},
    {"unmount-*", SERVER_NAMES, CLIENT_OTHER, PLAY_ANSWER},
    {"glob-*", SERVER_NAMES, CLIENT_OTHER, PLAY_ANSWER},
    {"publish-*", SERVER_NAMES, CLIENT_OTHER, PLAY_ANSWER},
    {"stop-unmounts", SERVER_NAMES, CLIENT_OTHER, PLAY_ANSWER},
    {"*", SERVER_SAMPLE, CLIENT_SELF, PLAY_ANSWER},
};

static const struct scene *scene_of(const char *id)
{
    for (const struct scene *s = scenes;; s++) {
        size_t n = strlen(s->id);

        if (s->id[n - 1] == '*' ? strncmp(id, s->id, n - 1) == 0 : strcmp(id, s->id) == 0)
            return s;
    }
}

/* ---- the recorded mount table ---- */

#define RECORDED_CACHE "/@2@tcp@127.0.0.1:35919@749b35364455c2c8399ea11f4c4c4e1c@1@2@@//"
#define RECORDED_SUB   "/@2@tcp@127.0.0.1:45707@eb0f407e46cc7aa3ecf0d48ffe9c7197@1@2@@"

/* What was mounted, in the order in which it was listed. */
static const struct {
    const char *name, *server;
} recorded_names[] = {
    {"sub", RECORDED_SUB},     {"cache", RECORDED_CACHE}, {"test/x", RECORDED_CACHE},
    {"m/one", RECORDED_CACHE}, {"m/one", "/host:1/obj"},  {"m/two/three", "/host:2//"},
};

/* The TTL that a server had left, from what was recorded: anywhere in it. */
static uint32_t ttl_left(struct json_object *o, const char *server)
{
    const char *name;
    uint32_t ttl = 0;

    if (json_object_is_type(o, json_type_array)) {
        for (size_t i = 0; ttl == 0 && i < json_object_array_length(o); i++)
            ttl = ttl_left(json_object_array_get_idx(o, i), server);
    } else if (json_object_is_type(o, json_type_object)) {
        name = vec_str(o, "Server");
        if (name != NULL && strcmp(name, server) == 0)
            return (uint32_t)vec_int(o, "TTL");
        json_object_object_foreach(o, key, member)
        {
            (void)key;
            ttl = ttl != 0 ? ttl : ttl_left(member, server);
        }
    }
    return ttl;
}

static void set_names(struct json_object *recording)
{
    const size_t n = sizeof recorded_names / sizeof recorded_names[0];

    for (size_t i = 0; i < n; i++)
        mounttable_unmount(t.names, span_str(recorded_names[i].name), span_str(""), NULL);
    for (size_t i = 0; i < n; i++) {
        uint32_t ttl =
            ttl_left(vec_get(vec_get(recording, "flow"), "sequence"), recorded_names[i].server);

        TAP_IS(mounttable_mount(t.names, span_str(recorded_names[i].name),
                                span_str(recorded_names[i].server), ttl != 0 ? ttl : 80,
                                NULL) == 0);
    }
}

/* ---- a table as it must have been to answer so ---- */

#define DERIVED_NAMES 32

static struct {
    char name[256];
} derived[DERIVED_NAMES];
static size_t n_derived;

static void derive_mount(struct span name, const struct vom_value *servers)
{
    TAP_IS(n_derived < DERIVED_NAMES && name.len < sizeof derived[0].name);
    snprintf(derived[n_derived].name, sizeof derived[0].name, "%.*s", SPAN_ARG(name));
    /* The last one that is mounted comes first. */
    for (size_t i = vom_value_len(servers); i-- > 0;) {
        struct vom_value server = vom_value_at(servers, i);
        struct vom_value text = vom_value_field(&server, "Server");

        TAP_IS(mounttable_mount(t.names, name, text.s, (uint32_t)vom_value_field(&server, "TTL").u,
                                NULL) == 0);
    }
    n_derived++;
}

/* What a step leads to stands on what comes before the rest of the suffix. */
static void derive_step(struct span suffix, const struct recording_items *answer)
{
    struct span rest = answer->item[2].value.s;

    if (vom_value_len(&answer->item[1].value) == 0)
        return;
    suffix.len -= rest.len;
    if (rest.len > 0)
        suffix.len--; /* the slash between them */
    derive_mount(suffix, &answer->item[1].value);
}

static void derive_listing(struct span suffix, const struct recording_items *answer)
{
    static const struct vom_value nowhere = {.type = &vom_type_mounted_server_list};
    struct buf name = BUF_INIT(1000);

    for (size_t i = 0; i < answer->n; i++) {
        const struct vom_value *v = &answer->item[i].value, *next = v;
        struct vom_value servers, below;
        struct span entry;

        if (answer->item[i].kind != ITEM_VALUE || v->type->kind != VOM_KIND_STRUCT)
            continue;
        servers = vom_value_field(v, "Servers");
        entry = vom_value_field(v, "Name").s;
        buf_reset(&name);
        naming_name_join(&name, suffix, entry);
        if (vom_value_len(&servers) == 0) {
            /* A name on the way to others: the next entry, or one that the pattern left out. */
            if (i + 2 < answer->n && answer->item[i + 2].value.type->kind == VOM_KIND_STRUCT)
                next = &answer->item[i + 2].value;
            below = vom_value_field(next, "Name");
            if (next != v && below.s.len > entry.len &&
                (entry.len == 0 ||
                 (below.s.p[entry.len] == '/' && memcmp(below.s.p, entry.p, entry.len) == 0)))
                continue;
            buf_append_str(&name, "/below");
            TAP_IS(mounttable_mount(t.names, buf_span(&name), span_str(RECORDED_CACHE), 80, NULL) ==
                   0);
            servers = nowhere;
        }
        derive_mount(buf_span(&name), &servers);
    }
    buf_done(&name);
}

static void derive_names(struct json_object *flow)
{
    struct buf c2s = recording_bytes(flow, true), s2c = recording_bytes(flow, false);
    struct recording_items said, answer;
    struct span suffix;

    for (size_t i = 0; i < sizeof recorded_names / sizeof recorded_names[0]; i++)
        mounttable_unmount(t.names, span_str(recorded_names[i].name), span_str(""), NULL);
    recording_read(&said, buf_span(&c2s), true);
    recording_read(&answer, buf_span(&s2c), false);
    suffix = naming_name_strip(said.item[0].request.suffix);
    if (span_equal_str(said.item[0].request.method, "ResolveStep"))
        derive_step(suffix, &answer);
    else if (span_equal_str(said.item[0].request.method, "Glob"))
        derive_listing(suffix, &answer);
    recording_items_done(&said);
    recording_items_done(&answer);
    buf_done(&c2s);
    buf_done(&s2c);
}

static void forget_names(void)
{
    while (n_derived > 0)
        mounttable_unmount(t.names, span_str(derived[--n_derived].name), span_str(""), NULL);
}

/* ---- playing ---- */

static bool is_settled(void *arg)
{
    return rpc_publisher_settled(arg);
}

static bool has_ended(void *arg)
{
    struct raw_flow *f = arg;

    return f->eof;
}

struct awaited {
    const unsigned *counter;
    unsigned value;
};

static bool is_there(void *arg)
{
    struct awaited *a = arg;

    return *a->counter >= a->value;
}

/* The bytes that the server answered with. */
static struct buf play(const struct scene *s, struct span c2s)
{
    struct raw_circuit **c = &t.circuit[s->client][s->server];
    struct awaited waiting = {&t.object.n_waiting, 1}, gone = {&t.object.gone, t.object.gone + 1};
    struct buf answer = BUF_INIT(1 << 20);
    struct raw_flow *f;

    if (*c == NULL)
        *c = raw_connect(&t.peer[s->client], t.endpoint[s->server] + 1);
    TAP_OK(*c != NULL, "no circuit");
    if (*c == NULL)
        return answer;
    f = raw_open(*c);
    raw_write(f, c2s);
    if (s->play == PLAY_ANSWER) {
        TAP_OK(raw_until(t.rig.w, has_ended, f, 5000), "no answer");
    } else {
        TAP_OK(raw_until(t.rig.w, is_there, &waiting, 5000), "the method is not called");
        TAP_OK(f->in.len == 0 && !f->eof, "an answer of %zu bytes", f->in.len);
        if (s->play == PLAY_CANCEL)
            raw_cancel(f);
        else
            raw_close(f);
        TAP_OK(raw_until(t.rig.w, is_there, &gone, 5000),
               "the method does not know that its caller is gone");
    }
    buf_append_span(&answer, buf_span(&f->in));
    raw_flow_free(f);
    return answer;
}

/* Maps are written in random order, so their bytes, and the order of definitions, are not fixed. */
static bool order_varies(const char *id)
{
    return strcmp(id, "cache-asmap") == 0 || strcmp(id, "cache-kvp") == 0 ||
           strncmp(id, "signature-", 10) == 0;
}

static void compare(const char *id, struct span got, struct span want, unsigned *count)
{
    struct recording_items a, b;

    if (span_equal(got, want)) {
        TAP_OK(true, "same bytes");
        ++*(count != NULL ? count : &t.same_bytes);
        return;
    }
    recording_read(&b, want, false);
    TAP_OK(recording_read(&a, got, false) && recording_same(&a, &b), "another answer");
    TAP_OK(order_varies(id), "the same content in other bytes (%zu, not %zu)", got.len, want.len);
    t.same_content++;
    recording_items_done(&a);
    recording_items_done(&b);
}

/* The recorded request with a blessing that is bound to our key. */
static struct buf bless_request(const struct recording_items *items)
{
    struct security_identity *blessing = rig_blessing(&t.ids);
    struct arena a = ARENA_INIT(1 << 20);
    struct buf out = BUF_INIT(1 << 20);
    struct vom_value v;
    struct vom_enc enc;

    vom_enc_init(&enc);
    vom_enc_prime(&enc, &out, &vom_preset_request);
    TAP_IS(rpc_request_put(&enc, &out, &items->item[0].request) == 0);
    TAP_IS(security_identity_value(&a, blessing, &v) == 0);
    TAP_IS(vom_enc_value(&enc, &out, &v, NULL) == 0);
    TAP_IS(vom_enc_value(&enc, &out, &items->item[2].value, NULL) == 0);
    vom_enc_done(&enc);
    arena_done(&a);
    security_identity_unref(blessing);
    return out;
}

/* A flow that a server of names, or one that is none, was asked on the way. */
static void play_other(struct json_object *flow)
{
    static const struct scene names = {"", SERVER_NAMES, CLIENT_OTHER, PLAY_ANSWER},
                              none = {"", SERVER_SAMPLE, CLIENT_SELF, PLAY_ANSWER};
    struct buf c2s = recording_bytes(flow, true), s2c = recording_bytes(flow, false), answer;
    struct recording_items items;
    bool is_table;

    recording_read(&items, buf_span(&s2c), false);
    is_table = items.item[0].response.error.code == 0;
    recording_items_done(&items);
    if (is_table)
        derive_names(flow);
    answer = play(is_table ? &names : &none, buf_span(&c2s));
    TAP_OK(span_equal(buf_span(&answer), buf_span(&s2c)), "%s at \"%s\": another answer",
           vec_str(flow, "method"), vec_str(flow, "suffix"));
    t.others++;
    forget_names();
    buf_done(&answer);
    buf_done(&s2c);
    buf_done(&c2s);
}

static void play_others(struct json_object *recording)
{
    struct json_object *flow, *own = vec_get(recording, "flow");

    for (size_t i = own != NULL ? 1 : 0; (flow = recording_flow(recording, i)) != NULL; i++) {
        if (strcmp(vec_str(flow, "method"), "Discharge") != 0)
            play_other(flow);
    }
}

/* A server that is published tells the names of its entry: as recorded, at our mount table. */
static void play_unresolve(struct json_object *flow)
{
    struct rpc_server *server = t.server[SERVER_SAMPLE];
    const char *roots[] = {t.endpoint[SERVER_NAMES]};
    struct buf c2s = recording_bytes(flow, true), answer;
    struct recording_items items;
    struct vom_value name;
    char want[512];

    TAP_IS(rpc_client_set_roots(rpc_runtime_client(t.rig.rt), roots, 1, NULL) == 0);
    TAP_IS(rpc_server_publish(server, span_str("cache"), NULL) == 0);
    TAP_IS(raw_until(t.rig.w, is_settled, rpc_server_publisher(server), 20000));
    answer = play(scene_of("cache-"), buf_span(&c2s));
    TAP_IS(recording_read(&items, buf_span(&answer), false) && items.n == 3);
    TAP_IS(vom_value_len(&items.item[1].value) == 1);
    name = vom_value_at(&items.item[1].value, 0);
    snprintf(want, sizeof want, "%s/cache/a/b", t.endpoint[SERVER_NAMES]);
    TAP_OK(span_equal_str(name.s, want), "\"%.*s\"", SPAN_ARG(name.s));
    rpc_server_unpublish(server, span_str("cache"));
    rpc_client_set_roots(rpc_runtime_client(t.rig.rt), NULL, 0, NULL);
    t.adapted++;
    recording_items_done(&items);
    buf_done(&answer);
    buf_done(&c2s);
}

void server_case(void)
{
    const char *id = tap_case_name();
    struct json_object *flow = recording_flow(recording_named(id), 0);
    const struct scene *s = scene_of(id);
    struct buf c2s, s2c, answer;

    if (!t.up)
        server_begin();
    play_others(recording_named(id));
    if (flow == NULL) {
        t.skipped++;
        tap_skip("no flow was opened");
        return;
    }
    if (strcmp(id, "unresolvestep-cache") == 0) {
        play_unresolve(flow);
        return;
    }
    c2s = recording_bytes(flow, true);
    s2c = recording_bytes(flow, false);
    if (strcmp(id, "blessing") == 0) {
        struct recording_items items;
        struct buf adapted;

        recording_read(&items, buf_span(&c2s), true);
        adapted = bless_request(&items);
        recording_items_done(&items);
        buf_done(&c2s);
        c2s = adapted;
    }
    if (strcmp(id, "namespace-glob") == 0)
        derive_names(flow);
    else if (s->server == SERVER_NAMES)
        set_names(recording_named(id));
    answer = play(s, buf_span(&c2s));
    compare(id, buf_span(&answer), buf_span(&s2c), strcmp(id, "blessing") == 0 ? &t.adapted : NULL);
    forget_names();
    buf_done(&answer);
    buf_done(&s2c);
    buf_done(&c2s);
}
