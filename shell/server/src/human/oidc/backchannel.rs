//! `/ui/login/backchannel/{provider}`: an identity provider says that somebody logged out there (OpenID Connect Back-Channel
//! Logout 1.0 section 2.5), and all their sessions here end in one commit.
//!
//! The request comes from a server and has no cookie. It is worth what its token is worth: only the provider can sign one.

use super::super::HumanPlane;
use super::super::form::read as read_form;
use super::provider::ProviderError;
use crate::connection::Peer;
use crate::settle::{Unsettled, settle};
use axum::extract::{Path, Request, State};
use axum::response::{IntoResponse as _, Response};
use axum::{Extension, Json};
use broker::session;
use credential::{LogoutClaims, Verified};
use http::StatusCode;
use identity::Name;
use serde_json::json;
use std::sync::Arc;

/// Where providers say it: this, and their name in the configuration.
pub(in super::super) const BACKCHANNEL: &str = "/ui/login/backchannel/";

/// What attempts are counted under.
const UNPROVEN: &str = "LOGOUT_UNPROVEN";

/// Takes a logout token.
pub(in super::super) async fn logged_out(
    State(human): State<Arc<HumanPlane>>,
    Extension(peer): Extension<Arc<Peer>>,
    Path(provider): Path<String>,
    request: Request,
) -> Response {
    let unproven = |why: &str| {
        human
            .installation()
            .unidentified
            .count(peer.address.ip(), UNPROVEN);
        tracing::warn!(provider = %provider, why, "a logout token was refused");
        // Section 2.8. The reason is for our own log: whoever sent it is nobody yet.
        (StatusCode::BAD_REQUEST, Json(json!({"error": "invalid_request"}))).into_response()
    };
    let Ok(form) = read_form(request.into_body()).await else {
        return unproven("the form cannot be read");
    };
    let Some(token) = form.one("logout_token") else {
        return unproven("there is none");
    };
    let logout = match verified(&human, &provider, token).await {
        Ok(logout) => logout,
        Err(why) => return unproven(&why.to_string()),
    };
    let ended = settle(human.installation(), None, |world, draw| {
        session::close_by_provider(world, &logout, draw)
    });
    match ended.await {
        Ok(_) => StatusCode::OK.into_response(),
        // A token that was used is a conflict each time that it is tried.
        Err(Unsettled::Contended) => unproven("it was used before"),
        Err(why) => {
            tracing::error!(%why, "a logout could not be recorded");
            StatusCode::SERVICE_UNAVAILABLE.into_response()
        }
    }
}

async fn verified(
    human: &HumanPlane,
    name: &str,
    token: &str,
) -> Result<Verified<LogoutClaims>, ProviderError> {
    let unknown = ProviderError::Document("the name of the provider in the path");
    let Ok(name) = name.parse::<Name>() else {
        return Err(unknown);
    };
    let Some(provider) = human.config.providers.get(&name) else {
        return Err(unknown);
    };
    human
        .providers
        .logged_out(&name, provider, token, human.now())
        .await
}
