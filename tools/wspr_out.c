#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/utf8.h"
#include "json/writer.h"
#include "wspr.h"

#define MESSAGE_MAX 65536

/* ---- errors ---- */

/* Appends text of strangers so that no terminal obeys it. */
static void append_text(struct buf *out, struct span s)
{
    for (size_t i = 0; i < s.len;) {
        uint32_t rune;
        size_t n = utf8_decode(s.p + i, s.len - i, &rune);
        bool bad = rune == UTF8_REPLACEMENT && n == 1;

        if (bad || rune < 0x20 || (rune >= 0x7f && rune < 0xa0)) {
            if (bad || rune < 0x80)
                buf_printf(out, "\\x%02x", s.p[i]);
            else
                buf_printf(out, "\\u%04x", (unsigned)rune);
        } else {
            buf_append(out, s.p + i, n);
        }
        i += n;
    }
}

static void print_error(struct cli *cli, int status, struct span text, const char *id)
{
    struct buf line = BUF_INIT(4 * MESSAGE_MAX);

    cli_clear_progress(cli);
    fflush(stdout);
    if (cli->opts.json) {
        struct json_writer w;

        json_writer_init(&w, &line);
        json_write_object(&w);
        json_write_name_str(&w, "error");
        json_write_object(&w);
        json_write_name_str(&w, "id");
        json_write_str(&w, id);
        json_write_name_str(&w, "message");
        json_write_string(&w, text);
        json_write_name_str(&w, "status");
        json_write_int(&w, status);
        json_write_object_end(&w);
        json_write_object_end(&w);
    } else {
        buf_append_str(&line, "wspr: ");
        append_text(&line, text);
        if (id[0] != '\0') {
            buf_append_str(&line, " [");
            append_text(&line, span_str(id));
            buf_append_str(&line, "]");
        }
    }
    buf_u8(&line, '\n');
    fwrite(buf_data(&line), 1, line.len, stderr);
    buf_done(&line);
}

__attribute__((format(printf, 3, 0))) static void print_text(struct cli *cli, int status,
                                                             const char *fmt, va_list ap)
{
    struct buf text = BUF_INIT(MESSAGE_MAX);

    buf_vprintf(&text, fmt, ap);
    print_error(cli, status, buf_span(&text), "");
    buf_done(&text);
}

int cli_fail(struct cli *cli, int status, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    print_text(cli, status, fmt, ap);
    va_end(ap);
    return status;
}

int cli_fail_err(struct cli *cli, int status, const struct err *e, const char *fmt, ...)
{
    struct buf text = BUF_INIT(2 * MESSAGE_MAX);
    va_list ap;

    if (fmt != NULL) {
        va_start(ap, fmt);
        buf_vprintf(&text, fmt, ap);
        va_end(ap);
        buf_append_str(&text, ": ");
    }
    buf_append_str(&text, err_text(e));
    /* The one error that a user who begins will meet. */
    if (strstr(err_text(e), "No mount table available") != NULL)
        buf_append_str(&text, ": set NAMESPACE_ROOT, or give --root");
    print_error(cli, status, buf_span(&text), err_id(e));
    buf_done(&text);
    return status;
}

int cli_usage(struct cli *cli, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    print_text(cli, CLI_USAGE, fmt, ap);
    va_end(ap);
    if (!cli->opts.json)
        fprintf(stderr, "Try '%s --help'.\n", cli->path);
    return CLI_USAGE;
}

/* ---- output ---- */

void cli_put(struct cli *cli, struct span s)
{
    if (cli->out_error == 0 && s.len > 0 && fwrite(s.p, 1, s.len, stdout) < s.len)
        cli->out_error = errno;
}

void cli_printf(struct cli *cli, const char *fmt, ...)
{
    va_list ap;

    if (cli->out_error != 0)
        return;
    va_start(ap, fmt);
    if (vprintf(fmt, ap) < 0)
        cli->out_error = errno;
    va_end(ap);
}

void cli_put_text(struct cli *cli, struct span s)
{
    struct buf text = BUF_INIT(SIZE_MAX / 8);

    append_text(&text, s);
    cli_put(cli, buf_span(&text));
    buf_done(&text);
}

int cli_flush(struct cli *cli)
{
    if (cli->out_error == 0 && fflush(stdout) != 0)
        cli->out_error = errno;
    if (cli->out_error == 0)
        return CLI_OK;
    if (cli->out_error == EPIPE)
        return CLI_PIPE;
    return cli_fail(cli, CLI_LOCAL, "cannot write the output: %s", strerror(cli->out_error));
}

const char *cli_color_on(const struct cli *cli, enum cli_color c)
{
    static const char *const codes[] = {
        [CLI_PLAIN] = "",          [CLI_NAME] = "\033[1;34m", [CLI_TYPE] = "\033[36m",
        [CLI_STRING] = "\033[32m", [CLI_NUMBER] = "\033[33m", [CLI_WORD] = "\033[35m",
        [CLI_DIM] = "\033[2m",
    };

    return cli->color && !cli->opts.json ? codes[c] : "";
}

const char *cli_color_off(const struct cli *cli)
{
    return cli->color && !cli->opts.json ? "\033[0m" : "";
}

const char *cli_duration(char *out, size_t size, int64_t ns)
{
    double v = (double)ns;

    if (ns < 1000000)
        snprintf(out, size, "%.0f us", v / 1e3);
    else if (ns < 100000000)
        snprintf(out, size, "%.2f ms", v / 1e6);
    else if (ns < 1000000000)
        snprintf(out, size, "%.0f ms", v / 1e6);
    else if (ns < INT64_C(60000000000))
        snprintf(out, size, "%.6g s", v / 1e9);
    else if (ns < INT64_C(3600000000000))
        snprintf(out, size, "%" PRId64 " min %.3g s", ns / INT64_C(60000000000),
                 (double)(ns % INT64_C(60000000000)) / 1e9);
    else
        snprintf(out, size, "%" PRId64 " h %" PRId64 " min", ns / INT64_C(3600000000000),
                 ns / INT64_C(60000000000) % 60);
    return out;
}

/* ---- what somebody may have meant ---- */

#define NEAR_MAX 32

/* Letters that have to be changed, put in, left out or exchanged with their neighbour. */
static unsigned distance(struct span a, struct span b)
{
    unsigned rows[3][NEAR_MAX + 1];

    for (size_t j = 0; j <= b.len; j++)
        rows[0][j] = (unsigned)j;
    for (size_t i = 1; i <= a.len; i++) {
        unsigned *row = rows[i % 3], *above = rows[(i + 2) % 3], *two = rows[(i + 1) % 3];

        row[0] = (unsigned)i;
        for (size_t j = 1; j <= b.len; j++) {
            uint8_t x = a.p[i - 1] | 0x20, y = b.p[j - 1] | 0x20;
            unsigned best = above[j - 1] + (x != y);

            if (above[j] + 1 < best)
                best = above[j] + 1;
            if (row[j - 1] + 1 < best)
                best = row[j - 1] + 1;
            if (i > 1 && j > 1 && x == (b.p[j - 2] | 0x20) && y == (a.p[i - 2] | 0x20) &&
                two[j - 2] + 1 < best)
                best = two[j - 2] + 1;
            row[j] = best;
        }
    }
    return rows[a.len % 3][b.len];
}

bool cli_is_near(struct span a, struct span b)
{
    size_t shorter = a.len < b.len ? a.len : b.len;

    if (shorter == 0 || a.len > NEAR_MAX || b.len > NEAR_MAX)
        return false;
    if (shorter >= 3 && memcmp(a.p, b.p, shorter) == 0)
        return true;
    return distance(a, b) <= (shorter < 4 ? 1U : (unsigned)shorter / 3);
}
