/*
 * The types that the system sends (spec: vom A.11): RPC headers, errors, signatures, naming, time.
 * Those of security, circuits and services are defined where they are used.
 */
#ifndef VOM_WIRETYPES_H
#define VOM_WIRETYPES_H

#include "base/error.h"
#include "vom/preset.h"
#include "vom/type.h"
#include "vom/value.h"

/* veyron2/verror; the built-in error interface is vom_type_error. */
extern const struct vom_type vom_type_verror_id, vom_type_verror_standard, vom_type_verror_e,
    vom_type_verror_standard_ptr;
/* veyron2/vdl/vdlutil.Any */
extern const struct vom_type vom_type_vdl_any;
/* veyron2/wiretype: the ids 8 to 13 and what they consist of */
extern const struct vom_type vom_type_typeid, vom_type_def_named, vom_type_def_slice,
    vom_type_def_array, vom_type_def_map, vom_type_def_struct, vom_type_def_ptr, vom_type_def_field,
    vom_type_def_field_list;
/* veyron2/ipc */
extern const struct vom_type vom_type_ipc_request, vom_type_ipc_response,
    vom_type_ipc_service_signature, vom_type_ipc_method_signature, vom_type_ipc_method_argument;
/* veyron2/services/mounttable */
extern const struct vom_type vom_type_mounted_server, vom_type_mounted_server_list,
    vom_type_mount_entry;
/* time.Time (as bytes) and time.Duration (int64 nanoseconds) */
extern const struct vom_type vom_type_time, vom_type_duration;

/* Starts of RPC flows: T_REQ and T_RESP (spec: ipc 2.3). */
extern const struct vom_preset vom_preset_request, vom_preset_response;

/* Order of the fields of the headers. */
enum {
    VOM_REQUEST_SUFFIX,
    VOM_REQUEST_METHOD,
    VOM_REQUEST_NUM_POS_ARGS,
    VOM_REQUEST_END_STREAM_ARGS,
    VOM_REQUEST_TIMEOUT,
    VOM_REQUEST_HAS_BLESSING,
    VOM_REQUEST_NUM_DISCHARGES
};
enum { VOM_RESPONSE_ERROR, VOM_RESPONSE_END_STREAM_RESULTS, VOM_RESPONSE_NUM_POS_RESULTS };

/* verror.Standard {ID, Msg}; the spans are borrowed. */
int vom_verror_new(struct arena *a, struct span id, struct span msg, struct vom_value *ret_v);
/*
 * Takes an error value apart: verror.Standard, pointers to it, interfaces holding it. 1 and the
 * spans if it is an error, 0 if it is nil, WSPR_ETYPE for anything else.
 */
int vom_verror_get(const struct vom_value *v, struct span *ret_id, struct span *ret_msg);

/* A point in time and the zone that it was written with. */
struct vom_time {
    int64_t sec;      /* Unix seconds */
    int32_t nsec;     /* 0 … 999999999 */
    int16_t zone_min; /* minutes east of UTC, -1: UTC */
};

#define VOM_TIME_LEN    15
#define VOM_TIME_YEAR_1 (-62135596800) /* the default-initialized time, in Unix seconds */

/* Writes 15 bytes. */
void vom_time_put(uint8_t out[VOM_TIME_LEN], const struct vom_time *t);
/* Reads them; WSPR_EPROTO with the texts of spec A.6, and for nanoseconds beyond the second. */
int vom_time_get(struct span s, struct vom_time *ret_t, struct err *err);
/* A time.Time in the arena, UTC. */
int vom_time_new(struct arena *a, int64_t sec, int32_t nsec, struct vom_value *ret_v);

#endif
