#include "config.h"

/* Handshakes that end early, at every point, or fail. */

#include "pair.h"
#include "vc_tests.h"
#include "wspr/error.h"

static struct pair p;

/* ---- ends at every point of a handshake ---- */

static unsigned enders; /* which of the ways below */

static const char *const ender_names[] = {
    "CloseVC of the peer",
    "vc_close",
    "vc_abort",
    "vc_vif_free",
    "vc_vif_shutdown",
    "flow cancelled",
    "bare close of each flow",
    "handshake time-out",
};

static void end_here(int side)
{
    struct end *e = &p.end[side];
    struct tvc *v = e->n_vcs > 0 && e->vcs[0].vc != NULL ? &e->vcs[0] : NULL;

    switch (enders) {
    case 0:
        pair_say(e, &(struct vc_msg){.kind = VC_MSG_CLOSE_VC, .vci = 10, .text = span_str("boom")});
        break;
    case 1:
        if (v != NULL)
            pair_close_vc(v);
        break;
    case 2:
        if (v != NULL)
            pair_abort_vc(v, "boom");
        break;
    case 3:
        pair_free_vif(e, "boom");
        break;
    case 4:
        vc_vif_shutdown(e->vif);
        break;
    case 5:
        if (p.end[0].flows[0].flow != NULL)
            pair_cancel_flow(&p.end[0].flows[0]);
        break;
    case 6:
        for (uint32_t flow = 10; flow <= 14 && e->vif != NULL; flow += 2)
            pair_say(e, &(struct vc_msg){.kind = VC_MSG_DATA, .vci = 10, .flow = flow, .flags = 1});
        break;
    default:
        vc_vif_tick(e->vif, p.now + INT64_C(60000000000));
        break;
    }
}

/* Lets `steps` messages pass, ends something at one side, lets the rest pass. False: it was over.
 */
static bool end_at(enum pair_kind kind, enum pair_jobs jobs, unsigned steps, int side)
{
    struct tvc *v;
    struct tflow *f;
    bool more = true;

    p.jobs = jobs;
    pair_init(&p, kind, NULL);
    p.max = 1;
    p.end[1].echo = true;
    v = pair_open_vc(&p, 0, NULL);
    f = pair_open_flow(v, NULL);
    pair_write(f, "hello");
    for (unsigned i = 0; i < steps && more; i++) {
        more = pair_step(&p);
        /* Every third time a job is left lying about when the end comes. */
        if (!more && !(i + 1 >= steps && steps % 3 == 0))
            more = pair_finish_jobs(&p, true) > 0;
    }
    end_here(side);
    pair_run(&p);
    do
        pair_run(&p);
    while (pair_finish_jobs(&p, steps % 2 == 0) > 0);
    TAP_IS(v->closeds <= 1 && v->readies <= 1);
    if (enders == 0 && side == 0 && v->vc != NULL)
        TAP_OK(v->closeds == 1 && strstr(v->why, "remote end closed VC(boom)") != NULL, "%s",
               v->why);
    pair_done(&p);
    p.jobs = PAIR_JOBS_INLINE;
    return more;
}

static void ends_at_every_point(void)
{
    static const enum pair_kind kinds[] = {PAIR_INSECURE, PAIR_NULL, PAIR_RECORDED};
    unsigned runs = 0;

    for (enders = 0; enders < sizeof ender_names / sizeof ender_names[0]; enders++) {
        for (unsigned i = 0; i < 3; i++) {
            for (int side = 0; side < 2; side++) {
                for (int jobs = 0; jobs < 3; jobs++) {
                    unsigned steps = 0;

                    while (end_at(kinds[i], (enum pair_jobs)jobs, steps, side) && steps < 200)
                        steps++;
                    TAP_OK(steps < 200 && steps > 1, "%s: %u steps", ender_names[enders], steps);
                    runs += steps;
                }
            }
        }
    }
    tap_note("%zu ways to end, at %u points", sizeof ender_names / sizeof ender_names[0], runs);
}

/* ---- handshakes that fail ---- */

static void crypters_that_do_not_fit(void)
{
    struct tvc *v;

    pair_init(&p, PAIR_RECORDED, NULL);
    v = pair_open_vc(&p, 0, NULL);
    p.kind = PAIR_NULL; /* the acceptor makes another one */
    pair_run(&p);
    TAP_IS(v->closeds == 1 && v->readies == 0 && p.end[1].vcs[0].closeds == 1);
    TAP_OK(
        strncmp(v->why,
                "VC handshake failed: remote end closed VC(failed to setup TLS: a circuit without",
                50) == 0,
        "%s", v->why);
    TAP_OK(strncmp(p.end[1].vcs[0].why, "failed to setup TLS: a circuit without", 38) == 0, "%s",
           p.end[1].vcs[0].why);
    TAP_IS(vc_pool_stats(p.end[1].pool)->err_handshake == 1);
    pair_done(&p);
}

/* Somebody in the middle of the identity messages: every bit of them counts. */
static unsigned flip_at;
static int flip_side;

static int flip(struct end *e, const struct vc_msg *m)
{
    if (e->side == flip_side && m->kind == VC_MSG_DATA && m->flow == 12 && m->payload.len > 0) {
        uint8_t *byte = (uint8_t *)(uintptr_t)m->payload.p + flip_at % m->payload.len;

        *byte ^= 1;
    }
    return 0;
}

static void identities_that_do_not_fit(void)
{
    unsigned n = 0, texts = 0;

    for (flip_side = 0; flip_side < 2; flip_side++) {
        for (flip_at = 0; flip_at < 1037; flip_at += 13) {
            struct tvc *v, *w = &p.end[1].vcs[0];
            const char *expect;

            pair_init(&p, PAIR_RECORDED, NULL);
            p.end[0].on_message = flip;
            p.end[1].on_message = flip;
            v = pair_open_vc(&p, 0, NULL);
            pair_run(&p);
            if (v->closeds == 0) {
                /* A length that grew waits for more, a name of the VOM framing does not matter. */
                TAP_OK(v->readies == 0 || flip_at < 116 + 116,
                       "byte %u of the message to side %d does not matter", flip_at, flip_side);
                pair_done(&p);
                continue;
            }
            TAP_IS(v->closeds == 1 && w->closeds == 1);
            expect = flip_side == 0 ? "VC handshake failed: authentication failed: "
                                    : "Authentication failed: ";
            TAP_OK(strncmp(flip_side == 0 ? v->why : w->why, expect, strlen(expect)) == 0,
                   "byte %u: %s", flip_at, flip_side == 0 ? v->why : w->why);
            texts += strstr(v->why, "failed to decrypt") != NULL;
            n++;
            pair_done(&p);
        }
    }
    TAP_IS(n > 60 && texts > 60);
    tap_note("%u damaged identity messages", n);
}

/* One end was told to use version 1, the other computes 2. */
static void versions_that_do_not_fit(void)
{
    struct tvc *v;

    pair_init(&p, PAIR_RECORDED, NULL);
    p.force_version = 1;
    v = pair_open_vc(&p, 0, NULL);
    TAP_IS(vc_version(v->vc) == 1);
    pair_run(&p);
    TAP_IS(v->closeds == 1 && v->readies == 0);
    TAP_OK(strcmp(v->why, "VC handshake failed: authentication failed: channel id signature does "
                          "not match in authentication message") == 0,
           "%s", v->why);
    TAP_OK(strcmp(p.end[1].vcs[0].why,
                  "remote end closed VC(authentication failed: channel id signature does not match "
                  "in authentication message)") == 0,
           "%s", p.end[1].vcs[0].why);
    pair_done(&p);
}

static const struct tap_case cases[] = {
    {"ends at every point", ends_at_every_point},
    {"crypters that do not fit", crypters_that_do_not_fit},
    {"identities that do not fit", identities_that_do_not_fit},
    {"versions that do not fit", versions_that_do_not_fit},
};

const struct tap_suite vc_handshake_suite = TAP_SUITE("handshake", cases);
