//! What may lie in the repository: no large files, no paths of the machine that somebody wrote it on.

use crate::workspace;
use std::path::PathBuf;
use std::process::Command;

/// Everything here is text that people read; a larger file is a build product or a recording.
const FILE_BYTES_MAX: u64 = 1_000_000;

/// Folders of one machine or person. A blank, quote or bracket before it makes it a path and not a part of a URL.
const MACHINE_PATHS: [&str; 3] = ["/root/.", "/Users/", "/home/runner/"];

/// The files git has, with the root they are relative to; `None` outside a git checkout (a source archive).
pub(crate) fn tracked() -> Option<(PathBuf, Vec<String>)> {
    let root = workspace().root;
    let output = Command::new("git")
        .current_dir(&root)
        .args(["ls-files", "-z"])
        .output()
        .ok()?;
    let names = String::from_utf8(output.stdout).ok()?;
    let names: Vec<String> = names
        .split('\0')
        .filter(|name| !name.is_empty())
        .map(str::to_owned)
        .collect();
    (output.status.success() && !names.is_empty()).then_some((root, names))
}

#[test]
fn no_tracked_file_is_large() {
    let Some((root, names)) = tracked() else { return };
    let large: Vec<&String> = names
        .iter()
        .filter(|name| std::fs::metadata(root.join(name)).is_ok_and(|meta| meta.len() > FILE_BYTES_MAX))
        .collect();
    assert_eq!(large, Vec::<&String>::new());
}

#[test]
fn no_tracked_file_names_a_folder_of_one_machine() {
    let Some((root, names)) = tracked() else { return };
    let mut found = Vec::new();
    for name in names.iter().filter(|name| !name.ends_with("tests/it/tree.rs")) {
        let Ok(text) = std::fs::read_to_string(root.join(name)) else {
            continue;
        };
        for (number, line) in text.lines().enumerate() {
            if names_a_machine(line) {
                found.push(format!("{name}:{}: {}", number + 1, line.trim()));
            }
        }
    }
    assert_eq!(found, Vec::<String>::new());
}

fn names_a_machine(line: &str) -> bool {
    MACHINE_PATHS.iter().any(|path| {
        line.match_indices(path).any(|(at, _)| {
            let before = line.get(..at).and_then(|text| text.chars().next_back());
            before.is_none_or(|before| " \t\"'`(=:[<".contains(before))
        })
    })
}

#[test]
fn a_path_is_told_from_a_part_of_a_url() {
    assert!(names_a_machine("see /Users/x"));
    assert!(names_a_machine("open(\"/root/.cache\")"));
    assert!(!names_a_machine("https://host/Users/items"));
    assert!(!names_a_machine("cwd: /home/agent/billing"));
}
