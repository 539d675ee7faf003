/*
 * Reading a payload: a table says which members an object has and where they go.
 *
 * Rules (spec: websocket 5.1): the first JSON value of the text is read; members match their field
 * by name, else ignoring case; unknown members are skipped; a later duplicate wins; null leaves a
 * field as it is; there is no coercion. A list or object within is read as raw text, and then by
 * another table. Any thread.
 */
#ifndef WSPR_READER_H
#define WSPR_READER_H

#include <stddef.h>
#include <stdint.h>
#include "wspr/version.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Text inside the payload, or inside memory of the reading; not ended by NUL. */
struct wspr_span {
    const char *p;
    size_t len;
};

/* A list of texts; raw ones are each the text of one JSON value. */
struct wspr_spans {
    struct wspr_span *items;
    size_t n;
};

enum wspr_field_kind {
    WSPR_FIELD_STRING = 1, /* struct wspr_span: unescaped text */
    WSPR_FIELD_INT64 = 2,  /* int64_t */
    WSPR_FIELD_INT32 = 3,  /* int32_t */
    WSPR_FIELD_UINT64 = 4, /* uint64_t */
    WSPR_FIELD_BOOL = 5,   /* int */
    WSPR_FIELD_RAW = 6,    /* struct wspr_span: the text of any value */
    WSPR_FIELD_RAWS = 7,   /* struct wspr_spans: the elements of a list */
    WSPR_FIELD_DOUBLE = 9, /* double */
    /* RAW and RAWS for values in which no number may be too large for a double ("float64"). */
    WSPR_FIELD_ANY = 10,
    WSPR_FIELD_ANYS = 11,
    WSPR_FIELD_STRINGS = 12, /* struct wspr_spans: the unescaped texts of a list of strings */
};

/* One member of an object, and where it goes. */
struct wspr_field {
    const char *name;
    int kind;              /* enum wspr_field_kind */
    size_t offset;         /* offsetof the member of the target */
    const char *type_name; /* what error texts call it, for example "int64" */
};

struct wspr_reading; /* memory that a reading needed; one free ends it */

/*
 * Decodes the object in text into target, which the caller has filled with defaults. type_name is
 * what error texts call the whole. On success *ret_reading (may come back NULL) owns whatever the
 * target's spans need; they also borrow text. On failure the target is unspecified and a sentence
 * is in error (cut to error_size): WSPR_ETRUNC or WSPR_EINVAL for what is no JSON, WSPR_ETYPE for a
 * member of the wrong type, WSPR_ELIMIT for what nests too deeply, WSPR_ENOMEM; WSPR_EINVAL also
 * for a table of more than 64 rows or with an unknown kind.
 */
WSPR_API int wspr_read_object(const char *text, size_t len, const struct wspr_field *fields,
                              size_t n_fields, const char *type_name, void *target,
                              struct wspr_reading **ret_reading, char *error,
                              size_t error_size) WSPR_MUST_CHECK;
/* The same for text that is no object: one field describes it; name and offset are not used. */
WSPR_API int wspr_read_value(const char *text, size_t len, const struct wspr_field *field,
                             void *target, struct wspr_reading **ret_reading, char *error,
                             size_t error_size) WSPR_MUST_CHECK;
/* Frees what a reading holds, and wipes it. NULL is accepted. */
WSPR_API void wspr_reading_free(struct wspr_reading *reading);

#ifdef __cplusplus
}
#endif

#endif
