//! How old the words of a feed are when they are read. A process that was stopped, or whose network held things back,
//! finds heartbeats in its buffers that are no sign of life any more.
//!
//! Clocks of two machines differ by an unknown amount, so the age is measured against the freshest heartbeat of the same
//! connection; a connection is made with an answer of now, so its first one is fresh.

use std::time::Duration;

/// Measures one connection.
#[derive(Debug, Default)]
pub(crate) struct Lag {
    /// The smallest difference between our clock and the server's that was seen, in milliseconds.
    least: Option<i128>,
}

impl Lag {
    /// How old a heartbeat is that says `at` (the server's clock, milliseconds) and is read at `now` (a clock of ours
    /// that never steps).
    pub(crate) fn of(&mut self, at: u64, now: Duration) -> Duration {
        let difference = i128::try_from(now.as_millis()).unwrap_or(i128::MAX) - i128::from(at);
        let least = self.least.map_or(difference, |least| least.min(difference));
        self.least = Some(least);
        Duration::from_millis(u64::try_from(difference - least).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_heartbeat_that_waited_is_old_whatever_the_clocks_differ_by() {
        for server in [0_u64, 5_000_000_000] {
            let mut lag = Lag::default();
            let mut read = |at: u64, now: u64| lag.of(server + at, Duration::from_millis(now)).as_millis();
            assert_eq!(read(0, 70_000), 0);
            assert_eq!(read(250, 70_260), 10);
            // Stopped for five seconds: what was sent meanwhile is read at once.
            assert_eq!(read(500, 75_500), 5_000);
            assert_eq!(read(5_400, 75_500), 100);
        }
    }
}
