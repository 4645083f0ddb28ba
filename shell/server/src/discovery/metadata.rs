//! `GET /.well-known/openid-configuration` and `/.well-known/oauth-authorization-server`: one document under two
//! names (OpenID Connect Discovery section 4, RFC 8414 section 3), so that `issuer` is the same byte for byte.
//!
//! There is no authorization endpoint: agents exchange what they prove, and people do not log in here. The members
//! about ID tokens are those that federations ask for before they accept a JWT-SVID.

use super::JWKS_PATH;
use crate::installation::Installation;
use crate::token::{CIBA_AUTHORIZE_PATH, CIBA_GRANT, TOKEN_EXCHANGE_GRANT, TOKEN_PATH};
use axum::extract::State;
use axum::response::IntoResponse;
use credential::agent_task::AGENT_TASK;
use credential::{Algorithm, dpop};
use http::header;
use serde::Serialize;
use std::sync::Arc;

#[derive(Serialize)]
struct Metadata<'a> {
    issuer: &'a str,
    token_endpoint: String,
    jwks_uri: String,
    backchannel_authentication_endpoint: String,
    backchannel_token_delivery_modes_supported: [&'a str; 1],
    backchannel_user_code_parameter_supported: bool,
    grant_types_supported: [&'a str; 2],
    response_types_supported: [&'a str; 1],
    subject_types_supported: [&'a str; 1],
    id_token_signing_alg_values_supported: [&'a str; 1],
    token_endpoint_auth_methods_supported: [&'a str; 2],
    dpop_signing_alg_values_supported: Vec<&'a str>,
    authorization_details_types_supported: [&'a str; 1],
    tls_client_certificate_bound_access_tokens: bool,
    claims_supported: [&'a str; 9],
}

/// The document.
pub(super) async fn answer(State(installation): State<Arc<Installation>>) -> impl IntoResponse {
    let issuer = &installation.config.issuer;
    let metadata = Metadata {
        issuer: issuer.as_str(),
        token_endpoint: issuer.endpoint(TOKEN_PATH),
        jwks_uri: issuer.endpoint(JWKS_PATH),
        backchannel_authentication_endpoint: issuer.endpoint(CIBA_AUTHORIZE_PATH),
        backchannel_token_delivery_modes_supported: ["poll"],
        backchannel_user_code_parameter_supported: false,
        grant_types_supported: [TOKEN_EXCHANGE_GRANT, CIBA_GRANT],
        response_types_supported: ["id_token"],
        subject_types_supported: ["public"],
        id_token_signing_alg_values_supported: [Algorithm::Es256.name()],
        token_endpoint_auth_methods_supported: ["none", "tls_client_auth"],
        dpop_signing_alg_values_supported: dpop::DPOP_ALGORITHMS.map(Algorithm::name).to_vec(),
        authorization_details_types_supported: [AGENT_TASK],
        tls_client_certificate_bound_access_tokens: true,
        claims_supported: [
            "iss",
            "sub",
            "aud",
            "exp",
            "iat",
            "jti",
            "act",
            "cnf",
            "authorization_details",
        ],
    };
    let headers = [
        (header::CONTENT_TYPE, "application/json"),
        (header::CACHE_CONTROL, "public, max-age=300"),
    ];
    (headers, serde_json::to_vec(&metadata).unwrap_or_default())
}
