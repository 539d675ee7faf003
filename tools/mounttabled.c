/*
 * wspr-mounttabled: a mount table as a process of its own (spec: naming 9.6). It listens, prints
 * where, and serves until a signal ends it.
 */
#include "config.h"

#include <string.h>

#include "daemon.h"
#include "services/mounttable.h"

struct mounttabled_opts {
    struct daemon_opts common;
    const char *address, *acls, *name, *neighborhood, *published;
};

static const struct config_option mounttabled_options[] = {
    {.name = "address",
     .type = CONFIG_STRING,
     .offset = offsetof(struct mounttabled_opts, address),
     .def = ":0",
     .arg = "HOST:PORT",
     .help = "address to listen on; no host: all of this machine,\nport 0: any free one"},
    {.name = "acls",
     .type = CONFIG_STRING,
     .offset = offsetof(struct mounttabled_opts, acls),
     .def = "",
     .arg = "FILE",
     .help =
         "who may do what: a JSON object from path to ACL, read\nagain when it changes; without "
         "it everybody may do\neverything"},
    {.name = "name",
     .type = CONFIG_STRING,
     .offset = offsetof(struct mounttabled_opts, name),
     .def = "",
     .arg = "NAME",
     .help = "name to be mounted under in another mount table, of\nthose that NAMESPACE_ROOT "
             "lists or \"/address/name\""},
    {.name = "neighborhood_name",
     .type = CONFIG_STRING,
     .offset = offsetof(struct mounttabled_opts, neighborhood),
     .def = "",
     .arg = "NAME",
     .help = "not supported: to be found in the local network"},
    DAEMON_PUBLISHED_ADDRESS(struct mounttabled_opts, published),
    DAEMON_OPTIONS(struct mounttabled_opts),
};

static const struct config_table mounttabled_table = {
    mounttabled_options,
    sizeof mounttabled_options / sizeof mounttabled_options[0],
};

static const char about[] =
    "Serves a table of names, under the identity in the file that VEYRON_IDENTITY names, else "
    "that\n"
    "of wsprd on this machine, else a fresh one. The endpoint that it prints is a root for\n"
    "NAMESPACE_ROOT; a second table with that root and -name=NAME is mounted below it.\n\n";

static int mounttabled_start(struct daemon *d, const struct mounttabled_opts *o,
                             struct mounttable **ret_table, struct err *err)
{
    struct mounttable_opts table = {.acl_file = o->acls[0] != '\0' ? o->acls : NULL};
    struct rpc_server_opts server = {.mount_table = true};
    const char *endpoint;
    char quoted[512];
    int r = daemon_begin(d, &o->common, err);

    if (r < 0)
        return r;
    table.worker = d->worker;
    table.trust = d->trust;
    table.offload = d->offload;
    r = mounttable_new(&table, ret_table, err);
    if (r == 0)
        r = rpc_server_new(d->rt, &server, mounttable_dispatcher(*ret_table), &d->server, err);
    if (r == 0)
        r = daemon_listen(d, o->address, o->published, &endpoint, err);
    if (r == 0)
        r = daemon_publish(d, o->name, true, err);
    if (r < 0)
        return r;
    return daemon_announce(d, err, "Mount table service at: %s endpoint: /%s",
                           log_quote(quoted, sizeof quoted, o->name, strlen(o->name)), endpoint);
}

int main(int argc, char **argv)
{
    struct mounttabled_opts o = {0};
    struct daemon d = {.program = "wspr-mounttabled"};
    struct mounttable *table = NULL;
    struct err e = ERR_INIT;
    int status;

    if (!daemon_parse(d.program, about, &mounttabled_table, argc, argv, &o, &o.common, &status))
        return status;
    if (o.neighborhood[0] != '\0')
        return daemon_usage(d.program, "-neighborhood_name: there is no discovery in the local "
                                       "network; use -name and NAMESPACE_ROOT");
    status = daemon_run(&d, mounttabled_start(&d, &o, &table, &e), &e);
    /* Its timer is on the loop. After a second signal there may still be calls that use it. */
    if (d.server == NULL)
        mounttable_free(table);
    daemon_end(&d);
    err_done(&e);
    return status;
}
