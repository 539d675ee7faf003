/*
 * The recorded conversations: every frame that a client sent goes through the decoder, with the
 * tables of the message types, and every error text of the decoder that came back is compared;
 * every frame that the proxy sent is written again from what it says.
 */
#include "config.h"

#include "json/table.h"
#include "json/writer.h"
#include "suites.h"
#include "vectors.h"

struct envelope {
    int64_t id;
    struct span data;
    int64_t type;
};

struct request {
    struct span name, method;
    struct json_spans args;
    int32_t n_out;
    int streaming;
};

struct method {
    struct json_spans args;
    int64_t n_out;
    int streaming;
};

struct serve {
    struct span name;
    uint64_t server;
    struct json_map service;
};

struct verror {
    struct span id, msg;
};

struct reply {
    struct json_spans results;
    struct verror *err;
};

struct account {
    struct span account, identity, origin;
};

#define AT(type, member) offsetof(struct type, member)

static const struct json_field envelope_fields[] = {
    {"id", JSON_FIELD_INT64, AT(envelope, id), "int64", NULL},
    {"data", JSON_FIELD_STRING, AT(envelope, data), "string", NULL},
    {"type", JSON_FIELD_INT64, AT(envelope, type), "wspr.websocketMessageType", NULL},
};
static const struct json_field request_fields[] = {
    {"name", JSON_FIELD_STRING, AT(request, name), "string", NULL},
    {"method", JSON_FIELD_STRING, AT(request, method), "string", NULL},
    {"inArgs", JSON_FIELD_RAWS, AT(request, args), "[]json.RawMessage", NULL},
    {"numOutArgs", JSON_FIELD_INT32, AT(request, n_out), "int32", NULL},
    {"isStreaming", JSON_FIELD_BOOL, AT(request, streaming), "bool", NULL},
};
static const struct json_field method_fields[] = {
    {"inArgs", JSON_FIELD_STRINGS, AT(method, args), "[]string", NULL},
    {"numOutArgs", JSON_FIELD_INT64, AT(method, n_out), "int", NULL},
    {"isStreaming", JSON_FIELD_BOOL, AT(method, streaming), "bool", NULL},
};
static const struct json_table method_table =
    JSON_TABLE(struct method, "signature.JSONMethodSignature", method_fields);
static const struct json_field serve_fields[] = {
    {"name", JSON_FIELD_STRING, AT(serve, name), "string", NULL},
    {"serverId", JSON_FIELD_UINT64, AT(serve, server), "uint64", NULL},
    {"service", JSON_FIELD_MAP, AT(serve, service), "signature.JSONServiceSignature",
     &method_table},
};
static const struct json_field verror_fields[] = {
    {"iD", JSON_FIELD_STRING, AT(verror, id), "verror.ID", NULL},
    {"msg", JSON_FIELD_STRING, AT(verror, msg), "string", NULL},
};
static const struct json_table verror_table =
    JSON_TABLE(struct verror, "verror.Standard", verror_fields);
static const struct json_field reply_fields[] = {
    {"results", JSON_FIELD_ANYS, AT(reply, results), "[]interface {}", NULL},
    {"err", JSON_FIELD_OPTIONAL, AT(reply, err), "verror.Standard", &verror_table},
};
static const struct json_field signature_fields[] = {
    {"name", JSON_FIELD_STRING, AT(request, name), "string", NULL},
};
static const struct json_field account_fields[] = {
    {"account", JSON_FIELD_STRING, AT(account, account), "string", NULL},
    {"identity", JSON_FIELD_STRING, AT(account, identity), "string", NULL},
    {"origin", JSON_FIELD_STRING, AT(account, origin), "string", NULL},
};

static const struct json_table envelope_table =
    JSON_TABLE(struct envelope, "wspr.websocketMessage", envelope_fields);
/* By message type; type 3 has data of any kind, 4 none, 6 a number. */
static const struct json_table payload_tables[] = {
    [0] = JSON_TABLE(struct request, "wspr.veyronTempRPC", request_fields),
    [1] = JSON_TABLE(struct serve, "wspr.serveRequest", serve_fields),
    [2] = JSON_TABLE(struct reply, "server.serverRPCReply", reply_fields),
    [5] = JSON_TABLE(struct request, "wspr.signatureRequest", signature_fields),
    [7] = JSON_TABLE(struct account, "wspr.assocIdentityData", account_fields),
};

/* What of the payload could not be decoded, "" if nothing. */
static const char *payload_error(const struct envelope *m, struct arena *a, struct err *e)
{
    static const struct json_field number = {.kind = JSON_FIELD_UINT64, .type_name = "uint64"};
    union {
        struct request request;
        struct serve serve;
        struct reply reply;
        struct account account;
        uint64_t number;
    } target;
    int r = 0;

    memset(&target, 0, sizeof target);
    if (m->type == 6)
        r = json_decode_value(m->data, &number, &target, a, 0, 0, e);
    else if (m->type >= 0 && m->type <= 7 && payload_tables[m->type].fields != NULL)
        r = json_decode(m->data, &payload_tables[m->type], &target, a, 0, 0, e);
    return r < 0 ? err_text(e) : "";
}

/* The decoder's words in a recorded reply, NULL if it says nothing of them. */
static const char *recorded_error(const char *text)
{
    static const char *const leads[] = {"can't unmarshall JSONMessage: ",
                                        "can't unmarshal JSONMessage: "};

    for (size_t i = 0; text != NULL && i < sizeof leads / sizeof leads[0]; i++) {
        const char *at = strstr(text, leads[i]);

        if (at != NULL)
            return at + strlen(leads[i]);
    }
    return NULL;
}

/* "message.msg" of an enveloped error reply to this id that stands at most so many steps ahead. */
static const char *reply_to(struct json_object *steps, size_t after, int64_t id,
                            struct json_object **hold)
{
    for (size_t i = after; i < json_object_array_length(steps); i++) {
        struct json_object *step = json_object_array_get_idx(steps, i);
        const char *recv = vec_str(step, "recv");
        struct json_object *o = recv != NULL ? json_tokener_parse(recv) : NULL;

        if (o != NULL && vec_str(o, "data") != NULL && vec_int(o, "id") == id) {
            *hold = json_tokener_parse(vec_str(o, "data"));
            json_object_put(o);
            return vec_str(vec_get(*hold, "message"), "msg");
        }
        json_object_put(o);
    }
    return NULL;
}

/* Whether a later step of the conversation tells the error of a reply to an invocation. */
static bool reply_error_is_recorded(struct json_object *steps, size_t after, const char *error)
{
    struct buf told = BUF_INIT(1000);
    bool found = false;

    buf_printf(&told, "could not unmarshal the result from the server: %s\\\"", error);
    for (size_t i = after; i < json_object_array_length(steps); i++) {
        const char *recv = vec_str(json_object_array_get_idx(steps, i), "recv");

        found = found || (recv != NULL && strstr(recv, buf_cstr(&told)) != NULL);
    }
    buf_done(&told);
    return found;
}

struct counts {
    unsigned frames, payloads, frame_errors, payload_errors;
};

static void check_send(const char *name, struct json_object *steps, size_t i, struct span text,
                       bool informative, struct counts *n)
{
    struct arena a = ARENA_INIT(1 << 20);
    struct envelope m = {.id = 0};
    struct json_object *hold = NULL;
    struct err e = ERR_INIT;
    const char *got, *want;
    int r = json_decode(text, &envelope_table, &m, &a, 0, 0, &e);

    n->frames++;
    if (r < 0) {
        want = recorded_error(vec_str(json_object_array_get_idx(steps, i + 1), "recv"));
        TAP_OK(want != NULL && strcmp(want, err_text(&e)) == 0, "%s: %s", name, err_text(&e));
        n->frame_errors++;
    } else {
        got = payload_error(&m, &a, &e);
        want = recorded_error(reply_to(steps, i + 1, m.id, &hold));
        /* Errors of replies to an invocation show on another connection, if at all. */
        if (m.type == 2 && got[0] != '\0' &&
            (informative || reply_error_is_recorded(steps, i, got)))
            want = got;
        TAP_OK(want != NULL ? strcmp(want, got) == 0 : got[0] == '\0', "%s: got \"%s\", not \"%s\"",
               name, got, want != NULL ? want : "");
        n->payloads++;
        n->payload_errors += got[0] != '\0';
    }
    json_object_put(hold);
    err_done(&e);
    arena_done(&a);
}

/* Text of a step that sends; *ret_hold keeps it. */
static bool sent_text(struct json_object *step, struct buf *text)
{
    struct json_object *pieces = vec_get(step, "send_fragments");

    buf_reset(text);
    if (vec_str(step, "send") != NULL)
        buf_append_str(text, vec_str(step, "send"));
    else if (vec_str(step, "send_binary") != NULL)
        buf_append_str(text, vec_str(step, "send_binary"));
    else if (pieces == NULL)
        return false;
    for (size_t i = 0; pieces != NULL && i < json_object_array_length(pieces); i++)
        buf_append_str(text, json_object_get_string(json_object_array_get_idx(pieces, i)));
    return true;
}

static void client_frames_decode_as_recorded(void)
{
    struct json_object *file = vectors_load("websocket.json");
    struct json_object *scenarios = vec_get(file, "scenarios");
    struct buf text = BUF_INIT(1 << 20);
    struct counts n = {0, 0, 0, 0};

    for (size_t i = 0; i < json_object_array_length(scenarios); i++) {
        struct json_object *s = json_object_array_get_idx(scenarios, i);
        struct json_object *steps = vec_get(s, "steps");
        bool informative = strcmp(vec_str(s, "conformance"), "informative") == 0;

        for (size_t j = 0; j < json_object_array_length(steps); j++) {
            if (sent_text(json_object_array_get_idx(steps, j), &text))
                check_send(vec_str(s, "name"), steps, j, buf_span(&text), informative, &n);
        }
    }
    tap_note(
        "websocket.json: %u client frames, %u of them refused; %u payloads, %u of them refused",
        n.frames, n.frame_errors, n.payloads, n.payload_errors);
    TAP_IS(n.frame_errors == 28 && n.payload_errors > 30);
    buf_done(&text);
    json_object_put(file);
}

/* Writes the value again that the reader is before; a text in "data" is taken apart as well. */
static void rewrite(struct json_reader *r, struct json_writer *w, struct arena *a, int texts)
{
    struct span s;
    bool b;

    switch (json_reader_peek(r)) {
    case JSON_OBJECT:
        json_reader_enter_object(r);
        json_write_object(w);
        while (json_reader_member(r, a, &s) > 0) {
            json_write_name(w, s);
            rewrite(r, w, a, span_equal_str(s, "data") ? texts : 0);
        }
        json_write_object_end(w);
        break;
    case JSON_ARRAY:
        json_reader_enter_array(r);
        json_write_array(w);
        while (json_reader_element(r) > 0)
            rewrite(r, w, a, 0);
        json_write_array_end(w);
        break;
    case JSON_STRING:
        TAP_IS(json_reader_string(r, a, &s) == 0);
        if (texts > 0) {
            size_t begin = json_write_text_begin(w);
            struct json_reader inner;
            struct err e = ERR_INIT;

            if (json_reader_init(&inner, s, 0, JSON_STRICT, &e) == 0)
                rewrite(&inner, w, a, 0);
            else
                TAP_OK(false, "%.*s: %s", SPAN_ARG(s), err_text(&e));
            err_done(&e);
            json_write_text_end(w, begin);
        } else {
            json_write_string(w, s);
        }
        break;
    case JSON_BOOL:
        json_reader_bool(r, &b);
        json_write_bool(w, b);
        break;
    case JSON_NUMBER: {
        double v;

        TAP_IS(json_reader_double(r, &v, &s) == 0);
        if (memchr(s.p, '.', s.len) != NULL || memchr(s.p, 'e', s.len) != NULL)
            json_write_double(w, v);
        else
            json_write_raw(w, s);
        break;
    }
    case JSON_NULL:
        json_reader_null(r);
        json_write_null(w);
        break;
    }
}

/* Volatile numbers are recorded as a placeholder without quotes. */
static void fill_in(struct buf *out, const char *text)
{
    static const char any[] = "${ANY}";
    const char *at;

    for (; (at = strstr(text, any)) != NULL; text = at + strlen(any)) {
        buf_append(out, text, (size_t)(at - text));
        buf_append_str(out, "7");
    }
    buf_append_str(out, text);
}

static void check_recv(const char *name, const char *recv, unsigned *frames)
{
    struct buf filled = BUF_INIT(1 << 20);
    struct arena a = ARENA_INIT(1 << 20);
    struct buf out = BUF_INIT(1 << 20);
    struct json_writer w;
    struct json_reader r;

    fill_in(&filled, recv);
    json_writer_init(&w, &out);
    if (recv[0] == '{' && json_reader_init(&r, buf_span(&filled), 0, JSON_STRICT, NULL) == 0) {
        rewrite(&r, &w, &a, 1);
        TAP_OK(span_equal(buf_span(&out), buf_span(&filled)), "%s: %s is written %.*s", name,
               buf_cstr(&filled), SPAN_ARG(buf_span(&out)));
        ++*frames;
    }
    buf_done(&filled);
    buf_done(&out);
    arena_done(&a);
}

static void proxy_frames_are_written_as_recorded(void)
{
    struct json_object *file = vectors_load("websocket.json");
    struct json_object *scenarios = vec_get(file, "scenarios");
    unsigned frames = 0, other = 0, faults = 0;

    for (size_t i = 0; i < json_object_array_length(scenarios); i++) {
        struct json_object *s = json_object_array_get_idx(scenarios, i);
        struct json_object *steps = vec_get(s, "steps");

        for (size_t j = 0; j < json_object_array_length(steps); j++) {
            const char *recv = vec_str(json_object_array_get_idx(steps, j), "recv");
            unsigned before = frames;

            if (recv == NULL)
                continue;
            /* Recorded faults: data that is not JSON. */
            if (strstr(recv, "\\\\x01") != NULL) {
                faults++;
                continue;
            }
            check_recv(vec_str(s, "name"), recv, &frames);
            other += frames == before;
        }
    }
    tap_note("websocket.json: %u proxy frames written again, %u raw texts, %u faults left out",
             frames, other, faults);
    TAP_IS(frames > 600 && other == 28 && faults == 1);
    json_object_put(file);
}

const struct tap_case json_vectors_cases[JSON_VECTORS_CASES] = {
    {"client frames decode as recorded", client_frames_decode_as_recorded},
    {"proxy frames are written as recorded", proxy_frames_are_written_as_recorded},
};
