//! Who is on the other end: the kernel's word about the process behind a local connection.
//!
//! Everything the node agent says about a process starts here, with a pidfd: first the pidfd, then `/proc`, then a look
//! whether the pidfd is still alive. A pid that was reused in between can not pass. Nothing in this crate decides
//! what a process may do.
//!
//! What a process can write itself (its arguments, its environment) is read as a digest for the record only and
//! identifies nobody.

mod ancestry;
mod pidfd;
mod process;
mod socket;
pub mod sys;
mod tcp;

pub use ancestry::{ANCESTORS_MAX, Ancestor, SUPERVISOR_NAME, ancestors};
pub use pidfd::PidFd;
pub use process::{Executable, ExecutableDigests, Process};
pub use socket::{Listener, Peer, WitnessedStream};
pub use tcp::{TcpOwner, owner_among};

/// Why nothing can be said about a process. Every one of them means "treat it as unknown".
#[derive(Debug, thiserror::Error)]
pub enum PeerError {
    /// The process ended before or while it was looked at.
    #[error("the process has ended")]
    Gone,
    /// The kernel does not offer what we need to bind a connection to a process.
    #[error("this kernel has no {0}: Linux 6.9 or newer is needed to bind a connection to a process")]
    Kernel(&'static str),
    /// The peer lives in another pid namespace that we can not see into.
    #[error("the process is not visible from our pid namespace")]
    Invisible,
    /// Bytes on a connection were written by another process than the one that opened it.
    #[error("bytes came from pid {writer}, but pid {opener} opened the connection")]
    Inherited {
        /// Who wrote.
        writer: i32,
        /// Who connected.
        opener: i32,
    },
    /// A file under `/proc` that is not what the kernel documents.
    #[error("/proc/{0} is malformed")]
    Malformed(&'static str),
    /// A process tree deeper than [`ANCESTORS_MAX`].
    #[error("the process has more than 256 ancestors")]
    TooDeep,
    /// Any other refusal of the kernel.
    #[error("the kernel refused: {0}")]
    Io(#[from] std::io::Error),
}

impl From<rustix::io::Errno> for PeerError {
    fn from(errno: rustix::io::Errno) -> Self {
        match errno {
            rustix::io::Errno::SRCH => Self::Gone,
            other => Self::Io(other.into()),
        }
    }
}
