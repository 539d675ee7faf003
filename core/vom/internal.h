/* Shared by the files of core/vom only. */
#ifndef VOM_INTERNAL_H
#define VOM_INTERNAL_H

#include <stdalign.h>
#include <stddef.h>

#include "base/arena.h"
#include "base/error.h"
#include "vom/type.h"

/* Why the arena gave no n bytes: its maximum, or memory. */
static inline int vom_arena_error(const struct arena *a, size_t n, struct err *err)
{
    size_t left = a->used < a->max ? a->max - a->used : 0;

    if (n > left / alignof(max_align_t) * alignof(max_align_t))
        return err_set(err, WSPR_ELIMIT, "vom: value needs more than %zu bytes of memory", a->max);
    return err_set(err, WSPR_ENOMEM, "out of memory");
}

/* The same for somebody who was told already which of the two it is. */
static inline int vom_arena_failed(const struct arena *a, int why, struct err *err)
{
    return vom_arena_error(a, why == WSPR_ELIMIT ? SIZE_MAX : 0, err);
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
