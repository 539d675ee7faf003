/*
 * A crypter for tests that is keyed from recorded secrets: TLS 1.2 with ECDHE on P-256, RC4-128 and
 * HMAC-SHA1, and no random numbers of its own. What would be random, and signatures, come from a
 * script. It proves nothing about its peer beyond the Finished message. spec: stream 7.4, 7.5
 */
#ifndef TESTS_UNIT_VC_RECORDED_H
#define TESTS_UNIT_VC_RECORDED_H

#include <nettle/arcfour.h>
#include <json-c/json.h>

#include "base/buf.h"
#include "vc/crypter.h"

#define REC_MAC_LEN 20
#define REC_KEY_LEN 16

/* One direction of a session. */
struct rec_half {
    struct arcfour_ctx rc4;
    uint8_t mac[REC_MAC_LEN];
    uint64_t seq;
};

void rec_half_init(struct rec_half *h, const uint8_t *mac, const uint8_t *key);
/* Appends one record of at most 16384 bytes of plaintext. */
void rec_half_seal(struct rec_half *h, uint8_t type, struct span plain, struct buf *out);
/* Takes one whole record from the front of *in; its type, or negative. */
int rec_half_open(struct rec_half *h, struct span *in, struct buf *out);
/* The same for a payload of application data: as many records as it takes. */
void rec_half_seal_all(struct rec_half *h, struct span plain, struct buf *out);
int rec_half_open_all(struct rec_half *h, struct span in, struct buf *out);

/* What a recorded handshake had at random; handshake messages include their header. */
struct rec_script {
    uint8_t client_random[32], server_random[32];
    uint8_t client_scalar[32], server_scalar[32];
    struct buf client_hello, server_hello, certificate, key_exchange,
        ticket; /* ticket may be empty */
    /* For comparison only. */
    uint8_t premaster[32], master[48], keys[72];
};

/*
 * Fills a script from an entry of "tls" of a session and the bytes of the key exchange in both
 * directions. Ends the program if that is impossible.
 */
void rec_script_load(struct rec_script *s, struct json_object *tls, struct span client,
                     struct span server);
void rec_script_done(struct rec_script *s);

/* The script must outlive the crypter. NULL if memory is short. */
struct vc_crypter *rec_crypter_new(const struct rec_script *s, bool opener);

#endif
