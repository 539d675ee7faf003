/* Serving, the signature, invocations and the forms of responses (spec: websocket 9, 10). */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>

#include "serve_tests.h"
#include "serving.h"
#include "vom/json_out.h"
#include "vom/wiretypes.h"

static struct page *const a = &serving.a, *const b = &serving.b;

/* One call of `pick` and what the caller must get for the response. */
static void pick(long long n, const char *response, int type, const char *message)
{
    serving_call(b, 100 + n, "", "pick", "[\"x\"]", 2, false);
    serving_expect_invoke(2 * n, "pick", "[\"x\"]", "");
    serving_expect_end(2 * n);
    serving_reply(2 * n, response);
    page_expect_reply(b, 100 + n, type, message);
}

static void test_call(void)
{
    serving_begin(NULL);
    serving_call(b, 3, "row/7", "pick", "[{\"size\":3,\"of\":[null,1e3]}]", 2, false);
    serving_expect_invoke(0, "pick", "[{\"size\": 3, \"of\": [null, 1000]}]", "row/7");
    serving_expect_end(0);
    TAP_IS(serving_stats()->pending == 1 && serving_stats()->servers == 1);
    serving_reply(0, "{\"results\":[\"\\u00e4pple\"],\"err\":null}");
    page_expect_reply(b, 3, 0, "[\"\xc3\xa4pple\"]");
    serving_call(b, 5, "", "Split", "[1,2]", 3, false);
    serving_expect_invoke(2, "split", "[1, 2]", "");
    serving_expect_end(2);
    serving_reply(2, "{\"results\":[true,{\"k\":[]}]}");
    page_expect_reply(b, 5, 0, "[true, {\"k\": []}]");
    serving_call(b, 7, "", "ack", "[]", 1, false);
    serving_expect_invoke(4, "ack", "[]", "");
    serving_expect_end(4);
    serving_reply(4, "{}");
    page_expect_reply(b, 7, 0, "[]");
    TAP_IS(serving_stats()->pending == 0 && serving_stats()->invocations == 3);
    TAP_IS(serving_stats()->invocations_lost == 0 && serving_stats()->served == 1);
    serving_end();
}

/* Once the signature is known, a call is one message of each page, and three frames in all. */
static void test_one_round_trip(void)
{
    const struct gateway_stats *s;
    struct gateway_stats before;

    serving_begin(NULL);
    pick(0, "{\"results\":[1]}", 0, "[1]");
    s = serving_stats();
    before = *s;
    for (long long i = 1; i <= 10; i++)
        pick(i, "{\"results\":[1]}", 0, "[1]");
    TAP_OK(s->messages_in - before.messages_in == 20, "%llu messages of pages",
           (unsigned long long)(s->messages_in - before.messages_in));
    TAP_OK(s->frames_out - before.frames_out == 30, "%llu frames to pages",
           (unsigned long long)(s->frames_out - before.frames_out));
    TAP_IS(s->signatures_fetched == before.signatures_fetched);
    TAP_IS(s->invocations - before.invocations == 10);
    serving_end();
}

/* A page calls its own object; flow ids of both sides are equal and do not collide. */
static void test_own_object(void)
{
    serving_begin(NULL);
    serving_call(a, 0, "", "pick", "[0]", 2, false);
    serving_expect_invoke(0, "pick", "[0]", "");
    serving_expect_end(0);
    serving_reply(0, "{\"results\":[1]}");
    page_expect_reply(a, 0, 0, "[1]");
    serving_end();
}

static void test_responses(void)
{
    static const struct {
        const char *response;
        int type;
        const char *message;
    } rows[] = {
        {"{\"results\":[null]}", 0, "[[]]"},
        {"{\"results\":[[null,{\"a\":null}]]}", 0, "[[null, {\"a\": null}]]"},
        {"{\"RESULTS\":[7],\"Err\":null}", 0, "[7]"},
        {"{\"results\":[1e400]}", 2,
         "{\"iD\": \"" INTERNAL "\", \"msg\": \"could not unmarshal the result from the server: "
         "json: cannot unmarshal number 1e400 into Go value of type float64\"}"},
        {"{\"results\":[1],\"err\":{\"iD\":\"garden.Wilted\",\"msg\":\"dry\"}}", 2,
         "{\"iD\": \"garden.Wilted\", \"msg\": \"dry\"}"},
        /* Filled up, or cut, to the declared count, so that the error is seen. */
        {"{\"results\":[],\"err\":{\"ID\":\"veyron2/verror.Exists\",\"Msg\":\"dup\"}}", 2,
         "{\"iD\": \"veyron2/verror.Exists\", \"msg\": \"dup\"}"},
        {"{\"results\":[1,2,3],\"err\":{\"id\":\"\",\"msg\":\"plain\"}}", 2,
         "{\"iD\": \"\", \"msg\": \"plain\"}"},
        {"{\"err\":{}}", 2, "{\"iD\": \"\", \"msg\": \"\"}"},
        /* Without an error the caller sees the count itself. */
        {"{\"results\":[1,2]}", 2,
         "{\"iD\": \"" BAD_PROTOCOL "\", \"msg\": \"ipc: server sent 3 results, client expected "
         "2\"}"},
        {"null", 2,
         "{\"iD\": \"" BAD_PROTOCOL "\", \"msg\": \"ipc: server sent 1 results, client expected "
         "2\"}"},
        {"oops", 2,
         "{\"iD\": \"" INTERNAL "\", \"msg\": \"could not unmarshal the result from the server: "
         "invalid character 'o' looking for beginning of value\"}"},
        {"{\"results\":{}}", 2,
         "{\"iD\": \"" INTERNAL "\", \"msg\": \"could not unmarshal the result from the server: "
         "json: cannot unmarshal object into Go value of type []interface {}\"}"},
        {"{\"results\":[1],\"err\":\"bad\"}", 2,
         "{\"iD\": \"" INTERNAL "\", \"msg\": \"could not unmarshal the result from the server: "
         "json: cannot unmarshal string into Go value of type verror.Standard\"}"},
        {"{\"results\":[1],\"err\":{\"msg\":7}}", 2,
         "{\"iD\": \"" INTERNAL "\", \"msg\": \"could not unmarshal the result from the server: "
         "json: cannot unmarshal number into Go value of type string\"}"},
    };

    serving_begin(NULL);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        pick((long long)i, rows[i].response, rows[i].type, rows[i].message);
    serving_end();
}

/* Responses to what is over, or never was, are dropped. */
static void test_late_responses(void)
{
    serving_begin(NULL);
    serving_reply(0, "{\"results\":[0]}");
    pick(0, "{\"results\":[1]}", 0, "[1]");
    serving_reply(0, "{\"results\":[2]}");
    page_message(a, 0, 3, "3");
    serving_reply(1, "{\"results\":[2]}");
    page_expect_silence(a);
    page_expect_silence(b);
    TAP_IS(serving_stats()->dropped_messages == 4);
    serving_end();
}

/* What a native client gets that does not keep to the signature. */
static void test_native_refusals(void)
{
    static const char *const one[] = {"x"};
    struct tcall t;

    serving_begin(NULL);
    serving_native(&t, "suf", "Nope", NULL, 0, NULL);
    if (serving_native_done(&t))
        TAP_OK(strcmp(err_id(&t.err), NOT_FOUND) == 0 &&
                   strcmp(tcall_error(&t), "method name not found in IDL: Nope: name: \"//suf\"") ==
                       0,
               "%s", tcall_error(&t));
    tcall_done(&t);
    serving_native(&t, "", "pick", one, 1, NULL);
    if (serving_native_done(&t))
        TAP_OK(strcmp(tcall_error(&t), "method name not found in IDL: pick: name: \"//\"") == 0,
               "%s", tcall_error(&t));
    tcall_done(&t);
    serving_native(&t, "suf", "Pick", NULL, 0, NULL);
    if (serving_native_done(&t))
        TAP_OK(strcmp(err_id(&t.err), BAD_PROTOCOL) == 0 &&
                   strcmp(tcall_error(&t),
                          "ipc: wrong number of input arguments for method \"Pick\", name "
                          "\"//suf\" (called with 0 args, expected 1)") == 0,
               "%s", tcall_error(&t));
    tcall_done(&t);
    page_expect_silence(a);
    TAP_IS(serving_stats()->invocations == 0);
    serving_end();
}

/* Leading slashes of the suffix are not shown to the page; what is in it is quoted. */
static void test_suffix(void)
{
    static const char *const one[] = {"x"};
    struct tcall t;

    serving_begin(NULL);
    serving_native(&t, "//a \"b\"//c/", "Pick", one, 1, NULL);
    serving_expect_invoke(0, "pick", "[\"x\"]", "a \\\"b\\\"//c/");
    serving_expect_end(0);
    serving_reply(0, "{\"results\":[[\"y\"]]}");
    if (serving_native_done(&t))
        TAP_IS(t.err.code == 0 && t.n_results == 2 && t.n_items == 0);
    tcall_done(&t);
    serving_end();
}

/* The signature as a native client gets it: the ids of the types are those of the reference. */
static void test_native_signature(void)
{
    static const char expected[] =
        "{\"typeDefs\": [{\"type\": 1, \"name\": \"veyron2/vdlutil.AnyData\", \"tags\": []}, "
        "{\"type\": 1, \"name\": \"error\", \"tags\": []}], \"methods\": {\"Grow\": {\"inArgs\": "
        "[{\"name\": \"x\", \"type\": 65}], \"outArgs\": [{\"name\": \"\", \"type\": 65}, "
        "{\"name\": \"err\", \"type\": 65}], \"inStream\": 65, \"outStream\": 65}, \"Shrink\": "
        "{\"inArgs\": [], \"outArgs\": [{\"name\": \"err\", \"type\": 65}], \"inStream\": 0, "
        "\"outStream\": 0}}}";
    struct serving_how how = {.idle = true};
    struct buf text = BUF_INIT(65536);
    struct tcall t;

    serving_begin(&how);
    serving_ask(a, 1, 0, "",
                "{\"shrink\":{\"INARGS\":null,\"NUMOUTARGS\":1},"
                "\"Grow\":{\"inargs\":[\"x\"],\"numoutargs\":2,\"isstreaming\":true}}");
    serving_expect_endpoint(a, 1, serving.endpoint);
    serving_native(&t, "", "Signature", NULL, 0, NULL);
    if (serving_native_done(&t) && t.n_results == 2) {
        vom_json_write_value(&text, &t.results[0], 0, NULL);
        TAP_OK(strcmp(buf_cstr(&text), expected) == 0, "%s", buf_cstr(&text));
    }
    TAP_OK(t.err.code == 0 && t.n_results == 2, "%s", tcall_error(&t));
    tcall_done(&t);
    buf_done(&text);
    page_expect_silence(a);
    serving_end();
}

/* Pages see the signature as the service described it; the first description counts. */
static void test_first_service_counts(void)
{
    struct serving_how how = {.idle = true};
    char again[512], data[640];

    serving_begin(&how);
    serving_ask(a, 1, 7, "", "{\"first\":{\"NumOutArgs\":1}}");
    serving_expect_endpoint(a, 1, serving.endpoint);
    serving_ask(a, 3, 7, "", "{\"second\":{\"NumOutArgs\":1}}");
    serving_expect_endpoint(a, 3, again);
    TAP_IS(strcmp(again, serving.endpoint) == 0);
    serving_ask(a, 5, 7, "", "{\"third\":{\"NumOutArgs\":0}}");
    page_expect_error(a, 5, INTERNAL,
                      "error serving service: method third must have at least one out arg");
    snprintf(data, sizeof data, "{\"name\":\"/%s//\"}", serving.endpoint);
    page_message(b, 1, 5, data);
    page_expect_reply(b, 1, 0,
                      "{\"first\": {\"inArgs\": [], \"numOutArgs\": 1, \"isStreaming\": false}}");
    serving_ask(a, 7, 8, "", "null");
    serving_expect_endpoint(a, 7, again);
    TAP_IS(strcmp(again, serving.endpoint) != 0);
    snprintf(data, sizeof data, "{\"name\":\"/%s//\"}", again);
    page_message(b, 3, 5, data);
    page_expect_reply(b, 3, 0, "{}");
    serving_end();
}

/* `Bar` and `bar` are one method; a name may begin with any letter, or have none. */
static void test_method_names(void)
{
    struct serving_how how = {.idle = true};
    char data[640];

    serving_begin(&how);
    serving_ask(a, 1, 1, "",
                "{\"Bar\":{\"NumOutArgs\":1},\"bar\":{\"NumOutArgs\":1},"
                "\"\xc3\xa4rger\":{\"NumOutArgs\":1},\"\":{\"NumOutArgs\":1},"
                "\"Signature\":{\"NumOutArgs\":1}}");
    serving_expect_endpoint(a, 1, serving.endpoint);
    snprintf(data, sizeof data, "{\"name\":\"/%s//\"}", serving.endpoint);
    page_message(b, 1, 5, data);
    page_expect_reply(b, 1, 0,
                      "{\"\": {\"inArgs\": [], \"numOutArgs\": 1, \"isStreaming\": false}, "
                      "\"bar\": {\"inArgs\": [], \"numOutArgs\": 1, \"isStreaming\": false}, "
                      "\"signature\": {\"inArgs\": [], \"numOutArgs\": 1, \"isStreaming\": "
                      "false}, \"\xc3\xa4rger\": {\"inArgs\": [], \"numOutArgs\": 1, "
                      "\"isStreaming\": false}}");
    serving_call(b, 3, "", "\xc3\xa4rger", "[]", 1, false);
    serving_expect_invoke(0, "\xc3\xa4rger", "[]", "");
    serving_expect_end(0);
    serving_reply(0, "{}");
    page_expect_reply(b, 3, 0, "[]");
    serving_end();
}

static void test_wrong_requests(void)
{
    struct serving_how how = {.idle = true};

    serving_begin(&how);
    page_message(a, 1, 1, "{\"serverId\":-1}");
    page_expect_error(a, 1, INTERNAL,
                      "can't unmarshal JSONMessage: json: cannot unmarshal number -1 into Go value "
                      "of type uint64");
    page_message(a, 1, 1, "{\"service\":{\"m\":{\"numOutArgs\":1.5}}}");
    page_expect_error(a, 1, INTERNAL,
                      "can't unmarshal JSONMessage: json: cannot unmarshal number 1.5 into Go "
                      "value of type int");
    page_message(a, 1, 1, "{\"service\":{\"m\":{}}}");
    page_expect_error(a, 1, INTERNAL,
                      "error serving service: method m must have at least one out arg");
    page_message(a, 1, 1, "{\"service\":{\"m\":{\"numOutArgs\":-3}}}");
    page_expect_error(a, 1, INTERNAL,
                      "error serving service: method m must have at least one out arg");
    page_message(a, 1, 1, "{\"service\":{\"m\":{\"numOutArgs\":9223372036854775807}}}");
    page_expect_error(a, 1, INTERNAL, "error serving service: method m has too many out args");
    page_message(a, 1, 6, "\"6\"");
    page_expect_error(a, 1, INTERNAL,
                      "can't unmarshal JSONMessage: json: cannot unmarshal string into Go value of "
                      "type uint64");
    page_expect_silence(a);
    TAP_IS(serving_stats()->servers == 0);
    serving_end();
}

/* A relay that leads nowhere: an error each time, the connection and the daemon live on. */
static void test_relay_that_is_none(void)
{
    struct serving_how how = {.proxy = "nope/proxy", .idle = true};

    serving_begin(&how);
    for (int i = 0; i < 3; i++) {
        serving_ask(a, i, 1, "", SERVING_OBJECT);
        page_expect_error(a, i, INTERNAL,
                          "error serving service: failed to parse endpoint \"nope/proxy\": invalid "
                          "endpoint string");
    }
    TAP_IS(serving_stats()->servers == 1);
    page_message(a, 9, 6, "1");
    page_expect_reply(a, 9, 0, "true");
    page_expect_silence(a);
    TAP_IS(serving_stats()->servers == 0);
    serving_end();
}

static const struct tap_case cases[] = {
    {"a call and its answer", test_call},
    {"a call is one round trip to the page", test_one_round_trip},
    {"a page calls its own object", test_own_object},
    {"every form of a response", test_responses},
    {"responses to nothing are dropped", test_late_responses},
    {"native callers that do not keep to the signature", test_native_refusals},
    {"the suffix as a page gets it", test_suffix},
    {"the signature as a native client gets it", test_native_signature},
    {"the first description of a service counts", test_first_service_counts},
    {"names of methods", test_method_names},
    {"requests that are wrong", test_wrong_requests},
    {"a relay that leads nowhere", test_relay_that_is_none},
};

const struct tap_suite serve_rules_suite = TAP_SUITE("serve-rules", cases);
