#include "config.h"
#include "config/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"

#define CHUNK 65536

int config_file_error(const struct config_file *file, const struct config_setting *setting,
                      int code, struct err *err, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    err_vset(err, code, fmt, ap);
    va_end(ap);
    err_prefix(err, 0, "%s:%u: ", file->path, setting->line);
    return code;
}

static int bad_line(const struct config_file *file, unsigned line, struct err *err,
                    const char *what)
{
    return err_set(err, WSPR_EINVAL, "%s:%u: %s", file->path, line, what);
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

/* Takes the blanks off both ends, in place. */
static char *trim(char *text)
{
    size_t n;

    while (is_blank(*text))
        text++;
    n = strlen(text);
    while (n > 0 && is_blank(text[n - 1]))
        text[--n] = '\0';
    return text;
}

static char *unquote(char *value)
{
    size_t n = strlen(value);

    if (n < 2 || value[0] != '"' || value[n - 1] != '"')
        return value;
    value[n - 1] = '\0';
    return value + 1;
}

static const struct config_setting *find(const struct config_file *file, const char *section,
                                         const char *name)
{
    for (size_t i = 0; file != NULL && i < file->n; i++) {
        const struct config_setting *s = &file->settings[i];

        if (strcmp(s->section, section) == 0 &&
            (name == NULL ? s->name == NULL : s->name != NULL && strcmp(s->name, name) == 0))
            return s;
    }
    return NULL;
}

const struct config_setting *config_file_section(const struct config_file *file,
                                                 const char *section)
{
    return find(file, section, NULL);
}

const struct config_setting *config_file_find(const struct config_file *file, const char *section,
                                              const char *name)
{
    return find(file, section, name);
}

static int add(struct config_file *file, const struct config_setting *s, struct err *err)
{
    const struct config_setting *other = find(file, s->section, s->name);
    struct config_setting *grown;

    if (other != NULL)
        return config_file_error(file, s, WSPR_EINVAL, err, "%s stands in line %u already",
                                 s->name != NULL ? s->name : s->section, other->line);
    if (file->n == CONFIG_SETTINGS_MAX)
        return config_file_error(file, s, WSPR_ELIMIT, err, "more than %d lines with settings",
                                 CONFIG_SETTINGS_MAX);
    if ((file->n & (file->n - 1)) == 0) {
        grown = realloc(file->settings, (file->n == 0 ? 1 : file->n * 2) * sizeof *grown);
        if (grown == NULL)
            return err_set(err, WSPR_ENOMEM, "out of memory");
        file->settings = grown;
    }
    file->settings[file->n++] = *s;
    return 0;
}

static int read_section(struct config_file *file, char *head, struct config_setting *s,
                        struct err *err)
{
    size_t n = strlen(head);
    bool closed = n > 1 && head[n - 1] == ']';

    if (closed)
        head[n - 1] = '\0';
    s->section = trim(head + 1);
    if (!closed || s->section[0] == '\0')
        return bad_line(file, s->line, err, "a section looks like [plugin NAME]");
    s->name = NULL;
    s->value = NULL;
    return add(file, s, err);
}

static int read_line(struct config_file *file, char *text, struct config_setting *s,
                     struct err *err)
{
    char *equals;

    text = trim(text);
    if (*text == '\0' || *text == '#')
        return 0;
    if (*text == '[')
        return read_section(file, text, s, err);
    equals = strchr(text, '=');
    if (equals == NULL || equals == text)
        return bad_line(file, s->line, err, "a setting looks like name = value");
    *equals = '\0';
    s->name = trim(text);
    s->value = unquote(trim(equals + 1));
    return add(file, s, err);
}

static int read_lines(struct config_file *file, size_t len, struct err *err)
{
    struct config_setting s = {.section = "", .line = 1};
    char *line = file->text;
    int r = 0;

    if (memchr(file->text, '\0', len) != NULL)
        return bad_line(file, 1, err, "this is no text file");
    while (line != NULL && r == 0) {
        char *end = strchr(line, '\n');

        if (end != NULL)
            *end++ = '\0';
        r = read_line(file, line, &s, err);
        line = end;
        s.line++;
    }
    return r;
}

int config_file_parse(struct config_file *file, const char *path, const char *text, size_t len,
                      struct err *err)
{
    struct config_file f = {0};
    int r;

    f.path = mem_strndup(path, strlen(path));
    f.text = mem_strndup(text, len);
    if (f.path == NULL || f.text == NULL)
        r = err_set(err, WSPR_ENOMEM, "out of memory");
    else
        r = read_lines(&f, len, err);
    if (r < 0) {
        config_file_done(&f);
        return r;
    }
    *file = f;
    return 0;
}

static int read_all(int fd, const char *path, char **text, size_t *len, struct err *err)
{
    size_t room = 0;

    for (;;) {
        char *grown;
        ssize_t n;

        if (room - *len < CHUNK) {
            room += CHUNK;
            grown = realloc(*text, room);
            if (grown == NULL)
                return err_set(err, WSPR_ENOMEM, "out of memory");
            *text = grown;
        }
        n = read(fd, *text + *len, room - *len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_set(err, WSPR_ESYS, "cannot read %s: %s", path, strerror(errno));
        if (n == 0)
            return 0;
        *len += (size_t)n;
        if (*len > CONFIG_FILE_MAX)
            return err_set(err, WSPR_ELIMIT, "%s has more than %d bytes", path, CONFIG_FILE_MAX);
    }
}

int config_file_read(struct config_file *file, const char *path, struct err *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC), r;
    char *text = NULL;
    size_t len = 0;

    if (fd < 0)
        return err_set(err, errno == ENOENT ? WSPR_ENOTFOUND : WSPR_ESYS, "cannot open %s: %s",
                       path, strerror(errno));
    r = read_all(fd, path, &text, &len, err);
    close(fd);
    if (r == 0)
        r = config_file_parse(file, path, text, len, err);
    free(text);
    return r;
}

void config_file_done(struct config_file *file)
{
    free(file->path);
    free(file->text);
    free(file->settings);
    *file = (struct config_file){0};
}

/* What only makes sense on a command line, like --help. */
static bool is_action(const struct config_table *table, const char *name)
{
    for (size_t i = 0; i < table->n_options; i++) {
        if (table->options[i].type == CONFIG_ACTION && strcmp(table->options[i].name, name) == 0)
            return true;
    }
    return false;
}

int config_file_apply(const struct config_file *file, const char *section,
                      const struct config_table *table, void *target, struct err *err)
{
    int r;

    for (size_t i = 0; i < file->n; i++) {
        const struct config_setting *s = &file->settings[i];

        if (s->name == NULL || strcmp(s->section, section) != 0)
            continue;
        if (is_action(table, s->name))
            return config_file_error(file, s, WSPR_EINVAL, err, "%s is for the command line only",
                                     s->name);
        r = config_set(table, target, s->name, s->value, err);
        if (r < 0) {
            err_prefix(err, 0, "%s:%u: ", file->path, s->line);
            return r;
        }
    }
    return 0;
}
