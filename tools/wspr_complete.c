/*
 * Completion of words in a shell: "wspr __complete WORD..." prints what the last word may become, a
 * candidate on a line with its description behind a tab. ":file" stands for the files of the shell,
 * ":nospace" says that no blank is to follow.
 *
 * The words before it are read with the same tables as a command line that is run; names and
 * methods are asked of the network, which gets little time for it.
 */
#include "config.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/utf8.h"
#include "rpc/namespace.h"
#include "rpc/signature.h"
#include "wspr.h"
#include "wspr_types.h"

#define ASK_TIMEOUT  (7 * CLOCK_S / 10)
#define OPERANDS_MAX 16

struct completion {
    struct cli *cli;
    const char *word; /* to be completed */
    const struct cli_command *group, *command;
    const struct config_option *pending; /* the word is its value */
    const char *operands[OPERANDS_MAX];
    size_t n;
    bool only_operands;
};

/* ---- the words before ---- */

static const struct config_option *find_option(const struct config_table *table, const char *name,
                                               size_t len)
{
    for (size_t i = 0; table != NULL && i < table->n_options; i++) {
        const struct config_option *o = &table->options[i];

        if (strlen(o->name) == len && memcmp(o->name, name, len) == 0)
            return o;
    }
    return NULL;
}

/* An option: those of all commands count, because they say which network is asked. */
static void take_option(struct completion *c, const char *word)
{
    const char *name = word + (word[1] == '-' ? 2 : 1), *value = strchr(name, '=');
    size_t len = value != NULL ? (size_t)(value - name) : strlen(name);
    const struct config_table *own = c->command != NULL ? c->command->options : NULL;
    const struct config_option *o = find_option(own, name, len);

    if (o == NULL)
        o = find_option(&cli_global_table, name, len);
    if (o == NULL || !config_takes_value(o))
        return;
    if (value == NULL)
        c->pending = o;
    else
        config_set(&cli_global_table, &c->cli->opts, o->name, value + 1, NULL);
}

/* False if it leads nowhere. */
static bool take_operand(struct completion *c, const char *word)
{
    if (c->command == NULL) {
        const struct cli_command *next = cli_find_command(c->group, word);

        if (next == NULL)
            return false;
        if (next->sub != NULL)
            c->group = next;
        else
            c->command = next;
        return true;
    }
    if (c->n == OPERANDS_MAX)
        return false;
    c->operands[c->n++] = word;
    return true;
}

static bool take_word(struct completion *c, const char *word)
{
    if (c->pending != NULL) {
        config_set(&cli_global_table, &c->cli->opts, c->pending->name, word, NULL);
        c->pending = NULL;
        return true;
    }
    if (!c->only_operands && strcmp(word, "--") == 0) {
        c->only_operands = true;
        return true;
    }
    if (!c->only_operands && word[0] == '-' && word[1] != '\0') {
        take_option(c, word);
        return true;
    }
    return take_operand(c, word);
}

/* ---- candidates ---- */

static void put_candidate(struct completion *c, const char *candidate, const char *description)
{
    if (strncmp(candidate, c->word, strlen(c->word)) != 0)
        return;
    cli_printf(c->cli, "%s\t", candidate);
    while (*description != '\0') {
        size_t line = strcspn(description, "\n");

        cli_put_text(c->cli, span_of(description, line));
        description += line;
        if (*description == '\n') {
            cli_put(c->cli, span_str(" "));
            description++;
        }
    }
    cli_put(c->cli, span_str("\n"));
}

static void put_options(struct completion *c, const struct config_table *table)
{
    for (size_t i = 0; table != NULL && i < table->n_options; i++) {
        const struct config_option *o = &table->options[i];
        char text[128];

        if (o->help == NULL)
            continue;
        snprintf(text, sizeof text, "%s%s", o->name[1] == '\0' ? "-" : "--", o->name);
        put_candidate(c, text, o->help);
    }
}

static void put_commands(struct completion *c)
{
    const struct cli_command *row;

    for (size_t i = 0; (row = cli_command_row(c->group, i)) != NULL; i++)
        put_candidate(c, row->name, row->summary);
}

/* ---- names ---- */

struct names {
    struct completion *c;
    bool done;
};

/* What a shell would have to quote is left out, and what a terminal would obey. */
static bool is_plain(struct span s)
{
    for (size_t i = 0; i < s.len; i++) {
        bool c1 = s.p[i] == 0xc2 && i + 1 < s.len && s.p[i + 1] < 0xa0;

        if (s.p[i] <= ' ' || s.p[i] == 0x7f || c1 ||
            strchr("\"'\\$`&|;<>()*?[]#~!{}", s.p[i]) != NULL)
            return false;
    }
    return utf8_valid(s.p, s.len);
}

static void on_entry(void *arg, const struct rpc_glob_entry *entry)
{
    struct names *n = arg;
    struct completion *c = n->c;
    size_t len = strlen(c->word);
    bool node = vom_value_len(entry->servers) == 0;

    if (entry->err != NULL || entry->name.len < len || !is_plain(entry->name) ||
        memcmp(entry->name.p, c->word, len) != 0)
        return;
    if (node)
        cli_put(c->cli, span_str(":nospace\n"));
    cli_put(c->cli, entry->name);
    cli_put(c->cli, span_str(node ? "/\tmore names\n" : "\tname\n"));
}

static void on_listed(void *arg, const struct err *err)
{
    ((struct names *)arg)->done = true;
}

/* Lists the names that stand where the last element of the word does. */
static int put_names(struct completion *c)
{
    static const struct rpc_glob_ops ops = {on_entry, on_listed};
    const char *slash = strrchr(c->word, '/');
    struct names n = {.c = c};
    struct rpc_glob *glob;
    char pattern[1024];
    int status;

    if (!is_plain(span_str(c->word)) || strstr(c->word, "//") != NULL || slash == c->word ||
        snprintf(pattern, sizeof pattern, "%.*s*", slash != NULL ? (int)(slash - c->word) + 1 : 0,
                 c->word) >= (int)sizeof pattern)
        return CLI_OK;
    status = cli_connect(c->cli, ASK_TIMEOUT);
    if (status != CLI_OK)
        return status;
    glob = rpc_glob(c->cli->client, span_str(pattern), NULL, &ops, &n);
    if (glob == NULL)
        return CLI_LOCAL;
    status = cli_wait(c->cli, &n.done);
    if (!n.done)
        rpc_glob_cancel(glob);
    return status;
}

/* ---- methods ---- */

static void put_method(struct completion *c, const struct rpc_sig_method *m)
{
    struct buf name = BUF_INIT(65536), text = BUF_INIT(65536);

    if (islower((unsigned char)c->word[0]))
        rpc_signature_page_name(&name, m->name);
    else
        buf_append_span(&name, m->name);
    for (size_t i = 0; i < m->n_in; i++) {
        buf_append_str(&text, i > 0 ? ", " : "");
        buf_append_span(&text, m->in[i].name);
        buf_append_str(&text, m->in[i].name.len > 0 ? " " : "");
        cli_type_text(&text, m->in[i].type, false);
    }
    if (buf_cstr(&name) != NULL && buf_cstr(&text) != NULL && is_plain(buf_span(&name)))
        put_candidate(c, buf_cstr(&name), buf_cstr(&text));
    buf_done(&name);
    buf_done(&text);
}

static int put_methods(struct completion *c)
{
    struct rpc_signature sig;
    int status = cli_connect(c->cli, ASK_TIMEOUT);

    if (status != CLI_OK)
        return status;
    rpc_signature_init(&sig);
    status = cli_fetch_signature(c->cli, c->operands[0], &sig);
    for (size_t i = 0; i < sig.n_methods; i++)
        put_method(c, &sig.methods[i]);
    rpc_signature_done(&sig);
    return status;
}

/* ---- what is wanted ---- */

/* Operand i as the usage calls it, without brackets; false if there is none. */
static bool operand_name(const char *usage, size_t i, char *out, size_t size)
{
    for (;;) {
        size_t len = strcspn(usage, " ");

        if (len == 0)
            return false;
        if (i-- == 0) {
            size_t skip = strspn(usage, "[");

            snprintf(out, size, "%.*s", (int)strcspn(usage + skip, "]. "), usage + skip);
            return true;
        }
        usage += len + strspn(usage + len, " ");
    }
}

static int put_operand(struct completion *c)
{
    char name[64];

    if (!operand_name(c->command->operands, c->n, name, sizeof name))
        return CLI_OK;
    if (strcmp(name, "FILE") == 0)
        cli_put(c->cli, span_str(":file\n"));
    else if (strcmp(name, "METHOD") == 0)
        return put_methods(c);
    /* In groups a name is not one of the network. */
    else if (c->group == NULL && (strcmp(name, "NAME") == 0 || strcmp(name, "PATTERN") == 0))
        return put_names(c);
    return CLI_OK;
}

int cli_complete(struct cli *cli, int n, char **words)
{
    struct completion c = {.cli = cli};

    if (n == 0)
        return CLI_USAGE;
    for (int i = 0; i < n - 1; i++) {
        if (!take_word(&c, words[i]))
            return CLI_OK;
    }
    c.word = words[n - 1];
    if (c.pending != NULL) {
        if (c.pending->arg != NULL && strcmp(c.pending->arg, "FILE") == 0)
            cli_put(cli, span_str(":file\n"));
        return CLI_OK;
    }
    if (c.word[0] == '-' && !c.only_operands) {
        put_options(&c, c.command != NULL ? c.command->options : NULL);
        put_options(&c, &cli_global_table);
        return CLI_OK;
    }
    if (c.command != NULL)
        return put_operand(&c);
    put_commands(&c);
    return CLI_OK;
}
