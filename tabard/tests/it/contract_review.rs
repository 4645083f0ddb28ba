//! `tabard contract review` as a job runs it on a change, without a server: no way of writing or moving a contract hides
//! that it widens.

use std::path::Path;
use std::process::{Command, Output};

const CONTRACT: &str = "apiVersion: tabard/v1
kind: AgentContract
metadata: {name: payer, version: 1}
owner: {team: office}
purpose: {id: paying, statement: Pays what is due.}
identity: {min_assurance: 1}
tasks: {types: [paying], openers: [user]}
grants:
  - id: pay
    services: [bank]
    actions: [pay]
    reason: What is due is paid.
    business_action: {pay: Pay a bill}
    where: {amount: {min: 1, max: 500}}
lifecycle: {expires: 2099-12-31}
";

struct Repository(tempfile::TempDir);

impl Repository {
    /// A branch `base` with the contract.
    fn new() -> Self {
        let it = Self(tempfile::tempdir().unwrap());
        it.write("base/payer.yaml", CONTRACT);
        it
    }
    fn path(&self) -> &Path {
        self.0.path()
    }
    fn write(&self, name: &str, text: &str) {
        let path = self.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    fn review(&self, more: &[&str]) -> (i32, String) {
        let Output {
            status,
            stdout,
            stderr,
        } = Command::new(env!("CARGO_BIN_EXE_tabard"))
            .args(["contract", "review", "new", "--against", "base"])
            .args(more)
            .env_clear()
            .env("HOME", self.path())
            .current_dir(self.path())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&stdout).into_owned() + &String::from_utf8_lossy(&stderr);
        (status.code().unwrap(), said)
    }
}

fn wider() -> String {
    CONTRACT
        .replace("version: 1", "version: 2")
        .replace("max: 500", "max: 9000")
}

#[test]
fn a_narrowing_and_a_new_contract_are_fine_and_a_widening_is_not() {
    let it = Repository::new();
    it.write("new/payer.yaml", &CONTRACT.replace("max: 500", "max: 400"));
    it.write("new/other.yaml", &CONTRACT.replace("name: payer", "name: other"));
    let (code, said) = it.review(&[]);
    assert_eq!(code, 0, "{said}");
    assert!(
        said.contains("narrowing") && said.contains("nothing in force to compare it with"),
        "{said}"
    );
    it.write("new/payer.yaml", &wider());
    let (code, said) = it.review(&["--markdown"]);
    assert_eq!(code, 1, "{said}");
    assert!(
        said.contains("**needs a second person**") && said.contains("1 to 9000"),
        "{said}"
    );
}

#[test]
fn a_widening_is_found_however_it_is_written_and_wherever_it_lies() {
    let quoted = wider().replace("kind: AgentContract", "kind: \"AgentContract\" # ours");
    let escaped = wider().replace("kind: AgentContract", "\"kind\": \"Agent\\x43ontract\"");
    for (name, text) in [
        ("new/payments/eu/payer.yaml", wider()),
        ("new/payer.YML", wider()),
        ("new/payer.yaml", quoted),
        ("new/payer.yaml", escaped),
    ] {
        let it = Repository::new();
        // Something harmless beside it, so that there is something to review in any case.
        it.write("new/z.yaml", &CONTRACT.replace("name: payer", "name: other"));
        it.write(name, &text);
        let (code, said) = it.review(&[]);
        assert_eq!(code, 1, "{name}: {said}");
        assert!(said.contains("9000"), "{name}: {said}");
    }
}

#[test]
fn another_name_an_older_version_and_a_link_hide_nothing() {
    // Renamed: held to the one that is gone.
    let it = Repository::new();
    it.write("new/payer.yaml", &wider().replace("name: payer", "name: settler"));
    let (code, said) = it.review(&[]);
    assert_eq!(code, 1, "{said}");
    assert!(
        said.contains("instead of payer@1") && said.contains("payer@1: gone"),
        "{said}"
    );
    // Two versions in the base: held to the newest, whatever its file is called.
    let it = Repository::new();
    let narrow = CONTRACT
        .replace("version: 1", "version: 2")
        .replace("max: 500", "max: 5");
    it.write("base/a.yaml", &narrow);
    it.write("new/payer.yaml", &CONTRACT.replace("version: 1", "version: 3"));
    let (code, said) = it.review(&[]);
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("instead of payer@2"), "{said}");
    // Something that lies elsewhere.
    let it = Repository::new();
    it.write("new/payer.yaml", CONTRACT);
    it.write("elsewhere.yaml", &wider());
    std::os::unix::fs::symlink("../elsewhere.yaml", it.path().join("new/x.yaml")).unwrap();
    let (code, said) = it.review(&[]);
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("FOLDER_LINK"), "{said}");
}

#[test]
fn what_is_gone_is_said_and_what_is_no_contract_is_left_alone() {
    let it = Repository::new();
    it.write(
        "base/reader.yaml",
        &CONTRACT.replace("name: payer", "name: reader"),
    );
    it.write("new/payer.yaml", CONTRACT);
    it.write("new/values.yaml", "kind: Upstream\nnot: a contract\n");
    it.write("new/.github/x.yaml", "kind: AgentContract, for a test\n");
    let (code, said) = it.review(&[]);
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("reader@1: gone from the folder"), "{said}");
    // Half a contract is a mistake, and not something to pass over.
    it.write("new/half.yaml", "kind: AgentContract\n");
    assert_eq!(it.review(&[]).0, 1);
}

/// What a contract says is text of whoever wrote it: in a terminal and in a comment it stays one line of text.
#[test]
fn the_text_of_a_contract_is_legible() {
    let it = Repository::new();
    let hidden = CONTRACT.replace(
        "where: {amount: {min: 1, max: 500}}",
        "where: {amount: {min: 1, max: 500}, payee: [\"acme\\u202eemca\", \"a`b\\u200bc\"]}",
    );
    it.write("new/payer.yaml", &hidden.replace("version: 1", "version: 2"));
    for more in [&[][..], &["--markdown"]] {
        let (_, said) = it.review(more);
        assert!(!said.contains(['\u{202e}', '\u{200b}']), "{said}");
        assert!(said.contains("[U+202E]"), "{said}");
    }
}
