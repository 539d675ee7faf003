/*
 * A stream of values: each is decoded, skipped, encoded again, copied, and converted to what an
 * empty interface takes and to the type of the value before it. What was decoded from our own bytes
 * must give the same bytes again.
 */
#include "config.h"

#include <stdint.h>
#include <stdlib.h>

#include "vom/convert.h"
#include "vom/dec.h"
#include "vom/enc.h"
#include "vom/wiretypes.h"

#define VALUES_MAX 16
#define MEMORY_MAX (8 << 20)
#define EQUAL_MAX  2000 /* comparing maps takes time */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(int ok)
{
    if (!ok)
        abort();
}

/* Encoding, decoding and encoding must be a fixed point. */
static void check_round(const struct vom_value *v, size_t size)
{
    struct arena a = ARENA_INIT(4 * MEMORY_MAX);
    struct buf first = BUF_INIT(MEMORY_MAX), second = BUF_INIT(MEMORY_MAX);
    struct vom_limits limits = {MEMORY_MAX, MEMORY_MAX, SIZE_MAX, VOM_DEPTH_MAX};
    struct vom_value again, copy;

    if (vom_encode(&first, v, NULL) == 0 &&
        vom_decode(buf_span(&first), &limits, &a, &again, NULL, NULL) == 0) {
        must(vom_encode(&second, &again, NULL) == 0);
        must(span_equal(buf_span(&first), buf_span(&second)));
        if (vom_value_copy(&a, &again, &copy, NULL) == 0 && size < EQUAL_MAX)
            must(vom_value_equal(&again, &copy) == 1);
    }
    buf_done(&first);
    buf_done(&second);
    arena_done(&a);
}

static void check_value(struct vom_dec *dec, const struct vom_msg *msg, struct arena *a,
                        size_t size, struct vom_value *last)
{
    struct vom_reader r;
    struct vom_value v, got;
    struct err e = ERR_INIT;
    int read, skipped;

    vom_reader_init(&r, dec, msg, NULL);
    skipped = vom_read_skip(&r, msg->type);
    if (skipped == 0)
        skipped = vom_reader_end(&r);
    read = vom_dec_value(dec, msg, a, &v, &e);
    err_done(&e);
    if (read < 0)
        return;
    must(skipped == 0);
    check_round(&v, size);
    if (vom_convert(a, &v, &vom_type_any, NULL, &got, &e) == 0)
        check_round(&got, size);
    err_done(&e);
    if (last->type != NULL && vom_convert(a, &v, last->type, last, &got, &e) == 0)
        check_round(&got, size);
    err_done(&e);
    *last = v;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    /* So few types that the encoder never stops comparing them. */
    struct vom_limits limits = {1 << 20, 1 << 20, 40, 64};
    struct arena a = ARENA_INIT(MEMORY_MAX);
    struct vom_value last = vom_value_zero(NULL);
    struct err e = ERR_INIT;
    struct vom_dec dec;
    struct vom_msg msg;
    size_t at = 0;

    vom_dec_init(&dec, &limits);
    vom_dec_expect(&dec, &vom_preset_response);
    for (unsigned i = 0; i < VALUES_MAX && at < size; i++) {
        ssize_t n = vom_dec_next(&dec, data + at, size - at, &msg, &e);

        if (n == 0)
            must(vom_dec_need(&dec) > size - at);
        if (n <= 0)
            break;
        check_value(&dec, &msg, &a, size, &last);
        at += (size_t)n;
    }
    err_done(&e);
    vom_dec_done(&dec);
    arena_done(&a);
    return 0;
}
