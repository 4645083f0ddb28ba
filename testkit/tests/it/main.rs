//! The shape of the repository, checked: who may know whom, and what may lie in the tree.

mod arrows;
mod lints;
mod pages;
mod purity;
mod tree;

use std::path::Path;
use tabard_testkit::Workspace;

#[expect(clippy::unwrap_used, reason = "without the graph there is nothing to check")]
fn workspace() -> Workspace {
    Workspace::read(Path::new(env!("CARGO_MANIFEST_DIR"))).unwrap()
}
