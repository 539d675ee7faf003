/* What strangers say as text: types, by tools/wspr_types.c, and times, by tools/wspr_idshow.c. */
#include "config.h"

#include "rpc/signature.h"
#include "tap.h"
#include "vom/type.h"
#include "wspr_identity.h"
#include "wspr_types.h"

#define LEVELS 32

static const struct vom_type leaf = VOM_TYPE_NAMED(VOM_KIND_INT32, "x/y.Leaf");

/* Each is a struct of two fields of the next: few types, and two to the power of LEVELS leaves. */
struct tower {
    struct vom_type types[LEVELS];
    struct vom_field fields[LEVELS][2];
};

static const struct vom_type *make_tower(struct tower *t)
{
    for (int i = 0; i < LEVELS; i++) {
        const struct vom_type *next = i + 1 < LEVELS ? &t->types[i + 1] : &leaf;

        t->fields[i][0] = (struct vom_field)VOM_FIELD("A", next);
        t->fields[i][1] = (struct vom_field)VOM_FIELD("B", next);
        t->types[i] =
            (struct vom_type){.kind = VOM_KIND_STRUCT, .n_fields = 2, .fields = t->fields[i]};
    }
    return &t->types[0];
}

static void shared_parts(void)
{
    struct tower t;
    struct rpc_sig_arg arg = {.type = make_tower(&t)};
    struct rpc_sig_method method = {.in = &arg, .n_in = 1};
    struct rpc_signature sig = {.methods = &method, .n_methods = 1};
    struct buf out = BUF_INIT(65536);
    struct cli_types types = {.n = 0};

    cli_type_text(&out, &t.types[LEVELS - 2], false);
    TAP_OK(span_equal_str(buf_span(&out), "struct{A struct{A y.Leaf; B y.Leaf}; "
                                          "B struct{A y.Leaf; B y.Leaf}}"),
           "%.*s", SPAN_ARG(buf_span(&out)));
    cli_type_text(&out, arg.type, false);
    TAP_IS(buf_error(&out) == WSPR_ELIMIT);
    buf_done(&out);
    cli_types_of(&types, &sig);
    TAP_IS(types.n == 1 && types.items[0] == &leaf);
}

static void times(void)
{
    static const struct {
        int64_t ns;
        const char *text;
    } t[] = {
        {0, "1970-01-01T00:00:00Z"},
        {1, "1970-01-01T00:00:00.000000001Z"},
        {-1, "1969-12-31T23:59:59.999999999Z"},
        {-1000000000, "1969-12-31T23:59:59Z"},
        {INT64_MAX, "2262-04-11T23:47:16.854775807Z"},
        {INT64_MIN, "1677-09-21T00:12:43.145224192Z"},
    };

    for (size_t i = 0; i < sizeof t / sizeof t[0]; i++) {
        struct buf out = BUF_INIT(100);

        cli_time_text(&out, t[i].ns);
        TAP_OK(span_equal_str(buf_span(&out), t[i].text), "%.*s, not %s", SPAN_ARG(buf_span(&out)),
               t[i].text);
        buf_done(&out);
    }
}

static const struct tap_case cases[] = {
    {"shared parts of types", shared_parts},
    {"times", times},
};

int main(int argc, char **argv)
{
    static const struct tap_suite suites[] = {TAP_SUITE("text", cases)};

    return tap_main(argc, argv, suites, 1);
}
