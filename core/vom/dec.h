/*
 * VOM decoder: one direction of one flow, or one blob (spec: vom A.1, A.8).
 *
 * Three steps, so that a caller may stop after each: vom_dec_next() finds a complete value message
 * in the input; a vom_reader walks through its body, by the type that the message names;
 * vom_dec_value() does that walk and builds a value. Types live in the decoder until reset or done,
 * strings and bytes in the input, values in the caller's arena.
 */
#ifndef VOM_DEC_H
#define VOM_DEC_H

#include <sys/types.h>

#include "base/arena.h"
#include "base/error.h"
#include "vom/defs.h"
#include "vom/preset.h"
#include "vom/type.h"
#include "vom/value.h"

struct vom_limits {
    size_t message;     /* bytes of one message */
    size_t types;       /* bytes of memory for type definitions */
    size_t definitions; /* number of them */
    unsigned depth;     /* see VOM_DEPTH_MAX, which is also the most that is allowed here */
};

/* 16 MiB, 1 MiB, 4096, VOM_DEPTH_MAX */
extern const struct vom_limits vom_limits_default;

struct vom_dec {
    struct vom_limits limits;
    struct arena arena;
    struct arena *types; /* where types go instead; NULL: arena */
    struct vom_defs defs;
    const struct vom_preset *preset;
    size_t handled; /* bytes at the front of the input that an earlier call dealt with */
    size_t need;
    bool started;
};

struct vom_msg {
    const struct vom_type *type;
    uint64_t id;
    struct span body; /* the value; borrowed from the input */
};

/* limits NULL: the default ones. The struct must not be moved afterwards. */
void vom_dec_init(struct vom_dec *dec, const struct vom_limits *limits);
/* The same with the types in the caller's arena, so that they live as long as the values there. */
void vom_dec_init_in(struct vom_dec *dec, const struct vom_limits *limits, struct arena *types);
/* A fresh stream; memory is kept. Types of the old one are gone. */
void vom_dec_reset(struct vom_dec *dec);
void vom_dec_done(struct vom_dec *dec);
/* The stream probably starts with these definitions; other starts are read as usual. */
void vom_dec_expect(struct vom_dec *dec, const struct vom_preset *preset);

/*
 * Takes type messages and one value message from the front of the input.
 *
 * Returns the bytes taken (> 0) and the message; its type is resolved, its body not looked at. 0:
 * the message is not complete; call again with the same bytes and more behind them (earlier bytes
 * are not looked at again) once there are vom_dec_need() of them. Negative: WSPR_EPROTO,
 * WSPR_ELIMIT, WSPR_ENOMEM; the stream cannot go on.
 */
ssize_t vom_dec_next(struct vom_dec *dec, const void *data, size_t len, struct vom_msg *ret_msg,
                     struct err *err);
/* After a 0: length that the whole input must have at least before it makes sense to call again. */
static inline size_t vom_dec_need(const struct vom_dec *dec)
{
    return dec->need;
}

/*
 * Builds the value of a message, with exactly the wire's types: names are kept, an interface holds
 * the concrete value. Errors: WSPR_ETRUNC ("EOF"), WSPR_EPROTO, WSPR_ETYPE (a number outside its
 * type), WSPR_ELIMIT, WSPR_ENOMEM. The stream stays usable.
 */
int vom_dec_value(struct vom_dec *dec, const struct vom_msg *msg, struct arena *a,
                  struct vom_value *ret_v, struct err *err);

/*
 * One value of a stand-alone blob, with its types in the same arena. *ret_used (may be NULL) is the
 * number of bytes taken; if it is NULL, bytes behind the value are an error (WSPR_EPROTO).
 */
int vom_decode(struct span blob, const struct vom_limits *limits, struct arena *a,
               struct vom_value *ret_v, size_t *ret_used, struct err *err);

/*
 * Pull reader: the caller follows the type, calling for each kind the function that reads it.
 *
 *     static int walk(struct vom_reader *r, const struct vom_type *t)
 *         switch (t->kind)
 *         bool …                     vom_read_bool
 *         byte, uint…                vom_read_uint     (checks the width)
 *         int…                       vom_read_int
 *         float…                     vom_read_float
 *         string, vom_type_is_bytes  vom_read_bytes
 *         slice, array               vom_read_count, then walk(t->elem) as often
 *         map                        vom_read_count, then walk(t->key), walk(t->elem) as often
 *         struct                     index = -1; while (vom_read_field(r, t, &index) > 0)
 *                                        walk(t->fields[index].type)
 *         any                        vom_read_any: 0 nil, 1 walk(content type)
 *         pointer                    vom_read_ptr: 0 nil, > 0 walk(t->elem), or a back reference
 *
 * Call vom_reader_enter before and vom_reader_leave after each composite, pointer or interface,
 * which bounds the depth; announced counts are already bounded by what the message can hold. All
 * functions return a negative error as vom_dec_value does, after which the walk ends.
 * vom_reader_end checks that nothing is left over.
 */
struct vom_reader {
    struct vom_dec *dec;
    const uint8_t *p, *end;
    unsigned depth;
    uint64_t spare; /* elements of types without bytes that may still be announced */
    struct err *err;
};

void vom_reader_init(struct vom_reader *r, struct vom_dec *dec, const struct vom_msg *msg,
                     struct err *err);
int vom_reader_enter(struct vom_reader *r);
static inline void vom_reader_leave(struct vom_reader *r)
{
    r->depth--;
}
int vom_reader_end(struct vom_reader *r);

int vom_read_bool(struct vom_reader *r, bool *ret_v);
int vom_read_uint(struct vom_reader *r, const struct vom_type *t, uint64_t *ret_v);
int vom_read_int(struct vom_reader *r, const struct vom_type *t, int64_t *ret_v);
int vom_read_float(struct vom_reader *r, const struct vom_type *t, double *ret_v);
/* String, bytes, slice or array of byte; borrowed from the message. */
int vom_read_bytes(struct vom_reader *r, const struct vom_type *t, struct span *ret_s);
/* Elements of a slice or array, entries of a map. */
int vom_read_count(struct vom_reader *r, const struct vom_type *t, size_t *ret_n);
/* 1 and the index of the next field that is present (start with -1), 0 at the end. */
int vom_read_field(struct vom_reader *r, const struct vom_type *t, int *index);
/* 1 and the type of the content, 0 for nil. */
int vom_read_any(struct vom_reader *r, const struct vom_type **ret_type);
/* VOM_PTR_NIL; VOM_PTR_NEW: the target follows; VOM_PTR_BACK: the target was the new one with this
 * number (which the reader does not check). */
enum { VOM_PTR_NIL, VOM_PTR_NEW, VOM_PTR_BACK };
int vom_read_ptr(struct vom_reader *r, uint64_t *ret_number);
/* Reads one value and drops it. */
int vom_read_skip(struct vom_reader *r, const struct vom_type *t);
/* Reads one value into the arena; pointers may not refer to ones outside it. */
int vom_read_value(struct vom_reader *r, const struct vom_type *t, struct arena *a,
                   struct vom_value *ret_v);

#endif
