//! What a request took and saw, as its entry carries it: the only writer of what a restart reads back.

use super::{Seen, Taken};
use audit::Event;

/// Writes it into `event`. The event's kind has to be one from whose entries the Ledger is recovered
/// ([`audit::EventKind::counts`]): anything else would be a count that a crash forgets.
pub(crate) fn carry(
    event: &mut Event,
    taken: &[Taken],
    seen: Option<&Seen>,
) -> Result<(), serde_json::Error> {
    debug_assert!(
        event.kind.counts(),
        "{}: mark the kind in `audit::EventKind` as one that counts",
        event.kind
    );
    if !taken.is_empty() {
        event.detail.insert("taken".into(), serde_json::to_value(taken)?);
    }
    if let Some(seen) = seen {
        event.detail.insert("seen".into(), serde_json::to_value(seen)?);
    }
    Ok(())
}
