/*
 * Looking for a secret in what is released: free of our objects goes through a check that finds the
 * scalar, or its base64 form, in the memory that it gets.
 */
#ifndef TESTS_UNIT_SECURITY_WATCH_H
#define TESTS_UNIT_SECURITY_WATCH_H

#include "base/buf.h"
#include "security/identity.h"

extern uint8_t secret[SECURITY_SCALAR_LEN];
extern char secret_text[24]; /* from the middle of its base64 form */
extern unsigned leaks;       /* pieces of memory that held it */

/*
 * A fresh set of two over one key, and its text; from now on its scalar is looked for. Others will
 * not do: their secrets lie about from other cases.
 */
struct security_private *watched(struct buf *text);
void unwatch(void);

#endif
