/*
 * The names of a mount table and what is mounted on them (spec: naming 9.3), without a network and
 * without a clock: times are arguments, nanoseconds of any clock that does not go back.
 *
 * Expiry is lazy, as peers can see it: an expired mount blocks what lies below it until a look-up
 * or a Glob comes across it. But it needs no visitor: mount_tree_collect() removes what expired
 * `linger` ago.
 */
#ifndef SERVICES_MOUNT_TREE_H
#define SERVICES_MOUNT_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/hash.h"
#include "base/list.h"
#include "base/span.h"
#include "naming/name.h"

#define MOUNT_COMPONENT_MAX 1024

/* Zeros stand for the defaults. Mount beyond a limit fails with WSPR_ELIMIT that names it. */
struct mount_limits {
    uint32_t names;     /* components in the tree; 1048576 */
    uint32_t mounts;    /* servers on all names together; 1048576 */
    uint32_t servers;   /* on one name; 256 */
    uint32_t depth;     /* components of one name; 128 */
    uint32_t component; /* bytes of a component; 255, at most MOUNT_COMPONENT_MAX */
    uint32_t server;    /* bytes of a server's name; 1024 */
    size_t bytes;       /* memory of all; 512 MiB */
    int64_t linger;     /* nanoseconds that an expired mount waits for a visitor; 3 s */
};

struct mount_stats {
    uint32_t names, mounts; /* now */
    size_t bytes;           /* now, what the allocator adds left out */
    uint64_t expired;       /* mounts that were removed because their time was over */
    uint64_t steps;         /* nodes that were looked at to find others */
};

/* One server mounted on a name; in the order of their last refresh, youngest first. */
struct mount_server {
    struct list node;
    struct mount_node *name;
    int64_t expiry;
    uint32_t at; /* in the heap of expiries */
    uint32_t len;
    char text[];
};

struct mount_node {
    struct mount_node *parent; /* NULL: the root */
    struct mount_node *chain;  /* next one of the same hash bucket */
    struct list sibling;
    struct list children;
    struct list servers; /* may be expired, all of them */
    uint32_t hash;
    uint32_t n_live; /* children that are not dead */
    uint32_t pins;   /* walks that stand on it */
    uint16_t len;
    bool mounted;
    bool dead; /* removed, and still here because of pins, its own or its children's */
    char text[];
};

struct mount_tree {
    struct mount_limits limits;
    struct mount_stats stats;
    struct hash_key key;
    struct mount_node *root;
    struct mount_node **buckets;
    uint32_t n_buckets; /* a power of two */
    struct mount_server **heap;
    uint32_t heap_cap;
};

/* WSPR_ENOMEM. The key is 16 random bytes that peers do not learn. limits may be NULL. */
int mount_tree_init(struct mount_tree *t, const struct mount_limits *limits,
                    const struct hash_key *key, struct err *err);
/* No walk may be under way. */
void mount_tree_done(struct mount_tree *t);

/*
 * Mounts a server on the object with this suffix. WSPR_ENOTFOUND "Name doesn't exist" below another
 * mount, WSPR_ELIMIT, WSPR_ENOMEM.
 */
int mount_tree_mount(struct mount_tree *t, struct span suffix, struct span server, int64_t expiry,
                     struct err *err);
/* Removes the server, or all if it is empty. Only WSPR_ENOMEM: what is not there is no error. */
int mount_tree_unmount(struct mount_tree *t, struct span suffix, struct span server, int64_t now,
                       struct err *err);
/*
 * The active mount that a suffix leads through and what of the suffix lies below it (part of the
 * suffix). NULL if there is none.
 */
struct mount_node *mount_tree_resolve(struct mount_tree *t, struct span suffix, int64_t now,
                                      struct span *ret_rest);
/* The node of an object; *ret is NULL if there is none or it lies below a mount. WSPR_ENOMEM. */
int mount_tree_find(struct mount_tree *t, struct span suffix, struct mount_node **ret,
                    struct err *err);

/* Removes mounts that expired more than `linger` ago, at most so many; how many it were. */
unsigned mount_tree_collect(struct mount_tree *t, int64_t now, unsigned most);
/* When the next one is to be collected; INT64_MAX if never. */
int64_t mount_tree_next(const struct mount_tree *t);

/* For walks over the tree (mount_walk.c). */

/* Removes what expired from the mount of a node; whether anything is left. */
bool mount_node_refresh(struct mount_tree *t, struct mount_node *n, int64_t now);
/* Removes the node, and the nodes above it, as far as they lead to nothing. */
void mount_node_prune(struct mount_tree *t, struct mount_node *n);
/* Whether there is an active mount below the node; inactive ones on the way are removed. */
bool mount_node_leads_on(struct mount_tree *t, struct mount_node *n, int64_t now);
/* A pinned node stays where it is among its siblings, dead or not, until it is let go. */
void mount_node_pin(struct mount_node *n);
void mount_node_unpin(struct mount_tree *t, struct mount_node *n);
/* The live child behind `after` (NULL: the first); NULL at the end. */
struct mount_node *mount_node_child(struct mount_node *n, struct mount_node *after);

#endif
