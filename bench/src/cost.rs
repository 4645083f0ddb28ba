//! What a request costs those who serve it: their CPU time over a round of load, which others make.

use crate::cpu;
use crate::fault::Fault;
use crate::load::{Done, Round};
use crate::part::Part;
use serde::Serialize;
use std::time::Duration;

/// Who serves.
pub(crate) enum Server<'p> {
    /// This process.
    Here,
    /// A part that answers [`crate::part::Orders::serve_cpu`].
    Part(&'p mut Part),
    /// Somebody else's program, by its process id.
    Program(u32),
}

impl Server<'_> {
    async fn cpu(&mut self) -> Result<Duration, Fault> {
        match self {
            Self::Here => Ok(cpu::of_process()),
            Self::Part(part) => part.cpu().await,
            Self::Program(pid) => cpu::of_pid(*pid),
        }
    }
}

/// A process whose callers are connected and warm.
#[derive(Debug)]
pub(crate) struct Callers(Part);

impl Callers {
    /// Starts the part `name` and lets its callers make `warm_up` requests that nobody counts.
    pub(crate) async fn start(
        name: &'static str,
        order: &impl Serialize,
        warm_up: u32,
    ) -> Result<Self, Fault> {
        let mut part = Part::start(name, order).await?;
        let _connected: usize = part.hear().await?;
        let _warm: Done = part.ask(&Round::Closed { requests: warm_up }).await?;
        Ok(Self(part))
    }

    /// CPU microseconds of each of `servers` for one request, and what the callers saw.
    pub(crate) async fn round<const N: usize>(
        &mut self,
        mut servers: [Server<'_>; N],
        round: Round,
    ) -> Result<([f64; N], Done), Fault> {
        let mut begun = [Duration::ZERO; N];
        for (begun, server) in begun.iter_mut().zip(&mut servers) {
            *begun = server.cpu().await?;
        }
        let done: Done = self.0.ask(&round).await?;
        let mut each = [0.0; N];
        for ((each, begun), server) in each.iter_mut().zip(begun).zip(&mut servers) {
            let spent = server.cpu().await?.saturating_sub(begun);
            *each = cpu::micros(spent) / f64::from(done.requests);
        }
        Ok((each, done))
    }

    /// So many requests, as fast as they are answered, of one server.
    pub(crate) async fn requests(&mut self, server: Server<'_>, requests: u32) -> Result<(f64, Done), Fault> {
        let ([each], done) = self.round([server], Round::Closed { requests }).await?;
        Ok((each, done))
    }
}
