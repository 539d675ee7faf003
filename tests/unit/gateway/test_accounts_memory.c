/*
 * Each allocation fails in turn while an account is stored and an identity made for its origin, on
 * the pool and on the loop. There is an answer in every case; what is stored agrees with it, and
 * nothing is left.
 */
#include "config.h"

#include "base/clock.h"
#include "failmalloc.h"
#include "gateway/accounts_private.h"
#include "loop/worker.h"
#include "security/identity.h"
#include "security/idfile.h"
#include "support/child.h"
#include "tap.h"
#include "unit/rpc/raw.h"

#define RUNS_MAX 3000
#define APP      "http://app.example"

static struct loop_worker *w;
static struct loop_offload *offload;
static struct security_private *host;
static struct buf text;
static unsigned n_stored, n_refused, n_made, n_failed, n_not_begun;

struct answer {
    bool came, stopped;
    int code;
    struct accounts_waiter waiter;
    bool ready;
};

static void answered(void *arg, const struct err *err)
{
    struct answer *a = arg;

    TAP_IS(!a->came);
    a->came = true;
    a->code = err != NULL ? err->code : 0;
    TAP_IS(err == NULL || (err->code < 0 && err_text(err)[0] != '\0'));
}

static void stopped(void *arg)
{
    ((struct answer *)arg)->stopped = true;
}

static void made(struct accounts_waiter *waiter)
{
    LIST_OBJECT(waiter, struct answer, waiter)->ready = true;
}

static bool has_come(void *arg)
{
    return ((struct answer *)arg)->came;
}

static bool is_stopped(void *arg)
{
    return ((struct answer *)arg)->stopped;
}

static bool is_ready(void *arg)
{
    return ((struct answer *)arg)->ready;
}

/* The waiting itself may be what finds no memory. */
static bool until(bool (*done)(void *arg), void *arg)
{
    return raw_until(w, done, arg, 30000) || raw_until(w, done, arg, 30000);
}

static void use(struct accounts *a, struct answer *answer)
{
    struct security_private *id = NULL;
    struct err e = ERR_INIT;
    int r = accounts_identity(a, span_str(APP), &id, &e);

    if (r == WSPR_EAGAIN) {
        answer->waiter.ready = made;
        list_init(&answer->waiter.node);
        accounts_wait(a, span_str(APP), &answer->waiter);
        TAP_IS(until(is_ready, answer));
        r = accounts_identity(a, span_str(APP), &id, &e);
    }
    if (answer->code == 0 && r == 1)
        n_made++;
    else if (answer->code == 0)
        n_failed++;
    /* Never somebody else's identity: it is that of the account, or there is none. */
    TAP_OK(answer->code == 0 ? r == 1 || r < 0 : r == 0, "%d %d", answer->code, r);
    err_done(&e);
}

static void one_run(void *arg)
{
    struct accounts_opts opts = {
        .worker = w, .offload = offload, .log = &(struct log){.fd = -1}, .host = host};
    struct accounts_change change = {
        .account = span_str("acct"), .origin = span_str(APP), .identity = buf_span(&text)};
    struct answer answer = {.came = false};
    struct accounts *a = NULL;
    struct err e = ERR_INIT;

    if (accounts_new(&opts, &a, &e) < 0) {
        TAP_IS(a == NULL && err_text(&e)[0] != '\0');
        n_not_begun++;
        err_done(&e);
        return;
    }
    answer.code = accounts_associate(a, &change, answered, &answer);
    if (answer.code == 0) {
        TAP_IS(until(has_come, &answer));
        n_stored += answer.code == 0;
    }
    n_refused += answer.code < 0;
    TAP_IS(account_state_accounts(a->state) == (answer.code == 0));
    use(a, &answer);
    accounts_stop(a, stopped, &answer);
    TAP_IS(until(is_stopped, &answer));
}

static void each_allocation_fails(void)
{
    struct security_private *id = NULL;
    unsigned long runs;

    buf_init(&text, SECURITY_TEXT_MAX);
    TAP_IS(security_private_new(span_str("host"), &host, NULL) == 0);
    TAP_IS(security_private_new(span_str("alice"), &id, NULL) == 0);
    TAP_IS(security_idfile_print_private(&text, id) == 0);
    TAP_IS(loop_worker_new(NULL, &w, NULL) == 0 && loop_offload_new(NULL, &offload, NULL) == 0);
    runs = failmalloc_each(one_run, NULL, RUNS_MAX);
    tap_note("%lu runs: %u not begun, %u stored, %u refused; of the identities %u made, %u failed",
             runs, n_not_begun, n_stored, n_refused, n_made, n_failed);
    TAP_IS(runs > 50 && n_not_begun > 0 && n_stored > 0 && n_refused > 0);
    TAP_IS(n_made > 0 && n_failed > 0);
    loop_offload_free(offload);
    loop_worker_free(w);
    security_private_unref(id);
    security_private_unref(host);
    security_buf_wipe(&text);
}

static const struct tap_case cases[] = {{"each allocation fails", each_allocation_fails}};

int main(int argc, char **argv)
{
    const struct tap_suite suites[] = {TAP_SUITE("accounts", cases)};

    return tap_main(argc, argv, suites, 1);
}
