#include "config.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "security/identity.h"
#include "security/idfile.h"
#include "wspr.h"
#include "wspr_identity.h"

#define FILE_MAX  (SECURITY_TEXT_MAX + 8192)
#define PATH_ROOM 4096

static int file_error(struct err *err, const char *what, const char *path)
{
    const char *text = strerror(errno);

    return err_set(err, WSPR_ESYS, "%s \"%s\": %c%s", what, path, tolower((unsigned char)text[0]),
                   text[0] != '\0' ? text + 1 : "");
}

/* Into room that is made before: what is read may be secret. */
static int read_all(int fd, const char *path, struct buf *out, struct err *err)
{
    uint8_t *room = buf_reserve(out, FILE_MAX);
    ssize_t n;

    if (room == NULL)
        return err_set(err, WSPR_ENOMEM, "out of memory");
    do {
        n = read(fd, room + out->len, FILE_MAX - out->len);
        if (n > 0)
            buf_commit(out, (size_t)n);
    } while ((n > 0 && out->len < FILE_MAX) || (n < 0 && errno == EINTR));
    if (n < 0)
        return file_error(err, "cannot read", path);
    return out->len < FILE_MAX
               ? 0
               : err_set(err, WSPR_ELIMIT, "\"%s\" is too long for an identity", path);
}

/* Whether the text begins as that of a public chain does: then its error is the one that counts. */
static bool looks_public(struct span text)
{
    static const char start[] = "_4EEGgFCAP-DMxoBQwEt";

    return text.len > sizeof start - 1 && memcmp(text.p, start, sizeof start - 1) == 0;
}

static int parse(struct span text, struct cli_id *id, struct err *err)
{
    struct err as_public = ERR_INIT;
    int r = security_idfile_parse_private(text, 0, &id->priv, err);

    if (r == 0) {
        id->pub = security_identity_ref(security_private_public(id->priv));
        return 0;
    }
    id->priv = NULL;
    if (security_idfile_parse_public(text, 0, &id->pub, &as_public) == 0) {
        err_done(err);
        r = 0;
    } else if (looks_public(text)) {
        err_move(err, &as_public);
        r = err->code;
    }
    err_done(&as_public);
    return r;
}

int cli_id_read(const char *path, struct cli_id *ret_id, struct err *err)
{
    struct buf text = BUF_INIT(FILE_MAX);
    bool in = strcmp(path, "-") == 0;
    int fd = in ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC), r;

    if (fd < 0)
        return file_error(err, "cannot open", path);
    r = read_all(fd, path, &text, err);
    if (!in)
        close(fd);
    if (r == 0) {
        r = parse(buf_span(&text), ret_id, err);
        if (r < 0)
            err_prefix(err, 0, "\"%s\" holds no identity: ", path);
    }
    security_buf_wipe(&text);
    return r;
}

void cli_id_done(struct cli_id *id)
{
    security_private_unref(id->priv);
    security_identity_unref(id->pub);
    *id = (struct cli_id){0};
}

/* ---- writing ---- */

static bool write_all(int fd, struct span s)
{
    while (s.len > 0) {
        ssize_t n = write(fd, s.p, s.len);

        if (n < 0 && errno != EINTR)
            return false;
        if (n > 0)
            s = span_of(s.p + n, s.len - (size_t)n);
    }
    return fsync(fd) == 0;
}

/* Through a file beside it, so that the path never names half an identity. */
static int write_file(struct cli *cli, const char *path, bool force, struct span text)
{
    char temporary[PATH_ROOM];
    struct err e = ERR_INIT;
    int status = CLI_OK, fd;
    bool ok;

    if (snprintf(temporary, sizeof temporary, "%s.XXXXXX", path) >= (int)sizeof temporary)
        return cli_fail(cli, CLI_LOCAL, "the path is too long");
    fd = mkstemp(temporary); /* which gives it the mode 0600 */
    ok = fd >= 0 && write_all(fd, text);
    if (fd >= 0)
        ok = close(fd) == 0 && ok;
    if (ok && force)
        ok = rename(temporary, path) == 0;
    else if (ok)
        ok = link(temporary, path) == 0;
    if (!ok && errno == EEXIST)
        status = cli_fail(cli, CLI_LOCAL, "\"%s\" exists already; --force replaces it", path);
    else if (!ok)
        status =
            cli_fail(cli, CLI_LOCAL, "%s", (file_error(&e, "cannot write", path), err_text(&e)));
    if (fd >= 0 && (!force || !ok))
        unlink(temporary);
    err_done(&e);
    return status;
}

int cli_id_write(struct cli *cli, const char *path, bool force, const struct cli_id *id)
{
    struct buf text = BUF_INIT(FILE_MAX);
    int status = CLI_OK, r = 0;

    if (buf_reserve(&text, FILE_MAX - 1) == NULL)
        return cli_fail(cli, CLI_LOCAL, "out of memory");
    r = id->priv != NULL ? security_idfile_print_private(&text, id->priv)
                         : security_idfile_print_public(&text, id->pub);
    buf_u8(&text, '\n');
    if (r < 0 || buf_error(&text) != 0) {
        status = cli_fail(cli, CLI_LOCAL, "the identity cannot be written: %s",
                          err_code_text(r < 0 ? r : buf_error(&text)));
    } else if (path[0] != '\0') {
        status = write_file(cli, path, force, buf_span(&text));
    } else {
        cli_put(cli, buf_span(&text));
        status = cli_flush(cli);
    }
    security_buf_wipe(&text);
    return status;
}
