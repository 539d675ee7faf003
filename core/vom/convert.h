/*
 * Turning a value into another type by the compatibility rules (spec: vom A.9).
 */
#ifndef VOM_CONVERT_H
#define VOM_CONVERT_H

#include "base/arena.h"
#include "base/error.h"
#include "vom/dec.h"
#include "vom/value.h"

/*
 * Gives v the target type, as if it had been decoded into a variable of that type which held
 * *initial (NULL: zero). The result may share memory with v and initial. Errors: WSPR_ETYPE with a
 * text of spec A.9, WSPR_ELIMIT, WSPR_ENOMEM.
 *
 * An empty interface takes the content's type without names that only the peer knows (spec A.9.3);
 * structs and arrays keep theirs. The error interfaces (vom_type_error, verror.E) take only
 * verror.Standard and pointers to it; other named interfaces take everything.
 */
int vom_convert(struct arena *a, const struct vom_value *v, const struct vom_type *target,
                const struct vom_value *initial, struct vom_value *ret_v, struct err *err);

/* Decodes the value of a message and converts it. */
int vom_dec_convert(struct vom_dec *dec, const struct vom_msg *msg, struct arena *a,
                    const struct vom_type *target, struct vom_value *ret_v, struct err *err);

#endif
