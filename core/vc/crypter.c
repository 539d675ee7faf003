#include "config.h"
#include "vc/crypter.h"

#include <stdlib.h>

#include "wspr/error.h"

/* No protection. Whoever is asked to begin says one byte, the other end answers with one. */
struct crypter_null {
    struct vc_crypter base;
    bool spoke;
};

static int null_handshake(struct vc_crypter *c, struct buf *in, struct buf *out, struct err *e)
{
    struct crypter_null *n = (struct crypter_null *)c;
    int step = in->len > 0 ? VC_CRYPTER_DONE : VC_CRYPTER_MORE;

    if (in->len > 0 && buf_data(in)[0] != 0)
        return err_set(e, WSPR_EPROTO, "a circuit without protection begins with a zero byte");
    if (in->len > 0)
        buf_consume(in, 1);
    if (!n->spoke)
        buf_u8(out, 0);
    n->spoke = true;
    if (buf_error(out) != 0)
        return err_set(e, buf_error(out), "no room for the key exchange");
    return step;
}

static int null_copy(struct vc_crypter *c, struct span bytes, struct buf *out, struct err *e)
{
    (void)c;
    buf_append_span(out, bytes);
    if (buf_error(out) != 0)
        return err_set(e, buf_error(out), "no room for a payload");
    return 0;
}

static size_t null_sealed_max(const struct vc_crypter *c, size_t n)
{
    (void)c;
    return n;
}

static const char *null_describe(const struct vc_crypter *c)
{
    (void)c;
    return "none";
}

static void null_free(struct vc_crypter *c)
{
    free(c);
}

static const struct vc_crypter_ops null_ops = {
    .handshake = null_handshake,
    .seal = null_copy,
    .open = null_copy,
    .sealed_max = null_sealed_max,
    .describe = null_describe,
    .free = null_free,
};

struct vc_crypter *vc_crypter_null_new(void)
{
    struct crypter_null *n = calloc(1, sizeof *n);

    if (n == NULL)
        return NULL;
    n->base.ops = &null_ops;
    return &n->base;
}
