//! Runs: a measured launch, or a process that calls by itself, becomes an instance with a task.

use super::join::unavailable;
use super::refusal;
use super::refused::{may_record, overreach};
use crate::installation::Installation;
use crate::settle::{Unsettled, settle};
use broker::attest::{self, LaunchEvidence, NotAttested, ProcessEvidence};
use broker::identify::{self, Rule, WhyNot};
use broker::overreach::Overreach;
use broker::run::{self, LocalRefusal, SEEN_BYTES_MAX};
use broker::task::{self, TaskRequest};
use broker::unidentified::{OUTSIDE_RUN, Refused as Counted, counted_by};
use broker::world::{Agent, Instance, MemberRole, NodeRecord, Opener, OpenerKind, Task, World};
use broker::{Identified, Outcome};
use identity::{DecisionId, InstanceId, LogId, Name, OrgScope, RunId, TaskId, UnixTime};
use std::collections::BTreeMap;
use std::sync::Arc;
use sync::proto;
use tonic::Status;

/// Identifies a launch, opens its task unless it names one, opens the run.
pub(super) async fn open(
    installation: &Installation,
    node: &NodeRecord,
    request: &proto::OpenRunRequest,
) -> Result<proto::OpenRunReply, Status> {
    let evidence: LaunchEvidence = serde_json::from_slice(&request.evidence)
        .map_err(|_| Status::invalid_argument("the evidence is not launch evidence"))?;
    let wish = TaskRequest {
        kind: name(&request.task_type)?,
        tenant: name(&request.tenant)?,
        ttl_secs: (request.ttl_secs > 0).then_some(request.ttl_secs),
        // Who launches for a task with trusted destinations opens that task first, and launches for it by its id.
        trusted: std::collections::BTreeSet::new(),
    };
    let world = installation.store.world();
    let agent = match identify_launch(installation, &world, node, evidence.clone()) {
        Ok(identified) => identified.agent().clone(),
        Err(why) => return refuse_open(installation, node, Some(&evidence), why).await,
    };
    let launcher = match evidence.launcher_run {
        None => Launcher::Person(opener(&world, evidence.launcher_uid)),
        Some(run) => Launcher::Run(run),
    };
    let task = if request.task_id.is_empty() {
        let opened = open_task(installation, &agent, &launcher, &wish).await;
        match opened {
            Ok(task) => task,
            Err(unsettled) => return Ok(refused(refusal(unsettled)?)),
        }
    } else {
        let id: TaskId = request
            .task_id
            .parse()
            .map_err(|_| Status::invalid_argument("task_id"))?;
        match world.task(OrgScope::Only(agent.org), id).cloned() {
            Some(task) if launcher.may_name(&world, &task) => task,
            Some(_) | None => return no_task(installation, node, &agent).await.map(refused),
        }
    };
    let recorded = settle(
        installation,
        Some(agent.org),
        |world, draw| match identify_launch(installation, world, node, evidence.clone()) {
            Ok(identified) => run::open(world, identified, &task, draw),
            Err(why) => Outcome::Refused(run::refuse(world, Some(evidence.org), node.id, why, draw)),
        },
    )
    .await;
    match recorded {
        Ok(recorded) => {
            let id = recorded.get().instance().at(recorded.revision());
            let world = installation.store.world();
            let instance = world
                .instance(OrgScope::Every, id)
                .ok_or_else(|| Status::internal("no instance"))?;
            let run = opened(&world, instance, &agent, &task, recorded.revision().0);
            Ok(proto::OpenRunReply {
                outcome: Some(proto::open_run_reply::Outcome::Run(run)),
            })
        }
        Err(unsettled) => Ok(refused(refusal(unsettled)?)),
    }
}

fn identify_launch(
    installation: &Installation,
    world: &World,
    node: &NodeRecord,
    evidence: LaunchEvidence,
) -> Result<Identified, WhyNot> {
    let now = installation.clock.now();
    let asked = evidence.agent.clone();
    let attested = attest::launch(node, evidence, now).map_err(not_attested)?;
    let org = attested.evidence().org;
    let may_launch = |run: RunId| {
        let instance = instance_of(world, run);
        instance.is_some_and(|instance| {
            // A node agent speaks for its own runs only, and a run launches within its org.
            instance.node == node.id
                && instance.org == org
                && world.is_task_open(OrgScope::Only(org), instance.task, now)
                && may_launch(installation, world, instance, &asked, now)
        })
    };
    identify::launched(world, &attested, may_launch, now)
}

/// The live instance of a run.
fn instance_of(world: &World, run: RunId) -> Option<&Arc<Instance>> {
    // A run and its first instance are the same 128 bits.
    world
        .instance(OrgScope::Every, InstanceId::from_u128(run.as_u128()))
        .filter(|instance| instance.run == run)
}

/// Who launches.
enum Launcher {
    /// Somebody outside every run.
    Person(Opener),
    /// A process of this run: what it launches works on a part of its task.
    Run(RunId),
}

impl Launcher {
    /// Whether it may launch for a task that is open already. A run may for the parts of its own task only: another
    /// task would be one that has read nothing yet.
    fn may_name(&self, world: &World, task: &Task) -> bool {
        match self {
            Self::Person(_) => true,
            Self::Run(run) => {
                instance_of(world, *run).is_some_and(|instance| task.parent == Some(instance.task))
            }
        }
    }
}

/// Whether the agent of an instance may act, and its contract lists `asked` under `may_launch`.
fn may_launch(
    installation: &Installation,
    world: &World,
    instance: &Instance,
    asked: &Name,
    now: UnixTime,
) -> bool {
    let scope = OrgScope::Only(instance.org);
    let record = world
        .agent(scope, instance.agent)
        .filter(|agent| agent.is_live(now))
        .and_then(|agent| world.contract(scope, &agent.contract));
    let compiled = record.and_then(|record| installation.contracts.compiled(record).ok());
    compiled.is_some_and(|compiled| compiled.contract().may_launch(asked))
}

fn not_attested(why: NotAttested) -> WhyNot {
    WhyNot {
        rule: Rule::Evidence,
        seen: why.to_string(),
        wanted: "fresh evidence of a node agent that serves this org".into(),
        nearest: None,
        fix: "check the node agent's clock, and which org it joined for".into(),
    }
}

async fn open_task(
    installation: &Installation,
    agent: &Arc<Agent>,
    launcher: &Launcher,
    wish: &TaskRequest,
) -> Result<Arc<Task>, Unsettled> {
    let recorded = settle(installation, Some(agent.org), |world, draw| {
        let scope = OrgScope::Only(agent.org);
        let record = world.contract(scope, &agent.contract);
        let compiled = record.and_then(|record| installation.contracts.compiled(record).ok());
        let parent = match launcher {
            Launcher::Person(_) => None,
            Launcher::Run(run) => instance_of(world, *run),
        };
        match (compiled, launcher, parent) {
            (Some(compiled), Launcher::Person(opener), _) => {
                let terms = compiled.contract().terms();
                task::open(world, agent, terms, opener.clone(), wish, draw)
            }
            (Some(compiled), Launcher::Run(_), Some(instance)) => {
                let terms = compiled.contract().terms();
                task::open_child(world, agent, terms, instance, wish, draw)
            }
            (None, _, _) | (Some(_), Launcher::Run(_), None) => Outcome::Refused(run::refuse(
                world,
                Some(agent.org),
                no_node(),
                no_contract(agent),
                draw,
            )),
        }
    })
    .await?;
    let id = recorded.get().task().at(recorded.revision());
    installation
        .store
        .world()
        .task(OrgScope::Only(agent.org), id)
        .cloned()
        .ok_or(Unsettled::Contended)
}

async fn no_task(
    installation: &Installation,
    node: &NodeRecord,
    agent: &Agent,
) -> Result<proto::Refused, Status> {
    may_record(installation, node)?;
    let settled = settle(installation, Some(agent.org), |world, draw| {
        Outcome::<()>::Refused(run::no_task(world, agent, node.id, draw))
    })
    .await;
    match settled {
        Err(unsettled) => refusal(unsettled),
        Ok(_) => Err(Status::internal("a refusal was granted")),
    }
}

const fn no_node() -> identity::NodeId {
    identity::NodeId::from_u128(0)
}

fn no_contract(agent: &Agent) -> WhyNot {
    WhyNot {
        rule: Rule::NotLive,
        seen: format!("the contract {} of {} cannot be used", agent.contract, agent.name),
        wanted: "a published contract that this release understands".into(),
        nearest: None,
        fix: "publish a new version of the contract and apply the agent's manifest with it".into(),
    }
}

/// Who launched, in the words of the story: a principal by name, anybody else by uid.
fn opener(world: &World, uid: u32) -> Opener {
    let name = world
        .principal_with_uid(uid)
        .map_or_else(|| format!("uid {uid}"), |principal| principal.name.to_string());
    Opener {
        kind: OpenerKind::Operator,
        name,
    }
}

fn opened(world: &World, instance: &Instance, agent: &Agent, task: &Task, revision: u64) -> proto::OpenedRun {
    let file = world
        .contract(OrgScope::Only(agent.org), &agent.contract)
        .map(|record| record.file.clone());
    proto::OpenedRun {
        run_id: instance.run.to_string(),
        instance_id: instance.id.to_string(),
        agent_id: agent.id.to_string(),
        task_id: task.id.to_string(),
        spiffe_id: agent.spiffe_id.to_string(),
        tenant: task.tenant.as_ref().map(ToString::to_string).unwrap_or_default(),
        contract: agent.contract.to_string(),
        contract_file: file.unwrap_or_default(),
        level: u32::from(u8::from(instance.assurance.level())),
        pinned: instance.pinned,
        opener: task.opener.name.clone(),
        revision,
    }
}

async fn refuse_open(
    installation: &Installation,
    node: &NodeRecord,
    evidence: Option<&LaunchEvidence>,
    why: WhyNot,
) -> Result<proto::OpenRunReply, Status> {
    // An org that the node does not serve, or that does not exist, gets neither an entry nor a key by its word.
    let asked = evidence.map(|evidence| evidence.org);
    let world = installation.store.world();
    let org = node
        .org
        .or_else(|| asked.filter(|org| world.org(OrgScope::Only(*org), *org).is_some()));
    record_why(installation, org, node, why).await.map(refused)
}

async fn record_why(
    installation: &Installation,
    org: Option<identity::OrgId>,
    node: &NodeRecord,
    why: WhyNot,
) -> Result<proto::Refused, Status> {
    may_record(installation, node)?;
    let settled = settle(installation, org, |world, draw| {
        Outcome::<()>::Refused(run::refuse(world, org, node.id, why.clone(), draw))
    })
    .await;
    match settled {
        Err(unsettled) => refusal(unsettled),
        Ok(_) => Err(Status::internal("a refusal was granted")),
    }
}

fn refused(refused: proto::Refused) -> proto::OpenRunReply {
    proto::OpenRunReply {
        outcome: Some(proto::open_run_reply::Outcome::Refused(refused)),
    }
}

/// Ends a run of this node.
pub(super) async fn close(
    installation: &Installation,
    node: &NodeRecord,
    request: &proto::CloseRunRequest,
) -> Result<proto::CloseRunReply, Status> {
    let run: RunId = request
        .run_id
        .parse()
        .map_err(|_| Status::invalid_argument("run_id"))?;
    let world = installation.store.world();
    let found = world
        .instances(OrgScope::Every)
        .find(|instance| instance.run == run);
    let Some(instance) = found else {
        return Ok(proto::CloseRunReply {});
    };
    if instance.node != node.id {
        let seen = format!("CloseRun of {run}, a run of {}", instance.node);
        return Err(overreach(installation, node, Overreach::Run, &seen).await);
    }
    let settled = settle(installation, Some(instance.org), |world, draw| {
        Outcome::Granted(run::close(world, instance, &request.exit, draw))
    })
    .await;
    drop(settled.map_err(unavailable)?);
    Ok(proto::CloseRunReply {})
}

/// A process that was not launched by us: every registration that it matches gives it an instance with a task of its
/// own kind, opened by the agent itself.
pub(super) async fn identify(
    installation: &Installation,
    node: &NodeRecord,
    request: &proto::IdentifyProcessRequest,
) -> Result<proto::IdentifyProcessReply, Status> {
    let evidence: ProcessEvidence = serde_json::from_slice(&request.evidence)
        .map_err(|_| Status::invalid_argument("the evidence is not process evidence"))?;
    debug_assert_eq!(node.role, MemberRole::Node, "checked where members are");
    let found = |world: &World| {
        let now = installation.clock.now();
        let attested = attest::process(node, evidence.clone(), now).map_err(not_attested)?;
        identify::registered(world, &attested, now)
    };
    let identities = match found(&installation.store.world()) {
        Ok(identities) => identities,
        Err(why) => {
            let refused = record_why(installation, node.org, node, why).await?;
            let outcome = proto::identify_process_reply::Outcome::Refused(refused);
            return Ok(proto::IdentifyProcessReply {
                outcome: Some(outcome),
            });
        }
    };
    let mut runs = Vec::with_capacity(identities.len());
    for identified in identities {
        let agent = identified.agent().clone();
        let opener = Opener {
            kind: OpenerKind::Agent,
            name: agent.name.to_string(),
        };
        match open_registered(installation, &agent, &Launcher::Person(opener), &found).await {
            Ok(run) => runs.push(run),
            Err(unsettled) => {
                let outcome = proto::identify_process_reply::Outcome::Refused(refusal(unsettled)?);
                return Ok(proto::IdentifyProcessReply {
                    outcome: Some(outcome),
                });
            }
        }
    }
    let outcome =
        proto::identify_process_reply::Outcome::Process(proto::IdentifiedProcess { identities: runs });
    Ok(proto::IdentifyProcessReply {
        outcome: Some(outcome),
    })
}

async fn open_registered(
    installation: &Installation,
    agent: &Arc<Agent>,
    opener: &Launcher,
    found: &impl Fn(&World) -> Result<Vec<Identified>, WhyNot>,
) -> Result<proto::OpenedRun, Unsettled> {
    let task = open_task(installation, agent, opener, &TaskRequest::default()).await?;
    let recorded = settle(installation, Some(agent.org), |world, draw| {
        let again = found(world)
            .ok()
            .into_iter()
            .flatten()
            .find(|identified| identified.agent().id == agent.id);
        match again {
            Some(identified) => run::open(world, identified, &task, draw),
            None => Outcome::Refused(run::refuse(
                world,
                Some(agent.org),
                no_node(),
                no_contract(agent),
                draw,
            )),
        }
    })
    .await?;
    let id = recorded.get().instance().at(recorded.revision());
    let world = installation.store.world();
    let instance = world.instance(OrgScope::Every, id).ok_or(Unsettled::Contended)?;
    Ok(opened(&world, instance, agent, &task, recorded.revision().0))
}

/// Records what the node agent refused by itself. Its words are bounded, and its ids are of its own log: no member
/// speaks for a decision of another.
pub(super) async fn record_refusal(
    installation: &Installation,
    node: &NodeRecord,
    request: &proto::RecordRefusalRequest,
) -> Result<proto::RecordRefusalReply, Status> {
    let decision: DecisionId = request
        .decision_id
        .parse()
        .map_err(|_| Status::invalid_argument("decision_id"))?;
    if decision.home() != LogId(node.log) {
        let seen = format!("RecordRefusal of {decision}");
        return Err(overreach(installation, node, Overreach::Decision, &seen).await);
    }
    let is_code = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || b"_-".contains(&byte);
    if request.code.is_empty() || request.code.len() > CODE_BYTES_MAX || !request.code.bytes().all(is_code) {
        return Err(Status::invalid_argument("code"));
    }
    if request.seen.len() > SEEN_BYTES_MAX {
        return Err(Status::invalid_argument("seen is longer than 4 KiB"));
    }
    let agent = name(&request.agent)?;
    may_record(installation, node)?;
    let refusal = LocalRefusal {
        decision,
        code: request.code.clone(),
        uid: request.uid,
        pid: request.pid,
        agent: agent.map(|agent| agent.to_string()).unwrap_or_default(),
        seen: request.seen.clone(),
    };
    let settled = settle(installation, node.org, |world, draw| {
        Outcome::Granted(run::refused_locally(world, node, &refusal, draw))
    })
    .await;
    drop(settled.map_err(unavailable)?);
    Ok(proto::RecordRefusalReply {})
}

/// Longest code of a refusal, in bytes; ours have at most 30.
const CODE_BYTES_MAX: usize = 64;
/// Longest name of a source, in bytes: `uid 4294967295 at run_…` has 49.
const SOURCE_BYTES_MAX: usize = 64;
/// What codes that this release does not know are counted as: a member's words are no codes of ours.
const OTHER: &str = "OTHER";

/// Writes down how often the node agent turned callers away, one entry a source.
pub(super) async fn count_refusals(
    installation: &Installation,
    node: &NodeRecord,
    request: &proto::CountRefusalsRequest,
) -> Result<proto::CountRefusalsReply, Status> {
    for told in &request.sources {
        let plain = |byte: u8| byte == b' ' || byte.is_ascii_graphic();
        if told.source.len() > SOURCE_BYTES_MAX || !told.source.bytes().all(plain) {
            return Err(Status::invalid_argument("source"));
        }
        let mut counts = BTreeMap::<&'static str, u64>::new();
        for (code, times) in &told.counts {
            let code = if code == OUTSIDE_RUN { OUTSIDE_RUN } else { OTHER };
            let sum = counts.entry(code).or_default();
            *sum = sum.saturating_add(*times);
        }
        may_record(installation, node)?;
        let counted = Counted {
            source: told.source.clone(),
            at: installation.clock.now(),
            counts,
        };
        let settled = settle(installation, node.org, |world, draw| {
            Outcome::Granted(counted_by(world, node, &counted, draw))
        })
        .await;
        drop(settled.map_err(unavailable)?);
    }
    Ok(proto::CountRefusalsReply {})
}

fn name(text: &str) -> Result<Option<Name>, Status> {
    if text.is_empty() {
        return Ok(None);
    }
    text.parse()
        .map(Some)
        .map_err(|error| Status::invalid_argument(format!("{text:?}: {error}")))
}
