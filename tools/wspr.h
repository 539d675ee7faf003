/*
 * wspr, the command line: what its commands share.
 *
 *     wspr.c            options, the table of commands, help
 *     wspr_run.c        the network under a command: loop, identity, roots, waiting, Ctrl-C
 *     wspr_out.c        output, errors, exit status
 *     wspr_json.c       JSON for people
 *     wspr_complete.c   completion of words in a shell
 *     wspr_<command>.c  the commands, each with its row for the table
 *
 * A command reads like a script: it starts something, waits with cli_wait() until a callback says
 * that it is done, prints, and returns the exit status. Nothing here is kept after it. One thread.
 */
#ifndef TOOLS_WSPR_H
#define TOOLS_WSPR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/log.h"
#include "base/span.h"
#include "config/option.h"
#include "loop/timer.h"

struct loop_offload;
struct loop_signals;
struct loop_worker;
struct rpc_client;
struct rpc_runtime;
struct rpc_signature;
struct security_private;
struct security_trust;

/* The exit status; the main help tells it to users. */
enum cli_status {
    CLI_OK = 0,
    CLI_REMOTE = 1,      /* the other side answered with an error, or a check said no */
    CLI_USAGE = 2,       /* options or arguments that cannot be right */
    CLI_UNREACHABLE = 3, /* no such name, or nobody answers there */
    CLI_TIMEOUT = 4,
    CLI_PARTIAL = 5, /* some of it worked */
    CLI_LOCAL = 6,   /* a file, memory, the output */
    CLI_INTERRUPTED = 130,
    CLI_PIPE = 141, /* nobody reads the output any more */
};

struct cli_globals {
    struct config_list roots;
    const char *identity;
    int64_t timeout; /* nanoseconds; -1: not given, 0: none */
    bool json, no_legacy_peers, verbose, help, version;
};

struct cli {
    struct cli_globals opts;
    const char *path; /* of the command, for messages: "wspr identity bless" */
    bool color;       /* the output is a terminal that wants it */
    int out_error;    /* errno of the output, once it failed */

    /* The network, from cli_connect() on. */
    struct log log;
    struct loop_worker *worker;
    struct loop_offload *offload;
    struct loop_signals *signals;
    struct security_private *identity;
    struct security_trust *trust;
    struct rpc_runtime *rt;
    struct rpc_client *client;
    int64_t deadline; /* of the clock of the loop; INT64_MAX: none */
    int64_t limit;    /* what that was as a time from the start */
    struct loop_timer deadline_timer;
    bool timed_out;
    int interrupted;       /* the signal */
    bool interrupt_is_end; /* the command ends like that as a rule: it is no error */

    /* The line that shows progress. */
    char doing[160];
    int64_t doing_since;
    struct loop_timer progress_timer;
    bool progress_wanted, progress_shown;
};

/* What a command is given: its operands, and the struct that its options filled. */
struct cli_args {
    const char *const *v;
    int n;
    const void *opts;
};

/* A command, or with `sub` a group of them. One row is all there is to add. */
struct cli_command {
    const char *name;
    const char *operands;               /* for the usage: "NAME METHOD [JSON-ARG]..." */
    const char *summary;                /* a line */
    const char *about;                  /* paragraphs and examples, ended by a newline */
    const struct config_table *options; /* NULL: none of its own */
    size_t opts_size;                   /* of the struct that they fill */
    int min, max;                       /* operands; max -1: any number */
    int (*run)(struct cli *cli, const struct cli_args *args);
    const struct cli_command *sub; /* ended by a row without a name */
};

extern const struct cli_command cli_accounts, cli_call, cli_glob, cli_identity, cli_mount, cli_ping,
    cli_plugin, cli_resolve, cli_serve, cli_signature, cli_unmount, cli_unresolve;

#define CLI_TABLE(rows)                                                                            \
    {                                                                                              \
        rows, sizeof(rows) / sizeof(rows)[0]                                                       \
    }

/* ---- wspr.c ---- */

extern const struct config_table cli_global_table; /* fills struct cli_globals */
/* Row i of a group, or of the commands themselves (NULL); NULL behind the last. */
const struct cli_command *cli_command_row(const struct cli_command *group, size_t i);
const struct cli_command *cli_find_command(const struct cli_command *group, const char *name);

/* ---- wspr_complete.c ---- */

/* Prints what the last word may become, for the shells' completions. The exit status. */
int cli_complete(struct cli *cli, int n, char **words);

/* ---- wspr_run.c ---- */

/*
 * Makes the network ready: cli->client. `timeout` (nanoseconds, 0: none) is for all that follows
 * unless the user gave another one. 0, or the exit status after the error was printed.
 */
int cli_connect(struct cli *cli, int64_t timeout);
/* Takes it all down again, in good order. Harmless if there is nothing. */
void cli_disconnect(struct cli *cli);
/* What is being waited for, for the line that shows progress and the error of a time-out. */
void cli_doing(struct cli *cli, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/*
 * Runs the loop until *done. 0; or the exit status if the time is over, the user interrupted or the
 * output broke: the caller then cancels what it waited for, and the error was printed.
 */
int cli_wait(struct cli *cli, const bool *done);
/* The time that is left, for a call; RPC_NO_TIMEOUT if there is no limit. */
int64_t cli_time_left(struct cli *cli);
/* The identity to act under: --identity, VEYRON_IDENTITY, that of a local wsprd, or a fresh one. */
int cli_load_identity(struct cli *cli, struct err *err);
/* The exit status for an error of a call or a resolution. */
int cli_status_of(const struct err *e, bool reached);

/* Prints why there is no call, and returns the exit status. */
int cli_refused(struct cli *cli, const char *name, struct span method);

/* ---- wspr_out.c ---- */

/* Prints "wspr: <text of fmt>" or the object of --json, and returns the status. */
int cli_fail(struct cli *cli, int status, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* The same for an error with its id; fmt is put in front of its text, NULL: nothing. */
int cli_fail_err(struct cli *cli, int status, const struct err *e, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
/* The same for a wrong command line, with a hint at the help. CLI_USAGE. */
int cli_usage(struct cli *cli, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Writes to the standard output; errors stay in cli->out_error. */
void cli_put(struct cli *cli, struct span s);
void cli_printf(struct cli *cli, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Text of strangers: control characters and bytes that are no UTF-8 are shown as \x1b. */
void cli_put_text(struct cli *cli, struct span s);
/* Sends out what was written. 0, or the exit status (the error was printed). */
int cli_flush(struct cli *cli);
/* Takes the progress line away, so that something else can be printed. */
void cli_clear_progress(struct cli *cli);
/* "1.5 ms" and so on, for people. */
const char *cli_duration(char *out, size_t size, int64_t ns);
/* Whether b may be what somebody meant who typed a. */
bool cli_is_near(struct span a, struct span b);

enum cli_color { CLI_PLAIN, CLI_NAME, CLI_TYPE, CLI_STRING, CLI_NUMBER, CLI_WORD, CLI_DIM };
/* The sequences that switch a colour on and off; "" if there are no colours. */
const char *cli_color_on(const struct cli *cli, enum cli_color c);
const char *cli_color_off(const struct cli *cli);

/* ---- wspr_json.c ---- */

/*
 * Prints a JSON value that was checked, without a newline: over several lines if it is long, with
 * `indent` blanks before all of them but the first.
 */
void cli_put_json(struct cli *cli, struct span json, unsigned indent);

/* ---- wspr_signature.c ---- */

/* Fetches the signature of an object. 0, or the exit status after the error was printed. */
int cli_fetch_signature(struct cli *cli, const char *name, struct rpc_signature *sig);

#endif
