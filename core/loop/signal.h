/*
 * Signals that end a process in good order, as callbacks on a worker. Only one worker of a process
 * may have them. Worker's thread.
 */
#ifndef LOOP_SIGNAL_H
#define LOOP_SIGNAL_H

#include "base/error.h"
#include "loop/worker.h"

struct loop_signals;

/*
 * Calls fn(arg, number) on the worker for each SIGINT and SIGTERM, and ignores SIGPIPE. WSPR_ENOMEM
 * or WSPR_ESYS.
 */
int loop_signals_new(struct loop_worker *w, void (*fn)(void *arg, int number), void *arg,
                     struct loop_signals **ret_signals, struct err *err);
/* Watches one more, for example SIGHUP. WSPR_ESYS; WSPR_EINVAL beyond the fourth. */
int loop_signals_add(struct loop_signals *s, struct loop_worker *w, int number, struct err *err);
/* The signals have their usual effect again. NULL is accepted. */
void loop_signals_free(struct loop_signals *s);

#endif
