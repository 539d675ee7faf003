/*
 * One pass over the tokens writes the value, in the order of the text.
 *
 * Two things must be known earlier than the text tells them: the count before a list or map, which
 * json_conv.c finds out, and the order of struct fields, which json_struct.c mends. What the
 * reference only found when it decoded its own result (a member twice, an array of wrong length) is
 * noted as `late` and reported if nothing else is wrong.
 */
#include "config.h"
#include "vom/json_in.h"

#include <math.h>
#include <strings.h>

#include "base/quote.h"
#include "json/number.h"
#include "vom/internal.h"
#include "vom/json_conv.h"

/*
 * Comparisons of fields with member names, of some bytes each, that may be made: a base and so many
 * for each byte of text.
 */
#define IN_WORK_BASE 1000000
#define IN_WORK_BYTE 32

static int scalar_error(struct err *e, const char *parser, struct span text, bool range)
{
    struct buf quoted = BUF_INIT(ERR_MSG_MAX);
    int r = WSPR_EINVAL;

    if (text.len > ERR_MSG_MAX / 4)
        text.len = ERR_MSG_MAX / 4;
    quote_append(&quoted, text, '"');
    if (buf_error(&quoted) == WSPR_ENOMEM)
        r = err_set(e, WSPR_ENOMEM, "%s", err_code_text(WSPR_ENOMEM));
    else
        err_set(e, r, "strconv.%s: parsing %.*s: %s", parser, SPAN_ARG(buf_span(&quoted)),
                range ? "value out of range" : "invalid syntax");
    buf_done(&quoted);
    return r;
}

static int put_bool(struct buf *out, struct span text, bool *ret_zero, struct err *e)
{
    static const char *const yes[] = {"1", "t", "T", "true", "TRUE", "True"};
    static const char *const no[] = {"0", "f", "F", "false", "FALSE", "False"};

    for (size_t i = 0; i < sizeof yes / sizeof yes[0]; i++) {
        bool v = span_equal_str(text, yes[i]);

        if (v || span_equal_str(text, no[i])) {
            vom_put_bool(out, v);
            *ret_zero = !v;
            return 0;
        }
    }
    return scalar_error(e, "ParseBool", text, false);
}

static int put_int(struct buf *out, const struct vom_type *t, struct span text, bool *ret_zero,
                   struct err *e)
{
    int64_t max = t->kind == VOM_KIND_INT8    ? INT8_MAX
                  : t->kind == VOM_KIND_INT16 ? INT16_MAX
                  : t->kind == VOM_KIND_INT32 ? INT32_MAX
                                              : INT64_MAX;
    int64_t v;
    enum json_parsed p = json_number_parse_int(text, -max - 1, max, &v);

    if (p != JSON_PARSED)
        return scalar_error(e, "ParseInt", text, p == JSON_OUT_OF_RANGE);
    vom_put_int(out, v);
    *ret_zero = v == 0;
    return 0;
}

static int put_uint(struct buf *out, const struct vom_type *t, struct span text, bool *ret_zero,
                    struct err *e)
{
    uint64_t max = t->kind == VOM_KIND_BYTE     ? UINT8_MAX
                   : t->kind == VOM_KIND_UINT16 ? UINT16_MAX
                   : t->kind == VOM_KIND_UINT32 ? UINT32_MAX
                                                : UINT64_MAX;
    uint64_t v;
    enum json_parsed p = json_number_parse_uint(text, max, &v);

    if (p != JSON_PARSED)
        return scalar_error(e, "ParseUint", text, p == JSON_OUT_OF_RANGE);
    if (t->kind == VOM_KIND_BYTE)
        buf_u8(out, (uint8_t)v);
    else
        vom_put_uint(out, v);
    *ret_zero = v == 0;
    return 0;
}

/* "NaN", "Inf", "+Infinity" …, in any case. */
static bool float_by_name(struct span text, double *ret)
{
    static const uint64_t nan_bits = 0x7ff8000000000001; /* the reference's */
    bool negative = text.len > 0 && text.p[0] == '-';
    struct span name = text;
    char word[9];

    if (negative || (text.len > 0 && text.p[0] == '+'))
        name = span_of(text.p + 1, text.len - 1);
    if (name.len == 0 || name.len >= sizeof word || name.p[0] <= '9')
        return false; /* nearly all: a number */
    memcpy(word, name.p, name.len);
    word[name.len] = '\0';
    if (strcasecmp(word, "inf") == 0 || strcasecmp(word, "infinity") == 0) {
        *ret = negative ? -INFINITY : INFINITY;
        return true;
    }
    if (name.len != text.len || strcasecmp(word, "nan") != 0)
        return false;
    memcpy(ret, &nan_bits, sizeof *ret);
    return true;
}

static int put_float(struct buf *out, const struct vom_type *t, struct span text, bool *ret_zero,
                     struct err *e)
{
    enum json_parsed p = JSON_PARSED;
    double v;

    if (!float_by_name(text, &v))
        p = t->kind == VOM_KIND_FLOAT32 ? json_number_parse_float(text, &v)
                                        : json_number_parse_double(text, &v);
    if (p != JSON_PARSED)
        return scalar_error(e, "ParseFloat", text, p == JSON_OUT_OF_RANGE);
    vom_put_float(out, v);
    *ret_zero = v == 0;
    return 0;
}

int vom_json_put_scalar(struct buf *out, const struct vom_type *t, struct span text, bool *ret_zero,
                        struct err *e)
{
    if (t->kind == VOM_KIND_BOOL)
        return put_bool(out, text, ret_zero, e);
    if (vom_kind_is_int(t->kind))
        return put_int(out, t, text, ret_zero, e);
    if (vom_kind_is_float(t->kind))
        return put_float(out, t, text, ret_zero, e);
    return put_uint(out, t, text, ret_zero, e);
}

static int in_bool(struct vom_json_conv *c)
{
    bool v = c->token.kind == VOM_TOKEN_TRUE;

    if (!v && c->token.kind != VOM_TOKEN_FALSE)
        return err_set(c->e, WSPR_EINVAL, "cannot decode value of kind bool into bool");
    vom_json_consume(c);
    vom_put_bool(c->out, v);
    c->zero = !v;
    return 0;
}

static int in_number(struct vom_json_conv *c, const struct vom_type *t)
{
    struct span text;
    int r;

    if (c->token.kind != VOM_TOKEN_NUMBER && c->token.kind != VOM_TOKEN_STRING)
        return vom_json_saw(c, "cannot decode value of kind ", true, " into number");
    r = vom_json_token_string(&c->token, c->a, &text);
    if (r < 0)
        return err_set(c->e, r, "%s", err_code_text(r));
    vom_json_consume(c);
    return vom_json_put_scalar(c->out, t, text, &c->zero, c->e);
}

static int in_string(struct vom_json_conv *c)
{
    if (c->token.kind != VOM_TOKEN_STRING)
        return err_set(c->e, WSPR_EINVAL, "cannot decode value of kind string into string");
    vom_json_consume(c);
    vom_json_token_put(&c->token, c->out);
    c->zero = c->token.s.len == 0;
    return 0;
}

/* Whether an interface type holds errors: the last part of its name says so. */
static bool in_is_error(const struct vom_type *t)
{
    static const char word[] = "error";
    size_t n = sizeof word - 1;

    if (t->name.len < n)
        return t == &vom_type_error;
    return memcmp(t->name.p + t->name.len - n, word, n) == 0 &&
           (t->name.len == n || t->name.p[t->name.len - n - 1] == '.');
}

/* What an interface takes from the next token; NULL is nil. Errors travel as their text. */
static int in_content(struct vom_json_conv *c, const struct vom_type *t,
                      const struct vom_type **ret_type)
{
    enum vom_json_kind k = c->token.kind;

    *ret_type = NULL;
    if (k == VOM_TOKEN_NULL)
        return 0;
    if (in_is_error(t)) {
        if (k != VOM_TOKEN_STRING)
            return vom_json_saw(c, "error must be a string. was ", true, "");
        *ret_type = c->token.s.len > 0 ? &vom_type_string : NULL;
        return 0;
    }
    switch (k) {
    case VOM_TOKEN_OBJECT:
        *ret_type = &vom_type_any_map;
        return 0;
    case VOM_TOKEN_ARRAY:
        *ret_type = &vom_type_any_list;
        return 0;
    case VOM_TOKEN_STRING:
        *ret_type = &vom_type_string;
        return 0;
    case VOM_TOKEN_NUMBER:
        *ret_type = &vom_type_float64;
        return 0;
    case VOM_TOKEN_TRUE:
    case VOM_TOKEN_FALSE:
        *ret_type = &vom_type_bool;
        return 0;
    default:
        return vom_json_saw(c, "invalid token starting interface: ", true, "");
    }
}

static int in_any(struct vom_json_conv *c, const struct vom_type *t)
{
    const struct vom_type *content;
    int r = in_content(c, t, &content);

    if (r < 0)
        return r;
    if (content == NULL) {
        vom_json_consume(c);
        vom_put_int(c->out, 0);
        c->zero = true;
        return 0;
    }
    r = vom_enc_any(c->enc, content, c->e);
    if (r == 0)
        r = vom_json_conv_value(c, content);
    c->zero = false;
    return r;
}

static int in_ptr(struct vom_json_conv *c, const struct vom_type *t)
{
    int r;

    if (c->token.kind == VOM_TOKEN_NULL) {
        vom_json_consume(c);
        vom_put_int(c->out, 0);
        c->zero = true;
        return 0;
    }
    vom_put_int(c->out, -(int64_t)vom_enc_new_ref(c->enc));
    r = vom_json_conv_value(c, t->elem);
    c->zero = false;
    return r;
}

static int in_composite(struct vom_json_conv *c, const struct vom_type *t)
{
    size_t start = c->out->len;
    int r;

    if (c->depth == VOM_DEPTH_MAX)
        return vom_depth_error(c->e);
    c->depth++;
    if (t->kind == VOM_KIND_PTR) {
        r = in_ptr(c, t);
    } else if (t->kind == VOM_KIND_ANY) {
        r = in_any(c, t);
    } else if (t->kind != VOM_KIND_MAP && t->kind != VOM_KIND_STRUCT) {
        r = vom_json_conv_list(c, t);
        if (r == 0 && vom_type_is_time(t) && buf_error(c->out) == 0)
            c->zero =
                vom_encoded_is_zero(t, span_of(buf_data(c->out) + start, c->out->len - start));
    } else if (c->token.kind != VOM_TOKEN_OBJECT &&
               (t->kind != VOM_KIND_MAP || c->token.kind != VOM_TOKEN_NULL)) {
        r = vom_json_saw(
            c, "poorly formatted map or struct. Doesn't start with '{'. (Token seen: ", true, ")");
    } else {
        r = t->kind == VOM_KIND_MAP ? vom_json_conv_map(c, t) : vom_json_conv_struct(c, t);
    }
    c->depth--;
    return r;
}

int vom_json_conv_value(struct vom_json_conv *c, const struct vom_type *t)
{
    int r = vom_json_peek(c);

    if (r < 0)
        return r;
    if (t->kind == VOM_KIND_BOOL)
        r = in_bool(c);
    else if (t->kind == VOM_KIND_STRING)
        r = in_string(c);
    else if (vom_kind_is_number(t->kind))
        r = in_number(c, t);
    else if (t->kind != VOM_KIND_NONE)
        r = in_composite(c, t);
    else
        r = err_set(c->e, WSPR_EINVAL, "cannot convert JSON to a value of type %.*s",
                    (int)(t->name.len < 256 ? t->name.len : 256), (const char *)t->name.p);
    if (r == 0 && buf_error(c->out) != 0)
        r = err_set(c->e, buf_error(c->out), "%s", err_code_text(buf_error(c->out)));
    return r;
}

/* Puts the words of spec B.2.3 around the error of a conversion. */
static int in_wrap(struct err *e, int r, struct span text)
{
    struct buf b = BUF_INIT(2 * ERR_MSG_MAX);

    if (e == NULL || r != WSPR_EINVAL)
        return r;
    buf_printf(&b, "error transcoding json to object: %s (JSON was ", err_text(e));
    quote_append(&b, span_of(text.p, text.len < ERR_MSG_MAX / 4 ? text.len : ERR_MSG_MAX / 4), '"');
    buf_u8(&b, ')');
    if (buf_error(&b) != WSPR_ENOMEM)
        err_set_text(e, r, (const char *)buf_data(&b), b.len);
    buf_done(&b);
    return r;
}

/* Writes the message of a value whose first token is peeked. */
static int in_message(struct vom_json_conv *c, const struct vom_type *t)
{
    int r = vom_enc_begin(c->enc, c->out, t, c->e);

    if (r < 0)
        return r;
    r = vom_json_conv_value(c, t);
    if (r == 0 && c->late[0] == '\0')
        return vom_enc_end(c->enc, c->e);
    vom_enc_abort(c->enc);
    return r;
}

int vom_json_encode(struct vom_enc *enc, struct buf *out, const struct vom_type *t,
                    struct span text, struct arena *scratch, struct err *e)
{
    struct vom_json_conv c = {
        .a = scratch,
        .enc = enc,
        .out = out,
        .e = e,
        .work = IN_WORK_BASE + IN_WORK_BYTE * (uint64_t)text.len,
    };
    int r;

    if (text.len > UINT32_MAX)
        return err_set(e, WSPR_ELIMIT, "%s", err_code_text(WSPR_ELIMIT));
    vom_json_lex_init(&c.lex, text);
    r = vom_json_peek(&c);
    if (r == 0 && t->kind == VOM_KIND_ANY) {
        r = in_content(&c, t, &t);
        if (r == 0 && t == NULL)
            return VOM_JSON_NIL;
    }
    if (r == 0)
        r = in_message(&c, t);
    if (r < 0)
        return in_wrap(e, r, text);
    if (c.late[0] != '\0')
        return err_set(e, WSPR_EINVAL, "error decoding transcoded json: %s", c.late);
    return VOM_JSON_DONE;
}
