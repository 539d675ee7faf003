/*
 * Error codes of wspr.
 *
 * A function returns 0 or a positive number for success and one of these for failure. Each code
 * has, in one table, a scope (what is lost), the id that peers and pages see, and a sentence. Codes
 * are part of the plugin ABI: they keep their numbers, new ones are added at the end.
 */
#ifndef WSPR_ERROR_H
#define WSPR_ERROR_H

#include "wspr/version.h"

#ifdef __cplusplus
extern "C" {
#endif

enum wspr_error {
    WSPR_OK = 0,
    WSPR_ENOMEM = -1000,    /* memory could not be had */
    WSPR_EINVAL = -1001,    /* an argument is not valid */
    WSPR_EPROTO = -1002,    /* the peer broke the protocol */
    WSPR_ELIMIT = -1003,    /* a configured limit was reached */
    WSPR_ETRUNC = -1004,    /* the input ends too early */
    WSPR_ECLOSED = -1005,   /* the flow, circuit or connection is closed */
    WSPR_ETIMEOUT = -1006,  /* a deadline passed */
    WSPR_ECANCELED = -1007, /* the caller took the request back */
    WSPR_EABORTED = -1008,  /* the other side went away or was stopped */
    WSPR_EBADARG = -1009,   /* an argument of a call is not valid */
    WSPR_EBADPROTO = -1010, /* a call does not fit the method that it names */
    WSPR_EEXISTS = -1011,   /* it exists already */
    WSPR_EINTERNAL = -1012, /* a broken invariant, or an error with no better id */
    WSPR_ENOTAUTH = -1013,  /* access denied */
    WSPR_ENOTFOUND = -1014, /* no such object, method or name */
    WSPR_EUNKNOWN = -1015,  /* an error without an id */
    WSPR_ETYPE = -1016,     /* a value does not fit its type */
    WSPR_ECRYPTO = -1017,   /* a cryptographic operation failed */
    WSPR_ESYS = -1018,      /* the operating system refused */
    WSPR_EAGAIN = -1019,    /* not now, try again later */
};

/* The sentence of a code, for logs: a constant, also for numbers that are no code. Any thread. */
WSPR_API const char *wspr_error_text(int code);

#ifdef __cplusplus
}
#endif

#endif
