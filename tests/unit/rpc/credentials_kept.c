/* The memory for discharges. */
#include "config.h"

#include "credentials_tests.h"
#include "giver.h"
#include "rig.h"
#include "rpc/discharges.h"
#include "security/caveat.h"
#include "security/identity.h"
#include "tap.h"

void credentials_kept(void)
{
    static const struct hash_key key = {{1, 2}};
    struct debt debts[3];
    struct security_discharge *d[3], *again;
    struct rpc_discharges ds;
    struct security_private *debtor;
    struct giver giver;
    struct rig_ids ids;

    rig_ids_init(&ids);
    giver_init(&giver, ids.server, ids.trust);
    for (int i = 0; i < 3; i++)
        debts[i] = (struct debt){"server", &giver, "/there"};
    debtor = giver_debtor(ids.client, debts, 3);
    for (size_t i = 0; i < 3; i++)
        d[i] = giver_discharge(&giver, debtor, i);
    again = giver_discharge(&giver, debtor, 2);

    rpc_discharges_init(&ds, &key, 2, 1 << 20);
    rpc_discharges_put(&ds, d[0]);
    rpc_discharges_put(&ds, d[1]);
    TAP_IS(rpc_discharges_get(&ds, security_discharge_id(d[0])) == d[0]);
    rpc_discharges_put(&ds, d[2]); /* instead of the one that was used longest ago */
    TAP_IS(ds.n == 2 && rpc_discharges_get(&ds, security_discharge_id(d[1])) == NULL);
    TAP_IS(rpc_discharges_get(&ds, security_discharge_id(d[0])) == d[0]);
    rpc_discharges_put(&ds, again);
    TAP_IS(ds.n == 2 && rpc_discharges_get(&ds, security_discharge_id(d[2])) == again);
    TAP_IS(!rpc_discharges_drop(&ds, d[2]) && !rpc_discharges_drop(&ds, d[1]));
    TAP_IS(rpc_discharges_drop(&ds, again) && ds.n == 1);
    rpc_discharges_clear(&ds);
    TAP_IS(ds.n == 0 && ds.bytes == 0);

    rpc_discharges_init(&ds, &key, 2, security_discharge_size(d[0]) + 200);
    rpc_discharges_put(&ds, d[0]);
    rpc_discharges_put(&ds, d[1]);
    TAP_IS(ds.n == 1 && rpc_discharges_get(&ds, security_discharge_id(d[1])) == d[1]);
    rpc_discharges_clear(&ds);
    rpc_discharges_init(&ds, &key, 2, 100);
    rpc_discharges_put(&ds, d[0]);
    TAP_IS(ds.n == 0);
    for (size_t i = 0; i < 3; i++)
        security_discharge_unref(d[i]);
    security_discharge_unref(again);
    security_private_unref(debtor);
    rig_ids_done(&ids);
}
