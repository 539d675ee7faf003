#include "config.h"
#include "rig.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tap.h"
#include "vectors.h"

#define RIG_ARGS 32

static const char *rig_build(void)
{
    const char *dir = getenv("abs_top_builddir");

    return dir != NULL ? dir : ".";
}

bool rig_program(char *path, size_t size, const char *name)
{
    static const char *const folders[] = {"", "tools/", "core/", "tests/"};

    for (size_t i = 0; i < sizeof folders / sizeof folders[0]; i++) {
        snprintf(path, size, "%s/%s%s", rig_build(), folders[i], name);
        if (access(path, X_OK) == 0)
            return true;
    }
    printf("# %s is not built\n", name);
    return false;
}

/* One of the recorded identities: self-signed, without an end. */
static bool rig_write_identity(const char *path)
{
    struct json_object *vectors = vectors_load("identity.json");
    struct json_object *list = vec_get(vectors, "identities");
    FILE *f = NULL;

    for (size_t i = 0; i < json_object_array_length(list); i++) {
        struct json_object *o = json_object_array_get_idx(list, i);

        if (strcmp(vec_str(o, "id"), "self-root") != 0)
            continue;
        f = fopen(path, "w");
        if (f == NULL)
            break;
        fputs(vec_str(o, "base64"), f);
        break;
    }
    json_object_put(vectors);
    return f != NULL && chmod(path, 0600) == 0 && fclose(f) == 0;
}

const char *rig_identity(void)
{
    static char path[4200];

    if (path[0] == '\0' && !rig_write_identity(child_file(path, sizeof path, "identity"))) {
        printf("Bail out! cannot write %s\n", path);
        exit(99);
    }
    return path;
}

bool rig_run(struct child *c, const char *name, const char *const *args, const char *const *env)
{
    static unsigned n;
    char program[4200], log[4200], file[64];
    const char *argv[RIG_ARGS] = {program};

    if (!rig_program(program, sizeof program, name))
        return false;
    for (size_t i = 0; args != NULL && args[i] != NULL && i + 2 < RIG_ARGS; i++)
        argv[i + 1] = args[i];
    snprintf(file, sizeof file, "%s-%u.log", name, n++);
    return child_start(c, argv, env, child_file(log, sizeof log, file)) == 0;
}

/* The same under the identity of the test, with a root or none. */
static bool rig_start(struct child *c, const char *name, const char *const *args, const char *root)
{
    char identity[4300], roots[4200], state[4300];
    const char *const env[] = {identity, roots, state, "MOUNTTABLE_ROOT", NULL};

    snprintf(identity, sizeof identity, "VEYRON_IDENTITY=%s", rig_identity());
    snprintf(state, sizeof state, "XDG_STATE_HOME=%s", child_folder());
    snprintf(roots, sizeof roots, "NAMESPACE_ROOT%s%s", root != NULL ? "=" : "",
             root != NULL ? root : "");
    return rig_run(c, name, args, env);
}

void rig_endings(const char *program, const struct rig_ending *endings, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const struct rig_ending *t = &endings[i];
        struct child c;
        char *output;

        TAP_IS(rig_run(&c, program, t->args, t->env));
        TAP_OK(child_wait(&c, RIG_TIMEOUT_MS), "%s: it runs", t->name);
        child_stop(&c, SIGKILL, 1000);
        output = child_output(&c);
        TAP_OK(WIFEXITED(c.status) && WEXITSTATUS(c.status) == t->status, "%s: status %d", t->name,
               c.status);
        TAP_OK(output != NULL && strstr(output, t->text) != NULL, "%s: %s", t->name, output);
        free(output);
    }
}

bool rig_wsprd_start(struct rig_wsprd *w, const char *root, const char *const *args)
{
    char plugins[4200], text[256];
    const char *argv[RIG_ARGS] = {"-port=0", plugins};

    snprintf(plugins, sizeof plugins, "-plugin-dir=%s/plugins/.libs", rig_build());
    for (size_t n = 0; args != NULL && args[n] != NULL && n + 3 < RIG_ARGS; n++)
        argv[n + 2] = args[n];
    w->port = 0;
    if (!rig_start(&w->child, "wsprd", argv, root))
        return false;
    if (child_wait_text(&w->child, "Listening at: ", text, sizeof text, RIG_TIMEOUT_MS))
        w->port = (int)strtol(strrchr(text, ':') + 1, NULL, 10);
    if (w->port > 0)
        return true;
    printf("# wsprd does not listen\n");
    child_show_log(&w->child);
    child_stop(&w->child, SIGKILL, 1000);
    return false;
}

/* What a sanitizer prints when it finds something. */
static bool rig_complains(const struct child *c)
{
    static const char *const marks[] = {"Sanitizer", "runtime error:", "Assertion"};
    char *out = child_output(c);
    bool found = false;

    for (size_t i = 0; out != NULL && i < sizeof marks / sizeof marks[0]; i++)
        found = found || strstr(out, marks[i]) != NULL;
    free(out);
    return found;
}

static bool rig_stop(struct child *c, const char *name)
{
    bool ran = child_alive(c);
    bool in_time = child_stop(c, SIGTERM, RIG_TIMEOUT_MS);

    if (ran && in_time && WIFEXITED(c->status) && WEXITSTATUS(c->status) == 0 && !rig_complains(c))
        return true;
    printf("# %s %s: status 0x%x\n", name,
           !ran      ? "ended by itself"
           : in_time ? "did not end well"
                     : "did not end after SIGTERM",
           (unsigned)c->status);
    child_show_log(c);
    return false;
}

bool rig_wsprd_stop(struct rig_wsprd *w)
{
    return rig_stop(&w->child, "wsprd");
}

/* The last record of counters in what it printed; NULL: there is none. */
static char *rig_last_counters(const char *out, unsigned *ret_n)
{
    const char *at = out, *last = NULL;
    char *copy;

    for (*ret_n = 0; (at = strstr(at, "counters: loop:")) != NULL; at++)
        ++*ret_n;
    for (at = out; at != NULL && (at = strstr(at, "counters: gateway:")) != NULL; at++)
        last = at;
    if (last == NULL)
        return NULL;
    copy = malloc(strlen(last) + 1);
    return copy != NULL ? memcpy(copy, last, strlen(last) + 1) : NULL;
}

char *rig_wsprd_counters(struct rig_wsprd *w)
{
    long long until = child_now_ms() + RIG_TIMEOUT_MS;
    char *out = child_output(&w->child), *text = NULL;
    unsigned before = 0, n = 0;

    free(out != NULL ? rig_last_counters(out, &before) : NULL);
    free(out);
    kill(w->child.pid, SIGUSR1);
    while (child_alive(&w->child) && child_now_ms() < until) {
        out = child_output(&w->child);
        text = out != NULL ? rig_last_counters(out, &n) : NULL;
        free(out);
        if (n > before)
            return text;
        free(text);
        poll(NULL, 0, 2);
    }
    printf("# wsprd does not tell what it counted\n");
    return NULL;
}

long long rig_counter(const char *counters, const char *part, const char *name)
{
    char mark[64];
    const char *at, *end;

    if (counters == NULL)
        return -1;
    snprintf(mark, sizeof mark, "counters: %s:", part);
    at = strstr(counters, mark);
    if (at == NULL)
        return -1;
    end = at + strcspn(at, "\n");
    snprintf(mark, sizeof mark, " %s=", name);
    at = strstr(at, mark);
    return at != NULL && at < end ? strtoll(at + strlen(mark), NULL, 10) : -1;
}

/* Starts a service that prints where it listens. */
static bool rig_service_start(struct child *c, const char *name, const char *root, char *endpoint,
                              size_t size)
{
    if (!rig_start(c, name, NULL, root))
        return false;
    if (child_wait_text(c, "Listening at: ", endpoint, size, RIG_TIMEOUT_MS))
        return true;
    printf("# %s does not listen\n", name);
    child_show_log(c);
    child_stop(c, SIGKILL, 1000);
    return false;
}

bool rig_sampled_start(struct child *c, const char *root, char *endpoint, size_t size)
{
    return rig_service_start(c, "wspr-sampled", root, endpoint, size);
}

bool rig_sampled_stop(struct child *c)
{
    return rig_stop(c, "wspr-sampled");
}

bool rig_store_start(struct child *c, char *endpoint, size_t size)
{
    return rig_service_start(c, "fake-store", NULL, endpoint, size);
}

bool rig_store_stop(struct child *c)
{
    return rig_stop(c, "fake-store");
}

bool rig_slow_start(struct child *c, char *endpoint, size_t size)
{
    return rig_service_start(c, "slow-service", NULL, endpoint, size);
}

bool rig_slow_stop(struct child *c)
{
    return rig_stop(c, "slow-service");
}

bool rig_table_start(struct child *c, char *endpoint, size_t size)
{
    return rig_table_start_at(c, 0, endpoint, size);
}

bool rig_table_start_at(struct child *c, int port, char *endpoint, size_t size)
{
    char address[64];
    const char *const args[] = {address, NULL};

    snprintf(address, sizeof address, "-address=127.0.0.1:%d", port);
    if (!rig_start(c, "wspr-mounttabled", args, NULL))
        return false;
    if (child_wait_text(c, "endpoint: /", endpoint, size, RIG_TIMEOUT_MS))
        return true;
    printf("# wspr-mounttabled does not listen\n");
    child_show_log(c);
    child_stop(c, SIGKILL, 1000);
    return false;
}

bool rig_table_stop(struct child *c)
{
    return rig_stop(c, "wspr-mounttabled");
}

bool rig_relay_start(struct child *c, char *endpoint, size_t size)
{
    return rig_relay_start_at(c, 0, endpoint, size);
}

bool rig_relay_start_at(struct child *c, int port, char *endpoint, size_t size)
{
    char address[64];
    const char *const args[] = {address, NULL};

    snprintf(address, sizeof address, "-address=127.0.0.1:%d", port);
    if (!rig_start(c, "wspr-proxyd", args, NULL))
        return false;
    if (child_wait_text(c, "Listening at: ", endpoint, size, RIG_TIMEOUT_MS))
        return true;
    printf("# wspr-proxyd does not listen\n");
    child_show_log(c);
    child_stop(c, SIGKILL, 1000);
    return false;
}

bool rig_relay_stop(struct child *c)
{
    return rig_stop(c, "wspr-proxyd");
}

int rig_port_of(const char *endpoint)
{
    const char *at = strstr(endpoint, "@127.0.0.1:");

    return at != NULL ? (int)strtol(at + 11, NULL, 10) : 0;
}
