#include "config.h"
#include "naming/number.h"

#include "base/buf.h"
#include "base/quote.h"

#define NUMBER_QUOTE_MAX 4096

static int number_fail(struct span text, const char *what, struct err *e)
{
    struct buf quoted = BUF_INIT(NUMBER_QUOTE_MAX);

    if (e != NULL) {
        quote_append(&quoted, text, '"');
        err_set(e, WSPR_EINVAL, "strconv.ParseUint: parsing %.*s: %s", SPAN_ARG(buf_span(&quoted)),
                what);
        buf_done(&quoted);
    }
    return WSPR_EINVAL;
}

int naming_number_parse(struct span text, uint64_t max, uint64_t *ret_value, struct err *e)
{
    uint64_t v = 0;

    if (text.len == 0)
        return number_fail(text, "invalid syntax", e);
    for (size_t i = 0; i < text.len; i++) {
        uint64_t digit = (uint64_t)text.p[i] - '0';

        if (text.p[i] < '0' || text.p[i] > '9')
            return number_fail(text, "invalid syntax", e);
        if (v > (max - digit) / 10 || digit > max)
            return number_fail(text, "value out of range", e);
        v = v * 10 + digit;
    }
    *ret_value = v;
    return 0;
}
