/*
 * Child processes of a test: started with a log file for all they print, watched, and stopped. A
 * child does not outlive the test, however that ends. The library that WSPR_PRELOAD names is
 * preloaded into each (LD_PRELOAD).
 */
#ifndef TESTS_CHILD_H
#define TESTS_CHILD_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct child {
    pid_t pid;      /* 0: not running */
    int status;     /* of wait(), once it ended */
    char log[4096]; /* path of what it printed, both streams */
};

/*
 * Starts argv[0] (a path). env changes the environment: "NAME=value" sets, "NAME" unsets; NULL ends
 * both lists. The log file is made anew. 0 or -1 with a line of TAP commentary.
 */
int child_start(struct child *c, const char *const *argv, const char *const *env, const char *log);
/* Whether it still runs; collects its status if not. */
bool child_alive(struct child *c);
/*
 * Waits until a line of the log contains `mark` and copies what follows on that line into text.
 * False after the time, or once the child ended without printing it.
 */
bool child_wait_text(struct child *c, const char *mark, char *text, size_t size, int timeout_ms);
/* Waits until it ends by itself; false if it still runs after the time. */
bool child_wait(struct child *c, int timeout_ms);
/* Sends the signal and waits; kills after the time. True if it ended in time. */
bool child_stop(struct child *c, int signal, int timeout_ms);
/* What it printed so far; the caller frees. NULL if the file cannot be read. */
char *child_output(const struct child *c);
/* Prints the end of its log as TAP commentary. */
void child_show_log(const struct child *c);

/* A folder for the files of this test run, made at the first call and removed at exit. */
const char *child_folder(void);
/* The path of a file in that folder, in `path`. */
const char *child_file(char *path, size_t size, const char *name);
/* Changes the environment as child_start does; for what runs in a child. */
void child_set_environment(const char *const *env);
/* Milliseconds of the monotonic clock. */
long long child_now_ms(void);

#endif
