//! Who may touch a private key: every file of the source tree that names the key trait or asks a key to sign.
//!
//! A new file in one of these lists is a new path to a credential. It has to take a recorded permit, like
//! `signer.rs`, and to be reviewed by hand; then it is added here.

use std::path::{Path, PathBuf};

/// Files that may name the trait, with why.
const NAMES_THE_TRAIT: [(&str, &str); 10] = [
    (
        "core/credential/src/authority.rs",
        "builds certificates; asks the key it was given",
    ),
    ("core/credential/src/jose.rs", "a documentation link"),
    ("core/credential/src/key.rs", "defines it"),
    ("core/credential/src/lib.rs", "exports it"),
    ("shell/server/src/founding.rs", "public halves"),
    ("shell/server/src/keys/local_key.rs", "implements it"),
    ("shell/server/src/keys/mod.rs", "hands keys to the signer"),
    (
        "shell/server/src/keys/x509_authority.rs",
        "signs intermediates with the root",
    ),
    ("shell/server/src/signer.rs", "signs recorded permits"),
    (
        "shell/server/src/tls/own_certificate.rs",
        "the TLS key's public half",
    ),
];

/// Files of the server that may call a key.
const CALLS_A_KEY: [&str; 3] = [
    "shell/server/src/keys/local_key.rs",
    "shell/server/src/keys/log_key.rs",
    "shell/server/src/signer.rs",
];

/// Files of the server that may make certificates.
const MAKES_CERTIFICATES: [&str; 2] = [
    "shell/server/src/keys/x509_authority.rs",
    "shell/server/src/signer.rs",
];

#[test]
fn only_reviewed_files_name_the_key_trait() {
    let allowed: Vec<&str> = NAMES_THE_TRAIT.iter().map(|(file, _)| *file).collect();
    let found = files_with(&["core", "shell", "tabard"], |code| {
        // rcgen and rustls have a trait of the same name; theirs is written with its path or is rustls's own import.
        code.replace("rcgen::SigningKey", "").contains("SigningKey")
    });
    assert_eq!(found, allowed);
}

#[test]
fn only_the_signer_asks_a_key_to_sign() {
    let found = files_with(&["shell/server/src"], |code| {
        code.contains("key.sign(") || code.contains("pair.sign(")
    });
    assert_eq!(found, CALLS_A_KEY);
}

#[test]
fn only_the_signer_and_the_authority_make_certificates() {
    let calls = [
        ".issue_svid(",
        ".issue_server_svid(",
        ".issue_authority(",
        ".self_signed(",
    ];
    let found = files_with(&["shell", "tabard"], |code| {
        calls.iter().any(|call| code.contains(call))
    });
    assert_eq!(found, MAKES_CERTIFICATES);
}

#[test]
fn the_signer_takes_a_recorded_permit_and_nothing_else() {
    let code = std::fs::read_to_string(root().join("shell/server/src/signer.rs")).unwrap();
    let public: Vec<&str> = code
        .lines()
        .map(str::trim)
        .filter(|line| line.starts_with("pub fn"))
        .collect();
    assert_eq!(
        public,
        [
            "pub fn new(keys: Arc<Keys>, trust_domain: TrustDomain) -> Self {",
            "pub fn sign(&self, recorded: Recorded<Permit>) -> Result<Credential, NotSigned> {",
        ]
    );
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .canonicalize()
        .unwrap()
}

/// Source files outside tests whose code, cut at its own tests, is as asked.
fn files_with(folders: &[&str], is: impl Fn(&str) -> bool) -> Vec<String> {
    let (root, mut found, mut open) = (root(), Vec::new(), Vec::new());
    open.extend(folders.iter().map(|folder| root.join(folder)));
    while let Some(path) = open.pop() {
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        if path.is_dir() {
            if !["tests", "target", "node_modules"].contains(&name.as_str()) {
                open.extend(
                    std::fs::read_dir(&path)
                        .unwrap()
                        .map(|entry| entry.unwrap().path()),
                );
            }
        } else if path.extension().is_some_and(|it| it == "rs") && name != "tests.rs" && name != "testing.rs"
        {
            let code = std::fs::read_to_string(&path).unwrap();
            let code = code.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
            if is(code) {
                found.push(path.strip_prefix(&root).unwrap().to_string_lossy().into_owned());
            }
        }
    }
    found.sort();
    found
}
