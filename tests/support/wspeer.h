/*
 * A WebSocket peer for tests, blocking and plain: it shares no code with core/ws, so that a mistake
 * there cannot agree with itself. As a client it is strict about what a server may send: unmasked,
 * minimal lengths, no reserved bits, no fragments.
 */
#ifndef TESTS_WSPEER_H
#define TESTS_WSPEER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum wspeer_op {
    WSPEER_CONTINUATION = 0,
    WSPEER_TEXT = 1,
    WSPEER_BINARY = 2,
    WSPEER_CLOSE = 8,
    WSPEER_PING = 9,
    WSPEER_PONG = 10
};
#define WSPEER_FIN 0x80u

struct wspeer {
    int fd;
    bool client;
    uint8_t *in; /* bytes received and not taken yet */
    size_t in_len, in_cap;
    uint8_t *frame;  /* payload of the last frame */
    char error[256]; /* why the last function failed */
    /* Lets the other side go on while it takes no more, if it lives in this thread; NULL: waits. */
    void (*turn)(void *arg);
    void *turn_arg;
};

struct wspeer_frame {
    uint8_t op;
    bool fin;
    uint8_t *data; /* NUL-terminated; valid until the next call on the peer */
    size_t len;
};

enum wspeer_result {
    WSPEER_FRAME = 1,
    WSPEER_TIMEOUT = 0,
    WSPEER_EOF = -1,  /* the other side closed TCP */
    WSPEER_ERROR = -2 /* a broken rule or a failed system call: see error */
};

/*
 * Connects to 127.0.0.1:port and upgrades `path`; `headers` are further header lines, each ended
 * with CR LF, or NULL. The answer must be a correct 101. 0 or -1 with error set; wspeer_close in
 * any case.
 */
int wspeer_connect(struct wspeer *p, int port, const char *path, const char *headers,
                   int timeout_ms);
/* The same with bytes that go out in one packet with the request. */
int wspeer_connect_early(struct wspeer *p, int port, const char *path, const char *headers,
                         const void *early, size_t early_len, int timeout_ms);
/* The server's part on an accepted socket, which the peer owns from now on. */
int wspeer_accept(struct wspeer *p, int fd, int timeout_ms);
/* Drops the connection. */
void wspeer_close(struct wspeer *p);

/* Sends one frame; first is the opcode, with WSPEER_FIN or other flag bits. */
int wspeer_send(struct wspeer *p, unsigned first, const void *data, size_t len);
int wspeer_send_text(struct wspeer *p, const char *text);
/* Bytes as they are. */
int wspeer_send_raw(struct wspeer *p, const void *data, size_t len);
/* One frame of any kind. */
enum wspeer_result wspeer_recv(struct wspeer *p, struct wspeer_frame *ret_frame, int timeout_ms);
/* The next message; pings are answered, pongs skipped. A close frame is returned as it is. */
enum wspeer_result wspeer_recv_message(struct wspeer *p, struct wspeer_frame *ret_frame,
                                       int timeout_ms);

/* Plain TCP, for requests that are not meant to upgrade. -1 if it cannot connect. */
int wspeer_tcp(int port);
/*
 * Sends a request and reads until the other side closes or the time is over; the caller frees.
 * NULL if it cannot connect. *ret_closed tells how it ended.
 */
char *wspeer_http(int port, const char *request, size_t len, int timeout_ms, bool *ret_closed);

#endif
