//! A launch spec: how an agent is started, by whom, and from what code.

use identity::Name;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// How one agent may be launched. Part of its registration; decided by whoever registers it, not by who launches it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LaunchSpec {
    /// The agent.
    pub agent: Name,
    /// Users who may launch it, by uid.
    pub launchers: Vec<u32>,
    /// Which command lines are this agent.
    pub argv: Argv,
    /// Where it runs; without it, where the launcher is.
    #[serde(default)]
    pub cwd: Option<PathBuf>,
    /// Names of variables that may be taken over from the launcher. Some are never passed, see [`super::NEVER_PASSED`].
    #[serde(default)]
    pub env_allow: Vec<String>,
    /// Variables with fixed values; they win over everything.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// Files and trees that are its code, measured before each launch.
    #[serde(default)]
    pub measured: Vec<PathBuf>,
    /// Whether it runs only in its own namespaces.
    #[serde(default)]
    pub isolation: Isolation,
    /// What of the hidden directories an isolated run sees besides its measured roots and its working directory.
    #[serde(default)]
    pub binds: Vec<Bind>,
    /// Agents that a process of this run may launch itself. Nobody, by default.
    #[serde(default)]
    pub may_launch: Vec<Name>,
}

/// Which command lines a spec covers.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Argv {
    /// Exactly this one; the first word is an absolute path.
    Exact(Vec<String>),
    /// This one and anything behind it; the first word is an absolute path.
    Prefix(Vec<String>),
    /// Any command: the run is *unpinned* and never above level 1.
    Free,
}

impl Argv {
    /// Whether `argv` is covered.
    pub fn covers(&self, argv: &[String]) -> bool {
        match self {
            Self::Exact(exact) => argv == exact,
            Self::Prefix(prefix) => !prefix.is_empty() && argv.starts_with(prefix),
            Self::Free => !argv.is_empty(),
        }
    }
    /// Whether the spec says what is executed.
    pub const fn is_pinned(&self) -> bool {
        !matches!(self, Self::Free)
    }
}

/// When a run is isolated.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Isolation {
    /// If the launcher asks for it.
    #[default]
    Optional,
    /// Always; a host that can not is a refusal.
    Required,
}

/// A path that an isolated run sees.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bind {
    /// The same path outside and inside.
    pub path: PathBuf,
    /// Whether it may be written.
    #[serde(default)]
    pub writable: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        text.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn a_prefix_covers_only_what_begins_with_it() {
        let prefix = Argv::Prefix(words("/usr/bin/python3 agent.py"));
        assert!(prefix.covers(&words("/usr/bin/python3 agent.py --month 3")));
        assert!(!prefix.covers(&words("/usr/bin/python3 -c evil")));
        assert!(!Argv::Prefix(Vec::new()).covers(&words("/bin/sh")));
        assert!(!Argv::Exact(words("/bin/a")).covers(&words("/bin/a b")));
        assert!(!Argv::Free.covers(&[]));
    }

    #[test]
    fn an_unknown_field_is_refused() {
        let text = r#"{"agent":"a","launchers":[1],"argv":"free","run_as_root":true}"#;
        assert!(serde_json::from_str::<LaunchSpec>(text).is_err());
    }
}
