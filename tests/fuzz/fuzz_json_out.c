/*
 * A VOM stream to JSON. The reader's way and the value's way must give the same text or both fail,
 * and a text must be valid JSON.
 */
#include "config.h"

#include <stdlib.h>

#include "json/reader.h"
#include "vom/dec.h"
#include "vom/json_out.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define REQUIRE(cond)                                                                              \
    do {                                                                                           \
        if (!(cond))                                                                               \
            abort();                                                                               \
    } while (0)

#define OUT_MAX 65536

/* -0 and 0 are one key with two names: a value has the last one, a message has both. */
static bool same_text(struct span a, struct span b)
{
    return span_equal(a, b) || memmem(a.p, a.len, "-0", 2) != NULL;
}

static void print(struct vom_dec *dec, const struct vom_msg *msg, unsigned flags)
{
    struct buf read = BUF_INIT(OUT_MAX), built = BUF_INIT(OUT_MAX);
    struct arena a = ARENA_INIT(1 << 22);
    struct err e = ERR_INIT, f = ERR_INIT;
    struct vom_value v;
    struct span value;
    int r = vom_json_write_msg(&read, dec, msg, flags, &e), n;

    REQUIRE((r == 0) == (e.code == 0) && (r == 0 || read.len == 0));
    if (r == 0 && flags == 0) {
        REQUIRE(json_scan(buf_span(&read), 0, JSON_STRICT, &value, NULL) == 0);
        REQUIRE(value.len == read.len);
    }
    if (vom_dec_value(dec, msg, &a, &v, NULL) == 0) {
        n = vom_json_write_value(&built, &v, flags, &f);
        if (r == 0)
            REQUIRE(n == 0 && same_text(buf_span(&read), buf_span(&built)));
        else
            REQUIRE(n < 0 || r == WSPR_ELIMIT);
    }
    err_done(&e);
    err_done(&f);
    buf_done(&read);
    buf_done(&built);
    arena_done(&a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct vom_dec dec;
    struct vom_msg msg;

    vom_dec_init(&dec, NULL);
    while (size > 0) {
        ssize_t n = vom_dec_next(&dec, data, size, &msg, NULL);

        if (n <= 0)
            break;
        print(&dec, &msg, 0);
        print(&dec, &msg, VOM_JSON_REFERENCE);
        data += n;
        size -= (size_t)n;
    }
    vom_dec_done(&dec);
    return 0;
}
