/* What wsprd has counted, for its operator. */
#ifndef CORE_WSPRD_COUNTERS_H
#define CORE_WSPRD_COUNTERS_H

struct gateway;
struct log;
struct loop_worker;
struct rpc_runtime;

/*
 * Writes one record for each part to the log, whatever its level: "<part>: name=value ...". Names
 * are those of the members of gateway_stats, rpc_stats, vc_stats and loop_stats. runtime and gw may
 * be NULL. Worker's thread.
 */
void wsprd_log_counters(const struct log *log, const struct loop_worker *worker,
                        const struct rpc_runtime *runtime, const struct gateway *gw);

#endif
