//! Rotate: a key of our own is replaced in time. Recorded before the new one is made.

use crate::draw::Draw;
use crate::plan::Plan;
use crate::world::World;
use audit::EventKind;
use identity::UnixTime;

/// The old intermediate may be replaced. Spent by the key store once it is recorded.
#[derive(Debug)]
#[must_use = "nothing is replaced yet"]
pub struct IntermediateDue(());

/// Records that the server's X.509 intermediate, which ends at `not_after`, is replaced. What it signed stays valid.
pub fn intermediate(world: &World, not_after: UnixTime, draw: &mut Draw<'_>) -> Plan<IntermediateDue> {
    let mut event = draw.event(EventKind::KeyRotated, world.revision());
    event.detail.insert("key".to_owned(), "x509_intermediate".into());
    event.detail.insert("ends".to_owned(), not_after.rfc3339().into());
    Plan::new(world.revision(), event, IntermediateDue(()))
}
