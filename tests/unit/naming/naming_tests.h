#ifndef NAMING_TESTS_H
#define NAMING_TESTS_H

#include "tap.h"

extern const struct tap_suite naming_endpoint_suite, naming_name_suite, naming_glob_suite;

/* The text of a buffer for a message; empties it for the next use. */
#define TEXT_IS(buf, expect, what)                                                                 \
    do {                                                                                           \
        const char *text_ = buf_cstr(buf);                                                         \
        TAP_OK(text_ != NULL && strcmp(text_, (expect)) == 0, "%s: got %s, not %s", (what),        \
               text_ != NULL ? text_ : "nothing", (expect));                                       \
        buf_reset(buf);                                                                            \
    } while (0)

#endif
