/*
 * The state of a conversion from JSON, and what its parts call of each other. For use inside
 * core/vom; json_in.c has the picture.
 */
#ifndef VOM_JSON_CONV_H
#define VOM_JSON_CONV_H

#include "vom/enc.h"
#include "vom/json_lex.h"

/* A field that was written, with the place of its value in the output. */
struct vom_json_field {
    uint32_t index;
    bool zero; /* and taken back */
    size_t start, len;
};

struct vom_json_conv {
    struct vom_json_lex lex;
    struct vom_json_token token; /* the next one, if peeked */
    bool peeked;
    uint32_t *counts; /* of the containers in the outermost one, as they open */
    size_t n_counts, cap_counts, next_count;
    struct vom_json_field *fields; /* of the structs that are open, a stack */
    size_t n_fields, cap_fields;
    struct arena *a;
    struct vom_enc *enc;
    struct buf *out;
    struct err *e;
    unsigned depth;
    bool zero;     /* the value that was just written is the zero of its type */
    uint64_t work; /* comparisons of names that may still be made */
    char late[64]; /* what the reference found only when it decoded its own result */
};

/* Tokens. */
int vom_json_peek(struct vom_json_conv *c);
void vom_json_consume(struct vom_json_conv *c);
int vom_json_next(struct vom_json_conv *c);
/* The next token must be of this kind. */
int vom_json_expect(struct vom_json_conv *c, enum vom_json_kind kind, const char *before,
                    bool content, const char *after);
/* An error text with the token in it: its content, or just its kind. */
int vom_json_saw(struct vom_json_conv *c, const char *before, bool content, const char *after);
/* Takes the opening token of a container and gives the number of its elements. */
int vom_json_open(struct vom_json_conv *c, uint32_t *ret_n);

void vom_json_late(struct vom_json_conv *c, const char *text);
void vom_json_late_leftover(struct vom_json_conv *c, uint64_t n);
/* Room for one more item of an array in the arena; an error if there is none. */
int vom_json_grow(struct vom_json_conv *c, void **items, size_t n, size_t *cap, size_t size);

/* Values. The next token is peeked already, but for vom_json_conv_value. */
int vom_json_conv_value(struct vom_json_conv *c, const struct vom_type *t);
int vom_json_conv_list(struct vom_json_conv *c, const struct vom_type *t);
int vom_json_conv_map(struct vom_json_conv *c, const struct vom_type *t);
int vom_json_conv_struct(struct vom_json_conv *c, const struct vom_type *t);

/* A bool or number from its text; WSPR_EINVAL with the words of the reference's parser. */
int vom_json_put_scalar(struct buf *out, const struct vom_type *t, struct span text, bool *ret_zero,
                        struct err *e);

#endif
