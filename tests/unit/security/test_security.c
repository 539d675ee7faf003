#include "config.h"
#include "world.h"

int main(int argc, char **argv)
{
    const struct tap_suite suites[] = {
        suite_key, suite_identity, suite_make,    suite_caveat,
        suite_acl, suite_channel,  suite_hostile, suite_secrets,
    };
    int status = tap_main(argc, argv, suites, sizeof suites / sizeof suites[0]);

    world_end();
    return status;
}
