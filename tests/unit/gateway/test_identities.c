/* Who may associate which identity with which origin; the recorded messages. */
#include "config.h"

#include "idrig.h"
#include "vectors.h"

/* ---- the recorded messages ---- */

static bool is_success(struct json_object *o, bool placeholders)
{
    const char *required = vec_str(o, "required"), *what = vec_str(o, "description");

    if (strcmp(what, "placeholder test identity") == 0)
        return placeholders;
    /* "tolerated" is what we do with text behind the object, as with every payload. */
    return strncmp(required, "success", 7) == 0 || strcmp(what, "text after the JSON object") == 0;
}

static void play_association(struct page *p, long long id, struct json_object *o, bool placeholders)
{
    struct json_object *reply = json_object_array_get_idx(vec_get(o, "reference_replies"), 0);
    const char *got, *what = vec_str(o, "description");

    page_message(p, id, 7, vec_str(o, "data"));
    if (is_success(o, placeholders)) {
        page_expect_reply(p, id, 0, "null");
    } else if (vec_int(reply, "type") == 2) {
        page_expect_error(p, id, vec_str(vec_get(reply, "message"), "iD"),
                          vec_str(vec_get(reply, "message"), "msg"));
    } else {
        got = page_recv(p);
        TAP_OK(got != NULL && strstr(got, "\\\"type\\\": 2") != NULL, "%s: %s", what, got);
    }
}

static void recorded_associations_with(bool placeholders)
{
    struct json_object *vectors = vectors_load("identity.json");
    struct json_object *list = vec_get(vectors, "assoc_identity");
    struct gw_opts opts = {.store = {.placeholders = placeholders}};
    unsigned n = 0, good = 0;
    struct page p;

    id_begin_with(opts);
    id_open_page(&p, NULL);
    for (size_t i = 0; i < json_object_array_length(list); i++) {
        struct json_object *o = json_object_array_get_idx(list, i), *after;
        size_t accounts = account_state_accounts(id_gw.accounts->state);

        play_association(&p, (long long)(2 * i + 1), o, placeholders);
        n++;
        good += is_success(o, placeholders);
        if (!is_success(o, placeholders))
            TAP_OK(account_state_accounts(id_gw.accounts->state) == accounts, "%s",
                   vec_str(o, "description"));
        after = vec_get(vec_get(o, "state_after"), "origins");
        if (after == NULL)
            continue;
        json_object_object_foreach(after, origin, account)
        {
            const struct account_origin *is =
                account_state_find_origin(id_gw.accounts->state, span_str(origin));

            TAP_OK(is != NULL && span_equal_str(is->account, json_object_get_string(account)),
                   "%s: %s", vec_str(o, "description"), origin);
        }
    }
    page_expect_silence(&p); /* one answer each */
    page_drop(&p);
    tap_note("identity.json assoc_identity%s: %u ran, %u succeed",
             placeholders ? " with placeholders" : "", n, good);
    TAP_IS(n == 23 && good == 7u + placeholders);
    id_end();
    json_object_put(vectors);
}

static void recorded_associations(void)
{
    recorded_associations_with(false);
    recorded_associations_with(true);
}

/* ---- who may ---- */

/* The origins of one site do not get all accounts that there are, and others are not kept out. */
static void shares_of_sites(void)
{
    static const char *const others[] = {"http://other.example", "http://app.example.net",
                                         "http://[2001:db8::1]", "http://10.0.7.1"};
    static struct page pages[65];
    struct page local;
    char text[80];
    size_t i;

    id_begin();
    for (i = 0; i < 65; i++) {
        snprintf(text, sizeof text, "http%s://%s%zu.app.example%s", i % 3 > 0 ? "s" : "",
                 i % 2 > 0 ? "x." : "y", i, i % 5 > 0 ? "" : ":81");
        id_open_page(&pages[i], text);
        if (i == 64)
            break;
        id_associate(&pages[i], 1, text, id_gw.ids.friend, text);
    }
    for (i = 0; i < 64; i++)
        page_expect_reply(&pages[i], 1, 0, "null");
    id_associate(&pages[64], 1, text, id_gw.ids.friend, text);
    page_expect_error(&pages[64], 1, INTERNAL, "there are too many accounts of this site");
    /* One that is there may still change its own. */
    snprintf(text, sizeof text, "https://x.1.app.example");
    id_associate(&pages[1], 3, text, id_gw.ids.friend, text);
    page_expect_reply(&pages[1], 3, 0, "null");
    for (i = 0; i < 65; i++)
        page_drop(&pages[i]);
    for (i = 0; i < 4 * 3; i++) {
        snprintf(text, sizeof text, "%s%s", others[i / 3],
                 i % 3 == 0   ? ""
                 : i % 3 == 1 ? ":81"
                              : ":82");
        id_open_page(&local, text);
        id_associate(&local, 1, text, id_gw.ids.friend, text);
        page_expect_reply(&local, 1, 0, "null");
        page_drop(&local);
    }
    /* An operator is not bound by it. */
    id_open_page(&local, NULL);
    id_associate(&local, 1, "more", id_gw.ids.friend, "http://more.app.example");
    page_expect_reply(&local, 1, 0, "null");
    page_drop(&local);
    id_end();
}

static void others_speak_for_themselves(void)
{
    static const char *const refused =
        "this page may only associate an identity with its own origin";
    struct page app, other, null, extension;

    id_begin();
    id_open_page(&app, APP);
    id_open_page(&other, OTHER ":80");
    id_open_page(&null, "null");
    id_open_page(&extension, "chrome-extension://abcdefgh");
    id_associate(&app, 1, "mine", id_gw.ids.friend, OTHER);
    page_expect_error(&app, 1, NOT_AUTH, refused);
    id_associate(&null, 1, "mine", id_gw.ids.friend, "null");
    page_expect_error(&null, 1, NOT_AUTH, refused);
    id_associate(&app, 3, "mine", id_gw.ids.friend, APP);
    page_expect_reply(&app, 3, 0, "null");
    /* Its own account again, but no other. */
    id_associate(&app, 5, "mine", id_gw.ids.server, "HTTP://APP.example:80");
    page_expect_reply(&app, 5, 0, "null");
    id_associate(&app, 7, "second", id_gw.ids.friend, APP);
    page_expect_error(&app, 7, NOT_AUTH, "this origin has another account");
    /* Nobody else's account, by whose name ever. */
    id_associate(&other, 1, "mine", id_gw.ids.friend, OTHER);
    page_expect_error(&other, 1, NOT_AUTH, "this account is not the origin's own");
    id_associate(&extension, 1, "mine", id_gw.ids.friend, OTHER);
    page_expect_reply(&extension, 1, 0, "null");
    id_associate(&app, 9, "mine", id_gw.ids.friend, APP);
    page_expect_error(&app, 9, NOT_AUTH, "this account is not the origin's own");
    TAP_IS(strstr(gw_log(&id_gw),
                  "origin \"http://app.example\": associating \"http://other.example\" "
                  "is refused: \"this page may only") != NULL);
    TAP_IS(gateway_stats(id_gw.gateway)->associations_refused == 5);
    /* One that leads to this origin alone is its own, whoever made it. */
    id_associate(&extension, 3, "given", id_gw.ids.friend, APP);
    page_expect_reply(&extension, 3, 0, "null");
    id_associate(&app, 11, "given", id_gw.ids.client, APP);
    page_expect_reply(&app, 11, 0, "null");
    page_drop(&app);
    page_drop(&other);
    page_drop(&null);
    page_drop(&extension);
    id_end();
}

static void lists_of_origins(void)
{
    static const char list[] = " https://one.example ,ext://*, https://*.two.example:8443,local";
    static const struct {
        const char *origin;
        bool local, admitted;
    } cases[] = {
        {"https://one.example", false, true},
        {"HTTPS://One.Example:443", false, true},
        {"http://one.example", false, false},
        {"https://one.example:444", false, false},
        {"https://sub.one.example", false, false},
        {"ext://whoever", false, true},
        {"exts://whoever", false, false},
        {"https://a.two.example:8443", false, true},
        {"https://a.b.TWO.example:8443", false, true},
        {"https://two.example:8443", false, false},
        {"https://atwo.example:8443", false, false},
        {"https://a.two.example", false, false},
        {"", true, true},
        {"", false, false},
        {"null", true, false},
        {"https://one.example/", true, false},
    };
    struct policy p = {.n = 0};
    struct err e = ERR_INIT;

    TAP_OK(policy_parse(&p, list, &e) == 0 && p.n == 4, "%s", err_text(&e));
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        TAP_OK(policy_admits(&p, span_str(cases[i].origin), cases[i].local) == cases[i].admitted,
               "\"%s\"", cases[i].origin);
    policy_done(&p);
    TAP_IS(policy_parse(&p, "", &e) == 0 && !policy_admits(&p, span_str(""), true));
    policy_done(&p);
    TAP_IS(policy_parse(&p, "*", &e) == 0 && policy_admits(&p, span_str("null"), false));
    policy_done(&p);
    TAP_IS(policy_parse(&p, "https://ok,what is this", &e) == WSPR_EINVAL);
    TAP_OK(strcmp(err_text(&e), "\"what is this\" is no origin") == 0, "%s", err_text(&e));
    policy_done(&p);
    TAP_IS(policy_parse(&p, "https://*x", &e) == WSPR_EINVAL);
    policy_done(&p);
    TAP_IS(policy_parse(&p, "https://*.not a host", &e) == WSPR_EINVAL);
    policy_done(&p);
    err_done(&e);
}

static void who_may_connect(void)
{
    static const char request[] =
        "GET /ws HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        "Origin: " OTHER "\r\n\r\n";
    struct page p;
    struct err e = ERR_INIT;

    id_begin_with((struct gw_opts){.log_to_text = true, .allowed_origins = APP ",local"});
    id_open_page(&p, APP);
    page_drop(&p);
    id_open_page(&p, NULL);
    page_drop(&p);
    TAP_IS(page_connect(&p, &id_gw));
    TAP_IS(wspeer_send_raw(&p.peer, request, sizeof request - 1) == 0);
    TAP_IS(page_wait_eof(&p));
    page_drop(&p);
    TAP_IS(gateway_stats(id_gw.gateway)->upgraded == 2 &&
           gateway_stats(id_gw.gateway)->refused == 1);
    TAP_IS(strstr(gw_log(&id_gw), "refused: Origin \"http://other.example\"") != NULL);
    TAP_IS(gateway_listen(id_gw.gateway, "0.0.0.0:0", &e) == WSPR_ENOTAUTH);
    TAP_OK(strstr(err_text(&e), "needs TLS") != NULL, "%s", err_text(&e));
    TAP_IS(gateway_listen(id_gw.gateway, "[2001:db8::1]:0", &e) == WSPR_ENOTAUTH);
    err_done(&e);
    id_end();
}

static const struct tap_case cases[] = {
    {"recorded associations", recorded_associations},
    {"shares of sites", shares_of_sites},
    {"others speak for themselves", others_speak_for_themselves},
    {"lists of origins", lists_of_origins},
    {"who may connect", who_may_connect},
};

int main(int argc, char **argv)
{
    const struct tap_suite suites[] = {TAP_SUITE("identities", cases), suite_identity_use,
                                       suite_busy};

    return tap_main(argc, argv, suites, sizeof suites / sizeof suites[0]);
}
