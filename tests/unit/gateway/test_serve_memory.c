/*
 * Each allocation fails in turn while a page serves, is called with a stream, answers and stops.
 * Whatever is lost, everybody gets an answer or the end of the connection, and nothing is left.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "failmalloc.h"
#include "gwrig.h"
#include "quiet.h"
#include "tap.h"
#include "unit/rpc/raw.h"

#define RUNS_MAX 5000

static struct gw g;

static struct quiet_page a, b;
static unsigned n_good, n_refused, n_lost, n_hung;

/* ---- one conversation ---- */

/* The endpoint in the answer to a serve request. */
static bool find_endpoint(char *endpoint, size_t size)
{
    const char *at = strstr(a.in, "@2@tcp");

    if (at == NULL)
        return false;
    snprintf(endpoint, size, "%.*s", (int)strcspn(at, "\\"), at);
    return true;
}

static void request(const char *endpoint)
{
    char text[1024];

    snprintf(
        text, sizeof text,
        "{\"id\":3,\"data\":\"{\\\"name\\\":\\\"/%s//x\\\",\\\"method\\\":\\\"flow\\\","
        "\\\"inArgs\\\":[{\\\"a\\\":[1,null]}],\\\"numOutArgs\\\":2,\\\"isStreaming\\\":true}\","
        "\"type\":0}",
        endpoint);
    quiet_put(&b, text);
    quiet_put(&b, "{\"id\":3,\"data\":\"{\\\"up\\\":1}\",\"type\":3}");
    quiet_put(&b, "{\"id\":3,\"type\":4}");
}

static bool is_invoked_or_refused(void *arg)
{
    bool of_a, of_b;

    a.wanted = "\\\"type\\\": 3";
    b.wanted = "\"id\": 3";
    of_a = quiet_take(&a);
    of_b = quiet_take(&b);
    return of_a || of_b;
}

/* Any end of the call will do. */
static bool caller_is_told(void *arg)
{
    b.wanted = "{\"id\": 3, \"data\": \"{\\\"type\\\": 0";
    return quiet_take(&b) || strstr(b.in, "{\"id\": 3, \"data\": \"{\\\"type\\\": 2") != NULL ||
           a.ended;
}

static void converse(void)
{
    char endpoint[512];

    quiet_put(
        &a,
        "{\"id\":1,\"data\":\"{\\\"serverId\\\":1,\\\"service\\\":{\\\"flow\\\":{\\\"InArgs\\\":"
        "[\\\"s\\\"],\\\"NumOutArgs\\\":2,\\\"IsStreaming\\\":true}}}\",\"type\":1}");
    if (!quiet_expect(&a, "{\"id\": 1, ")) {
        n_lost++;
        return;
    }
    if (!find_endpoint(endpoint, sizeof endpoint)) {
        n_refused++;
        return;
    }
    request(endpoint);
    if (!raw_until(g.w, is_invoked_or_refused, NULL, 15000)) {
        n_hung++;
        tap_note("a call went nowhere");
        return;
    }
    if (strstr(a.in, "\\\"type\\\": 3") != NULL) {
        quiet_put(&a, "{\"id\":0,\"data\":\"{\\\"down\\\":[1]}\",\"type\":3}");
        quiet_put(
            &a,
            "{\"id\":0,\"data\":\"{\\\"results\\\":[[\\\"r\\\"]],\\\"err\\\":null}\",\"type\":2}");
    }
    if (!raw_until(g.w, caller_is_told, NULL, 15000)) {
        n_hung++;
        tap_note("the caller was not told: %s", b.in);
    }
    n_good += strstr(b.in, "{\"id\": 3, \"data\": \"{\\\"type\\\": 0") != NULL;
    quiet_put(&a, "{\"id\":5,\"data\":\"1\",\"type\":6}");
    quiet_expect(&a, "{\"id\": 5, ");
}

static bool nothing_is_left(void *arg)
{
    const struct gateway_stats *s = gateway_stats(g.gateway);

    return s->conns == 0 && s->servers == 0 && s->pending == 0 && s->flows == 0;
}

/* What earlier conversations left behind would save this one the allocations that are to fail. */
static void forget_spares(void)
{
    gateway_flow_free_spares(g.gateway, spares_take);
    gateway_call_free_spares(g.gateway, spares_take);
    gateway_sig_free_spares(g.gateway, spares_take);
}

static void test_each_allocation(void)
{
    struct gw_opts opts = {
        .service = true,
        .plugins = {request_plugin_entry(), stream_plugin_entry(), signature_plugin_entry(),
                    serve_plugin_entry(), stop_server_plugin_entry()},
    };
    unsigned long n = 0, made;

    gw_init(&g, &opts);
    do {
        quiet_open(&a, &g);
        quiet_open(&b, &g);
        forget_spares();
        failmalloc_at(++n);
        converse();
        made = failmalloc_count();
        failmalloc_at(0);
        quiet_close(&a);
        quiet_close(&b);
        n_hung += a.hung + b.hung;
        if (!raw_until(g.w, nothing_is_left, NULL, GW_TIMEOUT_MS)) {
            TAP_OK(false, "allocation %lu leaves something behind", n);
            break;
        }
    } while (made >= n && n < RUNS_MAX && n_hung < 5);
    TAP_IS(n > 50 && n_good > 10);
    TAP_OK(n < RUNS_MAX && n_hung == 0, "%lu runs, %u without an answer", n, n_hung);
    tap_note("%lu allocations failed in turn: %u calls went well, %u servers were refused, %u "
             "connections ended",
             n - 1, n_good, n_refused, n_lost);
    gw_done(&g);
}

static const struct tap_case cases[] = {
    {"each allocation of a call of a page", test_each_allocation},
};

int main(int argc, char **argv)
{
    const struct tap_suite suites[] = {TAP_SUITE("serve-memory", cases)};

    return tap_main(argc, argv, suites, 1);
}
