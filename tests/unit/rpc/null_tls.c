/*
 * Stands for the TLS form of the crypter in the tests of recordings: no protection, so that what
 * goes over a circuit is the recorded plaintext and nothing else takes time.
 */
#include "config.h"

#include <stdlib.h>

#include "vc/tls.h"
#include "wspr/error.h"

struct vc_tls {
    int unused;
};

int vc_tls_new(bool legacy, struct vc_tls **ret_tls, struct err *e)
{
    struct vc_tls *t = calloc(1, sizeof *t);

    if (t == NULL)
        return err_set(e, WSPR_ENOMEM, "out of memory");
    *ret_tls = t;
    return 0;
}

void vc_tls_free(struct vc_tls *t)
{
    free(t);
}

bool vc_tls_legacy(const struct vc_tls *t)
{
    return false;
}

int vc_tls_opener(const struct vc_tls *t, struct vc_crypter **ret_crypter, struct err *e)
{
    struct vc_crypter *c = vc_crypter_null_new();

    if (c == NULL)
        return err_set(e, WSPR_ENOMEM, "out of memory");
    *ret_crypter = c;
    return 0;
}

int vc_tls_acceptor(struct vc_tls *t, struct vc_crypter **ret_crypter, struct err *e)
{
    return vc_tls_opener(t, ret_crypter, e);
}
