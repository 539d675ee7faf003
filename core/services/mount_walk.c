/*
 * A walk is a stack of nodes, each with the child that was visited last. All of them are pinned, so
 * that they keep their places in the lists of siblings even if the tree loses them meanwhile.
 */
#include "config.h"
#include "services/mount_walk.h"

#include <stdlib.h>

#define NAME_MAX_BYTES 131072
#define STEPS_FIRST    8
#define MATCH_STEPS    256 /* bytes of a pattern that may be looked at instead of another node */

enum { VISIT_NOTHING, VISIT_ENTRY };

int mount_walk_begin(struct mount_walk *w, struct mount_tree *t, struct span suffix,
                     struct span pattern, struct err *err)
{
    int r;

    *w = (struct mount_walk){.tree = t, .name = BUF_INIT(NAME_MAX_BYTES)};
    r = naming_glob_parse(pattern, &w->pattern, err);
    if (r == 0)
        r = naming_glob_check(&w->pattern, err);
    if (r == 0)
        r = mount_tree_find(t, suffix, &w->start, err);
    if (r == 0 && w->start != NULL)
        mount_node_pin(w->start);
    return r;
}

static void walk_leave(struct mount_walk *w)
{
    struct mount_step *s = &w->steps[--w->n_steps];

    if (s->child != NULL)
        mount_node_unpin(w->tree, s->child);
    mount_node_unpin(w->tree, s->node);
}

void mount_walk_end(struct mount_walk *w)
{
    while (w->n_steps > 0)
        walk_leave(w);
    if (w->start != NULL)
        mount_node_unpin(w->tree, w->start);
    w->start = NULL;
    free(w->steps);
    w->steps = NULL;
    w->cap = 0;
    buf_done(&w->name);
}

static int walk_enter(struct mount_walk *w, struct mount_node *n, const struct naming_glob *pattern)
{
    if (w->n_steps == w->cap) {
        uint32_t cap = w->cap > 0 ? w->cap * 2 : STEPS_FIRST;
        struct mount_step *steps = realloc(w->steps, cap * sizeof steps[0]);

        if (steps == NULL)
            return WSPR_ENOMEM;
        w->steps = steps;
        w->cap = cap;
    }
    mount_node_pin(n);
    w->steps[w->n_steps++] =
        (struct mount_step){.node = n, .rest = *pattern, .name_len = (uint32_t)w->name.len};
    return 0;
}

/* Visits a node that the caller has pinned. VISIT_ENTRY if it is an entry. */
static int walk_visit(struct mount_walk *w, struct mount_node *n, const struct naming_glob *pattern,
                      int64_t now, struct mount_node **ret_node)
{
    int r = VISIT_NOTHING;

    if (n->dead || (w->allowed != NULL && !w->allowed(w->arg, buf_span(&w->name))))
        return VISIT_NOTHING;
    if (n->mounted) {
        *ret_node = n;
        if (mount_node_refresh(w->tree, n, now))
            return VISIT_ENTRY;
        mount_node_prune(w->tree, n);
        return VISIT_NOTHING;
    }
    if (pattern->len == 0) {
        if (!mount_node_leads_on(w->tree, n, now)) {
            mount_node_prune(w->tree, n);
            return VISIT_NOTHING;
        }
        *ret_node = NULL;
        r = VISIT_ENTRY;
    }
    if (!naming_glob_is_finished(pattern) && walk_enter(w, n, pattern) < 0)
        return WSPR_ENOMEM;
    return r;
}

/* Stands on the next child of the topmost node; false if there is none. */
static bool walk_advance(struct mount_walk *w)
{
    struct mount_step *s = &w->steps[w->n_steps - 1];
    struct mount_node *child = mount_node_child(s->node, s->child);

    if (child == NULL)
        return false;
    mount_node_pin(child);
    if (s->child != NULL)
        mount_node_unpin(w->tree, s->child);
    s->child = child;
    return true;
}

/*
 * What it takes to visit the child that the topmost step stands on, of a budget: a pattern can be
 * made that is looked at as a whole for each byte of a name.
 */
static unsigned walk_cost(const struct mount_walk *w)
{
    const struct mount_step *s = &w->steps[w->n_steps - 1];

    return 1 + (unsigned)(s->rest.text.len * s->child->len / MATCH_STEPS);
}

/* Visits the child that the topmost step stands on, if the pattern lets it. */
static int walk_child(struct mount_walk *w, int64_t now, struct mount_node **ret_node)
{
    struct mount_step *s = &w->steps[w->n_steps - 1];
    struct span component = span_of(s->child->text, s->child->len);
    struct naming_glob rest;
    int r = naming_glob_match(&s->rest, component, &rest, NULL);

    if (r <= 0)
        return r;
    buf_truncate(&w->name, s->name_len);
    if (s->name_len > 0)
        buf_u8(&w->name, '/');
    buf_append_span(&w->name, component);
    if (buf_error(&w->name) < 0)
        return buf_error(&w->name);
    return walk_visit(w, s->child, &rest, now, ret_node);
}

int mount_walk_next(struct mount_walk *w, int64_t now, unsigned *budget,
                    struct mount_node **ret_node)
{
    int r = VISIT_NOTHING;

    if (!w->started) {
        w->started = true;
        if (w->start != NULL)
            r = walk_visit(w, w->start, &w->pattern, now, ret_node);
    }
    while (r == VISIT_NOTHING && w->n_steps > 0) {
        unsigned cost = 1;

        if (*budget == 0)
            return WSPR_EAGAIN;
        if (walk_advance(w)) {
            cost = walk_cost(w);
            r = walk_child(w, now, ret_node);
        } else {
            walk_leave(w);
        }
        *budget -= cost < *budget ? cost : *budget;
    }
    return r;
}
