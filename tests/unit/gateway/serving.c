#include "config.h"
#include "serving.h"

#include <stdio.h>
#include <stdlib.h>

#include "tap.h"

struct serving serving;

void serving_begin(const struct serving_how *how)
{
    static const struct serving_how usual;
    struct gw_opts opts = {
        .service = true,
        .plugins = {request_plugin_entry(), stream_plugin_entry(), signature_plugin_entry(),
                    serve_plugin_entry(), stop_server_plugin_entry()},
    };

    if (how == NULL)
        how = &usual;
    opts.limits = how->limits;
    opts.rpc = how->rpc;
    opts.proxy = how->proxy;
    gw_init(&serving.g, &opts);
    page_open_at(&serving.a, &serving.g, how->path != NULL ? how->path : "/ws", NULL, true);
    page_open(&serving.b, &serving.g, NULL, true);
    serving.endpoint[0] = '\0';
    if (how->idle)
        return;
    serving_ask(&serving.a, 1, 1, "", SERVING_OBJECT);
    serving_expect_endpoint(&serving.a, 1, serving.endpoint);
}

static bool nothing_is_left(void *arg)
{
    const struct gateway_stats *s = serving_stats();

    return s->conns == 0 && s->servers == 0 && s->pending == 0 && s->flows == 0;
}

void serving_end(void)
{
    page_drop(&serving.a);
    page_drop(&serving.b);
    TAP_OK(gw_until(&serving.g, nothing_is_left, NULL, GW_TIMEOUT_MS),
           "left over: %llu servers, %llu calls", (unsigned long long)serving_stats()->servers,
           (unsigned long long)serving_stats()->pending);
    gw_done(&serving.g);
}

const struct gateway_stats *serving_stats(void)
{
    return gateway_stats(serving.g.gateway);
}

void serving_ask(struct page *p, long long id, unsigned long long server, const char *name,
                 const char *service)
{
    size_t size = strlen(service) + strlen(name) + 128;
    char *data = malloc(size);

    snprintf(data, size, "{\"name\":\"%s\",\"serverId\":%llu,\"service\":%s}", name, server,
             service);
    page_message(p, id, 1, data);
    free(data);
}

bool serving_expect_endpoint(struct page *p, long long id, char endpoint[512])
{
    const char *got = page_recv(p);
    char head[128];
    size_t n;

    n = (size_t)snprintf(head, sizeof head,
                         "{\"id\": %lld, \"data\": \"{\\\"type\\\": 0, \\\"message\\\": \\\"@", id);
    endpoint[0] = '\0';
    TAP_OK(got != NULL && strncmp(got, head, n) == 0, "no endpoint, but %s",
           got != NULL ? got : "nothing");
    if (got == NULL || strncmp(got, head, n) != 0)
        return false;
    got += n - 1;
    n = strcspn(got, "\\");
    TAP_OK(n < 512 && strcmp(got + n, "\\\"}\", \"type\": 0}") == 0, "the end of %s", got);
    snprintf(endpoint, 512, "%.*s", (int)n, got);
    return true;
}

void serving_call(struct page *p, long long id, const char *suffix, const char *method,
                  const char *args, int n_out, bool streaming)
{
    size_t size = strlen(args) + 1024;
    char *data = malloc(size);

    snprintf(data, size,
             "{\"name\":\"/%s//%s\",\"method\":\"%s\",\"inArgs\":%s,\"numOutArgs\":%d,"
             "\"isStreaming\":%s}",
             serving.endpoint, suffix, method, args, n_out, streaming ? "true" : "false");
    page_message(p, id, 0, data);
    free(data);
}

void serving_expect_invoke(long long flow, const char *method, const char *args, const char *suffix)
{
    size_t size = strlen(args) + 512;
    char *message = malloc(size);

    snprintf(message, size,
             "{\"serverId\": 1, \"method\": \"%s\", \"args\": %s, \"context\": {\"suffix\": "
             "\"%s\", \"name\": \"%s\"}}",
             method, args, suffix, suffix);
    page_expect_reply(&serving.a, flow, WSPR_RESPONSE_INVOKE, message);
    free(message);
}

void serving_expect_end(long long flow)
{
    page_expect_reply(&serving.a, flow, WSPR_RESPONSE_STREAM_CLOSE, "null");
}

void serving_reply(long long flow, const char *response)
{
    page_message(&serving.a, flow, 2, response);
}

void serving_native(struct tcall *t, const char *suffix, const char *method,
                    const char *const *args, size_t n_args, const struct rpc_call_opts *opts)
{
    struct vom_value values[4];
    struct tcall_how how = {.method = method, .args = values, .n_args = n_args};
    char name[1024];

    for (size_t i = 0; i < n_args; i++)
        values[i] = vom_value_str(args[i]);
    snprintf(name, sizeof name, "/%s//%s", serving.endpoint, suffix);
    how.name = name;
    if (opts != NULL)
        how.opts = *opts;
    else
        how.opts.n_results = RPC_ANY_RESULTS;
    tcall_init(t);
    TAP_IS(tcall_start(t, rpc_runtime_client(serving.g.service.rt), &how));
}

bool serving_native_done(struct tcall *t)
{
    bool done = gw_until(&serving.g, tcall_is_done, t, GW_TIMEOUT_MS);

    TAP_OK(done, "the native call does not end");
    return done;
}
