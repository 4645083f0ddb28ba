//! A suite as it was fixed before the first run: the contract, the service's manifest, the template of each user task.

use super::export::UserTask;
use crate::fault::{Fault, fault};
use broker::upstream::{Manifest, Route};
use identity::Name;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::Path;

/// The suites.
pub(super) const ALL: [&str; 4] = ["banking", "slack", "travel", "workspace"];

/// The files of one suite.
pub(super) struct Files {
    pub(super) name: &'static str,
    contract: String,
    upstream: String,
    tasks: String,
}

/// Which mechanisms are at work. The frontier is drawn by switching them off one by one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Variant {
    /// All of them.
    Full,
    /// A task may use every grant.
    NoTemplates,
    /// Nobody names a destination.
    NoTrusted,
    /// No labels are looked at.
    NoFlow,
    /// In every task a human is asked for a destination that nobody named.
    AlwaysAsks,
    /// Nobody can be asked: what would wait for a human is refused.
    NeverAsks,
    /// Only the grants are left.
    GrantsOnly,
}

impl Variant {
    pub(super) const ALL: [Self; 7] = [
        Self::Full,
        Self::NoTemplates,
        Self::NoTrusted,
        Self::NoFlow,
        Self::AlwaysAsks,
        Self::NeverAsks,
        Self::GrantsOnly,
    ];

    /// As tables and JSON call it.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Full => "all mechanisms",
            Self::NoTemplates => "without task templates",
            Self::NoTrusted => "without trusted destinations",
            Self::NoFlow => "without flow rules",
            Self::AlwaysAsks => "a human can always be asked",
            Self::NeverAsks => "nobody can be asked",
            Self::GrantsOnly => "grants alone",
        }
    }
    /// Whether a human can be asked in a task whose opener did or did not name destinations.
    pub(super) const fn asks(self, names_destinations: bool) -> bool {
        match self {
            Self::Full | Self::NoTemplates | Self::NoTrusted => !names_destinations,
            Self::AlwaysAsks => true,
            Self::NoFlow | Self::NeverAsks | Self::GrantsOnly => false,
        }
    }
    /// Whether labels are looked at.
    pub(super) const fn has_flow(self) -> bool {
        !matches!(self, Self::NoFlow | Self::GrantsOnly)
    }
    /// Whether destinations that were named count.
    pub(super) const fn trusts(self) -> bool {
        !matches!(self, Self::NoTrusted)
    }
}

/// Why a user task is opened with its template.
#[derive(Debug, Deserialize)]
struct Choice {
    template: Name,
    because: String,
}

impl Files {
    /// Those of the suite `name` in the folder of them all.
    pub(super) fn read(folder: &Path, name: &'static str) -> Result<Self, Fault> {
        let read = |file: &str| {
            let path = folder.join(name).join(file);
            std::fs::read_to_string(&path).map_err(|why| fault(format!("{}: {why}", path.display())))
        };
        Ok(Self {
            name,
            contract: read("contract.yaml")?,
            upstream: read("upstream.yaml")?,
            tasks: read("tasks.json")?,
        })
    }

    /// The contract, with what the variant switches off taken out.
    pub(super) fn contract(&self, variant: Variant) -> Result<String, Fault> {
        let mut text = self.contract.clone();
        if matches!(variant, Variant::NoTemplates | Variant::GrantsOnly) {
            text = without(&text, "  templates:\n", "grants:\n")?;
        }
        if !variant.has_flow() {
            text = without(&text, "flow:\n", "lifecycle:")?;
        }
        Ok(text)
    }

    /// The same contract without its approval: nobody is asked.
    pub(super) fn closed(contract: &str) -> Result<String, Fault> {
        without(contract, "  approval: owner\n", "lifecycle:")
    }

    /// The service at `base_url`.
    pub(super) fn manifest(&self, base_url: &str) -> Result<Manifest, Fault> {
        let text = self.upstream.replace("http://127.0.0.1:9", base_url);
        Manifest::parse(self.name, text.as_bytes()).map_err(|errors| fault(format!("{errors:?}")))
    }

    /// The template of each user task. Each choice rests on words of the prompt, which have to be there.
    pub(super) fn templates(
        &self,
        tasks: &BTreeMap<String, UserTask>,
    ) -> Result<BTreeMap<String, Name>, Fault> {
        let choices: BTreeMap<String, Choice> = serde_json::from_str(&self.tasks)?;
        for (task, choice) in &choices {
            let known = tasks
                .get(task)
                .is_some_and(|it| it.prompt.contains(&choice.because));
            if !known {
                let (suite, words) = (self.name, &choice.because);
                return Err(fault(format!(
                    "{suite} {task}: its prompt does not say {words:?}"
                )));
            }
        }
        Ok(choices
            .into_iter()
            .map(|(task, choice)| (task, choice.template))
            .collect())
    }
}

fn without(text: &str, from: &str, to: &str) -> Result<String, Fault> {
    let cut = text.split_once(from).and_then(|(before, rest)| {
        let (_, after) = rest.split_once(to)?;
        Some(format!("{before}{to}{after}"))
    });
    cut.ok_or_else(|| fault(format!("a contract without {from:?} before {to:?}")))
}

/// Whether a route looks up something that others can have written.
pub(super) fn reads_untrusted(route: &Route) -> bool {
    route.data.as_ref().is_none_or(|data| data.untrusted)
}
