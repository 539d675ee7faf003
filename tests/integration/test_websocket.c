/*
 * The recorded conversations of tests/vectors/websocket.json with the wsprd of this build. A
 * scenario that needs what is not there yet is skipped by name. Every scenario has a sample service
 * of its own; wsprd is shared by all that want the same environment, so that what one leaves behind
 * would disturb the others.
 *
 * WSPR_WAIT=1 waits as long as recorded for what may not come. Arguments select scenarios by a part
 * of their name.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rig.h"
#include "scenario.h"
#include "tap.h"
#include "vectors.h"
#include "wspeer.h"

/* The same source makes a second program, in which pages serve through our relay. */
#ifdef WEBSOCKET_VIA_RELAY
static const bool via_relay = true;
#else
static const bool via_relay = false;
#endif

/* The needs of scenarios that this build can meet. */
#define AVAILABLE                                                                                  \
    (SCENARIO_SAMPLED | SCENARIO_NAMES | SCENARIO_SERVE | SCENARIO_STORE | SCENARIO_IDENTITY)

static struct json_object *informative; /* our steps for informative scenarios */
static struct rig_wsprd wsprd;
static struct child table;
static char table_endpoint[512];
static struct child store;
static char store_endpoint[512];
static struct child relay;
static char relay_endpoint[512];
static char *wsprd_root; /* NAMESPACE_ROOT of the one that runs; NULL: unset */
static unsigned number, failed, ran, skipped;

static struct json_object *override_of(const char *name)
{
    struct json_object *list = vec_get(informative, "scenarios");

    for (size_t i = 0; i < json_object_array_length(list); i++) {
        struct json_object *o = json_object_array_get_idx(list, i);

        if (strcmp(vec_str(o, "name"), name) == 0)
            return o;
    }
    return NULL;
}

/* NULL, or why the scenario cannot run. */
static const char *skip_reason(struct json_object *scenario)
{
    static char reason[128];
    unsigned missing = scenario_needs(scenario) & ~(unsigned)AVAILABLE;

    if (missing != 0) {
        snprintf(reason, sizeof reason, "comes with %s", scenario_need_name(missing & -missing));
        return reason;
    }
    if (strcmp(vec_str(scenario, "conformance"), "informative") == 0 &&
        override_of(vec_str(scenario, "name")) == NULL)
        return "records a fault of the reference";
    return NULL;
}

static bool stop_wsprd(void)
{
    bool ok = wsprd.port == 0 || rig_wsprd_stop(&wsprd);

    wsprd.port = 0;
    free(wsprd_root);
    wsprd_root = NULL;
    return ok;
}

/* Sees that a wsprd with this root runs. */
static bool need_wsprd(const char *root)
{
    static const char *const direct[] = {"-no-embedded", NULL};
    static const char *const relayed[] = {"-no-embedded", "-vproxy=test/proxy", NULL};
    bool same =
        (root == NULL) == (wsprd_root == NULL) && (root == NULL || strcmp(root, wsprd_root) == 0);

    if (wsprd.port != 0 && same && child_alive(&wsprd.child))
        return true;
    if (!stop_wsprd() || !rig_wsprd_start(&wsprd, root, via_relay ? relayed : direct))
        return false;
    if (root != NULL && (wsprd_root = malloc(strlen(root) + 1)) != NULL)
        memcpy(wsprd_root, root, strlen(root) + 1);
    return true;
}

/* The environment that the scenario asks for, or the usual one. */
static bool prepare_wsprd(struct json_object *scenario)
{
    struct json_object *setup = vec_get(scenario, "setup");
    char root[600];

    if (json_object_is_type(setup, json_type_object))
        return need_wsprd(vec_str(vec_get(setup, "wsprd_env"), "NAMESPACE_ROOT"));
    snprintf(root, sizeof root, "/%s", table_endpoint);
    return need_wsprd(root);
}

/* Calls an object of the mount table, through wsprd; true if it answers without an error. */
static bool table_answers(const char *suffix, const char *method, const char *args, int results)
{
    char text[1024];
    struct wspeer_frame frame;
    struct wspeer p;
    bool ok = false;

    snprintf(text, sizeof text,
             "{\"id\":1,\"data\":\"{\\\"name\\\":\\\"/%s//%s\\\",\\\"method\\\":\\\"%s\\\","
             "\\\"inArgs\\\":%s,\\\"numOutArgs\\\":%d}\",\"type\":0}",
             table_endpoint, suffix, method, args, results);
    if (wspeer_connect(&p, wsprd.port, "/ws", NULL, RIG_TIMEOUT_MS) == 0 &&
        wspeer_recv_message(&p, &frame, RIG_TIMEOUT_MS) == WSPEER_FRAME) {
        wspeer_send_text(&p, text);
        ok = wspeer_recv_message(&p, &frame, RIG_TIMEOUT_MS) == WSPEER_FRAME &&
             strstr((char *)frame.data, "\\\"type\\\": 0") != NULL;
        if (!ok)
            printf("# %s %s: %.500s\n", suffix, method, (char *)frame.data);
    }
    wspeer_close(&p);
    return ok;
}

/*
 * What the names of a scenario stand for: the sample service as "cache", the relay as
 * "test/proxy". They are mounted from outside, so that the table is known before the first frame.
 */
static bool mount_names(const char *endpoint, const char *method)
{
    static const char nowhere[] = "/@2@tcp@127.0.0.1:1@00000000000000000000000000000002@1@2@@//";
    const char *ttl = strcmp(method, "mount") == 0 ? ",3600" : "";
    char args[1024];

    if (via_relay)
        snprintf(args, sizeof args, "[\\\"/%s\\\"%s]", relay_endpoint, ttl);
    else
        snprintf(args, sizeof args, "[\\\"%s\\\"%s]", nowhere, ttl);
    if (!table_answers("test/proxy", method, args, 1))
        return false;
    snprintf(args, sizeof args, "[\\\"/%s//\\\"%s]", endpoint, ttl);
    return endpoint[0] == '\0' || table_answers("cache", method, args, 1);
}

static bool run_scenario(struct json_object *scenario)
{
    struct scenario_world world = {.timeout_ms = RIG_TIMEOUT_MS, .none_max_ms = 100};
    struct json_object *override = override_of(vec_str(scenario, "name"));
    char endpoint[512] = "", run[32], why[8192];
    bool sampled = scenario_needs(scenario) & SCENARIO_SAMPLED;
    bool names = via_relay || (scenario_needs(scenario) & SCENARIO_NAMES) != 0, ok;
    struct child service;

    if (getenv("WSPR_WAIT") != NULL)
        world.none_max_ms = RIG_TIMEOUT_MS;
    if (!prepare_wsprd(scenario))
        return false;
    if (sampled && !rig_sampled_start(&service, NULL, endpoint, sizeof endpoint))
        return false;
    world.port = wsprd.port;
    snprintf(run, sizeof run, "run%u", number);
    match_set(&world.vars, "MT_ENDPOINT", table_endpoint);
    match_set(&world.vars, "RUN", run);
    match_capture(&world.vars, "SERVED_ENDPOINT");
    match_capture(&world.vars, "SERVED_ENDPOINT_2");
    if (sampled)
        match_set(&world.vars, "SAMPLED_ENDPOINT", endpoint);
    if (scenario_needs(scenario) & SCENARIO_STORE)
        match_set(&world.vars, "STORE_ENDPOINT", store_endpoint);
    snprintf(why, sizeof why, "the mount table does not do");
    ok = (!names || mount_names(endpoint, "mount")) &&
         scenario_play(override != NULL ? override : scenario, &world, why, sizeof why);
    if (!ok)
        printf("# %s\n", why);
    if (names)
        ok = mount_names(endpoint, "unmount") && ok;
    if (sampled)
        ok = rig_sampled_stop(&service) && ok;
    if (!child_alive(&wsprd.child))
        ok = stop_wsprd() && false;
    else if (!ok)
        child_show_log(&wsprd.child);
    return ok;
}

static void report(bool ok, const char *name, const char *skip)
{
    printf("%sok %u - websocket%s/%s%s%s\n", ok ? "" : "not ", ++number, via_relay ? "-relay" : "",
           name, skip != NULL ? " # SKIP " : "", skip != NULL ? skip : "");
    fflush(stdout);
    failed += !ok;
}

static bool selected(struct json_object *scenario, int argc, char **argv)
{
    const char *name = vec_str(scenario, "name");

    if (via_relay && (scenario_needs(scenario) & SCENARIO_SERVE) == 0)
        return false;
    for (int i = 1; i < argc; i++) {
        if (strstr(name, argv[i]) != NULL)
            return true;
    }
    return argc < 2;
}

/* What ran and what did not, by conformance and by what scenarios need; one may need several. */
static struct tally {
    const char *name;
    unsigned ran, skipped;
} by_conformance[] = {{.name = "required"}, {.name = "informative"}}, by_need[SCENARIO_NEEDS];

static void count(struct json_object *scenario, bool skip)
{
    unsigned needs = scenario_needs(scenario);

    for (size_t i = 0; i < sizeof by_conformance / sizeof by_conformance[0]; i++) {
        if (strcmp(vec_str(scenario, "conformance"), by_conformance[i].name) == 0) {
            by_conformance[i].ran += !skip;
            by_conformance[i].skipped += skip;
        }
    }
    for (unsigned i = 0; i < SCENARIO_NEEDS; i++) {
        by_need[i].ran += !skip && (needs & 1u << i) != 0;
        by_need[i].skipped += skip && (needs & 1u << i) != 0;
    }
    ran += !skip;
    skipped += skip;
}

static void print_counts(size_t n)
{
    printf("# %zu scenarios: %u ran, %u skipped\n", n, ran, skipped);
    for (size_t i = 0; i < sizeof by_conformance / sizeof by_conformance[0]; i++)
        printf("# %s: %u ran, %u skipped\n", by_conformance[i].name, by_conformance[i].ran,
               by_conformance[i].skipped);
    for (unsigned i = 0; i < SCENARIO_NEEDS; i++)
        printf("# with %s: %u ran, %u skipped\n", scenario_need_name(1u << i), by_need[i].ran,
               by_need[i].skipped);
}

int main(int argc, char **argv)
{
    struct json_object *vectors = vectors_load("websocket.json");
    struct json_object *list = vec_get(vectors, "scenarios");

    if (!rig_table_start(&table, table_endpoint, sizeof table_endpoint) ||
        !rig_store_start(&store, store_endpoint, sizeof store_endpoint) ||
        (via_relay && !rig_relay_start(&relay, relay_endpoint, sizeof relay_endpoint)))
        return 99;
    informative = json_object_from_file(tap_path("integration/informative.json"));
    for (size_t i = 0; i < json_object_array_length(list); i++) {
        struct json_object *scenario = json_object_array_get_idx(list, i);
        const char *name = vec_str(scenario, "name");
        const char *skip = skip_reason(scenario);

        if (!selected(scenario, argc, argv))
            continue;
        count(scenario, skip != NULL);
        report(skip != NULL || run_scenario(scenario), name, skip);
    }
    report(stop_wsprd(), "wsprd ends well after all of them", NULL);
    report(rig_store_stop(&store), "the store ends well", NULL);
    if (via_relay)
        report(rig_relay_stop(&relay), "the relay ends well", NULL);
    report(rig_table_stop(&table), "wspr-mounttabled ends well too", NULL);
    print_counts(json_object_array_length(list));
    printf("1..%u\n", number);
    json_object_put(informative);
    json_object_put(vectors);
    return failed > 0;
}
