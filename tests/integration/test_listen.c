/*
 * Where pages may connect, and how: addresses that need TLS and a list of origins, the TLS itself,
 * and which Host a request may name.
 */
#include "config.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "rig.h"
#include "tap.h"
#include "tls_client.h"
#include "wspeer.h"

#define HOST   "gateway.example"
#define ORIGIN "https://app.example"
#define VALUE  400000

static char cert[4200], key[4200], other_key[4200];
static char cert_arg[4400], key_arg[4400], other_key_arg[4400];
static struct rig_wsprd wsprd;
static struct tls_bridge bridge;

static void need_files(void)
{
    char other_cert[4200];

    if (cert[0] != '\0')
        return;
    child_file(other_key, sizeof other_key, "other.key");
    child_file(other_cert, sizeof other_cert, "other.pem");
    child_file(key, sizeof key, "tls.key");
    child_file(cert, sizeof cert, "tls.pem");
    if (!tls_make_files(HOST, cert, key) || !tls_make_files(HOST, other_cert, other_key)) {
        printf("Bail out! no certificate\n");
        exit(99);
    }
    snprintf(cert_arg, sizeof cert_arg, "-tls-cert=%s", cert);
    snprintf(key_arg, sizeof key_arg, "-tls-key=%s", key);
    snprintf(other_key_arg, sizeof other_key_arg, "-tls-key=%s", other_key);
}

static void need_wsprd(void)
{
    if (wsprd.port != 0)
        return;
    need_files();
    if (!rig_wsprd_start(&wsprd, NULL,
                         (const char *const[]){"-listen=0.0.0.0:0", "-v=1", cert_arg, key_arg,
                                               "-allowed-origins=" ORIGIN ",local", NULL}) ||
        !tls_bridge_start(&bridge,
                          &(struct tls_bridge_opts){.to = wsprd.port, .cert_file = cert})) {
        printf("Bail out! wsprd does not start\n");
        exit(99);
    }
}

/* ---- what does not start ---- */

static void test_refusals(void)
{
    static const char both[] = "needs TLS (tls-cert, tls-key) and a list of origins";
    char public_key[4200], public_arg[4400];
    const struct {
        const char *name, *args[4], *text;
    } t[] = {
        {"neither", {"-listen=0.0.0.0:0"}, both},
        {"neither, IPv6", {"-listen=[::]:0"}, both},
        {"neither, every address", {"-listen=:0"}, both},
        {"no TLS",
         {"-listen=0.0.0.0:0", "-allowed-origins=*"},
         "not of this machine alone needs TLS (tls-cert, tls-key)\n"},
        {"no origins",
         {"-listen=0.0.0.0:0", cert_arg, key_arg},
         "not of this machine alone needs a list of origins (allowed-origins)\n"},
        {"no key", {"-port=0", cert_arg}, "tls-key is missing"},
        {"no certificate", {"-port=0", key_arg}, "tls-cert is missing"},
        {"no file", {"-port=0", cert_arg, "-tls-key=/nonexistent/key"}, "/nonexistent/key"},
        {"no PEM", {"-port=0", "-tls-cert=/dev/null", key_arg}, "certificate /dev/null"},
        {"the wrong key", {"-port=0", cert_arg, other_key_arg}, "certificate "},
        {"a key for everybody", {"-port=0", cert_arg, public_arg}, "others may read it (mode 604)"},
        {"no address", {"-listen=here"}, "missing port in address"},
        {"no origin", {"-port=0", "-allowed-origins=nonsense"}, "allowed-origins: \"nonsense\""},
    };

    need_files();
    snprintf(public_arg, sizeof public_arg, "-tls-key=%s",
             child_file(public_key, sizeof public_key, "public.key"));
    TAP_IS(tls_make_files(HOST, public_key, public_key) && chmod(public_key, 0604) == 0);
    for (size_t i = 0; i < sizeof t / sizeof t[0]; i++) {
        struct rig_ending e = {.name = t[i].name, .status = 1, .text = t[i].text};
        const char *args[8] = {"-no-embedded", "-plugins="};
        struct child c;
        char *out;

        for (size_t k = 0; k < 4 && t[i].args[k] != NULL; k++)
            args[k + 2] = t[i].args[k];
        TAP_OK(rig_run(&c, "wsprd", args, NULL) && child_wait(&c, RIG_TIMEOUT_MS), "%s: it runs",
               e.name);
        child_stop(&c, SIGKILL, 1000);
        out = child_output(&c);
        TAP_OK(WIFEXITED(c.status) && WEXITSTATUS(c.status) == 1 && out != NULL &&
                   strstr(out, e.text) != NULL,
               "%s: %s", e.name, out);
        free(out);
    }
}

/* ---- TLS ---- */

static void test_versions(void)
{
    static const struct {
        const char *name, *priorities, *agreed; /* NULL: refused */
    } t[] = {
        {"what there is", NULL, "TLS1.3 AES-128-GCM"},
        {"1.2", "NORMAL:-VERS-ALL:+VERS-TLS1.2", "TLS1.2 AES-128-GCM"},
        {"1.2, ChaCha20", "NORMAL:-VERS-ALL:+VERS-TLS1.2:-CIPHER-ALL:+CHACHA20-POLY1305",
         "TLS1.2 CHACHA20-POLY1305"},
        {"1.3, AES-256", "NORMAL:-VERS-ALL:+VERS-TLS1.3:-CIPHER-ALL:+AES-256-GCM",
         "TLS1.3 AES-256-GCM"},
        {"1.1", "NORMAL:-VERS-ALL:+VERS-TLS1.1", NULL},
        {"1.2 without AEAD", "NORMAL:-VERS-ALL:+VERS-TLS1.2:-CIPHER-ALL:+AES-128-CBC", NULL},
        {"1.2 with RC4", "NORMAL:-VERS-ALL:+VERS-TLS1.2:-CIPHER-ALL:+ARCFOUR-128", NULL},
    };
    char agreed[256];

    need_wsprd();
    for (size_t i = 0; i < sizeof t / sizeof t[0]; i++) {
        struct tls_bridge_opts opts = {.to = wsprd.port, .priorities = t[i].priorities};
        int r = tls_try(&opts, agreed, sizeof agreed);

        TAP_OK(t[i].agreed != NULL ? r == 0 && strcmp(agreed, t[i].agreed) == 0 : r < 0, "%s: %s",
               t[i].name, agreed);
    }
}

/* A message of a page that no handler knows comes back as an error, however large it is. */
static void ask(struct wspeer *p, size_t size)
{
    char *text = malloc(size + 128);
    struct wspeer_frame f;

    if (text == NULL)
        return;
    memset(text, 'x', size + 128);
    memcpy(text, "{\"id\":1,\"type\":77,\"data\":\"", 26);
    memcpy(text + 26 + size, "\"}", 3);
    wspeer_send_text(p, text);
    TAP_OK(wspeer_recv_message(p, &f, RIG_TIMEOUT_MS) == WSPEER_FRAME &&
               strstr((char *)f.data, "\"id\": 1") != NULL,
           "%zu: %s", size, (char *)f.data);
    free(text);
}

static bool open_page(struct wspeer *p, int port)
{
    struct wspeer_frame f;
    bool ok = wspeer_connect(p, port, "/ws", "Origin: " ORIGIN "\r\n", RIG_TIMEOUT_MS) == 0 &&
              wspeer_recv_message(p, &f, RIG_TIMEOUT_MS) == WSPEER_FRAME &&
              strstr((char *)f.data, "mounttableRoot") != NULL;

    TAP_OK(ok, "%s", p->error);
    return ok;
}

/* A large value goes to the service and comes back, in many records each way. */
static void call(struct wspeer *p, int i)
{
    struct buf text = BUF_INIT(VALUE + 1024);
    struct wspeer_frame f;

    buf_printf(&text,
               "{\"id\":3,\"type\":0,\"data\":\"{\\\"name\\\":\\\"cache\\\","
               "\\\"method\\\":\\\"set\\\",\\\"inArgs\\\":[\\\"k%d\\\",\\\"",
               i);
    for (int n = 0; n < VALUE; n++)
        buf_u8(&text, (uint8_t)('a' + (n + n / 1000) % 26));
    buf_append_str(&text, "\\\"],\\\"numOutArgs\\\":1}\"}");
    wspeer_send_text(p, buf_cstr(&text));
    TAP_OK(wspeer_recv_message(p, &f, RIG_TIMEOUT_MS) == WSPEER_FRAME &&
               strstr((char *)f.data, "\\\"type\\\": 0") != NULL,
           "%s", p->error);
    buf_reset(&text);
    buf_printf(&text,
               "{\"id\":5,\"type\":0,\"data\":\"{\\\"name\\\":\\\"cache\\\","
               "\\\"method\\\":\\\"get\\\",\\\"inArgs\\\":[\\\"k%d\\\"],"
               "\\\"numOutArgs\\\":2}\"}",
               i);
    wspeer_send_text(p, buf_cstr(&text));
    TAP_OK(wspeer_recv_message(p, &f, RIG_TIMEOUT_MS) == WSPEER_FRAME && f.len > VALUE &&
               strstr((char *)f.data, "yzabcd") != NULL,
           "%s", p->error);
    buf_done(&text);
}

static void test_pages(void)
{
    static const size_t sizes[] = {1, 16384 - 40, 16384, 65536, 262144, 1000000};
    struct wspeer p[3];

    need_wsprd();
    for (int i = 0; i < 3; i++)
        open_page(&p[i], bridge.port);
    for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++) {
        for (int i = 0; i < 3; i++)
            ask(&p[i], sizes[s]);
    }
    for (int i = 0; i < 3; i++)
        call(&p[i], i);
    for (int i = 0; i < 3; i++)
        wspeer_close(&p[i]);
}

/* The handshake byte by byte, and cut at each byte: nobody else is kept from connecting. */
static void test_handshakes(void)
{
    struct tls_bridge_opts opts = {.to = wsprd.port, .cert_file = cert, .trickle = true};
    struct tls_bridge slow;
    struct wspeer p;
    char *counters;
    long long conns = -1;

    need_wsprd();
    opts.to = wsprd.port;
    TAP_IS(tls_bridge_start(&slow, &opts));
    if (open_page(&p, slow.port))
        ask(&p, 100000);
    wspeer_close(&p);
    tls_bridge_stop(&slow);
    opts.trickle = false;
    for (size_t n = 0; n < 700; n += n < 16 ? 1 : 23)
        tls_cut(&opts, n);
    if (open_page(&p, bridge.port))
        ask(&p, 10);
    wspeer_close(&p);
    for (int i = 0; i < 300 && conns != 0; i++) {
        counters = rig_wsprd_counters(&wsprd);
        conns = rig_counter(counters, "gateway", "conns");
        free(counters);
        poll(NULL, 0, conns != 0 ? 100 : 0);
    }
    TAP_OK(conns == 0, "%lld connections are left", conns);
}

static void test_no_tls(void)
{
    static const char request[] = "GET /ws HTTP/1.1\r\nHost: localhost\r\n\r\n";
    bool closed;
    char *answer;

    need_wsprd();
    answer = wspeer_http(wsprd.port, request, sizeof request - 1, RIG_TIMEOUT_MS, &closed);
    TAP_OK(closed && answer != NULL && strstr(answer, "HTTP") == NULL, "%s", answer);
    free(answer);
}

/* ---- the files anew ---- */

static unsigned count_logged(struct rig_wsprd *w, const char *what)
{
    char *out = child_output(&w->child);
    unsigned n = 0;

    for (const char *at = out; at != NULL && (at = strstr(at, what)) != NULL; at++)
        n++;
    free(out);
    return n;
}

/* SIGHUP, until the log has the n-th line of it. */
static bool hang_up(struct rig_wsprd *w, const char *what, unsigned n)
{
    long long until = child_now_ms() + RIG_TIMEOUT_MS;

    kill(w->child.pid, SIGHUP);
    while (count_logged(w, what) < n && child_alive(&w->child) && child_now_ms() < until)
        poll(NULL, 0, 20);
    TAP_OK(count_logged(w, what) == n, "\"%s\" is there %u times, not %u", what,
           count_logged(w, what), n);
    return count_logged(w, what) == n;
}

static bool copy_file(const char *from, const char *to)
{
    struct buf b = BUF_INIT(1 << 16);
    FILE *f = fopen(from, "r");
    bool ok;

    while (f != NULL && buf_reserve(&b, 4096) != NULL) {
        size_t n = fread(buf_data(&b) + b.len, 1, 4096, f);

        if (n == 0)
            break;
        buf_commit(&b, n);
    }
    if (f != NULL)
        fclose(f);
    f = fopen(to, "w");
    ok = f != NULL && fwrite(buf_data(&b), 1, b.len, f) == b.len;
    if (f != NULL)
        ok = fclose(f) == 0 && ok;
    buf_done(&b);
    return ok;
}

/* Whether a connection that begins now sees the certificate in this file. */
static bool shows(struct rig_wsprd *w, const char *file)
{
    struct tls_bridge_opts opts = {.to = w->port, .cert_file = file};
    char agreed[256];

    return tls_try(&opts, agreed, sizeof agreed) == 0;
}

/* New connections see a new certificate; those that stand go on, and what is bad counts nothing. */
static void test_anew(void)
{
    static const char read_anew[] = "the certificate is read anew";
    static const char stays[] = "the certificate stays as it is: ";
    char now[4200], now_key[4200], first[4200], args[2][4400];
    struct tls_bridge to;
    struct rig_wsprd w;
    struct wspeer p, q;

    need_files();
    child_file(now, sizeof now, "now.pem");
    child_file(now_key, sizeof now_key, "now.key");
    child_file(first, sizeof first, "first.pem");
    TAP_IS(tls_make_files(HOST, now, now_key) && copy_file(now, first));
    snprintf(args[0], sizeof args[0], "-tls-cert=%s", now);
    snprintf(args[1], sizeof args[1], "-tls-key=%s", now_key);
    if (!rig_wsprd_start(&w, NULL,
                         (const char *const[]){"-v=1", args[0], args[1],
                                               "-allowed-origins=" ORIGIN ",local", NULL}) ||
        !tls_bridge_start(&to, &(struct tls_bridge_opts){.to = w.port, .cert_file = now})) {
        TAP_OK(0, "wsprd does not start");
        return;
    }
    open_page(&p, to.port);
    TAP_IS(shows(&w, first));
    /* A key that belongs to another certificate, no certificate, no key. */
    TAP_IS(copy_file(cert, now) && hang_up(&w, stays, 1) && shows(&w, first));
    TAP_IS(truncate(now, 0) == 0 && hang_up(&w, stays, 2) && shows(&w, first));
    TAP_IS(copy_file(first, now) && chmod(now_key, 0604) == 0 && hang_up(&w, stays, 3));
    TAP_IS(chmod(now_key, 0600) == 0 && shows(&w, first) && count_logged(&w, read_anew) == 0);
    TAP_IS(tls_make_files(HOST, now, now_key) && hang_up(&w, read_anew, 1));
    TAP_IS(shows(&w, now) && !shows(&w, first));
    ask(&p, 100000);
    if (open_page(&q, to.port))
        ask(&q, 100000);
    TAP_IS(count_logged(&w, stays) == 3);
    wspeer_close(&p);
    wspeer_close(&q);
    tls_bridge_stop(&to);
    TAP_IS(rig_wsprd_stop(&w));
}

/* ---- Host and Origin ---- */

static int status_of(const char *host, const char *origin)
{
    char request[512], *answer;
    bool closed;
    int status = -1;

    snprintf(request, sizeof request,
             "GET /ws HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
             "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n%s%s%s"
             "\r\n\x88\x80%c%c%c%c",
             host, origin[0] != '\0' ? "Origin: " : "", origin, origin[0] != '\0' ? "\r\n" : "", 1,
             1, 1, 1);
    answer = wspeer_http(bridge.port, request, strlen(request), RIG_TIMEOUT_MS, &closed);
    if (answer != NULL && strncmp(answer, "HTTP/1.1 ", 9) == 0)
        status = (int)strtol(answer + 9, NULL, 10);
    free(answer);
    return status;
}

static void test_hosts(void)
{
    static const struct {
        const char *host, *origin;
        int status;
    } t[] = {
        {HOST, ORIGIN, 101},
        {HOST ":8124", ORIGIN, 101},
        {"GATEWAY.example", ORIGIN, 101},
        {"localhost", ORIGIN, 101},
        {HOST, "", 101}, /* a client of this machine */
        {"x." HOST, ORIGIN, 403},
        {"rebound.example", ORIGIN, 403},
        {"192.0.2.1", ORIGIN, 403},
        {HOST, "https://other.example", 403},
        {HOST, "http://app.example", 403},
        {HOST, "null", 403},
    };

    need_wsprd();
    for (size_t i = 0; i < sizeof t / sizeof t[0]; i++) {
        int status = status_of(t[i].host, t[i].origin);

        TAP_OK(status == t[i].status, "%s from \"%s\": %d", t[i].host, t[i].origin, status);
    }
}

static void test_end(void)
{
    tls_bridge_stop(&bridge);
    TAP_IS(wsprd.port == 0 || rig_wsprd_stop(&wsprd));
}

int main(int argc, char **argv)
{
    static const struct tap_case cases[] = {
        {"what is refused", test_refusals},
        {"versions and ciphers", test_versions},
        {"pages", test_pages},
        {"handshakes", test_handshakes},
        {"without TLS", test_no_tls},
        {"the files anew", test_anew},
        {"Host and Origin", test_hosts},
        {"ends well", test_end},
    };
    const struct tap_suite suites[] = {TAP_SUITE("listen", cases)};
    char state[4200];

    setenv("STATE_DIRECTORY", child_file(state, sizeof state, "state"), 1);
    return tap_main(argc, argv, suites, 1);
}
