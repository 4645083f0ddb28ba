//! One public key as JSON (RFC 7517, RFC 7518 section 6). Private members are refused, not ignored: whoever sends
//! one has to be told that the key is lost.

use crate::Algorithm;
use crate::public_key::{Curve, PublicKey, PublicKeyError};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use identity::Thumbprint;
use serde::{Deserialize, Serialize};

/// Longest `kid` in bytes. Ours have 43; a longer one is somebody's payload.
pub const KID_BYTES_MAX: usize = 256;

/// A public key with what its owner says about it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Jwk {
    /// The key.
    pub key: PublicKey,
    /// Its name in its set, if it has one.
    pub kid: Option<String>,
    /// The one algorithm it is for, if its owner says.
    pub algorithm: Option<Algorithm>,
    /// What it is for (`use`): `sig`, `x509-svid`, `jwt-svid`, …
    pub usage: Option<String>,
    /// Certificates in DER (`x5c`), leaf first.
    pub certificates: Vec<Vec<u8>>,
}

/// Why JSON is not a public key that we work with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum JwkError {
    /// Not a JSON object of the right shape, or a member twice.
    #[error("not a JWK: a JSON object with \"kty\" and the members of that type, each once")]
    Malformed,
    /// `d`, `p`, `q`, `dp`, `dq`, `qi`, `oth` or `k`.
    #[error("the JWK has private members")]
    Private,
    /// Neither EC nor RSA.
    #[error("\"kty\" is neither EC nor RSA")]
    KeyType,
    /// A value that is not unpadded canonical base64url.
    #[error("a member is not unpadded base64url")]
    Encoding,
    /// `alg` names none of the nine algorithms, or one that the key does not fit.
    #[error("\"alg\" does not fit the key")]
    Algorithm,
    /// `kid` is empty or longer than 256 bytes.
    #[error("\"kid\" has 1 to 256 bytes")]
    KeyId,
    /// The key itself.
    #[error(transparent)]
    Key(#[from] PublicKeyError),
}

impl Jwk {
    /// A key of ours: named by its RFC 7638 thumbprint, for one algorithm, `use` = `sig`.
    pub fn signing(key: PublicKey, algorithm: Algorithm) -> Self {
        Self {
            kid: Some(key.thumbprint().to_string()),
            algorithm: Some(algorithm),
            usage: Some("sig".to_owned()),
            certificates: Vec::new(),
            key,
        }
    }

    /// The bare key, as a DPoP proof's header carries it.
    pub const fn bare(key: PublicKey) -> Self {
        Self {
            key,
            kid: None,
            algorithm: None,
            usage: None,
            certificates: Vec::new(),
        }
    }

    /// Reads one JWK.
    pub fn parse(bytes: &[u8]) -> Result<Self, JwkError> {
        crate::json::check_depth(bytes).map_err(|_| JwkError::Malformed)?;
        let wire: JwkWire = crate::json::from_object(bytes).map_err(|_| JwkError::Malformed)?;
        wire.try_into()
    }

    /// RFC 7638 thumbprint.
    pub fn thumbprint(&self) -> Thumbprint {
        self.key.thumbprint()
    }

    /// The JSON text.
    pub fn to_json(&self) -> String {
        serde_json::to_string(&JwkWire::from(self)).unwrap_or_default()
    }
}

/// Whatever the value, the member is there.
#[derive(Default)]
struct Present(bool);

impl<'de> Deserialize<'de> for Present {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        serde::de::IgnoredAny::deserialize(from).map(|_| Self(true))
    }
}

/// The members of RFC 7517 section 4 and RFC 7518 section 6. Unknown members are ignored, as RFC 7517 demands.
#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct JwkWire {
    kty: String,
    #[serde(rename = "use", skip_serializing_if = "Option::is_none")]
    pub(crate) usage: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    kid: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    alg: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    crv: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    x: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    y: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    n: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    e: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) x5c: Vec<String>,
    #[serde(skip_serializing)]
    d: Present,
    #[serde(skip_serializing)]
    p: Present,
    #[serde(skip_serializing)]
    q: Present,
    #[serde(skip_serializing)]
    dp: Present,
    #[serde(skip_serializing)]
    dq: Present,
    #[serde(skip_serializing)]
    qi: Present,
    #[serde(skip_serializing)]
    oth: Present,
    #[serde(skip_serializing)]
    k: Present,
}

impl TryFrom<JwkWire> for Jwk {
    type Error = JwkError;
    fn try_from(wire: JwkWire) -> Result<Self, JwkError> {
        let private = [
            &wire.d, &wire.p, &wire.q, &wire.dp, &wire.dq, &wire.qi, &wire.oth, &wire.k,
        ];
        if private.iter().any(|member| member.0) {
            return Err(JwkError::Private);
        }
        let bytes = |member: &Option<String>| {
            let text = member.as_deref().ok_or(JwkError::Malformed)?;
            URL_SAFE_NO_PAD.decode(text).map_err(|_| JwkError::Encoding)
        };
        let key = match wire.kty.as_str() {
            "EC" => {
                let curve = wire.crv.as_deref().ok_or(JwkError::Malformed)?;
                let curve = Curve::from_name(curve).ok_or(PublicKeyError::Kind)?;
                PublicKey::ec(curve, &bytes(&wire.x)?, &bytes(&wire.y)?)?
            }
            "RSA" => PublicKey::rsa(&bytes(&wire.n)?, &bytes(&wire.e)?)?,
            _ => return Err(JwkError::KeyType),
        };
        let algorithm = match wire.alg.as_deref() {
            None => None,
            Some(name) => match Algorithm::from_name(name) {
                Some(algorithm) if algorithm.fits(&key) => Some(algorithm),
                _ => return Err(JwkError::Algorithm),
            },
        };
        if wire
            .kid
            .as_ref()
            .is_some_and(|kid| kid.is_empty() || kid.len() > KID_BYTES_MAX)
        {
            return Err(JwkError::KeyId);
        }
        let certificates = wire
            .x5c
            .iter()
            .map(|text| STANDARD.decode(text).map_err(|_| JwkError::Encoding));
        Ok(Self {
            key,
            kid: wire.kid,
            algorithm,
            usage: wire.usage,
            certificates: certificates.collect::<Result<_, _>>()?,
        })
    }
}

impl From<&Jwk> for JwkWire {
    fn from(jwk: &Jwk) -> Self {
        let text = |bytes: &[u8]| Some(URL_SAFE_NO_PAD.encode(bytes));
        let common = Self {
            usage: jwk.usage.clone(),
            kid: jwk.kid.clone(),
            alg: jwk.algorithm.map(|algorithm| algorithm.name().to_owned()),
            x5c: jwk.certificates.iter().map(|der| STANDARD.encode(der)).collect(),
            ..Self::default()
        };
        match (jwk.key.coordinates(), jwk.key.modulus_and_exponent()) {
            (Some((curve, x, y)), _) => Self {
                kty: "EC".to_owned(),
                crv: Some(curve.name().to_owned()),
                x: text(x),
                y: text(y),
                ..common
            },
            (None, Some((n, e))) => Self {
                kty: "RSA".to_owned(),
                n: text(n),
                e: text(e),
                ..common
            },
            (None, None) => common,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EC: &str = r#"{"kty":"EC","crv":"P-256","x":"l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs","y":"9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA"}"#;

    #[test]
    fn a_key_round_trips() {
        let jwk = Jwk::parse(EC.as_bytes()).unwrap();
        assert_eq!(jwk.to_json(), EC);
        let named = Jwk::signing(jwk.key, Algorithm::Es256);
        assert_eq!(Jwk::parse(named.to_json().as_bytes()), Ok(named));
    }

    #[test]
    fn a_private_member_is_refused_even_when_it_is_null() {
        for member in ["d", "p", "q", "dp", "dq", "qi", "oth", "k"] {
            for value in ["\"AQ\"", "null", "[]"] {
                let text = EC.replacen('{', &format!("{{\"{member}\":{value},"), 1);
                assert_eq!(Jwk::parse(text.as_bytes()), Err(JwkError::Private), "{text}");
            }
        }
    }

    #[test]
    fn malformed_keys_are_refused() {
        for (from, to, error) in [
            ("\"EC\"", "\"OKP\"", JwkError::KeyType),
            ("\"EC\"", "\"oct\"", JwkError::KeyType),
            ("P-256", "secp256k1", JwkError::Key(PublicKeyError::Kind)),
            ("P-256", "P-384", JwkError::Key(PublicKeyError::Coordinate)),
            ("RDA\"", "RDA=\"", JwkError::Encoding),
            ("RDA\"", "RDB\"", JwkError::Encoding),
            ("{", "{\"kty\":\"EC\",", JwkError::Malformed),
            ("{", "{\"alg\":\"RS256\",", JwkError::Algorithm),
            ("{", "{\"alg\":\"HS256\",", JwkError::Algorithm),
            ("{", "{\"kid\":\"\",", JwkError::KeyId),
        ] {
            let text = EC.replacen(from, to, 1);
            assert_eq!(Jwk::parse(text.as_bytes()), Err(error), "{text}");
        }
    }

    #[test]
    fn members_that_nobody_knows_are_ignored() {
        let text = EC.replacen('{', r#"{"ext":true,"key_ops":["verify"],"#, 1);
        assert_eq!(Jwk::parse(text.as_bytes()), Jwk::parse(EC.as_bytes()));
    }
}
