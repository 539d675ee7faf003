/* Relays, mount tables and TCP peers that are gone. */
#include "config.h"
#include "patience.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "child.h"

#define PENDING 20
#define DOWN_MS 1500

/* ---- the relay ---- */

static bool relay_again(struct world *w)
{
    char text[PATIENCE_ENDPOINT];
    bool up;

    pthread_mutex_lock(&w->children);
    up = rig_relay_start_at(&w->relay, w->relay_port, text, sizeof text);
    pthread_mutex_unlock(&w->children);
    return up;
}

/* Calls until the page on the other side of the relay is there (again). */
static bool reaches(struct patience *p, struct wspeer *caller, struct wspeer *server, long *id,
                    const char *name)
{
    long long until = child_now_ms() + PATIENCE_WAIT_MS;
    bool ended = false;

    while (!ended && !patience_over(p) && child_now_ms() < until) {
        const char *got;

        page_call(caller, *id, name, "echo", "[\\\"x\\\"]", 2, false);
        *id += 2;
        do {
            got = page_next(p, server, 100, &ended);
            if (got != NULL && strstr(got, "{\\\"type\\\": 3,") != NULL) {
                char reply[128];

                snprintf(reply, sizeof reply,
                         "{\"id\":%ld,\"data\":\"{\\\"results\\\":[1]}\",\"type\":2}",
                         strtol(got + 7, NULL, 10));
                wspeer_send_text(server, reply);
            }
            got = page_next(p, caller, 10, &ended);
        } while (got == NULL && !ended && !patience_over(p) && child_now_ms() < until);
        if (got != NULL && strstr(got, "{\\\"type\\\": 0,") != NULL)
            return true;
        patience_rest(p, 100);
    }
    if (!patience_over(p))
        patience_trouble(p, "%.100s cannot be reached%s", name, ended ? ": a page was ended" : "");
    return false;
}

static void relay_cycle(struct patience *p, struct wspeer *server, struct wspeer *caller,
                        const char *name, long *id)
{
    struct world *w = p->world;

    for (unsigned i = 0; i < PENDING; i++, *id += 2)
        page_call(caller, *id, name, "echo", "[\\\"x\\\"]", 2, false);
    p->hanging = true;
    patience_rest(p, 500);
    page_drain(server);
    pthread_mutex_lock(&w->children);
    child_stop(&w->relay, SIGKILL, RIG_TIMEOUT_MS);
    pthread_mutex_unlock(&w->children);
    page_losses(p, caller, "caller when the relay goes", PENDING);
    for (unsigned i = 0; i < PENDING; i++, *id += 2)
        page_call(caller, *id, name, "echo", "[\\\"x\\\"]", 2, false);
    page_losses(p, caller, "caller while it is gone", PENDING);
    patience_rest(p, DOWN_MS);
    p->hanging = false;
    if (!relay_again(w))
        patience_trouble(p, "the relay does not start again");
    page_drain(server);
    if (reaches(p, caller, server, id, name))
        p->cycles++;
}

/* A page of the far wsprd serves through the relay; pages of the near one call it. */
void patience_relay_gone(struct patience *p)
{
    struct wspeer server = {.fd = -1}, caller = {.fd = -1};
    char at[PATIENCE_ENDPOINT], name[2 * PATIENCE_ENDPOINT];
    long id = 1;

    if (page_open(p, &server, p->world->far.port) && page_open(p, &caller, p->world->near.port) &&
        page_serve(p, &server, "", at) &&
        reaches(p, &caller, &server, &id, name_of(name, sizeof name, at, ""))) {
        while (!patience_over(p) && server.fd >= 0)
            relay_cycle(p, &server, &caller, name, &id);
    }
    page_close(p, &server);
    page_close(p, &caller);
}

/* ---- the mount table ---- */

static bool table_again(struct world *w)
{
    char text[PATIENCE_ENDPOINT];
    bool up;

    pthread_mutex_lock(&w->children);
    up = rig_table_start_at(&w->table, w->table_port, text, sizeof text);
    pthread_mutex_unlock(&w->children);
    return up;
}

/* Asks until nothing is mounted under the name any more. */
static void forgotten(struct patience *p, struct wspeer *caller, long *id, const char *name)
{
    long long until = child_now_ms() + PATIENCE_WAIT_MS;
    bool ended = false;

    while (!ended && !patience_over(p) && child_now_ms() < until) {
        const char *got;

        page_call(caller, *id, name, "echo", "[\\\"x\\\"]", 2, false);
        *id += 2;
        got = page_next(p, caller, RIG_TIMEOUT_MS, &ended);
        if (got != NULL && strstr(got, "Name doesn't exist") != NULL)
            return;
        patience_rest(p, 50);
    }
    if (!patience_over(p))
        patience_trouble(p, "%.100s stays mounted", name);
}

/*
 * A page publishes, the table goes, the page goes: its name can be taken back from nobody, and must
 * not be kept trying for. Others who look for names are told. Then all is as before.
 */
static void table_cycle(struct patience *p, struct wspeer *caller, unsigned round, long *id)
{
    struct wspeer server = {.fd = -1}, next = {.fd = -1};
    char at[PATIENCE_ENDPOINT], name[64], later[64];
    struct world *w = p->world;

    snprintf(name, sizeof name, "patience/%u/a", round);
    snprintf(later, sizeof later, "patience/%u/b", round);
    if (page_open(p, &server, w->near.port) && page_serve(p, &server, name, at) &&
        reaches(p, caller, &server, id, name)) {
        pthread_mutex_lock(&w->children);
        child_stop(&w->table, SIGKILL, RIG_TIMEOUT_MS);
        pthread_mutex_unlock(&w->children);
        for (unsigned i = 0; i < PENDING; i++, *id += 2) {
            char unknown[64];

            snprintf(unknown, sizeof unknown, "patience/%u/unknown/%u", round, i);
            page_call(caller, *id, unknown, "echo", "[\\\"x\\\"]", 2, false);
        }
        p->hanging = true;
        page_close(p, &server);
        page_losses(p, caller, "caller by name", PENDING);
        if (page_open(p, &next, w->near.port) && page_serve(p, &next, later, at))
            patience_rest(p, DOWN_MS);
        p->hanging = false;
        if (!table_again(w))
            patience_trouble(p, "the mount table does not start again");
        if (next.fd >= 0 && reaches(p, caller, &next, id, later)) {
            page_close(p, &next);
            forgotten(p, caller, id, later);
            p->cycles += !patience_over(p);
        }
    }
    page_close(p, &server);
    page_close(p, &next);
}

void patience_table_gone(struct patience *p)
{
    struct wspeer caller = {.fd = -1};
    static atomic_uint round;
    long id = 1;

    if (page_open(p, &caller, p->world->near.port)) {
        while (!patience_over(p) && caller.fd >= 0)
            table_cycle(p, &caller, ++round, &id);
    }
    page_close(p, &caller);
}

/* ---- half-open TCP ---- */

struct half_open {
    struct tunnel *page, *service, *peer;
    struct wspeer server, caller; /* a page that serves, and vanishes; who calls it */
    struct wspeer user;           /* of a service that vanishes */
    struct wspeer home, abroad;   /* an object here, its caller, who vanishes */
    char at[PATIENCE_ENDPOINT], home_at[PATIENCE_ENDPOINT];
};

static void half_open_init(struct half_open *h, struct world *w)
{
    memset(h, 0, sizeof *h);
    h->server.fd = h->caller.fd = h->user.fd = h->home.fd = h->abroad.fd = -1;
    h->page = tunnel_new(w->near.port);
    h->service = tunnel_new(rig_port_of(w->slow_at));
}

static void half_open_done(struct patience *p, struct half_open *h)
{
    page_close(p, &h->server);
    page_close(p, &h->caller);
    page_close(p, &h->user);
    page_close(p, &h->home);
    page_close(p, &h->abroad);
    tunnel_free(h->page);
    tunnel_free(h->service);
    tunnel_free(h->peer);
}

static bool half_open_pages(struct patience *p, struct half_open *h)
{
    int near = p->world->near.port;

    if (!page_open(p, &h->server, tunnel_port(h->page)) || !page_serve(p, &h->server, "", h->at) ||
        !page_open(p, &h->caller, near) || !page_open(p, &h->user, near) ||
        !page_open(p, &h->home, near) || !page_serve(p, &h->home, "", h->home_at) ||
        !page_open(p, &h->abroad, p->world->far.port))
        return false;
    page_falls_silent(p, &h->server);
    h->peer = tunnel_new(rig_port_of(h->home_at));
    return h->peer != NULL;
}

/* Waits until the page has been asked by so many calls. */
static bool asked(struct patience *p, struct wspeer *page, unsigned n)
{
    bool ended = false;

    while (n > 0 && !ended && !patience_over(p)) {
        const char *got = page_next(p, page, RIG_TIMEOUT_MS, &ended);

        if (got == NULL)
            break;
        n -= strstr(got, "{\\\"type\\\": 3,") != NULL;
    }
    if (n > 0 && !patience_over(p))
        patience_trouble(p, "%u calls do not arrive", n);
    return n == 0;
}

/* Waits until the page was told that nobody waits for so many answers any more. */
static void given_up(struct patience *p, struct wspeer *page, unsigned n)
{
    long long until = child_now_ms() + PATIENCE_WAIT_MS;
    bool ended = false;

    while (n > 0 && !ended && !patience_over(p) && child_now_ms() < until) {
        const char *got = page_next(p, page, 1000, &ended);

        n -= got != NULL && strstr(got, "{\\\"type\\\": 5,") != NULL;
    }
    if (n > 0 && !patience_over(p))
        patience_trouble(p, "a page was not told that %u callers are gone", n);
}

static void half_open_cycle(struct patience *p, struct half_open *h)
{
    char name[2 * PATIENCE_ENDPOINT], at[PATIENCE_ENDPOINT];

    if (!half_open_pages(p, h))
        return;
    for (long i = 0; i < PENDING; i++)
        page_call(&h->caller, 2 * i + 1, name_of(name, sizeof name, h->at, ""), "echo",
                  "[\\\"x\\\"]", 2, false);
    tunnel_endpoint(h->service, p->world->slow_at, at);
    for (long i = 0; i < PENDING; i++)
        page_call(&h->user, 2 * i + 1, name_of(name, sizeof name, at, ""), "never", "[]", 1, false);
    tunnel_endpoint(h->peer, h->home_at, at);
    for (long i = 0; i < PENDING; i++)
        page_call(&h->abroad, 2 * i + 1, name_of(name, sizeof name, at, ""), "echo", "[\\\"x\\\"]",
                  2, false);
    if (!asked(p, &h->server, PENDING) || !asked(p, &h->home, PENDING))
        return;
    patience_rest(p, 500);
    if (!tunnel_vanish(h->page) || !tunnel_vanish(h->service) || !tunnel_vanish(h->peer))
        patience_trouble(p, "this system has no socket filters");
    p->hanging = true;
    page_losses(p, &h->caller, "caller of a page that vanished", PENDING);
    page_losses(p, &h->user, "page whose service vanished", PENDING);
    page_losses(p, &h->abroad, "page whose way to a page vanished", PENDING);
    given_up(p, &h->home, PENDING);
    p->hanging = false;
    p->cycles += !patience_over(p);
}

void patience_half_open(struct patience *p)
{
    while (!patience_over(p)) {
        struct half_open h;

        half_open_init(&h, p->world);
        if (h.page != NULL && h.service != NULL)
            half_open_cycle(p, &h);
        half_open_done(p, &h);
    }
}
