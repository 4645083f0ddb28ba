//! The manifest of an agent, as its author writes it: `kind: Agent`.
//!
//! Read strictly, with the line and column of the mistake. What a manifest leaves to the installation (which contract
//! version a name means, who `me` is, when `7d` ends) is filled in by [`AgentFile::resolve`]. It never measures: the
//! digests of a pinned launch spec are written into the manifest by `tabard agent measure`, where the files are.

use super::{AgentManifest, LaunchTerms};
use crate::upstream::ManifestError;
use crate::world::{ArgvRule, MeasuredRoot, VisiblePath, World};
use identity::{Digest, Name, OrgId, OrgScope, UnixTime};
use policy::contract::{Date, Seconds};
use policy::yaml::{self, Bounds, Position, Unreadable};
use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{self, Deserializer, MapAccess, Visitor};
use serde_saphyr::{Location, Spanned};
use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::str::FromStr;

/// Longest manifest in bytes: a hundred roots and as many arguments, several times over.
pub const AGENT_MANIFEST_BYTES_MAX: usize = 64 * 1024;

const BOUNDS: Bounds = Bounds {
    bytes_max: AGENT_MANIFEST_BYTES_MAX,
    // The format needs five levels.
    depth_max: 16,
    nodes_max: 10_000,
};
const API_VERSION: &str = "tabard/v1";
const STRICT: &str = "a manifest is plain UTF-8 YAML of at most 65536 bytes, without anchors, aliases, duplicate or unknown keys";

/// A manifest that was read: everything in it is well formed, nothing is looked up yet.
#[derive(Debug, Clone)]
pub struct AgentFile {
    file: String,
    name: Name,
    owner: String,
    purpose: String,
    contract: (Location, ContractReference),
    expires: Expiry,
    launch: Option<Launch>,
}

/// How a manifest names its contract.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ContractReference {
    /// `sha256:…`.
    Hash(Digest),
    /// `NAME` (its highest version) or `NAME@VERSION`.
    Named(Name, Option<u64>),
}

/// How a manifest says when the agent ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expiry {
    /// At the beginning of a day, UTC.
    On(Date),
    /// So long after it was applied.
    In(Seconds),
}

/// Something that only the host of the agent can measure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unmeasured {
    /// The path to measure.
    pub path: String,
    /// The bytes of the manifest that stand for it, to be replaced by what [`Self::written`] gives.
    pub place: Range<usize>,
    /// Whether it is one of the roots, which keep their path beside the digest.
    pub root: bool,
}

impl Unmeasured {
    /// What to write into the manifest in its place.
    pub fn written(&self, digest: Digest) -> String {
        if self.root {
            let path = serde_json::Value::from(self.path.as_str());
            format!("{{path: {path}, digest: \"{digest}\"}}")
        } else {
            digest.to_string()
        }
    }
}

#[derive(Debug, Clone)]
struct Launch {
    launchers: Vec<Spanned<Launcher>>,
    argv: ArgvRule,
    executable: Option<Spanned<String>>,
    cwd: Option<String>,
    env_allow: Vec<String>,
    env_set: BTreeMap<String, String>,
    roots: Vec<Spanned<Root>>,
    isolate: bool,
    binds: Vec<VisiblePath>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(rename = "apiVersion")]
    api_version: Spanned<String>,
    kind: Spanned<String>,
    metadata: Metadata,
    owner: Spanned<String>,
    purpose: Spanned<String>,
    contract: Spanned<String>,
    expires: Spanned<String>,
    launch: Option<LaunchSection>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Metadata {
    name: Spanned<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LaunchSection {
    launchers: Spanned<Vec<Spanned<Launcher>>>,
    argv: Spanned<Argv>,
    executable: Option<Spanned<String>>,
    cwd: Option<Spanned<String>>,
    #[serde(default)]
    env_allow: Vec<Spanned<String>>,
    #[serde(default)]
    env_set: BTreeMap<String, String>,
    #[serde(default)]
    roots: Vec<Spanned<Root>>,
    #[serde(default)]
    isolate: bool,
    #[serde(default)]
    binds: Vec<Spanned<Bind>>,
}

/// A path that an isolated run sees.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Bind {
    path: String,
    #[serde(default)]
    writable: bool,
}

#[derive(Deserialize, Debug, Clone)]
#[serde(rename_all = "snake_case")]
enum Argv {
    Free,
    Exact(Vec<String>),
    Prefix(Vec<String>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Launcher {
    Me,
    Uid(u32),
}

#[derive(Debug, Clone)]
enum Root {
    Path(String),
    Measured { path: String, digest: String },
}

impl AgentFile {
    /// Reads `bytes`; `file` is what errors call it.
    pub fn parse(file: &str, bytes: &[u8]) -> Result<Self, Box<ManifestError>> {
        let read: File = yaml::read(bytes, BOUNDS).map_err(|unreadable| {
            let (at, what, fix) = match unreadable {
                Unreadable::TooLarge(bytes) => (
                    Position::default(),
                    format!("the manifest has {bytes} bytes"),
                    "shorten it; is it the right file?",
                ),
                Unreadable::NotText => (
                    Position::default(),
                    "the file is not UTF-8".into(),
                    "save it as UTF-8",
                ),
                Unreadable::NotYaml { at, what } => (at, what, "correct the text at this place"),
            };
            wrong(file, at, "", what, STRICT, fix)
        })?;
        read.judge(file)
    }

    /// The agent's name.
    pub const fn name(&self) -> &Name {
        &self.name
    }

    /// Every path in it that has to be measured on the agent's host. Roots that have a digest are among them, so that
    /// an update is one command; `text` is what was parsed.
    pub fn unmeasured(&self, text: &str) -> Vec<Unmeasured> {
        let Some(launch) = &self.launch else {
            return Vec::new();
        };
        let executable = launch.executable.iter().filter_map(|executable| {
            let path = executable.value.clone();
            (!path.starts_with("sha256:")).then(|| {
                Some(Unmeasured {
                    path,
                    place: place(text, executable.referenced)?,
                    root: false,
                })
            })?
        });
        let roots = launch.roots.iter().filter_map(|root| {
            let Root::Path(path) = &root.value else {
                return None;
            };
            Some(Unmeasured {
                path: path.clone(),
                place: place(text, root.referenced)?,
                root: true,
            })
        });
        executable.chain(roots).collect()
    }

    /// The manifest as the inventory takes it: the contract found in the World, `me` as the uid of who asks if they have one, lengths
    /// of time counted from `now`. Refuses what is not measured yet.
    pub fn resolve(
        self,
        world: &World,
        org: OrgId,
        asker: Option<u32>,
        now: UnixTime,
    ) -> Result<AgentManifest, Box<ManifestError>> {
        let (at, reference) = &self.contract;
        let contract = find(world, org, reference).ok_or_else(|| {
            wrong(
                &self.file,
                *at,
                "contract",
                "no such contract is published".into(),
                "an agent acts under a contract that was published before",
                "run `tabard contract apply FILE` first, then name it as NAME, NAME@VERSION or by its hash",
            )
        })?;
        let expires_at = match self.expires {
            Expiry::On(date) => date.begins(),
            Expiry::In(length) => now.plus_secs(length.get()),
        };
        let file = self.file;
        let launch = self.launch.map(|launch| launch.terms(&file, asker)).transpose()?;
        Ok(AgentManifest {
            name: self.name,
            owner: self.owner,
            purpose: self.purpose,
            contract,
            expires_at,
            launch,
        })
    }
}

/// The hash of the contract that `reference` means in `org`.
pub fn find(world: &World, org: OrgId, reference: &ContractReference) -> Option<Digest> {
    let scope = OrgScope::Only(org);
    match reference {
        ContractReference::Hash(hash) => world.contract(scope, hash).map(|contract| contract.hash),
        ContractReference::Named(name, version) => world
            .contracts(scope)
            .filter(|contract| contract.name == *name && version.is_none_or(|it| contract.version == it))
            .max_by_key(|contract| contract.version)
            .map(|contract| contract.hash),
    }
}

impl FromStr for ContractReference {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        if text.starts_with("sha256:") {
            return text
                .parse()
                .map(Self::Hash)
                .map_err(|error: identity::DigestError| error.to_string());
        }
        let (name, version) = match text.split_once('@') {
            None => (text, None),
            Some((name, version)) => {
                let version = version
                    .parse()
                    .map_err(|_| "a version is a whole number".to_owned())?;
                (name, Some(version))
            }
        };
        let name = name
            .parse()
            .map_err(|error: identity::NameError| error.to_string())?;
        Ok(Self::Named(name, version))
    }
}

impl FromStr for Expiry {
    type Err = &'static str;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let date = text.parse().map(Self::On).ok();
        date.or_else(|| text.parse().map(Self::In).ok())
            .ok_or("an expiry is a day as in 2027-01-01, or a length of time as in 7d, at most 3650d")
    }
}

impl File {
    fn judge(self, file: &str) -> Result<AgentFile, Box<ManifestError>> {
        fixed(file, "apiVersion", &self.api_version, API_VERSION)?;
        fixed(file, "kind", &self.kind, "Agent")?;
        let launch = self.launch.map(|launch| launch.judge(file)).transpose()?;
        Ok(AgentFile {
            file: file.to_owned(),
            name: parsed(
                file,
                "metadata.name",
                &self.metadata.name,
                "write a name such as demo-billing",
            )?,
            owner: filled(file, "owner", self.owner)?,
            purpose: filled(file, "purpose", self.purpose)?,
            contract: (
                self.contract.referenced,
                parsed(
                    file,
                    "contract",
                    &self.contract,
                    "write NAME, NAME@VERSION or sha256:…",
                )?,
            ),
            expires: parsed(file, "expires", &self.expires, "write 2027-01-01 or 7d")?,
            launch,
        })
    }
}

impl LaunchSection {
    fn judge(self, file: &str) -> Result<Launch, Box<ManifestError>> {
        if self.launchers.value.is_empty() {
            let why = "nobody could launch the agent";
            let (at, what) = (self.launchers.referenced, "there are no launchers".to_owned());
            return Err(wrong(
                file,
                at,
                "launch.launchers",
                what,
                why,
                "write [me], or uids",
            ));
        }
        let at = self.argv.referenced;
        let argv = match self.argv.value {
            Argv::Free => ArgvRule::Free,
            Argv::Exact(words) | Argv::Prefix(words)
                if !words.first().is_some_and(|program| program.starts_with('/')) =>
            {
                let why = "a relative name could become another program in another directory";
                let what = "the command does not begin with an absolute path".to_owned();
                return Err(wrong(
                    file,
                    at,
                    "launch.argv",
                    what,
                    why,
                    "write the program as /usr/bin/…",
                ));
            }
            Argv::Exact(words) => ArgvRule::Exact(words),
            Argv::Prefix(words) => ArgvRule::Prefix(words),
        };
        if argv != ArgvRule::Free && self.executable.is_none() {
            let why = "a command is pinned by what it is, not by its name";
            let (what, fix) = (
                "the executable is missing",
                "add `executable: PATH`, then run `tabard agent measure FILE --write`",
            );
            return Err(wrong(file, at, "launch.argv", what.into(), why, fix));
        }
        let absolute = |key: &str, at: Location, path: &str| {
            if path.starts_with('/') {
                return Ok(());
            }
            let why = "a relative path means another file in another directory";
            Err(wrong(
                file,
                at,
                key,
                format!("{path:?} is not an absolute path"),
                why,
                "begin it with /",
            ))
        };
        if let Some(cwd) = &self.cwd {
            absolute("launch.cwd", cwd.referenced, &cwd.value)?;
        }
        if let Some(executable) = &self.executable
            && !executable.value.starts_with("sha256:")
        {
            absolute("launch.executable", executable.referenced, &executable.value)?;
        }
        for root in &self.roots {
            let (Root::Path(path) | Root::Measured { path, .. }) = &root.value;
            absolute("launch.roots", root.referenced, path)?;
        }
        for bind in &self.binds {
            absolute("launch.binds", bind.referenced, &bind.value.path)?;
        }
        let visible = |bind: Spanned<Bind>| VisiblePath {
            path: bind.value.path,
            writable: bind.value.writable,
        };
        Ok(Launch {
            binds: self.binds.into_iter().map(visible).collect(),
            launchers: self.launchers.value,
            argv,
            executable: self.executable,
            cwd: self.cwd.map(|cwd| cwd.value),
            env_allow: self.env_allow.into_iter().map(|name| name.value).collect(),
            env_set: self.env_set,
            roots: self.roots,
            isolate: self.isolate,
        })
    }
}

impl Launch {
    fn terms(self, file: &str, asker: Option<u32>) -> Result<LaunchTerms, Box<ManifestError>> {
        let unmeasured = |key: &str, at: Location, path: &str| {
            let fix =
                format!("run `tabard agent measure {file} --write` on the agent's host, then apply again");
            let why = "the server judges digests; only the host that has the file can measure it";
            wrong(file, at, key, format!("{path} is not measured yet"), why, &fix)
        };
        let digest = |key: &str, at: Location, text: &str| {
            text.parse::<Digest>().map_err(|error| {
                let fix = "write sha256: and 64 lower-case hex digits";
                wrong(
                    file,
                    at,
                    key,
                    format!("{text:?} does not fit here"),
                    &error.to_string(),
                    fix,
                )
            })
        };
        let executable = match &self.executable {
            None => None,
            Some(it) if !it.value.starts_with("sha256:") => {
                return Err(unmeasured("launch.executable", it.referenced, &it.value));
            }
            Some(it) => Some(digest("launch.executable", it.referenced, &it.value)?),
        };
        let mut roots = Vec::with_capacity(self.roots.len());
        for root in self.roots {
            match root.value {
                Root::Path(path) => return Err(unmeasured("launch.roots", root.referenced, &path)),
                Root::Measured { path, digest: text } => roots.push(MeasuredRoot {
                    path,
                    digest: digest("launch.roots", root.referenced, &text)?,
                }),
            }
        }
        let uid = |launcher: Spanned<Launcher>| match launcher.value {
            Launcher::Me => asker.ok_or_else(|| {
                wrong(
                    file,
                    launcher.referenced,
                    "launch.launchers",
                    "`me` is nobody here".to_owned(),
                    "you have no account on the server's host, or came in over the network",
                    "write uids of the hosts where the agent is launched",
                )
            }),
            Launcher::Uid(uid) => Ok(uid),
        };
        Ok(LaunchTerms {
            launchers: self.launchers.into_iter().map(uid).collect::<Result<_, _>>()?,
            argv: self.argv,
            executable,
            cwd: self.cwd,
            env_allow: self.env_allow,
            env_set: self.env_set,
            roots,
            isolate: self.isolate,
            binds: self.binds,
        })
    }
}

/// The bytes of a scalar in the text it was read from.
fn place(text: &str, at: Location) -> Option<Range<usize>> {
    let span = at.span();
    let (skip, take) = (
        usize::try_from(span.offset()).ok()?,
        usize::try_from(span.len()).ok()?,
    );
    // The parser counts characters.
    let byte_of = |nth: usize| text.char_indices().map(|(at, _)| at).chain([text.len()]).nth(nth);
    let (from, to) = (byte_of(skip)?, byte_of(skip.checked_add(take)?)?);
    (from < to).then_some(from..to)
}

fn fixed(file: &str, key: &str, found: &Spanned<String>, only: &str) -> Result<(), Box<ManifestError>> {
    if found.value == only {
        return Ok(());
    }
    let what = format!("{:?} is not known", found.value);
    let fix = format!("write {only}");
    Err(wrong(
        file,
        found.referenced,
        key,
        what,
        "this version reads one format",
        &fix,
    ))
}

fn filled(file: &str, key: &str, found: Spanned<String>) -> Result<String, Box<ManifestError>> {
    if !found.value.trim().is_empty() {
        return Ok(found.value);
    }
    let why = "somebody answers for every agent, and every agent is for something";
    let fix = format!("fill in `{key}`");
    Err(wrong(
        file,
        found.referenced,
        key,
        format!("{key} is empty"),
        why,
        &fix,
    ))
}

fn parsed<T: FromStr<Err: fmt::Display>>(
    file: &str,
    key: &str,
    found: &Spanned<String>,
    fix: &str,
) -> Result<T, Box<ManifestError>> {
    found.value.parse().map_err(|error: T::Err| {
        let what = format!("{:?} does not fit here", found.value);
        wrong(file, found.referenced, key, what, &error.to_string(), fix)
    })
}

#[expect(
    clippy::unnecessary_box_returns,
    reason = "every caller returns it as the boxed error of a Result"
)]
fn wrong(
    file: &str,
    at: impl Into<Position>,
    key: &str,
    what: String,
    why: &str,
    fix: &str,
) -> Box<ManifestError> {
    let at = at.into();
    Box::new(ManifestError {
        file: file.to_owned(),
        line: at.line.max(1),
        column: at.column.max(1),
        path: key.to_owned(),
        what,
        why: why.to_owned(),
        fix: fix.to_owned(),
    })
}

impl<'de> Deserialize<'de> for Launcher {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Either;
        impl Visitor<'_> for Either {
            type Value = Launcher;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("`me` or a uid")
            }
            fn visit_u64<E: de::Error>(self, uid: u64) -> Result<Launcher, E> {
                u32::try_from(uid)
                    .map(Launcher::Uid)
                    .map_err(|_| E::custom("a uid has 32 bits"))
            }
            fn visit_i64<E: de::Error>(self, uid: i64) -> Result<Launcher, E> {
                u32::try_from(uid)
                    .map(Launcher::Uid)
                    .map_err(|_| E::custom("a uid has 32 bits"))
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Launcher, E> {
                if text == "me" {
                    return Ok(Launcher::Me);
                }
                text.parse()
                    .map(Launcher::Uid)
                    .map_err(|_| E::custom("a launcher is `me` or a uid"))
            }
        }
        from.deserialize_any(Either)
    }
}

impl<'de> Deserialize<'de> for Root {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Measured {
            path: String,
            digest: String,
        }
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = Root;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a path, or {path: …, digest: …}")
            }
            fn visit_str<E: de::Error>(self, path: &str) -> Result<Root, E> {
                Ok(Root::Path(path.to_owned()))
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Root, A::Error> {
                let Measured { path, digest } = Measured::deserialize(MapAccessDeserializer::new(map))?;
                Ok(Root::Measured { path, digest })
            }
        }
        from.deserialize_any(Either)
    }
}

#[cfg(test)]
mod tests;
