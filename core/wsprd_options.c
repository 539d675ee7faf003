/* The options of wsprd and what it says about them. */
#include "config.h"

#include <stddef.h>
#include <stdio.h>

#include "base/clock.h"
#include "gateway/gateway.h"
#include "rpc/publisher.h"
#include "wsprd_options.h"

#ifdef WSPR_LEGACY_PEERS
#define LEGACY_DEFAULT "true"
#else
#define LEGACY_DEFAULT "false"
#endif

#define AT(member) offsetof(struct wsprd_settings, member)

static const struct config_option option_rows[] = {
    {"port", CONFIG_INT, AT(port), "8124", "N",
     "TCP port for pages, on 127.0.0.1; 0 lets the system choose", 0, 65535},
    {"listen", CONFIG_STRING, AT(listen), "", "HOST:PORT",
     "TCP address for pages, instead of port; one that other machines reach needs\n"
     "tls-cert, tls-key and allowed-origins",
     0, 0},
    {"tls-cert", CONFIG_STRING, AT(tls_cert), "", "FILE",
     "certificate for pages, which connect by wss then, and those of its issuers, in\n"
     "PEM; pages may use its names, and no others but those of this machine",
     0, 0},
    {"tls-key", CONFIG_STRING, AT(tls_key), "", "FILE",
     "its private key, in PEM, not readable by everybody", 0, 0},
    {"vproxy", CONFIG_STRING, AT(vproxy), "", "NAME",
     "name or endpoint of the relay that objects of pages are served through;\n"
     "without one they are served on peer-listen",
     0, 0},
    {"peer-listen", CONFIG_STRING, AT(peer_listen), "127.0.0.1:0", "HOST:PORT",
     "TCP address for callers of objects of pages; port 0 lets the system choose", 0, 0},
    {"peer-advertise", CONFIG_STRING, AT(peer_advertise), "", "HOST:PORT",
     "what their endpoints say instead, for a machine behind NAT or with a name;\n"
     "port 0 is the port of peer-listen",
     0, 0},
    {"max-servers", CONFIG_INT, AT(max_servers), "128", "N", "objects that one page may serve", 1,
     1000000},
    {"max-names", CONFIG_INT, AT(max_names), "256", "N", "names that one of them may have", 1,
     RPC_PUBLISH_NAMES},
    {"max-pending", CONFIG_INT, AT(max_pending), "1024", "N",
     "calls of its objects that one page may leave unanswered", 1, 1000000},
    {"max-output", CONFIG_INT, AT(max_output), "512", "MIB",
     "what may wait to be sent to all pages; beyond it the one with most ends", 1, 1 << 20},
    {"max-input", CONFIG_INT, AT(max_input), "512", "MIB",
     "what may be kept of calls, both ways, that are not answered or not all\n"
     "here yet; what passes it fails; as much again of the messages of all\n"
     "pages, beyond which the one with most ends",
     1, 1 << 20},
    {"page-timeout", CONFIG_DURATION, AT(page_timeout), "60s", "TIME",
     "a page that sends nothing for so long, not even answers to pings, is\n"
     "gone; pings come after five sixths of it",
     100 * CLOCK_MS, 86400 * CLOCK_S},
    {"peer-timeout", CONFIG_DURATION, AT(peer_timeout), "60s", "TIME",
     "so is a service, relay or caller whose system acknowledges nothing for\n"
     "so long, or which takes nothing of what waits for it",
     CLOCK_S, 86400 * CLOCK_S},
    {"tcp-only", CONFIG_BOOL, AT(tcp_only), "false", NULL,
     "reach what is served by this very process over TCP, too, as from\n"
     "anywhere else: for looking at the traffic, and for tests",
     0, 0},
    {"circuit-idle", CONFIG_DURATION, AT(circuit_idle), "60s", "TIME",
     "how long a circuit to a service is kept when nobody uses it", 100 * CLOCK_MS,
     86400 * CLOCK_S},
    {"no-embedded", CONFIG_BOOL, AT(no_embedded), "false", NULL,
     "without roots of names: do not run a mount table and the\nsample service inside", 0, 0},
    {"state-dir", CONFIG_STRING, AT(state_dir), "", "DIR",
     "where the identity is kept that is made at the first start, and\n"
     "the accounts of pages; if empty: $STATE_DIRECTORY, $XDG_STATE_HOME/wspr or\n"
     "~/.local/state/wspr",
     0, 0},
    {"allowed-origins", CONFIG_STRING, AT(allowed_origins), "", "LIST",
     "web origins that may connect, and \"local\" for clients of this\n"
     "machine that send none; if empty: everybody",
     0, 0},
    {"associate-from", CONFIG_STRING, AT(associate_from), GATEWAY_ASSOCIATE_FROM, "LIST",
     "who may give any web origin an identity; others only themselves", 0, 0},
    {"bless-origins", CONFIG_BOOL, AT(bless_origins), "true", NULL,
     "origins act under a blessing of their account's identity, with a key\n"
     "of their own; else under the account's identity itself",
     0, 0},
    {"bless-lifetime", CONFIG_DURATION, AT(bless_lifetime), "24h", "TIME",
     "how long such a blessing is good; it is renewed in time", CLOCK_S, INT64_MAX / 4},
    {"test-identities", CONFIG_BOOL, AT(test_identities), "false", NULL,
     "for tests only: accept identities that anybody can claim", 0, 0},
    {"legacy-peers", CONFIG_BOOL, AT(legacy_peers), LEGACY_DEFAULT, NULL,
     "accept the broken cipher RC4 from peers of 2014, which know nothing else", 0, 0},
    {"strict-utf8", CONFIG_BOOL, AT(strict_utf8), "false", NULL,
     "close connections of pages that send invalid UTF-8", 0, 0},
    {"plugins", CONFIG_STRING, AT(plugins),
     "request,stream,signature,serve,stop-server,assoc-identity", "LIST",
     "handler plugins to load, in this order", 0, 0},
    {"optional-plugins", CONFIG_STRING, AT(optional_plugins), "", "LIST",
     "further ones, loaded after those; one that does not load is left out", 0, 0},
    {"deny-plugins", CONFIG_STRING, AT(deny_plugins), "", "LIST",
     "plugins that are not loaded, whatever the other lists say", 0, 0},
    {"config", CONFIG_STRING, AT(config), "", "FILE",
     "file with these options and the sections of plugins; if empty:\n" CONFIG_FILE
     ", if it is there; the command line has the last word",
     0, 0},
    {"check-config", CONFIG_BOOL, AT(check_config), "false", NULL,
     "look at the configuration and the plugins, and exit", 0, 0},
    {"plugin-dir", CONFIG_STRING, AT(plugin_dir), PLUGIN_DIR, "DIR", "where they are", 0, 0},
    {"v", CONFIG_INT, AT(verbosity), "0", "N", "1 also logs what happens, 2 every detail", 0, 100},
    {"logtostderr", CONFIG_BOOL, AT(log_stderr), "false", NULL, "log to standard error", 0, 0},
    {"alsologtostderr", CONFIG_BOOL, AT(also_log_stderr), "true", NULL,
     "the same; there is no other place to log to", 0, 0},
    {"help", CONFIG_ACTION, AT(help), "false", NULL, "print this text and exit", 0, 0},
    {"h", CONFIG_ACTION, AT(help), NULL, NULL, "the same", 0, 0},
    {"version", CONFIG_ACTION, AT(version), "false", NULL, "print the version and exit", 0, 0},
    {"log_dir", CONFIG_INERT, 0, NULL, NULL, NULL, 0, 0},
    {"log_backtrace_at", CONFIG_INERT, 0, NULL, NULL, NULL, 0, 0},
    {"max_stack_buf_size", CONFIG_INERT, 0, NULL, NULL, NULL, 0, 0},
    {"stderrthreshold", CONFIG_INERT, 0, NULL, NULL, NULL, 0, 0},
    {"vmodule", CONFIG_INERT, 0, NULL, NULL, NULL, 0, 0},
    {"vv", CONFIG_INERT, 0, NULL, NULL, NULL, 0, 0},
};

static const struct config_table options = {option_rows,
                                            sizeof option_rows / sizeof option_rows[0]};

void wsprd_print_usage(void)
{
    fputs("Usage: wsprd [OPTION ...]\n"
          "Gives web pages on this machine a full RPC endpoint through one WebSocket.\n\n"
          "Options:\n",
          stdout);
    config_print_help(&options, stdout);
    fputs(
        "\nEnvironment:\n"
        "  VEYRON_IDENTITY   file with the identity to run under, instead of the one that is kept\n"
        "  NAMESPACE_ROOT    mount tables from which names are resolved, separated by commas;\n"
        "                    without any, wsprd runs one of its own, with a sample service\n"
        "\nExit status: 0 after a signal, 1 if it cannot run, 2 for a wrong option or\n"
        "configuration file, 130 or 143 after a second signal.\n",
        stdout);
}

static void warn_inert(void *arg, const char *name)
{
    fprintf(stderr, "wsprd: -%s has no effect here\n", name);
}

const struct config_setup wsprd_setup = {
    .table = &options,
    .default_path = CONFIG_FILE,
    .path_offset = AT(config),
    .inert = warn_inert,
};
