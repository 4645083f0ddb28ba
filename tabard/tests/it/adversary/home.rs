//! A folder that stands for a person's home, the person's uid, and commands that run there, bounded in time.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// Who owns the installation under test when the tests run as root; nobody else has this uid.
const OWNER: u32 = 61_001;
/// Another user of the machine.
const STRANGER: u32 = 61_002;
/// A command that takes longer hangs.
const HANGS: Duration = Duration::from_mins(1);

/// How a command ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Ended {
    /// Waits for it.
    pub(crate) fn of(child: Child) -> Self {
        let output = child.wait_with_output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Self {
            code: output.status.code(),
            out: text(output.stdout),
            err: text(output.stderr),
        }
    }

    /// What it printed, if it ended with 0.
    pub(crate) fn ok(self) -> String {
        assert_eq!(self.code, Some(0), "{}\n{}", self.out, self.err);
        self.out
    }

    /// The id of the decision that it was told.
    pub(crate) fn decision(&self) -> String {
        let both = format!("{}\n{}", self.err, self.out);
        let mut words = both.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        let found = words.find(|word| word.starts_with("dec_"));
        found
            .unwrap_or_else(|| panic!("no decision in:\n{both}"))
            .to_owned()
    }
}

/// The home, removed at the end.
pub(crate) struct Home {
    dir: tempfile::TempDir,
    /// The program, where the owner can execute it.
    pub(crate) tabard: PathBuf,
}

impl Home {
    pub(crate) fn new() -> Self {
        // Short, because a Unix socket's path may have at most 107 bytes.
        let dir = tempfile::Builder::new().prefix("tb").tempdir_in("/tmp").unwrap();
        let mut home = Self {
            tabard: PathBuf::from(env!("CARGO_BIN_EXE_tabard")),
            dir,
        };
        let work = home.path().join("w");
        std::fs::create_dir(&work).unwrap();
        if is_root() {
            for folder in [home.path(), &work] {
                std::os::unix::fs::chown(folder, Some(OWNER), Some(OWNER)).unwrap();
            }
        }
        // Others may pass through: what stops a stranger is to be the installation, not this folder.
        let open = std::os::unix::fs::PermissionsExt::from_mode(0o711);
        std::fs::set_permissions(home.path(), open).unwrap();
        if home
            .command(&home.tabard)
            .arg("--version")
            .output()
            .is_ok_and(|ended| ended.status.success())
        {
            return home;
        }
        // The build folder is closed to the owner.
        let copy = home.path().join("tabard");
        std::fs::copy(&home.tabard, &copy).unwrap();
        home.tabard = copy;
        home
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    /// A program that the owner starts, in a folder that holds nothing of the installation.
    pub(crate) fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        self.command_within(HANGS, program)
    }

    /// The same with another bound.
    pub(crate) fn command_within(&self, bound: Duration, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = bounded(bound, program, is_root().then_some(OWNER), false);
        command
            .current_dir(self.path().join("w"))
            .env_clear()
            .env("PATH", path())
            .env("HOME", self.path())
            .env("NO_COLOR", "1");
        command
    }
}

/// The uid of whoever owns the installation under test.
pub(crate) fn owner() -> u32 {
    if is_root() {
        OWNER
    } else {
        rustix::process::geteuid().as_raw()
    }
}

/// A program that another user of the machine starts; `None` where no other user can be played.
pub(crate) fn stranger(program: impl AsRef<std::ffi::OsStr>) -> Option<Command> {
    if !is_root() && !succeeds(Command::new("sudo").args(["-n", "true"])) {
        missing("playing another user needs root, or sudo without a password");
        return None;
    }
    let mut command = bounded(HANGS, program, Some(STRANGER), !is_root());
    command
        .current_dir("/")
        .env_clear()
        .env("PATH", path())
        .env("NO_COLOR", "1");
    Some(command)
}

/// Whether isolated runs can be made here; says why not.
pub(crate) fn can_isolate(home: &Home) -> bool {
    let can = succeeds(home.command("unshare").args([
        "--user",
        "--map-root-user",
        "--net",
        "--pid",
        "--fork",
        "true",
    ]));
    if !can {
        missing("isolation needs user namespaces for ordinary users");
    }
    can
}

/// The test cannot be run here. On a machine that is there to test, that is a failure.
pub(crate) fn missing(what: &str) {
    assert!(std::env::var_os("CI").is_none_or(|ci| ci != "true"), "{what}");
    println!("skipped: {what}");
}

fn succeeds(command: &mut Command) -> bool {
    let quiet = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    quiet.status().is_ok_and(|status| status.success())
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// For root, the system's own programs only: what is below /root cannot be executed by others.
fn path() -> std::ffi::OsString {
    let system = || "/usr/local/bin:/usr/bin:/bin".into();
    std::env::var_os("PATH")
        .filter(|_| !is_root())
        .unwrap_or_else(system)
}

/// `program` under `timeout`, as `uid`, with pipes for its output and nothing to read.
fn bounded(bound: Duration, program: impl AsRef<std::ffi::OsStr>, uid: Option<u32>, sudo: bool) -> Command {
    let mut command = Command::new(if sudo { "sudo" } else { "timeout" });
    if sudo {
        command.args(["-n", "timeout"]);
    }
    command.args(["-k", "5", &bound.as_secs().to_string()]);
    if let Some(uid) = uid {
        let uid = uid.to_string();
        command.args(["setpriv", "--reuid", &uid, "--regid", &uid, "--clear-groups"]);
    }
    command
        .arg(program)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}
