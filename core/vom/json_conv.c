/*
 * Tokens, and the counting of elements. When a container is met that no other contains, one pass
 * over its tokens counts the elements of it and of all containers inside, in the order in which
 * they open. The reference does the same first, so what is not a token at all is found before
 * anything else is wrong.
 */
#include "config.h"
#include "vom/json_conv.h"

#include <stdio.h>

#include "vom/internal.h"
#include "vom/json_run.h"

int vom_json_peek(struct vom_json_conv *c)
{
    int r = 0;

    if (!c->peeked)
        r = vom_json_lex_next(&c->lex, &c->token, c->e);
    c->peeked = r == 0;
    return r;
}

void vom_json_consume(struct vom_json_conv *c)
{
    c->peeked = false;
}

int vom_json_next(struct vom_json_conv *c)
{
    int r = vom_json_peek(c);

    vom_json_consume(c);
    return r;
}

int vom_json_saw(struct vom_json_conv *c, const char *before, bool content, const char *after)
{
    struct buf text = BUF_INIT(ERR_MSG_MAX);
    int r = WSPR_EINVAL;

    buf_append_str(&text, before);
    if (content)
        vom_json_token_print(&c->token, &text);
    else
        buf_append_str(&text, vom_json_kind_text(c->token.kind));
    buf_append_str(&text, after);
    if (buf_error(&text) != WSPR_ENOMEM)
        err_set_text(c->e, r, (const char *)buf_data(&text), text.len);
    else
        r = err_set(c->e, WSPR_ENOMEM, "%s", err_code_text(WSPR_ENOMEM));
    buf_done(&text);
    return r;
}

int vom_json_expect(struct vom_json_conv *c, enum vom_json_kind kind, const char *before,
                    bool content, const char *after)
{
    int r = vom_json_next(c);

    if (r == 0 && c->token.kind != kind)
        r = vom_json_saw(c, before, content, after);
    return r;
}

void vom_json_late(struct vom_json_conv *c, const char *text)
{
    if (c->late[0] == '\0')
        snprintf(c->late, sizeof c->late, "%s", text);
}

void vom_json_late_leftover(struct vom_json_conv *c, uint64_t n)
{
    char text[sizeof c->late];

    snprintf(text, sizeof text, "vom: decoding saw %llu leftover bytes", (unsigned long long)n);
    vom_json_late(c, text);
}

int vom_json_grow(struct vom_json_conv *c, void **items, size_t n, size_t *cap, size_t size)
{
    size_t larger = *cap > 0 ? 2 * *cap : 16;
    void *p;

    if (n < *cap)
        return 0;
    p = arena_alloc(c->a, larger * size);
    if (p == NULL)
        return vom_arena_error(c->a, larger * size, c->e);
    if (n > 0)
        memcpy(p, *items, n * size);
    *items = p;
    *cap = larger;
    return 0;
}

struct count_open {
    uint32_t ordinal, commas;
    bool object, any; /* something stands in it */
};

struct count_stack {
    struct count_open open[VOM_DEPTH_MAX];
    unsigned depth;
};

static int count_push(struct vom_json_conv *c, struct count_stack *s, bool object)
{
    void *counts = c->counts;
    int r;

    if (s->depth == VOM_DEPTH_MAX)
        return vom_depth_error(c->e);
    r = vom_json_grow(c, &counts, c->n_counts, &c->cap_counts, sizeof *c->counts);
    if (r < 0)
        return r;
    c->counts = counts;
    s->open[s->depth++] = (struct count_open){(uint32_t)c->n_counts++, 0, object, false};
    return 1;
}

/* Takes one token into account. 1 while containers are open, 0 when the outermost one closed. */
static int count_token(struct vom_json_conv *c, struct count_stack *s,
                       const struct vom_json_token *t)
{
    struct count_open *top = s->depth > 0 ? &s->open[s->depth - 1] : NULL;
    bool end = t->kind == VOM_TOKEN_OBJECT_END || t->kind == VOM_TOKEN_ARRAY_END;

    if (top != NULL && end) {
        if (top->object != (t->kind == VOM_TOKEN_OBJECT_END))
            return err_set(c->e, WSPR_EINVAL, "error during Peek(): EOF");
        c->counts[top->ordinal] = top->any ? top->commas + 1 : 0;
        return --s->depth > 0;
    }
    if (top != NULL) {
        top->any = true;
        top->commas += t->kind == VOM_TOKEN_COMMA;
    }
    if (t->kind == VOM_TOKEN_OBJECT || t->kind == VOM_TOKEN_ARRAY)
        return count_push(c, s, t->kind == VOM_TOKEN_OBJECT);
    return 1;
}

/* Behind a number and its comma more of them are counted without looking at them as tokens. */
static void count_run(struct count_stack *s, struct vom_json_lex *lex)
{
    s->open[s->depth - 1].commas += vom_json_run_skip(lex);
}

static int count_elements(struct vom_json_conv *c)
{
    struct vom_json_lex lex = c->lex;
    struct vom_json_token t = c->token;
    struct count_stack s;
    bool number = false;
    int r;

    s.depth = 0;
    c->n_counts = 0;
    c->next_count = 0;
    r = count_token(c, &s, &t);
    for (bool second = true; r > 0; second = false) {
        if (number && t.kind == VOM_TOKEN_COMMA)
            count_run(&s, &lex);
        number = t.kind == VOM_TOKEN_NUMBER;
        r = vom_json_lex_next(&lex, &t, c->e);
        if (r < 0) {
            /* The reference looks at the second token in another place than at later ones. */
            if (!second)
                err_prefix(c->e, 0, "error during Peek(): ");
            return r;
        }
        r = count_token(c, &s, &t);
    }
    return r;
}

int vom_json_open(struct vom_json_conv *c, uint32_t *ret_n)
{
    int r = 0;

    if (c->next_count == c->n_counts)
        r = count_elements(c);
    if (r < 0)
        return r;
    *ret_n = c->counts[c->next_count++];
    vom_json_consume(c);
    return 0;
}
