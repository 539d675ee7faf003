#include "config.h"
#include "vom/wiretypes.h"

#include "vom/internal.h"

/* Complex numbers are structs with a tag. */
static const struct span complex64_tag[] = {VOM_STR("complex64")};
static const struct span complex128_tag[] = {VOM_STR("complex128")};
static const struct vom_field complex64_fields[] = {
    VOM_FIELD("R", &vom_type_float32),
    VOM_FIELD("I", &vom_type_float32),
};
static const struct vom_field complex128_fields[] = {
    VOM_FIELD("R", &vom_type_float64),
    VOM_FIELD("I", &vom_type_float64),
};
const struct vom_type vom_type_complex64 = {.kind = VOM_KIND_STRUCT,
                                            .fixed = 1,
                                            .name = VOM_STR("complex64"),
                                            .fields = complex64_fields,
                                            .n_fields = 2,
                                            .tags = complex64_tag,
                                            .n_tags = 1};
const struct vom_type vom_type_complex128 = {.kind = VOM_KIND_STRUCT,
                                             .fixed = 1,
                                             .name = VOM_STR("complex128"),
                                             .fields = complex128_fields,
                                             .n_fields = 2,
                                             .tags = complex128_tag,
                                             .n_tags = 1};

/* veyron2/verror */
static const struct vom_field standard_fields[] = {
    VOM_FIELD("ID", &vom_type_verror_id),
    VOM_FIELD("Msg", &vom_type_string),
};
const struct vom_type vom_type_verror_id = VOM_TYPE_NAMED(VOM_KIND_STRING, "veyron2/verror.ID");
const struct vom_type vom_type_verror_standard =
    VOM_TYPE_STRUCT("veyron2/verror.Standard", standard_fields);
const struct vom_type vom_type_verror_standard_ptr = VOM_TYPE_PTR("", &vom_type_verror_standard);
const struct vom_type vom_type_verror_e = VOM_TYPE_NAMED(VOM_KIND_ANY, "veyron2/verror.E");

const struct vom_type vom_type_vdl_any = VOM_TYPE_NAMED(VOM_KIND_ANY, "veyron2/vdl/vdlutil.Any");

/* veyron2/wiretype (spec: vom A.4) */
#define NAME_AND_TAGS VOM_FIELD("Name", &vom_type_string), VOM_FIELD("Tags", &vom_type_string_list)
#define DEFINITION(wire_id, wire_name, field_array)                                                \
    {                                                                                              \
        .kind = VOM_KIND_STRUCT, .id = (wire_id), .fixed = 1, .name = VOM_STR(wire_name),          \
        .fields = (field_array), .n_fields = sizeof(field_array) / sizeof(field_array)[0]          \
    }

static const struct vom_field named_fields[] = {VOM_FIELD("Type", &vom_type_typeid), NAME_AND_TAGS};
static const struct vom_field slice_fields[] = {VOM_FIELD("Elem", &vom_type_typeid), NAME_AND_TAGS};
static const struct vom_field array_fields[] = {VOM_FIELD("Elem", &vom_type_typeid),
                                                VOM_FIELD("Len", &vom_type_uint64), NAME_AND_TAGS};
static const struct vom_field map_fields[] = {VOM_FIELD("Key", &vom_type_typeid),
                                              VOM_FIELD("Elem", &vom_type_typeid), NAME_AND_TAGS};
static const struct vom_field struct_fields[] = {VOM_FIELD("Fields", &vom_type_def_field_list),
                                                 NAME_AND_TAGS};
static const struct vom_field field_fields[] = {VOM_FIELD("Type", &vom_type_typeid),
                                                VOM_FIELD("Name", &vom_type_string)};

const struct vom_type vom_type_typeid = VOM_TYPE_NAMED(VOM_KIND_UINT64, "veyron2/wiretype.TypeID");
const struct vom_type vom_type_def_named =
    DEFINITION(VOM_ID_NAMED, "veyron2/wiretype.NamedPrimitiveType", named_fields);
const struct vom_type vom_type_def_slice =
    DEFINITION(VOM_ID_SLICE, "veyron2/wiretype.SliceType", slice_fields);
const struct vom_type vom_type_def_array =
    DEFINITION(VOM_ID_ARRAY, "veyron2/wiretype.ArrayType", array_fields);
const struct vom_type vom_type_def_map =
    DEFINITION(VOM_ID_MAP, "veyron2/wiretype.MapType", map_fields);
const struct vom_type vom_type_def_struct =
    DEFINITION(VOM_ID_STRUCT, "veyron2/wiretype.StructType", struct_fields);
const struct vom_type vom_type_def_ptr =
    DEFINITION(VOM_ID_PTR, "veyron2/wiretype.PtrType", slice_fields);
const struct vom_type vom_type_def_field =
    VOM_TYPE_STRUCT("veyron2/wiretype.FieldType", field_fields);
const struct vom_type vom_type_def_field_list = VOM_TYPE_SLICE("", &vom_type_def_field);

const struct vom_type *vom_type_predefined(uint64_t id)
{
    static const struct vom_type *const table[] = {
        [1] = &vom_type_any,        [2] = &vom_type_bool,      [3] = &vom_type_string,
        [4] = &vom_type_bytes,      [8] = &vom_type_def_named, [9] = &vom_type_def_slice,
        [10] = &vom_type_def_array, [11] = &vom_type_def_map,  [12] = &vom_type_def_struct,
        [13] = &vom_type_def_ptr,   [25] = &vom_type_float32,  [26] = &vom_type_float64,
        [33] = &vom_type_int,       [34] = &vom_type_int8,     [35] = &vom_type_int16,
        [36] = &vom_type_int32,     [37] = &vom_type_int64,    [48] = &vom_type_uintptr,
        [49] = &vom_type_uint,      [50] = &vom_type_byte,     [51] = &vom_type_uint16,
        [52] = &vom_type_uint32,    [53] = &vom_type_uint64,
    };

    return id < sizeof table / sizeof table[0] ? table[id] : NULL;
}

const struct vom_type *vom_type_catalogue(uint64_t id)
{
    switch (id) {
    case 7:
        return &vom_type_typeid;
    case 14:
        return &vom_type_def_field;
    case 15:
        return &vom_type_def_field_list;
    case 56:
        return &vom_type_complex64;
    case 57:
        return &vom_type_complex128;
    case 61:
        return &vom_type_string_list;
    default:
        return vom_type_predefined(id);
    }
}

/* veyron2/ipc (spec: vom A.11.1, A.11.3) */
static const struct vom_field request_fields[] = {
    VOM_FIELD("Suffix", &vom_type_string),       VOM_FIELD("Method", &vom_type_string),
    VOM_FIELD("NumPosArgs", &vom_type_uint64),   VOM_FIELD("EndStreamArgs", &vom_type_bool),
    VOM_FIELD("Timeout", &vom_type_int64),       VOM_FIELD("HasBlessing", &vom_type_bool),
    VOM_FIELD("NumDischarges", &vom_type_uint64)};
static const struct vom_field response_fields[] = {VOM_FIELD("Error", &vom_type_error),
                                                   VOM_FIELD("EndStreamResults", &vom_type_bool),
                                                   VOM_FIELD("NumPosResults", &vom_type_uint64)};
const struct vom_type vom_type_ipc_request = VOM_TYPE_STRUCT("veyron2/ipc.Request", request_fields);
const struct vom_type vom_type_ipc_response =
    VOM_TYPE_STRUCT("veyron2/ipc.Response", response_fields);

static const struct vom_field argument_fields[] = {VOM_FIELD("Name", &vom_type_string),
                                                   VOM_FIELD("Type", &vom_type_typeid)};
const struct vom_type vom_type_ipc_method_argument =
    VOM_TYPE_STRUCT("veyron2/ipc.MethodArgument", argument_fields);
static const struct vom_type argument_list = VOM_TYPE_SLICE("", &vom_type_ipc_method_argument);
static const struct vom_field method_fields[] = {
    VOM_FIELD("InArgs", &argument_list), VOM_FIELD("OutArgs", &argument_list),
    VOM_FIELD("InStream", &vom_type_typeid), VOM_FIELD("OutStream", &vom_type_typeid)};
const struct vom_type vom_type_ipc_method_signature =
    VOM_TYPE_STRUCT("veyron2/ipc.MethodSignature", method_fields);
static const struct vom_type vdl_any_list = VOM_TYPE_SLICE("", &vom_type_vdl_any);
static const struct vom_type method_map =
    VOM_TYPE_MAP("", &vom_type_string, &vom_type_ipc_method_signature);
static const struct vom_field service_fields[] = {VOM_FIELD("TypeDefs", &vdl_any_list),
                                                  VOM_FIELD("Methods", &method_map)};
const struct vom_type vom_type_ipc_service_signature =
    VOM_TYPE_STRUCT("veyron2/ipc.ServiceSignature", service_fields);

/* veyron2/services/mounttable (spec: vom A.11.4) */
static const struct vom_field mounted_fields[] = {VOM_FIELD("Server", &vom_type_string),
                                                  VOM_FIELD("TTL", &vom_type_uint32)};
const struct vom_type vom_type_mounted_server =
    VOM_TYPE_STRUCT("veyron2/services/mounttable.MountedServer", mounted_fields);
const struct vom_type vom_type_mounted_server_list = VOM_TYPE_SLICE("", &vom_type_mounted_server);
static const struct vom_field entry_fields[] = {
    VOM_FIELD("Name", &vom_type_string), VOM_FIELD("Servers", &vom_type_mounted_server_list)};
const struct vom_type vom_type_mount_entry =
    VOM_TYPE_STRUCT("veyron2/services/mounttable.MountEntry", entry_fields);

/*
 * The starts of flows. Bytes of one definition message, by the layout of spec vom A.4: id, length,
 * StructType, Fields, each with Type, Name and the end; then the struct's Name.
 */
#define FIELD(type, len, name) "\x01" type "\x01" len name "\x00"

static const char request_bytes[] =
    "\xff\x81\x7e\x18\x01\x07" FIELD("\x03", "\x06", "Suffix") FIELD("\x03", "\x06", "Method")
        FIELD("\x35", "\x0a", "NumPosArgs") FIELD("\x02", "\x0d", "EndStreamArgs")
            FIELD("\x25", "\x07", "Timeout") FIELD("\x02", "\x0b", "HasBlessing")
                FIELD("\x35", "\x0d", "NumDischarges") "\x01\x13veyron2/ipc.Request";
static const char response_bytes[] = "\xff\x81\x4b\x18\x01\x03" FIELD("\x42", "\x05", "Error")
    FIELD("\x02", "\x10", "EndStreamResults")
        FIELD("\x35", "\x0d", "NumPosResults") "\x01\x14veyron2/ipc.Response\x00"
                                               "\xff\x83\x04\x10\x01\x01";

static const struct vom_type *const request_types[] = {&vom_type_ipc_request};
static const struct vom_type *const response_types[] = {&vom_type_ipc_response, &vom_type_error};

/* The NUL that ends the strings is the end of the last struct. */
const struct vom_preset vom_preset_request = {
    {(const uint8_t *)request_bytes, sizeof request_bytes}, request_types, 1};
const struct vom_preset vom_preset_response = {
    {(const uint8_t *)response_bytes, sizeof response_bytes}, response_types, 2};

int vom_verror_new(struct arena *a, struct span id, struct span msg, struct vom_value *ret_v)
{
    struct vom_value v;
    int r = vom_value_new_struct(a, &vom_type_verror_standard, &v);

    if (r < 0)
        return r;
    v.items[0].s = id;
    v.items[1].s = msg;
    *ret_v = v;
    return 0;
}

int vom_verror_get(const struct vom_value *v, struct span *ret_id, struct span *ret_msg)
{
    struct vom_value e = vom_value_deref(*v), id, msg;

    if (e.type == NULL)
        return 0;
    if (!span_equal(e.type->name, vom_type_verror_standard.name))
        return WSPR_ETYPE;
    id = vom_value_field(&e, "ID");
    msg = vom_value_field(&e, "Msg");
    if (id.type == NULL || id.type->kind != VOM_KIND_STRING || msg.type == NULL ||
        msg.type->kind != VOM_KIND_STRING)
        return WSPR_ETYPE;
    *ret_id = id.s;
    *ret_msg = msg.s;
    return 1;
}
