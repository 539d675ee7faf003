/*
 * wspr-sampled: the sample service as a process of its own (spec: sample-service 1). It listens,
 * mounts itself under a name, prints where it is, and serves until a signal ends it.
 */
#include "config.h"

#include <string.h>

#include "daemon.h"
#include "services/sample.h"

#define SAMPLED_NAME "cache"

struct sampled_opts {
    struct daemon_opts common;
    const char *listen, *name, *vproxy, *published;
    bool open;
};

static const struct config_option sampled_options[] = {
    {.name = "listen",
     .type = CONFIG_STRING,
     .offset = offsetof(struct sampled_opts, listen),
     .def = "127.0.0.1:0",
     .arg = "HOST:PORT",
     .help = "address to listen on; port 0: any free one"},
    {.name = "name",
     .type = CONFIG_STRING,
     .offset = offsetof(struct sampled_opts, name),
     .def = SAMPLED_NAME,
     .arg = "NAME",
     .help =
         "name to be mounted under, at the mount tables that\nNAMESPACE_ROOT lists; \"\": none"},
    {.name = "vproxy",
     .type = CONFIG_STRING,
     .offset = offsetof(struct sampled_opts, vproxy),
     .def = "",
     .arg = "RELAY",
     .help = "name or endpoint of a relay to listen through,\ninstead of on an address"},
    {.name = "open",
     .type = CONFIG_BOOL,
     .offset = offsetof(struct sampled_opts, open),
     .help = "admit everybody, not only those whom a blessing\nrelates to our identity"},
    DAEMON_PUBLISHED_ADDRESS(struct sampled_opts, published),
    DAEMON_OPTIONS(struct sampled_opts),
};

static const struct config_table sampled_table = {
    sampled_options,
    sizeof sampled_options / sizeof sampled_options[0],
};

static const char about[] =
    "Serves a cache of values and an object that throws errors, under the identity in the file\n"
    "that VEYRON_IDENTITY names, else that of wsprd on this machine, else a fresh one.\n\n";

/* Where it listens through its relay, the first time; later it is only logged, by the server. */
static void sampled_relayed(void *arg, struct rpc_server *server, const char *endpoint,
                            const struct err *why)
{
    struct daemon *d = arg;
    struct err e = ERR_INIT;

    (void)server;
    if (d->announced)
        return;
    d->announced = true;
    if (endpoint == NULL)
        daemon_fail(d, why);
    else if (daemon_announce(d, &e, "Listening at: %s", endpoint) < 0)
        daemon_fail(d, &e);
    err_done(&e);
}

static int sampled_start(struct daemon *d, const struct sampled_opts *o, struct sample **ret_sample,
                         struct err *err)
{
    struct sample_opts sample = {.authorizer = o->open ? &rpc_authorizer_all : NULL};
    struct rpc_server_opts server = {0};
    const char *endpoint = "";
    int r = daemon_begin(d, &o->common, err);

    if (r < 0)
        return r;
    *ret_sample = sample_new(&sample);
    if (*ret_sample == NULL)
        return err_set(err, WSPR_ENOMEM, "out of memory");
    r = rpc_server_new(d->rt, &server, sample_dispatcher(*ret_sample), &d->server, err);
    if (r == 0 && o->vproxy[0] != '\0')
        r = rpc_server_listen_relay(d->server, span_str(o->vproxy), sampled_relayed, d, err);
    else if (r == 0)
        r = daemon_listen(d, o->listen, o->published, &endpoint, err);
    if (r == 0)
        r = daemon_publish(d, o->name, strcmp(o->name, SAMPLED_NAME) != 0, err);
    if (r < 0 || o->vproxy[0] != '\0')
        return r;
    return daemon_announce(d, err, "Listening at: %s", endpoint);
}

int main(int argc, char **argv)
{
    struct sampled_opts o = {0};
    struct daemon d = {.program = "wspr-sampled"};
    struct sample *sample = NULL;
    struct err e = ERR_INIT;
    int status;

    if (!daemon_parse(d.program, about, &sampled_table, argc, argv, &o, &o.common, &status))
        return status;
    status = daemon_run(&d, sampled_start(&d, &o, &sample, &e), &e);
    daemon_end(&d);
    sample_free(sample);
    err_done(&e);
    return status;
}
