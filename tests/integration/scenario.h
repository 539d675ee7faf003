/* Playing the recorded conversations of tests/vectors/websocket.json. */
#ifndef TESTS_SCENARIO_H
#define TESTS_SCENARIO_H

#include <stdbool.h>
#include <stddef.h>
#include <json-c/json.h>

#include "match.h"

/* What a scenario needs besides a daemon that frames and calls. */
enum scenario_need {
    SCENARIO_SAMPLED = 1, /* the sample service */
    SCENARIO_NAMES = 2,   /* a mount table that resolves relative names */
    SCENARIO_SERVE = 4,   /* serving, stopping, responses */
    SCENARIO_IDENTITY = 8,
    SCENARIO_STORE = 16
};
#define SCENARIO_NEEDS 5

/* Finds out from the setup and the messages what the scenario needs: bits of scenario_need. */
unsigned scenario_needs(struct json_object *scenario);
/* The name of one bit, for people. */
const char *scenario_need_name(unsigned bit);

struct scenario_world {
    int port;
    struct match_vars vars;
    int timeout_ms;  /* for a frame that must come */
    int none_max_ms; /* upper bound for the time in which nothing may come */
};

#define SCENARIO_SENTINEL "{\"id\":1000001,\"data\":\"\",\"type\":8}"
#define SCENARIO_SENTINEL_OK                                                                       \
    "{\"id\": 1000001, \"data\": \"{\\\"type\\\": 2, \\\"message\\\": {\\\"iD\\\": \\\"\\\", "     \
    "\\\"msg\\\": \\\"unknown message type: 8\\\"}}\", \"type\": 0}"

/*
 * Plays the steps and then shows, on each connection that is still open, that nothing more came and
 * that a close is answered. False, with `why` filled in, at the first step that goes another way.
 */
bool scenario_play(struct json_object *scenario, struct scenario_world *world, char *why,
                   size_t size);

#endif
