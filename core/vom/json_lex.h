/*
 * The tokens of JSON text that is to become VOM (spec: vom B.2.1): all of JSON and what the
 * reference's tokenizer took besides. For use inside core/vom.
 */
#ifndef VOM_JSON_LEX_H
#define VOM_JSON_LEX_H

#include <stdbool.h>
#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"
#include "base/span.h"

enum vom_json_kind {
    VOM_TOKEN_OBJECT,     /* { */
    VOM_TOKEN_OBJECT_END, /* } */
    VOM_TOKEN_COLON,
    VOM_TOKEN_COMMA,
    VOM_TOKEN_ARRAY,     /* [ */
    VOM_TOKEN_ARRAY_END, /* ] */
    VOM_TOKEN_STRING,
    VOM_TOKEN_NUMBER,
    VOM_TOKEN_TRUE,
    VOM_TOKEN_FALSE,
    VOM_TOKEN_NULL
};

struct vom_json_token {
    enum vom_json_kind kind;
    bool escaped;  /* string with escapes */
    struct span s; /* number: the literal; string: what is between the quotes */
};

struct vom_json_lex {
    const uint8_t *p, *end;
};

void vom_json_lex_init(struct vom_json_lex *l, struct span text);
/* The next token; WSPR_EINVAL with a text of spec B.2.1, "EOF" at the end. */
int vom_json_lex_next(struct vom_json_lex *l, struct vom_json_token *ret_t, struct err *e);

/* The characters of a string token: a part of the text, or memory of the arena. */
int vom_json_token_string(const struct vom_json_token *t, struct arena *a, struct span *ret_s);
/* Appends the count and the characters of a string token, as a VOM string has them. */
void vom_json_token_put(const struct vom_json_token *t, struct buf *out);
/* What error texts call the token: "{" … "null", and "STRING" or "NUMBER". */
const char *vom_json_kind_text(enum vom_json_kind k);
/* The same with the content: {STRING,"text"}. */
void vom_json_token_print(const struct vom_json_token *t, struct buf *out);

#endif
