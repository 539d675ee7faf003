/*
 * The counters as text. Each table names the members of one struct of counters, so that what is
 * shown has the name that the code has.
 */
#include "config.h"

#include <inttypes.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/log.h"
#include "base/mem.h"
#include "gateway/gateway.h"
#include "loop/worker.h"
#include "rpc/runtime.h"
#include "vc/vif.h"
#include "wsprd_counters.h"

#define TEXT_MAX 4096

struct counter {
    const char *name;
    size_t offset, size;
};

#define COUNTER(type, member)                                                                      \
    {                                                                                              \
#member, offsetof(struct type, member), sizeof(((struct type *)0)->member)                 \
    }

#define GATEWAY(member) COUNTER(gateway_stats, member)
static const struct counter gateway_counters[] = {
    GATEWAY(accepted),
    GATEWAY(refused),
    GATEWAY(upgraded),
    GATEWAY(http_answers),
    GATEWAY(messages_in),
    GATEWAY(frames_out),
    GATEWAY(bad_envelopes),
    GATEWAY(unknown_types),
    GATEWAY(dropped_messages),
    GATEWAY(flows_opened),
    GATEWAY(flows_failed),
    GATEWAY(calls),
    GATEWAY(signatures_fetched),
    GATEWAY(signatures_cached),
    GATEWAY(err_flow_limit),
    GATEWAY(err_kept),
    GATEWAY(err_timeout),
    GATEWAY(err_protocol),
    GATEWAY(err_memory),
    GATEWAY(err_plugin),
    GATEWAY(served),
    GATEWAY(invocations),
    GATEWAY(invocations_lost),
    GATEWAY(associations),
    GATEWAY(associations_refused),
    GATEWAY(err_server_limit),
    GATEWAY(err_name_limit),
    GATEWAY(err_invocation_limit),
    GATEWAY(err_call_bytes),
    GATEWAY(plugins_left_out),
    GATEWAY(err_output),
    GATEWAY(err_input),
    GATEWAY(conns),
    GATEWAY(flows),
    GATEWAY(servers),
    GATEWAY(pending),
    GATEWAY(out_bytes),
    GATEWAY(in_bytes),
};

#define RPC(member) COUNTER(rpc_stats, member)
static const struct counter rpc_counters[] = {
    RPC(memory_links),    RPC(dials),
    RPC(handshakes),      RPC(handshakes_failed),
    RPC(legacy_peers),    RPC(calls_started),
    RPC(calls_done),      RPC(calls_failed),
    RPC(calls_cancelled), RPC(served),
    RPC(serve_errors),    RPC(resolve_steps),
    RPC(resolve_hits),    RPC(resolve_shared),
    RPC(discharges),      RPC(discharges_failed),
    RPC(discharge_hits),  RPC(discharges_dropped),
    RPC(mounts),          RPC(mounts_failed),
    RPC(unmounts),        RPC(vcs),
    RPC(links),           RPC(calls_refused),
    RPC(links_refused),   RPC(err_input),
    RPC(in_bytes),        RPC(calls),
    RPC(serving),         RPC(names),
};

#define VC(member) COUNTER(vc_stats, member)
static const struct counter vc_counters[] = {
    VC(bytes_in),
    VC(bytes_out),
    VC(msgs_in),
    VC(msgs_out),
    VC(plain_in),
    VC(plain_out),
    VC(vcs_opened),
    VC(vcs_accepted),
    VC(vcs_ready),
    VC(vcs_legacy),
    VC(vcs_refused),
    VC(vcs_failed),
    VC(flows_opened),
    VC(flows_accepted),
    VC(flows_rejected),
    VC(jobs),
    VC(err_protocol),
    VC(err_message_size),
    VC(err_input),
    VC(err_control_queue),
    VC(err_handshake_bytes),
    VC(err_held),
    VC(err_credit),
    VC(err_open),
    VC(err_handshake),
    VC(err_timeout),
    VC(err_linger),
    VC(err_queue),
    VC(err_relay),
    VC(err_memory),
    VC(ignored),
    VC(vifs),
    VC(vcs),
    VC(vcs_unready),
    VC(flows),
    VC(in_bytes),
    VC(queued),
    VC(held),
};

#define LOOP(member) COUNTER(loop_stats, member)
static const struct counter loop_counters[] = {
    LOOP(turns),     LOOP(posts),        LOOP(posts_refused), LOOP(tasks),    LOOP(timers),
    LOOP(jobs),      LOOP(jobs_refused), LOOP(reads),         LOOP(bytes_in), LOOP(writes),
    LOOP(bytes_out), LOOP(moves),        LOOP(bytes_moved),   LOOP(accepts),  LOOP(accept_errors),
    LOOP(dials),     LOOP(dial_errors),  LOOP(timers_armed),  LOOP(jobs_out), LOOP(socks),
};

#define SHOWS_ALL(part)                                                                            \
    _Static_assert(sizeof part##_counters / sizeof part##_counters[0] ==                           \
                       sizeof(struct part##_stats) / sizeof(uint64_t),                             \
                   "every counter is shown")

SHOWS_ALL(gateway);
SHOWS_ALL(rpc);
SHOWS_ALL(vc);

static uint64_t value_of(const struct counter *c, const void *stats)
{
    const char *at = (const char *)stats + c->offset;

    return c->size == sizeof(uint64_t) ? *(const uint64_t *)(const void *)at
                                       : *(const unsigned *)(const void *)at;
}

static void log_part(const struct log *log, const char *part, const struct counter *counters,
                     size_t n, const void *stats)
{
    struct buf text = BUF_INIT(TEXT_MAX);
    struct log all = {log->fd, LOG_LEVEL_INFO};

    for (size_t i = 0; i < n; i++)
        buf_printf(&text, " %s=%" PRIu64, counters[i].name, value_of(&counters[i], stats));
    log_write(&all, LOG_LEVEL_INFO, "counters", "%s:%.*s", part, (int)text.len,
              (const char *)buf_data(&text));
    buf_done(&text);
}

#define LOG_PART(part, stats)                                                                      \
    log_part(log, #part, part##_counters, sizeof part##_counters / sizeof part##_counters[0], stats)

void wsprd_log_counters(const struct log *log, const struct loop_worker *worker,
                        const struct rpc_runtime *runtime, const struct gateway *gw)
{
    struct log all = {log->fd, LOG_LEVEL_INFO};
    size_t used, idle;

    if (gw != NULL)
        LOG_PART(gateway, gateway_stats(gw));
    if (runtime != NULL) {
        LOG_PART(rpc, rpc_runtime_stats(runtime));
        LOG_PART(vc, rpc_runtime_vc_stats(runtime));
    }
    mem_usage(&used, &idle);
    log_write(&all, LOG_LEVEL_INFO, "counters", "memory: used=%zu idle=%zu", used, idle);
    LOG_PART(loop, loop_worker_stats(worker));
}
