//! A live `tabard dev` in a home folder of its own, for transcripts and outside clients. Stopped by its process id.

use crate::project::Project;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A cold dev build on a busy two-core machine needs seconds to make its keys; a minute means it hangs.
const START_TIMEOUT: Duration = Duration::from_mins(1);
/// How long it may take to close its listeners and its store after SIGTERM.
const STOP_TIMEOUT: Duration = Duration::from_secs(10);

/// The running server and the folder that is its whole world.
pub struct Live {
    child: Child,
    home: PathBuf,
    path: std::ffi::OsString,
}

impl Live {
    /// Starts the built binary and waits until it is ready and its log has a checkpoint.
    pub fn start(project: &Project) -> Result<Self, String> {
        // Short, because a Unix socket's path may have at most 107 bytes.
        let home = std::env::temp_dir().join(format!("tabard-{}", std::process::id()));
        let bin = home.join("bin");
        let make = |folder: &Path| {
            std::fs::create_dir_all(folder).map_err(|why| format!("{}: {why}", folder.display()))
        };
        make(&bin)?;
        make(&home.join("run"))?;
        std::os::unix::fs::symlink(project.binary(), bin.join("tabard"))
            .map_err(|why| format!("{}: {why}", bin.display()))?;
        let mut folders = vec![bin];
        folders.extend(std::env::split_paths(
            &std::env::var_os("PATH").unwrap_or_default(),
        ));
        let path = std::env::join_paths(folders).map_err(|why| why.to_string())?;

        let log = File::create(home.join("dev.log")).map_err(|why| format!("dev.log: {why}"))?;
        let also = log.try_clone().map_err(|why| format!("dev.log: {why}"))?;
        let mut command = Command::new(home.join("bin/tabard"));
        // Ports of its own, so that a person's `tabard dev` may go on beside it.
        command.args(["dev", "--listen", &free_address()?, "--gateway", &free_address()?]);
        command.args(["--people", &free_address()?]);
        command.stdin(Stdio::null()).stdout(log).stderr(also);
        confine(&mut command, &home, &path);
        let child = command
            .spawn()
            .map_err(|why| format!("{}: {why}", project.binary().display()))?;
        let mut live = Self { child, home, path };
        live.wait_until_ready()?;
        Ok(live)
    }

    /// A command that sees only this server: its contexts, sockets and data.
    pub fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.stdin(Stdio::null());
        confine(&mut command, &self.home, &self.path);
        command
    }

    /// The folder that stands for the person's home.
    pub fn home(&self) -> &Path {
        &self.home
    }

    /// What the server printed so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.home.join("dev.log")).unwrap_or_default()
    }

    fn answers(&self, arguments: &[&str]) -> bool {
        let mut tabard = self.command(Path::new("tabard"));
        tabard.args(arguments).stdout(Stdio::null()).stderr(Stdio::null());
        tabard.status().is_ok_and(|status| status.success())
    }

    fn wait_until_ready(&mut self) -> Result<(), String> {
        let begun = Instant::now();
        while begun.elapsed() < START_TIMEOUT {
            if let Ok(Some(status)) = self.child.try_wait() {
                return Err(format!("tabard dev ended at once ({status}):\n{}", self.log()));
            }
            // The first checkpoint is published within a second of the first entry; then the log can be exported.
            if self.answers(&["status"]) && self.answers(&["audit", "verify"]) {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(200));
        }
        Err(format!(
            "tabard dev was not ready within {} s:\n{}",
            START_TIMEOUT.as_secs(),
            self.log()
        ))
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        let pid = self.child.id().to_string();
        let asked = Command::new("kill").args(["-TERM", &pid]).status();
        let begun = Instant::now();
        while asked.is_ok() && begun.elapsed() < STOP_TIMEOUT {
            if !matches!(self.child.try_wait(), Ok(None)) {
                break;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        // Both may fail only because it is gone already, which is what we want.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.home);
    }
}

/// A loopback address that nobody listens on at this moment.
fn free_address() -> Result<String, String> {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
    listener
        .map(|address| address.to_string())
        .map_err(|why| format!("no free port on 127.0.0.1: {why}"))
}

/// Points every place where tabard and other programs keep things into `home`.
fn confine(command: &mut Command, home: &Path, path: &std::ffi::OsStr) {
    command
        .env("HOME", home)
        .env("XDG_CONFIG_HOME", home.join("config"))
        .env("XDG_DATA_HOME", home.join("data"))
        .env("XDG_STATE_HOME", home.join("state"))
        .env("XDG_CACHE_HOME", home.join("cache"))
        .env("XDG_RUNTIME_DIR", home.join("run"))
        .env("PATH", path)
        .env("NO_COLOR", "1")
        .env_remove("TABARD_CONFIG_DIR")
        .env_remove("TABARD_STATE_DIR")
        .env_remove("TABARD_CONTEXT")
        .env_remove("TABARD_OUTPUT")
        .env_remove("TABARD_LOG");
}
