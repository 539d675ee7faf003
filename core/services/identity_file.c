#include "config.h"
#include "services/identity_file.h"

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

static int read_all(const char *path, struct buf *out, struct err *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd >= 0 ? 0 : -1;
    int r = 0;

    while (fd >= 0) {
        uint8_t *room = buf_reserve(out, 4096);

        if (room == NULL) {
            r = err_set(err, buf_error(out), "\"%s\" is too long for an identity", path);
            break;
        }
        n = read(fd, room, 4096);
        if (n <= 0)
            break;
        buf_commit(out, (size_t)n);
    }
    if (n < 0)
        r = err_set(err, WSPR_ESYS, "cannot read \"%s\": %s", path, strerror(errno));
    if (fd >= 0)
        close(fd);
    return r;
}

int identity_file_read(const char *path, struct security_private **ret_id, struct err *err)
{
    struct buf text = BUF_INIT(SECURITY_TEXT_MAX + 8192);
    int r = read_all(path, &text, err);

    if (r == 0) {
        r = security_idfile_parse_private(buf_span(&text), 0, ret_id, err);
        if (r < 0)
            err_prefix(err, 0, "no private identity in \"%s\": ", path);
    }
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
                              "could not load the identity that " IDENTITY_VARIABLE " names: ");
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
