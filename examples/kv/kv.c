/*
 * Message type 120: get, set and delete in a SQLite database.
 *
 *     message -> queue -> work() on a helper thread -> done() on the loop -> answer, the next one
 *
 * One request is out at a time: their order is kept, and the database is never used by two threads.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sqlite3.h>

#include <wspr/plugin.h>
#include <wspr/reader.h>

#define TYPE_KV   120
#define KEY_MAX   1000
#define VALUE_MAX (1024 * 1024)
#define QUEUE_MAX 1000

struct kv; /* the plugin */

struct request {
    struct request *next;
    struct kv *kv;
    struct wspr_flow *flow; /* NULL: the page is gone */
    char op;                /* g, s, d */
    char *key, *value;      /* ended by NUL; value: JSON text, also the answer */
    const char *error;      /* a constant */
};

struct kv {
    struct wspr_host *host;
    const char *path;
    sqlite3 *db; /* made by the first request; used by work() only, until unload */
    struct request *first, *last;
    unsigned n;
};

struct payload {
    struct wspr_span op, key, value;
};

static const struct wspr_field fields[] = {
    {"op", WSPR_FIELD_STRING, offsetof(struct payload, op), "string"},
    {"key", WSPR_FIELD_STRING, offsetof(struct payload, key), "string"},
    {"value", WSPR_FIELD_RAW, offsetof(struct payload, value), "interface {}"},
};

static void request_free(struct request *q)
{
    if (q == NULL)
        return;
    free(q->key);
    free(q->value);
    free(q);
}

static char *copy(const struct wspr_span *span)
{
    char *text = malloc(span->len + 1);

    if (text != NULL) {
        memcpy(text, span->p, span->len);
        text[span->len] = '\0';
    }
    return text;
}

/* ---- on the helper thread: nothing of wspr is called here ---- */

static int open_database(struct kv *kv)
{
    static const char table[] =
        "CREATE TABLE IF NOT EXISTS kv (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID";

    if (kv->db != NULL)
        return SQLITE_OK;
    if (sqlite3_open_v2(kv->path, &kv->db,
                        SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_FULLMUTEX,
                        NULL) == SQLITE_OK &&
        sqlite3_busy_timeout(kv->db, 5000) == SQLITE_OK &&
        sqlite3_exec(kv->db, table, NULL, NULL, NULL) == SQLITE_OK)
        return SQLITE_OK;
    sqlite3_close(kv->db);
    kv->db = NULL;
    return SQLITE_ERROR;
}

/* The answer of a statement that has run: the value that was found, or whether one was deleted. */
static void take_answer(struct request *q, sqlite3_stmt *s, int r)
{
    const char *answer = "null";
    struct wspr_span span;

    if (q->op == 'g' && r == SQLITE_ROW)
        answer = (const char *)sqlite3_column_text(s, 0);
    else if (q->op == 'd')
        answer = sqlite3_changes(q->kv->db) > 0 ? "true" : "false";
    span.p = answer != NULL ? answer : "null";
    span.len = strlen(span.p);
    free(q->value);
    q->value = copy(&span);
    if (q->value == NULL)
        q->error = "out of memory";
}

static void work(void *arg)
{
    struct request *q = arg;
    const char *sql = q->op == 'g'   ? "SELECT value FROM kv WHERE key = ?1"
                      : q->op == 's' ? "INSERT OR REPLACE INTO kv VALUES (?1, ?2)"
                                     : "DELETE FROM kv WHERE key = ?1";
    sqlite3_stmt *s = NULL;
    int r = open_database(q->kv);

    if (r == SQLITE_OK)
        r = sqlite3_prepare_v2(q->kv->db, sql, -1, &s, NULL);
    if (r == SQLITE_OK)
        r = sqlite3_bind_text(s, 1, q->key, -1, SQLITE_STATIC);
    if (r == SQLITE_OK && q->op == 's')
        r = sqlite3_bind_text(s, 2, q->value, -1, SQLITE_STATIC);
    if (r == SQLITE_OK)
        r = sqlite3_step(s);
    if (r == SQLITE_ROW || r == SQLITE_DONE)
        take_answer(q, s, r);
    else
        q->error = "the database cannot be used";
    sqlite3_finalize(s);
}

/* ---- on the loop ---- */

static void start_next(struct kv *kv);

static void answer(struct request *q)
{
    if (q->error != NULL)
        wspr_log(q->kv->host, WSPR_LOG_WARN, "%s", q->error);
    if (q->flow == NULL)
        return;
    if (q->error != NULL)
        wspr_flow_fail(q->flow, WSPR_EINTERNAL, q->error);
    else
        wspr_flow_finish(q->flow, q->value, strlen(q->value));
}

static void take_off(struct kv *kv)
{
    kv->first = kv->first->next;
    if (kv->first == NULL)
        kv->last = NULL;
    kv->n--;
}

static void done(void *arg)
{
    struct request *q = arg;
    struct kv *kv = q->kv;

    answer(q);
    take_off(kv);
    request_free(q);
    start_next(kv);
}

static void start_next(struct kv *kv)
{
    while (kv->first != NULL && wspr_offload(kv->host, work, done, kv->first) < 0) {
        struct request *q = kv->first;

        q->error = "too much to do";
        answer(q);
        take_off(kv);
        request_free(q);
    }
}

static struct request *request_new(struct kv *kv, const struct payload *p)
{
    struct request *q = calloc(1, sizeof *q);

    if (q == NULL)
        return NULL;
    q->kv = kv;
    q->op = p->op.p[0];
    q->key = copy(&p->key);
    q->value = copy(&p->value);
    if (q->key != NULL && q->value != NULL)
        return q;
    request_free(q);
    return NULL;
}

static int is(const struct wspr_span *span, const char *word)
{
    return span->len == strlen(word) && memcmp(span->p, word, span->len) == 0;
}

static int handle(void *ctx, struct wspr_flow *flow, const struct wspr_msg *msg)
{
    struct payload p = {{"", 0}, {"", 0}, {"null", 4}};
    struct wspr_reading *reading = NULL;
    struct kv *kv = ctx;
    struct request *q;
    char error[256];
    size_t len;
    const char *data = wspr_msg_data(msg, &len);

    if (wspr_read_object(data, len, fields, 3, "kv.request", &p, &reading, error, sizeof error) < 0)
        return wspr_flow_fail(flow, WSPR_EBADARG, error);
    if ((!is(&p.op, "get") && !is(&p.op, "set") && !is(&p.op, "delete")) || p.key.len > KEY_MAX ||
        p.value.len > VALUE_MAX || memchr(p.key.p, '\0', p.key.len) != NULL) {
        wspr_reading_free(reading);
        return wspr_flow_fail_id(flow, "kv.BadRequest", "get, set or delete, and a short key");
    }
    q = kv->n < QUEUE_MAX ? request_new(kv, &p) : NULL;
    wspr_reading_free(reading);
    if (q == NULL)
        return kv->n < QUEUE_MAX ? WSPR_ENOMEM : WSPR_ELIMIT;
    q->flow = flow;
    wspr_flow_set_state(flow, q);
    if (kv->last != NULL)
        kv->last->next = q;
    else
        kv->first = q;
    kv->last = q;
    if (kv->n++ == 0)
        start_next(kv);
    return WSPR_PENDING;
}

/* What was asked for is done all the same; only the answer is dropped. */
static void flow_cancel(void *ctx, struct wspr_flow *flow)
{
    struct request *q = wspr_flow_state(flow);

    (void)ctx;
    q->flow = NULL;
    wspr_flow_end(flow);
}

static int load(struct wspr_host *host, void **ret_ctx)
{
    struct kv *kv = calloc(1, sizeof *kv);

    if (kv == NULL)
        return WSPR_ENOMEM;
    kv->host = host;
    kv->path = wspr_option_string(host, "path");
    *ret_ctx = kv;
    return 0;
}

static void unload(void *ctx)
{
    struct kv *kv = ctx;

    sqlite3_close(kv->db);
    free(kv);
}

static const struct wspr_claim claims[] = {{TYPE_KV, WSPR_OPENS, "kv", handle}};
static const struct wspr_option options[] = {
    {"path", "file of the database; \":memory:\" keeps nothing", ":memory:", WSPR_OPT_STRING, 0, 0},
};
static const struct wspr_plugin plugin = {
    WSPR_PLUGIN_HEAD("kv", "1.0"),
    .claims = claims,
    .n_claims = 1,
    .options = options,
    .n_options = 1,
    .load = load,
    .unload = unload,
    .flow_cancel = flow_cancel,
};
WSPR_PLUGIN_EXPORT(plugin)
