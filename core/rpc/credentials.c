#include "config.h"
#include "rpc/credentials.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/hex.h"
#include "rpc/call_private.h"
#include "rpc/header.h"
#include "security/caveat.h"
#include "security/identity.h"
#include "security/pattern.h"
#include "vom/wiretypes.h"

#define NAME_MAX_TEXT 4096 /* of an identity in an error */

/* A third-party caveat that concerns the server. */
struct need {
    struct rpc_creds *creds;
    const struct security_third_party *caveat; /* of the call's identity */
    struct security_discharge *discharge;
    /* In a round: */
    struct rpc_call *fetch;
    struct security_discharge *fetched;
};

/* The granter at work; outlives a call that is dropped meanwhile. */
struct grant {
    struct rpc_job job;
    struct rpc_creds *creds; /* NULL: nobody waits any more */
    struct rpc_granter *granter;
    struct security_identity *server, *blessing;
    int result;
    struct err err;
};

struct rpc_creds {
    struct rpc_call *call;
    struct grant *grant;
    struct security_identity *blessing;
    struct arena arena; /* caveats that are sent; types of arguments: as long as the call */
    unsigned running;   /* discharge calls of this round */
    size_t n;
    struct need needs[];
};

struct rpc_granter *rpc_granter_ref(struct rpc_granter *g)
{
    if (g != NULL)
        g->refs++;
    return g;
}

void rpc_granter_unref(struct rpc_granter *g)
{
    if (g != NULL && --g->refs == 0 && g->free != NULL)
        g->free(g);
}

/* ---- the server ---- */

/* Puts `before "<id>": ` in front of an error. */
static void name_server(const struct rpc_call *c, const struct security_identity *id,
                        const char *before, struct err *e)
{
    struct buf name = BUF_INIT(NAME_MAX_TEXT);

    security_identity_print(&name, id, c->client->rt->trust);
    err_prefix(e, WSPR_ENOTAUTH, "%s \"%.*s\": ", before, SPAN_ARG(buf_span(&name)));
    buf_done(&name);
}

#define UNWILLING "ipc: client unwilling to talk to server"

static int match_server(const struct rpc_call *c, struct err *err)
{
    const struct security_trust *trust = c->client->rt->trust;
    struct span pattern = c->opts.server_pattern;
    struct buf name = BUF_INIT(NAME_MAX_TEXT);

    if (pattern.len == 0 || security_pattern_match(pattern, c->server, trust))
        return 0;
    security_identity_print(&name, c->server, trust);
    err_set(err, WSPR_ENOTAUTH, "server \"%.*s\" does not match the provided pattern \"%.*s\"",
            SPAN_ARG(buf_span(&name)), SPAN_ARG(pattern));
    buf_done(&name);
    return WSPR_ENOTAUTH;
}

int rpc_creds_authorize(struct rpc_call *c, struct vc *vc, struct err *err)
{
    struct security_identity *peer = vc_peer(vc);
    struct security_context ctx = {
        .now = clock_wall(),
        .trust = c->client->rt->trust,
        .local = security_private_public(c->opts.identity),
        .network = span_str("tcp"), /* there is nothing else yet */
    };
    int r;

    if (peer == NULL)
        return err_set(err, WSPR_ENOTAUTH, "server identity cannot be nil");
    r = security_authorize(peer, &ctx, &c->server, err);
    if (r == 0)
        r = match_server(c, err);
    if (r < 0) {
        name_server(c, peer, UNWILLING, err);
        security_identity_unref(c->server);
        c->server = NULL;
    }
    return r;
}

/* ---- which discharges ---- */

struct gathering {
    const struct rpc_call *call;
    struct rpc_creds *creds; /* NULL: they are only counted */
    size_t n;
};

/* From the options, then from those that were fetched before. */
static struct security_discharge *find_discharge(const struct rpc_call *c, struct span id)
{
    struct rpc_client *client = c->client;
    struct security_discharge *d;

    for (size_t i = 0; i < c->opts.n_discharges; i++) {
        if (span_equal(security_discharge_id(c->opts.discharges[i]), id))
            return c->opts.discharges[i];
    }
    d = rpc_discharges_get(&client->discharges, id);
    client->rt->stats.discharge_hits += d != NULL;
    return d;
}

static int gather_need(void *arg, const struct security_third_party *caveat)
{
    struct gathering *g = arg;
    struct security_discharge *d;
    struct need *need;

    if (!security_pattern_match(caveat->service, g->call->server, g->call->client->rt->trust))
        return 0;
    if (g->creds != NULL) {
        need = &g->creds->needs[g->n];
        need->creds = g->creds;
        need->caveat = caveat;
        d = find_discharge(g->call, span_of(caveat->id, sizeof caveat->id));
        need->discharge = d != NULL ? security_discharge_ref(d) : NULL;
    }
    g->n++;
    return 0;
}

/* ---- fetching ---- */

static bool creds_fetch(struct rpc_creds *cr);

/* All calls of a round are over. */
static void round_end(struct rpc_creds *cr)
{
    unsigned got = 0;

    for (size_t i = 0; i < cr->n; i++) {
        struct need *need = &cr->needs[i];

        if (need->fetched == NULL)
            continue;
        rpc_discharges_put(&cr->call->client->discharges, need->fetched);
        need->discharge = need->fetched;
        need->fetched = NULL;
        got++;
    }
    if (got == 0 || !creds_fetch(cr))
        rpc_call_prepared(cr->call, NULL);
}

/* A discharge for another caveat is of no use, and must not take the place of a good one. */
static int fetch_discharge(struct need *need, const struct vom_value *v, struct err *err)
{
    struct security_discharge *d;
    int r = security_discharge_from_value(v, &d, err);

    if (r < 0)
        return r;
    if (!span_equal(security_discharge_id(d), span_of(need->caveat->id, sizeof need->caveat->id))) {
        security_discharge_unref(d);
        return err_set(err, WSPR_EBADPROTO, "the discharge is for another caveat");
    }
    security_discharge_unref(need->fetched);
    need->fetched = d;
    return 0;
}

static int fetch_result(void *arg, struct rpc_call *call, uint32_t i, uint32_t n,
                        const struct rpc_value *v, struct err *err)
{
    struct need *need = arg;
    struct arena a = ARENA_INIT((size_t)need->creds->call->client->rt->limits.value_max * 2);
    struct vom_value value;
    int r = vom_dec_value(v->dec, v->msg, &a, &value, err);

    if (r == 0 && i == 0)
        r = fetch_discharge(need, &value, err);
    else if (r == 0 && rpc_error_of_value(&value, err) != 0)
        r = WSPR_ENOTAUTH;
    arena_done(&a);
    return r;
}

static void fetch_done(void *arg, struct rpc_call *call, const struct err *err)
{
    struct need *need = arg;
    struct rpc_creds *cr = need->creds;
    struct rpc_runtime *rt = cr->call->client->rt;

    need->fetch = NULL;
    if (err != NULL) {
        security_discharge_unref(need->fetched);
        need->fetched = NULL;
    }
    if (need->fetched != NULL)
        rt->stats.discharges++;
    else
        rt->stats.discharges_failed++;
    if (--cr->running == 0)
        round_end(cr);
}

static const struct rpc_call_ops fetch_ops = {
    .result = fetch_result,
    .done = fetch_done,
};

/* Asks for one discharge; false if that is not possible. */
static bool fetch_start(struct need *need)
{
    struct rpc_creds *cr = need->creds;
    struct rpc_call *c = cr->call, *fetch;
    struct rpc_call_opts opts = c->opts;
    struct vom_value caveat;

    if (vom_decode(need->caveat->bytes, NULL, &cr->arena, &caveat, NULL, NULL) < 0)
        return false;
    if (c->sent_timeout == 0)
        opts.timeout = RPC_TIMEOUT_OF_SERVER;
    opts.n_results = 2;
    opts.streaming = false;
    opts.no_fetch = true;
    fetch = rpc_call_new(c->client, need->caveat->location, span_str("Discharge"), &opts,
                         &fetch_ops, need);
    if (fetch == NULL)
        return false;
    if (vom_enc_value(rpc_call_enc(fetch), rpc_call_buf(fetch), &caveat, NULL) < 0) {
        rpc_call_cancel(fetch);
        return false;
    }
    need->fetch = fetch;
    rpc_call_start(fetch, 1);
    return true;
}

/* Starts a round; false if there is nothing, or no way, to fetch. */
static bool creds_fetch(struct rpc_creds *cr)
{
    if (cr->call->opts.no_fetch)
        return false;
    for (size_t i = 0; i < cr->n; i++) {
        if (cr->needs[i].discharge != NULL)
            continue;
        if (fetch_start(&cr->needs[i]))
            cr->running++;
        else
            cr->call->client->rt->stats.discharges_failed++;
    }
    return cr->running > 0;
}

/* ---- the granter ---- */

static void grant_work(void *arg)
{
    struct grant *g = arg;

    g->result = g->granter->grant(g->granter, g->server, &g->blessing, &g->err);
}

/* Goes on with what the granter said. */
static void granted(struct rpc_creds *cr, struct grant *g, int status)
{
    struct rpc_call *c = cr->call;
    int r = status < 0 ? status : g->result;

    cr->grant = NULL;
    if (r < 0) {
        if (g->err.code == 0)
            err_set(&g->err, r, "%s", err_code_text(r));
        name_server(c, g->server, "failed to grant credentials to server", &g->err);
        name_server(c, g->server, UNWILLING, &g->err);
        rpc_call_prepared(c, &g->err);
        return;
    }
    cr->blessing = g->blessing;
    g->blessing = NULL;
    if (!creds_fetch(cr))
        rpc_call_prepared(c, NULL);
}

static void grant_done(void *arg, int status)
{
    struct grant *g = arg;

    if (g->creds != NULL)
        granted(g->creds, g, status);
    rpc_granter_unref(g->granter);
    security_identity_unref(g->server);
    security_identity_unref(g->blessing);
    err_done(&g->err);
    free(g);
}

static int grant_start(struct rpc_creds *cr)
{
    struct rpc_call *c = cr->call;
    struct grant *g = calloc(1, sizeof *g);

    if (g == NULL)
        return WSPR_ENOMEM;
    g->creds = cr;
    g->granter = rpc_granter_ref(c->opts.granter);
    g->server = security_identity_ref(c->server);
    cr->grant = g;
    rpc_jobs_run(&c->client->rt->jobs, &g->job, grant_work, grant_done, g);
    return 0;
}

/* ---- life ---- */

int rpc_creds_begin(struct rpc_call *c, struct err *err)
{
    const struct security_identity *id = security_private_public(c->opts.identity);
    struct gathering g = {.call = c};
    struct rpc_creds *cr;

    /* An identity that has too many shows the first ones. */
    security_third_party_each(id, gather_need, &g);
    if (g.n == 0 && c->opts.granter == NULL)
        return 0;
    cr = calloc(1, sizeof *cr + g.n * sizeof cr->needs[0]);
    if (cr == NULL)
        return err_set(err, WSPR_ENOMEM, "out of memory");
    c->creds = cr;
    cr->call = c;
    cr->n = g.n;
    arena_init(&cr->arena, (size_t)c->client->rt->limits.value_max * 2);
    g = (struct gathering){.call = c, .creds = cr};
    security_third_party_each(id, gather_need, &g);
    if (c->opts.granter == NULL)
        return creds_fetch(cr);
    return grant_start(cr) < 0 ? err_set(err, WSPR_ENOMEM, "out of memory") : 1;
}

void rpc_creds_cancel(struct rpc_creds *cr)
{
    if (cr == NULL)
        return;
    if (cr->grant != NULL)
        cr->grant->creds = NULL;
    cr->grant = NULL;
    for (size_t i = 0; i < cr->n; i++) {
        rpc_call_cancel(cr->needs[i].fetch);
        cr->needs[i].fetch = NULL;
    }
}

void rpc_creds_free(struct rpc_creds *cr)
{
    if (cr == NULL)
        return;
    rpc_creds_cancel(cr);
    for (size_t i = 0; i < cr->n; i++) {
        security_discharge_unref(cr->needs[i].discharge);
        security_discharge_unref(cr->needs[i].fetched);
    }
    security_identity_unref(cr->blessing);
    arena_done(&cr->arena);
    free(cr);
}

void rpc_creds_refused(struct rpc_creds *cr)
{
    struct rpc_client *client;

    if (cr == NULL)
        return;
    client = cr->call->client;
    for (size_t i = 0; i < cr->n; i++) {
        if (cr->needs[i].discharge != NULL)
            client->rt->stats.discharges_dropped +=
                rpc_discharges_drop(&client->discharges, cr->needs[i].discharge);
    }
}

/* ---- writing ---- */

/* Reads the arguments that are encoded already, as values whose types are in the arena. */
static int read_args(struct rpc_call *c, const struct buf *stream, struct vom_value *args,
                     struct err *err)
{
    struct span in = buf_span(stream);
    struct vom_limits limits = vom_limits_default;
    struct vom_dec dec;
    struct vom_msg msg;
    ssize_t n = 1;

    limits.message = c->client->rt->limits.value_max;
    vom_dec_init_in(&dec, &limits, &c->creds->arena);
    vom_dec_expect(&dec, &vom_preset_request);
    for (uint32_t i = 0; i < c->n_args && n > 0; i++) {
        n = vom_dec_next(&dec, in.p, in.len, &msg, err);
        if (n == 0)
            n = err_set(err, WSPR_ETRUNC, "EOF");
        if (n > 0) {
            int r = vom_dec_value(&dec, &msg, &c->creds->arena, &args[i], err);

            in = span_of(in.p + n, in.len - (size_t)n);
            n = r < 0 ? r : n;
        }
        if (n < 0)
            err_prefix(err, WSPR_EBADPROTO, "ipc: arg %u encoding failed: ", i);
    }
    vom_dec_done(&dec);
    return n < 0 ? (int)n : 0;
}

static int put_blessing(struct rpc_call *c, struct err *err)
{
    struct vom_value v;
    int r = security_identity_value(&c->creds->arena, c->creds->blessing, &v);

    if (r == 0)
        r = vom_enc_value(&c->enc, &c->head, &v, err);
    else
        err_set(err, r, "%s", err_code_text(r));
    if (r < 0)
        err_prefix(err, WSPR_EBADPROTO, "ipc: blessing encoding failed: ");
    return r;
}

static int put_discharge(struct rpc_call *c, const struct security_discharge *d, struct err *err)
{
    struct span id = security_discharge_id(d);
    struct buf hex = BUF_INIT(256);
    struct vom_value v;
    int r = security_discharge_value(&c->creds->arena, d, &v);

    if (r == 0)
        r = vom_enc_value(&c->enc, &c->head, &v, err);
    else
        err_set(err, r, "%s", err_code_text(r));
    if (r < 0) {
        hex_encode(&hex, id.p, id.len);
        err_prefix(err, WSPR_EBADPROTO,
                   "ipc: failed to encode discharge for %.*s: ", SPAN_ARG(buf_span(&hex)));
        buf_done(&hex);
    }
    return r;
}

static int put_all(struct rpc_call *c, struct rpc_request *rq, const struct vom_value *args,
                   struct err *err)
{
    struct rpc_creds *cr = c->creds;
    int r;

    vom_enc_reset(&c->enc);
    buf_reset(&c->head);
    buf_reset(&c->scratch);
    vom_enc_prime(&c->enc, &c->head, &vom_preset_request);
    rq->has_blessing = cr->blessing != NULL;
    for (size_t i = 0; i < cr->n; i++)
        rq->n_discharges += cr->needs[i].discharge != NULL;
    r = rpc_request_put(&c->enc, &c->head, rq);
    if (r < 0)
        return err_set(err, WSPR_EBADPROTO, "ipc: request encoding failed: %s", err_code_text(r));
    if (cr->blessing != NULL)
        r = put_blessing(c, err);
    for (size_t i = 0; i < cr->n && r >= 0; i++) {
        if (cr->needs[i].discharge != NULL)
            r = put_discharge(c, cr->needs[i].discharge, err);
    }
    for (uint32_t i = 0; i < c->n_args && r >= 0; i++) {
        r = vom_enc_value(&c->enc, &c->scratch, &args[i], err);
        if (r < 0)
            err_prefix(err, WSPR_EBADPROTO, "ipc: arg %u encoding failed: ", i);
    }
    return r;
}

int rpc_creds_put(struct rpc_call *c, struct rpc_request *rq, struct err *err)
{
    struct vom_value *args = arena_calloc(&c->creds->arena, c->n_args, sizeof *args);
    struct buf stream = BUF_INIT(c->head.max + c->scratch.max);
    int r = 0;

    /* The types of the credentials come first, so those of the arguments get other numbers. */
    buf_append_span(&stream, buf_span(&c->head));
    buf_append_span(&stream, buf_span(&c->scratch));
    if (args == NULL || buf_error(&stream) != 0)
        r = err_set(err, WSPR_ENOMEM, "out of memory");
    if (r == 0)
        r = read_args(c, &stream, args, err);
    if (r == 0)
        r = put_all(c, rq, args, err);
    buf_done(&stream);
    return r;
}
