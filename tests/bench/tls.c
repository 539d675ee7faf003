/*
 * What a circuit's TLS costs: the handshake, and sealing and opening of payloads. `bench-tls
 * [PAYLOAD]`, 300 bytes unless given. Processor time, so that other programs on the machine disturb
 * little.
 */
#include "config.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "vc/record.h"
#include "vc/tls.h"

#define BENCH_ROUNDS 200000
#define BENCH_MAX    (4u << 20)

static double bench_now(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
    return (double)ts.tv_sec * 1e9 + (double)ts.tv_nsec;
}

static void bench_must(int ok)
{
    if (!ok) {
        fputs("bench-tls: something failed\n", stderr);
        exit(1);
    }
}

static void bench_pair(struct vc_tls *t, struct vc_crypter **ret_o, struct vc_crypter **ret_a)
{
    struct buf to_a = BUF_INIT(BENCH_MAX), to_o = BUF_INIT(BENCH_MAX);
    int ro = 0, ra = 0;

    bench_must(vc_tls_opener(t, ret_o, NULL) == 0 && vc_tls_acceptor(t, ret_a, NULL) == 0);
    while (ro == 0 || ra == 0) {
        if (ro == 0)
            ro = (*ret_o)->ops->handshake(*ret_o, &to_o, &to_a, NULL);
        if (ra == 0)
            ra = (*ret_a)->ops->handshake(*ret_a, &to_a, &to_o, NULL);
        bench_must(ro >= 0 && ra >= 0);
    }
    buf_done(&to_a);
    buf_done(&to_o);
}

static void bench_handshakes(struct vc_tls *t)
{
    enum { N = 200 };
    static struct vc_crypter *kept[2 * N];
    struct mallinfo2 before, after;
    double t0 = bench_now(), t1;

    bench_pair(t, &kept[0], &kept[1]);
    before = mallinfo2();
    t0 = bench_now();
    for (int i = 1; i < N; i++)
        bench_pair(t, &kept[2 * i], &kept[2 * i + 1]);
    t1 = bench_now();
    after = mallinfo2();
    printf("handshake, both sides   %8.0f us\n", (t1 - t0) / (N - 1) / 1000);
    printf("circuit, kept memory    %8zu bytes\n",
           (after.uordblks - before.uordblks) / (2 * (N - 1)));
    for (int i = 0; i < 2 * N; i++)
        vc_crypter_free(kept[i]);
}

static void bench_records(const char *name, struct vc_record *a, struct vc_record *b, size_t n)
{
    struct buf sealed = BUF_INIT(BENCH_MAX), opened = BUF_INIT(BENCH_MAX);
    int rounds = n > 4096 ? BENCH_ROUNDS / 20 : BENCH_ROUNDS;
    static uint8_t text[65536];
    double seal = 0, open = 0;

    for (int i = 0; i < rounds; i += 16) {
        double t0 = bench_now(), t1;
        size_t each = 0;

        buf_reset(&sealed);
        for (int k = 0; k < 16; k++) {
            bench_must(vc_record_seal(a, span_of(text, n), &sealed, NULL) == 0);
            if (k == 0)
                each = sealed.len;
        }
        t1 = bench_now();
        for (int k = 0; k < 16; k++) {
            buf_reset(&opened);
            bench_must(vc_record_open(b, span_of(buf_data(&sealed) + (size_t)k * each, each),
                                      &opened, NULL) == 0);
        }
        seal += t1 - t0;
        open += bench_now() - t1;
    }
    printf("%-18s seal %8.0f ns  open %8.0f ns\n", name, seal / rounds, open / rounds);
    buf_done(&sealed);
    buf_done(&opened);
}

static void bench_forms(size_t n)
{
    static const uint8_t key[32] = {1}, mac[20] = {2};
    struct vc_record a, b;

    memset(&a, 0, sizeof a);
    memset(&b, 0, sizeof b);
    bench_must(vc_record_init_gcm(&a, span_of(key, 16), span_of(mac, 4), 1, NULL) == 0);
    bench_must(vc_record_init_gcm(&b, span_of(key, 16), span_of(mac, 4), 1, NULL) == 0);
    bench_records("AES-128-GCM", &a, &b, n);
    vc_record_done(&a);
    vc_record_done(&b);
    bench_must(vc_record_init_rc4(&a, span_of(key, 16), span_of(mac, 20), 1, 36, NULL) == 0);
    bench_must(vc_record_init_rc4(&b, span_of(key, 16), span_of(mac, 20), 1, 36, NULL) == 0);
    bench_records("RC4-128 SHA1", &a, &b, n);
    vc_record_done(&a);
    vc_record_done(&b);
}

int main(int argc, char **argv)
{
    size_t n = argc > 1 ? strtoul(argv[1], NULL, 10) : 300;
    struct vc_tls *t = NULL;

    bench_must(n > 0 && n <= 65536 && vc_tls_new(false, &t, NULL) == 0);
    bench_handshakes(t);
    printf("payload of %zu bytes:\n", n);
    bench_forms(n);
    vc_tls_free(t);
    return 0;
}
