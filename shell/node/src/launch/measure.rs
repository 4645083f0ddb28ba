//! Measuring code before it runs: the digest of a file, and of a tree of files.
//!
//! A tree's digest is SHA-256 over one line an entry, sorted by path: kind, mode, content digest or link target, and the
//! path relative to the root. Names, permissions and contents count; owners and times do not.
//! On storage that can change, this says what was there when it was read.

use aws_lc_rs::digest::{Context, SHA256};
use identity::Digest;
use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags};
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

/// Most entries of one tree. A large agent with its virtual environment has about 30,000.
pub const TREE_FILES_MAX: usize = 200_000;
/// Most bytes of one tree: some seconds of reading.
pub const TREE_BYTES_MAX: u64 = 4 << 30;
/// Deepest directory of a tree.
pub const TREE_DEPTH_MAX: usize = 64;

/// What was found before a launch.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Measurement {
    /// Path of the executable.
    pub executable: PathBuf,
    /// Its digest.
    pub executable_digest: Digest,
    /// Its device and inode: what the process is bound to.
    pub executable_file: (u64, u64),
    /// The script, if the executable is its interpreter.
    pub script: Option<MeasuredRoot>,
    /// The roots of the launch spec, in its order.
    pub roots: Vec<MeasuredRoot>,
    /// SHA-256 over the arguments, each followed by a zero byte.
    pub argv_digest: Digest,
    /// Whether the spec says which command runs.
    pub pinned: bool,
    /// How far the run is separated.
    pub separation: Separation,
}

/// How far a run is separated from the rest of its host.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Separation {
    /// Not at all: processes of the same uid can take it over.
    None,
    /// It can not get out. But its namespaces belong to its own uid, so other processes of that uid can get in
    /// (`ptrace(2)`: the owner of a user namespace has every capability in it).
    Confined,
    /// It can not get out, and other processes of its uid can not get in: its namespaces belong to the node agent's uid.
    Sealed,
}

/// One measured file or tree.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct MeasuredRoot {
    /// Where.
    pub path: PathBuf,
    /// What.
    pub digest: Digest,
    /// How many files.
    pub files: usize,
}

/// Why something has no digest. The launch is refused.
#[derive(Debug, thiserror::Error)]
pub enum MeasureError {
    /// Could not be read.
    #[error("{path} can not be read: {error}")]
    Unreadable {
        /// Which one.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// Changed while it was read.
    #[error("{0} changed while it was measured")]
    Changed(PathBuf),
    /// A link out of the tree would bring in code that is not measured.
    #[error("{0} links to something outside its tree")]
    Escapes(PathBuf),
    /// A device, socket or pipe.
    #[error("{0} is neither a file, a directory nor a link")]
    Special(PathBuf),
    /// More than [`TREE_FILES_MAX`].
    #[error("{0} has more than 200000 entries")]
    TooManyFiles(PathBuf),
    /// More than [`TREE_BYTES_MAX`].
    #[error("{0} is larger than 4 GiB")]
    TooLarge(PathBuf),
    /// More than [`TREE_DEPTH_MAX`].
    #[error("{0} is deeper than 64 directories")]
    TooDeep(PathBuf),
}

/// Digest of an open file, from its beginning. Refused when the file changes meanwhile.
pub(super) fn file_digest(file: &File, path: &Path) -> Result<Digest, MeasureError> {
    let unreadable = |error| MeasureError::Unreadable {
        path: path.to_owned(),
        error,
    };
    let version = |file: &File| {
        file.metadata()
            .map(|meta| (meta.size(), meta.mtime(), meta.mtime_nsec(), meta.ctime_nsec()))
    };
    let before = version(file).map_err(unreadable)?;
    let mut context = Context::new(&SHA256);
    let (mut piece, mut at) = (vec![0; 1 << 16], 0);
    loop {
        let got = std::os::unix::fs::FileExt::read_at(file, &mut piece, at).map_err(unreadable)?;
        if got == 0 {
            break;
        }
        context.update(piece.get(..got).unwrap_or_default());
        at += got as u64;
    }
    if version(file).map_err(unreadable)? != before {
        return Err(MeasureError::Changed(path.to_owned()));
    }
    Ok(finish(context))
}

/// Digest of the executable at `path`.
pub fn executable_digest(path: &Path) -> Result<Digest, MeasureError> {
    let file = File::open(path).map_err(|error| MeasureError::Unreadable {
        path: path.to_owned(),
        error,
    })?;
    file_digest(&file, path)
}

/// SHA-256 over words, each followed by a zero byte.
pub(super) fn words_digest(words: &[String]) -> Digest {
    let mut context = Context::new(&SHA256);
    for word in words {
        context.update(word.as_bytes());
        context.update(&[0]);
    }
    finish(context)
}

/// Measures a file or a tree.
pub fn measure(root: &Path) -> Result<MeasuredRoot, MeasureError> {
    let unreadable = |error: rustix::io::Errno| MeasureError::Unreadable {
        path: root.to_owned(),
        error: error.into(),
    };
    let fd = rustix::fs::openat(
        CWD,
        root,
        OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK,
        Mode::empty(),
    )
    .map_err(unreadable)?;
    let stat = rustix::fs::fstat(&fd).map_err(unreadable)?;
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => {
            let digest = file_digest(&File::from(fd), root)?;
            Ok(MeasuredRoot {
                path: root.to_owned(),
                digest,
                files: 1,
            })
        }
        FileType::Directory => {
            let mut tree = Tree {
                root: root.to_owned(),
                lines: Vec::new(),
                bytes: 0,
            };
            tree.walk(&fd, Path::new(""), 0)?;
            tree.lines.sort_unstable();
            let mut context = Context::new(&SHA256);
            tree.lines.iter().for_each(|line| context.update(line));
            Ok(MeasuredRoot {
                path: root.to_owned(),
                digest: finish(context),
                files: tree.lines.len(),
            })
        }
        _ => Err(MeasureError::Special(root.to_owned())),
    }
}

struct Tree {
    root: PathBuf,
    lines: Vec<Vec<u8>>,
    bytes: u64,
}

impl Tree {
    fn walk(&mut self, dir: &OwnedFd, inside: &Path, depth: usize) -> Result<(), MeasureError> {
        if depth > TREE_DEPTH_MAX {
            return Err(MeasureError::TooDeep(self.root.join(inside)));
        }
        let failed = |path: &Path, error: rustix::io::Errno| MeasureError::Unreadable {
            path: path.to_owned(),
            error: error.into(),
        };
        for entry in
            rustix::fs::Dir::read_from(dir).map_err(|error| failed(&self.root.join(inside), error))?
        {
            let entry = entry.map_err(|error| failed(&self.root.join(inside), error))?;
            let name = entry.file_name();
            if matches!(name.to_bytes(), b"." | b"..") {
                continue;
            }
            let relative = inside.join(std::ffi::OsStr::from_bytes(name.to_bytes()));
            let full = self.root.join(&relative);
            let stat = rustix::fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW)
                .map_err(|error| failed(&full, error))?;
            let open = |flags| {
                rustix::fs::openat(
                    dir,
                    name,
                    flags | OFlags::NOFOLLOW | OFlags::CLOEXEC,
                    Mode::empty(),
                )
                .map_err(|error| failed(&full, error))
            };
            let mode = stat.st_mode & 0o7777;
            match FileType::from_raw_mode(stat.st_mode) {
                FileType::Directory => {
                    self.add(&relative, 'd', mode, "-")?;
                    self.walk(&open(OFlags::RDONLY | OFlags::DIRECTORY)?, &relative, depth + 1)?;
                }
                FileType::RegularFile => {
                    let file = File::from(open(OFlags::RDONLY | OFlags::NONBLOCK)?);
                    self.bytes = self
                        .bytes
                        .saturating_add(u64::try_from(stat.st_size).unwrap_or(u64::MAX));
                    if self.bytes > TREE_BYTES_MAX {
                        return Err(MeasureError::TooLarge(self.root.clone()));
                    }
                    let digest = file_digest(&file, &full)?;
                    self.add(&relative, 'f', mode, &digest.hex())?;
                }
                FileType::Symlink => {
                    let target = rustix::fs::readlinkat(dir, name, Vec::new())
                        .map_err(|error| failed(&full, error))?;
                    let target = Path::new(std::ffi::OsStr::from_bytes(target.as_bytes()));
                    if !stays_inside(inside, target) {
                        return Err(MeasureError::Escapes(full));
                    }
                    self.add(&relative, 'l', 0, &hex(target.as_os_str().as_bytes()))?;
                }
                _ => return Err(MeasureError::Special(full)),
            }
        }
        Ok(())
    }
    fn add(&mut self, relative: &Path, kind: char, mode: u32, content: &str) -> Result<(), MeasureError> {
        if self.lines.len() == TREE_FILES_MAX {
            return Err(MeasureError::TooManyFiles(self.root.clone()));
        }
        // The path comes first so that sorting lines sorts paths, in hex so that no name can imitate a separator.
        let line = format!(
            "{} {kind} {mode:o} {content}\n",
            hex(relative.as_os_str().as_bytes())
        );
        self.lines.push(line.into_bytes());
        Ok(())
    }
}

/// Whether following `target` from the directory `inside` stays in the tree, by its words alone.
fn stays_inside(inside: &Path, target: &Path) -> bool {
    let mut depth = inside.components().count();
    for part in target.components() {
        match part {
            Component::Normal(_) => depth += 1,
            Component::CurDir => {}
            Component::ParentDir => match depth.checked_sub(1) {
                Some(less) => depth = less,
                None => return false,
            },
            Component::RootDir | Component::Prefix(_) => return false,
        }
    }
    true
}

fn hex(bytes: &[u8]) -> String {
    let digit = |nibble: u8| char::from_digit(u32::from(nibble), 16).unwrap_or('0');
    bytes
        .iter()
        .flat_map(|byte| [digit(byte >> 4), digit(byte & 15)])
        .collect()
}

fn finish(context: Context) -> Digest {
    Digest::from_bytes(context.finish().as_ref().try_into().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};

    fn tree() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("pkg")).unwrap();
        std::fs::write(dir.path().join("agent.py"), "print(1)").unwrap();
        std::fs::write(dir.path().join("pkg/lib.py"), "x = 1").unwrap();
        symlink("pkg/lib.py", dir.path().join("link")).unwrap();
        dir
    }

    #[test]
    fn any_change_of_content_name_mode_or_link_changes_the_digest() {
        let dir = tree();
        let digest = || measure(dir.path()).unwrap().digest;
        let first = digest();
        assert_eq!(first, digest());
        std::fs::write(dir.path().join("pkg/lib.py"), "x = 2").unwrap();
        let content = digest();
        std::fs::rename(dir.path().join("agent.py"), dir.path().join("agent2.py")).unwrap();
        let name = digest();
        std::fs::set_permissions(
            dir.path().join("pkg/lib.py"),
            std::fs::Permissions::from_mode(0o755),
        )
        .unwrap();
        let mode = digest();
        std::fs::write(dir.path().join("new.py"), "").unwrap();
        let added = digest();
        let all = [first, content, name, mode, added];
        assert!(all.windows(2).all(|pair| pair[0] != pair[1]));
    }

    #[test]
    fn a_link_out_of_the_tree_is_refused() {
        for target in ["/etc/passwd", "../outside", "pkg/../../x"] {
            let dir = tree();
            symlink(target, dir.path().join("out")).unwrap();
            assert!(
                matches!(measure(dir.path()), Err(MeasureError::Escapes(_))),
                "{target}"
            );
        }
        let dir = tree();
        symlink("../agent.py", dir.path().join("pkg/back")).unwrap();
        assert_eq!(measure(dir.path()).unwrap().files, 5);
    }

    #[test]
    fn a_pipe_in_the_tree_is_refused_and_does_not_block() {
        let dir = tree();
        rustix::fs::mknodat(
            CWD,
            dir.path().join("p"),
            FileType::Fifo,
            Mode::from_raw_mode(0o600),
            0,
        )
        .unwrap();
        assert!(matches!(measure(dir.path()), Err(MeasureError::Special(_))));
        assert!(matches!(
            measure(&dir.path().join("absent")),
            Err(MeasureError::Unreadable { .. })
        ));
    }
}
