/* Mounts by their expiry: a heap in mount_tree. Internal to the tree. */
#ifndef SERVICES_MOUNT_HEAP_H
#define SERVICES_MOUNT_HEAP_H

#include "services/mount_tree.h"

/* The heap holds stats.mounts servers. Room for one more: WSPR_ENOMEM. */
int mount_heap_reserve(struct mount_tree *t);
/* Adds it in the room that was made, and counts it. */
void mount_heap_add(struct mount_tree *t, struct mount_server *s);
void mount_heap_remove(struct mount_tree *t, struct mount_server *s);
/* Its expiry has changed. */
void mount_heap_move(struct mount_tree *t, struct mount_server *s);

#endif
