/* The host functions on connections (see <wspr/conn.h>). */
#include "config.h"

#include "gateway/private.h"

uint64_t wspr_conn_number(const struct wspr_conn *c)
{
    return c->number;
}

const char *wspr_conn_origin(const struct wspr_conn *c)
{
    return c->origin != NULL ? c->origin : "";
}

const char *wspr_conn_acts_as(const struct wspr_conn *c)
{
    return c->gw->accounts != NULL && c->acts_as != NULL ? c->acts_as : "";
}

const char *wspr_conn_remote(const struct wspr_conn *c)
{
    return c->remote;
}

int wspr_conn_has_extra(const struct wspr_conn *c, const char *name)
{
    return (c->extras & gateway_conn_extra(span_str(name))) != 0;
}

void *wspr_conn_state(struct wspr_host *host, struct wspr_conn *c)
{
    return c->plugins[host->index].state;
}

int wspr_conn_close(struct wspr_conn *c, uint16_t code, const char *reason)
{
    if (!ws_close_code_is_valid(code))
        return WSPR_EINVAL;
    if (c->phase == CONN_OPEN)
        gateway_conn_close(c, code, reason != NULL ? reason : "");
    return 0;
}

int wspr_conn_is_closing(const struct wspr_conn *c)
{
    return c->phase != CONN_OPEN;
}
