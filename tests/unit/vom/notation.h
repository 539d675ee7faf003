/* The notation of types and values in the VOM vectors (spec: vom, at the top). */
#ifndef TESTS_NOTATION_H
#define TESTS_NOTATION_H

#include "base/arena.h"
#include "vectors.h"
#include "vom/value.h"

/* Memory of one vector. */
#define NOTATION_ARENA ARENA_INIT(64 << 20)

/* All three end the program if the notation is not understood. */
const struct vom_type *notation_type(struct arena *a, const char *text);
struct vom_value notation_value(struct arena *a, const struct vom_type *t, struct json_object *o);
/* The type from one member, the value from another. */
struct vom_value notation_member(struct arena *a, struct json_object *o, const char *type,
                                 const char *value);
/* Sets fields that are zero without being all-zero (-0.0, the year 1) to what a decoder sees. */
void notation_normalize(struct vom_value *v);

#endif
