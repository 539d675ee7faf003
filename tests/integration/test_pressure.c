/*
 * Pages that do not read, pages that send much or too much: what one does is felt by itself only,
 * and wsprd holds no more than its limits for it.
 */
#include "config.h"

#include <inttypes.h>
#include <poll.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "rig.h"
#include "tap.h"
#include "wspeer.h"

#define ROOT       "/@2@tcp@127.0.0.1:1@00000000000000000000000000000001@1@2@@"
#define VALUE_SIZE 65536
#define LARGE_SIZE (4u * 1024 * 1024)
#define MEMORY_KIB 65536 /* what wsprd may hold for one page that does not read */
#define SENT_MAX   6000

static struct rig_wsprd wsprd;
static struct child sampled;
static char endpoint[512];

static void need_daemons(void)
{
    if (wsprd.port != 0)
        return;
    if (!rig_sampled_start(&sampled, NULL, endpoint, sizeof endpoint) ||
        !rig_wsprd_start(&wsprd, ROOT, NULL)) {
        printf("Bail out! the daemons do not start\n");
        exit(99);
    }
}

static bool open_peer(struct wspeer *p)
{
    struct wspeer_frame frame;

    need_daemons();
    return wspeer_connect(p, wsprd.port, "/ws", NULL, RIG_TIMEOUT_MS) == 0 &&
           wspeer_recv(p, &frame, RIG_TIMEOUT_MS) == WSPEER_FRAME;
}

static void call(struct wspeer *p, unsigned id, const char *method, const char *args, int results,
                 bool streaming)
{
    size_t size = strlen(args) + 1024;
    char *text = malloc(size);

    if (text == NULL)
        abort();
    snprintf(text, size,
             "{\"id\":%u,\"data\":\"{\\\"name\\\":\\\"/%s//cache\\\",\\\"method\\\":\\\"%s\\\","
             "\\\"inArgs\\\":%s,\\\"numOutArgs\\\":%d,\\\"isStreaming\\\":%s}\",\"type\":0}",
             id, endpoint, method, args, results, streaming ? "true" : "false");
    wspeer_send_text(p, text);
    free(text);
}

/* Whether the next frame comes in time and begins with this. */
static bool answered(struct wspeer *p, const char *start, int timeout_ms)
{
    struct wspeer_frame frame;
    enum wspeer_result r = wspeer_recv_message(p, &frame, timeout_ms);
    bool ok = r == WSPEER_FRAME && strncmp((char *)frame.data, start, strlen(start)) == 0;

    if (!ok)
        printf("# got %.200s\n", r == WSPEER_FRAME ? (char *)frame.data : p->error);
    return ok;
}

static void set_big_of(struct wspeer *p, size_t size)
{
    char *args = malloc(size + 64);
    size_t n;

    if (args == NULL)
        abort();
    n = (size_t)snprintf(args, 64, "[\\\"big\\\",\\\"");
    memset(args + n, 'v', size);
    memcpy(args + n + size, "\\\"]", 4);
    call(p, 1, "set", args, 1, false);
    free(args);
    TAP_IS(answered(p, "{\"id\": 1, \"data\": \"{\\\"type\\\": 0,", RIG_TIMEOUT_MS));
}

static void set_big(struct wspeer *p)
{
    set_big_of(p, VALUE_SIZE);
}

/* Anonymous memory of wsprd in KiB. A sanitizer keeps what was freed: nothing can be said there. */
static unsigned long memory(void)
{
    char path[64], line[256];
    unsigned long kib = 0;
    FILE *f;

#ifdef WSPR_SANITIZED
    return 0;
#endif
    snprintf(path, sizeof path, "/proc/%d/smaps_rollup", (int)wsprd.child.pid);
    f = fopen(path, "r");
    while (f != NULL && fgets(line, sizeof line, f) != NULL) {
        if (strncmp(line, "Anonymous:", 10) == 0)
            kib = strtoul(line + 10, NULL, 10);
    }
    if (f != NULL)
        fclose(f);
    return kib;
}

/*
 * The most resident memory of wsprd since the last time, in KiB; 0 if that cannot be known. What
 * there is now is the most from here on.
 */
static unsigned long peak(void)
{
    char path[64], line[256];
    unsigned long kib = 0;
    FILE *f;

    snprintf(path, sizeof path, "/proc/%d/status", (int)wsprd.child.pid);
    f = fopen(path, "r");
    while (f != NULL && fgets(line, sizeof line, f) != NULL) {
        if (strncmp(line, "VmHWM:", 6) == 0)
            kib = strtoul(line + 6, NULL, 10);
    }
    if (f != NULL)
        fclose(f);
    snprintf(path, sizeof path, "/proc/%d/clear_refs", (int)wsprd.child.pid);
    f = fopen(path, "w");
    if (f == NULL || fputs("5", f) < 0)
        kib = 0;
    if (f != NULL && fclose(f) != 0)
        kib = 0;
    return kib;
}

/*
 * Two copies are needed at a time: of an argument its frame and the text without escapes, then that
 * and its VOM; of a result the VOM and its text, then that and the frame.
 */
static void test_large_value(void)
{
    unsigned long before, set, got;
    struct wspeer p;

    TAP_IS(open_peer(&p));
    set_big(&p);
    call(&p, 3, "get", "[\\\"big\\\"]", 2, false);
    TAP_IS(answered(&p, "{\"id\": 3, \"data\": \"{\\\"type\\\": 0,", RIG_TIMEOUT_MS));
    peak();
    before = peak();
    for (int i = 0; i < 3; i++)
        set_big_of(&p, LARGE_SIZE);
    set = peak();
    for (int i = 0; i < 3; i++) {
        call(&p, 5, "get", "[\\\"big\\\"]", 2, false);
        TAP_IS(answered(&p, "{\"id\": 5, \"data\": \"{\\\"type\\\": 0,", RIG_TIMEOUT_MS));
    }
    got = peak();
    wspeer_close(&p);
#ifdef WSPR_SANITIZED
    before = 0;
#endif
    if (before == 0) {
        tap_note("what it takes cannot be known here");
        return;
    }
    tap_note("a value of %u KiB takes %lu KiB as an argument, %lu KiB as a result",
             LARGE_SIZE / 1024, set - before, got - before);
    TAP_IS(set < before + LARGE_SIZE / 1024 * 5 / 2 && got < before + LARGE_SIZE / 1024 * 5 / 2);
}

/* Asks for the big value again and again without reading, until nothing more is taken. */
static unsigned flood(struct wspeer *p)
{
    static const char value[] = "{\"id\":3,\"data\":\"\\\"big\\\"\",\"type\":3}";
    unsigned sent = 0;

    while (sent < SENT_MAX) {
        struct pollfd fd = {p->fd, POLLOUT, 0};

        if (poll(&fd, 1, 300) <= 0)
            break;
        if (wspeer_send_text(p, value) < 0)
            break;
        sent++;
    }
    return sent;
}

static unsigned count_values(struct wspeer *p, unsigned wanted)
{
    static const char start[] =
        "{\"id\": 3, \"data\": \"{\\\"type\\\": 1, \\\"message\\\": \\\"vvvv";
    unsigned n = 0;

    while (n < wanted && answered(p, start, RIG_TIMEOUT_MS))
        n++;
    return n;
}

static void test_page_that_does_not_read(void)
{
    struct wspeer slow, other;
    unsigned sent, got;
    long long began;
    unsigned long held, before;

    TAP_IS(open_peer(&slow) && open_peer(&other));
    set_big(&other);
    before = memory();
    call(&slow, 3, "multiGet", "[]", 1, true);
    sent = flood(&slow);
    held = memory();
    TAP_OK(held < before + MEMORY_KIB, "%lu KiB, %lu KiB before", held, before);
    began = child_now_ms();
    call(&other, 5, "get", "[\\\"big\\\"]", 2, false);
    TAP_IS(answered(&other, "{\"id\": 5, \"data\": \"{\\\"type\\\": 0,", RIG_TIMEOUT_MS));
    tap_note("%u values asked for without reading, %lu KiB held; another page waits %lld ms", sent,
             held - before, child_now_ms() - began);
    got = count_values(&slow, sent);
    TAP_OK(got == sent, "%u values of %u", got, sent);
    wspeer_send_text(&slow, "{\"id\":3,\"type\":4}");
    TAP_IS(answered(&slow, "{\"id\": 3, \"data\": \"{\\\"type\\\": 4,", RIG_TIMEOUT_MS));
    TAP_IS(answered(&slow, "{\"id\": 3, \"data\": \"{\\\"type\\\": 0,", RIG_TIMEOUT_MS));
    wspeer_close(&slow);
    wspeer_close(&other);
}

/* A page that never reads its answers and goes on asking. */
static void test_calls_without_reading(void)
{
    struct wspeer slow, other;
    unsigned sent = 0;
    unsigned long before, held;

    TAP_IS(open_peer(&slow) && open_peer(&other));
    set_big(&other);
    before = memory();
    while (sent < SENT_MAX) {
        struct pollfd fd = {slow.fd, POLLOUT, 0};

        if (poll(&fd, 1, 300) <= 0)
            break;
        call(&slow, 2 * sent + 1, "get", "[\\\"big\\\"]", 2, false);
        sent++;
    }
    held = memory();
    TAP_OK(held < before + MEMORY_KIB, "%lu KiB, %lu KiB before", held, before);
    tap_note("%u calls without reading an answer, %lu KiB held", sent, held - before);
    call(&other, 7, "get", "[\\\"big\\\"]", 2, false);
    TAP_IS(answered(&other, "{\"id\": 7, \"data\": \"{\\\"type\\\": 0,", RIG_TIMEOUT_MS));
    wspeer_close(&slow);
    wspeer_close(&other);
}

/* Values for a stream whose call does not come up are kept, but not without end. */
static void test_values_before_the_call(void)
{
    struct wspeer p, other;
    unsigned long before, held;
    char *value = malloc(VALUE_SIZE + 64);
    size_t n;

    if (value == NULL)
        abort();
    TAP_IS(open_peer(&p) && open_peer(&other));
    before = memory();
    /* Nobody answers at this address, so the signature is looked for during seconds. */
    wspeer_send_text(
        &p, "{\"id\":3,\"data\":\"{\\\"name\\\":\\\"/@2@tcp@192.0.2.1:1@"
            "00000000000000000000000000000003@1@2@@//x\\\",\\\"method\\\":\\\"m\\\","
            "\\\"inArgs\\\":[],\\\"numOutArgs\\\":1,\\\"isStreaming\\\":true}\",\"type\":0}");
    n = (size_t)snprintf(value, 64, "{\"id\":3,\"type\":3,\"data\":\"\\\"");
    memset(value + n, 'v', VALUE_SIZE);
    memcpy(value + n + VALUE_SIZE, "\\\"\"}", 5);
    for (unsigned sent = 0; sent < 2000; sent++) {
        struct pollfd fd = {p.fd, POLLOUT, 0};

        if (poll(&fd, 1, 300) <= 0 || wspeer_send_text(&p, value) < 0)
            break;
    }
    held = memory();
    TAP_OK(held < before + MEMORY_KIB, "%lu KiB, %lu KiB before", held, before);
    call(&other, 9, "get", "[\\\"big\\\"]", 2, false);
    TAP_IS(answered(&other, "{\"id\": 9, \"data\": ", RIG_TIMEOUT_MS));
    wspeer_close(&p);
    wspeer_close(&other);
    free(value);
}

static void test_end(void)
{
    TAP_IS(rig_wsprd_stop(&wsprd));
    TAP_IS(rig_sampled_stop(&sampled));
}

int main(int argc, char **argv)
{
    static const struct tap_case cases[] = {
        {"a large value", test_large_value},
        {"a page that does not read its stream", test_page_that_does_not_read},
        {"a page that does not read its answers", test_calls_without_reading},
        {"values before the call is up", test_values_before_the_call},
        {"the daemons end well", test_end},
    };
    const struct tap_suite suites[] = {TAP_SUITE("pressure", cases)};

    return tap_main(argc, argv, suites, 1);
}
