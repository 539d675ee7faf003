/*
 * Where the tools of a machine find the mount table of a wsprd that was configured with no network:
 * the file "root" in the state directory (identity_file.h), as long as it runs. All of it blocks.
 */
#ifndef SERVICES_ROOT_FILE_H
#define SERVICES_ROOT_FILE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

#define ROOT_FILE_MAX 1024

/*
 * Writes the root, all or nothing; dir is that of -state-dir, or NULL or empty. The state directory
 * must be there. WSPR_ESYS, WSPR_ENOTFOUND, WSPR_ELIMIT.
 */
int root_file_write(const char *dir, const char *root, struct err *err);
/* Removes the file, unless it tells another root by now. */
void root_file_remove(const char *dir, const char *root);
/* Reads the root; false if there is none. */
bool root_file_read(const char *dir, char *ret_root, size_t size);

#endif
