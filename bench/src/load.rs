//! Load: clients that ask one after the other, as fast as they are answered or at a steady pace.

use crate::fault::Fault;
use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};
use std::future::Future;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::Instant;

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
    let mut tasks = JoinSet::new();
    let begun = Instant::now();
    for (place, client) in (0_u32..).zip(clients) {
        match round {
            Round::Closed { requests } => {
                let share = requests / count + u32::from(place < requests % count);
                tasks.spawn(closed(client, share));
            }
            Round::Paced { per_sec, secs } => {
                let every = Duration::from_secs_f64(f64::from(count) / per_sec);
                let first = begun + every.mul_f64(f64::from(place) / f64::from(count));
                tasks.spawn(paced(client, first, every, begun + Duration::from_secs_f64(secs)));
            }
        }
    }
    let (mut clients, mut all, mut requests) = (Vec::new(), latencies()?, 0_u32);
    while let Some(ended) = tasks.join_next().await {
        let (client, some) = ended??;
        clients.push(client);
        requests += u32::try_from(some.len())?;
        all.add(some)?;
    }
    let done = Done {
        requests,
        secs: begun.elapsed().as_secs_f64(),
        p50_us: all.value_at_quantile(0.5),
        p99_us: all.value_at_quantile(0.99),
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

/// A latency counts from when the request was due, so that a slow answer is not forgiven to those that wait behind it.
async fn paced<C: Client>(
    mut client: C,
    first: Instant,
    every: Duration,
    until: Instant,
) -> Result<(C, Histogram<u64>), Fault> {
    let (mut times, mut due) = (latencies()?, first);
    while due < until {
        tokio::time::sleep_until(due).await;
        // Timers have milliseconds; what is due earlier within one is not late.
        let asked = Instant::now();
        let late = asked.saturating_duration_since(due);
        let from = if late < TIMER { asked } else { due };
        client.once().await?;
        note(&mut times, from.elapsed());
        due += every;
    }
    Ok((client, times))
}

/// How late a timer of tokio's may be without anybody being slow.
const TIMER: Duration = Duration::from_millis(2);

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
    }
}
