//! `cargo xtask interop`: unmodified clients from other people's registries against a live `tabard dev`.

use crate::flags::Flags;
use crate::live::Live;
use crate::outside;
use crate::project::{Project, on_path, succeed};
use crate::tally::{Ended, Tally};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

/// Sets up, starts a server, runs every client.
pub fn run(project: &Project, flags: &Flags) -> ExitCode {
    let mut tally = Tally::new(project.ci);
    tally.step("programs from Debian", outside::programs);
    tally.step("Python packages", || outside::python_packages(project));
    tally.step("npm packages", || outside::node_packages(project));
    tally.must("build", || project.build());
    clients(project, &mut tally);
    tally.close(flags.has("--json"))
}

/// One step a client. The packages and the binary must be there already.
pub fn clients(project: &Project, tally: &mut Tally) {
    let live = match Live::start(project) {
        Ok(live) => live,
        Err(why) => return tally.must("a live tabard dev", || Err(why)),
    };
    for script in scripts(&project.root.join("interop/py"), "py") {
        tally.step(&name(&script), || {
            let python = outside::python(project);
            if !python.is_file() {
                return Ok(Ended::Skipped("no Python venv".to_owned()));
            }
            client(project, &live, &python, &script)
        });
    }
    for script in scripts(&project.root.join("interop/node"), "mjs") {
        tally.step(&name(&script), || match on_path("node") {
            Some(node) => client(project, &live, &node, &script),
            None => Ok(Ended::Skipped("no node on PATH".to_owned())),
        });
    }
}

/// Each client runs as the demo agent does: `tabard run` gives it its identity and its environment.
fn client(project: &Project, live: &Live, interpreter: &Path, script: &Path) -> Result<Ended, String> {
    let mut command: Command = live.command(Path::new("tabard"));
    command
        .args(["run", "--as", "demo-billing", "--"])
        .arg(interpreter)
        .arg(script)
        .current_dir(&project.root)
        .stdout(std::io::stderr());
    succeed(&mut command, &name(script))?;
    Ok(Ended::Passed)
}

fn name(script: &Path) -> String {
    let file = script.file_name().unwrap_or_default();
    format!("interop {}", file.to_string_lossy())
}

/// The scripts of a folder in the order of their names. A file that starts with an underscore is a part, not a client.
fn scripts(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = std::fs::read_dir(folder)
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .filter(|path| path.extension().is_some_and(|given| given == ending))
        .filter(|path| {
            !path
                .file_name()
                .is_some_and(|file| file.as_encoded_bytes().starts_with(b"_"))
        })
        .collect();
    found.sort();
    found
}
