/* The cases of test_json, one table per file. */
#ifndef TESTS_UNIT_JSON_SUITES_H
#define TESTS_UNIT_JSON_SUITES_H

#include "tap.h"

#define JSON_READER_CASES  9
#define JSON_NUMBER_CASES  8
#define JSON_WRITER_CASES  5
#define JSON_TABLE_CASES   11
#define JSON_TREE_CASES    5
#define JSON_VECTORS_CASES 2

extern const struct tap_case json_reader_cases[JSON_READER_CASES];
extern const struct tap_case json_number_cases[JSON_NUMBER_CASES];
extern const struct tap_case json_writer_cases[JSON_WRITER_CASES];
extern const struct tap_case json_table_cases[JSON_TABLE_CASES];
extern const struct tap_case json_tree_cases[JSON_TREE_CASES];
extern const struct tap_case json_vectors_cases[JSON_VECTORS_CASES];

#endif
