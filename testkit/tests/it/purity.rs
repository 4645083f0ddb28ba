//! Nothing under core/ links a crate that reaches outside, and nothing at all links a second crypto library.

use crate::workspace;
use std::path::Path;
use tabard_testkit::{Edge, linked};

/// Crates that open sockets, files or the kernel.
const BANNED_IN_CORE: [&str; 8] = [
    "tokio", "hyper", "rusqlite", "reqwest", "axum", "tonic", "rustix", "libc",
];

/// `stacker` asks libc how deep the stack is, so that Cedar's parser refuses deep input instead of crashing.
const LIBC_MAY_BE_LINKED_BY: [&str; 1] = ["stacker"];

/// aws-lc-rs signs and verifies everything; a second backend is a second set of bugs.
const BANNED_IN_THE_BINARY: [&str; 6] = ["ring", "openssl", "native-tls", "p256", "rsa", "ed25519-dalek"];

#[expect(clippy::unwrap_used, reason = "without the graph there is nothing to check")]
fn edges_of(package: &str) -> Vec<Edge> {
    linked(Path::new(env!("CARGO_MANIFEST_DIR")), package)
        .unwrap()
        .into_iter()
        .collect()
}

/// Those that lead to a banned crate, as `from -> to`.
fn impure(edges: &[Edge], banned: &[&str]) -> Vec<String> {
    edges
        .iter()
        .filter(|edge| banned.contains(&edge.to.as_str()))
        .filter(|edge| !(edge.to == "libc" && LIBC_MAY_BE_LINKED_BY.contains(&edge.from.as_str())))
        .map(|edge| format!("{} -> {}", edge.from, edge.to))
        .collect()
}

#[test]
fn core_links_nothing_that_reaches_outside() {
    let workspace = workspace();
    let core = workspace.root.join("core");
    let ours: Vec<_> = workspace
        .ours()
        .filter(|package| package.manifest.starts_with(&core))
        .collect();
    assert!(ours.len() >= 5, "core/ has five crates");
    for package in ours {
        let found = impure(&edges_of(&package.name), &BANNED_IN_CORE);
        assert_eq!(found, Vec::<String>::new(), "below {}", package.name);
    }
}

#[test]
fn the_binary_has_one_crypto_library() {
    let edges = edges_of("tabard");
    assert!(edges.iter().any(|edge| edge.to == "aws-lc-rs"));
    assert_eq!(impure(&edges, &BANNED_IN_THE_BINARY), Vec::<String>::new());
}

#[test]
fn a_banned_crate_behind_another_would_be_found() {
    let edge = |from: &str, to: &str| Edge {
        from: from.to_owned(),
        to: to.to_owned(),
    };
    let edges = [
        edge("tabard-policy", "serde_json"),
        edge("serde_json", "tokio"),
        edge("stacker", "libc"),
    ];
    assert_eq!(impure(&edges, &BANNED_IN_CORE), ["serde_json -> tokio"]);
}
