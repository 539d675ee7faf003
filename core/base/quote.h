/*
 * Quoted text for people, in the manner of the reference: printable characters as they are, the
 * rest as \a \n \x01 \u2028 \U000e0001 and bytes that are not UTF-8 as \xff. spec: vom B.1.2
 */
#ifndef BASE_QUOTE_H
#define BASE_QUOTE_H

#include "base/buf.h"
#include "base/span.h"

/* Appends s with quotes around it ('"' or '\'', which is escaped inside). */
void quote_append(struct buf *out, struct span s, char quote);

#endif
