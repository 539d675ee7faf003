/*
 * What ABI 1.0 looks like on a machine with pointers of eight bytes. These numbers do not change
 * while the major is 1; the rows of a later minor go below, those of 1.0 stay.
 */
#include "config.h"

#include <stddef.h>
#include <stdint.h>

#include "wspr/account.h"
#include "wspr/conn.h"
#include "wspr/error.h"
#include "wspr/flow.h"
#include "wspr/json.h"
#include "wspr/plugin.h"
#include "wspr/reader.h"
#include "wspr/rpc.h"
#include "wspr/server.h"
#include "wspr/version.h"

#define KEEPS(what, is) _Static_assert((what) == (is), "ABI 1.0: " #what " is " #is)
/* A struct that later minors may add to, at its end, and what each of its members is at. */
#define GROWS(name, least)                                                                         \
    _Static_assert(sizeof(struct wspr_##name) >= (least), "ABI 1.0: " #name " has " #least " byte" \
                                                          "s")
#define AT(name, member, at) KEEPS(offsetof(struct wspr_##name, member), at)
#define FIXED(name, size)    KEEPS(sizeof(struct wspr_##name), size)

#if UINTPTR_MAX == UINT64_MAX

GROWS(association, 56);
AT(association, size, 0);
AT(association, account, 8);
AT(association, identity, 24);
AT(association, origin, 40);

FIXED(abi, 20);
AT(abi, abi_size, 0);
AT(abi, major, 4);
AT(abi, minor, 6);
AT(abi, plugin_size, 8);
AT(abi, claim_size, 12);
AT(abi, option_size, 16);

GROWS(claim, 24);
AT(claim, type, 0);
AT(claim, flags, 4);
AT(claim, name, 8);
AT(claim, handle, 16);

GROWS(option, 48);
AT(option, name, 0);
AT(option, help, 8);
AT(option, def, 16);
AT(option, type, 24);
AT(option, min, 32);
AT(option, max, 40);

GROWS(plugin, 128);
AT(plugin, abi, 0);
AT(plugin, name, 24);
AT(plugin, version, 32);
AT(plugin, claims, 40);
AT(plugin, n_claims, 48);
AT(plugin, options, 56);
AT(plugin, n_options, 64);
AT(plugin, load, 72);
AT(plugin, unload, 80);
AT(plugin, conn_open, 88);
AT(plugin, conn_close, 96);
AT(plugin, flow_data, 104);
AT(plugin, flow_cancel, 112);
AT(plugin, flow_writable, 120);

FIXED(span, 16);
AT(span, p, 0);
AT(span, len, 8);

FIXED(spans, 16);
AT(spans, items, 0);
AT(spans, n, 8);

FIXED(field, 32);
AT(field, name, 0);
AT(field, kind, 8);
AT(field, offset, 16);
AT(field, type_name, 24);

GROWS(fault, 32);
AT(fault, code, 0);
AT(fault, id, 8);
AT(fault, text, 16);
AT(fault, stage, 24);

GROWS(call_options, 24);
AT(call_options, size, 0);
AT(call_options, n_results, 4);
AT(call_options, streaming, 8);
AT(call_options, timeout_ms, 16);

GROWS(call_ops, 48);
AT(call_ops, size, 0);
AT(call_ops, started, 8);
AT(call_ops, item, 16);
AT(call_ops, end, 24);
AT(call_ops, done, 32);
AT(call_ops, writable, 40);

FIXED(app_error, 32);
AT(app_error, id, 0);
AT(app_error, text, 16);

GROWS(invocation_info, 80);
AT(invocation_info, size, 0);
AT(invocation_info, server_id, 8);
AT(invocation_info, method, 16);
AT(invocation_info, args, 32);
AT(invocation_info, suffix, 48);
AT(invocation_info, n_results, 64);
AT(invocation_info, streaming, 72);

GROWS(server_ops, 48);
AT(server_ops, size, 0);
AT(server_ops, invoke, 8);
AT(server_ops, item, 16);
AT(server_ops, end, 24);
AT(server_ops, gone, 32);
AT(server_ops, writable, 40);

#endif

KEEPS(WSPR_OK, 0);
KEEPS(WSPR_ENOMEM, -1000);
KEEPS(WSPR_EINVAL, -1001);
KEEPS(WSPR_EPROTO, -1002);
KEEPS(WSPR_ELIMIT, -1003);
KEEPS(WSPR_ETRUNC, -1004);
KEEPS(WSPR_ECLOSED, -1005);
KEEPS(WSPR_ETIMEOUT, -1006);
KEEPS(WSPR_ECANCELED, -1007);
KEEPS(WSPR_EABORTED, -1008);
KEEPS(WSPR_EBADARG, -1009);
KEEPS(WSPR_EBADPROTO, -1010);
KEEPS(WSPR_EEXISTS, -1011);
KEEPS(WSPR_EINTERNAL, -1012);
KEEPS(WSPR_ENOTAUTH, -1013);
KEEPS(WSPR_ENOTFOUND, -1014);
KEEPS(WSPR_EUNKNOWN, -1015);
KEEPS(WSPR_ETYPE, -1016);
KEEPS(WSPR_ECRYPTO, -1017);
KEEPS(WSPR_ESYS, -1018);
KEEPS(WSPR_EAGAIN, -1019);
KEEPS(WSPR_RESPONSE_FINAL, 0);
KEEPS(WSPR_RESPONSE_STREAM, 1);
KEEPS(WSPR_RESPONSE_ERROR, 2);
KEEPS(WSPR_RESPONSE_INVOKE, 3);
KEEPS(WSPR_RESPONSE_STREAM_CLOSE, 4);
KEEPS(WSPR_RESPONSE_CANCEL, 5);
KEEPS(WSPR_OPENS, 1);
KEEPS(WSPR_USES, 2);
KEEPS(WSPR_ONE_SHOT, 3);
KEEPS(WSPR_BARRIER, 16);
KEEPS(WSPR_OWN, 32);
KEEPS(WSPR_SECRET, 64);
KEEPS(WSPR_DONE, 0);
KEEPS(WSPR_PENDING, 1);
KEEPS(WSPR_AGAIN, 2);
KEEPS(WSPR_FULL, 3);
KEEPS(WSPR_OPT_BOOL, 1);
KEEPS(WSPR_OPT_INT, 2);
KEEPS(WSPR_OPT_STRING, 3);
KEEPS(WSPR_LOG_ERROR, 0);
KEEPS(WSPR_LOG_WARN, 1);
KEEPS(WSPR_LOG_INFO, 2);
KEEPS(WSPR_LOG_DEBUG, 3);
KEEPS(WSPR_FIELD_STRING, 1);
KEEPS(WSPR_FIELD_INT64, 2);
KEEPS(WSPR_FIELD_INT32, 3);
KEEPS(WSPR_FIELD_UINT64, 4);
KEEPS(WSPR_FIELD_BOOL, 5);
KEEPS(WSPR_FIELD_RAW, 6);
KEEPS(WSPR_FIELD_RAWS, 7);
KEEPS(WSPR_FIELD_DOUBLE, 9);
KEEPS(WSPR_FIELD_ANY, 10);
KEEPS(WSPR_FIELD_ANYS, 11);
KEEPS(WSPR_FIELD_STRINGS, 12);
KEEPS(WSPR_STAGE_PREPARE, 1);
KEEPS(WSPR_STAGE_START, 2);
KEEPS(WSPR_STAGE_CALL, 3);

/* An enum is an int in calls. */
KEEPS(sizeof(enum wspr_response), sizeof(int));
KEEPS(sizeof(enum wspr_log_level), sizeof(int));
KEEPS(WSPR_ABI_MAJOR, 1);
