/*
 * The options of wsprd: one table for the command line, the configuration file, the help, the
 * manual page and the completion of shells.
 */
#ifndef CORE_WSPRD_OPTIONS_H
#define CORE_WSPRD_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "config/setup.h"

/* Strings are borrowed from the command line, the file or the table. */
struct wsprd_settings {
    int64_t port;
    const char *listen;
    const char *tls_cert, *tls_key;
    const char *vproxy, *peer_listen, *peer_advertise;
    int64_t max_servers, max_names, max_pending;
    int64_t max_output, max_input;
    int64_t page_timeout, peer_timeout, circuit_idle;
    const char *plugin_dir;
    const char *plugins, *optional_plugins, *deny_plugins;
    const char *config;
    bool check_config;
    const char *state_dir;
    const char *associate_from;
    const char *allowed_origins;
    bool bless_origins;
    int64_t bless_lifetime;
    bool test_identities;
    bool no_embedded;
    bool tcp_only;
    bool legacy_peers;
    bool strict_utf8;
    int64_t verbosity;
    bool log_stderr, also_log_stderr;
    bool help, version;
};

/* How the settings are read; also when they are read again. */
extern const struct config_setup wsprd_setup;

/* The text of -help, to standard output. */
void wsprd_print_usage(void);

#endif
