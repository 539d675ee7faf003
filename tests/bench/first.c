/*
 * wspr-first: how long it takes from the start of wsprd in an empty home, with nothing configured,
 * to the first answer that a page gets from "cache" by its mounted name. All is in it: making and
 * storing an identity, loading plugins, the embedded mount table, resolution, two handshakes with
 * services, the signature, the call.
 *
 *     wspr-first RUNS WSPRD [ARGUMENT]...
 */
#include "config.h"

#include <errno.h>
#include <ftw.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "measure.h"
#include "wspeer.h"

#define FIRST_TIMEOUT_MS 10000
#define FIRST_ARGS       32
#define FIRST_RUNS_MAX   10000

/* What is waited for, one after the other; and the CPU time of wsprd, from its start to its end. */
enum { FIRST_LISTENING, FIRST_FRAME, FIRST_ANSWER, FIRST_NEXT, FIRST_CPU, FIRST_STEPS };
static const char *const step_names[] = {"listening", "first_frame", "first_answer", "next_answer",
                                         "cpu"};

static void die(const char *fmt, ...) __attribute__((format(printf, 1, 2), noreturn));

static void die(const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    fputs("wspr-first: ", stderr);
    vfprintf(stderr, fmt, ap);
    fputc('\n', stderr);
    va_end(ap);
    exit(1);
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
    return remove(path);
}

/* The program in this home, its output on a pipe. */
static pid_t start(char **argv, const char *home, int *ret_out)
{
    int fds[2];
    pid_t pid;

    if (pipe(fds) < 0)
        die("pipe: %s", strerror(errno));
    pid = fork();
    if (pid < 0)
        die("fork: %s", strerror(errno));
    if (pid == 0) {
        clearenv();
        setenv("HOME", home, 1);
        dup2(fds[1], STDOUT_FILENO);
        close(fds[0]);
        close(fds[1]);
        execv(argv[0], argv);
        die("%s: %s", argv[0], strerror(errno));
    }
    close(fds[1]);
    *ret_out = fds[0];
    return pid;
}

static int read_port(int fd)
{
    static const char mark[] = "Listening at: ws://127.0.0.1:";
    char text[8192];
    size_t n = 0;

    while (n < sizeof text - 1) {
        ssize_t r = read(fd, text + n, sizeof text - 1 - n);
        const char *at;

        if (r <= 0)
            break;
        n += (size_t)r;
        text[n] = '\0';
        at = strstr(text, mark);
        if (at != NULL && strchr(at, '\n') != NULL)
            return (int)strtol(at + sizeof mark - 1, NULL, 10);
    }
    die("wsprd does not listen");
}

static void ask(struct wspeer *p)
{
    static const char text[] = "{\"id\":1,\"data\":\"{\\\"name\\\":\\\"cache\\\",\\\"method\\\":"
                               "\\\"size\\\",\\\"numOutArgs\\\":2}\",\"type\":0}";
    struct wspeer_frame frame;

    if (wspeer_send_text(p, text) < 0 ||
        wspeer_recv_message(p, &frame, FIRST_TIMEOUT_MS) != WSPEER_FRAME ||
        strstr((char *)frame.data, "\\\"message\\\": [0]") == NULL)
        die("no answer: %s", p->error);
}

static uint64_t time_of(const struct timeval *t)
{
    return (uint64_t)t->tv_sec * 1000000000 + (uint64_t)t->tv_usec * 1000;
}

static void run_once(char **argv, uint64_t ns[FIRST_STEPS])
{
    char home[] = "/tmp/wspr-first.XXXXXX";
    struct wspeer_frame frame;
    struct rusage used = {0};
    struct wspeer p;
    uint64_t began;
    pid_t pid;
    int out, port;

    if (mkdtemp(home) == NULL)
        die("mkdtemp: %s", strerror(errno));
    began = measure_now();
    pid = start(argv, home, &out);
    port = read_port(out);
    ns[FIRST_LISTENING] = measure_now() - began;
    if (wspeer_connect(&p, port, "/ws", NULL, FIRST_TIMEOUT_MS) < 0)
        die("%s", p.error);
    if (wspeer_recv_message(&p, &frame, FIRST_TIMEOUT_MS) != WSPEER_FRAME)
        die("no first frame: %s", p.error);
    ns[FIRST_FRAME] = measure_now() - began;
    ask(&p);
    ns[FIRST_ANSWER] = measure_now() - began;
    ask(&p);
    ns[FIRST_NEXT] = measure_now() - began - ns[FIRST_ANSWER];
    wspeer_close(&p);
    kill(pid, SIGTERM);
    wait4(pid, NULL, 0, &used);
    ns[FIRST_CPU] = time_of(&used.ru_utime) + time_of(&used.ru_stime);
    close(out);
    nftw(home, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static int compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
    long runs = argc > 2 ? strtol(argv[1], NULL, 10) : 0;
    uint64_t *ns[FIRST_STEPS];

    if (runs < 1 || runs > FIRST_RUNS_MAX || argc > FIRST_ARGS) {
        fputs("usage: wspr-first RUNS WSPRD [ARGUMENT]...\n", stderr);
        return 2;
    }
    for (int i = 0; i < FIRST_STEPS; i++) {
        ns[i] = calloc((size_t)runs, sizeof *ns[i]);
        if (ns[i] == NULL)
            die("out of memory");
    }
    for (long r = 0; r < runs; r++) {
        uint64_t one[FIRST_STEPS];

        run_once(argv + 2, one);
        for (int i = 0; i < FIRST_STEPS; i++)
            ns[i][r] = one[i];
    }
    for (int i = 0; i < FIRST_STEPS; i++) {
        qsort(ns[i], (size_t)runs, sizeof *ns[i], compare);
        printf("%s median_ms=%.2f p90_ms=%.2f min_ms=%.2f\n", step_names[i],
               (double)ns[i][runs / 2] / 1e6, (double)ns[i][runs * 9 / 10] / 1e6,
               (double)ns[i][0] / 1e6);
        free(ns[i]);
    }
    return 0;
}
