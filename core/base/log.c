#include "config.h"
#include "base/log.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define LOG_LINE_MAX 4096

static const char *const log_names[] = {"error", "warn", "info", "debug"};

const char *log_quote(char *out, size_t size, const void *text, size_t len)
{
    static const char dots[] = "\xe2\x80\xa6";
    const uint8_t *p = text;
    size_t n = 0;

    if (size < 16) {
        if (size > 0)
            out[0] = '\0';
        return out;
    }
    out[n++] = '"';
    for (size_t i = 0; i < len; i++) {
        if (n + 4 + sizeof dots + 1 > size) {
            memcpy(out + n, dots, sizeof dots - 1);
            n += sizeof dots - 1;
            break;
        }
        if (p[i] == '"' || p[i] == '\\') {
            out[n++] = '\\';
            out[n++] = (char)p[i];
        } else if (p[i] >= 0x20 && p[i] < 0x7f) {
            out[n++] = (char)p[i];
        } else {
            n += (size_t)snprintf(out + n, 5, "\\x%02x", p[i]);
        }
    }
    out[n++] = '"';
    out[n] = '\0';
    return out;
}

void log_vwrite(const struct log *l, enum log_level level, const char *module, const char *fmt,
                va_list ap)
{
    char line[LOG_LINE_MAX];
    struct timespec ts;
    struct tm tm;
    size_t n;
    int more;
    ssize_t w;

    if (l == NULL || l->fd < 0 || level > l->level)
        return;
    clock_gettime(CLOCK_REALTIME, &ts);
    gmtime_r(&ts.tv_sec, &tm);
    n = strftime(line, sizeof line, "%Y-%m-%dT%H:%M:%S", &tm);
    n += (size_t)snprintf(line + n, sizeof line - n, ".%03ldZ %-5s %s: ", ts.tv_nsec / 1000000,
                          log_names[level], module);
    more = vsnprintf(line + n, sizeof line - n, fmt, ap);
    if (more > 0)
        n += (size_t)more;
    if (n > sizeof line - 2)
        n = sizeof line - 2;
    line[n++] = '\n';
    /* One write per record keeps the lines of several threads apart. */
    w = write(l->fd, line, n);
    (void)w;
}

void log_write(const struct log *l, enum log_level level, const char *module, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    log_vwrite(l, level, module, fmt, ap);
    va_end(ap);
}
