#include "config.h"
#include "world.h"

#include "base/hex.h"
#include "base/mem.h"
#include "failmalloc.h"
#include "security/digest.h"
#include "security/reserve.h"

static int parse_hex_key(const char *hex, struct security_pubkey *k)
{
    struct buf b = vec_hex(hex);
    int r = security_pubkey_parse(buf_span(&b), k, NULL);

    buf_done(&b);
    return r;
}

static struct security_pubkey point_of(const char *x, const char *y)
{
    struct buf b = BUF_INIT(130);
    struct security_pubkey k = {{0}};

    buf_append_str(&b, "04");
    buf_append_str(&b, x);
    buf_append_str(&b, y);
    TAP_IS(parse_hex_key(buf_cstr(&b), &k) == 0);
    buf_done(&b);
    return k;
}

static void keys_of_the_vectors(void)
{
    struct json_object *keys = vec_get(world(), "keys");
    unsigned n = 0;

    json_object_object_foreach(keys, name, o)
    {
        struct security_key *k = world_key(name);
        struct security_pubkey p;

        TAP_OK(is_hex(span_of(security_key_public(k)->xy, SECURITY_POINT_LEN), vec_str(o, "xy")),
               "%s", name);
        TAP_OK(is_hex(security_key_scalar(k), vec_str(o, "d")), "%s", name);
        TAP_OK(parse_hex_key(vec_str(o, "xy"), &p) == 0 &&
                   security_pubkey_equal(&p, security_key_public(k)),
               "%s", name);
        security_key_unref(k);
        n++;
    }
    tap_note("identity.json keys: %u", n);
    TAP_IS(n == 12);
}

static void raw_signatures(void)
{
    struct json_object *group = world_group("signatures");
    unsigned valid = 0, invalid = 0;

    for (size_t i = 0; i < json_object_array_length(group); i++) {
        struct json_object *o = json_object_array_get_idx(group, i);
        struct json_object *sig = vec_get(o, "signature");
        struct security_pubkey k = point_of(vec_str(o, "x"), vec_str(o, "y"));
        struct buf m = vec_hex(vec_str(o, "message"));
        struct buf r = vec_hex(vec_str(sig, "r")), s = vec_hex(vec_str(sig, "s"));
        struct security_signature x = {span_str(vec_str(sig, "hash")), buf_span(&r), buf_span(&s)};
        bool want = vec_bool(o, "valid");

        TAP_OK(security_verify(&k, buf_span(&m), &x) == want, "%s", vec_str(o, "description"));
        valid += want;
        invalid += !want;
        buf_done(&m);
        buf_done(&r);
        buf_done(&s);
    }
    tap_note("identity.json signatures: %u valid, %u invalid", valid, invalid);
    TAP_IS(valid + invalid == 26 && invalid > 5);
}

static void channel_signatures(void)
{
    struct json_object *stream = vectors_load("stream.json"), *list = vec_get(stream, "vectors");
    unsigned n = 0;

    for (size_t i = 0; i < json_object_array_length(list); i++) {
        struct json_object *o = json_object_array_get_idx(list, i);
        struct security_pubkey k;
        struct security_signature x = {{NULL, 0}, {NULL, 0}, {NULL, 0}};
        struct buf m, r, s;

        if (strcmp(vec_str(o, "kind"), "channel_signature") != 0)
            continue;
        k = point_of(vec_str(o, "public_x"), vec_str(o, "public_y"));
        m = vec_hex(vec_str(o, "message"));
        r = vec_hex(vec_str(o, "r"));
        s = vec_hex(vec_str(o, "s"));
        x.r = buf_span(&r);
        x.s = buf_span(&s);
        TAP_OK(security_verify(&k, buf_span(&m), &x) == !!vec_bool(o, "valid"), "%s",
               vec_str(o, "note"));
        n++;
        buf_done(&m);
        buf_done(&r);
        buf_done(&s);
    }
    json_object_put(stream);
    tap_note("stream.json channel_signature: %u", n);
    TAP_IS(n == 7);
}

static void malformed_points(void)
{
    /* A good point, with one thing wrong at a time. */
    static const char good[] = "041890668e2a02128a4007b32d931afd1083eceb18ab25c4d2c07426933630c29e"
                               "73b8f765d2d0cb5a15168b15ca57386e42719efffc85d0116086cd67d7e84752";
    static const char *const bad[] = {
        "",
        "04",
        /* compressed */
        "031890668e2a02128a4007b32d931afd1083eceb18ab25c4d2c07426933630c29e",
        /* another first byte */
        "051890668e2a02128a4007b32d931afd1083eceb18ab25c4d2c07426933630c29e"
        "73b8f765d2d0cb5a15168b15ca57386e42719efffc85d0116086cd67d7e84752",
        /* off the curve */
        "041890668e2a02128a4007b32d931afd1083eceb18ab25c4d2c07426933630c29e"
        "73b8f765d2d0cb5a15168b15ca57386e42719efffc85d0116086cd67d7e84753",
        /* one byte more */
        "041890668e2a02128a4007b32d931afd1083eceb18ab25c4d2c07426933630c29e"
        "73b8f765d2d0cb5a15168b15ca57386e42719efffc85d0116086cd67d7e8475200",
        /* the point at infinity, as zeros */
        "040000000000000000000000000000000000000000000000000000000000000000"
        "0000000000000000000000000000000000000000000000000000000000000000",
        /* x = p + 5, y of x = 5: the same residue, not below p */
        "04ffffffff00000001000000000000000000000001000000000000000000000004"
        "459243b9aa581806fe913bce99817ade11ca503c64d9a3c533415c083248fbcc",
    };
    struct security_pubkey k;

    TAP_IS(parse_hex_key(good, &k) == 0);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        TAP_OK(parse_hex_key(bad[i], &k) == WSPR_ECRYPTO, "malformed point %zu", i);
}

static void scalars(void)
{
    static const char n[] = "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551";
    static const char n_1[] = "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632550";
    static const char *const bad[] = {"", "00", "000000", n,
                                      "0100000000000000000000000000000000000000"
                                      "00000000000000000000000000"};
    struct security_key *k;
    struct err e = ERR_INIT;
    struct buf b;

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        b = vec_hex(bad[i]);
        TAP_OK(security_key_from_scalar(buf_span(&b), &k, &e) == WSPR_ECRYPTO, "scalar %zu", i);
        /* No part of a key in a text. */
        TAP_OK(strstr(err_text(&e), "ffff") == NULL && strlen(err_text(&e)) < 60, "%s",
               err_text(&e));
        buf_done(&b);
    }
    b = vec_hex(n_1);
    TAP_IS(security_key_from_scalar(buf_span(&b), &k, &e) == 0);
    security_key_unref(k);
    buf_done(&b);
    b = vec_hex("00000001");
    TAP_IS(security_key_from_scalar(buf_span(&b), &k, &e) == 0);
    TAP_IS(is_hex(security_key_scalar(k), "01"));
    /* The generator of the group. */
    TAP_IS(is_hex(span_of(security_key_public(k)->xy, 33),
                  "046b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296"));
    security_key_unref(k);
    buf_done(&b);
    err_done(&e);
}

static void signs_what_it_verifies(void)
{
    uint8_t message[80];
    struct security_signed first;
    struct security_key *k, *other;

    for (size_t i = 0; i < sizeof message; i++)
        message[i] = (uint8_t)(i * 37 + 1);
    TAP_IS(security_key_generate(&k, NULL) == 0 && security_key_generate(&other, NULL) == 0);
    TAP_IS(!security_pubkey_equal(security_key_public(k), security_key_public(other)));
    memset(&first, 0, sizeof first);
    for (size_t len = 0; len <= sizeof message; len += 4) {
        struct security_signed s;
        struct security_signature v;

        TAP_IS(security_sign(k, span_of(message, len), &s, NULL) == 0);
        v = security_signed_view(&s);
        TAP_OK(security_verify(security_key_public(k), span_of(message, len), &v), "%zu", len);
        TAP_OK(!security_verify(security_key_public(other), span_of(message, len), &v), "%zu", len);
        TAP_OK(v.r.len > 0 && v.r.p[0] != 0 && v.s.len > 0 && v.s.p[0] != 0, "%zu", len);
        TAP_OK(security_verify(security_key_public(k), span_of(message, len < 32 ? len : 32), &v),
               "%zu: what counts are 32 bytes", len);
        /* A nonce that comes twice would give the key away. */
        TAP_OK(first.r_len != s.r_len || memcmp(first.r, s.r, s.r_len) != 0, "%zu", len);
        first = s;
    }
    security_key_unref(k);
    security_key_unref(other);
}

static void short_numbers_are_stripped(void)
{
    struct security_key *k;
    unsigned tries = 0;
    bool found = false;

    TAP_IS(security_key_generate(&k, NULL) == 0);
    /* One signature in 128 has a short R or S. */
    while (!found && tries++ < 4000) {
        struct security_signed s;
        struct security_signature v;

        if (security_sign(k, span_str("short"), &s, NULL) < 0)
            break;
        found = s.r_len < 32 || s.s_len < 32;
        v = security_signed_view(&s);
        if (found)
            TAP_IS(v.r.p[0] != 0 && v.s.p[0] != 0 &&
                   security_verify(security_key_public(k), span_str("short"), &v));
    }
    TAP_IS(found);
    security_key_unref(k);
}

static void signature_on_the_wire(void)
{
    struct json_object *o =
        vec_get(json_object_array_get_idx(world_group("signatures"), 1), "signature");
    struct buf r = vec_hex(vec_str(o, "r")), s = vec_hex(vec_str(o, "s")), out = BUF_INIT(1000);
    struct security_signature x = {span_of(NULL, 0), buf_span(&r), buf_span(&s)}, y;
    struct arena a = ARENA_INIT(100000);
    struct buf want = BUF_INIT(1000);

    /* spec: stream 8.3 gives the bytes */
    TAP_IS(security_signature_encode(&out, &x) == 0 && out.len == 158);
    hex_decode(&want,
               "ff81351801030142010448617368000104010152000104010153000"
               "11a766579726f6e322f73656375726974792e5369676e617475726500",
               112);
    TAP_IS(out.len > want.len && memcmp(buf_data(&out), buf_data(&want), want.len) == 0);
    TAP_IS(security_signature_decode(buf_span(&out), &a, &y, NULL) == 0);
    TAP_IS(security_signature_equal(&x, &y));
    for (size_t cut = 0; cut < out.len; cut++) {
        arena_reset(&a);
        TAP_OK(security_signature_decode(span_of(buf_data(&out), cut), &a, &y, NULL) < 0, "%zu",
               cut);
    }
    buf_u8(&out, 0);
    TAP_IS(security_signature_decode(buf_span(&out), &a, &y, NULL) < 0);
    arena_done(&a);
    buf_done(&want);
    buf_done(&out);
    buf_done(&r);
    buf_done(&s);
}

/* GMP would end the process at the first allocation that fails. */
static void signs_when_memory_is_short(void)
{
    struct security_signature view;
    struct security_signed made;
    struct security_key *key;
    unsigned long n = 0, count;
    unsigned good = 0;

    TAP_IS(security_key_generate(&key, NULL) == 0);
    security_reserve();
    do {
        bool ok;

        failmalloc_at(++n);
        ok = security_sign(key, span_str("x"), &made, NULL) == 0;
        view = security_signed_view(&made);
        ok = ok && security_verify(security_key_public(key), span_str("x"), &view);
        count = failmalloc_count();
        failmalloc_at(0);
        good += ok;
    } while (count >= n);
    tap_note("%lu allocations of a signature failed, %u signatures were good", n - 1, good);
    TAP_IS(n > 4 && good + 4 >= n);
    security_key_unref(key);
}

static const struct tap_case cases[] = {
    {"keys of the vectors", keys_of_the_vectors},
    {"raw signatures", raw_signatures},
    {"signatures of channels", channel_signatures},
    {"malformed points are refused", malformed_points},
    {"scalars have a range", scalars},
    {"signs what it verifies", signs_what_it_verifies},
    {"short numbers are stripped", short_numbers_are_stripped},
    {"a signature on the wire", signature_on_the_wire},
    {"signs when memory is short", signs_when_memory_is_short},
};
const struct tap_suite suite_key = TAP_SUITE("key", cases);
