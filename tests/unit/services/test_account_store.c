/* The folder of the store: what is refused, what is seen by others, the recorded operations. */
#include "config.h"
#include "unit/services/account_tests.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "security/key.h"
#include "support/child.h"

static int open_store(const char *folder, struct security_private *host,
                      const struct account_store_hook *hook, struct account_store **ret_store,
                      struct err *err)
{
    struct account_store_opts opts = {.folder = folder, .host = host, .hook = hook};

    return account_store_open(&opts, ret_store, err);
}

static const char *fresh_folder(void)
{
    static char path[4200];
    static unsigned n;
    char name[32];

    snprintf(name, sizeof name, "store-%u", n++);
    return child_file(path, sizeof path, name);
}

static const char *file_of(const char *folder, const char *name)
{
    static char path[4300];

    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static bool has_mode(const char *path, unsigned mode)
{
    struct stat st;

    return stat(path, &st) == 0 && (st.st_mode & 0777u) == mode;
}

/* Loads with a store of its own and compares. */
static bool holds(const char *folder, struct security_private *host,
                  const struct account_state *want)
{
    struct account_store *store = NULL;
    struct account_state *s = NULL;
    struct err e = ERR_INIT;
    bool ok = open_store(folder, host, NULL, &store, &e) == 0 &&
              account_store_load(store, &s, &e) == 0 && accounts_equal(s, want);

    if (!ok)
        tap_note("%s", err_text(&e));
    account_state_free(s);
    account_store_close(store);
    err_done(&e);
    return ok;
}

static void save_and_load(void)
{
    const char *folder = fresh_folder();
    struct security_private *host = accounts_host(), *alice = world_private("root-alice");
    struct account_state *empty = account_state_new(), *s = NULL, *two = accounts_make(2, alice);
    struct account_store *store = NULL;
    struct err e = ERR_INIT;

    TAP_OK(open_store(folder, host, NULL, &store, &e) == 0, "%s", err_text(&e));
    TAP_IS(account_store_save(store, two, &e) == WSPR_EAGAIN); /* not loaded yet */
    TAP_IS(account_store_load(store, &s, &e) == 0 && accounts_equal(s, empty));
    TAP_IS(account_store_lock(store, &e) == 0);
    for (unsigned i = 0; i < 3; i++) {
        TAP_OK(account_store_save(store, two, &e) == 0, "%s", err_text(&e));
        TAP_IS(holds(folder, host, two));
        TAP_IS(account_store_save(store, empty, &e) == 0 && holds(folder, host, empty));
    }
    TAP_IS(account_store_save(store, two, &e) == 0);
    account_store_unlock(store);
    TAP_IS(has_mode(folder, 0700) && has_mode(file_of(folder, "gen-7"), 0700));
    TAP_IS(has_mode(file_of(folder, "current/data"), 0600));
    TAP_IS(has_mode(file_of(folder, "current/signature"), 0600));
    TAP_IS(access(file_of(folder, "gen-6"), F_OK) < 0);
    account_store_close(store);
    account_state_free(s);
    account_state_free(two);
    account_state_free(empty);
    security_private_unref(alice);
    security_private_unref(host);
    err_done(&e);
}

static void in_memory(void)
{
    struct security_private *host = accounts_host(), *alice = world_private("root-alice");
    struct account_state *s = NULL, *again = NULL, *two = accounts_make(2, alice);
    struct account_store *store = NULL;

    TAP_IS(open_store(NULL, host, NULL, &store, NULL) == 0);
    TAP_IS(account_store_changed(store, NULL) == 1);
    TAP_IS(account_store_load(store, &s, NULL) == 0 && account_state_accounts(s) == 0);
    TAP_IS(account_store_save(store, two, NULL) == 0);
    TAP_IS(account_store_save(store, two, NULL) == 0);
    account_state_free(s);
    /* Twice: the reference's hands out its content only once. */
    TAP_IS(account_store_load(store, &s, NULL) == 0 && accounts_equal(s, two));
    TAP_IS(account_store_load(store, &again, NULL) == 0 && accounts_equal(again, two));
    account_state_free(again);
    account_state_free(s);
    account_state_free(two);
    account_store_close(store);
    security_private_unref(alice);
    security_private_unref(host);
}

/* Two processes with one folder: what one stores the other sees, and does not overwrite. */
static void seen_by_others(void)
{
    const char *folder = fresh_folder();
    struct security_private *host = accounts_host(), *alice = world_private("root-alice");
    struct account_state *one = accounts_make(1, alice), *two = accounts_make(2, alice);
    struct account_state *sa = NULL, *sb = NULL;
    struct account_store *a = NULL, *b = NULL;
    struct err e = ERR_INIT;

    TAP_IS(open_store(folder, host, NULL, &a, NULL) == 0);
    TAP_IS(open_store(folder, host, NULL, &b, NULL) == 0);
    TAP_IS(account_store_load(a, &sa, NULL) == 0 && account_store_load(b, &sb, NULL) == 0);
    TAP_IS(account_store_save(a, one, NULL) == 0 && account_store_changed(a, NULL) == 0);
    TAP_IS(account_store_changed(b, NULL) == 1);
    TAP_IS(account_store_save(b, two, &e) == WSPR_EAGAIN && holds(folder, host, one));
    account_state_free(sb);
    TAP_IS(account_store_load(b, &sb, NULL) == 0 && accounts_equal(sb, one));
    TAP_IS(account_store_save(b, two, NULL) == 0 && holds(folder, host, two));
    TAP_IS(account_store_changed(a, NULL) == 1);
    account_store_close(a);
    account_store_close(b);
    account_state_free(sa);
    account_state_free(sb);
    account_state_free(one);
    account_state_free(two);
    security_private_unref(alice);
    security_private_unref(host);
    err_done(&e);
}

/* Loading fails with a text that has `why` in it, and saving leaves what is there. */
static void is_refused(const char *folder, struct security_private *host, const char *why)
{
    struct account_state *s = NULL, *empty = account_state_new();
    struct account_store *store = NULL;
    struct err e = ERR_INIT;
    int r = open_store(folder, host, NULL, &store, &e);

    if (r == 0) {
        r = account_store_load(store, &s, &e);
        TAP_IS(account_store_save(store, empty, NULL) < 0);
    }
    TAP_OK(r < 0 && s == NULL && strstr(err_text(&e), why) != NULL, "%s: %d %s", why, r,
           err_text(&e));
    account_store_close(store);
    account_state_free(empty);
    err_done(&e);
}

static void overwrite(const char *path, long at, char byte)
{
    FILE *f = fopen(path, "r+");

    TAP_IS(f != NULL && fseek(f, at, at < 0 ? SEEK_END : SEEK_SET) == 0 && fputc(byte, f) == byte);
    if (f != NULL)
        fclose(f);
}

static void refused(void)
{
    const char *folder = fresh_folder();
    struct security_private *host = accounts_host(), *alice = world_private("root-alice");
    struct account_state *one = accounts_make(1, alice), *s = NULL;
    struct account_store *store = NULL;
    char aside[4300];

    TAP_IS(open_store(folder, host, NULL, &store, NULL) == 0);
    TAP_IS(account_store_load(store, &s, NULL) == 0 && account_store_save(store, one, NULL) == 0);
    TAP_IS(account_store_save(store, one, NULL) == 0); /* gen-2 */
    account_store_close(store);
    TAP_IS(holds(folder, host, one));
    is_refused(folder, alice, "signature verification failed"); /* another host */
    chmod(folder, 0750);
    is_refused(folder, host, "others may look into it");
    chmod(folder, 0700);
    chmod(file_of(folder, "current/data"), 0644);
    is_refused(folder, host, "others may look into it");
    chmod(file_of(folder, "current/data"), 0600);
    overwrite(file_of(folder, "current/data"), 700, 'x');
    is_refused(folder, host, "signature verification failed");
    TAP_IS(truncate(file_of(folder, "current/data"), 0) == 0);
    is_refused(folder, host, "signature verification failed");
    unlink(file_of(folder, "current/data"));
    is_refused(folder, host, "signature verification failed");
    snprintf(aside, sizeof aside, "%s/aside", folder);
    TAP_IS(rename(file_of(folder, "current"), aside) == 0);
    is_refused(folder, host, "\"current\" is missing");
    TAP_IS(symlink("/etc", file_of(folder, "current")) == 0);
    is_refused(folder, host, "\"current\" is malformed");
    unlink(file_of(folder, "current"));
    TAP_IS(symlink("gen-77", file_of(folder, "current")) == 0);
    is_refused(folder, host, "gen-77");
    account_state_free(one);
    account_state_free(s);
    security_private_unref(alice);
    security_private_unref(host);
}

/* ---- the recorded operations ---- */

/* What fails, and how; NULL: nothing. */
struct injection {
    const char *call, *file;
};

static int inject(void *arg, const char *call, const char *file)
{
    const struct injection *in = arg;

    return in->call != NULL && strcmp(call, in->call) == 0 && strcmp(file, in->file) == 0 ? ENOSPC
                                                                                          : 0;
}

struct manager {
    struct account_store *store;
    struct account_state *state;
    struct injection injection;
};

/* A change as the gateway makes it: to a copy, which counts when it is stored. */
static int manage(struct manager *m, const char *account, const char *id_name, const char *origin,
                  const char *failing_call, const char *failing_file, struct err *err)
{
    struct account_state *copy = account_state_copy(m->state);
    struct security_private *id = id_name != NULL ? world_private(id_name) : NULL;
    int r;

    m->injection = (struct injection){failing_call, failing_file};
    r = id != NULL ? account_state_add(copy, span_str(account), id, err)
                   : account_state_link(copy, span_str(origin), span_str(account), NULL, 0, err);
    if (r == 0)
        r = account_store_save(m->store, copy, err);
    m->injection = (struct injection){NULL, NULL};
    if (r == 0) {
        account_state_free(m->state);
        m->state = copy;
    } else {
        account_state_free(copy);
    }
    security_private_unref(id);
    return r;
}

static void identity_is(struct manager *m, const char *origin, const char *want)
{
    struct security_private *id;
    struct buf b = BUF_INIT(1000);

    TAP_IS(account_state_identity(m->state, span_str(origin), &id, NULL) == 0);
    security_private_print(&b, id, world_trust());
    TAP_OK(span_equal_str(buf_span(&b), want), "%s", buf_cstr(&b));
    buf_done(&b);
}

/* One recorded step; false if it is not one of ours. Error texts of the disk are our system's. */
static bool operation(struct manager *m, const char *step, struct json_object *o, struct err *e)
{
    static const char *const fails = "cannot be stored: ";

    if (strcmp(step, "AddOrigin(o,none) before any account") == 0) {
        TAP_IS(manage(m, "none", NULL, "o", NULL, NULL, e) == WSPR_ENOTFOUND);
        TAP_IS(strcmp(err_text(e), vec_str(o, "error")) == 0);
    } else if (strcmp(step, "AddAccount(a, alice)") == 0) {
        TAP_IS(manage(m, "a", "self-alice", NULL, NULL, NULL, e) == 0);
    } else if (strcmp(step, "AddOrigin(o,a)") == 0) {
        TAP_IS(manage(m, "a", NULL, "o", NULL, NULL, e) == 0);
    } else if (strcmp(step, "AddAccount(b, bob) with failing data write") == 0) {
        TAP_IS(manage(m, "b", "self-bob", NULL, "write", "data", e) < 0);
        TAP_IS(strstr(err_text(e), fails) != NULL);
    } else if (strcmp(step, "AccountsMatching(*) afterwards") == 0) {
        TAP_IS(account_state_accounts(m->state) == 1);
        TAP_IS(account_state_matches(m->state, 0, span_str("*"), NULL));
        TAP_IS(span_equal_str(account_state_account(m->state, 0, NULL), "a"));
    } else if (strcmp(step, "AddAccount(a, bob) (replace) with failing data write") == 0) {
        TAP_IS(manage(m, "a", "self-bob", NULL, "write", "data", e) < 0);
        TAP_IS(strstr(err_text(e), fails) != NULL);
    } else if (strcmp(step, "Identity(o) afterwards") == 0) {
        identity_is(m, "o", vec_str(o, "result"));
    } else if (strcmp(step, "AddOrigin(p,a) with failing data close") == 0) {
        TAP_IS(manage(m, "a", NULL, "p", "close", "data", e) < 0);
        TAP_IS(account_state_find_origin(m->state, span_str("p")) == NULL);
    } else if (strcmp(step, "AddAccount(b, bob) with failing signature write") == 0) {
        TAP_IS(manage(m, "b", "self-bob", NULL, "write", "signature", e) < 0);
    } else if (strcmp(step, "Identity(unknown)") == 0) {
        struct security_private *id;

        TAP_IS(account_state_identity(m->state, span_str("unknown"), &id, e) == WSPR_ENOTFOUND);
        TAP_IS(strcmp(err_text(e), vec_str(o, "error")) == 0);
        TAP_IS(strcmp(err_id(e), "veyron2/verror.NotFound") == 0);
    } else {
        return false;
    }
    return true;
}

/*
 * Faults of the reference, or what cannot be asked for here: nil accounts do not exist, an identity
 * has its scalar.
 */
static bool is_other(const char *step)
{
    static const char *const others[] = {
        "new on an empty store",
        "data changed although the operation failed",
        "reload from that store",
        "AddAccount(b, nil)",
        "AddOrigin(q,b)",
        "Identity(q)",
        "AccountsMatching(*) with a nil account",
        "AddAccount(h, identity whose scalar is not available)",
        "memory store loaded twice in a row",
    };

    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        if (strcmp(step, others[i]) == 0)
            return true;
    }
    return false;
}

static void recorded_operations(void)
{
    struct json_object *group = world_group("id_manager_operations");
    const char *folder = fresh_folder();
    struct security_private *host = accounts_host();
    struct manager m = {.store = NULL};
    struct account_store_hook hook = {inject, &m.injection};
    unsigned ran = 0, other = 0;

    TAP_IS(open_store(folder, host, &hook, &m.store, NULL) == 0);
    TAP_IS(account_store_load(m.store, &m.state, NULL) == 0);
    for (size_t i = 0; i < json_object_array_length(group); i++) {
        struct json_object *o = json_object_array_get_idx(group, i);
        const char *step = vec_str(o, "step");
        struct err e = ERR_INIT;

        if (operation(&m, step, o, &e))
            ran++;
        else if (is_other(step))
            other++;
        else
            TAP_OK(false, "unknown step \"%s\"", step);
        /* After every step the disk agrees with the memory. */
        TAP_OK(account_state_accounts(m.state) == 0 || holds(folder, host, m.state), "%s", step);
        err_done(&e);
    }
    tap_note("identity.json id_manager_operations: %u ran, %u are faults that we do not have", ran,
             other);
    TAP_IS(ran == 10 && other == 9);
    account_store_close(m.store);
    account_state_free(m.state);
    security_private_unref(host);
}

static const struct tap_case cases[] = {
    {"save and load", save_and_load},
    {"in memory", in_memory},
    {"seen by others", seen_by_others},
    {"refused", refused},
    {"recorded operations", recorded_operations},
};
const struct tap_suite suite_account_store = TAP_SUITE("account store", cases);
