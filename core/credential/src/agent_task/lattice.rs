//! Order and meet of [`AgentTask`]: who may grant what to whom.

use super::{AgentTask, Amount, Constraints, Rate};
use std::collections::BTreeSet;

/// A member grants more than the parent's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the member \"{member}\" goes beyond what may be granted")]
pub struct Widened {
    /// Its name on the wire.
    pub member: &'static str,
}

/// Two details have nothing in common in one member, so nothing can be granted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("nothing is left of the member \"{member}\"")]
pub struct Disjoint {
    /// Its name on the wire.
    pub member: &'static str,
}

impl AgentTask {
    /// Whether this detail grants nothing that `parent` does not. The first member that does is named.
    pub fn narrows(&self, parent: &Self) -> Result<(), Widened> {
        let (own, of) = (&self.constraints, &parent.constraints);
        let members = [
            ("task", same(self.task.as_ref(), parent.task.as_ref())),
            ("purpose", same(self.purpose.as_ref(), parent.purpose.as_ref())),
            ("actions", subset(self.actions.as_ref(), parent.actions.as_ref())),
            (
                "locations",
                subset(self.locations.as_ref(), parent.locations.as_ref()),
            ),
            (
                "datatypes",
                subset(self.datatypes.as_ref(), parent.datatypes.as_ref()),
            ),
            (
                "data_domains",
                subset(self.data_domains.as_ref(), parent.data_domains.as_ref()),
            ),
            ("tenant", same(self.tenant.as_ref(), parent.tenant.as_ref())),
            ("workflow", same(self.workflow.as_ref(), parent.workflow.as_ref())),
            ("step", same(self.step.as_ref(), parent.step.as_ref())),
            ("max_calls", bounded(own.max_calls, of.max_calls, |a, b| a <= b)),
            (
                "max_amount",
                bounded(own.max_amount, of.max_amount, amount_within),
            ),
            (
                "not_before",
                bounded(own.not_before, of.not_before, |a, b| a >= b),
            ),
            ("not_after", bounded(own.not_after, of.not_after, |a, b| a <= b)),
            ("rate", bounded(own.rate, of.rate, Rate::within)),
            ("approval", same(self.approval.as_ref(), parent.approval.as_ref())),
        ];
        match members.into_iter().find(|(_, narrow)| !narrow) {
            Some((member, _)) => Err(Widened { member }),
            None => Ok(()),
        }
    }

    /// The greatest detail that both allow, or the first member in which they have nothing in common.
    pub fn intersect(&self, other: &Self) -> Result<Self, Disjoint> {
        Ok(Self {
            task: one("task", self.task.as_ref(), other.task.as_ref())?,
            purpose: one("purpose", self.purpose.as_ref(), other.purpose.as_ref())?,
            actions: common("actions", self.actions.as_ref(), other.actions.as_ref())?,
            locations: common("locations", self.locations.as_ref(), other.locations.as_ref())?,
            datatypes: common("datatypes", self.datatypes.as_ref(), other.datatypes.as_ref())?,
            data_domains: common(
                "data_domains",
                self.data_domains.as_ref(),
                other.data_domains.as_ref(),
            )?,
            tenant: one("tenant", self.tenant.as_ref(), other.tenant.as_ref())?,
            workflow: one("workflow", self.workflow.as_ref(), other.workflow.as_ref())?,
            step: one("step", self.step.as_ref(), other.step.as_ref())?,
            constraints: self.constraints.intersect(&other.constraints)?,
            approval: one("approval", self.approval.as_ref(), other.approval.as_ref())?,
        })
    }
}

impl Constraints {
    fn intersect(&self, other: &Self) -> Result<Self, Disjoint> {
        let not_before = either(self.not_before, other.not_before, Ord::max);
        let not_after = either(self.not_after, other.not_after, Ord::min);
        if let (Some(from), Some(until)) = (not_before, not_after)
            && from > until
        {
            return Err(Disjoint { member: "not_after" });
        }
        let max_amount = match (self.max_amount, other.max_amount) {
            (Some(a), Some(b)) if a.currency != b.currency => {
                return Err(Disjoint { member: "max_amount" });
            }
            (Some(a), Some(b)) if b.ten_thousandths < a.ten_thousandths => Some(b),
            (a, b) => a.or(b),
        };
        Ok(Self {
            max_calls: either(self.max_calls, other.max_calls, Ord::min),
            max_amount,
            not_before,
            not_after,
            rate: either(self.rate, other.rate, Rate::meet),
        })
    }
}

fn same<T: PartialEq>(own: Option<&T>, parent: Option<&T>) -> bool {
    parent.is_none() || own == parent
}

fn subset<T: Ord>(own: Option<&BTreeSet<T>>, parent: Option<&BTreeSet<T>>) -> bool {
    match (own, parent) {
        (_, None) => true,
        (None, Some(_)) => false,
        (Some(own), Some(parent)) => own.is_subset(parent),
    }
}

fn bounded<T>(own: Option<T>, parent: Option<T>, within: impl Fn(T, T) -> bool) -> bool {
    match (own, parent) {
        (_, None) => true,
        (None, Some(_)) => false,
        (Some(own), Some(parent)) => within(own, parent),
    }
}

fn amount_within(own: Amount, parent: Amount) -> bool {
    own.currency == parent.currency && own.ten_thousandths <= parent.ten_thousandths
}

fn either<T>(a: Option<T>, b: Option<T>, meet: impl Fn(T, T) -> T) -> Option<T> {
    match (a, b) {
        (Some(a), Some(b)) => Some(meet(a, b)),
        (a, b) => a.or(b),
    }
}

fn one<T: PartialEq + Clone>(
    member: &'static str,
    a: Option<&T>,
    b: Option<&T>,
) -> Result<Option<T>, Disjoint> {
    match (a, b) {
        (Some(a), Some(b)) if a != b => Err(Disjoint { member }),
        (a, b) => Ok(a.or(b).cloned()),
    }
}

fn common<T: Ord + Clone>(
    member: &'static str,
    a: Option<&BTreeSet<T>>,
    b: Option<&BTreeSet<T>>,
) -> Result<Option<BTreeSet<T>>, Disjoint> {
    match (a, b) {
        (Some(a), Some(b)) => {
            let both: BTreeSet<T> = a.intersection(b).cloned().collect();
            if both.is_empty() {
                return Err(Disjoint { member });
            }
            Ok(Some(both))
        }
        (a, b) => Ok(a.or(b).cloned()),
    }
}
