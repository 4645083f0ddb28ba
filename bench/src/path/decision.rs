//! One decision over one link, in process. Floor: Cedar's own evaluation of the same policies on the same request.

use crate::Effort;
use crate::cpu;
use crate::fault::{Fault, fault};
use crate::part::exchange_load::now;
use crate::place::contract_text;
use crate::report::Measured;
use cedar_policy::Authorizer;
use identity::{AgentId, Assurance, Audience, Name, OrgId, TaskId};
use policy::contract::Opener;
use policy::{
    Caller, Compiled, Contract, Facts, FlowFacts, Labels, Link, ResourceFacts, Stage, TaskFacts, Verdict,
    WorkflowFacts, decide,
};

pub(super) fn measure(effort: Effort<'_>) -> Result<[Measured; 1], Fault> {
    let Costs {
        decision,
        cedar,
        note,
    } = costs(effort)?;
    Ok([Measured::new(decision, cedar, note)])
}

/// Cedar's own evaluation of the bench's contract, in CPU microseconds.
pub(super) fn cedar_micros(effort: Effort<'_>) -> Result<f64, Fault> {
    Ok(costs(effort)?.cedar)
}

/// CPU microseconds of one decision, and of Cedar's part in it.
struct Costs {
    decision: f64,
    cedar: f64,
    note: String,
}

fn costs(effort: Effort<'_>) -> Result<Costs, Fault> {
    let errors = |errors: Vec<policy::ContractError>| fault(format!("{errors:?}"));
    let contract = Contract::parse("bench.yaml", contract_text().as_bytes()).map_err(errors)?;
    let compiled = Compiled::new(contract).map_err(errors)?;
    let (action, kind): (Name, Name) = ("invoices.read".parse()?, "reconciliation".parse()?);
    let (audience, tenant): (Audience, Name) = ("invoices".parse()?, "acme-eu".parse()?);
    let (at, scope) = (now(), [action.clone()]);
    let counters: Vec<_> = compiled
        .counters()
        .iter()
        .map(|counter| (counter.id.clone(), 1))
        .collect();
    let task = TaskFacts {
        id: TaskId::from_u128(3),
        kind: &kind,
        opener: Opener::Operator,
        tenant: Some(&tenant),
        purpose: Some(&kind),
        opened_at: at.minus_secs(60),
        expires_at: at.plus_secs(600),
    };
    let facts = Facts {
        assurance: Assurance {
            node: 1,
            launch: 1,
            code: 0,
            signer: 0,
        },
        evidence_age_secs: 30,
        resource: ResourceFacts {
            kind: Some("invoice"),
            id: Some("4711"),
            tenant: Some(&tenant),
        },
        stage: Stage::Call { arguments: &[] },
        caller: Caller::Agent,
        counters: &counters,
        link: Link::ALONE,
        loops: false,
        flow: FlowFacts {
            labels: Some(&Labels::NONE),
            ..FlowFacts::default()
        },
        workflow: WorkflowFacts {
            steps: Some(3),
            ..WorkflowFacts::default()
        },
        task_scope: Some(&scope),
        reviewed_at: at.minus_secs(3600),
        ..Facts::least(
            OrgId::from_u128(1),
            AgentId::from_u128(2),
            task,
            &action,
            &audience,
        )
    };
    let verdict = decide(&compiled, &facts, at);
    if !matches!(verdict, Verdict::Allow(_)) {
        return Err(fault(format!(
            "the decision is not what is measured: {verdict:?}"
        )));
    }
    let request = compiled.request_for(&facts, at)?;
    let authorizer = Authorizer::new();
    let (rounds, count) = (effort.pick(4, 10), 2000);
    let (mut value, mut floor) = (0.0, 0.0);
    for _ in 0..rounds {
        floor += cpu::micros_each(count, || {
            std::hint::black_box(authorizer.is_authorized(
                &request,
                compiled.policy_set(),
                compiled.entities(),
            ));
        });
        value += cpu::micros_each(count, || {
            drop(std::hint::black_box(decide(&compiled, &facts, at)));
        });
    }
    let policies = compiled.policy_set().policies().count();
    let note = format!("{policies} policies; mean of {} decisions", rounds * count);
    let rounds = f64::from(rounds);
    Ok(Costs {
        decision: value / rounds,
        cedar: floor / rounds,
        note,
    })
}
