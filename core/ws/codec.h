/*
 * WebSocket frames (spec: websocket 3, RFC 6455), both roles, no extensions. No I/O, no time, no
 * random source: bytes in, events and bytes out.
 *
 * The decoder consumes all it is given up to the end of the next event, so its caller needs no
 * input buffer: any cut of the input gives the same events. A payload that lies whole in the input
 * is unmasked in place and handed out as a span into it; anything else is assembled in a bounded
 * buffer.
 */
#ifndef WS_CODEC_H
#define WS_CODEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/buf.h"
#include "base/error.h"
#include "base/span.h"
#include "base/utf8.h"

enum ws_opcode {
    WS_OP_CONTINUATION = 0,
    WS_OP_TEXT = 1,
    WS_OP_BINARY = 2,
    WS_OP_CLOSE = 8,
    WS_OP_PING = 9,
    WS_OP_PONG = 10
};

enum ws_close_code {
    WS_CLOSE_NORMAL = 1000,
    WS_CLOSE_GOING_AWAY = 1001,
    WS_CLOSE_PROTOCOL = 1002,
    WS_CLOSE_UNSUPPORTED = 1003,
    WS_CLOSE_NO_STATUS = 1005, /* never on the wire: a close frame without a code */
    WS_CLOSE_ABNORMAL = 1006,  /* never on the wire: the connection ended without a close frame */
    WS_CLOSE_INVALID_DATA = 1007,
    WS_CLOSE_POLICY = 1008,
    WS_CLOSE_TOO_BIG = 1009,
    WS_CLOSE_INTERNAL = 1011,
    WS_CLOSE_TRY_LATER = 1013
};

enum ws_role { WS_SERVER, WS_CLIENT };

#define WS_CONTROL_MAX      125 /* payload of a control frame */
#define WS_CLOSE_REASON_MAX 123
#define WS_FRAME_HEADER_MAX 14
#define WS_MESSAGE_MAX      (16u << 20)

/* What one peer may make us do. */
struct ws_limits {
    uint64_t message;   /* payload bytes of one message */
    uint32_t fragments; /* frames of one message */
    uint32_t empty;     /* of these, frames without payload that do not end it */
    uint32_t controls;  /* control frames between two messages or two ws_dec_tick */
};

/* The largest message may come in fragments of 64 bytes. */
#define WS_LIMITS                                                                                  \
    (struct ws_limits)                                                                             \
    {                                                                                              \
        WS_MESSAGE_MAX, WS_MESSAGE_MAX / 64, 256, 1024                                             \
    }

/* ---- decoder ---- */

struct ws_dec_options {
    enum ws_role role; /* our role: a server takes masked frames only, a client unmasked ones */
    bool strict;       /* text that is not UTF-8 fails with 1007 */
    bool stream;       /* hand payload out in pieces as it comes instead of assembling messages */
    struct ws_limits limits; /* all 0: the defaults */
};

enum ws_event_kind {
    WS_EVENT_DATA, /* a message, or with .stream a piece of one */
    WS_EVENT_PING, /* answer with ws_enc_pong of the payload */
    WS_EVENT_PONG,
    WS_EVENT_CLOSE /* answer with ws_enc_close_echo unless a close was sent; nothing follows */
};

struct ws_event {
    enum ws_event_kind kind;
    enum ws_opcode opcode; /* of the message: WS_OP_TEXT or WS_OP_BINARY */
    bool first, last;      /* piece of a message; both true unless .stream */
    uint16_t code;         /* of a close; WS_CLOSE_NO_STATUS if it had none */
    struct span payload;   /* data; ping and pong payload; reason of a close */
};

struct ws_dec {
    struct ws_dec_options opt;

    /* Why decoding ended, once ws_dec_next returned an error: what to close with. */
    uint16_t close_code;
    union {
        char close_reason[64];
        uint8_t control[WS_CONTROL_MAX]; /* until then: payload of a control frame in pieces */
    };
    int error;   /* sticky */
    bool closed; /* a close frame came in */

    /* The frame that is being read. */
    uint8_t head[WS_FRAME_HEADER_MAX];
    uint8_t head_len; /* bytes of it that are here */
    bool in_payload;  /* the header is complete and taken apart */
    bool fin;
    uint8_t opcode;
    uint8_t key[4];
    uint64_t size, done; /* of the payload */

    /* The message that is being read. */
    bool in_message; /* a frame without FIN came in */
    bool started;    /* .stream: the first piece was handed out */
    uint8_t message_op;
    uint64_t message_size; /* payload of its frames so far, the current one included */
    uint32_t fragments, empty, controls;
    struct buf message;
    bool drop; /* message was handed out: empty it at the next call */
    struct utf8_check utf8;
};

void ws_dec_init(struct ws_dec *d, const struct ws_dec_options *opt);
void ws_dec_done(struct ws_dec *d);
/*
 * Reads up to the next event. *ret_used is how many bytes of p were consumed (also on error); bytes
 * of p may be changed. 1: *ret_event is filled in, its payload is valid until the next call on d
 * and as long as p is; call again with the rest. 0: all input was consumed, no event. Negative: the
 * peer broke the rules (WSPR_EPROTO, also for text that is not UTF-8), passed a limit
 * (WSPR_ELIMIT), or memory is short (WSPR_ENOMEM); send a close with d->close_code and
 * d->close_reason. After an error or a close, input is swallowed: the same error, or 0.
 */
int ws_dec_next(struct ws_dec *d, uint8_t *p, size_t len, size_t *ret_used,
                struct ws_event *ret_event);
/*
 * The last event's payload is not needed any more: gives large memory back now and not only with
 * the next call of ws_dec_next.
 */
void ws_dec_release(struct ws_dec *d);
/* Begins a new count of control frames; call it from a timer, e.g. with each ping sent. */
void ws_dec_tick(struct ws_dec *d);
/* Memory held for the message that is being assembled. */
size_t ws_dec_held(const struct ws_dec *d);
/* Bytes that are here of the message that is being assembled; 0: none is. */
size_t ws_dec_begun(const struct ws_dec *d);
/* Gives back memory that is kept for the next message. */
void ws_dec_trim(struct ws_dec *d);
/* Whether a message or frame is incomplete. */
bool ws_dec_is_busy(const struct ws_dec *d);

/* Whether a close code may travel: 1000 to 1003, 1007 to 1014, 3000 to 4999. */
bool ws_close_code_is_valid(unsigned code);

/* ---- encoder ---- */

/*
 * Appends frames to a buf, whose sticky error and maximum it leaves to the caller: a frame that
 * does not fit is not begun. A client masks; the keys come from `seed`, which must be random if an
 * intermediary could be confused by chosen bytes.
 */
struct ws_enc {
    enum ws_role role;
    uint64_t state; /* of the mask keys */
};

void ws_enc_init(struct ws_enc *enc, enum ws_role role, uint64_t seed);
/* One frame. WSPR_EINVAL for an unknown opcode or a control frame too long or not final. */
int ws_enc_frame(struct ws_enc *enc, struct buf *out, enum ws_opcode op, bool fin,
                 struct span payload);
/* One message in one frame. Errors of this and the next: buf_error(out). */
int ws_enc_text(struct ws_enc *enc, struct buf *out, struct span payload);
int ws_enc_ping(struct ws_enc *enc, struct buf *out, struct span payload);
int ws_enc_pong(struct ws_enc *enc, struct buf *out, struct span payload);
/*
 * A close frame; WS_CLOSE_NO_STATUS makes an empty one. The reason is cut to 123 bytes at a
 * character's start. WSPR_EINVAL for a code that may not travel.
 */
int ws_enc_close(struct ws_enc *enc, struct buf *out, uint16_t code, struct span reason);
/* The answer to a close that came in: the same code, no reason. */
int ws_enc_close_echo(struct ws_enc *enc, struct buf *out, const struct ws_event *event);

/*
 * Composing a frame in place: begin, append the payload to out, end. `expect` guesses the payload
 * size; a guess in the right class (up to 125, up to 65535, above) means that nothing is moved.
 * Between the two calls nothing may be consumed from out.
 */
struct ws_frame {
    size_t start;   /* of the reserved header, from the start of the content */
    size_t payload; /* of the payload */
};

void ws_frame_begin(struct ws_enc *enc, struct buf *out, size_t expect, struct ws_frame *ret_frame);
/* Completes the header. On error (buf_error(out), WSPR_EINVAL) nothing of the frame stays in out.
 */
int ws_frame_end(struct ws_enc *enc, struct buf *out, const struct ws_frame *frame,
                 enum ws_opcode op, bool fin);
/* Takes back what was begun. */
void ws_frame_cancel(struct buf *out, const struct ws_frame *frame);

/*
 * Writes a header alone, for callers that send the payload from elsewhere; key is NULL for a
 * server. Returns its length.
 */
size_t ws_frame_header(uint8_t out[WS_FRAME_HEADER_MAX], enum ws_opcode op, bool fin, uint64_t size,
                       const uint8_t *key);
/* Masks or unmasks in place; `at` is the place of p[0] in the payload. */
void ws_mask(uint8_t *p, size_t len, const uint8_t key[4], uint64_t at);

#endif
