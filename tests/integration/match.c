#include "config.h"
#include "match.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>

#include "base/buf.h"

static long match_index(const struct match_vars *vars, const char *name, size_t len)
{
    for (size_t i = 0; i < vars->n; i++) {
        if (strlen(vars->v[i].name) == len && memcmp(vars->v[i].name, name, len) == 0)
            return (long)i;
    }
    return -1;
}

static void match_add(struct match_vars *vars, const char *name, const char *value, bool captured)
{
    long i = match_index(vars, name, strlen(name));

    if (i < 0) {
        if (vars->n == MATCH_VARS)
            abort();
        i = (long)vars->n++;
    }
    vars->v[i].name = name;
    vars->v[i].captured = captured;
    snprintf(vars->v[i].value, sizeof vars->v[i].value, "%s", value);
}

void match_set(struct match_vars *vars, const char *name, const char *value)
{
    match_add(vars, name, value, false);
}

void match_capture(struct match_vars *vars, const char *name)
{
    match_add(vars, name, "", true);
}

/* At "${NAME}": the length of the whole, and the name; 0 if there is no placeholder. */
static size_t match_placeholder(const char *text, const char **ret_name, size_t *ret_len)
{
    const char *end;

    if (text[0] != '$' || text[1] != '{' || (end = strchr(text, '}')) == NULL)
        return 0;
    *ret_name = text + 2;
    *ret_len = (size_t)(end - text) - 2;
    return (size_t)(end - text) + 1;
}

char *match_expand(const struct match_vars *vars, const char *text)
{
    struct buf out = BUF_INIT(SIZE_MAX);
    const char *name;
    char *copy = NULL;
    size_t len, n;

    for (; *text != '\0'; text += n) {
        n = match_placeholder(text, &name, &len);
        if (n > 0) {
            long i = match_index(vars, name, len);

            if (i < 0 || vars->v[i].value[0] == '\0') {
                buf_done(&out);
                return NULL;
            }
            buf_append_str(&out, vars->v[i].value);
        } else {
            n = 1;
            buf_append(&out, text, 1);
        }
    }
    if (buf_cstr(&out) != NULL && (copy = malloc(out.len + 1)) != NULL)
        memcpy(copy, buf_cstr(&out), out.len + 1);
    buf_done(&out);
    return copy;
}

static bool match_text(struct match_vars *vars, const char *e, const char *g);

/* A captured name takes what can be an endpoint: all up to a quote or a backslash. */
static bool match_captured(struct match_vars *vars, size_t i, const char *e, const char *g)
{
    size_t n = strcspn(g, "\"\\");

    if (n == 0 || n >= sizeof vars->v[i].value)
        return false;
    memcpy(vars->v[i].value, g, n);
    vars->v[i].value[n] = '\0';
    for (size_t j = 0; j < vars->n; j++) {
        if (j != i && vars->v[j].captured && strcmp(vars->v[i].value, vars->v[j].value) == 0)
            n = 0;
    }
    if (n > 0 && match_text(vars, e, g + n))
        return true;
    vars->v[i].value[0] = '\0';
    return false;
}

static bool match_text(struct match_vars *vars, const char *e, const char *g)
{
    const char *name;
    size_t len, n;
    long i;

    for (; *e != '\0'; e += n, g++) {
        n = match_placeholder(e, &name, &len);
        if (n == 0) {
            if (*e != *g)
                return false;
            n = 1;
            continue;
        }
        if (len == 3 && memcmp(name, "ANY", 3) == 0) {
            for (; !match_text(vars, e + n, g); g++) {
                if (*g == '\0')
                    return false;
            }
            return true;
        }
        i = match_index(vars, name, len);
        if (i < 0)
            return false;
        if (vars->v[i].value[0] == '\0')
            return match_captured(vars, (size_t)i, e + n, g);
        len = strlen(vars->v[i].value);
        if (strncmp(g, vars->v[i].value, len) != 0)
            return false;
        return match_text(vars, e + n, g + len);
    }
    return *g == '\0';
}

static bool match_value(struct match_vars *vars, struct json_object *e, struct json_object *g);

static bool match_object(struct match_vars *vars, struct json_object *e, struct json_object *g)
{
    if (json_object_object_length(e) != json_object_object_length(g))
        return false;
    json_object_object_foreach(e, key, value)
    {
        struct json_object *other;

        if (!json_object_object_get_ex(g, key, &other) || !match_value(vars, value, other))
            return false;
    }
    return true;
}

static bool match_number(struct json_object *o)
{
    return json_object_is_type(o, json_type_int) || json_object_is_type(o, json_type_double);
}

static bool match_value(struct match_vars *vars, struct json_object *e, struct json_object *g)
{
    size_t n;

    /* 1e+06 and 1000000 are one number. */
    if (match_number(e) && match_number(g))
        return json_object_get_double(e) == json_object_get_double(g) &&
               json_object_get_int64(e) == json_object_get_int64(g);
    if (json_object_get_type(e) != json_object_get_type(g))
        return false;
    switch (json_object_get_type(e)) {
    case json_type_object:
        return match_object(vars, e, g);
    case json_type_array:
        n = json_object_array_length(e);
        if (n != json_object_array_length(g))
            return false;
        for (size_t i = 0; i < n; i++) {
            if (!match_value(vars, json_object_array_get_idx(e, i),
                             json_object_array_get_idx(g, i)))
                return false;
        }
        return true;
    case json_type_string:
        return match_text(vars, json_object_get_string(e), json_object_get_string(g));
    case json_type_boolean:
        return json_object_get_boolean(e) == json_object_get_boolean(g);
    default:
        return json_object_is_type(g, json_type_null);
    }
}

/* Parses a whole text; NULL also for the text null, which no frame is. */
static struct json_object *match_parse(const char *text)
{
    struct json_tokener *tok = json_tokener_new();
    struct json_object *o = NULL;

    if (tok == NULL)
        return NULL;
    json_tokener_set_flags(tok, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
    o = json_tokener_parse_ex(tok, text, (int)strlen(text) + 1);
    if (json_tokener_get_error(tok) != json_tokener_success ||
        json_tokener_get_parse_end(tok) != strlen(text)) {
        json_object_put(o);
        o = NULL;
    }
    json_tokener_free(tok);
    return o;
}

/* The frame with its data member parsed in place; NULL if it is no such frame. */
static struct json_object *match_parse_frame(const char *text)
{
    struct json_object *frame = match_parse(text), *data = NULL;

    if (json_object_is_type(frame, json_type_object) &&
        json_object_object_get_ex(frame, "data", &data) &&
        json_object_is_type(data, json_type_string))
        data = match_parse(json_object_get_string(data));
    else
        data = NULL;
    if (data == NULL) {
        json_object_put(frame);
        return NULL;
    }
    json_object_object_add(frame, "data", data);
    return frame;
}

/* Same id, same error id, both an error; the words are free. */
static bool match_errors(struct match_vars *vars, struct json_object *e, struct json_object *g)
{
    static const char *const paths[] = {"/id", "/data/type", "/data/message/iD"};

    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        struct json_object *a, *b;

        if (json_pointer_get(e, paths[i], &a) != 0 || json_pointer_get(g, paths[i], &b) != 0 ||
            !match_value(vars, a, b))
            return false;
        if (i == 1 && json_object_get_int64(b) != 2)
            return false;
    }
    return true;
}

enum match_mode match_mode_of(const char *compare)
{
    if (compare == NULL)
        return MATCH_TEXT;
    return strcmp(compare, "json") == 0 ? MATCH_JSON : MATCH_ERROR;
}

bool match_frame(struct match_vars *vars, enum match_mode mode, const char *expected,
                 const char *got)
{
    struct match_vars before = *vars;
    struct json_object *e, *g;
    bool ok;

    if (mode == MATCH_TEXT) {
        ok = match_text(vars, expected, got);
    } else {
        e = match_parse_frame(expected);
        g = match_parse_frame(got);
        ok = e != NULL && g != NULL;
        if (ok)
            ok = mode == MATCH_JSON ? match_value(vars, e, g) : match_errors(vars, e, g);
        json_object_put(e);
        json_object_put(g);
    }
    if (!ok)
        *vars = before;
    return ok;
}
