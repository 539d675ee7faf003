/* The loader, with plugins that are broken in every way that it knows. */
#include "config.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "folder.h"
#include "gateway/gateway.h"
#include "gateway/plugin_file.h"
#include "gateway/plugin_set.h"
#include "loop/offload.h"
#include "loop/worker.h"
#include "tap.h"

#define ABI_TEXT(a, b) #a "." #b
#define ABI_OF(a, b)   ABI_TEXT(a, b)

static const struct log quiet = {-1, LOG_LEVEL_ERROR};

struct loader {
    struct loop_worker *w;
    struct loop_offload *offload;
    struct gateway *gw;
    const char *folder;
    struct config_file config;
    char error[1024];
};

static void loader_init(struct loader *l, const char *config)
{
    unsetenv("ODD_LOADED");
    unsetenv("ODD_CAME_BACK");
    *l = (struct loader){.folder = folder_make()};
    if (l->folder == NULL || loop_worker_new(NULL, &l->w, NULL) < 0 ||
        loop_offload_new(NULL, &l->offload, NULL) < 0 ||
        config_file_parse(&l->config, "wspr.conf", config, strlen(config), NULL) < 0) {
        printf("Bail out! no loop\n");
        exit(99);
    }
}

static int loader_run(struct loader *l, const char *const *required, size_t n,
                      const char *const *optional, size_t n_optional)
{
    struct gateway_opts opts = {.worker = l->w,
                                .offload = l->offload,
                                .log = &quiet,
                                .plugin_dir = l->folder,
                                .plugins = required,
                                .n_plugins = n,
                                .optional = optional,
                                .n_optional = n_optional,
                                .config = &l->config};
    struct err e = ERR_INIT;
    int r = gateway_new(&opts, &l->gw, &e);

    snprintf(l->error, sizeof l->error, "%s", r < 0 ? err_text(&e) : "");
    err_done(&e);
    return r;
}

static void stop_loop(void *arg)
{
    loop_worker_stop(arg);
}

/* Everything comes to its end: what plugins began is back before their host is gone. */
static void loader_done(struct loader *l)
{
    if (l->gw != NULL)
        gateway_stop(l->gw, stop_loop, l->w);
    else
        loop_worker_stop(l->w);
    loop_worker_run(l->w);
    loop_offload_free(l->offload);
    loop_worker_free(l->w);
    config_file_done(&l->config);
}

static const char *noted(const char *name)
{
    const char *text = getenv(name);

    return text != NULL ? text : "";
}

/* ---- refusals ---- */

static const struct {
    const char *built, *name, *want[3];
    int code;
} refused[] = {
    {"odd_symbol", "odd_symbol", {"/odd_symbol.so", "wspr_no_such_function"}, WSPR_EINVAL},
    {"odd_major",
     "odd_major",
     {"/odd_major.so is built for plugin ABI 7.",
      "this program offers " ABI_OF(WSPR_ABI_MAJOR, WSPR_ABI_MINOR)},
     WSPR_EINVAL},
    {"odd_former",
     "odd_former",
     {"/odd_former.so is built for plugin ABI 0.",
      "this program offers " ABI_OF(WSPR_ABI_MAJOR, WSPR_ABI_MINOR)},
     WSPR_EINVAL},
    {"odd_minor",
     "odd_minor",
     {"/odd_minor.so is built for plugin ABI ",
      "this program offers " ABI_OF(WSPR_ABI_MAJOR, WSPR_ABI_MINOR)},
     WSPR_EINVAL},
    {"odd_fails", "odd_fails", {"plugin odd_fails does not load: "}, WSPR_ESYS},
    {"odd_twice", "odd_twice", {"/odd_twice.so claims message type 218 twice"}, WSPR_EEXISTS},
    {"odd_misnamed", "odd_misnamed", {"/odd_misnamed.so calls itself somebody"}, WSPR_EINVAL},
    {"odd_good", "other", {"/other.so calls itself odd_good"}, WSPR_EINVAL},
    {"odd_entryless",
     "odd_entryless",
     {"/odd_entryless.so is no wspr plugin: it has no "
      "wspr_plugin_entry"},
     WSPR_EINVAL},
    {"odd_null", "odd_null", {"/odd_null.so is no wspr plugin", "returns NULL"}, WSPR_EINVAL},
    {"odd_default",
     "odd_default",
     {"/odd_default.so has an option with a wrong default: ", "\"10\"", "number"},
     WSPR_EINVAL},
    {"odd_claim", "odd_claim", {"/odd_claim.so makes a malformed claim of type 230"}, WSPR_EINVAL},
    {NULL, "absent", {"/absent.so", "No such file"}, WSPR_ENOTFOUND},
    {NULL, "../x", {"malformed plugin name \"../x\""}, WSPR_EINVAL},
    {NULL, "", {"malformed plugin name \"\""}, WSPR_EINVAL},
};

static void refusals(void)
{
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        char built[128];
        struct loader l;
        int r;

        loader_init(&l, "");
        snprintf(built, sizeof built, "tests/plugins/%s", refused[i].built);
        if (refused[i].built != NULL)
            TAP_IS(folder_put(l.folder, built, refused[i].name));
        r = loader_run(&l, &refused[i].name, 1, NULL, 0);
        TAP_OK(r == refused[i].code, "%s: %d instead of %d", refused[i].name, r, refused[i].code);
        for (size_t k = 0; k < 3 && refused[i].want[k] != NULL; k++)
            TAP_OK(strstr(l.error, refused[i].want[k]) != NULL, "%s: \"%s\" is not in \"%s\"",
                   refused[i].name, refused[i].want[k], l.error);
        TAP_OK(strchr(l.error, '\n') == NULL, "%s: one line", refused[i].name);
        loader_done(&l);
    }
    tap_note("%zu refusals", sizeof refused / sizeof refused[0]);
}

static void files_of_others(void)
{
    const char *name = "odd_good";
    struct loader l;
    char path[4400];

    loader_init(&l, "");
    TAP_IS(folder_put(l.folder, "tests/plugins/odd_good", name));
    snprintf(path, sizeof path, "%s/odd_good.so", l.folder);
    TAP_IS(chmod(path, 0775) == 0);
    TAP_IS(loader_run(&l, &name, 1, NULL, 0) == WSPR_ENOTAUTH);
    TAP_OK(strncmp(l.error, path, strlen(path)) == 0, "%s", l.error);
    TAP_IS(chmod(path, 0755) == 0 && chmod(l.folder, 0707) == 0);
    TAP_IS(loader_run(&l, &name, 1, NULL, 0) == WSPR_ENOTAUTH);
    TAP_OK(strncmp(l.error, path, strlen(l.folder)) == 0 && strstr(l.error, ".so") == NULL, "%s",
           l.error);
    TAP_IS(chmod(l.folder, 0700) == 0);
    folder_write(
        l.folder, "odd_good.so",
        "This is no ELF file, but it is as long as the head of one has to be, so that it is looked "
        "at.\n");
    TAP_IS(chmod(path, 0644) == 0);
    TAP_IS(loader_run(&l, &name, 1, NULL, 0) == WSPR_EINVAL);
    TAP_OK(strstr(l.error, path) != NULL && strstr(l.error, "ELF") != NULL, "%s", l.error);
    l.folder = "/nonexistent/folder";
    TAP_IS(loader_run(&l, &name, 1, NULL, 0) == WSPR_ENOTFOUND);
    TAP_OK(strstr(l.error, l.folder) != NULL, "%s", l.error);
    TAP_OK(strcmp(noted("ODD_LOADED"), "") == 0, "nothing was run: %s", noted("ODD_LOADED"));
    loader_done(&l);
}

/* ---- several ---- */

static void optional_ones(void)
{
    static const char *const required[] = {"odd_good"};
    static const char *const optional[] = {"odd_thief", "odd_major", "odd_fails", "absent",
                                           "odd_old"};
    struct loader l;

    loader_init(&l, "");
    for (size_t i = 0; i < 4; i++) {
        char built[64];

        snprintf(built, sizeof built, "tests/plugins/%s", i < 1 ? required[i] : optional[i - 1]);
        TAP_IS(folder_put(l.folder, built, built + strlen("tests/plugins/")));
    }
    TAP_IS(folder_put(l.folder, "tests/plugins/odd_old", "odd_old"));
    TAP_OK(loader_run(&l, required, 1, optional, 5) == 0, "%s", l.error);
    if (l.gw != NULL)
        TAP_IS(gateway_stats(l.gw)->plugins_left_out == 4);
    TAP_OK(strcmp(noted("ODD_LOADED"), "odd_good odd_fails odd_old ") == 0, "%s",
           noted("ODD_LOADED"));
    loader_done(&l);
    TAP_OK(strcmp(noted("ODD_LOADED"), "odd_good odd_fails odd_old -odd_old -odd_good ") == 0, "%s",
           noted("ODD_LOADED"));
    /* What odd_fails began came back once each; its timer was taken from it. */
    TAP_OK(strcmp(noted("ODD_CAME_BACK"), "post work ") == 0 ||
               strcmp(noted("ODD_CAME_BACK"), "work post ") == 0,
           "%s", noted("ODD_CAME_BACK"));
}

static void types_of_another(void)
{
    static const char *const required[] = {"odd_good", "odd_thief"};
    struct loader l;

    loader_init(&l, "");
    TAP_IS(folder_put(l.folder, "tests/plugins/odd_good", "odd_good"));
    TAP_IS(folder_put(l.folder, "tests/plugins/odd_thief", "odd_thief"));
    TAP_IS(loader_run(&l, required, 2, NULL, 0) == WSPR_EEXISTS);
    TAP_OK(strcmp(l.error, "message type 200 is claimed by odd_good and by odd_thief") == 0, "%s",
           l.error);
    TAP_OK(strcmp(noted("ODD_LOADED"), "odd_good -odd_good ") == 0, "%s", noted("ODD_LOADED"));
    loader_done(&l);
}

/* A required one that fails with work under way: that comes back before anything is freed. */
static void work_of_a_failed_start(void)
{
    const char *name = "odd_fails";
    struct loader l;

    loader_init(&l, "");
    TAP_IS(folder_put(l.folder, "tests/plugins/odd_fails", name));
    TAP_IS(loader_run(&l, &name, 1, NULL, 0) == WSPR_ESYS);
    TAP_IS(strstr(noted("ODD_CAME_BACK"), "post") == NULL);
    loader_done(&l);
    TAP_OK(strlen(noted("ODD_CAME_BACK")) == strlen("post work "), "%s", noted("ODD_CAME_BACK"));
}

/* ---- options ---- */

static void options_of_the_configuration(void)
{
    static const struct {
        const char *config, *error;
    } cases[] = {
        {"[plugin odd_good]\nword = a b\nnumber = 9\nflag = yes\n", NULL},
        {"[plugin odd_good]\nwodr = x\n", "wspr.conf:2: plugin odd_good has no option \"wodr\""},
        {"\n[plugin odd_good]\n\nnumber = 10\n", "wspr.conf:4: invalid value \"10\" for "},
        {"[plugin odd_good]\nnumber = many\n", "wspr.conf:2: invalid value \"many\" for "},
        {"[plugin odd_good]\nflag = perhaps\n", "wspr.conf:2: invalid value \"perhaps\" for "},
    };
    const char *name = "odd_good";

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct loader l;
        int r;

        loader_init(&l, cases[i].config);
        TAP_IS(folder_put(l.folder, "tests/plugins/odd_good", name));
        r = loader_run(&l, &name, 1, NULL, 0);
        if (cases[i].error == NULL)
            TAP_OK(r == 0, "%s", l.error);
        else
            TAP_OK(r == WSPR_EINVAL &&
                       strncmp(l.error, cases[i].error, strlen(cases[i].error)) == 0,
                   "%s", l.error);
        TAP_IS((cases[i].error == NULL) == (strcmp(noted("ODD_LOADED"), "odd_good ") == 0));
        loader_done(&l);
    }
}

static void sets(void)
{
    static const struct {
        const char *required, *optional, *denied, *config, *error;
    } cases[] = {
        {"a, b", "c", "b, c", "[plugin a]\n[plugin b]\n[plugin c]\n", NULL},
        {"a", "", "", "[plugin b]\nx = y\n", NULL},
        {"a", "", "", "[a]\n", "wspr.conf:1: unknown section [a]"},
        {"a,a", "", "", "", "plugins names a twice"},
        {"a", "b, a", "", "", "a is in plugins and in optional-plugins"},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct config_file config;
        struct plugin_set set;
        struct err e = ERR_INIT;
        int r;

        TAP_IS(config_file_parse(&config, "wspr.conf", cases[i].config, strlen(cases[i].config),
                                 NULL) == 0);
        r = plugin_set_read(&set, cases[i].required, cases[i].optional, cases[i].denied, &config,
                            &quiet, &e);
        if (cases[i].error == NULL) {
            TAP_OK(r == 0, "%s", err_text(&e));
            TAP_IS(set.n_required == 1 && strcmp(set.required[0], "a") == 0 && set.n_optional == 0);
        } else {
            TAP_OK(r < 0 && strcmp(err_text(&e), cases[i].error) == 0, "%s", err_text(&e));
        }
        plugin_set_done(&set);
        config_file_done(&config);
        err_done(&e);
    }
}

static const struct tap_case loader_cases[] = {
    {"refusals", refusals},
    {"files of others", files_of_others},
    {"optional ones", optional_ones},
    {"types of another", types_of_another},
    {"work of a failed start", work_of_a_failed_start},
    {"options of the configuration", options_of_the_configuration},
    {"lists of plugins", sets},
};

int main(int argc, char **argv)
{
    const struct tap_suite suites[] = {TAP_SUITE("loader", loader_cases)};

    return tap_main(argc, argv, suites, 1);
}
