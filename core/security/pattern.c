#include "config.h"
#include "security/pattern.h"

#include "security/identity.h"

bool security_pattern_is_all(struct span pattern)
{
    return pattern.len == 1 && pattern.p[0] == '*';
}

/* Takes the next component off the front; false when there is none left. */
static bool next_component(struct span *rest, struct span *ret)
{
    const uint8_t *slash;

    if (rest->p == NULL)
        return false;
    slash = rest->len > 0 ? memchr(rest->p, '/', rest->len) : NULL;
    if (slash == NULL) {
        *ret = *rest;
        *rest = span_of(NULL, 0);
        return true;
    }
    ret->p = rest->p;
    ret->len = (size_t)(slash - rest->p);
    rest->len -= ret->len + 1;
    rest->p = slash + 1;
    return true;
}

/*
 * Walks pattern and name together. The pattern may go on where the name ends; where the pattern
 * ends the name must end too, unless its last component is a star. spec: security 7
 */
static bool match_name(struct span pattern, struct span name)
{
    struct span p, n;

    /* An empty text is one empty component, but NULL means "nothing left". */
    if (pattern.p == NULL)
        pattern = span_str("");
    if (name.p == NULL)
        name = span_str("");
    while (next_component(&pattern, &p)) {
        if (pattern.p == NULL && security_pattern_is_all(p))
            return true;
        if (!next_component(&name, &n))
            return true;
        if (!span_equal(p, n))
            return false;
    }
    return name.p == NULL;
}

bool security_pattern_match_names(struct span pattern, const struct span *names, size_t n)
{
    if (security_pattern_is_all(pattern))
        return true;
    for (size_t i = 0; i < n; i++) {
        if (match_name(pattern, names[i]))
            return true;
    }
    return false;
}

bool security_pattern_match(struct span pattern, const struct security_identity *id,
                            const struct security_trust *t)
{
    struct span names[SECURITY_CERTS_MAX];

    if (security_pattern_is_all(pattern))
        return true;
    return security_pattern_match_names(pattern, names,
                                        security_identity_names(id, t, names, SECURITY_CERTS_MAX));
}
