//! The one random source of the server: the crypto library's own.

use aws_lc_rs::rand;

/// The random source failed. Nothing is issued without it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the system's random source failed; nothing can be issued until it works")]
pub struct NoEntropy;

/// `N` random bytes.
pub fn random<const N: usize>() -> Result<[u8; N], NoEntropy> {
    let mut bytes = [0; N];
    rand::fill(&mut bytes).map_err(|_| NoEntropy)?;
    Ok(bytes)
}
