#include "config.h"

/* The message codec: what decodes is encoded again and must decode to the same. */

#include <stdint.h>
#include <stdlib.h>

#include "vc/msg.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void same(const struct vc_msg *a, const struct vc_msg *b)
{
    if (a->kind != b->kind || a->vci != b->vci || a->flow != b->flow || a->bytes != b->bytes ||
        a->flags != b->flags || !span_equal(a->dst, b->dst) || !span_equal(a->src, b->src) ||
        !span_equal(a->text, b->text) || !span_equal(a->payload, b->payload) ||
        a->counters.n != b->counters.n || !span_equal(a->counters.wire, b->counters.wire))
        abort();
}

static void again(const struct vc_msg *m)
{
    struct buf out = BUF_INIT(SIZE_MAX);
    struct vc_counters c = m->counters;
    struct vc_counter one;
    uint64_t n = 0;
    struct span in;
    struct vc_msg back;

    while (vc_counters_next(&c, &one))
        n++;
    if (n != m->counters.n || c.wire.len != 0)
        abort();
    if (vc_msg_put(&out, m) != 0)
        abort();
    in = buf_span(&out);
    if (vc_msg_next(&in, VC_MSG_BODY_MAX, &back, NULL, NULL) != 1 || in.len != 0)
        abort();
    same(m, &back);
    buf_done(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span in = span_of(data, size);
    struct err e = ERR_INIT;
    struct vc_msg m;
    size_t need = 0;
    int r;

    while ((r = vc_msg_next(&in, VC_MSG_BODY_MAX, &m, &need, &e)) == 1)
        again(&m);
    if (r == 0 && need <= in.len)
        abort();
    err_done(&e);
    return 0;
}
