/* Comparing a frame with a recorded one: placeholders and the compare modes of the vectors. */
#ifndef TESTS_MATCH_H
#define TESTS_MATCH_H

#include <stdbool.h>
#include <stddef.h>

#define MATCH_VARS 16

/* What ${NAME} stands for. A captured name gets its value from the first frame that has it. */
struct match_vars {
    struct {
        const char *name; /* borrowed */
        char value[512];  /* "": captured, not seen yet */
        bool captured;
    } v[MATCH_VARS];
    size_t n;
};

enum match_mode { MATCH_TEXT, MATCH_JSON, MATCH_ERROR };

void match_set(struct match_vars *vars, const char *name, const char *value);
/* The name gets its value when it is first met in a frame; two captured names never share one. */
void match_capture(struct match_vars *vars, const char *name);
/* Puts the values in; the caller frees. NULL if a name is unknown or has no value yet. */
char *match_expand(const struct match_vars *vars, const char *text);
/* "json", "error" or NULL for plain text. */
enum match_mode match_mode_of(const char *compare);
/* Whether the frame is what was recorded; captures are kept if it is. */
bool match_frame(struct match_vars *vars, enum match_mode mode, const char *expected,
                 const char *got);

#endif
