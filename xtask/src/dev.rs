//! `cargo xtask dev`: from a fresh clone to a running `tabard dev` whose printed commands work as printed.

use crate::project::{Project, on_path};
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

/// Builds, links, and becomes `tabard dev ARGUMENTS`. Returns only when something is in the way.
pub fn run(project: &Project, arguments: &[String]) -> Result<ExitCode, String> {
    let arguments = match arguments {
        [first, rest @ ..] if first == "--" => rest,
        all => all,
    };
    check_c_compiler()?;
    eprintln!("building tabard (the first time takes some minutes)");
    project.build()?;
    link(project)?;
    Err(format!(
        "cannot start {}: {}",
        project.binary().display(),
        Command::new(project.binary()).arg("dev").args(arguments).exec()
    ))
}

/// The store and the crypto library are built from C; say so before cargo prints pages about it.
fn check_c_compiler() -> Result<(), String> {
    if ["cc", "gcc", "clang"].iter().any(|name| on_path(name).is_some()) {
        return Ok(());
    }
    Err(
        "no C compiler found (SQLite and the crypto library are built from C).\n\
         fix: apt-get install gcc   or   dnf install gcc   or   xcode-select --install"
            .to_owned(),
    )
}

/// Makes `tabard` a command of the person's shell, or says how to.
fn link(project: &Project) -> Result<(), String> {
    let binary = project.binary();
    if let Some(folder) = folder_on_path() {
        let link = folder.join("tabard");
        if replace_link(&link, &binary)? {
            eprintln!("linked {} -> {}", link.display(), binary.display());
            return Ok(());
        }
        eprintln!("{} is not ours and stays as it is", link.display());
    }
    let folder = project.target.join("bin");
    std::fs::create_dir_all(&folder).map_err(|why| format!("{}: {why}", folder.display()))?;
    replace_link(&folder.join("tabard"), &binary)?;
    eprintln!("no folder of yours is on PATH. For the commands below, first run this in the other terminal:");
    eprintln!("  export PATH=\"{}:$PATH\"", folder.display());
    Ok(())
}

/// The first folder on `PATH` that lies under the home folder and belongs to us; `~/.local/bin` if it is one of them.
fn folder_on_path() -> Option<PathBuf> {
    let home = PathBuf::from(std::env::var_os("HOME")?);
    let path = std::env::var_os("PATH")?;
    let owner = std::fs::metadata(&home).ok()?.uid();
    let usual = home.join(".local").join("bin");
    let mut fitting: Vec<PathBuf> = std::env::split_paths(&path)
        .filter(|folder| folder.starts_with(&home) && is_ours(folder, owner))
        // Version managers own their shim folders and rewrite them.
        .filter(|folder| !folder.components().any(|part| part.as_os_str() == "shims"))
        // rustup puts its bin folder on our PATH even when the shell has not; a cargo in it means the shell has.
        .filter(|folder| !folder.ends_with(".cargo/bin") || folder.join("cargo").exists())
        .collect();
    fitting.sort_by_key(|folder| *folder != usual);
    fitting.into_iter().next()
}

fn is_ours(folder: &Path, owner: u32) -> bool {
    std::fs::metadata(folder)
        .is_ok_and(|meta| meta.is_dir() && meta.uid() == owner && meta.mode() & 0o200 != 0)
}

/// Points `link` at `binary`. A file, or a link to something that is not a cargo build of ours, is left alone: `false`.
fn replace_link(link: &Path, binary: &Path) -> Result<bool, String> {
    if let Ok(meta) = std::fs::symlink_metadata(link) {
        let ours = std::fs::read_link(link).is_ok_and(|to| to.ends_with("debug/tabard"));
        if !meta.is_symlink() || !ours {
            return Ok(false);
        }
        std::fs::remove_file(link).map_err(|why| format!("{}: {why}", link.display()))?;
    }
    std::os::unix::fs::symlink(binary, link).map_err(|why| format!("{}: {why}", link.display()))?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_foreign_program_of_the_same_name_is_left_alone() {
        let folder = std::env::temp_dir().join(format!("xtask-link-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let link = folder.join("tabard");
        std::fs::write(&link, "somebody's").unwrap();
        assert_eq!(replace_link(&link, Path::new("/x/debug/tabard")), Ok(false));
        assert_eq!(std::fs::read_to_string(&link).unwrap(), "somebody's");
        std::fs::remove_file(&link).unwrap();
        assert_eq!(replace_link(&link, Path::new("/x/debug/tabard")), Ok(true));
        assert_eq!(replace_link(&link, Path::new("/y/debug/tabard")), Ok(true));
        assert_eq!(std::fs::read_link(&link).unwrap(), Path::new("/y/debug/tabard"));
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
