#include "config.h"
#include "naming/name.h"

void naming_elements_init(struct naming_elements *it, struct span suffix)
{
    it->left = suffix;
    it->more = suffix.len > 0;
}

bool naming_elements_next(struct naming_elements *it, struct span *ret_element)
{
    const uint8_t *slash;
    size_t n;

    if (!it->more)
        return false;
    slash = it->left.len > 0 ? memchr(it->left.p, '/', it->left.len) : NULL;
    it->more = slash != NULL;
    n = slash != NULL ? (size_t)(slash - it->left.p) : it->left.len;
    *ret_element = span_of(it->left.p, n);
    it->left = span_of(it->left.p + n + it->more, it->left.len - n - it->more);
    return true;
}

/* Takes the last element back off what was appended since `start`, unless it is a "..". */
static bool elements_drop(struct buf *out, size_t start)
{
    size_t len = out->len - start, at = len;
    const uint8_t *p;

    if (len == 0)
        return false;
    p = buf_data(out) + start;
    if (len >= 2 && p[len - 1] == '.' && p[len - 2] == '.' && (len == 2 || p[len - 3] == '/'))
        return false;
    while (at > 0 && p[at - 1] != '/')
        at--;
    buf_truncate(out, start + (at > 0 ? at - 1 : 0));
    return true;
}

void naming_elements_clean(struct buf *out, struct span suffix)
{
    size_t start = out->len;
    struct naming_elements it;
    struct span element;

    naming_elements_init(&it, suffix);
    while (naming_elements_next(&it, &element)) {
        if (element.len == 0 || span_equal_str(element, "."))
            continue;
        if (span_equal_str(element, "..") && buf_error(out) == 0 && elements_drop(out, start))
            continue;
        if (out->len > start)
            buf_u8(out, '/');
        buf_append_span(out, element);
    }
    if (out->len == start && suffix.len > 0)
        buf_u8(out, '.');
}
