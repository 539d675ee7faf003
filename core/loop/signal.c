#include "config.h"
#include "loop/signal.h"

#include <signal.h>
#include <stdlib.h>

#include <event2/event.h>
#include <event2/event_struct.h>

#include "loop/internal.h"

#define LOOP_SIGNALS_MORE 4

struct loop_signals {
    struct event on_int, on_term, others[LOOP_SIGNALS_MORE];
    unsigned n_others;
    void (*fn)(void *arg, int number);
    void *arg;
};

static void signal_came(evutil_socket_t number, short what, void *arg)
{
    struct loop_signals *s = arg;

    s->fn(s->arg, (int)number);
}

static int signal_watch(struct loop_signals *s, struct loop_worker *w, struct event *ev, int number)
{
    if (event_assign(ev, w->base, number, EV_SIGNAL | EV_PERSIST, signal_came, s) < 0)
        return -1;
    return event_add(ev, NULL);
}

int loop_signals_new(struct loop_worker *w, void (*fn)(void *arg, int number), void *arg,
                     struct loop_signals **ret_signals, struct err *err)
{
    struct loop_signals *s = calloc(1, sizeof *s);

    if (s == NULL)
        return err_set(err, WSPR_ENOMEM, "out of memory");
    s->fn = fn;
    s->arg = arg;
    signal(SIGPIPE, SIG_IGN);
    if (signal_watch(s, w, &s->on_int, SIGINT) < 0) {
        free(s);
        return err_set(err, WSPR_ESYS, "cannot watch signals");
    }
    if (signal_watch(s, w, &s->on_term, SIGTERM) < 0) {
        event_del(&s->on_int);
        free(s);
        return err_set(err, WSPR_ESYS, "cannot watch signals");
    }
    *ret_signals = s;
    return 0;
}

int loop_signals_add(struct loop_signals *s, struct loop_worker *w, int number, struct err *err)
{
    if (s->n_others == LOOP_SIGNALS_MORE)
        return err_set(err, WSPR_EINVAL, "%d more signals can be watched", LOOP_SIGNALS_MORE);
    if (signal_watch(s, w, &s->others[s->n_others], number) < 0)
        return err_set(err, WSPR_ESYS, "cannot watch signals");
    s->n_others++;
    return 0;
}

void loop_signals_free(struct loop_signals *s)
{
    if (s == NULL)
        return;
    event_del(&s->on_int);
    event_del(&s->on_term);
    while (s->n_others > 0)
        event_del(&s->others[--s->n_others]);
    free(s);
}
