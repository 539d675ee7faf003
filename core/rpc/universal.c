/* The methods that every object with an interface has (spec: ipc 12, 13). */
#include "config.h"

#include "rpc/resolve.h"
#include "rpc/server_private.h"
#include "vom/wiretypes.h"

/* Id of a type inside a signature: predefined, of the catalogue, or a definition of the interface.
 */
static uint64_t signature_id(const struct rpc_interface *iface, const struct vom_type *t)
{
    unsigned id;

    if (t == NULL)
        return 0;
    for (size_t i = 0; i < iface->n_type_defs; i++) {
        if (iface->type_defs[i] == t)
            return VOM_ID_USER + i;
    }
    id = vom_type_id(t);
    if (id != 0)
        return id;
    for (uint64_t k = 1; k < VOM_ID_USER; k++) {
        const struct vom_type *c = vom_type_catalogue(k);

        if (c != NULL && vom_type_same(c, t))
            return k;
    }
    return 0;
}

static struct vom_value id_value(const struct rpc_interface *iface, const struct vom_type *t)
{
    return vom_value_uint(&vom_type_typeid, signature_id(iface, t));
}

static struct vom_value name_value(struct span s)
{
    return vom_value_span(&vom_type_string, s);
}

static int struct_def(struct arena *a, const struct rpc_interface *iface, const struct vom_type *t,
                      struct vom_value *def)
{
    struct vom_value fields;
    int r = vom_value_new_list(a, &vom_type_def_field_list, t->n_fields, &fields);

    for (uint32_t i = 0; i < t->n_fields && r == 0; i++) {
        struct vom_value f;

        r = vom_value_new_struct(a, &vom_type_def_field, &f);
        if (r < 0)
            break;
        vom_value_set_field(&f, "Type", id_value(iface, t->fields[i].type));
        vom_value_set_field(&f, "Name", name_value(t->fields[i].name));
        vom_value_set(&fields, i, f);
    }
    if (r == 0)
        vom_value_set_field(def, "Fields", fields);
    return r;
}

/* The definition struct (wire ids 8 to 13) of a type. */
static int type_def(struct arena *a, const struct rpc_interface *iface, const struct vom_type *t,
                    struct vom_value *ret)
{
    const struct vom_type *kind = &vom_type_def_named;
    int r;

    if (t->kind == VOM_KIND_SLICE)
        kind = &vom_type_def_slice;
    else if (t->kind == VOM_KIND_ARRAY)
        kind = &vom_type_def_array;
    else if (t->kind == VOM_KIND_MAP)
        kind = &vom_type_def_map;
    else if (t->kind == VOM_KIND_STRUCT)
        kind = &vom_type_def_struct;
    else if (t->kind == VOM_KIND_PTR)
        kind = &vom_type_def_ptr;
    r = vom_value_new_struct(a, kind, ret);
    if (r < 0)
        return r;
    vom_value_set_field(ret, "Name", name_value(t->name));
    if (t->kind == VOM_KIND_STRUCT)
        return struct_def(a, iface, t, ret);
    if (kind == &vom_type_def_named) {
        vom_value_set_field(ret, "Type", id_value(iface, vom_type_of_kind(t->kind)));
        return 0;
    }
    vom_value_set_field(ret, "Elem", id_value(iface, t->elem));
    if (t->kind == VOM_KIND_MAP)
        vom_value_set_field(ret, "Key", id_value(iface, t->key));
    if (t->kind == VOM_KIND_ARRAY)
        vom_value_set_field(ret, "Len", vom_value_uint(&vom_type_uint64, t->len));
    return 0;
}

static int params(struct arena *a, const struct rpc_interface *iface, const struct rpc_param *p,
                  size_t n, const struct vom_type *list, struct vom_value *ret)
{
    int r = vom_value_new_list(a, list, n, ret);

    for (size_t i = 0; i < n && r == 0; i++) {
        struct vom_value arg;

        r = vom_value_new_struct(a, list->elem, &arg);
        if (r < 0)
            break;
        vom_value_set_field(&arg, "Name", name_value(span_str(p[i].name)));
        vom_value_set_field(&arg, "Type", id_value(iface, p[i].type));
        vom_value_set(ret, i, arg);
    }
    return r;
}

static int method_signature(struct arena *a, const struct rpc_interface *iface,
                            const struct rpc_method *m, struct vom_value *ret)
{
    const struct vom_type *t = &vom_type_ipc_method_signature;
    const struct vom_type *list = t->fields[vom_type_field(t, span_str("InArgs"))].type;
    struct vom_value in, out;
    int r = vom_value_new_struct(a, t, ret);

    if (r == 0)
        r = params(a, iface, m->in, m->n_in, list, &in);
    if (r == 0)
        r = params(a, iface, m->out, m->n_out, list, &out);
    if (r < 0)
        return r;
    vom_value_set_field(ret, "InArgs", in);
    vom_value_set_field(ret, "OutArgs", out);
    vom_value_set_field(ret, "InStream", id_value(iface, m->in_stream));
    vom_value_set_field(ret, "OutStream", id_value(iface, m->out_stream));
    return 0;
}

int rpc_interface_signature(const struct rpc_interface *iface, struct arena *a,
                            struct vom_value *ret)
{
    const struct vom_type *t = &vom_type_ipc_service_signature;
    const struct vom_type *defs_type = t->fields[vom_type_field(t, span_str("TypeDefs"))].type;
    const struct vom_type *map_type = t->fields[vom_type_field(t, span_str("Methods"))].type;
    struct vom_value defs, methods;
    int r = vom_value_new_struct(a, t, ret);

    if (r == 0)
        r = vom_value_new_list(a, defs_type, iface->n_type_defs, &defs);
    for (size_t i = 0; i < iface->n_type_defs && r == 0; i++) {
        struct vom_value def, any;

        r = type_def(a, iface, iface->type_defs[i], &def);
        if (r == 0)
            r = vom_value_new_to(a, defs_type->elem, def, &any);
        if (r == 0)
            vom_value_set(&defs, i, any);
    }
    if (r == 0)
        r = vom_value_new_map(a, map_type, iface->n_methods, &methods);
    for (size_t i = 0; i < iface->n_methods && r == 0; i++) {
        struct vom_value m;

        r = method_signature(a, iface, &iface->methods[i], &m);
        if (r == 0)
            vom_value_put(&methods, i, name_value(span_str(iface->methods[i].name)), m);
    }
    if (r < 0)
        return r;
    vom_value_set_field(ret, "TypeDefs", defs);
    vom_value_set_field(ret, "Methods", methods);
    return 0;
}

static void invoke_signature(void *object, struct rpc_scall *call,
                             const struct vom_value *const *args)
{
    struct vom_value v;
    const struct vom_value *results[] = {&v};

    if (rpc_interface_signature(rpc_scall_interface(call), rpc_scall_arena(call), &v) < 0)
        rpc_scall_error(call, WSPR_EINTERNAL, "out of memory");
    else
        rpc_scall_finish(call, results, 1, NULL);
}

const struct vom_type rpc_type_label = VOM_TYPE_NAMED(VOM_KIND_UINT32, "veyron2/security.Label");

static int build_tags(struct arena *a, const struct rpc_interface *iface, struct span name,
                      struct vom_value *ret)
{
    const struct rpc_method *m = NULL;
    int r;

    for (size_t i = 0; i < iface->n_methods && m == NULL; i++) {
        if (span_equal_str(name, iface->methods[i].name))
            m = &iface->methods[i];
    }
    *ret = vom_value_zero(&vom_type_any_list);
    if (m == NULL || m->n_tags == 0)
        return 0;
    r = vom_value_new_list(a, &vom_type_any_list, m->n_tags, ret);
    for (size_t i = 0; i < m->n_tags && r == 0; i++) {
        struct vom_value tag;

        r = vom_value_new_to(a, &vom_type_any, m->tags[i], &tag);
        if (r == 0)
            vom_value_set(ret, i, tag);
    }
    return r;
}

/* An unknown method has no tags either. */
static void invoke_method_tags(void *object, struct rpc_scall *call,
                               const struct vom_value *const *args)
{
    struct vom_value v;
    const struct vom_value *results[] = {&v};

    if (build_tags(rpc_scall_arena(call), rpc_scall_interface(call), args[0]->s, &v) < 0)
        rpc_scall_error(call, WSPR_EINTERNAL, "out of memory");
    else
        rpc_scall_finish(call, results, 1, NULL);
}

/* ---- UnresolveStep: the names of the object ---- */

struct unresolve {
    struct rpc_scall *call;
    struct rpc_published *published;
};

static void unresolve_done(void *arg, struct span names, const struct err *err)
{
    struct unresolve *u = arg;
    struct vom_value list = vom_value_zero(&vom_type_string_list);
    const struct vom_value *results[] = {&list};
    struct span left = names, name;
    size_t n = 0;

    u->published = NULL;
    while (rpc_names_next(&left, &name))
        n++;
    if (n > 0 &&
        vom_value_new_list(rpc_scall_arena(u->call), &vom_type_string_list, n, &list) < 0) {
        rpc_scall_error(u->call, WSPR_EINTERNAL, "out of memory");
        return;
    }
    for (size_t i = 0; i < n && rpc_names_next(&names, &name); i++)
        vom_value_set(&list, i, name_value(name));
    rpc_scall_finish(u->call, results, 1, err);
}

static void unresolve_gone(void *arg, struct rpc_scall *call)
{
    struct unresolve *u = arg;

    rpc_published_cancel(u->published);
    rpc_scall_finish(call, NULL, 0, NULL);
}

static const struct rpc_scall_ops unresolve_ops = {.gone = unresolve_gone};

static void invoke_unresolve_step(void *object, struct rpc_scall *call,
                                  const struct vom_value *const *args)
{
    struct unresolve *u = arena_calloc(rpc_scall_arena(call), 1, sizeof *u);

    if (u != NULL) {
        u->call = call;
        u->published =
            rpc_server_published(call->server, rpc_scall_suffix(call), unresolve_done, u);
    }
    if (u == NULL || u->published == NULL)
        rpc_scall_error(call, WSPR_EINTERNAL, "out of memory");
    else
        rpc_scall_set_ops(call, &unresolve_ops, u);
}

static const struct rpc_param p_method[] = {{"method", &vom_type_string}};

static const struct rpc_method universal[] = {
    {.name = "Signature", .label = RPC_LABEL_ADMIN, .invoke = invoke_signature},
    {.name = "GetMethodTags",
     .in = p_method,
     .n_in = 1,
     .label = RPC_LABEL_ADMIN,
     .invoke = invoke_method_tags},
    {.name = "UnresolveStep", .label = RPC_LABEL_ADMIN, .invoke = invoke_unresolve_step},
};

const struct rpc_method *rpc_universal_method(struct span name)
{
    for (size_t i = 0; i < sizeof universal / sizeof universal[0]; i++) {
        if (span_equal_str(name, universal[i].name))
            return &universal[i];
    }
    return NULL;
}
