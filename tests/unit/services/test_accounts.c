#include "config.h"
#include "unit/services/account_tests.h"

#include "security/key.h"

struct security_private *accounts_host(void)
{
    struct security_key *key = world_key("wsprhost");
    struct security_private *id = NULL;

    if (security_private_new_with_key(span_str("host"), key, &id, NULL) < 0)
        exit(99);
    security_key_unref(key);
    return id;
}

static const struct security_pubkey *host_key(void)
{
    static struct security_pubkey host;

    if (host.xy[0] == 0) {
        struct security_key *key = world_key("wsprhost");

        host = *security_key_public(key);
        security_key_unref(key);
    }
    return &host;
}

int accounts_decode(const struct account_stored *stored, unsigned flags,
                    struct account_state **ret_s, struct err *err)
{
    return account_state_decode(stored, host_key(), flags, ret_s, err);
}

struct account_state *accounts_make(unsigned n, struct security_private *id)
{
    struct account_state *s = account_state_new();
    char account[32], origin[32];

    for (unsigned i = 0; i < n; i++) {
        snprintf(account, sizeof account, "a%u", i);
        snprintf(origin, sizeof origin, "http://o%u", i);
        TAP_IS(account_state_add(s, span_str(account), id, NULL) == 0);
        TAP_IS(account_state_link(s, span_str(origin), span_str(account), NULL, 0, NULL) == 0);
    }
    return s;
}

static bool caveats_equal(const struct account_origin *a, const struct account_origin *b)
{
    bool same = a->n_caveats == b->n_caveats;

    for (size_t i = 0; same && i < a->n_caveats; i++)
        same = span_equal(a->caveats[i].service, b->caveats[i].service) &&
               span_equal(a->caveats[i].bytes, b->caveats[i].bytes);
    return same;
}

bool accounts_equal(const struct account_state *a, const struct account_state *b)
{
    bool same = account_state_accounts(a) == account_state_accounts(b) &&
                account_state_origins(a) == account_state_origins(b);

    for (size_t i = 0; same && i < account_state_accounts(a); i++) {
        struct security_private *x, *y;

        same = span_equal(account_state_account(a, i, &x), account_state_account(b, i, &y)) &&
               security_identity_equal(security_private_public(x), security_private_public(y)) &&
               span_equal(security_key_scalar(security_private_key(x)),
                          security_key_scalar(security_private_key(y)));
    }
    for (size_t i = 0; same && i < account_state_origins(a); i++) {
        const struct account_origin *x = account_state_origin(a, i);
        const struct account_origin *y = account_state_origin(b, i);

        same = span_equal(x->origin, y->origin) && span_equal(x->account, y->account) &&
               caveats_equal(x, y);
    }
    return same;
}

int main(int argc, char **argv)
{
    struct tap_suite suites[] = {suite_account_state, suite_account_store, suite_account_crash};
    int r = tap_main(argc, argv, suites, sizeof suites / sizeof suites[0]);

    world_end();
    return r;
}
