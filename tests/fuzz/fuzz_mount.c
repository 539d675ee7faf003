/*
 * The tree of a mount table against a list of what is mounted, and walks over it against a walk
 * over that list. Input: operations, each two bytes (which; length of the text), its text (a suffix
 * or a pattern), for a listing behind it a byte and the suffix that it begins at. The first byte of
 * all says whether expired mounts are left lying about; then nothing is compared.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "naming/name.h"
#include "services/mount_tree.h"
#include "services/mount_walk.h"

#define MODEL_MOUNTS  48
#define MODEL_PATH    256
#define MODEL_ENTRIES 512

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct model_mount {
    char path[MODEL_PATH]; /* clean, "" is the root */
    char server[8];
    int64_t expiry;
};

struct model {
    struct mount_tree tree;
    struct model_mount mounts[MODEL_MOUNTS]; /* youngest first */
    unsigned n;
    int64_t now;
    bool lazy;
    /* The names of a listing. */
    char *listed[2][MODEL_ENTRIES];
    unsigned n_listed[2];
};

static void require(bool ok)
{
    if (!ok)
        abort();
}

/* ---- the list ---- */

/* Whether path is at `above` or below it. */
static bool is_below(const char *path, const char *above)
{
    size_t n = strlen(above);

    return n == 0 || (strncmp(path, above, n) == 0 && (path[n] == '/' || path[n] == '\0'));
}

static bool is_mounted(const struct model *m, const char *path)
{
    for (unsigned i = 0; i < m->n; i++) {
        if (strcmp(m->mounts[i].path, path) == 0)
            return true;
    }
    return false;
}

static bool is_behind_mount(const struct model *m, const char *path)
{
    for (unsigned i = 0; i < m->n; i++) {
        if (strcmp(m->mounts[i].path, path) != 0 && is_below(path, m->mounts[i].path))
            return true;
    }
    return false;
}

static bool leads_on(const struct model *m, const char *path)
{
    for (unsigned i = 0; i < m->n; i++) {
        if (is_below(m->mounts[i].path, path))
            return true;
    }
    return false;
}

static void forget(struct model *m, unsigned i)
{
    memmove(&m->mounts[i], &m->mounts[i + 1], (m->n - i - 1) * sizeof m->mounts[0]);
    m->n--;
}

/* Takes out what matches; server NULL: any. */
static void forget_all(struct model *m, const char *path, const char *server)
{
    for (unsigned i = m->n; i-- > 0;) {
        if (strcmp(m->mounts[i].path, path) == 0 &&
            (server == NULL || strcmp(m->mounts[i].server, server) == 0))
            forget(m, i);
    }
}

/* ---- listings ---- */

static void list_add(struct model *m, int which, struct span name)
{
    if (m->n_listed[which] == MODEL_ENTRIES)
        return;
    m->listed[which][m->n_listed[which]] =
        mem_strndup(name.len > 0 ? (const char *)name.p : "", name.len);
    require(m->listed[which][m->n_listed[which]] != NULL);
    m->n_listed[which]++;
}

static int compare(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void list_children(struct model *m, const char *path, size_t base, struct naming_glob g);

static void list_visit(struct model *m, const char *path, size_t base, struct naming_glob g)
{
    const char *name = path + base + (path[base] == '/');
    bool mounted = is_mounted(m, path);

    if (mounted || g.len == 0)
        list_add(m, 0, span_str(name));
    if (!mounted && !naming_glob_is_finished(&g))
        list_children(m, path, base, g);
}

static void list_children(struct model *m, const char *path, size_t base, struct naming_glob g)
{
    size_t n = strlen(path);

    for (unsigned i = 0; i < m->n; i++) {
        const char *at = m->mounts[i].path + n + (n > 0);
        char child[MODEL_PATH];
        struct naming_glob rest;
        size_t len;
        bool seen = false;

        if (!is_below(m->mounts[i].path, path) || m->mounts[i].path[n] == '\0')
            continue;
        len = strcspn(at, "/");
        snprintf(child, sizeof child, "%.*s", (int)(at + len - m->mounts[i].path),
                 m->mounts[i].path);
        for (unsigned k = 0; k < i && !seen; k++)
            seen = is_below(m->mounts[k].path, child);
        if (!seen && naming_glob_match(&g, span_of(at, len), &rest, NULL) == 1)
            list_visit(m, child, base, rest);
    }
}

static void list_compare(struct model *m)
{
    qsort(m->listed[0], m->n_listed[0], sizeof m->listed[0][0], compare);
    qsort(m->listed[1], m->n_listed[1], sizeof m->listed[0][0], compare);
    require(m->lazy || m->n_listed[0] == m->n_listed[1]);
    for (unsigned i = 0; i < m->n_listed[0] && !m->lazy; i++)
        require(strcmp(m->listed[0][i], m->listed[1][i]) == 0);
    for (int which = 0; which < 2; which++) {
        while (m->n_listed[which] > 0)
            free(m->listed[which][--m->n_listed[which]]);
    }
}

/* ---- operations ---- */

/* The clean form of a suffix; false if it is too long for the model. */
static bool clean(char path[MODEL_PATH], struct span suffix)
{
    struct buf out = BUF_INIT(4096);
    bool fits;

    naming_elements_clean(&out, naming_name_strip(suffix));
    fits = buf_error(&out) == 0 && out.len < MODEL_PATH &&
           (out.len == 0 || memchr(buf_data(&out), 0, out.len) == NULL);
    if (fits)
        snprintf(path, MODEL_PATH, "%.*s", (int)out.len, (const char *)buf_data(&out));
    buf_done(&out);
    return fits;
}

static void op_list(struct model *m, struct span pattern, struct span suffix, unsigned steps)
{
    struct mount_walk w;
    struct mount_node *node;
    struct naming_glob g;
    char path[MODEL_PATH] = "";
    unsigned budget = 0;
    int r = mount_walk_begin(&w, &m->tree, suffix, pattern, NULL);

    if (r == 0) {
        do {
            budget = budget > 0 ? budget : steps + 1;
            r = mount_walk_next(&w, m->now, &budget, &node);
            if (r == 1)
                list_add(m, 1, buf_span(&w.name));
        } while (r == 1 || r == WSPR_EAGAIN);
        require(r == 0);
        require(naming_glob_parse(pattern, &g, NULL) == 0);
        if (clean(path, suffix) && !is_behind_mount(m, path) && leads_on(m, path))
            list_visit(m, path, strlen(path), g);
    }
    mount_walk_end(&w);
    list_compare(m);
}

static void op_mount(struct model *m, struct span suffix, unsigned which)
{
    struct model_mount fresh = {.expiry = m->now + 5 + (which >> 4) * 10};
    int r;

    if (m->n == MODEL_MOUNTS || !clean(fresh.path, suffix))
        return;
    snprintf(fresh.server, sizeof fresh.server, "/s:%u", which >> 3 & 3);
    r = mount_tree_mount(&m->tree, suffix, span_str(fresh.server), fresh.expiry, NULL);
    require(r == 0 || r == WSPR_ENOTFOUND || r == WSPR_ELIMIT);
    require(m->lazy || (r == WSPR_ENOTFOUND) == is_behind_mount(m, fresh.path) || r == WSPR_ELIMIT);
    if (r < 0)
        return;
    forget_all(m, fresh.path, fresh.server);
    memmove(&m->mounts[1], &m->mounts[0], m->n * sizeof m->mounts[0]);
    m->mounts[0] = fresh;
    m->n++;
}

static void op_unmount(struct model *m, struct span suffix, unsigned which)
{
    char path[MODEL_PATH], server[8];
    bool all = (which & 8) != 0;

    if (!clean(path, suffix))
        return;
    snprintf(server, sizeof server, "/s:%u", which >> 4 & 3);
    require(mount_tree_unmount(&m->tree, suffix, all ? span_of(NULL, 0) : span_str(server), m->now,
                               NULL) == 0);
    if (!is_behind_mount(m, path))
        forget_all(m, path, all ? NULL : server);
}

static void op_resolve(struct model *m, struct span suffix)
{
    struct span rest = span_of(NULL, 0), part, left = naming_name_strip(suffix);
    struct mount_node *node = mount_tree_resolve(&m->tree, left, m->now, &rest);
    const char *found = is_mounted(m, "") ? "" : NULL;
    char path[MODEL_PATH] = "";
    struct naming_elements it;
    unsigned i = 0;

    naming_elements_init(&it, left);
    while (found == NULL && naming_elements_next(&it, &part) && part.len > 0 &&
           strlen(path) + part.len + 2 < MODEL_PATH && memchr(part.p, 0, part.len) == NULL) {
        size_t n = strlen(path);

        snprintf(path + n, MODEL_PATH - n, "%s%.*s", n > 0 ? "/" : "", SPAN_ARG(part));
        if (is_mounted(m, path))
            found = path;
    }
    if (node != NULL)
        require(rest.len <= left.len &&
                (rest.len == 0 || memcmp(left.p + left.len - rest.len, rest.p, rest.len) == 0));
    if (m->lazy)
        return;
    require((node != NULL) == (found != NULL));
    if (node == NULL)
        return;
    /* The same servers in the same order. */
    LIST_FOREACH (at, &node->servers) {
        struct mount_server *s = LIST_OBJECT(at, struct mount_server, node);

        while (i < m->n && strcmp(m->mounts[i].path, found) != 0)
            i++;
        require(i < m->n && span_equal_str(span_of(s->text, s->len), m->mounts[i].server));
        require(s->expiry == m->mounts[i].expiry);
        i++;
    }
}

static void op_time(struct model *m, unsigned ticks)
{
    m->now += (int64_t)ticks * 10;
    if (m->lazy) {
        mount_tree_collect(&m->tree, m->now - 100, 3);
        return;
    }
    mount_tree_collect(&m->tree, m->now, UINT32_MAX);
    for (unsigned i = m->n; i-- > 0;) {
        if (m->mounts[i].expiry < m->now)
            forget(m, i);
    }
}

/* One operation; what is left of the input. */
static struct span step(struct model *m, struct span in)
{
    unsigned which = in.p[0], len = in.len > 1 ? in.p[1] : 0;
    struct span text, suffix = span_of(NULL, 0);

    in = span_of(in.p + (in.len > 1 ? 2 : 1), in.len - (in.len > 1 ? 2 : 1));
    len = len < in.len ? len : (unsigned)in.len;
    text = span_of(in.p, len);
    in = span_of(in.p + len, in.len - len);
    if (which % 8 >= 6 && in.len > 0) {
        len = in.p[0] < in.len - 1 ? in.p[0] : (unsigned)in.len - 1;
        suffix = span_of(in.p + 1, len);
        in = span_of(in.p + 1 + len, in.len - 1 - len);
    }
    switch (which % 8) {
    case 0:
    case 1:
    case 2:
        op_mount(m, text, which);
        break;
    case 3:
        op_unmount(m, text, which);
        break;
    case 4:
        op_resolve(m, text);
        break;
    case 5:
        op_time(m, which >> 3);
        break;
    default:
        op_list(m, text, suffix, which >> 3);
    }
    require(m->lazy || m->tree.stats.mounts == m->n);
    return in;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct hash_key key = {{1, 2}};
    static const struct mount_limits limits = {.names = 64, .component = 24, .linger = 1};
    static struct model m;
    struct span in = span_of(data, size);

    if (size == 0)
        return 0;
    m = (struct model){.lazy = (data[0] & 1) != 0, .now = 1000};
    require(mount_tree_init(&m.tree, &limits, &key, NULL) == 0);
    in = span_of(data + 1, size - 1);
    for (unsigned steps = 0; in.len > 0 && steps < 200; steps++)
        in = step(&m, in);
    /* Everything expires, and nothing is left behind. */
    mount_tree_collect(&m.tree, INT64_MAX, UINT32_MAX);
    require(m.tree.stats.mounts == 0 && m.tree.stats.names == 0);
    mount_tree_done(&m.tree);
    return 0;
}
