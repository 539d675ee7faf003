/* The recordings of RPC flows in vectors/ipc.json. */
#ifndef TESTS_UNIT_RPC_RECORDING_H
#define TESTS_UNIT_RPC_RECORDING_H

#include <stdbool.h>

#include "base/arena.h"
#include "base/buf.h"
#include "rpc/header.h"
#include "vectors.h"
#include "vom/value.h"

#define RECORDING_ITEMS 256

/* One value of one direction, as a receiver reads it. */
struct recording_item {
    enum { ITEM_REQUEST, ITEM_RESPONSE, ITEM_VALUE } kind;
    struct rpc_request request;   /* borrows from the bytes */
    struct rpc_response response; /* owned */
    struct vom_value value;
    size_t end; /* offset behind it */
};

struct recording_items {
    struct arena arena;
    struct recording_item item[RECORDING_ITEMS];
    size_t n;
};

/*
 * Reads all values of one direction, headers where the protocol has them. The bytes must outlive
 * the items. False, with a line of commentary, if they do not follow the protocol.
 */
bool recording_read(struct recording_items *items, struct span bytes, bool from_client);
void recording_items_done(struct recording_items *items);

/* Whether two directions say the same; differences become commentary. */
bool recording_same(const struct recording_items *a, const struct recording_items *b);

/* The recordings, loaded once; borrowed. The whole file, to be put at the end. */
struct json_object *recordings(void);
struct json_object *recordings_file(void);
struct json_object *recording_named(const char *id);
/* The flow of a recording (index 0) and its other flows; NULL at the end. */
struct json_object *recording_flow(struct json_object *recording, size_t i);
/* Its bytes; the caller releases them. */
struct buf recording_bytes(struct json_object *flow, bool from_client);

/* Whether a decoded value is what the notation says. */
bool value_is_json(const struct vom_value *v, struct json_object *o);
/* Whether an entry of the sequence (a written value) is this item. */
bool item_is_json(const struct recording_item *item, struct json_object *entry);

#endif
