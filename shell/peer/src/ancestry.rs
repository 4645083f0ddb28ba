//! The line of parents of a process: how a run's children are found, daemonised ones too.
//!
//! Each run has a supervisor of ours that is a child subreaper (`prctl(2)`, PR_SET_CHILD_SUBREAPER): whoever in the run
//! loses its parent becomes the supervisor's child. So every process of a run has its supervisor as an ancestor,
//! however it was started.

use crate::process::Stat;
use crate::{PeerError, PidFd};
use rustix::process::Pid;

/// Deepest process tree we follow. Real ones have a dozen levels; a deeper one was made to tire us.
pub const ANCESTORS_MAX: usize = 256;

/// The name (`comm`) of every supervisor of a run, also of another node agent on this host. A process can only give
/// this name to itself, which only takes rights away from its children.
pub const SUPERVISOR_NAME: &str = "tabard-run";

/// One parent in the line.
#[derive(Debug)]
pub struct Ancestor {
    /// The process.
    pub process: PidFd,
    /// Its name (`comm`). It chose it itself.
    pub name: String,
}

/// The parents of `of`, nearest first, up to the first process of our pid namespace. Any doubt is an error, and
/// every error means that the process may be inside a run.
pub fn ancestors(of: &PidFd) -> Result<Vec<Ancestor>, PeerError> {
    let mut line: Vec<Ancestor> = Vec::new();
    loop {
        let child = line.last().map_or(of, |last| &last.process);
        let Some(parent) = Pid::from_raw(Stat::of(child.pid())?.parent) else {
            child.check()?;
            return Ok(line);
        };
        let process = PidFd::open(parent)?;
        let name = Stat::of(parent)?.name;
        process.check()?;
        // Still its child: otherwise the parent died in between and the pid may be a stranger's.
        if Stat::of(child.pid())?.parent != parent.as_raw_nonzero().get() {
            continue;
        }
        child.check()?;
        if line.len() == ANCESTORS_MAX {
            return Err(PeerError::TooDeep);
        }
        line.push(Ancestor { process, name });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_begins_with_the_parent_and_ends_at_the_first_process() {
        let mut child = std::process::Command::new("/bin/sleep")
            .arg("60")
            .spawn()
            .unwrap();
        let line = ancestors(&PidFd::open(Pid::from_child(&child)).unwrap()).unwrap();
        assert_eq!(line[0].process.pid(), rustix::process::getpid());
        assert!(line.len() >= 2);
        child.kill().unwrap();
        child.wait().unwrap();
    }

    #[test]
    fn a_dead_process_has_no_line() {
        let mut child = std::process::Command::new("/bin/true").spawn().unwrap();
        let pidfd = PidFd::open(Pid::from_child(&child)).unwrap();
        child.wait().unwrap();
        assert!(ancestors(&pidfd).is_err());
    }
}
