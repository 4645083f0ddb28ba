//! A public key as a value: EC on the three NIST curves, or RSA. Everything that names, writes or reads a key
//! (JWK, SPKI, thumbprint) starts here.
//!
//! Ed25519 is absent on purpose: SPIFFE refuses it in SVIDs, and our own Ed25519 keys sign checkpoints, which are
//! not credentials.

use crate::der;
use crate::hash::sha256;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use identity::Thumbprint;
use x509_parser::public_key::PublicKey as ParsedKey;
use x509_parser::x509::SubjectPublicKeyInfo;

/// Smallest RSA modulus in bits: below it, factoring is within reach of a state (NIST SP 800-131A).
pub const RSA_BITS_MIN: usize = 2048;
/// Largest RSA modulus in bits: verifying a larger one is a way to burn our processor.
pub const RSA_BITS_MAX: usize = 8192;
/// Longest RSA exponent in bytes; 65537 needs three. A long exponent is as slow to verify as a signature to make.
pub const RSA_EXPONENT_BYTES_MAX: usize = 4;

const OID_EC: &[u8] = &[0x06, 7, 0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1];
const OID_P256: &[u8] = &[0x06, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7];
const OID_P384: &[u8] = &[0x06, 5, 0x2b, 0x81, 4, 0, 0x22];
const OID_P521: &[u8] = &[0x06, 5, 0x2b, 0x81, 4, 0, 0x23];
const OID_RSA_WITH_NULL: &[u8] = &[0x06, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1, 0x05, 0];

/// A curve of RFC 7518 section 6.2.1.1.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Curve {
    /// secp256r1.
    P256,
    /// secp384r1.
    P384,
    /// secp521r1.
    P521,
}

impl Curve {
    /// The value of `crv`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::P256 => "P-256",
            Self::P384 => "P-384",
            Self::P521 => "P-521",
        }
    }
    /// Bytes of one coordinate (RFC 7518 section 6.2.1.2: always the full width).
    pub const fn width_bytes(self) -> usize {
        match self {
            Self::P256 => 32,
            Self::P384 => 48,
            Self::P521 => 66,
        }
    }
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        [Self::P256, Self::P384, Self::P521]
            .into_iter()
            .find(|curve| curve.name() == name)
    }
    const fn oid(self) -> &'static [u8] {
        match self {
            Self::P256 => OID_P256,
            Self::P384 => OID_P384,
            Self::P521 => OID_P521,
        }
    }
}

/// Why bytes are not a public key that we work with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PublicKeyError {
    /// Neither EC on P-256, P-384 or P-521, nor RSA.
    #[error("the key is neither EC on P-256, P-384 or P-521, nor RSA")]
    Kind,
    /// An EC coordinate that is not exactly as wide as its field.
    #[error("an EC coordinate is exactly 32, 48 or 66 bytes, as its curve says")]
    Coordinate,
    /// The RSA modulus is too small or too large, or starts with a zero byte.
    #[error("an RSA modulus has 2048 to 8192 bits and no leading zero byte")]
    Modulus,
    /// The RSA exponent is even, smaller than 3 or longer than 4 bytes.
    #[error("an RSA exponent is odd, at least 3, and at most 4 bytes long")]
    Exponent,
    /// The coordinates are no point of the curve.
    #[error("the key is not a point of its curve")]
    Point,
}

/// A well-formed public key. Whether an EC key is a point of its curve is found out when a
/// [`crate::VerifyingKey`] is made of it.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct PublicKey(Material);

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
enum Material {
    Ec { curve: Curve, x: Vec<u8>, y: Vec<u8> },
    Rsa { n: Vec<u8>, e: Vec<u8> },
}

impl PublicKey {
    /// An EC key from its two coordinates, each of the full width.
    pub fn ec(curve: Curve, x: &[u8], y: &[u8]) -> Result<Self, PublicKeyError> {
        if x.len() != curve.width_bytes() || y.len() != curve.width_bytes() {
            return Err(PublicKeyError::Coordinate);
        }
        Ok(Self(Material::Ec {
            curve,
            x: x.to_vec(),
            y: y.to_vec(),
        }))
    }

    /// An EC key from its uncompressed point (SEC 1 section 2.3.3): `04`, x, y.
    pub fn ec_point(curve: Curve, point: &[u8]) -> Result<Self, PublicKeyError> {
        let (marker, coordinates) = point.split_first().ok_or(PublicKeyError::Coordinate)?;
        if *marker != 4 {
            return Err(PublicKeyError::Coordinate);
        }
        let (x, y) = coordinates
            .split_at_checked(curve.width_bytes())
            .ok_or(PublicKeyError::Coordinate)?;
        Self::ec(curve, x, y)
    }

    /// An RSA key from modulus and exponent, big-endian, without leading zeros.
    pub fn rsa(n: &[u8], e: &[u8]) -> Result<Self, PublicKeyError> {
        let first = n.first().copied().unwrap_or(0);
        let bits = n
            .len()
            .saturating_mul(8)
            .saturating_sub(first.leading_zeros() as usize);
        if first == 0 || !(RSA_BITS_MIN..=RSA_BITS_MAX).contains(&bits) {
            return Err(PublicKeyError::Modulus);
        }
        let odd = e.last().is_some_and(|last| last % 2 == 1);
        let leading_zero = e.first().is_none_or(|first| *first == 0);
        if leading_zero || !odd || e == [1] || e.len() > RSA_EXPONENT_BYTES_MAX {
            return Err(PublicKeyError::Exponent);
        }
        Ok(Self(Material::Rsa {
            n: n.to_vec(),
            e: e.to_vec(),
        }))
    }

    /// The key of a parsed certificate or request.
    pub(crate) fn from_spki(spki: &SubjectPublicKeyInfo<'_>) -> Result<Self, PublicKeyError> {
        match spki.parsed() {
            Ok(ParsedKey::RSA(rsa)) => {
                let strip = |bytes: &[u8]| -> Vec<u8> {
                    bytes.iter().copied().skip_while(|byte| *byte == 0).collect()
                };
                Self::rsa(&strip(rsa.modulus), &strip(rsa.exponent))
            }
            Ok(ParsedKey::EC(point)) => {
                let oid = spki
                    .algorithm
                    .parameters
                    .as_ref()
                    .and_then(|parameters| parameters.as_oid().ok())
                    .ok_or(PublicKeyError::Kind)?;
                let curve = [Curve::P256, Curve::P384, Curve::P521]
                    .into_iter()
                    .find(|curve| curve.oid().get(2..) == Some(oid.as_bytes()))
                    .ok_or(PublicKeyError::Kind)?;
                Self::ec_point(curve, point.data())
            }
            _ => Err(PublicKeyError::Kind),
        }
    }

    /// The curve; `None` for RSA.
    pub const fn curve(&self) -> Option<Curve> {
        match &self.0 {
            Material::Ec { curve, .. } => Some(*curve),
            Material::Rsa { .. } => None,
        }
    }

    /// DER of the X.509 SubjectPublicKeyInfo (RFC 5280 section 4.1).
    pub fn spki_der(&self) -> Vec<u8> {
        let algorithm = match &self.0 {
            Material::Ec { curve, .. } => der::sequence(&[OID_EC, curve.oid()]),
            Material::Rsa { .. } => der::sequence(&[OID_RSA_WITH_NULL]),
        };
        der::sequence(&[&algorithm, &der::bit_string(&self.raw())])
    }

    /// What stands inside the SPKI's bit string: an uncompressed point, or a PKCS#1 RSAPublicKey.
    pub(crate) fn raw(&self) -> Vec<u8> {
        match &self.0 {
            Material::Ec { x, y, .. } => [&[4], x.as_slice(), y.as_slice()].concat(),
            Material::Rsa { n, e } => der::sequence(&[&der::integer(n), &der::integer(e)]),
        }
    }

    /// RFC 7638 thumbprint with SHA-256: the key's name (`kid` of our keys, `jkt` of bindings).
    pub fn thumbprint(&self) -> Thumbprint {
        let text = match &self.0 {
            Material::Ec { curve, x, y } => format!(
                r#"{{"crv":"{}","kty":"EC","x":"{}","y":"{}"}}"#,
                curve.name(),
                URL_SAFE_NO_PAD.encode(x),
                URL_SAFE_NO_PAD.encode(y)
            ),
            Material::Rsa { n, e } => format!(
                r#"{{"e":"{}","kty":"RSA","n":"{}"}}"#,
                URL_SAFE_NO_PAD.encode(e),
                URL_SAFE_NO_PAD.encode(n)
            ),
        };
        Thumbprint::from_bytes(sha256(text.as_bytes()))
    }

    /// `(curve, x, y)` of an EC key.
    pub(crate) fn coordinates(&self) -> Option<(Curve, &[u8], &[u8])> {
        match &self.0 {
            Material::Ec { curve, x, y } => Some((*curve, x, y)),
            Material::Rsa { .. } => None,
        }
    }

    /// `(n, e)` of an RSA key.
    pub(crate) fn modulus_and_exponent(&self) -> Option<(&[u8], &[u8])> {
        match &self.0 {
            Material::Ec { .. } => None,
            Material::Rsa { n, e } => Some((n, e)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rsa_keys_outside_the_limits_are_refused() {
        let modulus = |bytes: usize| vec![0x80; bytes];
        assert!(PublicKey::rsa(&modulus(256), &[1, 0, 1]).is_ok());
        assert!(PublicKey::rsa(&modulus(1024), &[3]).is_ok());
        for (n, e, error) in [
            (modulus(255), vec![1, 0, 1], PublicKeyError::Modulus),
            (modulus(1025), vec![1, 0, 1], PublicKeyError::Modulus),
            ([vec![0], modulus(256)].concat(), vec![3], PublicKeyError::Modulus),
            (modulus(256), vec![1], PublicKeyError::Exponent),
            (modulus(256), vec![2], PublicKeyError::Exponent),
            (modulus(256), vec![0, 3], PublicKeyError::Exponent),
            (modulus(256), vec![1; 5], PublicKeyError::Exponent),
            (modulus(256), vec![], PublicKeyError::Exponent),
        ] {
            assert_eq!(PublicKey::rsa(&n, &e), Err(error));
        }
    }

    #[test]
    fn a_coordinate_of_the_wrong_width_is_refused() {
        assert_eq!(
            PublicKey::ec(Curve::P256, &[1; 31], &[1; 32]),
            Err(PublicKeyError::Coordinate)
        );
        assert_eq!(
            PublicKey::ec_point(Curve::P256, &[2; 33]),
            Err(PublicKeyError::Coordinate)
        );
    }

    #[test]
    fn an_spki_reads_back_as_the_same_key() {
        use x509_parser::prelude::FromDer as _;
        for key in [
            PublicKey::ec(Curve::P384, &[7; 48], &[9; 48]).unwrap(),
            PublicKey::rsa(&[0x81; 256], &[1, 0, 1]).unwrap(),
        ] {
            let der = key.spki_der();
            let (rest, spki) = SubjectPublicKeyInfo::from_der(&der).unwrap();
            assert!(rest.is_empty());
            assert_eq!(PublicKey::from_spki(&spki), Ok(key));
        }
    }
}
