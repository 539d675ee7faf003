/*
 * Every call that changes the disk goes through one of the small functions below, so that a test
 * can count them, make any of them fail, or end the process there.
 */
#include "config.h"
#include "services/account_disk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"

#define NAME_MAX_LEN 32 /* "gen-" and a number */
#define CHUNK        (1024 * 1024)
#define CHUNK_TEST   256 /* with a hook: a write has a middle */

static int fail(struct err *err, const char *what, const char *file)
{
    int e = errno;

    return err_set(err, e == ENOMEM ? WSPR_ENOMEM : WSPR_ESYS, "%s %s: %s", what, file,
                   strerror(e));
}

/* ---- steps ---- */

static int step(struct account_disk *d, const char *call, const char *file)
{
    int e = d->hook.step != NULL ? d->hook.step(d->hook.arg, call, file) : 0;

    if (e == 0)
        return 0;
    errno = e;
    return -1;
}

static int step_mkdir(struct account_disk *d, const char *name)
{
    return step(d, "mkdir", name) < 0 ? -1 : mkdirat(d->folder, name, 0700);
}

static int step_create(struct account_disk *d, int dir, const char *name)
{
    if (step(d, "open", name) < 0)
        return -1;
    return openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
}

static int step_write(struct account_disk *d, int fd, const char *name, struct span s)
{
    size_t chunk = d->hook.step != NULL ? CHUNK_TEST : CHUNK;

    while (s.len > 0) {
        ssize_t n = step(d, "write", name) < 0 ? -1 : write(fd, s.p, s.len < chunk ? s.len : chunk);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -1;
        s = span_of(s.p + n, s.len - (size_t)n);
    }
    return 0;
}

static int step_fsync(struct account_disk *d, int fd, const char *name)
{
    return step(d, "fsync", name) < 0 ? -1 : fsync(fd);
}

static int step_close(struct account_disk *d, int fd, const char *name)
{
    int r = step(d, "close", name);
    int e = errno;

    if (close(fd) < 0 && r == 0)
        return -1;
    errno = e;
    return r;
}

static int step_link(struct account_disk *d, const char *target)
{
    return step(d, "symlink", target) < 0 ? -1 : symlinkat(target, d->folder, "next");
}

static int step_rename(struct account_disk *d)
{
    return step(d, "rename", "current") < 0 ? -1
                                            : renameat(d->folder, "next", d->folder, "current");
}

static int step_unlink(struct account_disk *d, int dir, const char *name, int flags)
{
    return step(d, "unlink", name) < 0 ? -1 : unlinkat(dir, name, flags);
}

/* ---- the folder ---- */

void account_disk_init(struct account_disk *d, const struct account_store_hook *hook)
{
    d->path = NULL;
    d->folder = d->lock = -1;
    d->hook = hook != NULL ? *hook : (struct account_store_hook){NULL, NULL};
}

static int check_private(const struct stat *st, const char *path, struct err *err)
{
    if (st->st_uid != geteuid())
        return err_set(err, WSPR_ENOTAUTH, "%s belongs to somebody else", path);
    if ((st->st_mode & (S_IRWXG | S_IRWXO)) != 0)
        return err_set(err, WSPR_ENOTAUTH,
                       "%s is refused because others may look into it (mode %03o): private keys "
                       "are in it",
                       path, (unsigned)st->st_mode & 0777);
    return 0;
}

/* So that the folder itself survives a power failure. */
static int flush_parent(struct account_disk *d, struct err *err)
{
    int fd = openat(d->folder, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int r = fd < 0 ? -1 : step_fsync(d, fd, "..");

    if (r < 0)
        fail(err, "fsync", "the folder of the account store");
    if (fd >= 0)
        close(fd);
    return r < 0 ? WSPR_ESYS : 0;
}

/* 1 if it is not there. */
static int open_folder(struct account_disk *d, struct err *err)
{
    struct stat st;

    d->folder = open(d->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (d->folder < 0 && errno == ENOENT)
        return 1;
    if (d->folder < 0 || fstat(d->folder, &st) < 0)
        return fail(err, "open", d->path);
    return check_private(&st, d->path, err);
}

int account_disk_open(struct account_disk *d, const char *path, struct err *err)
{
    int r;

    d->path = mem_strndup(path, strlen(path));
    if (d->path == NULL)
        return err_set(err, WSPR_ENOMEM, "out of memory");
    r = open_folder(d, err);
    return r < 0 ? r : 0;
}

/* Makes the folder and what is missing above it. */
int account_disk_make(struct account_disk *d, struct err *err)
{
    int r;

    if (d->folder >= 0)
        return 0;
    for (char *p = d->path + 1; (p = strchr(p, '/')) != NULL; p++) {
        *p = '\0';
        r = mkdir(d->path, 0700) < 0 && errno != EEXIST ? fail(err, "mkdir", d->path) : 0;
        *p = '/';
        if (r < 0)
            return r;
    }
    if (mkdir(d->path, 0700) < 0 && errno != EEXIST)
        return fail(err, "mkdir", d->path);
    r = open_folder(d, err);
    if (r > 0)
        return err_set(err, WSPR_ESYS, "%s went away", d->path);
    return r == 0 ? flush_parent(d, err) : r;
}

void account_disk_done(struct account_disk *d)
{
    account_disk_unlock(d);
    if (d->folder >= 0)
        close(d->folder);
    free(d->path);
    d->folder = -1;
    d->path = NULL;
}

int account_disk_lock(struct account_disk *d, struct err *err)
{
    int r = account_disk_make(d, err);

    if (r < 0)
        return r;
    if (d->lock < 0)
        d->lock = openat(d->folder, "lock", O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (d->lock < 0)
        return fail(err, "open", "lock");
    do
        r = flock(d->lock, LOCK_EX);
    while (r < 0 && errno == EINTR);
    return r < 0 ? fail(err, "lock", d->path) : 0;
}

void account_disk_unlock(struct account_disk *d)
{
    if (d->lock >= 0)
        close(d->lock);
    d->lock = -1;
}

/* ---- generations ---- */

static void generation_name(char name[NAME_MAX_LEN], uint64_t generation)
{
    snprintf(name, NAME_MAX_LEN, "gen-%" PRIu64, generation);
}

/* 0 if the name is not that of a generation. */
static uint64_t generation_of(const char *name)
{
    uint64_t n = 0;
    size_t len = strlen(name);

    if (strncmp(name, "gen-", 4) != 0 || name[4] == '0' || len < 5 || len > 4 + 18)
        return 0;
    for (const char *p = name + 4; *p != '\0'; p++) {
        if (*p < '0' || *p > '9')
            return 0;
        n = n * 10 + (uint64_t)(*p - '0');
    }
    return n;
}

/* The highest generation in the folder, also of those that never counted. */
static int highest_generation(struct account_disk *d, uint64_t *ret_generation, struct err *err)
{
    int fd = openat(d->folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    struct dirent *entry;

    if (dir == NULL) {
        fail(err, "open", d->path);
        if (fd >= 0)
            close(fd);
        return WSPR_ESYS;
    }
    *ret_generation = 0;
    while ((entry = readdir(dir)) != NULL) {
        uint64_t n = generation_of(entry->d_name);

        if (n > *ret_generation)
            *ret_generation = n;
    }
    closedir(dir);
    return 0;
}

int account_disk_current(struct account_disk *d, uint64_t *ret_generation, struct err *err)
{
    char name[NAME_MAX_LEN];
    uint64_t highest;
    ssize_t n;
    int r;

    *ret_generation = 0;
    if (d->folder < 0) {
        r = open_folder(d, err);
        if (r != 0)
            return r < 0 ? r : 0; /* a store that nobody has used yet */
    }
    n = readlinkat(d->folder, "current", name, sizeof name - 1);
    if (n < 0 && errno != ENOENT)
        return fail(err, "readlink", "current");
    if (n < 0) {
        /* Nothing, or the rest of a first save; but a later one had something before it. */
        r = highest_generation(d, &highest, err);
        return r == 0 && highest > 1 ? err_set(err, WSPR_EPROTO, "\"current\" is missing") : r;
    }
    name[n] = '\0';
    *ret_generation = generation_of(name);
    return *ret_generation > 0 ? 0 : err_set(err, WSPR_EPROTO, "\"current\" is malformed");
}

/* 1 if there is no such file. */
static int read_file(int dir, const char *name, struct buf *out, struct err *err)
{
    int fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC), r;
    struct stat st;
    uint8_t *p;

    if (fd < 0)
        return errno == ENOENT ? 1 : fail(err, "open", name);
    r = fstat(fd, &st) < 0 ? fail(err, "stat", name) : check_private(&st, name, err);
    if (r == 0 && !S_ISREG(st.st_mode))
        r = err_set(err, WSPR_EPROTO, "%s is no file", name);
    /* All of it at once: a buffer that grew would leave pieces of secrets behind. */
    p = r == 0 ? buf_reserve(out, (size_t)st.st_size + 1) : NULL;
    if (r == 0 && p == NULL)
        r = err_set(err, buf_error(out), "%s: %s", name, err_code_text(buf_error(out)));
    while (r == 0) {
        ssize_t n = read(fd, p + out->len, (size_t)st.st_size + 1 - out->len);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            r = fail(err, "read", name);
        if (n <= 0)
            break;
        buf_commit(out, (size_t)n);
        if (out->len > (size_t)st.st_size)
            r = err_set(err, WSPR_EPROTO, "%s grows", name);
    }
    close(fd);
    return r;
}

int account_disk_read(struct account_disk *d, uint64_t generation, struct buf *data,
                      struct buf *signature, struct account_stored *ret_stored, struct err *err)
{
    char name[NAME_MAX_LEN];
    int dir, r;

    *ret_stored = (struct account_stored){{NULL, 0}, {NULL, 0}};
    if (generation == 0)
        return 0;
    generation_name(name, generation);
    dir = openat(d->folder, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (dir < 0)
        return fail(err, "open", name);
    r = read_file(dir, "data", data, err);
    if (r == 0)
        ret_stored->data = buf_span(data);
    if (r >= 0) {
        r = read_file(dir, "signature", signature, err);
        if (r == 0)
            ret_stored->signature = buf_span(signature);
    }
    close(dir);
    if (r >= 0 && ret_stored->data.p == NULL && ret_stored->signature.p == NULL)
        return err_set(err, WSPR_EPROTO, "%s is empty", name);
    return r < 0 ? r : 0;
}

/* ---- changing ---- */

static int write_file(struct account_disk *d, int dir, const char *name, struct span content,
                      struct err *err)
{
    int fd = step_create(d, dir, name);
    int r = 0;

    if (fd < 0)
        return fail(err, "open", name);
    if (step_write(d, fd, name, content) < 0)
        r = fail(err, "write", name);
    else if (step_fsync(d, fd, name) < 0)
        r = fail(err, "fsync", name);
    if (step_close(d, fd, name) < 0 && r == 0)
        r = fail(err, "close", name);
    return r;
}

/*
 * The identity that signs stands beside the folder, if no other was named. It may have been made a
 * moment ago and must not be lost when what it signs is kept.
 */
static int flush_identity(struct account_disk *d, struct err *err)
{
    int fd = openat(d->folder, "../identity", O_RDONLY | O_CLOEXEC);
    int r = 0;

    if (fd < 0)
        return 0;
    if (step_fsync(d, fd, "identity") < 0)
        r = fail(err, "fsync", "the identity");
    close(fd);
    return r < 0 ? r : flush_parent(d, err);
}

int account_disk_write(struct account_disk *d, uint64_t generation, struct span data,
                       struct span signature, struct err *err)
{
    char name[NAME_MAX_LEN];
    int dir, r = generation == 1 ? flush_identity(d, err) : 0;

    if (r < 0)
        return r;
    generation_name(name, generation);
    if (step_mkdir(d, name) < 0)
        return fail(err, "mkdir", name);
    dir = openat(d->folder, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (dir < 0)
        return fail(err, "open", name);
    r = write_file(d, dir, "data", data, err);
    if (r == 0)
        r = write_file(d, dir, "signature", signature, err);
    if (r == 0 && step_fsync(d, dir, name) < 0)
        r = fail(err, "fsync", name);
    if (r == 0 && step_fsync(d, d->folder, ".") < 0)
        r = fail(err, "fsync", d->path);
    close(dir);
    return r;
}

/* `current` leads to the generation from now on, or is gone for generation 0. */
static int point_at(struct account_disk *d, uint64_t generation)
{
    char name[NAME_MAX_LEN];

    if (generation == 0)
        return step_unlink(d, d->folder, "current", 0);
    generation_name(name, generation);
    if (step_unlink(d, d->folder, "next", 0) < 0 && errno != ENOENT)
        return -1;
    return step_link(d, name) < 0 ? -1 : step_rename(d);
}

int account_disk_switch(struct account_disk *d, uint64_t generation, uint64_t old, struct err *err)
{
    int r;

    if (point_at(d, generation) < 0)
        return fail(err, "rename", "current");
    if (step_fsync(d, d->folder, ".") == 0)
        return 0;
    r = fail(err, "fsync", d->path);
    if (point_at(d, old) == 0 && step_fsync(d, d->folder, ".") < 0)
        err_prefix(err, 0, "(the disk may be failing) ");
    return r;
}

static void remove_generation(struct account_disk *d, uint64_t generation)
{
    char name[NAME_MAX_LEN];
    int dir;

    generation_name(name, generation);
    dir = openat(d->folder, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (dir < 0)
        return;
    step_unlink(d, dir, "signature", 0);
    step_unlink(d, dir, "data", 0);
    close(dir);
    step_unlink(d, d->folder, name, AT_REMOVEDIR);
}

void account_disk_sweep(struct account_disk *d, uint64_t generation)
{
    int fd = openat(d->folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    struct dirent *entry;

    if (dir == NULL) {
        if (fd >= 0)
            close(fd);
        return;
    }
    while ((entry = readdir(dir)) != NULL) {
        uint64_t n = generation_of(entry->d_name);

        if (n > 0 && n != generation)
            remove_generation(d, n);
    }
    closedir(dir);
}
