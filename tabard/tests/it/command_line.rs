//! The command line as scripts meet it: streams, exit codes, and messages without a server.

use std::path::Path;
use std::process::{Command, Output};

const CONTRACT: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../testdata/contracts/demo-billing.yaml"
);

/// Runs `tabard` with a home of its own.
fn tabard(home: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_tabard"))
        .args(arguments)
        .env_clear()
        .env("HOME", home)
        .current_dir(home)
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn help_names_every_command_and_the_exit_codes_on_stdout() {
    let home = tempfile::tempdir().unwrap();
    let help = tabard(home.path(), &["--help"]);
    assert_eq!(help.status.code(), Some(0));
    let shown = text(&help.stdout);
    for word in [
        "dev",
        "run",
        "status",
        "revoke",
        "resume",
        "explain",
        "audit",
        "agent",
        "contract",
        "Exit codes",
    ] {
        assert!(shown.contains(word), "{word}\n{shown}");
    }
    assert_eq!(text(&help.stderr), "");
}

#[test]
fn a_wrong_command_line_is_usage() {
    let home = tempfile::tempdir().unwrap();
    for wrong in [
        &["revoke", "planet", "x"][..],
        &["explode"],
        &["audit", "query", "--last", "soon"],
    ] {
        let ended = tabard(home.path(), wrong);
        assert_eq!(
            (ended.status.code(), text(&ended.stdout)),
            (Some(2), String::new()),
            "{wrong:?}"
        );
    }
}

#[test]
fn without_a_server_it_says_what_to_do_and_ends_with_6() {
    let home = tempfile::tempdir().unwrap();
    let ended = tabard(home.path(), &["status"]);
    assert_eq!(
        (ended.status.code(), text(&ended.stdout)),
        (Some(6), String::new())
    );
    let said = text(&ended.stderr);
    assert!(
        said.starts_with("✗ NO_CONTEXT ") && said.contains("fix:     Start one with `tabard dev`"),
        "{said}"
    );
}

#[test]
fn a_contract_is_checked_without_a_server() {
    let home = tempfile::tempdir().unwrap();
    let good = tabard(home.path(), &["contract", "check", CONTRACT]);
    assert_eq!(good.status.code(), Some(0), "{}", text(&good.stderr));
    assert!(text(&good.stdout).contains("demo-billing@1 sha256:"));

    let bad = std::fs::read_to_string(CONTRACT)
        .unwrap()
        .replace("mode: enforce", "mood: enforce");
    std::fs::write(home.path().join("bad.yaml"), bad).unwrap();
    let ended = tabard(home.path(), &["contract", "check", "bad.yaml"]);
    assert_eq!(
        (ended.status.code(), text(&ended.stdout)),
        (Some(1), String::new())
    );
    let said = text(&ended.stderr);
    assert!(
        said.contains("bad.yaml:") && said.contains("UNKNOWN_KEY") && said.contains("Fix:"),
        "{said}"
    );
}

#[test]
fn a_manifest_is_measured_on_this_host() {
    let home = tempfile::tempdir().unwrap();
    let manifest = "apiVersion: tabard/v1\nkind: Agent\nmetadata: {name: a}\nowner: o\npurpose: p\ncontract: c\nexpires: 7d\n\
        launch: {launchers: [me], argv: {exact: [/bin/sh]}, executable: /bin/sh}\n";
    let path = home.path().join("a.yaml");
    std::fs::write(&path, manifest).unwrap();
    let measured = tabard(home.path(), &["agent", "measure", "a.yaml"]);
    assert_eq!(measured.status.code(), Some(0), "{}", text(&measured.stderr));
    assert!(text(&measured.stdout).contains("executable: sha256:"));
    assert_eq!(
        std::fs::read_to_string(&path).unwrap(),
        manifest,
        "printed, not written"
    );
    assert_eq!(
        tabard(home.path(), &["agent", "measure", "a.yaml", "--write"])
            .status
            .code(),
        Some(0)
    );
    assert!(
        std::fs::read_to_string(&path)
            .unwrap()
            .contains("executable: sha256:")
    );
}

#[test]
fn completions_are_scripts_that_their_shell_accepts_and_know_every_command() {
    let home = tempfile::tempdir().unwrap();
    for shell in ["bash", "zsh", "fish"] {
        let ended = tabard(home.path(), &["completions", shell]);
        assert_eq!(
            (ended.status.code(), text(&ended.stderr)),
            (Some(0), String::new()),
            "{shell}"
        );
        let script = text(&ended.stdout);
        for word in ["revoke", "explain", "join-token", "--output"] {
            assert!(
                script.contains(word) || script.contains(word.trim_start_matches('-')),
                "{shell}: {word}"
            );
        }
        // Where the shell is there, it reads the script without a complaint.
        let file = home.path().join(shell);
        std::fs::write(&file, &script).unwrap();
        if let Ok(read) = Command::new(shell).arg("-n").arg(&file).output() {
            assert!(read.status.success(), "{shell}: {}", text(&read.stderr));
        }
    }
    // bash completes what was begun.
    let file = home.path().join("bash");
    let script = format!(
        ". {}; COMP_WORDS=(tabard rev); COMP_CWORD=1; _tabard tabard rev tabard; echo ${{COMPREPLY[*]}}",
        file.display()
    );
    let completed = Command::new("bash").args(["-c", &script]).output().unwrap();
    assert_eq!(
        text(&completed.stdout).trim_end(),
        "revoke",
        "{}",
        text(&completed.stderr)
    );
    let unknown = tabard(home.path(), &["completions", "tcsh"]);
    assert_eq!(unknown.status.code(), Some(2));
}
