//! A process, held so that it can not be confused with a later one of the same pid.

use crate::PeerError;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// A pidfd and the two numbers that name its process: the pid (for `/proc`), and the inode, which the kernel
/// never gives to another process of the same boot (Linux 6.9, pidfs) and which survives `exec`.
#[derive(Debug)]
pub struct PidFd {
    fd: OwnedFd,
    pid: Pid,
    inode: u64,
}

impl PidFd {
    /// The process that has this pid now.
    pub fn open(pid: Pid) -> Result<Self, PeerError> {
        Self::adopt(pidfd_open(pid, PidfdFlags::empty())?, pid)
    }
    /// A pidfd received from elsewhere; its pid is asked from the kernel.
    pub fn from_fd(fd: OwnedFd) -> Result<Self, PeerError> {
        let number = std::os::fd::AsRawFd::as_raw_fd(&fd);
        let info = std::fs::read_to_string(format!("/proc/self/fdinfo/{number}"))?;
        let pid = info
            .lines()
            .find_map(|line| line.strip_prefix("Pid:"))
            .and_then(|rest| rest.trim().parse::<i32>().ok())
            .ok_or(PeerError::Kernel("pidfd"))?;
        match pid {
            -1 => Err(PeerError::Gone),
            0 => Err(PeerError::Invisible),
            pid => Self::adopt(fd, Pid::from_raw(pid).ok_or(PeerError::Invisible)?),
        }
    }
    /// A pidfd whose pid the kernel has told us together with it.
    pub(crate) fn adopt(fd: OwnedFd, pid: Pid) -> Result<Self, PeerError> {
        let stat = rustix::fs::fstat(&fd)?;
        // Before Linux 6.9 all pidfds share one anonymous inode, which would make every process "the same".
        let pidfs = rustix::fs::fstatfs(&fd)?.f_type == PIDFS_MAGIC;
        if !pidfs {
            return Err(PeerError::Kernel("pidfs"));
        }
        Ok(Self {
            fd,
            pid,
            inode: stat.st_ino,
        })
    }

    /// The pid in our namespace. Means this process only as long as [`PidFd::is_alive`].
    pub const fn pid(&self) -> Pid {
        self.pid
    }
    /// The inode: the name of this process for as long as the machine runs.
    pub const fn inode(&self) -> u64 {
        self.inode
    }
    /// Whether the process still runs. A zombie does not.
    pub fn is_alive(&self) -> bool {
        let mut fds = [PollFd::new(&self.fd, PollFlags::IN)];
        matches!(
            poll(
                &mut fds,
                Some(&Timespec {
                    tv_sec: 0,
                    tv_nsec: 0
                })
            ),
            Ok(0)
        )
    }
    /// Fails with [`PeerError::Gone`] when the process has ended: the third step of "pidfd, /proc, pidfd again".
    pub fn check(&self) -> Result<(), PeerError> {
        if self.is_alive() {
            Ok(())
        } else {
            Err(PeerError::Gone)
        }
    }
    /// Sends a signal to exactly this process.
    pub fn signal(&self, signal: Signal) -> Result<(), PeerError> {
        Ok(pidfd_send_signal(&self.fd, signal)?)
    }
}

impl AsFd for PidFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// `PID_FS_MAGIC` of `linux/magic.h`.
const PIDFS_MAGIC: rustix::fs::FsWord = 0x5049_4446;

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn two_processes_have_two_inodes_and_a_dead_one_is_seen() {
        let mut child = Command::new("/bin/sleep").arg("60").spawn().unwrap();
        let own = PidFd::open(rustix::process::getpid()).unwrap();
        let other = PidFd::open(Pid::from_child(&child)).unwrap();
        assert_ne!(own.inode(), other.inode());
        assert_eq!(
            other.inode(),
            PidFd::open(Pid::from_child(&child)).unwrap().inode()
        );
        assert!(other.is_alive());
        other.signal(Signal::KILL).unwrap();
        child.wait().unwrap();
        assert!(!other.is_alive());
        assert!(matches!(other.check(), Err(PeerError::Gone)));
    }
}
