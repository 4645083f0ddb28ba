//! `GET /v1/decisions/{id}`: why a decision came out as it did, and what would change it. The id may also be that of an
//! entry, a task or a run.
//!
//! Everything is read back from the entry that recorded it; nothing is decided again. The one thing that may have
//! changed since, the agent's state, is said as of now.

use super::Plane;
use super::body::Path;
use super::caller::{Caller, READERS_OF_THE_RECORD};
use super::entries::{Recorded, newest, sees};
use super::refused::Refused;
use super::which_decision::named;
use audit::EventKind;
use audit::event::{Event, Fact, Provenance, Ruling};
use axum::Json;
use axum::extract;
use broker::World;
use broker::world::AgentState;
use broker::world::approval::State;
use identity::{ApprovalId, OrgScope};
use policy::Reason;
use serde::Serialize;
use std::sync::Arc;
use store::Query;

/// Entries of a task looked through for how a permitted call ended.
const OUTCOMES: usize = 200;
/// Entries of a task looked through for what people said.
const APPROVAL_ENTRIES: usize = 500;
/// Lines of the contract shown before and after the one that decided.
const LINES_AROUND: usize = 2;
/// Facts that the record keeps beside the reason they belong to.
const REASON_FACT: &str = "reason.";

/// The whole story.
#[derive(Debug, Serialize)]
pub(super) struct Story {
    decision: String,
    ruling: Ruling,
    at: String,
    kind: String,
    #[serde(flatten)]
    entry: Recorded,
    evidence: Option<Recorded>,
    outcome: Option<Recorded>,
    approval: Option<ApprovalStory>,
    process: Option<Unidentified>,
    reasons: Vec<Because>,
    facts: Vec<FactLine>,
    contract: Option<ContractPart>,
    agent_now: Option<AgentNow>,
    todo: Vec<String>,
}

/// What people were asked about it, and what they said.
#[derive(Debug, Serialize)]
struct ApprovalStory {
    id: ApprovalId,
    /// `None` once it is forgotten: its entries remain.
    state: Option<State>,
    steps: Vec<Step>,
}

#[derive(Debug, Serialize)]
struct Step {
    at: String,
    kind: String,
    place: String,
    what: String,
    /// The commitment that stands for the person.
    by: Option<String>,
}

/// Why a process or member was not who it wanted to be.
#[derive(Debug, Serialize)]
struct Unidentified {
    asked_for: Option<String>,
    uid: Option<u64>,
    pid: Option<i64>,
    seen: Option<String>,
    wanted: Option<String>,
    nearest: Option<String>,
    fix: Option<String>,
}

/// One reason.
#[derive(Debug, Serialize)]
struct Because {
    code: String,
    group: Option<&'static str>,
    sentence: Option<&'static str>,
    limit: Option<String>,
    fix: Option<String>,
}

#[derive(Debug, Serialize)]
struct FactLine {
    name: String,
    value: serde_json::Value,
    provenance: Provenance,
}

/// The contract, and the lines of it that decided.
#[derive(Debug, Serialize)]
struct ContractPart {
    name: String,
    version: u64,
    hash: String,
    file: String,
    line: Option<u32>,
    excerpt: Vec<Line>,
}

#[derive(Debug, Serialize)]
struct Line {
    number: usize,
    text: String,
    decided: bool,
}

#[derive(Debug, Serialize)]
struct AgentNow {
    name: String,
    state: AgentState,
}

pub(super) async fn explain(
    extract::State(plane): extract::State<Arc<Plane>>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<Story>, Refused> {
    caller.looks_as(&plane, READERS_OF_THE_RECORD).await?;
    let entry = named(&plane, caller.scope(), &id).await?;
    let world = plane.installation.store.world();
    let evidence = evidence(&plane, caller.scope(), &entry.parsed.event).await?;
    let outcome = outcome(&plane, caller.scope(), &entry).await?;
    let approval = approval(&plane, &world, caller.scope(), &entry).await?;
    let mut story = tell(&world, caller.scope(), entry, evidence, outcome);
    if let Some(story) = &mut story {
        story.approval = approval;
    }
    story.map(Json).ok_or_else(|| Refused::not_found("decision", &id))
}

/// The entry of the launch that bound the process.
async fn evidence(plane: &Arc<Plane>, scope: OrgScope, event: &Event) -> Result<Option<Recorded>, Refused> {
    let Some((agent, instance)) = event
        .who
        .as_ref()
        .and_then(|who| Some((who.agent?, who.instance?)))
    else {
        return Ok(None);
    };
    let mut query = Query::of(scope);
    query.agent = Some(agent);
    query.kind = Some(EventKind::RunOpened);
    let opened = newest(plane, query).await?;
    Ok(opened
        .into_iter()
        .find(|it| it.parsed.event.who.as_ref().and_then(|who| who.instance) == Some(instance)))
}

/// The entry that says how a permitted call ended.
async fn outcome(plane: &Arc<Plane>, scope: OrgScope, entry: &Recorded) -> Result<Option<Recorded>, Refused> {
    if entry.parsed.event.kind != EventKind::GatewayCall {
        return Ok(None);
    }
    let mut query = Query::of(scope);
    query.task = entry.parsed.event.why.as_ref().and_then(|why| why.task);
    query.kind = Some(EventKind::GatewayOutcome);
    query.since = Some(entry.parsed.event.at);
    query.limit = OUTCOMES;
    let place = entry.parsed.writer.place();
    let ended = newest(plane, query).await?;
    Ok(ended
        .into_iter()
        .filter(|it| sees(scope, it))
        .find(|it| it.parsed.event.outcome.as_ref().and_then(|outcome| outcome.of) == Some(place)))
}

/// The entries of the approval that a decision rests on, or that it led to.
async fn approval(
    plane: &Arc<Plane>,
    world: &World,
    scope: OrgScope,
    entry: &Recorded,
) -> Result<Option<ApprovalStory>, Refused> {
    let event = &entry.parsed.event;
    let (Some(why), Some(decision)) = (&event.why, &event.decision) else {
        return Ok(None);
    };
    let known = || world.approvals(scope).find(|it| it.refusal == decision.id);
    let Some(id) = why.approval.or_else(|| known().map(|it| it.id)) else {
        return Ok(None);
    };
    let mut query = Query::of(scope);
    query.task = why.task;
    query.limit = APPROVAL_ENTRIES;
    let mut found = newest(plane, query).await?;
    found.retain(|it| {
        let why = it.parsed.event.why.as_ref();
        it.parsed.event.kind.as_str().starts_with("approval.") && why.and_then(|why| why.approval) == Some(id)
    });
    found.reverse();
    let step = |it: &Recorded| {
        let event = &it.parsed.event;
        let codes = event.decision.iter().flat_map(|decision| &decision.reasons);
        let what = event.change_summary.iter().chain(codes).cloned();
        Step {
            at: event.at.rfc3339(),
            kind: event.kind.to_string(),
            place: it.parsed.writer.place().to_string(),
            what: what.collect::<Vec<_>>().join("  "),
            by: event
                .human
                .as_ref()
                .and_then(|human| human.name)
                .map(|name| name.to_string()),
        }
    };
    Ok(Some(ApprovalStory {
        id,
        state: world
            .approval(scope, id)
            .map(|it| it.state(plane.installation.clock.now())),
        steps: found.iter().map(step).collect(),
    }))
}

fn tell(
    world: &World,
    scope: OrgScope,
    entry: Recorded,
    evidence: Option<Recorded>,
    outcome: Option<Recorded>,
) -> Option<Story> {
    let event = &entry.parsed.event;
    let decision = event.decision.as_ref()?;
    let reasons: Vec<Because> = decision
        .reasons
        .iter()
        .map(|code| because(code, &decision.facts))
        .collect();
    let agent_now = event
        .who
        .as_ref()
        .and_then(|who| world.agent(scope, who.agent?))
        .map(|agent| AgentNow {
            name: agent.name.to_string(),
            state: agent.state,
        });
    let contract = decision
        .contract
        .and_then(|hash| world.contract(scope, &hash))
        .map(|record| ContractPart {
            name: record.name.to_string(),
            version: record.version,
            hash: record.hash.to_string(),
            file: record.file.clone(),
            line: decision.line,
            excerpt: decision
                .line
                .map_or_else(Vec::new, |line| excerpt(&record.source, line)),
        });
    let facts = decision
        .facts
        .iter()
        .filter(|fact| !fact.name.starts_with(REASON_FACT))
        .map(|fact| FactLine {
            name: fact.name.to_string(),
            value: fact.value.clone(),
            provenance: fact.provenance,
        });
    let process = unidentified(event, decision.nearest.as_deref());
    let mut todo = todo(decision.outcome, &reasons, contract.as_ref(), agent_now.as_ref());
    todo.extend(process.as_ref().and_then(|process| process.fix.clone()));
    Some(Story {
        decision: decision.id.to_string(),
        ruling: decision.outcome,
        at: event.at.rfc3339(),
        kind: event.kind.to_string(),
        evidence,
        outcome,
        approval: None,
        process,
        todo,
        reasons,
        facts: facts.collect(),
        contract,
        agent_now,
        entry,
    })
}

/// What the entry of a refused identity says besides its reason.
fn unidentified(event: &Event, nearest: Option<&str>) -> Option<Unidentified> {
    if !matches!(event.kind, EventKind::IdentityRefused | EventKind::NodeRefused) {
        return None;
    }
    let text = |name: &str| Some(event.detail.get(name)?.as_str()?.to_owned());
    Some(Unidentified {
        asked_for: text("agent"),
        uid: event.detail.get("uid").and_then(serde_json::Value::as_u64),
        pid: event.detail.get("pid").and_then(serde_json::Value::as_i64),
        seen: text("seen"),
        wanted: text("wanted"),
        nearest: nearest.map(str::to_owned),
        fix: text("fix"),
    })
}

fn because(code: &str, facts: &[Fact]) -> Because {
    let known = Reason::ALL.iter().find(|reason| reason.code() == code);
    let about = |what: &str| {
        let name = format!("{REASON_FACT}{code}.{what}");
        let fact = facts.iter().find(|fact| fact.name == name)?;
        Some(fact.value.as_str()?.to_owned())
    };
    Because {
        code: code.to_owned(),
        group: known.map(|reason| reason.group().as_str()),
        sentence: known.map(|reason| reason.caller_sentence()),
        limit: about("limit"),
        fix: about("fix"),
    }
}

/// The line that decided, with its neighbours.
fn excerpt(source: &str, line: u32) -> Vec<Line> {
    let decided = usize::try_from(line).unwrap_or(usize::MAX);
    (1..)
        .zip(source.lines())
        .skip_while(|(number, _)| number + LINES_AROUND < decided)
        .take_while(|(number, _)| *number <= decided.saturating_add(LINES_AROUND))
        .map(|(number, text)| Line {
            number,
            text: text.to_owned(),
            decided: number == decided,
        })
        .collect()
}

/// What an operator can do about it, most direct first.
fn todo(
    ruling: Ruling,
    reasons: &[Because],
    contract: Option<&ContractPart>,
    agent: Option<&AgentNow>,
) -> Vec<String> {
    if ruling == Ruling::Allow {
        return Vec::new();
    }
    let mut todo = Vec::new();
    if let Some(agent) = agent.filter(|agent| agent.state == AgentState::Suspended) {
        todo.push(format!(
            "{} is suspended. When it may work again: tabard resume agent {}",
            agent.name, agent.name
        ));
    }
    for fix in reasons.iter().filter_map(|reason| reason.fix.as_ref()) {
        if !todo.contains(fix) {
            todo.push(fix.clone());
        }
    }
    if let Some(contract) = contract {
        todo.push(format!(
            "To change what the agent may do: edit {}, raise metadata.version above {}, then: tabard contract apply {}",
            contract.file, contract.version, contract.file
        ));
    }
    todo
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_excerpt_shows_the_line_that_decided_and_its_neighbours() {
        let lines = excerpt("a\nb\nc\nd\ne\nf", 4);
        let shown: Vec<(usize, &str, bool)> = lines
            .iter()
            .map(|line| (line.number, line.text.as_str(), line.decided))
            .collect();
        assert_eq!(
            shown,
            [
                (2, "b", false),
                (3, "c", false),
                (4, "d", true),
                (5, "e", false),
                (6, "f", false)
            ]
        );
        assert_eq!(excerpt("a", 900).len(), 0);
    }
}
