/* Private keys leave nothing behind: neither in memory that is released nor in error texts. */
#include "config.h"
#include "watch.h"
#include "world.h"

#include "base/hex.h"
#include "base/mem.h"
#include "security/idfile.h"

static void secrets_are_wiped(void)
{
    struct buf text = BUF_INIT(SECURITY_TEXT_MAX), again = BUF_INIT(SECURITY_TEXT_MAX);
    struct security_private *set = watched(&text), *id = NULL, *derived = NULL;
    struct security_signed s;

    /* The check finds what is there to be found. */
    free(mem_dup(secret, sizeof secret));
    TAP_IS(leaks == 1);
    leaks = 0;
    TAP_IS(security_idfile_parse_private(buf_span(&text), 0, &id, NULL) == 0);
    TAP_IS(security_idfile_print_private(&again, id) == 0);
    TAP_IS(span_equal(buf_span(&again), buf_span(&text)));
    TAP_IS(memmem(buf_data(&again), again.len, secret_text, strlen(secret_text)) != NULL);
    TAP_IS(security_sign(security_private_key(id), span_str("x"), &s, NULL) == 0);
    TAP_IS(security_private_derive(id, security_private_public(id), &derived, NULL) == 0);
    security_private_unref(id);
    security_private_unref(derived);
    security_private_unref(set);
    security_buf_wipe(&again);
    security_buf_wipe(&text);
    TAP_OK(leaks == 0, "%u pieces of memory with the secret in them", leaks);
    unwatch();
}

/*
 * The same secret as a list of 16-bit numbers, which is legal: what was made of it on the way is
 * wiped as well.
 */
static void secrets_in_other_types_are_wiped(void)
{
    static const uint8_t field[] = {1, 4, 1, 6, 'S', 'e', 'c', 'r', 'e', 't'};
    struct buf text = BUF_INIT(SECURITY_TEXT_MAX), vom = BUF_INIT(SECURITY_IDENTITY_MAX);
    struct buf b = BUF_INIT(SECURITY_IDENTITY_MAX), value = BUF_INIT(SECURITY_IDENTITY_MAX);
    struct security_private *set = watched(&text), *id = NULL, *one;
    const size_t defs = 580; /* spec: security 3.1 */
    struct err e = ERR_INIT;
    size_t at, body;

    /* A chain: 580 bytes of definitions, its id, a length of two bytes, the value. */
    TAP_IS(security_private_new_with_key(span_str("c"), security_private_key(set), &one, &e) == 0);
    TAP_IS(security_private_encode(&vom, one) == 0 && vom.base[defs + 2] == 0xff);
    buf_append(&b, vom.base, defs);
    at = (size_t)((uint8_t *)memmem(b.base, defs, field, sizeof field) - b.base);
    b.base[at + 1] = 78;
    buf_append(&b, "\xff\x9b\x04\x12\x01\x33\x00", 7); /* 78: list of uint16 */
    body = defs + 4;
    buf_append(&value, vom.base + body, vom.len - body - sizeof secret - 1);
    for (size_t i = 0; i < sizeof secret; i++) {
        if (secret[i] >= 0x80)
            buf_u8(&value, 0xff);
        buf_u8(&value, secret[i]);
    }
    buf_u8(&value, 0);
    buf_append(&b, "\xff\x82\xff", 3);
    TAP_IS(value.len < 256);
    buf_u8(&b, (uint8_t)value.len);
    buf_append_span(&b, buf_span(&value));
    TAP_OK(security_private_decode(buf_span(&b), 0, &id, &e) == 0, "%s", err_text(&e));
    security_private_unref(id);
    security_private_unref(one);
    security_private_unref(set);
    security_buf_wipe(&text);
    security_buf_wipe(&vom);
    security_buf_wipe(&b);
    security_buf_wipe(&value);
    TAP_OK(leaks == 0, "%u pieces of memory with the secret in them", leaks);
    unwatch();
    err_done(&e);
}

/* An error text holds no byte of a key, neither raw nor in hexadecimal or base64. */
static bool mentions(const struct err *e, const uint8_t *key, size_t len)
{
    struct buf hex = BUF_INIT(200);
    const char *text = err_text(e);
    bool found;

    hex_encode(&hex, key, len);
    found = memmem(text, strlen(text), key, len) != NULL || strstr(text, buf_cstr(&hex)) != NULL ||
            strstr(text, secret_text) != NULL;
    buf_done(&hex);
    return found;
}

static void texts_hold_no_keys(void)
{
    static const size_t piece = 6; /* of the scalar: few enough to catch a part of it */
    struct buf text = BUF_INIT(SECURITY_TEXT_MAX), vom = BUF_INIT(SECURITY_IDENTITY_MAX);
    struct security_private *set = watched(&text), *id;
    unsigned failures = 0;

    TAP_IS(security_private_encode(&vom, set) == 0);
    TAP_IS(memmem(vom.base, vom.len, secret, sizeof secret) != NULL);
    for (size_t i = 0; i < vom.len; i++) {
        struct err e = ERR_INIT;

        vom.base[i] ^= 0x15;
        id = NULL;
        if (security_private_decode(buf_span(&vom), 0, &id, &e) < 0) {
            failures++;
            for (size_t k = 0; k + piece <= sizeof secret; k++)
                TAP_OK(!mentions(&e, secret + k, piece), "byte %zu: %s", i, err_text(&e));
        }
        security_private_unref(id);
        vom.base[i] ^= 0x15;
        err_done(&e);
    }
    /* Text that is no base64 any more. */
    for (size_t i = 0; i < text.len; i++) {
        uint8_t was = buf_data(&text)[i];
        struct err e = ERR_INIT;

        buf_data(&text)[i] = '+';
        TAP_IS(security_idfile_parse_private(buf_span(&text), 0, &id, &e) < 0);
        TAP_OK(!mentions(&e, secret, piece), "%s", err_text(&e));
        buf_data(&text)[i] = was;
        err_done(&e);
    }
    TAP_IS(failures > 300);
    TAP_OK(leaks == 0, "%u pieces of memory with the secret in them", leaks);
    unwatch();
    security_private_unref(set);
    security_buf_wipe(&vom);
    security_buf_wipe(&text);
}

static const struct tap_case cases[] = {
    {"secrets are wiped", secrets_are_wiped},
    {"secrets in other types are wiped", secrets_in_other_types_are_wiped},
    {"texts hold no keys", texts_hold_no_keys},
};
const struct tap_suite suite_secrets = TAP_SUITE("secrets", cases);
