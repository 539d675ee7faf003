/*
 * The recordings of RPC flows, four times: read, written again, played to our server, and played
 * to our client. Circuits carry plaintext here, so that nothing but the RPC layer is tested.
 */
#include "config.h"

#include <stdlib.h>

#include "recorded_tests.h"
#include "recording.h"
#include "tap.h"
#include "vom/wiretypes.h"

/* ---- reading ---- */

static unsigned n_read, n_values;

static void read_direction(struct json_object *flow, bool from_client)
{
    struct json_object *sequence = vec_get(flow, "sequence");
    struct buf bytes = recording_bytes(flow, from_client);
    struct recording_items items;
    size_t at = 0;

    TAP_OK(recording_read(&items, buf_span(&bytes), from_client), "%s: cannot be read",
           from_client ? "c2s" : "s2c");
    for (size_t i = 0; i < json_object_array_length(sequence); i++) {
        struct json_object *entry = json_object_array_get_idx(sequence, i);

        if (strcmp(vec_str(entry, "dir"), from_client ? "c2s" : "s2c") != 0 ||
            strcmp(vec_str(entry, "op"), "value") != 0 || vec_get(entry, "write_failed") != NULL)
            continue;
        TAP_OK(at < items.n && item_is_json(&items.item[at], entry), "%s: value %zu",
               from_client ? "c2s" : "s2c", at);
        at++;
        n_values++;
    }
    TAP_OK(at == items.n, "%zu values, not %zu", items.n, at);
    recording_items_done(&items);
    buf_done(&bytes);
    n_read++;
}

static void for_flows(void (*fn)(struct json_object *flow, bool from_client))
{
    struct json_object *recording = recording_named(tap_case_name());

    if (recording_flow(recording, 0) == NULL)
        tap_skip("no flow was opened");
    for (size_t i = 0; i == 0 || recording_flow(recording, i) != NULL; i++) {
        if (recording_flow(recording, i) == NULL)
            continue;
        fn(recording_flow(recording, i), true);
        fn(recording_flow(recording, i), false);
    }
}

static void read_case(void)
{
    for_flows(read_direction);
}

static void read_count(void)
{
    tap_note("read: %u directions of flows with %u values", n_read, n_values);
    TAP_IS(n_read > 0);
}

/* ---- writing ---- */

static unsigned n_written;

/* Our encoders write the same bytes for the same headers and values. */
static void write_direction(struct json_object *flow, bool from_client)
{
    struct buf bytes = recording_bytes(flow, from_client), out = BUF_INIT(1 << 20);
    struct recording_items items;
    struct vom_enc enc;
    struct err e = ERR_INIT;
    int r = 0;

    recording_read(&items, buf_span(&bytes), from_client);
    vom_enc_init(&enc);
    if (items.n > 0)
        vom_enc_prime(&enc, &out, from_client ? &vom_preset_request : &vom_preset_response);
    for (size_t i = 0; i < items.n && r == 0; i++) {
        const struct recording_item *item = &items.item[i];

        if (item->kind == ITEM_REQUEST)
            r = rpc_request_put(&enc, &out, &item->request);
        else if (item->kind == ITEM_RESPONSE)
            r = rpc_response_put(&enc, &out, &item->response);
        else
            r = vom_enc_value(&enc, &out, &item->value, &e);
        TAP_OK(r == 0, "value %zu: %d %s", i, r, e.code != 0 ? err_text(&e) : "");
        TAP_OK(span_equal(span_of(buf_data(&out), out.len),
                          span_of(bytes.base + bytes.off, item->end)),
               "%s: other bytes up to value %zu", from_client ? "c2s" : "s2c", i);
    }
    err_done(&e);
    vom_enc_done(&enc);
    buf_done(&out);
    recording_items_done(&items);
    buf_done(&bytes);
    n_written++;
}

static void write_case(void)
{
    for_flows(write_direction);
}

static void write_count(void)
{
    tap_note("written: %u directions of flows, same bytes", n_written);
    TAP_IS(n_written > 0);
}

/* ---- the suites: one case for each recording ---- */

static struct tap_case *cases_of(void (*run)(void), const char *last, void (*run_last)(void),
                                 size_t *ret_n)
{
    struct json_object *all = recordings();
    size_t n = json_object_array_length(all);
    struct tap_case *cases = calloc(n + 1, sizeof *cases);

    for (size_t i = 0; cases != NULL && i < n; i++)
        cases[i] = (struct tap_case){vec_str(json_object_array_get_idx(all, i), "id"), run};
    if (cases != NULL)
        cases[n] = (struct tap_case){last, run_last};
    *ret_n = n + 1;
    return cases;
}

int main(int argc, char **argv)
{
    static const char *const names[4] = {"read", "write", "server", "client"};
    static const struct tap_case pieces[] = {
        {"byte by byte", pieces_byte_by_byte},
        {"cut at each byte", pieces_cut},
        {"conversations about names", names_conversations},
    };
    struct tap_suite suites[5] = {[4] = TAP_SUITE("pieces", pieces)};
    void (*const run[4])(void) = {read_case, write_case, server_case, client_case};
    void (*const last[4])(void) = {read_count, write_count, server_end, client_end};
    int r;

    for (size_t i = 0; i < 4; i++) {
        suites[i].name = names[i];
        suites[i].cases = cases_of(run[i], "count", last[i], &suites[i].n_cases);
    }
    r = tap_main(argc, argv, suites, 5);
    server_end();
    client_end();
    for (size_t i = 0; i < 4; i++)
        free((void *)suites[i].cases);
    json_object_put(recordings_file());
    return r;
}
