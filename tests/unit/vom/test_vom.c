#include "config.h"
#include "suites.h"

int main(int argc, char **argv)
{
    static const struct tap_suite suites[] = {
        TAP_SUITE("vom type", vom_type_cases), TAP_SUITE("vom value", vom_value_cases),
        TAP_SUITE("vom enc", vom_enc_cases),   TAP_SUITE("vom dec", vom_dec_cases),
        TAP_SUITE("vom defs", vom_defs_cases), TAP_SUITE("vom convert", vom_convert_cases),
        TAP_SUITE("vom time", vom_time_cases), TAP_SUITE("vom faults", vom_faults_cases),
    };

    return tap_main(argc, argv, suites, sizeof suites / sizeof suites[0]);
}
