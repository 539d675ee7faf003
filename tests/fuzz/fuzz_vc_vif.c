#include "config.h"

/*
 * One end of a connection whose other end is the fuzzer. Built twice: fuzz_vc_accept accepts
 * circuits, fuzz_vc_dial (FUZZ_DIAL) opens one. The first byte chooses what the user does, the rest
 * is what the peer says. Protected circuits use the null crypter, so that recorded identity
 * messages stay valid.
 */

#include <stdint.h>
#include <stdlib.h>

#include "security/identity.h"
#include "vc/vif.h"
#include "wspr/error.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#ifndef FUZZ_DIAL
#define FUZZ_DIAL 0
#endif

enum {
    MODE_INSECURE = 1,
    MODE_LATER = 2,   /* jobs come back after the next piece */
    MODE_PIECES = 4,  /* input in pieces of 7 bytes */
    MODE_ECHO = 8,    /* what comes is sent back */
    MODE_UNREAD = 16, /* nothing is consumed */
    MODE_CLOSE = 32,  /* flows are closed at their first data */
    MODE_MUTE = 64,   /* output is not taken until the end */
};

#define FLOWS 64
#define VCS   16
#define JOBS  16

struct fuzz {
    uint8_t mode;
    struct vc_vif *vif;
    struct vc_flow *flows[FLOWS];
    unsigned n_flows;
    struct vc *vcs[VCS];
    unsigned n_vcs;
    struct vc_job *jobs[JOBS];
    unsigned n_jobs;
    int64_t now;
};

static void on_data(void *arg, struct vc_flow *flow, struct span bytes)
{
    struct fuzz *f = arg;

    if (!(f->mode & MODE_UNREAD))
        vc_flow_consumed(flow, bytes.len);
    if (f->mode & MODE_ECHO)
        (void)vc_flow_write(flow, bytes, NULL);
    for (unsigned i = 0; (f->mode & MODE_CLOSE) && i < f->n_flows; i++) {
        if (f->flows[i] == flow) {
            f->flows[i] = NULL;
            vc_flow_close(flow);
        }
    }
}

static void on_eof(void *arg, struct vc_flow *flow, const struct err *why)
{
    struct fuzz *f = arg;

    (void)err_text(why);
    for (unsigned i = 0; i < f->n_flows; i++) {
        if (f->flows[i] == flow) {
            f->flows[i] = NULL;
            vc_flow_cancel(flow);
        }
    }
}

static const struct vc_flow_ops flow_ops = {.data = on_data, .eof = on_eof};

static int on_accept(void *arg, struct vc *vc, struct vc_flow *flow)
{
    struct fuzz *f = arg;

    (void)vc;
    if (f->n_flows == FLOWS)
        return WSPR_ELIMIT;
    f->flows[f->n_flows++] = flow;
    vc_flow_set_ops(flow, &flow_ops, f);
    return 0;
}

static const struct vc_ops vc_ops = {.accept = on_accept};

/* Made once: identities are not what is fuzzed here. */
static struct security_private *identity(void)
{
    static struct security_private *id;

    if (id == NULL && security_private_new(span_str("fuzz"), &id, NULL) < 0)
        abort();
    return id;
}

static int on_accept_vc(void *arg, struct vc *vc, struct span dst, struct span src,
                        struct vc_accept *ret_how, struct err *e)
{
    struct fuzz *f = arg;

    (void)dst, (void)src, (void)e;
    if (f->n_vcs == VCS)
        return WSPR_ELIMIT;
    f->vcs[f->n_vcs++] = vc;
    ret_how->security = (f->mode & MODE_INSECURE) ? VC_INSECURE : VC_SECURE;
    ret_how->crypter = (f->mode & MODE_INSECURE) ? NULL : vc_crypter_null_new();
    ret_how->identity = identity();
    ret_how->ops = &vc_ops;
    ret_how->arg = f;
    return 0;
}

static void on_work(void *arg, struct vc_job *job)
{
    struct fuzz *f = arg;

    if ((f->mode & MODE_LATER) && f->n_jobs < JOBS) {
        f->jobs[f->n_jobs++] = job;
        return;
    }
    vc_job_run(job);
    vc_job_done(job);
}

static const struct vc_vif_ops vif_ops = {.work = on_work, .accept_vc = on_accept_vc};

static void dial(struct fuzz *f)
{
    struct vc_open how = {
        .dst = span_str("@2@tcp@a:1@00000000000000000000000000005555@1@2@@"),
        .src = span_str("@2@tcp@b:2@0000000000000000000000000000cccc@1@2@@"),
        .security = (f->mode & MODE_INSECURE) ? VC_INSECURE : VC_SECURE,
        .crypter = (f->mode & MODE_INSECURE) ? NULL : vc_crypter_null_new(),
        .identity = identity(),
        .ops = &vc_ops,
        .arg = f,
    };

    if (vc_open(f->vif, &how, &f->vcs[0], NULL) < 0)
        abort();
    f->n_vcs = 1;
    for (int i = 0; i < 2; i++) {
        if (vc_flow_open(f->vcs[0], &flow_ops, f, &f->flows[f->n_flows], NULL) < 0)
            abort();
        (void)vc_flow_write(f->flows[f->n_flows++], span_str("a request of some bytes"), NULL);
    }
}

static void finish_jobs(struct fuzz *f, bool run)
{
    while (f->n_jobs > 0) {
        struct vc_job *job = f->jobs[--f->n_jobs];

        if (run)
            vc_job_run(job);
        else
            vc_job_cancel(job);
        vc_job_done(job);
    }
}

/* Whatever is said must decode. */
static void take_output(struct fuzz *f)
{
    struct buf out = BUF_INIT(SIZE_MAX);
    struct span in;
    struct vc_msg m;

    while (vc_vif_output(f->vif, &out, 4096, f->now) > 0)
        ;
    for (in = buf_span(&out); in.len > 0;) {
        if (vc_msg_next(&in, VC_MSG_BODY_MAX, &m, NULL, NULL) != 1)
            abort();
    }
    buf_done(&out);
}

static void feed(struct fuzz *f, const uint8_t *data, size_t size)
{
    size_t piece = (f->mode & MODE_PIECES) ? 7 : 4096;
    while (size > 0) {
        size_t n = size < piece ? size : piece;

        (void)vc_vif_input(f->vif, span_of(data, n), f->now++);
        data += n;
        size -= n;
        if (!(f->mode & MODE_MUTE))
            take_output(f);
        finish_jobs(f, true);
    }
    take_output(f);
    vc_vif_tick(f->vif, f->now + INT64_C(61000000000));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t key[16] = {1};
    struct vc_vif_opts o = {.dialled = FUZZ_DIAL, .accepting = !FUZZ_DIAL};
    struct fuzz f = {0};
    const struct vc_stats *s;
    struct vc_limits l;
    struct vc_pool *pool;

    if (size == 0)
        return 0;
    f.mode = data[0];
    vc_limits_default(&l);
    l.window = 131072;
    l.shared = 8192;
    l.vcs = 8;
    l.flows = 16;
    l.held = 4096;
    l.control_queue = 4096;
    l.queue_hard = 65536;
    l.queue_vif = 100000;
    pool = vc_pool_new(&l, key);
    f.vif = pool != NULL ? vc_vif_new(pool, &o, &vif_ops, &f) : NULL;
    if (f.vif == NULL)
        abort();
    if (FUZZ_DIAL)
        dial(&f);
    feed(&f, data + 1, size - 1);
    if (size % 2 == 0)
        vc_vif_shutdown(f.vif);
    take_output(&f);
    vc_vif_free(f.vif, NULL);
    for (unsigned i = 0; i < f.n_flows; i++)
        vc_flow_close(f.flows[i]);
    for (unsigned i = 0; i < f.n_vcs; i++)
        vc_close(f.vcs[i]);
    finish_jobs(&f, false);
    s = vc_pool_stats(pool);
    if (s->vifs != 0 || s->vcs != 0 || s->flows != 0 || s->queued != 0)
        abort();
    vc_pool_free(pool);
    return 0;
}
