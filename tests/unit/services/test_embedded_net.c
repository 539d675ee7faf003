/* The embedded network: it starts, or it fails, and ends well in both cases. */
#include "config.h"

#include "base/clock.h"
#include "failmalloc.h"
#include "mounttable_tests.h"
#include "services/embedded.h"
#include "unit/rpc/raw.h"
#include "unit/rpc/rig.h"

struct net {
    struct rig_ids ids;
    struct rig rig;
    unsigned started, refused;
};

static void net_init(struct net *n)
{
    struct rig_opts opts = {0};

    *n = (struct net){0};
    rig_ids_init(&n->ids);
    opts.identity = n->ids.server;
    opts.trust = n->ids.trust;
    rig_init(&n->rig, &opts);
}

static void net_done(struct net *n)
{
    rig_done(&n->rig, true);
    rig_ids_done(&n->ids);
}

static void set_flag(void *arg)
{
    *(bool *)arg = true;
}

static bool is_set(void *arg)
{
    return *(bool *)arg;
}

static void start_and_stop(void *arg)
{
    struct net *n = arg;
    struct embedded *em = embedded_new(n->rig.w, n->rig.rt);
    struct err e = ERR_INIT;
    bool stopped = false;

    if (em == NULL) {
        n->refused++;
        return;
    }
    if (embedded_start(em, &e) == 0) {
        n->started++;
        TAP_OK(strncmp(embedded_root(em), "/@2@tcp@127.0.0.1:", 18) == 0, "%s", embedded_root(em));
    } else {
        n->refused++;
    }
    err_done(&e);
    embedded_stop(em, 0, set_flag, &stopped);
    TAP_IS(!stopped); /* only from the loop */
    TAP_OK(raw_until(n->rig.w, is_set, &stopped, 10000), "it does not stop");
}

static void starts_and_stops(void)
{
    struct net n;

    net_init(&n);
    for (int i = 0; i < 3; i++)
        start_and_stop(&n);
    TAP_IS(n.started == 3);
    net_done(&n);
}

static void failing_memory(void)
{
    unsigned long runs;
    struct net n;

    net_init(&n);
    runs = failmalloc_each(start_and_stop, &n, 1000);
    TAP_OK(runs > 10 && n.started >= 1 && n.refused > 10, "%lu runs, %u started, %u refused", runs,
           n.started, n.refused);
    net_done(&n);
}

const struct tap_case embedded_net_cases[EMBEDDED_NET_CASES] = {
    {"starts and stops", starts_and_stops},
    {"failing memory", failing_memory},
};
