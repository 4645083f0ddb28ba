//! Who can: every agent whose contract allows an action, at which service, by which grant.

use super::{Supposed, foresee};
use crate::chain::LinkInForce;
use crate::upstream::ArgumentValue;
use crate::world::World;
use identity::{Audience, Name, UnixTime};
use policy::contract::Mode;
use policy::{Reason, Verdict};
use serde::Serialize;

/// One agent that may do it at one service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Able {
    /// The agent.
    pub agent: String,
    /// The service.
    pub service: String,
    /// The contract, as name and version.
    pub contract: String,
    /// The grant; `None` in shadow mode, where what no grant permits is allowed as well.
    pub grant: Option<String>,
    /// Its line in the contract.
    pub line: Option<u32>,
    /// The escalation whose approval each call needs.
    pub approval: Option<String>,
    /// Why not at this moment, though the contract allows it at another: hours, a review that is due, a suspension.
    pub not_now: Vec<&'static str>,
}

/// Reasons that another hour, a review or a better launch lifts, without another contract.
const PASSING: [Reason; 3] = [
    Reason::OutsideTimeWindow,
    Reason::ReviewOverdue,
    Reason::AttestationRequired,
];

/// Everyone among `links` who may do `action`, at `service` or at any that a contract or an upstream names. With
/// `arguments` it is asked of exactly that call.
pub fn who_can(
    world: &World,
    links: &[LinkInForce],
    action: &Name,
    service: Option<&Audience>,
    arguments: Option<&[(Name, ArgumentValue)]>,
    now: UnixTime,
) -> Vec<Able> {
    let mut able = Vec::new();
    for link in links {
        for audience in services(world, link, action, service) {
            let mut supposed = Supposed::any_call(action.clone(), audience);
            supposed.arguments = arguments.map(<[_]>::to_vec);
            supposed.approved = link
                .compiled
                .contract()
                .terms()
                .escalation
                .keys()
                .cloned()
                .collect();
            able.extend(judged(world, link, &supposed, now));
        }
    }
    able.sort_by(|a, b| (&a.agent, &a.service).cmp(&(&b.agent, &b.service)));
    able
}

/// The services to ask about: the one that was named, else those of grants with the action; in shadow mode every
/// declared one, since nothing is refused there for want of a grant.
fn services(world: &World, link: &LinkInForce, action: &Name, named: Option<&Audience>) -> Vec<Audience> {
    if let Some(service) = named {
        return vec![service.clone()];
    }
    let terms = link.compiled.contract().terms();
    let mut all: Vec<Audience> = terms
        .grants
        .iter()
        .filter(|grant| grant.actions.contains(action))
        .flat_map(|grant| grant.services.iter().cloned())
        .collect();
    if terms.mode == Mode::Shadow {
        let routed = world
            .upstreams(identity::OrgScope::Only(link.agent.org))
            .filter(|upstream| upstream.routes.iter().any(|route| route.action == *action));
        all.extend(routed.map(|upstream| upstream.audience.clone()));
    }
    all.sort();
    all.dedup();
    all
}

fn judged(world: &World, link: &LinkInForce, supposed: &Supposed, now: UnixTime) -> Option<Able> {
    let foreseen = foresee(world, link, supposed, now);
    let contract = link.compiled.contract();
    let mut not_now: Vec<&'static str> = foreseen.stopped.iter().map(|reason| reason.code()).collect();
    let shadowed = match &foreseen.verdict {
        Verdict::Allow(allowed) => allowed.would_deny().is_some(),
        Verdict::Deny(denial) => {
            let passing = denial
                .reasons
                .iter()
                .all(|detail| PASSING.contains(&detail.reason));
            if !passing {
                return None;
            }
            not_now.extend(denial.reasons.iter().map(|detail| detail.reason.code()));
            false
        }
    };
    let names = |grant: &&policy::contract::Grant| {
        grant.services.contains(&supposed.audience) && grant.actions.contains(&supposed.action)
    };
    let by = match &foreseen.verdict {
        Verdict::Allow(allowed) => allowed.grant().map(|grant| &grant.id),
        Verdict::Deny(_) => None,
    };
    // Refused for a passing reason: the first grant that names it.
    let grants = &contract.terms().grants;
    let grant = match by {
        Some(id) => grants.iter().find(|grant| grant.id == *id),
        None => grants.iter().find(names).filter(|_| !shadowed),
    };
    let metadata = &contract.terms().metadata;
    Some(Able {
        agent: link.agent.name.to_string(),
        service: supposed.audience.to_string(),
        contract: format!("{}@{}", metadata.name, metadata.version),
        grant: grant.map(|grant| grant.id.to_string()),
        line: grant.map(|grant| contract.line(&format!("grants.{}", grant.id))),
        approval: grant.and_then(|grant| grant.approval.as_ref().map(ToString::to_string)),
        not_now,
    })
}
