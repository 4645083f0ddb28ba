//! What an administrator copies to the machine that joins: the secret, and where to spend it.
//!
//! One line, so that nothing is forgotten: `tabard-join.SECRET.PIN.TRUST-DOMAIN@ISSUER`. The pin is the SHA-256 of the
//! root certificate: the joining member knows the server before it sends the secret. The secret that the server
//! knows by its digest is the part `tabard-join.SECRET`.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use identity::{Digest, TrustDomain};
use std::fmt;
use std::str::FromStr;

/// The first part of every join token, so that scanners can find a leaked one.
const PREFIX: &str = "tabard-join";

/// A join token with its place.
#[derive(Clone, PartialEq, Eq)]
pub struct JoinString {
    /// What is sent to the server: `tabard-join.` and 43 characters.
    pub secret: String,
    /// Where the server is.
    pub issuer: String,
    /// The installation's trust domain.
    pub trust_domain: TrustDomain,
    /// SHA-256 of the root certificate in DER.
    pub pin: Digest,
}

/// Why a text is not a join token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "this is not a join token: copy the whole line that `tabard join-token create` printed, from tabard-join to the address"
)]
pub struct JoinStringError;

impl JoinString {
    /// The secret made of random bytes.
    pub(super) fn secret_of(bytes: [u8; 32]) -> String {
        format!("{PREFIX}.{}", URL_SAFE_NO_PAD.encode(bytes))
    }
}

impl fmt::Display for JoinString {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}.{}.{}@{}",
            self.secret,
            self.pin.hex(),
            self.trust_domain,
            self.issuer
        )
    }
}

/// Without the secret.
impl fmt::Debug for JoinString {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "JoinString({PREFIX}.….{}.{}@{})",
            self.pin.hex(),
            self.trust_domain,
            self.issuer
        )
    }
}

impl FromStr for JoinString {
    type Err = JoinStringError;
    fn from_str(text: &str) -> Result<Self, JoinStringError> {
        let mut parts = text.trim().splitn(4, '.');
        let (Some(PREFIX), Some(secret), Some(pin), Some(place)) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(JoinStringError);
        };
        if URL_SAFE_NO_PAD.decode(secret).map_or(0, |bytes| bytes.len()) != 32 {
            return Err(JoinStringError);
        }
        let (trust_domain, issuer) = place.split_once('@').ok_or(JoinStringError)?;
        if !issuer.starts_with("https://") {
            return Err(JoinStringError);
        }
        Ok(Self {
            secret: format!("{PREFIX}.{secret}"),
            issuer: issuer.to_owned(),
            trust_domain: trust_domain.parse().map_err(|_| JoinStringError)?,
            pin: format!("sha256:{pin}").parse().map_err(|_| JoinStringError)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_reads_back_and_shows_no_secret() {
        let join = JoinString {
            secret: JoinString::secret_of([7; 32]),
            issuer: "https://127.0.0.1:7443".into(),
            trust_domain: "dev.tabard.internal".parse().unwrap(),
            pin: Digest::from_bytes([9; 32]),
        };
        assert_eq!(join.to_string().parse(), Ok(join.clone()));
        assert!(!format!("{join:?}").contains("BwcH"));
        let cut = join.to_string().replace("@https", "@http");
        assert_eq!(cut.parse::<JoinString>(), Err(JoinStringError));
        assert_eq!("tabard-join.abc".parse::<JoinString>(), Err(JoinStringError));
    }
}
