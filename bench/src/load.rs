//! Load: clients that ask one after the other, as fast as they are answered or at a steady pace.
//!
//! The pace is kept by a thread of its own that sleeps until each request is due: the timers of the runtime have whole
//! milliseconds and would ask in bursts, and a burst waits for itself.

use crate::fault::Fault;
use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};
use std::future::Future;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

/// Longest latency that is told apart, in microseconds: ten seconds.
const LATENCY_MICROS_MAX: u64 = 10_000_000;

/// Something that asks once and waits for the answer.
pub(crate) trait Client: Send + 'static {
    fn once(&mut self) -> impl Future<Output = Result<(), Fault>> + Send;
}

/// What to do next.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) enum Round {
    /// So many requests, as fast as they are answered.
    Closed { requests: u32 },
    /// At so many requests a second for so long.
    Paced { per_sec: f64, secs: f64 },
}

/// What came of it.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Done {
    pub(crate) requests: u32,
    pub(crate) secs: f64,
    pub(crate) p50_us: u64,
    pub(crate) p99_us: u64,
    /// How much later than due a paced request was handed to its client, whoever is to blame for it.
    pub(crate) late_p99_us: u64,
}

impl Done {
    pub(crate) fn per_sec(&self) -> f64 {
        f64::from(self.requests) / self.secs
    }
}

pub(crate) fn latencies() -> Result<Histogram<u64>, Fault> {
    Ok(Histogram::new_with_max(LATENCY_MICROS_MAX, 3)?)
}

pub(crate) fn note(latencies: &mut Histogram<u64>, time: Duration) {
    latencies.saturating_record(u64::try_from(time.as_micros()).unwrap_or(LATENCY_MICROS_MAX));
}

/// The quantile as milliseconds.
pub(crate) fn quantile_ms(latencies: &Histogram<u64>, quantile: f64) -> f64 {
    Duration::from_micros(latencies.value_at_quantile(quantile)).as_secs_f64() * 1e3
}

/// Lets every client take its share of `round`.
pub(crate) async fn run<C: Client>(clients: Vec<C>, round: Round) -> Result<(Vec<C>, Done), Fault> {
    let count = u32::try_from(clients.len())?;
    let (mut tasks, mut turns) = (JoinSet::new(), Vec::new());
    for (place, client) in (0_u32..).zip(clients) {
        match round {
            Round::Closed { requests } => {
                let share = requests / count + u32::from(place < requests % count);
                tasks.spawn(closed(client, share));
            }
            Round::Paced { .. } => {
                let (turn, turns_of_one) = mpsc::unbounded_channel();
                turns.push(turn);
                tasks.spawn(paced(client, turns_of_one));
            }
        }
    }
    let begun = Instant::now();
    let pace = match round {
        Round::Closed { .. } => None,
        Round::Paced { per_sec, secs } => Some(tokio::task::spawn_blocking(move || {
            keep_pace(begun, per_sec, Duration::from_secs_f64(secs), &turns)
        })),
    };
    let (mut clients, mut all, mut requests) = (Vec::new(), latencies()?, 0_u32);
    while let Some(ended) = tasks.join_next().await {
        let (client, some) = ended??;
        clients.push(client);
        requests += u32::try_from(some.len())?;
        all.add(some)?;
    }
    let secs = begun.elapsed().as_secs_f64();
    let late = match pace {
        None => latencies()?,
        Some(pace) => pace.await??,
    };
    let done = Done {
        requests,
        secs,
        p50_us: all.value_at_quantile(0.5),
        p99_us: all.value_at_quantile(0.99),
        late_p99_us: late.value_at_quantile(0.99),
    };
    Ok((clients, done))
}

async fn closed<C: Client>(mut client: C, requests: u32) -> Result<(C, Histogram<u64>), Fault> {
    let mut times = latencies()?;
    for _ in 0..requests {
        let begun = Instant::now();
        client.once().await?;
        note(&mut times, begun.elapsed());
    }
    Ok((client, times))
}

/// Asks whenever it is its turn. A latency counts from when the request was due, so that a slow answer is not forgiven to
/// those that wait behind it.
async fn paced<C: Client>(
    mut client: C,
    mut turns: mpsc::UnboundedReceiver<Instant>,
) -> Result<(C, Histogram<u64>), Fault> {
    let mut times = latencies()?;
    while let Some(due) = turns.recv().await {
        client.once().await?;
        note(&mut times, due.elapsed());
    }
    Ok((client, times))
}

/// Gives each of `turns` its turn, one after the other, at so many a second; says how late.
fn keep_pace(
    begun: Instant,
    per_sec: f64,
    time: Duration,
    turns: &[mpsc::UnboundedSender<Instant>],
) -> Result<Histogram<u64>, Fault> {
    let (mut late, every) = (latencies()?, Duration::try_from_secs_f64(1.0 / per_sec)?);
    let (mut due, until) = (begun, begun + time);
    for turn in turns.iter().cycle() {
        if due >= until {
            break;
        }
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        note(&mut late, due.elapsed());
        if turn.send(due).is_err() {
            break; // a client that failed says why
        }
        due += every;
    }
    Ok(late)
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Sleeper;
    impl Client for Sleeper {
        async fn once(&mut self) -> Result<(), Fault> {
            tokio::time::sleep(Duration::from_millis(5)).await;
            Ok(())
        }
    }

    #[tokio::test]
    async fn a_closed_round_makes_exactly_its_requests_and_a_paced_one_keeps_its_pace() {
        let clients = vec![Sleeper, Sleeper, Sleeper];
        let (clients, done) = run(clients, Round::Closed { requests: 10 }).await.unwrap();
        assert_eq!(done.requests, 10);
        assert!(done.p50_us >= 5_000, "{done:?}");
        let round = Round::Paced {
            per_sec: 100.0,
            secs: 0.3,
        };
        let (clients, done) = run(clients, round).await.unwrap();
        assert_eq!((clients.len(), done.requests), (3, 30));
        assert!(done.p50_us >= 5_000 && done.late_p99_us < 300_000, "{done:?}");
    }
}
