/* <wspr/reader.h> and <wspr/json.h>: nothing of a gateway is needed for these. */
#include "config.h"
#include "gateway/reading.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "json/table.h"
#include "json/tree.h"
#include "json/writer.h"
#include "wspr/json.h"
#include "wspr/reader.h"

#define READ_FIELDS_MAX 64
#define READ_KEEP       4096 /* a reading that took more is not kept for the next one */

struct wspr_reading {
    struct arena arena;
};

_Static_assert(sizeof(struct wspr_span) == sizeof(struct span) &&
                   offsetof(struct wspr_span, len) == offsetof(struct span, len),
               "the spans of plugins are ours");
_Static_assert(sizeof(struct wspr_spans) == sizeof(struct json_spans) &&
                   offsetof(struct wspr_spans, n) == offsetof(struct json_spans, n),
               "the lists of plugins are ours");
_Static_assert((int)WSPR_FIELD_STRING == JSON_FIELD_STRING &&
                   (int)WSPR_FIELD_RAWS == JSON_FIELD_RAWS,
               "the kinds of plugins are ours");
_Static_assert((int)WSPR_FIELD_DOUBLE == JSON_FIELD_DOUBLE &&
                   (int)WSPR_FIELD_STRINGS == JSON_FIELD_STRINGS,
               "the kinds of plugins are ours");
_Static_assert((int)WSPR_FIELD_ANY == JSON_FIELD_ANY && (int)WSPR_FIELD_ANYS == JSON_FIELD_ANYS,
               "the kinds of plugins are ours");

static int tell(const struct err *e, char *error, size_t error_size)
{
    size_t n = strlen(err_text(e));

    if (error_size > 0) {
        if (n >= error_size)
            n = error_size - 1;
        memcpy(error, err_text(e), n);
        error[n] = '\0';
    }
    return e->code;
}

/* For errors that have no more to say than the sentence of the table. */
static int refuse(int code, char *error, size_t error_size)
{
    const struct err e = {.code = code};

    return tell(&e, error, error_size);
}

/* The table is the plugin's own; but ours has kinds that need more than a row of it can say. */
static bool is_kind(int kind)
{
    return (kind >= WSPR_FIELD_STRING && kind <= WSPR_FIELD_RAWS) || kind == WSPR_FIELD_DOUBLE ||
           (kind >= WSPR_FIELD_ANY && kind <= WSPR_FIELD_STRINGS);
}

static struct json_field reading_row(const struct wspr_field *f)
{
    return (struct json_field){f->name, f->kind, f->offset, f->type_name, NULL};
}

/*
 * What a worker lent to this thread while one of its handlers runs. The interface of plugins knows
 * no worker here, because a reading may be made on any thread.
 */
static _Thread_local struct {
    struct wspr_reading *spare;
    bool on;
} lent;

void reading_lend(struct wspr_reading *spare)
{
    lent.spare = spare;
    lent.on = true;
}

struct wspr_reading *reading_take_back(void)
{
    struct wspr_reading *spare = lent.spare;

    lent.spare = NULL;
    lent.on = false;
    return spare;
}

void reading_destroy(struct wspr_reading *reading)
{
    if (reading == NULL)
        return;
    arena_wipe(&reading->arena); /* identities come this way */
    free(reading);
}

static struct wspr_reading *reading_new(size_t len)
{
    struct wspr_reading *reading = lent.spare;

    lent.spare = NULL;
    if (reading == NULL) {
        reading = malloc(sizeof *reading);
        if (reading == NULL)
            return NULL;
        arena_init(&reading->arena, 0);
    }
    reading->arena.max = len * 4 + 65536;
    return reading;
}

/* Hands the memory out, or the error. */
static int reading_end(struct wspr_reading *reading, int r, struct err *e,
                       struct wspr_reading **ret_reading, char *error, size_t error_size)
{
    if (r < 0) {
        tell(e, error, error_size);
        wspr_reading_free(reading);
    } else {
        *ret_reading = reading;
    }
    err_done(e);
    return r;
}

int wspr_read_object(const char *text, size_t len, const struct wspr_field *fields, size_t n_fields,
                     const char *type_name, void *target, struct wspr_reading **ret_reading,
                     char *error, size_t error_size)
{
    struct json_field rows[READ_FIELDS_MAX];
    struct json_table table = {type_name, rows, n_fields, 0};
    struct wspr_reading *reading;
    struct err e = ERR_INIT;

    if (n_fields > READ_FIELDS_MAX)
        return refuse(WSPR_EINVAL, error, error_size);
    for (size_t i = 0; i < n_fields; i++) {
        if (!is_kind(fields[i].kind))
            return refuse(WSPR_EINVAL, error, error_size);
        rows[i] = reading_row(&fields[i]);
    }
    reading = reading_new(len);
    if (reading == NULL)
        return refuse(WSPR_ENOMEM, error, error_size);
    return reading_end(reading,
                       json_decode(span_of(text, len), &table, target, &reading->arena, 0, 0, &e),
                       &e, ret_reading, error, error_size);
}

int wspr_read_value(const char *text, size_t len, const struct wspr_field *field, void *target,
                    struct wspr_reading **ret_reading, char *error, size_t error_size)
{
    struct json_field row = reading_row(field);
    struct wspr_reading *reading;
    struct err e = ERR_INIT;

    if (!is_kind(field->kind))
        return refuse(WSPR_EINVAL, error, error_size);
    reading = reading_new(len);
    if (reading == NULL)
        return refuse(WSPR_ENOMEM, error, error_size);
    return reading_end(
        reading, json_decode_value(span_of(text, len), &row, target, &reading->arena, 0, 0, &e), &e,
        ret_reading, error, error_size);
}

void wspr_reading_free(struct wspr_reading *reading)
{
    if (reading == NULL || !lent.on || lent.spare != NULL) {
        reading_destroy(reading);
        return;
    }
    arena_wipe_recycle(&reading->arena, READ_KEEP);
    lent.spare = reading;
}

size_t wspr_json_quote(char *out, size_t size, const char *text, size_t len)
{
    struct span s = len > 0 ? span_of(text, len) : span_str("");
    size_t n = json_quote_size(s);

    if (n < size) {
        json_quote_into(out, s);
        out[n] = '\0';
    } else if (size > 0) {
        out[0] = '\0';
    }
    return n;
}

int wspr_json_parse(const char *text, size_t len, struct json_object **ret_tree, char *error,
                    size_t error_size)
{
    struct err e = ERR_INIT;
    int r = json_tree_read(span_of(text, len), 0, 0, ret_tree, &e);

    if (r < 0)
        tell(&e, error, error_size);
    err_done(&e);
    return r;
}
