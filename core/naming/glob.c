/*
 * One element is matched by the usual two positions: on a mismatch the last '*' takes one more byte
 * and matching goes on behind it. Only the last star ever needs to be tried again, so the time is
 * bounded by pattern times component.
 */
#include "config.h"
#include "naming/glob.h"

#include "base/utf8.h"
#include "naming/name.h"

static int glob_bad(struct err *e)
{
    return err_set(e, WSPR_EUNKNOWN, "syntax error in pattern");
}

/* Reads one character of a class into *ret_rune; returns what follows it, NULL if malformed. */
static const uint8_t *class_char(const uint8_t *p, const uint8_t *end, uint32_t *ret_rune)
{
    size_t n;

    if (p == end || *p == '-' || *p == ']')
        return NULL;
    if (*p == '\\' && ++p == end)
        return NULL;
    n = utf8_decode(p, (size_t)(end - p), ret_rune);
    if (*ret_rune == UTF8_REPLACEMENT && n == 1)
        return NULL;
    return p + n;
}

/* Looks the character up in the class whose '[' is before p; returns what follows its ']'. */
static const uint8_t *class_match(const uint8_t *p, const uint8_t *end, uint32_t rune,
                                  bool *ret_match)
{
    bool negated = p < end && *p == '^', found = false;
    uint32_t low, high;

    p += negated;
    do {
        p = class_char(p, end, &low);
        if (p == NULL || p == end)
            return NULL;
        high = low;
        if (*p == '-') {
            p = class_char(p + 1, end, &high);
            if (p == NULL || p == end)
                return NULL;
        }
        found = found || (low <= rune && rune <= high);
    } while (*p != ']');
    *ret_match = found != negated;
    return p + 1;
}

static bool element_is_valid(struct span element)
{
    const uint8_t *p = element.p, *end = element.p + element.len;
    bool match;

    while (p < end) {
        uint8_t c = *p++;

        if (c == '[')
            p = class_match(p, end, 0, &match);
        else if (c == '\\')
            p = p < end ? p + 1 : NULL;
        if (p == NULL)
            return false;
    }
    return true;
}

/*
 * Matches one step of a valid pattern (no star) at *s, where at least one byte is left. Moves both
 * positions on if it matches.
 */
static bool element_step(const uint8_t **pattern, const uint8_t *end, const uint8_t **s,
                         const uint8_t *s_end)
{
    const uint8_t *p = *pattern;
    bool match = true;
    uint32_t rune;
    size_t n = 1;

    if (*p == '?' || *p == '[')
        n = utf8_decode(*s, (size_t)(s_end - *s), &rune);
    if (*p == '?') {
        p++;
    } else if (*p == '[') {
        p = class_match(p + 1, end, rune, &match);
    } else {
        p += *p == '\\';
        match = *p++ == **s;
    }
    if (!match)
        return false;
    *pattern = p;
    *s += n;
    return true;
}

/* The element is valid. */
static bool element_match(struct span element, struct span component)
{
    const uint8_t *p = element.p, *end = element.p + element.len;
    const uint8_t *s = component.p, *s_end = component.p + component.len;
    const uint8_t *star = NULL, *star_s = NULL;

    for (;;) {
        if (p < end && *p == '*') {
            star = ++p;
            star_s = s;
        } else if (p == end && s == s_end) {
            return true;
        } else if (p < end && s < s_end && element_step(&p, end, &s, s_end)) {
            continue;
        } else if (star != NULL && star_s < s_end) {
            p = star;
            s = ++star_s;
        } else {
            return false;
        }
    }
}

int naming_glob_parse(struct span pattern, struct naming_glob *ret_glob, struct err *e)
{
    struct naming_glob g = {.text = pattern};
    struct naming_elements it;
    struct span element = span_of(NULL, 0);

    if (pattern.len > NAMING_GLOB_MAX)
        return err_set(e, WSPR_ELIMIT, "pattern too long");
    if (pattern.len > 0 && pattern.p[0] == '/')
        return glob_bad(e);
    naming_elements_init(&it, pattern);
    while (naming_elements_next(&it, &element))
        g.len++;
    if (span_equal_str(element, "...")) {
        g.len--;
        g.recursive = true;
    }
    *ret_glob = g;
    return 0;
}

/* The k-th element, k < len. */
static struct span glob_element(const struct naming_glob *g, size_t k)
{
    struct span element = span_of(NULL, 0);
    struct naming_elements it = {g->text, true};

    for (size_t i = 0; i <= k; i++)
        naming_elements_next(&it, &element);
    return element;
}

int naming_glob_check(const struct naming_glob *g, struct err *e)
{
    struct naming_elements it = {g->text, true};
    struct span element;

    for (size_t i = 0; i < g->len && naming_elements_next(&it, &element); i++) {
        if (!element_is_valid(element))
            return glob_bad(e);
    }
    return 0;
}

bool naming_glob_is_finished(const struct naming_glob *g)
{
    return g->len == 0 && !g->recursive;
}

struct naming_glob naming_glob_skip(const struct naming_glob *g, size_t n)
{
    struct naming_glob rest = *g;
    struct naming_elements it = {g->text, true};
    struct span element;

    if (n > g->len)
        n = g->len;
    for (size_t i = 0; i < n; i++)
        naming_elements_next(&it, &element);
    rest.text = it.left;
    rest.len = g->len - n;
    return rest;
}

int naming_glob_match(const struct naming_glob *g, struct span component,
                      struct naming_glob *ret_rest, struct err *e)
{
    struct span element;

    if (g->len == 0) {
        if (!g->recursive)
            return 0;
        *ret_rest = *g;
        return 1;
    }
    element = glob_element(g, 0);
    if (!element_is_valid(element))
        return glob_bad(e);
    if (!element_match(element, component))
        return 0;
    *ret_rest = naming_glob_skip(g, 1);
    return 1;
}

void naming_glob_format(struct buf *out, const struct naming_glob *g)
{
    /* Empty elements alone are no path at all, where cleaning would make ".". */
    if (naming_name_strip(g->text).len > 0)
        naming_elements_clean(out, g->text);
}

/* Whether the element has no wildcards; ret_plain: not even escaped ones, it stands for itself. */
static bool element_is_fixed(struct span element, bool *ret_plain)
{
    bool special = false, unescaped = false;

    for (size_t i = 0; i < element.len; i++) {
        bool escaped = element.p[i] == '\\' && i + 1 < element.len;

        i += escaped;
        if (memchr("*?[", element.p[i], 3) != NULL) {
            special = true;
            unescaped = unescaped || !escaped;
        }
    }
    *ret_plain = !special;
    return !unescaped;
}

size_t naming_glob_fixed_count(const struct naming_glob *g)
{
    struct naming_elements it = {g->text, true};
    struct span element;
    bool plain;
    size_t n = 0;

    while (n < g->len && naming_elements_next(&it, &element) && element_is_fixed(element, &plain))
        n++;
    return n;
}

void naming_glob_fixed_element(struct buf *out, const struct naming_glob *g, size_t k)
{
    struct span element = glob_element(g, k);
    bool plain;

    element_is_fixed(element, &plain);
    for (size_t i = 0; i < element.len; i++) {
        if (!plain && element.p[i] == '\\' && ++i == element.len)
            break;
        buf_u8(out, element.p[i]);
    }
}
