/*
 * Frames of one flow come in order, frames of different flows in any (spec: websocket 12). So a run
 * of recv steps on one connection is a set: each frame that comes must be the next expected one of
 * its id. Any other step waits until the run before it is complete.
 */
#include "config.h"
#include "scenario.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "vectors.h"
#include "wspeer.h"

#define SCENARIO_CONNS 8

/* ---- classification ---- */

static const char *const scenario_need_names[SCENARIO_NEEDS] = {
    "the sample service", "names and the mount table", "serving", "identities", "a store"};

const char *scenario_need_name(unsigned bit)
{
    for (int i = 0; i < SCENARIO_NEEDS; i++) {
        if (bit == 1u << i)
            return scenario_need_names[i];
    }
    return "?";
}

/* The first JSON value of a text, as the envelope's decoder takes it. */
static struct json_object *scenario_parse(const char *text)
{
    struct json_tokener *tok = json_tokener_new();
    struct json_object *o = NULL;

    if (tok != NULL)
        o = json_tokener_parse_ex(tok, text, (int)strlen(text) + 1);
    json_tokener_free(tok);
    return o;
}

/* A member in any casing; the last one counts. */
static struct json_object *scenario_member(struct json_object *o, const char *name)
{
    struct json_object *found = NULL;

    if (!json_object_is_type(o, json_type_object))
        return NULL;
    json_object_object_foreach(o, key, value)
    {
        if (strcasecmp(key, name) == 0)
            found = value;
    }
    return found;
}

static bool scenario_setup_has(struct json_object *scenario, const char *what)
{
    struct json_object *setup = vec_get(scenario, "setup");

    if (!json_object_is_type(setup, json_type_array))
        return false;
    for (size_t i = 0; i < json_object_array_length(setup); i++) {
        if (strcmp(json_object_get_string(json_object_array_get_idx(setup, i)), what) == 0)
            return true;
    }
    return false;
}

static unsigned scenario_message_needs(struct json_object *message, bool has_table)
{
    struct json_object *type = scenario_member(message, "type");
    struct json_object *data = scenario_member(message, "data");
    struct json_object *payload, *name;
    unsigned needs = 0;
    int64_t t = json_object_is_type(type, json_type_int) ? json_object_get_int64(type) : 0;

    if (t == 1 || t == 2 || t == 6)
        return SCENARIO_SERVE;
    if (t == 7)
        return SCENARIO_IDENTITY;
    if ((t != 0 && t != 5) || !json_object_is_type(data, json_type_string) || !has_table)
        return 0;
    payload = scenario_parse(json_object_get_string(data));
    name = scenario_member(payload, "name");
    /* No name is the empty one, which is the root. */
    if (json_object_is_type(payload, json_type_object) &&
        (!json_object_is_type(name, json_type_string) || json_object_get_string(name)[0] != '/'))
        needs = SCENARIO_NAMES;
    json_object_put(payload);
    return needs;
}

unsigned scenario_needs(struct json_object *scenario)
{
    struct json_object *steps = vec_get(scenario, "steps");
    bool has_table = scenario_setup_has(scenario, "mounttable");
    unsigned needs = 0;

    if (scenario_setup_has(scenario, "sampled"))
        needs |= SCENARIO_SAMPLED;
    if (scenario_setup_has(scenario, "store"))
        needs |= SCENARIO_STORE;
    /* The relay is only looked at through names, or served through. */
    for (size_t i = 0; i < json_object_array_length(steps); i++) {
        const char *text = vec_str(json_object_array_get_idx(steps, i), "send");
        struct json_object *message;

        if (text == NULL)
            continue;
        if (strstr(text, "${MT_ENDPOINT}") != NULL)
            needs |= SCENARIO_NAMES;
        message = scenario_parse(text);
        needs |= scenario_message_needs(message, has_table);
        json_object_put(message);
    }
    return needs;
}

/* ---- playing ---- */

struct scenario_conn {
    const char *name; /* borrowed from the scenario */
    struct wspeer peer;
    bool open;
};

struct scenario_run {
    struct scenario_world *world;
    struct json_object *steps;
    struct scenario_conn conns[SCENARIO_CONNS];
    size_t n_conns;
    size_t step;
    char *why;
    size_t why_size;
};

static bool scenario_fail(struct scenario_run *run, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

static bool scenario_fail(struct scenario_run *run, const char *fmt, ...)
{
    va_list ap;
    int n = snprintf(run->why, run->why_size, "step %zu: ", run->step);

    va_start(ap, fmt);
    if (n > 0 && (size_t)n < run->why_size)
        vsnprintf(run->why + n, run->why_size - (size_t)n, fmt, ap);
    va_end(ap);
    return false;
}

static struct scenario_conn *scenario_conn_of(struct scenario_run *run, struct json_object *step)
{
    const char *name = vec_str(step, "conn");

    for (size_t i = 0; i < run->n_conns; i++) {
        if (strcmp(run->conns[i].name, name != NULL ? name : "") == 0)
            return &run->conns[i];
    }
    return NULL;
}

static bool scenario_connect(struct scenario_run *run, struct json_object *step)
{
    const char *name = vec_str(step, "conn");
    struct scenario_conn *c = &run->conns[run->n_conns];

    if (run->n_conns == SCENARIO_CONNS)
        return scenario_fail(run, "too many connections");
    run->n_conns++;
    c->name = name != NULL ? name : "";
    c->open = true;
    if (wspeer_connect(&c->peer, run->world->port, vec_str(step, "connect"), NULL,
                       run->world->timeout_ms) < 0)
        return scenario_fail(run, "%s", c->peer.error);
    return true;
}

static const char *scenario_result_text(enum wspeer_result r, const struct wspeer *p)
{
    return r == WSPEER_TIMEOUT ? "nothing came" : p->error;
}

/* The flow that a frame belongs to; frames without an id are one of their own. */
static int64_t scenario_frame_id(const char *text)
{
    const char *at = strstr(text, "{\"id\": ");

    return at == text ? strtoll(at + 7, NULL, 10) : INT64_MIN;
}

/* Receives one frame and finds the expected one among steps first … last - 1 that it is. */
static bool scenario_recv_one(struct scenario_run *run, struct scenario_conn *c, size_t first,
                              size_t last, bool *done)
{
    struct wspeer_frame frame;
    enum wspeer_result r = wspeer_recv_message(&c->peer, &frame, run->world->timeout_ms);
    const char *text = (const char *)frame.data;
    int64_t id;

    if (r != WSPEER_FRAME) {
        for (size_t i = first; i < last; i++) {
            struct json_object *step = json_object_array_get_idx(run->steps, i);

            if (!done[i - first] && scenario_conn_of(run, step) == c) {
                run->step = i;
                return scenario_fail(run, "%s, expected %s", scenario_result_text(r, &c->peer),
                                     vec_str(step, "recv"));
            }
        }
        return scenario_fail(run, "%s", scenario_result_text(r, &c->peer));
    }
    if (frame.op != WSPEER_TEXT || !frame.fin || strlen(text) != frame.len)
        return scenario_fail(run, "not a single text frame: opcode %d, %zu bytes", frame.op,
                             frame.len);
    id = scenario_frame_id(text);
    for (size_t i = first; i < last; i++) {
        struct json_object *step = json_object_array_get_idx(run->steps, i);
        const char *expected = vec_str(step, "recv");

        if (done[i - first] || scenario_conn_of(run, step) != c ||
            scenario_frame_id(expected) != id)
            continue;
        run->step = i;
        if (!match_frame(&run->world->vars, match_mode_of(vec_str(step, "compare")), expected,
                         text))
            return scenario_fail(run, "expected %s\n#   got %s", expected, text);
        done[i - first] = true;
        return true;
    }
    return scenario_fail(run, "a frame that nobody expects: %s", text);
}

/* Receives the run of recv steps that starts here; the step after it is run->step. */
static bool scenario_recv(struct scenario_run *run)
{
    size_t first = run->step, last = first, n = json_object_array_length(run->steps);
    bool done[64] = {false};

    while (last < n && last - first < sizeof done / sizeof done[0] &&
           vec_str(json_object_array_get_idx(run->steps, last), "recv") != NULL)
        last++;
    for (size_t i = first; i < last; i++) {
        struct scenario_conn *c = scenario_conn_of(run, json_object_array_get_idx(run->steps, i));

        run->step = i;
        if (c == NULL || !c->open)
            return scenario_fail(run, "no such connection");
        while (!done[i - first]) {
            if (!scenario_recv_one(run, c, first, last, done))
                return false;
        }
    }
    run->step = last;
    return true;
}

static bool scenario_send(struct scenario_run *run, struct scenario_conn *c, const char *text,
                          unsigned first)
{
    char *expanded = match_expand(&run->world->vars, text);
    int r;

    if (expanded == NULL)
        return scenario_fail(run, "a placeholder has no value: %s", text);
    r = wspeer_send(&c->peer, first, expanded, strlen(expanded));
    free(expanded);
    return r == 0 || scenario_fail(run, "%s", c->peer.error);
}

static bool scenario_send_fragments(struct scenario_run *run, struct scenario_conn *c,
                                    struct json_object *parts)
{
    size_t n = json_object_array_length(parts);

    for (size_t i = 0; i < n; i++) {
        unsigned first = (i == 0 ? WSPEER_TEXT : WSPEER_CONTINUATION);

        if (i + 1 == n)
            first |= WSPEER_FIN;
        if (!scenario_send(run, c, json_object_get_string(json_object_array_get_idx(parts, i)),
                           first))
            return false;
    }
    return true;
}

static void scenario_sleep(int64_t ms)
{
    struct timespec t = {(time_t)(ms / 1000), (long)(ms % 1000) * 1000000};

    nanosleep(&t, NULL);
}

static bool scenario_nothing(struct scenario_run *run, struct scenario_conn *c, int64_t ms)
{
    struct wspeer_frame frame;
    enum wspeer_result r;

    if (ms > run->world->none_max_ms)
        ms = run->world->none_max_ms;
    r = wspeer_recv_message(&c->peer, &frame, (int)ms);
    if (r == WSPEER_TIMEOUT)
        return true;
    if (r == WSPEER_FRAME)
        return scenario_fail(run, "nothing was expected, but: %s", (const char *)frame.data);
    return scenario_fail(run, "%s", c->peer.error);
}

static bool scenario_step(struct scenario_run *run, struct json_object *step)
{
    struct scenario_conn *c;
    struct json_object *parts = vec_get(step, "send_fragments");

    if (vec_str(step, "connect") != NULL)
        return scenario_connect(run, step);
    if (vec_get(step, "wait_ms") != NULL) {
        scenario_sleep(vec_int(step, "wait_ms"));
        return true;
    }
    c = scenario_conn_of(run, step);
    if (c == NULL || !c->open)
        return scenario_fail(run, "no such connection");
    if (vec_str(step, "send") != NULL)
        return scenario_send(run, c, vec_str(step, "send"), WSPEER_FIN | WSPEER_TEXT);
    if (vec_str(step, "send_binary") != NULL)
        return scenario_send(run, c, vec_str(step, "send_binary"), WSPEER_FIN | WSPEER_BINARY);
    if (parts != NULL)
        return scenario_send_fragments(run, c, parts);
    if (vec_get(step, "recv_none_ms") != NULL)
        return scenario_nothing(run, c, vec_int(step, "recv_none_ms"));
    if (vec_get(step, "disconnect") != NULL) {
        wspeer_close(&c->peer);
        c->open = false;
        return true;
    }
    return scenario_fail(run, "unknown kind of step");
}

/* Nothing more came, the connection still works, and a close is echoed and ends TCP. */
static bool scenario_end(struct scenario_run *run, struct scenario_conn *c)
{
    static const uint8_t normal[2] = {1000 >> 8, 1000 & 0xff};
    struct wspeer_frame frame;
    enum wspeer_result r;

    if (wspeer_send_text(&c->peer, SCENARIO_SENTINEL) < 0)
        return scenario_fail(run, "%s", c->peer.error);
    r = wspeer_recv_message(&c->peer, &frame, run->world->timeout_ms);
    if (r != WSPEER_FRAME)
        return scenario_fail(run, "%s at the end", scenario_result_text(r, &c->peer));
    if (strcmp((const char *)frame.data, SCENARIO_SENTINEL_OK) != 0)
        return scenario_fail(run, "one more frame at the end: %s", (const char *)frame.data);
    if (wspeer_send(&c->peer, WSPEER_FIN | WSPEER_CLOSE, normal, sizeof normal) < 0)
        return scenario_fail(run, "%s", c->peer.error);
    r = wspeer_recv_message(&c->peer, &frame, run->world->timeout_ms);
    if (r != WSPEER_FRAME || frame.op != WSPEER_CLOSE || frame.len != 2 ||
        memcmp(frame.data, normal, 2) != 0)
        return scenario_fail(run, "the close was not echoed");
    r = wspeer_recv(&c->peer, &frame, run->world->timeout_ms);
    if (r != WSPEER_EOF)
        return scenario_fail(run, "TCP stayed open after the close");
    return true;
}

bool scenario_play(struct json_object *scenario, struct scenario_world *world, char *why,
                   size_t size)
{
    struct scenario_run run = {.world = world, .why = why, .why_size = size};
    const char *notes = vec_str(scenario, "notes");
    bool ok = true;
    size_t n;

    run.steps = vec_get(scenario, "steps");
    n = json_object_array_length(run.steps);
    while (ok && run.step < n) {
        struct json_object *step = json_object_array_get_idx(run.steps, run.step);

        if (vec_str(step, "recv") != NULL) {
            ok = scenario_recv(&run);
        } else {
            ok = scenario_step(&run, step);
            run.step += ok;
        }
    }
    for (size_t i = 0; i < run.n_conns; i++) {
        /* A watch that stays open may still send. */
        if (ok && run.conns[i].open && (notes == NULL || strstr(notes, "stays open") == NULL))
            ok = scenario_end(&run, &run.conns[i]);
        wspeer_close(&run.conns[i].peer);
    }
    return ok;
}
