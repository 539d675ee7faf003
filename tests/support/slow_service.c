/* The service of slow.h as a process of its own. */
#include "config.h"

#include "daemon.h"
#include "slow.h"

struct service_opts {
    struct daemon_opts common;
};

static const struct config_option service_options[] = {DAEMON_OPTIONS(struct service_opts)};
static const struct config_table service_table = {
    service_options,
    sizeof service_options / sizeof service_options[0],
};

static int service_start(struct daemon *d, const struct service_opts *o, struct slow *slow,
                         struct err *err)
{
    struct rpc_server_opts server = {0};
    const char *endpoint;
    int r = daemon_begin(d, &o->common, err);

    slow_init(slow);
    if (r == 0)
        r = rpc_server_new(d->rt, &server, &slow->dispatcher, &d->server, err);
    if (r == 0)
        r = rpc_server_listen(d->server, "127.0.0.1:0", &endpoint, err);
    return r < 0 ? r : daemon_announce(d, err, "Listening at: %s", endpoint);
}

int main(int argc, char **argv)
{
    struct service_opts o = {0};
    struct daemon d = {.program = "slow-service"};
    struct err e = ERR_INIT;
    struct slow slow;
    int status;

    if (!daemon_parse(d.program, "A service that is hard to live with, for tests.\n\n",
                      &service_table, argc, argv, &o, &o.common, &status))
        return status;
    status = daemon_run(&d, service_start(&d, &o, &slow, &e), &e);
    daemon_end(&d);
    err_done(&e);
    return status;
}
