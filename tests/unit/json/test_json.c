#include "config.h"

#include "suites.h"

int main(int argc, char **argv)
{
    static const struct tap_suite suites[] = {
        TAP_SUITE("reader", json_reader_cases), TAP_SUITE("number", json_number_cases),
        TAP_SUITE("writer", json_writer_cases), TAP_SUITE("table", json_table_cases),
        TAP_SUITE("tree", json_tree_cases),     TAP_SUITE("vectors", json_vectors_cases),
    };

    return tap_main(argc, argv, suites, sizeof suites / sizeof suites[0]);
}
