/* Peers that show a placeholder, whose key is nobody's: what is wrong with them depends on the
 * switch of tests. */
#include "config.h"

#include "object.h"
#include "raw.h"
#include "rig.h"
#include "rpc_tests.h"
#include "security/private.h"

/* fake/x of spec: security 14, with the key of somebody. */
static struct security_private *fake_identity(const struct rig_ids *ids)
{
    static const uint8_t text[] =
        "\xff\x81\x1d\x10\x01\x03\x01\x17veyron2/security.fakeID\0\xff\x82\x07\x06"
        "fake/x";
    struct security_private *fake = NULL;
    struct security_identity *id = NULL;

    TAP_IS(security_identity_decode(span_of(text, sizeof text - 1), SECURITY_ALLOW_PLACEHOLDERS,
                                    &id, NULL) == 0);
    if (id != NULL)
        TAP_IS(security_private_create(id, security_private_key(ids->client), &fake, NULL) == 0);
    security_identity_unref(id);
    return fake;
}

static void show_to(bool placeholders, const char *why)
{
    struct rig_ids ids;
    struct object object;
    struct rpc_server *server;
    struct security_private *fake;
    struct raw_peer peer;
    struct rig rig;
    char endpoint[256];

    rig_ids_init(&ids);
    rig_init(&rig, &(struct rig_opts){
                       .identity = ids.server, .trust = ids.trust, .placeholders = placeholders});
    object_init(&object, ids.trust);
    server = rig_serve(&rig, &object.dispatcher, endpoint);
    fake = fake_identity(&ids);
    raw_init(&peer, rig.w, fake);
    raw_connect(&peer, endpoint + 1);
    raw_run(rig.w, 100);
    TAP_OK(strstr(peer.why, why) != NULL, "\"%s\"", peer.why);
    raw_done(&peer);
    rig_stop(&rig, server, 0);
    rig_done(&rig, true);
    object_done(&object);
    security_private_unref(fake);
    rig_ids_done(&ids);
}

static void placeholders_of_peers(void)
{
    show_to(false, "failed to decode security.PublicID");
    show_to(true, "channel id signature does not match");
}

const struct tap_case rpc_fake_cases[RPC_FAKE_CASES] = {
    {"placeholders of peers", placeholders_of_peers},
};
