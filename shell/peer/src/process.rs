//! What the kernel knows about a process: executable, parent, start, cgroup.

use crate::{PeerError, PidFd};
use aws_lc_rs::digest::{Context, SHA256};
use identity::Digest;
use rustix::process::Pid;
use std::collections::HashMap;
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::Mutex;

/// The file that a process executes. Device and inode identify it; the path is only for people.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Executable {
    /// Where it was when it was started; ends in ` (deleted)` if it is no longer there.
    pub path: PathBuf,
    /// Device number.
    pub device: u64,
    /// Inode number.
    pub inode: u64,
}

impl Executable {
    /// Whether both are the same file.
    pub const fn is(&self, other: &Self) -> bool {
        self.device == other.device && self.inode == other.inode
    }
    /// What `process` executes now.
    pub fn of(process: &PidFd) -> Result<Self, PeerError> {
        let (executable, _) = open_executable(process)?;
        process.check()?;
        Ok(executable)
    }
}

/// A process as it was at one moment, read without a race: all fields belong to one and the same process.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Process {
    /// Its pid in our namespace.
    pub pid: i32,
    /// Its pidfd inode.
    pub instance: u64,
    /// Its parent's pid; 0 when the parent is outside our namespace.
    pub parent: i32,
    /// When it was started, in clock ticks after boot (`/proc/PID/stat` field 22).
    pub started: u64,
    /// What it executes.
    pub executable: Executable,
    /// SHA-256 of the executable's bytes, read through `/proc/PID/exe`: of the file that runs, not of what has its path now.
    pub executable_digest: Digest,
    /// SHA-256 of its arguments. It can overwrite them: for the record only, never a proof.
    pub argv_digest: Digest,
    /// Its cgroup, as the kernel names it.
    pub cgroup: String,
}

impl Process {
    /// Reads everything about `process`.
    pub fn of(process: &PidFd, digests: &ExecutableDigests) -> Result<Self, PeerError> {
        let pid = process.pid().as_raw_nonzero().get();
        let (executable, file) = open_executable(process)?;
        let executable_digest = digests.of(file)?;
        let stat = Stat::of(process.pid())?;
        let argv = read_capped(&format!("/proc/{pid}/cmdline"), ARGV_BYTES_MAX)?;
        let cgroup = read_capped(&format!("/proc/{pid}/cgroup"), CGROUP_BYTES_MAX)?;
        process.check()?;
        Ok(Self {
            pid,
            instance: process.inode(),
            parent: stat.parent,
            started: stat.started,
            executable,
            executable_digest,
            argv_digest: sha256(&argv),
            cgroup: String::from_utf8_lossy(&cgroup).trim_end().to_owned(),
        })
    }
}

/// The SHA-256 of executables, kept by file identity and change time so that an interpreter is not hashed at each call.
#[derive(Debug, Default)]
pub struct ExecutableDigests(Mutex<HashMap<[i64; 6], Digest>>);

impl ExecutableDigests {
    /// The digest of an open file.
    pub fn of(&self, mut file: File) -> Result<Digest, PeerError> {
        let version = version_of(&file)?;
        if let Some(known) = self.0.lock().ok().and_then(|known| known.get(&version).copied()) {
            return Ok(known);
        }
        let mut context = Context::new(&SHA256);
        let mut piece = vec![0; 1 << 16];
        loop {
            match file.read(&mut piece)? {
                0 => break,
                got => context.update(piece.get(..got).unwrap_or_default()),
            }
        }
        let digest = digest_of(context);
        // A file that changed while it was read has no digest to remember.
        if version_of(&file)? != version {
            return Err(PeerError::Malformed("PID/exe"));
        }
        if let Ok(mut known) = self.0.lock() {
            if known.len() >= DIGESTS_MAX {
                known.clear();
            }
            known.insert(version, digest);
        }
        Ok(digest)
    }
}

/// The parts of `/proc/PID/stat` we use.
pub(crate) struct Stat {
    pub(crate) name: String,
    pub(crate) parent: i32,
    pub(crate) started: u64,
}

impl Stat {
    pub(crate) fn of(pid: Pid) -> Result<Self, PeerError> {
        let text = read_capped(&format!("/proc/{}/stat", pid.as_raw_nonzero()), STAT_BYTES_MAX)?;
        Self::parse(&String::from_utf8_lossy(&text)).ok_or(PeerError::Malformed("PID/stat"))
    }
    /// The name stands in parentheses and may hold anything, spaces and parentheses too: cut at the last one.
    fn parse(text: &str) -> Option<Self> {
        let (head, tail) = text.rsplit_once(')')?;
        let (_, name) = head.split_once('(')?;
        let mut fields = tail.split_ascii_whitespace();
        let parent = fields.nth(1)?.parse().ok()?;
        let started = fields.nth(17)?.parse().ok()?;
        Some(Self {
            name: name.to_owned(),
            parent,
            started,
        })
    }
}

fn open_executable(process: &PidFd) -> Result<(Executable, File), PeerError> {
    let link = format!("/proc/{}/exe", process.pid().as_raw_nonzero());
    let path = std::fs::read_link(&link).map_err(gone)?;
    let file = File::open(&link).map_err(gone)?;
    let meta = file.metadata()?;
    Ok((
        Executable {
            path,
            device: meta.dev(),
            inode: meta.ino(),
        },
        file,
    ))
}

fn version_of(file: &File) -> Result<[i64; 6], PeerError> {
    let meta = file.metadata()?;
    Ok([
        meta.dev().cast_signed(),
        meta.ino().cast_signed(),
        meta.size().cast_signed(),
        meta.mtime()
            .wrapping_mul(1_000_000_000)
            .wrapping_add(meta.mtime_nsec()),
        meta.ctime(),
        meta.ctime_nsec(),
    ])
}

fn read_capped(path: &str, max: u64) -> Result<Vec<u8>, PeerError> {
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(max).read_to_end(&mut bytes))
        .map_err(gone)?;
    Ok(bytes)
}

/// `/proc` of an ended process disappears (ENOENT) or answers ESRCH.
fn gone(error: std::io::Error) -> PeerError {
    match error.raw_os_error() {
        Some(libc::ENOENT | libc::ESRCH) => PeerError::Gone,
        _ => PeerError::Io(error),
    }
}

fn sha256(bytes: &[u8]) -> Digest {
    let mut context = Context::new(&SHA256);
    context.update(bytes);
    digest_of(context)
}

fn digest_of(context: Context) -> Digest {
    Digest::from_bytes(context.finish().as_ref().try_into().unwrap_or_default())
}

/// Linux allows 2 MiB of arguments (a quarter of an 8 MiB stack); what is beyond is not hashed.
const ARGV_BYTES_MAX: u64 = 2 << 20;
/// A few paths of at most 4 KiB each.
const CGROUP_BYTES_MAX: u64 = 64 << 10;
/// 52 numbers and a name of 64 bytes.
const STAT_BYTES_MAX: u64 = 4 << 10;
/// A host has a few dozen interpreters; more means somebody makes executables to fill the memory.
const DIGESTS_MAX: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_read_completely() {
        let own = PidFd::open(rustix::process::getpid()).unwrap();
        let digests = ExecutableDigests::default();
        let process = Process::of(&own, &digests).unwrap();
        assert_eq!(process.pid, i32::try_from(std::process::id()).unwrap());
        assert_eq!(process.executable.path, std::env::current_exe().unwrap());
        assert!(process.started > 0);
        let bytes = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        assert_eq!(process.executable_digest, sha256(&bytes));
        assert_eq!(digests.0.lock().unwrap().len(), 1);
    }

    #[test]
    fn a_process_name_can_not_forge_its_parent() {
        let stat = "77 (x) S 1 (evil) R 42 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 987 0 0";
        let parsed = Stat::parse(stat).unwrap();
        assert_eq!((parsed.parent, parsed.started), (42, 987));
        assert_eq!(parsed.name, "x) S 1 (evil");
        assert!(Stat::parse("77 nothing").is_none());
    }

    #[test]
    fn an_ended_process_says_nothing() {
        let mut child = std::process::Command::new("/bin/true").spawn().unwrap();
        let pidfd = PidFd::open(Pid::from_child(&child)).unwrap();
        child.wait().unwrap();
        assert!(matches!(
            Process::of(&pidfd, &ExecutableDigests::default()),
            Err(PeerError::Gone)
        ));
    }
}
