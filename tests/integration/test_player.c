/*
 * The player of recorded conversations, tested without a daemon: a child process plays the other
 * side of each scenario from the same file, rightly or with one mistake, which the player must
 * find.
 */
#include "config.h"

#include <netinet/in.h>
#include <stdint.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "scenario.h"
#include "tap.h"
#include "vectors.h"
#include "wspeer.h"

#define MT_ENDPOINT "@2@tcp@127.0.0.1:7@00000000000000000000000000000007@1@2@@"

enum mistake { RIGHT, ALTERED, MISSING, ONE_MORE, NO_CLOSE };

static struct json_object *vectors;

static struct json_object *scenario_at(size_t i)
{
    if (vectors == NULL)
        vectors = vectors_load("websocket.json");
    return json_object_array_get_idx(vec_get(vectors, "scenarios"), i);
}

static size_t scenario_count(void)
{
    scenario_at(0);
    return json_object_array_length(vec_get(vectors, "scenarios"));
}

static void world_vars(struct match_vars *vars, bool fake)
{
    memset(vars, 0, sizeof *vars);
    match_set(vars, "MT_ENDPOINT", MT_ENDPOINT);
    match_set(vars, "SAMPLED_ENDPOINT", "@2@tcp@127.0.0.1:8@08@1@2@@");
    match_set(vars, "STORE_ENDPOINT", "@2@tcp@127.0.0.1:9@09@1@2@@");
    match_set(vars, "RUN", "r1");
    if (fake) {
        match_set(vars, "SERVED_ENDPOINT", "@2@tcp@127.0.0.1:10@0a@1@2@@");
        match_set(vars, "SERVED_ENDPOINT_2", "@2@tcp@127.0.0.1:11@0b@1@2@@");
        match_set(vars, "ANY", "12");
    } else {
        match_capture(vars, "SERVED_ENDPOINT");
        match_capture(vars, "SERVED_ENDPOINT_2");
    }
}

/* ---- the other side, in a child process ---- */

struct fake {
    int listener;
    struct match_vars vars;
    struct {
        const char *name;
        struct wspeer peer;
        bool open;
    } conns[8];
    size_t n_conns;
};

static enum mistake fake_mistake;

static void fake_die(const char *text)
{
    if (fake_mistake == RIGHT)
        fprintf(stderr, "# fake: %s\n", text);
    _exit(1);
}

static size_t fake_conn(struct fake *f, struct json_object *step)
{
    const char *name = vec_str(step, "conn");

    for (size_t i = 0; i < f->n_conns; i++) {
        if (strcmp(f->conns[i].name, name != NULL ? name : "") == 0)
            return i;
    }
    fake_die("no such connection");
    return 0;
}

static void fake_expect(struct fake *f, struct wspeer *p, const char *text, bool last)
{
    char *expected = match_expand(&f->vars, text);
    struct wspeer_frame frame;

    if (wspeer_recv_message(p, &frame, 2000) != WSPEER_FRAME || frame.fin != last ||
        strcmp((const char *)frame.data, expected) != 0)
        fake_die(text);
    free(expected);
}

static void fake_send(struct fake *f, struct wspeer *p, const char *text, enum mistake mistake)
{
    char *frame = match_expand(&f->vars, text);
    char *digit = strstr(frame, "\"id\": ");

    /* The id is compared in each mode; what has none loses its first character. */
    if (mistake == ALTERED && digit != NULL)
        digit[6] = digit[6] == '5' ? '6' : '5';
    else if (mistake == ALTERED)
        frame[0] = '\t';
    if (mistake != MISSING)
        wspeer_send_text(p, frame);
    if (mistake == ONE_MORE)
        wspeer_send_text(p, frame);
    free(frame);
}

static void fake_step(struct fake *f, struct json_object *step, enum mistake mistake)
{
    struct json_object *parts = vec_get(step, "send_fragments");
    const char *text;
    struct wspeer *p;

    if (vec_get(step, "wait_ms") != NULL)
        return;
    if (vec_str(step, "connect") != NULL) {
        const char *name = vec_str(step, "conn");

        p = &f->conns[f->n_conns].peer;
        f->conns[f->n_conns].name = name != NULL ? name : "";
        f->conns[f->n_conns++].open = true;
        if (wspeer_accept(p, accept(f->listener, NULL, NULL), 2000) < 0)
            fake_die(p->error);
        return;
    }
    p = &f->conns[fake_conn(f, step)].peer;
    text = vec_str(step, "send") != NULL ? vec_str(step, "send") : vec_str(step, "send_binary");
    if (text != NULL)
        fake_expect(f, p, text, true);
    for (size_t i = 0; parts != NULL && i < json_object_array_length(parts); i++)
        fake_expect(f, p, json_object_get_string(json_object_array_get_idx(parts, i)),
                    i + 1 == json_object_array_length(parts));
    if (vec_str(step, "recv") != NULL)
        fake_send(f, p, vec_str(step, "recv"), mistake);
    if (vec_get(step, "disconnect") != NULL)
        f->conns[fake_conn(f, step)].open = false;
}

/* Plays all steps; the mistake is made at the last frame that is sent. */
static void fake_play(int listener, struct json_object *scenario, enum mistake mistake)
{
    struct json_object *steps = vec_get(scenario, "steps");
    size_t n = json_object_array_length(steps), last = 0;
    struct fake f = {.listener = listener};
    struct wspeer_frame frame;

    fake_mistake = mistake;
    world_vars(&f.vars, true);
    for (size_t i = 0; i < n; i++) {
        if (vec_str(json_object_array_get_idx(steps, i), "recv") != NULL)
            last = i;
    }
    for (size_t i = 0; i < n; i++)
        fake_step(&f, json_object_array_get_idx(steps, i), i == last ? mistake : RIGHT);
    for (size_t i = 0; i < f.n_conns; i++) {
        struct wspeer *p = &f.conns[i].peer;

        if (!f.conns[i].open || wspeer_recv_message(p, &frame, 2000) != WSPEER_FRAME)
            continue;
        fake_send(&f, p, SCENARIO_SENTINEL_OK, RIGHT);
        if (wspeer_recv_message(p, &frame, 2000) == WSPEER_FRAME) {
            if (mistake != NO_CLOSE)
                wspeer_send(p, WSPEER_FIN | WSPEER_CLOSE, frame.data, frame.len);
            else
                wspeer_recv(p, &frame, 1000);
        }
        wspeer_close(p);
    }
    _exit(0);
}

/* Plays scenario i against the fake; returns what the player says. */
static bool play(size_t i, enum mistake mistake, char *why, size_t size)
{
    struct sockaddr_in a = {.sin_family = AF_INET};
    socklen_t len = sizeof a;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct scenario_world world = {.timeout_ms = mistake == RIGHT ? 5000 : 60, .none_max_ms = 5};
    bool ok;
    pid_t pid;

    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (bind(listener, (struct sockaddr *)&a, sizeof a) != 0 || listen(listener, 8) != 0)
        abort();
    getsockname(listener, (struct sockaddr *)&a, &len);
    world.port = ntohs(a.sin_port);
    world_vars(&world.vars, false);
    fflush(stdout);
    pid = fork();
    if (pid == 0)
        fake_play(listener, scenario_at(i), mistake);
    close(listener);
    ok = scenario_play(scenario_at(i), &world, why, size);
    if (!ok)
        kill(pid, SIGKILL); /* it may wait for a connection that the player did not get to */
    waitpid(pid, NULL, 0);
    return ok;
}

static void test_all(void)
{
    char why[4096];

    for (size_t i = 0; i < scenario_count(); i++)
        TAP_OK(play(i, RIGHT, why, sizeof why), "%s: %s", vec_str(scenario_at(i), "name"), why);
    tap_note("%zu scenarios replayed", scenario_count());
}

static void mistakes(enum mistake mistake, size_t stride)
{
    char why[4096];
    unsigned n = 0;

    for (size_t i = 0; i < scenario_count(); i += stride) {
        const char *notes = vec_str(scenario_at(i), "notes");

        /* A scenario with an open watch ends without a look at what follows. */
        if (notes != NULL && strstr(notes, "stays open") != NULL)
            continue;
        TAP_OK(!play(i, mistake, why, sizeof why), "%s: the mistake was not seen",
               vec_str(scenario_at(i), "name"));
        n++;
    }
    tap_note("%u scenarios with a mistake", n);
}

static void test_altered(void)
{
    mistakes(ALTERED, 1);
}

static void test_missing(void)
{
    mistakes(MISSING, 8);
}

static void test_one_more(void)
{
    mistakes(ONE_MORE, 1);
}

static void test_no_close(void)
{
    mistakes(NO_CLOSE, 32);
}

/* ---- comparing ---- */

#define FRAME(data) "{\"id\": 1, \"data\": \"" data "\", \"type\": 0}"
#define ERR(id, msg)                                                                               \
    FRAME("{\\\"type\\\": 2, \\\"message\\\": {\\\"iD\\\": \\\"" id "\\\", \\\"msg\\\": \\\"" msg  \
          "\\\"}}")

static void test_match(void)
{
    static const struct {
        enum match_mode mode;
        const char *expected, *got;
        bool ok;
    } t[] = {
        {MATCH_TEXT, "abc", "abc", true},
        {MATCH_TEXT, "abc", "abd", false},
        {MATCH_TEXT, "abc", "abcd", false},
        {MATCH_TEXT, "abcd", "abc", false},
        {MATCH_TEXT, "a ${X} b", "a 1.5 b", true},
        {MATCH_TEXT, "a ${X} b", "a 1,5 b", false},
        {MATCH_TEXT, "a ${ANY} b ${ANY}!", "a b c b d!", true},
        {MATCH_TEXT, "a ${ANY} b", "a c", false},
        {MATCH_TEXT, "a ${NOBODY}", "a ${NOBODY}", false},
        {MATCH_JSON, FRAME("{\\\"a\\\": 1, \\\"b\\\": [1, null]}"),
         FRAME("{\\\"b\\\":[1.0,null],\\\"a\\\":1}"), true},
        {MATCH_JSON, FRAME("[1e+06]"), FRAME("[1000000]"), true},
        {MATCH_JSON, FRAME("[1, 2]"), FRAME("[2, 1]"), false},
        {MATCH_JSON, FRAME("{\\\"a\\\": 1}"), FRAME("{\\\"a\\\": 1, \\\"b\\\": 1}"), false},
        {MATCH_JSON, FRAME("{\\\"a\\\": null}"), FRAME("{\\\"b\\\": null}"), false},
        {MATCH_JSON, FRAME("[\\\"${X}\\\"]"), FRAME("[\\\"1.5\\\"]"), true},
        {MATCH_JSON, FRAME("[true]"), FRAME("[false]"), false},
        {MATCH_JSON, FRAME("[1]"), FRAME("[1] 2"), false},
        {MATCH_JSON, FRAME("[1]"), "{\"id\": 1, \"data\": [1], \"type\": 0}", false},
        {MATCH_ERROR, ERR("v.Internal", "x"), ERR("v.Internal", "y"), true},
        {MATCH_ERROR, ERR("v.Internal", "x"), ERR("v.NotFound", "x"), false},
        {MATCH_ERROR, ERR("v.Internal", "x"), FRAME("{\\\"type\\\": 0, \\\"message\\\": []}"),
         false},
    };

    for (size_t i = 0; i < sizeof t / sizeof t[0]; i++) {
        struct match_vars vars;

        memset(&vars, 0, sizeof vars);
        match_set(&vars, "X", "1.5");
        TAP_OK(match_frame(&vars, t[i].mode, t[i].expected, t[i].got) == t[i].ok, "%zu: %s", i,
               t[i].expected);
    }
}

static void test_capture(void)
{
    struct match_vars vars;

    memset(&vars, 0, sizeof vars);
    match_capture(&vars, "A");
    match_capture(&vars, "B");
    TAP_IS(match_expand(&vars, "${A}") == NULL);
    TAP_IS(!match_frame(&vars, MATCH_TEXT, "x \"${A}\" y", "x \"one\" z"));
    TAP_IS(match_frame(&vars, MATCH_TEXT, "x \"${A}\"", "x \"one\""));
    TAP_IS(match_frame(&vars, MATCH_TEXT, "x \"${A}\"", "x \"one\""));
    TAP_IS(!match_frame(&vars, MATCH_TEXT, "x \"${A}\"", "x \"two\""));
    TAP_IS(!match_frame(&vars, MATCH_TEXT, "x \"${B}\"", "x \"one\""));
    TAP_IS(match_frame(&vars, MATCH_TEXT, "x \"${B}\"", "x \"two\""));
}

/* ---- what is there ---- */

static void test_classes(void)
{
    unsigned required = 0, informative = 0, plain = 0, by_need[SCENARIO_NEEDS] = {0};

    for (size_t i = 0; i < scenario_count(); i++) {
        unsigned needs = scenario_needs(scenario_at(i));

        if (strcmp(vec_str(scenario_at(i), "conformance"), "required") == 0)
            required++;
        else
            informative++;
        if ((needs & ~(unsigned)SCENARIO_SAMPLED) == 0)
            plain++;
        for (int n = 0; n < SCENARIO_NEEDS; n++)
            by_need[n] += (needs >> n) & 1;
    }
    tap_note("%zu scenarios: %u required, %u informative", scenario_count(), required, informative);
    tap_note("%u need frames and calls to rooted names only", plain);
    for (int n = 0; n < SCENARIO_NEEDS; n++)
        tap_note("%u need %s", by_need[n], scenario_need_name(1u << n));
    TAP_IS(required + informative == scenario_count() && required == 178);
    json_object_put(vectors);
    vectors = NULL;
}

int main(int argc, char **argv)
{
    static const struct tap_case match[] = {{"modes", test_match}, {"captures", test_capture}};
    static const struct tap_case player[] = {
        {"every scenario replays", test_all},
        {"an altered frame is seen", test_altered},
        {"a missing frame is seen", test_missing},
        {"one more frame is seen", test_one_more},
        {"a close without an answer is seen", test_no_close},
        {"classes of scenarios", test_classes},
    };
    const struct tap_suite suites[] = {TAP_SUITE("match", match), TAP_SUITE("player", player)};

    return tap_main(argc, argv, suites, 2);
}
