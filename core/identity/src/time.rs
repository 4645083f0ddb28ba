//! Wall-clock time as a value. Core code is given `now`; only the shell owns a clock.

use serde::{Deserialize, Serialize};

/// Milliseconds since 1970-01-01 UTC. Arithmetic saturates: no caller can overflow into the past.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct UnixTime(u64);

impl UnixTime {
    /// The largest representable instant; "never expires" where a field must hold a time.
    pub const MAX: Self = Self(u64::MAX);

    /// From milliseconds since the epoch.
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis)
    }
    /// From whole seconds since the epoch, as JWT NumericDate carries them (RFC 7519 section 2).
    pub const fn from_secs(secs: u64) -> Self {
        Self(secs.saturating_mul(1000))
    }
    /// Milliseconds since the epoch.
    pub const fn millis(self) -> u64 {
        self.0
    }
    /// Whole seconds since the epoch, rounded down.
    pub const fn secs(self) -> u64 {
        self.0 / 1000
    }
    /// This instant plus `secs` seconds.
    #[must_use]
    pub const fn plus_secs(self, secs: u64) -> Self {
        Self(self.0.saturating_add(secs.saturating_mul(1000)))
    }
    /// This instant plus `millis` milliseconds.
    #[must_use]
    pub const fn plus_millis(self, millis: u64) -> Self {
        Self(self.0.saturating_add(millis))
    }
    /// This instant minus `secs` seconds, never before the epoch.
    #[must_use]
    pub const fn minus_secs(self, secs: u64) -> Self {
        Self(self.0.saturating_sub(secs.saturating_mul(1000)))
    }
    /// Milliseconds from `earlier` to this instant; zero when `earlier` is later.
    pub const fn millis_since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }

    /// RFC 3339 in UTC with milliseconds: `2026-11-22T05:09:43.120Z`.
    pub fn rfc3339(self) -> String {
        let (year, month, day) = civil_from_days(self.0 / 86_400_000);
        let ms = self.0 % 86_400_000;
        format!(
            "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}.{:03}Z",
            ms / 3_600_000,
            ms / 60_000 % 60,
            ms / 1000 % 60,
            ms % 1000
        )
    }
}

/// Days since the epoch to (year, month, day) in the proleptic Gregorian calendar.
fn civil_from_days(days: u64) -> (u64, u64, u64) {
    let z = days.saturating_add(719_468);
    let era = z / 146_097;
    let day_of_era = z % 146_097;
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let mp = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * mp + 2) / 5 + 1;
    let month = if mp < 10 { mp + 3 } else { mp - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc3339_knows_leap_days_and_the_epoch() {
        assert_eq!(UnixTime::from_millis(0).rfc3339(), "1970-01-01T00:00:00.000Z");
        assert_eq!(
            UnixTime::from_secs(951_782_400).rfc3339(),
            "2000-02-29T00:00:00.000Z"
        );
        assert_eq!(
            UnixTime::from_millis(1_795_324_183_120).rfc3339(),
            "2026-11-22T05:09:43.120Z"
        );
    }

    #[test]
    fn arithmetic_saturates_at_both_ends() {
        assert_eq!(UnixTime::MAX.plus_secs(1), UnixTime::MAX);
        assert_eq!(UnixTime::from_secs(1).minus_secs(9), UnixTime::from_secs(0));
    }
}
