//! What a use case needs besides facts: the instant, randomness, and the key under which names are committed.

use audit::event::{Commitment, CommitmentKey};
use audit::{Event, EventKind};
use aws_lc_rs::digest::{SHA256, digest};
use identity::{EventId, Id, Kind, LogId, Revision, UnixTime};

/// The instant of a request, the log it is recorded in, and a seed that only this request has.
///
/// Ids are drawn from the seed by counting, so a use case stays a function of its arguments.
#[derive(Debug)]
pub struct Draw<'k> {
    now: UnixTime,
    log: LogId,
    seed: [u8; 32],
    drawn: u32,
    names: &'k CommitmentKey,
}

impl<'k> Draw<'k> {
    /// From the shell's clock and random source, and the key of the org in question.
    pub const fn new(now: UnixTime, log: LogId, seed: [u8; 32], names: &'k CommitmentKey) -> Self {
        Self {
            now,
            log,
            seed,
            drawn: 0,
            names,
        }
    }
    /// When the request came in.
    pub const fn now(&self) -> UnixTime {
        self.now
    }
    /// An id that no Change makes.
    pub fn id<K: Kind>(&mut self) -> Id<K> {
        Id::random(self.now, self.log, self.number())
    }
    /// An id that a Change of this plan makes; the commit stamps it.
    pub fn minted<K: Kind>(&mut self) -> Id<K> {
        Id::mint(self.now, self.log, self.number())
    }
    /// 64 fresh bits.
    pub fn number(&mut self) -> u64 {
        let mut input = [0; 36];
        let (seed, counter) = input.split_at_mut(32);
        seed.copy_from_slice(&self.seed);
        counter.copy_from_slice(&self.drawn.to_be_bytes());
        self.drawn = self.drawn.wrapping_add(1);
        let hash = digest(&SHA256, &input);
        hash.as_ref()
            .first_chunk()
            .map_or(0, |bytes| u64::from_be_bytes(*bytes))
    }
    /// The commitment that stands for a person's name in the log.
    pub fn name(&self, name: &str) -> Commitment {
        self.names.commit(Commitment::USER, name)
    }
    /// The commitment key, for what entries say of chains.
    pub const fn names(&self) -> &'k CommitmentKey {
        self.names
    }
    /// An event of this instant, decided on `rev`.
    pub fn event(&mut self, kind: EventKind, rev: Revision) -> Event {
        Event::new(self.id::<identity::kind::Event>() as EventId, self.now, kind, rev)
    }
}
