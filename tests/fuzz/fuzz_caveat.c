/*
 * Caveats, discharges, signatures and identity messages from any bytes: the same input is taken as
 * each of them.
 */
#include "config.h"

#include <stdlib.h>

#include "security/caveat.h"
#include "security/channel.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool ok)
{
    if (!ok)
        abort();
}

static void fuzz_caveat(struct span in, struct security_discharge *d)
{
    struct security_caveat caveat = {span_str("*"), in};
    struct security_context c = {.now = 1400000000000000000,
                                 .method = span_str("Get"),
                                 .network = span_str("tcp"),
                                 .discharges = &d,
                                 .n_discharges = d != NULL};
    struct security_third_party t;
    struct arena a = ARENA_INIT(1 << 24);
    struct err e = ERR_INIT;
    int r = security_caveat_check(&caveat, &c, &e);

    require(r == 0 || (r == WSPR_ENOTAUTH && err_text(&e)[0] != '\0'));
    if (security_third_party_decode(&a, &caveat, &t, &e) == 1)
        require(r == WSPR_ENOTAUTH);
    arena_done(&a);
    err_done(&e);
}

static struct security_discharge *fuzz_discharge(struct span in)
{
    struct security_discharge *d = NULL, *again = NULL;
    struct buf out = BUF_INIT(SIZE_MAX);
    struct err e = ERR_INIT;

    if (security_discharge_decode(in, &d, &e) == 0) {
        require(security_discharge_encode(&out, d) == 0);
        require(security_discharge_decode(buf_span(&out), &again, NULL) == 0);
        require(span_equal(security_discharge_id(d), security_discharge_id(again)));
        security_discharge_unref(again);
    } else {
        require(err_text(&e)[0] != '\0');
    }
    buf_done(&out);
    err_done(&e);
    return d;
}

static void fuzz_channel(struct span in)
{
    struct security_channel_message m, again;
    struct buf out = BUF_INIT(SIZE_MAX);
    struct err e = ERR_INIT;
    size_t used;
    int r = security_channel_decode(in, &m, &used, &e);

    if (r == 0) {
        require(used <= in.len);
        require(security_channel_encode(&out, &m) == 0);
        require(security_channel_decode(buf_span(&out), &again, &used, NULL) == 0);
        require(used == out.len && span_equal(m.id, again.id));
    } else if (r != WSPR_EAGAIN) {
        require(err_text(&e)[0] != '\0');
    }
    buf_done(&out);
    err_done(&e);
}

static void fuzz_signature(struct span in)
{
    struct security_signature s;
    struct arena a = ARENA_INIT(1 << 24);

    security_signature_decode(in, &a, &s, NULL);
    arena_done(&a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span in = span_of(data, size);
    struct security_discharge *d = fuzz_discharge(in);

    fuzz_caveat(in, d);
    fuzz_channel(in);
    fuzz_signature(in);
    security_discharge_unref(d);
    return 0;
}
