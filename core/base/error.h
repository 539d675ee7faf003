/*
 * Errors inside the daemon: a code, the id for programs, a sentence for people.
 *
 * `struct err` is filled by whoever finds the error and read by the one place that reports it.
 * Start with ERR_INIT, end with err_done(). Every function that takes one accepts NULL: the caller
 * then learns the code only. Filling never fails: if memory is short the code and a static sentence
 * of the table remain.
 */
#ifndef BASE_ERROR_H
#define BASE_ERROR_H

#include <stdarg.h>
#include <stddef.h>
#include "wspr/error.h"

struct err {
    int code;  /* 0 while nothing went wrong */
    char *id;  /* wire id if it differs from the code's own, else NULL; owned */
    char *msg; /* owned; NULL means the table's sentence */
};

#define ERR_INIT                                                                                   \
    (struct err)                                                                                   \
    {                                                                                              \
        0, NULL, NULL                                                                              \
    }
#define ERR_MSG_MAX 65536 /* longer texts are cut */

/* Sets code and text (replacing what was there) and returns code, so that `return err_set(…)`
 * works. */
int err_set(struct err *e, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
int err_vset(struct err *e, int code, const char *fmt, va_list ap)
    __attribute__((format(printf, 3, 0)));
/* Sets an error whose id the table does not know (any string, "" included). Without memory for the
 * id it is WSPR_ENOMEM, since an error that has an id does not lose it. */
int err_set_id(struct err *e, const char *id, const char *msg);
/* The same for texts of known length. */
int err_set_id_text(struct err *e, const char *id, size_t id_len, const char *msg, size_t msg_len);
/* Like err_set with a text of known length that may hold any byte but NUL. */
int err_set_text(struct err *e, int code, const char *text, size_t len);
/* Puts "prefix" in front of the text. The code changes to `code` unless that is 0; an error always
 * has one afterwards. */
int err_prefix(struct err *e, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* Moves src into dst; src is empty afterwards. */
void err_move(struct err *dst, struct err *src);
int err_copy(struct err *dst, const struct err *src);
void err_done(struct err *e);

/* Text and wire id of a filled error; never NULL. */
const char *err_text(const struct err *e);
const char *err_id(const struct err *e);

/* The table. */
const char *err_code_text(int code);
const char *err_code_id(int code);  /* "veyron2/verror.Internal" and so on, "" for none */
int err_code_of_id(const char *id); /* WSPR_EUNKNOWN if no code has this id */

#endif
