/*
 * wspr accounts: the accounts that wsprd keeps. The commands work on its files, change them under
 * the lock that it takes as well, and need the identity that signs them. A wsprd that runs sees the
 * change within seconds; nobody has to stop.
 */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "json/writer.h"
#include "security/caveat.h"
#include "security/identity.h"
#include "security/idfile.h"
#include "security/pattern.h"
#include "services/account_store.h"
#include "services/identity_file.h"
#include "ws/origin.h"
#include "wspr.h"

struct accounts_args {
    const char *state_dir;
    struct config_list origins, methods;
    bool yes;
};

#define AT(member) offsetof(struct accounts_args, member)
#define STATE_DIR                                                                                  \
    {                                                                                              \
        "state-dir", CONFIG_STRING, AT(state_dir), "", "DIR",                                      \
            "state directory of wsprd (else the usual one)", 0, 0                                  \
    }

/* ---- the store ---- */

struct files {
    struct account_store *store;
    struct account_state *state;
};

static void files_close(struct files *f)
{
    account_store_close(f->store); /* gives the lock back */
    account_state_free(f->state);
}

/*
 * The identity that signs the store: the one that is named, else the one in the same directory. A
 * fresh one would lock wsprd out of its own store.
 */
static int load_signer(struct cli *cli, const char *dir, bool change, struct err *err)
{
    const char *named = getenv("VEYRON_IDENTITY");
    char path[IDENTITY_PATH_MAX + 16];
    int r;

    if (cli->opts.identity[0] != '\0' || (named != NULL && named[0] != '\0'))
        return cli_load_identity(cli, err);
    snprintf(path, sizeof path, "%s/identity", dir);
    if (access(path, F_OK) < 0 && !change)
        return cli_load_identity(cli, err); /* there is no store either */
    cli->opts.identity = path;
    r = cli_load_identity(cli, err);
    cli->opts.identity = "";
    return r;
}

static int files_load(struct cli *cli, const char *state_dir, bool change, struct files *f,
                      struct err *err)
{
    char path[IDENTITY_PATH_MAX];
    struct account_store_opts opts = {.folder = path, .read_only = !change};
    int r = identity_state_dir(state_dir, path, sizeof path - sizeof "/accounts", err);

    if (r == 0)
        r = load_signer(cli, path, change, err);
    if (r < 0)
        return r;
    memcpy(path + strlen(path), "/accounts", sizeof "/accounts");
    opts.host = cli->identity;
    r = account_store_open(&opts, &f->store, err);
    return r == 0 ? account_store_load(f->store, &f->state, err) : r;
}

/* 0, or the exit status after the error was printed; files_close in any case. */
static int files_open(struct cli *cli, const struct accounts_args *o, bool change, struct files *f)
{
    struct err e = ERR_INIT;
    int r, status = CLI_OK;

    *f = (struct files){NULL, NULL};
    r = files_load(cli, o->state_dir, change, f, &e);
    if (r == WSPR_ENOTAUTH && strstr(err_text(&e), "verification failed") != NULL)
        err_prefix(&e, 0, "not the identity that wsprd runs under, or damaged files: ");
    if (r < 0)
        status = cli_fail_err(cli, CLI_LOCAL, &e, NULL);
    err_done(&e);
    return status;
}

/*
 * Stores what was changed, tells, and returns the exit status. Only now is the store locked: who
 * was asked something may have taken their time.
 */
static int files_save(struct cli *cli, struct files *f, const char *what, const char *done)
{
    struct err e = ERR_INIT;
    int status = CLI_OK, r = account_store_lock(f->store, &e);

    if (r == 0)
        r = account_store_save(f->store, f->state, &e);
    if (r == WSPR_EAGAIN)
        status = cli_fail(cli, CLI_LOCAL,
                          "nothing was changed: somebody else changed the accounts meanwhile");
    else if (r < 0)
        status = cli_fail_err(cli, CLI_LOCAL, &e, NULL);
    else if (cli->opts.json)
        cli_printf(cli, "{\"done\": true}\n");
    else
        cli_printf(cli, "%s is %s.\n", what, done);
    err_done(&e);
    return status == CLI_OK ? cli_flush(cli) : status;
}

/* ---- list, origins ---- */

static size_t origins_of(const struct account_state *s, struct span account)
{
    size_t n = 0;

    for (size_t i = 0; i < account_state_origins(s); i++)
        n += span_equal(account_state_origin(s, i)->account, account);
    return n;
}

static void print_expiry(struct cli *cli, int64_t expires)
{
    char text[64];

    if (expires == INT64_MAX)
        cli_printf(cli, "no end");
    else if (expires <= clock_wall())
        cli_printf(cli, "expired");
    else
        cli_printf(cli, "good for %s", cli_duration(text, sizeof text, expires - clock_wall()));
}

static void json_account(struct json_writer *w, struct span account, struct span identity,
                         int64_t expires, size_t origins)
{
    json_write_object(w);
    json_write_name_str(w, "account");
    json_write_string(w, account);
    json_write_name_str(w, "identity");
    json_write_string(w, identity);
    json_write_name_str(w, "expires");
    if (expires == INT64_MAX)
        json_write_null(w);
    else
        json_write_int(w, expires / CLOCK_S);
    json_write_name_str(w, "origins");
    json_write_uint(w, origins);
    json_write_object_end(w);
}

static void print_account(struct cli *cli, const struct account_state *s, size_t i)
{
    struct security_private *id;
    struct span account = account_state_account(s, i, &id);
    struct security_identity *pub = security_private_public(id);
    int64_t expires = security_identity_expires(pub);
    struct buf name = BUF_INIT(SECURITY_IDENTITY_MAX), line = BUF_INIT(SECURITY_IDENTITY_MAX);
    size_t n = origins_of(s, account);

    security_identity_print(&name, pub, cli->trust);
    if (cli->opts.json) {
        struct json_writer w;

        json_writer_init(&w, &line);
        json_account(&w, account, buf_span(&name), expires, n);
        cli_put(cli, buf_span(&line));
        cli_printf(cli, "\n");
    } else {
        cli_put(cli, span_str(cli_color_on(cli, CLI_NAME)));
        cli_put_text(cli, account);
        cli_put(cli, span_str(cli_color_off(cli)));
        cli_printf(cli, "  ");
        cli_put_text(cli, buf_span(&name));
        cli_printf(cli, "  ");
        print_expiry(cli, expires);
        cli_printf(cli, ", %zu origin%s\n", n, n == 1 ? "" : "s");
    }
    buf_done(&name);
    buf_done(&line);
}

static int run_list(struct cli *cli, const struct cli_args *args)
{
    const struct accounts_args *o = args->opts;
    struct span pattern = span_str(args->n > 0 ? args->v[0] : "*");
    struct files f;
    int status = files_open(cli, o, false, &f);

    for (size_t i = 0; status == CLI_OK && i < account_state_accounts(f.state); i++) {
        if (account_state_matches(f.state, i, pattern, cli->trust))
            print_account(cli, f.state, i);
    }
    files_close(&f);
    return status == CLI_OK ? cli_flush(cli) : status;
}

static void print_origin(struct cli *cli, const struct account_state *s,
                         const struct account_origin *o)
{
    bool lost = account_state_find(s, o->account) == NULL;
    struct buf line = BUF_INIT(SECURITY_IDENTITY_MAX);
    struct json_writer w;

    if (cli->opts.json) {
        json_writer_init(&w, &line);
        json_write_object(&w);
        json_write_name_str(&w, "origin");
        json_write_string(&w, o->origin);
        json_write_name_str(&w, "account");
        json_write_string(&w, o->account);
        json_write_name_str(&w, "caveats");
        json_write_uint(&w, o->n_caveats);
        json_write_name_str(&w, "usable");
        json_write_bool(&w, !lost);
        json_write_object_end(&w);
        cli_put(cli, buf_span(&line));
    } else {
        cli_put_text(cli, o->origin);
        cli_printf(cli, "  ");
        cli_put_text(cli, o->account);
        if (o->n_caveats > 0)
            cli_printf(cli, "  %zu caveat%s", o->n_caveats, o->n_caveats == 1 ? "" : "s");
        if (lost)
            cli_printf(cli, "  (there is no such account)");
    }
    cli_printf(cli, "\n");
    buf_done(&line);
}

static int run_origins(struct cli *cli, const struct cli_args *args)
{
    struct files f;
    int status = files_open(cli, args->opts, false, &f);

    for (size_t i = 0; status == CLI_OK && i < account_state_origins(f.state); i++) {
        const struct account_origin *o = account_state_origin(f.state, i);

        if (args->n == 0 || span_equal_str(o->account, args->v[0]))
            print_origin(cli, f.state, o);
    }
    files_close(&f);
    return status == CLI_OK ? cli_flush(cli) : status;
}

/* ---- add ---- */

/* The form under which wsprd looks for it; 0, or the exit status. */
static int serialize(struct cli *cli, const char *text, struct buf *out)
{
    struct ws_origin o;

    if (ws_origin_parse(span_str(text), &o) < 0)
        return cli_usage(cli, "\"%s\" is no origin: want SCHEME://HOST or SCHEME://HOST:PORT",
                         text);
    ws_origin_format(out, &o);
    return CLI_OK;
}

static int link_origin(struct cli *cli, struct files *f, const char *account, const char *origin,
                       const struct config_list *methods)
{
    struct buf name = BUF_INIT(65536), bytes = BUF_INIT(65536);
    struct span list[CONFIG_LIST_MAX + 2];
    struct security_caveat caveat = {.service = span_str("*")};
    struct err e = ERR_INIT;
    int status = serialize(cli, origin, &name);

    for (size_t i = 0; i < methods->n; i++)
        list[i] = span_str(methods->items[i]);
    if (status == CLI_OK && methods->n > 0) {
        /* Without these no name is found and no method known. */
        list[methods->n] = span_str("Signature");
        list[methods->n + 1] = span_str("ResolveStep");
        security_caveat_methods(&bytes, list, methods->n + 2);
        caveat.bytes = buf_span(&bytes);
    }
    if (status == CLI_OK && account_state_link(f->state, buf_span(&name), span_str(account),
                                               &caveat, methods->n > 0, &e) < 0)
        status = cli_fail_err(cli, CLI_LOCAL, &e, NULL);
    buf_done(&name);
    buf_done(&bytes);
    err_done(&e);
    return status;
}

/* Asks "what account, …?"; 0, or the exit status. */
static int confirm(struct cli *cli, const struct accounts_args *o, const char *what,
                   const char *account, size_t n_origins)
{
    char answer[16] = "";

    if (o->yes)
        return CLI_OK;
    if (!isatty(STDIN_FILENO))
        return cli_fail(cli, CLI_USAGE, "not done without --yes: nobody can be asked");
    cli_clear_progress(cli);
    fprintf(stderr, "%s %s, under which %zu origin%s act%s? [y/N] ", what, account, n_origins,
            n_origins == 1 ? "" : "s", n_origins == 1 ? "s" : "");
    if (fgets(answer, sizeof answer, stdin) != NULL && (answer[0] == 'y' || answer[0] == 'Y'))
        return CLI_OK;
    return cli_fail(cli, CLI_INTERRUPTED, "nothing was changed");
}

static int read_identity(struct cli *cli, const char *path, struct security_private **ret_id)
{
    struct err e = ERR_INIT;
    int status = CLI_OK;

    if (identity_file_read(path, ret_id, &e) < 0)
        status = cli_fail_err(cli, CLI_LOCAL, &e, NULL);
    err_done(&e);
    return status;
}

static int add_account(struct cli *cli, struct files *f, const struct cli_args *args)
{
    const struct accounts_args *o = args->opts;
    struct span account = span_str(args->v[0]);
    struct security_private *id = NULL;
    struct err e = ERR_INIT;
    int status = CLI_OK;

    if (args->n == 1)
        return CLI_OK; /* only its origins */
    status = read_identity(cli, args->v[1], &id);
    if (status == CLI_OK && account_state_find(f->state, account) != NULL)
        status =
            confirm(cli, o, "Replace the identity of", args->v[0], origins_of(f->state, account));
    if (status == CLI_OK && account_state_add(f->state, account, id, &e) < 0)
        status = cli_fail_err(cli, CLI_LOCAL, &e, NULL);
    security_private_unref(id);
    err_done(&e);
    return status;
}

static int run_add(struct cli *cli, const struct cli_args *args)
{
    const struct accounts_args *o = args->opts;
    struct files f;
    int status;

    if (args->n == 1 && o->origins.n == 0)
        return cli_usage(cli, "an argument is missing: FILE, or --origin for an account there is");
    if (args->v[0][0] == '\0')
        return cli_usage(cli, "the name of an account cannot be empty");
    status = files_open(cli, o, true, &f);
    if (status == CLI_OK)
        status = add_account(cli, &f, args);
    for (size_t i = 0; status == CLI_OK && i < o->origins.n; i++)
        status = link_origin(cli, &f, args->v[0], o->origins.items[i], &o->methods);
    if (status == CLI_OK)
        status = files_save(cli, &f, args->v[0], "stored");
    files_close(&f);
    return status;
}

/* ---- remove ---- */

static int unlink_origin(struct cli *cli, struct files *f, const char *origin)
{
    struct buf name = BUF_INIT(65536);
    struct err e = ERR_INIT;
    int status = CLI_OK;

    /* What somebody stored is removed as it is, though it may be no origin. */
    if (account_state_unlink(f->state, span_str(origin), NULL) < 0) {
        status = serialize(cli, origin, &name);
        if (status == CLI_OK && account_state_unlink(f->state, buf_span(&name), &e) < 0)
            status = cli_fail_err(cli, CLI_LOCAL, &e, "%s", origin);
    }
    buf_done(&name);
    err_done(&e);
    return status;
}

static int remove_account(struct cli *cli, struct files *f, const struct cli_args *args)
{
    struct span account = span_str(args->v[0]);
    struct err e = ERR_INIT;
    int status = CLI_OK;

    if (account_state_find(f->state, account) != NULL)
        status = confirm(cli, args->opts, "Remove the private key of", args->v[0],
                         origins_of(f->state, account));
    if (status == CLI_OK && account_state_remove(f->state, account, &e) < 0)
        status = cli_fail_err(cli, CLI_LOCAL, &e, NULL);
    for (size_t i = account_state_origins(f->state); status == CLI_OK && i-- > 0;) {
        const struct account_origin *o = account_state_origin(f->state, i);

        if (span_equal(o->account, account))
            account_state_unlink(f->state, o->origin, NULL);
    }
    err_done(&e);
    return status;
}

static int run_remove(struct cli *cli, const struct cli_args *args)
{
    const struct accounts_args *o = args->opts;
    struct files f;
    int status;

    if (args->n + (int)o->origins.n == 0)
        return cli_usage(cli, "an argument is missing: ACCOUNT, or --origin");
    status = files_open(cli, o, true, &f);
    for (size_t i = 0; status == CLI_OK && i < o->origins.n; i++)
        status = unlink_origin(cli, &f, o->origins.items[i]);
    if (status == CLI_OK && args->n > 0)
        status = remove_account(cli, &f, args);
    if (status == CLI_OK)
        status = files_save(cli, &f, args->n > 0 ? args->v[0] : o->origins.items[0], "removed");
    files_close(&f);
    return status;
}

/* ---- export ---- */

static int export_text(struct cli *cli, const struct security_private *id)
{
    struct buf text = BUF_INIT(SECURITY_TEXT_MAX);
    int r = security_idfile_print_private(&text, id);

    cli_put(cli, buf_span(&text));
    cli_printf(cli, "\n");
    security_buf_wipe(&text);
    return r < 0 ? cli_fail(cli, CLI_LOCAL, "%s", err_code_text(r)) : cli_flush(cli);
}

static int run_export(struct cli *cli, const struct cli_args *args)
{
    struct security_private *id;
    struct err e = ERR_INIT;
    struct files f;
    int status = files_open(cli, args->opts, false, &f);

    if (status == CLI_OK) {
        id = account_state_find(f.state, span_str(args->v[0]));
        if (id == NULL)
            status = cli_fail(cli, CLI_LOCAL, "unknown account %s", args->v[0]);
        else if (strcmp(args->v[1], "-") == 0)
            status = export_text(cli, id);
        else if (identity_file_create(args->v[1], id, &e) < 0)
            status = cli_fail_err(cli, CLI_LOCAL, &e, NULL);
    }
    files_close(&f);
    err_done(&e);
    return status;
}

/* ---- the table ---- */

static const struct config_option list_rows[] = {STATE_DIR};
static const struct config_table list_table = CLI_TABLE(list_rows);

static const struct config_option add_rows[] = {
    {"origin", CONFIG_LIST, AT(origins), NULL, "ORIGIN",
     "web origin that acts under the account; may be repeated", 0, 0},
    {"method", CONFIG_LIST, AT(methods), NULL, "METHOD",
     "let these origins call this method only, besides what finding\n"
     "it takes; may be repeated",
     0, 0},
    {"yes", CONFIG_BOOL, AT(yes), "false", NULL, "do not ask before an identity is replaced", 0, 0},
    STATE_DIR,
};
static const struct config_table add_table = CLI_TABLE(add_rows);

static const struct config_option remove_rows[] = {
    {"origin", CONFIG_LIST, AT(origins), NULL, "ORIGIN", "remove this origin only; may be repeated",
     0, 0},
    {"yes", CONFIG_BOOL, AT(yes), "false", NULL, "do not ask", 0, 0},
    STATE_DIR,
};
static const struct config_table remove_table = CLI_TABLE(remove_rows);

static const struct cli_command commands[] = {
    {
        .name = "list",
        .operands = "[PATTERN]",
        .summary = "list accounts and whose identities they hold",
        .about = "With a pattern only those whose identity matches it, as \"root/alice\" or\n"
                 "\"root/*\"; names depend on the roots that this process trusts.\n\n"
                 "Examples:\n"
                 "  wspr accounts list\n"
                 "  wspr accounts list 'root/*'\n",
        .options = &list_table,
        .opts_size = sizeof(struct accounts_args),
        .max = 1,
        .run = run_list,
    },
    {
        .name = "add",
        .operands = "ACCOUNT [FILE]",
        .summary = "store an identity, or let origins act under it",
        .about =
            "Stores the private identity in FILE under the name ACCOUNT, which is a label and\n"
            "nothing more. Without FILE the account is there already and only gets origins.\n"
            "A page of such an origin acts as <identity>/<origin>, where \"/\" is \"%2F\".\n\n"
            "Examples:\n"
            "  wspr accounts add alice alice.id --origin https://app.example\n"
            "  wspr accounts add alice --origin http://localhost:8000 --method Get\n",
        .options = &add_table,
        .opts_size = sizeof(struct accounts_args),
        .min = 1,
        .max = 2,
        .run = run_add,
    },
    {
        .name = "remove",
        .operands = "[ACCOUNT]",
        .summary = "remove an account with its origins, or origins alone",
        .about =
            "The private key is gone afterwards, unless it was exported. Pages of its origins\n"
            "act under the identity of wsprd from their next call on.\n\n"
            "Examples:\n"
            "  wspr accounts remove alice\n"
            "  wspr accounts remove --origin https://app.example\n",
        .options = &remove_table,
        .opts_size = sizeof(struct accounts_args),
        .max = 1,
        .run = run_remove,
    },
    {
        .name = "origins",
        .operands = "[ACCOUNT]",
        .summary = "list web origins and their accounts",
        .about = "Examples:\n"
                 "  wspr accounts origins\n"
                 "  wspr accounts origins alice\n",
        .options = &list_table,
        .opts_size = sizeof(struct accounts_args),
        .max = 1,
        .run = run_origins,
    },
    {
        .name = "export",
        .operands = "ACCOUNT FILE",
        .summary = "write the private identity of an account to a file",
        .about =
            "The file is made anew, for its owner alone; \"-\" is the standard output. Who has\n"
            "it can act as the account.\n\n"
            "Examples:\n"
            "  wspr accounts export alice alice.id\n",
        .options = &list_table,
        .opts_size = sizeof(struct accounts_args),
        .min = 2,
        .max = 2,
        .run = run_export,
    },
    {.name = NULL},
};

const struct cli_command cli_accounts = {
    .name = "accounts",
    .operands = "COMMAND",
    .summary = "the accounts of web origins that wsprd keeps",
    .about = "Reads and changes the files of wsprd, whose identity signs them: run it as the same\n"
             "user, with the same VEYRON_IDENTITY or state directory. A wsprd that runs follows\n"
             "within seconds.\n\n"
             "Examples:\n"
             "  wspr accounts list\n"
             "  wspr accounts add alice alice.id --origin https://app.example\n",
    .sub = commands,
};
