#include "config.h"

/* The message codec against recorded messages, in both directions. */

#include <nettle/sha2.h>

#include "base/hex.h"
#include "failmalloc.h"
#include "naming/endpoint.h"
#include "tap.h"
#include "vc/msg.h"
#include "vectors.h"
#include "wspr/error.h"

#define COUNTERS_MAX 8192

struct fields {
    struct vc_msg msg;
    struct vc_counter counters[COUNTERS_MAX];
    size_t n;
    struct buf text, payload;
};

static struct fields wanted, got;

/* ---- what a vector says ---- */

static enum vc_msg_kind kind_of(const char *type)
{
    static const char *const names[] = {"OpenVC", "CloseVC", "AddReceiveBuffers", "OpenFlow",
                                        "Data"};

    for (int i = 0; i < 5; i++) {
        if (strcmp(type, names[i]) == 0)
            return (enum vc_msg_kind)i;
    }
    TAP_OK(0, "message type %s", type);
    return VC_MSG_DATA;
}

static void read_counters(struct json_object *list, struct fields *f)
{
    f->n = list != NULL ? json_object_array_length(list) : 0;
    for (size_t i = 0; i < f->n; i++) {
        struct json_object *o = json_object_array_get_idx(list, i);

        f->counters[i].vci = (uint32_t)vec_int(o, "vci");
        f->counters[i].flow = (uint32_t)vec_int(o, "flow");
        f->counters[i].bytes = (uint32_t)vec_int(o, "bytes");
    }
}

static void read_payload(struct json_object *o, struct fields *f)
{
    size_t n = (size_t)vec_int(o, "payload_len");

    buf_done(&f->payload);
    f->payload = BUF_INIT(SIZE_MAX);
    if (vec_str(o, "payload") != NULL) {
        f->payload = vec_hex(vec_str(o, "payload"));
    } else {
        TAP_IS(strcmp(vec_str(o, "payload_rule"), "byte i = i mod 251") == 0);
        for (size_t i = 0; i < n; i++)
            buf_u8(&f->payload, (uint8_t)(i % 251));
    }
    TAP_IS(f->payload.len == n);
    f->msg.payload = buf_span(&f->payload);
}

static void read_fields(struct json_object *o, struct fields *f)
{
    struct vc_msg *m = &f->msg;

    memset(m, 0, sizeof *m);
    m->kind = kind_of(vec_str(o, "type"));
    m->vci = (uint32_t)vec_int(o, "vci");
    m->flow = (uint32_t)vec_int(o, "flow");
    m->bytes = (uint32_t)vec_int(o, "initial_counters");
    m->flags = (uint8_t)vec_int(o, "flags");
    if (vec_str(o, "dst") != NULL) {
        m->dst = span_str(vec_str(o, "dst"));
        m->src = span_str(vec_str(o, "src"));
    }
    if (vec_str(o, "error_hex") != NULL) {
        buf_done(&f->text);
        f->text = vec_hex(vec_str(o, "error_hex"));
        m->text = buf_span(&f->text);
    }
    if (m->kind == VC_MSG_DATA)
        read_payload(o, f);
    read_counters(vec_get(o, "counters"), f);
}

/* ---- comparing ---- */

static int counter_order(const void *a, const void *b)
{
    return memcmp(a, b, 2 * sizeof(uint32_t));
}

/* Adds up what belongs to one flow, and sorts. */
static void merge(struct fields *f)
{
    size_t n = 0;

    qsort(f->counters, f->n, sizeof f->counters[0], counter_order);
    for (size_t i = 0; i < f->n; i++) {
        if (n > 0 && counter_order(&f->counters[n - 1], &f->counters[i]) == 0)
            f->counters[n - 1].bytes += f->counters[i].bytes;
        else
            f->counters[n++] = f->counters[i];
    }
    f->n = n;
}

/* An endpoint of a message and the text in which a vector gives it, which is the printed form. */
static int same_endpoint(struct span raw, struct span printed)
{
    struct naming_endpoint ep;
    char text[NAMING_ENDPOINT_TEXT_MAX];

    if (raw.len == 0 && printed.len == 0)
        return 1;
    return naming_endpoint_parse(raw, &ep, NULL) == 0 &&
           span_equal(span_of(text, naming_endpoint_text(&ep, text)), printed);
}

static int same(const struct vc_msg *m)
{
    const struct vc_msg *w = &wanted.msg;
    struct vc_counters c = m->counters;

    got.n = 0;
    while (got.n < COUNTERS_MAX && vc_counters_next(&c, &got.counters[got.n]))
        got.n++;
    merge(&got);
    merge(&wanted);
    return m->kind == w->kind && m->vci == w->vci && m->flow == w->flow && m->bytes == w->bytes &&
           m->flags == w->flags && same_endpoint(m->dst, w->dst) && same_endpoint(m->src, w->src) &&
           span_equal(m->text, w->text) && span_equal(m->payload, w->payload) &&
           got.n == wanted.n &&
           (got.n == 0 ||
            memcmp(got.counters, wanted.counters, got.n * sizeof got.counters[0]) == 0);
}

static int encode(struct buf *out, const struct fields *f)
{
    const struct vc_msg *m = &f->msg;

    switch (m->kind) {
    case VC_MSG_OPEN_VC:
        return vc_msg_put_open_vc(out, m->vci, m->dst, m->src, f->counters, f->n);
    case VC_MSG_CLOSE_VC:
        return vc_msg_put_close_vc(out, m->vci, m->text);
    case VC_MSG_CREDIT:
        return vc_msg_put_credit(out, f->counters, f->n);
    case VC_MSG_OPEN_FLOW:
        return vc_msg_put_open_flow(out, m->vci, m->flow, m->bytes);
    case VC_MSG_DATA:
        return vc_msg_put_data(out, m->vci, m->flow, m->flags, m->payload);
    }
    return WSPR_EINVAL;
}

static void check_hash(struct json_object *v, const struct buf *out)
{
    struct buf prefix = vec_hex(vec_str(v, "hex_prefix")), sum = vec_hex(vec_str(v, "sha256"));
    uint8_t digest[SHA256_DIGEST_SIZE];
    struct sha256_ctx h;

    sha256_init(&h);
    sha256_update(&h, out->len, buf_data(out));
    sha256_digest(&h, sizeof digest, digest);
    TAP_OK(out->len == (size_t)vec_int(v, "len") &&
               memcmp(buf_data(out), buf_data(&prefix), prefix.len) == 0 &&
               memcmp(digest, buf_data(&sum), sizeof digest) == 0,
           "encode %d", (int)vec_int(v, "id"));
    buf_done(&prefix);
    buf_done(&sum);
}

/* The message again, by the function that relays use. */
static void check_again(const struct vc_msg *m, struct span hex, int id)
{
    struct buf out = BUF_INIT(SIZE_MAX);

    TAP_OK(vc_msg_put(&out, m) == 0 && span_equal(buf_span(&out), hex), "relay %d", id);
    buf_done(&out);
}

/* ---- cases ---- */

static void run_encode(struct json_object *v)
{
    struct buf out = BUF_INIT(SIZE_MAX);
    int id = (int)vec_int(v, "id"), r;
    struct span in;
    struct vc_msg m;

    read_fields(vec_get(v, "fields"), &wanted);
    r = encode(&out, &wanted);
    if (vec_str(v, "encode_error") != NULL) {
        TAP_OK(r == WSPR_ELIMIT && out.len == 0, "encode %d must fail", id);
        buf_done(&out);
        return;
    }
    TAP_OK(r == 0, "encode %d", id);
    if (vec_str(v, "hex") == NULL) {
        check_hash(v, &out);
    } else if (vec_str(v, "counter_order") == NULL) {
        struct buf hex = vec_hex(vec_str(v, "hex"));

        TAP_OK(span_equal(buf_span(&out), buf_span(&hex)), "encode %d", id);
        buf_done(&hex);
    }
    in = buf_span(&out);
    TAP_OK(vc_msg_next(&in, VC_MSG_BODY_MAX, &m, NULL, NULL) == 1 && in.len == 0 && same(&m),
           "encode %d comes back", id);
    check_again(&m, buf_span(&out), id);
    buf_done(&out);
}

static void encodes_vectors(void)
{
    struct json_object *all = vectors_load("stream.json"), *list = vec_get(all, "vectors");
    unsigned n = 0;

    for (size_t i = 0; i < json_object_array_length(list); i++) {
        struct json_object *v = json_object_array_get_idx(list, i);

        if (strcmp(vec_str(v, "kind"), "message_encode") != 0)
            continue;
        run_encode(v);
        n++;
    }
    TAP_IS(n == 63);
    tap_note("stream.json message_encode: %u", n);
    json_object_put(all);
}

/* Endpoints that do not parse are found by whoever uses them; here by this test. */
static int decode(struct span *in, struct vc_msg *m, struct err *e)
{
    struct naming_endpoint ep;
    int r = vc_msg_next(in, VC_MSG_BODY_MAX, m, NULL, e);

    if (r == 1 && m->kind == VC_MSG_OPEN_VC) {
        int d = naming_endpoint_parse(m->dst, &ep, e), s = naming_endpoint_parse(m->src, &ep, e);

        r = d < 0 ? d : s < 0 ? s : r;
    }
    return r;
}

static void decodes_vectors(void)
{
    struct json_object *all = vectors_load("stream.json"), *list = vec_get(all, "vectors");
    unsigned n = 0, bad = 0;

    for (size_t i = 0; i < json_object_array_length(list); i++) {
        struct json_object *v = json_object_array_get_idx(list, i);
        struct err e = ERR_INIT;
        struct buf hex;
        struct span in;
        struct vc_msg m;
        int id = (int)vec_int(v, "id"), r;

        if (strcmp(vec_str(v, "kind"), "message_decode") != 0)
            continue;
        hex = vec_hex(vec_str(v, "hex"));
        in = buf_span(&hex);
        r = decode(&in, &m, &e);
        if (vec_bool(v, "ok")) {
            read_fields(vec_get(v, "fields"), &wanted);
            TAP_OK(r == 1 && same(&m), "decode %d: %s", id, err_text(&e));
        } else {
            /* What is cut is not wrong yet: a connection that ends here is. */
            int cut = strncmp(vec_str(v, "note"), "truncated ", 10) == 0;

            TAP_OK(cut ? r == 0 : r < 0 && e.msg != NULL, "decode %d must fail", id);
            bad++;
        }
        n++;
        err_done(&e);
        buf_done(&hex);
    }
    TAP_IS(n == 40 && bad > 0);
    tap_note("stream.json message_decode: %u, of which %u must fail", n, bad);
    json_object_put(all);
}

static void waits_for_the_whole_message(void)
{
    struct vc_counter c = {10, 14, 300};
    struct buf out = BUF_INIT(SIZE_MAX);

    vc_msg_put_open_vc(&out, 10, span_str("@2@tcp@a:1@@1@2@@"), span_str("b:2"), &c, 1);
    for (size_t cut = 0; cut < out.len; cut++) {
        struct span in = span_of(buf_data(&out), cut);
        struct vc_msg m;
        size_t need = 0;

        TAP_OK(vc_msg_next(&in, VC_MSG_BODY_MAX, &m, &need, NULL) == 0 && in.len == cut &&
                   need == (cut < VC_MSG_HEADER ? VC_MSG_HEADER : out.len),
               "cut at %zu", cut);
        /* A body that is cut and announces its cut length is wrong. */
        if (cut > VC_MSG_HEADER)
            TAP_OK(vc_msg_decode(0, span_of(in.p + VC_MSG_HEADER, cut - VC_MSG_HEADER), &m, NULL) ==
                       WSPR_EPROTO,
                   "body cut at %zu", cut);
    }
    buf_done(&out);
}

static void bounds_the_length(void)
{
    static const uint8_t head[] = {1, 0xff, 0xff, 0xff};
    struct span in = span_of(head, sizeof head);
    struct vc_msg m;

    TAP_IS(vc_msg_next(&in, 1000, &m, NULL, NULL) == WSPR_ELIMIT);
    TAP_IS(vc_msg_next(&in, VC_MSG_BODY_MAX, &m, NULL, NULL) == 0);
}

static void data_is_made_in_place(void)
{
    struct buf out = BUF_INIT(100), again = BUF_INIT(100);
    size_t at;

    buf_u8(&out, 'x');
    at = vc_msg_begin_data(&out, 10, 14);
    buf_append_str(&out, "hello");
    TAP_IS(vc_msg_end_data(&out, at, VC_FLAG_CLOSE) == 0);
    buf_u8(&again, 'x');
    vc_msg_put_data(&again, 10, 14, VC_FLAG_CLOSE, span_str("hello"));
    TAP_IS(span_equal(buf_span(&out), buf_span(&again)));
    at = vc_msg_begin_data(&out, 10, 14);
    vc_msg_undo(&out, at);
    TAP_IS(span_equal(buf_span(&out), buf_span(&again)));
    /* Too much for the buffer: nothing of the message stays. */
    at = vc_msg_begin_data(&out, 10, 14);
    buf_append(&out, (const uint8_t[90]){0}, 90);
    TAP_IS(vc_msg_end_data(&out, at, 0) == WSPR_ELIMIT);
    TAP_IS(span_equal(buf_span(&out), buf_span(&again)));
    buf_done(&out);
    buf_done(&again);
}

static void put_each(void *arg)
{
    struct vc_counter c[3] = {{10, 0, 1}, {10, 14, 70000}, {UINT32_MAX, UINT32_MAX, UINT32_MAX}};
    struct buf out = BUF_INIT(SIZE_MAX);
    struct err e = ERR_INIT;
    static const uint8_t bad[] = {0, 0, 0, 1, 9};
    struct span in = span_of(bad, sizeof bad);
    struct vc_msg m;

    (void)arg;
    vc_msg_put_open_vc(&out, 10, span_str("a:1"), span_str("b:2"), c, 3);
    vc_msg_put_close_vc(&out, 10, span_str("why"));
    vc_msg_put_credit(&out, c, 3);
    vc_msg_put_open_flow(&out, 10, 14, 1);
    vc_msg_put_data(&out, 10, 14, 0, span_str("data"));
    /* Whatever failed, what is there is whole messages. */
    for (struct span all = buf_span(&out); all.len > 0;)
        TAP_IS(vc_msg_next(&all, VC_MSG_BODY_MAX, &m, NULL, NULL) == 1);
    TAP_IS(vc_msg_next(&in, VC_MSG_BODY_MAX, &m, NULL, &e) == WSPR_EPROTO && e.code == WSPR_EPROTO);
    err_done(&e);
    buf_done(&out);
}

static void survives_lack_of_memory(void)
{
    TAP_IS(failmalloc_each(put_each, NULL, 100) > 1);
}

static const struct tap_case cases[] = {
    {"encodes the vectors", encodes_vectors},
    {"decodes the vectors", decodes_vectors},
    {"waits for the whole message", waits_for_the_whole_message},
    {"bounds the length", bounds_the_length},
    {"makes data in place", data_is_made_in_place},
    {"survives lack of memory", survives_lack_of_memory},
};

static const struct tap_suite suites[] = {TAP_SUITE("msg", cases)};

int main(int argc, char **argv)
{
    int r = tap_main(argc, argv, suites, 1);

    buf_done(&wanted.text);
    buf_done(&wanted.payload);
    return r;
}
