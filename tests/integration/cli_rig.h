/* The command line with a mount table and the sample service behind it, for its tests. */
#ifndef TESTS_CLI_RIG_H
#define TESTS_CLI_RIG_H

#include <stdbool.h>

#include "child.h"
#include "tool.h"

struct cli_rig {
    struct child table, sampled;
    char root[600];   /* "/ENDPOINT" of the table */
    char direct[600]; /* "/ENDPOINT//" of the service */
    char other[600];  /* another NAMESPACE_ROOT for the next runs; empty: that of the table */
    bool no_color;    /* the next runs have NO_COLOR set */
};

/* One for the whole program. */
extern struct cli_rig cli_rig;

/* Starts the two and mounts the service as "cache". */
bool cli_rig_start(void);
bool cli_rig_stop(void);

/* Starts wspr; the arguments end with NULL. */
bool cli_start(struct tool *t, const char *const *args, unsigned flags);
/* One run with an input; its exit status. */
int cli_run(struct tool *t, const char *input, const char *const *args);
/*
 * Checks one run: status, all of its output (NULL: not looked at), and a part of its errors (""
 * for none at all).
 */
void cli_expect(const char *file, int line, const char *const *args, const char *input, int status,
                const char *out, const char *err);

#define CLI_ARGS(...)      ((const char *const[]){__VA_ARGS__, NULL})
#define RUN(t, input, ...) cli_run(t, input, CLI_ARGS(__VA_ARGS__))
#define EXPECT(status, out, err, input, ...)                                                       \
    cli_expect(__FILE__, __LINE__, CLI_ARGS(__VA_ARGS__), input, status, out, err)

/* The suites of the program. */
struct tap_suite;
extern const struct tap_suite cli_names_suite, cli_identity_suite, cli_terminal_suite,
    cli_serve_suite, cli_complete_suite, cli_page_suite, cli_local_suite;

#endif
