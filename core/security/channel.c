#include "config.h"
#include "security/channel.h"

#include "security/internal.h"
#include "security/types.h"
#include "vom/dec.h"
#include "vom/enc.h"
#include "wspr/error.h"

/* The message. spec: stream 8.1 */

int security_channel_encode(struct buf *out, const struct security_channel_message *m)
{
    struct vom_value fields[] = {
        vom_value_span(&vom_type_bytes, m->channel_id), vom_value_span(&vom_type_bytes, m->id),
        vom_value_span(&vom_type_bytes, m->sign_r),     vom_value_span(&vom_type_bytes, m->sign_s),
        vom_value_span(&vom_type_bytes, m->signature),
    };
    struct vom_value v = vom_value_zero(&security_type_channel_message);

    v.items = fields;
    v.n = sizeof fields / sizeof fields[0];
    return vom_encode(out, &v, NULL);
}

/* A field of bytes, whatever its wire type is called; absent ones are empty. */
static int get_field(const struct vom_value *v, const char *name, struct span *ret, struct err *e)
{
    struct vom_value f = vom_value_field(v, name);
    int r = f.type != NULL ? security_deref(f, &f) : 0;

    if (r < 0)
        return security_fail(e, r);
    if (r == 0) {
        *ret = span_of(NULL, 0);
        return 0;
    }
    if (f.type->kind != VOM_KIND_STRING && !vom_type_is_bytes(f.type))
        return security_fail_type(e, f.type, "[]byte");
    *ret = f.s;
    return 0;
}

static int get_message(const struct vom_value *whole, struct security_channel_message *m,
                       struct err *e)
{
    struct vom_value v;
    int r = security_deref(*whole, &v);

    if (r < 0)
        return security_fail(e, r);
    if (r == 0 || v.type->kind != VOM_KIND_STRUCT)
        return security_fail_type(e, whole->type, "vc.identityMessage");
    r = get_field(&v, "ChannelID", &m->channel_id, e);
    if (r >= 0)
        r = get_field(&v, "ID", &m->id, e);
    if (r >= 0)
        r = get_field(&v, "SignR", &m->sign_r, e);
    if (r >= 0)
        r = get_field(&v, "SignS", &m->sign_s, e);
    return r < 0 ? r : get_field(&v, "Signature", &m->signature, e);
}

int security_channel_decode(struct span in, struct security_channel_message *ret_message,
                            size_t *ret_used, struct err *e)
{
    const struct vom_limits limits = {
        .message = SECURITY_CHANNEL_MAX,
        .types = 65536,
        .definitions = 64,
        .depth = 16,
    };
    struct arena a = ARENA_INIT(SECURITY_SCRATCH_MAX);
    struct security_channel_message m;
    struct vom_value v;
    struct vom_msg msg;
    struct vom_dec dec;
    ssize_t used;
    int r = 0;

    vom_dec_init(&dec, &limits);
    used = vom_dec_next(&dec, in.p, in.len, &msg, e);
    if (used == 0)
        r = in.len > SECURITY_CHANNEL_MAX ? security_fail(e, WSPR_ELIMIT) : WSPR_EAGAIN;
    else if (used < 0)
        r = (int)used;
    if (r >= 0)
        r = vom_dec_value(&dec, &msg, &a, &v, e);
    if (r >= 0)
        r = get_message(&v, &m, e);
    vom_dec_done(&dec);
    arena_done(&a);
    if (r == WSPR_EAGAIN)
        return r;
    if (r < 0) {
        err_prefix(e, 0, "failed to decode identityMessage: ");
        return r;
    }
    *ret_message = m;
    *ret_used = (size_t)used;
    return 0;
}

/* What a receiver checks. spec: stream 8.4 */

struct span security_channel_label(bool server)
{
    return span_str(server ? "server" : "client");
}

int security_channel_check_label(struct span plain, bool from_server, struct err *e)
{
    if (span_equal(plain, security_channel_label(from_server)))
        return 0;
    return err_set(e, WSPR_EPROTO, "channel id does not match expectation");
}

int security_channel_identity(struct span plain, unsigned flags, struct security_identity **ret_id,
                              struct err *e)
{
    int r = security_identity_decode_or_nil(plain, flags, ret_id, e);

    if (r == 1)
        return err_set(e, WSPR_EPROTO, "invalid identity in authentication message");
    if (r < 0)
        err_prefix(e, 0, "failed to decode security.PublicID: ");
    return r;
}

static int verify(const struct security_identity *id, struct span channel_id,
                  const struct security_signature *s, struct err *e)
{
    if (security_verify(security_identity_key(id), channel_id, s))
        return 0;
    return err_set(e, WSPR_ECRYPTO,
                   "channel id signature does not match in authentication message");
}

int security_channel_verify(const struct security_identity *id, struct span channel_id,
                            struct span r, struct span s, struct err *e)
{
    struct security_signature signature = {{NULL, 0}, r, s};

    return verify(id, channel_id, &signature, e);
}

int security_channel_verify_vom(const struct security_identity *id, struct span channel_id,
                                struct span signature, struct err *e)
{
    struct arena a = ARENA_INIT(SECURITY_SCRATCH_MAX);
    struct security_signature s;
    int r = security_signature_decode(signature, &a, &s, e);

    if (r < 0)
        err_prefix(e, 0, "failed to decode security.Signature: ");
    else
        r = verify(id, channel_id, &s, e);
    arena_done(&a);
    return r;
}

int security_channel_sign(const struct security_private *id, struct span channel_id,
                          struct security_signed *ret_signed, struct err *e)
{
    const struct security_key *key = security_private_key(id);

    if (key == NULL)
        return err_set(e, WSPR_ECRYPTO, "identity has no private key");
    return security_sign(key, channel_id, ret_signed, e);
}
