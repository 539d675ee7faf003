/* wspr identity: identities in files (spec: security 13.1). */
#include "config.h"

#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "security/caveat.h"
#include "security/identity.h"
#include "security/pattern.h"
#include "security/trust.h"
#include "services/identity_file.h"
#include "wspr.h"
#include "wspr_identity.h"

#define CAVEAT_MAX 65536

/* ---- generate ---- */

struct output_opts {
    const char *path;
    bool force;
};

#define OUTPUT_ROWS(target)                                                                        \
    {"output",                                                                                     \
     CONFIG_STRING,                                                                                \
     offsetof(target, output.path),                                                                \
     "",                                                                                           \
     "FILE",                                                                                       \
     "write to this file, which only you may read then, and not\nto the standard output",          \
     0,                                                                                            \
     0},                                                                                           \
        {"o", CONFIG_STRING, offsetof(target, output.path), NULL, NULL, NULL, 0, 0},               \
    {                                                                                              \
        "force", CONFIG_BOOL, offsetof(target, output.force), "false", NULL,                       \
            "replace the file if there is one", 0, 0                                               \
    }

struct generate_opts {
    struct output_opts output;
};

static const char *default_name(char *out, size_t size)
{
    const struct passwd *pw = getpwuid(getuid());
    char host[256] = "";

    if (gethostname(host, sizeof host - 1) < 0)
        host[0] = '\0';
    snprintf(out, size, "%s%s%s", pw != NULL ? pw->pw_name : "anonymous",
             host[0] != '\0' ? "@" : "", host);
    return out;
}

static int run_generate(struct cli *cli, const struct cli_args *args)
{
    const struct generate_opts *opts = args->opts;
    char name[512];
    struct cli_id id = {0};
    struct err e = ERR_INIT;
    int status;

    if (security_private_new(span_str(args->n > 0 ? args->v[0] : default_name(name, sizeof name)),
                             &id.priv, &e) < 0)
        status = cli_fail(cli, e.code == WSPR_EINVAL ? CLI_USAGE : CLI_LOCAL, "%s", err_text(&e));
    else
        status = cli_id_write(cli, opts->output.path, opts->output.force, &id);
    err_done(&e);
    cli_id_done(&id);
    return status;
}

static const struct config_option generate_rows[] = {OUTPUT_ROWS(struct generate_opts)};
static const struct config_table generate_table = CLI_TABLE(generate_rows);

/* ---- print ---- */

struct print_opts {
    bool longer;
};

/* The roots that are trusted: those of the identity that commands run under, and of some files. */
static int load_trust(struct cli *cli, const struct config_list *files,
                      struct security_trust **ret_trust)
{
    struct security_private *own = NULL;
    struct security_trust *trust = NULL, *copy;
    struct err e = ERR_INIT;
    const char *file = cli->opts.identity[0] != '\0' ? cli->opts.identity : NULL;
    int status = CLI_OK;

    /* Without an identity of one's own nothing is trusted, and an identity may be shown still. */
    if (identity_of_tool(file, &own, &trust, &e) < 0 && file != NULL)
        status = cli_fail(cli, CLI_LOCAL, "%s", err_text(&e));
    err_done(&e);
    security_private_unref(own);
    copy = trust != NULL ? security_trust_copy(trust) : security_trust_create();
    security_trust_unref(trust);
    if (copy == NULL)
        return cli_fail(cli, CLI_LOCAL, "out of memory");
    for (size_t i = 0; files != NULL && i < files->n && status == CLI_OK; i++) {
        struct cli_id id = {0};
        size_t n;

        if (cli_id_read(files->items[i], &id, &e) < 0) {
            status = cli_fail(cli, CLI_LOCAL, "%s", err_text(&e));
        } else {
            const struct security_certificate *certs = security_identity_certs(id.pub, &n);

            if (n == 0)
                status =
                    cli_usage(cli, "--trust: \"%s\" holds more than one identity", files->items[i]);
            else if (security_trust_add(copy, certs[0].name, &certs[0].key) < 0)
                status = cli_fail(cli, CLI_LOCAL, "out of memory");
        }
        err_done(&e);
        cli_id_done(&id);
    }
    if (status == CLI_OK)
        *ret_trust = copy;
    else
        security_trust_unref(copy);
    return status;
}

/* The identity in the file, or the own one if there is none. */
static int read_identity(struct cli *cli, const char *path, struct cli_id *ret_id)
{
    struct err e = ERR_INIT;
    int status = CLI_OK, r;

    if (path != NULL) {
        r = cli_id_read(path, ret_id, &e);
    } else {
        r = cli_load_identity(cli, &e);
        if (r == 0)
            *ret_id = (struct cli_id){
                security_private_ref(cli->identity),
                security_identity_ref(security_private_public(cli->identity)),
            };
    }
    if (r < 0)
        status = cli_fail(cli, CLI_LOCAL, "%s", err_text(&e));
    err_done(&e);
    return status;
}

static int run_print(struct cli *cli, const struct cli_args *args)
{
    const struct print_opts *opts = args->opts;
    struct security_trust *trust = NULL;
    struct cli_id id = {0};
    int status = read_identity(cli, args->n > 0 ? args->v[0] : NULL, &id);

    if (status == CLI_OK)
        status = load_trust(cli, NULL, &trust);
    if (status == CLI_OK) {
        if (cli->opts.json)
            cli_id_put_json(cli, &id, trust);
        else if (opts->longer)
            cli_id_put_long(cli, &id, trust);
        else
            cli_id_put(cli, &id, trust);
        status = cli_flush(cli);
    }
    security_trust_unref(trust);
    cli_id_done(&id);
    return status;
}

static const struct config_option print_rows[] = {
    {"long", CONFIG_BOOL, offsetof(struct print_opts, longer), "false", NULL,
     "show every certificate, with its caveats", 0, 0},
};
static const struct config_table print_table = CLI_TABLE(print_rows);

/* ---- bless ---- */

struct bless_opts {
    struct output_opts output;
    const char *with, *service, *network;
    struct config_list methods, peers;
    int64_t lifetime;
};

/* The caveats that the options ask for; texts in `bytes`, which stays. */
struct caveats {
    struct security_caveat items[3];
    struct buf bytes[3];
    size_t n;
};

static size_t spans_of(const struct config_list *list, struct span *out)
{
    for (size_t i = 0; i < list->n; i++)
        out[i] = span_str(list->items[i]);
    return list->n;
}

static int make_caveats(const struct bless_opts *opts, struct caveats *c)
{
    struct span texts[CONFIG_LIST_MAX];
    int r = 0;

    for (size_t i = 0; i < 3; i++)
        buf_init(&c->bytes[i], CAVEAT_MAX);
    if (opts->methods.n > 0)
        r = security_caveat_methods(&c->bytes[c->n++], texts, spans_of(&opts->methods, texts));
    if (opts->peers.n > 0 && r == 0)
        r = security_caveat_peers(&c->bytes[c->n++], texts, spans_of(&opts->peers, texts));
    if (opts->network[0] != '\0' && r == 0)
        r = security_caveat_network(&c->bytes[c->n++], span_str(opts->network));
    for (size_t i = 0; i < c->n; i++)
        c->items[i] = (struct security_caveat){span_str(opts->service), buf_span(&c->bytes[i])};
    return r;
}

/* The blessed identity: private if what was blessed is. */
static int bless(const struct security_private *blesser, const struct cli_id *blessee,
                 const char *name, const struct bless_opts *opts, struct cli_id *ret_id,
                 struct err *err)
{
    struct caveats c = {0};
    struct security_blessing b = {
        .name = span_str(name),
        .now = clock_wall(),
        .duration = opts->lifetime,
        .caveats = c.items,
    };
    int r = make_caveats(opts, &c);

    b.n_caveats = c.n;
    if (r < 0)
        err_set(err, r, "%s", err_code_text(r));
    if (r == 0)
        r = security_private_bless(blesser, security_identity_key(blessee->pub), &b, &ret_id->pub,
                                   err);
    if (r == 0 && blessee->priv != NULL)
        r = security_private_derive(blessee->priv, ret_id->pub, &ret_id->priv, err);
    for (size_t i = 0; i < 3; i++)
        buf_done(&c.bytes[i]);
    return r;
}

static int run_bless(struct cli *cli, const struct cli_args *args)
{
    const struct bless_opts *opts = args->opts;
    struct cli_id blesser = {0}, blessee = {0}, blessed = {0};
    struct err e = ERR_INIT;
    int status = read_identity(cli, args->v[0], &blessee);

    if (status == CLI_OK)
        status = read_identity(cli, opts->with[0] != '\0' ? opts->with : NULL, &blesser);
    if (status == CLI_OK && blesser.priv == NULL)
        status = cli_fail(cli, CLI_USAGE, "--with: \"%s\" is public, and cannot bless", opts->with);
    if (status == CLI_OK && bless(blesser.priv, &blessee, args->v[1], opts, &blessed, &e) < 0)
        status = cli_fail(cli, e.code == WSPR_EINVAL ? CLI_USAGE : CLI_LOCAL, "%s", err_text(&e));
    if (status == CLI_OK)
        status = cli_id_write(cli, opts->output.path, opts->output.force, &blessed);
    err_done(&e);
    cli_id_done(&blessed);
    cli_id_done(&blessee);
    cli_id_done(&blesser);
    return status;
}

#define BLESS(member) offsetof(struct bless_opts, member)

static const struct config_option bless_rows[] = {
    {"with", CONFIG_STRING, BLESS(with), "", "FILE",
     "the identity that blesses (else that of --identity, and so\non)", 0, 0},
    {"for", CONFIG_DURATION, BLESS(lifetime), "8760h", "TIME", "how long the blessing is good", 0,
     0},
    {"method", CONFIG_LIST, BLESS(methods), NULL, "NAME",
     "it is good for this method only; may be repeated", 0, 0},
    {"peer", CONFIG_LIST, BLESS(peers), NULL, "PATTERN",
     "it is good towards these identities only; may be repeated", 0, 0},
    {"network", CONFIG_STRING, BLESS(network), "", "PROTOCOL",
     "it is good over this network only, such as tcp", 0, 0},
    {"service", CONFIG_STRING, BLESS(service), "*", "PATTERN",
     "the three above concern only services that match this", 0, 0},
    OUTPUT_ROWS(struct bless_opts),
};
static const struct config_table bless_table = CLI_TABLE(bless_rows);

/* ---- verify ---- */

struct verify_opts {
    struct config_list trust;
    const char *method, *match, *peer, *network;
};

/* Says "no" with the reason; the exit status is CLI_REMOTE. */
static int check_identity(struct cli *cli, const struct verify_opts *opts, const struct cli_id *id,
                          const struct cli_id *peer, const struct security_trust *trust)
{
    struct security_context c = {
        .now = clock_wall(),
        .trust = trust,
        .local = peer->pub,
        .method = span_str(opts->method),
        .network = span_str(opts->network),
    };
    struct security_identity *left = NULL;
    struct buf name = BUF_INIT(CAVEAT_MAX);
    struct err e = ERR_INIT;
    int status = CLI_OK;

    security_identity_print(&name, id->pub, trust);
    if (security_authorize(id->pub, &c, &left, &e) < 0)
        status = cli_fail(cli, CLI_REMOTE, "%.*s: %s", SPAN_ARG(buf_span(&name)), err_text(&e));
    else if (security_identity_names(left, trust, NULL, 0) == 0)
        status =
            cli_fail(cli, CLI_REMOTE, "%.*s: its root is not trusted", SPAN_ARG(buf_span(&name)));
    else if (opts->match[0] != '\0' && !security_pattern_match(span_str(opts->match), left, trust))
        status = cli_fail(cli, CLI_REMOTE, "%.*s does not match \"%s\"", SPAN_ARG(buf_span(&name)),
                          opts->match);
    if (status == CLI_OK) {
        struct cli_id rest = {id->priv, left};

        if (cli->opts.json)
            cli_id_put_json(cli, &rest, trust);
        else
            cli_id_put_long(cli, &rest, trust);
        status = cli_flush(cli);
    }
    security_identity_unref(left);
    buf_done(&name);
    err_done(&e);
    return status;
}

static int run_verify(struct cli *cli, const struct cli_args *args)
{
    const struct verify_opts *opts = args->opts;
    struct security_trust *trust = NULL;
    struct cli_id id = {0}, peer = {0};
    struct err e = ERR_INIT;
    int status = CLI_OK;

    if (cli_id_read(args->v[0], &id, &e) < 0)
        status = cli_fail(cli, e.code == WSPR_ESYS ? CLI_LOCAL : CLI_REMOTE, "%s", err_text(&e));
    if (status == CLI_OK && opts->peer[0] != '\0')
        status = read_identity(cli, opts->peer, &peer);
    if (status == CLI_OK)
        status = load_trust(cli, &opts->trust, &trust);
    if (status == CLI_OK)
        status = check_identity(cli, opts, &id, &peer, trust);
    err_done(&e);
    security_trust_unref(trust);
    cli_id_done(&id);
    cli_id_done(&peer);
    return status;
}

#define VERIFY(member) offsetof(struct verify_opts, member)

static const struct config_option verify_rows[] = {
    {"trust", CONFIG_LIST, VERIFY(trust), NULL, "FILE",
     "trust the root of the identity in this file, too; may be\nrepeated", 0, 0},
    {"match", CONFIG_STRING, VERIFY(match), "", "PATTERN", "it must match this, such as home/*", 0,
     0},
    {"method", CONFIG_STRING, VERIFY(method), "", "NAME", "it must be good for this method", 0, 0},
    {"peer", CONFIG_STRING, VERIFY(peer), "", "FILE",
     "it must be good towards the identity in this file", 0, 0},
    {"network", CONFIG_STRING, VERIFY(network), "", "PROTOCOL",
     "it must be good over this network, such as tcp", 0, 0},
};
static const struct config_table verify_table = CLI_TABLE(verify_rows);

/* ---- the group ---- */

static const struct cli_command identity_commands[] = {
    {
        .name = "generate",
        .operands = "[NAME]",
        .summary = "make a new identity",
        .about = "Makes a new key and an identity that signs itself. NAME is your user name and\n"
                 "that of this machine if you give none. What is printed is secret.\n\n"
                 "Examples:\n"
                 "  wspr identity generate -o ~/alice.id alice\n"
                 "  export VEYRON_IDENTITY=~/alice.id\n",
        .options = &generate_table,
        .opts_size = sizeof(struct generate_opts),
        .max = 1,
        .run = run_generate,
    },
    {
        .name = "print",
        .operands = "[FILE]",
        .summary = "show an identity",
        .about =
            "Shows the name and key of the identity in FILE (\"-\" is the standard input),\n"
            "or of the one that commands act under. Names begin with unknown/ unless the root\n"
            "is that of your own identity. With --json all of it as an object.\n\n"
            "Examples:\n"
            "  wspr identity print ~/alice.id\n"
            "  wspr identity print --long\n",
        .options = &print_table,
        .opts_size = sizeof(struct print_opts),
        .max = 1,
        .run = run_print,
    },
    {
        .name = "bless",
        .operands = "FILE NAME",
        .summary = "extend one identity by another",
        .about =
            "Blesses the identity in FILE under NAME: it can call itself YOURS/NAME then. The\n"
            "result is private if what is in FILE is, and can be used in its place.\n\n"
            "Examples:\n"
            "  wspr identity bless --with ~/home.id -o ~/home-alice.id ~/alice.id alice\n"
            "  wspr identity bless --for 24h --method Get --method Size ~/guest.id guest\n",
        .options = &bless_table,
        .opts_size = sizeof(struct bless_opts),
        .min = 2,
        .max = 2,
        .run = run_bless,
    },
    {
        .name = "verify",
        .operands = "FILE",
        .summary = "check an identity: signatures, root, caveats",
        .about = "Checks that the signatures in the identity are right, that a root of it is\n"
                 "trusted and that its caveats hold now, and shows what is good of it. The exit\n"
                 "status is 1 if it is not good.\n\n"
                 "Examples:\n"
                 "  wspr identity verify --trust ~/home.id ~/home-alice.id\n"
                 "  wspr identity verify --method Get --match 'home/*' ~/home-alice.id\n",
        .options = &verify_table,
        .opts_size = sizeof(struct verify_opts),
        .min = 1,
        .max = 1,
        .run = run_verify,
    },
    {0},
};

const struct cli_command cli_identity = {
    .name = "identity",
    .operands = "COMMAND [ARGUMENT]...",
    .summary = "make, show, bless and check identities",
    .about = "Identities are chains of certificates over a key, kept in files as text. Programs\n"
             "act under the one that VEYRON_IDENTITY names.\n",
    .sub = identity_commands,
};
