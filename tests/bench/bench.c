/*
 * wspr-bench: loads a WebSocket server with N connections, M requests outstanding on each, and
 * prints one line of figures. Single-threaded on epoll; each connection sends the next request when
 * an answer comes, all that became due in one wake-up in one write.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "measure.h"
#include "wire.h"

#define BENCH_IN    (256u * 1024)
#define BENCH_OUT   (256u * 1024)
#define BENCH_FRAME 4096 /* longest request */

#define BENCH_SETTLE 6.0 /* seconds in which a server gives freed memory back */

enum bench_mode { MODE_ECHO, MODE_GET, MODE_STREAM, MODE_SIGNATURE, MODE_CONNECT, MODE_IDLE };

static const char *const bench_modes[] = {"echo", "get", "stream", "signature", "connect", "idle"};

struct bench_options {
    enum bench_mode mode;
    int port;
    unsigned conns, outstanding;
    double seconds, warmup;
    pid_t pid;            /* the server that is measured */
    const char *endpoint; /* of the sample service */
    bool is_floor;        /* the other side echoes and sends no first frame */
    const char *label;
    uint64_t calls; /* measure memory after so many rather than time; 0: time */
};

struct bench_slot {
    uint64_t sent;
    uint64_t turn;
};

struct bench_conn {
    int fd;
    bool up;         /* handshake and first frame are behind us */
    unsigned greets; /* frames to skip before that */
    uint8_t *in;
    size_t in_len;
    struct bench_slot *slots;
    unsigned *idle; /* free slots */
    unsigned n_idle;
    unsigned head, used; /* stream mode: the slots are a ring */
    uint64_t began;
};

struct bench {
    struct bench_options opt;
    int epoll;
    struct bench_conn *conns;
    struct measure latency;
    bool counting;
    uint64_t errors;
    uint64_t answers;
    uint64_t enough; /* answers after which nothing more is sent; 0: there is no end */
    uint8_t out[BENCH_OUT];
    size_t out_len;
    char extra[512]; /* spaces, that an echo is as long as a request */
};

static void bench_die(const char *fmt, ...) __attribute__((format(printf, 1, 2), noreturn));

static void bench_die(const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    fputs("wspr-bench: ", stderr);
    vfprintf(stderr, fmt, ap);
    fputc('\n', stderr);
    va_end(ap);
    exit(1);
}

/* ---- requests ---- */

static int bench_request(const struct bench *b, char *text, uint64_t id)
{
    static const char get[] = "{\"id\":%" PRIu64 ",\"data\":\"{\\\"name\\\":\\\"/%s//cache\\\","
                              "\\\"method\\\":\\\"get\\\",\\\"inArgs\\\":[\\\"bench\\\"],"
                              "\\\"numOutArgs\\\":2,\\\"isStreaming\\\":false}\",\"type\":0}";

    switch (b->opt.mode) {
    case MODE_STREAM:
        return snprintf(text, BENCH_FRAME, "{\"id\":1,\"data\":\"\\\"bench\\\"\",\"type\":3}");
    case MODE_SIGNATURE:
        return snprintf(text, BENCH_FRAME,
                        "{\"id\":%" PRIu64 ",\"data\":\"{\\\"name\\\":\\\"/%s//cache\\\"}\","
                        "\"type\":5}",
                        id, b->opt.endpoint);
    default:
        return snprintf(text, BENCH_FRAME, get, id, b->opt.endpoint);
    }
}

static void bench_flush(struct bench *b, struct bench_conn *c)
{
    size_t off = 0;

    while (off < b->out_len) {
        ssize_t n = send(c->fd, b->out + off, b->out_len - off, MSG_NOSIGNAL);

        if (n < 0 && errno != EAGAIN && errno != EINTR)
            bench_die("send: %s", strerror(errno));
        if (n > 0)
            off += (size_t)n;
    }
    b->out_len = 0;
}

static void bench_put(struct bench *b, struct bench_conn *c, const char *text, size_t len)
{
    if (b->out_len + len + WIRE_HEAD_MAX > sizeof b->out)
        bench_flush(b, c);
    b->out_len += wire_put_head(b->out + b->out_len, len, true);
    memcpy(b->out + b->out_len, text, len);
    b->out_len += len;
}

/* Sends requests until M are outstanding. */
static void bench_fill(struct bench *b, struct bench_conn *c)
{
    unsigned m = b->opt.outstanding;
    char text[BENCH_FRAME];
    int len;

    while (c->n_idle > 0 && (b->enough == 0 || b->answers < b->enough)) {
        unsigned slot =
            b->opt.mode == MODE_STREAM ? (c->head + c->used++) % m : c->idle[c->n_idle - 1];

        c->n_idle--;
        c->slots[slot].sent = measure_now();
        len = bench_request(b, text, (c->slots[slot].turn++ * m + slot) * 2 + 1);
        bench_put(b, c, text, (size_t)len);
    }
    bench_flush(b, c);
}

/* ---- answers ---- */

/* The stream call and the value that is read by all. */
static void bench_prepare(struct bench *b, struct bench_conn *c)
{
    char text[BENCH_FRAME];
    int len;

    if (b->opt.is_floor || b->opt.mode != MODE_STREAM)
        return;
    len = snprintf(text, sizeof text,
                   "{\"id\":1,\"data\":\"{\\\"name\\\":\\\"/%s//cache\\\",\\\"method\\\":"
                   "\\\"multiGet\\\",\\\"inArgs\\\":[],\\\"numOutArgs\\\":1,"
                   "\\\"isStreaming\\\":true}\",\"type\":0}",
                   b->opt.endpoint);
    bench_put(b, c, text, (size_t)len);
    bench_flush(b, c);
}

static void bench_done(struct bench *b, struct bench_conn *c, unsigned slot)
{
    b->answers++;
    if (b->counting)
        measure_add(&b->latency, measure_now() - c->slots[slot].sent);
    if (b->opt.mode == MODE_STREAM)
        c->used--;
    else
        c->idle[c->n_idle] = slot;
    c->n_idle++;
}

static void bench_answer(struct bench *b, struct bench_conn *c, const char *text, size_t len)
{
    static const char error[] = "\\\"type\\\": 2";
    unsigned m = b->opt.outstanding;
    const char *id = memmem(text, len < 16 ? len : 16, "\"id\":", 5);
    unsigned slot;

    if (memmem(text, len, error, sizeof error - 1) != NULL && b->errors++ == 0)
        fprintf(stderr, "wspr-bench: %.*s\n", (int)len, text);
    if (b->opt.mode == MODE_STREAM) {
        slot = c->head;
        c->head = (c->head + 1) % m;
    } else if (id == NULL) {
        bench_die("an answer without an id: %.*s", (int)len, text);
    } else {
        slot = (unsigned)((strtoull(id + 5, NULL, 10) - 1) / 2 % m);
    }
    bench_done(b, c, slot);
}

static void bench_up(struct bench *b, struct bench_conn *c)
{
    c->up = true;
    if (b->opt.mode == MODE_CONNECT || b->opt.mode == MODE_IDLE)
        return;
    bench_prepare(b, c);
    bench_fill(b, c);
}

/* Takes the 101 and the first frame out of the input; the number of bytes taken. */
static size_t bench_greeting(struct bench *b, struct bench_conn *c)
{
    uint8_t *end;
    struct wire_frame f;
    size_t n = 0;

    if (c->greets == 2) {
        end = memmem(c->in, c->in_len, "\r\n\r\n", 4);
        if (end == NULL)
            return 0;
        if (memcmp(c->in, "HTTP/1.1 101", 12) != 0)
            bench_die("not a 101: %.*s", (int)c->in_len, (char *)c->in);
        n = (size_t)(end - c->in) + 4;
        c->greets = b->opt.is_floor ? 0 : 1;
    }
    if (c->greets == 1 && wire_parse(c->in + n, c->in_len - n, &f) &&
        f.len <= c->in_len - n - f.head) {
        n += f.head + (size_t)f.len;
        c->greets = 0;
    }
    if (c->greets == 0)
        bench_up(b, c);
    return n;
}

static void bench_read(struct bench *b, struct bench_conn *c)
{
    ssize_t got = recv(c->fd, c->in + c->in_len, BENCH_IN - c->in_len, 0);
    struct wire_frame f;
    size_t at = 0;

    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (got <= 0)
        bench_die("the server closed a connection");
    c->in_len += (size_t)got;
    if (!c->up)
        at = bench_greeting(b, c);
    while (c->up && wire_parse(c->in + at, c->in_len - at, &f) &&
           f.len <= c->in_len - at - f.head) {
        const char *payload = (char *)c->in + at + f.head;

        if ((f.first & 0x0f) == 8)
            bench_die("the server closes: %.*s", (int)f.len, payload);
        if ((f.first & 0x0f) == 1)
            bench_answer(b, c, payload, (size_t)f.len);
        at += f.head + (size_t)f.len;
    }
    memmove(c->in, c->in + at, c->in_len - at);
    c->in_len -= at;
    if (c->up && c->slots != NULL)
        bench_fill(b, c);
}

/* ---- connections ---- */

static void bench_open(struct bench *b, struct bench_conn *c)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)b->opt.port)};
    struct epoll_event e = {.events = EPOLLIN, .data.ptr = c};
    char request[512];
    int one = 1, n;

    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    c->began = measure_now();
    c->greets = 2;
    c->up = false;
    c->in_len = 0;
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (c->fd < 0 || connect(c->fd, (struct sockaddr *)&a, sizeof a) != 0)
        bench_die("connect: %s", strerror(errno));
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    fcntl(c->fd, F_SETFL, O_NONBLOCK);
    n = snprintf(request, sizeof request,
                 "GET /ws HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nUpgrade: websocket\r\n"
                 "Connection: Upgrade\r\nSec-WebSocket-Key: AAECAwQFBgcICQoLDA0ODw==\r\n"
                 "Sec-WebSocket-Version: 13\r\n\r\n",
                 b->opt.port);
    if (send(c->fd, request, (size_t)n, MSG_NOSIGNAL) != n)
        bench_die("send: %s", strerror(errno));
    epoll_ctl(b->epoll, EPOLL_CTL_ADD, c->fd, &e);
}

/* Closes without the close handshake: with RST, so that no port waits. */
static void bench_drop(struct bench_conn *c)
{
    struct linger l = {1, 0};

    setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &l, sizeof l);
    close(c->fd);
}

static void bench_open_all(struct bench *b)
{
    unsigned m = b->opt.outstanding;

    b->conns = calloc(b->opt.conns, sizeof *b->conns);
    for (unsigned i = 0; b->conns != NULL && i < b->opt.conns; i++) {
        struct bench_conn *c = &b->conns[i];

        c->in = malloc(b->opt.mode == MODE_IDLE ? 4096 : BENCH_IN);
        if (c->in == NULL)
            bench_die("out of memory");
        if (b->opt.mode != MODE_IDLE && b->opt.mode != MODE_CONNECT) {
            c->slots = calloc(m, sizeof *c->slots);
            c->idle = calloc(m, sizeof *c->idle);
            if (c->slots == NULL || c->idle == NULL)
                bench_die("out of memory");
            for (unsigned k = 0; k < m; k++)
                c->idle[c->n_idle++] = k;
        }
        bench_open(b, c);
    }
}

/* Handles what comes until the time is over or, with `up`, every connection stands. */
static void bench_loop(struct bench *b, double seconds, bool up)
{
    uint64_t until = measure_now() + (uint64_t)(seconds * 1e9);
    struct epoll_event events[256];
    unsigned standing = 0;

    while (measure_now() < until && (!up || standing < b->opt.conns)) {
        int n = epoll_wait(b->epoll, events, 256, 10);

        for (int i = 0; i < n; i++) {
            struct bench_conn *c = events[i].data.ptr;
            bool was_up = c->up;

            bench_read(b, c);
            standing += !was_up && c->up;
            if (b->opt.mode == MODE_CONNECT && c->up) {
                if (b->counting)
                    measure_add(&b->latency, measure_now() - c->began);
                bench_drop(c);
                bench_open(b, c);
            }
        }
    }
    if (up && standing < b->opt.conns)
        bench_die("%u of %u connections stand", standing, b->opt.conns);
}

/* ---- the runs ---- */

/* Puts the value that is read by all into the cache. */
static void bench_set_value(struct bench *b)
{
    struct bench_options opt = b->opt;
    struct bench_conn c = {.in = malloc(BENCH_IN)};
    char text[BENCH_FRAME];
    int len = snprintf(text, sizeof text,
                       "{\"id\":1,\"data\":\"{\\\"name\\\":\\\"/%s//cache\\\",\\\"method\\\":"
                       "\\\"set\\\",\\\"inArgs\\\":[\\\"bench\\\",\\\"sixteen-bytes-ok\\\"],"
                       "\\\"numOutArgs\\\":1,\\\"isStreaming\\\":false}\",\"type\":0}",
                       b->opt.endpoint);

    if (c.in == NULL)
        bench_die("out of memory");
    b->opt.mode = MODE_IDLE;
    b->opt.conns = 1;
    bench_open(b, &c);
    bench_loop(b, 10, true);
    bench_put(b, &c, text, (size_t)len);
    bench_flush(b, &c);
    fcntl(c.fd, F_SETFL, 0);
    c.in_len = 0;
    while (memmem(c.in, c.in_len, "\"type\": 0}", 10) == NULL) {
        ssize_t n = recv(c.fd, c.in + c.in_len, BENCH_IN - c.in_len, 0);

        if (n <= 0)
            bench_die("no answer to set");
        c.in_len += (size_t)n;
    }
    if (memmem(c.in, c.in_len, "\\\"type\\\": 2", 11) != NULL)
        bench_die("set failed: %.*s", (int)c.in_len, (char *)c.in);
    bench_drop(&c);
    free(c.in);
    b->opt = opt;
}

static void bench_run_idle(struct bench *b)
{
    uint64_t before = measure_anonymous(b->opt.pid), after;

    bench_open_all(b);
    bench_loop(b, 60, true);
    bench_loop(b, 0.5, false);
    after = measure_anonymous(b->opt.pid);
    printf("%s mode=idle conns=%u anonymous_kib_before=%" PRIu64 " anonymous_kib_after=%" PRIu64
           " bytes_per_conn=%" PRIu64 "\n",
           b->opt.label, b->opt.conns, before, after,
           after > before ? (after - before) * 1024 / b->opt.conns : 0);
}

/* Goes on to so many answers and until none is outstanding; the server's memory then, in KiB. */
static uint64_t bench_memory_after(struct bench *b, uint64_t calls)
{
    bool waiting = true;

    b->enough = calls;
    for (unsigned i = 0; i < b->opt.conns; i++) {
        if (b->conns[i].up)
            bench_fill(b, &b->conns[i]);
    }
    while (waiting) {
        bench_loop(b, 0.05, false);
        waiting = b->answers < calls;
        for (unsigned i = 0; i < b->opt.conns; i++)
            waiting |= b->conns[i].n_idle < b->opt.outstanding;
    }
    bench_loop(b, BENCH_SETTLE, false);
    return measure_anonymous(b->opt.pid);
}

static void bench_run_memory(struct bench *b)
{
    uint64_t calls = b->opt.calls, first, then, last;

    b->enough = calls / 100;
    bench_open_all(b);
    first = bench_memory_after(b, calls / 100);
    then = bench_memory_after(b, calls / 10);
    last = bench_memory_after(b, calls);
    printf("%s mode=%s conns=%u outstanding=%u errors=%" PRIu64 " messages=%" PRIu64
           " kib_after_hundredth=%" PRIu64 " kib_after_tenth=%" PRIu64 " kib_after_all=%" PRIu64
           " percent=%.1f\n",
           b->opt.label, bench_modes[b->opt.mode], b->opt.conns, b->opt.outstanding, b->errors,
           b->answers, first, then, last, (double)last * 100 / (double)first);
}

static uint64_t bench_own_cpu(void)
{
    struct rusage u;

    getrusage(RUSAGE_SELF, &u);
    return ((uint64_t)u.ru_utime.tv_sec + (uint64_t)u.ru_stime.tv_sec) * 1000000000 +
           ((uint64_t)u.ru_utime.tv_usec + (uint64_t)u.ru_stime.tv_usec) * 1000;
}

static void bench_run(struct bench *b)
{
    const struct measure *l = &b->latency;
    uint64_t began, cpu, own, took;

    bench_open_all(b);
    bench_loop(b, b->opt.warmup, false);
    b->counting = true;
    cpu = measure_cpu(b->opt.pid);
    own = bench_own_cpu();
    began = measure_now();
    bench_loop(b, b->opt.seconds, false);
    took = measure_now() - began;
    own = bench_own_cpu() - own;
    cpu = measure_cpu(b->opt.pid) - cpu;
    if (l->count == 0)
        bench_die("no answer in %.1f s", b->opt.seconds);
    printf("%s mode=%s conns=%u outstanding=%u messages=%" PRIu64 " errors=%" PRIu64
           " per_second=%.0f p50_us=%.1f p90_us=%.1f p99_us=%.1f p999_us=%.1f max_us=%.1f"
           " server_cpu_us=%.2f server_busy=%.2f client_cpu_us=%.2f\n",
           b->opt.label, bench_modes[b->opt.mode], b->opt.conns, b->opt.outstanding, l->count,
           b->errors, (double)l->count * 1e9 / (double)took, (double)measure_at(l, 0.5) / 1e3,
           (double)measure_at(l, 0.9) / 1e3, (double)measure_at(l, 0.99) / 1e3,
           (double)measure_at(l, 0.999) / 1e3, (double)l->max / 1e3,
           (double)cpu / 1e3 / (double)l->count, (double)cpu / (double)took,
           (double)own / 1e3 / (double)l->count);
}

static void bench_usage(void)
{
    fputs("usage: wspr-bench --port N --mode echo|get|stream|signature|connect|idle [--conns N]\n"
          "       [--outstanding N] [--seconds S] [--warmup S] [--pid N] [--endpoint E]\n"
          "       [--floor] [--label TEXT] [--calls N]\n"
          "--calls: memory of the server after N/100, N/10 and N answers\n",
          stderr);
    exit(2);
}

static void bench_options(struct bench_options *o, int argc, char **argv)
{
    static const struct option table[] = {
        {"port", 1, NULL, 'p'},    {"mode", 1, NULL, 'm'},   {"conns", 1, NULL, 'c'},
        {"seconds", 1, NULL, 's'}, {"warmup", 1, NULL, 'w'}, {"outstanding", 1, NULL, 'o'},
        {"pid", 1, NULL, 'P'},     {"floor", 0, NULL, 'f'},  {"endpoint", 1, NULL, 'e'},
        {"label", 1, NULL, 'l'},   {"calls", 1, NULL, 'n'},  {NULL, 0, NULL, 0},
    };
    int c;

    *o = (struct bench_options){.conns = 1, .outstanding = 1, .seconds = 3, .warmup = 0.5};
    o->endpoint = "@2@tcp@127.0.0.1:65535@00000000000000000000000000000000@1@2@@";
    o->label = "bench";
    while ((c = getopt_long(argc, argv, "", table, NULL)) != -1) {
        switch (c) {
        case 'p':
            o->port = (int)strtol(optarg, NULL, 10);
            break;
        case 'c':
            o->conns = (unsigned)strtoul(optarg, NULL, 10);
            break;
        case 'o':
            o->outstanding = (unsigned)strtoul(optarg, NULL, 10);
            break;
        case 's':
            o->seconds = strtod(optarg, NULL);
            break;
        case 'w':
            o->warmup = strtod(optarg, NULL);
            break;
        case 'P':
            o->pid = (pid_t)strtol(optarg, NULL, 10);
            break;
        case 'e':
            o->endpoint = optarg;
            break;
        case 'f':
            o->is_floor = true;
            break;
        case 'l':
            o->label = optarg;
            break;
        case 'n':
            o->calls = strtoull(optarg, NULL, 10);
            break;
        case 'm':
            for (unsigned i = 0; i < sizeof bench_modes / sizeof bench_modes[0]; i++) {
                if (strcmp(optarg, bench_modes[i]) == 0)
                    o->mode = (enum bench_mode)i;
            }
            break;
        default:
            bench_usage();
        }
    }
    if (o->port <= 0 || o->conns == 0 || o->outstanding == 0 || optind != argc)
        bench_usage();
    if (o->calls > 0 && (o->mode == MODE_CONNECT || o->mode == MODE_IDLE))
        bench_die("--calls counts answers, of which --mode %s has none", bench_modes[o->mode]);
}

int main(int argc, char **argv)
{
    static struct bench b;

    bench_options(&b.opt, argc, argv);
    b.epoll = epoll_create1(EPOLL_CLOEXEC);
    if (!b.opt.is_floor && (b.opt.mode == MODE_GET || b.opt.mode == MODE_STREAM))
        bench_set_value(&b);
    if (b.opt.mode == MODE_IDLE)
        bench_run_idle(&b);
    else if (b.opt.calls > 0)
        bench_run_memory(&b);
    else
        bench_run(&b);
    return b.errors > 0;
}
