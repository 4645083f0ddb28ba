//! The token endpoint: RFC 8693 token exchange, sender-constrained, recorded before it is signed.
//!
//! Who asks shows a JWT-SVID of ours, from the very instance that it was issued to: proven by DPoP with the instance's
//! key, or by the connection's own X.509-SVID. It is the subject token of a caller that acts for itself, and the actor
//! token of one that acts for somebody else, whose token is the subject then. Who cannot be identified is only counted;
//! from then on every refusal is an entry.

mod answer;
mod ciba;
mod endpoint;
mod errors;
mod on_behalf;
mod pdp;
mod possession;
mod remembered;
mod subject;
mod unidentified;
mod wish;

pub(crate) use ciba::{AUTHORIZE_PATH as CIBA_AUTHORIZE_PATH, CIBA_GRANT, Parked};
pub(crate) use remembered::Remembered;
pub(crate) use unidentified::Unidentified;

pub(crate) use credential::token_exchange::TOKEN_EXCHANGE as TOKEN_EXCHANGE_GRANT;

use crate::installation::Installation;
use crate::surface::Routes;
use std::sync::Arc;

/// Path of the token endpoint.
pub(crate) const TOKEN_PATH: &str = "/oauth/token";

/// `/oauth/token`.
pub(crate) fn routes() -> Routes<Arc<Installation>> {
    Routes::new()
        .post(TOKEN_PATH, endpoint::answer)
        .post(ciba::AUTHORIZE_PATH, ciba::authorize)
}
