/*
 * wspr-bench-value: large values through wsprd, as an argument (set) and as a result (get): the CPU
 * time of wsprd for each MiB, and how far its memory rises above what it held before.
 *
 *     wspr-bench-value PORT PID ENDPOINT [ROUNDS]
 */
#include "config.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "measure.h"
#include "wspeer.h"

#define VALUE_LEN        (1024u * 1024)
#define VALUE_TIMEOUT_MS 60000

static struct wspeer page;
static pid_t pid;
static const char *endpoint;

static void die(const char *fmt, ...) __attribute__((format(printf, 1, 2), noreturn));

static void die(const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    fputs("wspr-bench-value: ", stderr);
    vfprintf(stderr, fmt, ap);
    fputc('\n', stderr);
    va_end(ap);
    exit(1);
}

/* The most resident memory since it was last reset, in KiB. */
static uint64_t peak(void)
{
    unsigned long kib = 0;
    char line[256];
    FILE *f;

    snprintf(line, sizeof line, "/proc/%d/status", (int)pid);
    f = fopen(line, "r");
    if (f == NULL)
        die("no %s", line);
    while (fgets(line, sizeof line, f) != NULL)
        sscanf(line, "VmHWM: %lu", &kib);
    fclose(f);
    return kib;
}

static void reset_peak(void)
{
    char path[64];
    FILE *f;

    snprintf(path, sizeof path, "/proc/%d/clear_refs", (int)pid);
    f = fopen(path, "w");
    if (f == NULL || fputs("5", f) < 0 || fclose(f) != 0)
        die("the peak of the memory cannot be reset");
}

/* One call; the answer must have so many bytes at least. */
static void call(const char *method, const char *args, int n_out, size_t expected)
{
    size_t size = strlen(args) + 1024;
    char *text = malloc(size);
    struct wspeer_frame frame;

    if (text == NULL)
        die("out of memory");
    snprintf(text, size,
             "{\"id\":1,\"data\":\"{\\\"name\\\":\\\"/%s//cache\\\",\\\"method\\\":\\\"%s\\\","
             "\\\"inArgs\\\":[%s],\\\"numOutArgs\\\":%d,\\\"isStreaming\\\":false}\",\"type\":0}",
             endpoint, method, args, n_out);
    if (wspeer_send_text(&page, text) < 0 ||
        wspeer_recv_message(&page, &frame, VALUE_TIMEOUT_MS) != WSPEER_FRAME)
        die("%s: %s", method, page.error);
    if (frame.len < expected || strstr((char *)frame.data, "\\\"type\\\": 0") == NULL)
        die("%s: %.300s", method, (char *)frame.data);
    free(text);
}

/* Sets the value that piece(i) makes up, as often as fits into so many bytes of the request. */
static void set_of(size_t len, const char *begin, const char *(*piece)(size_t i), const char *end)
{
    char *args = malloc(len + 64), *p = args;
    const char *text;

    if (args == NULL)
        die("out of memory");
    p += snprintf(p, 64, "\\\"large\\\",%s", begin);
    text = piece(0);
    for (size_t i = 0, n = strlen(text); n <= len; text = piece(++i), n = strlen(text)) {
        memcpy(p, text, n);
        p += n;
        len -= n;
    }
    snprintf(p, 16, "%s", end);
    call("set", args, 1, 0);
    free(args);
}

static const char *letter(size_t i)
{
    static char text[2];

    text[0] = (char)('a' + i % 26);
    return text;
}

/* What the page has to escape twice. */
static const char *line(size_t i)
{
    return i % 40 == 39 ? "\\\\n" : letter(i);
}

static const char *number(size_t i)
{
    static char text[32];

    snprintf(text, sizeof text, "%zu,", i * i % 100000);
    return text;
}

static const char *fraction(size_t i)
{
    static char text[32];

    snprintf(text, sizeof text, "%zu.%03zu,", i % 90, i * i % 1000);
    return text;
}

static void set(size_t len)
{
    set_of(len, "\\\"", letter, "\\\"");
}

static void set_lines(size_t len)
{
    set_of(len, "\\\"", line, "\\\"");
}

static void set_numbers(size_t len)
{
    set_of(len, "[", number, "0]");
}

static void set_fractions(size_t len)
{
    set_of(len, "[", fraction, "0]");
}

static void get(size_t len)
{
    call("get", "\\\"large\\\"", 2, len);
}

static void get_any(size_t len)
{
    get(0);
}

static void measure(const char *name, void (*one)(size_t len), unsigned rounds)
{
    uint64_t cpu, before, most;

    reset_peak();
    before = peak();
    cpu = measure_cpu(pid);
    for (unsigned i = 0; i < rounds; i++)
        one(VALUE_LEN);
    cpu = measure_cpu(pid) - cpu;
    most = peak();
    printf("value %s bytes=%u rounds=%u cpu_ms_per_mib=%.2f peak_kib_over_start=%" PRIu64
           " times_value=%.2f anonymous_kib_after=%" PRIu64 "\n",
           name, VALUE_LEN, rounds, (double)cpu / 1e6 / rounds, most - before,
           (double)(most - before) * 1024 / VALUE_LEN, measure_anonymous(pid));
}

int main(int argc, char **argv)
{
    unsigned rounds = argc > 4 ? (unsigned)strtoul(argv[4], NULL, 10) : 20;
    struct wspeer_frame frame;

    if (argc < 4 || argc > 5 || rounds == 0) {
        fputs("usage: wspr-bench-value PORT PID ENDPOINT [ROUNDS]\n", stderr);
        return 2;
    }
    pid = (pid_t)strtol(argv[2], NULL, 10);
    endpoint = argv[3];
    if (wspeer_connect(&page, (int)strtol(argv[1], NULL, 10), "/ws", NULL, VALUE_TIMEOUT_MS) < 0 ||
        wspeer_recv_message(&page, &frame, VALUE_TIMEOUT_MS) != WSPEER_FRAME)
        die("%s", page.error);
    /* Code, circuit and signature are there afterwards. */
    for (int i = 0; i < 20; i++) {
        set(64);
        get(64);
    }
    printf("value start anonymous_kib=%" PRIu64 "\n", measure_anonymous(pid));
    measure("argument", set, rounds);
    measure("result", get, rounds);
    measure("lines-argument", set_lines, rounds);
    measure("lines-result", get_any, rounds);
    measure("numbers-argument", set_numbers, rounds);
    measure("numbers-result", get_any, rounds);
    measure("fractions-argument", set_fractions, rounds);
    measure("fractions-result", get_any, rounds);
    wspeer_close(&page);
    return 0;
}
