/*
 * Walks over the tree of a mount table in the manner of Glob (spec: naming 10.2). A walk may pause
 * as long as it likes while the tree changes: each name that is there all the time is met once.
 */
#ifndef SERVICES_MOUNT_WALK_H
#define SERVICES_MOUNT_WALK_H

#include "base/buf.h"
#include "naming/glob.h"
#include "services/mount_tree.h"

struct mount_step {
    struct mount_node *node; /* pinned */
    struct mount_node *child;
    struct naming_glob rest;
    uint32_t name_len;
};

struct mount_walk {
    struct mount_tree *tree;
    /* Whether the walker may see what has this name; what lies below is skipped with it. */
    bool (*allowed)(void *arg, struct span name);
    void *arg;
    struct mount_step *steps;
    uint32_t n_steps, cap;
    struct buf name; /* of the last entry, relative to the object */
    struct mount_node *start;
    struct naming_glob pattern;
    bool started;
};

/*
 * Begins at the object with this suffix; the pattern's text must outlive the walk. The syntax error
 * of a pattern, or WSPR_ENOMEM. allowed may be NULL. To be ended in any case.
 */
int mount_walk_begin(struct mount_walk *w, struct mount_tree *t, struct span suffix,
                     struct span pattern, struct err *err);
void mount_walk_end(struct mount_walk *w);
/*
 * Goes on to the next entry: 1, and its name is in w->name; *ret_node is its mount, or NULL if it
 * is a name on the way to others. 0 at the end; WSPR_EAGAIN when *budget (nodes to visit; one whose
 * name is long to match counts for several) is used up; WSPR_ENOMEM.
 */
int mount_walk_next(struct mount_walk *w, int64_t now, unsigned *budget,
                    struct mount_node **ret_node);

#endif
