#include "config.h"

/*
 * Identity messages (spec: stream 8). Each field is sealed on its own, in an order that both ends
 * must keep, because sealing moves the cipher on. Runs in a job: touches nothing but the job.
 */

#include "security/channel.h"
#include "vc/impl.h"

#define AUTH_LAST_OLD_VERSION 1u /* sends the signature as two fields */

struct auth_fields {
    struct buf channel_id, id, sign_r, sign_s, signature;
};

static void auth_fields_init(struct auth_fields *f)
{
    buf_init(&f->channel_id, SECURITY_CHANNEL_MAX);
    buf_init(&f->id, SECURITY_CHANNEL_MAX);
    buf_init(&f->sign_r, SECURITY_CHANNEL_MAX);
    buf_init(&f->sign_s, SECURITY_CHANNEL_MAX);
    buf_init(&f->signature, SECURITY_CHANNEL_MAX);
}

static void auth_fields_done(struct auth_fields *f)
{
    buf_done(&f->channel_id);
    buf_done(&f->id);
    buf_done(&f->sign_r);
    buf_done(&f->sign_s);
    buf_done(&f->signature);
}

static int auth_seal(struct vc_job *job, struct span plain, struct buf *out)
{
    return plain.len > 0 ? job->crypter->ops->seal(job->crypter, plain, out, &job->err) : 0;
}

static int auth_seal_identity(struct vc_job *job, struct buf *out)
{
    struct buf plain = BUF_INIT(SECURITY_IDENTITY_MAX);
    int r;

    security_identity_encode(&plain, security_private_public(job->identity));
    r = buf_error(&plain);
    if (r < 0)
        err_set(&job->err, r, "failed to encode the identity");
    else
        r = auth_seal(job, buf_span(&plain), out);
    buf_done(&plain);
    return r;
}

static int auth_seal_signature(struct vc_job *job, struct auth_fields *f)
{
    struct security_signed s;
    struct security_signature view;
    struct buf plain = BUF_INIT(SECURITY_CHANNEL_MAX);
    int r = security_channel_sign(job->identity, buf_span(&f->channel_id), &s, &job->err);

    if (r < 0)
        return r;
    view = security_signed_view(&s);
    if (job->version <= AUTH_LAST_OLD_VERSION) {
        r = auth_seal(job, view.r, &f->sign_r);
        return r < 0 ? r : auth_seal(job, view.s, &f->sign_s);
    }
    security_signature_encode(&plain, &view);
    r = buf_error(&plain);
    if (r >= 0)
        r = auth_seal(job, buf_span(&plain), &f->signature);
    buf_done(&plain);
    return r;
}

int auth_send(struct vc_job *job)
{
    struct security_channel_message m;
    struct auth_fields f;
    int r;

    auth_fields_init(&f);
    r = auth_seal(job, security_channel_label(!job->opener), &f.channel_id);
    if (r >= 0)
        r = auth_seal_identity(job, &f.id);
    if (r >= 0)
        r = auth_seal_signature(job, &f);
    if (r >= 0) {
        m = (struct security_channel_message){
            .channel_id = buf_span(&f.channel_id),
            .id = buf_span(&f.id),
            .sign_r = buf_span(&f.sign_r),
            .sign_s = buf_span(&f.sign_s),
            .signature = buf_span(&f.signature),
        };
        security_channel_encode(&job->out, &m);
        r = buf_error(&job->out);
    }
    if (r < 0 && job->err.code == 0)
        err_set(&job->err, r, "%s", err_code_text(r));
    auth_fields_done(&f);
    return r < 0 ? r : 0;
}

/* Opens one field into out. */
static int auth_open(struct vc_job *job, struct span sealed, const char *name, struct buf *out)
{
    int r = 0;

    buf_reset(out);
    if (sealed.len > 0)
        r = job->crypter->ops->open(job->crypter, sealed, out, &job->err);
    if (r < 0)
        err_prefix(&job->err, WSPR_ECRYPTO, "failed to decrypt %s: ", name);
    return r;
}

static int auth_check_signature(struct vc_job *job, const struct security_channel_message *m,
                                struct auth_fields *f)
{
    int r;

    if (job->version > AUTH_LAST_OLD_VERSION) {
        r = auth_open(job, m->signature, "Signature", &f->signature);
        if (r < 0)
            return r;
        return security_channel_verify_vom(job->peer, m->channel_id, buf_span(&f->signature),
                                           &job->err);
    }
    r = auth_open(job, m->sign_r, "SignR", &f->sign_r);
    if (r >= 0)
        r = auth_open(job, m->sign_s, "SignS", &f->sign_s);
    if (r < 0)
        return r;
    return security_channel_verify(job->peer, m->channel_id, buf_span(&f->sign_r),
                                   buf_span(&f->sign_s), &job->err);
}

int auth_receive(struct vc_job *job)
{
    struct security_channel_message m;
    struct auth_fields f;
    size_t used;
    int r;

    auth_fields_init(&f);
    r = security_channel_decode(buf_span(&job->in), &m, &used, &job->err);
    if (r >= 0)
        r = auth_open(job, m.channel_id, "ChannelID", &f.channel_id);
    if (r >= 0)
        r = security_channel_check_label(buf_span(&f.channel_id), job->opener, &job->err);
    if (r >= 0)
        r = auth_open(job, m.id, "security.PublicID", &f.id);
    if (r >= 0)
        r = security_channel_identity(buf_span(&f.id), job->identity_flags, &job->peer, &job->err);
    if (r >= 0)
        r = auth_check_signature(job, &m, &f);
    if (r < 0 && job->err.code == 0)
        err_set(&job->err, r, "%s", err_code_text(r));
    auth_fields_done(&f);
    return r < 0 ? r : 0;
}
