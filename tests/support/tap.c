#include "config.h"
#include "tap.h"

#include <stdarg.h>

#include <CUnit/TestDB.h>
#include <CUnit/TestRun.h>

#define TAP_SHOWN_MAX 50 /* failed checks shown per case */

struct tap_state {
    unsigned checks;
    unsigned failed;
    unsigned number;
    char skipped[128]; /* why the case that runs is skipped */
    unsigned bad_cases;
};

static struct tap_state tap;

void tap_check(int ok, const char *file, int line, const char *fmt, ...)
{
    va_list ap;

    tap.checks++;
    if (ok)
        return;
    if (tap.failed++ < TAP_SHOWN_MAX) {
        printf("# %s:%d: ", file, line);
        va_start(ap, fmt);
        vprintf(fmt, ap);
        va_end(ap);
        putchar('\n');
    }
    if (CU_get_current_test() == NULL) {
        puts("Bail out! A check failed outside of the cases.");
        exit(99);
    }
    CU_assertImplementation(CU_FALSE, (unsigned)line, "check", file, "", CU_FALSE);
}

void tap_note(const char *fmt, ...)
{
    va_list ap;

    fputs("# ", stdout);
    va_start(ap, fmt);
    vprintf(fmt, ap);
    va_end(ap);
    putchar('\n');
    fflush(stdout);
}

void tap_skip(const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(tap.skipped, sizeof tap.skipped, fmt, ap);
    va_end(ap);
    tap.checks++;
}

const char *tap_case_name(void)
{
    return CU_get_current_test()->pName;
}

const char *tap_path(const char *name)
{
    static char path[4096];
    const char *dir = getenv("WSPR_TESTS");

    snprintf(path, sizeof path, "%s/%s", dir != NULL ? dir : TESTS_DIR, name);
    return path;
}

static int tap_selected(const char *suite, const char *name, int argc, char **argv)
{
    char full[256];

    if (argc < 2)
        return 1;
    snprintf(full, sizeof full, "%s/%s", suite, name);
    for (int i = 1; i < argc; i++) {
        if (strstr(full, argv[i]) != NULL)
            return 1;
    }
    return 0;
}

static void tap_report(CU_pTest test, CU_pSuite suite, CU_pFailureRecord failure)
{
    CU_BOOL ok = failure == NULL;

    for (CU_pFailureRecord f = failure; f != NULL; f = f->pNext) {
        if (strcmp(f->strCondition, "check") != 0)
            printf("# %s:%u: %s\n", f->strFileName, f->uiLineNumber, f->strCondition);
    }
    /* A case in which nothing was checked proves nothing. */
    if (ok && tap.checks == 0 && CU_get_run_summary()->nAsserts == 0) {
        printf("# no check was made\n");
        ok = CU_FALSE;
    }
    if (!ok)
        tap.bad_cases++;
    printf("%sok %u - %s/%s%s%s\n", ok ? "" : "not ", ++tap.number, suite->pName, test->pName,
           tap.skipped[0] != '\0' ? " # SKIP " : "", tap.skipped);
    tap.skipped[0] = '\0';
    fflush(stdout);
    tap.checks = 0;
    tap.failed = 0;
}

int tap_main(int argc, char **argv, const struct tap_suite *suites, size_t n_suites)
{
    unsigned planned = 0;

    if (CU_initialize_registry() != CUE_SUCCESS)
        return 99;
    for (size_t i = 0; i < n_suites; i++) {
        CU_pSuite s = CU_add_suite(suites[i].name, NULL, NULL);

        for (size_t j = 0; j < suites[i].n_cases; j++) {
            const struct tap_case *c = &suites[i].cases[j];

            if (tap_selected(suites[i].name, c->name, argc, argv)) {
                CU_add_test(s, c->name, c->run);
                planned++;
            }
        }
    }
    printf("1..%u\n", planned);
    fflush(stdout);
    CU_set_test_complete_handler(tap_report);
    CU_run_all_tests();
    CU_cleanup_registry();
    return tap.bad_cases > 0 || planned == 0;
}
