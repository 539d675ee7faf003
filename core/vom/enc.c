/*
 * Writing one value:
 *
 *     out     … | definitions of the type | id, length | value
 *             start                       message      body
 *     defs    definitions of the contents of interfaces, which must stand before the message
 *
 * The value is written behind one byte for the length; in the end the definitions and the true
 * length are inserted. If it fails, `out` is cut at `message` and keeps the definitions, or, if
 * memory or the buffer's limit was the reason, at `start`, and the encoder forgets the new types.
 */
#include "config.h"
#include "vom/enc.h"

#include <assert.h>
#include <stdlib.h>

#include "vom/internal.h"

#define NO_TYPE UINT32_MAX

/*
 * Types that look alike at first and differ only deep inside are slow to tell apart. Nobody but an
 * enemy has many of them; after so many, a descriptor that was not met before is a new type, which
 * is right as well.
 */
#define UNLIKE_MAX 1024

void vom_enc_init(struct vom_enc *enc)
{
    enc->keep = NULL;
    enc->more = NULL;
    enc->cap_types = 0;
    enc->n_types = 0;
    vom_ptrmap_init(&enc->known);
    vom_ptrmap_init(&enc->refs);
    enc->next_ref = 0;
    enc->unlike = 0;
    buf_init(&enc->defs, SIZE_MAX);
    enc->out = NULL;
}

void vom_enc_reset(struct vom_enc *enc)
{
    enc->n_types = 0;
    enc->unlike = 0;
    enc->out = NULL;
    vom_ptrmap_reset(&enc->known);
    vom_ptrmap_reset(&enc->refs);
    buf_reset(&enc->defs);
}

void vom_enc_done(struct vom_enc *enc)
{
    free(enc->more);
    vom_ptrmap_done(&enc->known);
    vom_ptrmap_done(&enc->refs);
    buf_done(&enc->defs);
    vom_enc_init(enc);
}

void vom_enc_keep(struct vom_enc *enc, struct arena *keep)
{
    assert(enc->n_types == 0);
    enc->keep = keep;
}

static struct vom_enc_type *enc_types(struct vom_enc *enc)
{
    return enc->more != NULL ? enc->more : enc->few;
}

static uint32_t hash_span(uint32_t h, struct span s)
{
    for (size_t i = 0; i < s.len; i++)
        h = (h ^ s.p[i]) * UINT32_C(16777619);
    return h;
}

static uint32_t hash_part(uint32_t h, const struct vom_type *t)
{
    return t != NULL ? hash_span((h ^ (uint32_t)t->kind) * UINT32_C(16777619), t->name) : h;
}

/* Equal for types that are the same, never 0; sees as far as the types that it refers to. */
static uint32_t hash_type(const struct vom_type *t)
{
    uint32_t h = UINT32_C(2166136261) ^ (uint32_t)t->len << 8;

    h = hash_part(h, t);
    h = hash_part(h, t->key);
    h = hash_part(h, t->elem);
    for (uint32_t i = 0; i < t->n_fields; i++)
        h = hash_part(hash_span(h, t->fields[i].name), t->fields[i].type);
    return h != 0 ? h : 1;
}

/* Most types are only ever met under the same address: their hash is found out when it is asked. */
static uint32_t enc_hash(struct vom_enc_type *entry)
{
    if (entry->hash == 0)
        entry->hash = hash_type(entry->type);
    return entry->hash;
}

/* Remembers the id for the next time; not being able to is no harm. */
static void enc_remember(struct vom_enc *enc, const struct vom_type *t, uint64_t id)
{
    struct vom_ptrmap_entry *e;

    if (enc->keep != NULL)
        return;
    e = vom_ptrmap_add(&enc->known, t);
    if (e != NULL)
        e->u = id;
}

/* The id of a type, 0 if it has none yet. */
static uint64_t enc_find(struct vom_enc *enc, const struct vom_type *t)
{
    struct vom_enc_type *types = enc_types(enc);
    struct vom_ptrmap_entry *e;
    uint64_t id = vom_type_id(t);
    uint32_t hash;

    if (id != 0)
        return id;
    e = enc->keep == NULL ? vom_ptrmap_find(&enc->known, t) : NULL;
    if (e != NULL)
        return e->u;
    for (size_t i = 0; i < enc->n_types; i++) {
        if (types[i].type == t)
            return VOM_ID_USER + i;
    }
    if (enc->n_types == 0)
        return 0;
    hash = hash_type(t);
    for (size_t i = 0; i < enc->n_types; i++) {
        if (enc_hash(&types[i]) != hash || (types[i].type != t && enc->unlike >= UNLIKE_MAX))
            continue;
        if (vom_type_same(types[i].type, t)) {
            enc_remember(enc, t, VOM_ID_USER + i);
            return VOM_ID_USER + i;
        }
        enc->unlike++;
    }
    return 0;
}

static int enc_unsupported(const struct vom_type *t, struct err *err)
{
    size_t n = 0;

    while (n < t->name.len && t->name.p[n] >= 'a' && t->name.p[n] <= 'z')
        n++;
    return err_set(err, WSPR_EINVAL, "vom: unsupported kind \"%.*s\" type \"%.*s\"", (int)n,
                   (const char *)t->name.p, SPAN_ARG(t->name));
}

static int enc_grow(struct vom_enc *enc, struct err *err)
{
    size_t cap = enc->cap_types > 0 ? enc->cap_types * 2 : 4 * VOM_ENC_INLINE;
    struct vom_enc_type *more = realloc(enc->more, cap * sizeof *more);

    if (more == NULL)
        return err_set(err, WSPR_ENOMEM, "out of memory");
    if (enc->more == NULL)
        memcpy(more, enc->few, sizeof enc->few);
    enc->more = more;
    enc->cap_types = cap;
    return 0;
}

/* Gives a type the next id. */
static int enc_add(struct vom_enc *enc, const struct vom_type *t, struct err *err)
{
    struct vom_enc_type *entry;

    if (enc->n_types == (enc->more != NULL ? enc->cap_types : VOM_ENC_INLINE)) {
        int r = enc_grow(enc, err);

        if (r < 0)
            return r;
    }
    entry = &enc_types(enc)[enc->n_types++];
    entry->type = t;
    entry->hash = 0;
    entry->next = NO_TYPE;
    enc_remember(enc, t, VOM_ID_USER + enc->n_types - 1);
    return 0;
}

/* The id of a child in a definition; a new type gets one and is defined later. */
static int enc_child(struct vom_enc *enc, const struct vom_type *t, struct err *err)
{
    if (t->kind == VOM_KIND_NONE)
        return enc_unsupported(t, err);
    return enc_find(enc, t) != 0 ? 0 : enc_add(enc, t, err);
}

static int enc_children(struct vom_enc *enc, const struct vom_type *t, struct err *err)
{
    int r = 0;

    if (t->key != NULL)
        r = enc_child(enc, t->key, err);
    if (r == 0 && t->elem != NULL)
        r = enc_child(enc, t->elem, err);
    for (uint32_t i = 0; r == 0 && i < t->n_fields; i++)
        r = enc_child(enc, t->fields[i].type, err);
    return r;
}

/* Writes which field of a definition comes next. */
static void put_index(struct buf *b, int *last, int index)
{
    vom_put_uint(b, (uint64_t)(index - *last));
    *last = index;
}

static void put_fields(struct vom_enc *enc, struct buf *b, const struct vom_type *t)
{
    vom_put_uint(b, t->n_fields);
    for (uint32_t i = 0; i < t->n_fields; i++) {
        vom_put_uint(b, 1);
        vom_put_uint(b, enc_find(enc, t->fields[i].type));
        vom_put_uint(b, 1);
        vom_put_bytes(b, t->fields[i].name);
        vom_put_uint(b, 0);
    }
}

/* The fields of a definition in front of Name and Tags. Returns how many the definition has. */
static int put_shape(struct vom_enc *enc, struct buf *b, const struct vom_type *t, int *last)
{
    switch (t->kind) {
    case VOM_KIND_SLICE:
    case VOM_KIND_PTR:
    case VOM_KIND_ARRAY:
        vom_put_int(b, t->kind == VOM_KIND_SLICE ? VOM_ID_SLICE
                       : t->kind == VOM_KIND_PTR ? VOM_ID_PTR
                                                 : VOM_ID_ARRAY);
        put_index(b, last, 0);
        vom_put_uint(b, enc_find(enc, t->elem));
        if (t->kind != VOM_KIND_ARRAY)
            return 1;
        if (t->len > 0) {
            put_index(b, last, 1);
            vom_put_uint(b, t->len);
        }
        return 2;
    case VOM_KIND_MAP:
        vom_put_int(b, VOM_ID_MAP);
        put_index(b, last, 0);
        vom_put_uint(b, enc_find(enc, t->key));
        put_index(b, last, 1);
        vom_put_uint(b, enc_find(enc, t->elem));
        return 2;
    case VOM_KIND_STRUCT:
        vom_put_int(b, VOM_ID_STRUCT);
        if (t->n_fields > 0) {
            put_index(b, last, 0);
            put_fields(enc, b, t);
        }
        return 1;
    default:
        vom_put_int(b, VOM_ID_NAMED);
        put_index(b, last, 0);
        vom_put_uint(b, vom_type_of_kind(t->kind)->id);
        return 1;
    }
}

/* The type message of spec vom A.4. */
static void put_definition(struct vom_enc *enc, struct buf *b, const struct vom_type *t,
                           uint64_t id)
{
    int last = -1, name;
    size_t length;

    vom_put_int(b, -(int64_t)id);
    length = b->len;
    vom_put_uint(b, 0);
    name = put_shape(enc, b, t, &last);
    if (t->name.len > 0) {
        put_index(b, &last, name);
        vom_put_bytes(b, t->name);
    }
    if (t->n_tags > 0) {
        put_index(b, &last, name + 1);
        vom_put_uint(b, t->n_tags);
        for (uint32_t i = 0; i < t->n_tags; i++)
            vom_put_bytes(b, t->tags[i]);
    }
    vom_put_uint(b, 0);
    if (buf_error(b) == 0)
        vom_put_uint_at(b, length, b->len - length - 1);
}

/*
 * Writes the definitions of the type with the last id and of all types it brings along, each before
 * its children's, the first child with its own children before the second (spec: vom A.5).
 */
static int enc_define(struct vom_enc *enc, struct buf *b, struct err *err)
{
    uint32_t top = (uint32_t)enc->n_types - 1;

    while (top != NO_TYPE) {
        uint32_t i = top;
        const struct vom_type *t = enc_types(enc)[i].type;
        size_t n = enc->n_types;
        int r = enc_children(enc, t, err);

        if (r < 0)
            return r;
        put_definition(enc, b, t, VOM_ID_USER + i);
        top = enc_types(enc)[i].next;
        for (size_t child = enc->n_types; child-- > n;) {
            enc_types(enc)[child].next = top;
            top = (uint32_t)child;
        }
    }
    return buf_error(b) != 0 ? err_set(err, buf_error(b), "%s", err_code_text(buf_error(b))) : 0;
}

/* Forgets the types after the first n. */
static void enc_forget(struct vom_enc *enc, size_t n)
{
    if (enc->n_types == n)
        return;
    enc->n_types = n;
    vom_ptrmap_reset(&enc->known);
}

/* The id of a type whose value follows; writes its definitions to b if the stream lacks them. */
static int enc_ensure(struct vom_enc *enc, struct buf *b, const struct vom_type *t,
                      uint64_t *ret_id, struct err *err)
{
    size_t n = enc->n_types, len = b->len;
    int r;

    if (t->kind == VOM_KIND_NONE)
        return enc_unsupported(t, err);
    *ret_id = enc_find(enc, t);
    if (*ret_id != 0)
        return 0;
    if (enc->keep != NULL) {
        t = vom_type_copy(enc->keep, t);
        if (t == NULL)
            return vom_arena_error(enc->keep, sizeof *t, err);
    }
    r = enc_add(enc, t, err);
    if (r == 0)
        r = enc_define(enc, b, err);
    if (r < 0) {
        enc_forget(enc, n);
        buf_truncate(b, len);
        return r;
    }
    *ret_id = VOM_ID_USER + n;
    return 0;
}

void vom_enc_prime(struct vom_enc *enc, struct buf *out, const struct vom_preset *preset)
{
    assert(preset->n <= VOM_ENC_INLINE);
    vom_enc_reset(enc);
    buf_append_span(out, preset->bytes);
    for (size_t i = 0; i < preset->n; i++)
        enc_add(enc, preset->types[i], NULL);
}

/* No value after all; the definitions that were written for it count. */
void vom_enc_abort(struct vom_enc *enc)
{
    struct buf *out = enc->out;

    assert(out != NULL);
    buf_truncate(out, enc->message);
    buf_append_span(out, buf_span(&enc->defs));
    enc->out = NULL;
    if (buf_error(out) != 0) {
        buf_truncate(out, enc->start);
        enc_forget(enc, enc->old_types);
    }
}

/* Nothing was written. */
static int enc_undo(struct vom_enc *enc, int code, struct err *err)
{
    buf_truncate(enc->out, enc->start);
    enc_forget(enc, enc->old_types);
    enc->out = NULL;
    return err_set(err, code, "%s", err_code_text(code));
}

int vom_enc_begin(struct vom_enc *enc, struct buf *out, const struct vom_type *t, struct err *err)
{
    int r;

    assert(enc->out == NULL);
    if (t == NULL)
        return err_set(err, WSPR_EINVAL, "vom: can't encode untyped nil value");
    enc->start = out->len;
    enc->old_types = enc->n_types;
    r = enc_ensure(enc, out, t, &enc->id, err);
    if (r < 0)
        return r;
    vom_ptrmap_reset(&enc->refs);
    enc->next_ref = 0;
    buf_reset(&enc->defs);
    enc->out = out;
    enc->message = out->len;
    vom_put_int(out, (int64_t)enc->id);
    if (enc->id >= VOM_ID_USER || !vom_kind_is_scalar(t->kind))
        vom_put_uint(out, 0);
    enc->body = out->len;
    return 0;
}

int vom_enc_any(struct vom_enc *enc, const struct vom_type *t, struct err *err)
{
    uint64_t id;
    int r = enc_ensure(enc, &enc->defs, t, &id, err);

    if (r == 0)
        vom_put_int(enc->out, (int64_t)id);
    return r;
}

uint64_t vom_enc_new_ref(struct vom_enc *enc)
{
    return ++enc->next_ref;
}

int vom_enc_end(struct vom_enc *enc, struct err *err)
{
    struct buf *out = enc->out;
    size_t defs = enc->defs.len;
    bool sized = enc->id >= VOM_ID_USER || !vom_kind_is_scalar(vom_type_predefined(enc->id)->kind);

    assert(out != NULL);
    if (sized)
        vom_put_uint_at(out, enc->body - 1, out->len - enc->body);
    if (defs > 0 && buf_reserve(out, defs) != NULL) {
        uint8_t *at = buf_data(out) + enc->message;

        memmove(at + defs, at, out->len - enc->message);
        memcpy(at, buf_data(&enc->defs), defs);
        buf_commit(out, defs);
    }
    if (buf_error(out) != 0)
        return enc_undo(enc, buf_error(out), err);
    enc->out = NULL;
    return 0;
}

int vom_enc_value(struct vom_enc *enc, struct buf *out, const struct vom_value *v, struct err *err)
{
    int r = vom_enc_begin(enc, out, v->type, err);

    if (r < 0)
        return r;
    r = vom_enc_put(enc, v, err);
    if (r == 0)
        return vom_enc_end(enc, err);
    if (r != WSPR_EINVAL)
        return enc_undo(enc, r, NULL);
    vom_enc_abort(enc);
    return r;
}

int vom_encode(struct buf *out, const struct vom_value *v, struct err *err)
{
    struct vom_enc enc;
    int r;

    vom_enc_init(&enc);
    r = vom_enc_value(&enc, out, v, err);
    vom_enc_done(&enc);
    return r;
}
