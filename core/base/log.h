/*
 * The daemon's log. A logger is a value that its owner passes down; there is no global one.
 * One record is one line: time, level, module, then the sentence, in which text from peers must go
 * through log_quote(). Engines do not log, they return errors. Any thread may write.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdarg.h>
#include <stddef.h>

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARN, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

struct log {
    int fd; /* -1: nowhere */
    enum log_level level;
};

void log_write(const struct log *l, enum log_level level, const char *module, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
void log_vwrite(const struct log *l, enum log_level level, const char *module, const char *fmt,
                va_list ap) __attribute__((format(printf, 4, 0)));
/* Writes text into out as a double-quoted, escaped string, cut with … if it does not fit. */
const char *log_quote(char *out, size_t size, const void *text, size_t len);

#endif
