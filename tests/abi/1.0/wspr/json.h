/*
 * JSON text: strings that go out, and a payload as a json-c tree for plugins that want one. The
 * tree is built by the host's own strict reader, so it holds nothing that json-c's parser would
 * have let through. Any thread.
 */
#ifndef WSPR_JSON_H
#define WSPR_JSON_H

#include <stddef.h>
#include "wspr/version.h"

#ifdef __cplusplus
extern "C" {
#endif

struct json_object;

/*
 * Writes text as a JSON string, quotes included, and a NUL behind it. Returns how long the string
 * is without the NUL; if that is not less than size it did not fit, and out is "" (untouched if
 * size is 0). Each byte that is not UTF-8 becomes U+FFFD.
 */
WSPR_API size_t wspr_json_quote(char *out, size_t size, const char *text, size_t len);

/*
 * The tree of one JSON value; the caller puts it (json_object_put). JSON null is a NULL tree,
 * therefore the result is an int: 0, or an error with a sentence in error, cut to error_size:
 * WSPR_ETRUNC or WSPR_EINVAL for what is no JSON, WSPR_EINVAL for a name with a NUL, WSPR_ELIMIT
 * for what nests too deeply or a number that no double holds, WSPR_ENOMEM.
 */
WSPR_API int wspr_json_parse(const char *text, size_t len, struct json_object **ret_tree,
                             char *error, size_t error_size) WSPR_MUST_CHECK;

#ifdef __cplusplus
}
#endif

#endif
