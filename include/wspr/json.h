/*
 * A payload as a json-c tree, for plugins that want one. The tree is built by the host's own strict
 * reader, so it holds nothing that json-c's parser would have let through. Any thread.
 */
#ifndef WSPR_JSON_H
#define WSPR_JSON_H

#include <stddef.h>
#include "wspr/version.h"

#ifdef __cplusplus
extern "C" {
#endif

struct json_object;
struct wspr_msg;

/*
 * The tree of one JSON value; the caller puts it. JSON null is a NULL tree, therefore the result is
 * an int: 0, or an error with a sentence in error.
 */
WSPR_API int wspr_json_parse(const char *text, size_t len, struct json_object **ret_tree,
                             char *error, size_t error_size) WSPR_MUST_CHECK;

#ifdef __cplusplus
}
#endif

#endif
