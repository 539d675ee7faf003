#include "config.h"
#include "security/idfile.h"

#include "base/hex.h"
#include "security/internal.h"
#include "wspr/error.h"

/* The bytes of the text, in memory that did not grow: they may be secret. */
static int text_decode(struct span text, struct buf *out, struct err *e)
{
    size_t at;
    int ret;

    if (text.len > SECURITY_TEXT_MAX)
        return err_set(e, WSPR_ELIMIT, "text of identity is too long");
    buf_init(out, text.len / 4 * 3 + 4);
    if (buf_reserve(out, out->max) == NULL)
        return security_fail(e, buf_error(out));
    ret = base64_decode(out, (const char *)text.p, text.len, 1, &at);
    if (ret != WSPR_EINVAL)
        return ret < 0 ? security_fail(e, ret) : 0;
    if (at == text.len)
        return security_fail(e, WSPR_ETRUNC);
    return err_set(e, WSPR_EINVAL, "illegal base64 data at input byte %zu", at);
}

int security_idfile_parse_public(struct span text, unsigned flags,
                                 struct security_identity **ret_id, struct err *e)
{
    struct buf b = BUF_INIT(0);
    int ret = text_decode(text, &b, e);

    if (ret >= 0)
        ret = security_identity_decode(buf_span(&b), flags, ret_id, e);
    /* Somebody may have given us a private one by mistake. */
    security_buf_wipe(&b);
    return ret;
}

int security_idfile_parse_private(struct span text, unsigned flags,
                                  struct security_private **ret_id, struct err *e)
{
    struct buf b = BUF_INIT(0);
    int ret = text_decode(text, &b, e);

    if (ret >= 0)
        ret = security_private_decode(buf_span(&b), flags, ret_id, e);
    security_buf_wipe(&b);
    return ret;
}

static int print(struct buf *out, const struct buf *vom)
{
    if (out->error == 0)
        out->error = buf_error(vom);
    if (buf_reserve(out, (vom->len + 2) / 3 * 4) != NULL)
        base64_encode(out, buf_data(vom), vom->len, 1);
    return buf_error(out);
}

int security_idfile_print_public(struct buf *out, const struct security_identity *id)
{
    struct buf b = BUF_INIT(2 * SECURITY_IDENTITY_MAX);
    int ret;

    security_identity_encode(&b, id);
    ret = print(out, &b);
    buf_done(&b);
    return ret;
}

int security_idfile_print_private(struct buf *out, const struct security_private *id)
{
    struct buf b = BUF_INIT(2 * SECURITY_IDENTITY_MAX);
    int ret;

    security_private_encode(&b, id);
    ret = print(out, &b);
    security_buf_wipe(&b);
    return ret;
}
