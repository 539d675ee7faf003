#include "config.h"
#include "idrig.h"

#include "security/idfile.h"

struct gw id_gw;

void id_begin_with(struct gw_opts opts)
{
    opts.service = opts.accounts = opts.offload = true;
    opts.plugins[0] = request_plugin_entry();
    opts.plugins[1] = signature_plugin_entry();
    opts.plugins[2] = assoc_identity_plugin_entry();
    gw_init(&id_gw, &opts);
}

void id_begin(void)
{
    id_begin_with((struct gw_opts){.log_to_text = true});
}

void id_end(void)
{
    TAP_IS(gw_wait_conns(&id_gw, 0));
    gw_done(&id_gw);
}

void id_open_page(struct page *p, const char *origin)
{
    char header[300] = "";

    if (origin != NULL)
        snprintf(header, sizeof header, "Origin: %s\r\n", origin);
    TAP_OK(page_open(p, &id_gw, origin != NULL ? header : NULL, true), "%s", header);
}

void id_identity_text(struct security_private *id, struct buf *text)
{
    *text = BUF_INIT(SECURITY_TEXT_MAX);
    TAP_IS(security_idfile_print_private(text, id) == 0 && buf_cstr(text) != NULL);
}

void id_associate(struct page *p, long long id, const char *account,
                  struct security_private *identity, const char *origin)
{
    struct buf text;
    char data[8192];

    id_identity_text(identity, &text);
    snprintf(data, sizeof data, "{\"account\":\"%s\",\"identity\":\"%s\",\"origin\":\"%s\"}",
             account, buf_cstr(&text), origin);
    page_message(p, id, 7, data);
    security_buf_wipe(&text);
}

void id_associate_locally(const char *account, struct security_private *identity,
                          const char *origin)
{
    struct page p;

    id_open_page(&p, NULL);
    id_associate(&p, 1, account, identity, origin);
    page_expect_reply(&p, 1, 0, "null");
    page_drop(&p);
}

void id_call(struct page *p, long long id, const char *suffix, const char *method, int n_out)
{
    char data[1024];

    snprintf(data, sizeof data,
             "{\"name\":\"%s//%s\",\"method\":\"%s\",\"inArgs\":[],\"numOutArgs\":%d}",
             id_gw.endpoint, suffix, method, n_out);
    page_message(p, id, 0, data);
}

void id_is_seen_as(struct page *p, long long id, const char *name)
{
    char json[1024];

    snprintf(json, sizeof json, "[\"%s\"]", name);
    id_call(p, id, "x", "whoami", 2);
    page_expect_reply(p, id, 0, json);
}
