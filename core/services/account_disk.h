/* The folder of a store: system calls, one by one. Internal to the account store. */
#ifndef SERVICES_ACCOUNT_DISK_H
#define SERVICES_ACCOUNT_DISK_H

#include <stdint.h>

#include "base/buf.h"
#include "base/error.h"
#include "services/account_store.h"

struct account_disk {
    char *path;
    int folder, lock; /* descriptors; -1: none */
    struct account_store_hook hook;
};

void account_disk_init(struct account_disk *d, const struct account_store_hook *hook);
/* Refuses a folder that others may look into; one that is not there holds nothing. */
int account_disk_open(struct account_disk *d, const char *path, struct err *err);
/* Makes the folder if it is not there. */
int account_disk_make(struct account_disk *d, struct err *err);
void account_disk_done(struct account_disk *d);

/* The generation that counts; 0 if nothing was ever stored. */
int account_disk_current(struct account_disk *d, uint64_t *ret_generation, struct err *err);
/* Reads both files; what is absent has no p. Nothing is moved in the buffers while they grow. */
int account_disk_read(struct account_disk *d, uint64_t generation, struct buf *data,
                      struct buf *signature, struct account_stored *ret_stored, struct err *err);

/* Makes the folder, too. */
int account_disk_lock(struct account_disk *d, struct err *err);
void account_disk_unlock(struct account_disk *d);
/* Writes a generation and flushes it, and the folder; before the first one, our identity. */
int account_disk_write(struct account_disk *d, uint64_t generation, struct span data,
                       struct span signature, struct err *err);
/* Makes the generation the one that counts, durably; or turns back to the old one and fails. */
int account_disk_switch(struct account_disk *d, uint64_t generation, uint64_t old, struct err *err);
/* Removes everything but the generation, as far as that works. */
void account_disk_sweep(struct account_disk *d, uint64_t generation);

#endif
