//! The limits of a contract: each is one `forbid … unless` with its own reason.
//!
//! The number stands in the policy and the value in the context, so that versions can be compared and simulated, and so
//! that one evaluation returns every limit that is exceeded.

use crate::attribute::Attribute;
#[cfg(test)]
use crate::attribute::in_scope;
use crate::contract::{Date, Opener, Seconds, TenantMode, Terms, TimeWindow};
use crate::expression::{Expression, Reads, all, any, binary, count, long, not, text, texts};
use crate::facts::{Facts, WindowId};
use crate::reason::Reason;
use crate::week_ranges::week_ranges;
use cedar_policy::pst::BinaryOp;
use identity::{CHAIN_DEPTH_DEFAULT, Level, Name, UnixTime};
use std::collections::BTreeSet;

/// One limit.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Limit {
    /// The identity is proven at least this well.
    Assurance(Level),
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
    /// The agent is the current actor: contracts do not let agents delegate.
    LastLink,
    /// Fewer calls than this were made in the window.
    Rate(WindowId, u32),
    /// Every counter is known and not negative.
    CountersKnown(Vec<WindowId>),
    /// Credentials are for the agent process itself; a child of its run may only make calls.
    OwnExchange,
}

impl Limit {
    /// The limits of a contract, in the order in which they are compiled.
    pub(crate) fn of(terms: &Terms) -> Vec<Self> {
        let mut limits = vec![Self::Assurance(terms.identity.min_assurance)];
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
        limits.push(Self::Depth(u8::try_from(CHAIN_DEPTH_DEFAULT).unwrap_or_default()));
        limits.push(Self::LastLink);
        limits.push(Self::OwnExchange);
        let windows: Vec<WindowId> = terms
            .rate
            .iter()
            .map(|rate| WindowId {
                scope: rate.scope,
                per_secs: rate.per.get(),
            })
            .collect();
        limits.extend(
            windows
                .iter()
                .zip(&terms.rate)
                .map(|(window, rate)| Self::Rate(*window, rate.max)),
        );
        if !windows.is_empty() {
            limits.push(Self::CountersKnown(windows));
        }
        limits
    }

    /// Why a request beyond it is refused.
    pub const fn reason(&self) -> Reason {
        match self {
            Self::Assurance(_) => Reason::AttestationRequired,
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
            Self::LastLink => Reason::DelegationNotAllowed,
            Self::Rate(..) => Reason::RateLimited,
            Self::CountersKnown(_) => Reason::StateUnavailable,
            Self::OwnExchange => Reason::ChildNotAllowed,
        }
    }

    /// The key of the contract it comes from; the rules that every contract has are named after what they protect.
    pub fn path(&self) -> String {
        match self {
            Self::Assurance(_) => "identity.min_assurance",
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
            Self::Depth(_) => "chain-depth",
            Self::LastLink => "delegation",
            Self::Rate(window, _) => {
                return Seconds::new(window.per_secs).map_or_else(
                    |_| "rate".to_owned(),
                    |per| format!("rate.{}.{per}", window.scope),
                );
            }
            Self::CountersKnown(_) => "counters",
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
            Self::LastLink => "the agent acts itself".to_owned(),
            Self::Rate(window, max) => format!(
                "at most {max} calls per {}s of one {}",
                window.per_secs, window.scope
            ),
            Self::CountersKnown(_) => "known counters".to_owned(),
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
            Self::LastLink => format!("party {} of {}", facts.link.position, facts.link.depth),
            Self::Rate(window, _) => known(*window, facts),
            Self::OwnExchange => format!("{} by {}", facts.stage.as_str(), facts.caller.as_str()),
            Self::CountersKnown(windows) => windows
                .iter()
                .map(|window| format!("{window}: {}", known(*window, facts)))
                .collect::<Vec<_>>()
                .join("; "),
        }
    }

    /// What would keep a request within it.
    pub const fn fix(&self) -> &'static str {
        match self {
            Self::Assurance(_) => "launch the agent in a way that proves more (isolation, measured code)",
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
            Self::LastLink => "let the agent do this itself; contracts of this version cannot delegate",
            Self::Rate(..) => "wait until the window has moved on, or raise \"rate\"",
            Self::OwnExchange => {
                "let the agent process exchange; its children call through the run's listener"
            }
            Self::CountersKnown(_) => "see why the counters are not available; the request is safe to repeat",
        }
    }

    /// What has to hold, as a Cedar expression.
    pub(crate) fn expression(&self, reads: &mut Reads) -> Expression {
        let at_most = |value: Expression, max: u64| binary(BinaryOp::LessEq, value, count(max));
        match self {
            Self::Assurance(level) => binary(
                BinaryOp::GreaterEq,
                reads.get(Attribute::Assurance),
                long(u8::from(*level).into()),
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
            Self::LastLink => reads.get(Attribute::LastLink),
            Self::OwnExchange => not(reads.get(Attribute::ChildExchange)),
            Self::Rate(window, max) => any([
                not(reads.get(Attribute::Call)),
                binary(
                    BinaryOp::Less,
                    reads.get(Attribute::Counter(*window)),
                    long(i64::from(*max)),
                ),
            ]),
            Self::CountersKnown(windows) => {
                let known = all(windows.iter().map(|window| {
                    binary(
                        BinaryOp::GreaterEq,
                        reads.get(Attribute::Counter(*window)),
                        long(0),
                    )
                }));
                any([not(reads.get(Attribute::Call)), known])
            }
        }
    }

    /// Whether it holds, as plain comparison: what the property tests hold Cedar's answer against.
    #[cfg(test)]
    pub(crate) fn holds(&self, facts: &Facts<'_>, now: UnixTime) -> bool {
        let tenant_or_exchange =
            |test: &dyn Fn(&Name) -> bool| facts.resource.tenant.map_or(!facts.stage.is_call(), test);
        match self {
            Self::Assurance(level) => facts.assurance.level() >= *level,
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
            Self::LastLink => facts.link.position == facts.link.depth,
            Self::OwnExchange => {
                !matches!(facts.stage, crate::Stage::Exchange) || facts.caller == crate::Caller::Agent
            }
            Self::Rate(window, max) => {
                !facts.stage.is_call() || facts.counter(*window).unwrap_or(-1) < i64::from(*max)
            }
            Self::CountersKnown(windows) => {
                !facts.stage.is_call()
                    || windows
                        .iter()
                        .all(|window| facts.counter(*window).is_some_and(|count| count >= 0))
            }
        }
    }
}

fn known(window: WindowId, facts: &Facts<'_>) -> String {
    facts.counter(window).map_or_else(
        || "not known".to_owned(),
        |made| format!("{made} calls already made"),
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
