/*
 * Streams that always begin with the same definitions: those of RPC flows (spec: ipc 2.3).
 *
 * An encoder is started with a preset by appending one constant block; a decoder recognizes the
 * block at the start of its stream and need not parse it. The bytes must be exactly what a fresh
 * encoder writes for types[0]; types[i] then has id 65 + i.
 */
#ifndef VOM_PRESET_H
#define VOM_PRESET_H

#include "vom/type.h"

struct vom_preset {
    struct span bytes;
    const struct vom_type *const *types;
    size_t n;
};

#endif
