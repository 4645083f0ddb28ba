//! The environment of a run: built from nothing.
//!
//! Interpreters and loaders take code and keys from their environment, so the launcher's is never passed on. Only what the
//! spec lists and what this module states gets in.

use super::spec::LaunchSpec;
use std::collections::BTreeMap;
use std::path::Path;

/// Beginnings of names that load code, redirect trust, or carry keys that a run is not to have, whatever a spec allows.
/// A fixed value in the spec is the registrant's own decision and may set them.
pub const NEVER_PASSED: [&str; 18] = [
    "LD_",
    "DYLD_",
    "GCONV_PATH",
    "GLIBC_TUNABLES",
    "MALLOC_",
    "PYTHON",
    "PERL",
    "RUBY",
    "NODE_",
    "DENO_",
    "BUN_",
    "JAVA_",
    "_JAVA",
    "JDK_",
    "BASH_",
    "SSH_",
    "GIT_",
    "TABARD_",
];

/// Whole names of the same kind, and those that we set ourselves.
const NEVER_PASSED_NAMES: [&str; 12] = [
    "CLASSPATH",
    "ENV",
    "IFS",
    "PS4",
    "SHELLOPTS",
    "BASHOPTS",
    "DBUS_SESSION_BUS_ADDRESS",
    "SPIFFE_ENDPOINT_SOCKET",
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
];

/// Where programs are looked for. Fixed: a launcher's PATH chooses what runs.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Taken over from the launcher when harmless: how the terminal looks and which language its user reads.
const FROM_THE_TERMINAL: [&str; 12] = [
    "TERM",
    "COLORTERM",
    "NO_COLOR",
    "LANG",
    "LANGUAGE",
    "LC_ALL",
    "LC_CTYPE",
    "LC_MESSAGES",
    "LC_TIME",
    "LC_NUMERIC",
    "COLUMNS",
    "LINES",
];

/// Variables by name.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Environment(pub BTreeMap<String, String>);

impl Environment {
    /// What a run of `spec` gets: our own variables (`ours`: sockets and proxies), the user's home, the terminal's, what
    /// the spec allows of `offered`, and what it fixes, each winning over the ones before.
    pub fn of_run(
        spec: &LaunchSpec,
        offered: &[(String, String)],
        home: &Path,
        user: &str,
        ours: impl IntoIterator<Item = (&'static str, String)>,
    ) -> Self {
        let mut all = BTreeMap::from([
            ("PATH".to_owned(), PATH.to_owned()),
            ("HOME".to_owned(), home.display().to_string()),
            ("USER".to_owned(), user.to_owned()),
            ("LOGNAME".to_owned(), user.to_owned()),
        ]);
        if !spec.measured.is_empty() {
            // Byte code written beside measured sources would change what the next launch measures.
            all.insert("PYTHONDONTWRITEBYTECODE".to_owned(), "1".to_owned());
        }
        let taken = offered.iter().filter(|(name, value)| {
            let plain = FROM_THE_TERMINAL.contains(&name.as_str()) && is_plain(value);
            plain || (spec.env_allow.contains(name) && may_pass(name))
        });
        all.extend(taken.cloned());
        all.extend(ours.into_iter().map(|(name, value)| (name.to_owned(), value)));
        all.extend(spec.env.clone());
        all.retain(|name, value| is_name(name) && !value.contains('\0'));
        Self(all)
    }
    /// The names alone: what evidence says of an environment.
    pub fn names(&self) -> Vec<String> {
        self.0.keys().cloned().collect()
    }
    /// `NAME=value` lines.
    pub fn lines(&self) -> Vec<String> {
        self.0
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect()
    }
}

fn may_pass(name: &str) -> bool {
    !NEVER_PASSED_NAMES.contains(&name) && !NEVER_PASSED.iter().any(|start| name.starts_with(start))
}

fn is_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes
        .next()
        .is_some_and(|first| first.is_ascii_alphabetic() || first == b'_')
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// No slash: `TERM` and `LANG` name files for some programs.
fn is_plain(value: &str) -> bool {
    value.len() <= 64
        && value
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_.@:=+".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(allow: &[&str]) -> LaunchSpec {
        LaunchSpec {
            agent: "a".parse().unwrap(),
            launchers: vec![1],
            argv: super::super::Argv::Free,
            cwd: None,
            env_allow: allow.iter().map(ToString::to_string).collect(),
            env: BTreeMap::from([("FIXED".to_owned(), "spec".to_owned())]),
            measured: Vec::new(),
            isolation: super::super::Isolation::Optional,
            binds: Vec::new(),
            may_launch: Vec::new(),
        }
    }

    fn built(allow: &[&str], offered: &[(&str, &str)]) -> BTreeMap<String, String> {
        let offered: Vec<_> = offered
            .iter()
            .map(|(name, value)| ((*name).into(), (*value).into()))
            .collect();
        Environment::of_run(&spec(allow), &offered, Path::new("/home/u"), "u", []).0
    }

    #[test]
    fn what_the_spec_does_not_list_does_not_pass() {
        let built = built(
            &[],
            &[
                ("AWS_SECRET_ACCESS_KEY", "x"),
                ("TERM", "xterm"),
                ("PATH", "/evil"),
                ("HOME", "/evil"),
            ],
        );
        assert_eq!(built["PATH"], PATH);
        assert_eq!(built["HOME"], "/home/u");
        assert_eq!(built["TERM"], "xterm");
        assert!(!built.contains_key("AWS_SECRET_ACCESS_KEY"));
    }

    #[test]
    fn code_loading_variables_do_not_pass_even_if_listed() {
        for name in [
            "LD_PRELOAD",
            "PYTHONPATH",
            "PYTHONSTARTUP",
            "NODE_OPTIONS",
            "BASH_ENV",
            "ENV",
            "PERL5LIB",
            "SSH_AUTH_SOCK",
            "IFS",
            "HOME",
            "PATH",
        ] {
            let built = built(&[name], &[(name, "evil")]);
            assert_ne!(built.get(name).map(String::as_str), Some("evil"), "{name}");
        }
        assert_eq!(
            built(&["ENVIRONMENT"], &[("ENVIRONMENT", "prod")])["ENVIRONMENT"],
            "prod"
        );
    }

    #[test]
    fn a_fixed_value_wins_and_odd_names_and_values_are_dropped() {
        let built = built(
            &["FIXED", "A=B", "N"],
            &[("FIXED", "evil"), ("A=B", "x"), ("N", "a\0b"), ("TERM", "../x")],
        );
        assert_eq!(built["FIXED"], "spec");
        assert!(!built.contains_key("A=B") && !built.contains_key("N") && !built.contains_key("TERM"));
    }
}
