/*
 * Nodes hang on their parents in two ways: in a list of siblings, which walks follow, and in one
 * hash table for the whole tree, keyed by (parent, component), which look-ups use. A look-up costs
 * one step for each component however many names there are, and a directory needs no table of its
 * own.
 *
 * A node that is not the root leads somewhere: it has a mount (perhaps an expired one) or live
 * children. Whoever takes away the last of these prunes it. Walks pin the nodes that they stand on:
 * a pinned node that is pruned becomes dead, is not found any more, and keeps its place in the
 * list.
 */
#include "config.h"
#include "services/mount_tree.h"

#include <assert.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/clock.h"
#include "services/mount_heap.h"

#define BUCKETS_FIRST 64
#define SUFFIX_MAX    65536

static const struct mount_limits limits_default = {
    .names = 1 << 20,
    .mounts = 1 << 20,
    .servers = 256,
    .depth = 128,
    .component = 255,
    .server = 1024,
    .bytes = (size_t)512 << 20,
    .linger = 3 * CLOCK_S,
};

static void limits_fill(struct mount_limits *l)
{
    const struct mount_limits *d = &limits_default;

    l->names = l->names != 0 ? l->names : d->names;
    l->mounts = l->mounts != 0 ? l->mounts : d->mounts;
    l->servers = l->servers != 0 ? l->servers : d->servers;
    l->depth = l->depth != 0 ? l->depth : d->depth;
    l->component = l->component != 0 ? l->component : d->component;
    l->server = l->server != 0 ? l->server : d->server;
    l->bytes = l->bytes != 0 ? l->bytes : d->bytes;
    l->linger = l->linger != 0 ? l->linger : d->linger;
    if (l->component > MOUNT_COMPONENT_MAX)
        l->component = MOUNT_COMPONENT_MAX;
}

/* ---- nodes ---- */

static size_t node_size(const struct mount_node *n)
{
    return sizeof *n + n->len;
}

static struct mount_node *node_new(struct span text)
{
    struct mount_node *n = calloc(1, sizeof *n + text.len);

    if (n == NULL)
        return NULL;
    list_init(&n->sibling);
    list_init(&n->children);
    list_init(&n->servers);
    n->len = (uint16_t)text.len;
    if (text.len > 0)
        memcpy(n->text, text.p, text.len);
    return n;
}

static uint32_t child_hash(const struct mount_tree *t, const struct mount_node *parent,
                           struct span text)
{
    uint8_t key[sizeof parent + MOUNT_COMPONENT_MAX];

    memcpy(key, &parent, sizeof parent);
    if (text.len > 0)
        memcpy(key + sizeof parent, text.p, text.len);
    return hash_bytes(&t->key, key, sizeof parent + text.len);
}

static struct mount_node *child_find(struct mount_tree *t, const struct mount_node *parent,
                                     struct span text)
{
    struct mount_node *n;
    uint32_t hash;

    if (text.len > t->limits.component || parent->n_live == 0)
        return NULL;
    hash = child_hash(t, parent, text);
    for (n = t->buckets[hash & (t->n_buckets - 1)]; n != NULL; n = n->chain) {
        t->stats.steps++;
        if (n->hash == hash && n->parent == parent && span_equal(span_of(n->text, n->len), text))
            return n;
    }
    return NULL;
}

/* More buckets if they are to be had; without them look-ups become slower, not wrong. */
static void buckets_grow(struct mount_tree *t)
{
    uint32_t n = t->n_buckets * 2;
    struct mount_node **buckets = calloc(n, sizeof buckets[0]);

    if (buckets == NULL)
        return;
    for (uint32_t i = 0; i < t->n_buckets; i++) {
        for (struct mount_node *node = t->buckets[i], *after; node != NULL; node = after) {
            after = node->chain;
            node->chain = buckets[node->hash & (n - 1)];
            buckets[node->hash & (n - 1)] = node;
        }
    }
    free(t->buckets);
    t->stats.bytes += (n - t->n_buckets) * sizeof buckets[0];
    t->buckets = buckets;
    t->n_buckets = n;
}

static int child_add(struct mount_tree *t, struct mount_node *parent, struct span text,
                     struct mount_node **ret, struct err *err)
{
    struct mount_node *n, **bucket;

    if (t->stats.names >= t->limits.names)
        return err_set(err, WSPR_ELIMIT, "the mount table is full: it may have %u names",
                       t->limits.names);
    if (t->stats.bytes + sizeof *n + text.len > t->limits.bytes)
        return err_set(err, WSPR_ELIMIT, "the mount table is full: it may take %zu bytes",
                       t->limits.bytes);
    n = node_new(text);
    if (n == NULL)
        return err_set(err, WSPR_ENOMEM, "out of memory");
    if (t->stats.names >= t->n_buckets)
        buckets_grow(t);
    n->parent = parent;
    n->hash = child_hash(t, parent, text);
    bucket = &t->buckets[n->hash & (t->n_buckets - 1)];
    n->chain = *bucket;
    *bucket = n;
    list_push_back(&parent->children, &n->sibling);
    parent->n_live++;
    t->stats.names++;
    t->stats.bytes += node_size(n);
    *ret = n;
    return 0;
}

/* Frees a dead node that nobody stands on, and those above it that waited for it. */
static void node_release(struct mount_tree *t, struct mount_node *n)
{
    while (n->dead && n->pins == 0 && list_empty(&n->children)) {
        struct mount_node *parent = n->parent;

        list_remove(&n->sibling);
        t->stats.bytes -= node_size(n);
        free(n);
        n = parent;
    }
}

/* Takes one node out that leads to nothing. It may still be there if it is pinned. */
static void node_kill(struct mount_tree *t, struct mount_node *n)
{
    struct mount_node **at = &t->buckets[n->hash & (t->n_buckets - 1)];

    assert(n->parent != NULL && !n->dead && !n->mounted && n->n_live == 0);
    while (*at != n)
        at = &(*at)->chain;
    *at = n->chain;
    n->dead = true;
    n->parent->n_live--;
    t->stats.names--;
    node_release(t, n);
}

void mount_node_prune(struct mount_tree *t, struct mount_node *n)
{
    while (n->parent != NULL && !n->dead && !n->mounted && n->n_live == 0) {
        struct mount_node *parent = n->parent;

        node_kill(t, n);
        n = parent;
    }
}

void mount_node_pin(struct mount_node *n)
{
    n->pins++;
}

void mount_node_unpin(struct mount_tree *t, struct mount_node *n)
{
    n->pins--;
    node_release(t, n);
}

struct mount_node *mount_node_child(struct mount_node *n, struct mount_node *after)
{
    struct list *node = after != NULL ? after->sibling.next : n->children.next;

    for (; node != &n->children; node = node->next) {
        struct mount_node *child = LIST_OBJECT(node, struct mount_node, sibling);

        if (!child->dead)
            return child;
    }
    return NULL;
}

bool mount_node_leads_on(struct mount_tree *t, struct mount_node *n, int64_t now)
{
    struct mount_node *at = n;

    for (;;) {
        struct mount_node *child;

        if (at != n && at->mounted && mount_node_refresh(t, at, now))
            return true;
        child = mount_node_child(at, NULL);
        if (child != NULL) {
            at = child;
            continue;
        }
        if (at == n)
            return false;
        child = at;
        at = at->parent;
        node_kill(t, child);
    }
}

/* ---- mounts ---- */

static void server_free(struct mount_tree *t, struct mount_server *s)
{
    mount_heap_remove(t, s);
    list_remove(&s->node);
    if (list_empty(&s->name->servers))
        s->name->mounted = false;
    t->stats.bytes -= sizeof *s + s->len;
    free(s);
}

bool mount_node_refresh(struct mount_tree *t, struct mount_node *n, int64_t now)
{
    LIST_FOREACH_SAFE (node, after, &n->servers) {
        struct mount_server *s = LIST_OBJECT(node, struct mount_server, node);

        if (now > s->expiry) {
            server_free(t, s);
            t->stats.expired++;
        }
    }
    return n->mounted;
}

static struct mount_server *server_find(const struct mount_node *n, struct span text,
                                        uint32_t *ret_n)
{
    *ret_n = 0;
    LIST_FOREACH (node, &n->servers) {
        struct mount_server *s = LIST_OBJECT(node, struct mount_server, node);

        if (span_equal(span_of(s->text, s->len), text))
            return s;
        ++*ret_n;
    }
    return NULL;
}

static int server_add(struct mount_tree *t, struct mount_node *n, struct span text, int64_t expiry,
                      struct err *err)
{
    struct mount_server *s;
    uint32_t others;

    s = server_find(n, text, &others);
    if (s != NULL) {
        s->expiry = expiry;
        mount_heap_move(t, s);
        list_remove(&s->node);
        list_push_front(&n->servers, &s->node);
        return 0;
    }
    if (others >= t->limits.servers)
        return err_set(err, WSPR_ELIMIT, "a name may have %u servers", t->limits.servers);
    if (t->stats.mounts >= t->limits.mounts)
        return err_set(err, WSPR_ELIMIT, "the mount table is full: it may have %u mounts",
                       t->limits.mounts);
    if (t->stats.bytes + sizeof *s + text.len > t->limits.bytes)
        return err_set(err, WSPR_ELIMIT, "the mount table is full: it may take %zu bytes",
                       t->limits.bytes);
    s = calloc(1, sizeof *s + text.len);
    if (s == NULL || mount_heap_reserve(t) < 0) {
        free(s);
        return err_set(err, WSPR_ENOMEM, "out of memory");
    }
    s->name = n;
    s->expiry = expiry;
    s->len = (uint32_t)text.len;
    if (text.len > 0)
        memcpy(s->text, text.p, text.len);
    mount_heap_add(t, s);
    t->stats.bytes += sizeof *s + text.len;
    list_push_front(&n->servers, &s->node);
    n->mounted = true;
    return 0;
}

/* ---- operations ---- */

static int suffix_clean(struct buf *out, struct span suffix, struct err *err)
{
    int r;

    *out = BUF_INIT(SUFFIX_MAX);
    naming_elements_clean(out, naming_name_strip(suffix));
    r = buf_error(out);
    if (r == 0)
        return 0;
    buf_done(out);
    if (r == WSPR_ELIMIT)
        return err_set(err, WSPR_ELIMIT, "a name may have %d bytes", SUFFIX_MAX);
    return err_set(err, WSPR_ENOMEM, "out of memory");
}

/* Whether a cleaned name is within the limits. */
static int name_check(const struct mount_tree *t, struct span name, struct err *err)
{
    struct naming_elements it;
    struct span element;
    uint32_t n = 0;

    naming_elements_init(&it, name);
    while (naming_elements_next(&it, &element)) {
        if (element.len > t->limits.component)
            return err_set(err, WSPR_ELIMIT, "a component of a name may have %u bytes",
                           t->limits.component);
        n++;
    }
    if (n > t->limits.depth)
        return err_set(err, WSPR_ELIMIT, "a name may have %u components", t->limits.depth);
    return 0;
}

static int not_found(struct err *err)
{
    return err_set(err, WSPR_ENOTFOUND, "Name doesn't exist");
}

/* The node of a cleaned name, made if need be. */
static int node_make(struct mount_tree *t, struct span name, struct mount_node **ret,
                     struct err *err)
{
    struct mount_node *at = t->root, *next;
    struct naming_elements it;
    struct span element;

    naming_elements_init(&it, name);
    while (naming_elements_next(&it, &element)) {
        int r;

        if (at->mounted)
            return not_found(err);
        next = child_find(t, at, element);
        r = next != NULL ? 0 : child_add(t, at, element, &next, err);
        if (r < 0) {
            mount_node_prune(t, at);
            return r;
        }
        at = next;
    }
    *ret = at;
    return 0;
}

int mount_tree_mount(struct mount_tree *t, struct span suffix, struct span server, int64_t expiry,
                     struct err *err)
{
    struct mount_node *n = NULL;
    struct buf name;
    int r;

    if (server.len > t->limits.server)
        return err_set(err, WSPR_ELIMIT, "the name of a server may have %u bytes",
                       t->limits.server);
    r = suffix_clean(&name, suffix, err);
    if (r < 0)
        return r;
    r = name_check(t, buf_span(&name), err);
    if (r == 0)
        r = node_make(t, buf_span(&name), &n, err);
    buf_done(&name);
    if (r < 0)
        return r;
    r = server_add(t, n, server, expiry, err);
    if (r < 0)
        mount_node_prune(t, n);
    return r;
}

int mount_tree_find(struct mount_tree *t, struct span suffix, struct mount_node **ret,
                    struct err *err)
{
    struct mount_node *at = t->root;
    struct naming_elements it;
    struct span element;
    struct buf name;
    int r = suffix_clean(&name, suffix, err);

    if (r < 0)
        return r;
    naming_elements_init(&it, buf_span(&name));
    while (at != NULL && naming_elements_next(&it, &element))
        at = at->mounted ? NULL : child_find(t, at, element);
    buf_done(&name);
    *ret = at;
    return 0;
}

int mount_tree_unmount(struct mount_tree *t, struct span suffix, struct span server, int64_t now,
                       struct err *err)
{
    struct mount_node *n;
    uint32_t others;
    int r = mount_tree_find(t, suffix, &n, err);

    if (r < 0 || n == NULL)
        return r;
    LIST_FOREACH_SAFE (node, after, &n->servers) {
        if (server.len == 0)
            server_free(t, LIST_OBJECT(node, struct mount_server, node));
    }
    if (server.len > 0) {
        struct mount_server *s = server_find(n, server, &others);

        if (s != NULL)
            server_free(t, s);
    }
    mount_node_refresh(t, n, now);
    mount_node_prune(t, n);
    return 0;
}

/* Where what is left begins; with its slash if it begins with an empty component, so that the name
 * that is made of it becomes terminal. */
static struct span rest_of(const struct naming_elements *it)
{
    struct span left = it->left;

    if (!it->more)
        return span_of(left.p, 0);
    if (left.len == 0 || left.p[0] == '/')
        return span_of(left.p - 1, left.len + 1);
    return left;
}

struct mount_node *mount_tree_resolve(struct mount_tree *t, struct span suffix, int64_t now,
                                      struct span *ret_rest)
{
    struct mount_node *at = t->root, *next;
    struct naming_elements it;
    struct span element;

    naming_elements_init(&it, naming_name_strip(suffix));
    for (;;) {
        if (at->mounted && mount_node_refresh(t, at, now)) {
            *ret_rest = rest_of(&it);
            return at;
        }
        next = naming_elements_next(&it, &element) ? child_find(t, at, element) : NULL;
        if (next == NULL)
            break;
        at = next;
    }
    /* Nothing but a mount that has just expired may have kept it alive. */
    mount_node_prune(t, at);
    return NULL;
}

/* ---- expiry ---- */

int64_t mount_tree_next(const struct mount_tree *t)
{
    int64_t first = t->stats.mounts > 0 ? t->heap[0]->expiry : INT64_MAX;

    return first < INT64_MAX - t->limits.linger ? first + t->limits.linger : INT64_MAX;
}

unsigned mount_tree_collect(struct mount_tree *t, int64_t now, unsigned most)
{
    unsigned n = 0;

    for (; n < most && mount_tree_next(t) < now; n++) {
        struct mount_node *name = t->heap[0]->name;

        server_free(t, t->heap[0]);
        t->stats.expired++;
        mount_node_prune(t, name);
    }
    return n;
}

/* ---- life ---- */

int mount_tree_init(struct mount_tree *t, const struct mount_limits *limits,
                    const struct hash_key *key, struct err *err)
{
    *t = (struct mount_tree){.key = *key, .n_buckets = BUCKETS_FIRST};
    if (limits != NULL)
        t->limits = *limits;
    limits_fill(&t->limits);
    t->root = node_new(span_of(NULL, 0));
    t->buckets = calloc(t->n_buckets, sizeof t->buckets[0]);
    t->stats.bytes = sizeof *t->root + t->n_buckets * sizeof t->buckets[0];
    if (t->root != NULL && t->buckets != NULL)
        return 0;
    mount_tree_done(t);
    return err_set(err, WSPR_ENOMEM, "out of memory");
}

void mount_tree_done(struct mount_tree *t)
{
    struct mount_node *n = t->root;

    while (n != NULL) {
        struct list *node = list_pop(&n->children);
        struct mount_node *parent = n->parent;

        if (node != NULL) {
            n = LIST_OBJECT(node, struct mount_node, sibling);
            continue;
        }
        while ((node = list_pop(&n->servers)) != NULL)
            free(LIST_OBJECT(node, struct mount_server, node));
        free(n);
        n = parent;
    }
    free(t->buckets);
    free(t->heap);
    *t = (struct mount_tree){0};
}
