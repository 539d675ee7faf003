#include "config.h"
#include "rpc/signature.h"

#include <stdalign.h>
#include <stddef.h>
#include <stdlib.h>

#include "base/unicode.h"
#include "base/utf8.h"
#include "rpc/header.h"
#include "vom/convert.h"
#include "vom/defs.h"
#include "vom/wiretypes.h"

#define SIG_DEFS_MAX    4096
#define SIG_METHODS_MAX 4096
#define SIG_BAD_MAX     64 /* definitions without a meaning, beyond which nobody looks for more */

void rpc_signature_init(struct rpc_signature *s)
{
    *s = (struct rpc_signature){0};
    arena_init(&s->arena, RPC_SIGNATURE_MAX);
}

void rpc_signature_done(struct rpc_signature *s)
{
    arena_done(&s->arena);
    s->methods = NULL;
    s->n_methods = 0;
}

int rpc_signature_no_room(const struct rpc_signature *s, size_t n, struct err *err)
{
    /* What the arena hands out is rounded up. */
    if (s->arena.max - s->arena.used < n + alignof(max_align_t))
        return err_set(err, WSPR_ELIMIT, "the signature is too large");
    return err_set(err, WSPR_ENOMEM, "out of memory");
}

/* ---- names ---- */

/* A name whose first character is spelled anew. */
struct recased {
    uint8_t first[4];
    size_t n_first;
    struct span rest;
};

static struct recased recase(struct span name, uint32_t (*map)(uint32_t))
{
    struct recased r = {.rest = name};
    uint32_t rune;
    size_t n;

    if (name.len == 0)
        return r;
    n = utf8_decode(name.p, name.len, &rune);
    if (rune == UTF8_REPLACEMENT)
        return r;
    r.n_first = utf8_encode(map(rune), r.first);
    r.rest = span_of(name.p + n, name.len - n);
    return r;
}

static void append_recased(struct buf *out, struct span name, uint32_t (*map)(uint32_t))
{
    struct recased r = recase(name, map);

    buf_append(out, r.first, r.n_first);
    buf_append_span(out, r.rest);
}

void rpc_signature_network_name(struct buf *out, struct span name)
{
    append_recased(out, name, unicode_upper);
}

void rpc_signature_page_name(struct buf *out, struct span name)
{
    append_recased(out, name, unicode_lower);
}

static int compare_methods(const void *a, const void *b)
{
    const struct rpc_sig_method *x = a, *y = b;

    return span_compare(x->name, y->name);
}

static int compare_recased(const void *key, const void *method)
{
    const struct recased *r = key;
    struct span name = ((const struct rpc_sig_method *)method)->name;
    struct span head = span_of(name.p, name.len < r->n_first ? name.len : r->n_first);
    int c = span_compare(span_of(r->first, r->n_first), head);

    return c != 0 ? c : span_compare(r->rest, span_of(name.p + head.len, name.len - head.len));
}

const struct rpc_sig_method *rpc_signature_method(const struct rpc_signature *s, struct span name)
{
    struct recased key = recase(name, unicode_upper);

    if (s->n_methods == 0)
        return NULL;
    return bsearch(&key, s->methods, s->n_methods, sizeof *s->methods, compare_recased);
}

/* ---- building it from the value that the object sent ---- */

/* The definitions of a signature, and which of them turned out to mean nothing. */
struct sig_defs {
    struct vom_defs defs;
    size_t n, n_bad;
    bool *bad;
};

/*
 * An id that means nothing spoils only the methods that use it. To find that out may take as long
 * as there are definitions, so it is not done again and again.
 */
static const struct vom_type *type_of(struct sig_defs *d, const struct vom_value *id)
{
    uint64_t i = id->u - VOM_ID_USER;
    const struct vom_type *t;

    if (id->u == 0 || (i < d->n && (d->bad[i] || d->n_bad == SIG_BAD_MAX)))
        return NULL;
    if (vom_defs_type(&d->defs, id->u, &t, NULL) == 0)
        return t;
    if (i < d->n) {
        d->bad[i] = true;
        d->n_bad++;
    }
    return NULL;
}

/* A list of MethodArgument. */
static int build_args(struct rpc_signature *s, struct sig_defs *defs, const struct vom_value *list,
                      const struct rpc_sig_arg **ret_args, size_t *ret_n, struct err *err)
{
    size_t n = vom_value_len(list);
    struct rpc_sig_arg *args = arena_calloc(&s->arena, n, sizeof *args);

    if (args == NULL)
        return rpc_signature_no_room(s, n * sizeof *args, err);
    for (size_t i = 0; i < n; i++) {
        struct vom_value arg = vom_value_at(list, i);
        struct vom_value type = vom_value_field(&arg, "Type");

        args[i].name = vom_value_field(&arg, "Name").s;
        args[i].type = type_of(defs, &type);
    }
    *ret_args = args;
    *ret_n = n;
    return 0;
}

static int build_method(struct rpc_signature *s, struct sig_defs *defs, struct span name,
                        const struct vom_value *v, struct rpc_sig_method *m, struct err *err)
{
    struct vom_value in = vom_value_field(v, "InArgs"), out = vom_value_field(v, "OutArgs");
    struct vom_value in_stream = vom_value_field(v, "InStream");
    struct vom_value out_stream = vom_value_field(v, "OutStream");
    int r;

    m->name = name;
    r = build_args(s, defs, &in, &m->in, &m->n_in, err);
    if (r == 0)
        r = build_args(s, defs, &out, &m->out, &m->n_out, err);
    m->in_stream = type_of(defs, &in_stream);
    m->out_stream = type_of(defs, &out_stream);
    m->streaming = in_stream.u != 0 || out_stream.u != 0;
    return r;
}

static int build_methods(struct rpc_signature *s, const struct vom_value *v, struct err *err)
{
    struct vom_value typedefs = vom_value_field(v, "TypeDefs");
    struct vom_value methods = vom_value_field(v, "Methods");
    struct sig_defs defs = {.n = vom_value_len(&typedefs)};
    int r;

    vom_defs_init(&defs.defs, &s->arena, SIG_DEFS_MAX);
    defs.defs.catalogue = true;
    r = vom_defs_add_signature(&defs.defs, &typedefs, err);
    if (r < 0)
        return r;
    defs.bad = arena_calloc(&s->arena, defs.n, sizeof *defs.bad);
    if (defs.bad == NULL)
        return rpc_signature_no_room(s, defs.n * sizeof *defs.bad, err);
    s->n_methods = vom_value_len(&methods);
    if (s->n_methods > SIG_METHODS_MAX)
        return err_set(err, WSPR_ELIMIT, "the signature has too many methods");
    s->methods = arena_calloc(&s->arena, s->n_methods, sizeof *s->methods);
    if (s->methods == NULL)
        return rpc_signature_no_room(s, s->n_methods * sizeof *s->methods, err);
    for (size_t i = 0; i < s->n_methods; i++) {
        struct vom_value key = vom_value_key(&methods, i), elem = vom_value_elem(&methods, i);

        r = build_method(s, &defs, key.s, &elem, &s->methods[i], err);
        if (r < 0)
            return r;
    }
    qsort(s->methods, s->n_methods, sizeof *s->methods, compare_methods);
    return 0;
}

int rpc_signature_read(struct rpc_signature *s, const struct rpc_value *v, struct err *err)
{
    struct vom_value value, kept;
    int r;

    r = vom_dec_convert(v->dec, v->msg, &s->arena, &vom_type_ipc_service_signature, &value, err);
    if (r == 0)
        r = vom_value_copy(&s->arena, &value, &kept, err);
    return r == 0 ? build_methods(s, &kept, err) : r;
}

int rpc_signature_result(struct rpc_signature *s, uint32_t i, const struct rpc_value *v,
                         struct err *ret_error, struct err *err)
{
    struct arena scratch = ARENA_INIT(RPC_SIGNATURE_MAX);
    struct vom_value value;
    int r;

    if (i == 0)
        return rpc_signature_read(s, v, err);
    r = vom_dec_value(v->dec, v->msg, &scratch, &value, err);
    if (r == 0 && rpc_error_of_value(&value, ret_error) == WSPR_ETYPE)
        r = err_set(err, WSPR_ETYPE, "the last result is no error");
    arena_done(&scratch);
    return r;
}
