/*
 * Identities from any bytes, taken as a public and as a private one. What decodes must encode, and
 * decode again to the same.
 */
#include "config.h"

#include <stdlib.h>

#include "security/caveat.h"
#include "security/identity.h"
#include "security/pattern.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool ok)
{
    if (!ok)
        abort();
}

static void use(struct security_identity *id)
{
    struct span names[SECURITY_CERTS_MAX];
    struct security_identity *rest;
    struct security_context c = {.now = 1400000000000000000, .local = id};
    struct err e = ERR_INIT;
    struct buf text = BUF_INIT(SIZE_MAX);

    require(security_identity_names(id, NULL, names, SECURITY_CERTS_MAX) <= SECURITY_CERTS_MAX);
    security_identity_print(&text, id, NULL);
    require(buf_error(&text) == 0);
    security_pattern_match(span_str("a/b/*"), id, NULL);
    if (security_authorize(id, &c, &rest, &e) == 0)
        security_identity_unref(rest);
    else
        require(err_text(&e)[0] != '\0');
    security_identity_expires(id);
    buf_done(&text);
    err_done(&e);
}

static void fuzz_public(struct span in)
{
    struct security_identity *id = NULL, *again = NULL;
    struct buf out = BUF_INIT(SIZE_MAX);
    struct err e = ERR_INIT;

    if (security_identity_decode(in, SECURITY_ALLOW_PLACEHOLDERS, &id, &e) == 0) {
        use(id);
        require(security_identity_encode(&out, id) == 0);
        require(security_identity_decode(buf_span(&out), SECURITY_ALLOW_PLACEHOLDERS, &again,
                                         NULL) == 0);
        require(security_identity_equal(id, again));
    } else {
        require(id == NULL && err_text(&e)[0] != '\0');
    }
    security_identity_unref(id);
    security_identity_unref(again);
    buf_done(&out);
    err_done(&e);
}

static void fuzz_private(struct span in)
{
    struct security_private *id = NULL, *again = NULL;
    struct buf out = BUF_INIT(SIZE_MAX);

    if (security_private_decode(in, 0, &id, NULL) == 0) {
        require(security_private_encode(&out, id) == 0);
        require(security_private_decode(buf_span(&out), 0, &again, NULL) == 0);
        require(
            security_identity_equal(security_private_public(id), security_private_public(again)));
    }
    security_private_unref(id);
    security_private_unref(again);
    security_buf_wipe(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_public(span_of(data, size));
    fuzz_private(span_of(data, size));
    return 0;
}
