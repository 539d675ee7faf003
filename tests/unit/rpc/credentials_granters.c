/* Granters, and servers that calls are kept from. */
#include "config.h"

#include <unistd.h>

#include "base/clock.h"
#include "credentials_tests.h"
#include "raw.h"
#include "rpc/resolve.h"
#include "security/identity.h"
#include "tap.h"
#include "twin.h"

#define WAIT 30000 /* milliseconds */

static struct twin t;

static int test_grant(struct rpc_granter *granter, const struct security_identity *server,
                      struct security_identity **ret_blessing, struct err *err)
{
    struct test_granter *g = (struct test_granter *)granter;
    struct security_blessing b = {
        .name = span_str("blessed"), .now = clock_wall(), .duration = 3600 * CLOCK_S};
    char c;

    atomic_fetch_add(&g->running, 1);
    if (g->gate[0] >= 0 && read(g->gate[0], &c, 1) != 1)
        return WSPR_EINTERNAL;
    if (g->never != NULL && security_identity_equal(server, security_private_public(g->never)))
        return WSPR_EINVAL;
    if (g->nothing) {
        *ret_blessing = NULL;
        return 0;
    }
    return security_private_bless(g->blesser, security_identity_key(server), &b, ret_blessing, err);
}

static void test_granter_free(struct rpc_granter *granter)
{
    ((struct test_granter *)granter)->freed++;
}

void test_granter_init(struct test_granter *g, struct security_private *blesser)
{
    *g = (struct test_granter){
        .granter = {.grant = test_grant, .free = test_granter_free, .refs = 1},
        .blesser = blesser,
        .gate = {-1, -1},
    };
}

static void start(struct tcall *c, const char *name, const char *method, struct rpc_call_opts opts)
{
    struct vom_value arg = vom_value_str("hi");
    struct tcall_how how = {.name = name, .method = method, .args = &arg, .opts = opts};

    how.n_args = strcmp(method, "EchoIDs") != 0;
    how.opts.n_results = 2;
    tcall_init(c);
    TAP_IS(tcall_start(c, twin_client(&t), &how));
}

static void blessed(bool offload)
{
    struct twin_opts opts = {.offload = offload};
    struct test_granter g;
    struct tcall c;

    twin_init(&t, &opts);
    test_granter_init(&g, t.ids.client);
    start(&c, t.name, "EchoBlessing", (struct rpc_call_opts){.granter = &g.granter});
    twin_wait(&t, &c);
    TWIN_OK(&c);
    TAP_IS(c.n_results == 2 && span_equal_str(c.results[1].s, "client/blessed"));
    tcall_done(&c);
    g.nothing = true;
    start(&c, t.name, "EchoIDs", (struct rpc_call_opts){.granter = &g.granter});
    twin_wait(&t, &c);
    TWIN_OK(&c);
    TAP_IS(c.n_results == 2 && span_equal_str(c.results[1].s, "client"));
    tcall_done(&c);
    TAP_IS(g.freed == 0 && g.granter.refs == 1 && g.running == 2);
    twin_done(&t);
}

void credentials_blessing(void)
{
    blessed(false);
    blessed(true);
}

static bool grants(void *arg)
{
    return atomic_load(&((struct test_granter *)arg)->running) > 0;
}

static bool is_free(void *arg)
{
    return ((struct test_granter *)arg)->freed > 0;
}

/* The granter is still at work when nobody waits for it any more. */
void credentials_cancelled_granting(void)
{
    struct twin_opts opts = {.offload = true};
    struct test_granter g;
    struct tcall c;

    twin_init(&t, &opts);
    test_granter_init(&g, t.ids.client);
    TAP_IS(pipe(g.gate) == 0);
    start(&c, t.name, "EchoBlessing", (struct rpc_call_opts){.granter = &g.granter});
    rpc_granter_unref(&g.granter);
    TAP_OK(raw_until(t.s.w, grants, &g, WAIT), "the granter is not asked");
    rpc_call_cancel(c.call);
    c.call = NULL;
    tcall_done(&c);
    TAP_IS(g.freed == 0);
    TAP_IS(write(g.gate[1], "x", 1) == 1);
    TAP_OK(raw_until(t.s.w, is_free, &g, WAIT), "the granter is not let go");
    TAP_IS(g.freed == 1);
    twin_done(&t);
    close(g.gate[0]);
    close(g.gate[1]);
}

/* Two servers stand for one name; the first, "server", will not do, the second is "client". */
static void next_server(struct rpc_call_opts how, const char *method, unsigned i,
                        const char *result)
{
    struct rpc_server_opts opts = {.identity = t.ids.client};
    struct rpc_server *second;
    char root[300];
    const char *endpoint, *roots[] = {t.endpoint, root};
    struct tcall c;

    TAP_IS(rpc_server_new(t.s.rt, &opts, &t.object.dispatcher, &second, NULL) == 0 &&
           rpc_server_listen(second, "127.0.0.1:0", &endpoint, NULL) == 0);
    snprintf(root, sizeof root, "/%s", endpoint);
    TAP_IS(rpc_client_set_roots(twin_client(&t), roots, 2, NULL) == 0);
    start(&c, "x", method, how);
    twin_wait(&t, &c);
    TWIN_OK(&c);
    TAP_IS(c.n_results == 2 && span_equal_str(c.results[i].s, result));
    tcall_done(&c);
    rig_stop(&t.s, second, 0);
}

void credentials_next_server(void)
{
    struct twin_opts opts = {.offload = true};
    struct test_granter g;
    struct tcall c;

    twin_init(&t, &opts);
    test_granter_init(&g, t.ids.client);
    g.never = t.ids.server;
    next_server((struct rpc_call_opts){.server_pattern = span_str("client")}, "EchoIDs", 0,
                "client");
    next_server((struct rpc_call_opts){.granter = &g.granter}, "EchoBlessing", 1, "client/blessed");
    TAP_IS(g.running == 2);
    /* There is no other. */
    start(&c, t.name, "EchoBlessing", (struct rpc_call_opts){.granter = &g.granter});
    twin_wait(&t, &c);
    TAP_OK(strncmp(tcall_error(&c),
                   "ipc: client unwilling to talk to server \"server\": failed to grant "
                   "credentials to server \"server\": ",
                   98) == 0,
           "error \"%s\"", tcall_error(&c));
    tcall_done(&c);
    twin_done(&t);
}
