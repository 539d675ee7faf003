/*
 * Talks to a running wsprd: drive PORT [SEND EXPECT]... sends each text as a message and compares
 * the next message with what is expected, to the letter, or up to a "*" at its end; an expected "-"
 * lets any message pass. SEND "" sends nothing; EXPECT "" expects
 * nothing for 300 ms. Exit status 0 if everything was as expected.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "wspeer.h"

#define WAIT_MS    10000
#define SILENCE_MS 300

static bool fits(const char *text, const char *expected)
{
    size_t n = strlen(expected);

    if (strcmp(expected, "-") == 0)
        return true;
    if (expected[n - 1] == '*')
        return strncmp(text, expected, n - 1) == 0;
    return strcmp(text, expected) == 0;
}

int main(int argc, char **argv)
{
    struct wspeer p;
    struct wspeer_frame f;
    enum wspeer_result r;

    if (argc < 2 || argc % 2 != 0) {
        fprintf(stderr, "usage: drive PORT [SEND EXPECT]...\n");
        return 2;
    }
    if (wspeer_connect(&p, (int)strtol(argv[1], NULL, 10), "/ws", NULL, WAIT_MS) < 0) {
        fprintf(stderr, "drive: %s\n", p.error);
        return 1;
    }
    for (int i = 2; i < argc; i += 2) {
        const char *expected = argv[i + 1];

        if (argv[i][0] != '\0' && wspeer_send_text(&p, argv[i]) < 0) {
            fprintf(stderr, "drive: %s\n", p.error);
            return 1;
        }
        r = wspeer_recv_message(&p, &f, expected[0] != '\0' ? WAIT_MS : SILENCE_MS);
        if (expected[0] == '\0' ? r != WSPEER_TIMEOUT
                                : r != WSPEER_FRAME || !fits((char *)f.data, expected)) {
            fprintf(stderr, "drive: sent     %s\ndrive: expected %s\ndrive: got      %s\n", argv[i],
                    expected, r == WSPEER_FRAME ? (char *)f.data : p.error);
            return 1;
        }
    }
    wspeer_close(&p);
    return 0;
}
