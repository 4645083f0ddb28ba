//! The log: durable appends of 256 writers against a group-commit file of the same bytes, and how large the
//! write-ahead log of the database grows at full load.

use crate::cpu;
use crate::effort::Effort;
use crate::fault::Fault;
use crate::floor::GroupCommitFile;
use crate::log_key::LogKey;
use crate::part::exchange_load::now;
use crate::report::Measured;
use audit::event::CommitmentKey;
use broker::unidentified::{Refused, counted};
use broker::{Draw, Plan};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use identity::{LogId, Secret};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use store::{Settings, Store};

const WRITERS: usize = 256;
/// What the store lets its write-ahead log grow to before it restarts it, in MiB.
const WAL_CAP_MIB: f64 = 16.0;

/// Plans that nobody has to think about, with entries of some hundred bytes.
struct Plans {
    names: CommitmentKey,
    number: AtomicU64,
}

impl Plans {
    fn next(&self, store: &Store) -> Plan<()> {
        let n = self.number.fetch_add(1, Ordering::Relaxed);
        let mut seed = [0; 32];
        seed.iter_mut()
            .zip(n.to_be_bytes())
            .for_each(|(slot, byte)| *slot = byte);
        let refused = Refused {
            source: format!("192.0.2.{}", n % 256),
            at: now(),
            counts: [
                ("TOKEN_INVALID", n),
                ("PROOF_INVALID", 2 * n),
                ("SUBJECT_EXPIRED", 3 * n),
            ]
            .into(),
        };
        counted(
            &store.world(),
            &refused,
            &mut Draw::new(now(), LogId(7), seed, &self.names),
        )
    }
}

pub(super) async fn measure(effort: Effort<'_>) -> Result<[Measured; 3], Fault> {
    let folder = tempfile::tempdir()?;
    let root = folder.path().join("data");
    let settings = Settings::new(&root, LogId(7), Arc::new(LogKey::new()?));
    let store = Arc::new(Store::open(&settings)?);
    let plans = Plans {
        names: CommitmentKey::new(Secret::new([9; 32])),
        number: AtomicU64::new(0),
    };
    append(
        &store,
        (0..effort.pick(256, 5_000, 5_000))
            .map(|_| plans.next(&store))
            .collect(),
    )
    .await?;
    let rounds = effort.pick(1, 2, 8);
    let (mut ours, mut floor) = (Cost::default(), Cost::default());
    let (file, count) = (
        GroupCommitFile::create(&folder.path().join("floor.log"))?,
        effort.pick(1_024, 20_000, 20_000_u32),
    );
    let mut bytes = 0_usize;
    for _ in 0..rounds {
        let ready: Vec<Plan<()>> = (0..count).map(|_| plans.next(&store)).collect();
        let first = store.log().size();
        let clock = Clock::start();
        append(&store, ready).await?;
        ours.add(&clock);
        let entry = store.log().entry(first)?;
        bytes += entry.len();
        let entries = vec![entry; usize::try_from(count)?];
        let clock = Clock::start();
        stream::iter(entries)
            .map(|entry| file.append(entry))
            .buffer_unordered(WRITERS)
            .try_for_each(|()| std::future::ready(Ok(())))
            .await?;
        floor.add(&clock);
    }
    let wal = wal(
        &store,
        &plans,
        &root,
        Duration::from_millis(effort.pick(500, 4_000, 60_000)),
    )
    .await?;
    tokio::task::spawn_blocking(move || drop(store)).await?;
    let (count, each) = (
        f64::from(rounds) * f64::from(count),
        bytes / usize::try_from(rounds)?,
    );
    let note = format!("{count} entries of {each} bytes, {WRITERS} at once");
    Ok([
        Measured::new(ours.cpu / count, floor.cpu / count, note.clone()),
        Measured::new(ours.wall / count, floor.wall / count, note),
        wal,
    ])
}

async fn append(store: &Store, plans: Vec<Plan<()>>) -> Result<(), Fault> {
    stream::iter(plans)
        .map(|plan| commit(store, plan))
        .buffer_unordered(WRITERS)
        .try_for_each(|()| std::future::ready(Ok(())))
        .await
}

async fn commit(store: &Store, plan: Plan<()>) -> Result<(), Fault> {
    drop(store.commit(plan).await?);
    Ok(())
}

/// Full load for `time`, with a look at the file every 20 ms.
async fn wal(store: &Arc<Store>, plans: &Plans, root: &Path, time: Duration) -> Result<Measured, Fault> {
    let (path, until) = (root.join("store.db-wal"), Instant::now() + time);
    let watching = tokio::task::spawn_blocking(move || {
        let mut largest = 0;
        while Instant::now() < until {
            largest = std::fs::metadata(&path)?.len().max(largest);
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok::<u64, std::io::Error>(largest)
    });
    let first = store.log().size();
    let endless = stream::iter(std::iter::from_fn(|| {
        (Instant::now() < until).then(|| plans.next(store))
    }));
    endless
        .map(|plan| commit(store, plan))
        .buffer_unordered(WRITERS)
        .try_for_each(|()| std::future::ready(Ok(())))
        .await?;
    let largest = watching.await??;
    let mib = f64::from(u32::try_from(largest >> 10)?) / 1024.0;
    let note = format!(
        "{} entries in {} s; the largest seen",
        store.log().size() - first,
        time.as_secs_f64()
    );
    Ok(Measured::new(mib, WAL_CAP_MIB, note))
}

/// CPU and wall microseconds.
#[derive(Default)]
struct Cost {
    cpu: f64,
    wall: f64,
}

struct Clock {
    cpu: Duration,
    wall: Instant,
}

impl Clock {
    fn start() -> Self {
        Self {
            cpu: cpu::of_process(),
            wall: Instant::now(),
        }
    }
}

impl Cost {
    fn add(&mut self, since: &Clock) {
        self.cpu += cpu::micros(cpu::of_process().saturating_sub(since.cpu));
        self.wall += cpu::micros(since.wall.elapsed());
    }
}
