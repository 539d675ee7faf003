/* The VOM types of identities, caveats and discharges (spec: security 2, 3, 8; vom A.11.5). */
#ifndef SECURITY_TYPES_H
#define SECURITY_TYPES_H

#include "vom/type.h"

/* veyron2/security */
extern const struct vom_type security_type_pattern, security_type_hash, security_type_signature,
    security_type_caveat_id, security_type_public_id, security_type_private_id,
    security_type_caveat_any, security_type_placeholder;
/* veyron2/security/wire */
extern const struct vom_type security_type_pubkey, security_type_caveat, security_type_caveat_list,
    security_type_certificate, security_type_certificate_list, security_type_chain,
    security_type_chain_private;
/* What identities are sent as: pointers to the named types, the private set excepted. */
extern const struct vom_type security_type_public_chain, security_type_public_chain_ptr,
    security_type_private_chain, security_type_private_chain_ptr, security_type_public_set,
    security_type_public_set_ptr, security_type_private_set;
/* veyron/security/caveat */
extern const struct vom_type security_type_expiry, security_type_expiry_ptr, security_type_methods,
    security_type_peers, security_type_network, security_type_third_party,
    security_type_third_party_ptr, security_type_discharge, security_type_discharge_ptr;
/* The identity message of circuits. */
extern const struct vom_type security_type_channel_message;

/* Order of the fields. */
enum { SECURITY_SIGNATURE_HASH, SECURITY_SIGNATURE_R, SECURITY_SIGNATURE_S };
enum { SECURITY_PUBKEY_CURVE, SECURITY_PUBKEY_XY };
enum { SECURITY_CAVEAT_SERVICE, SECURITY_CAVEAT_BYTES };
enum { SECURITY_CERT_NAME, SECURITY_CERT_KEY, SECURITY_CERT_CAVEATS, SECURITY_CERT_SIGNATURE };
enum { SECURITY_CHAIN_CERTS };
enum { SECURITY_PRIVATE_PUBLIC, SECURITY_PRIVATE_SECRET };
enum { SECURITY_EXPIRY_ISSUED, SECURITY_EXPIRY_EXPIRES };
enum { SECURITY_THIRD_NONCE, SECURITY_THIRD_MINTING, SECURITY_THIRD_KEY, SECURITY_THIRD_LOCATION };
enum { SECURITY_DISCHARGE_ID, SECURITY_DISCHARGE_CAVEATS, SECURITY_DISCHARGE_SIGNATURE };

#endif
