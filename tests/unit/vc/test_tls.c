/* The handshake with ourselves, with plain GnuTLS peers and with recorded ones. */
#include "config.h"

#include <pthread.h>
#include <unistd.h>

#include "failmalloc.h"
#include "tls_peer.h"
#include "tls_tests.h"
#include "vc/tls.h"
#include "vectors.h"

#ifdef WSPR_LEGACY_PEERS
#define LEGACY true
#else
#define LEGACY false
#endif

#define ROOM (1u << 20)

/* The reference acceptor takes only 0xc007; its dialler offers this list (spec: stream 7.5). */
#define ONLY_RC4                                                                                   \
    "NONE:+VERS-TLS1.2:+ECDHE-ECDSA:+ARCFOUR-128:+SHA1:+SIGN-ECDSA-SHA256:+SIGN-ECDSA-SHA1:"       \
    "+GROUP-SECP256R1:+GROUP-SECP384R1:+GROUP-SECP521R1:+CTYPE-X509:+COMP-NULL"
#define RC4_FIRST                                                                                  \
    "NONE:+VERS-TLS1.2:+ECDHE-RSA:+ECDHE-ECDSA:+RSA:+ARCFOUR-128:+AES-128-CBC:+AES-256-CBC:"       \
    "+3DES-CBC:+SHA1:+AES-128-GCM:+AEAD:+SIGN-RSA-SHA256:+SIGN-ECDSA-SHA256:+SIGN-ECDSA-SHA1:"     \
    "+GROUP-SECP256R1:+GROUP-SECP384R1:+GROUP-SECP521R1:+CTYPE-X509:+COMP-NULL"
#define ONLY_CBC                                                                                   \
    "NONE:+VERS-TLS1.2:+ECDHE-ECDSA:+AES-128-CBC:+SHA1:+SIGN-ECDSA-SHA256:+GROUP-SECP256R1:"       \
    "+CTYPE-X509:+COMP-NULL"
#define ONLY_TLS13                                                                                 \
    "NONE:+VERS-TLS1.3:+AES-128-GCM:+AEAD:+SIGN-ECDSA-SECP256R1-SHA256:+GROUP-SECP256R1:"          \
    "+CTYPE-X509:+COMP-NULL"

static struct vc_tls *tls_new(bool legacy)
{
    struct vc_tls *t = NULL;
    struct err e = ERR_INIT;

    TAP_OK(vc_tls_new(legacy, &t, &e) == 0, "%s", err_text(&e));
    err_done(&e);
    return t;
}

static struct vc_crypter *crypter(struct vc_tls *t, bool opener)
{
    struct vc_crypter *c = NULL;

    TAP_IS((opener ? vc_tls_opener(t, &c, NULL) : vc_tls_acceptor(t, &c, NULL)) == 0);
    return c;
}

static bool is_legacy(const struct vc_crypter *c)
{
    return c->ops->is_legacy(c);
}

/* Sends payloads of several sizes from a to b. */
static void talk(struct vc_crypter *a, struct vc_crypter *b)
{
    static const size_t sizes[] = {1, 6, 300, 16384, 16385, 65536};
    static uint8_t text[65536];

    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        struct buf sealed = BUF_INIT(ROOM), opened = BUF_INIT(ROOM);

        memset(text, (int)i + 1, sizeof text);
        TAP_IS(a->ops->seal(a, span_of(text, sizes[i]), &sealed, NULL) == 0);
        TAP_IS(sealed.len <= a->ops->sealed_max(a, sizes[i]));
        TAP_IS(b->ops->open(b, buf_span(&sealed), &opened, NULL) == 0);
        TAP_IS(span_equal(buf_span(&opened), span_of(text, sizes[i])));
        buf_done(&sealed);
        buf_done(&opened);
    }
}

/* Two wspr peers, both with legacy on or off, end with an AEAD. */
static void ourselves(void)
{
    static const size_t pieces[] = {SIZE_MAX, 1, 100};

    for (int mix = 0; mix < (LEGACY ? 4 : 1); mix++) {
        struct vc_tls *to = tls_new(mix & 1), *ta = tls_new(mix & 2);

        TAP_IS(vc_tls_legacy(to) == (mix & 1));
        for (size_t i = 0; i < sizeof pieces / sizeof pieces[0]; i++) {
            struct vc_crypter *o = crypter(to, true), *a = crypter(ta, false);
            struct err e = ERR_INIT;

            TAP_OK(tls_pair_handshake(o, a, pieces[i], &e) == 0, "%s", err_text(&e));
            TAP_OK(strcmp(o->ops->describe(o), "TLS1.2 ECDHE-ECDSA AES-128-GCM") == 0, "%s",
                   o->ops->describe(o));
            TAP_IS(strcmp(a->ops->describe(a), o->ops->describe(o)) == 0);
            TAP_IS(!is_legacy(o) && !is_legacy(a));
            talk(o, a);
            talk(a, o);
            vc_crypter_free(o);
            vc_crypter_free(a);
        }
        vc_tls_free(to);
        vc_tls_free(ta);
    }
    vc_tls_free(NULL);
    vc_crypter_free(NULL);
}

/* Payloads both ways between a crypter and GnuTLS's own records. */
static void talk_with_peer(struct vc_crypter *c, struct tls_peer *p)
{
    static uint8_t text[40000], got[40000];

    for (int i = 1; i <= 5; i++) {
        struct buf opened = BUF_INIT(ROOM);
        size_t n = (size_t)i * 7000, have = 0;

        memset(text, i, n);
        TAP_IS(c->ops->seal(c, span_of(text, n), &p->in, NULL) == 0);
        while (have < n) {
            ssize_t r = gnutls_record_recv(p->session, got + have, n - have);

            if (r <= 0)
                break;
            have += (size_t)r;
        }
        TAP_OK(have == n && memcmp(text, got, n) == 0, "%zu of %zu", have, n);
        for (size_t off = 0; off < n;) {
            ssize_t r = gnutls_record_send(p->session, text + off, n - off);

            TAP_IS(r > 0);
            off += r > 0 ? (size_t)r : n;
        }
        TAP_IS(c->ops->open(c, buf_span(&p->out), &opened, NULL) == 0);
        TAP_IS(span_equal(buf_span(&opened), span_of(text, n)));
        buf_reset(&p->out);
        buf_done(&opened);
    }
}

static void with_peer(bool legacy, bool opener, const char *priority, const char *suite)
{
    struct vc_tls *t = tls_new(legacy);
    struct vc_crypter *c = crypter(t, opener);
    struct err e = ERR_INIT;
    struct tls_peer p;

    tls_peer_init(&p, opener, priority);
    TAP_OK(tls_peer_handshake(&p, c, &e) == 0, "%s: %s", suite, err_text(&e));
    TAP_OK(strcmp(c->ops->describe(c), suite) == 0, "%s", c->ops->describe(c));
    TAP_IS(is_legacy(c) == (strstr(suite, "RC4") != NULL));
    talk_with_peer(c, &p);
    /* The end of TLS is an error: circuits end by other means. */
    gnutls_bye(p.session, GNUTLS_SHUT_WR);
    TAP_IS(c->ops->open(c, buf_span(&p.out), &p.in, &e) == WSPR_ECRYPTO);
    TAP_OK(strcmp(err_text(&e), "tls: alert") == 0, "%s", err_text(&e));
    err_done(&e);
    tls_peer_done(&p);
    vc_crypter_free(c);
    vc_tls_free(t);
}

static void peers_of_2014(void)
{
    if (!LEGACY) {
        struct vc_tls *t = NULL;

        TAP_IS(vc_tls_new(true, &t, NULL) == WSPR_EINVAL && t == NULL);
        return;
    }
    with_peer(true, true, ONLY_RC4, "TLS1.2 ECDHE-ECDSA RC4-128 SHA1");
    with_peer(true, false, ONLY_RC4, "TLS1.2 ECDHE-ECDSA RC4-128 SHA1");
}

/* A dialler that prefers RC4 gets the AEAD suite all the same. */
static void other_peers(void)
{
    with_peer(LEGACY, false, RC4_FIRST, "TLS1.2 ECDHE-ECDSA AES-128-GCM");
    with_peer(false, false, RC4_FIRST, "TLS1.2 ECDHE-ECDSA AES-128-GCM");
    with_peer(LEGACY, true, RC4_FIRST, "TLS1.2 ECDHE-ECDSA AES-128-GCM");
    with_peer(false, true, "NORMAL:-VERS-ALL:+VERS-TLS1.2:-AES-128-GCM:+SIGN-ECDSA-SHA256",
              "TLS1.2 ECDHE-ECDSA AES-256-GCM");
    with_peer(LEGACY, false, "NORMAL", "TLS1.2 ECDHE-ECDSA AES-128-GCM");
}

static void refused(bool legacy, bool opener, const char *priority)
{
    struct vc_tls *t = tls_new(legacy);
    struct vc_crypter *c = crypter(t, opener);
    struct buf none = BUF_INIT(ROOM), out = BUF_INIT(ROOM);
    struct err e = ERR_INIT;
    struct tls_peer p;
    int r;

    tls_peer_init(&p, opener, priority);
    r = tls_peer_handshake(&p, c, &e);
    /* The side that refuses first tells only the other. */
    if (r == WSPR_EINTERNAL) {
        TAP_IS(p.last < 0 && p.last != GNUTLS_E_AGAIN);
        gnutls_alert_send_appropriate(p.session, p.last);
        r = c->ops->handshake(c, &p.out, &out, &e);
    }
    TAP_OK(r == WSPR_ECRYPTO && err_text(&e)[0] != '\0', "%d", r);
    tap_note("%s refuses: %s", opener ? "opener" : "acceptor", err_text(&e));
    TAP_IS(c->ops->handshake(c, &none, &out, NULL) == WSPR_ECRYPTO); /* dead */
    TAP_IS(c->ops->seal(c, span_str("x"), &out, NULL) == WSPR_ECRYPTO);
    err_done(&e);
    buf_done(&none);
    buf_done(&out);
    tls_peer_done(&p);
    vc_crypter_free(c);
    vc_tls_free(t);
}

static void peers_that_do_not_fit(void)
{
    refused(false, true, ONLY_RC4);
    refused(false, false, ONLY_RC4);
    refused(LEGACY, true, ONLY_CBC);
    refused(LEGACY, false, ONLY_CBC);
    refused(LEGACY, true, ONLY_TLS13);
    refused(LEGACY, false, ONLY_TLS13);
}

/* The ClientHello of a recorded session, or an empty buffer. */
static struct buf recorded_hello(struct json_object *session)
{
    struct json_object *list = vec_get(session, "messages");
    struct buf none = BUF_INIT(1);

    for (size_t i = 0; i < json_object_array_length(list); i++) {
        const char *hex = vec_str(json_object_array_get_idx(list, i), "hex");

        /* type 1, length, VCI, flow, flags: 13 bytes; then a handshake record with message 1 */
        if (hex != NULL && strncmp(hex, "01", 2) == 0 && strlen(hex) > 40 &&
            strncmp(hex + 26, "1603", 4) == 0 && strncmp(hex + 36, "01", 2) == 0)
            return vec_hex(hex + 26);
    }
    return none;
}

/* What the acceptor answers to the dialler of the reference: 0xc02b, whether RC4 is admitted or
 * not. */
static void recorded_diallers(void)
{
    struct json_object *all = vectors_load("handshake_v2.json"), *list = vec_get(all, "sessions");
    unsigned n = 0;

    for (size_t i = 0; i < json_object_array_length(list); i++) {
        struct buf hello = recorded_hello(json_object_array_get_idx(list, i));

        for (int legacy = 0; legacy <= LEGACY && hello.len > 0; legacy++) {
            struct vc_tls *t = tls_new(legacy);
            struct vc_crypter *c = crypter(t, false);
            struct buf in = BUF_INIT(ROOM), out = BUF_INIT(ROOM);
            const uint8_t *p;

            buf_append_span(&in, buf_span(&hello));
            TAP_IS(c->ops->handshake(c, &in, &out, NULL) == VC_CRYPTER_MORE && in.len == 0);
            /* record 5, message 4, version 2, random 32, session id with its length, suite */
            p = buf_data(&out);
            TAP_IS(out.len > 100 && p[0] == 22 && p[5] == 2 && p[9] == 3 && p[10] == 3);
            TAP_IS(p[44 + p[43]] == 0xc0 && p[45 + p[43]] == 0x2b);
            n++;
            buf_done(&in);
            buf_done(&out);
            vc_crypter_free(c);
            vc_tls_free(t);
        }
        buf_done(&hello);
    }
    TAP_OK(n >= 7, "%u", n);
    tap_note("handshake_v2.json: %u recorded ClientHellos answered", n);
    json_object_put(all);
}

/* A transcript of a handshake in which the byte at `at` is damaged on its way. */
struct damage {
    size_t at;
    size_t seen; /* bytes that both sides have sent */
    bool done;
    bool harmless;
};

/* What nobody authenticates and GnuTLS does not look at: the version in the head of a record, and
 * the body of ChangeCipherSpec. `at` counts from p, where a record begins. */
static bool unchecked(const uint8_t *p, size_t at)
{
    size_t len = 5 + ((size_t)p[3] << 8 | p[4]);

    while (at >= len) {
        p += len;
        at -= len;
        len = 5 + ((size_t)p[3] << 8 | p[4]);
    }
    return at == 1 || at == 2 || (p[0] == 20 && at == 5);
}

static void damage(struct damage *d, struct buf *b, size_t before)
{
    if (d->at >= d->seen && d->at - d->seen < b->len - before) {
        uint8_t *p = buf_data(b) + before;

        d->done = true;
        d->harmless = unchecked(p, d->at - d->seen);
        p[d->at - d->seen] ^= 0x41;
    }
    d->seen += b->len - before;
}

/* Runs it. True if both sides come to an end. */
static bool damaged_handshake(struct vc_tls *t, struct damage *d)
{
    struct vc_crypter *o = crypter(t, true), *a = crypter(t, false);
    struct buf to_a = BUF_INIT(ROOM), to_o = BUF_INIT(ROOM);
    int ro = 0, ra = 0;

    for (int round = 0; round < 6 && ro >= 0 && ra >= 0 && (ro == 0 || ra == 0); round++) {
        size_t before = to_a.len;

        if (ro == 0)
            ro = o->ops->handshake(o, &to_o, &to_a, NULL);
        damage(d, &to_a, before);
        before = to_o.len;
        if (ro >= 0 && ra == 0)
            ra = a->ops->handshake(a, &to_a, &to_o, NULL);
        damage(d, &to_o, before);
    }
    buf_done(&to_a);
    buf_done(&to_o);
    vc_crypter_free(o);
    vc_crypter_free(a);
    return ro == VC_CRYPTER_DONE && ra == VC_CRYPTER_DONE;
}

/* With any byte damaged a handshake does not end well. */
static void damaged_handshakes(void)
{
    struct vc_tls *t = tls_new(LEGACY);
    struct damage none = {.at = SIZE_MAX};
    unsigned n = 0, ended = 0;

    TAP_IS(damaged_handshake(t, &none) && none.seen > 600);
    for (size_t at = 0; at < none.seen; at++) {
        struct damage d = {.at = at};
        bool ok = damaged_handshake(t, &d);

        n += d.done && !d.harmless;
        if (ok && d.done && !d.harmless)
            TAP_OK(++ended == 0, "byte %zu of %zu", at, d.seen);
    }
    TAP_OK(n > 600, "%u handshakes damaged", n);
    vc_tls_free(t);
}

static void once(void *arg)
{
    struct vc_crypter *o = NULL, *a = NULL;
    struct vc_tls *t = NULL;

    if (vc_tls_new(false, &t, NULL) == 0 && vc_tls_opener(t, &o, NULL) == 0 &&
        vc_tls_acceptor(t, &a, NULL) == 0 && tls_pair_handshake(o, a, SIZE_MAX, NULL) == 0) {
        struct buf sealed = BUF_INIT(ROOM), opened = BUF_INIT(ROOM);
        int r = o->ops->seal(o, span_str("text"), &sealed, NULL);

        if (r == 0)
            r = a->ops->open(a, buf_span(&sealed), &opened, NULL);
        TAP_IS(r == WSPR_ENOMEM || (r == 0 && span_equal_str(buf_span(&opened), "text")));
        buf_done(&sealed);
        buf_done(&opened);
    }
    vc_crypter_free(o);
    vc_crypter_free(a);
    vc_tls_free(t);
}

static void survives_lack_of_memory(void)
{
    unsigned long runs = failmalloc_each(once, NULL, 100);

    TAP_OK(runs > 5, "%lu", runs);
}

/* One certificate, several threads: as the jobs of an offload pool do it. */
static void *handshakes(void *arg)
{
    struct vc_tls *t = arg;
    uintptr_t bad = 0;

    for (int i = 0; i < 20; i++) {
        struct vc_crypter *o = NULL, *a = NULL;

        if (vc_tls_opener(t, &o, NULL) < 0 || vc_tls_acceptor(t, &a, NULL) < 0 ||
            tls_pair_handshake(o, a, SIZE_MAX, NULL) < 0)
            bad++;
        vc_crypter_free(o);
        vc_crypter_free(a);
    }
    return (void *)bad;
}

static void threads_share_the_certificate(void)
{
    struct vc_tls *t = tls_new(LEGACY);
    pthread_t threads[4];

    for (int i = 0; i < 4; i++)
        pthread_create(&threads[i], NULL, handshakes, t);
    for (int i = 0; i < 4; i++) {
        void *bad;

        pthread_join(threads[i], &bad);
        TAP_IS(bad == NULL);
    }
    vc_tls_free(t);
}

/* A policy file that forbids a cipher, seen by this program started anew. */
static void policy(const char *forbidden, const char *want)
{
    char file[] = "/tmp/wspr-policy-XXXXXX", command[200], line[300] = "";
    int fd = mkstemp(file);
    FILE *f;

    if (fd < 0 || dprintf(fd, "[overrides]\ntls-disabled-cipher = %s\n", forbidden) < 0)
        abort();
    close(fd);
    snprintf(command, sizeof command,
             "GNUTLS_SYSTEM_PRIORITY_FILE=%s WSPR_TEST_POLICY=1 exec /proc/%d/exe", file,
             (int)getpid());
    f = popen(command, "r");
    TAP_IS(f != NULL && fgets(line, sizeof line, f) != NULL);
    if (f != NULL)
        pclose(f);
    TAP_OK(strstr(line, want) != NULL, "%s", line);
    unlink(file);
}

static void policies_of_the_system(void)
{
    policy("chacha20-poly1305", "fine");
    policy("aes-128-gcm", "forbids ECDHE-ECDSA-AES128-GCM");
    if (LEGACY)
        policy("arcfour-128", "forbids RC4");
}

static int policy_main(void)
{
    struct vc_tls *t = NULL;
    struct err e = ERR_INIT;

    if (vc_tls_new(LEGACY, &t, &e) == 0)
        puts("fine");
    else
        puts(err_text(&e));
    vc_tls_free(t);
    err_done(&e);
    return 0;
}

static const struct tap_case handshake_cases[] = {
    {"ourselves", ourselves},
    {"peers_of_2014", peers_of_2014},
    {"other_peers", other_peers},
    {"peers_that_do_not_fit", peers_that_do_not_fit},
    {"recorded_diallers", recorded_diallers},
    {"damaged_handshakes", damaged_handshakes},
    {"survives_lack_of_memory", survives_lack_of_memory},
    {"threads_share_the_certificate", threads_share_the_certificate},
    {"policies_of_the_system", policies_of_the_system},
};

int main(int argc, char **argv)
{
    const struct tap_suite suites[] = {tls_record_suite, TAP_SUITE("handshake", handshake_cases)};

    if (getenv("WSPR_TEST_POLICY") != NULL)
        return policy_main();
    return tap_main(argc, argv, suites, 2);
}
