/* Driving a plugin through what can happen to it; see fake_host.h. */
#ifndef TOOLS_PLUGIN_DRIVE_H
#define TOOLS_PLUGIN_DRIVE_H

#include <stdbool.h>
#include <stdio.h>

#include "gateway/plugin_file.h"

/* A message that a page may send, besides those that are wrong for everybody. */
struct drive_message {
    uint32_t type;
    const char *text;
};

struct drive {
    const struct wspr_plugin *plugin;
    const struct config_file *config; /* for its options; may be NULL */
    const struct drive_message *messages;
    size_t n_messages;
    bool watched; /* its own memory is: fake_memory_watch() */
    FILE *out;
};

/*
 * Runs every sequence in a process of its own, so that a crash ends only that. Prints one line for
 * each rule that is broken, and a summary; returns how many sequences went wrong. WSPR_ENOMEM or
 * WSPR_ESYS if it cannot be done.
 */
int drive_plugin(const struct drive *d);

#endif
