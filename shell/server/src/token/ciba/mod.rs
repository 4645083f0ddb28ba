//! CIBA in poll mode (OpenID Connect Client-Initiated Backchannel Authentication Core 1.0): an agent waits for a human's
//! word, and then gets a token that is good for what was approved and for nothing else.
//!
//! Who is asked, and about what, is not the client's to say: an approval is asked for by a refusal at a gateway. The client
//! names that approval, proves who it is as at the token endpoint, and polls. Names and error codes are those of the
//! standard, so that any client that speaks it does; there is no `id_token`, because nobody logs in.

mod authorize;
mod parked;
mod redeem;

pub(super) use authorize::authorize;
pub(crate) use parked::Parked;
pub(super) use redeem::redeem;

/// The value of `grant_type` (section 10.1).
pub(crate) const CIBA_GRANT: &str = "urn:openid:params:grant-type:ciba";
/// Path of the backchannel authentication endpoint (section 7).
pub(crate) const AUTHORIZE_PATH: &str = "/oauth/bc-authorize";
