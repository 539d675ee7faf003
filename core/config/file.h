/*
 * The configuration file: sections of "name = value" lines.
 *
 *     # comment, on a line of its own
 *     port = 8124
 *     plugins = request, stream, signature
 *
 *     [plugin kv]
 *     path = /var/lib/wspr/kv.db
 *
 * What stands before the first section belongs to the section "". A value is the rest of its line
 * without blanks around it, and one pair of double quotes around it, if there is one, is taken off.
 * A setting or a section that comes twice is an error. Every error names file and line.
 */
#ifndef CONFIG_FILE_H
#define CONFIG_FILE_H

#include "base/error.h"
#include "base/span.h"
#include "config/option.h"

#define CONFIG_FILE_MAX     (1024 * 1024) /* bytes */
#define CONFIG_SETTINGS_MAX 4096

/* One setting. Its strings are borrowed from the file. */
struct config_setting {
    const char *section; /* "" or, for example, "plugin kv" */
    const char *name;    /* NULL: the row stands for the section's head */
    const char *value;
    unsigned line;
};

struct config_file {
    char *path; /* as errors call it */
    char *text; /* with NULs put in; the strings of the settings are here */
    struct config_setting *settings;
    size_t n;
};

/* Reads text (len bytes, copied) that came from `path`. WSPR_EINVAL, WSPR_ENOMEM. */
int config_file_parse(struct config_file *file, const char *path, const char *text, size_t len,
                      struct err *err);
/* Reads the file. Also WSPR_ENOTFOUND if there is none, WSPR_ESYS, WSPR_ELIMIT. */
int config_file_read(struct config_file *file, const char *path, struct err *err);
/* Releases what was read; the strings of settings are gone. Harmless on one that is all zeros. */
void config_file_done(struct config_file *file);

/* The head of a section; NULL if the file (may be NULL) has none of that name. */
const struct config_setting *config_file_section(const struct config_file *file,
                                                 const char *section);
/* A setting of a section; NULL if it has none of that name. */
const struct config_setting *config_file_find(const struct config_file *file, const char *section,
                                              const char *name);
/*
 * Sets the options of the table that the section names, strings borrowed from the file. Names that
 * are not in the table, and those of actions (--help), are errors.
 */
int config_file_apply(const struct config_file *file, const char *section,
                      const struct config_table *table, void *target, struct err *err);
/* Sets an error about a setting: "path:line: " and the text. Returns code. */
int config_file_error(const struct config_file *file, const struct config_setting *setting,
                      int code, struct err *err, const char *fmt, ...)
    __attribute__((format(printf, 5, 6)));

#endif
