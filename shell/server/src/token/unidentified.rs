//! Refusals of callers that nobody could identify: counted by source, written down once a second.

use broker::unidentified::Refused;
use identity::UnixTime;
use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

/// Sources told apart within one second; all further ones are counted together. Bounds the log at 65 entries a second,
/// whatever anyone sends.
const SOURCES_MAX: usize = 64;

type Counts = BTreeMap<&'static str, u64>;

/// The counts since they were last taken.
#[derive(Debug, Default)]
pub(crate) struct Unidentified(Mutex<HashMap<Option<IpAddr>, Counts>>);

impl Unidentified {
    /// Counts one refusal.
    pub(crate) fn count(&self, source: IpAddr, code: &'static str) {
        let mut sources = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = sources.len() < SOURCES_MAX || sources.contains_key(&Some(source));
        let times = sources
            .entry(known.then_some(source))
            .or_default()
            .entry(code)
            .or_default();
        *times = times.saturating_add(1);
    }

    /// Takes what was counted, to be recorded as of `at`.
    pub(crate) fn take(&self, at: UnixTime) -> Vec<Refused> {
        let taken = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        let text = |source: Option<IpAddr>| source.map_or_else(|| "others".to_owned(), |ip| ip.to_string());
        taken
            .into_iter()
            .map(|(source, counts)| Refused {
                source: text(source),
                at,
                counts,
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    #[test]
    fn a_flood_from_many_sources_is_a_bounded_number_of_entries() {
        let counted = Unidentified::default();
        for n in 0..10_000_u32 {
            counted.count(Ipv4Addr::from_bits(n).into(), "NO_PROOF");
        }
        let taken = counted.take(UnixTime::from_secs(1));
        assert_eq!(taken.len(), SOURCES_MAX + 1);
        let others = taken.iter().find(|refused| refused.source == "others").unwrap();
        assert_eq!(others.counts["NO_PROOF"], 10_000 - SOURCES_MAX as u64);
        assert!(counted.take(UnixTime::from_secs(2)).is_empty());
    }
}
