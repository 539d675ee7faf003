/* wsprd with a configuration file: what it loads, what it refuses, and loading anew. */
#include "config.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "folder.h"
#include "integration/rig.h"
#include "tap.h"
#include "wspeer.h"

/* Starts wsprd with a configuration with which it must end by itself; its exit status. */
static int run_to_end(const char *config, const char *more, char **ret_output)
{
    char program[4200], log[4200];
    const char *argv[] = {program, "-no-embedded", "-config", config, more, NULL};
    struct child c;

    if (!rig_program(program, sizeof program, "wsprd") ||
        child_start(&c, argv, NULL, child_file(log, sizeof log, "end.log")) < 0)
        return -1;
    if (!child_wait(&c, RIG_TIMEOUT_MS)) {
        child_stop(&c, SIGKILL, 1000);
        return -1;
    }
    *ret_output = child_output(&c);
    return WIFEXITED(c.status) ? WEXITSTATUS(c.status) : -1;
}

static const char *folder_of_good(void)
{
    const char *folder = folder_make();

    if (folder == NULL || !folder_put(folder, "tests/plugins/odd_good", "odd_good") ||
        !folder_put(folder, "tests/plugins/odd_major", "odd_major")) {
        printf("Bail out! no plugins\n");
        exit(99);
    }
    return folder;
}

static void broken_configurations(void)
{
    static const struct {
        const char *text, *want;
        int status;
    } cases[] = {
        {"plugins = odd_good\n", "is right", 0},
        {"plugins = odd_good, odd_major\n", "/odd_major.so is built for plugin ABI 7.", 1},
        {"plugins = odd_good\noptional-plugins = odd_major\n", "plugin odd_major is left out: ", 0},
        {"plugins = odd_good, odd_major\ndeny-plugins = odd_major\n", "is right", 0},
        {"plugins = odd_good\n[plugin odd_good]\nnumber = 0\n", ".conf:4: invalid value \"0\"", 1},
        {"plugins = odd_good\n[plugin odd_goof]\nx = 1\n", ".conf:3: plugin odd_goof is in no list",
         0},
        {"plugins = odd_good\n[odd_good]\n", ".conf:3: unknown section [odd_good]", 1},
        {"plugins = odd_good\n[plugin odd_good]\nx = 1\n", "plugin odd_good has no option \"x\"",
         1},
        {"plugins = odd_good\nport = 70000\n", ".conf:3: invalid value \"70000\"", 2},
        {"plugins = odd_good\nprot = 1\n", ".conf:3: unknown option \"prot\"", 2},
        {"plugins = odd_good\nplugins = x\n", ".conf:3: plugins stands in line 2 already", 2},
        {"plugins\n", ".conf:2: a setting looks like name = value", 2},
        {"[plugin x\n", ".conf:2: a section looks like [plugin NAME]", 2},
        {"help = true\n", ".conf:2: help is for the command line only", 2},
        {"associate-from = chrome-extension\n", "associate-from: ", 1},
    };
    const char *folder = folder_of_good();

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[8192], *out = NULL;
        int status;

        snprintf(text, sizeof text, "plugin-dir = %s\n%s", folder, cases[i].text);
        status = run_to_end(folder_write(folder, "wspr.conf", text), "-check-config", &out);
        TAP_OK(status == cases[i].status, "case %zu: status %d: %s", i, status,
               out != NULL ? out : "");
        TAP_OK(out != NULL && strstr(out, cases[i].want) != NULL, "case %zu: %s", i,
               out != NULL ? out : "");
        free(out);
    }
}

static void a_required_one_stops_the_start(void)
{
    const char *folder = folder_of_good();
    char text[8192], *out = NULL;

    snprintf(text, sizeof text, "port = 0\nplugin-dir = %s\nplugins = odd_good, odd_major\n",
             folder);
    TAP_IS(run_to_end(folder_write(folder, "wspr.conf", text), NULL, &out) == 1);
    TAP_OK(out != NULL && strstr(out, "odd_major.so is built for plugin ABI 7.") != NULL &&
               strstr(out, "Listening") == NULL,
           "%s", out != NULL ? out : "");
    free(out);
    TAP_IS(run_to_end("/nonexistent.conf", NULL, &out) == 2);
    TAP_OK(out != NULL && strstr(out, "/nonexistent.conf") != NULL, "%s", out != NULL ? out : "");
    free(out);
}

static bool says(struct wspeer *p, const char *send, const char *want)
{
    struct wspeer_frame frame;

    if (send != NULL && wspeer_send_text(p, send) < 0)
        return false;
    if (wspeer_recv_message(p, &frame, RIG_TIMEOUT_MS) != WSPEER_FRAME)
        return false;
    if (strstr((const char *)frame.data, want) != NULL)
        return true;
    printf("# %s\n", (const char *)frame.data);
    return false;
}

#define CALL  "{\"id\": 1, \"type\": 200, \"data\": \"null\"}"
#define WAIT  "{\"id\": 3, \"type\": 200, \"data\": \"\\\"wait\\\"\"}"
#define GO_ON "{\"id\": 3, \"type\": 201, \"data\": \"null\"}"

/* Every kind of broken plugin at once: a line for each, and the good one works. */
static void broken_ones_are_left_out(void)
{
    static const struct {
        const char *name, *why;
    } broken[] = {
        {"odd_symbol", "undefined symbol: wspr_no_such_function"},
        {"odd_major", "is built for plugin ABI 7."},
        {"odd_former", "is built for plugin ABI 0."},
        {"odd_minor", "is built for plugin ABI "},
        {"odd_fails", "does not load: "},
        {"odd_twice", "claims message type 218 twice"},
        {"odd_thief", "message type 200 is claimed by odd_good and by odd_thief"},
        {"odd_misnamed", "calls itself somebody"},
        {"odd_entryless", "has no wspr_plugin_entry"},
        {"odd_null", "returns NULL"},
        {"odd_default", "an option with a wrong default"},
        {"odd_claim", "makes a malformed claim of type 230"},
        {"odd_old", "has no option \"speed\""},
        {"absent", "No such file"},
    };
    const char *folder = folder_of_good();
    char text[8192], plugins[4400], line[512], *out;
    const char *args[] = {"-config", NULL, plugins, NULL};
    size_t n;
    struct rig_wsprd w;
    struct wspeer p;

    n = (size_t)snprintf(text, sizeof text,
                         "plugins = odd_good\nno-embedded = on\noptional-plugins = ");
    for (size_t i = 0; i < sizeof broken / sizeof broken[0]; i++) {
        char built[64];

        n += (size_t)snprintf(text + n, sizeof text - n, "%s%s", i > 0 ? ", " : "", broken[i].name);
        snprintf(built, sizeof built, "tests/plugins/%s", broken[i].name);
        TAP_IS(strcmp(broken[i].name, "absent") == 0 || folder_put(folder, built, broken[i].name));
    }
    snprintf(text + n, sizeof text - n,
             "\n[plugin odd_old]\nspeed = 1\n[plugin odd_good]\nword = hi\n");
    args[1] = folder_write(folder, "wspr.conf", text);
    snprintf(plugins, sizeof plugins, "-plugin-dir=%s", folder);
    TAP_IS(rig_wsprd_start(&w, NULL, args));
    if (w.port == 0)
        return;
    TAP_IS(wspeer_connect(&p, w.port, "/ws", NULL, RIG_TIMEOUT_MS) == 0);
    TAP_IS(says(&p, NULL, "mounttableRoot") && says(&p, CALL, "hi 1"));
    wspeer_close(&p);
    out = child_output(&w.child);
    for (size_t i = 0; out != NULL && i < sizeof broken / sizeof broken[0]; i++) {
        const char *at;

        snprintf(line, sizeof line, "plugin %s is left out: ", broken[i].name);
        at = strstr(out, line);
        snprintf(line, sizeof line, "%.*s", at != NULL ? (int)strcspn(at, "\n") : 0,
                 at != NULL ? at : "");
        TAP_OK(strstr(line, broken[i].why) != NULL, "%s: \"%s\"", broken[i].name, line);
    }
    free(out);
    TAP_IS(rig_wsprd_stop(&w));
    tap_note("%zu broken plugins, a line each", sizeof broken / sizeof broken[0]);
}

/* ---- loading anew ---- */

static void write_config(const char *folder, const char *word)
{
    char text[8192];

    snprintf(text, sizeof text,
             "plugin-dir = %s\nplugins = odd_good\nno-embedded = on\nv = 1\n[plugin odd_good]\n"
             "word = %s\n",
             folder, word);
    folder_write(folder, "wspr.conf", text);
}

static bool hang_up_and_wait(struct rig_wsprd *w, const char *mark)
{
    char text[512];

    return kill(w->child.pid, SIGHUP) == 0 &&
           child_wait_text(&w->child, mark, text, sizeof text, RIG_TIMEOUT_MS);
}

static void loading_anew(void)
{
    const char *folder = folder_of_good();
    char config[4400], plugins[4400], text[512];
    const char *args[] = {"-config", config, plugins, NULL};
    struct rig_wsprd w;
    struct wspeer old, later;

    snprintf(config, sizeof config, "%s/wspr.conf", folder);
    snprintf(plugins, sizeof plugins, "-plugin-dir=%s", folder);
    write_config(folder, "hi");
    TAP_IS(rig_wsprd_start(&w, NULL, args));
    if (w.port == 0)
        return;
    TAP_IS(wspeer_connect(&old, w.port, "/ws", NULL, RIG_TIMEOUT_MS) == 0);
    TAP_IS(says(&old, NULL, "mounttableRoot"));
    TAP_IS(says(&old, CALL, "hi 1"));
    TAP_IS(wspeer_send_text(&old, WAIT) == 0);
    TAP_IS(says(&old, CALL, "hi 1")); /* by now the flow waits */

    /* A wrong file changes nothing. */
    folder_write(folder, "wspr.conf", "plugins = odd_good\nnonsense\n");
    TAP_IS(hang_up_and_wait(&w, "nothing is loaded anew: "));
    TAP_IS(says(&old, CALL, "hi 1"));

    /* Another file and another setting: the flow stays with the instance that began it. */
    write_config(folder, "bye");
    TAP_IS(folder_put(folder, "tests/plugins/odd_good2", "odd_good"));
    TAP_IS(hang_up_and_wait(&w, "plugin odd_good is loaded anew"));
    TAP_IS(says(&old, CALL, "bye 2"));
    TAP_IS(wspeer_connect(&later, w.port, "/ws", NULL, RIG_TIMEOUT_MS) == 0);
    TAP_IS(says(&later, NULL, "mounttableRoot"));
    TAP_IS(says(&later, CALL, "bye 2"));
    TAP_IS(says(&old, GO_ON, "1 ends"));
    TAP_IS(child_wait_text(&w.child, "former instance of plugin odd_good", text, sizeof text,
                           RIG_TIMEOUT_MS));
    TAP_IS(says(&old, CALL, "bye 2"));

    /* A broken one is not taken. */
    TAP_IS(folder_put(folder, "tests/plugins/odd_major", "odd_good"));
    TAP_IS(hang_up_and_wait(&w, "plugin odd_good stays as it is: "));
    TAP_IS(says(&later, CALL, "bye 2"));
    wspeer_close(&later);
    wspeer_close(&old);
    TAP_IS(rig_wsprd_stop(&w));
}

/* ---- under load ---- */

#define PAGES  4
#define BURST  50
#define ROUNDS 6

/* Takes n answers; the version of the last. Never the former one again once there was a new one. */
static int versions(struct wspeer *p, int former, unsigned n)
{
    struct wspeer_frame frame;
    int last = former;

    for (unsigned i = 0; i < n; i++) {
        const char *text = wspeer_recv_message(p, &frame, RIG_TIMEOUT_MS) == WSPEER_FRAME
                               ? (char *)frame.data
                               : p->error;
        int now = strstr(text, "hi 1") != NULL ? 1 : strstr(text, "hi 2") != NULL ? 2 : 0;

        TAP_OK(now != 0 && (now == last || last == former), "answer %u: %s", i, text);
        if (now == 0)
            return 0;
        last = now;
    }
    return last;
}

static bool burst(struct wspeer *p)
{
    for (unsigned i = 0; i < BURST; i++) {
        if (wspeer_send_text(p, CALL) < 0)
            return false;
    }
    return true;
}

/* One turn: flows wait, calls are under way, the plugin changes, calls go on, the flows end. */
static void change_under_load(struct rig_wsprd *w, struct wspeer *pages, const char *folder,
                              int was)
{
    const char *ends = was == 1 ? "1 ends" : "2 ends";
    int seen[PAGES] = {0};

    for (unsigned i = 0; i < PAGES; i++)
        TAP_IS(wspeer_send_text(&pages[i], WAIT) == 0 && burst(&pages[i]));
    TAP_IS(folder_put(folder, was == 1 ? "tests/plugins/odd_good2" : "tests/plugins/odd_good",
                      "odd_good"));
    for (unsigned i = 0; i < PAGES; i++)
        seen[i] = versions(&pages[i], was, BURST); /* so the flows wait at the former instance */
    TAP_IS(kill(w->child.pid, SIGHUP) == 0);
    /* Bursts until the new one answers them all: no connection and no answer may be lost. */
    for (unsigned i = 0; i < PAGES; i++) {
        while (seen[i] == was) {
            if (!burst(&pages[i]))
                break;
            seen[i] = versions(&pages[i], was, BURST);
        }
        TAP_IS(seen[i] == 3 - was);
    }
    for (unsigned i = 0; i < PAGES; i++)
        TAP_IS(says(&pages[i], GO_ON, ends));
}

static unsigned count(const char *text, const char *word)
{
    unsigned n = 0;

    for (; (text = strstr(text, word)) != NULL; text++)
        n++;
    return n;
}

static void loading_anew_under_load(void)
{
    const char *folder = folder_of_good();
    char config[4400], plugins[4400], *out;
    const char *args[] = {"-config", config, plugins, NULL};
    struct wspeer pages[PAGES];
    struct rig_wsprd w;

    snprintf(config, sizeof config, "%s/wspr.conf", folder);
    snprintf(plugins, sizeof plugins, "-plugin-dir=%s", folder);
    write_config(folder, "hi");
    TAP_IS(rig_wsprd_start(&w, NULL, args));
    if (w.port == 0)
        return;
    for (unsigned i = 0; i < PAGES; i++) {
        TAP_IS(wspeer_connect(&pages[i], w.port, "/ws", NULL, RIG_TIMEOUT_MS) == 0);
        TAP_IS(says(&pages[i], NULL, "mounttableRoot"));
    }
    for (int round = 0; round < ROUNDS; round++)
        change_under_load(&w, pages, folder, round % 2 + 1);
    for (unsigned i = 0; i < PAGES; i++)
        wspeer_close(&pages[i]);
    TAP_IS(rig_wsprd_stop(&w));
    out = child_output(&w.child);
    TAP_OK(out != NULL && count(out, "is loaded anew") == ROUNDS &&
               count(out, "former instance of plugin odd_good is gone") == ROUNDS,
           "%s", out != NULL ? out : "");
    free(out);
    tap_note("%d reloads with %d pages, no answer lost", ROUNDS, PAGES);
}

static const struct tap_case plugin_cases[] = {
    {"broken configurations", broken_configurations},
    {"a required one stops the start", a_required_one_stops_the_start},
    {"broken ones are left out", broken_ones_are_left_out},
    {"loading anew", loading_anew},
    {"loading anew under load", loading_anew_under_load},
};

int main(int argc, char **argv)
{
    const struct tap_suite suites[] = {TAP_SUITE("plugins", plugin_cases)};

    return tap_main(argc, argv, suites, 1);
}
