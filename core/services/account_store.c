/*
 * The store: what is stored now, and replacing it. The steps of a save, in the order that makes
 * every prefix of them harmless:
 *
 *     gen-8/ data, fsync, signature, fsync; fsync gen-8/ and the folder     old state
 *     next -> gen-8; rename next to current                                 the switch
 *     fsync the folder                                                      new state, for good
 *     remove gen-7
 *
 * If the last fsync fails nobody knows what a power failure would leave: `current` is turned back,
 * so that the disk agrees with what the caller is told.
 */
#include "config.h"
#include "services/account_store.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/mem.h"
#include "security/identity.h"
#include "security/key.h"
#include "services/account_disk.h"

#define LOAD_TRIES 8

struct account_store {
    struct account_disk disk; /* without a folder: not used */
    struct security_private *host;
    unsigned flags;
    bool in_memory, read_only;
    bool loaded; /* what is stored was seen and is sound: it may be replaced */
    uint64_t generation;
    struct buf data, signature; /* in memory */
};

int account_store_open(const struct account_store_opts *opts, struct account_store **ret_store,
                       struct err *err)
{
    struct account_store *s = calloc(1, sizeof *s);
    int r = 0;

    if (s == NULL)
        return err_set(err, WSPR_ENOMEM, "out of memory");
    s->in_memory = opts->folder == NULL;
    s->read_only = opts->read_only;
    s->flags = opts->flags;
    buf_init(&s->data, ACCOUNT_DATA_MAX);
    buf_init(&s->signature, ACCOUNT_SIGNATURE_MAX);
    s->host = security_private_ref(opts->host);
    if (security_private_key(s->host) == NULL)
        r = err_set(err, WSPR_EINVAL, "the identity of this process cannot sign");
    account_disk_init(&s->disk, opts->hook);
    if (r == 0 && !s->in_memory)
        r = account_disk_open(&s->disk, opts->folder, err);
    if (r < 0)
        account_store_close(s);
    else
        *ret_store = s;
    return r;
}

void account_store_close(struct account_store *s)
{
    if (s == NULL)
        return;
    account_disk_done(&s->disk);
    security_private_unref(s->host);
    security_buf_wipe(&s->data);
    buf_done(&s->signature);
    free(s);
}

/* ---- loading ---- */

static int decode(const struct account_store *s, const struct account_stored *stored,
                  struct account_state **ret_s, struct err *err)
{
    return account_state_decode(stored, security_key_public(security_private_key(s->host)),
                                s->flags, ret_s, err);
}

static int load_memory(struct account_store *s, struct account_state **ret_s, struct err *err)
{
    struct account_stored stored = {{NULL, 0}, {NULL, 0}};

    if (s->signature.len > 0)
        stored = (struct account_stored){buf_span(&s->data), buf_span(&s->signature)};
    return decode(s, &stored, ret_s, err);
}

/* One attempt: *ret_again if another process replaced the files meanwhile. */
static int load_disk(struct account_store *s, struct account_state **ret_s, bool *ret_again,
                     struct err *err)
{
    struct buf data = BUF_INIT(ACCOUNT_DATA_MAX), signature = BUF_INIT(ACCOUNT_SIGNATURE_MAX);
    struct account_stored stored;
    uint64_t generation, now;
    int r = account_disk_current(&s->disk, &generation, err);

    *ret_again = false;
    if (r < 0)
        return r;
    r = account_disk_read(&s->disk, generation, &data, &signature, &stored, err);
    if (r == 0)
        r = decode(s, &stored, ret_s, err);
    security_buf_wipe(&data);
    buf_done(&signature);
    if (r == 0) {
        s->generation = generation;
        return 0;
    }
    *ret_again = account_disk_current(&s->disk, &now, NULL) == 0 && now != generation;
    return r;
}

int account_store_load(struct account_store *s, struct account_state **ret_s, struct err *err)
{
    struct err e = ERR_INIT;
    bool again = true;
    int r = WSPR_EAGAIN;

    s->loaded = false;
    if (s->in_memory) {
        r = load_memory(s, ret_s, err);
        s->loaded = r == 0;
        return r;
    }
    for (int i = 0; i < LOAD_TRIES && r < 0 && again; i++) {
        err_done(&e);
        r = load_disk(s, ret_s, &again, &e);
    }
    s->loaded = r == 0;
    if (r < 0 && err != NULL) {
        err_move(err, &e);
        err_prefix(err, 0, "the account store %s cannot be used: ", s->disk.path);
    }
    err_done(&e);
    return r;
}

int account_store_changed(struct account_store *s, struct err *err)
{
    uint64_t generation;
    int r;

    if (s->in_memory)
        return !s->loaded;
    r = account_disk_current(&s->disk, &generation, err);
    return r < 0 ? r : !s->loaded || generation != s->generation;
}

/* ---- changing ---- */

int account_store_lock(struct account_store *s, struct err *err)
{
    return s->in_memory || s->read_only ? 0 : account_disk_lock(&s->disk, err);
}

void account_store_unlock(struct account_store *s)
{
    if (!s->in_memory && !s->read_only)
        account_disk_unlock(&s->disk);
}

static int save_memory(struct account_store *s, struct buf *data, struct buf *signature)
{
    security_buf_wipe(&s->data);
    buf_done(&s->signature);
    s->data = *data;
    s->signature = *signature;
    *data = BUF_INIT(0);
    *signature = BUF_INIT(0);
    return 0;
}

static int save_disk(struct account_store *s, struct span data, struct span signature,
                     struct err *err)
{
    uint64_t fresh = s->generation + 1;
    int r = account_disk_make(&s->disk, err);

    if (r < 0)
        return err_prefix(err, 0, "the accounts cannot be stored: ");
    account_disk_sweep(&s->disk, s->generation);
    r = account_disk_write(&s->disk, fresh, data, signature, err);
    if (r == 0)
        r = account_disk_switch(&s->disk, fresh, s->generation, err);
    if (r < 0) {
        /* Should turning back have failed as well, the next change looks what is there. */
        s->loaded = account_store_changed(s, NULL) == 0;
        if (s->loaded)
            account_disk_sweep(&s->disk, s->generation);
        return err_prefix(err, 0, "the accounts cannot be stored: ");
    }
    s->generation = fresh;
    account_disk_sweep(&s->disk, fresh);
    return 0;
}

int account_store_save(struct account_store *s, const struct account_state *state, struct err *err)
{
    struct buf data = BUF_INIT(ACCOUNT_DATA_MAX), signature = BUF_INIT(ACCOUNT_SIGNATURE_MAX);
    int r = 0;

    if (s->read_only)
        return err_set(err, WSPR_ENOTAUTH, "the account store is open for reading only");
    if (account_store_changed(s, NULL) != 0)
        return err_set(err, WSPR_EAGAIN, "what is stored is not what was loaded");
    r = account_state_encode(state, &data, err);
    if (r == 0)
        r = account_state_sign(buf_span(&data), security_private_key(s->host), &signature, err);
    if (r == 0)
        r = s->in_memory ? save_memory(s, &data, &signature)
                         : save_disk(s, buf_span(&data), buf_span(&signature), err);
    security_buf_wipe(&data);
    buf_done(&signature);
    return r;
}
