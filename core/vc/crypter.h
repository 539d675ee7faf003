/*
 * What protects one circuit: the key exchange on its first flow, and the sealing of payloads after
 * that (spec: stream 7). The engine knows only this interface; forms are TLS (vc/tls.h), none
 * (vc_crypter_null_new below), and one for tests that is keyed from recorded secrets.
 *
 * A crypter belongs to one circuit and is used by one thread at a time: by the job that the circuit
 * gave out (see vc/vif.h) while there is one, otherwise by the circuit on the loop's thread. It
 * needs no lock but may not depend on the thread it runs on. Everything it needs is in it or
 * immutable.
 */
#ifndef VC_CRYPTER_H
#define VC_CRYPTER_H

#include <stdbool.h>
#include <stddef.h>
#include "base/buf.h"
#include "base/error.h"
#include "base/span.h"

struct vc_crypter;

enum vc_crypter_step {
    VC_CRYPTER_MORE = 0, /* needs more bytes of the peer */
    VC_CRYPTER_DONE = 1, /* seal and open work from now on */
};

struct vc_crypter_ops {
    /*
     * One step of the key exchange: takes what it can use from the front of *in (buf_consume),
     * leaving what it cannot use yet, and appends the bytes for the peer to out. The opener's first
     * step comes with an empty *in. Answers a vc_crypter_step, or a negative code with a text such
     * as "tls: bad certificate" (the engine puts "failed to setup TLS: " before it); out is not
     * sent then. Once it is done it reads no further, whatever is left in *in. Slow: runs in a job.
     */
    int (*handshake)(struct vc_crypter *c, struct buf *in, struct buf *out, struct err *e);
    /*
     * Appends the sealed form of plain, which is never empty and at most 16 MiB, to out: whole
     * records only. Runs inline, on the way to the wire, so the order of calls is the order of the
     * peer's open. On failure out may be longer than before (the engine cuts it) and the crypter is
     * dead.
     */
    int (*seal)(struct vc_crypter *c, struct span plain, struct buf *out, struct err *e);
    /*
     * Appends what `sealed`, never empty, holds. A record that is cut, an alert, a bad code:
     * negative, and the crypter is dead. The result is never longer than `sealed`.
     */
    int (*open)(struct vc_crypter *c, struct span sealed, struct buf *out, struct err *e);
    /* Upper bound for the sealed length of n bytes, so that room is made before sealing. */
    size_t (*sealed_max)(const struct vc_crypter *c, size_t n);
    /* What protects the circuit, for logs and counters: "TLS1.2 ECDHE-ECDSA RC4-128 SHA1". */
    const char *(*describe)(const struct vc_crypter *c);
    /* The protection is one that only old peers need; NULL means never. Valid once done. */
    bool (*is_legacy)(const struct vc_crypter *c);
    void (*free)(struct vc_crypter *c);
};

/* Put this first into the struct of a form. */
struct vc_crypter {
    const struct vc_crypter_ops *ops;
};

static inline void vc_crypter_free(struct vc_crypter *c)
{
    if (c != NULL)
        c->ops->free(c);
}

/*
 * No protection: the key exchange is over at once without a byte in either direction, sealing
 * copies. For tests and fuzzing. NULL if memory is short.
 */
struct vc_crypter *vc_crypter_null_new(void);

#endif
