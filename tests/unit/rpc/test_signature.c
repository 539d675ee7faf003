/* Signatures as an object may send them, whatever they are. */
#include "config.h"

#include <time.h>

#include "rpc/header.h"
#include "rpc/signature.h"
#include "rpc_tests.h"
#include "vom/enc.h"
#include "vom/wiretypes.h"

#define DEFS 2000

struct sent {
    struct arena a;
    struct vom_value defs, args;
    struct buf bytes;
};

static void sent_begin(struct sent *s, size_t n_defs, size_t n_args)
{
    const struct vom_type *service = &vom_type_ipc_service_signature;
    const struct vom_type *method = service->fields[1].type->elem;

    arena_init(&s->a, 64 << 20);
    buf_init(&s->bytes, 64 << 20);
    TAP_IS(vom_value_new_list(&s->a, service->fields[0].type, n_defs, &s->defs) == 0);
    TAP_IS(vom_value_new_list(&s->a, method->fields[0].type, n_args, &s->args) == 0);
}

/* Type 65 + i is a list of that one. */
static void sent_list(struct sent *s, size_t i, uint64_t elem)
{
    struct vom_value def;

    TAP_IS(vom_value_new_struct(&s->a, &vom_type_def_slice, &def) == 0);
    vom_value_set(&def, 0, vom_value_uint(&vom_type_typeid, elem));
    TAP_IS(vom_value_new_to(&s->a, s->defs.type->elem, def, &s->defs.items[i]) == 0);
}

static void sent_arg(struct sent *s, size_t i, uint64_t type)
{
    struct vom_value arg;

    TAP_IS(vom_value_new_struct(&s->a, s->args.type->elem, &arg) == 0);
    vom_value_set(&arg, 1, vom_value_uint(&vom_type_typeid, type));
    vom_value_set(&s->args, i, arg);
}

/* Sends one method M with these arguments, and reads it. */
static int sent_read(struct sent *s, struct rpc_signature *sig, struct err *err)
{
    const struct vom_type *service = &vom_type_ipc_service_signature;
    struct vom_value v, methods, method;
    struct vom_dec dec;
    struct vom_msg msg;
    struct rpc_value value = {&dec, &msg};
    ssize_t n;
    int r;

    TAP_IS(vom_value_new_struct(&s->a, service, &v) == 0);
    TAP_IS(vom_value_new_map(&s->a, service->fields[1].type, 1, &methods) == 0);
    TAP_IS(vom_value_new_struct(&s->a, service->fields[1].type->elem, &method) == 0);
    vom_value_set(&method, 0, s->args);
    vom_value_put(&methods, 0, vom_value_str("M"), method);
    vom_value_set(&v, 0, s->defs);
    vom_value_set(&v, 1, methods);
    TAP_IS(vom_encode(&s->bytes, &v, NULL) == 0);
    vom_dec_init(&dec, &vom_limits_default);
    n = vom_dec_next(&dec, buf_data(&s->bytes), s->bytes.len, &msg, NULL);
    TAP_OK(n > 0 && (size_t)n == s->bytes.len, "%zd", n);
    rpc_signature_init(sig);
    r = n > 0 ? rpc_signature_read(sig, &value, err) : (int)n;
    vom_dec_done(&dec);
    buf_done(&s->bytes);
    arena_done(&s->a);
    return r;
}

/* Lists of lists of a type that is not there, as so many arguments. The time that it takes. */
static clock_t read_lists(size_t n_args, bool known)
{
    struct rpc_signature sig;
    struct sent s;
    clock_t begin;

    sent_begin(&s, DEFS, n_args);
    for (size_t i = 0; i < DEFS; i++)
        sent_list(&s, i, 65 + i + 1);
    if (known)
        sent_list(&s, DEFS - 1, 2);
    for (size_t i = 0; i < n_args; i++)
        sent_arg(&s, i, 65 + i % 2);
    begin = clock();
    TAP_IS(sent_read(&s, &sig, NULL) == 0);
    begin = clock() - begin;
    TAP_IS(sig.n_methods == 1 && sig.methods[0].n_in == n_args);
    for (size_t i = 0; i < n_args; i++)
        TAP_IS((sig.methods[0].in[i].type != NULL) == known);
    rpc_signature_done(&sig);
    return begin;
}

/* A type that means nothing is looked for once, not for each argument. */
static void test_unknown_types(void)
{
    clock_t known = read_lists(8000, true), unknown = read_lists(8000, false);

    TAP_OK(unknown < 4 * known, "%ld and %ld", (long)known, (long)unknown);
}

/* One that takes more than it may is too large, wherever that is found out. */
static void test_large(void)
{
    unsigned large = 0;

    for (size_t n = 4000; n < 40000; n += 500) {
        struct rpc_signature sig;
        struct sent s;
        int r;

        sent_begin(&s, 0, n);
        for (size_t i = 0; i < n; i++)
            sent_arg(&s, i, 2);
        r = sent_read(&s, &sig, NULL);
        TAP_OK(r == WSPR_ELIMIT || (r == 0 && large == 0), "%zu arguments: %d", n, r);
        large += r < 0;
        rpc_signature_done(&sig);
    }
    TAP_IS(large > 0 && large < 72);
}

const struct tap_case rpc_signature_cases[RPC_SIGNATURE_CASES] = {
    {"types that mean nothing", test_unknown_types},
    {"signatures that are too large", test_large},
};
