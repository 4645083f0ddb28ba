//! Groups of approvers: contracts name them, administrators say who is in them.

use crate::admin::{Act, Administrator};
use crate::draw::Draw;
use crate::inventory::Done;
use crate::plan::Outcome;
use crate::world::{Change, Group, Role, World};
use audit::EventKind;

/// Most members of a group.
const MEMBERS_MAX: usize = 1000;

/// Sets all members of a group. Each has to be a principal: a name that is nobody's today could be somebody's tomorrow.
pub fn set_group(world: &World, who: &Administrator, group: Group, draw: &mut Draw<'_>) -> Outcome<Done> {
    let act = Act {
        kind: EventKind::GroupSet,
        role: Role::Admin,
        org: group.org,
        in_person: true,
    };
    if group.members.len() > MEMBERS_MAX {
        let message = format!("a group has at most {MEMBERS_MAX} members");
        return who.refuse_act(&act, "GROUP_TOO_LARGE", message, world, draw);
    }
    if let Some(nobody) = group.members.iter().find(|name| world.principal(name).is_none()) {
        let message = format!("nobody is called {nobody}: tabard principal add {nobody} …");
        return who.refuse_act(&act, "GROUP_MEMBER", message, world, draw);
    }
    let summary = format!("group {}: {} members", group.name, group.members.len());
    who.act(&act, summary, Change::GroupSet(group), world, draw)
}
