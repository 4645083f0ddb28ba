//! Bytes that must not be seen.

use zeroize::Zeroize;

/// A secret value: wiped when dropped; no `Debug` of its content, no `Display`, no serde, no comparison.
pub struct Secret<T: Zeroize>(T);

impl<T: Zeroize> Secret<T> {
    /// Takes custody of a secret.
    pub const fn new(value: T) -> Self {
        Self(value)
    }
    /// The secret itself. Each call is a place to review.
    pub const fn expose(&self) -> &T {
        &self.0
    }
}

impl<T: Zeroize> Drop for Secret<T> {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl<T: Zeroize> std::fmt::Debug for Secret<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(…)")
    }
}
