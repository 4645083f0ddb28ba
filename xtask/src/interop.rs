//! `cargo xtask interop`: unmodified clients from other people's registries against a live `tabard dev`.

use crate::flags::Flags;
use crate::live::Live;
use crate::outside;
use crate::project::{Project, succeed};
use crate::tally::{Ended, Tally};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// The exit code of a script that lacks something; it says what on stderr.
const SKIPPED: i32 = 77;

/// Sets up, starts a server, runs every client.
pub fn run(project: &Project, flags: &Flags) -> ExitCode {
    let mut tally = Tally::new(project.ci);
    tally.step("programs from Debian", outside::programs);
    tally.step("Python packages", || outside::python_packages(project));
    tally.step("npm packages", || outside::node_packages(project));
    tally.must("build", || project.build());
    clients(project, &mut tally, flags.has("--long"));
    tally.close(flags.has("--json"))
}

/// One step a client, the long form of those that have one if `long`. The packages and the binary must be there already.
pub fn clients(project: &Project, tally: &mut Tally, long: bool) {
    let live = match Live::start(project) {
        Ok(live) => live,
        Err(why) => return tally.must("a live tabard dev", || Err(why)),
    };
    tally.must("interop spiffe (Rust)", || rust_client(project, &live));
    for (folder, as_agent) in [("agent", true), ("service", false), ("auditor", false)] {
        for script in scripts(&project.root.join("interop").join(folder)) {
            let client = Client {
                script: &script,
                as_agent,
                long,
            };
            tally.step(&name(&script), || client.run(project, &live));
        }
    }
}

/// The Rust client is built here and nowhere else: it brings crates that we do not ship.
fn rust_client(project: &Project, live: &Live) -> Result<(), String> {
    let mut build = project.cargo(&["build", "-p", "tabard-interop"]);
    succeed(build.stdout(std::io::stderr()), "cargo build -p tabard-interop")?;
    let mut run = live.command(Path::new("tabard"));
    run.args(["run", "--as", "demo-billing", "--"])
        .arg(project.target.join("debug/tabard-interop"))
        .stdout(std::io::stderr());
    succeed(&mut run, "tabard-interop")
}

/// The agent that a script runs as: it says so in a line `agent: NAME`.
fn agent_of(script: &Path) -> String {
    let text = std::fs::read_to_string(script).unwrap_or_default();
    let named = text.lines().find_map(|line| line.strip_prefix("agent: "));
    named.unwrap_or("demo-billing").to_owned()
}

/// One script.
struct Client<'s> {
    script: &'s Path,
    /// A client of the agent's side runs as a demo agent does: `tabard run` gives it its identity.
    as_agent: bool,
    long: bool,
}

impl Client<'_> {
    fn run(&self, project: &Project, live: &Live) -> Result<Ended, String> {
        let python = outside::python(project);
        if !python.is_file() {
            return Ok(Ended::Skipped("no Python venv".to_owned()));
        }
        let mut command = if self.as_agent {
            let mut run = live.command(Path::new("tabard"));
            run.args(["run", "--as", &agent_of(self.script), "--"])
                .arg(python);
            run
        } else {
            live.command(&python)
        };
        command
            .arg(self.script)
            .env("TABARD_INTEROP", project.target.join("debug/tabard-interop"))
            .current_dir(&project.root)
            .stdout(std::io::stderr());
        if self.long {
            command.env("TABARD_INTEROP_LONG", "1");
        }
        let status = command
            .status()
            .map_err(|why| format!("{}: {why}", name(self.script)))?;
        match status.code() {
            Some(0) => Ok(Ended::Passed),
            Some(SKIPPED) => Ok(Ended::Skipped("it says why above".to_owned())),
            _ => Err(status.to_string()),
        }
    }
}

fn name(script: &Path) -> String {
    let file = script.file_name().unwrap_or_default();
    format!("interop {}", file.to_string_lossy())
}

/// The scripts of a folder in the order of their names. A file that starts with an underscore is a part, not a client.
fn scripts(folder: &Path) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = std::fs::read_dir(folder)
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .filter(|path| path.extension().is_some_and(|ending| ending == "py"))
        .filter(|path| {
            !path
                .file_name()
                .is_some_and(|file| file.as_encoded_bytes().starts_with(b"_"))
        })
        .collect();
    found.sort();
    found
}
