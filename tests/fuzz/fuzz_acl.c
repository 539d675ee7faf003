/*
 * Text that people write: access lists, labels, identity files. A list that is read must print, and
 * read again to the same.
 */
#include "config.h"

#include <stdlib.h>

#include "security/acl.h"
#include "security/idfile.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool ok)
{
    if (!ok)
        abort();
}

static void fuzz_acl(struct span text)
{
    struct security_acl *acl = NULL, *again = NULL;
    struct buf first = BUF_INIT(SIZE_MAX), second = BUF_INIT(SIZE_MAX);
    struct err e = ERR_INIT;

    if (security_acl_parse(text, &acl, &e) == 0) {
        security_acl_print(&first, acl);
        require(security_acl_parse(buf_span(&first), &again, NULL) == 0);
        security_acl_print(&second, again);
        require(span_equal(buf_span(&first), buf_span(&second)));
        require(security_acl_decide(acl, NULL, NULL, NULL, 1, NULL) == WSPR_ENOTAUTH);
    } else {
        require(err_text(&e)[0] != '\0');
    }
    security_acl_free(acl);
    security_acl_free(again);
    buf_done(&first);
    buf_done(&second);
    err_done(&e);
}

static void fuzz_labels(struct span text)
{
    char out[SECURITY_LABELS_TEXT];
    uint32_t set, again;

    if (security_labels_parse(text, &set, NULL) < 0)
        return;
    security_labels_format(set, out);
    require(security_labels_parse(span_str(out), &again, NULL) == 0 && again == set);
}

static void fuzz_idfile(struct span text)
{
    struct security_private *priv = NULL;
    struct security_identity *id = NULL;

    security_idfile_parse_private(text, SECURITY_ALLOW_PLACEHOLDERS, &priv, NULL);
    security_idfile_parse_public(text, SECURITY_ALLOW_PLACEHOLDERS, &id, NULL);
    /* Of an identity, only a placeholder is both. */
    require(priv == NULL || id == NULL || security_identity_variant(id) == SECURITY_PLACEHOLDER);
    security_private_unref(priv);
    security_identity_unref(id);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_acl(span_of(data, size));
    fuzz_labels(span_of(data, size));
    fuzz_idfile(span_of(data, size));
    return 0;
}
