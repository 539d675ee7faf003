/*
 * wspr-bench-associate: what 100 associations a second do to the calls of another page. Seconds
 * with and without them take turns, so that whatever else the machine does falls on both.
 *
 *     wspr-bench-associate [SECONDS [RATE]]
 *
 * Starts wsprd, with its state in a folder of its own, and the sample service of this build.
 */
#include "config.h"

#include <poll.h>
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
#define PAGES      4                 /* that associate, each a part of the rate */
#define CALL_EVERY UINT64_C(2000000) /* nanoseconds; the calls do not saturate anything */
#define SECOND     UINT64_C(1000000000)

/* Shared with the process that associates. */
struct shared {
    volatile int go, stop;
    struct {
        volatile uint64_t done, failed, slowest;
    } pages[PAGES];
};

static struct shared *shared;

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

static char *message_of(unsigned i)
{
    struct buf text = BUF_INIT(SECURITY_TEXT_MAX), message = BUF_INIT(SECURITY_TEXT_MAX + 1024);
    struct security_private *id;

    if (security_private_new(span_str("bench"), &id, NULL) < 0 ||
        security_idfile_print_private(&text, id) < 0)
        die("no identity");
    buf_printf(&message,
               "{\"id\":1,\"type\":7,\"data\":\"{\\\"account\\\":\\\"a%u\\\",\\\"identity\\\":"
               "\\\"%.*s\\\",\\\"origin\\\":\\\"http://o%u.example\\\"}\"}",
               i, SPAN_ARG(buf_span(&text)), i);
    security_private_unref(id);
    security_buf_wipe(&text);
    if (buf_cstr(&message) == NULL)
        die("no memory");
    return (char *)message.base;
}

static void associate(int port, unsigned rate, unsigned me)
{
    char *messages[IDENTITIES];
    struct wspeer p;

    for (unsigned i = 0; i < IDENTITIES; i++)
        messages[i] = message_of(i);
    connect_page(&p, port);
    for (uint64_t at = measure_now(); !shared->stop; at += PAGES * SECOND / rate) {
        uint64_t took;
        bool ok;

        wait_until(at);
        if (!shared->go || measure_now() > at + SECOND) {
            at = measure_now();
            continue;
        }
        took = ask(&p, messages[(shared->pages[me].done + me * 7) % IDENTITIES], &ok);
        shared->pages[me].done++;
        shared->pages[me].failed += !ok;
        if (took > shared->pages[me].slowest)
            shared->pages[me].slowest = took;
    }
    _exit(0);
}

/* ---- the one that calls ---- */

static void call_for(struct wspeer *p, const char *text, struct measure *m)
{
    uint64_t end = measure_now() + SECOND;

    for (uint64_t at = measure_now(); at < end; at += CALL_EVERY) {
        bool ok;

        wait_until(at);
        measure_add(m, ask(p, text, &ok));
        if (!ok)
            die("a call failed");
    }
}

static void print(const char *what, const struct measure *m)
{
    printf("%-28s %6llu calls  p50 %6.0f us  p99 %6.0f us  p99.9 %6.0f us\n", what,
           (unsigned long long)m->count, (double)measure_at(m, 0.5) / 1e3,
           (double)measure_at(m, 0.99) / 1e3, (double)measure_at(m, 0.999) / 1e3);
}

int main(int argc, char **argv)
{
    long seconds = argc > 1 ? strtol(argv[1], NULL, 10) : 10;
    unsigned rate = argc > 2 ? (unsigned)strtoul(argv[2], NULL, 10) : 100;
    static struct measure without, again, with;
    uint64_t done = 0, failed = 0, slowest = 0;
    struct rig_wsprd wsprd;
    struct child service;
    char endpoint[512], text[1024];
    struct wspeer p;
    pid_t pids[PAGES];

    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED || seconds < 1 || rate < 1)
        die("usage: wspr-bench-associate [SECONDS [RATE]]");
    if (!rig_sampled_start(&service, NULL, endpoint, sizeof endpoint) ||
        !rig_wsprd_start(&wsprd, NULL, (const char *const[]){"-no-embedded", NULL}))
        die("nothing to measure");
    for (unsigned i = 0; i < PAGES; i++) {
        pids[i] = fork();
        if (pids[i] == 0)
            associate(wsprd.port, rate, i);
    }
    snprintf(text, sizeof text,
             "{\"id\":1,\"type\":0,\"data\":\"{\\\"name\\\":\\\"/%s//cache\\\",\\\"method\\\":"
             "\\\"set\\\",\\\"inArgs\\\":[\\\"k\\\",1],\\\"numOutArgs\\\":1}\"}",
             endpoint);
    connect_page(&p, wsprd.port);
    call_for(&p, text, &(struct measure){.count = 0}); /* the circuit, and the cache */
    for (long i = 0; i < 4 * seconds; i++) {
        shared->go = i % 2;
        call_for(&p, text, i % 2 != 0 ? &with : i % 4 == 0 ? &without : &again);
    }
    shared->stop = 1;
    for (unsigned i = 0; i < PAGES; i++) {
        waitpid(pids[i], NULL, 0);
        done += shared->pages[i].done;
        failed += shared->pages[i].failed;
        if (shared->pages[i].slowest > slowest)
            slowest = shared->pages[i].slowest;
    }
    print("without associations", &without);
    print("the same, for the noise", &again);
    print("with associations", &with);
    printf("%-28s %6.1f/s, %llu failed, slowest %.1f ms\n", "associations",
           (double)done / (double)(2 * seconds), (unsigned long long)failed, (double)slowest / 1e6);
    printf("%-28s p99 x %.2f, noise x %.2f\n", "",
           2 * (double)measure_at(&with, 0.99) /
               (double)(measure_at(&without, 0.99) + measure_at(&again, 0.99)),
           (double)measure_at(&again, 0.99) / (double)measure_at(&without, 0.99));
    wspeer_close(&p);
    rig_wsprd_stop(&wsprd);
    rig_sampled_stop(&service);
    return failed > 0;
}
