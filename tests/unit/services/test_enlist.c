/* Request and Response of registrations, against what was recorded. */
#include "config.h"

#include "relay_tests.h"
#include "rpc/enlist.h"
#include "vectors.h"
#include "wspr/error.h"

/* The plaintext of flow 14 of a connection, in one direction. */
static struct buf plaintext(struct json_object *session, const char *conn, const char *dir)
{
    struct json_object *msgs = vec_get(session, "messages");
    struct buf all = BUF_INIT(65536);

    for (size_t i = 0; i < json_object_array_length(msgs); i++) {
        struct json_object *m = json_object_array_get_idx(msgs, i), *d = vec_get(m, "decoded");
        struct buf b;

        if (d == NULL || strcmp(vec_str(m, "conn"), conn) != 0 ||
            strcmp(vec_str(m, "dir"), dir) != 0 || vec_int(d, "flow") != 14 ||
            vec_int(d, "vci") != 10 || vec_str(d, "plaintext") == NULL)
            continue;
        b = vec_hex(vec_str(d, "plaintext"));
        buf_append_span(&all, buf_span(&b));
        buf_done(&b);
    }
    return all;
}

static struct json_object *session(struct json_object *all)
{
    struct json_object *list = vec_get(all, "sessions");

    for (size_t i = 0; i < json_object_array_length(list); i++) {
        struct json_object *s = json_object_array_get_idx(list, i);

        if (strcmp(vec_str(s, "name"), "proxy_v2") == 0)
            return s;
    }
    TAP_IS(!"proxy_v2 is there");
    exit(99);
}

static void encoded(void)
{
    struct json_object *all = vectors_load("handshake_v2.json"), *s = session(all);
    struct buf request = plaintext(s, "server-proxy", "c2s");
    struct buf good = plaintext(s, "server-proxy", "s2c");
    struct buf bad = plaintext(s, "server-proxy#2", "s2c");
    struct buf out = BUF_INIT(65536);
    struct err e = ERR_INIT;

    TAP_IS(rpc_enlist_put_request(&out) == 0 && request.len == 58);
    TAP_IS(span_equal(buf_span(&out), buf_span(&request)));
    buf_reset(&out);
    TAP_IS(rpc_enlist_put_response(&out, span_str(vec_str(vec_get(s, "notes"), "result_ep")),
                                   NULL) == 0);
    TAP_OK(good.len == 154 && span_equal(buf_span(&out), buf_span(&good)), "%zu bytes, not %zu",
           out.len, good.len);
    buf_reset(&out);
    err_set(&e, WSPR_EUNKNOWN,
            "server with routing id 00000000000000005555555555555555 is already being proxied");
    TAP_IS(rpc_enlist_put_response(&out, span_of(NULL, 0), &e) == 0);
    TAP_OK(bad.len == 250 && span_equal(buf_span(&out), buf_span(&bad)), "%zu bytes, not %zu",
           out.len, bad.len);
    tap_note("handshake_v2.json: proxy_v2, 1 request and 2 responses, byte for byte");
    err_done(&e);
    buf_done(&out);
    buf_done(&request);
    buf_done(&good);
    buf_done(&bad);
    json_object_put(all);
}

/* 1, or 0 if it is not complete; what it is, is read as a response or as a request. */
static int decode(struct span in, bool response, struct span *ret_ep, struct err *refusal)
{
    static struct vom_dec dec;
    static bool used;
    struct vom_msg msg;
    ssize_t n;
    int r;

    if (used)
        vom_dec_done(&dec);
    used = true;
    vom_dec_init(&dec, NULL);
    n = vom_dec_next(&dec, in.p, in.len, &msg, NULL);
    if (n <= 0)
        return (int)n;
    r = response ? rpc_enlist_get_response(&dec, &msg, ret_ep, refusal, NULL)
                 : rpc_enlist_get_request(&dec, &msg, NULL);
    return r < 0 ? r : 1 + r;
}

static void decoded(void)
{
    struct json_object *all = vectors_load("handshake_v2.json"), *s = session(all);
    struct buf in[] = {plaintext(s, "server-proxy", "c2s"), plaintext(s, "server-proxy", "s2c"),
                       plaintext(s, "server-proxy#2", "s2c")};

    for (unsigned i = 0; i < 3; i++) {
        struct err refusal = ERR_INIT;
        struct span ep = {NULL, 0};

        for (size_t cut = 0; cut < in[i].len; cut++)
            TAP_OK(decode(span_of(buf_data(&in[i]), cut), i > 0, &ep, &refusal) == 0,
                   "%u cut at %zu", i, cut);
        TAP_IS(decode(buf_span(&in[i]), i > 0, &ep, &refusal) == (i == 2 ? 2 : 1));
        if (i == 1)
            TAP_IS(span_equal_str(ep, vec_str(vec_get(s, "notes"), "result_ep")));
        TAP_OK((i == 2) == (strstr(err_text(&refusal), "already being proxied") != NULL), "%s",
               err_text(&refusal));
        err_done(&refusal);
        /* One for the other. */
        if (i == 1)
            TAP_IS(decode(buf_span(&in[i]), false, &ep, NULL) == WSPR_ETYPE);
        buf_done(&in[i]);
    }
    json_object_put(all);
}

const struct tap_case enlist_cases[ENLIST_CASES] = {
    {"encoded", encoded},
    {"decoded, and cut at each byte", decoded},
};
