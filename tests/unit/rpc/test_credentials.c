/*
 * What calls carry with them: discharges that are fetched, blessings that are granted. The client
 * talks to a server and to two givers of discharges: one that is of the server's house, and one
 * that is not.
 */
#include "config.h"

#include <stdlib.h>

#include "base/clock.h"
#include "credentials_tests.h"
#include "giver.h"
#include "object.h"
#include "raw.h"
#include "rig.h"
#include "rpc/resolve.h"
#include "security/caveat.h"
#include "security/identity.h"
#include "security/trust.h"
#include "services/mounttable.h"
#include "tap.h"
#include "tcall.h"
#include "vom/wiretypes.h"

#define WAIT 30000 /* milliseconds */

enum { HOUSE, OTHER, GIVERS };

static struct {
    struct rig_ids ids;
    struct security_private *giver_id[GIVERS]; /* server/giver, other */
    struct security_trust *trust;
    struct rig c, s;
    struct object object;
    struct rpc_server *server, *giver_server[GIVERS];
    struct giver giver[GIVERS];
    char name[300];
    struct security_private *debtor;
} t;

static void need(bool ok)
{
    if (!ok) {
        printf("Bail out! no world\n");
        exit(99);
    }
}

static struct security_private *house_giver(void)
{
    struct security_blessing b = {
        .name = span_str("giver"), .now = clock_wall(), .duration = 3600 * CLOCK_S};
    struct security_private *fresh, *id;
    struct security_identity *blessing;

    need(security_private_new(span_str("x"), &fresh, NULL) == 0);
    need(security_private_bless(t.ids.server, security_identity_key(security_private_public(fresh)),
                                &b, &blessing, NULL) == 0);
    need(security_private_derive(fresh, blessing, &id, NULL) == 0);
    security_private_unref(fresh);
    security_identity_unref(blessing);
    return id;
}

static struct rpc_server *serve(struct security_private *identity, const struct rpc_dispatcher *d,
                                bool mount_table, char ret_name[300])
{
    struct rpc_server_opts opts = {.identity = identity, .mount_table = mount_table};
    struct rpc_server *server;
    const char *endpoint;

    need(rpc_server_new(t.s.rt, &opts, d, &server, NULL) == 0 &&
         rpc_server_listen(server, "127.0.0.1:0", &endpoint, NULL) == 0);
    snprintf(ret_name, 300, "/%s%s", endpoint, mount_table ? "" : "//x");
    return server;
}

static void begin(bool offload)
{
    struct rig_opts o = {.offload = offload};

    rig_ids_init(&t.ids);
    t.giver_id[HOUSE] = house_giver();
    need(security_private_new(span_str("other"), &t.giver_id[OTHER], NULL) == 0);
    t.trust = security_trust_copy(t.ids.trust);
    need(t.trust != NULL && security_trust_add_roots(t.trust, t.giver_id[OTHER]) == 0);
    o.identity = t.ids.server;
    o.trust = t.trust;
    rig_init(&t.s, &o);
    o.w = t.s.w;
    o.identity = t.ids.client;
    rig_init(&t.c, &o);
    object_init(&t.object, t.trust);
    t.server = serve(NULL, &t.object.dispatcher, false, t.name);
    for (int i = 0; i < GIVERS; i++) {
        giver_init(&t.giver[i], t.giver_id[i], t.trust);
        t.giver_server[i] = serve(t.giver_id[i], &t.giver[i].dispatcher, false, t.giver[i].name);
    }
}

static void end(void)
{
    for (int i = 0; i < GIVERS; i++)
        giver_let_go(&t.giver[i]);
    if (t.c.rt != NULL)
        rig_done(&t.c, false);
    for (int i = 0; i < GIVERS; i++)
        rig_stop(&t.s, t.giver_server[i], 0);
    if (t.server != NULL)
        rig_stop(&t.s, t.server, 0);
    rig_done(&t.s, true);
    object_done(&t.object);
    for (int i = 0; i < GIVERS; i++)
        security_private_unref(t.giver_id[i]);
    security_private_unref(t.debtor);
    t.debtor = NULL;
    security_trust_unref(t.trust);
    rig_ids_done(&t.ids);
}

static void owe(const struct debt *debts, size_t n)
{
    t.debtor = giver_debtor(t.ids.client, debts, n);
    need(t.debtor != NULL);
}

static void owe_one(const char *service, int giver)
{
    struct debt debt = {service, &t.giver[giver], NULL};

    owe(&debt, 1);
}

static const struct rpc_stats *stats(void)
{
    return rpc_runtime_stats(t.c.rt);
}

static void start(struct tcall *c, const char *method, struct rpc_call_opts opts)
{
    struct vom_value arg = vom_value_str("hi");
    struct tcall_how how = {.name = t.name, .method = method, .opts = opts};

    if (strncmp(method, "Echo", 4) == 0) {
        how.args = &arg;
        how.n_args = 1;
    }
    if (opts.identity == NULL)
        how.opts.identity = t.debtor;
    how.opts.n_results = RPC_ANY_RESULTS;
    tcall_init(c);
    TAP_IS(tcall_start(c, rpc_runtime_client(t.c.rt), &how));
}

static void finish(struct tcall *c, const char *error)
{
    TAP_OK(raw_until(t.c.w, tcall_is_done, c, WAIT), "the call does not end");
    TAP_OK(strncmp(tcall_error(c), error, strlen(error)) == 0 &&
               (error[0] != '\0' || tcall_error(c)[0] == '\0'),
           "error \"%s\", not \"%s\"", tcall_error(c), error);
    tcall_done(c);
}

static void call_is(const char *method, const char *error)
{
    struct tcall c;

    start(&c, method, (struct rpc_call_opts){0});
    finish(&c, error);
}

#define MISSING "ipc: not authorized(not authorized because missing discharge for "

struct counted {
    const unsigned *counter;
    unsigned value;
};

static bool has_counted(void *arg)
{
    struct counted *c = arg;

    return *c->counter >= c->value;
}

static void until(const unsigned *counter, unsigned value)
{
    struct counted c = {counter, value};

    TAP_OK(raw_until(t.c.w, has_counted, &c, WAIT), "it does not happen");
}

/* ---- discharges ---- */

static void fetched(bool offload)
{
    begin(offload);
    owe_one("server", OTHER);
    call_is("Echo", "");
    TAP_IS(t.giver[OTHER].asked == 1 && stats()->discharges == 1 && stats()->discharge_hits == 0);
    call_is("Echo", "");
    TAP_IS(t.giver[OTHER].asked == 1 && stats()->discharge_hits == 1);
    /* An error of another kind leaves them. */
    call_is("NoSuchMethod", "ipc: unknown method");
    call_is("Echo", "");
    TAP_IS(t.giver[OTHER].asked == 1 && stats()->discharges_dropped == 0);
    end();
}

static void fetched_once(void)
{
    fetched(false);
    fetched(true);
}

/* Nobody is asked for what the server does not want to see. */
static void of_no_concern(void)
{
    begin(false);
    owe_one("elsewhere", OTHER);
    call_is("Echo", "");
    TAP_IS(t.giver[OTHER].asked == 0 && stats()->discharges_failed == 0);
    end();
}

static void from_the_options(void)
{
    struct security_discharge *d;
    struct tcall c;

    begin(false);
    owe_one("server", OTHER);
    d = giver_discharge(&t.giver[OTHER], t.debtor, 0);
    start(&c, "Echo", (struct rpc_call_opts){.discharges = &d, .n_discharges = 1});
    finish(&c, "");
    TAP_IS(t.giver[OTHER].asked == 0);
    /* It was for that call only. */
    start(&c, "Echo", (struct rpc_call_opts){.no_fetch = true});
    finish(&c, MISSING);
    TAP_IS(t.giver[OTHER].asked == 0);
    security_discharge_unref(d);
    end();
}

static void what_cannot_be_had(void)
{
    static const enum giver_mood moods[] = {GIVER_REFUSES, GIVER_ERRS, GIVER_TALKS};
    struct debt nowhere = {"server", &t.giver[OTHER], ""};

    begin(false);
    owe_one("server", OTHER);
    for (unsigned i = 0; i < 3; i++) {
        t.giver[OTHER].mood = moods[i];
        call_is("Echo", MISSING);
        TAP_IS(t.giver[OTHER].asked == 1 + i && stats()->discharges_failed == 1 + i);
        /* Who does not check is called all the same. */
        TAP_IS(stats()->discharges == 0);
    }
    security_private_unref(t.debtor);
    owe(&nowhere, 1);
    call_is("Echo", MISSING);
    nowhere.location = "/127.0.0.1:1//x";
    security_private_unref(t.debtor);
    owe(&nowhere, 1);
    call_is("Echo", MISSING);
    TAP_IS(stats()->discharges_failed == 5);
    end();
}

static void dropped_when_refused(void)
{
    begin(false);
    owe_one("server", OTHER);
    t.giver[OTHER].duration = -CLOCK_S; /* is over when it comes, which only the server sees */
    call_is("Echo", "ipc: not authorized(not authorized because ");
    TAP_IS(t.giver[OTHER].asked == 1 && stats()->discharges_dropped == 1);
    t.giver[OTHER].duration = 3600 * CLOCK_S;
    call_is("Echo", "");
    TAP_IS(t.giver[OTHER].asked == 2 && stats()->discharges_dropped == 1);
    end();
}

/* The giver of the house wants to see a discharge itself, which another one gives. */
static void several_rounds(void)
{
    struct debt debts[] = {{"server", &t.giver[HOUSE], NULL}, {"server/*", &t.giver[OTHER], NULL}};

    begin(false);
    owe(debts, 2);
    call_is("Echo", "");
    TAP_OK(t.giver[OTHER].asked == 1 && t.giver[HOUSE].asked == 1, "asked %u and %u times",
           t.giver[OTHER].asked, t.giver[HOUSE].asked);
    /* The first round's call was denied before it came to the giver. */
    TAP_IS(stats()->discharges == 2 && stats()->discharges_failed == 1);
    end();
}

static void silent_giver(void)
{
    struct tcall c;

    begin(false);
    owe_one("server", OTHER);
    t.giver[OTHER].mood = GIVER_KEEPS_SILENT;
    start(&c, "Echo", (struct rpc_call_opts){.timeout = 300 * CLOCK_MS});
    finish(&c, "ipc: response header decoding failed: deadline exceeded");
    until(&t.giver[OTHER].gone, 1);
    TAP_IS(t.object.invoked == 0);
    end();
}

static void cancelled(void)
{
    struct tcall c;

    begin(false);
    owe_one("server", OTHER);
    t.giver[OTHER].mood = GIVER_KEEPS_SILENT;
    start(&c, "Echo", (struct rpc_call_opts){0});
    until(&t.giver[OTHER].asked, 1);
    TAP_IS(c.n_started == 0 && rpc_call_begin_item(c.call) == WSPR_ECLOSED);
    rpc_call_cancel(c.call);
    c.call = NULL;
    until(&t.giver[OTHER].gone, 1);
    TAP_IS(c.n_done == 0);
    tcall_done(&c);
    end();
}

static void runtime_stops(void)
{
    struct tcall c;

    begin(false);
    owe_one("server", OTHER);
    t.giver[OTHER].mood = GIVER_KEEPS_SILENT;
    start(&c, "Echo", (struct rpc_call_opts){0});
    until(&t.giver[OTHER].asked, 1);
    rig_done(&t.c, false);
    t.c.rt = NULL;
    TAP_OK(strcmp(tcall_error(&c), "the runtime is stopping") == 0, "\"%s\"", tcall_error(&c));
    tcall_done(&c);
    end();
}

static void server_goes_away(void)
{
    struct tcall c;

    begin(false);
    owe_one("server", OTHER);
    t.giver[OTHER].mood = GIVER_KEEPS_SILENT;
    start(&c, "Echo", (struct rpc_call_opts){0});
    until(&t.giver[OTHER].asked, 1);
    rig_stop(&t.s, t.server, 0);
    t.server = NULL;
    finish(&c, "ipc: request encoding failed: ");
    until(&t.giver[OTHER].gone, 1);
    end();
}

/* The way to the giver leads through a mount table, which may want discharges too. */
static void through_a_mount_table(const char *service, const char *error, unsigned asked)
{
    struct mounttable_opts mt = {0};
    struct debt debt = {service, &t.giver[OTHER], "giver"};
    struct mounttable *table;
    struct rpc_server *server;
    char name[300];
    const char *root = name;

    begin(false);
    mt.worker = t.s.w;
    need(mounttable_new(&mt, &table, NULL) == 0);
    server = serve(t.giver_id[HOUSE], mounttable_dispatcher(table), true, name);
    need(mounttable_mount(table, span_str("giver"), span_str(t.giver[OTHER].name), 1000, NULL) ==
         0);
    need(rpc_client_set_roots(rpc_runtime_client(t.c.rt), &root, 1, NULL) == 0);
    owe(&debt, 1);
    call_is("Echo", error);
    TAP_IS(t.giver[OTHER].asked == asked);
    rig_stop(&t.s, server, 0);
    mounttable_free(table);
    end();
}

static void giver_by_name(void)
{
    through_a_mount_table("server", "", 1);
    /* The table denies whoever has no discharge, which is behind it: that ends. */
    through_a_mount_table("server/*", MISSING, 0);
}

/* ---- granters ---- */

/* A blessing, a discharge, and an argument whose types need numbers behind theirs. */
static void all_at_once(void)
{
    static const struct vom_field fields[] = {
        {.name = {(const uint8_t *)"A", 1}, .type = &vom_type_int32},
        {.name = {(const uint8_t *)"B", 1}, .type = &vom_type_string},
    };
    static const struct vom_type point = {
        .kind = VOM_KIND_STRUCT,
        .name = {(const uint8_t *)"test.Point", 10},
        .fields = fields,
        .n_fields = 2,
    };
    struct arena a = ARENA_INIT(65536);
    struct test_granter g;
    struct vom_value v;
    struct tcall_how how = {.method = "Identity", .args = &v, .n_args = 1};
    struct tcall c;

    begin(true);
    test_granter_init(&g, t.ids.client);
    owe_one("server", OTHER);
    need(vom_value_new_struct(&a, &point, &v) == 0);
    vom_value_set(&v, 0, vom_value_int(&vom_type_int32, 42));
    vom_value_set(&v, 1, vom_value_str("and more"));
    how.name = t.name;
    how.opts = (struct rpc_call_opts){.granter = &g.granter, .identity = t.debtor, .n_results = 2};
    tcall_init(&c);
    TAP_IS(tcall_start(&c, rpc_runtime_client(t.c.rt), &how));
    TAP_IS(raw_until(t.c.w, tcall_is_done, &c, WAIT));
    TAP_OK(c.n_results == 2 && vom_value_equal(&c.results[0], &v) == 1, "%u results, %s",
           c.n_results, tcall_error(&c));
    tcall_done(&c);
    /* The giver was blessed as well. */
    TAP_IS(g.granter.refs == 1 && g.running == 2 && t.giver[OTHER].asked == 1);
    arena_done(&a);
    end();
}

/* Streams go on with the encoder that wrote the credentials. */
static void with_a_stream(void)
{
    struct vom_value arg = vom_value_str("s"), item = vom_value_str("item");
    struct tcall_how how = {.method = "Stream", .args = &arg, .n_args = 1};
    struct tcall c;

    begin(false);
    owe_one("server", OTHER);
    how.name = t.name;
    how.opts = (struct rpc_call_opts){.identity = t.debtor, .n_results = 2, .streaming = true};
    tcall_init(&c);
    TAP_IS(tcall_start(&c, rpc_runtime_client(t.c.rt), &how));
    until(&c.n_started, 1);
    TAP_IS(tcall_send(&c, &item) == 0 && tcall_send(&c, &item) == 0);
    rpc_call_close_send(c.call);
    finish(&c, "");
    end();
}

int main(int argc, char **argv)
{
    static const struct tap_case discharges[] = {
        {"fetched once", fetched_once},
        {"of no concern", of_no_concern},
        {"from the options", from_the_options},
        {"what cannot be had", what_cannot_be_had},
        {"dropped when refused", dropped_when_refused},
        {"several rounds", several_rounds},
        {"a silent giver", silent_giver},
        {"cancelled", cancelled},
        {"the runtime stops", runtime_stops},
        {"the server goes away", server_goes_away},
        {"a giver by name", giver_by_name},
        {"what is kept", credentials_kept},
    };
    static const struct tap_case granters[] = {
        {"a blessing arrives", credentials_blessing},
        {"all at once", all_at_once},
        {"with a stream", with_a_stream},
        {"cancelled while granting", credentials_cancelled_granting},
        {"the next server", credentials_next_server},
    };
    static const struct tap_case server[] = {
        {"checks", credentials_server_checks},
        {"the caller is gone", credentials_caller_gone},
        {"checked too late", credentials_checked_too_late},
        {"the server stops", credentials_server_stops},
    };
    static const struct tap_suite suites[] = {
        TAP_SUITE("discharges", discharges),
        TAP_SUITE("granters", granters),
        TAP_SUITE("server", server),
    };

    return tap_main(argc, argv, suites, 3);
}
