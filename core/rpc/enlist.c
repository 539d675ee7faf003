#include "config.h"
#include "rpc/enlist.h"

#include "rpc/header.h"
#include "vom/enc.h"
#include "vom/value.h"
#include "vom/wiretypes.h"

#define STREAM "veyron/runtimes/google/ipc/stream/"

static const struct vom_type enlist_request = VOM_TYPE_STRUCT_EMPTY(STREAM "proxy.Request");
static const struct vom_field response_fields[] = {
    VOM_FIELD("Error", &vom_type_error),
    VOM_FIELD("Endpoint", &vom_type_string),
};
static const struct vom_type enlist_response =
    VOM_TYPE_STRUCT(STREAM "proxy.Response", response_fields);

/* ---- request ---- */

int rpc_enlist_put_request(struct buf *out)
{
    struct vom_enc enc;
    int r;

    vom_enc_init(&enc);
    r = vom_enc_begin(&enc, out, &enlist_request, NULL);
    if (r == 0) {
        vom_put_uint(out, 0);
        r = vom_enc_end(&enc, NULL);
    }
    vom_enc_done(&enc);
    return r;
}

int rpc_enlist_get_request(struct vom_dec *dec, const struct vom_msg *msg, struct err *err)
{
    struct vom_reader r;
    int index = -1, n;

    /* Fields are matched by name, so any struct could pass; a client that takes a relay for a
     * server must not be listed by mistake. */
    if (msg->type->kind != VOM_KIND_STRUCT ||
        (msg->type->n_fields > 0 && !span_equal(msg->type->name, enlist_request.name)))
        return err_set(err, WSPR_ETYPE, "vom: type mismatch, can't decode \"%.*s\" into \"%.*s\"",
                       SPAN_ARG(msg->type->name), SPAN_ARG(enlist_request.name));
    vom_reader_init(&r, dec, msg, err);
    while ((n = vom_read_field(&r, msg->type, &index)) > 0) {
        n = vom_read_skip(&r, msg->type->fields[index].type);
        if (n < 0)
            return n;
    }
    return n < 0 ? n : vom_reader_end(&r);
}

/* ---- response ---- */

static int put_fields(struct vom_enc *enc, struct buf *out, struct span endpoint,
                      const struct err *refusal)
{
    int r;

    if (refusal != NULL) {
        vom_put_uint(out, 1);
        r = rpc_error_put(enc, out, refusal);
        if (r < 0) {
            vom_enc_abort(enc);
            return r;
        }
    } else if (endpoint.len > 0) {
        vom_put_uint(out, 2);
        vom_put_bytes(out, endpoint);
    }
    vom_put_uint(out, 0);
    return vom_enc_end(enc, NULL);
}

int rpc_enlist_put_response(struct buf *out, struct span endpoint, const struct err *refusal)
{
    struct vom_enc enc;
    int r;

    vom_enc_init(&enc);
    r = vom_enc_begin(&enc, out, &enlist_response, NULL);
    if (r == 0)
        r = put_fields(&enc, out, endpoint, refusal);
    vom_enc_done(&enc);
    return r;
}

static int get_field(struct vom_reader *r, const struct vom_field *f, struct arena *a,
                     struct span *endpoint, struct err *refusal)
{
    struct vom_value v;
    int n;

    if (span_equal_str(f->name, "Error")) {
        n = vom_read_value(r, f->type, a, &v);
        return n < 0 ? n : rpc_error_of_value(&v, refusal);
    }
    if (span_equal_str(f->name, "Endpoint") &&
        (f->type->kind == VOM_KIND_STRING || f->type->kind == VOM_KIND_BYTES))
        return vom_read_bytes(r, f->type, endpoint);
    return vom_read_skip(r, f->type);
}

int rpc_enlist_get_response(struct vom_dec *dec, const struct vom_msg *msg,
                            struct span *ret_endpoint, struct err *ret_refusal, struct err *err)
{
    struct span endpoint = {NULL, 0};
    struct arena a;
    struct vom_reader r;
    int index = -1, n, refused = 0;

    if (msg->type->kind != VOM_KIND_STRUCT)
        return err_set(err, WSPR_ETYPE, "vom: type mismatch, no response of a proxy");
    arena_init(&a, RPC_ENLIST_MAX * 4);
    vom_reader_init(&r, dec, msg, err);
    while ((n = vom_read_field(&r, msg->type, &index)) > 0) {
        n = get_field(&r, &msg->type->fields[index], &a, &endpoint, ret_refusal);
        if (n < 0)
            break;
        refused |= n;
    }
    if (n == 0)
        n = vom_reader_end(&r);
    arena_done(&a);
    if (n < 0)
        return n;
    *ret_endpoint = endpoint;
    return refused;
}
