/*
 * The access file of a mount table (spec: naming 9.5): a JSON object from path to ACL. It is read
 * again whenever it has changed, so that no restart is needed to let somebody in or out.
 */
#ifndef SERVICES_MOUNT_ACL_H
#define SERVICES_MOUNT_ACL_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "base/span.h"

struct mount_acl;
struct security_acl;

#define MOUNT_ACL_FILE_MAX ((size_t)4 << 20)

/*
 * Reads the file. The error says what is wrong with it; one without a list for "/" is `No acl for /
 * in <file>`.
 */
int mount_acl_open(const char *path, struct mount_acl **ret_acl, struct err *err);
void mount_acl_free(struct mount_acl *acl); /* accepts NULL */
/* Reads the file again if need be. If that fails, so does everybody until it is in order again. */
int mount_acl_refresh(struct mount_acl *acl, struct err *err);
/* Whether there is a list for a path; it is valid until the next refresh, NULL for the nil list. */
bool mount_acl_find(const struct mount_acl *acl, struct span path,
                    const struct security_acl **ret_list);

#endif
