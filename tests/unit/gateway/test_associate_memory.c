/*
 * Each allocation fails in turn while a page associates an identity, from the message to the reply
 * and to the call that is made under it afterwards. There is one reply; what is stored is what was
 * before or what the reply says, and a call is never made under another identity.
 */
#include "config.h"

#include <stdio.h>
#include <string.h>

#include "failmalloc.h"
#include "gateway/accounts_private.h"
#include "gwrig.h"
#include "quiet.h"
#include "security/identity.h"
#include "security/idfile.h"
#include "tap.h"
#include "unit/rpc/raw.h"

#define RUNS_MAX 5000
#define APP      "http://app.example"
#define SEEN     "server/friend/http:%2F%2Fapp.example"

static struct gw g;
static struct quiet_page page;
static char messages[2][8192]; /* associate one identity, or the other */
static struct security_private *ids[2];
static unsigned n_good, n_refused, n_lost, n_called, n_hung;

static void make_message(int i, struct security_private *id)
{
    struct buf text = BUF_INIT(SECURITY_TEXT_MAX);

    ids[i] = id;
    TAP_IS(security_idfile_print_private(&text, id) == 0);
    snprintf(messages[i], sizeof messages[i],
             "{\"id\":1,\"type\":7,\"data\":\"{\\\"account\\\":\\\"acct\\\","
             "\\\"identity\\\":\\\"%s\\\",\\\"origin\\\":\\\"" APP "\\\"}\"}",
             buf_cstr(&text));
    security_buf_wipe(&text);
}

/* 0 or 1: that identity is stored; -1: neither. */
static int stored(void)
{
    struct security_private *id = account_state_find(g.accounts->state, span_str("acct"));

    for (int i = 0; i < 2 && id != NULL; i++) {
        if (security_identity_equal(security_private_public(id), security_private_public(ids[i])))
            return i;
    }
    return -1;
}

static unsigned replies(void)
{
    unsigned n = 0;

    for (const char *at = page.in; (at = strstr(at, "\"id\": 1,")) != NULL; at++)
        n++;
    return n;
}

/* Whatever becomes of it, nobody else is shown to the service. */
static void call(void)
{
    char text[1024];

    snprintf(text, sizeof text,
             "{\"id\":3,\"type\":0,\"data\":\"{\\\"name\\\":\\\"%s//x\\\",\\\"method\\\":"
             "\\\"whoami\\\",\\\"inArgs\\\":[],\\\"numOutArgs\\\":2}\"}",
             g.endpoint);
    quiet_put(&page, text);
    if (!quiet_expect(&page, "\"id\": 3,"))
        return;
    if (strstr(page.in, "\"id\": 3, \"data\": \"{\\\"type\\\": 0") == NULL)
        return; /* an error */
    n_called++;
    TAP_OK(strstr(page.in, SEEN) != NULL || strstr(page.in, "server/limited") != NULL ||
               (stored() < 0 && strstr(page.in, "[\\\"client\\\"]") != NULL),
           "seen as somebody else: %s", page.in);
}

static void one_run(int which, int before)
{
    bool came, good;

    quiet_put(&page, messages[which]);
    came = quiet_expect(&page, "\"id\": 1,");
    good = came && strstr(page.in, "\"id\": 1, \"data\": \"{\\\"type\\\": 0") != NULL;
    n_good += good;
    n_refused += came && !good;
    n_lost += !came;
    if (came)
        TAP_OK(stored() == (good ? which : before), "stored %d after %d, %s", stored(), before,
               page.in);
    else
        TAP_IS(stored() == which || stored() == before);
    if (good)
        call();
    TAP_OK(replies() == came, "%u replies: %s", replies(), page.in);
}

static bool nothing_is_left(void *arg)
{
    const struct gateway_stats *s = gateway_stats(g.gateway);

    return s->conns == 0 && s->flows == 0 && g.accounts->batch == NULL && g.accounts->making == 0 &&
           list_empty(&g.accounts->queue);
}

static void test_each_allocation(void)
{
    struct gw_opts opts = {
        .service = true,
        .accounts = true,
        .offload = true,
        .plugins = {request_plugin_entry(), signature_plugin_entry(),
                    assoc_identity_plugin_entry()},
    };
    unsigned long n = 0, made;

    gw_init(&g, &opts);
    make_message(0, g.ids.friend);
    make_message(1, g.ids.limited);
    do {
        int before = stored();

        quiet_open(&page, &g);
        failmalloc_at(++n);
        one_run(before == 0, before);
        made = failmalloc_count();
        failmalloc_at(0);
        quiet_close(&page);
        n_hung += page.hung;
        if (!raw_until(g.w, nothing_is_left, NULL, GW_TIMEOUT_MS)) {
            TAP_OK(false, "allocation %lu leaves something behind", n);
            break;
        }
    } while (made >= n && n < RUNS_MAX && n_hung < 5);
    TAP_IS(n > 50 && n_good > 10 && n_refused > 10 && n_called > 0);
    TAP_OK(n < RUNS_MAX && n_hung == 0, "%lu runs, %u without an answer", n, n_hung);
    tap_note("%lu allocations failed in turn: %u associations went well, %u were refused, %u "
             "connections ended; %u calls were made",
             n - 1, n_good, n_refused, n_lost, n_called);
    gw_done(&g);
}

static const struct tap_case cases[] = {
    {"each allocation of an association", test_each_allocation},
};

int main(int argc, char **argv)
{
    const struct tap_suite suites[] = {TAP_SUITE("associate-memory", cases)};

    return tap_main(argc, argv, suites, 1);
}
