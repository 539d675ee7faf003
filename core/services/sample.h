/*
 * The sample service: a cache of values of any type and an object that throws errors, for trying
 * things out and for tests (spec: sample-service). A suffix that begins with "errorThrower" is the
 * error thrower, every other one the cache; all suffixes share one cache.
 *
 * A sample belongs to one worker and is used on its loop only.
 */
#ifndef SERVICES_SAMPLE_H
#define SERVICES_SAMPLE_H

#include <stddef.h>
#include <stdint.h>

#include "rpc/server.h"

/* What the cache may hold. Set beyond a limit is an error of the method that names the limit. */
struct sample_limits {
    uint32_t keys;    /* number of keys; 0: SAMPLE_KEYS_MAX */
    uint32_t key_len; /* bytes of one key; 0: SAMPLE_KEY_LEN_MAX */
    size_t bytes;     /* memory of all keys and values; 0: SAMPLE_BYTES_MAX */
};

#define SAMPLE_KEYS_MAX    65536
#define SAMPLE_KEY_LEN_MAX 65536
#define SAMPLE_BYTES_MAX   (64 * 1024 * 1024)

struct sample_opts {
    const struct rpc_authorizer *authorizer; /* of both objects, borrowed; NULL: the default */
    struct sample_limits limits;
    int64_t (*wall)(void); /* clock of MostRecentSet, in nanoseconds; NULL: clock_wall() */
};

struct sample;

/* opts may be NULL. NULL if memory is short. */
struct sample *sample_new(const struct sample_opts *opts);
/* The server that it was given to must have been stopped. NULL is accepted. */
void sample_free(struct sample *s);
/* For rpc_server_new(); borrowed from the sample. */
const struct rpc_dispatcher *sample_dispatcher(const struct sample *s);

#endif
