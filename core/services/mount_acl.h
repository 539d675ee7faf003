/*
 * The access file of a mount table (spec: naming 9.5): a JSON object from path to ACL. It is read
 * again whenever it has changed, so that no restart is needed to let somebody in or out.
 *
 * A file may be on a disk that takes its time. One that is watched is looked at once a second by a
 * thread of its own, requests or none, and a request is decided by what was read last: a change
 * counts after MOUNT_ACL_PERIOD at the latest, and no request waits for a disk.
 */
#ifndef SERVICES_MOUNT_ACL_H
#define SERVICES_MOUNT_ACL_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "base/span.h"

struct loop_offload;
struct loop_worker;
struct mount_acl;
struct security_acl;

#define MOUNT_ACL_FILE_MAX ((size_t)4 << 20)
#define MOUNT_ACL_PERIOD   INT64_C(1000000000)

/*
 * Reads the file. The error says what is wrong with it; one without a list for "/" is `No acl for /
 * in <file>`.
 */
int mount_acl_open(const char *path, struct mount_acl **ret_acl, struct err *err);
/* Accepts NULL. A look at the file that is under way ends with the worker's jobs. */
void mount_acl_free(struct mount_acl *acl);
/* Has the file looked at off the loop from now on. Worker's thread; both are borrowed. */
void mount_acl_watch(struct mount_acl *acl, struct loop_worker *w, struct loop_offload *offload);
/*
 * What is to be done before a request is decided: reads the file again if need be, or, if it is
 * watched, only tells how the last reading went. If that failed, so does everybody until the file
 * is in order again.
 */
int mount_acl_refresh(struct mount_acl *acl, struct err *err);
/* Whether there is a list for a path; it is valid until the next refresh, NULL for the nil list. */
bool mount_acl_find(const struct mount_acl *acl, struct span path,
                    const struct security_acl **ret_list);

#endif
