/* What the recorded clients wrote, played to our server: it answers as the recorded one did. */
#include "config.h"

#include "base/clock.h"
#include "object.h"
#include "raw.h"
#include "recorded_tests.h"
#include "recording.h"
#include "rig.h"
#include "security/identity.h"
#include "services/sample.h"
#include "tap.h"
#include "vom/wiretypes.h"

#define RECORDED_TIME (INT64_C(1795354219) * CLOCK_S) /* of cache-mostrecent */

enum server_kind { SERVER_SAMPLE, SERVER_OBJECT, SERVER_SOLO, SERVER_NOTHING, SERVERS };
enum client_kind { CLIENT_SELF, CLIENT_OTHER, CLIENT_FRIEND, CLIENT_LIMITED, CLIENTS };

static struct {
    bool up;
    struct rig_ids ids;
    struct rig rig;
    struct object object;
    struct sample *sample;
    struct rpc_server *server[SERVERS];
    char endpoint[SERVERS][256];
    struct raw_peer peer[CLIENTS];
    struct raw_circuit *circuit[CLIENTS][SERVERS];
    unsigned same_bytes, same_content, adapted, skipped;
} t;

static int64_t recorded_time(void)
{
    return RECORDED_TIME;
}

static void server_begin(void)
{
    struct sample_opts sample = {.wall = recorded_time};
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
    TAP_OK(true, "counted");
    for (size_t i = 0; i < CLIENTS; i++)
        raw_done(&t.peer[i]);
    for (size_t i = 0; i < SERVERS; i++)
        rig_stop(&t.rig, t.server[i], 0);
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
    const char *skip;
};

/* The first that fits counts. */
static const struct scene scenes[] = {
    {"unresolvestep-cache", .skip = "comes with mount tables"},
    {"signature-mounttable", .skip = "comes with mount tables"},
    {"tags-mount", .skip = "comes with mount tables"},
    {"resolvestep-nonmt", SERVER_SAMPLE, CLIENT_SELF, PLAY_ANSWER, NULL},
    {"glob-nonmt", SERVER_SAMPLE, CLIENT_SELF, PLAY_ANSWER, NULL},
    {"unresolvestep-mt", SERVER_SAMPLE, CLIENT_SELF, PLAY_ANSWER,
     NULL}, /* nothing is published there either */
    {"cache-*", SERVER_SAMPLE, CLIENT_SELF, PLAY_ANSWER, NULL},
    {"error-*", SERVER_SAMPLE, CLIENT_SELF, PLAY_ANSWER, NULL},
    {"bad-*", SERVER_SAMPLE, CLIENT_SELF, PLAY_ANSWER, NULL},
    {"signature-*", SERVER_SAMPLE, CLIENT_SELF, PLAY_ANSWER, NULL},
    {"tags-*", SERVER_SAMPLE, CLIENT_SELF, PLAY_ANSWER, NULL},
    {"sample-denied", SERVER_SAMPLE, CLIENT_OTHER, PLAY_ANSWER, NULL},
    {"closure", SERVER_OBJECT, CLIENT_OTHER, PLAY_ANSWER, NULL},
    {"noerr-result", SERVER_OBJECT, CLIENT_OTHER, PLAY_ANSWER, NULL},
    {"add", SERVER_OBJECT, CLIENT_OTHER, PLAY_ANSWER, NULL},
    {"deep", SERVER_OBJECT, CLIENT_OTHER, PLAY_ANSWER, NULL},
    {"apperror*", SERVER_OBJECT, CLIENT_OTHER, PLAY_ANSWER, NULL},
    {"anynil", SERVER_OBJECT, CLIENT_OTHER, PLAY_ANSWER, NULL},
    {"timeout-*", SERVER_OBJECT, CLIENT_OTHER, PLAY_ANSWER, NULL},
    {"stream-*", SERVER_OBJECT, CLIENT_OTHER, PLAY_ANSWER, NULL},
    {"cancel*", SERVER_OBJECT, CLIENT_OTHER, PLAY_CANCEL, NULL},
    {"deadline", SERVER_OBJECT, CLIENT_OTHER, PLAY_CLOSE, NULL},
    {"deadline-recv", SERVER_OBJECT, CLIENT_OTHER, PLAY_ANSWER, NULL},
    {"disp-*", SERVER_OBJECT, CLIENT_OTHER, PLAY_ANSWER, NULL},
    {"solo-*", SERVER_SOLO, CLIENT_OTHER, PLAY_ANSWER, NULL},
    {"no-dispatcher", SERVER_NOTHING, CLIENT_OTHER, PLAY_ANSWER, NULL},
    {"auth-nil-blessed", SERVER_OBJECT, CLIENT_FRIEND, PLAY_ANSWER, NULL},
    {"auth-caveat-method", SERVER_OBJECT, CLIENT_LIMITED, PLAY_ANSWER, NULL},
    {"auth-*", SERVER_OBJECT, CLIENT_OTHER, PLAY_ANSWER, NULL},
    {"blessing*", SERVER_OBJECT, CLIENT_OTHER, PLAY_ANSWER, NULL},
    {"discharge*", SERVER_OBJECT, CLIENT_OTHER, PLAY_ANSWER, NULL},
    {"retry-next", SERVER_OBJECT, CLIENT_OTHER, PLAY_ANSWER, NULL},
    {"nonmt-chain", SERVER_OBJECT, CLIENT_OTHER, PLAY_ANSWER, NULL},
    {"proxied-call", SERVER_OBJECT, CLIENT_OTHER, PLAY_ANSWER, NULL},
    {"*", .skip = "comes with mount tables"},
};

static const struct scene *scene_of(const char *id)
{
    for (const struct scene *s = scenes;; s++) {
        size_t n = strlen(s->id);

        if (s->id[n - 1] == '*' ? strncmp(id, s->id, n - 1) == 0 : strcmp(id, s->id) == 0)
            return s;
    }
}

/* ---- playing ---- */

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

void server_case(void)
{
    const char *id = tap_case_name();
    struct json_object *flow = recording_flow(recording_named(id), 0);
    const struct scene *s = scene_of(id);
    struct buf c2s, s2c, answer;

    if (!t.up)
        server_begin();
    if (flow == NULL || s->skip != NULL) {
        t.skipped++;
        tap_skip("%s", flow == NULL ? "no flow was opened" : s->skip);
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
    answer = play(s, buf_span(&c2s));
    compare(id, buf_span(&answer), buf_span(&s2c), strcmp(id, "blessing") == 0 ? &t.adapted : NULL);
    buf_done(&answer);
    buf_done(&s2c);
    buf_done(&c2s);
}
