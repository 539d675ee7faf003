/*
 * A small language for conversations: what a peer sends is a line of frames, what the decoder made
 * of it a line of events, and each script runs whole, cut in two at each byte, and byte by byte.
 *
 * Frames, separated by blanks: a letter, then marks, then ':' and the payload.
 *   T B C  final text, binary, continuation; t b c  the same without FIN
 *   P O X  ping, pong, close; p o x  without FIN
 *   K      opcode from the mark; H  the payload is the raw bytes of the frame, nothing is added
 * Marks: !  masked the wrong way; 1..7 after '/'  reserved bits; for K the opcode in hex (k: no
 * FIN). Payload: text; or %hex; or #n for n times '*'.
 *
 * Events: text:… binary:… ping:… pong:… close:code:reason fail:code:reason, payloads longer than 64
 * bytes as (n).
 */
#ifndef TESTS_SCRIPT_H
#define TESTS_SCRIPT_H

#include "base/buf.h"
#include "ws/codec.h"

/* Appends the frames as the peer of a decoder in that role sends them. */
void script_build(struct buf *out, enum ws_role role, const char *frames);
/* Feeds the bytes in pieces of `first`, then `rest` bytes (0: all) and appends the events. */
void script_run(const struct ws_dec_options *opt, struct span input, size_t first, size_t rest,
                struct buf *events);
/* Runs a script every way, in both roles, assembled and streamed. */
void script_check(const char *name, const char *frames, const char *expect,
                  const struct ws_dec_options *opt);
/* The same with the default options. */
void script_plain(const char *name, const char *frames, const char *expect);

#endif
