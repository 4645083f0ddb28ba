//! The command line's side of a launch: ask, pass signals on, wait for the end.

use super::frame::Link;
use super::protocol::{Ask, Launch, Tell};
use crate::authority::Ended;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

/// How long a node agent may take to say that a request has arrived. It says so before it looks at it.
const HEARD_WITHIN: Duration = Duration::from_secs(5);

/// How a launch ended, as far as the command line knows.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// The command ran and ended.
    Ended(Ended),
    /// It was never started.
    Refused {
        /// Stable code.
        code: String,
        /// Where it is recorded, for `tabard explain`.
        decision: Option<String>,
        /// What and why.
        message: String,
        /// What to do about it.
        fix: String,
    },
}

/// Why the node agent could not be asked.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody listens on the socket.
    #[error("no node agent listens on {path}: start one with `tabard dev` or `tabard node` ({error})")]
    Unreachable {
        /// Where it should.
        path: String,
        /// What the kernel said.
        error: io::Error,
    },
    /// It took the connection and says nothing: stopped, or stuck.
    #[error("the node agent does not answer: it has not taken the request within {} s", HEARD_WITHIN.as_secs())]
    Silent,
    /// It hung up in the middle.
    #[error("the node agent hung up before the run ended")]
    HungUp,
    /// The connection broke.
    #[error("the connection to the node agent broke: {0}")]
    Broken(#[from] io::Error),
}

/// Sends signals to a run that [`run`] waits for. May be used from a signal-handling thread.
#[derive(Debug)]
pub struct Signals(UnixStream);

impl Signals {
    /// Passes one signal on.
    pub fn send(&self, signal: i32) -> io::Result<()> {
        Link::new(self.0.try_clone()?).send(&Ask::Signal { signal }, &[])
    }
}

/// Asks the node agent on `socket` to run `launch` with our standard streams, and waits for its end. `started` gets the
/// handle for signals once the request is sent; `story` gets each line of the story.
pub fn run(
    socket: &Path,
    launch: Launch,
    started: impl FnOnce(Signals),
    mut story: impl FnMut(super::Story),
) -> Result<Outcome, ClientError> {
    let stream = UnixStream::connect(socket).map_err(|error| ClientError::Unreachable {
        path: socket.display().to_string(),
        error,
    })?;
    let signals = Signals(stream.try_clone()?);
    let patience = stream.try_clone()?;
    patience.set_read_timeout(Some(HEARD_WITHIN))?;
    let mut link = Link::new(stream);
    let (stdin, stdout, stderr) = (io::stdin(), io::stdout(), io::stderr());
    let streams: [BorrowedFd<'_>; 3] = [stdin.as_fd(), stdout.as_fd(), stderr.as_fd()];
    link.send(&Ask::Launch(launch), &streams)?;
    started(signals);
    loop {
        let told = link.receive().map_err(|error| match error.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => ClientError::Silent,
            _ => ClientError::Broken(error),
        })?;
        match told {
            // From here on it takes as long as it takes.
            Some(Tell::Heard) => patience.set_read_timeout(None)?,
            None => return Err(ClientError::HungUp),
            Some(Tell::Story(line)) => story(line),
            Some(Tell::Exited { ended }) => return Ok(Outcome::Ended(ended)),
            Some(Tell::Refused {
                code,
                decision,
                message,
                fix,
            }) => {
                return Ok(Outcome::Refused {
                    code,
                    decision,
                    message,
                    fix,
                });
            }
        }
    }
}
