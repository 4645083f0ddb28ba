//! What is really linked with a crate: the edges that `cargo tree` prints.

use crate::workspace::{PLATFORM, WorkspaceError, cargo};
use std::collections::BTreeSet;
use std::path::Path;

/// One crate links another; names without versions.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Edge {
    /// Who links.
    pub from: String,
    /// What is linked.
    pub to: String,
}

/// Every edge below `package`, normal dependencies only, with the features it has when it is built alone.
pub fn linked(manifest_dir: &Path, package: &str) -> Result<BTreeSet<Edge>, WorkspaceError> {
    let format = ["--edges", "normal", "--prefix", "depth", "--format", " {p}"];
    let arguments = [&["tree", "--package", package, "--target", PLATFORM][..], &format].concat();
    let printed = cargo(manifest_dir, &arguments)?;
    Ok(edges(&String::from_utf8_lossy(&printed)))
}

/// From lines such as `2 libc v0.2.191`: a crate belongs to the nearest one above it that is one level higher.
fn edges(printed: &str) -> BTreeSet<Edge> {
    let mut above: Vec<&str> = Vec::new();
    let mut found = BTreeSet::new();
    for line in printed.lines() {
        let mut words = line.split_whitespace();
        let (Some(depth), Some(name)) = (words.next().and_then(|word| word.parse().ok()), words.next())
        else {
            continue;
        };
        above.truncate(depth);
        if let Some(from) = above.last() {
            found.insert(Edge {
                from: (*from).to_owned(),
                to: name.to_owned(),
            });
        }
        above.push(name);
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_edge_goes_from_the_nearest_crate_one_level_up() {
        let printed = "0 ours v0.1.0 (/x)\n1 a v1.0.0\n2 libc v0.2.0\n1 b v1.0.0\n2 a v1.0.0 (*)\n";
        let found: Vec<String> = edges(printed)
            .iter()
            .map(|edge| format!("{}>{}", edge.from, edge.to))
            .collect();
        assert_eq!(found, ["a>libc", "b>a", "ours>a", "ours>b"]);
    }
}
