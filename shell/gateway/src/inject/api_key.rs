//! An API key: the secret as the value of a header, after a prefix.

use super::{InjectError, Injected};
use http::HeaderName;
use identity::Secret;
use zeroize::Zeroizing;

pub(super) fn injected(header: &str, prefix: &str, secret: &Secret<String>) -> Result<Injected, InjectError> {
    let name = HeaderName::from_bytes(header.as_bytes()).map_err(|_| InjectError::NotAHeader)?;
    let text = Zeroizing::new(format!("{prefix}{}", secret.expose()));
    Injected::new(name, &text, secret.expose())
}
