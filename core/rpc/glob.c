/*
 * Listing names, breadth first (spec: naming 10.3). The queue holds what was found and not been
 * followed yet:
 *
 *     entry -> its servers, one after the other -> mount tables of that server -> Glob
 *       |                                                                          |
 *       +--> told to the caller, if the pattern ends there or following failed     +--> queue
 *
 * What needs no following, an object that the pattern ends at, is told as it comes and never
 * queued.
 *
 * The first mount table that answers decides. What one fails with is told with the entry, and the
 * listing goes on with the next.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "base/list.h"
#include "naming/glob.h"
#include "naming/name.h"
#include "rpc/call_private.h"
#include "rpc/header.h"
#include "rpc/namespace.h"
#include "security/identity.h"
#include "vom/convert.h"
#include "vom/wiretypes.h"

/* Something found: its name, then its servers, each as four bytes of TTL, its name, a NUL. */
struct glob_entry {
    struct list node;
    unsigned depth, parts; /* components of the name */
    size_t name_len, servers_len, n_servers, size;
    uint8_t bytes[];
};

struct rpc_glob {
    struct list node; /* of the client */
    struct rpc_client *client;
    struct security_private *identity;
    const struct rpc_glob_ops *ops;
    void *arg;
    struct buf text; /* the pattern */
    struct naming_glob pattern;
    struct buf prefix; /* in front of all names */
    struct err start;  /* why it cannot even begin */

    struct list queue;
    size_t queued; /* bytes */
    unsigned received;
    int limit; /* of the queue; negative: passed */

    /* The entry that is being followed. */
    struct glob_entry *entry;
    struct naming_glob rest; /* of the pattern, below it */
    size_t at;               /* its next server */
    struct buf tables;       /* mount tables of the present server, each ended by a NUL */
    struct span tables_left;
    bool itself;      /* an entry for its own name came */
    bool query_began; /* the present mount table took the request */
    struct rpc_resolution *resolution;
    struct rpc_call *call;
    struct err error; /* the last one */

    struct arena arena; /* of one item, or of what the caller is told */
    struct loop_task task;
    bool busy;               /* in a callback */
    bool cancelled, aborted; /* there: by the caller, or because the runtime stops */
};

static void glob_next_server(struct rpc_glob *g);
static void glob_next_table(struct rpc_glob *g);

/* ---- life ---- */

static void glob_free(struct rpc_glob *g)
{
    struct list *node;

    list_remove(&g->node);
    rpc_resolve_cancel(g->resolution);
    rpc_call_cancel(g->call);
    loop_task_cancel(&g->task);
    while ((node = list_pop(&g->queue)) != NULL)
        free(LIST_OBJECT(node, struct glob_entry, node));
    free(g->entry);
    security_private_unref(g->identity);
    buf_done(&g->text);
    buf_done(&g->prefix);
    buf_done(&g->tables);
    arena_done(&g->arena);
    err_done(&g->start);
    err_done(&g->error);
    free(g);
}

void rpc_glob_cancel(struct rpc_glob *g)
{
    if (g == NULL)
        return;
    g->cancelled = true;
    if (!g->busy)
        glob_free(g);
}

static void glob_end(struct rpc_glob *g, const struct err *err)
{
    g->busy = true;
    g->ops->done(g->arg, err);
    glob_free(g);
}

static void glob_fail(struct rpc_glob *g, int code, const char *text)
{
    err_set(&g->start, code, "%s", text);
    glob_end(g, &g->start);
}

/* ---- entries ---- */

static unsigned count_parts(const uint8_t *name, size_t len)
{
    unsigned n = len > 0 ? 1 : 0;

    for (size_t i = 0; i < len; i++)
        n += name[i] == '/';
    return n;
}

static void put_bytes(uint8_t **p, const void *from, size_t n)
{
    if (n > 0)
        memcpy(*p, from, n);
    *p += n;
}

/* Names are kept with a NUL behind them. */
static bool holds_nul(struct span s)
{
    return s.len > 0 && memchr(s.p, 0, s.len) != NULL;
}

/* Queues an entry that is called `name` and has a list of MountedServer. */
static int glob_queue(struct rpc_glob *g, struct span name, const struct vom_value *servers,
                      unsigned depth)
{
    size_t n = vom_value_len(servers), size = sizeof(struct glob_entry) + name.len;
    struct glob_entry *e;
    uint8_t *p;

    for (size_t i = 0; i < n; i++) {
        struct vom_value s = vom_value_at(servers, i);

        size += vom_value_field(&s, "Server").s.len + sizeof(uint32_t) + 1;
    }
    if (++g->received > RPC_GLOB_ENTRIES || g->queued + size > RPC_GLOB_BYTES)
        return g->limit = WSPR_ELIMIT;
    e = calloc(1, size);
    if (e == NULL)
        return g->limit = WSPR_ENOMEM;
    e->depth = depth;
    e->size = size;
    e->name_len = name.len;
    e->parts = count_parts(name.p, name.len);
    p = e->bytes;
    put_bytes(&p, name.p, name.len);
    for (size_t i = 0; i < n; i++) {
        struct vom_value s = vom_value_at(servers, i);
        struct span server = vom_value_field(&s, "Server").s;
        uint32_t ttl = (uint32_t)vom_value_field(&s, "TTL").u;

        if (holds_nul(server))
            continue;
        put_bytes(&p, &ttl, sizeof ttl);
        put_bytes(&p, server.p, server.len);
        put_bytes(&p, "", 1);
        e->n_servers++;
    }
    e->servers_len = (size_t)(p - e->bytes) - name.len;
    list_push_back(&g->queue, &e->node);
    g->queued += size;
    return 0;
}

/* The server at offset *at, which moves on; false at the end. */
static bool entry_server(const struct glob_entry *e, size_t *at, struct span *ret_server,
                         uint32_t *ret_ttl)
{
    const uint8_t *p = e->bytes + e->name_len + *at;

    if (*at >= e->servers_len)
        return false;
    memcpy(ret_ttl, p, sizeof *ret_ttl);
    *ret_server = span_str((const char *)p + sizeof *ret_ttl);
    *at += sizeof *ret_ttl + ret_server->len + 1;
    return true;
}

static int entry_servers(struct rpc_glob *g, struct vom_value *ret)
{
    const struct glob_entry *e = g->entry;
    size_t at = 0;
    struct span server;
    uint32_t ttl;
    int r = vom_value_new_list(&g->arena, &vom_type_mounted_server_list, e->n_servers, ret);

    for (size_t i = 0; r == 0 && entry_server(e, &at, &server, &ttl); i++) {
        struct vom_value s;

        r = vom_value_new_struct(&g->arena, &vom_type_mounted_server, &s);
        if (r < 0)
            break;
        vom_value_set_field(&s, "Server", vom_value_span(&vom_type_string, server));
        vom_value_set_field(&s, "TTL", vom_value_uint(&vom_type_uint32, ttl));
        vom_value_set(ret, i, s);
    }
    return r;
}

/* Tells the caller of a name. False if there is nothing to go on with. */
static bool glob_tell_name(struct rpc_glob *g, struct span name, const struct vom_value *servers,
                           const struct err *err)
{
    struct buf full = BUF_INIT(2 * RPC_RESOLVE_MAX);
    struct rpc_glob_entry told = {.servers = servers, .err = err};

    naming_name_join(&full, buf_span(&g->prefix), name);
    if (buf_error(&full) != 0) {
        buf_done(&full);
        glob_fail(g, WSPR_ENOMEM, "out of memory");
        return false;
    }
    told.name = buf_span(&full);
    g->busy = true;
    g->ops->entry(g->arg, &told);
    g->busy = false;
    buf_done(&full);
    if (g->cancelled)
        glob_free(g);
    else if (g->aborted)
        glob_fail(g, WSPR_EABORTED, "the runtime is stopping");
    else
        return true;
    return false;
}

/* The same of the entry that was followed. */
static bool glob_tell(struct rpc_glob *g, const struct err *err)
{
    struct vom_value servers;

    arena_reset(&g->arena);
    if (entry_servers(g, &servers) < 0) {
        glob_fail(g, WSPR_ENOMEM, "out of memory");
        return false;
    }
    return glob_tell_name(g, span_of(g->entry->bytes, g->entry->name_len), &servers, err);
}

/* ---- following one entry ---- */

static bool tells_more(const struct err *e)
{
    return e->code != 0 && e->code != WSPR_EBADARG && e->code != WSPR_ENOTFOUND &&
           e->code != WSPR_EBADPROTO;
}

/* The entry's servers were asked; g->error is why none answered, or how the one that did ended. */
static void glob_followed(struct rpc_glob *g)
{
    if (g->limit < 0) {
        glob_fail(g, g->limit, "too many names");
        return;
    }
    if (tells_more(&g->error) && !glob_tell(g, &g->error))
        return;
    if (g->rest.len == 0 && !g->itself && !glob_tell(g, NULL))
        return;
    free(g->entry);
    g->entry = NULL;
    loop_worker_later(g->client->rt->worker, &g->task);
}

static void glob_started(void *arg, struct rpc_call *call)
{
    struct rpc_glob *g = arg;

    g->query_began = true;
}

/* Whether a server is an object that the pattern ends at: there is nothing below it to list. */
static bool is_leaf(const struct naming_glob *rest, struct span server)
{
    struct span address, suffix;

    naming_name_split(server, &address, &suffix);
    return naming_glob_is_finished(rest) && suffix.len >= 2 && suffix.p[0] == '/' &&
           suffix.p[1] == '/';
}

/*
 * Whether nothing is to be asked about an entry, so that it need not wait in the queue: most are of
 * this kind, and a table may have very many of them.
 */
static bool needs_nothing(const struct naming_glob *rest, const struct vom_value *servers)
{
    for (size_t i = 0; i < vom_value_len(servers); i++) {
        struct vom_value server = vom_value_at(servers, i);
        struct span name = vom_value_field(&server, "Server").s;

        /* The first one decides; the queue leaves out what is no name at all. */
        if ((i == 0 && !is_leaf(rest, name)) || holds_nul(name))
            return false;
    }
    return true;
}

static int glob_found(struct rpc_glob *g, struct span name, const struct vom_value *servers,
                      unsigned depth)
{
    struct naming_glob rest = naming_glob_skip(&g->pattern, count_parts(name.p, name.len));

    if (!needs_nothing(&rest, servers))
        return glob_queue(g, name, servers, depth);
    if (++g->received > RPC_GLOB_ENTRIES)
        return g->limit = WSPR_ELIMIT;
    if (rest.len == 0)
        glob_tell_name(g, name, servers, NULL); /* which may be the end of g */
    return 0;
}

static int glob_item(void *arg, struct rpc_call *call, const struct rpc_value *v, struct err *err)
{
    struct rpc_glob *g = arg;
    unsigned depth = g->entry->depth;
    struct buf name = BUF_INIT(RPC_RESOLVE_MAX);
    struct vom_value item, found, servers;
    int r;

    g->query_began = true;
    arena_reset(&g->arena);
    r = vom_dec_convert(v->dec, v->msg, &g->arena, &vom_type_mount_entry, &item, err);
    if (r < 0)
        return r;
    found = vom_value_field(&item, "Name");
    servers = vom_value_field(&item, "Servers");
    g->itself = g->itself || found.s.len == 0;
    /* Where the name does not grow, or the pattern does not shrink, tables may lead in circles. */
    if (g->rest.len == 0 || found.s.len == 0)
        depth++;
    if (depth > RPC_GLOB_DEPTH)
        return 0;
    naming_name_join(&name, span_of(g->entry->bytes, g->entry->name_len), found.s);
    r = buf_error(&name);
    if (r == 0)
        r = glob_found(g, buf_span(&name), &servers, depth);
    buf_done(&name);
    return r < 0 ? err_set(err, r, "too many names") : 0;
}

static int glob_result(void *arg, struct rpc_call *call, uint32_t i, uint32_t n,
                       const struct rpc_value *v, struct err *err)
{
    struct rpc_glob *g = arg;
    struct vom_value value;
    int r;

    arena_reset(&g->arena);
    r = vom_dec_convert(v->dec, v->msg, &g->arena, &vom_type_any, &value, err);
    if (r == 0 && rpc_error_of_value(&value, &g->error) == WSPR_ETYPE)
        r = err_set(err, WSPR_ETYPE, "the result is no error");
    return r;
}

static void glob_done(void *arg, struct rpc_call *call, const struct err *err)
{
    struct rpc_glob *g = arg;

    g->call = NULL;
    if (err != NULL)
        err_copy(&g->error, err);
    if (err != NULL && !g->query_began)
        glob_next_table(g);
    else
        glob_followed(g);
}

static const struct rpc_call_ops glob_call_ops = {
    .started = glob_started,
    .item = glob_item,
    .result = glob_result,
    .done = glob_done,
};

/* Asks the next mount table of the present server. */
static void glob_next_table(struct rpc_glob *g)
{
    struct rpc_call_opts opts = {
        .timeout = RPC_RESOLVE_TIMEOUT,
        .n_results = 1,
        .identity = g->identity,
    };
    struct buf pattern = BUF_INIT(NAMING_GLOB_MAX * 2);
    struct vom_value value;
    struct span table;

    if (!rpc_names_next(&g->tables_left, &table)) {
        glob_next_server(g);
        return;
    }
    err_done(&g->error);
    g->query_began = false;
    naming_glob_format(&pattern, &g->rest);
    value = vom_value_span(&vom_type_string, buf_span(&pattern));
    if (buf_error(&pattern) == 0)
        g->call = rpc_call_new(g->client, table, span_str("Glob"), &opts, &glob_call_ops, g);
    if (g->call == NULL ||
        vom_enc_value(rpc_call_enc(g->call), rpc_call_buf(g->call), &value, NULL) < 0)
        glob_fail(g, WSPR_ENOMEM, "out of memory");
    else
        rpc_call_start(g->call, 1);
    buf_done(&pattern);
}

static void glob_resolved(void *arg, struct span names, const struct err *err)
{
    struct rpc_glob *g = arg;

    g->resolution = NULL;
    if (err != NULL) {
        err_copy(&g->error, err);
        glob_next_server(g);
        return;
    }
    buf_reset(&g->tables);
    buf_append_span(&g->tables, names);
    g->tables_left = buf_span(&g->tables);
    glob_next_table(g);
}

/* Looks for the mount tables of the entry's next server. */
static void glob_next_server(struct rpc_glob *g)
{
    struct span server;
    uint32_t ttl;

    if (!entry_server(g->entry, &g->at, &server, &ttl)) {
        glob_followed(g);
        return;
    }
    if (is_leaf(&g->rest, server)) {
        err_done(&g->error);
        glob_followed(g);
        return;
    }
    g->resolution = rpc_resolve_mount_table(g->client, server, g->identity, glob_resolved, g);
    if (g->resolution == NULL)
        glob_fail(g, WSPR_ENOMEM, "out of memory");
}

/* Follows the next entry of the queue. */
static void glob_task(void *arg)
{
    struct rpc_glob *g = arg;
    struct list *node = list_pop(&g->queue);

    if (g->start.code != 0 || node == NULL) {
        glob_end(g, g->start.code != 0 ? &g->start : NULL);
        return;
    }
    g->entry = LIST_OBJECT(node, struct glob_entry, node);
    g->queued -= g->entry->size;
    g->rest = naming_glob_skip(&g->pattern, g->entry->parts);
    g->at = 0;
    g->itself = false;
    err_done(&g->error);
    glob_next_server(g);
}

/* ---- the beginning ---- */

/* Takes the pattern's fixed elements off; they and the root are the prefix. */
static void glob_make_prefix(struct rpc_glob *g, struct span address)
{
    size_t n = naming_glob_fixed_count(&g->pattern);
    struct buf elements = BUF_INIT(NAMING_GLOB_MAX);

    for (size_t i = 0; i < n; i++) {
        if (i > 0)
            buf_u8(&elements, '/');
        naming_glob_fixed_element(&elements, &g->pattern, i);
    }
    naming_name_join_address(&g->prefix, address, buf_span(&elements));
    g->prefix.error = g->prefix.error != 0 ? g->prefix.error : buf_error(&elements);
    buf_done(&elements);
    g->pattern = naming_glob_skip(&g->pattern, n);
}

/* The first entry: an empty name whose servers are the prefix at each root. */
static int glob_queue_first(struct rpc_glob *g)
{
    struct buf names = BUF_INIT(RPC_RESOLVE_MAX);
    struct span left, name;
    struct vom_value list, server;
    size_t n = 0;
    int r;

    rpc_resolve_roots(g->client, buf_span(&g->prefix), &names);
    r = buf_error(&names);
    for (left = buf_span(&names); rpc_names_next(&left, &name);)
        n++;
    if (r == 0 && n == 0)
        r = err_set(&g->start, WSPR_EINTERNAL, "No mount table available");
    else if (r == 0)
        r = vom_value_new_list(&g->arena, &vom_type_mounted_server_list, n, &list);
    left = buf_span(&names);
    for (size_t i = 0; r == 0 && rpc_names_next(&left, &name); i++) {
        r = vom_value_new_struct(&g->arena, &vom_type_mounted_server, &server);
        if (r == 0) {
            vom_value_set_field(&server, "Server", vom_value_span(&vom_type_string, name));
            vom_value_set(&list, i, server);
        }
    }
    if (r == 0)
        r = glob_queue(g, span_of(NULL, 0), &list, 0);
    buf_done(&names);
    return r;
}

static int glob_begin(struct rpc_glob *g, struct span pattern)
{
    struct span address, proper;
    int r;

    buf_append_span(&g->text, pattern);
    if (buf_error(&g->text) != 0)
        return err_set(&g->start, buf_error(&g->text), "the pattern is too long");
    naming_name_split(buf_span(&g->text), &address, &proper);
    r = naming_glob_parse(proper, &g->pattern, &g->start);
    if (r == 0)
        r = naming_glob_check(&g->pattern, &g->start);
    if (r < 0)
        return r;
    glob_make_prefix(g, address);
    r = buf_error(&g->prefix);
    return r < 0 ? r : glob_queue_first(g);
}

struct rpc_glob *rpc_glob(struct rpc_client *client, struct span pattern,
                          struct security_private *identity, const struct rpc_glob_ops *ops,
                          void *arg)
{
    struct rpc_glob *g = client->rt->stopping ? NULL : calloc(1, sizeof *g);
    int r;

    if (g == NULL)
        return NULL;
    g->client = client;
    g->identity = security_private_ref(identity != NULL ? identity : client->rt->identity);
    g->ops = ops;
    g->arg = arg;
    list_init(&g->queue);
    list_push_back(&client->globs, &g->node);
    buf_init(&g->text, NAMING_GLOB_MAX + NAMING_ENDPOINT_TEXT_MAX);
    buf_init(&g->prefix, RPC_RESOLVE_MAX);
    buf_init(&g->tables, RPC_RESOLVE_MAX);
    arena_init(&g->arena, (size_t)client->rt->limits.value_max * 2);
    loop_task_init(&g->task, glob_task, g);
    r = glob_begin(g, pattern);
    if (r < 0 && g->start.code == 0)
        err_set(&g->start, r, "%s", err_code_text(r));
    loop_worker_later(client->rt->worker, &g->task);
    return g;
}

void rpc_glob_abort(struct rpc_client *client)
{
    struct list *node;

    while ((node = list_pop(&client->globs)) != NULL) {
        struct rpc_glob *g = LIST_OBJECT(node, struct rpc_glob, node);

        g->aborted = true;
        if (!g->busy)
            glob_fail(g, WSPR_EABORTED, "the runtime is stopping");
    }
}
