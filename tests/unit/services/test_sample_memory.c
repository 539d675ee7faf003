/* Each allocation of a call of the sample service fails in turn: whoever calls gets an error that
 * says so by its id, too. */
#include "config.h"

#include "failmalloc.h"
#include "mounttable_tests.h"
#include "services/sample.h"
#include "unit/rpc/raw.h"
#include "unit/rpc/rig.h"
#include "unit/rpc/tcall.h"
#include "vom/wiretypes.h"

static struct rig_ids ids;
static struct rig rig;
static char name[300];
static unsigned n_good, n_errors;

/* The error of the call, or of the method. */
static void judge(const struct tcall *c)
{
    struct span id = span_str(""), text = id;

    if (c->err.code != 0) {
        id = span_str(err_id(&c->err));
        text = span_str(err_text(&c->err));
    } else if (c->n_results == 0 ||
               vom_verror_get(&c->results[c->n_results - 1], &id, &text) == 0) {
        n_good++;
        return;
    }
    n_errors++;
    TAP_OK(id.len > 0, "an error without an id: \"%.*s\"", SPAN_ARG(text));
}

static bool may_send(void *call)
{
    const struct tcall *c = call;

    return c->n_started > 0 || c->n_done > 0;
}

static void multi_get(void)
{
    struct tcall_how how = {
        .name = name, .method = "MultiGet", .opts = {.n_results = 1, .streaming = true}};
    struct vom_value key = vom_value_str("k");
    struct tcall c;

    tcall_init(&c);
    if (tcall_start(&c, rpc_runtime_client(rig.rt), &how)) {
        TAP_IS(raw_until(rig.w, may_send, &c, 30000));
        tcall_send(&c, &key);
        if (c.call != NULL)
            rpc_call_close_send(c.call);
        TAP_IS(raw_until(rig.w, tcall_is_done, &c, 30000));
        judge(&c);
    }
    tcall_done(&c);
    raw_run(rig.w, 1);
}

static void set(void)
{
    struct vom_value args[] = {vom_value_str("k"), vom_value_str("v")};
    struct tcall_how how = {
        .name = name, .method = "Set", .args = args, .n_args = 2, .opts = {.n_results = 1}};
    struct tcall c;

    tcall_init(&c);
    TAP_IS(tcall_start(&c, rpc_runtime_client(rig.rt), &how));
    TAP_IS(raw_until(rig.w, tcall_is_done, &c, 30000));
    judge(&c);
    tcall_done(&c);
}

/* With a server of its own, whose first stream it is: nothing is kept from another one. */
static unsigned long fail_at(struct sample *sample, unsigned long n)
{
    struct rpc_server *server = rig_serve(&rig, sample_dispatcher(sample), name);
    unsigned long made;

    memcpy(name + strlen(name), "//cache", sizeof "//cache");
    set();
    failmalloc_at(n);
    multi_get();
    made = failmalloc_count();
    failmalloc_at(0);
    rig_stop(&rig, server, 0);
    return made;
}

static void errors_have_ids(void)
{
    const struct sample_opts opts = {.authorizer = &rpc_authorizer_all};
    struct sample *sample = sample_new(&opts);
    unsigned long runs = 1;

    rig_ids_init(&ids);
    rig_init(&rig, &(struct rig_opts){.identity = ids.server, .trust = ids.trust});
    fail_at(sample, 0);
    TAP_IS(n_good == 2);
    while (runs < 1000 && fail_at(sample, runs) >= runs)
        runs++;
    TAP_OK(runs > 1 && runs < 1000 && n_errors > 0, "%lu runs, %u errors", runs, n_errors);
    tap_note("%lu runs, %u errors", runs, n_errors);
    rig_done(&rig, true);
    rig_ids_done(&ids);
    sample_free(sample);
}

const struct tap_case sample_memory_cases[SAMPLE_MEMORY_CASES] = {
    {"errors have ids", errors_have_ids},
};
