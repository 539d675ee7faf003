/*
 * The mount table service (spec: naming 9, 10.2): names for servers, with a time to live. It serves
 * every suffix.
 *
 * A mount table belongs to one worker and is used on its loop only. What expired goes without a
 * visitor (services/mount_tree.h says when), by a timer of the table's own.
 */
#ifndef SERVICES_MOUNTTABLE_H
#define SERVICES_MOUNTTABLE_H

#include <stddef.h>
#include <stdint.h>

#include "rpc/server.h"
#include "services/mount_tree.h"

struct loop_offload;
struct loop_worker;
struct mounttable;
struct security_trust;

#define MOUNTTABLE_TTL_FOREVER 315360000u /* seconds: what a TTL of 0 means */

struct mounttable_opts {
    struct loop_worker *worker;   /* borrowed */
    struct security_trust *trust; /* referenced; needed with an ACL file */
    const char *acl_file;         /* NULL: everybody may do everything */
    struct loop_offload *offload; /* borrowed: watches the ACL file; NULL: done on the loop */
    struct mount_limits limits;
    /* A clock that does not go back, in nanoseconds; NULL: the worker's. */
    int64_t (*now)(void *arg);
    void *now_arg;
};

/* WSPR_ENOMEM, WSPR_ECRYPTO, or what is wrong with the ACL file. */
int mounttable_new(const struct mounttable_opts *opts, struct mounttable **ret_mt, struct err *err);
/* The server that it was given to must have been stopped. NULL is accepted. */
void mounttable_free(struct mounttable *mt);
/* For rpc_server_new(); borrowed from the mount table. */
const struct rpc_dispatcher *mounttable_dispatcher(const struct mounttable *mt);

/*
 * The methods Mount and Unmount for the process that holds the table, without a call and without a
 * question of rights. The errors are those of the methods.
 */
int mounttable_mount(struct mounttable *mt, struct span name, struct span server, uint32_t ttl,
                     struct err *err);
int mounttable_unmount(struct mounttable *mt, struct span name, struct span server,
                       struct err *err);
const struct mount_stats *mounttable_stats(const struct mounttable *mt);

#endif
