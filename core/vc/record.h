/*
 * TLS 1.2 records of application data, one direction of one circuit (spec: stream 7.4). Two forms:
 * an AEAD with an explicit nonce (AES-GCM) and RC4 with HMAC-SHA1. The keys come from a handshake
 * that is over; nothing else of TLS is left.
 */
#ifndef VC_RECORD_H
#define VC_RECORD_H

#include <stdbool.h>
#include <stdint.h>

#include <gnutls/crypto.h>
#include <nettle/arcfour.h>
#include <nettle/hmac.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/span.h"

#define VC_RECORD_MAX 16384 /* plaintext bytes of one record */

enum vc_record_form { VC_RECORD_NONE, VC_RECORD_GCM, VC_RECORD_RC4 };

struct vc_record {
    enum vc_record_form form;
    bool dead;    /* something failed: nothing works any more */
    uint64_t seq; /* of the next record */
    gnutls_aead_cipher_hd_t aead;
    uint8_t salt[4]; /* the fixed part of GCM's nonce */
    struct arcfour_ctx rc4;
    struct hmac_sha1_ctx mac;
};

/* Key of 16 or 32 bytes, salt of 4. WSPR_ECRYPTO. The record must be empty or zeroed. */
int vc_record_init_gcm(struct vc_record *r, struct span key, struct span salt, uint64_t seq,
                       struct err *e);
/* Key of 16 bytes of which `used` bytes of keystream are spent, MAC key of 20. WSPR_ECRYPTO. */
int vc_record_init_rc4(struct vc_record *r, struct span key, struct span mac_key, uint64_t seq,
                       size_t used, struct err *e);
/* Wipes the keys. */
void vc_record_done(struct vc_record *r);

/* Most bytes that n bytes become. */
size_t vc_record_sealed_max(const struct vc_record *r, size_t n);
/* Appends the records for `plain`; none if it is empty. WSPR_ECRYPTO, or the error of out. */
int vc_record_seal(struct vc_record *r, struct span plain, struct buf *out, struct err *e);
/* Appends the plaintext of whole records. A cut one, an alert, a wrong code: WSPR_ECRYPTO. */
int vc_record_open(struct vc_record *r, struct span sealed, struct buf *out, struct err *e);

#endif
