/*
 * Two pages on one gateway: `serving.a` serves an object, `serving.b` calls it; or a native client,
 * which has a runtime of its own. The test program has one of these at a time.
 */
#ifndef TESTS_UNIT_GATEWAY_SERVING_H
#define TESTS_UNIT_GATEWAY_SERVING_H

#include "gwrig.h"
#include "unit/rpc/tcall.h"

#define SERVING_OBJECT                                                                             \
    "{\"pick\":{\"InArgs\":[\"basket\"],\"NumOutArgs\":2,\"IsStreaming\":false},"                  \
    "\"split\":{\"InArgs\":[\"a\",\"b\"],\"NumOutArgs\":3},\"ack\":{\"NumOutArgs\":1},"            \
    "\"flow\":{\"InArgs\":[\"seed\"],\"NumOutArgs\":2,\"IsStreaming\":true}}"

#define INTERNAL     "veyron2/verror.Internal"
#define ABORTED      "veyron2/verror.Aborted"
#define BAD_PROTOCOL "veyron2/verror.BadProtocol"
#define NOT_FOUND    "veyron2/verror.NotFound"

struct serving_how {
    struct gateway_limits limits;
    struct rpc_limits rpc; /* of the gateway's runtime */
    const char *proxy;
    const char *path; /* of page a; NULL: "/ws" */
    bool idle;        /* page a does not serve yet */
};

struct serving {
    struct gw g;
    struct page a, b;
    char endpoint[512]; /* of server 1 of page a, without a slash */
};

extern struct serving serving;

/* how may be NULL. */
void serving_begin(const struct serving_how *how);
/* Drops the pages; everything that was served must come to its end, and nothing may be left. */
void serving_end(void);
const struct gateway_stats *serving_stats(void);

/* Asks to serve; the answer is yet to come. name and service are JSON texts without escapes. */
void serving_ask(struct page *p, long long id, unsigned long long server, const char *name,
                 const char *service);
/* The answer is an endpoint. */
bool serving_expect_endpoint(struct page *p, long long id, char endpoint[512]);
/* A request of a page for an object; the name is /endpoint//suffix. */
void serving_call(struct page *p, long long id, const char *suffix, const char *method,
                  const char *args, int n_out, bool streaming);
/* What page a must get next. */
void serving_expect_invoke(long long flow, const char *method, const char *args,
                           const char *suffix);
void serving_expect_end(long long flow);
/* Page a answers. */
void serving_reply(long long flow, const char *response);
/* A call of the native client; its arguments are strings. */
void serving_native(struct tcall *t, const char *suffix, const char *method,
                    const char *const *args, size_t n_args, const struct rpc_call_opts *opts);
/* Waits for its end. */
bool serving_native_done(struct tcall *t);

#endif
