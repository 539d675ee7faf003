#include "config.h"
#include "security/types.h"

#include "vom/wiretypes.h"

#define SECURITY "veyron2/security."
#define WIRE     "veyron2/security/wire."
#define RUNTIME  "veyron/runtimes/google/security."
#define CAVEAT   "veyron/security/caveat."

/* Values. */

const struct vom_type security_type_pattern =
    VOM_TYPE_NAMED(VOM_KIND_STRING, SECURITY "PrincipalPattern");
const struct vom_type security_type_hash = VOM_TYPE_NAMED(VOM_KIND_STRING, SECURITY "Hash");
const struct vom_type security_type_caveat_id =
    VOM_TYPE_NAMED(VOM_KIND_STRING, SECURITY "ThirdPartyCaveatID");
const struct vom_type security_type_placeholder =
    VOM_TYPE_NAMED(VOM_KIND_STRING, SECURITY "fakeID");
const struct vom_type security_type_public_id = VOM_TYPE_NAMED(VOM_KIND_ANY, SECURITY "PublicID");
const struct vom_type security_type_private_id = VOM_TYPE_NAMED(VOM_KIND_ANY, SECURITY "PrivateID");
const struct vom_type security_type_caveat_any = VOM_TYPE_NAMED(VOM_KIND_ANY, SECURITY "Caveat");

static const struct vom_field signature_fields[] = {
    VOM_FIELD("Hash", &security_type_hash),
    VOM_FIELD("R", &vom_type_bytes),
    VOM_FIELD("S", &vom_type_bytes),
};
const struct vom_type security_type_signature =
    VOM_TYPE_STRUCT(SECURITY "Signature", signature_fields);

static const struct vom_type key_curve = VOM_TYPE_NAMED(VOM_KIND_BYTE, WIRE "KeyCurve");
static const struct vom_field pubkey_fields[] = {
    VOM_FIELD("Curve", &key_curve),
    VOM_FIELD("XY", &vom_type_bytes),
};
const struct vom_type security_type_pubkey = VOM_TYPE_STRUCT(WIRE "PublicKey", pubkey_fields);

static const struct vom_field caveat_fields[] = {
    VOM_FIELD("Service", &security_type_pattern),
    VOM_FIELD("Bytes", &vom_type_bytes),
};
const struct vom_type security_type_caveat = VOM_TYPE_STRUCT(WIRE "Caveat", caveat_fields);
const struct vom_type security_type_caveat_list = VOM_TYPE_SLICE("", &security_type_caveat);

/* Identities. */

static const struct vom_field certificate_fields[] = {
    VOM_FIELD("Name", &vom_type_string),
    VOM_FIELD("PublicKey", &security_type_pubkey),
    VOM_FIELD("Caveats", &security_type_caveat_list),
    VOM_FIELD("Signature", &security_type_signature),
};
const struct vom_type security_type_certificate =
    VOM_TYPE_STRUCT(WIRE "Certificate", certificate_fields);
const struct vom_type security_type_certificate_list =
    VOM_TYPE_SLICE("", &security_type_certificate);

static const struct vom_field chain_fields[] = {
    VOM_FIELD("Certificates", &security_type_certificate_list),
};
const struct vom_type security_type_chain = VOM_TYPE_STRUCT(WIRE "ChainPublicID", chain_fields);

static const struct vom_field chain_private_fields[] = {
    VOM_FIELD("PublicID", &security_type_chain),
    VOM_FIELD("Secret", &vom_type_bytes),
};
const struct vom_type security_type_chain_private =
    VOM_TYPE_STRUCT(WIRE "ChainPrivateID", chain_private_fields);

const struct vom_type security_type_public_chain =
    VOM_TYPE_PTR(RUNTIME "chainPublicID", &security_type_chain);
const struct vom_type security_type_public_chain_ptr =
    VOM_TYPE_PTR("", &security_type_public_chain);
const struct vom_type security_type_private_chain =
    VOM_TYPE_PTR(RUNTIME "chainPrivateID", &security_type_chain_private);
const struct vom_type security_type_private_chain_ptr =
    VOM_TYPE_PTR("", &security_type_private_chain);
const struct vom_type security_type_public_set =
    VOM_TYPE_SLICE(RUNTIME "setPublicID", &security_type_public_id);
const struct vom_type security_type_public_set_ptr = VOM_TYPE_PTR("", &security_type_public_set);
const struct vom_type security_type_private_set =
    VOM_TYPE_SLICE(RUNTIME "setPrivateID", &security_type_private_id);

/* Caveats and discharges. */

static const struct vom_field expiry_fields[] = {
    VOM_FIELD("IssueTime", &vom_type_time),
    VOM_FIELD("ExpiryTime", &vom_type_time),
};
const struct vom_type security_type_expiry = VOM_TYPE_STRUCT(CAVEAT "Expiry", expiry_fields);
const struct vom_type security_type_expiry_ptr = VOM_TYPE_PTR("", &security_type_expiry);
const struct vom_type security_type_methods =
    VOM_TYPE_SLICE(CAVEAT "MethodRestriction", &vom_type_string);
const struct vom_type security_type_peers =
    VOM_TYPE_SLICE(CAVEAT "PeerIdentity", &security_type_pattern);
const struct vom_type security_type_network = VOM_TYPE_NAMED(VOM_KIND_STRING, CAVEAT "NetworkType");

static const struct vom_field third_party_fields[] = {
    VOM_FIELD("RandNonce", &vom_type_bytes),
    VOM_FIELD("DischargeMintingCaveat", &vom_type_bytes),
    VOM_FIELD("ValidationKey", &security_type_pubkey),
    VOM_FIELD("ThirdPartyLocation", &vom_type_string),
};
const struct vom_type security_type_third_party =
    VOM_TYPE_STRUCT(CAVEAT "publicKeyCaveat", third_party_fields);
const struct vom_type security_type_third_party_ptr = VOM_TYPE_PTR("", &security_type_third_party);

static const struct vom_field discharge_fields[] = {
    VOM_FIELD("ThirdPartyCaveatID", &security_type_caveat_id),
    VOM_FIELD("Caveats", &security_type_caveat_list),
    VOM_FIELD("Signature", &security_type_signature),
};
const struct vom_type security_type_discharge =
    VOM_TYPE_STRUCT(CAVEAT "publicKeyDischarge", discharge_fields);
const struct vom_type security_type_discharge_ptr = VOM_TYPE_PTR("", &security_type_discharge);

static const struct vom_field channel_fields[] = {
    VOM_FIELD("ChannelID", &vom_type_bytes), VOM_FIELD("ID", &vom_type_bytes),
    VOM_FIELD("SignR", &vom_type_bytes),     VOM_FIELD("SignS", &vom_type_bytes),
    VOM_FIELD("Signature", &vom_type_bytes),
};
const struct vom_type security_type_channel_message =
    VOM_TYPE_STRUCT("veyron/runtimes/google/ipc/stream/vc.identityMessage", channel_fields);
