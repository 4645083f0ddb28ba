//! The limits of a contract: each is one `forbid … unless` with its own reason.
//!
//! The number stands in the policy and the value in the context, so that versions can be compared and simulated, and so
//! that one evaluation returns every limit that is exceeded.

use crate::attribute::Attribute;
#[cfg(test)]
use crate::attribute::in_scope;
use crate::contract::ArgKind;
use crate::contract::{
    Budget, Date, Delegation, OffGraph, Opener, Proven, Seconds, Template, TenantMode, Terms, Then,
    TimeWindow,
};
use crate::counter::{Counted, CounterId};
use crate::expression::{Expression, Reads, action_in, all, any, binary, count, long, not, text, texts};
use crate::facts::{Facts, Outside};
use crate::reason::Reason;
use crate::week_ranges::week_ranges;
use cedar_policy::pst::{BinaryOp, PstConstructionError};
use identity::{Level, Name, UnixTime};
use std::collections::{BTreeMap, BTreeSet};

/// One limit.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Limit {
    /// The identity is proven at least this well.
    Assurance(Level),
    /// Each of these is proven as well.
    Attestation(BTreeSet<Proven>),
    /// The evidence is at most this old.
    EvidenceAge(Seconds),
    /// The contract has not ended.
    Expires(Date),
    /// The contract was reviewed at most this long ago.
    Review(Seconds),
    /// The task is of one of these types.
    TaskType(BTreeSet<Name>),
    /// The task was opened for this purpose, if for any.
    Purpose(Name),
    /// The task was opened by one of these.
    Opener(BTreeSet<Opener>),
    /// It is one of these hours.
    Hours(Vec<TimeWindow>),
    /// The task has not ended and is at most this old.
    TaskAge(Seconds),
    /// The credential, if there has to be one, covers the action.
    Scope,
    /// The data is the task's tenant's, and that tenant is one of these.
    TenantOfTask(BTreeSet<Name>),
    /// The data is one of these tenants'.
    TenantFixed(BTreeSet<Name>),
    /// The data is no tenant's.
    NoTenant,
    /// The chain has at most this many parties.
    Depth(u8),
    /// The agent acts itself, or passed the work on to one of these.
    Delegates(BTreeSet<Name>),
    /// Nobody stands in the chain twice.
    NoLoop,
    /// A user stands at the beginning of the chain.
    UserRequired,
    /// That user is in one of these groups.
    UserGroups(BTreeSet<Name>),
    /// The user may do it as well.
    UserEntitled,
    /// The task's template names the action.
    Template(BTreeMap<Name, Template>),
    /// Fewer calls than this were made in the window.
    Rate(CounterId, u32),
    /// No more of something than this.
    Budget(Budget),
    /// Every counter that a call or an exchange needs is known and not negative, and so is what was read and done.
    StateKnown(Vec<CounterId>),
    /// Whoever receives something may see what was read.
    Receiver,
    /// Where something goes is cleared for what was read.
    Clearance,
    /// Data of one tenant only.
    OneTenant,
    /// Nothing consequential after untrusted content, but to trusted destinations or with an approval.
    Untainted(Option<Name>),
    /// Untrusted content, sensitive data and a way out do not come together, but with an approval.
    NoTrifecta(Option<Name>),
    /// Of two actions that exclude each other, one at most.
    Toxic(BTreeSet<(Name, Name)>),
    /// The declared graph has this step here, or a human approved it.
    OnGraph(Option<Name>),
    /// Fewer calls than this were made in the task.
    Steps(u32),
    /// Credentials are for the agent process itself; a child of its run may only make calls.
    OwnExchange,
}

impl Limit {
    /// The limits of a contract, in the order in which they are compiled.
    pub(crate) fn of(terms: &Terms) -> Vec<Self> {
        let mut limits = vec![Self::Assurance(terms.identity.min_assurance)];
        let attestation = &terms.identity.attestation;
        limits.extend((!attestation.is_empty()).then(|| Self::Attestation(attestation.clone())));
        limits.extend(terms.identity.max_evidence_age.map(Self::EvidenceAge));
        limits.push(Self::Expires(terms.lifecycle.expires));
        limits.extend(terms.lifecycle.review_every.map(Self::Review));
        limits.push(Self::TaskType(terms.tasks.types.clone()));
        limits.push(Self::Purpose(terms.purpose.id.clone()));
        limits.push(Self::Opener(terms.tasks.openers.clone()));
        if !terms.windows.is_empty() {
            limits.push(Self::Hours(terms.windows.clone()));
        }
        limits.push(Self::TaskAge(terms.tasks.max_ttl));
        limits.push(Self::Scope);
        limits.push(match &terms.tenants {
            None => Self::NoTenant,
            Some(tenants) => match tenants.mode {
                TenantMode::Task => Self::TenantOfTask(tenants.allowed.clone()),
                TenantMode::Fixed => Self::TenantFixed(tenants.allowed.clone()),
            },
        });
        if !terms.tasks.templates.is_empty() {
            limits.push(Self::Template(terms.tasks.templates.clone()));
        }
        limits.extend(Self::of_chain(&terms.delegation.clone().unwrap_or_default()));
        limits.extend(Self::of_state(terms));
        limits.extend(Self::of_flow(terms));
        limits.extend(Self::of_workflow(terms));
        limits
    }

    fn of_chain(delegation: &Delegation) -> Vec<Self> {
        let mut limits = vec![
            Self::Depth(delegation.max_depth),
            Self::Delegates(delegation.may_delegate_to.clone()),
            Self::NoLoop,
            Self::UserEntitled,
            Self::OwnExchange,
        ];
        if let Some(user) = &delegation.on_behalf_of {
            limits.extend(user.require_user.then_some(Self::UserRequired));
            limits.extend((!user.groups.is_empty()).then(|| Self::UserGroups(user.groups.clone())));
        }
        limits
    }

    fn of_state(terms: &Terms) -> Vec<Self> {
        let rates = terms.rate.iter();
        let mut limits: Vec<Self> = rates
            .map(|rate| Self::Rate(CounterId::calls(rate.scope, rate.per.get()), rate.max))
            .collect();
        limits.extend(terms.budgets.iter().cloned().map(Self::Budget));
        let counters: BTreeSet<CounterId> = limits
            .iter()
            .filter_map(|limit| match limit {
                Self::Rate(counter, _) => Some(counter.clone()),
                Self::Budget(budget) => Some(budget.counter()),
                _ => None,
            })
            .collect();
        limits.push(Self::StateKnown(counters.into_iter().collect()));
        limits
    }

    fn of_flow(terms: &Terms) -> Vec<Self> {
        let flow = terms.flow.as_ref();
        let approval = flow.and_then(|flow| flow.approval.clone());
        let mut limits = vec![Self::OneTenant, Self::NoTrifecta(approval.clone())];
        if let Some(flow) = flow {
            limits.extend([Self::Receiver, Self::Clearance, Self::Untainted(approval)]);
            limits.extend((!flow.toxic.is_empty()).then(|| Self::Toxic(flow.toxic.clone())));
        }
        limits
    }

    fn of_workflow(terms: &Terms) -> Vec<Self> {
        let Some(workflow) = &terms.workflow else {
            return Vec::new();
        };
        let mut limits: Vec<Self> = workflow.max_steps.map(Self::Steps).into_iter().collect();
        // What only alerts refuses nothing: `decide` reports it beside the verdict.
        if workflow.off_graph != OffGraph::Alert {
            limits.push(Self::OnGraph(workflow.approval.clone()));
        }
        limits
    }

    /// Why this very request beyond it is refused, where that is another reason than [`Self::reason`]: nobody said that the
    /// user may not, but nobody could be asked either.
    pub(crate) fn reason_at(&self, facts: &Facts<'_>) -> Option<Reason> {
        let silent = || facts.user.and_then(|user| user.outside) == Some(Outside::Silent);
        (matches!(self, Self::UserEntitled) && silent()).then_some(Reason::RightsUnavailable)
    }

    /// Why a request beyond it is refused.
    pub const fn reason(&self) -> Reason {
        match self {
            Self::Assurance(_) | Self::Attestation(_) => Reason::AttestationRequired,
            Self::EvidenceAge(_) => Reason::AttestationStale,
            Self::Expires(_) => Reason::ContractExpired,
            Self::Review(_) => Reason::ReviewOverdue,
            Self::TaskType(_) | Self::Purpose(_) => Reason::OutsidePurpose,
            Self::Opener(_) => Reason::OpenerNotAllowed,
            Self::Hours(_) => Reason::OutsideTimeWindow,
            Self::TaskAge(_) => Reason::TaskExpired,
            Self::Scope => Reason::TaskScope,
            Self::TenantOfTask(_) | Self::TenantFixed(_) | Self::NoTenant => Reason::TenantBoundary,
            Self::Depth(_) => Reason::ChainTooDeep,
            Self::Delegates(_) => Reason::DelegationNotAllowed,
            Self::NoLoop => Reason::Loop,
            Self::UserRequired => Reason::MissingUser,
            Self::UserGroups(_) | Self::UserEntitled => Reason::UserNotEntitled,
            Self::Template(_) => Reason::OutsideTask,
            Self::Rate(..) => Reason::RateLimited,
            Self::Budget(_) => Reason::BudgetExhausted,
            Self::StateKnown(_) => Reason::StateUnavailable,
            Self::Receiver => Reason::ReaderNotAllowed,
            Self::Clearance => Reason::DataFlowWriteDown,
            Self::OneTenant => Reason::TenantMix,
            Self::Untainted(_) => Reason::TaintedSink,
            Self::NoTrifecta(_) | Self::Toxic(_) => Reason::ToxicCombination,
            Self::OnGraph(_) => Reason::OffWorkflow,
            Self::Steps(_) => Reason::StepLimit,
            Self::OwnExchange => Reason::ChildNotAllowed,
        }
    }

    /// The key of the contract it comes from; the rules that every contract has are named after what they protect.
    pub fn path(&self) -> String {
        match self {
            Self::Assurance(_) => "identity.min_assurance",
            Self::Attestation(_) => "identity.attestation",
            Self::EvidenceAge(_) => "identity.max_evidence_age",
            Self::Expires(_) => "lifecycle.expires",
            Self::Review(_) => "lifecycle.review_every",
            Self::TaskType(_) => "tasks.types",
            Self::Purpose(_) => "purpose.id",
            Self::Opener(_) => "tasks.openers",
            Self::Hours(_) => "windows",
            Self::TaskAge(_) => "tasks.max_ttl",
            Self::Scope => "task-scope",
            Self::TenantOfTask(_) | Self::TenantFixed(_) | Self::NoTenant => "tenants",
            Self::Depth(_) => "delegation.max_depth",
            Self::Delegates(_) => "delegation.may_delegate_to",
            Self::NoLoop => "chain-loop",
            Self::UserRequired => "delegation.on_behalf_of.require_user",
            Self::UserGroups(_) => "delegation.on_behalf_of.groups",
            Self::UserEntitled => "user-rights",
            Self::Template(_) => "tasks.templates",
            Self::Rate(counter, _) => {
                return Seconds::new(counter.per_secs).map_or_else(
                    |_| "rate".to_owned(),
                    |per| format!("rate.{}.{per}", counter.scope),
                );
            }
            Self::Budget(budget) => return format!("budgets.{}", budget.counter()),
            Self::StateKnown(_) => "state",
            Self::Receiver => "flow-readers",
            Self::Clearance => "flow-clearance",
            Self::OneTenant => "flow-tenants",
            Self::Untainted(_) => "flow",
            Self::NoTrifecta(_) => "flow-trifecta",
            Self::Toxic(_) => "flow.toxic",
            Self::OnGraph(_) => "workflow.edges",
            Self::Steps(_) => "workflow.max_steps",
            Self::OwnExchange => "exchange-caller",
        }
        .to_owned()
    }

    /// The limit, as an operator reads it.
    pub fn text(&self) -> String {
        fn list<T: ToString>(items: &BTreeSet<T>) -> String {
            items
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .join(", ")
        }
        match self {
            Self::Assurance(level) => format!("assurance at least {level} ({})", level.meaning()),
            Self::Attestation(wanted) => format!("proven as well: {}", list(wanted)),
            Self::EvidenceAge(age) => format!("evidence at most {age} old"),
            Self::Expires(date) => format!("before {date}"),
            Self::Review(age) => format!("reviewed at most {age} ago"),
            Self::TaskType(types) => format!("task type one of {}", list(types)),
            Self::Purpose(purpose) => format!("purpose {purpose}"),
            Self::Opener(openers) => format!("task opened by {}", list(openers)),
            Self::Hours(windows) => windows
                .iter()
                .map(|window| {
                    let days: Vec<&str> = window.days.iter().map(|day| day.as_str()).collect();
                    format!(
                        "{} {} to {} {}",
                        days.join(","),
                        window.from,
                        window.to,
                        window.tz
                    )
                })
                .collect::<Vec<_>>()
                .join("; "),
            Self::TaskAge(age) => format!("task not ended and at most {age} old"),
            Self::Scope => "an action that the credential covers".to_owned(),
            Self::TenantOfTask(allowed) => format!("the task's own tenant, one of {}", list(allowed)),
            Self::TenantFixed(allowed) => format!("tenant one of {}", list(allowed)),
            Self::NoTenant => "no tenant's data".to_owned(),
            Self::Depth(depth) => format!("at most {depth} parties"),
            Self::Delegates(to) if to.is_empty() => "the agent acts itself".to_owned(),
            Self::Delegates(to) => format!("the agent acts itself, or passed it on to {}", list(to)),
            Self::NoLoop => "nobody acts twice".to_owned(),
            Self::UserRequired => "on behalf of a user".to_owned(),
            Self::UserGroups(groups) => format!("a user in one of {}", list(groups)),
            Self::UserEntitled => "what the user may do as well".to_owned(),
            Self::Template(templates) => templates
                .iter()
                .map(|(kind, template)| format!("{kind}: {}", list(&template.actions)))
                .collect::<Vec<_>>()
                .join("; "),
            Self::Rate(counter, max) => format!(
                "at most {max} calls per {}s of one {}",
                counter.per_secs, counter.scope
            ),
            Self::Budget(budget) => {
                let per = budget.per.map_or(String::new(), |per| format!(" per {per}"));
                let what = match budget.counter().counted {
                    Counted::Records(argument) => format!("records by {argument}"),
                    Counted::Value(argument) => format!("of {argument}"),
                    Counted::Calls => "calls".to_owned(),
                    Counted::Denials => "refused calls".to_owned(),
                    Counted::Audiences => "different audiences".to_owned(),
                    Counted::Actions => "different actions".to_owned(),
                    Counted::Domains => "different data domains".to_owned(),
                };
                format!("at most {} {what}{per} of one {}", budget.max, budget.scope)
            }
            Self::StateKnown(_) => "known counters, labels and steps".to_owned(),
            Self::Receiver => "receivers that may see everything that was read".to_owned(),
            Self::Clearance => "a destination cleared for what was read".to_owned(),
            Self::OneTenant => "data of one tenant in a task".to_owned(),
            Self::Untainted(approval) => format!(
                "after untrusted content nothing consequential, but to trusted destinations{}",
                or_approved(approval.as_ref())
            ),
            Self::NoTrifecta(approval) => format!(
                "not untrusted content, sensitive data and a way out in one task{}",
                or_approved(approval.as_ref())
            ),
            Self::Toxic(pairs) => pairs
                .iter()
                .map(|(one, other)| format!("{one} or {other}, not both"))
                .collect::<Vec<_>>()
                .join("; "),
            Self::OnGraph(approval) => {
                format!(
                    "a step of the declared workflow{}",
                    or_approved(approval.as_ref())
                )
            }
            Self::Steps(most) => format!("at most {most} calls of one task"),
            Self::OwnExchange => "credentials for the agent process itself".to_owned(),
        }
    }

    /// The value it was compared with.
    pub fn actual(&self, facts: &Facts<'_>, now: UnixTime) -> String {
        let tenant = |tenant: Option<&Name>| tenant.map_or("(none)", Name::as_str).to_owned();
        match self {
            Self::Assurance(_) => {
                let level = facts.assurance.level();
                format!("{level} ({})", level.meaning())
            }
            Self::Attestation(_) => {
                let proven = Proven::ALL.iter().filter(|it| it.by(facts.assurance));
                let proven: Vec<&str> = proven.map(|it| it.as_str()).collect();
                if proven.is_empty() {
                    "none of it".to_owned()
                } else {
                    proven.join(", ")
                }
            }
            Self::EvidenceAge(_) => format!("{}s", facts.evidence_age_secs),
            Self::Expires(_) | Self::Hours(_) => now.rfc3339(),
            Self::Review(_) => format!("reviewed {}", facts.reviewed_at.rfc3339()),
            Self::TaskType(_) => facts.task.kind.to_string(),
            Self::Purpose(_) => facts.task.purpose.map_or("(none)", Name::as_str).to_owned(),
            Self::Opener(_) => facts.task.opener.to_string(),
            Self::TaskAge(_) => format!(
                "opened {}, ends {}, now {}",
                facts.task.opened_at.rfc3339(),
                facts.task.expires_at.rfc3339(),
                now.rfc3339()
            ),
            Self::Scope => match facts.task_scope {
                Some(scope) => {
                    let scope: Vec<&str> = scope.iter().map(Name::as_str).collect();
                    format!("{} with a credential for {}", facts.action, scope.join(", "))
                }
                None => format!("{} without a credential", facts.action),
            },
            Self::TenantOfTask(_) => {
                format!(
                    "task for {}, data of {}",
                    tenant(facts.task.tenant),
                    tenant(facts.resource.tenant)
                )
            }
            Self::TenantFixed(_) | Self::NoTenant => format!("data of {}", tenant(facts.resource.tenant)),
            Self::Depth(_) => format!("{} parties", facts.link.depth),
            Self::Delegates(_) => facts.next.map_or_else(
                || format!("party {} of {}", facts.link.position, facts.link.depth),
                |next| format!("passed on to {next}"),
            ),
            Self::NoLoop => "a party acts twice".to_owned(),
            Self::UserRequired => "no user".to_owned(),
            Self::UserGroups(_) => {
                let groups = facts.user.map_or(&[][..], |user| user.groups);
                let groups: Vec<&str> = groups.iter().map(Name::as_str).collect();
                format!("groups: {}", groups.join(", "))
            }
            Self::UserEntitled => {
                let who = facts.user.map_or("nobody", |user| user.id);
                match facts.user.and_then(|user| user.outside) {
                    None => format!("{who} may not"),
                    Some(Outside::Said { yes: false, age_secs }) => {
                        format!("{who} may not; the decision point said so {age_secs}s ago")
                    }
                    Some(Outside::Said { yes: true, age_secs }) => format!(
                        "{who} may, the decision point said {age_secs}s ago; they did not let the agent do it"
                    ),
                    Some(Outside::Silent) => {
                        format!("the decision point gave no answer on {who}, or it is too old")
                    }
                }
            }
            Self::Template(_) => format!("{} in a task of type {}", facts.action, facts.task.kind),
            Self::Rate(counter, _) => known(counter, facts),
            Self::Budget(budget) => budget_actual(budget, facts),
            Self::Receiver => format!(
                "may see it: {}; would: {}",
                readers_of_read(facts),
                readers_of_sink(facts)
            ),
            Self::Clearance => format!(
                "read up to {}, cleared for {}",
                facts
                    .flow
                    .labels
                    .map_or("(unknown)", |labels| labels.sensitivity.as_str()),
                facts.flow.sink.map_or("public", |sink| sink.clearance.as_str())
            ),
            Self::OneTenant => format!(
                "seen: {}; now: {}",
                facts.flow.labels.map_or_else(
                    || "(unknown)".to_owned(),
                    |labels| {
                        labels
                            .tenants
                            .iter()
                            .map(Name::as_str)
                            .collect::<Vec<_>>()
                            .join(", ")
                    }
                ),
                tenant(facts.resource.tenant)
            ),
            Self::Untainted(_) | Self::NoTrifecta(_) => format!(
                "read untrusted content of {}; data up to {}; destinations trusted: {}",
                taint_of(facts),
                facts
                    .flow
                    .labels
                    .map_or("(unknown)", |labels| labels.sensitivity.as_str()),
                facts.flow.trusted
            ),
            Self::Toxic(pairs) => pairs
                .iter()
                .flat_map(|(one, other)| [one, other])
                .filter(|action| facts.workflow.done(action) > 0)
                .map(|action| format!("{action} was done"))
                .collect::<Vec<_>>()
                .join(", "),
            Self::OnGraph(_) => format!(
                "{} after {}",
                facts.action,
                facts.workflow.last.map_or("the start", Name::as_str)
            ),
            Self::Steps(_) => format!("{} calls were made", facts.workflow.steps.unwrap_or(-1)),
            Self::OwnExchange => format!("{} by {}", facts.stage.as_str(), facts.caller.as_str()),
            Self::StateKnown(counters) => counters
                .iter()
                .filter(|counter| facts.counter(counter).is_none_or(|count| count < 0))
                .map(|counter| format!("{counter}: {}", known(counter, facts)))
                .chain(
                    facts
                        .flow
                        .labels
                        .is_none()
                        .then(|| "labels: not known".to_owned()),
                )
                .chain((facts.workflow.steps.unwrap_or(-1) < 0).then(|| "steps: not known".to_owned()))
                .collect::<Vec<_>>()
                .join("; "),
        }
    }

    /// What would keep a request within it.
    pub const fn fix(&self) -> &'static str {
        match self {
            Self::Assurance(_) => "launch the agent in a way that proves more (isolation, measured code)",
            Self::Attestation(_) => {
                "launch the agent by a pinned spec, with --isolate, from storage that cannot change"
            }
            Self::EvidenceAge(_) => "attest again, then repeat the request",
            Self::Expires(_) => "publish a new version of the contract with a later \"lifecycle.expires\"",
            Self::Review(_) => "review the contract",
            Self::TaskType(_) => "open a task of a listed type, or add the type to \"tasks.types\"",
            Self::Purpose(_) => {
                "open the task for the contract's purpose, or use the agent made for the other one"
            }
            Self::Opener(_) => "have a listed party open the task, or add this one to \"tasks.openers\"",
            Self::Hours(_) => "wait for the next window, or widen \"windows\"",
            Self::TaskAge(_) => "open a new task",
            Self::Scope => "exchange for a credential that covers the action",
            Self::TenantOfTask(_) => "open a task for the tenant whose data is needed",
            Self::TenantFixed(_) => "add the tenant to \"tenants.allowed\", if the agent serves it",
            Self::NoTenant => "add \"tenants\" to the contract, if the agent serves tenants",
            Self::Depth(_) => "let an agent nearer to the beginning of the chain do this",
            Self::Delegates(_) => "let the agent do this itself, or add the other to \"may_delegate_to\"",
            Self::NoLoop => "let each party act once",
            Self::UserRequired => "have a user start the work, with a token of their own",
            Self::UserGroups(_) => "let a user of a listed group start the work, or add the group",
            Self::UserEntitled => "grant the user the right, or let somebody who has it start the work",
            Self::Template(_) => "open a task of a type that names the action, or add it to the template",
            Self::Budget(budget) => match (budget.then, budget.scope) {
                (Then::Suspend, _) => "open a new task or launch anew, after looking at what was refused",
                (Then::Refuse, _) => "wait until the window has moved on, or raise \"max\"",
            },
            Self::Receiver => "send it to somebody who may see it, or do this in a task that has not read it",
            Self::Clearance => "send it somewhere cleared for it, or do this in a task that has not read it",
            Self::OneTenant => "do this in a task of its own",
            Self::Untainted(Some(_)) | Self::NoTrifecta(Some(_)) => {
                "have it approved, or name the destination when opening the task"
            }
            Self::Untainted(None) | Self::NoTrifecta(None) => {
                "name the destination when opening the task, or let the contract have it approved (\"flow.approval\")"
            }
            Self::Toxic(_) => "do one of them in another task",
            Self::OnGraph(_) => "take the declared steps, or add this one to \"workflow\"",
            Self::Steps(_) => "open a new task, or raise \"max_steps\"",
            Self::Rate(..) => "wait until the window has moved on, or raise \"rate\"",
            Self::OwnExchange => {
                "let the agent process exchange; its children call through the run's listener"
            }
            Self::StateKnown(_) => "see why the counters are not available; the request is safe to repeat",
        }
    }

    /// What has to hold, as a Cedar expression.
    #[expect(clippy::too_many_lines, reason = "one arm a limit: the table is read as one")]
    pub(crate) fn expression(&self, reads: &mut Reads) -> Result<Expression, PstConstructionError> {
        let at_most = |value: Expression, max: u64| binary(BinaryOp::LessEq, value, count(max));
        Ok(match self {
            Self::Assurance(level) => binary(
                BinaryOp::GreaterEq,
                reads.get(Attribute::Assurance),
                long(u8::from(*level).into()),
            ),
            Self::Attestation(wanted) => binary(
                BinaryOp::ContainsAll,
                reads.get(Attribute::Proven),
                texts(wanted.iter().map(|it| it.as_str())),
            ),
            Self::EvidenceAge(age) => at_most(reads.get(Attribute::EvidenceAge), age.get()),
            Self::Expires(date) => binary(
                BinaryOp::Less,
                reads.get(Attribute::Now),
                count(date.begins().secs()),
            ),
            Self::Review(age) => at_most(reads.get(Attribute::ReviewAge), age.get()),
            Self::TaskType(types) => binary(
                BinaryOp::Contains,
                texts(types.iter().map(Name::as_str)),
                reads.get(Attribute::TaskType),
            ),
            Self::Purpose(purpose) => {
                let absent = not(reads.has(Attribute::TaskPurpose));
                let same = binary(
                    BinaryOp::Eq,
                    reads.get(Attribute::TaskPurpose),
                    text(purpose.as_str()),
                );
                // The presence test comes first: the validator learns from `has`, not from its negation.
                any([all([reads.has(Attribute::TaskPurpose), same]), absent])
            }
            Self::Opener(openers) => {
                let openers = texts(openers.iter().map(|opener| opener.as_str()));
                binary(BinaryOp::Contains, openers, reads.get(Attribute::TaskOpener))
            }
            Self::Hours(windows) => any(week_ranges(windows).into_iter().map(|(from, to)| {
                all([
                    binary(
                        BinaryOp::GreaterEq,
                        reads.get(Attribute::MinuteOfWeek),
                        long(from.into()),
                    ),
                    binary(
                        BinaryOp::Less,
                        reads.get(Attribute::MinuteOfWeek),
                        long(to.into()),
                    ),
                ])
            })),
            Self::TaskAge(age) => all([
                binary(
                    BinaryOp::Less,
                    reads.get(Attribute::Now),
                    reads.get(Attribute::TaskExpires),
                ),
                at_most(reads.get(Attribute::TaskAge), age.get()),
            ]),
            Self::Scope => reads.get(Attribute::InScope),
            Self::TenantOfTask(allowed) => all([
                reads.has(Attribute::TaskTenant),
                binary(
                    BinaryOp::Contains,
                    texts(allowed.iter().map(Name::as_str)),
                    reads.get(Attribute::TaskTenant),
                ),
                known_tenant_or_exchange(reads, |reads| {
                    binary(
                        BinaryOp::Eq,
                        reads.get(Attribute::ResourceTenant),
                        reads.get(Attribute::TaskTenant),
                    )
                }),
            ]),
            Self::TenantFixed(allowed) => known_tenant_or_exchange(reads, |reads| {
                binary(
                    BinaryOp::Contains,
                    texts(allowed.iter().map(Name::as_str)),
                    reads.get(Attribute::ResourceTenant),
                )
            }),
            Self::NoTenant => not(reads.has(Attribute::ResourceTenant)),
            Self::Depth(depth) => at_most(reads.get(Attribute::Depth), u64::from(*depth)),
            // An empty set has no type that could be checked.
            Self::Delegates(to) if to.is_empty() => reads.get(Attribute::LastLink),
            Self::Delegates(to) => {
                let listed = binary(
                    BinaryOp::Contains,
                    texts(to.iter().map(Name::as_str)),
                    reads.get(Attribute::Next),
                );
                any([
                    reads.get(Attribute::LastLink),
                    all([reads.has(Attribute::Next), listed]),
                ])
            }
            Self::NoLoop => not(reads.get(Attribute::Loops)),
            Self::UserRequired => reads.get(Attribute::UserPresent),
            Self::UserGroups(groups) => any([
                not(reads.get(Attribute::UserPresent)),
                binary(
                    BinaryOp::ContainsAny,
                    reads.get(Attribute::UserGroups),
                    texts(groups.iter().map(Name::as_str)),
                ),
            ]),
            Self::UserEntitled => reads.get(Attribute::UserEntitled),
            Self::Template(templates) => {
                let mut each = Vec::with_capacity(templates.len());
                for (kind, template) in templates {
                    each.push(any([
                        not(binary(
                            BinaryOp::Eq,
                            reads.get(Attribute::TaskType),
                            text(kind.as_str()),
                        )),
                        action_in(&template.actions)?,
                    ]));
                }
                all(each)
            }
            Self::OwnExchange => not(reads.get(Attribute::ChildExchange)),
            Self::Rate(counter, max) => any([
                not(reads.get(Attribute::Call)),
                binary(
                    BinaryOp::Less,
                    reads.get(Attribute::Counter(counter.clone())),
                    long(i64::from(*max)),
                ),
            ]),
            Self::Budget(budget) => budget_expression(budget, reads)?,
            Self::StateKnown(counters) => {
                let mut known = |when: Attribute, these: &mut dyn Iterator<Item = &CounterId>| {
                    let these = all(these.map(|counter| {
                        let count = reads.get(Attribute::Counter(counter.clone()));
                        binary(BinaryOp::GreaterEq, count, long(0))
                    }));
                    any([not(reads.get(when)), these])
                };
                let at_exchange = known(
                    Attribute::Exchange,
                    &mut counters.iter().filter(|counter| counter.is_of_exchange()),
                );
                let at_call = known(
                    Attribute::Call,
                    &mut counters.iter().filter(|counter| !counter.is_of_exchange()),
                );
                let state = all([
                    reads.get(Attribute::LabelsKnown),
                    binary(BinaryOp::GreaterEq, reads.get(Attribute::Steps), long(0)),
                ]);
                all([
                    at_exchange,
                    at_call,
                    any([not(reads.get(Attribute::Call)), state]),
                ])
            }
            Self::Receiver => {
                let within = binary(
                    BinaryOp::ContainsAll,
                    reads.get(Attribute::Readers),
                    reads.get(Attribute::SinkReaders),
                );
                any([
                    not(reads.get(Attribute::Call)),
                    not(reads.get(Attribute::Sink)),
                    not(reads.has(Attribute::Readers)),
                    all([
                        reads.has(Attribute::Readers),
                        reads.has(Attribute::SinkReaders),
                        within,
                    ]),
                ])
            }
            Self::Clearance => any([
                not(reads.get(Attribute::Call)),
                not(reads.get(Attribute::Sink)),
                binary(
                    BinaryOp::LessEq,
                    reads.get(Attribute::Sensitivity),
                    reads.get(Attribute::Clearance),
                ),
            ]),
            Self::OneTenant => any([
                not(reads.get(Attribute::Call)),
                at_most(reads.get(Attribute::Tenants), 1),
            ]),
            Self::Untainted(approval) => any([
                not(reads.get(Attribute::Call)),
                not(reads.get(Attribute::Consequential)),
                not(reads.get(Attribute::Tainted)),
                reads.get(Attribute::Trusted),
                approved(approval.as_ref(), reads),
            ]),
            Self::NoTrifecta(approval) => any([
                not(reads.get(Attribute::Call)),
                not(reads.get(Attribute::Egress)),
                not(reads.get(Attribute::Tainted)),
                at_most(reads.get(Attribute::Sensitivity), INTERNAL),
                approved(approval.as_ref(), reads),
            ]),
            Self::Toxic(pairs) => {
                let mut each = Vec::with_capacity(pairs.len());
                for (one, other) in pairs {
                    for (now, before) in [(one, other), (other, one)] {
                        let before = reads.get(Attribute::Done(before.clone()));
                        each.push(any([
                            not(action_in([now])?),
                            binary(BinaryOp::Eq, before, long(0)),
                        ]));
                    }
                }
                any([not(reads.get(Attribute::Call)), all(each)])
            }
            Self::OnGraph(approval) => any([
                not(reads.get(Attribute::Call)),
                reads.get(Attribute::OnGraph),
                approved(approval.as_ref(), reads),
            ]),
            Self::Steps(most) => any([
                not(reads.get(Attribute::Call)),
                binary(
                    BinaryOp::Less,
                    reads.get(Attribute::Steps),
                    long(i64::from(*most)),
                ),
            ]),
        })
    }

    /// Whether it holds, as plain comparison: what the property tests hold Cedar's answer against.
    #[cfg(test)]
    #[expect(clippy::too_many_lines, reason = "one arm a limit: the table is read as one")]
    pub(crate) fn holds(&self, facts: &Facts<'_>, terms: &Terms, now: UnixTime) -> bool {
        let call = facts.stage.is_call();
        let exchange = matches!(facts.stage, crate::Stage::Exchange);
        let labels = facts.flow.labels;
        let sink = facts.flow.sink;
        let tainted = labels.is_none_or(|labels| !labels.taint.is_empty());
        let sensitivity = labels.map_or(crate::contract::Sensitivity::Secret, |labels| labels.sensitivity);
        let is_approved = |approval: &Option<Name>| {
            approval
                .as_ref()
                .is_some_and(|approval| facts.approvals.contains(approval))
        };
        let tenant_or_exchange =
            |test: &dyn Fn(&Name) -> bool| facts.resource.tenant.map_or(!facts.stage.is_call(), test);
        match self {
            Self::Assurance(level) => facts.assurance.level() >= *level,
            Self::Attestation(wanted) => wanted.iter().all(|it| it.by(facts.assurance)),
            Self::EvidenceAge(age) => facts.evidence_age_secs <= age.get(),
            Self::Expires(date) => now < date.begins(),
            Self::Review(age) => now.secs().saturating_sub(facts.reviewed_at.secs()) <= age.get(),
            Self::TaskType(types) => types.contains(facts.task.kind),
            Self::Purpose(purpose) => facts.task.purpose.is_none_or(|asked| asked == purpose),
            Self::Opener(openers) => openers.contains(&facts.task.opener),
            Self::Hours(windows) => {
                let minute = crate::attribute::minute_of_week(now);
                week_ranges(windows)
                    .iter()
                    .any(|(from, to)| (*from..*to).contains(&minute))
            }
            Self::TaskAge(age) => {
                now.secs() < facts.task.expires_at.secs()
                    && now.secs().saturating_sub(facts.task.opened_at.secs()) <= age.get()
            }
            Self::Scope => in_scope(facts),
            Self::TenantOfTask(allowed) => facts
                .task
                .tenant
                .is_some_and(|own| allowed.contains(own) && tenant_or_exchange(&|tenant| tenant == own)),
            Self::TenantFixed(allowed) => tenant_or_exchange(&|tenant| allowed.contains(tenant)),
            Self::NoTenant => facts.resource.tenant.is_none(),
            Self::Depth(depth) => facts.link.depth <= *depth,
            Self::Delegates(to) => {
                (facts.next.is_none() && facts.link.position == facts.link.depth)
                    || facts.next.is_some_and(|next| to.contains(next))
            }
            Self::NoLoop => !facts.loops,
            Self::UserRequired => facts.user.is_some(),
            Self::UserGroups(groups) => facts
                .user
                .is_none_or(|user| user.groups.iter().any(|group| groups.contains(group))),
            Self::UserEntitled => facts.user.is_none_or(|user| user.entitled),
            Self::Template(templates) => templates
                .get(facts.task.kind)
                .is_none_or(|template| template.actions.contains(facts.action)),
            Self::Budget(budget) => budget_holds(budget, facts),
            Self::Receiver => {
                !call
                    || !crate::attribute::is_sink(facts, terms)
                    || labels.is_none_or(|labels| match (&labels.readers, sink.map(|sink| &sink.readers)) {
                        (crate::Readers::Everyone, _) => true,
                        (read, Some(there)) => there.within(read),
                        (_, None) => false,
                    })
            }
            Self::Clearance => {
                !call
                    || !crate::attribute::is_sink(facts, terms)
                    || sensitivity <= sink.map_or(crate::contract::Sensitivity::Public, |sink| sink.clearance)
            }
            Self::OneTenant => !call || crate::attribute::tenants(facts) <= 1,
            Self::Untainted(approval) => {
                !call
                    || !sink.is_some_and(|sink| sink.consequential)
                    || !tainted
                    || facts.flow.trusted
                    || is_approved(approval)
            }
            Self::NoTrifecta(approval) => {
                !call
                    || !crate::attribute::is_egress(facts, terms)
                    || !tainted
                    || sensitivity <= crate::contract::Sensitivity::Internal
                    || is_approved(approval)
            }
            Self::Toxic(pairs) => {
                let clash =
                    |now: &Name, before: &Name| facts.action == now && facts.workflow.done(before) != 0;
                !call
                    || !pairs
                        .iter()
                        .any(|(one, other)| clash(one, other) || clash(other, one))
            }
            Self::OnGraph(approval) => {
                !call || crate::attribute::on_graph(facts, terms) || is_approved(approval)
            }
            Self::Steps(most) => !call || facts.workflow.steps.unwrap_or(-1) < i64::from(*most),
            Self::OwnExchange => {
                !matches!(facts.stage, crate::Stage::Exchange) || facts.caller == crate::Caller::Agent
            }
            Self::Rate(counter, max) => !call || facts.counter(counter).unwrap_or(-1) < i64::from(*max),
            Self::StateKnown(counters) => {
                let state = labels.is_some() && facts.workflow.steps.unwrap_or(-1) >= 0;
                let needed = |counter: &CounterId| if counter.is_of_exchange() { exchange } else { call };
                counters
                    .iter()
                    .all(|counter| !needed(counter) || facts.counter(counter).is_some_and(|count| count >= 0))
                    && (!call || state)
            }
        }
    }
}

/// The most sensitive data for which a way out needs no look at what was read: [`crate::contract::Sensitivity::Internal`].
const INTERNAL: u64 = 1;

/// Whether a human approved it; false where the contract names no escalation.
fn approved(approval: Option<&Name>, reads: &mut Reads) -> Expression {
    any(approval.map(|approval| {
        binary(
            BinaryOp::Contains,
            reads.get(Attribute::Approvals),
            text(approval.as_str()),
        )
    }))
}

fn or_approved(approval: Option<&Name>) -> String {
    approval.map_or(String::new(), |approval| format!(", or approved by {approval}"))
}

/// Within a budget: the count before a call and what the call takes; for different names, their number with the call's.
/// What is taken is read from an argument that the listed actions have to carry, and is never negative.
fn budget_expression(budget: &Budget, reads: &mut Reads) -> Result<Expression, PstConstructionError> {
    let counter = budget.counter();
    let count = reads.get(Attribute::Counter(counter.clone()));
    let when = if counter.is_of_exchange() {
        Attribute::Exchange
    } else {
        Attribute::Call
    };
    let within = match (&budget.argument, counter.counted.is_distinct()) {
        (Some(argument), _) => {
            let attribute = Attribute::Argument(argument.clone(), ArgKind::Number);
            let amount = reads.get(attribute.clone());
            let sum = binary(BinaryOp::Add, count.clone(), amount.clone());
            any([
                not(action_in(&budget.actions)?),
                all([
                    reads.has(attribute),
                    binary(BinaryOp::GreaterEq, amount.clone(), long(0)),
                    binary(BinaryOp::LessEq, amount, long(budget.max)),
                    // Two numbers that a contract can hold have a sum; a larger count has none that could be asked for.
                    binary(BinaryOp::LessEq, count, long(budget.max)),
                    binary(BinaryOp::LessEq, sum, long(budget.max)),
                ]),
            ])
        }
        (None, true) => binary(BinaryOp::LessEq, count, long(budget.max)),
        (None, false) => binary(BinaryOp::Less, count, long(budget.max)),
    };
    Ok(any([not(reads.get(when)), within]))
}

/// The same as plain comparison.
#[cfg(test)]
fn budget_holds(budget: &Budget, facts: &Facts<'_>) -> bool {
    let counter = budget.counter();
    let applies = if counter.is_of_exchange() {
        matches!(facts.stage, crate::Stage::Exchange)
    } else {
        facts.stage.is_call()
    };
    let count = facts.counter(&counter).unwrap_or(-1);
    !applies
        || match (&budget.argument, counter.counted.is_distinct()) {
            (Some(argument), _) => {
                !budget.actions.contains(facts.action)
                    || matches!(facts.argument(argument.as_str()), Some(crate::ArgValue::Int(amount))
                        if (0..=budget.max).contains(&amount) && count.saturating_add(amount) <= budget.max)
            }
            (None, true) => count <= budget.max,
            (None, false) => count < budget.max,
        }
}

fn budget_actual(budget: &Budget, facts: &Facts<'_>) -> String {
    let count = known(&budget.counter(), facts);
    match &budget.argument {
        None => count,
        Some(argument) => {
            let amount = facts
                .argument(argument.as_str())
                .map_or_else(|| "missing".to_owned(), |amount| amount.to_string());
            format!("{count}; {argument} of this call: {amount}")
        }
    }
}

fn readers(readers: Option<&crate::Readers>) -> String {
    match readers {
        None => "anyone".to_owned(),
        Some(crate::Readers::Everyone) => "everyone".to_owned(),
        Some(crate::Readers::Only(these)) if these.is_empty() => "nobody".to_owned(),
        Some(crate::Readers::Only(these)) => these.iter().map(String::as_str).collect::<Vec<_>>().join(", "),
    }
}

fn readers_of_read(facts: &Facts<'_>) -> String {
    readers(facts.flow.labels.map(|labels| &labels.readers))
}

fn readers_of_sink(facts: &Facts<'_>) -> String {
    readers(facts.flow.sink.map(|sink| &sink.readers))
}

fn taint_of(facts: &Facts<'_>) -> String {
    facts.flow.labels.map_or_else(
        || "(unknown)".to_owned(),
        |labels| {
            labels
                .taint
                .iter()
                .map(Name::as_str)
                .collect::<Vec<_>>()
                .join(", ")
        },
    )
}

fn known(counter: &CounterId, facts: &Facts<'_>) -> String {
    facts.counter(counter).map_or_else(
        || "not known".to_owned(),
        |count| {
            if counter.counted.is_distinct() {
                format!("{count} with this one")
            } else {
                format!("{count} before this one")
            }
        },
    )
}

/// At an exchange the resource's tenant may still be open; at a call it has to be known.
fn known_tenant_or_exchange(reads: &mut Reads, test: impl FnOnce(&mut Reads) -> Expression) -> Expression {
    let known = reads.has(Attribute::ResourceTenant);
    let holds = test(reads);
    any([
        all([known, holds]),
        all([
            not(reads.has(Attribute::ResourceTenant)),
            not(reads.get(Attribute::Call)),
        ]),
    ])
}
