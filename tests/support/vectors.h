/* Reading the recorded vectors, for tests only (json-c trees). */
#ifndef TESTS_VECTORS_H
#define TESTS_VECTORS_H

#include <json-c/json.h>

#include "base/buf.h"

/* Reads "vectors/NAME" of the test tree; ends the program if it cannot. The caller puts it. */
struct json_object *vectors_load(const char *name);
/* Member of an object; NULL if it is absent or null. */
struct json_object *vec_get(struct json_object *o, const char *key);
/* Its text; NULL if it is absent or not a string. Valid as long as the object. */
const char *vec_str(struct json_object *o, const char *key);
int64_t vec_int(struct json_object *o, const char *key);
int vec_bool(struct json_object *o, const char *key);
/* Decodes a hexadecimal text into a fresh buffer; ends the program if it is malformed. */
struct buf vec_hex(const char *hex);

#endif
