#include "config.h"
#include "services/mount_acl.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"
#include "json/reader.h"
#include "loop/offload.h"
#include "loop/timer.h"
#include "security/acl.h"

#define ACL_DEPTH 16
/* A file that was written so shortly before it was read may change without another date. */
#define ACL_RACY (2 * CLOCK_S)

struct mount_acl_entry {
    struct span path;
    struct security_acl *list;
};

/* What one reading gave. */
struct mount_acl_table {
    struct arena mem;
    struct mount_acl_entry *entries; /* sorted by path */
    size_t n, cap;
};

/* What tells one state of the file from another. */
struct mount_acl_stamp {
    dev_t dev;
    ino_t ino;
    off_t size;
    int64_t modified, changed;
};

/* One look at the file; nothing of the ACL's own, so that another thread may take it. */
struct mount_acl_look {
    const char *path;
    struct mount_acl_stamp stamp;
    bool current; /* stamp describes the file of which a table exists */
    /* What came of it. */
    bool changed; /* the table is a new one */
    struct mount_acl_table table;
    struct err err;
};

struct mount_acl {
    char *path;
    struct mount_acl_table table;
    struct mount_acl_stamp stamp;
    bool current;   /* the table is of the file as the stamp describes it */
    struct err err; /* of the last look */
    /* If it is watched. */
    struct loop_worker *worker; /* NULL: it is not */
    struct loop_offload *offload;
    struct loop_timer timer;
    struct loop_job job;
    struct mount_acl_look look; /* of the job */
    bool busy, freed;
};

static int acl_file_error(struct err *err, const char *what, const char *path)
{
    const char *text = strerror(errno);

    return err_set(err, WSPR_ESYS, "%s %s: %c%s", what, path, tolower((unsigned char)text[0]),
                   text[0] != '\0' ? text + 1 : "");
}

static int64_t nanoseconds(const struct timespec *t)
{
    return t->tv_sec * CLOCK_S + t->tv_nsec;
}

static struct mount_acl_stamp stamp_of(const struct stat *st)
{
    return (struct mount_acl_stamp){st->st_dev, st->st_ino, st->st_size, nanoseconds(&st->st_mtim),
                                    nanoseconds(&st->st_ctim)};
}

static bool stamp_equal(const struct mount_acl_stamp *a, const struct mount_acl_stamp *b)
{
    return a->dev == b->dev && a->ino == b->ino && a->size == b->size &&
           a->modified == b->modified && a->changed == b->changed;
}

/* ---- the table ---- */

static void table_done(struct mount_acl_table *t)
{
    for (size_t i = 0; i < t->n; i++)
        security_acl_free(t->entries[i].list);
    free(t->entries);
    arena_done(&t->mem);
    *t = (struct mount_acl_table){.mem = ARENA_INIT(MOUNT_ACL_FILE_MAX)};
}

/* The place of a path, or where it would have to go. */
static size_t table_place(const struct mount_acl_table *t, struct span path, bool *ret_found)
{
    size_t low = 0, high = t->n;

    *ret_found = false;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        int c = span_compare(t->entries[mid].path, path);

        if (c == 0) {
            *ret_found = true;
            return mid;
        }
        if (c < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

static int no_memory(struct err *err)
{
    return err_set(err, WSPR_ENOMEM, "out of memory");
}

/* Takes the list; of a path that is there twice the last one counts. */
static int table_add(struct mount_acl_table *t, struct span path, struct security_acl *list)
{
    bool found;
    size_t at = table_place(t, path, &found);

    if (found) {
        security_acl_free(t->entries[at].list);
        t->entries[at].list = list;
        return 0;
    }
    if (t->n == t->cap) {
        size_t cap = t->cap > 0 ? t->cap * 2 : 16;
        struct mount_acl_entry *entries = realloc(t->entries, cap * sizeof entries[0]);

        if (entries == NULL)
            return WSPR_ENOMEM;
        t->entries = entries;
        t->cap = cap;
    }
    path = arena_copy(&t->mem, path);
    if (path.p == NULL)
        return WSPR_ENOMEM;
    memmove(&t->entries[at + 1], &t->entries[at], (t->n - at) * sizeof t->entries[0]);
    t->entries[at] = (struct mount_acl_entry){path, list};
    t->n++;
    return 0;
}

static int table_read(struct mount_acl_table *t, struct span text, struct err *err)
{
    struct json_reader json;
    struct span path;
    int r = json_reader_init(&json, text, ACL_DEPTH, 0, err);

    if (r < 0)
        return r;
    if (json_reader_peek(&json) != JSON_OBJECT)
        return err_set(err, WSPR_ETYPE, "not an object from paths to ACLs");
    json_reader_enter_object(&json);
    while ((r = json_reader_member(&json, &t->mem, &path)) > 0) {
        struct security_acl *list = NULL;

        r = security_acl_parse(json_reader_raw(&json), &list, err);
        if (r < 0)
            return err_prefix(err, 0, "%.*s: ", SPAN_ARG(path));
        r = table_add(t, path, list);
        if (r < 0) {
            security_acl_free(list);
            break;
        }
    }
    return r < 0 ? no_memory(err) : 0;
}

/* ---- the file ---- */

static int read_all(int fd, const char *path, struct buf *out, struct err *err)
{
    for (;;) {
        uint8_t *room = buf_reserve(out, 4096);
        ssize_t n;

        if (room == NULL && buf_error(out) == WSPR_ELIMIT)
            return err_set(err, WSPR_ELIMIT, "%s: an ACL file may have %zu bytes", path,
                           MOUNT_ACL_FILE_MAX);
        if (room == NULL)
            return no_memory(err);
        n = read(fd, room, 4096);
        if (n > 0)
            buf_commit(out, (size_t)n);
        if (n == 0)
            return 0;
        if (n < 0 && errno != EINTR)
            return acl_file_error(err, "read", path);
    }
}

static int look_read(struct mount_acl_look *k, int fd)
{
    struct buf text = BUF_INIT(MOUNT_ACL_FILE_MAX);
    int r = read_all(fd, k->path, &text, &k->err);
    bool found = false;

    if (r == 0) {
        r = table_read(&k->table, buf_span(&text), &k->err);
        if (r < 0)
            r = err_prefix(&k->err, 0, "%s: ", k->path);
    }
    if (r == 0)
        table_place(&k->table, span_str("/"), &found);
    if (r == 0 && !found)
        r = err_set(&k->err, WSPR_EUNKNOWN, "No acl for / in %s", k->path);
    buf_done(&text);
    return r;
}

/* Reads the file unless it is the one that is known. */
static void look_work(void *arg)
{
    struct mount_acl_look *k = arg;
    struct mount_acl_stamp stamp;
    struct stat st;
    int fd, r;

    if (k->current && stat(k->path, &st) == 0) {
        stamp = stamp_of(&st);
        if (stamp_equal(&stamp, &k->stamp))
            return;
    }
    k->current = false;
    fd = open(k->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) {
        acl_file_error(&k->err, "open", k->path);
        return;
    }
    r = fstat(fd, &st) == 0 ? look_read(k, fd) : acl_file_error(&k->err, "stat", k->path);
    close(fd);
    if (r < 0)
        return;
    k->changed = true;
    k->stamp = stamp_of(&st);
    k->current =
        clock_wall() - k->stamp.modified > ACL_RACY && clock_wall() - k->stamp.changed > ACL_RACY;
}

static void look_begin(struct mount_acl_look *k, const struct mount_acl *acl)
{
    *k = (struct mount_acl_look){
        .path = acl->path,
        .stamp = acl->stamp,
        .current = acl->current,
        .table = {.mem = ARENA_INIT(MOUNT_ACL_FILE_MAX)},
    };
}

static void look_end(struct mount_acl_look *k, struct mount_acl *acl)
{
    if (k->changed) {
        table_done(&acl->table);
        acl->table = k->table;
    } else {
        table_done(&k->table);
    }
    acl->stamp = k->stamp;
    acl->current = k->current;
    err_done(&acl->err);
    err_move(&acl->err, &k->err);
}

int mount_acl_refresh(struct mount_acl *acl, struct err *err)
{
    struct mount_acl_look look;

    if (acl->worker == NULL) {
        look_begin(&look, acl);
        look_work(&look);
        look_end(&look, acl);
    }
    if (acl->err.code == 0)
        return 0;
    err_copy(err, &acl->err);
    return acl->err.code;
}

/* ---- watching ---- */

static void acl_destroy(struct mount_acl *acl)
{
    table_done(&acl->table);
    err_done(&acl->err);
    free(acl->path);
    free(acl);
}

static void watch_done(void *arg, int status)
{
    struct mount_acl *acl = arg;

    acl->busy = false;
    if (status == 0)
        look_end(&acl->look, acl);
    else
        table_done(&acl->look.table); /* nobody looked: what was found before counts, errors too */
    if (acl->freed)
        acl_destroy(acl);
    else
        loop_timer_start(&acl->timer, MOUNT_ACL_PERIOD);
}

static void watch_work(void *arg)
{
    look_work(&((struct mount_acl *)arg)->look);
}

static void watch_due(void *arg)
{
    struct mount_acl *acl = arg;

    look_begin(&acl->look, acl);
    acl->busy = true;
    /* If too much waits already the file waits, too. */
    if (loop_offload_submit(acl->offload, acl->worker, LOOP_LANE_WAIT, &acl->job) < 0)
        watch_done(acl, WSPR_ECANCELED);
}

void mount_acl_watch(struct mount_acl *acl, struct loop_worker *w, struct loop_offload *offload)
{
    acl->worker = w;
    acl->offload = offload;
    loop_timer_init(&acl->timer, w, watch_due, acl);
    loop_job_init(&acl->job, watch_work, watch_done, acl);
    loop_timer_start(&acl->timer, MOUNT_ACL_PERIOD);
}

bool mount_acl_find(const struct mount_acl *acl, struct span path,
                    const struct security_acl **ret_list)
{
    bool found;
    size_t at = table_place(&acl->table, path, &found);

    if (found)
        *ret_list = acl->table.entries[at].list;
    return found;
}

int mount_acl_open(const char *path, struct mount_acl **ret_acl, struct err *err)
{
    struct mount_acl *acl = calloc(1, sizeof *acl);
    int r;

    if (acl == NULL)
        return no_memory(err);
    acl->table.mem = ARENA_INIT(MOUNT_ACL_FILE_MAX);
    acl->path = mem_strndup(path, strlen(path));
    r = acl->path != NULL ? mount_acl_refresh(acl, err) : no_memory(err);
    if (r < 0)
        mount_acl_free(acl);
    else
        *ret_acl = acl;
    return r;
}

void mount_acl_free(struct mount_acl *acl)
{
    if (acl == NULL)
        return;
    if (acl->worker != NULL)
        loop_timer_stop(&acl->timer);
    if (acl->busy) {
        acl->freed = true;
        return;
    }
    acl_destroy(acl);
}
