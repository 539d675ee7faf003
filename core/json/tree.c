/*
 * The tree is built from the outside to the inside: each value is attached to its parent when it is
 * made, so that the root owns everything at any time and an error frees it with one put. Each
 * constructor of json-c gives NULL and each add -1 when memory is short; of an object that was not
 * added we are still the owner. (With every allocation inside json-c 0.16 failing in turn nothing
 * else happens, but that the copy of a name is lost when the table of an object cannot grow.)
 */
#include "config.h"
#include "json/tree.h"

#include <limits.h>
#include <string.h>

#include <json-c/json.h>

#include "json/number.h"

struct tree_builder {
    struct json_reader r;
    struct json_object *root;
    struct json_object *open[JSON_TREE_DEPTH_MAX]; /* from the root to the innermost container */
    size_t depth;
    struct arena names; /* names with escapes */
    struct buf name;    /* of the member whose value comes next, with a NUL */
    struct buf text;    /* scratch */
    struct err *e;
};

static int tree_no_memory(struct tree_builder *b)
{
    return err_set(b->e, WSPR_ENOMEM, "no memory to build a JSON tree");
}

/* Takes child; NULL is the value null. */
static int tree_attach(struct tree_builder *b, struct json_object *child)
{
    struct json_object *parent;
    int r;

    if (b->depth == 0) {
        b->root = child;
        return 0;
    }
    parent = b->open[b->depth - 1];
    if (json_object_is_type(parent, json_type_array))
        r = json_object_array_add(parent, child);
    else
        r = json_object_object_add(parent, buf_cstr(&b->name), child);
    if (r < 0) {
        json_object_put(child);
        return tree_no_memory(b);
    }
    return 0;
}

static int tree_number(struct tree_builder *b, struct json_object **ret)
{
    struct span s;
    const char *text;
    uint64_t u;
    int64_t i;
    double d;

    json_reader_number(&b->r, &s);
    if (!span_equal_str(s, "-0")) {
        if (json_number_parse_int(s, INT64_MIN, INT64_MAX, &i) == JSON_PARSED) {
            *ret = json_object_new_int64(i);
            return 0;
        }
        if (json_number_parse_uint(s, UINT64_MAX, &u) == JSON_PARSED) {
            *ret = json_object_new_uint64(u);
            return 0;
        }
    }
    if (json_number_parse_double(s, &d) != JSON_PARSED)
        return err_set(b->e, WSPR_ELIMIT, "number %.*s is too large",
                       (int)(s.len < 64 ? s.len : 64), (const char *)s.p);
    buf_reset(&b->text);
    buf_append_span(&b->text, s);
    text = buf_cstr(&b->text);
    *ret = text != NULL ? json_object_new_double_s(d, text) : NULL;
    return 0;
}

static int tree_string(struct tree_builder *b, struct json_object **ret)
{
    buf_reset(&b->text);
    json_reader_string_buf(&b->r, &b->text);
    if (buf_error(&b->text) != 0)
        return tree_no_memory(b);
    if (b->text.len > INT_MAX)
        return err_set(b->e, WSPR_ELIMIT, "string too long for a JSON tree");
    *ret = json_object_new_string_len(b->text.len > 0 ? (const char *)buf_data(&b->text) : "",
                                      (int)b->text.len);
    return 0;
}

/* Reads a scalar or opens a container. */
static int tree_value(struct tree_builder *b)
{
    struct json_object *made = NULL;
    enum json_kind kind = json_reader_peek(&b->r);
    bool flag = false;
    int r = 0;

    switch (kind) {
    case JSON_NULL:
        json_reader_null(&b->r);
        return tree_attach(b, NULL);
    case JSON_BOOL:
        json_reader_bool(&b->r, &flag);
        made = json_object_new_boolean(flag);
        break;
    case JSON_NUMBER:
        r = tree_number(b, &made);
        break;
    case JSON_STRING:
        r = tree_string(b, &made);
        break;
    case JSON_ARRAY:
        json_reader_enter_array(&b->r);
        made = json_object_new_array();
        break;
    case JSON_OBJECT:
        json_reader_enter_object(&b->r);
        made = json_object_new_object();
        break;
    }
    if (r < 0)
        return r;
    if (made == NULL)
        return tree_no_memory(b);
    r = tree_attach(b, made);
    if (r < 0 || (kind != JSON_ARRAY && kind != JSON_OBJECT))
        return r;
    if (b->depth == JSON_TREE_DEPTH_MAX)
        return err_set(b->e, WSPR_ELIMIT, "nesting exceeds %d levels", JSON_TREE_DEPTH_MAX);
    b->open[b->depth++] = made;
    return 0;
}

static int tree_name(struct tree_builder *b)
{
    struct span name;
    int r = json_reader_member(&b->r, &b->names, &name);

    if (r < 0)
        return tree_no_memory(b);
    if (r == 0)
        return 0;
    if (name.len > 0 && memchr(name.p, '\0', name.len) != NULL)
        return err_set(b->e, WSPR_EINVAL, "member name with a NUL character");
    buf_reset(&b->name);
    buf_append_span(&b->name, name);
    return buf_cstr(&b->name) != NULL ? 1 : tree_no_memory(b);
}

/* Steps to the next value, closing what ends here. 1 if there is one, 0 at the end. */
static int tree_next(struct tree_builder *b)
{
    while (b->depth > 0) {
        int r;

        if (json_object_is_type(b->open[b->depth - 1], json_type_array))
            r = json_reader_element(&b->r);
        else
            r = tree_name(b);
        if (r != 0)
            return r;
        b->depth--;
    }
    return 0;
}

int json_tree_read_checked(struct span value, struct json_object **ret_tree, struct err *e)
{
    struct tree_builder b = {
        .names = ARENA_INIT(SIZE_MAX),
        .name = BUF_INIT(SIZE_MAX),
        .text = BUF_INIT(SIZE_MAX),
        .e = e,
    };
    int r;

    json_reader_at(&b.r, value);
    do {
        r = tree_value(&b);
        if (r == 0)
            r = tree_next(&b);
    } while (r > 0);
    if (r == 0)
        *ret_tree = b.root;
    else
        json_object_put(b.root);
    arena_done(&b.names);
    buf_done(&b.name);
    buf_done(&b.text);
    return r;
}

int json_tree_read(struct span text, size_t max_depth, unsigned flags,
                   struct json_object **ret_tree, struct err *e)
{
    struct span value;
    int r;

    if (max_depth == 0 || max_depth > JSON_TREE_DEPTH_MAX)
        max_depth = JSON_TREE_DEPTH_MAX;
    r = json_scan(text, max_depth, flags, &value, e);
    return r < 0 ? r : json_tree_read_checked(value, ret_tree, e);
}
