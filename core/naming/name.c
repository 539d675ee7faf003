#include "config.h"
#include "naming/name.h"

static struct span span_from(struct span s, size_t at)
{
    return at > 0 ? span_of(s.p + at, s.len - at) : s;
}

static bool starts_double(struct span s)
{
    return s.len >= 2 && s.p[0] == '/' && s.p[1] == '/';
}

static bool ends_double(struct span s)
{
    return s.len >= 2 && s.p[s.len - 1] == '/' && s.p[s.len - 2] == '/';
}

/* Length of the run of slashes (or of anything else) at `at`. */
static size_t run_length(struct span s, size_t at, bool slashes)
{
    size_t end = at;

    while (end < s.len && (s.p[end] == '/') == slashes)
        end++;
    return end - at;
}

static struct span strip_right(struct span s)
{
    while (s.len > 0 && s.p[s.len - 1] == '/')
        s.len--;
    return s;
}

struct span naming_name_strip(struct span name)
{
    return span_from(name, run_length(name, 0, true));
}

bool naming_name_is_rooted(struct span name)
{
    return name.len > 0 && name.p[0] == '/' && !starts_double(name);
}

void naming_name_split(struct span name, struct span *ret_address, struct span *ret_rest)
{
    const uint8_t *slash;
    size_t n;

    *ret_address = span_of(name.p, 0);
    *ret_rest = name;
    if (!naming_name_is_rooted(name))
        return;
    slash = memchr(name.p + 1, '/', name.len - 1);
    n = slash != NULL ? (size_t)(slash - name.p) - 1 : name.len - 1;
    *ret_address = span_of(name.p + 1, n);
    *ret_rest = span_from(name, 1 + n);
    /* One slash separates; a longer run is the start of the rest and stays whole. */
    if (ret_rest->len > 0 && !starts_double(*ret_rest))
        *ret_rest = span_from(*ret_rest, 1);
}

bool naming_name_is_terminal(struct span name)
{
    struct span address, rest;

    naming_name_split(name, &address, &rest);
    return rest.len == 0 || starts_double(rest);
}

void naming_name_join_address(struct buf *out, struct span address, struct span name)
{
    address = naming_name_strip(address);
    if (address.len > 0) {
        buf_u8(out, '/');
        buf_append_span(out, address);
        if (name.len > 0 && name.p[0] != '/')
            buf_u8(out, '/');
    }
    buf_append_span(out, name);
}

void naming_name_join(struct buf *out, struct span name, struct span suffix)
{
    bool twice = ends_double(name) || starts_double(suffix);

    name = strip_right(name);
    suffix = naming_name_strip(suffix);
    buf_append_span(out, name);
    if (twice)
        buf_append_str(out, "//");
    else if (name.len > 0 && suffix.len > 0)
        buf_u8(out, '/');
    buf_append_span(out, suffix);
}

/* Appends what naming_name_join_address puts in front of a rest that begins with `first`. */
static void join_address_start(struct buf *out, struct span address, bool rest_has_slash)
{
    if (address.len == 0)
        return;
    buf_u8(out, '/');
    buf_append_span(out, address);
    if (!rest_has_slash)
        buf_u8(out, '/');
}

/* Slashes at which a rest can be made terminal: before each component and at its end. */
static size_t count_slashes(struct span rest)
{
    size_t n = 0;

    for (size_t at = 0; at < rest.len;) {
        size_t len = run_length(rest, at, false);

        n += len > 0;
        at += len;
        at += run_length(rest, at, true);
    }
    return n > 0 && rest.p[rest.len - 1] == '/' ? n + 1 : n;
}

/* Appends rest with its pos-th run of slashes (a leading run is number 0 if it is double) as "//".
 */
static void double_run(struct buf *out, struct span rest, size_t pos)
{
    size_t number = starts_double(rest) ? 0 : 1;

    for (size_t at = 0; at < rest.len;) {
        size_t len = run_length(rest, at, false);

        buf_append(out, rest.p + at, len);
        at += len;
        len = run_length(rest, at, true);
        if (len > 0 && number++ == pos)
            buf_append_str(out, "//");
        else
            buf_append(out, rest.p + at, len);
        at += len;
    }
}

void naming_name_make_terminal_at(struct buf *out, struct span name, int index)
{
    struct span address, rest;
    size_t slashes;
    int64_t pos;

    naming_name_split(name, &address, &rest);
    if (rest.len == 0) {
        naming_name_join_address(out, address, rest);
        return;
    }
    slashes = count_slashes(rest);
    pos = index < 0 ? (int64_t)slashes + index : index;
    if (index >= 0 && (size_t)index >= slashes) {
        rest = strip_right(rest);
        join_address_start(out, address, rest.len == 0 || rest.p[0] == '/');
        buf_append_span(out, rest);
        buf_append_str(out, "//");
    } else if (pos <= 0) {
        join_address_start(out, address, true);
        buf_append_str(out, "//");
        buf_append_span(out, naming_name_strip(rest));
    } else {
        join_address_start(out, address, rest.p[0] == '/');
        double_run(out, rest, (size_t)pos);
    }
}

void naming_name_make_terminal(struct buf *out, struct span name)
{
    naming_name_make_terminal_at(out, name, 0);
}

void naming_name_make_resolvable(struct buf *out, struct span name)
{
    struct span address, rest;
    size_t first, run;

    if (name.len == 1 && name.p[0] == '/') {
        buf_append_span(out, name);
        return;
    }
    naming_name_split(name, &address, &rest);
    if (!naming_name_is_rooted(name) && name.len > 0 && name.p[0] == '/') {
        buf_append_span(out, naming_name_strip(name));
        return;
    }
    first = run_length(rest, 0, false);
    run = run_length(rest, first, true);
    if (rest.len > 0)
        join_address_start(out, address, rest.p[0] == '/');
    else
        naming_name_join_address(out, address, rest);
    buf_append(out, rest.p, first);
    if (run > 0)
        buf_u8(out, '/');
    buf_append_span(out, span_from(rest, first + run));
}

int naming_name_target(struct span name, struct naming_target *ret_target, struct err *e)
{
    struct naming_target target;
    struct span address;
    int r;

    naming_name_split(name, &address, &target.wire_suffix);
    if (address.len == 0)
        return err_set(e, WSPR_EBADARG, "ipc: cannot connect to a non-rooted name");
    target.object_suffix = naming_name_strip(target.wire_suffix);
    r = naming_endpoint_parse(address, &target.endpoint, e);
    if (r < 0)
        return r;
    r = naming_versions_check(target.endpoint.versions, e);
    if (r < 0)
        return r;
    *ret_target = target;
    return 0;
}
