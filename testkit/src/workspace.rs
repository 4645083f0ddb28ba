//! The crates of this repository and everything they depend on, read from `cargo metadata`.
//!
//! It sees the graph for Linux, normal and build dependencies apart from dev-dependencies, so that a test can say
//! which crate may know which. Metadata also lists optional dependencies that no feature turns on: what is really
//! linked with a crate is asked by [`linked`](crate::linked).

use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Why the graph could not be read.
#[derive(Debug, thiserror::Error)]
pub enum WorkspaceError {
    /// cargo did not start or was stopped.
    #[error("cannot run cargo: {0}")]
    Run(#[from] std::io::Error),
    /// cargo refused; its own words.
    #[error("cargo failed: {0}")]
    Cargo(String),
    /// The output is not JSON.
    #[error("cargo metadata printed no JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// The output lacks something it has always had.
    #[error("cargo metadata has no \"{0}\"")]
    Missing(&'static str),
}

/// The platform whose dependencies count.
pub(crate) const PLATFORM: &str = "x86_64-unknown-linux-gnu";

/// One crate of the graph, ours or not.
#[derive(Debug, Clone)]
pub struct Package {
    /// Its name in Cargo.toml.
    pub name: String,
    /// Its Cargo.toml.
    pub manifest: PathBuf,
    /// Whether it belongs to this workspace.
    pub ours: bool,
    /// Ids of what its library and binaries link.
    pub normal: BTreeSet<String>,
    /// Ids of what its build script links.
    pub build: BTreeSet<String>,
    /// Ids of what only its tests link.
    pub dev: BTreeSet<String>,
}

/// The whole graph; keys are cargo's package ids.
#[derive(Debug)]
pub struct Workspace {
    /// Where the workspace's Cargo.toml lies.
    pub root: PathBuf,
    /// Every crate by its id.
    pub packages: BTreeMap<String, Package>,
}

impl Workspace {
    /// Asks cargo about the workspace that `manifest_dir` belongs to. Needs the lock file to be current.
    pub fn read(manifest_dir: &Path) -> Result<Self, WorkspaceError> {
        let arguments = ["metadata", "--format-version", "1", "--filter-platform", PLATFORM];
        Self::parse(&serde_json::from_slice(&cargo(manifest_dir, &arguments)?)?)
    }

    /// From the JSON of `cargo metadata --format-version 1`.
    pub fn parse(metadata: &Value) -> Result<Self, WorkspaceError> {
        let root = text(metadata, "workspace_root")?;
        let members: BTreeSet<&str> = list(metadata, "workspace_members")?
            .iter()
            .filter_map(Value::as_str)
            .collect();
        let mut packages = BTreeMap::new();
        for package in list(metadata, "packages")? {
            let id = text(package, "id")?;
            packages.insert(
                id.to_owned(),
                Package {
                    name: text(package, "name")?.to_owned(),
                    manifest: text(package, "manifest_path")?.into(),
                    ours: members.contains(id),
                    normal: BTreeSet::new(),
                    build: BTreeSet::new(),
                    dev: BTreeSet::new(),
                },
            );
        }
        let resolve = metadata
            .get("resolve")
            .ok_or(WorkspaceError::Missing("resolve"))?;
        for node in list(resolve, "nodes")? {
            let Some(package) = packages.get_mut(text(node, "id")?) else {
                continue;
            };
            for dependency in list(node, "deps")? {
                let id = text(dependency, "pkg")?;
                for kind in list(dependency, "dep_kinds")? {
                    let edges = match kind.get("kind").and_then(Value::as_str) {
                        Some("dev") => &mut package.dev,
                        Some("build") => &mut package.build,
                        Some(_) | None => &mut package.normal,
                    };
                    edges.insert(id.to_owned());
                }
            }
        }
        Ok(Self {
            root: root.into(),
            packages,
        })
    }

    /// Our own crates.
    pub fn ours(&self) -> impl Iterator<Item = &Package> {
        self.packages.values().filter(|package| package.ours)
    }

    /// The name of an id; the id itself when it is unknown.
    pub fn name<'a>(&'a self, id: &'a str) -> &'a str {
        self.packages.get(id).map_or(id, |package| package.name.as_str())
    }
}

/// What `cargo ARGUMENTS` prints in `folder`, from the lock file as it is.
pub(crate) fn cargo(folder: &Path, arguments: &[&str]) -> Result<Vec<u8>, WorkspaceError> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .current_dir(folder)
        .args(arguments)
        .arg("--locked")
        .output()?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    Err(WorkspaceError::Cargo(said))
}

fn text<'a>(value: &'a Value, key: &'static str) -> Result<&'a str, WorkspaceError> {
    let found = value.get(key).and_then(Value::as_str);
    found.ok_or(WorkspaceError::Missing(key))
}

fn list<'a>(value: &'a Value, key: &'static str) -> Result<&'a Vec<Value>, WorkspaceError> {
    let found = value.get(key).and_then(Value::as_array);
    found.ok_or(WorkspaceError::Missing(key))
}
