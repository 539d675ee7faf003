/*
 * Plugins that were built against the headers of ABI 1.0 as they were, in today's wsprd: every host
 * function of 1.0 does for them what it did.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "integration/rig.h"
#include "plugins/folder.h"
#include "tap.h"
#include "wspeer.h"

#define TEXT_MAX 4096

static void page_open(struct wspeer *p, const struct rig_wsprd *w)
{
    struct wspeer_frame frame;

    TAP_OK(wspeer_connect(p, w->port, "/ws?extras=cancel", "Origin: http://localhost\r\n",
                          RIG_TIMEOUT_MS) == 0 &&
               wspeer_recv_message(p, &frame, RIG_TIMEOUT_MS) == WSPEER_FRAME,
           "%s", p->error);
}

/* Sends a message; in data a ' stands for each quote. */
static void say(struct wspeer *p, int id, int type, const char *data)
{
    char text[TEXT_MAX];
    size_t n = (size_t)snprintf(text, sizeof text, "{\"id\":%d,\"type\":%d,\"data\":\"", id, type);

    for (; *data != '\0' && n + 8 < sizeof text; data++) {
        if (*data == '\'' || *data == '\\')
            text[n++] = '\\';
        text[n++] = *data == '\'' ? '"' : *data;
    }
    memcpy(text + n, "\"}", 3);
    TAP_IS(wspeer_send_text(p, text) == 0);
}

/* The next frame has this id and, without its escapes, holds this text. */
static void hear(struct wspeer *p, int id, const char *want)
{
    struct wspeer_frame frame;
    char got[TEXT_MAX] = "", head[32];
    size_t n = 0;

    if (wspeer_recv_message(p, &frame, RIG_TIMEOUT_MS) == WSPEER_FRAME) {
        for (const char *s = (char *)frame.data; *s != '\0' && n + 1 < sizeof got; s++) {
            if (*s != '\\')
                got[n++] = *s == '"' ? '\'' : *s;
        }
    }
    snprintf(head, sizeof head, "{'id': %d, ", id);
    TAP_OK(strncmp(got, head, strlen(head)) == 0 && strstr(got, want) != NULL,
           "expected %d: %s, got %s %s", id, want, got, n == 0 ? p->error : "");
}

struct exchange {
    int type;
    const char *data, *want;
};

static void exchange(struct wspeer *p, const struct exchange *list, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        say(p, 2 * (int)i + 1, list[i].type, list[i].data);
        hear(p, 2 * (int)i + 1, list[i].want);
    }
}

#define EXCHANGE(page, list) exchange(page, list, sizeof(list) / sizeof(list)[0])

static void alone(struct wspeer *p)
{
    static const struct exchange list[] = {
        {700, "{'do':'work'}", "'type': 0, 'message': 'worked 21'"},
        {700, "{'do':'time'}", "'message': 'ring'"},
        {700, "{'do':'conn'}",
         "'message': '110|http://localhost|http://localhost|127.0.0.1:|frozen|7|1|1|"},
        {700, "{'do':'tree','args':[{'a':[1,null]}]}", "'message': 'w1'"},
        {700, "{'do':'tree','args':[{'a':1e999}]}", "'type': 2"},
        {700, "{'do':'fields','level':0.5,'n64':1,'n32':2,'u64':3,'flag':true,'words':['a','b']}",
         "'message': '0.5 1 2 3 1 2'"},
        {700, "{'do':7}", "'type': 2, 'message': {'iD': 'veyron2/verror.BadProtocol'"},
        {700, "{'do':'nothing'}", "BadArg"},
        {700, "{'do':'associate'}", "'type': 2"},
        {700, "{'do':'call','name':'cache','method':'size','n32':2,'args':[]}", "'message': [0]"},
        {700, "{'do':'call','name':'cache','method':'size','n32':2,'args':[1]}", "'type': 2"},
        {700, "{'do':'call','name':'no/such','method':'size','n32':2,'args':[]}", "'type': 2"},
        {702, "secret", "'message': 'held'"},
        {700, "{'do':'stop'}", "NotFound"},
        {700, "{'do':'call','name':'cache','method':'multiGet','flag':true,'n32':1,'args':[]}",
         "'type': 4"},
    };

    EXCHANGE(p, list);
    hear(p, 29, "'type': 0, 'message': []"); /* after the end of the stream */
    say(p, 99, 700, "{'do':'signature','name':'cache'}");
    hear(p, 99, "'multiGet'");
    say(p, 101, 700, "{'do':'open'}");
    hear(p, 0, "{'type': 1, 'message': 0}");
    hear(p, 0, "{'type': 4, 'message': [1,2]}");
    hear(p, 101, "'msg': 'no 7'");
    /* A message that is told to come again, and the end of its flow. */
    say(p, 103, 700, "{'do':'wait'}");
    say(p, 103, 701, "more");
    hear(p, 103, "'message': 'more'");
}

static void serving(struct wspeer *p, struct wspeer *caller)
{
    static const struct exchange serve[] = {
        {700,
         "{'do':'serve','name':'all','args':[{"
         "'echo':{'InArgs':['a'],'NumOutArgs':2,'IsStreaming':false},"
         "'fail':{'InArgs':['a'],'NumOutArgs':2,'IsStreaming':false},"
         "'flow':{'InArgs':['a'],'NumOutArgs':1,'IsStreaming':true},"
         "'pipe':{'InArgs':['a'],'NumOutArgs':2,'IsStreaming':true}}]}",
         "'message': '@2@"},
        {700, "{'do':'serve','args':[7]}", "'type': 2"},
    };
    static const struct exchange calls[] = {
        {0, "{'name':'all','method':'Echo','inArgs':['x'],'numOutArgs':2}", "'message': ['x']"},
        {0, "{'name':'all','method':'Fail','inArgs':['x'],'numOutArgs':2}", "NotAuthorized"},
        {0, "{'name':'all','method':'Pipe','inArgs':['x'],'numOutArgs':2}", "'message': ['x']"},
    };
    static const struct exchange stop[] = {{700, "{'do':'stop'}", "'message': 'stopped'"}};

    EXCHANGE(p, serve);
    EXCHANGE(caller, calls);
    hear(p, 2, "'type': 4");
    say(caller, 9, 0,
        "{'name':'all','method':'Flow','inArgs':['x'],'numOutArgs':1,'isStreaming':true}");
    say(caller, 9, 3, "'one'");
    hear(caller, 9, "'type': 1, 'message': 'one'");
    say(caller, 9, 4, "");
    hear(caller, 9, "'type': 4");
    hear(caller, 9, "'iD': 'all.Over', 'msg': 'that was all'");
    EXCHANGE(p, stop);
}

static bool start(struct rig_wsprd *w, const char *folder)
{
    char text[TEXT_MAX], dir[4400];
    const char *args[] = {"-config", NULL, dir, NULL};

    snprintf(text, sizeof text,
             "plugins = request, stream, hello, time-feed, all\nv = 1\n[plugin all]\n"
             "word = frozen\nnumber = 7\nflag = on\n[plugin time-feed]\nleast = 5\n");
    snprintf(dir, sizeof dir, "-plugin-dir=%s", folder);
    args[1] = folder_write(folder, "wspr.conf", text);
    TAP_IS(folder_put(folder, "plugins/request", "request") &&
           folder_put(folder, "plugins/stream", "stream") &&
           folder_put(folder, "tests/abi/frozen_hello", "hello") &&
           folder_put(folder, "tests/abi/frozen_time_feed", "time-feed") &&
           folder_put(folder, "tests/abi/frozen_all", "all"));
    return rig_wsprd_start(w, NULL, args);
}

static void frozen_plugins(void)
{
    static const struct exchange hello[] = {
        {100, "{'name':'World'}", "'message': 'Hello, World!'"},
        {100, "{'name':'you','delay':1}", "'message': 'Hello, you!'"},
        {110, "{'every':5}", "'message': {'feed':"},
    };
    struct wspeer p, other, feed;
    struct wspeer_frame frame;
    struct rig_wsprd w;
    char text[512];

    TAP_IS(start(&w, folder_make()));
    if (w.port == 0)
        return;
    TAP_IS(child_wait_text(&w.child, "built for 1.0", text, sizeof text, RIG_TIMEOUT_MS));
    page_open(&p, &w);
    page_open(&other, &w);
    page_open(&feed, &w);
    alone(&p);
    serving(&p, &other);
    EXCHANGE(&feed, hello);
    hear(&feed, 0, "'n':1,");
    hear(&feed, 0, "'n':2,");
    /* One goes with flows that wait, one is sent away. */
    say(&p, 1, 700, "{'do':'wait'}");
    say(&p, 3, 700, "{'do':'wait'}");
    say(&p, 3, 701, "x");
    wspeer_close(&p);
    say(&other, 1, 700, "{'do':'bye'}");
    TAP_IS(wspeer_recv_message(&other, &frame, RIG_TIMEOUT_MS) == WSPEER_FRAME &&
           frame.op == WSPEER_CLOSE && frame.len == 5 && frame.data[0] == 4000 >> 8);
    wspeer_close(&other);
    wspeer_close(&feed);
    TAP_IS(rig_wsprd_stop(&w));
    TAP_IS(child_wait_text(&w.child, "0 connections left", text, sizeof text, 0));
}

static const struct tap_case cases[] = {{"plugins built for 1.0", frozen_plugins}};

int main(int argc, char **argv)
{
    const struct tap_suite suites[] = {TAP_SUITE("abi", cases)};

    return tap_main(argc, argv, suites, 1);
}
