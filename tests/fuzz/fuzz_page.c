/*
 * Pages that do what the input says, from the upgrade on: messages of every type, frames and bytes
 * of any kind, in pieces, while time passes, pages stop reading, and go.
 */
#include "config.h"

#include "whole.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static bool up;
    struct steps s = {data, size};

    if (!up)
        whole_begin();
    up = true;
    while (s.left > 0)
        whole_page_step(&s);
    whole_turn(4);
    whole_end();
    return 0;
}
