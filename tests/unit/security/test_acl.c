#include "config.h"
#include "world.h"

#include "security/acl.h"

/* The list of a vector; NULL for the nil list. */
static struct security_acl *list_of(struct json_object *o)
{
    struct security_acl_entry entries[16];
    struct security_acl *acl;
    size_t n = 0;

    if (o == NULL)
        return NULL;
    json_object_object_foreach(o, pattern, labels)
    {
        entries[n].pattern = span_str(pattern);
        entries[n++].labels = (uint32_t)json_object_get_int64(labels);
    }
    acl = security_acl_make(entries, n);
    TAP_IS(acl != NULL);
    return acl;
}

static void decisions(void)
{
    struct json_object *group = world_group("acl");
    unsigned n = 0;

    for (size_t i = 0; i < json_object_array_length(group); i++) {
        struct json_object *o = json_object_array_get_idx(group, i);
        struct security_identity *local = world_identity(vec_str(o, "local"));
        struct security_identity *remote = world_identity(vec_str(o, "remote"));
        struct security_acl *acl = list_of(vec_get(o, "acl"));
        const char *what = vec_str(o, "description"), *error = vec_str(o, "error");
        struct err e = ERR_INIT;
        int r = security_acl_decide(acl, local, remote, world_trust(),
                                    (uint32_t)vec_int(o, "label"), &e);

        TAP_OK(r == (vec_bool(o, "allow") ? 0 : WSPR_ENOTAUTH), "%s", what);
        if (error != NULL)
            TAP_OK(strcmp(err_text(&e), error) == 0, "%s: %s", what, err_text(&e));
        security_acl_free(acl);
        security_identity_unref(local);
        security_identity_unref(remote);
        err_done(&e);
        n++;
    }
    tap_note("identity.json acl: %u", n);
    TAP_IS(n == 41);
}

static void entries_are(const struct security_acl *acl, struct json_object *want, const char *what)
{
    const struct security_acl_entry *entries;
    size_t n;

    if (want == NULL) {
        TAP_OK(acl == NULL, "%s", what);
        return;
    }
    TAP_OK(acl != NULL, "%s", what);
    if (acl == NULL)
        return;
    entries = security_acl_entries(acl, &n);
    TAP_OK(n == (size_t)json_object_object_length(want), "%s", what);
    for (size_t i = 0; i < n; i++) {
        char name[100];

        snprintf(name, sizeof name, "%.*s", SPAN_ARG(entries[i].pattern));
        TAP_OK(vec_get(want, name) != NULL && vec_int(want, name) == entries[i].labels, "%s: %s",
               what, name);
    }
}

static void json_forms(void)
{
    struct json_object *group = world_group("acl_json");
    unsigned ok = 0, errors = 0;

    for (size_t i = 0; i < json_object_array_length(group); i++) {
        struct json_object *o = json_object_array_get_idx(group, i);
        bool want = strcmp(vec_str(o, "result"), "ok") == 0;
        const char *text = vec_str(o, "json");
        struct security_acl *acl = NULL;
        struct buf out = BUF_INIT(10000);
        struct err e = ERR_INIT;
        int r = security_acl_parse(span_str(text), &acl, &e);

        TAP_OK((r == 0) == want, "%s: %s", text, err_text(&e));
        if (r == 0) {
            entries_are(acl, vec_get(o, "acl"), text);
            security_acl_print(&out, acl);
            TAP_OK(span_equal_str(buf_span(&out), vec_str(o, "saved")), "%s", text);
            ok++;
        } else {
            TAP_OK(strcmp(err_text(&e), vec_str(o, "error")) == 0, "%s: \"%s\" not \"%s\"", text,
                   err_text(&e), vec_str(o, "error"));
            errors++;
        }
        security_acl_free(acl);
        buf_done(&out);
        err_done(&e);
    }
    tap_note("identity.json acl_json: %u read, %u errors", ok, errors);
    TAP_IS(ok == 12 && errors == 9);
}

static void labels(void)
{
    struct json_object *group = world_group("labels");
    unsigned n = 0;

    for (size_t i = 0; i < json_object_array_length(group); i++) {
        struct json_object *o = json_object_array_get_idx(group, i);
        uint32_t set = (uint32_t)vec_int(o, "labels"), again = 99;
        char text[SECURITY_LABELS_TEXT], quoted[SECURITY_LABELS_TEXT + 2];

        security_labels_format(set, text);
        snprintf(quoted, sizeof quoted, "\"%s\"", text);
        TAP_OK(strcmp(quoted, vec_str(o, "json")) == 0, "%u: %s", set, text);
        TAP_OK(security_label_is_valid(set) == !!vec_bool(o, "valid_label"), "%u", set);
        if (vec_bool(o, "valid_label"))
            TAP_OK(strcmp(text, vec_str(o, "single_label_string")) == 0, "%u", set);
        TAP_OK(security_labels_parse(span_str(text), &again, NULL) == 0 &&
                   again == (set & SECURITY_LABELS_ALL),
               "%u", set);
        again = 99;
        TAP_OK(security_labels_parse_json(span_str(quoted), &again, NULL) == 0 &&
                   again == (set & SECURITY_LABELS_ALL),
               "%u", set);
        n++;
    }
    tap_note("identity.json labels: %u", n);
    TAP_IS(n == 13);
}

static void label_errors(void)
{
    struct err e = ERR_INIT;
    uint32_t set = 7;

    TAP_IS(security_labels_parse_json(span_str("null"), &set, &e) == 0 && set == 0);
    TAP_IS(security_labels_parse_json(span_str("5"), &set, &e) == WSPR_ETYPE);
    TAP_IS(security_labels_parse(span_of("R\0W", 3), &set, &e) == WSPR_EINVAL);
    TAP_IS(security_labels_parse(span_str("R\xff"), &set, &e) == WSPR_EINVAL);
    TAP_IS(strstr(err_text(&e), "invalid label: '") == err_text(&e));
    TAP_IS(set == 0);
    err_done(&e);
}

static void the_default_list(void)
{
    struct security_identity *local = world_identity("set-3"), *bob = world_identity("self-bob");
    struct security_identity *friend = world_identity("root-alice-friend");
    struct security_identity *root = world_identity("self-root");
    struct security_acl *acl = security_acl_default(local, world_trust());
    struct security_trust *t = world_trust();
    struct buf out = BUF_INIT(1000);

    security_acl_print(&out, acl);
    TAP_OK(span_equal_str(buf_span(&out),
                          "{\"alice/*\":\"RWADM\",\"google/alice@example.com/*\":\"RWADM\","
                          "\"root/alice/*\":\"RWADM\"}\n"),
           "%s", buf_cstr(&out));
    TAP_IS(security_acl_decide(acl, local, friend, t, SECURITY_ADMIN, NULL) == 0);
    TAP_IS(security_acl_decide(acl, local, root, t, SECURITY_ADMIN, NULL) == 0);
    TAP_IS(security_acl_decide(acl, local, local, t, SECURITY_ADMIN, NULL) == 0);
    TAP_IS(security_acl_decide(acl, local, bob, t, SECURITY_READ, NULL) == WSPR_ENOTAUTH);
    security_acl_free(acl);
    /* A server without names admits itself alone. */
    acl = security_acl_default(bob, t);
    TAP_IS(acl != NULL && security_acl_decide(acl, bob, bob, t, SECURITY_READ, NULL) == 0);
    TAP_IS(security_acl_decide(acl, bob, root, t, SECURITY_READ, NULL) == WSPR_ENOTAUTH);
    security_acl_free(acl);
    security_identity_unref(local);
    security_identity_unref(bob);
    security_identity_unref(friend);
    security_identity_unref(root);
    buf_done(&out);
}

static const struct tap_case cases[] = {
    {"decisions", decisions},
    {"JSON", json_forms},
    {"labels", labels},
    {"errors of labels", label_errors},
    {"the default list", the_default_list},
};
const struct tap_suite suite_acl = TAP_SUITE("acl", cases);
