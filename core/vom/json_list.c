/* Lists and maps from JSON (spec: vom B.2.2). */
#include "config.h"
#include "vom/json_conv.h"

#include <string.h>

#include "vom/json_run.h"
#include "vom/members.h"

/* A comma between elements. */
static int list_comma(struct vom_json_conv *c)
{
    return vom_json_expect(c, VOM_TOKEN_COMMA, "expected comma while parsing array, got: ", true,
                           "");
}

/* null for a list or map: it is empty. */
static int list_null(struct vom_json_conv *c)
{
    vom_json_consume(c);
    vom_put_uint(c->out, 0);
    c->zero = true;
    return 0;
}

/* Bytes as a string: the characters, not base64. */
static int list_string(struct vom_json_conv *c, const struct vom_type *t)
{
    struct span s;
    int r;

    r = vom_json_token_string(&c->token, c->a, &s);
    if (r < 0)
        return err_set(c->e, r, "%s", err_code_text(r));
    vom_json_consume(c);
    if (t->kind != VOM_KIND_ARRAY) {
        vom_put_bytes(c->out, s);
        c->zero = s.len == 0;
        return 0;
    }
    buf_append_span(c->out, s);
    c->zero = true;
    for (size_t i = 0; i < s.len && c->zero; i++)
        c->zero = s.p[i] == 0;
    if (s.len < t->len)
        vom_json_late(c, "EOF");
    else if (s.len > t->len)
        vom_json_late_leftover(c, s.len - t->len);
    return 0;
}

static int list_elements(struct vom_json_conv *c, const struct vom_type *t, uint32_t n)
{
    const struct vom_type *elem = t->kind == VOM_KIND_BYTES ? &vom_type_byte : t->elem;
    bool array = t->kind == VOM_KIND_ARRAY, zero = true, number;
    size_t end = c->out->len; /* of what an array takes */
    int r;

    for (uint32_t i = 0; i < n; i++) {
        r = vom_json_conv_value(c, elem);
        number = c->token.kind == VOM_TOKEN_NUMBER;
        if (r == 0 && i + 1 < n)
            r = list_comma(c);
        if (r < 0)
            return r;
        zero = zero && c->zero;
        if (i < t->len)
            end = c->out->len;
        if (number && !array && i + 1 < n) /* more of them, very likely */
            i += vom_json_run_put(c, elem, n - i - 2);
    }
    if (array && n < t->len)
        vom_json_late(c, "EOF");
    else if (array && n > t->len)
        vom_json_late_leftover(c, c->out->len - end);
    c->zero = array ? zero : n == 0;
    return vom_json_expect(c, VOM_TOKEN_ARRAY_END, "expected array terminator ']'. Saw '", true,
                           "'");
}

int vom_json_conv_list(struct vom_json_conv *c, const struct vom_type *t)
{
    bool array = t->kind == VOM_KIND_ARRAY;
    uint32_t n;
    int r;

    if (c->token.kind == VOM_TOKEN_NULL && !array)
        return list_null(c);
    if (c->token.kind == VOM_TOKEN_STRING && vom_type_is_bytes(t))
        return list_string(c, t);
    if (c->token.kind != VOM_TOKEN_ARRAY)
        return vom_json_saw(
            c, "poorly formatted array or slice. Doesn't start with '[' (Token seen: ", true, ")");
    r = vom_json_open(c, &n);
    if (r < 0)
        return r;
    if (!array)
        vom_put_uint(c->out, n);
    return list_elements(c, t, n);
}

/* A key that is JSON text inside a string. */
static int map_key_text(struct vom_json_conv *c, const struct vom_type *t, struct span key)
{
    struct vom_json_conv outer = *c;
    int r;

    vom_json_lex_init(&c->lex, key);
    c->peeked = false;
    c->counts = NULL;
    c->n_counts = c->cap_counts = c->next_count = 0;
    r = vom_json_conv_value(c, t);
    c->lex = outer.lex;
    c->peeked = false;
    c->counts = outer.counts;
    c->n_counts = outer.n_counts;
    c->cap_counts = outer.cap_counts;
    c->next_count = outer.next_count;
    if (r < 0)
        err_prefix(c->e, 0, "error in transcoding key string '%.*s': ",
                   (int)(key.len < ERR_MSG_MAX ? key.len : ERR_MSG_MAX), (const char *)key.p);
    return r;
}

static int map_key(struct vom_json_conv *c, const struct vom_type *t)
{
    enum vom_kind k = t->kind;
    struct span key;
    int r;

    if (c->token.kind != VOM_TOKEN_STRING)
        return vom_json_saw(c, "JSON object keys may only be strings. Found ", false, "");
    vom_json_consume(c);
    if (k == VOM_KIND_STRING) {
        vom_json_token_put(&c->token, c->out);
        return 0;
    }
    r = vom_json_token_string(&c->token, c->a, &key);
    if (r < 0)
        return err_set(c->e, r, "%s", err_code_text(r));
    if ((k != VOM_KIND_BOOL && !vom_kind_is_number(k)) || k == VOM_KIND_UINT ||
        k == VOM_KIND_UINTPTR)
        return map_key_text(c, t, key);
    r = vom_json_put_scalar(c->out, t, key, &c->zero, c->e);
    if (r < 0)
        err_prefix(c->e, 0, "error in transcoding primitive key string: ");
    return r;
}

static int map_entry(struct vom_json_conv *c, const struct vom_type *t, struct vom_members *m)
{
    size_t begin = c->out->len;
    int r = map_key(c, t->key);

    vom_members_add(m, begin, c->out);
    if (r == 0)
        r = vom_json_expect(c, VOM_TOKEN_COLON, "expected ':' between key and value. Found '",
                            false, "'");
    return r < 0 ? r : vom_json_conv_value(c, t->elem);
}

static int map_entries(struct vom_json_conv *c, const struct vom_type *t, uint32_t n,
                       struct vom_members *m)
{
    int r = 0;

    for (uint32_t i = 0; r == 0 && i < n; i++) {
        r = vom_json_peek(c);
        if (r == 0 && c->token.kind == VOM_TOKEN_OBJECT_END) {
            vom_json_late(c, "EOF"); /* a comma behind the last entry: the count is too high */
            break;
        }
        if (r == 0)
            r = map_entry(c, t, m);
        if (r == 0 && i + 1 < n)
            r = list_comma(c);
    }
    return r;
}

/* Of a key that comes again the last value counts: the count in front of the entries is mended. */
static int map_dedupe(struct vom_json_conv *c, struct vom_members *m, size_t count_at)
{
    int64_t n = vom_members_dedupe(m, c->out);
    size_t end = c->out->len, fresh;
    uint8_t *p;

    if (n < 0)
        return err_set(c->e, (int)n, "%s", err_code_text((int)n));
    if (n == m->n || buf_error(c->out) != 0)
        return 0;
    vom_put_uint(c->out, (uint64_t)n);
    if (buf_error(c->out) != 0)
        return 0; /* told by who looks at the output */
    p = buf_data(c->out);
    fresh = c->out->len - end; /* as long as the old one, or shorter */
    memcpy(p + count_at, p + end, fresh);
    memmove(p + count_at + fresh, p + m->base, end - m->base);
    buf_truncate(c->out, count_at + fresh + end - m->base);
    return 0;
}

int vom_json_conv_map(struct vom_json_conv *c, const struct vom_type *t)
{
    size_t count_at = c->out->len;
    struct vom_members m;
    uint32_t n;
    int r;

    if (c->token.kind == VOM_TOKEN_NULL)
        return list_null(c);
    r = vom_json_open(c, &n);
    if (r < 0)
        return r;
    vom_put_uint(c->out, n);
    r = vom_members_init(&m, n, c->out);
    if (r < 0)
        return err_set(c->e, r, "%s", err_code_text(r));
    r = map_entries(c, t, n, &m);
    if (r == 0)
        r = map_dedupe(c, &m, count_at);
    vom_members_done(&m);
    if (r < 0)
        return r;
    c->zero = n == 0;
    return vom_json_expect(c, VOM_TOKEN_OBJECT_END, "expected object terminator '}'. Saw '", false,
                           "'");
}
