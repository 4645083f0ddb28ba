//! Reach: everything an agent could do before anybody would have to change a contract, with all it may pass work on to.
//!
//! What a delegate does on the agent's behalf is the intersection of both contracts. What a launched program does is
//! its own, so all that it may do counts: the agent decides when it runs, and with what input.

use super::{Because, Supposed, declared, foresee};
use crate::chain::LinkInForce;
use crate::world::World;
use identity::{Audience, Name, OrgScope, UnixTime};
use policy::contract::{Children, Grant, Mode, Sensitivity, TenantMode, Terms};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// How far delegation and launches are followed: as deep as the longest chain can be.
const STEPS_MAX: usize = identity::CHAIN_DEPTH_MAX;

/// One thing that can be done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a column of its own, for people and for other programs"
)]
pub struct Cell {
    /// The service.
    pub service: String,
    /// The action.
    pub action: String,
    /// What it means to the business, in the contract's words.
    pub means: String,
    /// The grant, and its line in the contract.
    pub grant: String,
    /// The line.
    pub line: u32,
    /// What the arguments have to be, a sentence each.
    pub bounds: Vec<String>,
    /// The escalation whose approval each call needs.
    pub approval: Option<String>,
    /// Whether child processes of a run may do it as well.
    pub children: bool,
    /// Domains of the data that comes with it, as the service says, else as the grant does.
    pub domains: BTreeSet<Name>,
    /// How sensitive that data is at most; `None` when neither says, and it counts as untrusted.
    pub sensitivity: Option<Sensitivity>,
    /// Whether others than the org's own people can write into what it returns.
    pub untrusted: bool,
    /// Whether something leaves the org by it.
    pub egress: bool,
    /// Whether it changes something that somebody would want to have been asked about.
    pub consequential: bool,
    /// Whether an upstream declares it. What none declares has no way through the gateway.
    pub declared: bool,
    /// Why no call of it would be allowed as things are; empty when one could be.
    pub refused: Vec<Because>,
}

/// How an agent is reached from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Via {
    /// It may be handed work, and then does what both may do.
    Delegation,
    /// It may be launched, and then does what it may do itself.
    Launch,
}

/// Another agent that is reached.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Through {
    /// The agent.
    pub agent: String,
    /// From the agent that was asked about, the names on the way, this one last.
    pub path: Vec<String>,
    /// By which kind of step it was reached last.
    pub via: Via,
    /// Whether it exists: a name in a contract may wait for its agent.
    pub registered: bool,
    /// What can be done by way of it.
    pub cells: Vec<Cell>,
}

/// Everything.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Reach {
    /// The agent.
    pub agent: String,
    /// The contract, as name and version.
    pub contract: String,
    /// Its hash.
    pub hash: String,
    /// Whether its limits hold; in shadow mode what is listed here bounds nothing but tenants, identity and scope.
    pub mode: Mode,
    /// Why it may not act now, if so.
    pub stopped: Option<&'static str>,
    /// How the tenant of a call is judged.
    pub tenant_mode: Option<TenantMode>,
    /// The tenants whose data it may ever touch.
    pub tenants: BTreeSet<Name>,
    /// What it may do itself.
    pub cells: Vec<Cell>,
    /// Whom it may pass work on to, and whom those may, each once.
    pub through: Vec<Through>,
    /// Domains of all data in reach, its own and by way of others.
    pub domains: BTreeSet<Name>,
    /// The most sensitive data in reach.
    pub sensitivity: Option<Sensitivity>,
    /// Ways out of the org, as `action at service`.
    pub ways_out: BTreeSet<String>,
    /// Sources that others can write into, as `action at service`.
    pub untrusted: BTreeSet<String>,
    /// Escalations that stand before something.
    pub approvals: BTreeSet<String>,
}

/// What the agent of `link` could reach. `others` finds the agents of its org, by name, with their contracts.
pub fn reach(
    world: &World,
    link: &LinkInForce,
    others: &BTreeMap<Name, LinkInForce>,
    now: UnixTime,
) -> Reach {
    let terms = link.compiled.contract().terms();
    let cells = cells(world, link, now);
    let through = through(world, link, others, &cells, now);
    let all = || {
        cells
            .iter()
            .chain(through.iter().flat_map(|through| &through.cells))
    };
    let at = |cell: &Cell| format!("{} at {}", cell.action, cell.service);
    Reach {
        agent: link.agent.name.to_string(),
        contract: format!("{}@{}", terms.metadata.name, terms.metadata.version),
        hash: link.compiled.hash().to_string(),
        mode: terms.mode,
        stopped: super::stopped(&link.agent, now).map(policy::Reason::code),
        tenant_mode: terms.tenants.as_ref().map(|tenants| tenants.mode),
        tenants: terms
            .tenants
            .as_ref()
            .map(|tenants| tenants.allowed.clone())
            .unwrap_or_default(),
        domains: all().flat_map(|cell| cell.domains.iter().cloned()).collect(),
        sensitivity: all().filter_map(|cell| cell.sensitivity).max(),
        ways_out: all().filter(|cell| cell.egress).map(at).collect(),
        untrusted: all().filter(|cell| cell.untrusted).map(at).collect(),
        approvals: all().filter_map(|cell| cell.approval.clone()).collect(),
        cells,
        through,
    }
}

/// What one agent may do itself.
fn cells(world: &World, link: &LinkInForce, now: UnixTime) -> Vec<Cell> {
    let contract = link.compiled.contract();
    let mut cells = Vec::new();
    for grant in &contract.terms().grants {
        let line = contract.line(&format!("grants.{}", grant.id));
        for service in &grant.services {
            for action in &grant.actions {
                cells.push(cell(world, link, grant, line, service, action, now));
            }
        }
    }
    cells.sort_by(|a, b| (&a.service, &a.action, &a.grant).cmp(&(&b.service, &b.action, &b.grant)));
    cells
}

fn cell(
    world: &World,
    link: &LinkInForce,
    grant: &Grant,
    line: u32,
    service: &Audience,
    action: &Name,
    now: UnixTime,
) -> Cell {
    let terms = link.compiled.contract().terms();
    let declared = declared(world, OrgScope::Only(link.agent.org), service, action);
    let is_declared = declared.is_some();
    let (data, sink) = declared.unwrap_or_default();
    let said = grant.data.as_ref();
    let flow = terms.flow.as_ref();
    let mut supposed = Supposed::any_call(action.clone(), service.clone());
    supposed.approved = terms.escalation.keys().cloned().collect();
    let foreseen = foresee(world, link, &supposed, now);
    Cell {
        service: service.to_string(),
        action: action.to_string(),
        means: grant
            .business_action
            .get(action)
            .map(ToString::to_string)
            .unwrap_or_default(),
        grant: grant.id.to_string(),
        line,
        bounds: grant
            .conditions
            .iter()
            .map(|(name, constraint)| format!("{name}: {constraint}"))
            .collect(),
        approval: grant.approval.as_ref().map(ToString::to_string),
        children: grant.children == Children::Allow,
        domains: data
            .as_ref()
            .map(|data| data.domains.clone())
            .or_else(|| said.map(|said| said.domains.clone()))
            .unwrap_or_default(),
        sensitivity: data
            .as_ref()
            .map(|data| data.sensitivity)
            .or_else(|| said.map(|said| said.sensitivity)),
        untrusted: data.as_ref().is_none_or(|data| data.untrusted)
            || flow.is_some_and(|flow| flow.reads_untrusted.contains(action)),
        egress: sink.as_ref().is_some_and(|sink| sink.egress)
            || flow.is_some_and(|flow| flow.egress.contains(action)),
        consequential: sink.as_ref().is_some_and(|sink| sink.consequential),
        declared: is_declared,
        refused: if foreseen.verdict.is_allowed() {
            Vec::new()
        } else {
            foreseen.verdict.reasons().iter().map(Because::from).collect()
        },
    }
}

/// Whoever is reached, breadth first: the shortest way to each is the one that is told.
fn through(
    world: &World,
    link: &LinkInForce,
    others: &BTreeMap<Name, LinkInForce>,
    own: &[Cell],
    now: UnixTime,
) -> Vec<Through> {
    let mut found: Vec<Through> = Vec::new();
    let mut seen: BTreeSet<(Name, Via)> = BTreeSet::new();
    let mut queue: VecDeque<(LinkInForce, Vec<String>, Vec<Cell>)> = VecDeque::new();
    queue.push_back((link.clone(), Vec::new(), own.to_vec()));
    while let Some((from, path, within)) = queue.pop_front() {
        if path.len() >= STEPS_MAX {
            continue;
        }
        for (name, via) in onward(from.compiled.contract().terms()) {
            if name == link.agent.name || !seen.insert((name.clone(), via)) {
                continue;
            }
            let mut path = path.clone();
            path.push(name.to_string());
            let next = others.get(&name);
            let theirs = next.map(|next| cells(world, next, now)).unwrap_or_default();
            let cells = match via {
                Via::Launch => theirs,
                Via::Delegation => theirs
                    .into_iter()
                    .filter(|cell| {
                        within
                            .iter()
                            .any(|own| own.service == cell.service && own.action == cell.action)
                    })
                    .collect(),
            };
            if let Some(next) = next {
                queue.push_back((next.clone(), path.clone(), cells.clone()));
            }
            found.push(Through {
                agent: name.to_string(),
                path,
                via,
                registered: next.is_some(),
                cells,
            });
        }
    }
    found
}

fn onward(terms: &Terms) -> Vec<(Name, Via)> {
    let delegates = terms
        .delegation
        .iter()
        .flat_map(|delegation| &delegation.may_delegate_to);
    delegates
        .map(|name| (name.clone(), Via::Delegation))
        .chain(terms.may_launch.iter().map(|name| (name.clone(), Via::Launch)))
        .collect()
}
