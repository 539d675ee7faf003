/*
 * Input of the circuit's TLS: the first byte says whose (0 acceptor, 1 opener, 2 records of
 * AES-GCM, 3 records of RC4), the rest is what the peer sent. Handshakes also get it in two pieces.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "vc/record.h"
#include "vc/tls.h"

#define FUZZ_MAX (1u << 20)

#ifdef WSPR_LEGACY_PEERS
#define FUZZ_LEGACY true
#else
#define FUZZ_LEGACY false
#endif

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void fuzz_handshake(struct vc_tls *t, bool opener, const uint8_t *data, size_t size)
{
    struct buf in = BUF_INIT(FUZZ_MAX), out = BUF_INIT(FUZZ_MAX);
    struct vc_crypter *c = NULL;
    struct err e = ERR_INIT;
    size_t half = size / 2;
    int r = opener ? vc_tls_opener(t, &c, &e) : vc_tls_acceptor(t, &c, &e);

    if (r < 0)
        abort();
    if (opener)
        r = c->ops->handshake(c, &in, &out, &e);
    buf_append(&in, data, half);
    if (r == VC_CRYPTER_MORE)
        r = c->ops->handshake(c, &in, &out, &e);
    buf_append(&in, data + half, size - half);
    if (r == VC_CRYPTER_MORE)
        r = c->ops->handshake(c, &in, &out, &e);
    /* Nobody who does not know our random bytes can end a handshake. */
    if (r == VC_CRYPTER_DONE || (r < 0 && err_text(&e)[0] == '\0'))
        abort();
    vc_crypter_free(c);
    err_done(&e);
    buf_done(&in);
    buf_done(&out);
}

static void fuzz_records(bool rc4, const uint8_t *data, size_t size)
{
    static const uint8_t key[32] = {1, 2, 3}, mac[20] = {4, 5, 6};
    struct buf out = BUF_INIT(FUZZ_MAX);
    struct vc_record r;

    memset(&r, 0, sizeof r);
    if ((rc4 ? vc_record_init_rc4(&r, span_of(key, 16), span_of(mac, 20), 1, 36, NULL)
             : vc_record_init_gcm(&r, span_of(key, 16), span_of(mac, 4), 1, NULL)) < 0)
        abort();
    if (vc_record_open(&r, span_of(data, size), &out, NULL) == 0 && out.len > size)
        abort();
    vc_record_done(&r);
    buf_done(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct vc_tls *t;

    if (size == 0 || size > FUZZ_MAX / 2)
        return 0;
    if (t == NULL && vc_tls_new(FUZZ_LEGACY, &t, NULL) < 0)
        abort();
    if (data[0] % 4 < 2)
        fuzz_handshake(t, data[0] % 4 == 1, data + 1, size - 1);
    else
        fuzz_records(data[0] % 4 == 3, data + 1, size - 1);
    return 0;
}
