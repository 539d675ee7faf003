#include "config.h"
#include "child.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define CHILD_POLL_MS  2
#define CHILD_SHOW_MAX 8000 /* bytes of a log that are shown */

static char child_dir[4096];

long long child_now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (long long)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void child_nap(void)
{
    struct timespec t = {0, CHILD_POLL_MS * 1000000};

    nanosleep(&t, NULL);
}

/* Removes what is in the folder, one level of folders deep, and the folder. */
static void child_remove(const char *dir, int depth)
{
    DIR *d = opendir(dir);
    struct dirent *e;
    char path[8192];

    while (d != NULL && (e = readdir(d)) != NULL) {
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        snprintf(path, sizeof path, "%s/%s", dir, e->d_name);
        if (unlink(path) != 0 && depth > 0)
            child_remove(path, depth - 1);
    }
    if (d != NULL)
        closedir(d);
    rmdir(dir);
}

static void child_remove_folder(void)
{
    if (getenv("WSPR_KEEP") == NULL)
        child_remove(child_dir, 3);
}

const char *child_folder(void)
{
    const char *tmp = getenv("TMPDIR");

    if (child_dir[0] == '\0') {
        snprintf(child_dir, sizeof child_dir, "%s/wspr-test-XXXXXX", tmp != NULL ? tmp : "/tmp");
        if (mkdtemp(child_dir) == NULL) {
            perror("mkdtemp");
            exit(99);
        }
        atexit(child_remove_folder);
    }
    return child_dir;
}

const char *child_file(char *path, size_t size, const char *name)
{
    snprintf(path, size, "%s/%s", child_folder(), name);
    return path;
}

void child_set_environment(const char *const *env)
{
    const char *preload = getenv("WSPR_PRELOAD");

    if (preload != NULL)
        setenv("LD_PRELOAD", preload, 1);
    for (; env != NULL && *env != NULL; env++) {
        const char *equals = strchr(*env, '=');
        char name[256];

        if (equals == NULL) {
            unsetenv(*env);
            continue;
        }
        snprintf(name, sizeof name, "%.*s", (int)(equals - *env), *env);
        setenv(name, equals + 1, 1);
    }
}

/* Runs in the child: never returns. */
static void child_exec(const char *const *argv, const char *const *env, int log)
{
    int null = open("/dev/null", O_RDONLY);

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (null < 0 || dup2(null, 0) < 0 || dup2(log, 1) < 0 || dup2(log, 2) < 0)
        _exit(126);
    child_set_environment(env);
    execv(argv[0], (char *const *)(const void *)argv);
    dprintf(2, "cannot run %s: %s\n", argv[0], strerror(errno));
    _exit(127);
}

int child_start(struct child *c, const char *const *argv, const char *const *env, const char *log)
{
    int fd;

    memset(c, 0, sizeof *c);
    snprintf(c->log, sizeof c->log, "%s", log);
    fd = open(log, O_CREAT | O_TRUNC | O_WRONLY | O_APPEND | O_CLOEXEC, 0600);
    if (fd < 0) {
        printf("# cannot write %s: %s\n", log, strerror(errno));
        return -1;
    }
    fflush(NULL);
    c->pid = fork();
    if (c->pid == 0)
        child_exec(argv, env, fd);
    close(fd);
    if (c->pid < 0) {
        printf("# fork: %s\n", strerror(errno));
        c->pid = 0;
        return -1;
    }
    return 0;
}

bool child_alive(struct child *c)
{
    pid_t pid;

    if (c->pid == 0)
        return false;
    do {
        pid = waitpid(c->pid, &c->status, WNOHANG);
    } while (pid < 0 && errno == EINTR);
    if (pid != 0)
        c->pid = 0;
    return c->pid != 0;
}

char *child_output(const struct child *c)
{
    FILE *f = fopen(c->log, "r");
    struct stat st;
    char *text = NULL;
    size_t n;

    if (f == NULL)
        return NULL;
    if (fstat(fileno(f), &st) == 0 && (text = malloc((size_t)st.st_size + 1)) != NULL) {
        n = fread(text, 1, (size_t)st.st_size, f);
        text[n] = '\0';
    }
    fclose(f);
    return text;
}

/* Finds a complete line with the mark. */
static bool child_find(const struct child *c, const char *mark, char *text, size_t size)
{
    char *out = child_output(c);
    char *at = out != NULL ? strstr(out, mark) : NULL;
    char *end = at != NULL ? strchr(at, '\n') : NULL;

    if (end != NULL) {
        at += strlen(mark);
        *end = '\0';
        snprintf(text, size, "%s", at);
    }
    free(out);
    return end != NULL;
}

bool child_wait_text(struct child *c, const char *mark, char *text, size_t size, int timeout_ms)
{
    long long until = child_now_ms() + timeout_ms;

    for (;;) {
        bool alive = child_alive(c);

        if (child_find(c, mark, text, size))
            return true;
        if (!alive || child_now_ms() > until)
            return false;
        child_nap();
    }
}

bool child_wait(struct child *c, int timeout_ms)
{
    long long until = child_now_ms() + timeout_ms;

    while (child_alive(c)) {
        if (child_now_ms() > until)
            return false;
        child_nap();
    }
    return true;
}

bool child_stop(struct child *c, int signal, int timeout_ms)
{
    if (!child_alive(c))
        return true;
    kill(c->pid, signal);
    if (child_wait(c, timeout_ms))
        return true;
    kill(c->pid, SIGKILL);
    waitpid(c->pid, &c->status, 0);
    c->pid = 0;
    return false;
}

void child_show_log(const struct child *c)
{
    char *out = child_output(c);
    char *line = out, *end;

    if (out == NULL)
        return;
    if (strlen(out) > CHILD_SHOW_MAX)
        line = out + strlen(out) - CHILD_SHOW_MAX;
    for (; *line != '\0'; line = end + 1) {
        end = strchr(line, '\n');
        if (end == NULL) {
            printf("#   | %s\n", line);
            break;
        }
        *end = '\0';
        printf("#   | %s\n", line);
    }
    free(out);
}
