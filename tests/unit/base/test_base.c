#include "config.h"

#include "base/arena.h"
#include "base/buf.h"
#include "base/cursor.h"
#include "base/error.h"
#include "base/hash.h"
#include "base/hex.h"
#include "base/list.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/spares.h"
#include "failmalloc.h"
#include "tap.h"

static void buf_appends_and_consumes(void)
{
    struct buf b = BUF_INIT(10);

    buf_append_str(&b, "hello");
    buf_consume(&b, 2);
    buf_append_str(&b, "world");
    TAP_IS(span_equal_str(buf_span(&b), "lloworld"));
    buf_append_str(&b, "abc");
    TAP_IS(buf_error(&b) == WSPR_ELIMIT);
    buf_append_str(&b, "x");
    TAP_IS(b.len == 8);
    buf_reset(&b);
    buf_append_str(&b, "0123456789");
    TAP_IS(buf_error(&b) == 0 && b.len == 10);
    TAP_IS(strcmp(buf_cstr(&b), "0123456789") == 0);
    buf_done(&b);
}

/* A long queue that is nearly full is not moved for each little that leaves it. */
static void long_queue_is_seldom_moved(void)
{
    enum { MAX = 8 << 20, PIECE = 4096 };
    struct buf b = BUF_INIT(MAX);
    uint8_t piece[PIECE];
    uint32_t in = 0, out = 0;
    unsigned moved = 0;

    for (int i = 0; i < 20000; i++) {
        size_t off;
        uint32_t first;

        if (b.len + PIECE > MAX) {
            memcpy(&first, buf_data(&b), sizeof first);
            TAP_IS(first == out);
            buf_consume(&b, PIECE);
            out++;
        }
        off = b.off;
        memset(piece, (int)in, sizeof piece);
        memcpy(piece, &in, sizeof in);
        buf_append(&b, piece, sizeof piece);
        in++;
        moved += off > 0 && b.off == 0;
    }
    TAP_IS(buf_error(&b) == 0 && b.len == MAX && in - out == MAX / PIECE);
    TAP_OK(moved > 0 && moved < 100 && b.cap <= 3u * MAX, "moved %u times, %zu bytes", moved,
           b.cap);
    for (; b.len > 0; out++) {
        uint32_t first;

        memcpy(&first, buf_data(&b), sizeof first);
        TAP_IS(first == out && buf_data(&b)[PIECE - 1] == (uint8_t)out);
        buf_consume(&b, PIECE);
    }
    TAP_IS(out == in);
    buf_done(&b);
}

static void buf_lessens_when_empty(void)
{
    struct buf b = BUF_INIT(1 << 20);
    size_t cap;

    TAP_IS(!buf_lessen(&b, 100));
    buf_append_str(&b, "x");
    TAP_IS(!buf_lessen(&b, 1));
    buf_consume(&b, 1);
    TAP_IS(buf_reserve(&b, 1 << 19) != NULL);
    cap = b.cap;
    TAP_IS(buf_lessen(&b, 1 << 18) && b.cap == cap - (1 << 18));
    while (buf_lessen(&b, 1 << 18))
        cap = b.cap;
    TAP_IS(b.cap > 0 && b.cap <= 1 << 18);
    buf_append_str(&b, "hello");
    TAP_IS(span_equal_str(buf_span(&b), "hello"));
    buf_done(&b);
}

static void buf_prints(void)
{
    struct buf b = BUF_INIT(20);

    buf_printf(&b, "%d-%s", 42, "abc");
    TAP_IS(span_equal_str(buf_span(&b), "42-abc"));
    buf_printf(&b, "%014d", 7);
    TAP_IS(b.len == 20 && buf_error(&b) == 0);
    buf_printf(&b, "x");
    TAP_IS(buf_error(&b) == WSPR_ELIMIT && b.len == 20);
    buf_done(&b);
}

static void cursor_is_sticky(void)
{
    static const uint8_t bytes[] = {1, 0, 2, 0, 0, 0, 3, 9};
    struct cursor c = cursor_of(bytes, sizeof bytes);

    TAP_IS(cursor_u24(&c) == 0x010002);
    TAP_IS(cursor_u32(&c) == 3);
    TAP_IS(cursor_u32(&c) == 0 && c.failed);
    TAP_IS(cursor_u8(&c) == 0 && cursor_left(&c) == 0);
}

static void arena_bounds(void)
{
    struct arena a = ARENA_INIT(100000);
    struct span s;

    s = arena_copy(&a, span_str("abc"));
    TAP_IS(span_equal_str(s, "abc") && s.p[3] == 0);
    TAP_IS(arena_alloc(&a, 90000) != NULL);
    TAP_IS(arena_alloc(&a, 20000) == NULL);
    TAP_IS(arena_calloc(&a, SIZE_MAX, 2) == NULL);
    arena_reset(&a);
    TAP_IS(arena_alloc(&a, 20000) != NULL);
    arena_done(&a);
}

static void arena_moves(void)
{
    struct arena a = ARENA_INIT(1000), b = ARENA_INIT(500);
    struct span s = arena_copy(&a, span_str("moved"));

    arena_alloc(&b, 400);
    arena_move(&b, &a);
    TAP_IS(span_equal_str(s, "moved") && b.used > 0 && a.used == 0);
    TAP_IS(arena_alloc(&b, 500) == NULL && arena_alloc(&a, 900) != NULL);
    arena_done(&a);
    TAP_IS(span_equal_str(s, "moved"));
    arena_done(&b);
}

static void arena_wipes(void)
{
    struct arena a = ARENA_INIT(100000);

    memset(arena_alloc(&a, 100), 'x', 100);
    memset(arena_alloc(&a, 5000), 'x', 5000);
    arena_wipe(&a);
    TAP_IS(a.head == NULL && a.used == 0);
    TAP_IS(arena_alloc(&a, 100) != NULL);
    arena_done(&a);
}

static void errors_carry_text_and_id(void)
{
    struct err e = ERR_INIT, f = ERR_INIT;

    TAP_IS(err_set(&e, WSPR_ENOTFOUND, "no %s", "name") == WSPR_ENOTFOUND);
    TAP_IS(strcmp(err_text(&e), "no name") == 0);
    TAP_IS(strcmp(err_id(&e), "veyron2/verror.NotFound") == 0);
    err_prefix(&e, WSPR_EINTERNAL, "outer: ");
    TAP_IS(strcmp(err_text(&e), "outer: no name") == 0);
    TAP_IS(strcmp(err_id(&e), "veyron2/verror.Internal") == 0);
    TAP_IS(err_set_id(&f, "MyCustomError", "text") == WSPR_EUNKNOWN);
    TAP_IS(strcmp(err_id(&f), "MyCustomError") == 0);
    err_move(&e, &f);
    TAP_IS(strcmp(err_id(&e), "MyCustomError") == 0 && f.code == 0);
    TAP_IS(err_code_of_id("veyron2/verror.Exists") == WSPR_EEXISTS);
    TAP_IS(err_set(NULL, WSPR_ETYPE, "x") == WSPR_ETYPE);
    err_done(&e);
    err_done(&f);
}

static void error_once(void *arg)
{
    struct err e = ERR_INIT;
    char text[600];

    memset(text, 'x', sizeof text);
    text[sizeof text - 1] = '\0';
    err_set(&e, WSPR_ETYPE, "%s", text);
    err_prefix(&e, 0, "outer: ");
    TAP_IS(e.code == WSPR_ETYPE && err_text(&e) != NULL);
    err_done(&e);
}

/* An id is kept, or it is that of an error of ours. */
static void id_once(void *arg)
{
    struct err e = ERR_INIT, f = ERR_INIT;

    err_set_id(&e, "MyCustomError", "text");
    TAP_OK(strcmp(err_id(&e), "MyCustomError") == 0 || e.code == WSPR_ENOMEM, "%s", err_id(&e));
    err_copy(&f, &e);
    TAP_OK(strcmp(err_id(&f), "MyCustomError") == 0 || f.code == WSPR_ENOMEM, "%s", err_id(&f));
    TAP_IS(err_id(&e)[0] != '\0' && err_id(&f)[0] != '\0');
    err_done(&e);
    err_done(&f);
}

static void errors_have_ids(void)
{
    struct err e = ERR_INIT;

    TAP_IS(failmalloc_each(id_once, NULL, 100) > 3);
    TAP_IS(err_prefix(&e, 0, "nobody said what: ") == WSPR_EINTERNAL);
    err_done(&e);
    TAP_IS(strcmp(err_code_id(-1), "veyron2/verror.Internal") == 0);
    TAP_IS(strcmp(err_code_id(WSPR_EUNKNOWN), "") == 0);
}

static void errors_survive_lack_of_memory(void)
{
    TAP_IS(failmalloc_each(error_once, NULL, 100) > 2);
}

static void hash_is_siphash(void)
{
    /* First entries of the vectors in the appendix of the SipHash paper: key 00..0f, input 00.. */
    struct hash_key key = {{0x0706050403020100u, 0x0f0e0d0c0b0a0908u}};
    uint8_t in[15];

    for (size_t i = 0; i < sizeof in; i++)
        in[i] = (uint8_t)i;
    TAP_IS(hash_sip(&key, in, 0) == 0x726fdb47dd0e0e31u);
    TAP_IS(hash_sip(&key, in, 15) == 0xa129ca6149be45e5u);
}

static void text_forms(void)
{
    static const char *const bad[] = {"=",        "a",    "aGVsbG8", "aGVsbG8=x",
                                      "aGV=bG8=", "aG+s", "aa==="};
    struct buf b = BUF_INIT(100);

    hex_encode(&b, "\x00\xff\x1a", 3);
    TAP_IS(span_equal_str(buf_span(&b), "00ff1a"));
    buf_reset(&b);
    TAP_IS(hex_decode(&b, "0g", 2) == WSPR_EINVAL);
    TAP_IS(hex_decode(&b, "0", 1) == WSPR_EINVAL);
    buf_reset(&b);
    base64_encode(&b, "hello\xff\xfe", 7, 1);
    TAP_IS(span_equal_str(buf_span(&b), "aGVsbG___g=="));
    buf_reset(&b);
    TAP_IS(base64_decode(&b, "aGVs\r\nbG8=\n", 11, 1, NULL) == 0);
    TAP_IS(span_equal_str(buf_span(&b), "hello"));
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        buf_reset(&b);
        TAP_OK(base64_decode(&b, bad[i], strlen(bad[i]), 1, NULL) == WSPR_EINVAL, "%s", bad[i]);
    }
    buf_done(&b);
}

static void list_order(void)
{
    struct list head = LIST_INIT(head), a, b;

    list_init(&a);
    list_init(&b);
    list_push_back(&head, &a);
    list_push_back(&head, &b);
    list_remove(&a);
    list_remove(&a);
    TAP_IS(list_pop(&head) == &b && list_empty(&head) && list_pop(&head) == NULL);
}

/* What was used between two looks is not idle; what was kept longest goes first. */
static void spares_that_are_idle_go(void)
{
    struct list nodes[4], *one, *other;
    struct spares s;

    spares_init(&s, 3);
    TAP_IS(spares_take(&s) == NULL && spares_take_idle(&s) == NULL);
    for (int i = 0; i < 3; i++)
        TAP_IS(spares_keep(&s, &nodes[i]));
    TAP_IS(!spares_keep(&s, &nodes[3]));
    /* They came since the last look. */
    TAP_IS(spares_take_idle(&s) == NULL);
    one = spares_take(&s);
    other = spares_take(&s);
    TAP_IS(one == &nodes[2] && other == &nodes[1]);
    TAP_IS(spares_keep(&s, other) && spares_keep(&s, one));
    TAP_IS(spares_take_idle(&s) == &nodes[0] && spares_take_idle(&s) == NULL);
    /* Nobody needed the other two. */
    TAP_IS(spares_take_idle(&s) == &nodes[1] && spares_take_idle(&s) == &nodes[2]);
    TAP_IS(spares_take_idle(&s) == NULL && spares_take(&s) == NULL && s.n == 0);
}

static void log_quotes(void)
{
    char out[24];

    TAP_IS(strcmp(log_quote(out, sizeof out, "a\"\n", 3), "\"a\\\"\\x0a\"") == 0);
    log_quote(out, sizeof out, "0123456789012345678901234567890", 31);
    TAP_IS(strlen(out) < sizeof out && strstr(out, "\xe2\x80\xa6") != NULL);
}

static const struct tap_case base_cases[] = {
    {"buf appends and consumes", buf_appends_and_consumes},
    {"long queue is seldom moved", long_queue_is_seldom_moved},
    {"buf lessens when empty", buf_lessens_when_empty},
    {"buf prints", buf_prints},
    {"cursor is sticky", cursor_is_sticky},
    {"arena bounds", arena_bounds},
    {"arena moves", arena_moves},
    {"arena wipes", arena_wipes},
    {"errors carry text and id", errors_carry_text_and_id},
    {"errors survive lack of memory", errors_survive_lack_of_memory},
    {"errors have ids", errors_have_ids},
    {"hash is SipHash-2-4", hash_is_siphash},
    {"text forms", text_forms},
    {"list order", list_order},
    {"spares that are idle go", spares_that_are_idle_go},
    {"log quotes", log_quotes},
};

int main(int argc, char **argv)
{
    const struct tap_suite suites[] = {TAP_SUITE("base", base_cases)};

    return tap_main(argc, argv, suites, 1);
}
