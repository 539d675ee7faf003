#include "config.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "json/writer.h"
#include "security/caveat.h"
#include "security/identity.h"
#include "security/trust.h"
#include "security/types.h"
#include "vom/convert.h"
#include "vom/dec.h"
#include "vom/json_out.h"
#include "vom/wiretypes.h"
#include "wspr.h"
#include "wspr_identity.h"

#define TEXT_MAX   (4 * 1024 * 1024)
#define COORDINATE 32

/* ---- parts ---- */

/* 32 bytes, the highest first, in decimal. */
static void put_decimal(struct buf *out, const uint8_t *p)
{
    uint32_t words[COORDINATE / 4];
    char digits[80];
    size_t n = sizeof digits;
    bool more = true;

    for (size_t i = 0; i < COORDINATE / 4; i++)
        words[i] = (uint32_t)p[4 * i] << 24 | (uint32_t)p[4 * i + 1] << 16 |
                   (uint32_t)p[4 * i + 2] << 8 | p[4 * i + 3];
    while (more) {
        uint64_t rest = 0;

        more = false;
        for (size_t i = 0; i < COORDINATE / 4; i++) {
            rest = rest << 32 | words[i];
            words[i] = (uint32_t)(rest / 10);
            rest %= 10;
            more = more || words[i] != 0;
        }
        digits[--n] = (char)('0' + rest);
    }
    buf_append(out, digits + n, sizeof digits - n);
}

void cli_time_text(struct buf *out, int64_t ns)
{
    int64_t sec = ns / CLOCK_S, rest = ns % CLOCK_S;
    time_t t = (time_t)(rest < 0 ? sec - 1 : sec);
    struct tm tm;

    if (rest < 0)
        rest += CLOCK_S;
    if (gmtime_r(&t, &tm) == NULL) {
        buf_append_str(out, "?");
        return;
    }
    buf_printf(out, "%04d-%02d-%02dT%02d:%02d:%02d", tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday,
               tm.tm_hour, tm.tm_min, tm.tm_sec);
    if (rest != 0)
        buf_printf(out, ".%09" PRId64, rest);
    buf_u8(out, 'Z');
}

static const char *type_name(const struct cli_id *id)
{
    switch (security_identity_variant(id->pub)) {
    case SECURITY_SET:
        return id->priv != NULL ? "security.setPrivateID" : "*security.setPublicID";
    case SECURITY_PLACEHOLDER:
        return "security.fakeID";
    case SECURITY_CHAIN:
        break;
    }
    return id->priv != NULL ? "*security.chainPrivateID" : "*security.chainPublicID";
}

static const char *variant_name(const struct security_identity *id)
{
    static const char *const names[] = {"chain", "set", "placeholder"};

    return names[security_identity_variant(id)];
}

void cli_id_put(struct cli *cli, const struct cli_id *id, const struct security_trust *trust)
{
    const uint8_t *xy = security_identity_key(id->pub)->xy;
    struct buf out = BUF_INIT(TEXT_MAX);

    cli_put(cli, span_str("Name     :  "));
    security_identity_print(&out, id->pub, trust);
    cli_put_text(cli, buf_span(&out));
    buf_reset(&out);
    buf_printf(&out, "\nGo Type  : %s\nPublicKey: <Cannot print the elliptic curve>\n        X:  ",
               type_name(id));
    put_decimal(&out, xy + 1);
    buf_append_str(&out, "\n        Y:  ");
    put_decimal(&out, xy + 1 + COORDINATE);
    buf_append_str(&out, "\nAny caveats in the identity are not printed\n");
    cli_put(cli, buf_span(&out));
    buf_done(&out);
}

/* ---- caveats ---- */

/* The instant of a field of an Expiry. */
static void put_instant(struct buf *out, const struct vom_value *expiry, size_t field)
{
    struct vom_value v = vom_value_at(expiry, field);
    struct vom_time t = {VOM_TIME_YEAR_1, 0, -1};

    if (v.s.len > 0 && vom_time_get(v.s, &t, NULL) < 0) {
        buf_append_str(out, "?");
        return;
    }
    if (t.sec >= INT64_MAX / CLOCK_S || t.sec < INT64_MIN / CLOCK_S) {
        buf_printf(out, "%" PRId64 " s from 1970", t.sec);
        return;
    }
    cli_time_text(out, t.sec * CLOCK_S + t.nsec);
}

/* Whether the value has the name of this type and can be read as one: anybody may use the name. */
static bool reads_as(struct arena *a, const struct vom_value *v, const struct vom_type *type,
                     struct vom_value *ret_as)
{
    return span_equal(v->type->name, type->name) &&
           vom_convert(a, v, type, NULL, ret_as, NULL) >= 0;
}

/* What a caveat says, for people: "until 2027-01-01T00:00:00Z", "methods [\"Get\"]". */
static void put_caveat(struct buf *out, const struct security_caveat *caveat)
{
    struct arena a = ARENA_INIT(TEXT_MAX);
    struct vom_value v, as;

    if (vom_decode(caveat->bytes, NULL, &a, &v, NULL, NULL) < 0) {
        buf_append_str(out, "something that cannot be decoded");
        arena_done(&a);
        return;
    }
    v = vom_value_deref(v);
    if (v.type == NULL) {
        buf_append_str(out, "nothing");
    } else if (reads_as(&a, &v, &security_type_expiry, &as)) {
        buf_append_str(out, "from ");
        put_instant(out, &as, SECURITY_EXPIRY_ISSUED);
        buf_append_str(out, " until ");
        put_instant(out, &as, SECURITY_EXPIRY_EXPIRES);
    } else if (reads_as(&a, &v, &security_type_third_party, &as)) {
        buf_append_str(out, "needs a discharge from ");
        json_quote(out, vom_value_at(&as, SECURITY_THIRD_LOCATION).s);
    } else {
        if (span_equal(v.type->name, security_type_methods.name))
            buf_append_str(out, "methods ");
        else if (span_equal(v.type->name, security_type_peers.name))
            buf_append_str(out, "peers ");
        else if (span_equal(v.type->name, security_type_network.name))
            buf_append_str(out, "network ");
        else
            buf_printf(out, "%.*s ", SPAN_ARG(v.type->name));
        if (vom_json_write_value(out, &v, 0, NULL) < 0)
            buf_append_str(out, "?");
    }
    if (!span_equal_str(caveat->service, "*"))
        buf_printf(out, ", for \"%.*s\" only", SPAN_ARG(caveat->service));
    arena_done(&a);
}

/* ---- for people ---- */

static void put_label(struct cli *cli, const char *label)
{
    cli_printf(cli, "%s%-12s%s", cli_color_on(cli, CLI_DIM), label, cli_color_off(cli));
}

static void put_key(struct cli *cli, const struct security_pubkey *key)
{
    for (size_t i = 0; i < SECURITY_POINT_LEN; i++)
        cli_printf(cli, "%02x", key->xy[i]);
}

static void put_chain(struct cli *cli, const struct security_identity *id,
                      const struct security_trust *trust)
{
    size_t n;
    const struct security_certificate *certs = security_identity_certs(id, &n);
    struct buf text = BUF_INIT(TEXT_MAX);

    for (size_t i = 0; i < n; i++) {
        const char *trusted = "";

        if (i == 0)
            trusted = security_trust_level(trust, certs[0].name, &certs[0].key) == SECURITY_TRUSTED
                          ? ", a trusted root"
                          : ", a root that is not trusted";
        cli_printf(cli, "\ncertificate %zu of %zu%s\n", i + 1, n, trusted);
        put_label(cli, "  name");
        cli_put(cli, span_str(cli_color_on(cli, CLI_NAME)));
        cli_put_text(cli, certs[i].name);
        cli_printf(cli, "%s\n", cli_color_off(cli));
        put_label(cli, "  key");
        put_key(cli, &certs[i].key);
        cli_put(cli, span_str("\n"));
        for (size_t k = 0; k < certs[i].n_caveats; k++) {
            put_label(cli, k == 0 ? "  caveats" : "");
            buf_reset(&text);
            put_caveat(&text, &certs[i].caveats[k]);
            cli_put_text(cli, buf_span(&text));
            cli_put(cli, span_str("\n"));
        }
    }
    buf_done(&text);
}

/* Sets lie flat: their members are chains, or sets that are shown the same way. */
static void put_members(struct cli *cli, const struct security_identity *id,
                        const struct security_trust *trust)
{
    size_t n;
    struct security_identity *const *members = security_identity_members(id, &n);

    if (n == 0)
        put_chain(cli, id, trust);
    for (size_t i = 0; i < n; i++) {
        cli_printf(cli, "\nmember %zu of %zu", i + 1, n);
        put_members(cli, members[i], trust);
    }
}

void cli_id_put_long(struct cli *cli, const struct cli_id *id, const struct security_trust *trust)
{
    struct buf text = BUF_INIT(TEXT_MAX);
    int64_t expires = security_identity_expires(id->pub);

    put_label(cli, "name");
    security_identity_print(&text, id->pub, trust);
    cli_put(cli, span_str(cli_color_on(cli, CLI_NAME)));
    cli_put_text(cli, buf_span(&text));
    cli_printf(cli, "%s\n", cli_color_off(cli));
    put_label(cli, "kind");
    cli_printf(cli, "%s %s\n", id->priv != NULL ? "private" : "public", variant_name(id->pub));
    put_label(cli, "expires");
    buf_reset(&text);
    if (expires == INT64_MAX)
        buf_append_str(&text, "never");
    else
        cli_time_text(&text, expires);
    cli_put(cli, buf_span(&text));
    cli_put(cli, span_str(expires <= clock_wall() ? " (expired)\n" : "\n"));
    put_members(cli, id->pub, trust);
    buf_done(&text);
}

/* ---- for programs ---- */

static void write_hex(struct json_writer *w, const uint8_t *p, size_t n)
{
    struct buf text = BUF_INIT(TEXT_MAX);

    for (size_t i = 0; i < n; i++)
        buf_printf(&text, "%02x", p[i]);
    json_write_string(w, buf_span(&text));
    buf_done(&text);
}

static void write_certificate(struct json_writer *w, const struct security_certificate *cert)
{
    struct buf text = BUF_INIT(TEXT_MAX);

    json_write_object(w);
    json_write_name_str(w, "name");
    json_write_string(w, cert->name);
    json_write_name_str(w, "key");
    write_hex(w, cert->key.xy, SECURITY_POINT_LEN);
    json_write_name_str(w, "caveats");
    json_write_array(w);
    for (size_t i = 0; i < cert->n_caveats; i++) {
        buf_reset(&text);
        put_caveat(&text, &cert->caveats[i]);
        json_write_object(w);
        json_write_name_str(w, "service");
        json_write_string(w, cert->caveats[i].service);
        json_write_name_str(w, "text");
        json_write_string(w, buf_span(&text));
        json_write_name_str(w, "bytes");
        write_hex(w, cert->caveats[i].bytes.p, cert->caveats[i].bytes.len);
        json_write_object_end(w);
    }
    json_write_array_end(w);
    json_write_object_end(w);
    buf_done(&text);
}

static void write_identity(struct json_writer *w, const struct security_identity *id)
{
    size_t n, members;
    const struct security_certificate *certs = security_identity_certs(id, &n);
    struct security_identity *const *set = security_identity_members(id, &members);

    json_write_name_str(w, "variant");
    json_write_str(w, variant_name(id));
    json_write_name_str(w, "certificates");
    json_write_array(w);
    for (size_t i = 0; i < n; i++)
        write_certificate(w, &certs[i]);
    json_write_array_end(w);
    json_write_name_str(w, "members");
    json_write_array(w);
    for (size_t i = 0; i < members; i++) {
        json_write_object(w);
        write_identity(w, set[i]);
        json_write_object_end(w);
    }
    json_write_array_end(w);
}

void cli_id_put_json(struct cli *cli, const struct cli_id *id, const struct security_trust *trust)
{
    struct span names[SECURITY_CERTS_MAX];
    size_t n = security_identity_names(id->pub, trust, names, SECURITY_CERTS_MAX);
    int64_t expires = security_identity_expires(id->pub);
    struct buf out = BUF_INIT(16 * TEXT_MAX), text = BUF_INIT(TEXT_MAX);
    struct json_writer w;

    json_writer_init(&w, &out);
    json_write_object(&w);
    security_identity_print(&text, id->pub, trust);
    json_write_name_str(&w, "name");
    json_write_string(&w, buf_span(&text));
    json_write_name_str(&w, "names");
    json_write_array(&w);
    for (size_t i = 0; i < n; i++)
        json_write_string(&w, names[i]);
    json_write_array_end(&w);
    json_write_name_str(&w, "private");
    json_write_bool(&w, id->priv != NULL);
    json_write_name_str(&w, "key");
    write_hex(&w, security_identity_key(id->pub)->xy, SECURITY_POINT_LEN);
    json_write_name_str(&w, "expires");
    buf_reset(&text);
    cli_time_text(&text, expires);
    if (expires != INT64_MAX)
        json_write_string(&w, buf_span(&text));
    else
        json_write_null(&w);
    write_identity(&w, id->pub);
    json_write_object_end(&w);
    buf_u8(&out, '\n');
    cli_put(cli, buf_span(&out));
    buf_done(&text);
    buf_done(&out);
}
