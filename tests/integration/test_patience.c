/*
 * One round of each kind of slow or gone peer, and the end of wsprd in the midst of another. Each
 * kind has a world and a process of its own; all run at once, since mostly they wait. wspr-patience
 * is the same for long, with figures.
 */
#include "config.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "blackhole.h"
#include "child.h"
#include "patience.h"

#define KINDS_MAX 16
#define SETTLE_MS 90000
#define STOP_MS   15000 /* in which wsprd ends, whoever hangs on it */
#define WARM      100   /* calls of the neighbours before anything is counted */

static void result(bool ok, const char *kind, const char *what)
{
    printf("%s - patience/%s: %s\n", ok ? "ok" : "not ok", kind, what);
}

static bool warm(struct world *w)
{
    long long until = child_now_ms() + RIG_TIMEOUT_MS;

    while (neighbours_served(&w->here) < WARM && child_now_ms() < until)
        poll(NULL, 0, 10);
    return neighbours_served(&w->here) >= WARM;
}

/* Waits for the round, or (cycles) for the moment in it; the most memory meanwhile. */
static uint64_t watch(struct patience *p, struct world *w, bool cycle)
{
    long long until = child_now_ms() + PATIENCE_WAIT_MS;
    uint64_t most = 0;

    while (p->running && child_now_ms() < until && (cycle ? p->cycles == 0 : !p->hanging)) {
        uint64_t now = world_memory(w);

        most = now > most ? now : most;
        poll(NULL, 0, 20);
    }
    if (child_now_ms() >= until)
        patience_trouble(p, "it takes too long");
    return most;
}

static void one_round(struct patience *p, struct world *w)
{
    const char *name = p->kind->name;
    struct patience_held before, after;
    uint64_t most;
    bool back;

    result(warm(w), name, "the neighbours are served");
    world_look(w, &before);
    patience_start(p);
    most = watch(p, w, true);
    patience_stop(p);
    patience_wait(p);
    back = world_settles(w, &before, &after, SETTLE_MS);
    world_print_held("before", &before);
    printf("#   most   %7llu KiB\n", (unsigned long long)most);
    world_print_held("after", &after);
    result(patience_judge(p), name, "every loser learns why");
#ifdef WSPR_SANITIZED
    printf("ok - patience/%s: memory # SKIP a sanitizer keeps what was freed\n", name);
#else
    result(most <= before.kib + PATIENCE_MARK_KIB, name, "memory stays within its mark");
#endif
    result(back, name, "nothing is left behind");
}

static void end_in_the_midst(struct patience *p, struct world *w)
{
    long long took;

    patience_start(p);
    watch(p, w, false);
    poll(NULL, 0, 200);
    if (w->here.troubled)
        printf("#   neighbours: %s\n", w->here.trouble);
    result(!w->here.troubled, p->kind->name, "the neighbours notice nothing");
    p->shutdown = true;
    w->here.stop = true;
    took = world_stop_near(w);
    printf("#   wsprd ends in %lld ms\n", took);
    result(took >= 0 && took < STOP_MS, p->kind->name, "wsprd ends all the same");
    patience_stop(p);
    patience_wait(p);
}

/* Some systems let nobody but root have socket filters, or nobody at all. */
static bool can_vanish(void)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    bool can = fd >= 0 && blackhole(fd);

    close(fd);
    return can;
}

static int run_kind(const struct patience_kind *kind)
{
    static struct world w;
    struct patience p;

    printf("# %s\n", kind->name);
    if (kind->run == patience_half_open && !can_vanish()) {
        printf("ok - patience/%s # SKIP the system has no socket filters\n", kind->name);
        return 0;
    }
    if (!world_start(&w, true, kind->needs)) {
        printf("not ok - patience/%s: the daemons start\n", kind->name);
        return 1;
    }
    patience_init(&p, kind, &w);
    one_round(&p, &w);
    end_in_the_midst(&p, &w);
    world_quiet(&w);
    result(world_end(&w), kind->name, "the others end well");
    patience_done(&p); /* last: what its thread started ends with it */
    return 0;
}

/* What a process printed, with the numbers that only we know. */
static bool show(FILE *f, unsigned *number)
{
    char line[1024];
    bool ok = true;

    rewind(f);
    while (fgets(line, sizeof line, f) != NULL) {
        if (strncmp(line, "ok - ", 5) == 0)
            printf("ok %u %s", ++*number, line + 3);
        else if (strncmp(line, "not ok - ", 9) == 0)
            printf("not ok %u %s", ++*number, line + 7);
        else
            fputs(line, stdout);
        ok = ok && strncmp(line, "not ok", 6) != 0;
    }
    return ok;
}

static pid_t begin_kind(const struct patience_kind *kind, FILE *out)
{
    pid_t pid = fork();

    if (pid != 0)
        return pid;
    if (dup2(fileno(out), STDOUT_FILENO) < 0)
        _exit(99);
    exit(run_kind(kind));
}

int main(int argc, char **argv)
{
    FILE *out[KINDS_MAX] = {NULL};
    pid_t pid[KINDS_MAX] = {0};
    unsigned number = 0;
    bool ok = true;

#ifdef __SANITIZE_THREAD__
    printf("1..0 # SKIP too slow for such short times to live\n");
    return EXIT_SUCCESS;
#endif
    setvbuf(stdout, NULL, _IOLBF, 0);
    for (unsigned i = 0; i < patience_n_kinds; i++) {
        if (argc > 1 && strstr(patience_kinds[i].name, argv[1]) == NULL)
            continue;
        out[i] = tmpfile();
        pid[i] = out[i] != NULL ? begin_kind(&patience_kinds[i], out[i]) : -1;
    }
    for (unsigned i = 0; i < patience_n_kinds; i++) {
        int status = 0;

        if (out[i] == NULL)
            continue;
        waitpid(pid[i], &status, 0);
        ok = show(out[i], &number) && ok;
        if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
            printf("not ok %u - patience/%s: the test ends\n", ++number, patience_kinds[i].name);
            ok = false;
        }
        fclose(out[i]);
    }
    printf("1..%u\n", number);
    return ok ? EXIT_SUCCESS : EXIT_FAILURE;
}
