//! What services do for themselves on the server's own listener: renew the X.509-SVID by which they are known.
//!
//! Questions about agents are elsewhere (`decisions`); the first SVID comes from an operator (`admin/services.rs`).

mod issued;
pub(crate) mod renew;

pub(crate) use issued::{Issued, issue, proven};

use crate::installation::Installation;
use crate::surface::Routes;
use std::sync::Arc;

/// Where a service renews.
pub(crate) const RENEW_PATH: &str = "/services/v1/svid";

/// `/services/v1/…`.
pub(crate) fn routes() -> Routes<Arc<Installation>> {
    Routes::new().post(RENEW_PATH, renew::answer)
}
