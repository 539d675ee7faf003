/* Memory: each allocation failing in turn, and none at all where that is promised. */
#include "config.h"
#include "failmalloc.h"
#include "notation.h"
#include "suites.h"
#include "vom/convert.h"
#include "vom/enc.h"
#include "vom/wiretypes.h"

/* 20 types, pointers, interfaces, a map of 20 entries twice each. */
static struct vom_value rich_value(struct arena *a)
{
    struct vom_value list, v, map;

    vom_value_new_list(a, &vom_type_any_list, 41, &list);
    for (unsigned i = 0; i < 20; i++) {
        char text[64];

        snprintf(text, sizeof text, "pointer to (named \"t.T%u\" int32)", i);
        v = vom_value_zero(notation_type(a, text));
        vom_value_new_to(a, v.type, vom_value_int(v.type->elem, i), &v);
        vom_value_new_to(a, &vom_type_any, v, &list.items[i]);
        vom_value_new_to(a, &vom_type_any, v, &list.items[20 + i]);
    }
    vom_value_new_map(a, &vom_type_any_map, 40, &map);
    for (unsigned i = 0; i < 40; i++)
        vom_value_put(&map, i,
                      vom_value_span(&vom_type_string, span_of(&"abcdefghijklmnopqrst"[i % 20], 1)),
                      i % 3 == 0 ? vom_value_zero(&vom_type_any) : list.items[i]);
    vom_value_new_to(a, &vom_type_any, map, &list.items[40]);
    return list;
}

struct scenario {
    struct vom_value value;
    struct buf bytes;
    unsigned finished;
};

static void encode_once(void *arg)
{
    struct scenario *s = arg;
    struct buf out = BUF_INIT(1 << 20);
    struct err e = ERR_INIT;
    struct vom_enc enc;
    int r;

    vom_enc_init(&enc);
    r = vom_enc_value(&enc, &out, &s->value, &e);
    TAP_IS(r == 0 || r == WSPR_ENOMEM);
    TAP_IS(r == 0 ? span_equal(buf_span(&out), buf_span(&s->bytes)) : out.len == 0);
    /* What failed leaves no trace: the second time gives everything. */
    if (r < 0) {
        buf_reset(&out);
        r = vom_enc_value(&enc, &out, &s->value, &e);
        TAP_IS(r == 0 && span_equal(buf_span(&out), buf_span(&s->bytes)));
    }
    s->finished += r == 0;
    vom_enc_done(&enc);
    err_done(&e);
    buf_done(&out);
}

static void decode_once(void *arg)
{
    struct scenario *s = arg;
    struct arena a = NOTATION_ARENA, kept = NOTATION_ARENA;
    struct vom_value v, any, copy;
    struct err e = ERR_INIT;
    int r = vom_decode(buf_span(&s->bytes), NULL, &a, &v, NULL, &e);

    if (r == 0)
        r = vom_convert(&a, &v, &vom_type_any, NULL, &any, &e);
    if (r == 0)
        r = vom_value_copy(&kept, &any, &copy, &e);
    if (r == 0)
        r = vom_value_equal(&any, &copy);
    TAP_OK(r == 1 || r == WSPR_ENOMEM, "%d %s", r, err_text(&e));
    s->finished += r == 1;
    err_done(&e);
    arena_done(&a);
    arena_done(&kept);
}

static void each_allocation_of_an_encoder(void)
{
    struct arena a = NOTATION_ARENA;
    struct scenario s = {.value = rich_value(&a), .bytes = BUF_INIT(1 << 20)};
    unsigned long runs;

    TAP_IS(vom_map_dedupe(s.value.items[40].to) == 0);
    TAP_IS(vom_encode(&s.bytes, &s.value, NULL) == 0);
    runs = failmalloc_each(encode_once, &s, 1000);
    TAP_IS(runs > 5 && s.finished == runs);
    tap_note("encoding: %lu allocations failed in turn", runs - 1);
    buf_done(&s.bytes);
    arena_done(&a);
}

static void each_allocation_of_a_decoder(void)
{
    struct arena a = NOTATION_ARENA;
    struct scenario s = {.value = rich_value(&a), .bytes = BUF_INIT(1 << 20)};
    unsigned long runs;

    TAP_IS(vom_encode(&s.bytes, &s.value, NULL) == 0);
    runs = failmalloc_each(decode_once, &s, 1000);
    /* Error texts allocate too, so more than one run may get through. */
    TAP_IS(runs > 10 && s.finished >= 1);
    tap_note("decoding, converting, copying, comparing: %lu allocations failed in turn", runs - 1);
    buf_done(&s.bytes);
    arena_done(&a);
}

/* One direction of a call, again and again on reused objects. */
static void no_allocations_in_a_call(void)
{
    struct arena a = NOTATION_ARENA;
    struct buf out = BUF_INIT(1 << 20);
    struct vom_enc enc;
    struct vom_dec dec;

    vom_enc_init(&enc);
    vom_dec_init(&dec, NULL);
    vom_dec_expect(&dec, &vom_preset_request);
    for (unsigned round = 0; round < 3; round++) {
        struct vom_value v, got;
        struct vom_msg msg;

        if (round == 1)
            failmalloc_at(0);
        arena_reset(&a);
        buf_reset(&out);
        vom_dec_reset(&dec);
        vom_enc_prime(&enc, &out, &vom_preset_request);
        TAP_IS(vom_value_new_struct(&a, &vom_type_ipc_request, &v) == 0);
        vom_value_set_field(&v, "Method", vom_value_str("Mount"));
        TAP_IS(vom_enc_value(&enc, &out, &v, NULL) == 0);
        v = vom_value_str("an argument");
        TAP_IS(vom_enc_value(&enc, &out, &v, NULL) == 0);
        TAP_IS(vom_value_new_list(&a, &vom_type_mounted_server_list, 3, &v) == 0);
        TAP_IS(vom_enc_value(&enc, &out, &v, NULL) == 0);
        while (out.len > 0) {
            ssize_t n = vom_dec_next(&dec, buf_data(&out), out.len, &msg, NULL);

            TAP_IS(n > 0 && vom_dec_value(&dec, &msg, &a, &got, NULL) == 0);
            buf_consume(&out, n > 0 ? (size_t)n : out.len);
        }
    }
    TAP_OK(failmalloc_count() == 0, "%lu allocations", failmalloc_count());
    vom_enc_done(&enc);
    vom_dec_done(&dec);
    buf_done(&out);
    arena_done(&a);
}

const struct tap_case vom_faults_cases[VOM_FAULTS_CASES] = {
    {"each allocation of an encoder", each_allocation_of_an_encoder},
    {"each allocation of a decoder", each_allocation_of_a_decoder},
    {"no allocations in a call", no_allocations_in_a_call},
};
