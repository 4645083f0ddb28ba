//! Claims: what an issuer's token says of a user, where the org gave its words a meaning.
//!
//! Recorded before the exchange that showed the token, and looked up like any other right of a user from there on, at
//! each exchange and each call: the table that gives words a meaning can be changed, and takes effect on tokens that
//! are out already. A newer token replaces what an older one said, and an older one never takes it back.

use crate::behalf::AuthenticatedUser;
use crate::draw::Draw;
use crate::plan::Plan;
use crate::world::{Change, Claimed, World};
use audit::EventKind;
use audit::event::Commitment;
use identity::OrgScope;

/// What has to be recorded of what `user`'s token says; `None` where nothing is new.
pub fn heard(world: &World, user: &AuthenticatedUser, draw: &mut Draw<'_>) -> Option<Plan<()>> {
    let said = user.claimed()?;
    let known = world.claimed(OrgScope::Only(said.org), said.org, &said.issuer, &said.subject);
    let mut values = said.values.clone();
    match known {
        Some(known) if known.said_at > said.said_at => return None,
        Some(known) if known.said_at == said.said_at => {
            // Of two tokens of one second nobody knows which is newer: what both say.
            values.retain(|value| known.values.contains(value));
            if values == known.values {
                return None;
            }
        }
        None if values.is_empty() => return None,
        Some(_) | None => {}
    }
    let claimed = Claimed {
        values,
        forget_at: known.map_or(said.until, |known| known.forget_at.max(said.until)),
        ..said.clone()
    };
    let mut event = draw.event(EventKind::UserClaimed, world.revision());
    event.org = Some(said.org);
    let values: Vec<&str> = claimed.values.iter().map(String::as_str).collect();
    event.change_summary = vec![format!(
        "{} says of user {}: {}; until {}",
        said.issuer,
        draw.names().commit(Commitment::USER, &said.subject),
        if values.is_empty() {
            "nothing that is worth a right".to_owned()
        } else {
            values.join(" ")
        },
        said.until.rfc3339()
    )];
    Some(Plan::new(world.revision(), event, ()).changing(Change::UserClaimed(claimed)))
}
