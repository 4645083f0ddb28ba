//! A folder of contracts, as a repository keeps them: everything in it that is one, however it is spelled.

use super::{Failure, document};
use policy::Contract;
use std::path::{Path, PathBuf};

/// Most files of one folder: more is not a folder of contracts.
const FILES_MAX: usize = 1000;
/// Deepest nesting of folders: a team, a service, a stage, and room.
const DEPTH_MAX: usize = 8;

/// The contracts of files and folders, sorted by path. Other YAML in a folder is left alone.
pub(super) fn contracts(paths: &[PathBuf]) -> Result<Vec<(PathBuf, String)>, Failure> {
    let mut files = Vec::new();
    for path in paths {
        if path.is_dir() {
            inside(path, DEPTH_MAX, &mut files)?;
        } else {
            let (_, text) = document(path)?;
            files.push((path.clone(), text));
        }
    }
    if files.is_empty() || files.len() > FILES_MAX {
        return Err(
            Failure::new("NO_CONTRACTS", format!("found {} contracts", files.len()))
                .because(format!(
                    "a folder holds, with the folders in it, 1 to {FILES_MAX} YAML files of the kind AgentContract"
                ))
                .fix("Check the path."),
        );
    }
    Ok(files)
}

/// Those of one folder and of the folders in it. A link leads to what is not in the folder, so it is a mistake and not a
/// way around a review.
fn inside(folder: &Path, depth: usize, files: &mut Vec<(PathBuf, String)>) -> Result<(), Failure> {
    let unreadable = |why: String| {
        Failure::new(
            "FOLDER_UNREADABLE",
            format!("{} cannot be read", folder.display()),
        )
        .because(why)
        .fix("Check the path.")
    };
    if depth == 0 {
        return Err(unreadable(format!("folders are nested deeper than {DEPTH_MAX}")));
    }
    let entries: Result<Vec<_>, _> = std::fs::read_dir(folder).and_then(Iterator::collect);
    let mut entries = entries.map_err(|error| unreadable(error.to_string()))?;
    entries.sort_by_key(std::fs::DirEntry::path);
    for entry in entries {
        let path = entry.path();
        let kind = entry.file_type().map_err(|error| unreadable(error.to_string()))?;
        let is_hidden = entry.file_name().as_encoded_bytes().starts_with(b".");
        let ending = path.extension().map(std::ffi::OsStr::to_ascii_lowercase);
        let is_yaml = ending.is_some_and(|ending| ending == "yaml" || ending == "yml");
        if kind.is_dir() && !is_hidden {
            inside(&path, depth - 1, files)?;
        } else if kind.is_symlink() && (is_yaml || path.is_dir()) {
            return Err(Failure::new(
                "FOLDER_LINK",
                format!("{} is a link to somewhere else", path.display()),
            )
            .because("what is reviewed lies in the folder that is reviewed")
            .fix("Put the file itself there."));
        } else if kind.is_file() && is_yaml {
            let (name, text) = document(&path)?;
            // However its kind is spelled; what names it and cannot be read is a mistake that is reported later.
            if text.contains("AgentContract") || Contract::parse(&name, text.as_bytes()).is_ok() {
                files.push((path, text));
            }
        }
    }
    Ok(())
}
