//! The lints hold everywhere, and unsafe code lies in one file.

use crate::workspace;
use std::path::{Path, PathBuf};

/// The one module for kernel calls that no crate wraps.
const UNSAFE_MAY_LIE_IN: &str = "shell/peer/src/sys.rs";

#[test]
fn every_crate_inherits_the_lints_of_the_workspace() {
    for package in workspace().ours() {
        let manifest = std::fs::read_to_string(&package.manifest).unwrap();
        assert!(
            manifest.contains("[lints]\nworkspace = true"),
            "{} does not inherit the lints",
            package.name
        );
    }
}

#[test]
fn core_has_the_clippy_file_that_bans_clocks_and_files() {
    let root = workspace().root;
    let core = std::fs::read_to_string(root.join("core/clippy.toml")).unwrap();
    for method in [
        "std::time::SystemTime::now",
        "std::time::Instant::now",
        "std::env::var",
        "std::fs::read",
    ] {
        assert!(core.contains(method), "core/clippy.toml no longer bans {method}");
    }
    // Clippy reads only the nearest file and does not merge: a second one below core/ would lift the bans.
    let nested: Vec<PathBuf> = sources(&root.join("core"), "toml")
        .into_iter()
        .filter(|path| path.ends_with("clippy.toml") && *path != root.join("core/clippy.toml"))
        .collect();
    assert_eq!(nested, Vec::<PathBuf>::new());
}

#[test]
fn unsafe_code_lies_in_one_file() {
    let root = workspace().root;
    let mut found = Vec::new();
    for folder in ["core", "shell", "tabard", "testkit", "bench", "interop", "xtask"] {
        for path in sources(&root.join(folder), "rs") {
            let text = std::fs::read_to_string(&path).unwrap();
            let lifts = ["allow(", "expect("]
                .iter()
                .any(|level| text.contains(&format!("{level}unsafe_code")));
            let name = path.strip_prefix(&root).unwrap().display().to_string();
            if lifts && name != UNSAFE_MAY_LIE_IN {
                found.push(name);
            }
        }
    }
    assert_eq!(found, Vec::<String>::new());
}

/// Every file with that ending below `folder`, target folders left out.
fn sources(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() && !path.ends_with("target") && !path.ends_with("node_modules") {
                folders.push(path);
            } else if path.extension().is_some_and(|given| given == ending) {
                found.push(path);
            }
        }
    }
    found
}
