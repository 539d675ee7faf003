/* The files of a new project for a plugin. */
#ifndef TOOLS_PLUGIN_TEMPLATE_H
#define TOOLS_PLUGIN_TEMPLATE_H

#include <stdbool.h>
#include <stddef.h>

struct plugin_template {
    const char *file; /* its name, or what follows the plugin's name in it */
    const char *text;
    bool of_name;
    bool executable;
};

extern const struct plugin_template plugin_templates[];
extern const size_t plugin_n_templates;

#endif
