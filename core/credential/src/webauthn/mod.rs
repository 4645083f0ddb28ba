//! Passkeys: the two ceremonies of W3C Web Authentication Level 3, as a relying party verifies them.
//!
//! What a verified assertion says: whoever holds the passkey proved to its authenticator to be its owner (by a PIN, a
//! finger, a face) and answered our challenge, on our own page. User verification is not an option here, and
//! attestation is not asked for: which make of authenticator somebody uses is not ours to know.
//!
//! The library of that name brings a crypto backend of its own; this is a few hundred lines over the one we have.
//! Whether a challenge was used before is for the caller: it is spent in the very commit that opens the session.

mod cbor;
mod cose;
mod data;
#[cfg(test)]
mod tests;

pub use cose::COSE_ALGORITHMS;

use crate::jose::Verified;
use cbor::Value;
use cose::CoseKey;
use data::{AuthenticatorData, Ceremony, client_data};

/// Largest attestation object in bytes. Without attestation it has under 2 KiB.
const ATTESTATION_BYTES_MAX: usize = 16 * 1024;

/// Who we are to the browser.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RelyingParty<'a> {
    /// The relying party id: a domain, never an address.
    pub id: &'a str,
    /// The one origin of our pages.
    pub origin: &'a str,
}

/// Why a ceremony is not accepted. The person learns only that it was not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WebauthnError {
    /// Bytes that are not what the specification says.
    #[error("{0} cannot be read")]
    Malformed(&'static str),
    /// A registration shown as an assertion, or the reverse.
    #[error("it belongs to the other ceremony")]
    Ceremony,
    /// The answer to another question.
    #[error("it answers another challenge")]
    Challenge,
    /// Another page asked.
    #[error("it was asked for by another origin")]
    Origin,
    /// A page inside another's frame asked.
    #[error("it was asked for inside a frame")]
    Framed,
    /// Made for another relying party.
    #[error("it is for another relying party")]
    RelyingParty,
    /// The authenticator did not verify that its owner is there.
    #[error("the authenticator did not verify its user")]
    NotVerified,
    /// None of ES256, EdDSA and RS256, or not a point, or parameters that do not belong there.
    #[error("the public key is of no kind that was asked for")]
    Key,
    /// An attestation that was not asked for and is not read.
    #[error("it carries an attestation that was not asked for")]
    Attestation,
    /// The key did not sign that.
    #[error("the signature does not verify")]
    Signature,
    /// The counter did not rise: two authenticators have the same key.
    #[error("the signature counter went back: the passkey was cloned")]
    Cloned,
    /// A passkey that could not be copied says that it can, or the reverse.
    #[error("the passkey is not the one that was enrolled")]
    Changed,
}

/// A new passkey, as its authenticator made it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NewPasskey {
    /// The credential id.
    pub id: Vec<u8>,
    /// The public key as a `COSE_Key`.
    pub key: Vec<u8>,
    /// The signature counter.
    pub counter: u32,
    /// Whether it may be copied to other devices.
    pub may_be_copied: bool,
}

/// Verifies a registration (section 7.1). Whether the credential id is taken (step 26) is for the caller.
pub fn registration(
    party: &RelyingParty<'_>,
    challenge: &[u8],
    client_data_json: &[u8],
    attestation_object: &[u8],
) -> Result<Verified<NewPasskey>, WebauthnError> {
    let malformed = WebauthnError::Malformed("the attestation object");
    let hash = client_data(client_data_json, Ceremony::Create, challenge, party)?;
    if attestation_object.len() > ATTESTATION_BYTES_MAX {
        return Err(malformed);
    }
    let (object, rest) = cbor::read(attestation_object).ok_or(malformed)?;
    let (Some(format), Some(statement @ Value::Map(_)), Some(bytes), true) = (
        object.member("fmt").and_then(Value::text),
        object.member("attStmt"),
        object.member("authData").and_then(Value::bytes),
        rest.is_empty(),
    ) else {
        return Err(malformed);
    };
    let data = AuthenticatorData::read(bytes, party)?;
    let attested = data.attested.ok_or(malformed)?;
    match format {
        "none" if statement.entries().is_empty() => {}
        // Self attestation, which a browser leaves as it is (section 5.1.3, section 8.2): no certificate, so it says
        // nothing about the authenticator.
        "packed" if statement.member("x5c").is_none() => {
            let algorithm = statement.member("alg").and_then(Value::integer);
            let signature = statement.member("sig").and_then(Value::bytes);
            if algorithm != Some(attested.key.algorithm()) {
                return Err(WebauthnError::Attestation);
            }
            attested
                .key
                .verify(&[bytes, &hash].concat(), signature.unwrap_or_default())?;
        }
        _ => return Err(WebauthnError::Attestation),
    }
    Ok(Verified::new(NewPasskey {
        id: attested.credential.to_vec(),
        key: attested.key_bytes.to_vec(),
        counter: data.counter,
        may_be_copied: data.may_be_copied,
    }))
}

/// A passkey that is known, as it was enrolled.
#[derive(Clone, Copy, Debug)]
pub struct KnownPasskey<'a> {
    /// The credential id.
    pub id: &'a [u8],
    /// The public key as a `COSE_Key`.
    pub key: &'a [u8],
    /// The newest counter.
    pub counter: u32,
    /// Whether it may be copied.
    pub may_be_copied: bool,
}

/// What the browser hands over for an assertion.
#[derive(Clone, Copy, Debug)]
pub struct AssertionResponse<'a> {
    /// `clientDataJSON`.
    pub client_data_json: &'a [u8],
    /// `authenticatorData`.
    pub authenticator_data: &'a [u8],
    /// `signature`.
    pub signature: &'a [u8],
}

/// A passkey answered a challenge.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Assertion {
    /// Which one.
    pub credential: Vec<u8>,
    /// Its counter now.
    pub counter: u32,
    /// The challenge that it answered.
    pub challenge: Vec<u8>,
}

/// Verifies an assertion by the passkey that the browser named (section 7.2).
pub fn assertion(
    party: &RelyingParty<'_>,
    challenge: &[u8],
    known: &KnownPasskey<'_>,
    response: &AssertionResponse<'_>,
) -> Result<Verified<Assertion>, WebauthnError> {
    let hash = client_data(response.client_data_json, Ceremony::Get, challenge, party)?;
    let data = AuthenticatorData::read(response.authenticator_data, party)?;
    if data.attested.is_some() {
        return Err(WebauthnError::Malformed("the authenticator data"));
    }
    if data.may_be_copied != known.may_be_copied {
        return Err(WebauthnError::Changed);
    }
    let (key, _) = CoseKey::read(known.key)?;
    key.verify(&[response.authenticator_data, &hash].concat(), response.signature)?;
    // Step 22. Authenticators without a counter say 0 for ever.
    if (data.counter != 0 || known.counter != 0) && data.counter <= known.counter {
        return Err(WebauthnError::Cloned);
    }
    Ok(Verified::new(Assertion {
        credential: known.id.to_vec(),
        counter: data.counter,
        challenge: challenge.to_vec(),
    }))
}
