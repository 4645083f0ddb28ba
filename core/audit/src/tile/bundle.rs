//! Entry bundles: big-endian u16 length, then the entry, one after the other.

/// Why bytes are not an entry bundle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BundleError {
    /// It ends within an entry.
    #[error("the bundle ends within entry {0}")]
    Truncated(usize),
    /// An entry longer than its length prefix can say.
    #[error("an entry in a bundle has at most 65535 bytes; this one has {0}")]
    EntryTooLong(usize),
}

/// Appends an entry to the bytes of a bundle.
pub fn append_to_bundle(bundle: &mut Vec<u8>, entry: &[u8]) -> Result<(), BundleError> {
    let len = u16::try_from(entry.len()).map_err(|_| BundleError::EntryTooLong(entry.len()))?;
    bundle.extend_from_slice(&len.to_be_bytes());
    bundle.extend_from_slice(entry);
    Ok(())
}

/// The entries of a bundle, in order. Whether they are as many as the path says is the caller's to check.
pub fn entries_of_bundle(bundle: &[u8]) -> Result<Vec<&[u8]>, BundleError> {
    let mut entries = Vec::new();
    let mut rest = bundle;
    while !rest.is_empty() {
        let entry = rest
            .split_first_chunk::<2>()
            .and_then(|(len, rest)| rest.split_at_checked(usize::from(u16::from_be_bytes(*len))));
        let Some((entry, after)) = entry else {
            return Err(BundleError::Truncated(entries.len()));
        };
        entries.push(entry);
        rest = after;
    }
    Ok(entries)
}
