/*
 * The sequences. Each is a function that is run in a child process; what the plugin does wrong
 * there is written to a pipe, a line each, and printed once by the parent.
 */
#include "config.h"
#include "plugin_drive.h"

#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fake_host.h"

#define SECONDS_MAX 60 /* of one sequence */
#define TURNS_MAX   2000
#define FAILS_MAX   500
#define LINES_MAX   20
#define LINE_MAX_   400

/* What any page can send at any time. */
static const char *const common[] = {
    "null",
    "{}",
    "[]",
    "7",
    "\"text\"",
    "",
    "{",
    "{\"a\":[[[[[[[[[[[[[[[[{}]]]]]]]]]]]]]]]]}",
    "{\"name\":7,\"key\":null,\"op\":[],\"every\":-1,\"delay\":1e400}",
};

#define N_COMMON (sizeof common / sizeof common[0])

/* In the child. */
static FILE *told;
static bool broken;

void fake_violation(const char *fmt, ...)
{
    va_list ap;

    broken = true;
    va_start(ap, fmt);
    vfprintf(told, fmt, ap);
    va_end(ap);
    fputc('\n', told);
    fflush(told);
}

/* Says what is being tried: the parent tells it if the child does not come back from it. */
static void trying(const char *what, unsigned long n)
{
    fprintf(told, "@when %s number %lu failed\n", what, n);
    fflush(told);
}

/* ---- what sequences are made of ---- */

static bool begin(const struct drive *d, struct wspr_host *h)
{
    struct plugin_values values;

    if (plugin_values_read(&values, d->plugin, d->config, NULL) < 0) {
        fake_violation("its options cannot be read from the configuration");
        return false;
    }
    if (fake_host_load(h, d->plugin, &values, 0) < 0) {
        fake_violation("load returns an error");
        return false;
    }
    h->answers = true;
    return true;
}

/* Sends every message once to every type that it may be for; ids from `id` on, odd. */
static void send_all(const struct drive *d, struct wspr_conn *c, int64_t id)
{
    for (size_t i = 0; i < d->plugin->n_claims; i++) {
        uint32_t type = plugin_file_claim(d->plugin, i)->type;

        for (size_t k = 0; k < N_COMMON; k++, id += 2)
            fake_conn_message(c, type, id, common[k]);
        for (size_t k = 0; k < d->n_messages; k++, id += 2) {
            if (d->messages[k].type == type)
                fake_conn_message(c, type, id, d->messages[k].text);
        }
    }
}

/* Messages for flows that are there: each type that uses one, to each id that may have one. */
static void send_to_flows(const struct drive *d, struct wspr_conn *c)
{
    for (size_t i = 0; i < d->plugin->n_claims; i++) {
        const struct wspr_claim *claim = plugin_file_claim(d->plugin, i);

        if ((claim->flags & 3) != WSPR_USES)
            continue;
        for (int64_t id = 0; id < 400; id++)
            fake_conn_message(c, claim->type, id, common[id % (int64_t)N_COMMON]);
    }
}

/* ---- the sequences ---- */

static void load_and_unload(const struct drive *d)
{
    struct wspr_host one, two;

    if (!begin(d, &one))
        return;
    if (begin(d, &two))
        fake_host_unload(&two);
    fake_host_unload(&one);
}

static void answers(const struct drive *d, bool well)
{
    struct wspr_host h;
    struct wspr_conn *c;

    if (!begin(d, &h))
        return;
    h.answers = well;
    c = fake_conn_new(&h);
    send_all(d, c, 1);
    fake_host_settle(&h, TURNS_MAX);
    fake_conn_check_barrier(c);
    send_all(d, c, 1); /* the ids again: they are free by now, mostly */
    fake_host_settle(&h, TURNS_MAX);
    fake_conn_check_barrier(c);
    fake_conn_close(c);
    fake_host_unload(&h);
}

static void everything_is_answered(const struct drive *d)
{
    answers(d, true);
}

static void nobody_can_be_called(const struct drive *d)
{
    answers(d, false);
}

static void close_before_the_answer(const struct drive *d)
{
    /* After each number of steps in turn. */
    for (unsigned turns = 0; turns < 40; turns++) {
        struct wspr_host h;
        struct wspr_conn *c;

        if (!begin(d, &h))
            return;
        c = fake_conn_new(&h);
        send_all(d, c, 1);
        fake_host_settle(&h, turns);
        fake_conn_close(c);
        fake_host_settle(&h, TURNS_MAX); /* late answers of what was under way */
        fake_host_unload(&h);
    }
}

static void stream_values_at_any_time(const struct drive *d)
{
    for (unsigned turns = 0; turns < 10; turns++) {
        struct wspr_host h;
        struct wspr_conn *c;

        if (!begin(d, &h))
            return;
        c = fake_conn_new(&h);
        send_to_flows(d, c);
        send_all(d, c, 1);
        send_to_flows(d, c);
        fake_host_settle(&h, turns);
        send_to_flows(d, c);
        fake_host_settle(&h, TURNS_MAX);
        send_to_flows(d, c);
        fake_conn_close(c);
        fake_host_unload(&h);
    }
}

static void a_page_does_not_read(const struct drive *d)
{
    struct wspr_host h;
    struct wspr_conn *c;

    if (!begin(d, &h))
        return;
    h.full = true;
    c = fake_conn_new(&h);
    send_all(d, c, 1);
    fake_host_settle(&h, TURNS_MAX);
    fake_host_drain(&h);
    fake_host_settle(&h, TURNS_MAX);
    fake_conn_close(c);
    fake_host_unload(&h);
}

static void close_under_load(const struct drive *d)
{
    struct wspr_host h;
    struct wspr_conn *c[8];

    if (!begin(d, &h))
        return;
    h.full = true; /* no page reads */
    for (size_t i = 0; i < 8; i++) {
        c[i] = fake_conn_new(&h);
        for (int64_t k = 0; k < 10; k++)
            send_all(d, c[i], 1 + k * 1000);
    }
    fake_host_settle(&h, 200);
    for (size_t i = 0; i < 8; i += 2)
        fake_conn_close(c[i]);
    fake_host_drain(&h); /* the others read again */
    fake_host_settle(&h, TURNS_MAX);
    for (size_t i = 1; i < 8; i += 2)
        fake_conn_close(c[i]);
    fake_host_unload(&h);
}

/* Everything once; the n-th function of the host that may fail does, and so the plugin's own. */
static bool all_once(const struct drive *d, unsigned long n, unsigned long own, unsigned long *ret)
{
    struct wspr_host h;
    struct wspr_conn *c;

    if (!begin(d, &h))
        return false;
    h.fail_at = n > 0 ? h.asked + n : 0;
    fake_memory = (struct fake_memory){.fail_at = own};
    c = fake_conn_new(&h);
    send_all(d, c, 1);
    send_to_flows(d, c);
    fake_host_settle(&h, TURNS_MAX);
    fake_conn_close(c);
    *ret = n > 0 ? h.asked : fake_memory.asked;
    fake_memory.fail_at = 0;
    fake_host_unload(&h);
    return true;
}

static void memory_is_short(const struct drive *d)
{
    unsigned long n = 0, asked;

    do {
        bool was_broken = broken;

        trying("the host function", ++n);
        if (!all_once(d, n, 0, &asked))
            return;
        if (broken && !was_broken)
            fake_violation("(that was when the host function number %lu failed)", n);
    } while (asked >= n && n < FAILS_MAX);
}

static void own_memory_is_short(const struct drive *d)
{
    unsigned long n = 0, asked;

    if (!d->watched)
        return;
    do {
        bool was_broken = broken;

        trying("its own allocation", ++n);
        if (!all_once(d, 0, n, &asked))
            return;
        if (broken && !was_broken)
            fake_violation("(that was when its own allocation number %lu failed)", n);
    } while (asked >= n && n < FAILS_MAX);
}

/* Loads it with something that fails: load may return an error, or do without. */
static bool load_once(const struct drive *d, unsigned long n, unsigned long own)
{
    struct plugin_values values;
    struct wspr_host h;

    if (plugin_values_read(&values, d->plugin, d->config, NULL) < 0)
        return false;
    fake_memory = (struct fake_memory){.fail_at = own};
    if (fake_host_load(&h, d->plugin, &values, n) == 0) {
        fake_memory.fail_at = 0;
        fake_host_unload(&h);
    }
    fake_memory.fail_at = 0;
    return true;
}

static void a_load_without_memory(const struct drive *d)
{
    for (unsigned long n = 1; n <= 10; n++) {
        trying("the host function", n);
        if (!load_once(d, n, 0))
            return;
    }
    for (unsigned long n = 1; d->watched && n <= FAILS_MAX; n++) {
        trying("its own allocation", n);
        if (!load_once(d, 0, n) || fake_memory.asked < n)
            return;
    }
}

static const struct sequence {
    const char *name;
    void (*run)(const struct drive *d);
} sequences[] = {
    {"it is loaded twice and unloaded", load_and_unload},
    {"memory is short while it is loaded", a_load_without_memory},
    {"pages send all they can", everything_is_answered},
    {"nobody can be called", nobody_can_be_called},
    {"pages go away before the answer", close_before_the_answer},
    {"messages for flows come at any time", stream_values_at_any_time},
    {"a page does not read", a_page_does_not_read},
    {"pages do not read, and go away", close_under_load},
    {"memory is short", memory_is_short},
    {"its own memory is short", own_memory_is_short},
};

/* ---- the parent ---- */

/* Prints each line once; what was tried last comes into `tried`. */
static unsigned print_lines(const struct drive *d, FILE *from, char tried[LINE_MAX_])
{
    static char seen[LINES_MAX][LINE_MAX_];
    char line[LINE_MAX_];
    unsigned n = 0;

    while (fgets(line, sizeof line, from) != NULL) {
        unsigned i = 0;

        line[strcspn(line, "\n")] = '\0';
        if (line[0] == '@') {
            memcpy(tried, line, sizeof line);
            continue;
        }
        while (i < n && strcmp(seen[i], line) != 0)
            i++;
        if (i < n || n == LINES_MAX)
            continue;
        memcpy(seen[n++], line, sizeof line);
        fprintf(d->out, "    %s\n", line);
    }
    return n;
}

static void in_child(const struct drive *d, const struct sequence *s, int fd)
{
    told = fdopen(fd, "w");
    if (told == NULL)
        _exit(3);
    alarm(SECONDS_MAX);
    s->run(d);
    fclose(told);
    /* Sanitizers look for leaks at an ordinary exit. */
    exit(broken ? 1 : 0);
}

static bool print_end(const struct drive *d, int status, const char *tried)
{
    if (WIFSIGNALED(status)) {
        fprintf(d->out,
                WTERMSIG(status) == SIGALRM ? "    it does not come to an end within %d s"
                                            : "    it crashes with signal %d",
                WTERMSIG(status) == SIGALRM ? SECONDS_MAX : WTERMSIG(status));
        fprintf(d->out, tried[0] == '@' ? ", %s\n" : "%s\n", tried[0] == '@' ? tried + 1 : "");
        return false;
    }
    if (WEXITSTATUS(status) > 1)
        fprintf(d->out, "    it ends the program with status %d\n", WEXITSTATUS(status));
    return WEXITSTATUS(status) == 0;
}

static int run_sequence(const struct drive *d, const struct sequence *s)
{
    char tried[LINE_MAX_] = "";
    int fds[2], status = 0;
    FILE *from;
    pid_t pid;

    fflush(NULL);
    if (pipe(fds) < 0)
        return WSPR_ESYS;
    pid = fork();
    if (pid < 0) {
        close(fds[0]);
        close(fds[1]);
        return WSPR_ESYS;
    }
    if (pid == 0) {
        close(fds[0]);
        in_child(d, s, fds[1]);
    }
    close(fds[1]);
    from = fdopen(fds[0], "r");
    if (from == NULL) {
        close(fds[0]);
        return WSPR_ENOMEM;
    }
    fprintf(d->out, "%s:\n", s->name);
    print_lines(d, from, tried);
    fclose(from);
    while (waitpid(pid, &status, 0) < 0)
        ;
    return print_end(d, status, tried) ? 0 : 1;
}

int drive_plugin(const struct drive *d)
{
    int bad = 0;

    for (size_t i = 0; i < sizeof sequences / sizeof sequences[0]; i++) {
        int r = run_sequence(d, &sequences[i]);

        if (r < 0)
            return r;
        if (r == 0)
            fprintf(d->out, "    fine\n");
        bad += r;
    }
    return bad;
}
