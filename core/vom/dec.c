#include "config.h"
#include "vom/dec.h"

#include <assert.h>
#include <inttypes.h>

#include "vom/internal.h"
#include "vom/varint.h"

const struct vom_limits vom_limits_default = {
    .message = 16 << 20, .types = 1 << 20, .definitions = 4096, .depth = VOM_DEPTH_MAX};

static void dec_start(struct vom_dec *dec)
{
    vom_defs_init(&dec->defs, dec->types != NULL ? dec->types : &dec->arena,
                  dec->limits.definitions);
    dec->handled = 0;
    dec->need = 0;
    dec->started = false;
}

void vom_dec_init_in(struct vom_dec *dec, const struct vom_limits *limits, struct arena *types)
{
    dec->limits = limits != NULL ? *limits : vom_limits_default;
    if (dec->limits.depth > VOM_DEPTH_MAX)
        dec->limits.depth = VOM_DEPTH_MAX;
    arena_init(&dec->arena, dec->limits.types);
    dec->types = types;
    dec->preset = NULL;
    dec_start(dec);
}

void vom_dec_init(struct vom_dec *dec, const struct vom_limits *limits)
{
    vom_dec_init_in(dec, limits, NULL);
}

void vom_dec_reset(struct vom_dec *dec)
{
    arena_reset(&dec->arena);
    dec_start(dec);
}

void vom_dec_done(struct vom_dec *dec)
{
    arena_done(&dec->arena);
    dec_start(dec);
}

void vom_dec_expect(struct vom_dec *dec, const struct vom_preset *preset)
{
    dec->preset = preset;
}

/* The input, from which things are taken until something is incomplete. */
struct input {
    const uint8_t *p;
    size_t len;
    size_t at;
    size_t need; /* length that the whole input must have */
};

/* 1 and the number, 0 if it is incomplete, or an error. */
static int take_varint(struct input *in, uint64_t *ret_v, struct err *err)
{
    size_t need;
    int n = vom_varint(in->p + in->at, in->len - in->at, ret_v, &need);

    if (n < 0)
        return err_set(err, WSPR_EPROTO, VOM_VARINT_TEXT);
    if (n == VOM_VARINT_MORE) {
        in->need = in->at + need;
        return 0;
    }
    in->at += (size_t)n;
    return 1;
}

/* The same for a run of bytes. */
static int take_bytes(struct vom_dec *dec, struct input *in, uint64_t n, struct span *ret_s,
                      struct err *err)
{
    if (n > dec->limits.message)
        return err_set(err, WSPR_ELIMIT, "vom: message of %" PRIu64 " bytes, %zu are allowed", n,
                       dec->limits.message);
    if (n > in->len - in->at) {
        in->need = in->at + (size_t)n;
        return 0;
    }
    *ret_s = span_of(in->p + in->at, (size_t)n);
    in->at += (size_t)n;
    return 1;
}

static int take_sized(struct vom_dec *dec, struct input *in, struct span *ret_s, struct err *err)
{
    uint64_t n;
    int r = take_varint(in, &n, err);

    return r > 0 ? take_bytes(dec, in, n, ret_s, err) : r;
}

/* The value of a primitive id, which has no length in front (spec: vom A.1). */
static int take_primitive(struct vom_dec *dec, struct input *in, enum vom_kind kind,
                          struct span *ret_s, struct err *err)
{
    size_t start = in->at;
    uint64_t n;
    int r;

    if (kind == VOM_KIND_BOOL || kind == VOM_KIND_BYTE)
        return take_bytes(dec, in, 1, ret_s, err);
    r = kind == VOM_KIND_STRING || kind == VOM_KIND_BYTES ? take_sized(dec, in, ret_s, err)
                                                          : take_varint(in, &n, err);
    if (r > 0)
        *ret_s = span_of(in->p + start, in->at - start);
    return r;
}

static int take_value(struct vom_dec *dec, struct input *in, uint64_t id, struct vom_msg *ret_msg,
                      struct err *err)
{
    struct vom_msg msg = {.id = id};
    int r = vom_defs_type(&dec->defs, id, &msg.type, err);

    if (r < 0)
        return r;
    if (id < VOM_ID_USER && vom_kind_is_scalar(msg.type->kind))
        r = take_primitive(dec, in, msg.type->kind, &msg.body, err);
    else
        r = take_sized(dec, in, &msg.body, err);
    if (r > 0)
        *ret_msg = msg;
    return r;
}

static int take_definition(struct vom_dec *dec, struct input *in, uint64_t id, struct err *err)
{
    struct vom_msg msg = {.id = id};
    int r = take_sized(dec, in, &msg.body, err);

    if (r <= 0)
        return r;
    r = vom_dec_definition(dec, &msg, err);
    return r < 0 ? r : 1;
}

/* These ids are never used; a decoder skips them as it would white space (spec: vom A.1). */
static bool is_filler(uint8_t c)
{
    return (c >= 0x09 && c <= 0x0d) || c == 0x20;
}

/*
 * A stream that begins like the expected definitions is told apart from them by its first other
 * byte; until then there is no value in it.
 */
static int dec_preset(struct vom_dec *dec, struct input *in, struct err *err)
{
    const struct vom_preset *preset = dec->preset;
    size_t n = preset->bytes.len < in->len ? preset->bytes.len : in->len;
    int r = 0;

    if (memcmp(in->p, preset->bytes.p, n) != 0) {
        dec->started = true;
        return 1;
    }
    if (n < preset->bytes.len) {
        in->need = in->len + 1;
        return 0;
    }
    for (size_t i = 0; r == 0 && i < preset->n; i++)
        r = vom_defs_set(&dec->defs, VOM_ID_USER + i, preset->types[i], err);
    if (r < 0)
        return r;
    dec->started = true;
    in->at = n;
    dec->handled = n;
    return 1;
}

/* 1 if a value message was taken, 0 if the input ends first. */
static int dec_messages(struct vom_dec *dec, struct input *in, struct vom_msg *ret_msg,
                        struct err *err)
{
    uint64_t u;
    int64_t id;
    int r;

    for (;;) {
        while (in->at < in->len && is_filler(in->p[in->at]))
            in->at++;
        dec->handled = in->at;
        if (in->at < in->len && in->p[in->at] == '[')
            return err_set(err, WSPR_EPROTO, "vom: the text form of streams is not supported");
        r = take_varint(in, &u, err);
        if (r <= 0)
            return r;
        id = vom_varint_signed(u);
        if (id >= 0)
            return take_value(dec, in, (uint64_t)id, ret_msg, err);
        r = take_definition(dec, in, 0 - (uint64_t)id, err);
        if (r <= 0)
            return r;
    }
}

ssize_t vom_dec_next(struct vom_dec *dec, const void *data, size_t len, struct vom_msg *ret_msg,
                     struct err *err)
{
    struct input in = {.p = data, .len = len, .at = dec->handled};
    int r = 1;

    assert(dec->handled <= len);
    if (len == 0) {
        dec->need = 1;
        return 0;
    }
    if (dec->preset != NULL && !dec->started)
        r = dec_preset(dec, &in, err);
    if (r > 0)
        r = dec_messages(dec, &in, ret_msg, err);
    if (r < 0)
        return r;
    if (r == 0) {
        dec->need = in.need;
        return 0;
    }
    dec->started = true;
    dec->handled = 0;
    return (ssize_t)in.at;
}

int vom_decode(struct span blob, const struct vom_limits *limits, struct arena *a,
               struct vom_value *ret_v, size_t *ret_used, struct err *err)
{
    struct vom_dec dec;
    struct vom_msg msg;
    ssize_t n;
    int r;

    vom_dec_init_in(&dec, limits, a);
    n = vom_dec_next(&dec, blob.p, blob.len, &msg, err);
    if (n <= 0)
        r = n < 0 ? (int)n : err_set(err, WSPR_ETRUNC, "EOF");
    else if (ret_used == NULL && (size_t)n < blob.len)
        r = err_set(err, WSPR_EPROTO, "vom: %zu bytes behind the value", blob.len - (size_t)n);
    else
        r = vom_dec_value(&dec, &msg, a, ret_v, err);
    if (r == 0 && ret_used != NULL)
        *ret_used = (size_t)n;
    vom_dec_done(&dec);
    return r;
}
