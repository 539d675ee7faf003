/*
 * Writing JSON text into a buffer, with the spacing of spec: websocket 6: one space after each
 * colon and comma, none elsewhere. The buffer keeps the error (memory, maximum) until the caller
 * asks.
 *
 * The writer puts commas by itself and does not check that calls nest rightly: that is the
 * caller's program, not a peer's doing.
 */
#ifndef JSON_WRITER_H
#define JSON_WRITER_H

#include <stdbool.h>
#include <stdint.h>
#include "base/buf.h"
#include "base/span.h"

struct json_writer {
    struct buf *out;
    bool comma; /* something stands before the next value or name */
};

void json_writer_init(struct json_writer *w, struct buf *out);
void json_write_object(struct json_writer *w);
void json_write_object_end(struct json_writer *w);
void json_write_array(struct json_writer *w);
void json_write_array_end(struct json_writer *w);
/* A member's name; its value follows. */
void json_write_name(struct json_writer *w, struct span name);
void json_write_name_str(struct json_writer *w, const char *name);
void json_write_null(struct json_writer *w);
void json_write_bool(struct json_writer *w, bool v);
void json_write_int(struct json_writer *w, int64_t v);
void json_write_uint(struct json_writer *w, uint64_t v);
/* NaN and infinities become null. */
void json_write_double(struct json_writer *w, double v);
void json_write_string(struct json_writer *w, struct span s);
void json_write_str(struct json_writer *w, const char *s);
/* A value that is JSON text already. */
void json_write_raw(struct json_writer *w, struct span text);

/*
 * A string with another JSON text in it, without a second buffer: what is written between these
 * two calls (with the same writer) becomes the content of the string.
 */
size_t json_write_text_begin(struct json_writer *w);
void json_write_text_end(struct json_writer *w, size_t begin);

/* Appends s as a JSON string, quotes included. Each invalid byte of UTF-8 becomes U+FFFD. */
void json_quote(struct buf *out, struct span s);
/* The same without a buffer: how many bytes that is, and writing as many. */
size_t json_quote_size(struct span s);
void json_quote_into(void *out, struct span s);
/* Turns what out holds from offset `begin` (of its content) on into a JSON string. */
void json_quote_tail(struct buf *out, size_t begin);

#endif
