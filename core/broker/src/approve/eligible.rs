//! Who may approve: looked at when they vote, and again when it is used.
//!
//! Nobody in the chain and nobody who wrote a contract that is applied, whatever that contract says (`not` in it can only
//! keep more people out): otherwise one person writes what asks for an approval and gives it.

use super::Bound;
use crate::world::approval::Need;
use crate::world::{Account, Approval, Principal, Role, Task, World};
use identity::{ActorKind, OrgScope};
use policy::contract::Excluded;

/// Why a human may not approve a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Ineligible {
    /// They administer another org.
    #[error("they administer another org")]
    OtherOrg,
    /// They lack the role.
    #[error("they do not have the role approver")]
    Role,
    /// They are not in the group that the contract names.
    #[error("they are not in the group of approvers that the contract names")]
    Group,
    /// The request is made on their behalf.
    #[error("the request is made on their behalf: nobody approves their own")]
    InChain,
    /// They opened the task.
    #[error("they opened the task")]
    TaskOpener,
    /// They published a contract that is applied.
    #[error("they published the contract")]
    ContractAuthor,
    /// The request cannot be read.
    #[error("the request cannot be read")]
    Unreadable,
}

/// Whether `principal` may approve for `need` now; if not, why.
pub fn eligible(
    world: &World,
    approval: &Approval,
    need: &Need,
    principal: &Principal,
) -> Result<(), Ineligible> {
    let org = approval.org;
    if principal.org.is_some_and(|of| of != org) {
        return Err(Ineligible::OtherOrg);
    }
    if !principal.may(Role::Approver) {
        return Err(Ineligible::Role);
    }
    let scope = OrgScope::Only(org);
    let is_member = world
        .group(scope, org, &need.approvers)
        .is_some_and(|group| group.members.contains(&principal.name));
    if !is_member {
        return Err(Ineligible::Group);
    }
    let bound = Bound::read(&approval.request).ok_or(Ineligible::Unreadable)?;
    let task = world.task(scope, approval.task);
    if is_in_chain(principal, &bound) {
        return Err(Ineligible::InChain);
    }
    if need.not.contains(&Excluded::TaskOpener) && task.is_none_or(|task| opened(principal, task)) {
        return Err(Ineligible::TaskOpener);
    }
    let wrote = |hash| {
        let record = world.contract(scope, hash);
        record.is_none_or(|record| record.published_by == principal.name.as_str())
    };
    // Whatever the contract says: it is the author's own text.
    if bound.contracts.iter().any(wrote) {
        return Err(Ineligible::ContractAuthor);
    }
    Ok(())
}

/// Whether they are a user of the chain: by one of their accounts, or by the name that the issuer gives the user.
fn is_in_chain(principal: &Principal, bound: &Bound) -> bool {
    bound
        .chain
        .actors()
        .iter()
        .filter(|actor| actor.kind != ActorKind::AiAgent)
        .any(|actor| {
            let is_theirs = |account: &Account| account.issuer == actor.issuer && account.subject == actor.id;
            principal.name.as_str() == actor.id || principal.accounts.iter().any(is_theirs)
        })
}

/// Whether they opened the task, or the one it is a part of.
fn opened(principal: &Principal, task: &Task) -> bool {
    let by = task.opener.name.split(" through ").next().unwrap_or_default();
    by == principal.name.as_str()
}
