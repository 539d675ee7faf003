/*
 * One allocation of the real wsprd fails, the first, the second, third ... from the start of a
 * conversation: pages connect, one is given an identity, calls, streams; another serves and is
 * called. Whatever is lost, everybody gets an answer, a typed error or the end of the connection,
 * and the next connection is as good as new. Libraries are made to fail as well (failalloc.c).
 *
 *     TORTURE_STEP=1    every allocation; usually every 61st
 *     TORTURE_FIRST=n   from that one on
 */
#include "config.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "failalloc.h"
#include "rig.h"
#include "tap.h"
#include "vectors.h"
#include "wspeer.h"

#define STEP      61
#define BATCH     8     /* conversations with one wsprd, each under an identity of its own */
#define ANSWER_MS 30000 /* whatever comes later counts as nothing */
#define SLOW_MS   8000
#define RETRY_MS  5000
#define LEFT_OVER                                                                                  \
    64 /* allocations that a batch may leave behind: libraries that leak when they fail */
#define ORIGIN      "Origin: http://app.example\r\n"
#define DESCRIPTORS 8

enum outcome { GOOD, REFUSED, ENDED, HUNG };

static const char *const outcome_names[] = {"good", "refused", "ended", "hung"};

static struct failalloc *control;
static struct rig_wsprd wsprd;
static char *identities[BATCH]; /* private ones, as text */
static unsigned counts[4], n_slow, n_unknown, serial;

/* ---- pages ---- */

struct page {
    struct wspeer peer;
    bool open;
};

static void page_close(struct page *p)
{
    if (p->open)
        wspeer_close(&p->peer);
    p->open = false;
}

/* Refused is a connection that came to nothing. */
static enum outcome page_open(struct page *p, const char *headers)
{
    struct wspeer_frame f;

    *p = (struct page){.open = true};
    if (wspeer_connect(&p->peer, wsprd.port, "/ws", headers, ANSWER_MS) == 0 &&
        wspeer_recv_message(&p->peer, &f, ANSWER_MS) == WSPEER_FRAME && f.op == WSPEER_TEXT)
        return GOOD;
    page_close(p);
    return ENDED;
}

/* What a text means for whoever waits for the answer with that id; -1: something else. */
static int judge(const char *text, unsigned id)
{
    char head[64];
    size_t n;

    if (strncmp(text, "can't unmarshall JSONMessage: ", 30) == 0)
        return REFUSED;
    n = (size_t)snprintf(head, sizeof head, "{\"id\": %u, \"data\": \"{\\\"type\\\": ", id);
    if (strncmp(text, head, n) != 0)
        return -1;
    if (text[n] == '0')
        return GOOD;
    if (text[n] != '2')
        return -1;
    if (strstr(text, "\\\"iD\\\": \\\"veyron2/verror.") == NULL) {
        n_unknown++;
        tap_note("run %u: an error without an id: %.300s", serial, text);
    }
    return REFUSED;
}

/* Calls that a page got meanwhile are answered. */
static void answer(struct page *p, const char *text)
{
    char out[256];

    if (strstr(text, "\"{\\\"type\\\": 3, ") == NULL)
        return;
    snprintf(out, sizeof out,
             "{\"id\":%lld,\"data\":\"{\\\"results\\\":[\\\"r\\\"],\\\"err\\\":null}\",\"type\":2}",
             strtoll(text + 7, NULL, 10));
    wspeer_send_text(&p->peer, out);
}

/* Reads one page for a moment. The outcome for the id, or -1 as long as there is none. */
static int look(struct page *p, unsigned id, char *ret_text, size_t size)
{
    struct wspeer_frame f;
    enum wspeer_result r;
    int o = -1;

    if (!p->open)
        return ENDED;
    while (o < 0 && (r = wspeer_recv_message(&p->peer, &f, 2)) == WSPEER_FRAME) {
        if (f.op == WSPEER_CLOSE)
            return ENDED;
        o = judge((char *)f.data, id);
        if (o >= 0 && ret_text != NULL)
            snprintf(ret_text, size, "%s", (char *)f.data);
        answer(p, (char *)f.data);
    }
    return o >= 0 ? o : r == WSPEER_TIMEOUT ? -1 : ENDED;
}

/* Sends a message and waits for its answer, while `server` (may be NULL) does its part. */
static enum outcome ask(struct page *p, struct page *server, unsigned id, unsigned type,
                        const char *data, char *ret_text, size_t size)
{
    size_t room = strlen(data) + 128;
    char *text = malloc(room);
    long long began = child_now_ms(), took;
    int o = -1;

    if (text == NULL)
        exit(99);
    snprintf(text, room, "{\"id\":%u,\"data\":\"%s\",\"type\":%u}", id, data, type);
    if (p->open)
        wspeer_send_text(&p->peer, text);
    free(text);
    while (o < 0 && child_now_ms() - began < ANSWER_MS) {
        o = look(p, id, ret_text, size);
        if (o < 0 && server != NULL && server->open)
            look(server, 0xffffff, NULL, 0);
    }
    took = child_now_ms() - began;
    if (o < 0 || took > SLOW_MS) {
        n_slow += o >= 0;
        tap_note("run %u: after %lld ms %s: %.200s", serial, took,
                 o < 0 ? "nothing" : outcome_names[o], data);
    }
    return o < 0 ? HUNG : (enum outcome)o;
}

/* ---- the conversation ---- */

static void count(enum outcome o)
{
    counts[o]++;
}

static enum outcome call(struct page *p, struct page *server, unsigned id, const char *name,
                         const char *method, const char *args, unsigned n)
{
    char data[1024];

    snprintf(data, sizeof data,
             "{\\\"name\\\":\\\"%s\\\",\\\"method\\\":\\\"%s\\\",\\\"inArgs\\\":%s,"
             "\\\"numOutArgs\\\":%u,\\\"isStreaming\\\":false}",
             name, method, args, n);
    return ask(p, server, id, 0, data, NULL, 0);
}

static enum outcome stream(struct page *p)
{
    static const char request[] =
        "{\"id\":15,\"data\":\"{\\\"name\\\":\\\"cache\\\",\\\"method\\\":\\\"multiGet\\\","
        "\\\"inArgs\\\":[],\\\"numOutArgs\\\":1,\\\"isStreaming\\\":true}\",\"type\":0}";
    static const char item[] = "{\"id\":15,\"data\":\"\\\"k\\\"\",\"type\":3}";

    for (unsigned i = 0; i < 3 && p->open; i++)
        wspeer_send_text(&p->peer, i == 0 ? request : item);
    return ask(p, NULL, 15, 4, "", NULL, 0);
}

static enum outcome serve(struct page *server, struct page *caller)
{
    char endpoint[512] = "", name[600], text[2048];
    enum outcome o = ask(server, NULL, 1, 1,
                         "{\\\"name\\\":\\\"t/x\\\",\\\"serverId\\\":1,\\\"service\\\":"
                         "{\\\"pick\\\":{\\\"InArgs\\\":[\\\"s\\\"],\\\"NumOutArgs\\\":2}}}",
                         text, sizeof text);
    const char *at = strstr(text, "@2@tcp");

    count(o);
    if (o != GOOD || at == NULL)
        return o;
    snprintf(endpoint, sizeof endpoint, "%.*s", (int)strcspn(at, "\\"), at);
    snprintf(name, sizeof name, "/%s//x", endpoint);
    count(call(caller, server, 21, name, "pick", "[\\\"a\\\"]", 2));
    count(call(caller, server, 23, "t/x", "pick", "[\\\"a\\\"]", 2));
    return ask(server, NULL, 3, 6, "1", NULL, 0);
}

/* Everything that pages do, once. */
static void converse(void)
{
    struct page local, app;
    char *data;
    size_t room = strlen(identities[serial % BATCH]) + 256;

    count(page_open(&local, NULL));
    data = malloc(room);
    if (data == NULL)
        exit(99);
    snprintf(data, room,
             "{\\\"Account\\\":\\\"torture\\\",\\\"Identity\\\":\\\"%s\\\","
             "\\\"Origin\\\":\\\"http://app.example\\\"}",
             identities[serial % BATCH]);
    count(ask(&local, NULL, 5, 7, data, NULL, 0));
    free(data);
    count(page_open(&app, ORIGIN));
    count(call(&app, NULL, 11, "cache", "set", "[\\\"k\\\",{\\\"a\\\":[1,null]}]", 1));
    count(call(&app, NULL, 13, "cache", "get", "[\\\"k\\\"]", 2));
    count(stream(&app));
    count(serve(&local, &app));
    page_close(&local);
    page_close(&app);
}

/* ---- wsprd ---- */

static unsigned descriptors(void)
{
    char path[64];
    unsigned n = 0;
    DIR *d;

    snprintf(path, sizeof path, "/proc/%d/fd", (int)wsprd.child.pid);
    d = opendir(path);
    while (d != NULL && readdir(d) != NULL)
        n++;
    if (d != NULL)
        closedir(d);
    return n;
}

static void fail_at(uint64_t n)
{
    atomic_store(&control->fail_at, 0);
    atomic_store(&control->count, 0);
    atomic_store(&control->fail_at, n);
}

static bool page_works(const char *headers)
{
    struct page p;
    bool ok = page_open(&p, headers) == GOOD &&
              call(&p, NULL, 7, "cache", "set", "[\\\"k\\\",2]", 1) == GOOD &&
              call(&p, NULL, 9, "cache", "get", "[\\\"k\\\"]", 2) == GOOD;

    page_close(&p);
    return ok;
}

/* New connections are served as if nothing had been. */
static bool next_works(void)
{
    long long until = child_now_ms() + RETRY_MS;
    bool ok = page_works(NULL);

    /* An identity that could not be made is tried again after a second. */
    while (ok && !page_works(ORIGIN)) {
        ok = child_now_ms() < until;
        poll(NULL, 0, 100);
    }
    return ok;
}

static bool settles(unsigned before)
{
    long long until = child_now_ms() + ANSWER_MS;

    while (descriptors() > before) {
        if (child_now_ms() > until)
            return false;
        poll(NULL, 0, 5);
    }
    return true;
}

static void wsprd_up(void)
{
    fail_at(0);
    atomic_store(&control->live, 0);
    if (!rig_wsprd_start(&wsprd, NULL, NULL)) {
        printf("Bail out! wsprd does not start\n");
        exit(99);
    }
}

/* So many conversations with one wsprd, the allocations from *n on failing; false at the last. */
static bool batch(uint64_t *n, unsigned step, int64_t live)
{
    unsigned before = 0;
    bool more = true, ok = true;
    uint64_t from = *n;

    wsprd_up();
    TAP_OK(next_works(), "a fresh wsprd does not work");
    before = descriptors() + DESCRIPTORS;
    for (unsigned i = 0; i < BATCH && more && ok; i++, *n += step) {
        serial++;
        fail_at(*n);
        converse();
        more = atomic_load(&control->count) >= *n;
        fail_at(0);
        ok = child_alive(&wsprd.child);
        TAP_OK(ok, "allocation %llu ends wsprd", (unsigned long long)*n);
        ok = ok && next_works();
        TAP_OK(ok, "after allocation %llu: the next connection", (unsigned long long)*n);
        ok = ok && settles(before);
        TAP_OK(ok, "allocation %llu leaves descriptors: %u, not %u", (unsigned long long)*n,
               descriptors(), before);
    }
    TAP_OK(rig_wsprd_stop(&wsprd), "allocations %llu to %llu: the end of wsprd",
           (unsigned long long)from, (unsigned long long)*n);
    TAP_OK(atomic_load(&control->live) <= live + LEFT_OVER,
           "allocations %llu to %llu: %lld are not given back, %lld without",
           (unsigned long long)from, (unsigned long long)*n, (long long)atomic_load(&control->live),
           (long long)live);
    if (!ok)
        child_show_log(&wsprd.child);
    return more;
}

static unsigned number(const char *name, unsigned otherwise)
{
    const char *text = getenv(name);

    return text != NULL ? (unsigned)strtoul(text, NULL, 10) : otherwise;
}

/* Without a failure: what is left at the end anyway, and how many allocations there are. */
static int64_t measure(void)
{
    wsprd_up();
    for (unsigned i = 0; i < 3; i++) {
        serial++;
        fail_at(0);
        converse();
    }
    tap_note("%llu allocations in a conversation",
             (unsigned long long)atomic_load(&control->count));
    TAP_OK(counts[GOOD] == 3 * 10 && counts[HUNG] == 0, "%u answers are good", counts[GOOD]);
    memset(counts, 0, sizeof counts);
    TAP_IS(rig_wsprd_stop(&wsprd));
    return atomic_load(&control->live);
}

static void each_allocation_of_a_conversation(void)
{
    unsigned step = number("TORTURE_STEP", STEP);
    uint64_t n = number("TORTURE_FIRST", 1 + (unsigned)getpid() % step);
    int64_t live = measure();

    tap_note("TORTURE_FIRST=%llu TORTURE_STEP=%u", (unsigned long long)n, step);
    while (batch(&n, step, live))
        ;
    tap_note("%u conversations, %llu failures: %u answers are good, %u errors, %u connections "
             "ended, %u slow",
             serial - 3, (unsigned long long)atomic_load(&control->failed), counts[GOOD],
             counts[REFUSED], counts[ENDED], n_slow);
    TAP_OK(counts[HUNG] == 0 && n_slow == 0, "%u questions without an answer, %u late answers",
           counts[HUNG], n_slow);
    TAP_OK(n_unknown == 0, "%u errors without an id", n_unknown);
    TAP_IS(counts[GOOD] > 0);
}

/* The same for the start: it comes up, or says why not. */
static void each_allocation_of_the_start(void)
{
    unsigned step = number("TORTURE_STEP", STEP), up = 0, down = 0;
    const char *const quick[] = {NULL};
    uint64_t n = number("TORTURE_FIRST", 1 + (unsigned)getpid() % step);
    bool more = true;

    for (; more; n += step) {
        fail_at(n);
        if (rig_wsprd_start(&wsprd, NULL, quick)) {
            more = atomic_load(&control->count) >= n;
            fail_at(0);
            TAP_OK(next_works(), "allocation %llu of the start: it came up, but does not work",
                   (unsigned long long)n);
            TAP_OK(rig_wsprd_stop(&wsprd), "allocation %llu of the start: the end",
                   (unsigned long long)n);
            up++;
        } else {
            TAP_OK(WIFEXITED(wsprd.child.status) && WEXITSTATUS(wsprd.child.status) == 1,
                   "allocation %llu of the start: status 0x%x", (unsigned long long)n,
                   (unsigned)wsprd.child.status);
            down++;
        }
    }
    tap_note("%u starts came up all the same, %u were given up", up, down);
}

/* ---- the program ---- */

static void read_identities(void)
{
    static const char *const ids[BATCH] = {"self-alice", "self-bob",  "self-carol",  "self-evil",
                                           "self-dup1",  "self-dup2", "self-veyron", "self-google"};
    struct json_object *vectors = vectors_load("identity.json");
    struct json_object *list = vec_get(vectors, "identities");

    for (size_t i = 0; i < json_object_array_length(list); i++) {
        struct json_object *o = json_object_array_get_idx(list, i);

        for (unsigned k = 0; k < BATCH; k++) {
            if (strcmp(vec_str(o, "id"), ids[k]) == 0) {
                identities[k] = malloc(strlen(vec_str(o, "base64")) + 1);
                memcpy(identities[k], vec_str(o, "base64"), strlen(vec_str(o, "base64")) + 1);
            }
        }
    }
    json_object_put(vectors);
}

static void preload(void)
{
    char path[4200], library[4300];
    const char *build = getenv("abs_top_builddir");
    int fd = open(child_file(path, sizeof path, "failalloc"), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    void *p;

    snprintf(library, sizeof library, "%s/tests/.libs/failalloc.so", build != NULL ? build : ".");
    if (fd < 0 || ftruncate(fd, sizeof *control) < 0 || access(library, R_OK) < 0)
        exit(99);
    p = mmap(NULL, sizeof *control, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (p == MAP_FAILED)
        exit(99);
    control = p;
    close(fd);
    setenv("WSPR_FAILALLOC", path, 1);
    setenv("WSPR_PRELOAD", library, 1);
}

static const struct tap_case cases[] = {
    {"each allocation of a conversation", each_allocation_of_a_conversation},
    {"each allocation of the start", each_allocation_of_the_start},
};

int main(int argc, char **argv)
{
    const struct tap_suite suites[] = {TAP_SUITE("torture-memory", cases)};

#ifdef WSPR_SANITIZED
    printf("1..0 # SKIP a sanitizer has its own malloc\n");
    return 0;
#endif
    read_identities();
    preload();
    return tap_main(argc, argv, suites, 1);
}
