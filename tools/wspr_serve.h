/* What 'wspr serve' serves: objects whose methods a command of the shell carries out. */
#ifndef TOOLS_WSPR_SERVE_H
#define TOOLS_WSPR_SERVE_H

#include "base/list.h"
#include "rpc/server.h"

struct loop_worker;
struct security_trust;

#define CLI_SERVE_VALUE_MAX (16 * 1024 * 1024) /* bytes of JSON of one value */

/* The object behind --exec; filled in by the command, which frees nothing of it. */
struct cli_exec_object {
    struct loop_worker *w;
    const struct security_trust *trust;
    const char *command;
    const struct rpc_authorizer *authorizer;
    struct list running; /* calls, and commands whose calls are over */
};

extern const struct rpc_interface cli_echo_interface, cli_exec_interface;

/* Ends all commands at once; their calls are over already. */
void cli_exec_object_end(struct cli_exec_object *object);

#endif
