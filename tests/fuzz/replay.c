/*
 * Runs a fuzz target over the files of its corpus, so that `make check` guards every past crash
 * under any compiler. Each file is also replayed cut at every length up to 4 KiB.
 */
#include "config.h"

#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define REPLAY_CUT_MAX 4096

static int replay_file(const char *path)
{
    FILE *f = fopen(path, "rb");
    uint8_t *data;
    size_t cap = 1 << 20, n;

    if (f == NULL)
        return -1;
    data = malloc(cap);
    n = data != NULL ? fread(data, 1, cap, f) : 0;
    fclose(f);
    if (data == NULL)
        return -1;
    for (size_t cut = 0; cut <= n && cut <= REPLAY_CUT_MAX; cut++) {
        /* A copy of exact size lets the sanitizer see a read past the end. */
        uint8_t *piece = malloc(cut > 0 ? cut : 1);

        if (piece != NULL) {
            memcpy(piece, data, cut);
            LLVMFuzzerTestOneInput(piece, cut);
        }
        free(piece);
    }
    LLVMFuzzerTestOneInput(data, n);
    free(data);
    return 0;
}

int main(int argc, char **argv)
{
    const char *name = strrchr(argv[0], '/');
    const char *tests = getenv("WSPR_TESTS");
    char dir[4096], path[8192];
    struct dirent *d;
    unsigned files = 0;
    DIR *corpus;

    name = name != NULL ? name + 1 : argv[0];
    if (argc > 1) {
        for (int i = 1; i < argc; i++) {
            if (replay_file(argv[i]) < 0) {
                fprintf(stderr, "cannot read %s\n", argv[i]);
                return 1;
            }
        }
        return 0;
    }
    if (strncmp(name, "fuzz_", 5) == 0)
        name += 5;
    snprintf(dir, sizeof dir, "%s/fuzz/corpus/%s", tests != NULL ? tests : TESTS_DIR, name);
    printf("1..1\n");
    fflush(stdout);
    corpus = opendir(dir);
    while (corpus != NULL && (d = readdir(corpus)) != NULL) {
        if (d->d_name[0] == '.')
            continue;
        snprintf(path, sizeof path, "%s/%s", dir, d->d_name);
        if (replay_file(path) == 0)
            files++;
    }
    if (corpus != NULL)
        closedir(corpus);
    printf("%sok 1 - fuzz/%s replays %u files\n", files > 0 ? "" : "not ", name, files);
    return files == 0;
}
