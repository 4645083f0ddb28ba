//! `cargo xtask agentdojo`: the ground truth of `AgentDojo` through the real exchange and gateway (docs/agentdojo.md).
//!
//! The Python package is only read: what it holds is exported as JSON, the prompts apart from the traces.

use crate::flags::Flags;
use crate::outside;
use crate::project::{Project, stdout_of, succeed};
use crate::tally::Ended;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

/// Everything, with every mechanism switched off in turn. With `--json`, stdout is its one object and nothing else.
pub fn run(project: &Project, flags: &Flags) -> Result<ExitCode, String> {
    if let Ended::Skipped(why) = outside::python_packages(project)? {
        return Err(why);
    }
    let mut command = bench(project, &["--release"])?;
    for flag in ["--json", "--short", "--each"] {
        if flags.has(flag) {
            command.arg(flag);
        }
    }
    succeed(&mut command, "tabard-bench agentdojo")?;
    Ok(ExitCode::SUCCESS)
}

/// All traces with all mechanisms: the counts have to be the committed ones. The packages must be there already.
pub fn check(project: &Project) -> Result<Ended, String> {
    if !outside::python(project).is_file() {
        return Ok(Ended::Skipped("no Python venv".to_owned()));
    }
    let mut command = bench(project, &[])?;
    command.args(["--short", "--check"]).stdout(std::io::stderr());
    succeed(&mut command, "tabard-bench agentdojo --check")?;
    Ok(Ended::Passed)
}

/// The command, with what it reads exported anew.
fn bench(project: &Project, profile: &[&str]) -> Result<Command, String> {
    let folder = project.root.join("bench/agentdojo");
    let public = export(project, &folder, "public")?;
    let traces = export(project, &folder, "traces")?;
    let mut command = project.cargo(&["run", "--quiet", "-p", "tabard-bench"]);
    command
        .args(profile)
        .args(["--", "agentdojo"])
        .arg(&folder)
        .arg(public)
        .arg(traces);
    Ok(command)
}

fn export(project: &Project, folder: &Path, part: &str) -> Result<PathBuf, String> {
    let mut script = project.program(&outside::python(project));
    script.arg(folder.join("export.py")).arg(part);
    let text = stdout_of(&mut script, &format!("export.py {part}"))?;
    let file = project.target.join(format!("agentdojo-{part}.json"));
    std::fs::write(&file, text).map_err(|why| format!("{}: {why}", file.display()))?;
    Ok(file)
}
