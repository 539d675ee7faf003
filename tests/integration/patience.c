/*
 * Slow and gone peers for long: for each kind, and at last for all together, times with them and
 * times without take turns. Prints what the near wsprd held, what the losers were told, and what
 * calls of well-behaved pages took, of it and of another wsprd; fails if memory passes its mark,
 * if something is left behind, or if somebody who lost something was not told why. Latencies are
 * printed only.
 *
 *     SOAK_SECONDS=600 tests/wspr-patience [KIND ...]     (kinds: parts of their names, or "all")
 *
 * SOAK_SECONDS (60) is the time with all together; each kind alone gets a quarter of it, a kind
 * that is named all of it.
 */
#include "config.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "child.h"
#include "patience.h"

#define TURNS          4 /* times with them; there is one more without */
#define KINDS_MAX      16
#define SIDES          2 /* the near wsprd, the other */
#define WITHOUT_MAX_MS 30000
#define SETTLE_MS      240000 /* circuits live on for a minute, mounts for longer */
#define LOOK_MS        500
/* Turns that are shorter have times to live of seconds, not a minute. */
#define USUAL_MS 100000

struct trial {
    const char *name;
    struct world world;
    struct patience patients[KINDS_MAX];
    unsigned n;
    struct times with[SIDES], without[TURNS + 1][SIDES];
    struct patience_held before, after;
    uint64_t most;
};

static void watch(struct trial *t, long long ms)
{
    long long until = child_now_ms() + ms;

    while (child_now_ms() < until && child_alive(&t->world.near.child)) {
        uint64_t now = world_memory(&t->world);

        t->most = now > t->most ? now : t->most;
        poll(NULL, 0, LOOK_MS);
    }
}

static void measure(struct trial *t, struct times times[SIDES])
{
    neighbours_measure(&t->world.here, &times[0]);
    neighbours_measure(&t->world.elsewhere, &times[1]);
}

static void turn_without(struct trial *t, unsigned i, long long ms)
{
    measure(t, t->without[i]);
    watch(t, ms);
}

/* Whether each kind has come to an end of what it does, and begun again. */
static bool all_went_round(const struct trial *t, const unsigned long *before)
{
    for (unsigned i = 0; i < t->n; i++) {
        if (t->patients[i].cycles == before[i])
            return false;
    }
    return true;
}

/* Lasts until each kind had its turn once, even if that takes longer. */
static void turn_with(struct trial *t, long long ms)
{
    unsigned long before[KINDS_MAX];
    long long began = child_now_ms();

    for (unsigned i = 0; i < t->n; i++) {
        before[i] = t->patients[i].cycles;
        patience_start(&t->patients[i]);
    }
    measure(t, t->with);
    watch(t, ms);
    while (!all_went_round(t, before) && child_now_ms() < began + ms + PATIENCE_WAIT_MS)
        watch(t, LOOK_MS);
    for (unsigned i = 0; i < t->n; i++)
        patience_stop(&t->patients[i]);
    for (unsigned i = 0; i < t->n; i++)
        patience_wait(&t->patients[i]);
    /* Ends with the next turn, whose histograms are others. */
    measure(t, t->without[TURNS]);
}

static const struct measure *times_of(const struct times *times, bool served)
{
    return served ? &times->served : &times->plain;
}

static void print_latencies(const struct trial *t, unsigned side, bool served, const char *what)
{
    const struct measure *with = times_of(&t->with[side], served);
    double low = 1e300, high = 0, p50 = 0;

    for (unsigned i = 0; i < TURNS; i++) {
        const struct measure *without = times_of(&t->without[i][side], served);
        double p99 = (double)measure_at(without, 0.99) / 1000;

        low = p99 < low ? p99 : low;
        high = p99 > high ? p99 : high;
        p50 += (double)measure_at(without, 0.5) / 1000 / TURNS;
    }
    printf("#   %-28s p50 %.0f us with, %.0f without; p99 %.0f us with, %.0f to %.0f without "
           "(%llu calls with)\n",
           what, (double)measure_at(with, 0.5) / 1000, p50, (double)measure_at(with, 0.99) / 1000,
           low, high, (unsigned long long)with->count);
}

static bool result(bool ok, unsigned *number, const char *name, const char *what)
{
    printf("%s %u - patience/%s: %s\n", ok ? "ok" : "not ok", ++*number, name, what);
    return ok;
}

static void print_trouble(const struct neighbours *all)
{
    if (all->troubled)
        printf("#   neighbours: %s\n", all->trouble);
}

static bool report(struct trial *t, bool back, unsigned *number)
{
    bool told = true, ok = true;
    unsigned long cycles = 0;

    world_print_held("before", &t->before);
    printf("#   most   %7llu KiB, mark %llu KiB\n", (unsigned long long)t->most,
           (unsigned long long)(t->before.kib + PATIENCE_MARK_KIB));
    world_print_held("after", &t->after);
    print_latencies(t, 0, false, "call");
    print_latencies(t, 1, false, "call, another wsprd");
    print_latencies(t, 0, true, "served call");
    print_latencies(t, 1, true, "served call, another wsprd");
    for (unsigned i = 0; i < t->n; i++) {
        cycles += t->patients[i].cycles;
        printf("#   %s: %lu rounds\n", t->patients[i].kind->name,
               (unsigned long)t->patients[i].cycles);
        told = patience_judge(&t->patients[i]) && told;
    }
    print_trouble(&t->world.here);
    print_trouble(&t->world.elsewhere);
    ok = result(cycles > 0 && told, number, t->name, "every loser learns why") && ok;
#ifndef WSPR_SANITIZED
    ok = result(t->most <= t->before.kib + PATIENCE_MARK_KIB, number, t->name,
                "memory stays within its mark") &&
         ok;
#endif
    ok = result(back, number, t->name, "nothing is left behind") && ok;
    return result(!t->world.here.troubled && !t->world.elsewhere.troubled, number, t->name,
                  "the neighbours are served") &&
           ok;
}

static bool run(struct trial *t, long long ms, unsigned *number)
{
    long long with = ms / TURNS, without = with < WITHOUT_MAX_MS ? with : WITHOUT_MAX_MS;
    unsigned needs = PATIENCE_NEEDS_OTHER;
    bool back, ok;

    for (unsigned i = 0; i < t->n; i++)
        needs |= t->patients[i].kind->needs;
    printf("# %s\n", t->name);
    if (!world_start(&t->world, getenv("PATIENCE_BRIEF") != NULL || with < USUAL_MS, needs))
        return result(false, number, t->name, "the daemons start");
    turn_without(t, TURNS, 3000); /* what is cold is not counted */
    memset(t->without[TURNS], 0, sizeof t->without[TURNS]);
    world_look(&t->world, &t->before);
    for (unsigned i = 0; i < t->n; i++)
        patience_init(&t->patients[i], t->patients[i].kind, &t->world);
    for (unsigned i = 0; i < TURNS; i++) {
        turn_without(t, i, without);
        turn_with(t, with);
    }
    back = world_settles(&t->world, &t->before, &t->after, SETTLE_MS);
    for (unsigned i = 0; i < t->n; i++)
        patience_stop(&t->patients[i]);
    world_quiet(&t->world);
    ok = report(t, back, number);
    ok = result(world_stop_near(&t->world) >= 0 && world_end(&t->world), number, t->name,
                "all end well") &&
         ok;
    for (unsigned i = 0; i < t->n; i++)
        patience_done(&t->patients[i]); /* last: what its thread started ends with it */
    return ok;
}

/* In a place of its own, zeroed: the histograms are large. */
static bool trial(const char *name, const struct patience_kind *kinds, unsigned n, long long ms,
                  unsigned *number)
{
    struct trial *t = calloc(1, sizeof *t);
    bool ok;

    if (t == NULL)
        abort();
    t->name = name;
    t->n = n;
    for (unsigned i = 0; i < n; i++)
        t->patients[i].kind = &kinds[i];
    ok = run(t, ms, number);
    free(t);
    fflush(stdout);
    return ok;
}

static bool named(int argc, char **argv, const char *name)
{
    for (int i = 1; i < argc; i++) {
        if (strstr(name, argv[i]) != NULL)
            return true;
    }
    return argc < 2;
}

int main(int argc, char **argv)
{
    const char *seconds = getenv("SOAK_SECONDS");
    long long ms = (seconds != NULL ? strtoll(seconds, NULL, 10) : 60) * 1000;
    unsigned number = 0;
    bool ok = true;

    setvbuf(stdout, NULL, _IOLBF, 0);
    for (unsigned i = 0; i < patience_n_kinds; i++) {
        if (named(argc, argv, patience_kinds[i].name))
            ok = trial(patience_kinds[i].name, &patience_kinds[i], 1, argc < 2 ? ms / 4 : ms,
                       &number) &&
                 ok;
    }
    if (named(argc, argv, "all together"))
        ok = trial("all together", patience_kinds, patience_n_kinds, ms, &number) && ok;
    printf("1..%u\n", number);
    return ok ? EXIT_SUCCESS : EXIT_FAILURE;
}
