//! Where things are: the repository, its target folder, the cargo that runs us.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The repository we belong to.
pub struct Project {
    /// Its root folder.
    pub root: PathBuf,
    /// The target folder of the main workspace: `CARGO_TARGET_DIR` if set, otherwise `target`.
    pub target: PathBuf,
    /// Whether a missing tool is a failure (`CI=true`).
    pub ci: bool,
    cargo: OsString,
}

impl Project {
    /// Finds the repository from the place cargo built us at.
    pub fn here() -> Result<Self, String> {
        let own = std::env::var_os("CARGO_MANIFEST_DIR")
            .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
        let root = own.parent().ok_or("xtask has no parent folder")?.to_path_buf();
        let target = match std::env::var_os("CARGO_TARGET_DIR") {
            Some(folder) => root.join(folder),
            None => root.join("target"),
        };
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let ci = std::env::var_os("CI").is_some_and(|value| value == "true");
        Ok(Self {
            root,
            target,
            ci,
            cargo,
        })
    }

    /// `cargo ARGUMENTS`, in the root folder.
    pub fn cargo(&self, arguments: &[&str]) -> Command {
        let mut command = self.program(Path::new(&self.cargo));
        command.args(arguments);
        command
    }

    /// Any program, in the root folder, without standard input.
    pub fn program(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.current_dir(&self.root).stdin(Stdio::null());
        command
    }

    /// The `tabard` that `cargo build` and `cargo test` leave behind.
    pub fn binary(&self) -> PathBuf {
        self.target.join("debug").join("tabard")
    }

    /// Builds [`Project::binary`] with the same features as the tests, so that neither rebuilds for the other.
    pub fn build(&self) -> Result<(), String> {
        let mut command = self.cargo(&["build", "--bin", "tabard"]);
        command.stdout(std::io::stderr());
        succeed(&mut command, "cargo build")
    }
}

/// Runs to the end; anything but exit code 0 is an error that names `what`.
pub fn succeed(command: &mut Command, what: &str) -> Result<(), String> {
    let status = command
        .status()
        .map_err(|why| format!("{what}: cannot start it: {why}"))?;
    if status.success() {
        Ok(())
    } else {
        Err(format!("{what}: {status}"))
    }
}

/// Runs to the end and returns stdout; stderr passes through.
pub fn stdout_of(command: &mut Command, what: &str) -> Result<String, String> {
    let output = command
        .stderr(Stdio::inherit())
        .output()
        .map_err(|why| format!("{what}: cannot start it: {why}"))?;
    if !output.status.success() {
        return Err(format!("{what}: {}", output.status));
    }
    String::from_utf8(output.stdout).map_err(|_| format!("{what}: its output is not UTF-8"))
}

/// The program of that name on PATH.
pub fn on_path(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|folder| folder.join(program))
        .find(|file| file.is_file())
}
