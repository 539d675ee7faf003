/* The inside of the mount table service. Internal to core/services. */
#ifndef SERVICES_MOUNTTABLE_PRIVATE_H
#define SERVICES_MOUNTTABLE_PRIVATE_H

#include "base/list.h"
#include "loop/timer.h"
#include "services/mount_acl.h"
#include "services/mounttable.h"
#include "vom/value.h"

struct mounttable {
    struct rpc_dispatcher dispatcher;
    struct rpc_authorizer authorizer;
    struct loop_worker *worker;
    struct security_trust *trust;
    struct mount_acl *acl; /* NULL: no file */
    int64_t (*now)(void *arg);
    void *now_arg;
    struct loop_timer timer; /* for what expires */
    struct mount_tree tree;
    struct list globs; /* under way */
};

static inline int64_t mounttable_now(struct mounttable *mt)
{
    return mt->now(mt->now_arg);
}

/* The servers of a mount with the whole seconds that they have left. WSPR_ENOMEM. */
int mounttable_servers(const struct mount_node *n, int64_t now, struct arena *a,
                       struct vom_value *ret);
/* Whether the ACL of a path, if there is one, lets the caller in. */
int mounttable_check(struct mounttable *mt, struct rpc_scall *call, struct span path,
                     struct err *err);
/* Ends a call whose only result is an error. */
void mounttable_finish(struct rpc_scall *call, const struct err *e);

/* Of mounttable_glob.c. */
void mounttable_glob(void *object, struct rpc_scall *call, const struct vom_value *const *args);

#endif
