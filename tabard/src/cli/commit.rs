//! The commit that contracts come from, as far as it can be looked at: what is sent has to be what stands in it.
//!
//! The record keeps whatever whoever applies a contract says, and the server cannot look into their repository. Here, beside
//! the file, one can: where there is a `.git`, the file's bytes are compared with those of the commit, so a changed or an
//! untracked file is never recorded as it. Where there is none, it is recorded as said.

use super::Failure;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What makes git look at another repository than the one that is there, as a hook of it does.
const ELSEWHERE: [&str; 8] = [
    "GIT_DIR",
    "GIT_COMMON_DIR",
    "GIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_OBJECT_DIRECTORY",
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_GRAFT_FILE",
    "GIT_REPLACE_REF_BASE",
];

/// The whole id of the commit that `said` names, if each of the files is in it as it is sent.
pub(super) fn checked<'f>(
    said: Option<&str>,
    files: impl IntoIterator<Item = (&'f Path, &'f str)>,
) -> Result<Option<String>, Failure> {
    let Some(said) = said else { return Ok(None) };
    let mut ids = BTreeMap::new();
    for (file, text) in files {
        let folder = folder_of(file)?;
        if !folder.ancestors().any(|above| above.join(".git").exists()) {
            continue;
        }
        let id = match ids.entry(folder.clone()) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => new.insert(resolved(&folder, said)?),
        };
        let mut object = OsString::from(format!("{id}:./"));
        object.push(file.file_name().unwrap_or_default());
        match git(&folder, [OsStr::new("cat-file"), OsStr::new("blob"), &object])? {
            Some(bytes) if bytes == text.as_bytes() => {}
            Some(_) => return Err(not_that(file, said, "it is another text there")),
            None => return Err(not_that(file, said, "the commit has no such file")),
        }
    }
    let mut ids = ids.into_values();
    let whole = ids.next();
    if ids.any(|id| Some(id) != whole) {
        return Err(Failure::new(
            "COMMIT_UNKNOWN",
            format!("{said:?} is another commit in each repository"),
        )
        .because("the files lie in several")
        .fix("Apply those of one repository at a time."));
    }
    Ok(Some(whole.unwrap_or_else(|| said.to_owned())))
}

/// Where a file lies, whatever links lead there. The file itself may be a link: git keeps where it leads, not what is there.
fn folder_of(file: &Path) -> Result<PathBuf, Failure> {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or_else(|| Path::new("."));
    folder.canonicalize().map_err(|error| {
        Failure::new("FILE_UNREADABLE", format!("{} cannot be read", file.display()))
            .because(error.to_string())
            .fix("Check the path.")
    })
}

/// The whole id of a commit.
fn resolved(folder: &Path, said: &str) -> Result<String, Failure> {
    let unknown = || {
        Failure::new(
            "COMMIT_UNKNOWN",
            format!("there is no commit {said:?} in {}", folder.display()),
        )
        .because("the files lie in a git repository, so what is said of them is compared with it")
        .fix("Name a commit of this repository, as `git rev-parse HEAD` prints it, or leave --commit out.")
    };
    // What git would take for an option or a range is no commit.
    let plain = |c: char| c.is_ascii_alphanumeric() || "._/@{}~^-".contains(c);
    if said.is_empty() || said.starts_with('-') || said.contains("..") || !said.chars().all(plain) {
        return Err(unknown());
    }
    if git(folder, ["rev-parse", "--git-dir"])?.is_none() {
        return Err(unchecked(
            "git does not take it for a repository, or for one of yours",
        ));
    }
    let commit = format!("{said}^{{commit}}");
    let found = git(folder, ["rev-parse", "--verify", "--quiet", &commit])?;
    let id = found.and_then(|bytes| String::from_utf8(bytes).ok());
    let id = id.map(|id| id.trim().to_owned());
    id.filter(|id| !id.is_empty()).ok_or_else(unknown)
}

/// What git prints of the repository around `folder`; `None` where it says no.
fn git<A: AsRef<OsStr>>(
    folder: &Path,
    arguments: impl IntoIterator<Item = A>,
) -> Result<Option<Vec<u8>>, Failure> {
    let mut command = Command::new("git");
    for name in ELSEWHERE {
        command.env_remove(name);
    }
    let made = command
        .arg("-C")
        .arg(folder)
        .args(arguments)
        .env("GIT_NO_REPLACE_OBJECTS", "1")
        .env("GIT_NO_LAZY_FETCH", "1")
        .env("GIT_TERMINAL_PROMPT", "0")
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output();
    let output = made.map_err(|error| unchecked(&format!("git does not start: {error}")))?;
    Ok(output.status.success().then_some(output.stdout))
}

fn unchecked(why: &str) -> Failure {
    Failure::new("COMMIT_UNCHECKED", "the commit cannot be compared with the files")
        .because(why)
        .fix("Make `git` work in their folder, or leave --commit out.")
}

fn not_that(file: &Path, said: &str, why: &str) -> Failure {
    Failure::new(
        "COMMIT_DIFFERS",
        format!("{} is not as it is in commit {said}", file.display()),
    )
    .because(format!(
        "{why}; the record would say of a text that it is the commit's"
    ))
    .fix("Commit it and name that commit, check that commit out, or leave --commit out.")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    struct Repository(tempfile::TempDir);

    impl Repository {
        fn new() -> Self {
            let repository = Self(tempfile::tempdir().unwrap());
            repository.git(&["init", "--quiet"]);
            repository
        }
        fn file(&self, name: &str) -> PathBuf {
            self.0.path().join(name)
        }
        fn git(&self, arguments: &[&str]) -> String {
            // Whoever runs the tests may do so in a hook of their own repository.
            let mut command = Command::new("git");
            for name in ELSEWHERE {
                command.env_remove(name);
            }
            let who = [
                "-c",
                "user.name=t",
                "-c",
                "user.email=t@t",
                "-c",
                "commit.gpgsign=false",
            ];
            let output = command
                .arg("-C")
                .arg(self.0.path())
                .args(who)
                .args(arguments)
                .output()
                .unwrap();
            assert!(output.status.success(), "{output:?}");
            String::from_utf8(output.stdout).unwrap().trim().to_owned()
        }
        fn commits(&self, name: &str, text: &str) -> String {
            let file = self.file(name);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, text).unwrap();
            self.git(&["add", "--all"]);
            self.git(&["commit", "--quiet", "--message", "x"]);
            self.git(&["rev-parse", "HEAD"])
        }
        fn says(&self, commit: &str, name: &str) -> Result<Option<String>, String> {
            let file = self.file(name);
            let text = fs::read_to_string(&file).unwrap();
            checked(Some(commit), [(file.as_path(), text.as_str())])
                .map_err(|failure| failure.code().to_owned())
        }
    }

    #[test]
    fn only_what_is_in_the_commit_is_recorded_as_it() {
        let repository = Repository::new();
        let first = repository.commits("contracts/a.yaml", "one\n");
        let second = repository.commits("contracts/a.yaml", "two\n");
        let says = |commit: &str| repository.says(commit, "contracts/a.yaml");
        assert_eq!(says(&second), Ok(Some(second.clone())));
        // However it is named, the whole id is recorded.
        assert_eq!(says(second.get(..10).unwrap()), Ok(Some(second.clone())));
        assert_eq!(says("HEAD"), Ok(Some(second.clone())));
        // Another commit's text, a changed file, one that nobody added, and no commit at all.
        assert_eq!(says(&first), Err("COMMIT_DIFFERS".into()));
        fs::write(repository.file("contracts/a.yaml"), "three\n").unwrap();
        assert_eq!(says(&second), Err("COMMIT_DIFFERS".into()));
        repository.git(&["add", "--all"]);
        assert_eq!(says(&second), Err("COMMIT_DIFFERS".into()));
        fs::write(repository.file("contracts/new.yaml"), "one\n").unwrap();
        assert_eq!(
            repository.says(&second, "contracts/new.yaml"),
            Err("COMMIT_DIFFERS".into())
        );
        for odd in [
            "0000000000",
            "--help",
            "",
            "HEAD..HEAD",
            "HEAD:contracts/a.yaml",
            "a b",
        ] {
            assert_eq!(says(odd), Err("COMMIT_UNKNOWN".into()), "{odd}");
        }
        // A tree is no commit.
        let tree = repository.git(&["rev-parse", "HEAD^{tree}"]);
        assert_eq!(says(&tree), Err("COMMIT_UNKNOWN".into()));
    }

    #[test]
    fn a_commit_that_was_replaced_here_is_still_what_it_was() {
        let repository = Repository::new();
        let first = repository.commits("a.yaml", "one\n");
        let second = repository.commits("a.yaml", "two\n");
        repository.git(&["replace", &first, &second]);
        assert_eq!(repository.says(&first, "a.yaml"), Err("COMMIT_DIFFERS".into()));
    }

    #[test]
    fn where_there_is_no_repository_it_is_recorded_as_said() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.yaml");
        let said =
            checked(Some("abc"), [(file.as_path(), "one\n")]).map_err(|failure| failure.code().to_owned());
        assert_eq!(said, Ok(Some("abc".to_owned())));
        assert_eq!(checked(None, [(file.as_path(), "")]).map_err(|_| ()), Ok(None));
    }

    #[test]
    fn a_repository_that_cannot_be_looked_at_is_not_believed() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join(".git")).unwrap();
        let file = folder.path().join("a.yaml");
        let said =
            checked(Some("abc"), [(file.as_path(), "one\n")]).map_err(|failure| failure.code().to_owned());
        assert_eq!(said, Err("COMMIT_UNCHECKED".to_owned()));
    }
}
