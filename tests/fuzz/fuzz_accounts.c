/*
 * Stored accounts from any bytes: as data behind a good signature, which an attacker does not have,
 * and as the signature of good data. What loads can be written, and loads again to the same size.
 */
#include "config.h"

#include <stdlib.h>

#include "security/identity.h"
#include "security/key.h"
#include "services/account_state.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool ok)
{
    if (!ok)
        abort();
}

static struct security_key *host_key(void)
{
    static const uint8_t scalar[] = {0x12, 0x34};
    struct security_key *key = NULL;

    require(security_key_from_scalar(span_of(scalar, sizeof scalar), &key, NULL) == 0);
    return key;
}

static int load(const struct security_key *key, struct span data, struct account_state **ret_s)
{
    struct buf sig = BUF_INIT(ACCOUNT_SIGNATURE_MAX);
    struct account_stored stored;
    struct err e = ERR_INIT;
    int r;

    require(account_state_sign(data, key, &sig, NULL) == 0);
    stored = (struct account_stored){data, buf_span(&sig)};
    r = account_state_decode(&stored, security_key_public(key), SECURITY_ALLOW_PLACEHOLDERS, ret_s,
                             &e);
    require(r == 0 || (*ret_s == NULL && err_text(&e)[0] != '\0'));
    buf_done(&sig);
    err_done(&e);
    return r;
}

static void again(const struct security_key *key, const struct account_state *s)
{
    struct buf out = BUF_INIT(ACCOUNT_DATA_MAX), twice = BUF_INIT(ACCOUNT_DATA_MAX);
    struct account_state *t = NULL;

    if (account_state_encode(s, &out, NULL) == 0) {
        require(load(key, buf_span(&out), &t) == 0);
        require(account_state_accounts(s) == account_state_accounts(t));
        require(account_state_origins(s) == account_state_origins(t));
        require(account_state_encode(t, &twice, NULL) == 0);
        require(span_equal(buf_span(&out), buf_span(&twice)));
    }
    account_state_free(t);
    security_buf_wipe(&out);
    security_buf_wipe(&twice);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct security_key *key = host_key();
    struct account_state *s = NULL;
    struct account_stored stored = {span_str("x"),
                                    span_of(data != NULL ? data : (const void *)"", size)};

    if (load(key, span_of(data != NULL ? data : (const void *)"", size), &s) == 0)
        again(key, s);
    account_state_free(s);
    s = NULL;
    /* Not ours to make, even for a fuzzer. */
    require(account_state_decode(&stored, security_key_public(key), 0, &s, NULL) < 0);
    security_key_unref(key);
    return 0;
}
