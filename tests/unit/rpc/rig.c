#include "config.h"
#include "rig.h"

#include <stdlib.h>

#include "base/clock.h"
#include "loop/offload.h"
#include "raw.h"
#include "security/caveat.h"
#include "security/identity.h"
#include "security/trust.h"
#include "tap.h"

static void need(bool ok, const char *what)
{
    if (!ok) {
        printf("Bail out! %s\n", what);
        exit(99);
    }
}

/* The client's key with a blessing of the server. */
static struct security_private *blessed(const struct rig_ids *ids, struct security_caveat *caveat,
                                        size_t n)
{
    struct security_blessing b = {
        .name = span_str("friend"),
        .now = clock_wall(),
        .duration = 3600 * CLOCK_S,
        .caveats = caveat,
        .n_caveats = n,
    };
    const struct security_pubkey *key = security_identity_key(security_private_public(ids->client));
    struct security_identity *blessing;
    struct security_private *id;

    need(security_private_bless(ids->server, key, &b, &blessing, NULL) == 0, "no blessing");
    need(security_private_derive(ids->client, blessing, &id, NULL) == 0, "no blessing");
    security_identity_unref(blessing);
    return id;
}

void rig_ids_init(struct rig_ids *ids)
{
    struct span echo = span_str("Echo");
    struct buf bytes = BUF_INIT(4096);
    struct security_caveat only_echo = {.service = span_str("*")};

    need(security_private_new(span_str("server"), &ids->server, NULL) == 0, "no identity");
    need(security_private_new(span_str("client"), &ids->client, NULL) == 0, "no identity");
    ids->friend = blessed(ids, NULL, 0);
    need(security_caveat_methods(&bytes, &echo, 1) == 0, "no caveat");
    only_echo.bytes = buf_span(&bytes);
    ids->limited = blessed(ids, &only_echo, 1);
    buf_done(&bytes);
    ids->trust = security_trust_create();
    need(ids->trust != NULL && security_trust_add_roots(ids->trust, ids->server) == 0 &&
             security_trust_add_roots(ids->trust, ids->client) == 0,
         "no trust");
}

struct security_identity *rig_blessing(const struct rig_ids *ids)
{
    struct security_blessing b = {
        .name = span_str("blessed"),
        .now = clock_wall(),
        .duration = 3600 * CLOCK_S,
    };
    struct security_identity *blessing;

    need(security_private_bless(ids->client,
                                security_identity_key(security_private_public(ids->server)), &b,
                                &blessing, NULL) == 0,
         "no blessing");
    return blessing;
}

void rig_ids_done(struct rig_ids *ids)
{
    security_private_unref(ids->server);
    security_private_unref(ids->client);
    security_private_unref(ids->friend);
    security_private_unref(ids->limited);
    security_trust_unref(ids->trust);
}

void rig_init(struct rig *r, const struct rig_opts *opts)
{
    struct rpc_runtime_opts rt = {
        .identity = opts->identity,
        .trust = opts->trust,
        .log = &r->log,
        .limits = opts->limits,
        .legacy_peers = opts->legacy_peers,
        .tcp_only = opts->tcp_only,
        .placeholders = opts->placeholders,
    };

    *r = (struct rig){.log = {getenv("RPC_TEST_LOG") != NULL ? 2 : -1, LOG_LEVEL_DEBUG}};
    r->w = opts->w;
    if (r->w == NULL)
        need(loop_worker_new(NULL, &r->w, NULL) == 0, "no worker");
    if (opts->offload)
        need(loop_offload_new(NULL, &r->offload, NULL) == 0, "no pool");
    rt.worker = r->w;
    rt.offload = r->offload;
    need(rpc_runtime_new(&rt, &r->rt, NULL) == 0, "no runtime");
}

static void set_flag(void *arg)
{
    *(bool *)arg = true;
}

static bool is_set(void *arg)
{
    return *(bool *)arg;
}

void rig_stop(struct rig *r, struct rpc_server *s, int grace_ms)
{
    bool stopped = false;

    rpc_server_stop(s, grace_ms * CLOCK_MS, set_flag, &stopped);
    TAP_OK(raw_until(r->w, is_set, &stopped, 10000 + grace_ms), "the server does not stop");
}

void rig_done(struct rig *r, bool free_worker)
{
    bool stopped = false;

    rpc_runtime_stop(r->rt, set_flag, &stopped);
    if (!raw_until(r->w, is_set, &stopped, 10000))
        need(false, "the runtime does not stop");
    loop_offload_free(r->offload);
    if (free_worker)
        loop_worker_free(r->w);
}

struct rpc_server *rig_serve(struct rig *r, const struct rpc_dispatcher *d, char ret_endpoint[256])
{
    struct rpc_server_opts opts = {0};
    struct rpc_server *s;
    const char *endpoint;
    struct err e = ERR_INIT;

    if (rpc_server_new(r->rt, &opts, d, &s, &e) < 0 ||
        rpc_server_listen(s, "127.0.0.1:0", &endpoint, &e) < 0) {
        tap_note("server: %s", err_text(&e));
        need(false, "no server");
    }
    snprintf(ret_endpoint, 256, "/%s", endpoint);
    return s;
}
