/*
 * JSON for people: what fits stays on its line, the rest is broken after each element. Kinds have
 * colours on a terminal.
 */
#include "config.h"

#include "json/reader.h"
#include "json/writer.h"
#include "wspr.h"

#define LINE_WIDTH 78

static void put_plain(struct cli *cli, enum cli_color color, struct span s)
{
    const char *on = cli_color_on(cli, color);

    cli_put(cli, span_str(on));
    cli_put(cli, s);
    if (on[0] != '\0')
        cli_put(cli, span_str(cli_color_off(cli)));
}

static void put_break(struct cli *cli, unsigned indent)
{
    cli_printf(cli, "\n%*s", (int)indent, "");
}

static void put_separator(struct cli *cli, bool wide, bool first, unsigned indent)
{
    if (!first)
        cli_put(cli, span_str(wide ? "," : ", "));
    if (wide)
        put_break(cli, indent);
}

/* Takes a member's name and prints it; false at the end. */
static bool put_name(struct cli *cli, struct json_reader *r, bool wide, bool first, unsigned indent)
{
    struct arena scratch = ARENA_INIT(SIZE_MAX / 8);
    struct buf quoted = BUF_INIT(SIZE_MAX / 8);
    struct span name;
    bool found = json_reader_member(r, &scratch, &name) > 0;

    if (found) {
        json_quote(&quoted, name);
        put_separator(cli, wide, first, indent);
        put_plain(cli, CLI_NAME, buf_span(&quoted));
        cli_put(cli, span_str(": "));
    }
    buf_done(&quoted);
    arena_done(&scratch);
    return found;
}

static void put_value(struct cli *cli, struct json_reader *r, unsigned indent);

static void put_container(struct cli *cli, struct json_reader *r, bool object, bool wide,
                          unsigned indent)
{
    bool first = true;

    cli_put(cli, span_str(object ? "{" : "["));
    if (object)
        json_reader_enter_object(r);
    else
        json_reader_enter_array(r);
    while (object ? put_name(cli, r, wide, first, indent + 2) : json_reader_element(r) > 0) {
        if (!object)
            put_separator(cli, wide, first, indent + 2);
        first = false;
        put_value(cli, r, indent + 2);
    }
    if (!first && wide)
        put_break(cli, indent);
    cli_put(cli, span_str(object ? "}" : "]"));
}

static void put_value(struct cli *cli, struct json_reader *r, unsigned indent)
{
    struct json_reader ahead = *r;
    struct span text = json_reader_raw(&ahead);

    switch (json_reader_peek(r)) {
    case JSON_ARRAY:
    case JSON_OBJECT:
        put_container(cli, r, json_reader_peek(r) == JSON_OBJECT, indent + text.len > LINE_WIDTH,
                      indent);
        return;
    case JSON_STRING:
        put_plain(cli, CLI_STRING, text);
        break;
    case JSON_NUMBER:
        put_plain(cli, CLI_NUMBER, text);
        break;
    case JSON_BOOL:
    case JSON_NULL:
        put_plain(cli, CLI_WORD, text);
        break;
    }
    json_reader_skip(r);
}

void cli_put_json(struct cli *cli, struct span json, unsigned indent)
{
    struct json_reader r;

    if (cli->opts.json) {
        cli_put(cli, json);
        return;
    }
    json_reader_at(&r, json);
    put_value(cli, &r, indent);
}
