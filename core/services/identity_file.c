#include "config.h"
#include "services/identity_file.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "security/identity.h"
#include "security/idfile.h"
#include "security/trust.h"

#define IDENTITY_VARIABLE "VEYRON_IDENTITY"
#define IDENTITY_NAME_MAX 512

/* "open /a/b: no such file or directory" */
static int file_error(struct err *err, const char *what, const char *path)
{
    const char *text = strerror(errno);

    return err_set(err, WSPR_ESYS, "%s %s: %c%s", what, path, tolower((unsigned char)text[0]),
                   text[0] != '\0' ? text + 1 : "");
}

/* Reads the whole file into room that was made before: what is read is secret. */
static int read_all(int fd, const char *path, struct buf *out, struct err *err)
{
    size_t most = out->max;
    uint8_t *room = buf_reserve(out, most);
    ssize_t n;

    if (room == NULL)
        return err_set(err, WSPR_ENOMEM, "out of memory");
    do {
        n = read(fd, room + out->len, most - out->len);
        if (n > 0)
            buf_commit(out, (size_t)n);
    } while ((n > 0 && out->len < most) || (n < 0 && errno == EINTR));
    if (n < 0)
        return file_error(err, "read", path);
    if (out->len == most)
        return err_set(err, WSPR_ELIMIT, "the file is too long for an identity");
    return 0;
}

int identity_file_read(const char *path, struct security_private **ret_id, struct err *err)
{
    struct buf text = BUF_INIT(SECURITY_TEXT_MAX + 8192);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    int r;

    if (fd < 0)
        return file_error(err, "open", path);
    r = read_all(fd, path, &text, err);
    close(fd);
    if (r == 0)
        r = security_idfile_parse_private(buf_span(&text), 0, ret_id, err);
    security_buf_wipe(&text);
    return r;
}

int identity_fresh(struct security_private **ret_id, struct err *err)
{
    char name[IDENTITY_NAME_MAX], host[256] = "";
    const struct passwd *pw = getpwuid(getuid());
    const char *user = pw != NULL ? pw->pw_name : "anonymous";

    if (gethostname(host, sizeof host - 1) < 0)
        host[0] = '\0';
    snprintf(name, sizeof name, "%s%s%s-%d", user, host[0] != '\0' ? "@" : "", host, (int)getpid());
    return security_private_new(span_str(name), ret_id, err);
}

int identity_of_process(struct security_private **ret_id, struct security_trust **ret_trust,
                        struct err *err)
{
    const char *path = getenv(IDENTITY_VARIABLE);
    struct security_private *id = NULL;
    struct security_trust *trust;
    int r;

    if (path != NULL && path[0] != '\0') {
        r = identity_file_read(path, &id, err);
        if (r < 0)
            return err_prefix(err, 0,
                              "Could not load identity from the " IDENTITY_VARIABLE
                              " environment variable (\"%s\"): ",
                              path);
    } else {
        r = identity_fresh(&id, err);
        if (r < 0)
            return r;
    }
    trust = security_trust_create();
    if (trust == NULL || security_trust_add_roots(trust, id) < 0) {
        security_trust_unref(trust);
        security_private_unref(id);
        return err_set(err, WSPR_ENOMEM, "out of memory");
    }
    *ret_id = id;
    *ret_trust = trust;
    return 0;
}
