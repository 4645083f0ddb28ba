//! SHA-256, the only digest of our names, bindings and replay keys.

use aws_lc_rs::digest;

/// SHA-256 of `bytes`.
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut out = [0; 32];
    for (slot, byte) in out
        .iter_mut()
        .zip(digest::digest(&digest::SHA256, bytes).as_ref())
    {
        *slot = *byte;
    }
    out
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_empty_text_has_its_published_digest() {
        let digest = identity::Digest::from_bytes(super::sha256(b""));
        assert_eq!(
            digest.hex(),
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        );
    }
}
