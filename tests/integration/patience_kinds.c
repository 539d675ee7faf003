/* Pages and services that do not read or do not answer; the ledger of who lost what. */
#include "config.h"
#include "patience.h"

#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "child.h"
#include "tool.h"

#define REST_MS        20
#define STATUS_TIMEOUT 4 /* of wspr */

const struct patience_kind patience_kinds[] = {
    {"page that does not read", 0, patience_page_deaf},
    {"page that does not answer", 0, patience_page_mute},
    {"service that does not read", PATIENCE_NEEDS_SLOW, patience_service_deaf},
    {"service that answers never", PATIENCE_NEEDS_SLOW, patience_service_mute},
    {"relay gone", PATIENCE_NEEDS_FAR, patience_relay_gone},
    {"mount table gone", 0, patience_table_gone},
    {"half-open TCP", PATIENCE_NEEDS_SLOW | PATIENCE_NEEDS_FAR, patience_half_open},
};
const unsigned patience_n_kinds = sizeof patience_kinds / sizeof patience_kinds[0];

/* ---- threads ---- */

static void *patience_thread(void *arg)
{
    struct patience *p = arg;

    /*
     * What is judged is what they make of the daemon, not that they use processors: whoever wakes
     * up takes theirs. Whom they start is as others are.
     */
    if (!p->world->brief)
        (void)sched_setscheduler(0, SCHED_IDLE | SCHED_RESET_ON_FORK, &(struct sched_param){0});
    for (;;) {
        pthread_mutex_lock(&p->lock);
        while (!p->running && !p->leave)
            pthread_cond_wait(&p->turn, &p->lock);
        pthread_mutex_unlock(&p->lock);
        if (p->leave)
            return NULL;
        p->kind->run(p);
        pthread_mutex_lock(&p->lock);
        p->hanging = false;
        p->running = false;
        pthread_cond_broadcast(&p->turn);
        pthread_mutex_unlock(&p->lock);
    }
}

void patience_init(struct patience *p, const struct patience_kind *kind, struct world *w)
{
    memset(p, 0, sizeof *p);
    p->kind = kind;
    p->world = w;
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->turn, NULL);
    p->started = pthread_create(&p->thread, NULL, patience_thread, p) == 0;
}

void patience_start(struct patience *p)
{
    p->stop = false;
    pthread_mutex_lock(&p->lock);
    p->running = true;
    pthread_cond_broadcast(&p->turn);
    pthread_mutex_unlock(&p->lock);
}

void patience_stop(struct patience *p)
{
    p->stop = true;
}

void patience_wait(struct patience *p)
{
    pthread_mutex_lock(&p->lock);
    while (p->running)
        pthread_cond_wait(&p->turn, &p->lock);
    pthread_mutex_unlock(&p->lock);
}

void patience_done(struct patience *p)
{
    pthread_mutex_lock(&p->lock);
    p->leave = true;
    pthread_cond_broadcast(&p->turn);
    pthread_mutex_unlock(&p->lock);
    if (p->started)
        pthread_join(p->thread, NULL);
    pthread_cond_destroy(&p->turn);
    pthread_mutex_destroy(&p->lock);
}

bool patience_over(const struct patience *p)
{
    return p->stop;
}

void patience_rest(struct patience *p, int ms)
{
    long long until = child_now_ms() + ms;

    while (!patience_over(p) && child_now_ms() < until) {
        page_beat(p);
        poll(NULL, 0, REST_MS);
    }
}

/* ---- the ledger ---- */

void patience_lost(struct patience *p, const char *who, enum patience_end end, const char *what)
{
    char text[sizeof p->ways[0].text];
    struct patience_way *way = NULL;

    if (p->shutdown || (patience_over(p) && end != PATIENCE_TYPED))
        return;
    snprintf(text, sizeof text, "%s: %s", who, what);
    pthread_mutex_lock(&p->lock);
    for (unsigned i = 0; i < p->n_ways && way == NULL; i++) {
        if (p->ways[i].end == end && strcmp(p->ways[i].text, text) == 0)
            way = &p->ways[i];
    }
    if (way == NULL) {
        /* The last place takes all that find none; a bad end is never hidden by that. */
        if (p->n_ways < PATIENCE_WAYS)
            p->n_ways++;
        way = &p->ways[p->n_ways - 1];
        if (way->n == 0 || end > way->end) {
            way->end = end;
            snprintf(way->text, sizeof way->text, "%s", text);
        }
    }
    way->n++;
    pthread_mutex_unlock(&p->lock);
}

void patience_trouble(struct patience *p, const char *fmt, ...)
{
    va_list ap;

    if (p->shutdown)
        return;
    pthread_mutex_lock(&p->lock);
    va_start(ap, fmt);
    if (p->trouble[0] == '\0')
        vsnprintf(p->trouble, sizeof p->trouble, fmt, ap);
    va_end(ap);
    pthread_mutex_unlock(&p->lock);
}

bool patience_judge(struct patience *p)
{
    static const char *const ends[] = {"error", "ERROR WITHOUT ID", "NOTHING", "connection ended"};
    bool ok = p->trouble[0] == '\0' && p->n_ways > 0;

    for (unsigned i = 0; i < p->n_ways; i++) {
        const struct patience_way *way = &p->ways[i];

        printf("#   %8llu x %s, %s\n", way->n, ends[way->end], way->text);
        ok = ok && (way->end == PATIENCE_TYPED || way->end == PATIENCE_CUT);
    }
    if (p->trouble[0] != '\0')
        printf("#   trouble: %s\n", p->trouble);
    return ok;
}

/* ---- pages ---- */

#define ASK_MS        5    /* between two calls: to be slow is not to be busy */
#define GREEDY_CALLS  1500 /* more than may wait for one page */
#define PATIENT_CALLS 200
/*
 * What callers of pages send together: 50 MiB, more than may wait for a page. In small pieces where
 * there is time: the loop is busy for milliseconds with a large value, whoever sends it.
 */
#define CALLERS(p)      ((p)->world->brief ? 100 : 800)
#define CALLER_BYTES(p) ((p)->world->brief ? 524288u : 65536u)

/* Asks for a big value until nothing more is taken; without reading any answer. */
static void ask_much(struct patience *p, struct wspeer *page, long calls)
{
    char name[2 * PATIENCE_ENDPOINT];

    name_of(name, sizeof name, p->world->sampled_at, "cache");
    for (long i = 0; i < calls && !patience_over(p) && page_takes(page, 300); i++) {
        page_call(page, 2 * i + 3, name, "get", "[\\\"big\\\"]", 2, false);
        poll(NULL, 0, ASK_MS);
    }
}

/* Reads what is left of a connection that has been ended by the other side. */
static void read_the_end(struct patience *p, struct wspeer *page, const char *who)
{
    long long until = child_now_ms() + PATIENCE_WAIT_MS;
    struct wspeer_frame frame;
    char what[160];

    while (!patience_over(p) && child_now_ms() < until) {
        enum wspeer_result r = wspeer_recv(page, &frame, 100);

        if (r == WSPEER_FRAME && frame.op == WSPEER_CLOSE) {
            snprintf(what, sizeof what, "close frame %u %.*s",
                     frame.len >= 2 ? (unsigned)frame.data[0] << 8 | frame.data[1] : 0u,
                     frame.len > 2 ? (int)frame.len - 2 : 0, (char *)frame.data + 2);
            patience_lost(p, who, PATIENCE_CUT, what);
            return;
        }
        if (r == WSPEER_EOF || r == WSPEER_ERROR) {
            patience_lost(p, who, PATIENCE_CUT, "end of TCP");
            return;
        }
    }
    if (!patience_over(p))
        patience_lost(p, who, PATIENCE_NOTHING, "");
}

/*
 * One page asks for more than may wait for a page. One takes nothing of less than that, and serves:
 * who calls it is told that it does not read, or, at the latest when it is ended, that it is gone.
 */
static void deaf_cycle(struct patience *p)
{
    struct wspeer greedy = {.fd = -1}, patient = {.fd = -1}, caller = {.fd = -1};
    char at[PATIENCE_ENDPOINT], name[2 * PATIENCE_ENDPOINT];
    int port = p->world->near.port;

    if (page_open(p, &patient, port) && page_open(p, &caller, port) &&
        page_serve(p, &patient, "", at)) {
        page_falls_silent(p, &patient);
        ask_much(p, &patient, PATIENT_CALLS);
        name_of(name, sizeof name, at, "");
        for (long i = 0; i < CALLERS(p) && !patience_over(p); i++) {
            page_call_big(&caller, 2 * i + 1, name, "echo", CALLER_BYTES(p), 2);
            patience_rest(p, ASK_MS);
        }
        if (page_open(p, &greedy, port)) {
            page_falls_silent(p, &greedy);
            ask_much(p, &greedy, GREEDY_CALLS);
        }
        p->hanging = true;
        page_losses(p, &caller, "caller of the page", (unsigned)CALLERS(p));
        read_the_end(p, &greedy, "page with too much waiting");
        /* It reads only what was in the system's buffers by then. */
        read_the_end(p, &patient, "page that takes nothing");
        p->hanging = false;
    }
    page_close(p, &greedy);
    page_close(p, &patient);
    page_close(p, &caller);
}

void patience_page_deaf(struct patience *p)
{
    while (!patience_over(p)) {
        deaf_cycle(p);
        p->cycles += !patience_over(p);
    }
}

#define MUTE_CALLS 1100 /* more than -max-pending */
#define MUTE_BIG   200

/* A native caller with a deadline. */
static void impatient(struct patience *p, const char *who, const char *at, const char *method,
                      const char *arg)
{
    char name[2 * PATIENCE_ENDPOINT], identity[4300], what[160];
    const char *const args[] = {
        "call", "--json", "--timeout=1s", name_of(name, sizeof name, at, ""), method, arg, NULL};
    const char *const env[] = {identity, NULL};
    const char *text, *id;
    struct tool t;
    int status;

    pthread_mutex_lock(&p->world->children);
    snprintf(identity, sizeof identity, "VEYRON_IDENTITY=%s", rig_identity());
    if (!tool_start(&t, "wspr", args, env, 0)) {
        pthread_mutex_unlock(&p->world->children);
        patience_trouble(p, "wspr does not start");
        return;
    }
    pthread_mutex_unlock(&p->world->children);
    status = tool_end(&t);
    text = tool_err(&t);
    id = strstr(text, "\"id\": \"");
    snprintf(what, sizeof what, "status %d, %.*s", status, id != NULL ? 60 : 100,
             id != NULL ? id : text);
    /* It tells what went wrong by its status: the end of its own time comes from no server. */
    patience_lost(p, who, status == STATUS_TIMEOUT ? PATIENCE_TYPED : PATIENCE_UNTYPED, what);
    tool_done(&t);
}

/* It reads and answers pings, and nothing else: callers wait, until there are too many. */
static void mute_cycle(struct patience *p)
{
    struct wspeer mute = {.fd = -1}, caller = {.fd = -1}, big = {.fd = -1};
    char at[PATIENCE_ENDPOINT], name[2 * PATIENCE_ENDPOINT];
    int port = p->world->near.port;

    if (page_open(p, &mute, port) && page_open(p, &caller, port) && page_open(p, &big, port) &&
        page_serve(p, &mute, "", at)) {
        name_of(name, sizeof name, at, "");
        impatient(p, "native caller of the page", at, "echo", "\"x\"");
        for (long i = 0; i < MUTE_BIG && !patience_over(p); i++) {
            page_call_big(&big, 2 * i + 1, name, "echo", CALLER_BYTES(p), 2);
            page_drain(&mute);
            patience_rest(p, REST_MS);
        }
        for (long i = 0; i < MUTE_CALLS && !patience_over(p); i++) {
            page_call(&caller, 2 * i + 1, name, "echo", "[\\\"x\\\"]", 2, false);
            page_drain(&mute);
            poll(NULL, 0, 2);
        }
        p->hanging = true;
        for (int i = 0; i < (p->world->brief ? 50 : 500) && !patience_over(p); i++) {
            page_drain(&mute);
            patience_rest(p, REST_MS);
        }
        page_close(p, &mute);
        page_losses(p, &caller, "caller of the page", MUTE_CALLS);
        page_losses(p, &big, "caller with much to say", MUTE_BIG);
        p->hanging = false;
    }
    page_close(p, &mute);
    page_close(p, &caller);
    page_close(p, &big);
}

void patience_page_mute(struct patience *p)
{
    while (!patience_over(p)) {
        mute_cycle(p);
        p->cycles += !patience_over(p);
    }
}

/* ---- services ---- */

#define DEAF_PAGES  4
#define DEAF_VALUES 1000
#define VALUE_BYTES 16384

/* A page's stream to a method that never reads: the page is held up for a while, then told. */
static void service_deaf_cycle(struct patience *p)
{
    struct wspeer pages[DEAF_PAGES];
    char name[2 * PATIENCE_ENDPOINT], value[VALUE_BYTES + 8] = "\\\"";
    unsigned n = 0;

    memset(value + 2, 'v', VALUE_BYTES);
    memcpy(value + 2 + VALUE_BYTES, "\\\"", 3);
    name_of(name, sizeof name, p->world->slow_at, "");
    for (unsigned i = 0; i < DEAF_PAGES; i++)
        pages[i].fd = -1;
    while (n < DEAF_PAGES && page_open(p, &pages[n], p->world->near.port)) {
        page_call(&pages[n], 1, name, "deaf", "[]", 1, true);
        n++;
    }
    for (unsigned i = 0; i < DEAF_VALUES && !patience_over(p); i++) {
        for (unsigned k = 0; k < n; k++) {
            if (page_takes(&pages[k], 0))
                page_value(&pages[k], 1, value);
        }
    }
    p->hanging = true;
    for (unsigned k = 0; k < n; k++)
        page_losses(p, &pages[k], "page that streams", 1);
    p->hanging = false;
    for (unsigned k = 0; k < DEAF_PAGES; k++)
        page_close(p, &pages[k]);
}

void patience_service_deaf(struct patience *p)
{
    while (!patience_over(p)) {
        service_deaf_cycle(p);
        p->cycles += !patience_over(p);
    }
}

#define NEVER_CALLS 200

/* Calls of pages have no deadline: they wait until the service ends. Others have one. */
static void service_mute_cycle(struct patience *p)
{
    struct wspeer page = {.fd = -1};
    char at[PATIENCE_ENDPOINT], name[2 * PATIENCE_ENDPOINT];
    struct child service;
    bool up;

    pthread_mutex_lock(&p->world->children);
    up = rig_slow_start(&service, at, sizeof at);
    pthread_mutex_unlock(&p->world->children);
    if (up && page_open(p, &page, p->world->near.port)) {
        name_of(name, sizeof name, at, "");
        for (long i = 0; i < NEVER_CALLS; i++)
            page_call(&page, 2 * i + 1, name, "never", "[]", 1, false);
        p->hanging = true;
        impatient(p, "native caller", at, "Never", NULL);
        patience_rest(p, 1000);
        pthread_mutex_lock(&p->world->children);
        child_stop(&service, SIGKILL, RIG_TIMEOUT_MS);
        pthread_mutex_unlock(&p->world->children);
        page_losses(p, &page, "page whose service died", NEVER_CALLS);
        p->hanging = false;
    }
    page_close(p, &page);
    if (up)
        child_stop(&service, SIGKILL, RIG_TIMEOUT_MS);
}

void patience_service_mute(struct patience *p)
{
    while (!patience_over(p)) {
        service_mute_cycle(p);
        p->cycles += !patience_over(p);
    }
}
