//! What a verification found, in words for the person who has to believe it.

use super::Fault;
use crate::checkpoint::Checkpoint;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use identity::{LogId, UnixTime};
use std::fmt;

/// What was checked, the first fault, and what stays open. Made only by [`super::Verifier::verify`].
#[derive(Clone, PartialEq, Eq, Debug)]
#[must_use]
pub struct Report {
    /// The log that was expected.
    pub origin: String,
    /// Its number.
    pub log: LogId,
    /// What the log's key signed; none if the checkpoint itself is not to be believed.
    pub head: Option<Checkpoint>,
    /// Entries whose bytes, form, place and order were checked.
    pub entries: u64,
    /// Entries whose bytes retention has deleted; their hashes were checked.
    pub pruned: u64,
    /// Tiles that were checked.
    pub tiles: u64,
    /// Entries of a kind newer than this verifier: checked as bytes, not understood.
    pub unknown_kinds: u64,
    /// Size of the kept checkpoint that the log was shown to continue.
    pub continues: Option<u64>,
    /// Time of the first entry that was read.
    pub first_at: Option<UnixTime>,
    /// Time of the last entry that was read.
    pub last_at: Option<UnixTime>,
    /// The first thing that does not hold.
    pub fault: Option<Fault>,
}

impl Report {
    pub(super) fn new(origin: &str, log: LogId) -> Self {
        Self {
            origin: origin.to_owned(),
            log,
            head: None,
            entries: 0,
            pruned: 0,
            tiles: 0,
            unknown_kinds: 0,
            continues: None,
            first_at: None,
            last_at: None,
            fault: None,
        }
    }

    /// Whether nothing was found. Read [`Report::limits`] before saying more than that.
    pub const fn is_sound(&self) -> bool {
        self.fault.is_none()
    }

    /// What no reading of this log can exclude. Empty for a log with a fault: nothing follows from it.
    pub fn limits(&self) -> Vec<String> {
        let Some(head) = self.head.as_ref().filter(|_| self.is_sound()) else {
            return Vec::new();
        };
        let mut limits = vec![format!(
            "entries after {}: a newer checkpoint may exist and have been withheld; compare the time of the last entry",
            head.size
        )];
        match self.continues {
            Some(kept) if kept > 0 => limits.push(format!(
                "a history that was already rewritten when you kept the checkpoint of {kept} entries"
            )),
            _ => limits.push(
                "a log that was rewritten as a whole by the holder of its key: keep this checkpoint and verify \
                 against it next time"
                    .to_owned(),
            ),
        }
        limits.push(
            "another history shown to somebody else under the same key: compare checkpoints with a witness or a gateway"
                .to_owned(),
        );
        if self.pruned > 0 {
            limits.push(format!(
                "what the {} entries said whose bytes retention has deleted",
                self.pruned
            ));
        }
        if self.unknown_kinds > 0 {
            limits.push(format!(
                "what {} entries mean whose kind is newer than this verifier",
                self.unknown_kinds
            ));
        }
        limits.push(
            "that the writer recorded something untrue, or did something without recording it".to_owned(),
        );
        limits.push("anything about the logs of other writers: each is verified by itself".to_owned());
        limits
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "log          {}", self.origin)?;
        if let Some(head) = &self.head {
            writeln!(
                f,
                "checkpoint   {} entries, root {}, signed by the key given",
                head.size,
                STANDARD.encode(head.root.as_bytes())
            )?;
        }
        write!(
            f,
            "entries      {} checked: bytes, form, place and order",
            self.entries
        )?;
        if let (Some(first), Some(last)) = (self.first_at, self.last_at) {
            write!(f, "; {} to {}", first.rfc3339(), last.rfc3339())?;
        }
        writeln!(f, "\ntiles        {} checked", self.tiles)?;
        if self.pruned > 0 {
            writeln!(f, "pruned       {} entries, by hash only", self.pruned)?;
        }
        match self.continues {
            Some(kept) => writeln!(f, "kept         continues the checkpoint of {kept} entries")?,
            None => writeln!(f, "kept         not compared with an earlier checkpoint")?,
        }
        if let Some(fault) = &self.fault {
            return writeln!(f, "result       FAULT: {fault}");
        }
        writeln!(f, "result       no fault found\n\nThis does not exclude:")?;
        self.limits()
            .iter()
            .try_for_each(|limit| writeln!(f, "- {limit}"))
    }
}
