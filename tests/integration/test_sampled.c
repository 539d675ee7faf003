/* wspr-sampled as a process: its options, the line that it prints, how it ends. */
#include "config.h"

#include <arpa/inet.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "naming/endpoint.h"
#include "rig.h"
#include "tap.h"

static void ends_by_itself(void)
{
    static const struct rig_ending endings[] = {
        {"unknown flag", {"-nonsense"}, {NULL}, 2, "-nonsense"},
        {"flag without a value", {"-listen"}, {NULL}, 2, "-listen"},
        {"stray argument", {"stray"}, {NULL}, 2, "unexpected argument \"stray\""},
        {"help", {"--help"}, {NULL}, 0, "-listen"},
        {"version", {"--version"}, {NULL}, 0, PACKAGE_VERSION},
        {"no address", {"-listen=nonsense"}, {NULL}, 1, "nonsense"},
        {"address of another machine", {"-listen=192.0.2.1:0"}, {NULL}, 1, "192.0.2.1"},
        {"no identity",
         {"-logtostderr"},
         {"VEYRON_IDENTITY=/nonexistent/identity"},
         1,
         "Could not load identity from the VEYRON_IDENTITY environment variable "
         "(\"/nonexistent/identity\"): "},
    };

    rig_endings("wspr-sampled", endings, sizeof endings / sizeof endings[0]);
}

/* Whether somebody listens at the address of the endpoint. */
static bool listens(const char *endpoint)
{
    struct naming_endpoint ep;
    struct sockaddr_in in = {.sin_family = AF_INET};
    char *colon;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool ok;

    if (fd < 0 || naming_endpoint_parse(span_str(endpoint), &ep, NULL) < 0)
        return false;
    colon = strrchr(ep.address, ':');
    *colon = '\0';
    in.sin_port = htons((uint16_t)strtoul(colon + 1, NULL, 10));
    ok = inet_pton(AF_INET, ep.address, &in.sin_addr) == 1 &&
         connect(fd, (struct sockaddr *)&in, sizeof in) == 0;
    close(fd);
    return ok;
}

static void runs_until_a_signal(int number)
{
    /* Logging flags of old start scripts are taken. */
    const char *const args[] = {"-logtostderr", "-vmodule=a=1", "-v", "1", NULL};
    const char *const env[] = {"VEYRON_IDENTITY", NULL};
    struct child c;
    char endpoint[512], want[600], *output;

    TAP_IS(rig_run(&c, "wspr-sampled", args, env));
    TAP_IS(child_wait_text(&c, "Listening at: ", endpoint, sizeof endpoint, RIG_TIMEOUT_MS));
    TAP_OK(strncmp(endpoint, "@2@tcp@127.0.0.1:", 17) == 0, "\"%s\"", endpoint);
    TAP_IS(listens(endpoint));
    TAP_IS(child_alive(&c));
    TAP_OK(child_stop(&c, number, RIG_TIMEOUT_MS), "signal %d does not end it", number);
    TAP_OK(WIFEXITED(c.status) && WEXITSTATUS(c.status) == 0, "status %d", c.status);
    TAP_IS(!listens(endpoint));
    output = child_output(&c);
    snprintf(want, sizeof want, "Listening at: %s\n", endpoint);
    TAP_OK(output != NULL && strstr(output, want) != NULL, "%s", output);
    free(output);
}

static void ends_on_sigterm(void)
{
    runs_until_a_signal(SIGTERM);
}

static void ends_on_sigint(void)
{
    runs_until_a_signal(SIGINT);
}

/* Two cannot have one address; the second says so. */
static void address_in_use(void)
{
    const char *const none[] = {NULL};
    const char *const env[] = {"VEYRON_IDENTITY", NULL};
    char endpoint[512], listen[600], *end, *output;
    const char *args[] = {listen, NULL};
    struct child c, d;

    TAP_IS(rig_run(&c, "wspr-sampled", none, env));
    TAP_IS(child_wait_text(&c, "Listening at: ", endpoint, sizeof endpoint, RIG_TIMEOUT_MS));
    end = strchr(endpoint + 7, '@');
    TAP_IS(end != NULL);
    *end = '\0';
    snprintf(listen, sizeof listen, "-listen=%s", endpoint + 7);
    TAP_IS(rig_run(&d, "wspr-sampled", args, env));
    TAP_IS(child_wait(&d, RIG_TIMEOUT_MS) && WEXITSTATUS(d.status) == 1);
    output = child_output(&d);
    TAP_OK(output != NULL && strstr(output, "address already in use") != NULL, "%s", output);
    free(output);
    child_stop(&d, SIGKILL, 1000);
    TAP_IS(child_stop(&c, SIGTERM, RIG_TIMEOUT_MS));
}

int main(int argc, char **argv)
{
    static const struct tap_case cases[] = {
        {"ends by itself", ends_by_itself},
        {"ends on SIGTERM", ends_on_sigterm},
        {"ends on SIGINT", ends_on_sigint},
        {"an address in use", address_in_use},
    };
    static const struct tap_suite suites[] = {TAP_SUITE("sampled", cases)};

    return tap_main(argc, argv, suites, 1);
}
