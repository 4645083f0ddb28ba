//! The session of this terminal with a server that is elsewhere: a secret and a key, in a file that only its owner can
//! read. Each request proves the key, so neither is worth anything without the other.
//!
//! Whatever runs as the same user can read the file; that is why a session at a terminal never approves anything.

use crate::context::{ContextError, config_dir, replace};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use credential::dpop::{ProofClaims, RequestTarget};
use credential::{Algorithm, Curve, PublicKey};
use identity::UnixTime;
use serde::{Deserialize, Serialize};
use std::io;
use std::path::PathBuf;
use zeroize::Zeroizing;

/// Largest file in bytes.
const FILE_BYTES_MAX: u64 = 16 * 1024;

/// What the file holds.
#[derive(Serialize, Deserialize, Clone)]
#[serde(deny_unknown_fields)]
pub(crate) struct TerminalSession {
    /// The server's address for people.
    pub(crate) url: String,
    /// Who the session acts as.
    pub(crate) name: String,
    /// When it ends.
    pub(crate) expires_at: String,
    secret: String,
    key: String,
}

/// A key under way to a session.
pub(crate) struct TerminalKey {
    pair: EcdsaKeyPair,
    public: PublicKey,
    pkcs8: Zeroizing<Vec<u8>>,
}

/// The key cannot be made or used.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("this terminal's key cannot be used")]
pub(crate) struct NoKey;

impl TerminalKey {
    /// A new one.
    pub(crate) fn generate() -> Result<Self, NoKey> {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).map_err(|_| NoKey)?;
        let pkcs8 = pair.to_pkcs8v1().map_err(|_| NoKey)?;
        Self::of(&Zeroizing::new(pkcs8.as_ref().to_vec()))
    }

    fn of(pkcs8: &Zeroizing<Vec<u8>>) -> Result<Self, NoKey> {
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8).map_err(|_| NoKey)?;
        let public = PublicKey::ec_point(Curve::P256, pair.public_key().as_ref()).map_err(|_| NoKey)?;
        Ok(Self {
            pair,
            public,
            pkcs8: pkcs8.clone(),
        })
    }

    /// A proof for one request.
    pub(crate) fn prove(
        &self,
        method: &str,
        url: &str,
        secret: Option<&str>,
        now: UnixTime,
    ) -> Result<String, NoKey> {
        let jti = URL_SAFE_NO_PAD.encode(server::entropy::random::<16>().map_err(|_| NoKey)?);
        let claims = ProofClaims {
            jti: &jti,
            method,
            target: &RequestTarget::parse(url).map_err(|_| NoKey)?,
            issued_at: now,
            access_token: secret,
            nonce: None,
            caller: None,
        };
        let unsigned = claims.unsigned(&ProofClaims::header(&self.public, Algorithm::Es256));
        let signature = self
            .pair
            .sign(&SystemRandom::new(), unsigned.message())
            .map_err(|_| NoKey)?;
        Ok(unsigned.with_signature(signature.as_ref()))
    }

    /// The session that the server gave for it.
    pub(crate) fn session(
        &self,
        url: String,
        name: String,
        expires_at: String,
        secret: String,
    ) -> TerminalSession {
        TerminalSession {
            url,
            name,
            expires_at,
            secret,
            key: URL_SAFE_NO_PAD.encode(&*self.pkcs8),
        }
    }
}

impl std::fmt::Debug for TerminalSession {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "TerminalSession({} as {})", self.url, self.name)
    }
}

impl TerminalSession {
    /// Reads that of a context, if there is one.
    pub(crate) fn read(context: &str) -> Result<Option<Self>, ContextError> {
        let path = path(context)?;
        let io = |source| ContextError::Io {
            what: "read",
            path: path.clone(),
            source,
        };
        let bytes = match std::fs::metadata(&path) {
            Ok(metadata) if metadata.len() > FILE_BYTES_MAX => {
                return Err(io(io::Error::other("it is too large")));
            }
            Ok(_) => std::fs::read(&path).map_err(io)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(io(error)),
        };
        serde_json::from_slice(&bytes)
            .map(Some)
            .map_err(|error| io(io::Error::other(error.to_string())))
    }

    /// Keeps it for a context.
    pub(crate) fn write(&self, context: &str) -> Result<(), ContextError> {
        let text = serde_json::to_vec(self).unwrap_or_default();
        replace(&path(context)?, &text)
    }

    /// Forgets that of a context.
    pub(crate) fn forget(context: &str) -> Result<(), ContextError> {
        let path = path(context)?;
        match std::fs::remove_file(&path) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => Err(ContextError::Io {
                what: "remove",
                path,
                source,
            }),
            _ => Ok(()),
        }
    }

    /// `Authorization` and `DPoP` of one request.
    pub(crate) fn headers(&self, method: &str, path: &str, now: UnixTime) -> Result<(String, String), NoKey> {
        let pkcs8 = Zeroizing::new(URL_SAFE_NO_PAD.decode(&self.key).map_err(|_| NoKey)?);
        let url = format!("{}{path}", self.url);
        let proof = TerminalKey::of(&pkcs8)?.prove(method, &url, Some(&self.secret), now)?;
        Ok((format!("Tabard {}", self.secret), proof))
    }
}

fn path(context: &str) -> Result<PathBuf, ContextError> {
    Ok(config_dir()?.join("sessions").join(format!("{context}.json")))
}
