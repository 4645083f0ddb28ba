//! Decisions with state: everything that a task can have used and seen, many agents on many contracts, and decisions
//! made again from their recorded facts.

use super::asked::{Asked, compiled};
use crate::cpu;
use crate::effort::Effort;
use crate::fault::{Fault, fault};
use crate::load;
use crate::part::exchange_load::now;
use crate::place::contract_text;
use crate::report::Measured;
use broker::chain::LinkInForce;
use broker::ledger::{Gathered, Seen};
use broker::world::{Agent, AgentState, ContractRecord, Opener, OpenerKind, Task};
use broker::{Change, World};
use identity::{AgentId, Digest, InstanceId, Name, OrgId, OrgScope, Revision, SpiffeId, UnixTime};
use policy::{Compiled, Facts, FlowFacts, Recorded, Verdict, WorkflowFacts, decide};
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Instant;
use store::ledger::{Ledger, Request, Reservation, Wants};

/// Agents of the small World.
const FEW: u32 = 100;

/// Everything that can be counted, read and walked.
const STATE: &str = "
budgets:
  - {counts: calls, scope: task, max: 1000000000}
  - {counts: denials, scope: task, per: 5m, max: 1000, then: suspend}
  - {counts: domains, scope: task, max: 10}
  - {counts: audiences, scope: agent, per: 1d, max: 100}
  - {counts: actions, scope: agent, per: 1d, max: 100}
flow: {}
workflow: {start: [invoices.list, invoices.read], off_graph: alert}
";

struct Setting {
    asked: Asked,
    agent: Arc<Agent>,
    record: Arc<ContractRecord>,
    compiled: Arc<Compiled>,
    task: Task,
}

fn agent(n: u32, org: OrgId, contract: Digest) -> Result<Agent, Fault> {
    Ok(Agent {
        id: AgentId::from_u128(u128::from(n) + 1),
        org,
        name: format!("agent-{n}").parse()?,
        spiffe_id: format!("spiffe://bench.test/acme/agent/agent-{n}").parse()?,
        owner: "bench".into(),
        purpose: "bench".into(),
        contract,
        state: AgentState::Active,
        expires_at: UnixTime::MAX,
    })
}

fn record(source: &str, org: OrgId, compiled: &Compiled) -> Result<ContractRecord, Fault> {
    Ok(ContractRecord {
        hash: compiled.hash().0,
        org,
        name: "demo-billing".parse()?,
        version: 1,
        file: "bench.yaml".into(),
        source: source.into(),
        published_by: "bench".into(),
        published_at: now(),
        commit: None,
        succeeds: BTreeSet::new(),
    })
}

impl Setting {
    fn new() -> Result<Self, Fault> {
        let text = contract_text() + STATE;
        let compiled = Arc::new(compiled(&text)?);
        let asked = Asked::new()?;
        let (org, at) = (asked.org, asked.at);
        let agent = Arc::new(agent(1, org, compiled.hash().0)?);
        Ok(Self {
            task: Task {
                id: asked.task,
                org,
                agent: agent.id,
                kind: asked.kind.clone(),
                tenant: Some(asked.tenant.clone()),
                opener: Opener {
                    kind: OpenerKind::Operator,
                    name: "bench".into(),
                },
                opened_at: at,
                expires_at: at.plus_secs(1800),
                parent: None,
                root: None,
                trusted: BTreeSet::new(),
                declassified: Revision(0),
                closed: false,
            },
            record: Arc::new(record(&text, org, &compiled)?),
            asked,
            agent,
            compiled,
        })
    }

    fn links(&self) -> [LinkInForce; 1] {
        [LinkInForce {
            agent: self.agent.clone(),
            record: self.record.clone(),
            compiled: self.compiled.clone(),
            exceptions: Vec::new(),
            counted_since: UnixTime::default(),
        }]
    }

    /// What the task has used and seen, with this call counted.
    fn gather(&self, ledger: &Arc<Ledger>, links: &[LinkInForce]) -> Reservation {
        ledger.gather(&Request {
            links,
            task: &self.task,
            instance: InstanceId::from_u128(9),
            audience: &self.asked.audience,
            wants: Wants::Call {
                action: self.asked.action(),
                arguments: &[],
                data: None,
            },
            now: self.asked.at,
        })
    }

    /// The facts of a call in a task that did and saw what `gathered` says.
    fn facts<'a>(&'a self, gathered: &'a Gathered, done: &'a [(Name, i64)]) -> Facts<'a> {
        Facts {
            flow: FlowFacts {
                labels: Some(&gathered.labels),
                ..FlowFacts::default()
            },
            workflow: WorkflowFacts {
                last: gathered.trail.last.get(&self.agent.name),
                done,
                steps: i64::try_from(gathered.trail.calls).ok(),
            },
            ..self
                .asked
                .facts(gathered.links.first().map_or(&[][..], Vec::as_slice))
        }
    }
}

/// Each step and how often it was taken.
fn done(gathered: &Gathered) -> Vec<(Name, i64)> {
    let done = gathered.trail.done.iter();
    done.map(|(step, times)| (step.clone(), *times)).collect()
}

/// One call as the gateway makes it up: gather, decide, take in what it sees.
fn call(stage: &Setting, ledger: &Arc<Ledger>, links: &[LinkInForce]) -> Result<(), Fault> {
    let reservation = stage.gather(ledger, links);
    let gathered = reservation.gathered();
    let done = done(gathered);
    let at = stage.asked.at;
    let verdict = decide(&stage.compiled, &stage.facts(gathered, &done), at);
    let Verdict::Allow(allowed) = &verdict else {
        return Err(fault(format!(
            "the decision is not what is measured: {verdict:?}"
        )));
    };
    let seen = Seen {
        of: gathered.trails.clone(),
        labels: allowed.raises().clone(),
        action: Some(stage.asked.action().clone()),
        steps: allowed
            .steps()
            .iter()
            .map(|step| (stage.agent.name.clone(), step.clone()))
            .collect(),
        at,
        ..Seen::default()
    };
    ledger.see(&seen);
    reservation.keep();
    Ok(())
}

/// 99th percentile of a decision with all state in play, and the cost of deciding again from recorded facts.
pub(super) fn measure(effort: Effort<'_>) -> Result<[Measured; 2], Fault> {
    let stage = Setting::new()?;
    let links = stage.links();
    let ledger = Arc::new(Ledger::default());
    let count = effort.pick(100, 5_000, 50_000);
    for _ in 0..count / 10 {
        call(&stage, &ledger, &links)?;
    }
    let mut times = load::latencies()?;
    for _ in 0..count {
        let begun = Instant::now();
        call(&stage, &ledger, &links)?;
        load::note(&mut times, begun.elapsed());
    }
    let p99 = load::quantile_ms(&times, 0.99) * 1e3;

    let gathered = stage.gather(&ledger, &links).gathered().clone();
    let rows: Vec<serde_json::Value> = stage
        .facts(&gathered, &done(&gathered))
        .rows(stage.asked.at)
        .into_iter()
        .map(|row| serde_json::json!([row.name, row.value]))
        .collect();
    let written = serde_json::to_vec(&rows)?;
    let again = || -> Result<bool, Fault> {
        let rows: Vec<(String, serde_json::Value)> = serde_json::from_slice(&written)?;
        let read = Recorded::read(rows.iter().map(|(name, value)| (name.as_str(), value)))?;
        Ok(read
            .with(|facts| decide(&stage.compiled, facts, read.now()))
            .is_allowed())
    };
    if !again()? {
        return Err(fault(
            "recorded facts do not lead to the verdict that was recorded",
        ));
    }
    let count = effort.pick(20, 2_000, 20_000);
    let replay = cpu::micros_each(count, || {
        drop(std::hint::black_box(again()));
    });
    Ok([
        Measured::alone(
            p99,
            format!(
                "p99 of decisions in one task, {} counters",
                stage.compiled.counters().len()
            ),
        ),
        Measured::alone(
            replay,
            format!(
                "{} bytes of facts read and decided; mean of {count}",
                written.len()
            ),
        ),
    ])
}

/// The same decision with many agents, on contracts that are all in use.
pub(super) fn many(effort: Effort<'_>) -> Result<[Measured; 1], Fault> {
    let stage = Setting::new()?;
    let (contracts, agents): (u32, u32) = effort.pick((4, 1_000), (200, 100_000), (2_000, 100_000));
    let mut hot: HashMap<Digest, Arc<Compiled>> = HashMap::new();
    let (mut hashes, mut changes) = (Vec::new(), Vec::new());
    for n in 0..contracts {
        let text =
            contract_text().replace("Matches the invoices", &format!("Matches the {n} invoices")) + STATE;
        let compiled = Arc::new(compiled(&text)?);
        let published = record(&text, stage.asked.org, &compiled)?;
        hashes.push(published.hash);
        hot.insert(published.hash, compiled);
        changes.push(Change::ContractPublished(published));
    }
    let world = |agents: u32| -> Result<(World, Vec<SpiffeId>), Fault> {
        let mut all = changes.clone();
        let mut ids = Vec::new();
        for (n, hash) in (0..agents).zip(hashes.iter().cycle()) {
            let agent = agent(n, stage.asked.org, *hash)?;
            ids.push(agent.spiffe_id.clone());
            all.push(Change::AgentRegistered(agent));
        }
        Ok((World::default().apply(&all, Revision(1)), ids))
    };
    let (few, many) = (world(FEW)?, world(agents)?);
    let counters = stage.compiled.counters().iter();
    let counted = Gathered {
        links: vec![counters.map(|counter| (counter.id.clone(), 1)).collect()],
        ..Gathered::default()
    };
    let org = OrgScope::Only(stage.asked.org);
    let facts = stage.facts(&counted, &[]);
    let count = effort.pick(100, 2_000, 20_000);
    let mut wrong = 0_u32;
    let mut cost = |(world, ids): &(World, Vec<SpiffeId>)| {
        let mut n = 0_usize;
        cpu::micros_each(count, || {
            n += 1;
            // A stride that visits agents and contracts in no order that a cache would guess.
            let agent = ids
                .get(n * 7_919 % ids.len())
                .and_then(|id| world.agent_of(org, id));
            let record = hashes
                .get(n * 31 % hashes.len())
                .and_then(|hash| world.contract(org, hash));
            let compiled = record.and_then(|record| hot.get(&record.hash));
            match (agent, compiled) {
                (Some(_), Some(compiled)) if decide(compiled, &facts, stage.asked.at).is_allowed() => {}
                _ => wrong += 1,
            }
        })
    };
    let (mut value, mut floor) = (0.0, 0.0);
    let rounds = effort.pick(1, 4, 4);
    for _ in 0..rounds {
        floor += cost(&few);
        value += cost(&many);
    }
    if wrong > 0 {
        return Err(fault("the decision is not what is measured"));
    }
    let rounds = f64::from(rounds);
    let note = format!("{contracts} contracts; {agents} agents beside {FEW}");
    Ok([Measured::new(value / rounds, floor / rounds, note)])
}
