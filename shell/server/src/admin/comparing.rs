//! Comparing a contract with what it would take the place of: seconds of work, off the async threads.

use super::Plane;
use super::refused::Refused;
use broker::World;
use broker::succession::Scrutiny;
use broker::world::ContractRecord;
use identity::{Digest, OrgId, OrgScope};
use policy::{Compiled, Diff, TRIALS_MAX, diff};
use serde::Serialize;
use std::collections::BTreeSet;
use std::sync::Arc;

/// One comparison, as people read it.
#[derive(Debug, Serialize)]
pub(super) struct Compared {
    /// What the new contract was compared with.
    pub(super) with: String,
    hash: String,
    direction: &'static str,
    /// Whether somebody else has agreed to it already.
    agreed: bool,
    differences: Vec<Line>,
    examples: Vec<String>,
    /// How many requests both decided.
    requests: usize,
    /// Whether the trial went as far as it goes.
    whole: bool,
}

#[derive(Debug, Serialize)]
struct Line {
    path: String,
    direction: &'static str,
    sentence: String,
}

impl Compared {
    pub(super) fn of(diff: &Diff, with: String, agreed: bool) -> Self {
        let lines = diff.differences().iter().map(|line| Line {
            path: line.path.clone(),
            direction: line.direction.as_str(),
            sentence: line.sentence.clone(),
        });
        let examples = diff.trial().examples().iter();
        Self {
            with,
            hash: diff.before().to_string(),
            direction: diff.direction().as_str(),
            agreed,
            differences: lines.collect(),
            examples: examples.map(|example| example.sentence.clone()).collect(),
            requests: diff.trial().requests(),
            whole: diff.trial().is_whole(),
        }
    }
}

/// Compares `new` with each of `before`.
pub(super) async fn compare(
    plane: &Arc<Plane>,
    world: &World,
    org: OrgId,
    new: &Arc<Compiled>,
    before: BTreeSet<Digest>,
) -> Result<Vec<Diff>, Refused> {
    let scope = OrgScope::Only(org);
    let records: Vec<Arc<ContractRecord>> = before
        .iter()
        .filter(|hash| **hash != new.hash().0)
        .filter_map(|hash| world.contract(scope, hash).cloned())
        .collect();
    let (plane, new) = (plane.clone(), new.clone());
    let work = move || -> Vec<Diff> {
        let each = records.iter().map(|record| {
            let old = plane.installation.contracts.compiled(record);
            old.map_or_else(
                |_| Diff::incomparable(policy::ContractHash(record.hash), new.hash()),
                |old| diff(&old, &new, TRIALS_MAX),
            )
        });
        each.collect()
    };
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|_| Refused::unavailable("the contracts could not be compared"))
}

impl Plane {
    /// What the installation holds changes to, with what was compared.
    pub(super) fn scrutiny<'d>(&self, diffs: &'d [Diff]) -> Scrutiny<'d> {
        Scrutiny {
            rule: self.installation.config.four_eyes,
            diffs,
        }
    }
}
