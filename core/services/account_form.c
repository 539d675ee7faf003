/*
 * The stored form of a state: one VOM value and a signature over its bytes (spec: identity-manager
 * 3, 4).
 */
#include "config.h"

#include <nettle/sha2.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/arena.h"
#include "security/caveat.h"
#include "security/identity.h"
#include "security/key.h"
#include "security/types.h"
#include "services/account_private.h"
#include "vom/dec.h"
#include "vom/enc.h"

#define MANAGER "veyron/services/wsprd/identity."

static const struct vom_field service_caveat_fields[] = {
    VOM_FIELD("Service", &security_type_pattern),
    VOM_FIELD("Caveat", &security_type_caveat_any),
};
static const struct vom_type type_service_caveat =
    VOM_TYPE_STRUCT("veyron2/security.ServiceCaveat", service_caveat_fields);
static const struct vom_type type_caveats = VOM_TYPE_SLICE("", &type_service_caveat);
static const struct vom_field permissions_fields[] = {
    VOM_FIELD("Account", &vom_type_string),
    VOM_FIELD("Caveats", &type_caveats),
};
static const struct vom_type type_permissions =
    VOM_TYPE_STRUCT(MANAGER "permissions", permissions_fields);
static const struct vom_type type_origins = VOM_TYPE_MAP("", &vom_type_string, &type_permissions);
static const struct vom_type type_accounts =
    VOM_TYPE_MAP("", &vom_type_string, &security_type_private_id);
static const struct vom_field state_fields[] = {
    VOM_FIELD("Origins", &type_origins),
    VOM_FIELD("Accounts", &type_accounts),
};
static const struct vom_type type_state = VOM_TYPE_STRUCT(MANAGER "persistentState", state_fields);

enum { SERVICE_CAVEAT_SERVICE, SERVICE_CAVEAT_CAVEAT };
enum { PERMISSIONS_ACCOUNT, PERMISSIONS_CAVEATS };
enum { STATE_ORIGINS, STATE_ACCOUNTS };

/* Values of a full state, several times its encoded size. */
#define FORM_SCRATCH_MAX ((size_t)16 * ACCOUNT_DATA_MAX)

/* ---- writing ---- */

static int caveat_value(struct arena *a, const struct security_caveat *c, struct vom_value *ret_v)
{
    struct vom_value v;
    int r = vom_value_new_struct(a, &type_service_caveat, ret_v);

    if (r == 0)
        r = vom_decode(c->bytes, NULL, a, &v, NULL, NULL);
    if (r == 0)
        r = vom_value_new_to(a, &security_type_caveat_any, v, &v);
    if (r < 0)
        return r;
    vom_value_set(ret_v, SERVICE_CAVEAT_SERVICE,
                  vom_value_span(&security_type_pattern, c->service));
    vom_value_set(ret_v, SERVICE_CAVEAT_CAVEAT, v);
    return 0;
}

static int permissions_value(struct arena *a, const struct account_origin *o,
                             struct vom_value *ret_v)
{
    struct vom_value list, caveat;
    int r = vom_value_new_struct(a, &type_permissions, ret_v);

    if (r == 0)
        r = vom_value_new_list(a, &type_caveats, o->n_caveats, &list);
    for (size_t i = 0; i < o->n_caveats && r == 0; i++) {
        r = caveat_value(a, &o->caveats[i], &caveat);
        if (r == 0)
            vom_value_set(&list, i, caveat);
    }
    if (r < 0)
        return r;
    vom_value_set(ret_v, PERMISSIONS_ACCOUNT, vom_value_span(&vom_type_string, o->account));
    vom_value_set(ret_v, PERMISSIONS_CAVEATS, list);
    return 0;
}

static int origins_value(struct arena *a, const struct account_state *s, struct vom_value *ret_v)
{
    size_t n = account_state_origins(s);
    struct vom_value v;
    int r = vom_value_new_map(a, &type_origins, n, ret_v);

    for (size_t i = 0; i < n && r == 0; i++) {
        const struct account_origin *o = account_state_origin(s, i);

        r = permissions_value(a, o, &v);
        if (r == 0)
            vom_value_put(ret_v, i, vom_value_span(&vom_type_string, o->origin), v);
    }
    return r;
}

static int accounts_value(struct arena *a, const struct account_state *s, struct vom_value *ret_v)
{
    size_t n = account_state_accounts(s);
    struct vom_value v;
    int r = vom_value_new_map(a, &type_accounts, n, ret_v);

    for (size_t i = 0; i < n && r == 0; i++) {
        struct security_private *id;
        struct span name = account_state_account(s, i, &id);

        r = security_private_value(a, id, &v);
        if (r == 0)
            r = vom_value_new_to(a, &security_type_private_id, v, &v);
        if (r == 0)
            vom_value_put(ret_v, i, vom_value_span(&vom_type_string, name), v);
    }
    return r;
}

static int state_value(struct arena *a, const struct account_state *s, struct vom_value *ret_v)
{
    struct vom_value origins, accounts;
    int r = vom_value_new_struct(a, &type_state, ret_v);

    if (r == 0)
        r = origins_value(a, s, &origins);
    if (r == 0)
        r = accounts_value(a, s, &accounts);
    if (r < 0)
        return r;
    vom_value_set(ret_v, STATE_ORIGINS, origins);
    vom_value_set(ret_v, STATE_ACCOUNTS, accounts);
    return 0;
}

/*
 * Encodes into a buffer that is never moved, so that no piece of a secret stays behind: its size is
 * guessed, and if that was too little it is wiped and twice as much is tried.
 */
static int encode_value(const struct vom_value *v, struct buf *out, struct err *err)
{
    size_t size = (size_t)65536;
    int r;

    for (;; size *= 2) {
        struct buf b = BUF_INIT(size);
        struct vom_enc enc;

        vom_enc_init(&enc);
        r = buf_reserve(&b, size) != NULL ? vom_enc_value(&enc, &b, v, NULL) : WSPR_ENOMEM;
        vom_enc_done(&enc);
        if (r == 0 && buf_error(&b) != 0)
            r = buf_error(&b);
        if (r == 0)
            buf_append_span(out, buf_span(&b));
        security_buf_wipe(&b);
        if (r != WSPR_ELIMIT || size >= ACCOUNT_DATA_MAX)
            break;
    }
    if (r == 0)
        r = buf_error(out);
    if (r == WSPR_ELIMIT)
        return err_set(err, r, "the accounts take more than %u bytes", ACCOUNT_DATA_MAX);
    return r < 0 ? err_set(err, r, "%s", err_code_text(r)) : 0;
}

int account_state_encode(const struct account_state *s, struct buf *out, struct err *err)
{
    struct arena a = ARENA_INIT(FORM_SCRATCH_MAX);
    struct vom_value v;
    int r = state_value(&a, s, &v);

    if (r < 0)
        err_set(err, r, "%s", err_code_text(r));
    else
        r = encode_value(&v, out, err);
    arena_done(&a);
    return r;
}

static void digest_of(struct span data, uint8_t digest[SECURITY_DIGEST_LEN])
{
    struct sha256_ctx sha;

    sha256_init(&sha);
    sha256_update(&sha, data.len, data.p);
    sha256_digest(&sha, SECURITY_DIGEST_LEN, digest);
}

int account_state_sign(struct span data, const struct security_key *host, struct buf *out,
                       struct err *err)
{
    uint8_t digest[SECURITY_DIGEST_LEN];
    struct security_signature signature;
    struct security_signed made;
    int r;

    digest_of(data, digest);
    r = security_sign(host, span_of(digest, sizeof digest), &made, err);
    if (r < 0)
        return r;
    signature = security_signed_view(&made);
    r = security_signature_encode(out, &signature);
    return r < 0 ? err_set(err, r, "%s", err_code_text(r)) : 0;
}

/* ---- reading ---- */

static int check_signature(const struct account_stored *stored, const struct security_pubkey *host,
                           struct err *err)
{
    struct arena a = ARENA_INIT((size_t)64 * 1024);
    uint8_t digest[SECURITY_DIGEST_LEN];
    struct security_signature signature = {{NULL, 0}, {NULL, 0}, {NULL, 0}};
    bool whole = stored->data.p != NULL && stored->signature.p != NULL;
    int r = 0;

    if (stored->signature.p != NULL)
        r = security_signature_decode(stored->signature, &a, &signature, err);
    if (r == 0) {
        digest_of(stored->data, digest);
        if (!whole || !security_verify(host, span_of(digest, sizeof digest), &signature))
            r = err_set(err, WSPR_ENOTAUTH, "signature verification failed");
    }
    arena_done(&a);
    return r;
}

/* Entries of all maps, as they are written: the decoder keeps the last of those with one key. */
static int count_entries(struct vom_dec *dec, const struct vom_msg *msg, size_t *ret_n,
                         struct err *err)
{
    struct vom_reader reader;
    const struct vom_type *t = msg->type;
    int index = -1, r;

    vom_reader_init(&reader, dec, msg, err);
    *ret_n = 0;
    while ((r = vom_read_field(&reader, t, &index)) > 0) {
        const struct vom_type *field = t->fields[index].type;
        size_t n;

        if (field->kind != VOM_KIND_MAP) {
            r = vom_read_skip(&reader, field);
        } else {
            r = vom_read_count(&reader, field, &n);
            *ret_n += r >= 0 ? n : 0;
            for (size_t i = 0; r >= 0 && i < n; i++) {
                r = vom_read_skip(&reader, field->key);
                if (r >= 0)
                    r = vom_read_skip(&reader, field->elem);
            }
        }
        if (r < 0)
            break;
    }
    return r;
}

static size_t entries_of(const struct vom_value *v)
{
    size_t sum = 0;

    for (size_t i = 0; i < vom_value_len(v); i++) {
        struct vom_value field = vom_value_at(v, i);

        if (field.type->kind == VOM_KIND_MAP)
            sum += vom_value_len(&field);
    }
    return sum;
}

/*
 * The parts of the value are taken as they are on the wire: a conversion would drop the names of
 * types inside interfaces, which say what an identity or caveat is.
 */
static int fail_shape(struct err *err)
{
    return err_set(err, WSPR_ETYPE, "these are no accounts");
}

/* The one value of the data, as it is on the wire. */
static int read_value(struct span data, struct vom_dec *dec, struct arena *a,
                      struct vom_value *ret_v, struct err *err)
{
    struct vom_msg msg;
    ssize_t n = vom_dec_next(dec, data.p, data.len, &msg, err);
    size_t entries;
    int r;

    if (n < 0)
        return (int)n;
    if (n == 0)
        return err_set(err, WSPR_ETRUNC, "EOF");
    if ((size_t)n != data.len)
        return err_set(err, WSPR_EPROTO, "there is something behind the accounts");
    if (msg.type->kind != VOM_KIND_STRUCT)
        return fail_shape(err);
    r = count_entries(dec, &msg, &entries, err);
    if (r >= 0)
        r = vom_dec_value(dec, &msg, a, ret_v, err);
    if (r < 0)
        return r;
    return entries == entries_of(ret_v) ? 0 : err_set(err, WSPR_EINVAL, "a name occurs twice");
}

/* A field of that kind; one that is not there is empty. */
static int get_field(const struct vom_value *v, const char *name, enum vom_kind kind,
                     struct vom_value *ret_v, struct err *err)
{
    if (v->type->kind != VOM_KIND_STRUCT)
        return fail_shape(err);
    *ret_v = vom_value_field(v, name);
    return ret_v->type == NULL || ret_v->type->kind == kind ? 0 : fail_shape(err);
}

/* The same for a map whose keys are strings. */
static int get_map(const struct vom_value *v, const char *name, struct vom_value *ret_v,
                   struct err *err)
{
    int r = get_field(v, name, VOM_KIND_MAP, ret_v, err);

    if (r == 0 && ret_v->type != NULL && ret_v->type->key->kind != VOM_KIND_STRING)
        return fail_shape(err);
    return r;
}

static size_t length_of(const struct vom_value *v)
{
    return v->type != NULL ? vom_value_len(v) : 0;
}

static int read_caveat(struct arena *a, const struct vom_value *v, struct security_caveat *c,
                       struct err *err)
{
    struct vom_value service, content;
    struct buf stream = BUF_INIT(SECURITY_IDENTITY_MAX);
    int r = get_field(v, "Service", VOM_KIND_STRING, &service, err);

    if (r == 0)
        r = get_field(v, "Caveat", VOM_KIND_ANY, &content, err);
    if (r < 0)
        return r;
    if (content.to == NULL)
        return err_set(err, WSPR_EINVAL, "a caveat is nil");
    r = vom_encode(&stream, content.to, err);
    c->service = service.s;
    c->bytes = arena_copy(a, buf_span(&stream));
    buf_done(&stream);
    if (r == 0 && c->bytes.p == NULL)
        r = err_set(err, WSPR_ENOMEM, "out of memory");
    return r;
}

static int read_caveats(struct arena *a, const struct vom_value *list, struct account_origin *o,
                        struct err *err)
{
    size_t n = length_of(list);
    struct security_caveat *caveats;
    int r = 0;

    if (n > ACCOUNT_CAVEATS_MAX)
        return err_set(err, WSPR_ELIMIT, "an origin has %zu caveats", n);
    caveats = arena_calloc(a, n, sizeof *caveats);
    if (caveats == NULL)
        return err_set(err, WSPR_ENOMEM, "out of memory");
    for (size_t i = 0; i < n && r == 0; i++) {
        struct vom_value v;

        if (vom_type_is_words(list->type) || vom_type_is_bytes(list->type))
            return fail_shape(err);
        v = vom_value_at(list, i);
        r = read_caveat(a, &v, &caveats[i], err);
    }
    o->caveats = caveats;
    o->n_caveats = n;
    return r;
}

static int read_origins(struct account_state *s, struct arena *a, const struct vom_value *map,
                        struct err *err)
{
    int r = 0;

    for (size_t i = 0; i < length_of(map) && r == 0; i++) {
        struct vom_value permissions = vom_value_elem(map, i), account, caveats;
        struct account_origin o = {.origin = vom_value_key(map, i).s};

        r = get_field(&permissions, "Account", VOM_KIND_STRING, &account, err);
        if (r == 0)
            r = get_field(&permissions, "Caveats", VOM_KIND_SLICE, &caveats, err);
        if (r == 0)
            r = read_caveats(a, &caveats, &o, err);
        if (r < 0)
            return r;
        o.account = account.s;
        r = account_state_put_origin(s, &o, err);
    }
    return r;
}

static int read_accounts(struct account_state *s, const struct vom_value *map, unsigned flags,
                         struct err *err)
{
    int r = 0;

    for (size_t i = 0; i < length_of(map) && r == 0; i++) {
        struct span name = vom_value_key(map, i).s;
        struct vom_value any = vom_value_elem(map, i);
        struct security_private *id;

        if (any.type->kind != VOM_KIND_ANY)
            return fail_shape(err);
        if (any.to == NULL)
            return err_set(err, WSPR_EINVAL, "account %.*s has no identity", SPAN_ARG(name));
        r = security_private_from_value(any.to, flags, &id, err);
        if (r < 0)
            return r;
        r = account_state_add(s, name, id, err);
        security_private_unref(id);
    }
    return r;
}

static int read_state(struct span data, unsigned flags, struct account_state *s, struct err *err)
{
    static const struct vom_limits limits = {
        .message = ACCOUNT_DATA_MAX,
        .types = (size_t)1 << 20,
        .definitions = 4096,
        .depth = 64,
    };
    struct arena a = ARENA_INIT(FORM_SCRATCH_MAX);
    struct vom_value v, origins, accounts;
    struct vom_dec dec;
    int r;

    vom_dec_init(&dec, &limits);
    r = read_value(data, &dec, &a, &v, err);
    if (r == 0)
        r = get_map(&v, "Origins", &origins, err);
    if (r == 0)
        r = get_map(&v, "Accounts", &accounts, err);
    if (r == 0)
        r = read_origins(s, &a, &origins, err);
    if (r == 0)
        r = read_accounts(s, &accounts, flags, err);
    vom_dec_done(&dec);
    arena_wipe(&a);
    return r;
}

int account_state_decode(const struct account_stored *stored, const struct security_pubkey *host,
                         unsigned flags, struct account_state **ret_s, struct err *err)
{
    struct account_state *s = account_state_new();
    int r = 0;

    if (s == NULL)
        return err_set(err, WSPR_ENOMEM, "out of memory");
    if (stored->data.p != NULL || stored->signature.p != NULL) {
        r = check_signature(stored, host, err);
        if (r == 0)
            r = read_state(stored->data, flags, s, err);
    }
    if (r < 0)
        account_state_free(s);
    else
        *ret_s = s;
    return r;
}
