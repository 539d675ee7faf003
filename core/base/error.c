#include "config.h"
#include "base/error.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/span.h"

#define VERROR     "veyron2/verror."
#define ERR_ID_MAX 1024 /* longer ids are cut */

struct err_row {
    int code;
    const char *id;
    const char *text;
};

/* Several codes share a wire id; the first row with an id is the one that the id maps back to. */
static const struct err_row err_table[] = {
    {WSPR_EABORTED, VERROR "Aborted", "aborted"},
    {WSPR_EBADARG, VERROR "BadArg", "bad argument"},
    {WSPR_EBADPROTO, VERROR "BadProtocol", "bad protocol"},
    {WSPR_EEXISTS, VERROR "Exists", "exists already"},
    {WSPR_EINTERNAL, VERROR "Internal", "internal error"},
    {WSPR_ENOTAUTH, VERROR "NotAuthorized", "not authorized"},
    {WSPR_ENOTFOUND, VERROR "NotFound", "not found"},
    {WSPR_EUNKNOWN, "", "unknown error"},
    {WSPR_ENOMEM, VERROR "Internal", "out of memory"},
    {WSPR_EINVAL, VERROR "BadArg", "invalid argument"},
    {WSPR_EPROTO, VERROR "BadProtocol", "protocol error"},
    {WSPR_ELIMIT, VERROR "Internal", "limit reached"},
    {WSPR_ETRUNC, VERROR "BadProtocol", "EOF"},
    {WSPR_ECLOSED, VERROR "Aborted", "closed"},
    {WSPR_ETIMEOUT, VERROR "BadProtocol", "deadline exceeded"},
    {WSPR_ECANCELED, VERROR "Aborted", "canceled"},
    {WSPR_ETYPE, VERROR "BadProtocol", "type mismatch"},
    {WSPR_ECRYPTO, VERROR "Internal", "cryptographic failure"},
    {WSPR_ESYS, VERROR "Internal", "system error"},
    {WSPR_EAGAIN, VERROR "Internal", "try again"},
    {WSPR_OK, "", "success"},
};

#define ERR_ROWS (sizeof err_table / sizeof err_table[0])

static const struct err_row *err_row_of(int code)
{
    static const struct err_row other = {0, VERROR "Internal", "unknown error"};

    for (size_t i = 0; i < ERR_ROWS; i++) {
        if (err_table[i].code == code)
            return &err_table[i];
    }
    return &other;
}

const char *err_code_text(int code)
{
    return err_row_of(code)->text;
}

const char *err_code_id(int code)
{
    return err_row_of(code)->id;
}

int err_code_of_id(const char *id)
{
    for (size_t i = 0; i < ERR_ROWS; i++) {
        if (strcmp(err_table[i].id, id) == 0)
            return err_table[i].code;
    }
    return WSPR_EUNKNOWN;
}

int err_set_text(struct err *e, int code, const char *text, size_t len)
{
    char *msg;

    if (e == NULL)
        return code;
    msg = mem_strndup(text, len > ERR_MSG_MAX ? ERR_MSG_MAX : len);
    err_done(e);
    e->code = code;
    e->msg = msg;
    return code;
}

int err_vset(struct err *e, int code, const char *fmt, va_list ap)
{
    va_list again;
    char small[256];
    char *big;
    int n;

    if (e == NULL)
        return code;
    va_copy(again, ap);
    n = vsnprintf(small, sizeof small, fmt, ap);
    if (n < 0)
        n = 0;
    if ((size_t)n < sizeof small) {
        err_set_text(e, code, small, (size_t)n);
    } else {
        size_t len = n > ERR_MSG_MAX ? ERR_MSG_MAX : (size_t)n;

        big = malloc(len + 1);
        if (big != NULL)
            vsnprintf(big, len + 1, fmt, again);
        err_done(e);
        e->code = code;
        e->msg = big;
    }
    va_end(again);
    return code;
}

int err_set(struct err *e, int code, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    err_vset(e, code, fmt, ap);
    va_end(ap);
    return code;
}

int err_set_id_text(struct err *e, const char *id, size_t id_len, const char *msg, size_t msg_len)
{
    int code = WSPR_EUNKNOWN;

    for (size_t i = 0; i < ERR_ROWS; i++) {
        if (span_equal_str(span_of(id, id_len), err_table[i].id)) {
            code = err_table[i].code;
            break;
        }
    }
    err_set_text(e, code, msg, msg_len);
    if (e != NULL && code == WSPR_EUNKNOWN && id_len > 0) {
        e->id = mem_strndup(id, id_len > ERR_ID_MAX ? ERR_ID_MAX : id_len);
        if (e->id == NULL)
            code = e->code = WSPR_ENOMEM; /* without its id it would pass for one that has none */
    }
    return code;
}

int err_set_id(struct err *e, const char *id, const char *msg)
{
    return err_set_id_text(e, id, strlen(id), msg, strlen(msg));
}

int err_prefix(struct err *e, int code, const char *fmt, ...)
{
    struct err old;
    va_list ap;

    if (e == NULL)
        return code;
    old = *e;
    *e = ERR_INIT;
    va_start(ap, fmt);
    err_vset(e, code != 0 ? code : old.code != 0 ? old.code : WSPR_EINTERNAL, fmt, ap);
    va_end(ap);
    if (e->msg != NULL) {
        const char *tail = err_text(&old);
        size_t n = strlen(e->msg), m = strlen(tail);
        char *joined;

        if (n + m > ERR_MSG_MAX)
            m = n > ERR_MSG_MAX ? 0 : ERR_MSG_MAX - n;
        joined = realloc(e->msg, n + m + 1);
        if (joined != NULL) {
            memcpy(joined + n, tail, m);
            joined[n + m] = '\0';
            e->msg = joined;
        }
    }
    if (code == 0) {
        e->id = old.id;
        old.id = NULL;
    }
    err_done(&old);
    return e->code;
}

void err_move(struct err *dst, struct err *src)
{
    if (dst == src)
        return;
    if (dst != NULL) {
        err_done(dst);
        *dst = *src;
        *src = ERR_INIT;
    } else {
        err_done(src);
    }
}

int err_copy(struct err *dst, const struct err *src)
{
    if (dst == NULL || dst == src)
        return src->code;
    err_done(dst);
    dst->code = src->code;
    dst->msg = src->msg != NULL ? mem_strndup(src->msg, strlen(src->msg)) : NULL;
    dst->id = src->id != NULL ? mem_strndup(src->id, strlen(src->id)) : NULL;
    if (src->id != NULL && dst->id == NULL)
        dst->code = WSPR_ENOMEM; /* see err_set_id_text() */
    return dst->code;
}

void err_done(struct err *e)
{
    if (e == NULL)
        return;
    free(e->id);
    free(e->msg);
    *e = ERR_INIT;
}

const char *err_text(const struct err *e)
{
    return e->msg != NULL ? e->msg : err_code_text(e->code);
}

const char *err_id(const struct err *e)
{
    return e->id != NULL ? e->id : err_code_id(e->code);
}
