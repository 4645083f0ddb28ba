//! The arrows of ARCHITECTURE.md: any edge between our crates that is not in the table fails.

use crate::workspace;
use tabard_testkit::{Package, Workspace};

/// A crate (without `tabard-`) and those of ours it may link. A crate that is missing here may link none.
const ARROWS: [(&str, &[&str]); 15] = [
    ("identity", &[]),
    ("credential", &["identity"]),
    ("policy", &["identity"]),
    ("audit", &["identity"]),
    ("broker", &["identity", "credential", "policy", "audit"]),
    ("peer", &["identity"]),
    ("sync", &["identity", "credential", "audit", "broker"]),
    ("store", &["identity", "policy", "audit", "broker"]),
    (
        "node",
        &[
            "identity",
            "credential",
            "policy",
            "audit",
            "broker",
            "store",
            "sync",
            "peer",
        ],
    ),
    (
        "gateway",
        &[
            "identity",
            "credential",
            "policy",
            "audit",
            "broker",
            "store",
            "sync",
        ],
    ),
    (
        "server",
        &[
            "identity",
            "credential",
            "policy",
            "audit",
            "broker",
            "store",
            "sync",
            "peer",
        ],
    ),
    (
        "tabard",
        &[
            "identity",
            "credential",
            "policy",
            "audit",
            "broker",
            "store",
            "sync",
            "peer",
            "node",
            "gateway",
            "server",
        ],
    ),
    (
        "testkit",
        &["identity", "credential", "policy", "audit", "broker"],
    ),
    (
        "bench",
        &[
            "identity",
            "credential",
            "policy",
            "audit",
            "broker",
            "store",
            "sync",
            "peer",
            "node",
            "gateway",
            "server",
        ],
    ),
    ("interop", &["identity"]),
];

/// What every crate's tests may link besides.
const TESTS_MAY_LINK: &str = "testkit";

fn short(name: &str) -> &str {
    name.strip_prefix("tabard-").unwrap_or(name)
}

/// The edges that the table does not have, as `from -> to`.
fn forbidden(workspace: &Workspace) -> Vec<String> {
    let mut found = Vec::new();
    for package in workspace.ours() {
        let from = short(&package.name);
        let allowed = ARROWS
            .iter()
            .find(|(name, _)| *name == from)
            .map_or(&[][..], |(_, to)| to);
        let linked = package.normal.union(&package.build).map(|id| (id, false));
        let tested = package.dev.iter().map(|id| (id, true));
        for (id, only_tests) in linked.chain(tested) {
            let Some(Package { ours: true, name, .. }) = workspace.packages.get(id) else {
                continue;
            };
            let to = short(name);
            let fine = allowed.contains(&to) || (only_tests && to == TESTS_MAY_LINK);
            if !fine {
                found.push(format!(
                    "{from} -> {to}{}",
                    if only_tests { " (tests)" } else { "" }
                ));
            }
        }
    }
    found
}

#[test]
fn no_crate_knows_one_it_must_not() {
    assert_eq!(forbidden(&workspace()), Vec::<String>::new());
}

#[test]
fn every_crate_of_the_workspace_has_its_row() {
    let workspace = workspace();
    let without: Vec<&str> = workspace
        .ours()
        .map(|package| short(&package.name))
        .filter(|name| !ARROWS.iter().any(|(row, _)| row == name))
        .collect();
    assert_eq!(without, Vec::<&str>::new());
}

#[test]
fn an_edge_from_policy_to_credential_would_be_found() {
    let mut workspace = workspace();
    let id_of = |workspace: &Workspace, wanted: &str| {
        let found = workspace
            .packages
            .iter()
            .find(|(_, package)| package.name == wanted);
        found.map(|(id, _)| id.clone()).unwrap()
    };
    let (policy, credential) = (
        id_of(&workspace, "tabard-policy"),
        id_of(&workspace, "tabard-credential"),
    );
    workspace
        .packages
        .get_mut(&policy)
        .unwrap()
        .normal
        .insert(credential);
    assert_eq!(forbidden(&workspace), ["policy -> credential"]);
}
