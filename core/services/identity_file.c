#include "config.h"
#include "services/identity_file.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "security/identity.h"
#include "security/idfile.h"
#include "security/trust.h"

#define IDENTITY_VARIABLE "VEYRON_IDENTITY"
#define IDENTITY_NAME_MAX 512
#define IDENTITY_STATE    "identity" /* the file in the state directory */

/* "open /a/b: no such file or directory" */
static int file_error(struct err *err, const char *what, const char *path)
{
    const char *text = strerror(errno);

    return err_set(err, WSPR_ESYS, "%s %s: %c%s", what, path, tolower((unsigned char)text[0]),
                   text[0] != '\0' ? text + 1 : "");
}

/* ---- reading ---- */

/* Room for the file, and more, which shows where it ends. What is no file may be of any length. */
static size_t room_for(int fd)
{
    const size_t most = SECURITY_TEXT_MAX + 8192;
    struct stat st;

    if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || (uint64_t)st.st_size >= most)
        return most;
    return (size_t)st.st_size + 1;
}

/* Reads the whole file into room that was made before: what is read is secret. */
static int read_all(int fd, const char *path, struct buf *out, struct err *err)
{
    size_t most = out->max;
    uint8_t *room = buf_reserve(out, most);
    ssize_t n;

    if (room == NULL)
        return err_set(err, WSPR_ENOMEM, "out of memory");
    do {
        n = read(fd, room + out->len, most - out->len);
        if (n > 0)
            buf_commit(out, (size_t)n);
    } while ((n > 0 && out->len < most) || (n < 0 && errno == EINTR));
    if (n < 0)
        return file_error(err, "read", path);
    if (out->len == most)
        return err_set(err, WSPR_ELIMIT, "the file is too long for an identity");
    return 0;
}

/* *ret_errno tells why it could not be opened; 0 if that was not what failed. */
static int read_file(const char *path, struct security_private **ret_id, int *ret_errno,
                     struct err *err)
{
    struct buf text = BUF_INIT(0);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    int r;

    *ret_errno = fd < 0 ? errno : 0;
    if (fd < 0)
        return file_error(err, "open", path);
    text.max = room_for(fd);
    r = read_all(fd, path, &text, err);
    close(fd);
    if (r == 0)
        r = security_idfile_parse_private(buf_span(&text), 0, ret_id, err);
    security_buf_wipe(&text);
    return r;
}

int identity_file_read(const char *path, struct security_private **ret_id, struct err *err)
{
    int why;

    return read_file(path, ret_id, &why, err);
}

/* ---- writing ---- */

/* Some file systems have nothing to do for fsync and say so. */
static int sync_fd(int fd)
{
    return fsync(fd) < 0 && errno != EINVAL && errno != EROFS ? -1 : 0;
}

static int write_all(int fd, struct span text)
{
    while (text.len > 0) {
        ssize_t n = write(fd, text.p, text.len);

        if (n < 0 && errno != EINTR)
            return -1;
        if (n > 0)
            text = span_of(text.p + n, text.len - (size_t)n);
    }
    return 0;
}

/* A name is only durable once its directory is. */
static int sync_dir_of(const char *path)
{
    char dir[IDENTITY_PATH_MAX];
    const char *slash = strrchr(path, '/');
    int fd, r;

    if (slash == NULL)
        snprintf(dir, sizeof dir, ".");
    else
        snprintf(dir, sizeof dir, "%.*s", slash == path ? 1 : (int)(slash - path), path);
    fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return -1;
    r = sync_fd(fd);
    close(fd);
    return r;
}

/*
 * Writes into a file beside it, and gives that its name only when it is complete; and, if it is to
 * be durable, on the disk. It is there for everybody who looks before that.
 */
static int create_file(const char *path, struct span text, bool durable, struct err *err)
{
    char temp[IDENTITY_PATH_MAX];
    int fd, r = 0;

    if (snprintf(temp, sizeof temp, "%s.XXXXXX", path) >= (int)sizeof temp)
        return err_set(err, WSPR_ELIMIT, "the path of the identity is too long");
    fd = mkostemp(temp, O_CLOEXEC); /* mode 0600 */
    if (fd < 0)
        return file_error(err, "create", path);
    if (write_all(fd, text) < 0 || write_all(fd, span_str("\n")) < 0 ||
        (durable && sync_fd(fd) < 0))
        r = file_error(err, "write", temp);
    if (close(fd) < 0 && r == 0)
        r = file_error(err, "close", temp);
    /* Unlike rename(), this never replaces what another process put there in the meantime. */
    if (r == 0 && link(temp, path) < 0)
        r = errno == EEXIST ? err_set(err, WSPR_EEXISTS, "%s exists already", path)
                            : file_error(err, "create", path);
    unlink(temp);
    if (r == 0 && durable && sync_dir_of(path) < 0)
        r = file_error(err, "sync the directory of", path);
    return r;
}

static int create_identity(const char *path, const struct security_private *id, bool durable,
                           struct err *err)
{
    struct buf text = BUF_INIT(SECURITY_TEXT_MAX);
    int r = security_idfile_print_private(&text, id);

    if (r < 0)
        err_set(err, r, "the identity cannot be written as text");
    else
        r = create_file(path, buf_span(&text), durable, err);
    security_buf_wipe(&text);
    return r;
}

int identity_file_create(const char *path, const struct security_private *id, struct err *err)
{
    return create_identity(path, id, true, err);
}

/* ---- making ---- */

/* suffix: what follows user@host. */
static int make_identity(const char *suffix, struct security_private **ret_id, struct err *err)
{
    char name[IDENTITY_NAME_MAX], host[256] = "";
    const struct passwd *pw = getpwuid(getuid());
    const char *user = pw != NULL ? pw->pw_name : "anonymous";

    if (gethostname(host, sizeof host - 1) < 0)
        host[0] = '\0';
    snprintf(name, sizeof name, "%s%s%s%s", user, host[0] != '\0' ? "@" : "", host, suffix);
    return security_private_new(span_str(name), ret_id, err);
}

int identity_fresh(struct security_private **ret_id, struct err *err)
{
    char pid[32];

    snprintf(pid, sizeof pid, "-%d", (int)getpid());
    return make_identity(pid, ret_id, err);
}

/* ---- the state directory ---- */

int identity_state_dir(const char *dir, char *ret_path, size_t size, struct err *err)
{
    const char *state = getenv("STATE_DIRECTORY"), *xdg = getenv("XDG_STATE_HOME");
    const char *home = getenv("HOME");
    char path[IDENTITY_PATH_MAX];
    int n;

    if (dir != NULL && dir[0] != '\0')
        n = snprintf(path, sizeof path, "%s", dir);
    else if (state != NULL && state[0] == '/')
        n = snprintf(path, sizeof path, "%.*s", (int)strcspn(state, ":"), state);
    else if (xdg != NULL && xdg[0] == '/') /* a relative one is to be ignored */
        n = snprintf(path, sizeof path, "%s/wspr", xdg);
    else if (home != NULL && home[0] == '/')
        n = snprintf(path, sizeof path, "%s/.local/state/wspr", home);
    else
        return err_set(err, WSPR_ENOTFOUND, "neither STATE_DIRECTORY nor HOME is set");
    if (n < 0 || (size_t)n >= sizeof path || (size_t)n >= size)
        return err_set(err, WSPR_ELIMIT, "the path of the state directory is too long");
    memcpy(ret_path, path, (size_t)n + 1);
    return 0;
}

static int identity_state_path(const char *dir, char path[IDENTITY_PATH_MAX], struct err *err)
{
    size_t len;
    int r = identity_state_dir(dir, path, IDENTITY_PATH_MAX, err);

    if (r < 0)
        return r;
    len = strlen(path);
    if (len + sizeof "/" IDENTITY_STATE > IDENTITY_PATH_MAX)
        return err_set(err, WSPR_ELIMIT, "the path of the state directory is too long");
    memcpy(path + len, "/" IDENTITY_STATE, sizeof "/" IDENTITY_STATE);
    return 0;
}

/* Makes the directory of a file and what is missing above, for the owner alone. */
static int make_dir_of(char *path, struct err *err)
{
    for (char *p = path + 1; (p = strchr(p, '/')) != NULL; p++) {
        int r = 0;

        *p = '\0';
        if (mkdir(path, 0700) < 0 && errno != EEXIST)
            r = file_error(err, "make the directory", path);
        *p = '/';
        if (r < 0)
            return r;
    }
    return 0;
}

/* Whether files in it can be looked for at all. */
static bool may_search_dir_of(char *path)
{
    char *slash = strrchr(path, '/');
    bool ok;

    *slash = '\0';
    ok = access(path, X_OK) == 0;
    *slash = '/';
    return ok;
}

static void warn_of_others(const char *path, const struct log *log)
{
    struct stat st;

    if (stat(path, &st) == 0 && (st.st_mode & (S_IRWXG | S_IRWXO)) != 0)
        log_write(log, LOG_LEVEL_WARN, "identity", "others may read %s; it holds a private key",
                  path);
}

/*
 * Whether there is no empty file any more. The system may have failed before a new identity was on
 * the disk: its name is there, and nothing in it that could be lost. The lock is on the file, so
 * that of several who find it none removes what another one put in its place.
 */
static bool remove_empty(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat file, named;
    bool gone = false;

    if (fd < 0)
        return errno == ENOENT;
    if (flock(fd, LOCK_EX) == 0 && fstat(fd, &file) == 0 && S_ISREG(file.st_mode) &&
        file.st_size == 0)
        gone = stat(path, &named) < 0 || named.st_ino != file.st_ino || unlink(path) == 0;
    close(fd);
    return gone;
}

/*
 * The identity in the state directory, which is made if it is not there. *ret_id may be one that
 * could not be kept: the result is then the error. *ret_bad: there is one, but of no use.
 */
static int keep_identity(char *path, const struct log *log, struct security_private **ret_id,
                         bool *ret_made, bool *ret_bad, struct err *err)
{
    int why, r = make_dir_of(path, err);

    *ret_bad = false;
    if (r < 0)
        return r;
    r = read_file(path, ret_id, &why, err);
    if (r < 0 && (why == ENOENT || (why == 0 && remove_empty(path)))) {
        err_done(err);
        *err = ERR_INIT;
        r = make_identity("", ret_id, err);
        if (r == 0)
            r = create_identity(path, *ret_id, false, err);
        *ret_made = r == 0;
        if (r != WSPR_EEXISTS)
            return r;
        /* Another process was faster. */
        security_private_unref(*ret_id);
        *ret_id = NULL;
        r = read_file(path, ret_id, &why, err);
    }
    if (r == 0)
        warn_of_others(path, log);
    else if (why == 0 || may_search_dir_of(path))
        *ret_bad = true;
    return r;
}

/* ---- looking for one ---- */

static int with_trust(struct security_private *id, struct security_private **ret_id,
                      struct security_trust **ret_trust, struct err *err)
{
    struct security_trust *trust = security_trust_create();

    if (trust == NULL || security_trust_add_roots(trust, id) < 0) {
        security_trust_unref(trust);
        security_private_unref(id);
        return err_set(err, WSPR_ENOMEM, "out of memory");
    }
    *ret_id = id;
    *ret_trust = trust;
    return 0;
}

/* 1 if the environment names no file. */
static int identity_of_environment(struct security_private **ret_id, struct err *err)
{
    const char *path = getenv(IDENTITY_VARIABLE);
    int r;

    if (path == NULL || path[0] == '\0')
        return 1;
    r = identity_file_read(path, ret_id, err);
    if (r < 0)
        err_prefix(err, 0,
                   "Could not load identity from the " IDENTITY_VARIABLE
                   " environment variable (\"%s\"): ",
                   path);
    return r;
}

/* 1 if there is none, or none that we may read. */
static int identity_of_state(struct security_private **ret_id, struct err *err)
{
    struct err e = ERR_INIT;
    char path[IDENTITY_PATH_MAX];
    int why, r;

    if (identity_state_path(NULL, path, NULL) < 0)
        return 1;
    r = read_file(path, ret_id, &why, &e);
    if (r < 0 && why != 0) {
        r = 1;
    } else if (r < 0) {
        err_prefix(&e, 0, "the identity in %s is of no use: ", path);
        err_move(err, &e);
    }
    err_done(&e);
    return r;
}

int identity_of_tool(const char *file, struct security_private **ret_id,
                     struct security_trust **ret_trust, struct err *err)
{
    struct security_private *id = NULL;
    int r;

    if (file != NULL) {
        r = identity_file_read(file, &id, err);
    } else {
        r = identity_of_environment(&id, err);
        if (r == 1)
            r = identity_of_state(&id, err);
        if (r == 1)
            r = identity_fresh(&id, err);
    }
    return r < 0 ? r : with_trust(id, ret_id, ret_trust, err);
}

int identity_of_process(struct security_private **ret_id, struct security_trust **ret_trust,
                        struct err *err)
{
    return identity_of_tool(NULL, ret_id, ret_trust, err);
}

int identity_of_daemon_sync(const char *dir, struct err *err)
{
    char path[IDENTITY_PATH_MAX];
    int fd, r = identity_state_path(dir, path, err);

    if (r < 0)
        return r;
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return file_error(err, "open", path);
    if (sync_fd(fd) < 0)
        r = file_error(err, "sync", path);
    else if (sync_dir_of(path) < 0)
        r = file_error(err, "sync the directory of", path);
    close(fd);
    return r;
}

int identity_of_daemon(const char *dir, const struct log *log, struct security_private **ret_id,
                       struct security_trust **ret_trust, bool *ret_made, struct err *err)
{
    struct security_private *id = NULL;
    struct err why = ERR_INIT;
    char path[IDENTITY_PATH_MAX];
    bool bad = false;
    int r = identity_of_environment(&id, err);

    *ret_made = false;
    if (r == 1) {
        r = identity_state_path(dir, path, &why);
        if (r == 0)
            r = keep_identity(path, log, &id, ret_made, &bad, &why);
        if (bad)
            err_prefix(&why, 0,
                       "the identity in %s is of no use (move it away to get a new one): ", path);
        if (r < 0 && (bad || (dir != NULL && dir[0] != '\0'))) {
            security_private_unref(id);
            err_move(err, &why);
            return r;
        }
        if (r < 0) {
            log_write(log, LOG_LEVEL_WARN, "identity",
                      "this identity will not be kept: %s (see -state-dir)", err_text(&why));
            r = id != NULL ? 0 : make_identity("", &id, err);
        }
        err_done(&why);
    }
    return r < 0 ? r : with_trust(id, ret_id, ret_trust, err);
}
