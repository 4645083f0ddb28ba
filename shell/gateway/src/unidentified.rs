//! Refusals of callers without a token that counts: counted by address, one entry for each and second in the journal.

use crate::gateway::Inner;
use broker::Draw;
use broker::unidentified::{Source, Tally, counted};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::MissedTickBehavior;

/// How often they are written down.
const EVERY: Duration = Duration::from_secs(1);

/// The counts since they were last written down.
#[derive(Debug, Default)]
pub(crate) struct Unidentified(Mutex<Tally>);

impl Unidentified {
    /// Counts one refusal.
    pub(crate) fn count(&self, source: IpAddr, code: &'static str) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .count(Source::Address(source), code);
    }
}

/// Writes them down until dropped.
pub(crate) async fn keep_counting(inner: Arc<Inner>) {
    let mut ticks = tokio::time::interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        write_down(&inner).await;
    }
}

/// One entry a source.
pub(crate) async fn write_down(inner: &Inner) {
    let now = (inner.clock)();
    let taken = inner
        .unidentified
        .0
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .take(now);
    for refused in taken {
        let world = inner.view.load().world.clone();
        let plan = {
            // The entry holds no personal name, so it needs no org's key.
            let mut draw = Draw::new(now, inner.settings.log, (inner.random)(), &inner.no_names);
            counted(&world, &refused, &mut draw)
        };
        if let Err(error) = inner.journal.commit(plan).await {
            tracing::error!(%error, source = refused.source, counts = ?refused.counts, "refusals are not recorded");
        }
    }
}
