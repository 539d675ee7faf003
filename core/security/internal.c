#include "config.h"
#include "security/internal.h"

#include "base/buf.h"
#include "base/mem.h"
#include "base/quote.h"

int security_fail(struct err *e, int code)
{
    return err_set(e, code, "%s", err_code_text(code));
}

int security_fail_quoted(struct err *e, int code, const char *before, struct span text, char quote,
                         const char *after)
{
    struct buf b = BUF_INIT(ERR_MSG_MAX);

    if (e == NULL)
        return code;
    buf_append_str(&b, before);
    quote_append(&b, text, quote);
    buf_append_str(&b, after);
    if (buf_error(&b) == 0)
        err_set_text(e, code, (const char *)buf_data(&b), b.len);
    else
        security_fail(e, code);
    buf_done(&b);
    return code;
}

int security_fail_integrity(struct err *e)
{
    return err_set(e, WSPR_ECRYPTO, "signature does not match bytes, possible tampering");
}

void security_buf_wipe(struct buf *b)
{
    if (b->base != NULL)
        mem_wipe(b->base, b->cap);
    buf_done(b);
}
