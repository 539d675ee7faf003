/* Starting the programs of this build for a test, and stopping them. */
#ifndef TESTS_RIG_H
#define TESTS_RIG_H

#include <stdbool.h>
#include <stddef.h>

#include "child.h"

/* Long enough for a loaded machine and sanitizers; what must come comes much sooner. */
#define RIG_TIMEOUT_MS 60000

struct rig_wsprd {
    struct child child;
    int port;
};

/* A program of the build folder: "wsprd". In `path`; false if it is not there. */
bool rig_program(char *path, size_t size, const char *name);
/* Starts one, with a log of its own; args (or NULL) and env end with NULL, see child_start(). */
bool rig_run(struct child *c, const char *name, const char *const *args, const char *const *env);

/* A program that ends by itself: how, and what it says. */
struct rig_ending {
    const char *name, *args[3], *env[2];
    int status;
    const char *text;
};

/* Runs the program once for each and looks at its end. */
void rig_endings(const char *program, const struct rig_ending *endings, size_t n);

/*
 * Starts wsprd on a free port. root is the value of NAMESPACE_ROOT, NULL for none; args are further
 * arguments, ended by NULL (or NULL). False with TAP commentary if it does not come up.
 */
bool rig_wsprd_start(struct rig_wsprd *w, const char *root, const char *const *args);
/* Stops it with SIGTERM; false with commentary unless it ends with status 0 and without complaints.
 */
bool rig_wsprd_stop(struct rig_wsprd *w);
/*
 * What wsprd has counted, as it writes it after SIGUSR1; the caller frees. NULL with commentary if
 * it does not answer.
 */
char *rig_wsprd_counters(struct rig_wsprd *w);
/* One of them ("gateway", "conns"); -1 if it is not there. */
long long rig_counter(const char *counters, const char *part, const char *name);
/* Starts the sample service; its endpoint without a leading slash. */
bool rig_sampled_start(struct child *c, const char *root, char *endpoint, size_t size);
bool rig_sampled_stop(struct child *c);
/* Starts the store of the tests (support/fake_store.c); its endpoint without a leading slash. */
bool rig_store_start(struct child *c, char *endpoint, size_t size);
bool rig_store_stop(struct child *c);
/* Starts the service of support/slow.h; its endpoint without a leading slash. */
bool rig_slow_start(struct child *c, char *endpoint, size_t size);
bool rig_slow_stop(struct child *c);
/* Starts a mount table; its endpoint without a leading slash. */
bool rig_table_start(struct child *c, char *endpoint, size_t size);
bool rig_table_stop(struct child *c);
/* Starts a relay; its endpoint without a leading slash. */
bool rig_relay_start(struct child *c, char *endpoint, size_t size);
bool rig_relay_stop(struct child *c);
/* The same on a port, for programs that are started again; 0 is any. */
bool rig_table_start_at(struct child *c, int port, char *endpoint, size_t size);
bool rig_relay_start_at(struct child *c, int port, char *endpoint, size_t size);
/* The port in an endpoint's text. */
int rig_port_of(const char *endpoint);
/* The file with the identity under which all programs of a test run. */
const char *rig_identity(void);

#endif
