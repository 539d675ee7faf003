/* What a client remembers of names, as a function of time. */
#include "config.h"

#include "base/clock.h"
#include "names_tests.h"
#include "rig.h"
#include "rpc/names.h"
#include "security/identity.h"

static struct rig_ids ids;
static struct rpc_names names;

static void begin(unsigned max, size_t bytes)
{
    static const struct hash_key key = {{1, 2}};

    rig_ids_init(&ids);
    rpc_names_init(&names, &key, max, bytes);
}

static void end(void)
{
    rpc_names_clear(&names);
    TAP_IS(names.n == 0 && names.bytes == 0);
    rig_ids_done(&ids);
}

/* One answer with one server. */
static void put(const char *asked, const char *server, const char *suffix, int64_t now,
                int64_t until)
{
    rpc_names_put(&names, ids.client, span_str(asked), span_of(server, strlen(server) + 1),
                  span_str(suffix), now, until);
}

/* What a name leads to: names separated by blanks, "?" if that is not known. */
static const char *get(struct security_private *identity, const char *asked, int64_t now)
{
    static char text[512];
    struct buf out = BUF_INIT(500);

    snprintf(text, sizeof text, "?");
    if (rpc_names_get(&names, identity, span_str(asked), now, &out)) {
        for (size_t i = 0; i + 1 < out.len; i++)
            text[i] = buf_data(&out)[i] != 0 ? (char)buf_data(&out)[i] : ' ';
        text[out.len > 0 ? out.len - 1 : 0] = '\0';
    }
    buf_done(&out);
    return text;
}

#define LEADS(asked, to)                                                                           \
    TAP_OK(strcmp(get(ids.client, asked, 5), to) == 0, "%s leads to %s", asked,                    \
           get(ids.client, asked, 5))

static void below_a_prefix(void)
{
    begin(100, 100000);
    put("/mt//cache/x/y", "/S//", "x/y", 0, 10);
    LEADS("/mt//cache", "/S//");
    LEADS("/mt//cache/x/y", "/S//x/y");
    LEADS("/mt//cache/z", "/S//z");
    LEADS("/mt//cache//z", "/S//z");
    LEADS("/mt//cache/", "/S//");
    LEADS("/mt//cachez", "?");
    LEADS("/mt//cach", "?");
    LEADS("/other//cache/z", "?");
    /* A name that leads on to a mount table, and one to an object. */
    put("/mt//sub/q", "/T", "q", 0, 10);
    LEADS("/mt//sub/a/b", "/T/a/b");
    LEADS("/mt//sub//a", "/T//a");
    put("/mt//obj//r", "/S/obj", "//r", 0, 10);
    LEADS("/mt//obj", "/S/obj");
    LEADS("/mt//obj/x", "/S/obj/x");
    LEADS("/mt//obj//r", "/S/obj//r");
    /* The whole table. */
    put("/rt//a/b", "/U", "a/b", 0, 10);
    LEADS("/rt//c", "/U/c");
    end();
}

static void several_servers(void)
{
    static const char servers[] = "/S//\0/T//\0/U//";

    begin(100, 100000);
    rpc_names_put(&names, ids.client, span_str("/mt//a"), span_of(servers, sizeof servers),
                  span_of(NULL, 0), 0, 10);
    LEADS("/mt//a/k", "/S//k /T//k /U//k");
    end();
}

static void strange_answers(void)
{
    begin(100, 100000);
    put("/mt//a/b", "/S//", "c", 0, 10);      /* not the end of the name */
    put("/mt//ab", "/S//", "b", 0, 10);       /* not a whole component */
    put("/mt//a", "/S//", "/mt//a", 0, 10);   /* all of it, and of the address */
    put("/mt//a", "/S//", "//a", 0, 10);      /* the address would be the mount point */
    put("/mt//a", "/S//", "t//a", 0, 10);     /* not even that */
    put("/mt//a", "/S//", "/mt//a/b", 0, 10); /* more than was asked */
    put("/mt//a", "/S//", "", 10, 10);        /* no time */
    put("/mt//a", "/S//", "", 10, 9);
    TAP_OK(names.n == 0, "%u are remembered", names.n);
    LEADS("/mt", "?");
    LEADS("/mt//a", "?");
    end();
}

static void time_passes(void)
{
    begin(100, 100000);
    put("/mt//a", "/S//", "", 100, 200);
    TAP_IS(strcmp(get(ids.client, "/mt//a", 100), "/S//") == 0);
    TAP_IS(strcmp(get(ids.client, "/mt//a", 199), "/S//") == 0);
    TAP_IS(strcmp(get(ids.client, "/mt//a", 200), "?") == 0);
    TAP_OK(names.n == 0, "what is too old stays");
    /* A later answer counts. */
    put("/mt//a", "/S//", "", 100, 200);
    put("/mt//a", "/T//", "", 150, 300);
    TAP_IS(names.n == 1);
    TAP_IS(strcmp(get(ids.client, "/mt//a", 250), "/T//") == 0);
    /* A clock that jumps far ahead, and one that goes back. */
    TAP_IS(strcmp(get(ids.client, "/mt//a", INT64_MAX), "?") == 0);
    put("/mt//a", "/S//", "", 100, 200);
    TAP_IS(strcmp(get(ids.client, "/mt//a", 99), "?") == 0);
    TAP_IS(names.n == 0);
    /* The sweep. */
    put("/mt//a", "/S//", "", 100, 200);
    put("/mt//b", "/S//", "", 100, 300);
    rpc_names_sweep(&names, 250);
    TAP_IS(names.n == 1 && strcmp(get(ids.client, "/mt//b", 250), "/S//") == 0);
    end();
}

static void by_identity(void)
{
    begin(100, 100000);
    put("/mt//a", "/S//", "", 0, 10);
    TAP_IS(strcmp(get(ids.client, "/mt//a", 5), "/S//") == 0);
    TAP_IS(strcmp(get(ids.server, "/mt//a", 5), "?") == 0);
    TAP_IS(!rpc_names_drop(&names, ids.server, span_str("/mt//a")));
    TAP_IS(rpc_names_drop(&names, ids.client, span_str("/mt//a/below")));
    LEADS("/mt//a", "?");
    end();
}

static void bounded(void)
{
    char name[64];

    begin(10, 100000);
    for (int i = 0; i < 1000; i++) {
        snprintf(name, sizeof name, "/mt//n%d", i);
        put(name, "/S//", "", 0, 10);
        /* The first one is used all the time. */
        LEADS("/mt//n0", "/S//");
        TAP_IS(names.n <= 10);
    }
    LEADS("/mt//n999", "/S//");
    LEADS("/mt//n991", "/S//");
    LEADS("/mt//n990", "?");
    end();

    begin(1000, 2000);
    for (int i = 0; i < 1000; i++) {
        snprintf(name, sizeof name, "/mt//n%d", i);
        put(name, "/S//", "", 0, 10);
        TAP_IS(names.bytes <= 2000);
    }
    TAP_OK(names.n > 2 && names.n < 20, "%u entries", names.n);
    end();

    begin(0, 2000);
    put("/mt//a", "/S//", "", 0, 10);
    TAP_IS(names.n == 0);
    end();

    begin(10, 20);
    put("/mt//a", "/S//", "", 0, 10);
    TAP_IS(names.n == 0);
    end();
}

static void many_parts(void)
{
    char name[4096];
    size_t n = (size_t)snprintf(name, sizeof name, "/mt//a");

    begin(100, 100000);
    while (n < sizeof name - 3)
        n += (size_t)snprintf(name + n, sizeof name - n, "/x");
    put("/mt//a", "/S//", "", 0, 10);
    put(name, "/T//", "", 0, 10);
    rpc_names_drop(&names, ids.client, span_str("/mt//a"));
    TAP_OK(strcmp(get(ids.client, name, 5), "?") == 0, "as many prefixes as one likes");
    end();
}

const struct tap_case names_memory_cases[NAMES_MEMORY_CASES] = {
    {"below a prefix", below_a_prefix},   {"several servers", several_servers},
    {"strange answers", strange_answers}, {"time passes", time_passes},
    {"by identity", by_identity},         {"bounded", bounded},
    {"many parts", many_parts},
};
