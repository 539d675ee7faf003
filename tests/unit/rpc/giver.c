#include "config.h"
#include "giver.h"

#include "base/clock.h"
#include "security/caveat.h"
#include "security/identity.h"
#include "vom/wiretypes.h"

#define DEBTS_MAX 8

static const struct vom_type t_any = VOM_TYPE_NAMED(VOM_KIND_ANY, "anydata");
static const struct rpc_param in_caveat[] = {{"caveat", &t_any}};
static const struct rpc_param out_discharge[] = {{"", &t_any}, {"", &vom_type_error}};

static int mint(struct giver *g, struct span caveat, struct security_discharge **ret,
                struct err *err)
{
    struct security_context ctx = {.now = clock_wall(), .trust = g->trust};

    return security_discharge_mint(g->identity, caveat, &ctx, g->duration, NULL, 0, ret, err);
}

/* Another caveat of the same kind. */
static void mistake(struct giver *g, struct buf *caveat)
{
    buf_reset(caveat);
    security_third_party_make(caveat, security_identity_key(security_private_public(g->identity)),
                              span_str("/nowhere"), span_of(NULL, 0), NULL);
}

static void gone(void *arg, struct rpc_scall *call)
{
    struct giver *g = arg;

    g->gone++;
    for (unsigned i = 0; i < g->n_held; i++) {
        if (g->held[i] == call)
            g->held[i] = g->held[--g->n_held];
    }
    rpc_scall_finish(call, NULL, 0, NULL);
}

static const struct rpc_scall_ops held_ops = {.gone = gone};

static void discharge(void *object, struct rpc_scall *call, const struct vom_value *const *args)
{
    struct giver *g = object;
    struct buf caveat = BUF_INIT(65536);
    struct security_discharge *d = NULL;
    struct vom_value v = vom_value_str("have a nice day");
    const struct vom_value *results[] = {&v};
    struct err e = ERR_INIT;
    int r;

    g->asked++;
    if (g->mood == GIVER_KEEPS_SILENT && g->n_held < GIVER_HELD) {
        g->held[g->n_held++] = call;
        rpc_scall_set_ops(call, &held_ops, g);
        return;
    }
    r = vom_encode(&caveat, args[0], &e);
    if (g->mood == GIVER_ERRS)
        mistake(g, &caveat);
    if (g->mood == GIVER_REFUSES)
        r = err_set(&e, WSPR_ENOTAUTH, "not today");
    if (r == 0 && g->mood != GIVER_TALKS)
        r = mint(g, buf_span(&caveat), &d, &e);
    if (r == 0 && d != NULL)
        r = security_discharge_value(rpc_scall_arena(call), d, &v);
    if (r < 0 && e.code == 0)
        err_set(&e, r, "no discharge");
    rpc_scall_finish(call, results, 1, &e);
    security_discharge_unref(d);
    buf_done(&caveat);
    err_done(&e);
}

static const struct rpc_method methods[] = {
    {.name = "Discharge",
     .in = in_caveat,
     .n_in = 1,
     .out = out_discharge,
     .n_out = 2,
     .invoke = discharge},
};
static const struct rpc_interface interface = {.name = "giver", .methods = methods, .n_methods = 1};

static int look_up(void *arg, struct span suffix, struct rpc_object *ret, struct err *err)
{
    *ret = (struct rpc_object){&interface, NULL, arg, &rpc_authorizer_all};
    return 0;
}

void giver_init(struct giver *g, struct security_private *identity, struct security_trust *trust)
{
    *g = (struct giver){
        .identity = identity, .trust = trust, .duration = 3600 * CLOCK_S, .mood = GIVER_GIVES};
    g->dispatcher = (struct rpc_dispatcher){look_up, g};
}

void giver_let_go(struct giver *g)
{
    while (g->n_held > 0)
        rpc_scall_finish(g->held[--g->n_held], NULL, 0, NULL);
}

struct security_private *giver_debtor(struct security_private *owner, const struct debt *debts,
                                      size_t n)
{
    struct security_caveat caveats[DEBTS_MAX];
    struct buf bytes[DEBTS_MAX];
    struct security_blessing b = {
        .name = span_str("debtor"),
        .now = clock_wall(),
        .duration = 3600 * CLOCK_S,
        .caveats = caveats,
        .n_caveats = n,
    };
    struct security_identity *blessing = NULL;
    struct security_private *id = NULL;
    struct buf minting = BUF_INIT(4096);

    security_caveat_expiry(&minting, b.now, b.now + b.duration);
    for (size_t i = 0; i < n; i++) {
        const struct giver *g = debts[i].giver;
        const char *location = debts[i].location != NULL ? debts[i].location : g->name;

        bytes[i] = BUF_INIT(65536);
        security_third_party_make(&bytes[i],
                                  security_identity_key(security_private_public(g->identity)),
                                  span_str(location), buf_span(&minting), NULL);
        caveats[i] = (struct security_caveat){span_str(debts[i].service), buf_span(&bytes[i])};
    }
    if (security_private_bless(owner, security_identity_key(security_private_public(owner)), &b,
                               &blessing, NULL) < 0 ||
        security_private_derive(owner, blessing, &id, NULL) < 0)
        id = NULL;
    security_identity_unref(blessing);
    for (size_t i = 0; i < n; i++)
        buf_done(&bytes[i]);
    buf_done(&minting);
    return id;
}

struct pick {
    struct span bytes;
    size_t i;
};

static int pick(void *arg, const struct security_third_party *caveat)
{
    struct pick *p = arg;

    p->bytes = caveat->bytes;
    return p->i-- == 0;
}

struct security_discharge *giver_discharge(struct giver *g, struct security_private *debtor,
                                           size_t i)
{
    struct pick p = {.i = i};
    struct security_discharge *d = NULL;

    if (security_third_party_each(security_private_public(debtor), pick, &p) == 1)
        mint(g, p.bytes, &d, NULL);
    return d;
}
