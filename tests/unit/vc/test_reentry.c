#include "config.h"

/* Callbacks that call the engine, down to the end of the connection that calls them. */

#include "pair.h"
#include "vc_tests.h"

static struct pair p;

static void data_closes(struct tflow *f, struct span bytes)
{
    (void)bytes;
    if (f->flow != NULL)
        pair_close_flow(f);
}

static void data_cancels(struct tflow *f, struct span bytes)
{
    (void)bytes;
    vc_flow_write(f->flow, span_str("never sent"), NULL);
    pair_cancel_flow(f);
}

static void data_aborts(struct tflow *f, struct span bytes)
{
    struct tvc *v = &f->end->vcs[0];

    (void)bytes;
    if (v->vc != NULL)
        pair_abort_vc(v, "in data");
}

static void data_frees(struct tflow *f, struct span bytes)
{
    uint8_t sum = 0;

    if (f->end->vif != NULL)
        pair_free_vif(f->end, NULL);
    for (size_t i = 0; i < bytes.len; i++) /* still there */
        sum = (uint8_t)(sum + bytes.p[i]);
    TAP_IS(bytes.len == 0 || sum != 1);
}

static void data_opens(struct tflow *f, struct span bytes)
{
    struct tvc *v = &f->end->vcs[0];
    struct tflow *g;

    (void)bytes;
    if (f->end->n_flows > 40 || v->vc == NULL)
        return;
    g = pair_open_flow(v, NULL);
    if (g != NULL)
        pair_write(g, "one more");
}

static void accept_closes(struct tflow *f)
{
    pair_close_flow(f);
}

static void accept_aborts(struct tflow *f)
{
    if (f->end->vcs[0].vc != NULL)
        pair_abort_vc(&f->end->vcs[0], "in accept");
}

static void accept_frees(struct tflow *f)
{
    pair_free_vif(f->end, NULL);
}

static void ready_frees(struct tvc *v)
{
    pair_free_vif(v->end, NULL);
}

static void ready_closes(struct tvc *v)
{
    pair_close_vc(v);
}

static void eof_frees(struct tflow *f)
{
    if (f->end->vif != NULL)
        pair_free_vif(f->end, NULL);
    pair_close_flow(f);
}

static void closed_closes(struct tvc *v)
{
    pair_close_vc(v);
}

static void failed_frees(struct end *e)
{
    pair_free_vif(e, NULL);
}

static void run_reentrant(enum pair_kind kind, int side, size_t piece, void (*hook)(struct end *))
{
    struct tvc *v;
    struct tflow *f;

    pair_init(&p, kind, NULL);
    p.piece = piece;
    hook(&p.end[side]);
    if (side == 0)
        p.end[1].echo = true;
    v = pair_open_vc(&p, 0, NULL);
    for (int i = 0; i < 4; i++) {
        f = pair_open_flow(v, NULL);
        if (f != NULL) {
            pair_write_pattern(f, 70000, 0);
            if (i == 1)
                pair_close_flow(f);
        }
    }
    pair_run(&p);
    if (p.end[1].vif != NULL) /* undecodable */
        pair_inject(&p.end[1], span_of("\x02\x00\x00\x00", 4));
    pair_run(&p);
    if (p.end[0].vif != NULL)
        pair_inject(&p.end[0], span_of("\x02\x00\x00\x00", 4));
    pair_run(&p);
    pair_done(&p);
}

#define HOOK(name, member, function)                                                               \
    static void name(struct end *e)                                                                \
    {                                                                                              \
        e->member = function;                                                                      \
    }

HOOK(hook_data_closes, on_data, data_closes)
HOOK(hook_data_cancels, on_data, data_cancels)
HOOK(hook_data_aborts, on_data, data_aborts)
HOOK(hook_data_frees, on_data, data_frees)
HOOK(hook_data_opens, on_data, data_opens)
HOOK(hook_accept_closes, on_accept, accept_closes)
HOOK(hook_accept_aborts, on_accept, accept_aborts)
HOOK(hook_accept_frees, on_accept, accept_frees)
HOOK(hook_ready_frees, on_ready, ready_frees)
HOOK(hook_ready_closes, on_ready, ready_closes)
HOOK(hook_eof_frees, on_eof, eof_frees)
HOOK(hook_closed_closes, on_closed, closed_closes)
HOOK(hook_failed_frees, on_failed, failed_frees)

static void callbacks_may_do_anything(void)
{
    static void (*const hooks[])(struct end *) = {
        hook_data_closes,  hook_data_cancels,  hook_data_aborts,   hook_data_frees,
        hook_data_opens,   hook_accept_closes, hook_accept_aborts, hook_accept_frees,
        hook_ready_frees,  hook_ready_closes,  hook_eof_frees,     hook_closed_closes,
        hook_failed_frees,
    };
    static const size_t pieces[] = {0, 1, 100};

    for (size_t i = 0; i < sizeof hooks / sizeof hooks[0]; i++) {
        for (int kind = PAIR_INSECURE; kind <= PAIR_NULL; kind++) {
            for (int side = 0; side < 2; side++) {
                for (size_t k = 0; k < 3; k++)
                    run_reentrant((enum pair_kind)kind, side, pieces[k], hooks[i]);
            }
        }
    }
    tap_note("%zu callbacks that end or begin something", sizeof hooks / sizeof hooks[0]);
}

static const struct tap_case cases[] = {
    {"callbacks may do anything", callbacks_may_do_anything},
};

const struct tap_suite vc_reentry_suite = TAP_SUITE("reentry", cases);
