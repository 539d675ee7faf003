/*
 *     17 03 03 len16 | nonce 8, AES-GCM(plaintext), tag 16      nonce: salt 4 | the sequence number
 *     17 03 03 len16 | RC4(plaintext, HMAC-SHA1 20)
 *
 * Both authenticate seq64, 17 03 03 and the plaintext's length before the plaintext itself.
 */
#include "config.h"
#include "vc/record.h"

#include <string.h>

#include "base/mem.h"

#define RECORD_HEAD     5
#define RECORD_TYPE     23 /* application data */
#define RECORD_ALERT    21
#define RECORD_VERSION  0x0303
#define RECORD_AAD      13
#define RECORD_NONCE    8 /* the part that travels */
#define RECORD_TAG      16
#define RECORD_MAC      SHA1_DIGEST_SIZE
#define RECORD_OVERHEAD (RECORD_HEAD + RECORD_NONCE + RECORD_TAG) /* of the longer form */

static int record_fail(struct vc_record *r, struct err *e, const char *what)
{
    r->dead = true;
    return err_set(e, WSPR_ECRYPTO, "tls: %s", what);
}

int vc_record_init_gcm(struct vc_record *r, struct span key, struct span salt, uint64_t seq,
                       struct err *e)
{
    gnutls_cipher_algorithm_t algorithm =
        key.len == 16 ? GNUTLS_CIPHER_AES_128_GCM : GNUTLS_CIPHER_AES_256_GCM;
    gnutls_datum_t datum = {(unsigned char *)(uintptr_t)key.p, (unsigned)key.len};

    if ((key.len != 16 && key.len != 32) || salt.len != sizeof r->salt)
        return err_set(e, WSPR_ECRYPTO, "tls: unexpected size of a record key");
    if (gnutls_aead_cipher_init(&r->aead, algorithm, &datum) < 0)
        return err_set(e, WSPR_ECRYPTO, "tls: AES-GCM is not to be had");
    memcpy(r->salt, salt.p, sizeof r->salt);
    r->form = VC_RECORD_GCM;
    r->dead = false;
    r->seq = seq;
    return 0;
}

int vc_record_init_rc4(struct vc_record *r, struct span key, struct span mac_key, uint64_t seq,
                       size_t used, struct err *e)
{
    uint8_t spent[64] = {0};

    if (key.len != 16 || mac_key.len != RECORD_MAC || used > sizeof spent)
        return err_set(e, WSPR_ECRYPTO, "tls: unexpected size of a record key");
    arcfour_set_key(&r->rc4, key.len, key.p);
    arcfour_crypt(&r->rc4, used, spent, spent);
    mem_wipe(spent, sizeof spent);
    hmac_sha1_set_key(&r->mac, mac_key.len, mac_key.p);
    r->form = VC_RECORD_RC4;
    r->dead = false;
    r->seq = seq;
    return 0;
}

void vc_record_done(struct vc_record *r)
{
    if (r->form == VC_RECORD_GCM)
        gnutls_aead_cipher_deinit(r->aead);
    mem_wipe(r, sizeof *r);
}

size_t vc_record_sealed_max(const struct vc_record *r, size_t n)
{
    return n + (n / VC_RECORD_MAX + 1) * RECORD_OVERHEAD;
}

static void record_put16(uint8_t *p, size_t n)
{
    p[0] = (uint8_t)(n >> 8);
    p[1] = (uint8_t)n;
}

static void record_head(uint8_t *p, size_t len)
{
    p[0] = RECORD_TYPE;
    record_put16(p + 1, RECORD_VERSION);
    record_put16(p + 3, len);
}

static void record_seq(const struct vc_record *r, uint8_t *p)
{
    for (int i = 0; i < 8; i++)
        p[i] = (uint8_t)(r->seq >> (56 - 8 * i));
}

/* What is authenticated besides the plaintext. */
static void record_aad(const struct vc_record *r, size_t len, uint8_t aad[RECORD_AAD])
{
    record_seq(r, aad);
    record_head(aad + 8, len);
}

/* GCM: n bytes of p to out, which has room. Returns the length of the record. */

static size_t gcm_seal(struct vc_record *r, const uint8_t *p, size_t n, uint8_t *out)
{
    uint8_t aad[RECORD_AAD], nonce[sizeof r->salt + RECORD_NONCE];
    size_t len = n + RECORD_TAG;

    record_aad(r, n, aad);
    memcpy(nonce, r->salt, sizeof r->salt);
    record_seq(r, nonce + sizeof r->salt);
    record_head(out, RECORD_NONCE + len);
    record_seq(r, out + RECORD_HEAD);
    if (gnutls_aead_cipher_encrypt(r->aead, nonce, sizeof nonce, aad, sizeof aad, RECORD_TAG, p, n,
                                   out + RECORD_HEAD + RECORD_NONCE, &len) < 0)
        return 0;
    return RECORD_HEAD + RECORD_NONCE + len;
}

/* Returns the length of the plaintext, or -1. */
static ssize_t gcm_open(struct vc_record *r, const uint8_t *p, size_t n, uint8_t *out)
{
    uint8_t aad[RECORD_AAD], nonce[sizeof r->salt + RECORD_NONCE];
    size_t len;

    if (n < RECORD_NONCE + RECORD_TAG || n - RECORD_NONCE - RECORD_TAG > VC_RECORD_MAX)
        return -1;
    len = n - RECORD_NONCE - RECORD_TAG;
    record_aad(r, len, aad);
    memcpy(nonce, r->salt, sizeof r->salt);
    memcpy(nonce + sizeof r->salt, p, RECORD_NONCE);
    if (gnutls_aead_cipher_decrypt(r->aead, nonce, sizeof nonce, aad, sizeof aad, RECORD_TAG,
                                   p + RECORD_NONCE, n - RECORD_NONCE, out, &len) < 0)
        return -1;
    return (ssize_t)len;
}

static void rc4_mac(struct vc_record *r, const uint8_t *p, size_t n, uint8_t mac[RECORD_MAC])
{
    uint8_t aad[RECORD_AAD];

    record_aad(r, n, aad);
    hmac_sha1_update(&r->mac, sizeof aad, aad);
    hmac_sha1_update(&r->mac, n, p);
    hmac_sha1_digest(&r->mac, RECORD_MAC, mac);
}

static size_t rc4_seal(struct vc_record *r, const uint8_t *p, size_t n, uint8_t *out)
{
    uint8_t mac[RECORD_MAC];

    rc4_mac(r, p, n, mac);
    record_head(out, n + RECORD_MAC);
    out += RECORD_HEAD;
    arcfour_crypt(&r->rc4, n, out, p);
    arcfour_crypt(&r->rc4, RECORD_MAC, out + n, mac);
    return RECORD_HEAD + n + RECORD_MAC;
}

static ssize_t rc4_open(struct vc_record *r, const uint8_t *p, size_t n, uint8_t *out)
{
    uint8_t theirs[RECORD_MAC], ours[RECORD_MAC];

    if (n < RECORD_MAC || n - RECORD_MAC > VC_RECORD_MAX)
        return -1;
    n -= RECORD_MAC;
    arcfour_crypt(&r->rc4, n, out, p);
    arcfour_crypt(&r->rc4, RECORD_MAC, theirs, p + n);
    rc4_mac(r, out, n, ours);
    return mem_equal_secret(ours, theirs, RECORD_MAC) ? (ssize_t)n : -1;
}

int vc_record_seal(struct vc_record *r, struct span plain, struct buf *out, struct err *e)
{
    if (r->dead || r->form == VC_RECORD_NONE)
        return record_fail(r, e, "sealing after a failure");
    while (plain.len > 0) {
        size_t n = plain.len < VC_RECORD_MAX ? plain.len : VC_RECORD_MAX, len;
        uint8_t *room = buf_reserve(out, n + RECORD_OVERHEAD);

        if (room == NULL) {
            record_fail(r, e, "no room for a record");
            return buf_error(out);
        }
        len = r->form == VC_RECORD_GCM ? gcm_seal(r, plain.p, n, room)
                                       : rc4_seal(r, plain.p, n, room);
        if (len == 0)
            return record_fail(r, e, "encryption failed");
        buf_commit(out, len);
        r->seq++;
        plain.p += n;
        plain.len -= n;
    }
    return 0;
}

int vc_record_open(struct vc_record *r, struct span sealed, struct buf *out, struct err *e)
{
    if (r->dead || r->form == VC_RECORD_NONE)
        return record_fail(r, e, "opening after a failure");
    while (sealed.len > 0) {
        size_t len;
        uint8_t *room;
        ssize_t n;

        if (sealed.len < RECORD_HEAD)
            return record_fail(r, e, "a record is cut");
        len = (size_t)sealed.p[3] << 8 | sealed.p[4];
        if (sealed.p[0] == RECORD_ALERT)
            return record_fail(r, e, "alert");
        if (sealed.p[0] != RECORD_TYPE || sealed.p[1] != RECORD_VERSION >> 8 ||
            sealed.p[2] != (RECORD_VERSION & 0xff))
            return record_fail(r, e, "not a record of application data");
        if (len > sealed.len - RECORD_HEAD)
            return record_fail(r, e, "a record is cut");
        room = buf_reserve(out, len);
        if (room == NULL) {
            record_fail(r, e, "no room for a record");
            return buf_error(out);
        }
        n = r->form == VC_RECORD_GCM ? gcm_open(r, sealed.p + RECORD_HEAD, len, room)
                                     : rc4_open(r, sealed.p + RECORD_HEAD, len, room);
        if (n < 0)
            return record_fail(r, e, "bad record MAC");
        buf_commit(out, (size_t)n);
        r->seq++;
        sealed.p += RECORD_HEAD + len;
        sealed.len -= RECORD_HEAD + len;
    }
    return 0;
}
