#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "child.h"
#include "security/identity.h"
#include "security/idfile.h"
#include "security/trust.h"
#include "services/identity_file.h"
#include "services_tests.h"

/* Writes a file into the folder of the test; its path. */
static const char *write_file(char path[4200], const void *p, size_t len)
{
    FILE *f = fopen(child_file(path, 4200, "identity"), "w");

    TAP_IS(f != NULL && fwrite(p, 1, len, f) == len && fclose(f) == 0);
    return path;
}

static void name_is(const struct security_private *id, const struct security_trust *t,
                    const char *want)
{
    struct buf text = BUF_INIT(4096);

    security_identity_print(&text, security_private_public(id), t);
    TAP_OK(span_equal_str(buf_span(&text), want), "\"%.*s\", not \"%s\"", SPAN_ARG(buf_span(&text)),
           want);
    buf_done(&text);
}

static void from_the_file(void)
{
    struct security_private *id, *got;
    struct security_trust *trust;
    struct buf text = BUF_INIT(1 << 20);
    struct err e = ERR_INIT;
    char path[4200];

    TAP_IS(security_private_new(span_str("somebody"), &id, &e) == 0);
    TAP_IS(security_idfile_print_private(&text, id) == 0);
    buf_append_str(&text, "\n");
    setenv("VEYRON_IDENTITY", write_file(path, buf_data(&text), text.len), 1);
    TAP_IS(identity_of_process(&got, &trust, &e) == 0);
    TAP_IS(security_identity_equal(security_private_public(id), security_private_public(got)));
    name_is(got, trust, "somebody");
    security_private_unref(got);
    security_private_unref(id);
    security_trust_unref(trust);
    security_buf_wipe(&text);
    unsetenv("VEYRON_IDENTITY");
}

static void fails(const char *path, const char *cause)
{
    struct security_private *id;
    struct security_trust *trust;
    struct err e = ERR_INIT;
    char want[8500];

    setenv("VEYRON_IDENTITY", path, 1);
    TAP_IS(identity_of_process(&id, &trust, &e) < 0);
    snprintf(want, sizeof want,
             "Could not load identity from the VEYRON_IDENTITY environment variable (\"%s\"): %s",
             path, cause);
    TAP_OK(strcmp(err_text(&e), want) == 0, "\"%s\", not \"%s\"", err_text(&e), want);
    err_done(&e);
    unsetenv("VEYRON_IDENTITY");
}

static void bad_files(void)
{
    struct security_private *id;
    struct buf text = BUF_INIT(1 << 20);
    char path[4200];

    fails("/nonexistent/identity", "open /nonexistent/identity: no such file or directory");
    fails("/", "read /: is a directory");
    fails(write_file(path, "!!!!", 4), "illegal base64 data at input byte 0");
    fails(write_file(path, "", 0), "EOF");
    TAP_IS(security_private_new(span_str("somebody"), &id, NULL) == 0);
    TAP_IS(security_idfile_print_private(&text, id) == 0);
    /* Cut at some places: an error each time, and never what the file holds. */
    for (size_t n = 1; n < text.len; n += 97) {
        struct security_private *got;
        struct err e = ERR_INIT;

        TAP_OK(identity_file_read(write_file(path, buf_data(&text), n), &got, &e) < 0, "%zu", n);
        TAP_OK(strlen(err_text(&e)) < 200, "%zu: %s", n, err_text(&e));
        err_done(&e);
    }
    security_private_unref(id);
    security_buf_wipe(&text);
}

static void too_long(void)
{
    struct security_private *id;
    struct err e = ERR_INIT;

    TAP_IS(identity_file_read("/dev/zero", &id, &e) == WSPR_ELIMIT);
    TAP_OK(strstr(err_text(&e), "too long") != NULL, "%s", err_text(&e));
    err_done(&e);
}

static void fresh(void)
{
    struct security_private *id;
    struct security_trust *trust;
    struct err e = ERR_INIT;
    struct span name;
    char pid[32], *text;

    setenv("VEYRON_IDENTITY", "", 1);
    TAP_IS(identity_of_process(&id, &trust, &e) == 0);
    TAP_IS(security_identity_names(security_private_public(id), trust, &name, 1) == 1);
    snprintf(pid, sizeof pid, "-%d", (int)getpid());
    text = calloc(name.len + 1, 1);
    TAP_IS(text != NULL);
    memcpy(text, name.p, name.len);
    TAP_OK(name.len > strlen(pid) && strcmp(text + name.len - strlen(pid), pid) == 0, "\"%s\"",
           text);
    free(text);
    security_private_unref(id);
    security_trust_unref(trust);
    unsetenv("VEYRON_IDENTITY");
}

const struct tap_case identity_file_cases[IDENTITY_FILE_CASES] = {
    {"from the file", from_the_file},
    {"files that are no identity", bad_files},
    {"a file without an end", too_long},
    {"a fresh one", fresh},
};
