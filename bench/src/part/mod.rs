//! Parts of a measurement that run as processes of their own: this very binary, started again.
//!
//! A part reads orders from stdin and answers on stdout, one JSON document a line. It ends when its stdin does, so
//! that none outlives the measurement. What a part costs is its own: CPU time is told by each process for itself.

pub(crate) mod asker;
pub(crate) mod check_load;
pub(crate) mod exchange_load;
pub(crate) mod first_svid;
pub(crate) mod follower;
pub(crate) mod gateway;
pub(crate) mod gateway_load;
pub(crate) mod proxy;
pub(crate) mod real_gateway;
pub(crate) mod start;
pub(crate) mod upstream;

use crate::cpu;
use crate::fault::{Fault, fault};
use crate::load::{self, Client, Round};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::io::Write as _;
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines, Stdin};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

/// Longest wait for an answer: no single step of a measurement takes that long.
const ANSWER: Duration = Duration::from_mins(2);

/// A part that runs, as the measurement sees it. Killed when dropped.
#[derive(Debug)]
pub(crate) struct Part {
    name: &'static str,
    orders: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
    process: Child,
}

impl Part {
    /// Starts the part `name` with its first order.
    pub(crate) async fn start(name: &'static str, order: &impl Serialize) -> Result<Self, Fault> {
        let mut process = Command::new(std::env::current_exe()?)
            .args(["part", name])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let orders = process
            .stdin
            .take()
            .ok_or_else(|| fault("a part without stdin"))?;
        let answers = process
            .stdout
            .take()
            .ok_or_else(|| fault("a part without stdout"))?;
        let mut part = Self {
            name,
            orders,
            answers: BufReader::new(answers).lines(),
            process,
        };
        part.tell(order).await?;
        Ok(part)
    }

    pub(crate) async fn tell(&mut self, order: &impl Serialize) -> Result<(), Fault> {
        let mut line = serde_json::to_vec(order)?;
        line.push(b'\n');
        self.orders.write_all(&line).await?;
        Ok(self.orders.flush().await?)
    }

    pub(crate) async fn hear<T: DeserializeOwned>(&mut self) -> Result<T, Fault> {
        let line = tokio::time::timeout(ANSWER, self.answers.next_line()).await;
        let line = line.map_err(|_| fault(format!("{}: no answer in {ANSWER:?}", self.name)))??;
        let line = line.ok_or_else(|| fault(format!("{}: it ended, see stderr", self.name)))?;
        Ok(serde_json::from_str(&line)?)
    }

    pub(crate) async fn ask<T: DeserializeOwned>(&mut self, order: &impl Serialize) -> Result<T, Fault> {
        self.tell(order).await?;
        self.hear().await
    }

    /// Gives no more orders and waits until the part has ended by itself.
    pub(crate) async fn ended(self) -> Result<(), Fault> {
        let Self {
            name,
            orders,
            mut process,
            ..
        } = self;
        drop(orders);
        let ended = tokio::time::timeout(ANSWER, process.wait()).await;
        let status = ended.map_err(|_| fault(format!("{name}: it does not end")))??;
        if status.success() {
            Ok(())
        } else {
            Err(fault(format!("{name}: it ended with {status}")))
        }
    }

    /// CPU time of a part that serves: see [`Orders::serve_cpu`].
    pub(crate) async fn cpu(&mut self) -> Result<Duration, Fault> {
        let nanos: u64 = self.ask(&json!("cpu")).await?;
        Ok(Duration::from_nanos(nanos))
    }
}

/// The orders of a part, as the part sees them.
pub(crate) struct Orders(Lines<BufReader<Stdin>>);

impl Orders {
    fn new() -> Self {
        Self(BufReader::new(tokio::io::stdin()).lines())
    }

    /// The next order; `None` when there will be no more.
    pub(crate) async fn next<T: DeserializeOwned>(&mut self) -> Result<Option<T>, Fault> {
        match self.0.next_line().await? {
            None => Ok(None),
            Some(line) => Ok(Some(serde_json::from_str(&line)?)),
        }
    }

    /// The order that there must be.
    pub(crate) async fn first<T: DeserializeOwned>(&mut self) -> Result<T, Fault> {
        self.next().await?.ok_or_else(|| fault("no order"))
    }

    /// Says how many `clients` are ready, lets them take every further round, and answers what came of it, until there are
    /// no more.
    pub(crate) async fn serve_rounds<C: Client>(mut self, mut clients: Vec<C>) -> Result<(), Fault> {
        tell(&clients.len())?;
        while let Some(round) = self.next::<Round>().await? {
            let (back, done) = load::run(clients, round).await?;
            clients = back;
            tell(&done)?;
        }
        Ok(())
    }

    /// Answers every further order with the CPU time so far, in nanoseconds, until there are no more.
    pub(crate) async fn serve_cpu(mut self) -> Result<(), Fault> {
        while self.next::<Value>().await?.is_some() {
            tell(&u64::try_from(cpu::of_process().as_nanos())?)?;
        }
        Ok(())
    }
}

/// Answers an order.
pub(crate) fn tell(answer: &impl Serialize) -> Result<(), Fault> {
    let mut line = serde_json::to_vec(answer)?;
    line.push(b'\n');
    let mut out = std::io::stdout().lock();
    out.write_all(&line)?;
    Ok(out.flush()?)
}

/// Runs the part `name` in this process.
pub(crate) async fn run(name: &str) -> Result<(), Fault> {
    let orders = Orders::new();
    match name {
        "asker" => asker::run(orders).await,
        "check-load" => check_load::run(orders).await,
        "check-nothing" => check_load::run_nothing(orders).await,
        "exchange-load" => exchange_load::run(orders).await,
        "first-svid" => first_svid::run(orders).await,
        "follower" => follower::run(orders).await,
        "gateway" => gateway::run(orders).await,
        "gateway-load" => gateway_load::run(orders).await,
        "proxy" => proxy::run(orders).await,
        "start" => start::run(orders).await,
        "upstream" => upstream::run(orders).await,
        other => Err(fault(format!("there is no part {other:?}"))),
    }
}
