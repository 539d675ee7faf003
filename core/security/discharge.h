/* Discharges from inside. */
#ifndef SECURITY_DISCHARGE_H
#define SECURITY_DISCHARGE_H

#include "security/internal.h"

struct security_discharge {
    atomic_uint refs;
    struct arena mem; /* what the other members point to */
    struct span id;
    const struct security_caveat *caveats;
    const struct security_rule *rules;
    size_t n_caveats;
    struct security_signature signature;
};

#endif
