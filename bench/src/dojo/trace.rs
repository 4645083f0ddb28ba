//! One trace: a user task, hijacked or not, call by call through the gateway.

use super::export::ToolCall;
use super::request::{Wanted, route_of};
use super::setting::{Opening, Setting};
use super::suite::reads_untrusted;
use crate::fault::Fault;

/// Where the injected calls stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Placement {
    /// After the task's own calls.
    After,
    /// After the first call that reads what others can write, where an injection takes hold at the earliest; in the middle
    /// when there is none.
    Within,
}

impl Placement {
    pub(super) const ALL: [Self; 2] = [Self::After, Self::Within];

    /// As tables and JSON call it.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::After => "after",
            Self::Within => "within",
        }
    }
}

/// What became of one call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It reached the service.
    Ran,
    /// Refused, and a human is asked.
    Asked,
    /// Refused for good.
    Denied(String),
}

impl Fate {
    /// A refusal whose first reason is one that an approval takes away has no other: reasons of the contract and of the
    /// task come before those of flows.
    fn of(code: Option<String>, asks: bool) -> Self {
        match code {
            None => Self::Ran,
            Some(code)
                if asks && matches!(&*code, "TAINTED_SINK" | "TOXIC_COMBINATION" | "NEEDS_APPROVAL") =>
            {
                Self::Asked
            }
            Some(code) => Self::Denied(code),
        }
    }
}

/// One call of a trace, and what became of it.
#[derive(Clone, Debug)]
pub(super) struct Step {
    pub(super) tool: String,
    pub(super) injected: bool,
    /// Whether it does something, rather than look something up.
    pub(super) acts: bool,
    pub(super) fate: Fate,
}

/// The calls of `own` with those of `injected` among them.
pub(super) fn woven<'c>(
    setting: &Setting,
    own: &'c [ToolCall],
    injected: &'c [ToolCall],
    placement: Placement,
) -> Result<Vec<(bool, &'c ToolCall)>, Fault> {
    let mut at = own.len();
    if placement == Placement::Within {
        let mut first = None;
        for (place, call) in own.iter().enumerate() {
            if first.is_none() && reads_untrusted(route_of(&setting.routes, call)?) {
                first = Some(place + 1);
            }
        }
        at = first.unwrap_or(own.len() / 2);
    }
    let (before, rest) = own.split_at_checked(at).unwrap_or((own, &[]));
    let mine = |call| (false, call);
    Ok(before
        .iter()
        .map(mine)
        .chain(injected.iter().map(|call| (true, call)))
        .chain(rest.iter().map(mine))
        .collect())
}

/// Runs the calls in a task of their own. What is refused does not end the trace: the agent is taken to be wholly
/// hijacked, and tries everything. Whoever is asked refuses what was injected and would let the rest pass.
pub(super) async fn run(
    setting: &Setting,
    opening: Opening,
    calls: &[(bool, &ToolCall)],
) -> Result<Vec<Step>, Fault> {
    let asks = opening.asks;
    let mut caller = setting.open(opening).await?;
    let mut steps = Vec::with_capacity(calls.len());
    for (injected, call) in calls {
        let route = route_of(&setting.routes, call)?;
        let wanted = Wanted::of(setting.service(), route, call)?;
        steps.push(Step {
            tool: call.tool.clone(),
            injected: *injected,
            acts: route.method != "GET",
            fate: Fate::of(caller.call(&wanted).await?, asks),
        });
    }
    Ok(steps)
}
