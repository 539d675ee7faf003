/*
 * CUnit with TAP on standard output. A test program names its suites in one table and calls
 * tap_main(); each case becomes one TAP line, a failed one with the place and text of each failed
 * assertion. Arguments select cases whose "suite/case" contains one of them.
 */
#ifndef TESTS_TAP_H
#define TESTS_TAP_H

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <CUnit/CUnit.h>

struct tap_case {
    const char *name;
    void (*run)(void);
};

struct tap_suite {
    const char *name;
    const struct tap_case *cases;
    size_t n_cases;
};

#define TAP_SUITE(name, cases)                                                                     \
    {                                                                                              \
        name, cases, sizeof(cases) / sizeof(cases)[0]                                              \
    }

int tap_main(int argc, char **argv, const struct tap_suite *suites, size_t n_suites);

/* Counts one more passed or failed check of the case that runs, with a text that says which. */
void tap_check(int ok, const char *file, int line, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
/* A line of TAP commentary, for figures and for the number of vectors that ran. */
void tap_note(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#define TAP_OK(cond, ...) tap_check(!!(cond), __FILE__, __LINE__, __VA_ARGS__)
#define TAP_IS(cond)      tap_check(!!(cond), __FILE__, __LINE__, "%s", #cond)

/* Makes the case that runs count as skipped, for the reason given; it should return then. */
void tap_skip(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* Name of the case that runs: for suites whose cases are made from a list of vectors. */
const char *tap_case_name(void);

/* Path of a file of the test tree ("vectors/vom.json"); valid until the next call. */
const char *tap_path(const char *name);

#endif
