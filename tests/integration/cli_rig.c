#include "config.h"
#include "cli_rig.h"

#include "rig.h"
#include "tap.h"

struct cli_rig cli_rig;

bool cli_start(struct tool *t, const char *const *args, unsigned flags)
{
    char roots[700], identity[4300], state[4300], folder[4200];
    const char *env[] = {roots,        identity,
                         state,        "MOUNTTABLE_ROOT",
                         "TERM=xterm", cli_rig.no_color ? "NO_COLOR=1" : "NO_COLOR",
                         NULL};

    snprintf(roots, sizeof roots, "NAMESPACE_ROOT=%s",
             cli_rig.other[0] != '\0' ? cli_rig.other : cli_rig.root);
    snprintf(identity, sizeof identity, "VEYRON_IDENTITY=%s", rig_identity());
    snprintf(state, sizeof state, "XDG_STATE_HOME=%s",
             child_file(folder, sizeof folder, "no-state"));
    return tool_start(t, "wspr", args, env, flags);
}

int cli_run(struct tool *t, const char *input, const char *const *args)
{
    if (!cli_start(t, args, 0)) {
        TAP_OK(false, "it does not start");
        return -1;
    }
    tool_write(t, input);
    return tool_end(t);
}

void cli_expect(const char *file, int line, const char *const *args, const char *input, int status,
                const char *out, const char *err)
{
    struct tool t;
    int got = cli_run(&t, input, args);
    const char *said = tool_err(&t);

    tap_check(got == status, file, line, "status %d: %s", got, said);
    tap_check(out == NULL || strcmp(tool_out(&t), out) == 0, file, line, "it printed \"%s\"",
              tool_out(&t));
    tap_check(err[0] != '\0' ? strstr(said, err) != NULL : said[0] == '\0', file, line,
              "it said \"%s\", not \"%s\"", said, err);
    tool_done(&t);
}

bool cli_rig_start(void)
{
    char endpoint[512];
    struct tool t;
    bool ok;

    if (!rig_table_start(&cli_rig.table, endpoint, sizeof endpoint))
        return false;
    snprintf(cli_rig.root, sizeof cli_rig.root, "/%s", endpoint);
    if (!rig_sampled_start(&cli_rig.sampled, NULL, endpoint, sizeof endpoint))
        return false;
    snprintf(cli_rig.direct, sizeof cli_rig.direct, "/%s//", endpoint);
    ok = RUN(&t, "", "mount", "cache", cli_rig.direct) == 0;
    tool_done(&t);
    return ok;
}

bool cli_rig_stop(void)
{
    bool ok = rig_sampled_stop(&cli_rig.sampled);

    return rig_table_stop(&cli_rig.table) && ok;
}
