//! What the interop suite needs from outside: Debian packages, a Python venv, npm packages. Every version is
//! pinned in interop/; nothing is installed outside `target/` and `interop/node/`, apart from Debian packages.

use crate::project::{Project, on_path, succeed};
use crate::tally::Ended;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Programs the suite calls and the Debian packages that bring them.
const PROGRAMS: [(&str, &str); 5] = [
    ("cc", "gcc"),
    ("chromium", "chromium"),
    ("curl", "curl"),
    ("python3", "python3-venv"),
    ("npm", "npm"),
];

/// The Python interpreter of the suite's own venv.
pub fn python(project: &Project) -> PathBuf {
    project.root.join("target/venv/bin/python")
}

/// Installs missing Debian packages when we may (root, or sudo without a password).
pub fn programs() -> Result<Ended, String> {
    let missing: Vec<(&str, &str)> = PROGRAMS
        .into_iter()
        .filter(|(program, _)| on_path(program).is_none())
        .collect();
    if missing.is_empty() {
        return Ok(Ended::Passed);
    }
    let names: Vec<&str> = missing.iter().map(|(program, _)| *program).collect();
    let packages: Vec<&str> = missing.iter().map(|(_, package)| *package).collect();
    let Some(become_root) = root_prefix() else {
        return Ok(Ended::Skipped(format!(
            "missing {}; fix: apt-get install {}",
            names.join(" "),
            packages.join(" ")
        )));
    };
    let apt = |arguments: &[&str]| {
        let mut words: Vec<&str> = become_root.to_vec();
        words.push("apt-get");
        words.extend_from_slice(arguments);
        let mut command = Command::new(words.first().copied().unwrap_or("apt-get"));
        command
            .args(words.iter().skip(1))
            .env("DEBIAN_FRONTEND", "noninteractive")
            .stdin(std::process::Stdio::null())
            .stdout(std::io::stderr());
        succeed(&mut command, "apt-get")
    };
    apt(&["update", "-q"])?;
    let mut install = vec!["install", "-q", "-y", "--no-install-recommends"];
    install.extend(packages);
    apt(&install)?;
    Ok(Ended::Passed)
}

/// The words to put before `apt-get`; none when we may not install or this is no Debian.
fn root_prefix() -> Option<&'static [&'static str]> {
    on_path("apt-get")?;
    let quiet = |program: &str, arguments: &[&str]| {
        Command::new(program)
            .args(arguments)
            .stdin(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .output()
    };
    let uid = quiet("id", &["-u"]).ok()?;
    if uid.stdout.trim_ascii() == b"0" {
        return Some(&[]);
    }
    let sudo = quiet("sudo", &["-n", "true"]).ok()?;
    sudo.status.success().then_some(&["sudo", "-n"])
}

/// A venv with exactly interop/requirements.txt in it; made again when that file changes.
pub fn python_packages(project: &Project) -> Result<Ended, String> {
    if on_path("python3").is_none() {
        return Ok(Ended::Skipped("no python3 on PATH".to_owned()));
    }
    let wanted = project.root.join("interop/requirements.txt");
    let venv = project.root.join("target/venv");
    if is_current(&wanted, &venv.join("requirements.txt")) {
        return Ok(Ended::Passed);
    }
    let mut make = project.program(Path::new("python3"));
    make.args(["-m", "venv", "--clear"])
        .arg(&venv)
        .stdout(std::io::stderr());
    succeed(&mut make, "python3 -m venv")?;
    // The file pins every package, so nothing is resolved; one client asks for a newer Python than it needs.
    let mut install = project.program(&python(project));
    install
        .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"])
        .args(["--no-deps", "--ignore-requires-python", "-r"])
        .arg(&wanted)
        .stdout(std::io::stderr());
    succeed(&mut install, "pip install -r interop/requirements.txt")?;
    mark(&wanted, &venv.join("requirements.txt"))
}

/// `interop/node/node_modules` exactly as its lock file says.
pub fn node_packages(project: &Project) -> Result<Ended, String> {
    if on_path("npm").is_none() || on_path("node").is_none() {
        return Ok(Ended::Skipped("no npm and node on PATH".to_owned()));
    }
    let folder = project.root.join("interop/node");
    let lock = folder.join("package-lock.json");
    let stamp = folder.join("node_modules/.installed-lock.json");
    if is_current(&lock, &stamp) {
        return Ok(Ended::Passed);
    }
    let mut install = project.program(Path::new("npm"));
    install
        .current_dir(&folder)
        .args([
            "ci",
            "--ignore-scripts",
            "--no-audit",
            "--no-fund",
            "--loglevel=error",
        ])
        .stdout(std::io::stderr());
    succeed(&mut install, "npm ci")?;
    mark(&lock, &stamp)
}

fn is_current(wanted: &Path, stamp: &Path) -> bool {
    matches!((std::fs::read(wanted), std::fs::read(stamp)), (Ok(a), Ok(b)) if a == b)
}

fn mark(wanted: &Path, stamp: &Path) -> Result<Ended, String> {
    std::fs::copy(wanted, stamp).map_err(|why| format!("{}: {why}", stamp.display()))?;
    Ok(Ended::Passed)
}
