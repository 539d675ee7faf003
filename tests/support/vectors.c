#include "config.h"
#include "vectors.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hex.h"
#include "tap.h"

struct json_object *vectors_load(const char *name)
{
    char file[256];
    struct json_object *o;

    snprintf(file, sizeof file, "vectors/%s", name);
    o = json_object_from_file(tap_path(file));
    if (o == NULL) {
        fprintf(stderr, "cannot read %s: %s\n", tap_path(file), json_util_get_last_err());
        exit(99);
    }
    return o;
}

struct json_object *vec_get(struct json_object *o, const char *key)
{
    struct json_object *v = NULL;

    if (o == NULL || !json_object_is_type(o, json_type_object))
        return NULL;
    json_object_object_get_ex(o, key, &v);
    return v;
}

const char *vec_str(struct json_object *o, const char *key)
{
    struct json_object *v = vec_get(o, key);

    return v != NULL && json_object_is_type(v, json_type_string) ? json_object_get_string(v) : NULL;
}

int64_t vec_int(struct json_object *o, const char *key)
{
    return json_object_get_int64(vec_get(o, key));
}

int vec_bool(struct json_object *o, const char *key)
{
    return json_object_get_boolean(vec_get(o, key));
}

struct buf vec_hex(const char *hex)
{
    struct buf b = BUF_INIT(SIZE_MAX);

    if (hex == NULL || hex_decode(&b, hex, strlen(hex)) < 0) {
        fprintf(stderr, "malformed hexadecimal text in a vector\n");
        exit(99);
    }
    return b;
}
