#include "config.h"
#include "world.h"

#include "base/hex.h"
#include "security/channel.h"

/* The payload of a recorded Data message: the last bytes of it. */
static struct buf payload_of(struct json_object *message)
{
    struct buf b = vec_hex(vec_str(message, "hex"));
    size_t len = (size_t)vec_int(vec_get(message, "decoded"), "payload_len");

    if (len > b.len)
        abort();
    buf_consume(&b, b.len - len);
    return b;
}

static bool same_flow(struct json_object *a, struct json_object *b)
{
    struct json_object *x = vec_get(a, "decoded"), *y = vec_get(b, "decoded");

    return vec_str(x, "msg") != NULL && strcmp(vec_str(x, "msg"), "Data") == 0 &&
           strcmp(vec_str(a, "dir"), vec_str(b, "dir")) == 0 &&
           vec_int(x, "vci") == vec_int(y, "vci") && vec_int(x, "flow") == vec_int(y, "flow") &&
           vec_int(a, "conn") == vec_int(b, "conn");
}

/* The definition and the value of an identity message travel in two messages. */
static struct buf whole_message(struct json_object *messages, size_t i)
{
    struct json_object *value = json_object_array_get_idx(messages, i);
    struct buf b = BUF_INIT(10000), p;

    for (size_t k = i; k-- > 0;) {
        struct json_object *before = json_object_array_get_idx(messages, k);

        if (same_flow(before, value)) {
            p = payload_of(before);
            buf_append_span(&b, buf_span(&p));
            buf_done(&p);
            break;
        }
    }
    p = payload_of(value);
    buf_append_span(&b, buf_span(&p));
    buf_done(&p);
    return b;
}

static void check_signature(const struct security_identity *id, struct span channel_id,
                            struct json_object *plain, const char *what)
{
    struct err e = ERR_INIT;

    if (vec_str(plain, "Signature") != NULL) {
        struct buf s = vec_hex(vec_str(plain, "Signature"));

        TAP_OK(security_channel_verify_vom(id, channel_id, buf_span(&s), &e) == 0, "%s: %s", what,
               err_text(&e));
        /* The signature covers the whole ciphertext, which is below 32 bytes. */
        TAP_OK(security_channel_verify_vom(id, span_of(channel_id.p, channel_id.len - 1),
                                           buf_span(&s), &e) == WSPR_ECRYPTO,
               "%s", what);
        TAP_OK(strcmp(err_text(&e),
                      "channel id signature does not match in authentication message") == 0,
               "%s", err_text(&e));
        TAP_OK(security_channel_verify_vom(id, channel_id, span_of(s.base, s.len - 1), &e) < 0 &&
                   strncmp(err_text(&e), "failed to decode security.Signature: ", 37) == 0,
               "%s", err_text(&e));
        buf_done(&s);
    } else {
        struct buf r = vec_hex(vec_str(plain, "SignR")), s = vec_hex(vec_str(plain, "SignS"));

        TAP_OK(security_channel_verify(id, channel_id, buf_span(&r), buf_span(&s), &e) == 0,
               "%s: %s", what, err_text(&e));
        TAP_OK(security_channel_verify(id, channel_id, buf_span(&s), buf_span(&r), &e) ==
                   WSPR_ECRYPTO,
               "%s", what);
        buf_done(&r);
        buf_done(&s);
    }
    err_done(&e);
}

static void check_message(struct json_object *messages, size_t i, const char *what)
{
    struct json_object *o = json_object_array_get_idx(messages, i);
    struct json_object *im = vec_get(vec_get(o, "decoded"), "identity_message");
    struct json_object *plain = vec_get(im, "fields_plain");
    bool server = strcmp(vec_str(im, "channel_text"), "server") == 0;
    struct buf b = whole_message(messages, i), again = BUF_INIT(10000);
    struct buf label = vec_hex(vec_str(plain, "ChannelID")), id = vec_hex(vec_str(plain, "ID"));
    struct security_identity *identity = NULL;
    struct security_channel_message m;
    struct err e = ERR_INIT;
    size_t used = 0;

    TAP_OK(security_channel_decode(buf_span(&b), &m, &used, &e) == 0 && used == b.len, "%s: %s",
           what, err_text(&e));
    TAP_OK(security_channel_encode(&again, &m) == 0 && span_equal(buf_span(&again), buf_span(&b)),
           "%s: encoded again", what);
    TAP_OK(security_channel_check_label(buf_span(&label), server, &e) == 0, "%s", what);
    TAP_OK(security_channel_check_label(buf_span(&label), !server, &e) == WSPR_EPROTO &&
               strcmp(err_text(&e), "channel id does not match expectation") == 0,
           "%s", what);
    TAP_OK(security_channel_identity(buf_span(&id), 0, &identity, &e) == 0, "%s: %s", what,
           err_text(&e));
    if (identity != NULL)
        check_signature(identity, m.channel_id, plain, what);
    for (size_t cut = 0; cut < b.len; cut++)
        TAP_OK(security_channel_decode(span_of(b.base, cut), &m, &used, &e) == WSPR_EAGAIN,
               "%s cut at %zu", what, cut);
    security_identity_unref(identity);
    buf_done(&b);
    buf_done(&again);
    buf_done(&label);
    buf_done(&id);
    err_done(&e);
}

static void recorded_messages(void)
{
    struct json_object *doc = vectors_load("handshake_v2.json");
    struct json_object *sessions = vec_get(doc, "sessions");
    unsigned n = 0;

    for (size_t s = 0; s < json_object_array_length(sessions); s++) {
        struct json_object *session = json_object_array_get_idx(sessions, s);
        struct json_object *messages = vec_get(session, "messages");

        for (size_t i = 0; i < json_object_array_length(messages); i++) {
            struct json_object *o = json_object_array_get_idx(messages, i);

            if (vec_get(vec_get(o, "decoded"), "identity_message") == NULL)
                continue;
            check_message(messages, i, vec_str(session, "name"));
            n++;
        }
    }
    json_object_put(doc);
    tap_note("handshake_v2.json identity messages: %u", n);
    TAP_IS(n == 22);
}

static void both_versions(void)
{
    static const uint8_t cipher[35] = {23, 3, 3, 0, 30, 1, 2, 3};
    struct security_private *priv = world_private("root-alice");
    struct security_private *placeholder = world_private("fake");
    struct span channel_id = span_of(cipher, sizeof cipher);
    struct security_signed s;
    struct security_signature v;
    struct buf vom = BUF_INIT(1000);
    struct err e = ERR_INIT;

    TAP_IS(security_channel_sign(priv, channel_id, &s, &e) == 0);
    v = security_signed_view(&s);
    TAP_IS(security_channel_verify(security_private_public(priv), channel_id, v.r, v.s, &e) == 0);
    security_signature_encode(&vom, &v);
    TAP_IS(security_channel_verify_vom(security_private_public(priv), channel_id, buf_span(&vom),
                                       &e) == 0);
    TAP_IS(security_channel_sign(placeholder, channel_id, &s, &e) == WSPR_ECRYPTO);
    security_private_unref(priv);
    security_private_unref(placeholder);
    buf_done(&vom);
    err_done(&e);
}

static void identity_errors(void)
{
    /* A nil interface, a nil pointer of the right type, and half an identity. */
    static const char nil_interface[] = "020100";
    struct buf b = vec_hex(nil_interface), whole;
    struct security_identity *id;
    struct err e = ERR_INIT;

    TAP_IS(security_channel_identity(buf_span(&b), 0, &id, &e) == WSPR_EPROTO);
    TAP_OK(strcmp(err_text(&e), "invalid identity in authentication message") == 0, "%s",
           err_text(&e));
    whole = vec_hex(vec_str(world_entry("identities", "root-alice-pub"), "vom"));
    /* The definitions stay, the value becomes a nil pointer. */
    buf_truncate(&whole, 0x1fe);
    buf_append(&whole, "\xff\x82\x01\x00", 4);
    TAP_IS(security_channel_identity(buf_span(&whole), 0, &id, &e) == WSPR_EPROTO);
    TAP_OK(strcmp(err_text(&e), "invalid identity in authentication message") == 0, "%s",
           err_text(&e));
    TAP_IS(security_identity_decode(buf_span(&whole), 0, &id, &e) == WSPR_EINVAL);
    TAP_IS(security_channel_identity(span_of(whole.base, 100), 0, &id, &e) == WSPR_ETRUNC);
    TAP_OK(strcmp(err_text(&e), "failed to decode security.PublicID: EOF") == 0, "%s",
           err_text(&e));
    buf_done(&b);
    buf_done(&whole);
    err_done(&e);
}

static void message_errors(void)
{
    static const char *const bad[] = {
        "ff8200",                 /* a value of an unknown type */
        "0601 61",                /* a string */
        "ff810418010700ff820100", /* a broken definition */
        "5b",                     /* no message at all */
    };
    struct security_channel_message m;
    struct err e = ERR_INIT;
    size_t used;

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        char text[64];
        size_t n = 0;
        struct buf b;

        for (const char *p = bad[i]; *p != '\0'; p++) {
            if (*p != ' ')
                text[n++] = *p;
        }
        text[n] = '\0';
        b = vec_hex(text);
        TAP_OK(security_channel_decode(buf_span(&b), &m, &used, &e) < 0 &&
                   strncmp(err_text(&e), "failed to decode identityMessage: ", 34) == 0,
               "%s: %s", bad[i], err_text(&e));
        buf_done(&b);
    }
    err_done(&e);
}

/* A peer may not make us wait for more than an identity can be. */
static void endless_messages(void)
{
    struct buf b = BUF_INIT(SIZE_MAX);
    struct security_channel_message m = {.id = {NULL, 0}};
    struct err e = ERR_INIT;
    size_t used;
    uint8_t *huge = calloc(1, SECURITY_CHANNEL_MAX + 1000);

    m.id = span_of(huge, SECURITY_CHANNEL_MAX + 1000);
    TAP_IS(security_channel_encode(&b, &m) == 0);
    TAP_IS(security_channel_decode(span_of(b.base, 200), &m, &used, &e) == WSPR_ELIMIT);
    free(huge);
    buf_done(&b);
    err_done(&e);
}

static const struct tap_case cases[] = {
    {"recorded messages", recorded_messages},  {"both versions", both_versions},
    {"errors of identities", identity_errors}, {"errors of messages", message_errors},
    {"endless messages", endless_messages},
};
const struct tap_suite suite_channel = TAP_SUITE("channel", cases);
