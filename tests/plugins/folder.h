/* A folder with copies of plugins of this build, for one test. */
#ifndef TESTS_PLUGINS_FOLDER_H
#define TESTS_PLUGINS_FOLDER_H

#include <stdbool.h>
#include <stddef.h>

/* The folder, made anew and empty; valid until the end of the program. */
const char *folder_make(void);
/* Puts a plugin of this build ("plugins/request", "tests/plugins/odd_good") there as NAME.so. */
bool folder_put(const char *folder, const char *built, const char *name);
/* Writes a file there; its path, valid until the next call. */
const char *folder_write(const char *folder, const char *name, const char *text);

#endif
