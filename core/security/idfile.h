/*
 * The text form of identities: base64 with the URL alphabet over the VOM form (spec: security 4).
 * CR and LF are skipped; any other foreign character, missing padding and text after the padding
 * are errors, and so are bytes after the value. Whoever reads the text from a file owns it and
 * wipes it. Any thread.
 */
#ifndef SECURITY_IDFILE_H
#define SECURITY_IDFILE_H

#include "base/buf.h"
#include "base/error.h"
#include "base/span.h"
#include "security/identity.h"

#define SECURITY_TEXT_MAX (SECURITY_IDENTITY_MAX / 3 * 4 + 8192) /* longer text: WSPR_ELIMIT */

int security_idfile_parse_public(struct span text, unsigned flags,
                                 struct security_identity **ret_id, struct err *e);
int security_idfile_parse_private(struct span text, unsigned flags,
                                  struct security_private **ret_id, struct err *e);
/* Append the text, without a newline. The second is secret: see security_buf_wipe. */
int security_idfile_print_public(struct buf *out, const struct security_identity *id);
int security_idfile_print_private(struct buf *out, const struct security_private *id);

#endif
