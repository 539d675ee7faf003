/* The inside of the sample service. Internal to core/services. */
#ifndef SERVICES_SAMPLE_PRIVATE_H
#define SERVICES_SAMPLE_PRIVATE_H

#include "rpc/server.h"
#include "services/sample_store.h"

struct sample {
    struct rpc_dispatcher dispatcher;
    const struct rpc_authorizer *authorizer;
    int64_t (*wall)(void);
    struct sample_store store;
};

/* Of sample_cache.c; its object is the struct sample. */
extern const struct rpc_interface sample_cache;

/* The built-in error type, as signatures show it. */
extern const struct vom_type sample_type_error;

#endif
