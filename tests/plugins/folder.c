#include "config.h"
#include "folder.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "child.h"

#define FOLDERS 128

const char *folder_make(void)
{
    static char paths[FOLDERS][4200];
    static unsigned n;
    char name[32];

    if (n == FOLDERS)
        return NULL;
    snprintf(name, sizeof name, "folder-%u", n);
    child_file(paths[n], sizeof paths[n], name);
    return mkdir(paths[n], 0700) == 0 ? paths[n++] : NULL;
}

static bool copy(FILE *from, FILE *to)
{
    char chunk[16384];
    size_t n;

    while ((n = fread(chunk, 1, sizeof chunk, from)) > 0) {
        if (fwrite(chunk, 1, n, to) != n)
            return false;
    }
    return !ferror(from);
}

bool folder_put(const char *folder, const char *built, const char *name)
{
    const char *build = getenv("abs_top_builddir"), *base = strrchr(built, '/');
    char source[4400], target[4400], temporary[4400];
    FILE *from, *to;
    bool ok;

    snprintf(source, sizeof source, "%s/%.*s/.libs%s.so", build != NULL ? build : ".",
             (int)(base - built), built, base);
    snprintf(target, sizeof target, "%s/%s.so", folder, name);
    snprintf(temporary, sizeof temporary, "%s/%s.new", folder, name);
    from = fopen(source, "rb");
    to = fopen(temporary, "wb");
    ok = from != NULL && to != NULL && copy(from, to);
    if (from != NULL)
        fclose(from);
    if (to != NULL)
        ok = fclose(to) == 0 && ok;
    /* As an installation does it: never written while it is in use. */
    ok = ok && chmod(temporary, 0755) == 0 && rename(temporary, target) == 0;
    if (!ok)
        printf("# %s cannot be copied\n", source);
    return ok;
}

const char *folder_write(const char *folder, const char *name, const char *text)
{
    static char path[4400];
    FILE *f;

    snprintf(path, sizeof path, "%s/%s", folder, name);
    f = fopen(path, "w");
    if (f == NULL || fputs(text, f) < 0 || fclose(f) != 0)
        printf("# %s cannot be written\n", path);
    return path;
}
