//! The proof that something is durable.

use audit::event::Minted;
use identity::{EntryRef, Revision};

/// `P` is recorded: its entry is durable and its Changes are in the World.
///
/// Not `Clone`, and made only by [`Store::commit`](crate::Store::commit): what asks for one cannot be done before it
/// is written down.
#[must_use = "it was recorded in order to be used"]
#[derive(Debug)]
pub struct Recorded<P> {
    what: P,
    receipt: Receipt,
}

/// Where a write ended up.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Receipt {
    pub(crate) entry: EntryRef,
    pub(crate) revision: Revision,
    pub(crate) minted: Option<Minted>,
}

impl<P> Recorded<P> {
    pub(crate) const fn new(what: P, receipt: Receipt) -> Self {
        Self { what, receipt }
    }
    /// The entry that says so.
    pub const fn entry(&self) -> EntryRef {
        self.receipt.entry
    }
    /// The World's revision at the commit: the one its own Changes made, if it had any.
    pub const fn revision(&self) -> Revision {
        self.receipt.revision
    }
    /// The id that its Change made, stamped.
    pub const fn minted(&self) -> Option<Minted> {
        self.receipt.minted
    }
    /// What was recorded.
    pub const fn get(&self) -> &P {
        &self.what
    }
    /// Spends it.
    pub fn into_parts(self) -> (P, EntryRef, Revision) {
        (self.what, self.receipt.entry, self.receipt.revision)
    }
}
