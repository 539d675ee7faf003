/*
 * What JSON shows of types alone: names of fields, which types have no form in it, and zero values,
 * which the wire leaves out. For use inside core/vom.
 */
#ifndef VOM_JSON_TYPE_H
#define VOM_JSON_TYPE_H

#include "base/buf.h"
#include "base/error.h"
#include "vom/ptrmap.h"
#include "vom/value.h"

struct vom_json_out {
    struct buf *out;
    struct err *e;
    struct vom_ptrmap seen;  /* targets of pointers, of values */
    struct vom_ptrmap zeros; /* of struct types: where in out the text of a zero stands */
    unsigned deepest;        /* levels down to the deepest zero that was written */
    bool nil;                /* a nil pointer was seen */
    bool reference;
};

/* The error of the buffer, if it has one. */
int vom_json_out_error(const struct vom_json_out *o);
int vom_json_no_tree(const struct vom_json_out *o);
int vom_json_unsupported(const struct vom_json_out *o, const struct vom_type *t);
/* An error if structs of this type cannot be shown. */
int vom_json_check_struct(const struct vom_json_out *o, const struct vom_type *t);
/* Types with a conversion of their own. spec: vom B.1, A.11.5 */
bool vom_json_is_opaque(const struct vom_type *t);
/* Notes a pointer; each may be met once, nil included. */
int vom_json_visit(struct vom_json_out *o, const struct vom_value *to);
/* The name of field i and what stands around it. */
void vom_json_put_field_name(struct vom_json_out *o, const struct vom_type *t, uint32_t i);
/*
 * The zero of the type, which stands at the depth. A few bytes of a peer may ask for as much as the
 * output may hold: so no text is made twice, and none that is too long is begun. What stands in the
 * output must stay where it is, or `zeros` be reset.
 */
int vom_json_put_zero(struct vom_json_out *o, const struct vom_type *t, unsigned depth);

#endif
