//! The two documents that every ceremony has: what the browser says (`clientDataJSON`, WebAuthn section 5.8.1) and what
//! the authenticator says (authenticator data, section 6.1).

use super::cose::CoseKey;
use super::{RelyingParty, WebauthnError, cbor};
use crate::hash::sha256;
use crate::json::parse_strict;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;

/// Largest `clientDataJSON` in bytes; browsers write under 300.
const CLIENT_DATA_BYTES_MAX: usize = 4096;
/// Longest credential id in bytes (section 7.1 step 25).
const CREDENTIAL_ID_BYTES_MAX: usize = 1023;

/// Which ceremony it is: `type` of the client data.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Ceremony {
    Create,
    Get,
}

/// Judges the browser's word (section 7.1 steps 5 to 11, section 7.2 steps 9 to 15) and gives its hash.
pub(super) fn client_data(
    bytes: &[u8],
    ceremony: Ceremony,
    challenge: &[u8],
    party: &RelyingParty<'_>,
) -> Result<[u8; 32], WebauthnError> {
    let malformed = WebauthnError::Malformed("the client data");
    if bytes.len() > CLIENT_DATA_BYTES_MAX {
        return Err(malformed);
    }
    let Ok(Value::Object(members)) = parse_strict(bytes) else {
        return Err(malformed);
    };
    let text = |name: &str| members.get(name).and_then(Value::as_str).unwrap_or_default();
    let wanted = match ceremony {
        Ceremony::Create => "webauthn.create",
        Ceremony::Get => "webauthn.get",
    };
    if text("type") != wanted {
        return Err(WebauthnError::Ceremony);
    }
    if text("challenge") != URL_SAFE_NO_PAD.encode(challenge) {
        return Err(WebauthnError::Challenge);
    }
    if text("origin") != party.origin {
        return Err(WebauthnError::Origin);
    }
    // Nobody frames our pages, so nobody else's document is around.
    let framed = members
        .get("crossOrigin")
        .is_some_and(|it| *it != Value::Bool(false));
    if framed || members.contains_key("topOrigin") {
        return Err(WebauthnError::Framed);
    }
    Ok(sha256(bytes))
}

/// A new credential, inside the authenticator data of a registration.
#[derive(Debug)]
pub(super) struct Attested<'a> {
    pub(super) credential: &'a [u8],
    pub(super) key: CoseKey,
    pub(super) key_bytes: &'a [u8],
}

/// What the authenticator says.
#[derive(Debug)]
pub(super) struct AuthenticatorData<'a> {
    pub(super) may_be_copied: bool,
    pub(super) counter: u32,
    pub(super) attested: Option<Attested<'a>>,
}

impl<'a> AuthenticatorData<'a> {
    /// Reads it and judges what both ceremonies judge alike: the relying party, presence, verification and the flags
    /// of backup (section 7.1 steps 14 to 17, section 7.2 steps 16 to 19).
    pub(super) fn read(input: &'a [u8], party: &RelyingParty<'_>) -> Result<Self, WebauthnError> {
        let malformed = WebauthnError::Malformed("the authenticator data");
        let (rp_id_hash, rest) = input.split_at_checked(32).ok_or(malformed)?;
        let (flags, rest) = rest.split_first().ok_or(malformed)?;
        let (counter, mut rest) = rest.split_first_chunk::<4>().ok_or(malformed)?;
        let flag = |bit: u8| flags & (1 << bit) != 0;
        if rp_id_hash != sha256(party.id.as_bytes()) {
            return Err(WebauthnError::RelyingParty);
        }
        let (present, verified, eligible, copied) = (flag(0), flag(2), flag(3), flag(4));
        if !present || !verified {
            return Err(WebauthnError::NotVerified);
        }
        if copied && !eligible {
            return Err(malformed);
        }
        let mut attested = None;
        if flag(6) {
            let (_aaguid, after) = rest.split_at_checked(16).ok_or(malformed)?;
            let (length, after) = after.split_first_chunk::<2>().ok_or(malformed)?;
            let length = usize::from(u16::from_be_bytes(*length));
            let (credential, after) = after.split_at_checked(length).ok_or(malformed)?;
            if credential.is_empty() || credential.len() > CREDENTIAL_ID_BYTES_MAX {
                return Err(malformed);
            }
            let (key, behind) = CoseKey::read(after)?;
            let key_bytes = after
                .get(..after.len().saturating_sub(behind.len()))
                .ok_or(malformed)?;
            attested = Some(Attested {
                credential,
                key,
                key_bytes,
            });
            rest = behind;
        }
        // We ask for no extension; what an authenticator adds unasked is read over.
        if flag(7) {
            rest = cbor::read(rest).ok_or(malformed)?.1;
        }
        if !rest.is_empty() {
            return Err(malformed);
        }
        Ok(Self {
            may_be_copied: eligible,
            counter: u32::from_be_bytes(*counter),
            attested,
        })
    }
}
