/* Host functions that are not about flows or calls: log, options, posts, work, timers, messages. */
#include "config.h"

#include <stdarg.h>
#include <stdlib.h>

#include "base/mem.h"
#include "gateway/private.h"

/* ---- log ---- */

void wspr_log(struct wspr_host *h, enum wspr_log_level level, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    log_vwrite(h->gw->log, (enum log_level)level, h->name, fmt, ap);
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

/* ---- options: their texts fit their rows ---- */

const char *wspr_option_string(struct wspr_host *h, const char *name)
{
    const char *text = plugin_values_find(&h->values, &h->plugin, name);

    return text != NULL ? text : "";
}

int64_t wspr_option_int(struct wspr_host *h, const char *name)
{
    return strtoll(wspr_option_string(h, name), NULL, 10);
}

int wspr_option_bool(struct wspr_host *h, const char *name)
{
    static const struct config_option rows[] = {{"", CONFIG_BOOL, 0, NULL, NULL, NULL, 0, 0}};
    static const struct config_table table = {rows, 1};
    bool on = false;

    return config_set(&table, &on, "", wspr_option_string(h, name), NULL) == 0 && on;
}

/* ---- posts and work ---- */

struct host_work {
    struct loop_job job;
    struct wspr_host *host;
    void (*work)(void *arg);
    void (*done)(void *arg);
    void *arg;
};

struct host_post {
    struct wspr_host *host;
    void (*fn)(void *arg);
    void *arg;
};

/* Back on the loop: the plugin is there as long as a call or work is under way. */
static void post_run(void *arg)
{
    struct host_post post = *(struct host_post *)arg;

    free(arg);
    post.fn(post.arg);
    pthread_mutex_lock(&post.host->lock);
    post.host->posts--;
    pthread_mutex_unlock(&post.host->lock);
    gateway_host_settled(post.host);
}

int wspr_post(struct wspr_host *h, void (*fn)(void *arg), void *arg)
{
    struct host_post *post = malloc(sizeof *post);
    int r;

    if (post == NULL)
        return WSPR_ENOMEM;
    *post = (struct host_post){h, fn, arg};
    pthread_mutex_lock(&h->lock);
    r = h->closing ? WSPR_ECLOSED : loop_worker_post(h->gw->worker, post_run, post);
    if (r == 0)
        h->posts++;
    pthread_mutex_unlock(&h->lock);
    if (r < 0)
        free(post);
    return r;
}

static void work_run(void *arg)
{
    struct host_work *w = arg;

    w->work(w->arg);
}

static void work_done(void *arg, int status)
{
    struct host_work *w = arg;
    struct wspr_host *h = w->host;

    w->done(w->arg);
    free(w);
    h->offloads--;
    gateway_host_settled(h);
}

int wspr_offload(struct wspr_host *h, void (*work)(void *arg), void (*done)(void *arg), void *arg)
{
    struct host_work *w;
    int r;

    if (h->closing)
        return WSPR_ECLOSED;
    w = malloc(sizeof *w);
    if (w == NULL)
        return WSPR_ENOMEM;
    w->host = h;
    w->work = work;
    w->done = done;
    w->arg = arg;
    loop_job_init(&w->job, work_run, work_done, w);
    r = loop_offload_submit(h->gw->offload, h->gw->worker, LOOP_LANE_WAIT, &w->job);
    if (r < 0) {
        free(w);
        return r;
    }
    h->offloads++;
    return 0;
}

/* ---- timers ---- */

struct wspr_timer {
    struct list node;
    struct loop_timer timer;
};

struct wspr_timer *wspr_timer_new(struct wspr_host *h, void (*fn)(void *arg), void *arg)
{
    struct wspr_timer *t = malloc(sizeof *t);

    if (t == NULL)
        return NULL;
    loop_timer_init(&t->timer, h->gw->worker, fn, arg);
    list_push_back(&h->timers, &t->node);
    return t;
}

void wspr_timer_start(struct wspr_timer *t, uint64_t ms)
{
    if (ms > INT64_MAX / CLOCK_MS)
        ms = INT64_MAX / CLOCK_MS;
    loop_timer_start(&t->timer, (int64_t)ms * CLOCK_MS);
}

void wspr_timer_stop(struct wspr_timer *t)
{
    loop_timer_stop(&t->timer);
}

void wspr_timer_free(struct wspr_timer *t)
{
    if (t == NULL)
        return;
    loop_timer_stop(&t->timer);
    list_remove(&t->node);
    free(t);
}

/* Takes back what the plugin forgot. */
void gateway_host_stop(struct wspr_host *h)
{
    while (!list_empty(&h->timers))
        wspr_timer_free(LIST_OBJECT(h->timers.next, struct wspr_timer, node));
}

/* ---- messages ---- */

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
    *ret_len = m->data.len;
    return m->data.p != NULL ? (const char *)m->data.p : "";
}

struct wspr_msg *gateway_msg_copy(const struct wspr_msg *m)
{
    struct wspr_msg *k = malloc(sizeof *k + m->data.len);

    if (k == NULL)
        return NULL;
    *k = *m;
    k->refs = 1;
    if (m->data.len > 0)
        memcpy(k->copy, m->data.p, m->data.len);
    k->data = span_of(k->copy, m->data.len);
    list_init(&k->node);
    return k;
}

const struct wspr_msg *wspr_msg_keep(const struct wspr_msg *m)
{
    if (m->refs == 0)
        return gateway_msg_copy(m);
    /* On the heap already: only the loop's thread counts. */
    ((struct wspr_msg *)(uintptr_t)m)->refs++;
    return m;
}

void wspr_msg_release(const struct wspr_msg *m)
{
    struct wspr_msg *k = (struct wspr_msg *)(uintptr_t)m;

    if (k != NULL && k->refs > 0 && --k->refs == 0)
        free(k);
}
