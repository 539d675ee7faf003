/*
 * wspr-bench-associate: what 100 associations a second do to the calls of another page.
 *
 *     wspr-bench-associate [BLOCKS [RATE]]
 *
 * A block is a second in which the other page makes 500 calls. There are BLOCKS of each of four
 * kinds, in random order within each four, so that whatever else the machine does falls on all:
 *
 *     quiet       nobody else does anything
 *     refused     the pages send the same messages at the same rate under a type that does
 *                 not exist: what the pages and the messages alone cost
 *     elsewhere   the messages are associations, each of an identity that its account had not, but
 *                 another wsprd gets them: what the work costs whoever shares the machine
 *     associated  the wsprd of the calls gets them
 *
 * The figure is the median of the blocks' 99th percentiles, against that of another kind: against
 * quiet it holds what processors and disk do to each other, against refused what the work adds to
 * the messages, against elsewhere what one process does to itself. What it may be by chance is
 * asked of the blocks of that other kind alone: two samples of as many blocks are drawn from them
 * again and again, and their medians compared; 95 of 100 differ by less than the noise.
 *
 * Starts two wsprd, each with its state in a folder of its own, and the sample service of this
 * build.
 */
#include "config.h"

#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "integration/rig.h"
#include "measure.h"
#include "security/identity.h"
#include "security/idfile.h"
#include "wspeer.h"

#define IDENTITIES 50
#define PAGES      32                /* that associate, each a part of the rate */
#define CALL_EVERY UINT64_C(2000000) /* nanoseconds; the calls do not saturate anything */
#define SECOND     UINT64_C(1000000000)
#define SETTLE_MS  50 /* between blocks: what is under way ends */
#define BLOCKS_MAX 1000
#define DRAWS      2000

enum kind { QUIET, REFUSED, ELSEWHERE, ASSOCIATED, KINDS };

/* Shared with the processes that associate. */
struct shared {
    volatile enum kind kind;
    volatile int stop;
    struct {
        volatile uint64_t done, failed, slowest;
    } pages[PAGES];
};

/* What the blocks of a kind showed. */
struct result {
    struct measure calls;
    double p50[BLOCKS_MAX], p99[BLOCKS_MAX]; /* us */
    size_t n;
    uint64_t cpu; /* of wsprd, ns */
};

static const char *const names[KINDS] = {"quiet", "refused", "elsewhere", "associated"};
static struct shared *shared;
static uint64_t seed;

/* xorshift64* */
static size_t draw_below(size_t n)
{
    seed ^= seed >> 12;
    seed ^= seed << 25;
    seed ^= seed >> 27;
    return (size_t)((seed * UINT64_C(2685821657736338717)) >> 33) % n;
}

static void die(const char *what)
{
    fprintf(stderr, "wspr-bench-associate: %s\n", what);
    exit(1);
}

static void wait_until(uint64_t at)
{
    uint64_t now = measure_now();

    if (now < at)
        poll(NULL, 0, (int)((at - now + 999999) / 1000000));
}

static void connect_page(struct wspeer *p, int port)
{
    struct wspeer_frame f;

    if (wspeer_connect(p, port, "/ws", NULL, RIG_TIMEOUT_MS) < 0 ||
        wspeer_recv_message(p, &f, RIG_TIMEOUT_MS) != WSPEER_FRAME)
        die(p->error);
}

static uint64_t ask(struct wspeer *p, const char *text, bool *ret_ok)
{
    uint64_t began = measure_now();
    struct wspeer_frame f;

    wspeer_send_text(p, text);
    if (wspeer_recv_message(p, &f, RIG_TIMEOUT_MS) != WSPEER_FRAME)
        die(p->error);
    *ret_ok = strstr((char *)f.data, "\\\"type\\\": 0") != NULL;
    return measure_now() - began;
}

/* ---- the one that associates ---- */

static char *message_of(unsigned i, const char *type)
{
    struct buf text = BUF_INIT(SECURITY_TEXT_MAX), message = BUF_INIT(SECURITY_TEXT_MAX + 1024);
    struct security_private *id;

    if (security_private_new(span_str("bench"), &id, NULL) < 0 ||
        security_idfile_print_private(&text, id) < 0)
        die("no identity");
    buf_printf(&message,
               "{\"id\":1,\"type\":%s,\"data\":\"{\\\"account\\\":\\\"a%u\\\",\\\"identity\\\":"
               "\\\"%.*s\\\",\\\"origin\\\":\\\"http://o%u.example\\\"}\"}",
               type, i, SPAN_ARG(buf_span(&text)), i);
    security_private_unref(id);
    security_buf_wipe(&text);
    if (buf_cstr(&message) == NULL)
        die("no memory");
    return (char *)message.base;
}

static void associate(const int ports[2], unsigned rate, unsigned me)
{
    char *messages[IDENTITIES], *refused[IDENTITIES];
    struct wspeer here, elsewhere;

    for (unsigned i = 0; i < IDENTITIES; i++) {
        messages[i] = message_of(i, "7");
        refused[i] = message_of(i, "9");
    }
    /* They are not what is measured: whoever wakes up takes their processor. */
    (void)sched_setscheduler(0, SCHED_IDLE, &(struct sched_param){0});
    connect_page(&here, ports[0]);
    connect_page(&elsewhere, ports[1]);
    for (uint64_t i = me * 7, at = measure_now(); !shared->stop; i++) {
        enum kind kind = shared->kind;
        uint64_t took;
        bool ok;

        at += PAGES * SECOND / rate;
        wait_until(at);
        if (kind == QUIET || measure_now() > at + SECOND) {
            at = measure_now();
            continue;
        }
        took = ask(kind == ELSEWHERE ? &elsewhere : &here,
                   (kind == REFUSED ? refused : messages)[i % IDENTITIES], &ok);
        if (kind != ASSOCIATED)
            continue;
        shared->pages[me].done++;
        shared->pages[me].failed += !ok;
        if (took > shared->pages[me].slowest)
            shared->pages[me].slowest = took;
    }
    _exit(0);
}

/* ---- the one that calls ---- */

static void call_for(struct wspeer *p, const char *text, struct measure *m, struct measure *all)
{
    uint64_t end = measure_now() + SECOND;

    for (uint64_t at = measure_now(); at < end; at += CALL_EVERY) {
        uint64_t took;
        bool ok;

        wait_until(at);
        took = ask(p, text, &ok);
        measure_add(m, took);
        measure_add(all, took);
        if (!ok)
            die("a call failed");
    }
}

static void run_block(struct wspeer *p, pid_t wsprd, const char *text, enum kind kind,
                      struct result *r)
{
    struct measure *block = calloc(1, sizeof *block);
    uint64_t cpu;

    if (block == NULL)
        die("no memory");
    shared->kind = kind;
    poll(NULL, 0, SETTLE_MS);
    cpu = measure_cpu(wsprd);
    call_for(p, text, block, &r->calls);
    r->cpu += measure_cpu(wsprd) - cpu;
    shared->kind = QUIET;
    poll(NULL, 0, SETTLE_MS);
    r->p50[r->n] = (double)measure_at(block, 0.5) / 1e3;
    r->p99[r->n++] = (double)measure_at(block, 0.99) / 1e3;
    free(block);
}

static void run(struct wspeer *p, pid_t wsprd, const char *text, long blocks,
                struct result *results)
{
    for (long i = 0; i < blocks; i++) {
        enum kind order[KINDS] = {QUIET, REFUSED, ELSEWHERE, ASSOCIATED};

        for (int k = KINDS - 1; k > 0; k--) {
            int other = (int)draw_below((size_t)k + 1);
            enum kind t = order[k];

            order[k] = order[other];
            order[other] = t;
        }
        for (int k = 0; k < KINDS; k++)
            run_block(p, wsprd, text, order[k], &results[order[k]]);
    }
}

/* ---- what it says ---- */

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

/* Of a copy: the share (0 to 1) of all is below it. */
static double quantile(const double *v, size_t n, double share)
{
    static double sorted[BLOCKS_MAX > DRAWS ? BLOCKS_MAX : DRAWS];

    memcpy(sorted, v, n * sizeof *v);
    qsort(sorted, n, sizeof *sorted, compare);
    return (sorted[(size_t)(share * (double)(n - 1))] +
            sorted[(size_t)(share * (double)(n - 1) + 0.999)]) /
           2;
}

static double median_of_draw(const double *v, size_t n)
{
    double drawn[BLOCKS_MAX];

    for (size_t i = 0; i < n; i++)
        drawn[i] = v[draw_below(n)];
    return quantile(drawn, n, 0.5);
}

static double noise_of(const struct result *r)
{
    static double ratios[DRAWS];

    for (size_t i = 0; i < DRAWS; i++) {
        double a = median_of_draw(r->p99, r->n), b = median_of_draw(r->p99, r->n);

        ratios[i] = a > b ? a / b : b / a;
    }
    return quantile(ratios, DRAWS, 0.95);
}

static void print(const char *what, const struct result *r)
{
    printf("%-11s %4zu blocks  p50 %5.0f us  p99 %6.0f us (half of the blocks: %.0f to %.0f)  "
           "p99 of all %6.0f us\n",
           what, r->n, quantile(r->p50, r->n, 0.5), quantile(r->p99, r->n, 0.5),
           quantile(r->p99, r->n, 0.25), quantile(r->p99, r->n, 0.75),
           (double)measure_at(&r->calls, 0.99) / 1e3);
}

static void print_ratio(const struct result *results, enum kind kind, enum kind base)
{
    const struct result *r = &results[kind], *b = &results[base];
    double ratio = quantile(r->p99, r->n, 0.5) / quantile(b->p99, b->n, 0.5);
    double noise = noise_of(b);

    printf("p99 of %s to %s: x %.2f; noise: x %.2f: %s\n", names[kind], names[base], ratio, noise,
           ratio <= noise ? "unmoved" : "moved");
}

/* Returns how many associations failed. */
static uint64_t print_all(const struct result *results)
{
    uint64_t done = 0, failed = 0, slowest = 0;

    for (unsigned i = 0; i < PAGES; i++) {
        done += shared->pages[i].done;
        failed += shared->pages[i].failed;
        if (shared->pages[i].slowest > slowest)
            slowest = shared->pages[i].slowest;
    }
    for (int k = 0; k < KINDS; k++)
        print(names[k], &results[k]);
    printf("associations: %.1f/s, %llu failed, slowest %.1f ms, %.2f ms of CPU of wsprd each\n",
           (double)done / ((double)results[ASSOCIATED].n * (1 + SETTLE_MS / 1e3)),
           (unsigned long long)failed, (double)slowest / 1e6,
           ((double)results[ASSOCIATED].cpu - (double)results[REFUSED].cpu) / 1e6 /
               (done > 0 ? (double)done : 1));
    for (int k = REFUSED; k < KINDS; k++)
        print_ratio(results, (enum kind)k, QUIET);
    print_ratio(results, ASSOCIATED, REFUSED);
    print_ratio(results, ASSOCIATED, ELSEWHERE);
    return failed;
}

int main(int argc, char **argv)
{
    long blocks = argc > 1 ? strtol(argv[1], NULL, 10) : 20;
    unsigned rate = argc > 2 ? (unsigned)strtoul(argv[2], NULL, 10) : 100;
    static struct result results[KINDS], warm;
    struct rig_wsprd wsprd, other;
    struct child service;
    char endpoint[512], text[1024], folder[4200], state[4300];
    struct wspeer p;
    pid_t pids[PAGES];
    uint64_t failed;

    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED || blocks < 1 || blocks > BLOCKS_MAX || rate < 1)
        die("usage: wspr-bench-associate [BLOCKS [RATE]]");
    seed = measure_now() | 1;
    snprintf(state, sizeof state, "-state-dir=%s", child_file(folder, sizeof folder, "elsewhere"));
    if (!rig_sampled_start(&service, NULL, endpoint, sizeof endpoint) ||
        !rig_wsprd_start(&wsprd, NULL, (const char *const[]){"-no-embedded", NULL}) ||
        !rig_wsprd_start(&other, NULL, (const char *const[]){"-no-embedded", state, NULL}))
        die("nothing to measure");
    for (unsigned i = 0; i < PAGES; i++) {
        pids[i] = fork();
        if (pids[i] == 0)
            associate((const int[2]){wsprd.port, other.port}, rate, i);
    }
    snprintf(text, sizeof text,
             "{\"id\":1,\"type\":0,\"data\":\"{\\\"name\\\":\\\"/%s//cache\\\",\\\"method\\\":"
             "\\\"set\\\",\\\"inArgs\\\":[\\\"k\\\",1],\\\"numOutArgs\\\":1}\"}",
             endpoint);
    connect_page(&p, wsprd.port);
    run_block(&p, wsprd.child.pid, text, QUIET, &warm); /* the circuit, and the cache */
    run(&p, wsprd.child.pid, text, blocks, results);
    shared->stop = 1;
    for (unsigned i = 0; i < PAGES; i++)
        waitpid(pids[i], NULL, 0);
    failed = print_all(results);
    wspeer_close(&p);
    rig_wsprd_stop(&wsprd);
    rig_wsprd_stop(&other);
    rig_sampled_stop(&service);
    return failed > 0;
}
