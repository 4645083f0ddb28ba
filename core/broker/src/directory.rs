//! Directories: which destinations are a tenant's own, on an author's word. What agents read never adds one.

use crate::admin::{Act, Administrator};
use crate::draw::Draw;
use crate::inventory::Done;
use crate::plan::Outcome;
use crate::world::{Change, Directory, Role, World};
use audit::EventKind;

/// Most destinations of one tenant.
pub const DESTINATIONS_MAX: usize = 10_000;
/// Longest destination in bytes.
const DESTINATION_BYTES_MAX: usize = 255;

/// Sets all destinations of a tenant.
pub fn set(world: &World, who: &Administrator, directory: Directory, draw: &mut Draw<'_>) -> Outcome<Done> {
    let act = Act {
        kind: EventKind::DirectorySet,
        role: Role::Author,
        org: directory.org,
        in_person: true,
    };
    let fits = |text: &String| {
        (1..=DESTINATION_BYTES_MAX).contains(&text.len()) && !text.chars().any(char::is_control)
    };
    if directory.destinations.len() > DESTINATIONS_MAX || !directory.destinations.iter().all(fits) {
        let message = format!(
            "at most {DESTINATIONS_MAX} destinations, each 1 to {DESTINATION_BYTES_MAX} bytes without control characters"
        );
        return who.refuse_act(&act, "DIRECTORY_DESTINATION", message, world, draw);
    }
    let summary = format!(
        "directory of tenant {}: {} destinations",
        directory.tenant,
        directory.destinations.len()
    );
    who.act(&act, summary, Change::DirectorySet(directory), world, draw)
}
