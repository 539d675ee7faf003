/*
 * Decoding an object into a C struct by a table of its members, with the rules of the reference's
 * decoder (spec: websocket 5.1): names match exactly or else ignoring case (Unicode simple
 * folding), members apply in document order, null keeps what is there, nothing is coerced, unknown
 * members are skipped.
 *
 * The first value that does not fit its field is reported as "json: cannot unmarshal KIND into Go
 * value of type T" after everything else was decoded, except that a number where no number fits
 * ends decoding at once and is the error that is reported.
 *
 * The caller fills the target with defaults before. Spans in it point into the text or into the
 * arena and live as long as the shorter lived of these. After an error the target is unspecified
 * but safe to read.
 *
 *     static const struct json_field fields[] = {
 *         {"id", JSON_FIELD_INT64, offsetof(struct x, id), "int64"},
 *         {"names", JSON_FIELD_STRINGS, offsetof(struct x, names), "[]string"},
 *     };
 *     static const struct json_table x_table = JSON_TABLE(struct x, "pkg.X", fields);
 */
#ifndef JSON_TABLE_H
#define JSON_TABLE_H

#include <stdint.h>
#include "json/reader.h"

enum json_field_kind {
    JSON_FIELD_STRING = 1, /* struct span: unescaped */
    JSON_FIELD_INT64 = 2,  /* int64_t */
    JSON_FIELD_INT32 = 3,  /* int32_t */
    JSON_FIELD_UINT64 = 4, /* uint64_t */
    JSON_FIELD_BOOL = 5,   /* int, 0 or 1 */
    JSON_FIELD_RAW = 6,    /* struct span: text of any value, null included; p is NULL if absent */
    JSON_FIELD_RAWS = 7,   /* struct json_spans: texts of the elements of a list */
    JSON_FIELD_UINT32 = 8, /* uint32_t */
    JSON_FIELD_DOUBLE = 9, /* double */
    /*
     * Like RAW and RAWS for values that the reference turns into its own generic form: a number in
     * them, at any depth, that no double can hold is a type error ("float64").
     */
    JSON_FIELD_ANY = 10,
    JSON_FIELD_ANYS = 11,
    JSON_FIELD_STRINGS = 12,  /* struct json_spans: a list of strings, null elements are "" */
    JSON_FIELD_OBJECT = 13,   /* the struct of `sub`, in place */
    JSON_FIELD_OPTIONAL = 14, /* pointer to the struct of `sub` (arena), NULL if absent or null */
    JSON_FIELD_LIST = 15, /* struct json_list: structs of `sub` (arena), null elements are zero */
    JSON_FIELD_MAP = 16,  /* struct json_map: names with structs of `sub` (arena) */
};

struct json_table;

struct json_field {
    const char *name; /* as written in texts, ASCII */
    int kind;
    size_t offset;
    const char *type_name; /* what error texts call the field, "int64", "[]string" … */
    const struct json_table *sub;
};

/* Tables may not contain themselves. */
struct json_table {
    const char *type_name; /* what error texts call the whole */
    const struct json_field *fields;
    size_t n_fields;
    size_t size; /* of the struct; an element that the table makes itself starts as zeros */
};

#define JSON_TABLE(type, type_name, fields)                                                        \
    {                                                                                              \
        type_name, fields, sizeof(fields) / sizeof(fields)[0], sizeof(type)                        \
    }

struct json_spans {
    struct span *items;
    size_t n;
};

struct json_list {
    void *items; /* n structs of the sub-table's size */
    size_t n;
};

struct json_entry {
    struct span name;
    void *value;
};

/* Entries are sorted by name (bytewise) and each name occurs once. */
struct json_map {
    struct json_entry *items;
    size_t n;
};

/*
 * Decodes the first value of text. Errors: those of json_scan (the target is untouched then),
 * WSPR_ETYPE for a value that does not fit, WSPR_ENOMEM, WSPR_ELIMIT (arena).
 */
int json_decode(struct span text, const struct json_table *t, void *target, struct arena *a,
                size_t max_depth, unsigned flags, struct err *e);
/* The same for text that is no object: one field describes it; name and offset are not used. */
int json_decode_value(struct span text, const struct json_field *f, void *target, struct arena *a,
                      size_t max_depth, unsigned flags, struct err *e);

/* Whether a member name matches a field name (ASCII), exactly or by simple folding. */
bool json_name_matches(struct span name, const char *field);

#endif
