//! The store's own threads. Only the writer is waited for by requests; the others yield the processor to them, or a
//! copy of the WAL would hold up whoever is being answered.

use std::io;
use std::thread::{Builder, JoinHandle};

/// How much less of a busy processor background work gets: a tenth of what a request's thread does. It loses nothing
/// when the processor is idle.
const NICE: i32 = 10;

/// Starts a thread that requests wait for.
pub(crate) fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> io::Result<JoinHandle<()>> {
    Builder::new().name(name.to_owned()).spawn(work)
}

/// Starts a thread that nobody waits for.
pub(crate) fn spawn_behind(name: &str, work: impl FnOnce() + Send + 'static) -> io::Result<JoinHandle<()>> {
    spawn(name, || {
        // On Linux "the calling process" is the calling thread here.
        if let Err(error) = rustix::process::setpriority_process(None, NICE) {
            tracing::debug!(%error, "a background thread keeps its priority");
        }
        work();
    })
}
