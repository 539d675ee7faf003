/*
 * A service that is hard to live with: methods that never answer, that send without end, that do
 * not read what is sent to them. Everybody is admitted. One object, whatever the suffix.
 *
 *     Echo(s string) (string, error)
 *     Never() error                        is never finished
 *     Deaf() error                         its input stream of strings is never read
 *     Flood(size int32) error              sends strings of that size without end
 *     Burst(n int32, size int32) error     sends so many strings of that size
 *     Collect() (int32, error)             how many strings came in its input stream
 *     Stats() (running int32, gone int32, error)
 *     Change() error                       from now on there is the method Added
 *     Die() error                          the process ends at once
 *     Whoami() (string, error)             the caller, as the service sees it
 *     Twice(s string) (string, string, error)
 *
 * Under the suffix "only/<pattern>" only callers who match the pattern may do more than read the
 * signature.
 *
 * Runs on one worker.
 */
#ifndef TESTS_SLOW_H
#define TESTS_SLOW_H

#include "rpc/server.h"

struct security_trust;

struct slow {
    struct rpc_dispatcher dispatcher;
    struct rpc_authorizer only;
    unsigned running; /* calls of Never, Deaf, Flood and Burst that have not ended */
    unsigned gone;    /* how many of them ended because the caller went away */
    unsigned echoes;
    uint64_t items; /* sent by Flood and Burst */
    bool changed;
    const struct security_trust *trust; /* for names and patterns; NULL: nobody has a name */
};

void slow_init(struct slow *s);

#endif
