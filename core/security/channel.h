/*
 * The messages by which the ends of a circuit prove who they are (spec: stream 8, security 12).
 * Encryption is the caller's: fields of a message are ciphertext, the other functions take what was
 * decrypted. A receiver decrypts and checks in this order, since both its crypter and the error
 * that wins depend on it:
 *
 *     security_channel_decode          message
 *     decrypt channel_id               security_channel_check_label
 *     decrypt id                       security_channel_identity
 *     decrypt sign_r, sign_s           security_channel_verify         (version 1)
 *     decrypt signature                security_channel_verify_vom     (later versions)
 *
 * Any thread; the identity and the signature cost milliseconds.
 */
#ifndef SECURITY_CHANNEL_H
#define SECURITY_CHANNEL_H

#include <stdbool.h>
#include "base/buf.h"
#include "base/error.h"
#include "base/span.h"
#include "security/identity.h"
#include "security/key.h"

/* A longer message is WSPR_ELIMIT. Leaves room for record headers around an identity. */
#define SECURITY_CHANNEL_MAX (SECURITY_IDENTITY_MAX + 16384u)

/* The identity message; empty fields are absent. */
struct security_channel_message {
    struct span channel_id, id, sign_r, sign_s, signature;
};

/* Appends the whole VOM stream. */
int security_channel_encode(struct buf *out, const struct security_channel_message *m);
/*
 * Reads a message from the front of what came so far on the flow. 0: *ret_used bytes were the
 * message, whose spans point into the input. WSPR_EAGAIN: more bytes are needed. Else an error,
 * `failed to decode identityMessage: …`.
 */
int security_channel_decode(struct span in, struct security_channel_message *ret_message,
                            size_t *ret_used, struct err *e);

/* "server" or "client": what the named end encrypts into channel_id. */
struct span security_channel_label(bool server);
/* Plaintext of channel_id, sent by the server if from_server. */
int security_channel_check_label(struct span plain, bool from_server, struct err *e);
/* Plaintext of id: decodes and verifies the identity. */
int security_channel_identity(struct span plain, unsigned flags, struct security_identity **ret_id,
                              struct err *e);
/* Signature over the ciphertext `channel_id`: plaintexts of sign_r and sign_s. */
int security_channel_verify(const struct security_identity *id, struct span channel_id,
                            struct span r, struct span s, struct err *e);
/* The same with the plaintext of signature. */
int security_channel_verify_vom(const struct security_identity *id, struct span channel_id,
                                struct span signature, struct err *e);
/*
 * Signs the ciphertext. Version 1 sends encrypted R and S (security_signed_view), later versions
 * the encrypted result of security_signature_encode.
 */
int security_channel_sign(const struct security_private *id, struct span channel_id,
                          struct security_signed *ret_signed, struct err *e);

#endif
