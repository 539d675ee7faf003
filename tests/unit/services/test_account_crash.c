/*
 * Saves that do not come to their end. The process is killed at each step in turn, and what was not
 * flushed by then is damaged as a power failure would; or each step in turn fails. Whatever
 * happened, the store loads, as the state before or after.
 */
#include "config.h"
#include "unit/services/account_tests.h"

#include <errno.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/child.h"

#define KILLS     500
#define ERRORS    500
#define STEPS_MAX 256

/* What the saving process did, in memory that it shares with us. */
struct trace {
    unsigned n;
    unsigned at; /* the step at which it ends, or from which things fail; 1 is the first */
    bool kill, forever;
    struct {
        char call[12], file[24];
    } steps[STEPS_MAX];
};

static struct trace *trace;

static int watch_step(void *arg, const char *call, const char *file)
{
    unsigned i = trace->n++;

    if (i < STEPS_MAX) {
        snprintf(trace->steps[i].call, sizeof trace->steps[i].call, "%s", call);
        snprintf(trace->steps[i].file, sizeof trace->steps[i].file, "%s", file);
    }
    if (trace->at == 0 || i + 1 < trace->at || (i + 1 > trace->at && !trace->forever))
        return 0;
    if (trace->kill)
        kill(getpid(), SIGKILL);
    return i % 2 == 0 ? ENOSPC : EIO;
}

struct crash {
    char folder[4200];
    struct security_private *host;
    struct account_state *states[2]; /* between which the store goes to and fro */
};

static void crash_begin(struct crash *c, const char *name)
{
    struct security_private *alice = world_private("root-alice");

    memset(c, 0, sizeof *c);
    child_file(c->folder, sizeof c->folder, name);
    c->host = accounts_host();
    c->states[0] = account_state_new();
    c->states[1] = accounts_make(2, alice);
    security_private_unref(alice);
    trace = mmap(NULL, sizeof *trace, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    TAP_IS(trace != MAP_FAILED);
}

static void crash_end(struct crash *c)
{
    account_state_free(c->states[0]);
    account_state_free(c->states[1]);
    security_private_unref(c->host);
    munmap(trace, sizeof *trace);
}

/* Loads what is there: 0 or 1, or -1 if it is neither or cannot be loaded. */
static int present(struct crash *c)
{
    struct account_store_opts opts = {.folder = c->folder, .host = c->host};
    struct account_store *store = NULL;
    struct account_state *s = NULL;
    struct err e = ERR_INIT;
    int which = -1;

    if (account_store_open(&opts, &store, &e) == 0 && account_store_load(store, &s, &e) == 0)
        which = accounts_equal(s, c->states[0]) ? 0 : accounts_equal(s, c->states[1]) ? 1 : -1;
    if (which < 0)
        tap_note("%s", err_text(&e));
    account_store_close(store);
    account_state_free(s);
    err_done(&e);
    return which;
}

/* Opens, loads and saves the other state, with the steps watched. The result of the save. */
static int save_other(struct crash *c, int target)
{
    struct account_store_hook hook = {watch_step, NULL};
    struct account_store_opts opts = {.folder = c->folder, .host = c->host, .hook = &hook};
    struct account_store *store = NULL;
    struct account_state *s = NULL;
    struct err e = ERR_INIT;
    int r = account_store_open(&opts, &store, &e);

    if (r == 0)
        r = account_store_load(store, &s, &e);
    if (r == 0)
        r = account_store_lock(store, &e);
    if (r == 0)
        r = account_store_save(store, c->states[target], &e);
    if (r < 0)
        TAP_IS(err_text(&e)[0] != '\0');
    account_store_close(store);
    account_state_free(s);
    err_done(&e);
    return r;
}

/* ---- the power fails too ---- */

static bool was(unsigned i, const char *call, const char *file)
{
    return strcmp(trace->steps[i].call, call) == 0 && strcmp(trace->steps[i].file, file) == 0;
}

/* Whether the step was done before the end; the last one of the trace was not. */
static bool done(const char *call, const char *file, unsigned *ret_i)
{
    for (unsigned i = 0; i + 1 < trace->n && i < STEPS_MAX; i++) {
        if (was(i, call, file)) {
            *ret_i = i;
            return true;
        }
    }
    return false;
}

/* Cuts a file of the new generation that was written and not flushed. */
static void lose_content(struct crash *c, const char *generation, const char *file, unsigned how)
{
    char path[4300];
    struct stat st;
    unsigned i;

    if (done("fsync", file, &i) || !done("open", file, &i))
        return;
    snprintf(path, sizeof path, "%s/%s/%s", c->folder, generation, file);
    if (stat(path, &st) == 0)
        TAP_IS(truncate(path, how % 2 == 0 ? 0 : st.st_size / 2) == 0);
}

/* A rename that no fsync of the folder followed may not have happened. */
static void lose_rename(struct crash *c, const char *before)
{
    char current[4300];
    unsigned renamed;

    if (!done("rename", "current", &renamed))
        return;
    for (unsigned i = renamed + 1; i + 1 < trace->n; i++) {
        if (was(i, "fsync", "."))
            return;
    }
    snprintf(current, sizeof current, "%s/current", c->folder);
    TAP_IS(unlink(current) == 0);
    if (before[0] != '\0')
        TAP_IS(symlink(before, current) == 0);
}

static void lose_power(struct crash *c, const char *before, unsigned how)
{
    char generation[24] = "";

    for (unsigned i = 0; i + 1 < trace->n && i < STEPS_MAX; i++) {
        if (strcmp(trace->steps[i].call, "mkdir") == 0)
            memcpy(generation, trace->steps[i].file, sizeof generation);
    }
    if (generation[0] != '\0') {
        lose_content(c, generation, "data", how);
        lose_content(c, generation, "signature", how);
    }
    if (how % 4 >= 2)
        lose_rename(c, before);
}

/* ---- the tests ---- */

static int kill_at(struct crash *c, unsigned step, int target)
{
    pid_t pid;
    int status = 0;

    memset(trace, 0, sizeof *trace);
    trace->at = step;
    trace->kill = true;
    fflush(stdout);
    pid = fork();
    if (pid == 0)
        _exit(save_other(c, target) == 0 ? 0 : 1);
    TAP_IS(pid > 0 && waitpid(pid, &status, 0) == pid);
    return status;
}

static void killed_at_each_step(void)
{
    unsigned seen[2] = {0, 0}, steps = 0, step = 1;
    struct crash c;
    int state = 0;

    crash_begin(&c, "killed");
    for (unsigned i = 0; i < KILLS; i++) {
        char before[64] = "", link[4300];
        int status, now;

        snprintf(link, sizeof link, "%s/current", c.folder);
        if (readlink(link, before, sizeof before - 1) < 0)
            before[0] = '\0';
        status = kill_at(&c, step, !state);
        if (WIFSIGNALED(status))
            lose_power(&c, before, i);
        now = present(&c);
        TAP_OK(now == state || now == !state, "killed at step %u (%s %s)", step,
               trace->steps[trace->n - 1].call, trace->steps[trace->n - 1].file);
        if (!WIFSIGNALED(status))
            TAP_OK(WEXITSTATUS(status) == 0 && now == !state, "the whole save, %u steps", trace->n);
        if (now < 0)
            break;
        seen[now != state]++;
        state = now;
        steps = trace->n > steps ? trace->n : steps;
        step = WIFSIGNALED(status) ? step + 1 : 1; /* once it came to its end: from the start */
    }
    tap_note("%u kills in saves of up to %u steps: %u old, %u new states", KILLS, steps, seen[0],
             seen[1]);
    TAP_IS(seen[0] > 0 && seen[1] > 0 && steps > 15);
    crash_end(&c);
}

static void each_step_fails(void)
{
    unsigned seen[2] = {0, 0}, step = 1, failures = 0;
    struct crash c;
    int state = 0;

    crash_begin(&c, "failed");
    for (unsigned i = 0; i < ERRORS; i++) {
        int r, now;

        memset(trace, 0, sizeof *trace);
        trace->at = step;
        trace->forever = i % 3 == 2;
        r = save_other(&c, !state);
        now = present(&c);
        if (r == 0)
            TAP_OK(now == !state, "step %u", step);
        else
            /* Turning back may fail as well if everything does. */
            TAP_OK(now == state || (trace->forever && now == !state), "step %u: %d", step, now);
        if (now < 0)
            break;
        failures += r < 0;
        seen[now != state]++;
        state = now;
        step = trace->n >= step ? step + 1 : 1;
    }
    tap_note("%u saves, %u failed: %u old, %u new states", ERRORS, failures, seen[0], seen[1]);
    TAP_IS(seen[0] > 0 && seen[1] > 0 && failures > 100);
    crash_end(&c);
}

static const struct tap_case cases[] = {
    {"killed at each step", killed_at_each_step},
    {"each step fails", each_step_fails},
};
const struct tap_suite suite_account_crash = TAP_SUITE("interrupted saves", cases);
