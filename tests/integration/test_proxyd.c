/* wspr-proxyd as a process: its options, what it prints, a service behind it, how it ends. */
#include "config.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "rig.h"
#include "tap.h"

static void ends_by_itself(void)
{
    static const struct rig_ending endings[] = {
        {"unknown flag", {"-nonsense"}, {NULL}, 2, "-nonsense"},
        {"flag without a value", {"-address"}, {NULL}, 2, "-address"},
        {"no number", {"-max-circuits=many"}, {NULL}, 2, "max-circuits"},
        {"negative", {"-idle-time=-1"}, {NULL}, 2, "idle-time"},
        {"stray argument", {"stray"}, {NULL}, 2, "unexpected argument \"stray\""},
        {"help", {"--help"}, {NULL}, 0, "-published_address"},
        {"version", {"--version"}, {NULL}, 0, PACKAGE_VERSION},
        {"no address", {"-address=nonsense"}, {NULL}, 1, "nonsense"},
        {"no published address",
         {"-address=127.0.0.1:0", "-published_address=nonsense"},
         {NULL},
         1,
         "\"nonsense\" is no address"},
        {"a name without a mount table",
         {"-address=127.0.0.1:0", "-name=proxy"},
         {"NAMESPACE_ROOT"},
         1,
         "NAMESPACE_ROOT"},
        {"no identity",
         {"-logtostderr"},
         {"VEYRON_IDENTITY=/nonexistent/identity"},
         1,
         "/nonexistent/identity"},
    };

    rig_endings("wspr-proxyd", endings, sizeof endings / sizeof endings[0]);
}

static bool relay_start(struct child *c, char *endpoint, size_t size, const char *address,
                        const char *root)
{
    const char *const args[] = {address, root != NULL ? "-name=proxy" : NULL, NULL};
    const char *const env[] = {root != NULL ? root : "NAMESPACE_ROOT", "VEYRON_IDENTITY", NULL};

    return rig_run(c, "wspr-proxyd", args, env) &&
           child_wait_text(c, "Listening at: ", endpoint, size, RIG_TIMEOUT_MS);
}

static void ends(struct child *c, int number)
{
    TAP_OK(child_stop(c, number, RIG_TIMEOUT_MS), "signal %d does not end it", number);
    TAP_OK(WIFEXITED(c->status) && WEXITSTATUS(c->status) == 0, "status %d", c->status);
}

static void ends_by_a_signal(void)
{
    const int numbers[] = {SIGTERM, SIGINT};
    char endpoint[512];
    struct child c;

    for (size_t i = 0; i < 2; i++) {
        TAP_IS(relay_start(&c, endpoint, sizeof endpoint, "-address=127.0.0.1:0", NULL));
        TAP_OK(strncmp(endpoint, "@2@tcp@127.0.0.1:", 17) == 0, "\"%s\"", endpoint);
        ends(&c, numbers[i]);
    }
}

static void says_what_it_does_not_do(void)
{
    const char *const args[] = {"-address=127.0.0.1:0", "-http=127.0.0.1:0", NULL};
    const char *const env[] = {"VEYRON_IDENTITY", NULL};
    char text[512];
    struct child c;

    TAP_IS(rig_run(&c, "wspr-proxyd", args, env));
    TAP_IS(child_wait_text(&c, "there are no status", text, sizeof text, RIG_TIMEOUT_MS));
    TAP_IS(child_wait_text(&c, "Listening at: ", text, sizeof text, RIG_TIMEOUT_MS));
    ends(&c, SIGTERM);
}

static bool sampled_start(struct child *c, const char *relay, const char *root, char *endpoint,
                          size_t size)
{
    char vproxy[600];
    const char *const args[] = {vproxy, "-open", NULL};
    const char *const env[] = {root, "VEYRON_IDENTITY", NULL};

    snprintf(vproxy, sizeof vproxy, "-vproxy=%s", relay);
    return rig_run(c, "wspr-sampled", args, env) &&
           child_wait_text(c, "Listening at: ", endpoint, size, RIG_TIMEOUT_MS);
}

/* Mount table, relay under a name, service behind the relay under another; the relay is killed and
 * comes back. */
static void a_network(void)
{
    char table_ep[512], relay_ep[512], ep[512], root[600], address[600], *output, *at, *end;
    struct child table, relay, sampled;

    TAP_IS(rig_table_start(&table, table_ep, sizeof table_ep));
    snprintf(root, sizeof root, "NAMESPACE_ROOT=/%s", table_ep);
    TAP_IS(relay_start(&relay, relay_ep, sizeof relay_ep, "-address=127.0.0.1:0", root));
    TAP_IS(sampled_start(&sampled, "proxy", root, ep, sizeof ep));
    /* The same address, another routing id. */
    at = strstr(relay_ep, "127.0.0.1:");
    end = strchr(at, '@');
    TAP_IS(strncmp(ep, relay_ep, (size_t)(end - relay_ep) + 1) == 0 && strcmp(ep, relay_ep) != 0);
    snprintf(address, sizeof address, "-address=%.*s", (int)(end - at), at);
    TAP_IS(child_stop(&relay, SIGKILL, RIG_TIMEOUT_MS) && child_alive(&sampled));
    TAP_IS(relay_start(&relay, relay_ep, sizeof relay_ep, address, root));
    ends(&sampled, SIGTERM);
    output = child_output(&sampled);
    TAP_OK(output != NULL && strstr(output, "lost the relay \"proxy\"") != NULL, "%s", output);
    free(output);
    ends(&relay, SIGTERM);
    TAP_IS(rig_table_stop(&table));
}

/* The relay cannot be found. */
static void no_relay(void)
{
    const char *const args[] = {"-vproxy=nope/proxy", NULL};
    const char *const env[] = {"NAMESPACE_ROOT", "VEYRON_IDENTITY", NULL};
    struct child c;
    char *output;

    TAP_IS(rig_run(&c, "wspr-sampled", args, env));
    TAP_OK(child_wait(&c, RIG_TIMEOUT_MS), "it runs");
    child_stop(&c, SIGKILL, 1000);
    output = child_output(&c);
    TAP_OK(WIFEXITED(c.status) && WEXITSTATUS(c.status) == 1, "status %d", c.status);
    TAP_OK(output != NULL && strstr(output, "failed to parse endpoint \"nope/proxy\": "
                                            "invalid endpoint string") != NULL,
           "%s", output);
    free(output);
}

int main(int argc, char **argv)
{
    static const struct tap_case cases[] = {
        {"ends by itself", ends_by_itself},
        {"ends by a signal", ends_by_a_signal},
        {"says what it does not do", says_what_it_does_not_do},
        {"a network", a_network},
        {"no relay", no_relay},
    };
    static const struct tap_suite suites[] = {TAP_SUITE("proxyd", cases)};

    return tap_main(argc, argv, suites, 1);
}
