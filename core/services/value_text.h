/*
 * Values as text for people, as the reference's error messages have them: "hello", "[104 105]",
 * "map[x:1]", "{5}" (spec: sample-service 2.1).
 */
#ifndef SERVICES_VALUE_TEXT_H
#define SERVICES_VALUE_TEXT_H

#include "base/buf.h"
#include "vom/value.h"

/*
 * Appends the text. Errors stick to the buffer, whose maximum bounds the work; what is nested too
 * deeply becomes "...". Targets of pointers are shown behind '&'.
 */
void value_text_append(struct buf *out, const struct vom_value *v);

#endif
