/* Scalars of one type into another (spec: vom A.9.1). For use inside core/vom. */
#ifndef VOM_FILL_H
#define VOM_FILL_H

#include "base/arena.h"
#include "base/error.h"
#include "vom/value.h"

/* v is a bool or number; *ret_v gets the target type, which may be of any kind. */
int vom_fill_scalar(const struct vom_value *v, const struct vom_type *target,
                    struct vom_value *ret_v, struct err *err);
/* v is a string or bytes; init (may be NULL) is what an array held before. */
int vom_fill_string(struct arena *a, const struct vom_value *v, const struct vom_type *target,
                    const struct vom_value *init, struct vom_value *ret_v, struct err *err);

#endif
