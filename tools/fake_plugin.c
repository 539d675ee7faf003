/* The fake host's log, options, posts, timers and messages. */
#include "config.h"
#include "fake_host.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"

void wspr_log(struct wspr_host *h, enum wspr_log_level level, const char *fmt, ...)
{
    char text[4096];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
}

const char *wspr_error_text(int code)
{
    return err_code_text(code);
}

const char *wspr_log_quote(char *out, size_t size, const char *text, size_t len)
{
    return log_quote(out, size, text, len);
}

const char *wspr_option_string(struct wspr_host *h, const char *name)
{
    const char *text = plugin_values_find(&h->values, h->plugin, name);

    if (text == NULL)
        fake_violation("asks for the option \"%s\", which it does not have", name);
    return text != NULL ? text : "";
}

int64_t wspr_option_int(struct wspr_host *h, const char *name)
{
    return strtoll(wspr_option_string(h, name), NULL, 10);
}

int wspr_option_bool(struct wspr_host *h, const char *name)
{
    const char *v = wspr_option_string(h, name);

    return v[0] == 't' || v[0] == 'T' || v[0] == '1' || v[0] == 'y' || strcmp(v, "on") == 0;
}

static int queue_of_plugin(struct wspr_host *h, void (*work)(void *arg), void (*fn)(void *arg),
                           void *arg)
{
    if (h->unloaded)
        return WSPR_ECLOSED;
    if (fake_fails(h))
        return WSPR_ENOMEM;
    fake_queue_work(h, work, fn, arg);
    return 0;
}

int wspr_post(struct wspr_host *h, void (*fn)(void *arg), void *arg)
{
    return queue_of_plugin(h, NULL, fn, arg);
}

int wspr_offload(struct wspr_host *h, void (*work)(void *arg), void (*done)(void *arg), void *arg)
{
    return queue_of_plugin(h, work, done, arg);
}

struct wspr_timer *wspr_timer_new(struct wspr_host *h, void (*fn)(void *arg), void *arg)
{
    struct wspr_timer *t;

    if (fake_fails(h))
        return NULL;
    t = fake_alloc(h, sizeof *t);
    *t = (struct wspr_timer){.host = h, .fn = fn, .arg = arg};
    list_init(&t->node);
    list_push_back(&h->timers, &t->node);
    h->n_timers++;
    return t;
}

static bool timer_is_dead(const struct wspr_timer *t, const char *what)
{
    if (t->freed)
        fake_violation("%s a timer that was freed", what);
    return t->freed;
}

void wspr_timer_start(struct wspr_timer *t, uint64_t ms)
{
    if (!timer_is_dead(t, "starts"))
        t->armed = true;
}

void wspr_timer_stop(struct wspr_timer *t)
{
    if (!timer_is_dead(t, "stops"))
        t->armed = false;
}

void wspr_timer_free(struct wspr_timer *t)
{
    if (t == NULL || timer_is_dead(t, "frees"))
        return;
    t->armed = false;
    t->freed = true;
    t->host->n_timers--;
    list_remove(&t->node);
}

uint32_t wspr_msg_type(const struct wspr_msg *m)
{
    return m->type;
}

int64_t wspr_msg_id(const struct wspr_msg *m)
{
    return m->id;
}

const char *wspr_msg_data(const struct wspr_msg *m, size_t *ret_len)
{
    *ret_len = m->len;
    return m->text;
}

const struct wspr_msg *wspr_msg_keep(const struct wspr_msg *m)
{
    if (fake_fails(m->host))
        return NULL;
    ((struct wspr_msg *)(uintptr_t)m)->refs++;
    m->host->msgs_kept++;
    return m;
}

void wspr_msg_release(const struct wspr_msg *m)
{
    if (m == NULL)
        return;
    if (m->refs == 0)
        fake_violation("releases a message that it does not keep");
    else
        m->host->msgs_kept--;
    if (m->refs > 0 && --((struct wspr_msg *)(uintptr_t)m)->refs == 0)
        fake_msg_leave((struct wspr_msg *)(uintptr_t)m);
}
