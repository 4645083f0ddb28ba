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

    /// Reads what [`Self::rfc3339`] writes; `None` for every other spelling.
    pub fn from_rfc3339(text: &str) -> Option<Self> {
        let bytes = text.as_bytes();
        let number = |from: usize, to: usize| -> Option<u64> {
            let digits = text.get(from..to)?;
            digits
                .bytes()
                .all(|byte| byte.is_ascii_digit())
                .then(|| digits.parse().ok())?
        };
        let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
        let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
        let millis = number(20, 23)?;
        let days = days_from_civil(year, month, day)?;
        let at = ((days * 24 + hour) * 60 + minute) * 60 + second;
        let time = Self(at.checked_mul(1000)?.checked_add(millis)?);
        // Whatever is out of range, or stands between the numbers, comes out differently.
        (bytes.len() == 24 && time.rfc3339() == text).then_some(time)
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

/// (year, month, day) in the proleptic Gregorian calendar to days since the epoch; `None` before it.
fn days_from_civil(year: u64, month: u64, day: u64) -> Option<u64> {
    let year = if month <= 2 { year.checked_sub(1)? } else { year };
    let (era, year_of_era) = (year / 400, year % 400);
    let mp = if month > 2 { month - 3 } else { month + 9 };
    let day_of_year = (153 * mp + 2) / 5 + day.checked_sub(1)?;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    (era * 146_097 + day_of_era).checked_sub(719_468)
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

    #[test]
    fn what_is_written_is_read_and_nothing_else() {
        for secs in [0, 951_782_400, 951_868_799, 1_795_324_183, 4_102_444_800] {
            let time = UnixTime::from_millis(secs * 1000 + 7);
            assert_eq!(UnixTime::from_rfc3339(&time.rfc3339()), Some(time));
        }
        for text in [
            "",
            "2026-11-22",
            "2026-13-22T05:09:43.120Z",
            "2026-11-31T05:09:43.120Z",
            "2026-11-22 05:09:43.120Z",
            "1969-12-31T23:59:59.000Z",
            "2026-11-22T05:09:43.120+",
        ] {
            assert_eq!(UnixTime::from_rfc3339(text), None, "{text}");
        }
    }
}
