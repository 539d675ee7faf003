/*
 * Names, endpoints and patterns from any bytes: nothing may crash, and what was made must have the
 * properties that it was made for. Input: a name; for patterns, what follows the first NUL is the
 * component to match.
 */
#include "config.h"

#include <stdlib.h>

#include "naming/glob.h"
#include "naming/name.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool ok)
{
    if (!ok)
        abort();
}

static void fuzz_endpoint(struct span text)
{
    struct naming_endpoint ep, again;
    char printed[NAMING_ENDPOINT_TEXT_MAX];
    struct err e = ERR_INIT;

    if (naming_endpoint_parse(text, &ep, &e) == 0) {
        size_t n = naming_endpoint_text(&ep, printed);

        require(naming_endpoint_parse(span_of(printed, n), &again, NULL) == 0);
        require(naming_endpoint_equal(&ep, &again));
    } else {
        require(err_text(&e)[0] != '\0');
    }
    err_done(&e);
}

static void fuzz_name(struct span name)
{
    struct buf out = BUF_INIT(1 << 20);
    struct naming_target target;
    struct naming_elements it;
    struct span element;

    naming_name_make_terminal(&out, name);
    require(naming_name_is_terminal(buf_span(&out)));
    buf_reset(&out);
    naming_name_make_resolvable(&out, name);
    buf_reset(&out);
    for (int i = -4; i < 5; i++)
        naming_name_make_terminal_at(&out, name, i);
    buf_reset(&out);
    naming_name_join(&out, name, name);
    buf_reset(&out);
    naming_elements_clean(&out, naming_name_strip(name));
    naming_elements_init(&it, buf_span(&out));
    while (naming_elements_next(&it, &element))
        require(element.len > 0);
    buf_done(&out);
    naming_name_target(name, &target, NULL);
}

static void fuzz_glob(struct span pattern, struct span component)
{
    struct buf out = BUF_INIT(1 << 20);
    struct naming_glob g, rest;
    size_t fixed;

    if (naming_glob_parse(pattern, &g, NULL) < 0)
        return;
    naming_glob_format(&out, &g);
    fixed = naming_glob_fixed_count(&g);
    for (size_t i = 0; i < fixed && i < 16; i++)
        naming_glob_fixed_element(&out, &g, i);
    buf_done(&out);
    if (naming_glob_match(&g, component, &rest, NULL) == 1)
        require(rest.recursive ? rest.len <= g.len : rest.len == g.len - 1);
    if (naming_glob_check(&g, NULL) == 0)
        require(naming_glob_match(&g, component, &rest, NULL) >= 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span all = span_of(data, size);
    const uint8_t *nul = size > 0 ? memchr(data, 0, size) : NULL;
    size_t first = nul != NULL ? (size_t)(nul - data) : size;

    fuzz_endpoint(all);
    fuzz_name(all);
    fuzz_glob(span_of(data, first),
              nul != NULL ? span_of(nul + 1, size - first - 1) : span_of(data, 0));
    return 0;
}
