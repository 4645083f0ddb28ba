//! Who administers, and what it takes: every mutation names its human.

use crate::draw::Draw;
use crate::inventory::Done;
use crate::plan::{Outcome, Plan, Precondition};
use crate::refusal::{Cause, Refusal};
use crate::world::{Change, Principal, Role, World};
use audit::event::{Decision, Human, Ruling};
use audit::{Event, EventKind};
use identity::{OrgId, OrgScope, UnixTime};
use std::sync::Arc;

/// A principal that the kernel vouched for, outside every run. Made only by [`authenticate`].
#[derive(Debug, Clone)]
pub struct Administrator {
    principal: Arc<Principal>,
    presence: Presence,
}

/// How it is known that the human is there, and not only something that acts as they would.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    /// The kernel's word about the uid of a process. Whatever runs as that uid has it.
    Process,
    /// A session in a browser, whose human proved to be there at this time: by a passkey that verified its user, or at
    /// the identity provider.
    Session {
        /// When they last did.
        verified: UnixTime,
    },
}

/// How long a human counts as there after having proved it, in seconds. OWASP ASVS 5.0 V7.5 leaves the time to us; a person
/// reads an approval within minutes.
pub const VERIFIED_SECS: u64 = 300;

impl Presence {
    /// Whether a human proved lately that it is they who act.
    pub const fn is_verified(self, now: UnixTime) -> bool {
        match self {
            Self::Process => false,
            Self::Session { verified } => {
                verified.millis() <= now.millis() && now.millis_since(verified) <= VERIFIED_SECS * 1000
            }
        }
    }
}

/// Why a peer of the admin socket is nobody.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotAdministrator {
    /// A process inside a run, whatever its uid.
    #[error("a process inside a run cannot administer")]
    InsideRun,
    /// No principal has that uid.
    #[error("no principal has this uid")]
    Unknown,
}

/// What the kernel says of the peer of the admin socket.
#[derive(Debug, Clone, Copy)]
pub struct PeerEvidence {
    /// Its uid.
    pub uid: u32,
    /// Whether it stands below a launcher in the process tree, or that could not be told.
    pub inside_a_run: bool,
}

/// Maps a peer to its principal.
pub fn authenticate(world: &World, peer: PeerEvidence) -> Result<Administrator, NotAdministrator> {
    if peer.inside_a_run {
        return Err(NotAdministrator::InsideRun);
    }
    let principal = world.principal(peer.uid).ok_or(NotAdministrator::Unknown)?;
    Ok(Administrator {
        principal: principal.clone(),
        presence: Presence::Process,
    })
}

/// What kind of act it is: one Change to one org's inventory.
pub(crate) struct Act {
    /// What its entry says happened.
    pub(crate) kind: EventKind,
    /// The role that it takes.
    pub(crate) role: Role,
    /// Whose inventory.
    pub(crate) org: OrgId,
}

impl Administrator {
    /// Makes one Change, if its role reaches that far. Nothing else may have changed meanwhile.
    pub(crate) fn act(
        &self,
        act: &Act,
        summary: String,
        change: Change,
        world: &World,
        draw: &mut Draw<'_>,
    ) -> Outcome<Done> {
        if let Err(refused) = self.check(act.role, Some(act.org), world, draw) {
            return refused;
        }
        let mut event = self.event(act.kind.clone(), act.role, world, draw);
        event.org = Some(act.org);
        event.change_summary = vec![summary];
        Outcome::Granted(
            Plan::new(world.revision(), event, Done::nothing_made())
                .expecting(Precondition::AtRevision(world.revision()))
                .changing(change),
        )
    }
    /// Refuses an act that cannot be. Whoever lacks the role learns that, and nothing else.
    pub(crate) fn refuse_act<P>(
        &self,
        act: &Act,
        code: &'static str,
        message: String,
        world: &World,
        draw: &mut Draw<'_>,
    ) -> Outcome<P> {
        if let Err(refused) = self.check(act.role, Some(act.org), world, draw) {
            return refused;
        }
        self.refuse(Cause::Invalid { code, message }, act.role, world, draw)
    }
    /// Who it is.
    pub fn principal(&self) -> &Principal {
        &self.principal
    }
    /// How it is known that the human is there.
    pub const fn presence(&self) -> Presence {
        self.presence
    }
    /// What part of the World it sees.
    pub fn scope(&self) -> OrgScope {
        self.principal.org.map_or(OrgScope::Every, OrgScope::Only)
    }
    /// Whether it has `role` over `org`.
    pub fn may(&self, role: Role, org: OrgId) -> bool {
        self.principal.may(role) && self.scope().holds(org)
    }
    /// How entries name it.
    pub fn human(&self, role: Role, draw: &Draw<'_>) -> Human {
        Human {
            name: Some(draw.name(self.principal.name.as_str())),
            uid: Some(self.principal.uid),
            role: Some(format!("{role:?}").to_lowercase()),
            assurance: Some(self.principal.assurance.clone()),
            ..Human::default()
        }
    }
    /// An event that names the human and the role it acted in.
    pub(crate) fn event(&self, kind: EventKind, role: Role, world: &World, draw: &mut Draw<'_>) -> Event {
        let mut event = draw.event(kind, world.revision());
        event.human = Some(self.human(role, draw));
        event
    }
    /// A refusal to an administrator, as a plan.
    pub(crate) fn refuse<P>(
        &self,
        cause: Cause,
        role: Role,
        world: &World,
        draw: &mut Draw<'_>,
    ) -> Outcome<P> {
        Outcome::Refused(self.refusal(cause, role, world, draw))
    }
    fn refusal(&self, cause: Cause, role: Role, world: &World, draw: &mut Draw<'_>) -> Plan<Refusal> {
        let mut event = self.event(EventKind::AdminRefused, role, world, draw);
        let refusal = Refusal::new(draw.id(), cause);
        let mut decision = Decision::new(refusal.decision(), Ruling::Deny);
        decision.reasons = refusal.codes();
        decision.nearest = Some(refusal.sentence().to_owned());
        event.decision = Some(decision);
        Plan::new(world.revision(), event, refusal)
    }
    /// Whether it may look at something that takes any of `roles`; the refusal to record otherwise.
    pub fn look(&self, roles: &[Role], world: &World, draw: &mut Draw<'_>) -> Result<(), Plan<Refusal>> {
        if roles.iter().any(|role| self.principal.may(*role)) {
            return Ok(());
        }
        let role = roles.first().copied().unwrap_or(Role::Admin);
        let cause = Cause::NotPermitted { wanted: role.word() };
        Err(self.refusal(cause, role, world, draw))
    }
    /// Refuses unless it has `role` over `org`.
    pub(crate) fn check<P>(
        &self,
        role: Role,
        org: Option<OrgId>,
        world: &World,
        draw: &mut Draw<'_>,
    ) -> Result<(), Outcome<P>> {
        let in_reach = org.map_or(self.scope() == OrgScope::Every, |org| self.scope().holds(org));
        if self.principal.may(role) && in_reach {
            return Ok(());
        }
        let cause = Cause::NotPermitted { wanted: role.word() };
        Err(self.refuse(cause, role, world, draw))
    }
}

#[cfg(test)]
impl Administrator {
    /// A principal who is there like that.
    pub(crate) fn with_presence(principal: Principal, presence: Presence) -> Self {
        Self {
            principal: Arc::new(principal),
            presence,
        }
    }
}
