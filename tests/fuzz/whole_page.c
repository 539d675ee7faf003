/* Pages of the fuzzers: what they send by the grammar of steps, and what they must get. */
#include "config.h"

#include <errno.h>
#include <json-c/json.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "json/writer.h"
#include "security/idfile.h"
#include "whole.h"

#define TEXT_MAX 8192

/* ---- connecting ---- */

static const char *const heads[] = {
    "/ws HTTP/1.1\r\n",
    "/ws?extras=cancel HTTP/1.1\r\n",
    "/ws HTTP/1.1\r\nOrigin: http://a.example\r\n",
    "/ws?extras=cancel HTTP/1.1\r\nOrigin: chrome-extension://abc\r\n",
};

static bool take_head(struct whole_page *p)
{
    char head[1024] = "";

    for (size_t n = 0; n + 1 < sizeof head && strstr(head, "\r\n\r\n") == NULL;) {
        ssize_t r = recv(p->peer.fd, head + n, 1, MSG_DONTWAIT);

        if (r == 0 || (r < 0 && errno != EAGAIN))
            return false;
        if (r < 0)
            loop_worker_turn(whole.g.w, 0);
        n += r > 0;
    }
    return strncmp(head, "HTTP/1.1 101 ", 13) == 0;
}

void whole_page_open(struct whole_page *p, unsigned how)
{
    struct loop_addr peer;
    char request[512];
    int fds[2], little = 1; /* who does not read is soon told to wait */
    int n = snprintf(request, sizeof request,
                     "GET %sHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                     "Sec-WebSocket-Key: AAECAwQFBgcICQoLDA0ODw==\r\n"
                     "Sec-WebSocket-Version: 13\r\n\r\n",
                     heads[how % 4]);

    whole_page_drop(p);
    *p = (struct whole_page){.peer = {.fd = -1, .client = true}};
    whole_require(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) == 0, "no socket pair");
    fcntl(fds[0], F_SETFL, O_NONBLOCK);
    setsockopt(fds[0], SOL_SOCKET, SO_SNDBUF, &little, sizeof little);
    loop_addr_literal(&peer, "127.0.0.1", 9, 1, false);
    gateway_conn_accept(whole.g.gateway, fds[0], &peer);
    p->peer.fd = fds[1];
    send(fds[1], request, (size_t)n, MSG_NOSIGNAL);
    whole_require(take_head(p), "a page cannot connect");
}

void whole_page_drop(struct whole_page *p)
{
    if (p->peer.fd >= 0)
        wspeer_close(&p->peer);
    *p = (struct whole_page){.peer = {.fd = -1}};
}

struct whole_page *whole_page(void)
{
    struct whole_page *p = &whole.pages[whole.at];

    if (p->peer.fd < 0)
        whole_page_open(p, 0);
    return p;
}

/* ---- reading ---- */

/* The reply in a frame: an invocation, or where the page serves. */
static void note_reply(struct whole_page *p, struct json_object *frame, struct json_object *reply)
{
    struct json_object *id = NULL, *type = NULL, *message = NULL;
    const char *text;

    json_object_object_get_ex(frame, "id", &id);
    json_object_object_get_ex(reply, "type", &type);
    json_object_object_get_ex(reply, "message", &message);
    if (json_object_get_int(type) == WSPR_RESPONSE_INVOKE && p->n_waiting < WHOLE_WAITING)
        p->waiting[p->n_waiting++] = json_object_get_int64(id);
    if (json_object_get_int(type) == WSPR_RESPONSE_ERROR) {
        p->refused = true;
        snprintf(p->error, sizeof p->error, "%s", json_object_to_json_string(message));
    }
    text = json_object_is_type(message, json_type_string) ? json_object_get_string(message) : NULL;
    if (json_object_get_int(type) == 0 && text != NULL && strncmp(text, "@2@tcp", 6) == 0)
        snprintf(p->endpoint, sizeof p->endpoint, "%s", text);
}

/* Each text is an object as spec: websocket 6 says, or the one raw sentence. */
static void judge_text(struct whole_page *p, const struct wspeer_frame *f)
{
    struct json_object *frame, *data, *reply;

    if (strncmp((const char *)f->data, "can't unmarshall JSONMessage: ", 30) == 0)
        return;
    frame = json_tokener_parse((const char *)f->data);
    whole_require(json_object_is_type(frame, json_type_object), "a frame is no object");
    whole_require(json_object_object_get_ex(frame, "data", &data) ||
                      json_object_object_get_ex(frame, "mounttableRoot", NULL),
                  "a frame without data");
    reply = json_object_is_type(data, json_type_string)
                ? json_tokener_parse(json_object_get_string(data))
                : NULL;
    whole_require(reply != NULL || !json_object_is_type(data, json_type_string) ||
                      strcmp(json_object_get_string(data), "") == 0,
                  "data is no JSON");
    if (json_object_is_type(reply, json_type_object))
        note_reply(p, frame, reply);
    json_object_put(reply);
    json_object_put(frame);
}

void whole_page_read(struct whole_page *p)
{
    struct wspeer_frame f;
    enum wspeer_result r;

    while ((r = wspeer_recv(&p->peer, &f, 0)) == WSPEER_FRAME) {
        if (f.op == WSPEER_TEXT)
            judge_text(p, &f);
    }
    whole_require(r != WSPEER_ERROR, p->peer.error);
    if (r != WSPEER_TIMEOUT)
        whole_page_drop(p);
}

/* ---- sending ---- */

static void put_bytes(struct whole_page *p, const void *bytes, size_t len)
{
    const uint8_t *b = bytes;
    size_t piece = p->slow ? 3 : len, n;

    for (size_t at = 0; at < len && p->peer.fd >= 0; at += n) {
        n = len - at < piece ? len - at : piece;
        /* A page whose gateway does not read gives up. */
        if (send(p->peer.fd, b + at, n, MSG_NOSIGNAL | MSG_DONTWAIT) != (ssize_t)n) {
            whole_page_drop(p);
            return;
        }
        whole_turn(1);
    }
}

static void put_frame(struct whole_page *p, unsigned first, struct span payload)
{
    uint8_t frame[TEXT_MAX + 16] = {(uint8_t)first};
    size_t len = payload.len, n = 2;

    if (len > TEXT_MAX)
        len = TEXT_MAX;
    if (len < 126) {
        frame[1] = (uint8_t)(0x80 | len);
    } else {
        frame[1] = 0x80 | 126;
        frame[2] = (uint8_t)(len >> 8);
        frame[3] = (uint8_t)len;
        n = 4;
    }
    n += 4; /* the mask is zero */
    memcpy(frame + n, payload.p, len);
    put_bytes(p, frame, n + len);
}

/* {"id": id, "type": type, "data": data as a string} */
static void put_message(struct whole_page *p, long long id, unsigned type, struct span data)
{
    struct buf text = BUF_INIT(TEXT_MAX);
    struct json_writer w;

    json_writer_init(&w, &text);
    json_write_object(&w);
    json_write_name_str(&w, "id");
    json_write_int(&w, id);
    json_write_name_str(&w, "type");
    json_write_uint(&w, type);
    json_write_name_str(&w, "data");
    json_write_string(&w, data);
    json_write_object_end(&w);
    if (buf_error(&text) == 0)
        put_frame(p, WSPEER_FIN | WSPEER_TEXT, buf_span(&text));
    buf_done(&text);
}

static void put_text(struct whole_page *p, long long id, unsigned type, const char *data)
{
    put_message(p, id, type, span_str(data));
}

/* ---- what pages do ---- */

/* Whom a page calls: the service, an object that itself or another page serves, nobody. */
static void target(char *name, size_t size, unsigned which)
{
    const struct whole_page *server = &whole.pages[which / 16 % WHOLE_PAGES];

    if (which % 4 == 0 && server->endpoint[0] != '\0')
        snprintf(name, size, "/%s//suffix", server->endpoint);
    else if (which % 4 < 2)
        snprintf(name, size, "%s//slow", whole.g.endpoint);
    else if (which % 4 == 2)
        snprintf(name, size, "%s//only/client/x", whole.g.endpoint);
    else
        snprintf(name, size, "%s", which / 16 % 2 ? "/@2@tcp@127.0.0.1:1@@@@@" : "a/name");
}

static const char *const methods[] = {"flow",  "pick",  "echo",    "never",  "deaf",
                                      "flood", "burst", "stats",   "change", "added",
                                      "split", "ack",   "collect", "whoami"};
static const char *const args[] = {
    "[\"a\"]", "[]",          "[3,100]",  "[100]",         "[{\"a\":[1,null,2.5]}]",
    "[1,2,3]", "null",        "[2,9000]", "[\"a\",\"b\"]", "[\"\\ud800\\u0000\"]",
    "[1e400]", "[[[[[[]]]]]]"};

#define PICK(table, n) (table)[(n) % (sizeof(table) / sizeof(table)[0])]

static void request(struct whole_page *p, struct steps *s)
{
    char name[600], data[2048];
    unsigned id = steps_byte(s), where = steps_byte(s), method = steps_byte(s), how = steps_byte(s);

    target(name, sizeof name, where);
    snprintf(data, sizeof data,
             "{\"name\":\"%s\",\"method\":\"%s\",\"inArgs\":%s,\"numOutArgs\":%d,"
             "\"isStreaming\":%s}",
             name, PICK(methods, method), PICK(args, how), (int)(how / 16 % 8) - 1,
             how >= 128 ? "true" : "false");
    put_text(p, id, 0, data);
}

static const char *const items[] = {"\"item\"", "null", "{\"x\":[1]}", "[",
                                    "",         "1.5",  "\"\\ud800\""};

static void item(struct whole_page *p, struct steps *s)
{
    long long id = steps_byte(s);
    unsigned which = steps_byte(s);
    char big[4200];
    size_t n = which < 250 ? which * 4 : 4096; /* more than a message may have */

    if (which < 128) {
        put_text(p, id, 3, PICK(items, which));
        return;
    }
    big[0] = '"';
    memset(big + 1, 'i', n);
    memcpy(big + 1 + n, "\"", 2);
    put_text(p, id, 3, big);
}

static const char *const services[] = {
    "{\"flow\":{\"InArgs\":[\"seed\"],\"NumOutArgs\":2,\"IsStreaming\":true},"
    "\"pick\":{\"InArgs\":[\"basket\"],\"NumOutArgs\":2,\"IsStreaming\":false},"
    "\"ack\":{\"NumOutArgs\":1},\"echo\":{\"InArgs\":[\"s\"],\"NumOutArgs\":2}}",
    "{\"split\":{\"InArgs\":[\"a\",\"b\"],\"NumOutArgs\":3}}",
    "{}",
    "{\"flow\":{\"InArgs\":[\"seed\"],\"NumOutArgs\":-1,\"IsStreaming\":1}}",
    "[]",
};

void whole_page_serve(struct whole_page *p, unsigned server, unsigned name, unsigned service)
{
    static const char *const names[] = {"", "a/name", "b", "/@2@tcp@127.0.0.1:1@@@@@"};
    char data[1024];

    snprintf(data, sizeof data, "{\"name\":\"%s\",\"serverId\":%u,\"service\":%s}",
             PICK(names, name), server, PICK(services, service));
    put_text(p, 201, 1, data);
}

void whole_page_answer(struct whole_page *p, unsigned id, unsigned which)
{
    static const char *const answers[] = {
        "{\"results\":[\"r\"],\"err\":null}",
        "{\"results\":[],\"err\":{\"iD\":\"an.Id\",\"msg\":\"text\"}}",
        "{\"results\":[1,{\"a\":[true]}]}",
        "{\"results\":[\"r\",\"s\",3],\"err\":null}",
        "{\"results\":null,\"err\":7}",
        "oops",
        "{\"results\":[[],{},\"\\ud800\"],\"err\":{}}",
    };
    long long to = id;

    if (id < 128 && p->n_waiting > 0) {
        to = p->waiting[0];
        memmove(p->waiting, p->waiting + 1, --p->n_waiting * sizeof p->waiting[0]);
    }
    put_text(p, to, 2, PICK(answers, which));
}

static void associate(struct whole_page *p, struct steps *s)
{
    static const char *const origins[] = {"http://a.example", "chrome-extension://abc", "nonsense",
                                          "http://b.example"};
    static struct buf texts[2];
    unsigned how = steps_byte(s);
    struct buf *text = &texts[how % 2];
    char data[4096];

    if (text->len == 0) {
        *text = BUF_INIT(SECURITY_TEXT_MAX);
        security_idfile_print_private(text, how % 2 ? whole.g.ids.friend : whole.g.ids.client);
    }
    snprintf(data, sizeof data, "{\"account\":\"%s\",\"identity\":\"%s\",\"origin\":\"%s\"}",
             how & 4 ? "alice" : "bob", how & 2 ? "AAAA" : buf_cstr(text), origins[how / 8 % 4]);
    put_text(p, 203, 7, data);
}

static void signature(struct whole_page *p, struct steps *s)
{
    long long id = steps_byte(s);
    char name[600], data[700];

    target(name, sizeof name, steps_byte(s));
    snprintf(data, sizeof data, "{\"name\":\"%s\"}", name);
    put_text(p, id, 5, data);
}

/* The ways in which a page goes. */
static void leave(struct whole_page *p, unsigned how)
{
    switch (how % 4) {
    case 0:
        put_frame(p, WSPEER_FIN | WSPEER_CLOSE, span_of("\x03\xe8", 2));
        break;
    case 1:
        shutdown(p->peer.fd, SHUT_WR);
        break;
    case 2:
        put_bytes(p, "\x81\xfe\x10\x00mask{\"id\":", 14);
        whole_page_drop(p);
        break;
    default:
        whole_page_drop(p);
        break;
    }
}

/* Steps that are not messages. */
static void other_step(struct whole_page *p, unsigned what, struct steps *s)
{
    switch (what) {
    case 11:
        whole_turn(steps_byte(s) % 32);
        break;
    case 12:
        whole_skip(steps_byte(s));
        break;
    case 13:
        what = steps_byte(s);
        whole.at = what % WHOLE_PAGES;
        if (whole.pages[whole.at].peer.fd < 0)
            whole_page_open(&whole.pages[whole.at], what / 16);
        break;
    case 14:
        leave(p, steps_byte(s));
        break;
    default:
        what = steps_byte(s);
        p->deaf = what & 1;
        p->slow = what & 2;
        break;
    }
}

void whole_page_step(struct steps *s)
{
    unsigned what = steps_byte(s) % 16, a, b, c;
    struct whole_page *p = whole_page();
    struct span bytes;

    switch (what) {
    case 0:
        bytes = steps_bytes(s);
        put_bytes(p, bytes.p, bytes.len);
        break;
    case 1:
        a = steps_byte(s);
        put_frame(p, a, steps_bytes(s));
        break;
    case 2:
        a = steps_byte(s);
        b = steps_byte(s);
        put_message(p, (int8_t)a, b % 10, steps_bytes(s));
        break;
    case 3:
        request(p, s);
        break;
    case 4:
        item(p, s);
        break;
    case 5:
        put_text(p, steps_byte(s), 4, "");
        break;
    case 6:
        signature(p, s);
        break;
    case 7:
        a = steps_byte(s);
        b = steps_byte(s);
        c = steps_byte(s);
        whole_page_serve(p, a % 5, b, c);
        break;
    case 8:
        a = steps_byte(s);
        whole_page_answer(p, a, steps_byte(s));
        break;
    case 9:
        put_text(p, 205, 6, PICK(((const char *const[]){"1", "0", "2", "x"}), steps_byte(s)));
        break;
    case 10:
        associate(p, s);
        break;
    default:
        other_step(p, what, s);
        break;
    }
}
