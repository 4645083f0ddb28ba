//! Who asks: a principal outside every run, looked up anew for each request.

use super::Plane;
use super::refused::Refused;
use axum::extract::FromRequestParts;
use broker::World;
use broker::admin::{Administrator, NotAdministrator, PeerEvidence, authenticate};
use broker::session::NoSession;
use broker::world::Role;
use http::StatusCode;
use http::request::Parts;
use identity::{OrgId, OrgScope};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

/// What local callers are counted under.
pub(super) const HERE: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);

/// Roles that may look at what was decided and recorded.
pub(super) const READERS_OF_THE_RECORD: &[Role] = &[Role::Auditor, Role::Operator];

/// Every role: each may look at the inventory.
const ANY: &[Role] = &[
    Role::Viewer,
    Role::Auditor,
    Role::Operator,
    Role::Author,
    Role::Approver,
];

/// An authenticated administrator.
#[derive(Debug)]
pub(super) struct Caller {
    pub(super) who: Administrator,
}

impl FromRequestParts<Arc<Plane>> for Caller {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, plane: &Arc<Plane>) -> Result<Self, Refused> {
        // On the socket the kernel says who it is; on the people's listener the session of the request does.
        let evidence = match parts.extensions.get::<PeerEvidence>().copied() {
            Some(evidence) => evidence,
            None => return visiting(parts),
        };
        let world = plane.installation.store.world();
        authenticate(&world, evidence)
            .map(|who| Self { who })
            .map_err(|why| {
                let (code, reason, fix) = match why {
                    NotAdministrator::InsideRun => (
                        "ADMIN_INSIDE_RUN",
                        "A process inside a run cannot administer, whatever its user.",
                        "Ask from a shell that no agent started.".to_owned(),
                    ),
                    NotAdministrator::Unknown => (
                        "ADMIN_UNKNOWN_UID",
                        "No principal has your uid.",
                        format!(
                            "An administrator can add you: tabard principal add NAME --uid {} --role viewer",
                            evidence.uid
                        ),
                    ),
                };
                plane.installation.unidentified.count(HERE, code);
                Refused::new(
                    StatusCode::FORBIDDEN,
                    code,
                    "You are not an administrator here.",
                    reason,
                    fix,
                )
            })
    }
}

/// Somebody with a session, judged when this request came in.
fn visiting(parts: &Parts) -> Result<Caller, Refused> {
    if let Some(who) = parts.extensions.get::<Administrator>() {
        return Ok(Caller { who: who.clone() });
    }
    let why = parts.extensions.get::<NoSession>().map_or_else(
        || "There is no session with the request.".to_owned(),
        ToString::to_string,
    );
    Err(Refused::new(
        StatusCode::UNAUTHORIZED,
        "SESSION_NEEDED",
        "You are not logged in as an administrator.",
        why,
        "Log in with a browser, or with `tabard login`.",
    ))
}

impl Caller {
    /// What part of the World it sees.
    pub(super) fn scope(&self) -> OrgScope {
        self.who.scope()
    }

    /// Its own org, or the only one there is.
    pub(super) fn org(&self, world: &World) -> Result<OrgId, Refused> {
        let mut orgs = world.orgs(self.scope());
        match (orgs.next(), orgs.next()) {
            (Some(org), None) => Ok(org.id),
            (None, _) => Err(Refused::not_found("org", "in your reach")),
            (Some(_), Some(_)) => Err(Refused::new(
                StatusCode::CONFLICT,
                "ORG_AMBIGUOUS",
                "There are several orgs.",
                "It has to be clear whose inventory is meant.",
                "Administer as a principal of one org.",
            )),
        }
    }

    /// Lets every role pass.
    pub(super) async fn looks(&self, plane: &Plane) -> Result<(), Refused> {
        self.looks_as(plane, ANY).await
    }

    /// Lets only these roles pass; a refusal is recorded.
    pub(super) async fn looks_as(&self, plane: &Plane, roles: &[Role]) -> Result<(), Refused> {
        let installation = &plane.installation;
        let world = installation.store.world();
        let source = installation
            .draw_source(self.who.principal().org, installation.clock.now())
            .map_err(|_| Refused::unavailable("no refusal can be recorded"))?;
        let plan = match self.who.look(roles, &world, &mut source.draw()) {
            Ok(()) => return Ok(()),
            Err(plan) => plan,
        };
        match installation.store.commit(plan).await {
            Ok(recorded) => Err(Refused::of(recorded.get())),
            Err(error) => Err(Refused::unavailable(&error.to_string())),
        }
    }
}
