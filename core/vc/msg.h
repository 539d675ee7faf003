/*
 * The messages between two stream managers (spec: stream 4): framing, OpenVC, CloseVC,
 * AddReceiveBuffers, OpenFlow, Data. A codec and nothing else: it can be used without a VIF, for
 * instance by a relay.
 *
 * Decoding copies nothing: the spans of a message point into the input and live as long as it. It
 * allocates only for error texts. Encoding appends to a buffer whose sticky error the caller
 * checks.
 */
#ifndef VC_MSG_H
#define VC_MSG_H

#include <stdbool.h>
#include <stdint.h>
#include "base/buf.h"
#include "base/error.h"
#include "base/span.h"

#define VC_MSG_HEADER   4u        /* type and length */
#define VC_MSG_BODY_MAX 0xffffffu /* what three bytes of length can say */
#define VC_DATA_HEADER  9u        /* VCI, flow and flags in the body of Data */
#define VC_DATA_MAX     (VC_MSG_BODY_MAX - VC_DATA_HEADER)
#define VC_PLAIN_MAX    65536u /* most plaintext that we put into one Data message */
#define VC_FLAG_CLOSE   1u     /* Data: the flow ends behind this payload */
#define VC_FLOW_SHARED  0u     /* in counters: the pool that the flows of a circuit share */
#define VC_COUNTER_MAX  15u    /* most bytes that one counter takes */

enum vc_msg_kind {
    VC_MSG_OPEN_VC = 0, /* the numbers of control messages are those of the wire */
    VC_MSG_CLOSE_VC = 1,
    VC_MSG_CREDIT = 2, /* AddReceiveBuffers */
    VC_MSG_OPEN_FLOW = 3,
    VC_MSG_DATA = 4,
};

/* "Ready to receive so many more bytes on this flow." */
struct vc_counter {
    uint32_t vci;
    uint32_t flow;
    uint32_t bytes;
};

/* Counters as they stand on the wire, checked; read them with vc_counters_next(). */
struct vc_counters {
    uint64_t n;
    struct span wire; /* n times three varints */
};

/* Members that a kind does not have are zero. */
struct vc_msg {
    enum vc_msg_kind kind;
    uint32_t vci;         /* all but CREDIT */
    uint32_t flow;        /* OPEN_FLOW, DATA */
    uint32_t bytes;       /* OPEN_FLOW: what its sender is ready to receive */
    uint8_t flags;        /* DATA, all eight bits as received */
    struct span dst, src; /* OPEN_VC: endpoint texts; that they parse is for the caller to check */
    struct span text;     /* CLOSE_VC: error text, any bytes, empty for an orderly close */
    struct span payload;  /* DATA */
    struct vc_counters counters; /* OPEN_VC, CREDIT */
};

/*
 * Takes the first message from the front of *in. 1: decoded, *in is advanced. 0: the message is not
 * complete; *ret_need (may be NULL) is the total of bytes, header included, that it takes, or
 * VC_MSG_HEADER while the header is not there. WSPR_EPROTO: no such message exists, close the
 * connection. WSPR_ELIMIT: its body is longer than `most`, known as soon as the header is; close
 * the connection too.
 */
int vc_msg_next(struct span *in, size_t most, struct vc_msg *ret_msg, size_t *ret_need,
                struct err *e);
/* Decodes one body without its header. type is the first byte of the header. */
int vc_msg_decode(uint8_t type, struct span body, struct vc_msg *ret_msg, struct err *e);

/*
 * Takes the next counter; false at the end. Numbers above 32 bits come out modulo 2^32. The same
 * flow may come more than once: the bytes add up modulo 2^32.
 */
bool vc_counters_next(struct vc_counters *c, struct vc_counter *ret_counter);

/*
 * Encoding. Each appends one message to out, or nothing and fails: WSPR_ELIMIT if the body would be
 * too long ("integer too large to represent in 3 bytes"), WSPR_ENOMEM or WSPR_ELIMIT if out cannot
 * take it (out's error is set then).
 */
int vc_msg_put_open_vc(struct buf *out, uint32_t vci, struct span dst, struct span src,
                       const struct vc_counter *counters, size_t n);
int vc_msg_put_close_vc(struct buf *out, uint32_t vci, struct span text);
int vc_msg_put_credit(struct buf *out, const struct vc_counter *counters, size_t n);
int vc_msg_put_open_flow(struct buf *out, uint32_t vci, uint32_t flow, uint32_t bytes);
int vc_msg_put_data(struct buf *out, uint32_t vci, uint32_t flow, uint8_t flags,
                    struct span payload);
/* Any message again, with its numbers as they are in *msg: what a relay sends on. */
int vc_msg_put(struct buf *out, const struct vc_msg *msg);

/*
 * Data whose payload is made in place. Begin appends the headers and returns where the message
 * stands; the caller appends the payload to out; end fills in what begin could not know. If end
 * fails, or the caller gives up, vc_msg_undo() takes the message back.
 */
size_t vc_msg_begin_data(struct buf *out, uint32_t vci, uint32_t flow);
int vc_msg_end_data(struct buf *out, size_t at, uint8_t flags);
void vc_msg_undo(struct buf *out, size_t at);

/* Pieces of the counters of a message, for whoever writes them in place: their number, at most 5
 * bytes, and one counter, at most VC_COUNTER_MAX bytes. Return how many bytes were written. */
size_t vc_varint_write(uint8_t *p, uint32_t v);
size_t vc_counter_write(uint8_t *p, const struct vc_counter *counter);

#endif
