/*
 * wsprd as a process, its HTTP requests and its frames: what the recorded conversations do not
 * show. Spec: websocket 1 to 4.
 */
#include "config.h"

#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "rig.h"
#include "tap.h"
#include "wspeer.h"

#define ROOT "/@2@tcp@127.0.0.1:1@00000000000000000000000000000001@1@2@@"

static struct rig_wsprd wsprd;

static void need_wsprd(void)
{
    if (wsprd.port == 0 && !rig_wsprd_start(&wsprd, ROOT, NULL)) {
        printf("Bail out! wsprd does not start\n");
        exit(99);
    }
}

/* ---- the process ---- */

/* Starts wsprd with arguments with which it must end by itself; returns its exit status. */
static int run_to_end(const char *const *args, const char *const *env, char **ret_output)
{
    char program[4200], log[4200];
    const char *argv[16] = {program};
    struct child c;

    if (!rig_program(program, sizeof program, "wsprd"))
        return -1;
    for (size_t i = 0; args[i] != NULL && i + 2 < 16; i++)
        argv[i + 1] = args[i];
    if (child_start(&c, argv, env, child_file(log, sizeof log, "end.log")) < 0)
        return -1;
    if (!child_wait(&c, RIG_TIMEOUT_MS)) {
        child_stop(&c, SIGKILL, 1000);
        return -1;
    }
    *ret_output = child_output(&c);
    return WIFEXITED(c.status) ? WEXITSTATUS(c.status) : -1;
}

static void test_start_errors(void)
{
    char port[32], in_use[128];
    const struct {
        const char *name, *args[4], *env[3];
        int status;
        const char *text;
    } t[] = {
        {"unknown flag", {"-nonsense"}, {NULL}, 2, "nonsense"},
        {"port out of range", {"-port=65536"}, {NULL}, 2, "port"},
        {"stray argument", {"stray"}, {NULL}, 2, "stray"},
        {"help", {"-help"}, {NULL}, 0, "-port"},
        {"version", {"-version"}, {NULL}, 0, PACKAGE_VERSION},
        {"port in use", {port}, {"NAMESPACE_ROOT"}, 1, in_use},
        {"root that is not rooted", {"-port=0"}, {"NAMESPACE_ROOT=not/rooted"}, 1, "not/rooted"},
        {"identity that is not there",
         {"-port=0"},
         {"VEYRON_IDENTITY=/nonexistent/identity", "NAMESPACE_ROOT"},
         1,
         "/nonexistent/identity"},
        {"plugin that is not there",
         {"-port=0", "-plugins=nobody"},
         {"NAMESPACE_ROOT"},
         1,
         "nobody"},
    };

    need_wsprd();
    snprintf(port, sizeof port, "-port=%d", wsprd.port);
    snprintf(in_use, sizeof in_use,
             "Failed to HTTP serve: listen tcp 127.0.0.1:%d: bind: address already in use",
             wsprd.port);
    for (size_t i = 0; i < sizeof t / sizeof t[0]; i++) {
        char plugins[4200], *out = NULL;
        const char *args[6] = {plugins};
        int status;

        snprintf(plugins, sizeof plugins, "-plugin-dir=%s/plugins/.libs",
                 getenv("abs_top_builddir") != NULL ? getenv("abs_top_builddir") : ".");
        for (size_t k = 0; k < 4 && t[i].args[k] != NULL; k++)
            args[k + 1] = t[i].args[k];
        status = run_to_end(args, t[i].env, &out);
        TAP_OK(status == t[i].status, "%s: status %d", t[i].name, status);
        TAP_OK(out != NULL && strstr(out, t[i].text) != NULL, "%s: printed %s", t[i].name, out);
        free(out);
    }
}

/*
 * Started with its standard streams closed: what it says on the error stream must not go to what
 * was opened in its place. That was the pipe of its signals, where each line end is one.
 */
static void test_closed_streams(void)
{
    const char *build = getenv("abs_top_builddir") != NULL ? getenv("abs_top_builddir") : ".";
    char program[4200], command[9000], log[4200];
    const char *argv[] = {"/bin/sh", "-c", command, NULL};
    const char *env[] = {"NAMESPACE_ROOT=" ROOT, NULL};
    struct child c;

    TAP_IS(rig_program(program, sizeof program, "wsprd"));
    snprintf(command, sizeof command, "exec %s -plugin-dir=%s/plugins/.libs -port=0 <&- 2>&-",
             program, build);
    TAP_IS(child_start(&c, argv, env, child_file(log, sizeof log, "closed.log")) == 0);
    TAP_IS(child_wait_text(&c, "Listening at: ", command, sizeof command, RIG_TIMEOUT_MS));
    for (int fd = 0; fd <= 2; fd += 2) {
        char link[64], to[64];
        ssize_t n;

        snprintf(link, sizeof link, "/proc/%ld/fd/%d", (long)c.pid, fd);
        n = readlink(link, to, sizeof to);
        TAP_OK(n == 9 && memcmp(to, "/dev/null", 9) == 0, "%d is %.*s", fd, n > 0 ? (int)n : 0, to);
    }
    TAP_IS(child_stop(&c, SIGTERM, RIG_TIMEOUT_MS) && WIFEXITED(c.status) &&
           WEXITSTATUS(c.status) == 0);
}

/* What only prints says so if it cannot. */
static void test_full_disk(void)
{
    static const char *const runs[] = {"wsprd -version", "wsprd -help", "wspr-mounttabled -version",
                                       "wspr-sampled -help"};
    FILE *f = fopen("/dev/full", "w");

    if (f == NULL) {
        tap_skip("no /dev/full");
        return;
    }
    fclose(f);
    for (size_t i = 0; i < sizeof runs / sizeof runs[0]; i++) {
        char name[64], program[4200], command[4400], log[4200], *out;
        const char *argv[] = {"/bin/sh", "-c", command, NULL};
        struct child c;

        snprintf(name, sizeof name, "%.*s", (int)strcspn(runs[i], " "), runs[i]);
        TAP_IS(rig_program(program, sizeof program, name));
        snprintf(command, sizeof command, "%s%s > /dev/full", program, strchr(runs[i], ' '));
        TAP_IS(child_start(&c, argv, NULL, child_file(log, sizeof log, "full.log")) == 0);
        TAP_IS(child_wait(&c, RIG_TIMEOUT_MS));
        out = child_output(&c);
        TAP_OK(WIFEXITED(c.status) && WEXITSTATUS(c.status) == 1, "%s: status %d", runs[i],
               c.status);
        TAP_OK(out != NULL && strstr(out, "cannot write the output: No space left") != NULL,
               "%s: %s", runs[i], out);
        free(out);
    }
}

static void test_ends_with_clients(void)
{
    struct rig_wsprd w;
    struct wspeer p[3];
    struct wspeer_frame frame;
    int raw;

    if (!rig_wsprd_start(&w, ROOT, NULL)) {
        TAP_OK(0, "does not start");
        return;
    }
    for (size_t i = 0; i < 3; i++) {
        TAP_OK(wspeer_connect(&p[i], w.port, "/ws", NULL, RIG_TIMEOUT_MS) == 0, "%s", p[i].error);
        TAP_IS(wspeer_recv(&p[i], &frame, RIG_TIMEOUT_MS) == WSPEER_FRAME);
    }
    raw = wspeer_tcp(w.port); /* connected, no request yet */
    TAP_IS(rig_wsprd_stop(&w));
    for (size_t i = 0; i < 3; i++)
        wspeer_close(&p[i]);
    close(raw);
}

/* ---- HTTP ---- */

#define UPGRADE                                                                                    \
    "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"                   \
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
#define OK_101                                                                                     \
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"            \
    "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"
#define NOT_WS  "\r\n\r\nNot a websocket handshake\n"
#define NO_PAGE "\r\n\r\n404 page not found\n"
#define DEBUG_PAGE                                                                                 \
    "\r\n\r\n<html>\n<head>\n<title>/debug</title>\n</head>\n<body>\n<ul>\n"                       \
    "<li><a href=\"/debug/pprof\">/debug/pprof</a></li>\n</li></ul></body></html>\n"

/* A request gets this start of a response, and this end of it. */
static void http_case(const char *request_line, const char *headers, const char *start,
                      const char *end)
{
    char request[4096];
    bool upgrade = strncmp(start, "HTTP/1.1 101", 12) == 0, closed;
    char *text;
    int n = snprintf(request, sizeof request, "%s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n%s\r\n",
                     request_line, wsprd.port, headers);

    text = wspeer_http(wsprd.port, request, (size_t)n, upgrade ? 200 : RIG_TIMEOUT_MS, &closed);
    TAP_OK(text != NULL && strncmp(text, start, strlen(start)) == 0, "%s: %s", request_line,
           text != NULL ? text : "(nothing)");
    if (text != NULL && end != NULL && strlen(text) >= strlen(end))
        TAP_OK(strcmp(text + strlen(text) - strlen(end), end) == 0, "%s: %s", request_line, text);
    TAP_OK(upgrade || closed, "%s: the connection stays open", request_line);
    free(text);
}

static void test_pages(void)
{
    static const char plain[] = "HTTP/1.1 404 Not Found\r\n";

    need_wsprd();
    http_case("GET /debug", "", "HTTP/1.1 200 OK\r\n", DEBUG_PAGE);
    http_case("GET /", "", plain, NO_PAGE);
    http_case("GET /favicon.ico", "", plain, NO_PAGE);
    http_case("GET /nonsense", "", plain, NO_PAGE);
    http_case("GET /debug/", "", plain, NULL);
    http_case("GET /ws/", UPGRADE, plain, NO_PAGE);
    http_case("GET /WS", UPGRADE, plain, NO_PAGE);
    http_case("GET /debug/pprof", "", "HTTP/1.1 301 ", NULL);
    http_case("GET /debug/pprof/", "", "HTTP/1.1 200 OK\r\n", NULL);
    http_case("DELETE /debug", "", "HTTP/1.1 200 OK\r\n", DEBUG_PAGE);
}

static void test_upgrades(void)
{
    static const char bad[] = "HTTP/1.1 400 Bad Request\r\n";

    need_wsprd();
    http_case("GET /ws", UPGRADE, OK_101, NULL);
    http_case("POST /ws", UPGRADE, OK_101, NULL);
    http_case("GET /ws?a=b", UPGRADE, OK_101, NULL);
    http_case("GET /ws",
              "upgrade: h2c, WebSocket\r\nConnection: keep-alive\r\nCONNECTION: x ,upGrade\r\n"
              "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
              "Sec-WebSocket-Protocol: chat\r\nSec-WebSocket-Extensions: x-nothing\r\n",
              OK_101, NULL);
    http_case("GET /ws", "", bad, NOT_WS);
    http_case("POST /ws", "Content-Length: 3\r\n", bad, NOT_WS);
    http_case("GET /ws",
              "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 8\r\n"
              "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
              bad, NOT_WS);
    http_case("GET /ws",
              "Upgrade: websocket\r\nConnection: close\r\nSec-WebSocket-Version: 13\r\n"
              "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
              bad, NOT_WS);
    http_case("GET /ws",
              "Upgrade: websockets\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
              "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
              bad, NOT_WS);
    http_case("GET /ws",
              "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n", bad,
              NOT_WS);
}

/* A name that leads here without being this machine's: a page of another site after rebinding. */
static void test_hosts(void)
{
    static const struct {
        const char *host;
        bool ok;
    } t[] = {
        {"localhost", true},
        {"LOCALHOST:8124", true},
        {"127.0.0.1", true},
        {"127.9.9.9:1", true},
        {"[::1]:80", true},
        {"page.localhost", true},
        {"evil.example", false},
        {"192.0.2.1", false},
        {"127.0.0.1.evil.example", false},
        {"localhost.evil.example", false},
        {"[::2]", false},
        {"", false},
        {"localhost, evil.example", false},
    };

    need_wsprd();
    for (size_t i = 0; i < sizeof t / sizeof t[0]; i++) {
        char request[1024], *text;
        bool closed;
        int n = snprintf(request, sizeof request, "GET /ws HTTP/1.1\r\nHost: %s\r\n" UPGRADE "\r\n",
                         t[i].host);

        text = wspeer_http(wsprd.port, request, (size_t)n, t[i].ok ? 200 : RIG_TIMEOUT_MS, &closed);
        TAP_OK(text != NULL && (strncmp(text, OK_101, strlen(OK_101)) == 0) == t[i].ok, "%s: %s",
               t[i].host, text != NULL ? text : "(nothing)");
        TAP_OK(text != NULL && (t[i].ok || (closed && strncmp(text, "HTTP/1.1 4", 10) == 0)),
               "%s: %s", t[i].host, text != NULL ? text : "(nothing)");
        free(text);
    }
}

/* Requests that are no HTTP, or too much of it, get an error or a closed connection, in time. */
static void test_bad_requests(void)
{
    static const char *const texts[] = {"nonsense\r\n\r\n", "GET /ws HTTP/1.1\r\n broken\r\n\r\n",
                                        "GET  /ws HTTP/1.1\r\n\r\n",
                                        "\x16\x03\x01\x02\x00\x01\r\n\r\n"};
    char *long_head, *answer;
    size_t size = 1 << 20;
    bool closed;

    need_wsprd();
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        answer = wspeer_http(wsprd.port, texts[i], strlen(texts[i]), RIG_TIMEOUT_MS, &closed);
        TAP_OK(answer != NULL && closed && strncmp(answer, "HTTP/1.1 400 ", 13) == 0, "%s: %s",
               texts[i], answer);
        free(answer);
    }
    long_head = malloc(size);
    if (long_head == NULL)
        return;
    memset(long_head, 'a', size);
    memcpy(long_head, "GET /ws?", 8);
    answer = wspeer_http(wsprd.port, long_head, size, RIG_TIMEOUT_MS, &closed);
    TAP_OK(answer != NULL && closed, "a head of 1 MiB");
    free(answer);
    free(long_head);
}

/* ---- frames ---- */

static bool open_peer(struct wspeer *p)
{
    struct wspeer_frame frame;
    bool ok;

    need_wsprd();
    ok = wspeer_connect(p, wsprd.port, "/ws", NULL, RIG_TIMEOUT_MS) == 0 &&
         wspeer_recv(p, &frame, RIG_TIMEOUT_MS) == WSPEER_FRAME;
    TAP_OK(ok, "%s", p->error);
    return ok && strstr((char *)frame.data, "mounttableRoot") != NULL;
}

/* Expects a close frame and the end of TCP. */
static void expect_close(struct wspeer *p, const char *name, unsigned code, const char *reason)
{
    struct wspeer_frame frame;
    enum wspeer_result r = wspeer_recv_message(p, &frame, RIG_TIMEOUT_MS);
    bool ok = r == WSPEER_FRAME && frame.op == WSPEER_CLOSE;

    TAP_OK(ok, "%s: no close frame: %s", name, p->error);
    if (ok && code == 0) {
        TAP_OK(frame.len == 0, "%s: a close with %zu bytes", name, frame.len);
    } else if (ok) {
        TAP_OK(frame.len >= 2 && (unsigned)(frame.data[0] << 8 | frame.data[1]) == code,
               "%s: not code %u", name, code);
        if (frame.len >= 2 && reason != NULL)
            TAP_OK(strncmp((char *)frame.data + 2, reason, strlen(reason)) == 0, "%s: %s", name,
                   (char *)frame.data + 2);
    }
    TAP_OK(wspeer_recv(p, &frame, RIG_TIMEOUT_MS) == WSPEER_EOF, "%s: TCP stays open", name);
}

static void test_violations(void)
{
    static const struct {
        const char *name, *bytes;
        size_t len;
        unsigned code;
        const char *reason;
    } t[] = {
        {"reserved bits", "\xc1\x80mask", 6, 1002, "unexpected reserved bits "},
        {"long ping", "\x89\xfe\x00\x7emask", 8, 1002, "control frame length > 125"},
        {"fragmented ping", "\x09\x80mask", 6, 1002, "control frame not final"},
        {"text in a text", "\x01\x81mask?\x81\x81mask?", 14, 1002,
         "message start before final message frame"},
        {"continuation of nothing", "\x80\x80mask", 6, 1002,
         "continuation after final message frame"},
        {"opcode 3", "\x83\x80mask", 6, 1002, "unknown opcode 3"},
        {"opcode 11", "\x8b\x80mask", 6, 1002, "unknown opcode 11"},
        {"no mask", "\x81\x01?", 3, 1002, "incorrect mask flag"},
        {"17 MiB", "\x81\xff\x00\x00\x00\x00\x01\x10\x00\x00mask", 14, 1009, NULL},
        {"2^63 bytes", "\x81\xff\xff\xff\xff\xff\xff\xff\xff\xffmask", 14, 1002, NULL},
    };

    for (size_t i = 0; i < sizeof t / sizeof t[0]; i++) {
        struct wspeer p;

        if (open_peer(&p)) {
            wspeer_send_raw(&p, t[i].bytes, t[i].len);
            expect_close(&p, t[i].name, t[i].code, t[i].reason);
        }
        wspeer_close(&p);
    }
}

static void test_closes(void)
{
    static const struct {
        const char *name, *payload;
        size_t len;
        unsigned code;
    } t[] = {
        {"normal", "\x03\xe8", 2, 1000},
        {"with a reason", "\x03\xe9leaving", 9, 1001},
        {"application's code", "\x0b\xb8", 2, 3000},
        {"empty", "", 0, 0},
        {"one byte", "\x03", 1, 1002},
        {"1005 on the wire", "\x03\xed", 2, 1002},
    };

    for (size_t i = 0; i < sizeof t / sizeof t[0]; i++) {
        struct wspeer p;

        if (open_peer(&p)) {
            wspeer_send(&p, WSPEER_FIN | WSPEER_CLOSE, t[i].payload, t[i].len);
            expect_close(&p, t[i].name, t[i].code, NULL);
        }
        wspeer_close(&p);
    }
}

static const char question[] = "{\"id\":5,\"data\":\"\",\"type\":8}";
static const char answer[] =
    "{\"id\": 5, \"data\": \"{\\\"type\\\": 2, \\\"message\\\": {\\\"iD\\\": "
    "\\\"\\\", \\\"msg\\\": \\\"unknown message type: 8\\\"}}\", \"type\": 0}";

static void expect_answer(struct wspeer *p, const char *name)
{
    struct wspeer_frame frame;
    enum wspeer_result r = wspeer_recv(p, &frame, RIG_TIMEOUT_MS);

    TAP_OK(r == WSPEER_FRAME && frame.op == WSPEER_TEXT && strcmp((char *)frame.data, answer) == 0,
           "%s: %s", name, r == WSPEER_FRAME ? (char *)frame.data : p->error);
}

static void expect_pong(struct wspeer *p, const char *payload, size_t len)
{
    struct wspeer_frame frame;
    enum wspeer_result r = wspeer_recv(p, &frame, RIG_TIMEOUT_MS);

    TAP_OK(r == WSPEER_FRAME && frame.op == WSPEER_PONG && frame.len == len &&
               memcmp(frame.data, payload, len) == 0,
           "pong of %zu bytes", len);
}

static void test_pings(void)
{
    char payload[125];
    struct wspeer p;

    memset(payload, 'p', sizeof payload);
    if (open_peer(&p)) {
        wspeer_send(&p, WSPEER_FIN | WSPEER_PING, "", 0);
        expect_pong(&p, "", 0);
        wspeer_send(&p, WSPEER_FIN | WSPEER_PING, payload, sizeof payload);
        expect_pong(&p, payload, sizeof payload);
        /* Between the fragments of a message, and a pong that nobody asked for. */
        wspeer_send(&p, WSPEER_TEXT, question, 5);
        wspeer_send(&p, WSPEER_FIN | WSPEER_PING, "mid", 3);
        wspeer_send(&p, WSPEER_FIN | WSPEER_PONG, "x", 1);
        wspeer_send(&p, WSPEER_FIN | WSPEER_CONTINUATION, question + 5, strlen(question) - 5);
        expect_pong(&p, "mid", 3);
        expect_answer(&p, "after the ping");
    }
    wspeer_close(&p);
}

/* A message cut into single bytes on the wire, and many in one packet. */
static void test_cuts(void)
{
    uint8_t frame[256], many[16 * 256];
    size_t len = strlen(question), n = 0;
    struct wspeer p;

    frame[n++] = 0x81;
    frame[n++] = (uint8_t)(0x80 | len);
    memcpy(frame + n, "\0\0\0\0", 4);
    memcpy(frame + n + 4, question, len);
    n += 4 + len;
    if (open_peer(&p)) {
        for (size_t i = 0; i < n; i++) {
            wspeer_send_raw(&p, frame + i, 1);
            poll(NULL, 0, 1);
        }
        expect_answer(&p, "byte by byte");
        for (size_t i = 0; i < 16; i++)
            memcpy(many + i * n, frame, n);
        wspeer_send_raw(&p, many, 16 * n);
        for (size_t i = 0; i < 16; i++)
            expect_answer(&p, "sixteen at once");
    }
    wspeer_close(&p);
}

/* Frames that come in one packet with the request are not lost. */
static void test_early_frames(void)
{
    uint8_t early[64] = {0x81, 0x80};
    size_t len = strlen(question);
    struct wspeer_frame frame;
    struct wspeer p;

    need_wsprd();
    early[1] |= (uint8_t)len;
    memcpy(early + 6, question, len);
    if (wspeer_connect_early(&p, wsprd.port, "/ws", NULL, early, 6 + len, RIG_TIMEOUT_MS) == 0) {
        TAP_IS(wspeer_recv(&p, &frame, RIG_TIMEOUT_MS) == WSPEER_FRAME);
        expect_answer(&p, "early");
    } else {
        TAP_OK(0, "%s", p.error);
    }
    wspeer_close(&p);
}

/* After SIGUSR1, whatever the level of the log. */
static void test_counters(void)
{
    struct wspeer_frame frame;
    struct wspeer p = {.fd = -1};
    long long upgraded, frames;
    char *text;

    need_wsprd();
    text = rig_wsprd_counters(&wsprd);
    upgraded = rig_counter(text, "gateway", "upgraded");
    frames = rig_counter(text, "gateway", "frames_out");
    TAP_IS(upgraded >= 0 && frames >= 0);
    free(text);
    TAP_IS(wspeer_connect(&p, wsprd.port, "/ws", NULL, RIG_TIMEOUT_MS) == 0 &&
           wspeer_recv(&p, &frame, RIG_TIMEOUT_MS) == WSPEER_FRAME);
    text = rig_wsprd_counters(&wsprd);
    TAP_IS(rig_counter(text, "gateway", "upgraded") == upgraded + 1);
    TAP_IS(rig_counter(text, "gateway", "frames_out") == frames + 1);
    TAP_IS(rig_counter(text, "gateway", "conns") >= 1 && rig_counter(text, "loop", "socks") >= 1);
    TAP_IS(rig_counter(text, "rpc", "calls") == 0 && rig_counter(text, "vc", "flows") == 0);
    TAP_IS(rig_counter(text, "vc", "conns") == -1);
    free(text);
    wspeer_close(&p);
}

static void test_end(void)
{
    TAP_IS(wsprd.port == 0 || rig_wsprd_stop(&wsprd));
}

int main(int argc, char **argv)
{
    static const struct tap_case process[] = {
        {"wrong starts", test_start_errors},
        {"closed streams", test_closed_streams},
        {"a full disk", test_full_disk},
        {"ends while clients are connected", test_ends_with_clients},
    };
    static const struct tap_case http[] = {
        {"pages", test_pages},
        {"upgrades", test_upgrades},
        {"hosts", test_hosts},
        {"bad requests", test_bad_requests},
    };
    static const struct tap_case frames[] = {
        {"violations", test_violations},
        {"closes", test_closes},
        {"pings", test_pings},
        {"cuts", test_cuts},
        {"frames that come with the request", test_early_frames},
    };
    static const struct tap_case end[] = {
        {"counters", test_counters},
        {"ends well", test_end},
    };
    const struct tap_suite suites[] = {TAP_SUITE("process", process), TAP_SUITE("http", http),
                                       TAP_SUITE("frames", frames), TAP_SUITE("wsprd", end)};
    char state[4200];

    /* Whatever runs under no identity of ours keeps its own here. */
    setenv("STATE_DIRECTORY", child_file(state, sizeof state, "state"), 1);
    return tap_main(argc, argv, suites, sizeof suites / sizeof suites[0]);
}
