#include "config.h"
#include "config/roots.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ROOTS_BYTES 65536

size_t config_split(char *text, const char **parts, size_t max)
{
    size_t n = 0;

    while (text != NULL) {
        char *comma = strchr(text, ',');
        size_t len;

        if (comma != NULL)
            *comma++ = '\0';
        text += strspn(text, " \t");
        for (len = strlen(text); len > 0 && strchr(" \t", text[len - 1]) != NULL; len--)
            text[len - 1] = '\0';
        if (text[0] != '\0' && n++ < max)
            parts[n - 1] = text;
        text = comma;
    }
    return n;
}

/* Begins with exactly one slash. */
static bool is_rooted(const char *name)
{
    return name[0] == '/' && name[1] != '/';
}

/* Cuts what is in the text and looks at the parts. */
static int roots_finish(struct config_roots *r, struct err *err)
{
    size_t i = 0;

    if (buf_cstr(&r->text) == NULL)
        return err_set(err, buf_error(&r->text), "the namespace roots are too long");
    r->n = config_split((char *)buf_data(&r->text), r->names, CONFIG_ROOTS_MAX);
    if (r->n > CONFIG_ROOTS_MAX)
        return err_set(err, WSPR_EINVAL, "%zu namespace roots are too many", r->n);
    while (i < r->n && is_rooted(r->names[i]))
        i++;
    if (i == r->n)
        return 0;
    return err_set(err, WSPR_EINVAL,
                   "Couldn't create mount table: At least one root is not a rooted name: [\"%s\"]",
                   r->names[i]);
}

int config_roots_parse(const char *list, struct config_roots *ret, struct err *err)
{
    int r;

    buf_init(&ret->text, ROOTS_BYTES);
    buf_append_str(&ret->text, list);
    r = roots_finish(ret, err);
    if (r < 0)
        config_roots_done(ret);
    return r;
}

int config_roots_of_process(struct config_roots *ret, struct err *err)
{
    static const char prefix[] = "NAMESPACE_ROOT";
    int r;

    buf_init(&ret->text, ROOTS_BYTES);
    for (char **v = environ; v != NULL && *v != NULL; v++) {
        const char *value = strchr(*v, '=');

        if (strncmp(*v, prefix, sizeof prefix - 1) == 0 && value != NULL) {
            buf_append_str(&ret->text, value + 1);
            buf_u8(&ret->text, ',');
        }
    }
    if (ret->text.len == 0 && getenv("MOUNTTABLE_ROOT") != NULL)
        buf_append_str(&ret->text, getenv("MOUNTTABLE_ROOT"));
    r = roots_finish(ret, err);
    if (r < 0)
        config_roots_done(ret);
    return r;
}

void config_roots_done(struct config_roots *roots)
{
    buf_done(&roots->text);
    roots->n = 0;
}
