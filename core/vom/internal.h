/* Shared by the files of core/vom only. */
#ifndef VOM_INTERNAL_H
#define VOM_INTERNAL_H

#include "base/arena.h"
#include "base/error.h"
#include "vom/type.h"

/* Why the arena gave no n bytes: its maximum, or memory. */
static inline int vom_arena_error(const struct arena *a, size_t n, struct err *err)
{
    if (n > a->max || a->used > a->max - n)
        return err_set(err, WSPR_ELIMIT, "vom: value needs more than %zu bytes of memory", a->max);
    return err_set(err, WSPR_ENOMEM, "out of memory");
}

static inline int vom_depth_error(struct err *err)
{
    return err_set(err, WSPR_ELIMIT, "vom: value is nested too deeply");
}

/* The names of the definition messages' ids. */
enum {
    VOM_ID_NAMED = 8,
    VOM_ID_SLICE = 9,
    VOM_ID_ARRAY = 10,
    VOM_ID_MAP = 11,
    VOM_ID_STRUCT = 12,
    VOM_ID_PTR = 13
};

struct vom_dec;
struct vom_msg;
/* Takes in the definition of type msg->id. */
int vom_dec_definition(struct vom_dec *dec, const struct vom_msg *msg, struct err *err);

/* The default-initialized time. */
extern const uint8_t vom_time_zero[15];

#endif
