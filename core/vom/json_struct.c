/*
 * Structs from JSON (spec: vom B.2.2). Members are written as they come. While they come in the
 * order of the fields that is the encoding already; otherwise the values are sorted at the end.
 * Zero fields are taken back as soon as they are known to be zero.
 */
#include "config.h"
#include "vom/json_conv.h"

#include "base/unicode.h"
#include "base/utf8.h"
#include "vom/internal.h"

/* What is compared at one go: bytes as they are, characters in any case. */
#define WORK_BYTES 64
#define WORK_CHARS 4

static bool is_letter(uint32_t rune)
{
    uint32_t lower = rune | 0x20;

    return lower >= 'a' && lower <= 'z' && rune < 0x80;
}

static bool is_word(uint32_t rune)
{
    return is_letter(rune) || (rune >= '0' && rune <= '9') || rune == '_';
}

/* A member's name with the first letter of each word in title case. */
static int struct_title(struct vom_json_conv *c, struct span name, struct span *ret)
{
    size_t n = 2 * name.len + 4;
    bool begins = true; /* the next character begins a word */
    uint8_t *room = arena_alloc(c->a, n), *o = room;

    if (room == NULL)
        return vom_arena_error(c->a, n, c->e);
    for (size_t i = 0; i < name.len;) {
        uint32_t rune;
        size_t width = utf8_decode(name.p + i, name.len - i, &rune);

        if (width == 1 && rune >= 0x80)
            *o++ = name.p[i];
        else
            o += utf8_encode(begins ? unicode_title(rune) : rune, o);
        begins = rune < 0x80 ? !is_word(rune) : unicode_is_space(rune);
        i += width;
    }
    *ret = span_of(room, (size_t)(o - room));
    return 0;
}

/* Whether name in title case is the field's, if it is one ASCII word (false in doubt). */
static bool struct_is_field(struct span name, struct span field)
{
    uint8_t first;

    if (name.len != field.len || name.len == 0 || !is_word(name.p[0]))
        return false;
    first = is_letter(name.p[0]) ? name.p[0] & 0xdf : name.p[0];
    if (first != field.p[0] || memcmp(name.p + 1, field.p + 1, name.len - 1) != 0)
        return false;
    for (size_t i = 1; i < name.len; i++) {
        if (!is_word(name.p[i]))
            return false;
    }
    return true;
}

static int struct_no_field(struct vom_json_conv *c, const struct vom_type *t, struct span name)
{
    struct span type = t->name;

    for (size_t i = type.len; i-- > 0;) {
        if (type.p[i] == '.') {
            type = span_of(type.p + i + 1, type.len - i - 1);
            break;
        }
    }
    return err_set(c->e, WSPR_EINVAL, "no field named '%.*s' found in struct %.*s.",
                   (int)(name.len < ERR_MSG_MAX ? name.len : ERR_MSG_MAX), (const char *)name.p,
                   SPAN_ARG(type));
}

/* Names are compared with those of all fields: so much is taken from what may be. */
static int struct_work(struct vom_json_conv *c, uint64_t n)
{
    if (c->work < n)
        return err_set(c->e, WSPR_ELIMIT, "too many members that are not in the order of fields");
    c->work -= n;
    return 0;
}

/* Looks for the field of a member; `guess` is where it probably is. */
static int struct_find(struct vom_json_conv *c, const struct vom_type *t, struct span name,
                       uint32_t guess, uint32_t *ret_index)
{
    int r;

    if (guess < t->n_fields && struct_is_field(name, t->fields[guess].name)) {
        *ret_index = guess;
        return 0;
    }
    r = struct_work(c, t->n_fields * (uint64_t)(1 + name.len / WORK_BYTES));
    if (r == 0)
        r = struct_title(c, name, &name);
    if (r < 0)
        return r;
    for (uint32_t i = 0; i < t->n_fields; i++) {
        if (span_equal(name, t->fields[i].name)) {
            *ret_index = i;
            return 0;
        }
    }
    r = struct_work(c, t->n_fields * (uint64_t)(name.len / WORK_CHARS));
    if (r < 0)
        return r;
    for (uint32_t i = 0; i < t->n_fields; i++) {
        if (unicode_equal_lower(name, t->fields[i].name)) {
            *ret_index = i;
            return 0;
        }
    }
    return struct_no_field(c, t, name);
}

/* The fields of one struct that were met: the top of the stack, from `base` on. */
struct struct_state {
    size_t base;
    size_t start; /* of the struct in the output */
    int64_t last; /* highest index that was met */
    int64_t prev; /* index of the last field that stands in the output */
    bool sorted;  /* so far all came in order: deltas stand in the output */
};

static int struct_name(struct vom_json_conv *c, const struct vom_type *t, uint32_t guess,
                       uint32_t *ret_index)
{
    struct span name;
    int r;

    if (c->token.kind != VOM_TOKEN_STRING)
        return vom_json_saw(c, "JSON object keys may only be strings. Found ", false, "");
    vom_json_consume(c);
    r = vom_json_token_string(&c->token, c->a, &name);
    if (r < 0)
        return err_set(c->e, r, "%s", err_code_text(r));
    /* The reference looks for the field behind the colon. */
    r = vom_json_expect(c, VOM_TOKEN_COLON, "expected ':' between key and value. Found '", false,
                        "'");
    return r < 0 ? r : struct_find(c, t, name, guess, ret_index);
}

static int struct_member(struct vom_json_conv *c, const struct vom_type *t, struct struct_state *s)
{
    struct vom_json_field f = {0, false, 0, 0};
    void *fields;
    size_t at = c->out->len;
    int r = struct_name(c, t, (uint32_t)(s->last + 1), &f.index);

    if (r < 0)
        return r;
    if (f.index <= s->last)
        s->sorted = false;
    else
        s->last = f.index;
    if (s->sorted)
        vom_put_uint(c->out, (uint64_t)(f.index - s->prev));
    f.start = c->out->len;
    r = vom_json_conv_value(c, t->fields[f.index].type);
    if (r < 0)
        return r;
    f.len = c->out->len - f.start;
    f.zero = c->zero;
    if (f.zero)
        buf_truncate(c->out, at);
    else if (s->sorted)
        s->prev = f.index;
    fields = c->fields;
    r = vom_json_grow(c, &fields, c->n_fields, &c->cap_fields, sizeof f);
    if (r < 0)
        return r;
    c->fields = fields;
    c->fields[c->n_fields++] = f;
    return 0;
}

/* Sorts the fields by index; stable, so that of a field that was met twice the first stays first.
 */
static int struct_sort(struct vom_json_conv *c, struct vom_json_field *f, size_t n)
{
    struct vom_json_field *from = f, *to = arena_alloc(c->a, n * sizeof *to);

    if (to == NULL)
        return vom_arena_error(c->a, n * sizeof *to, c->e);
    for (size_t width = 1; width < n; width *= 2) {
        struct vom_json_field *sorted = to;

        for (size_t low = 0; low < n; low += 2 * width) {
            size_t mid = low + width < n ? low + width : n;
            size_t high = mid + width < n ? mid + width : n, i = low, j = mid;

            for (size_t k = low; k < high; k++)
                to[k] = i < mid && (j == high || from[i].index <= from[j].index) ? from[i++]
                                                                                 : from[j++];
        }
        to = from;
        from = sorted;
    }
    if (from != f)
        memcpy(f, from, n * sizeof *f);
    return 0;
}

/* Writes the struct again with its fields in order. */
static int struct_reorder(struct vom_json_conv *c, const struct struct_state *s)
{
    struct vom_json_field *f = c->fields + s->base;
    size_t n = c->n_fields - s->base, len = c->out->len - s->start;
    int64_t prev = -1;
    uint8_t *copy;
    int r = struct_sort(c, f, n);

    if (r < 0 || buf_error(c->out) != 0)
        return r;
    copy = arena_alloc(c->a, len);
    if (copy == NULL)
        return vom_arena_error(c->a, len, c->e);
    if (len > 0)
        memcpy(copy, buf_data(c->out) + s->start, len);
    buf_truncate(c->out, s->start);
    for (size_t i = 0; i < n; i++) {
        /* What the reference wrote for a member that comes again ended the struct. */
        if (i > 0 && f[i].index == f[i - 1].index)
            vom_json_late_leftover(c, f[i].len + 1);
        if (f[i].zero)
            continue;
        vom_put_uint(c->out, (uint64_t)(f[i].index - prev));
        buf_append(c->out, copy + (f[i].start - s->start), f[i].len);
        prev = f[i].index;
    }
    return 0;
}

int vom_json_conv_struct(struct vom_json_conv *c, const struct vom_type *t)
{
    struct struct_state s = {c->n_fields, c->out->len, -1, -1, true};
    uint32_t n;
    int r = vom_json_open(c, &n);

    for (uint32_t i = 0; r == 0 && i < n; i++) {
        r = vom_json_peek(c);
        if (r == 0 && c->token.kind == VOM_TOKEN_OBJECT_END)
            break; /* a comma behind the last member */
        if (r == 0)
            r = struct_member(c, t, &s);
        if (r == 0 && i + 1 < n)
            r = vom_json_expect(c, VOM_TOKEN_COMMA,
                                "expected comma while parsing array, got: ", true, "");
    }
    if (r == 0)
        r = vom_json_expect(c, VOM_TOKEN_OBJECT_END, "expected object terminator '}'. Saw '", false,
                            "'");
    if (r == 0 && !s.sorted)
        r = struct_reorder(c, &s);
    c->n_fields = s.base;
    c->zero = c->out->len == s.start;
    vom_put_uint(c->out, 0);
    return r;
}
