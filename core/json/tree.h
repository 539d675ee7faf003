/*
 * A json-c tree made by our own reader, for those who want one: nothing that json-c's parser would
 * let through gets in (NaN, clamped integers, names cut at a NUL …).
 */
#ifndef JSON_TREE_H
#define JSON_TREE_H

#include "json/reader.h"

struct json_object;

/* json-c frees and prints by recursion; a tree may not nest deeper than this. */
#define JSON_TREE_DEPTH_MAX 256

/*
 * The tree of the first value of text; the caller puts it. null is a NULL tree. Of duplicate names
 * the last wins. Integers within int64 or uint64 are integers, other numbers doubles whose text is
 * kept as it was written. A string may hold NUL characters. Errors: those of json_scan (depth at
 * most JSON_TREE_DEPTH_MAX, whatever max_depth says), WSPR_EINVAL for a member name with a NUL,
 * which json-c cannot hold, WSPR_ELIMIT for a number that no double holds, WSPR_ENOMEM.
 */
int json_tree_read(struct span text, size_t max_depth, unsigned flags,
                   struct json_object **ret_tree, struct err *e);
/* The same for text that was checked already. */
int json_tree_read_checked(struct span value, struct json_object **ret_tree, struct err *e);

#endif
