#include "config.h"
#include "rpc/header.h"

#include "vom/wiretypes.h"

/* Writes the index of a field as the distance from the one before; fields come in order. */
static void put_field(struct buf *out, int *last, int field)
{
    vom_put_uint(out, (uint64_t)(field - *last));
    *last = field;
}

int rpc_request_put(struct vom_enc *enc, struct buf *out, const struct rpc_request *rq)
{
    int last = -1;
    int r = vom_enc_begin(enc, out, &vom_type_ipc_request, NULL);

    if (r < 0)
        return r;
    if (rq->suffix.len > 0) {
        put_field(out, &last, VOM_REQUEST_SUFFIX);
        vom_put_bytes(out, rq->suffix);
    }
    if (rq->method.len > 0) {
        put_field(out, &last, VOM_REQUEST_METHOD);
        vom_put_bytes(out, rq->method);
    }
    if (rq->n_args > 0) {
        put_field(out, &last, VOM_REQUEST_NUM_POS_ARGS);
        vom_put_uint(out, rq->n_args);
    }
    if (rq->end_stream) {
        put_field(out, &last, VOM_REQUEST_END_STREAM_ARGS);
        vom_put_bool(out, true);
    }
    if (rq->timeout != 0) {
        put_field(out, &last, VOM_REQUEST_TIMEOUT);
        vom_put_int(out, rq->timeout);
    }
    if (rq->has_blessing) {
        put_field(out, &last, VOM_REQUEST_HAS_BLESSING);
        vom_put_bool(out, true);
    }
    if (rq->n_discharges > 0) {
        put_field(out, &last, VOM_REQUEST_NUM_DISCHARGES);
        vom_put_uint(out, rq->n_discharges);
    }
    vom_put_uint(out, 0);
    return vom_enc_end(enc, NULL);
}

int rpc_error_put(struct vom_enc *enc, struct buf *out, const struct err *e)
{
    const char *id = err_id(e);
    int last = -1;
    int r = vom_enc_any(enc, &vom_type_verror_standard, NULL);

    if (r < 0)
        return r;
    if (id[0] != '\0') {
        put_field(out, &last, 0);
        vom_put_bytes(out, span_str(id));
    }
    if (err_text(e)[0] != '\0') {
        put_field(out, &last, 1);
        vom_put_bytes(out, span_str(err_text(e)));
    }
    vom_put_uint(out, 0);
    return 0;
}

int rpc_response_put(struct vom_enc *enc, struct buf *out, const struct rpc_response *rs)
{
    int last = -1;
    int r = vom_enc_begin(enc, out, &vom_type_ipc_response, NULL);

    if (r < 0)
        return r;
    if (rs->error.code != 0) {
        put_field(out, &last, VOM_RESPONSE_ERROR);
        r = rpc_error_put(enc, out, &rs->error);
        if (r < 0) {
            vom_enc_abort(enc);
            return r;
        }
    }
    if (rs->end_stream) {
        put_field(out, &last, VOM_RESPONSE_END_STREAM_RESULTS);
        vom_put_bool(out, true);
    }
    if (rs->n_results > 0) {
        put_field(out, &last, VOM_RESPONSE_NUM_POS_RESULTS);
        vom_put_uint(out, rs->n_results);
    }
    vom_put_uint(out, 0);
    return vom_enc_end(enc, NULL);
}

static int not_a_header(const struct vom_msg *msg, const char *what, struct err *err)
{
    char name[80];
    struct buf text = BUF_INIT(sizeof name);

    vom_type_print(&text, msg->type, VOM_STYLE_WIRE);
    err_set(err, WSPR_ETYPE, "vom: type mismatch, can't decode \"%.*s\" into value of type \"%s\"",
            SPAN_ARG(buf_span(&text)), what);
    buf_done(&text);
    return WSPR_ETYPE;
}

static int wrong_field(const struct vom_field *f, struct err *err)
{
    return err_set(err, WSPR_ETYPE, "vom: type mismatch in field %.*s", SPAN_ARG(f->name));
}

static int read_string(struct vom_reader *r, const struct vom_field *f, struct span *ret)
{
    if (f->type->kind != VOM_KIND_STRING && f->type->kind != VOM_KIND_BYTES)
        return wrong_field(f, r->err);
    return vom_read_bytes(r, f->type, ret);
}

static int read_bool(struct vom_reader *r, const struct vom_field *f, bool *ret)
{
    if (f->type->kind != VOM_KIND_BOOL)
        return wrong_field(f, r->err);
    return vom_read_bool(r, ret);
}

static int read_number(struct vom_reader *r, const struct vom_field *f, int64_t *ret)
{
    uint64_t u;
    int n;

    if (vom_kind_is_int(f->type->kind))
        return vom_read_int(r, f->type, ret);
    if (!vom_kind_is_uint(f->type->kind) && f->type->kind != VOM_KIND_BYTE)
        return wrong_field(f, r->err);
    n = vom_read_uint(r, f->type, &u);
    if (n == 0 && u > INT64_MAX)
        return wrong_field(f, r->err);
    *ret = (int64_t)u;
    return n;
}

static int read_count(struct vom_reader *r, const struct vom_field *f, uint64_t *ret)
{
    int64_t v = 0;
    int n = read_number(r, f, &v);

    if (n == 0 && v < 0)
        return wrong_field(f, r->err);
    *ret = (uint64_t)v;
    return n;
}

static int read_request_field(struct vom_reader *r, const struct vom_field *f,
                              struct rpc_request *rq)
{
    if (span_equal_str(f->name, "Suffix"))
        return read_string(r, f, &rq->suffix);
    if (span_equal_str(f->name, "Method"))
        return read_string(r, f, &rq->method);
    if (span_equal_str(f->name, "NumPosArgs"))
        return read_count(r, f, &rq->n_args);
    if (span_equal_str(f->name, "EndStreamArgs"))
        return read_bool(r, f, &rq->end_stream);
    if (span_equal_str(f->name, "Timeout"))
        return read_number(r, f, &rq->timeout);
    if (span_equal_str(f->name, "HasBlessing"))
        return read_bool(r, f, &rq->has_blessing);
    if (span_equal_str(f->name, "NumDischarges"))
        return read_count(r, f, &rq->n_discharges);
    return vom_read_skip(r, f->type);
}

int rpc_request_get(struct vom_dec *dec, const struct vom_msg *msg, struct rpc_request *ret_rq,
                    struct err *err)
{
    struct rpc_request rq = {0};
    struct vom_reader r;
    int index = -1, n;

    if (msg->type->kind != VOM_KIND_STRUCT)
        return not_a_header(msg, "ipc.Request", err);
    vom_reader_init(&r, dec, msg, err);
    while ((n = vom_read_field(&r, msg->type, &index)) > 0) {
        n = read_request_field(&r, &msg->type->fields[index], &rq);
        if (n < 0)
            return n;
    }
    if (n == 0)
        n = vom_reader_end(&r);
    if (n == 0)
        *ret_rq = rq;
    return n;
}

int rpc_error_of_value(const struct vom_value *v, struct err *e)
{
    struct span id, msg;
    int r = vom_verror_get(v, &id, &msg);

    if (r <= 0)
        return r;
    err_set_id_text(e, (const char *)id.p, id.len, (const char *)msg.p, msg.len);
    return 1;
}

static int read_error(struct vom_reader *r, const struct vom_field *f, struct arena *a,
                      struct err *error)
{
    struct vom_value v;
    int n = vom_read_value(r, f->type, a, &v);

    if (n < 0)
        return n;
    n = rpc_error_of_value(&v, error);
    return n == WSPR_ETYPE ? wrong_field(f, r->err) : 0;
}

int rpc_response_get(struct vom_dec *dec, const struct vom_msg *msg, struct arena *a,
                     struct rpc_response *ret_rs, struct err *err)
{
    struct rpc_response rs = {0};
    struct vom_reader r;
    int index = -1, n;

    if (msg->type->kind != VOM_KIND_STRUCT)
        return not_a_header(msg, "ipc.Response", err);
    vom_reader_init(&r, dec, msg, err);
    while ((n = vom_read_field(&r, msg->type, &index)) > 0) {
        const struct vom_field *f = &msg->type->fields[index];

        if (span_equal_str(f->name, "Error"))
            n = read_error(&r, f, a, &rs.error);
        else if (span_equal_str(f->name, "EndStreamResults"))
            n = read_bool(&r, f, &rs.end_stream);
        else if (span_equal_str(f->name, "NumPosResults"))
            n = read_count(&r, f, &rs.n_results);
        else
            n = vom_read_skip(&r, f->type);
        if (n < 0)
            break;
    }
    if (n == 0)
        n = vom_reader_end(&r);
    if (n < 0) {
        err_done(&rs.error);
        return n;
    }
    *ret_rs = rs;
    return 0;
}
