/* wspr identity: files written, read, blessed, checked; the recorded identities. */
#include "config.h"

#include <sys/stat.h>

#include "cli_rig.h"
#include "rig.h"
#include "security/idfile.h"
#include "security/identity.h"
#include "security/types.h"
#include "tap.h"
#include "vectors.h"
#include "vom/enc.h"
#include "vom/wiretypes.h"

/* A path in the folder of the test; four of them are good at a time. */
static const char *file(const char *name)
{
    static char paths[4][4200];
    static unsigned next;

    return child_file(paths[next++ % 4], sizeof paths[0], name);
}

static bool write_text(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");

    if (f == NULL)
        return false;
    fputs(text, f);
    return fclose(f) == 0;
}

static void generate_and_print(void)
{
    const char *home = file("home.id");
    struct stat st;
    struct tool t;
    char name[64];

    EXPECT(0, "", "", "", "identity", "generate", "-o", home, "home");
    TAP_IS(stat(home, &st) == 0 && (st.st_mode & 0777) == 0600);
    EXPECT(6, "", "exists already; --force replaces it\n", "", "identity", "generate", "-o", home,
           "other");
    EXPECT(0, "", "", "", "identity", "generate", "--force", "--output", home, "home");
    TAP_IS(stat(home, &st) == 0 && (st.st_mode & 0777) == 0600);
    /* Six lines; the own root is trusted, others are not. */
    TAP_IS(RUN(&t, "", "identity", "print", home) == 0);
    TAP_OK(strstr(tool_out(&t), "Name     :  unknown/home\n"
                                "Go Type  : *security.chainPrivateID\n"
                                "PublicKey: <Cannot print the elliptic curve>\n"
                                "        X:  ") == tool_out(&t),
           "%s", tool_out(&t));
    TAP_OK(strstr(tool_out(&t), "\nAny caveats in the identity are not printed\n") != NULL, "%s",
           tool_out(&t));
    tool_done(&t);
    TAP_IS(RUN(&t, "", "--identity", home, "identity", "print") == 0);
    TAP_OK(strncmp(tool_out(&t), "Name     :  home\n", 17) == 0, "%s", tool_out(&t));
    tool_done(&t);
    /* Through pipes. */
    TAP_IS(RUN(&t, "", "identity", "generate") == 0);
    snprintf(name, sizeof name, "%.20s", tool_out(&t));
    TAP_OK(strcmp(name, "_4EEGgFCAP-DNBoBQwEu") == 0, "%s", name);
    EXPECT(0, NULL, "", tool_out(&t), "identity", "print", "-");
    tool_done(&t);
    EXPECT(2, "", "wspr: invalid blessing name:\"a/b\"\n", "", "identity", "generate", "a/b");
    EXPECT(6, "", "cannot write ", "", "identity", "generate", "-o", "/nonexistent/x");
    EXPECT(6, "", "cannot open ", "", "identity", "print", "/nonexistent/x");
    EXPECT(6, "", "\"-\" holds no identity: ", "nonsense", "identity", "print", "-");
}

static void bless_and_verify(void)
{
    const char *root = file("root.id"), *guest = file("guest.id"), *blessed = file("blessed.id");
    struct tool t;

    EXPECT(0, "", "", "", "identity", "generate", "--force", "-o", root, "house");
    EXPECT(0, "", "", "", "identity", "generate", "-o", guest, "guest");
    EXPECT(0, "", "", "", "identity", "bless", "--with", root, "--for", "1h", "--method", "Get",
           "--method", "Size", "-o", blessed, guest, "visitor");
    TAP_IS(RUN(&t, "", "--identity", root, "identity", "print", "--long", blessed) == 0);
    TAP_OK(strstr(tool_out(&t), "house/visitor\n") != NULL, "%s", tool_out(&t));
    TAP_OK(strstr(tool_out(&t), "private chain\n") != NULL, "%s", tool_out(&t));
    TAP_OK(strstr(tool_out(&t), "methods [\"Get\", \"Size\"]\n") != NULL, "%s", tool_out(&t));
    TAP_OK(strstr(tool_out(&t), " until ") != NULL, "%s", tool_out(&t));
    tool_done(&t);
    EXPECT(1, "", "unknown/house/visitor: its root is not trusted\n", "", "identity", "verify",
           blessed);
    EXPECT(0, NULL, "", "", "identity", "verify", "--trust", root, blessed);
    EXPECT(0, NULL, "", "", "identity", "verify", "--trust", root, "--method", "Get", "--match",
           "house/*", blessed);
    EXPECT(1, "", "forbids invocation of method Set", "", "identity", "verify", "--trust", root,
           "--method", "Set", blessed);
    EXPECT(1, "", "house/visitor does not match \"home/*\"\n", "", "identity", "verify", "--trust",
           root, "--match", "home/*", blessed);
    /* One that was over as it began. */
    EXPECT(0, "", "", "", "identity", "bless", "--with", root, "--for", "0", "--force", "-o",
           blessed, guest, "late");
    EXPECT(1, "", "forbids credential from being used at this time", "", "identity", "verify",
           "--trust", root, blessed);
    EXPECT(2, "", "invalid blessing name:", "", "identity", "bless", "--with", root, guest, "a/b");
    EXPECT(2, "", "an argument is missing", "", "identity", "bless", guest);
}

/* Of a public identity comes a public one; it cannot bless. */
static void public_identities(void)
{
    const char *pub = file("pub.id"), *root = file("root.id"), *out = file("pub-blessed.id");
    struct json_object *vectors = vectors_load("identity.json");
    struct json_object *list = vec_get(vectors, "identities");

    for (size_t i = 0; i < json_object_array_length(list); i++) {
        struct json_object *o = json_object_array_get_idx(list, i);

        if (strcmp(vec_str(o, "id"), "self-alice-pub") == 0)
            TAP_IS(write_text(pub, vec_str(o, "base64")));
    }
    json_object_put(vectors);
    EXPECT(0, "", "", "", "identity", "generate", "--force", "-o", root, "house");
    EXPECT(0, "", "", "", "identity", "bless", "--with", root, "-o", out, pub, "friend");
    EXPECT(0, NULL, "", "", "identity", "print", out);
    EXPECT(2, "", "is public, and cannot bless\n", "", "identity", "bless", "--with", out, pub,
           "x");
    EXPECT(6, "", "security.PrivateID", "", "--identity", out, "resolve", "cache");
}

/* ---- the recorded ones ---- */

static struct json_object *first_chain(struct json_object *decoded)
{
    struct json_object *elements = vec_get(decoded, "elements");

    while (elements != NULL) {
        decoded = json_object_array_get_idx(elements, 0);
        elements = vec_get(decoded, "elements");
    }
    return decoded;
}

/* What is printed as JSON has the key, and for chains the names and caveats, of the recording. */
static void check_recorded(const char *id, struct json_object *decoded, const char *printed)
{
    struct json_object *got = json_tokener_parse(printed), *chain = first_chain(decoded);
    struct json_object *want_certs = vec_get(decoded, "certificates");
    struct json_object *certs = vec_get(got, "certificates");
    char key[256];

    snprintf(key, sizeof key, "04%s%s", vec_str(chain, "x"), vec_str(chain, "y"));
    TAP_OK(got != NULL && vec_str(got, "key") != NULL && strcmp(vec_str(got, "key"), key) == 0,
           "%s: %s", id, printed);
    if (want_certs != NULL && certs != NULL) {
        size_t n = json_object_array_length(want_certs);

        TAP_OK(json_object_array_length(certs) == n, "%s", id);
        for (size_t i = 0; i < n && i < json_object_array_length(certs); i++) {
            struct json_object *w = json_object_array_get_idx(want_certs, i);
            struct json_object *g = json_object_array_get_idx(certs, i);

            TAP_OK(strcmp(vec_str(w, "name"), vec_str(g, "name")) == 0, "%s", id);
            TAP_OK(json_object_array_length(vec_get(w, "caveats")) ==
                       json_object_array_length(vec_get(g, "caveats")),
                   "%s", id);
        }
    }
    json_object_put(got);
}

static void recorded_identities(void)
{
    struct json_object *vectors = vectors_load("identity.json");
    struct json_object *list = vec_get(vectors, "identities");
    unsigned n = 0, placeholders = 0;

    for (size_t i = 0; i < json_object_array_length(list); i++) {
        struct json_object *o = json_object_array_get_idx(list, i);
        const char *id = vec_str(o, "id"), *path = file("recorded.id");
        struct tool t;
        int status;

        TAP_IS(write_text(path, vec_str(o, "base64")));
        if (strcmp(vec_str(o, "kind"), "fake") == 0) {
            /* Anybody can claim these. */
            EXPECT(6, "", "holds no identity: ", "", "identity", "print", path);
            placeholders++;
            continue;
        }
        status = RUN(&t, "", "--json", "identity", "print", path);
        TAP_OK(status == 0, "%s: %s", id, tool_err(&t));
        check_recorded(id, vec_get(o, "decoded"), tool_out(&t));
        tool_done(&t);
        EXPECT(0, NULL, "", "", "identity", "print", path);
        EXPECT(0, NULL, "", "", "identity", "print", "--long", path);
        n++;
    }
    json_object_put(vectors);
    tap_note("identity.json: %u identities printed, %u placeholders refused", n, placeholders);
    TAP_IS(n + placeholders == 57);
}

static void recorded_faults(void)
{
    struct json_object *vectors = vectors_load("identity.json");
    struct json_object *list = vec_get(vectors, "invalid_identities");
    size_t n = json_object_array_length(list);

    for (size_t i = 0; i < n; i++) {
        struct json_object *o = json_object_array_get_idx(list, i);
        const char *path = file("recorded.id"), *required = vec_str(o, "required");
        /* Two are good identities, only not of the kind that was asked for. */
        bool good = strcmp(required, "accept") == 0 || strstr(vec_str(o, "id"), "-as-p") != NULL;
        struct tool t;
        int status;

        TAP_IS(write_text(path, vec_str(o, "base64")));
        status = RUN(&t, "", "identity", "print", path);
        TAP_OK(status == (good ? 0 : 6), "%s: %s: status %d, %s%s", vec_str(o, "id"), required,
               status, tool_out(&t), tool_err(&t));
        tool_done(&t);
    }
    json_object_put(vectors);
    tap_note("identity.json: %zu invalid_identities", n);
}

/* ---- caveats ---- */

/* An identity with this caveat, in a file. */
static bool write_with_caveat(const char *path, const struct vom_value *v)
{
    struct security_private *blesser = NULL;
    struct security_identity *id = NULL;
    struct buf bytes = BUF_INIT(65536), text = BUF_INIT(65536);
    struct security_caveat caveat = {.service = span_str("*")};
    struct security_blessing b = {
        .name = span_str("one"), .duration = 1, .caveats = &caveat, .n_caveats = 1};
    bool ok = vom_encode(&bytes, v, NULL) >= 0 &&
              security_private_new(span_str("home"), &blesser, NULL) >= 0;

    caveat.bytes = buf_span(&bytes);
    ok = ok &&
         security_private_bless(blesser, security_identity_key(security_private_public(blesser)),
                                &b, &id, NULL) >= 0;
    ok = ok && security_idfile_print_public(&text, id) >= 0;
    buf_u8(&text, 0);
    ok = ok && buf_error(&text) == 0 && write_text(path, (const char *)buf_data(&text));
    security_identity_unref(id);
    security_private_unref(blesser);
    buf_done(&bytes);
    buf_done(&text);
    return ok;
}

static void says(const struct vom_value *caveat, const char *text)
{
    const char *path = file("caveat.id");
    struct tool t;

    TAP_IS(write_with_caveat(path, caveat));
    TAP_IS(RUN(&t, "", "identity", "print", "--long", path) == 0);
    TAP_OK(strstr(tool_out(&t), text) != NULL, "no %s in %s%s", text, tool_out(&t), tool_err(&t));
    tool_done(&t);
}

/* Whoever blesses writes what he likes, under the names of the caveats that everybody knows too. */
static void caveats(void)
{
    static const struct vom_type words =
        VOM_TYPE_SLICE("veyron/security/caveat.Expiry", &vom_type_string);
    static const struct vom_type number =
        VOM_TYPE_NAMED(VOM_KIND_UINT64, "veyron/security/caveat.publicKeyCaveat");
    struct arena a = ARENA_INIT(65536);
    struct vom_value v, at;

    TAP_IS(vom_value_new_struct(&a, &security_type_expiry, &v) == 0);
    TAP_IS(vom_time_new(&a, INT64_MAX / 4, 0, &at) == 0);
    vom_value_set(&v, SECURITY_EXPIRY_EXPIRES, at);
    says(&v, " until 2305843009213693951 s from 1970\n");
    TAP_IS(vom_time_new(&a, 1, 500000000, &at) == 0);
    vom_value_set(&v, SECURITY_EXPIRY_ISSUED, at);
    says(&v, "from 1970-01-01T00:00:01");
    TAP_IS(vom_value_new_list(&a, &words, 2, &v) == 0);
    vom_value_set(&v, 0, vom_value_str("never"));
    says(&v, "veyron/security/caveat.Expiry [\"never\", \"\"]\n");
    says(&(struct vom_value){.type = &number, .u = 7},
         "veyron/security/caveat.publicKeyCaveat 7\n");
    arena_done(&a);
}

static const struct tap_case cases[] = {
    {"generate and print", generate_and_print}, {"bless and verify", bless_and_verify},
    {"public identities", public_identities},   {"recorded identities", recorded_identities},
    {"recorded faults", recorded_faults},       {"caveats", caveats},
};

const struct tap_suite cli_identity_suite = TAP_SUITE("identity", cases);
