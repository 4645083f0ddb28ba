//! Who administers, and what it takes: every mutation names its human.

use crate::draw::Draw;
use crate::inventory::Done;
use crate::plan::{Outcome, Plan, Precondition};
use crate::refusal::{Cause, Refusal};
use crate::session::Visitor;
use crate::world::{Change, Principal, Role, Surface, World};
use audit::event::{Decision, Human, Ruling};
use audit::{Event, EventKind};
use identity::{OrgId, OrgScope, SessionId, UnixTime};
use std::sync::Arc;

/// A principal that the kernel vouched for, outside every run, or one with a session. Made only by [`authenticate`] and
/// [`Administrator::visiting`].
#[derive(Debug, Clone)]
pub struct Administrator {
    principal: Arc<Principal>,
    presence: Presence,
    came_by: Option<(SessionId, &'static str)>,
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
    /// A session in a terminal, which a browser session opened that was verified at this time. Its key lies in a file:
    /// what runs as the same user can read it, so it does not stand for a person who approves.
    CommandLine {
        /// When the browser session last was.
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
            Self::Process | Self::CommandLine { .. } => false,
            Self::Session { verified } => is_late(verified, now),
        }
    }
    /// Whether it suffices for what cannot be taken back easily: giving roles and ways in, publishing a contract or an
    /// upstream, its secret, the identity of a service, what runs as an agent, resuming one, trusted issuers and destinations, lowering labels,
    /// admitting a member. The kernel's word about a process on the server's
    /// own host does; a session has to be verified lately.
    pub const fn suffices_for_danger(self, now: UnixTime) -> bool {
        match self {
            Self::Process => true,
            Self::Session { verified } | Self::CommandLine { verified } => is_late(verified, now),
        }
    }
}

const fn is_late(verified: UnixTime, now: UnixTime) -> bool {
    verified.millis() <= now.millis() && now.millis_since(verified) <= VERIFIED_SECS * 1000
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
    let principal = world
        .principal_with_uid(peer.uid)
        .ok_or(NotAdministrator::Unknown)?;
    Ok(Administrator {
        principal: principal.clone(),
        presence: Presence::Process,
        came_by: None,
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
    /// Whether a session has to be verified lately for it.
    pub(crate) in_person: bool,
}

impl Administrator {
    /// The principal whose session that is; nobody, for a user who is no principal.
    pub fn visiting(visitor: &Visitor) -> Option<Self> {
        let session = visitor.session();
        let verified = session.verified_at;
        Some(Self {
            principal: visitor.principal()?.clone(),
            presence: match session.surface {
                Surface::Browser => Presence::Session { verified },
                Surface::CommandLine(_) => Presence::CommandLine { verified },
            },
            came_by: Some((session.id, session.way.word())),
        })
    }
    /// Makes one Change, if its role reaches that far. Nothing else may have changed meanwhile.
    pub(crate) fn act(
        &self,
        act: &Act,
        summary: String,
        change: Change,
        world: &World,
        draw: &mut Draw<'_>,
    ) -> Outcome<Done> {
        if let Err(refused) = self.check_act(act, world, draw) {
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
    /// Somebody, for tests of use cases.
    #[cfg(test)]
    pub(crate) fn of_test(principal: Principal, presence: Presence) -> Self {
        Self {
            principal: Arc::new(principal),
            presence,
            came_by: None,
        }
    }
    /// Who it is.
    pub fn principal(&self) -> &Principal {
        &self.principal
    }
    /// The session that it acts in; `None` on the admin socket.
    pub fn session(&self) -> Option<SessionId> {
        self.came_by.map(|(session, _)| session)
    }
    /// How well we know that it is this human, as entries say it.
    pub fn assurance(&self) -> &str {
        self.came_by
            .map_or(self.principal.assurance.as_str(), |(_, way)| way)
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
            // The kernel vouched for it only where it was the way in.
            uid: self.principal.uid.filter(|_| self.came_by.is_none()),
            role: Some(format!("{role:?}").to_lowercase()),
            assurance: Some(self.assurance().to_owned()),
            session: self.came_by.map(|(session, _)| session),
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

    /// The same for what cannot be taken back easily: a session has to be verified lately besides.
    pub(crate) fn check_in_person<P>(
        &self,
        role: Role,
        org: Option<OrgId>,
        world: &World,
        draw: &mut Draw<'_>,
    ) -> Result<(), Outcome<P>> {
        self.check(role, org, world, draw)?;
        if self.presence.suffices_for_danger(draw.now()) {
            return Ok(());
        }
        Err(self.refuse(Cause::NotVerified, role, world, draw))
    }
    fn check_act<P>(&self, act: &Act, world: &World, draw: &mut Draw<'_>) -> Result<(), Outcome<P>> {
        if act.in_person {
            self.check_in_person(act.role, Some(act.org), world, draw)
        } else {
            self.check(act.role, Some(act.org), world, draw)
        }
    }
}

#[cfg(test)]
impl Administrator {
    /// A principal who is there like that.
    pub(crate) fn with_presence(principal: Principal, presence: Presence) -> Self {
        Self {
            principal: Arc::new(principal),
            presence,
            came_by: None,
        }
    }
}
