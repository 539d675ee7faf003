/* Records against the reference's payloads, and everything that must not open. */
#include "config.h"

#include <nettle/sha2.h>

#include "base/hex.h"
#include "failmalloc.h"
#include "tls_tests.h"
#include "vc/record.h"
#include "vectors.h"

#define ROOM (1u << 20)

static void record_from_vector(struct vc_record *r, struct json_object *keys, const char *mac,
                               const char *key)
{
    struct buf m = vec_hex(vec_str(keys, mac)), k = vec_hex(vec_str(keys, key));

    memset(r, 0, sizeof *r);
    TAP_IS(vc_record_init_rc4(r, buf_span(&k), buf_span(&m), 1, 36, NULL) == 0);
    buf_done(&m);
    buf_done(&k);
}

/* The payload of a vector: given, or byte i = i mod 251. */
static struct buf payload_of(struct json_object *v)
{
    struct buf b = BUF_INIT(ROOM);

    if (vec_str(v, "plaintext") != NULL)
        return vec_hex(vec_str(v, "plaintext"));
    for (int64_t i = 0; i < vec_int(v, "plaintext_len"); i++)
        buf_u8(&b, (uint8_t)(i % 251));
    return b;
}

static bool sealed_matches(struct json_object *v, const struct buf *sealed)
{
    struct buf text = BUF_INIT(4 * ROOM);
    uint8_t digest[SHA256_DIGEST_SIZE];
    struct sha256_ctx sha;
    bool ok;

    if ((int64_t)sealed->len != vec_int(v, "ciphertext_len"))
        return false;
    if (vec_str(v, "ciphertext") != NULL) {
        hex_encode(&text, buf_data(sealed), sealed->len);
        ok = span_equal_str(buf_span(&text), vec_str(v, "ciphertext"));
    } else {
        sha256_init(&sha);
        sha256_update(&sha, sealed->len, buf_data(sealed));
        sha256_digest(&sha, sizeof digest, digest);
        hex_encode(&text, digest, sizeof digest);
        ok = span_equal_str(buf_span(&text), vec_str(v, "ciphertext_sha256"));
    }
    buf_done(&text);
    return ok;
}

static void run_payload(struct json_object *v, struct vc_record *sealer, struct vc_record *opener)
{
    struct buf plain = payload_of(v), sealed = BUF_INIT(ROOM), opened = BUF_INIT(ROOM);
    long id = (long)vec_int(v, "id");

    TAP_OK(vc_record_seal(sealer, buf_span(&plain), &sealed, NULL) == 0, "seal %ld", id);
    TAP_OK(sealed_matches(v, &sealed), "seal %ld gives something else", id);
    TAP_IS(sealed.len <= vc_record_sealed_max(sealer, plain.len));
    TAP_OK(vc_record_open(opener, buf_span(&sealed), &opened, NULL) == 0 &&
               span_equal(buf_span(&opened), buf_span(&plain)),
           "open %ld", id);
    buf_done(&plain);
    buf_done(&sealed);
    buf_done(&opened);
}

static void payloads_of_the_reference(void)
{
    struct json_object *all = vectors_load("stream.json"), *list = vec_get(all, "vectors");
    struct vc_record sealers[2], openers[2];
    unsigned n = 0, keys = 0;

    for (size_t i = 0; i < json_object_array_length(list); i++) {
        struct json_object *v = json_object_array_get_idx(list, i);
        const char *kind = vec_str(v, "kind");

        if (strcmp(kind, "tls_keys") == 0) {
            record_from_vector(&sealers[0], v, "client_mac_key", "client_rc4_key");
            record_from_vector(&openers[0], v, "client_mac_key", "client_rc4_key");
            record_from_vector(&sealers[1], v, "server_mac_key", "server_rc4_key");
            record_from_vector(&openers[1], v, "server_mac_key", "server_rc4_key");
            keys++;
        } else if (strcmp(kind, "tls_payload") == 0 && keys == 1) {
            int d = strcmp(vec_str(v, "dir"), "c2s") != 0;

            run_payload(v, &sealers[d], &openers[d]);
            n++;
        }
    }
    TAP_IS(keys == 1 && n == 14);
    tap_note("stream.json tls_keys: %u, tls_payload: %u", keys, n);
    for (int d = 0; d < 2; d++) {
        vc_record_done(&sealers[d]);
        vc_record_done(&openers[d]);
    }
    json_object_put(all);
}

/* Both forms with fixed keys. */
static void record_make(struct vc_record *r, enum vc_record_form form)
{
    static const uint8_t key[32] = {1, 2, 3}, mac[20] = {4, 5, 6};

    memset(r, 0, sizeof *r);
    if (form == VC_RECORD_GCM)
        TAP_IS(vc_record_init_gcm(r, span_of(key, 16), span_of(mac, 4), 1, NULL) == 0);
    else
        TAP_IS(vc_record_init_rc4(r, span_of(key, 16), span_of(mac, 20), 1, 36, NULL) == 0);
}

static const enum vc_record_form forms[] = {VC_RECORD_GCM, VC_RECORD_RC4};

static void every_size_comes_back(void)
{
    static const size_t sizes[] = {0, 1, 15, 16, 300, 16383, 16384, 16385, 32768, 65536, 200001};
    static const size_t overhead[] = {29, 25};

    for (size_t f = 0; f < 2; f++) {
        struct buf plain = BUF_INIT(ROOM), sealed = BUF_INIT(ROOM), opened = BUF_INIT(ROOM);
        struct vc_record a, b;

        record_make(&a, forms[f]);
        record_make(&b, forms[f]);
        for (size_t i = 0; i < 200001; i++)
            buf_u8(&plain, (uint8_t)(i * 7));
        for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
            struct span p = span_of(buf_data(&plain), sizes[i]);
            size_t records = (sizes[i] + VC_RECORD_MAX - 1) / VC_RECORD_MAX;

            buf_reset(&sealed);
            buf_reset(&opened);
            TAP_IS(vc_record_seal(&a, p, &sealed, NULL) == 0);
            TAP_OK(sealed.len == sizes[i] + records * overhead[f], "%zu to %zu", sizes[i],
                   sealed.len);
            TAP_IS(sealed.len <= vc_record_sealed_max(&a, sizes[i]));
            TAP_IS(vc_record_open(&b, buf_span(&sealed), &opened, NULL) == 0);
            TAP_IS(span_equal(buf_span(&opened), p));
        }
        /* Several payloads in one string. */
        buf_reset(&sealed);
        buf_reset(&opened);
        TAP_IS(vc_record_seal(&a, span_str("one"), &sealed, NULL) == 0);
        TAP_IS(vc_record_seal(&a, span_str("two"), &sealed, NULL) == 0);
        TAP_IS(vc_record_open(&b, buf_span(&sealed), &opened, NULL) == 0);
        TAP_IS(span_equal_str(buf_span(&opened), "onetwo"));
        vc_record_done(&a);
        vc_record_done(&b);
        buf_done(&plain);
        buf_done(&sealed);
        buf_done(&opened);
    }
}

/* Whether a fresh opener takes these bytes. It must be dead afterwards if it does not. */
static bool opens(enum vc_record_form form, struct span sealed)
{
    struct buf opened = BUF_INIT(ROOM), again = BUF_INIT(ROOM);
    struct vc_record a, b;
    struct err e = ERR_INIT;
    int r;

    record_make(&a, form);
    record_make(&b, form);
    r = vc_record_open(&b, sealed, &opened, &e);
    TAP_IS(r == 0 || (r == WSPR_ECRYPTO && strncmp(err_text(&e), "tls: ", 5) == 0));
    if (r < 0) {
        vc_record_seal(&a, span_str("x"), &again, NULL);
        TAP_IS(vc_record_open(&b, buf_span(&again), &opened, NULL) == WSPR_ECRYPTO);
    }
    vc_record_done(&a);
    vc_record_done(&b);
    buf_done(&opened);
    buf_done(&again);
    err_done(&e);
    return r == 0;
}

static void damaged_records_do_not_open(void)
{
    for (size_t f = 0; f < 2; f++) {
        struct buf sealed = BUF_INIT(ROOM);
        struct vc_record a;
        uint8_t *p;

        record_make(&a, forms[f]);
        vc_record_seal(&a, span_str("first"), &sealed, NULL);
        vc_record_seal(&a, span_str("second"), &sealed, NULL);
        p = buf_data(&sealed);
        TAP_IS(opens(forms[f], buf_span(&sealed)));
        for (size_t i = 0; i < sealed.len; i++) {
            bool whole = i == 0 || i == 5u + (size_t)p[4];

            TAP_OK(opens(forms[f], span_of(p, i)) == whole, "form %zu cut at %zu", f, i);
            for (int bit = 0; bit < 8; bit++) {
                p[i] ^= (uint8_t)(1 << bit);
                TAP_OK(!opens(forms[f], buf_span(&sealed)), "form %zu byte %zu", f, i);
                p[i] ^= (uint8_t)(1 << bit);
            }
        }
        /* The second record in the place of the first. */
        TAP_IS(!opens(forms[f], span_of(p + 5 + p[4], sealed.len - 5 - p[4])));
        vc_record_done(&a);
        buf_done(&sealed);
    }
}

/* A record of n bytes that is right in everything else, made without our code. */
static struct buf foreign_record(enum vc_record_form form, size_t n)
{
    static const uint8_t key[32] = {1, 2, 3}, mac[20] = {4, 5, 6};
    size_t body = form == VC_RECORD_GCM ? 8 + n + 16 : n + 20, len = n + 16;
    uint8_t aad[13] = {0, 0, 0, 0, 0, 0, 0, 1, 23, 3, 3, (uint8_t)(n >> 8), (uint8_t)n};
    uint8_t nonce[12] = {4, 5, 6, 0, 0, 0, 0, 0, 0, 0, 0, 1}, spent[36] = {0};
    struct buf b = BUF_INIT(ROOM);
    uint8_t *p = buf_reserve(&b, 5 + body);

    memset(p, 0, 5 + body);
    memcpy(p, (uint8_t[]){23, 3, 3, (uint8_t)(body >> 8), (uint8_t)body}, 5);
    if (form == VC_RECORD_GCM) {
        gnutls_datum_t k = {(unsigned char *)(uintptr_t)key, 16};
        gnutls_aead_cipher_hd_t h;

        memcpy(p + 5, nonce + 4, 8);
        TAP_IS(gnutls_aead_cipher_init(&h, GNUTLS_CIPHER_AES_128_GCM, &k) == 0);
        TAP_IS(gnutls_aead_cipher_encrypt(h, nonce, 12, aad, 13, 16, p + 13, n, p + 13, &len) == 0);
        gnutls_aead_cipher_deinit(h);
    } else {
        struct arcfour_ctx rc4;
        struct hmac_sha1_ctx hmac;

        hmac_sha1_set_key(&hmac, sizeof mac, mac);
        hmac_sha1_update(&hmac, sizeof aad, aad);
        hmac_sha1_update(&hmac, n, p + 5);
        hmac_sha1_digest(&hmac, 20, p + 5 + n);
        arcfour_set_key(&rc4, 16, key);
        arcfour_crypt(&rc4, sizeof spent, spent, spent);
        arcfour_crypt(&rc4, body, p + 5, p + 5);
    }
    buf_commit(&b, 5 + body);
    return b;
}

static void alerts_and_giants_do_not_open(void)
{
    static const uint8_t alert[] = {21, 3, 3, 0, 2, 1, 0};
    static const size_t sizes[] = {0, 16384, 16385};

    for (size_t f = 0; f < 2; f++) {
        TAP_IS(!opens(forms[f], span_of(alert, sizeof alert)));
        for (size_t i = 0; i < 3; i++) {
            struct buf b = foreign_record(forms[f], sizes[i]);

            TAP_OK(opens(forms[f], buf_span(&b)) == (sizes[i] <= VC_RECORD_MAX), "%zu", sizes[i]);
            buf_done(&b);
        }
    }
}

static void output_is_bounded(void)
{
    for (size_t f = 0; f < 2; f++) {
        struct buf sealed = BUF_INIT(100), opened = BUF_INIT(10), plenty = BUF_INIT(1000);
        char text[90] = {0};
        struct vc_record a, b;

        record_make(&a, forms[f]);
        record_make(&b, forms[f]);
        TAP_IS(vc_record_seal(&a, span_of(text, 50), &sealed, NULL) == 0);
        TAP_IS(vc_record_seal(&a, span_of(text, 90), &sealed, NULL) == WSPR_ELIMIT);
        TAP_IS(vc_record_seal(&a, span_of(text, 1), &plenty, NULL) == WSPR_ECRYPTO);
        TAP_IS(vc_record_open(&b, buf_span(&sealed), &opened, NULL) == WSPR_ELIMIT);
        vc_record_done(&a);
        vc_record_done(&b);
        buf_done(&sealed);
        buf_done(&opened);
        buf_done(&plenty);
    }
}

static void keys_are_checked(void)
{
    static const uint8_t key[32];
    struct vc_record r;
    struct buf out = BUF_INIT(100);

    memset(&r, 0, sizeof r);
    TAP_IS(vc_record_init_gcm(&r, span_of(key, 15), span_of(key, 4), 1, NULL) == WSPR_ECRYPTO);
    TAP_IS(vc_record_init_gcm(&r, span_of(key, 16), span_of(key, 3), 1, NULL) == WSPR_ECRYPTO);
    TAP_IS(vc_record_init_rc4(&r, span_of(key, 5), span_of(key, 20), 1, 0, NULL) == WSPR_ECRYPTO);
    TAP_IS(vc_record_init_rc4(&r, span_of(key, 16), span_of(key, 16), 1, 0, NULL) == WSPR_ECRYPTO);
    TAP_IS(vc_record_init_rc4(&r, span_of(key, 16), span_of(key, 20), 1, 65, NULL) == WSPR_ECRYPTO);
    TAP_IS(vc_record_seal(&r, span_str("x"), &out, NULL) == WSPR_ECRYPTO && out.len == 0);
    TAP_IS(vc_record_init_gcm(&r, span_of(key, 32), span_of(key, 4), 1, NULL) == 0);
    vc_record_done(&r);
    buf_done(&out);
}

static const struct tap_case record_cases[] = {
    {"payloads_of_the_reference", payloads_of_the_reference},
    {"every_size_comes_back", every_size_comes_back},
    {"damaged_records_do_not_open", damaged_records_do_not_open},
    {"alerts_and_giants_do_not_open", alerts_and_giants_do_not_open},
    {"output_is_bounded", output_is_bounded},
    {"keys_are_checked", keys_are_checked},
};

const struct tap_suite tls_record_suite = TAP_SUITE("record", record_cases);
