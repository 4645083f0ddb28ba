//! A rate as a limit: so many calls in any window of one second, minute, hour or day.

use std::fmt;
use std::str::FromStr;

/// The window of a [`Rate`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Period {
    /// One second.
    Second,
    /// Sixty seconds.
    Minute,
    /// 3,600 seconds.
    Hour,
    /// 86,400 seconds.
    Day,
}

impl Period {
    const ALL: [Self; 4] = [Self::Second, Self::Minute, Self::Hour, Self::Day];
    /// The word on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Second => "s",
            Self::Minute => "min",
            Self::Hour => "h",
            Self::Day => "d",
        }
    }
    /// Length in seconds.
    pub const fn secs(self) -> u64 {
        match self {
            Self::Second => 1,
            Self::Minute => 60,
            Self::Hour => 3600,
            Self::Day => 86_400,
        }
    }
}

/// At most `calls` in any window of `period`. Written `20/min`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Rate {
    /// Calls in one window.
    pub calls: u32,
    /// The window.
    pub period: Period,
}

impl Rate {
    /// Whether whatever obeys this rate also obeys `other`. 10/min does not obey 1/s: ten calls may come at once.
    pub fn within(self, other: Self) -> bool {
        self.calls <= other.calls && self.period >= other.period
    }
    /// A rate that obeys both: the smaller count in the longer window.
    #[must_use]
    pub fn meet(self, other: Self) -> Self {
        Self {
            calls: self.calls.min(other.calls),
            period: self.period.max(other.period),
        }
    }
}

/// The text is no rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a rate is a count and a period, such as 20/min; periods are s, min, h and d")]
pub struct RateError;

impl FromStr for Rate {
    type Err = RateError;
    fn from_str(text: &str) -> Result<Self, RateError> {
        let (calls, period) = text.split_once('/').ok_or(RateError)?;
        if calls.is_empty() || !calls.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(RateError);
        }
        let period = Period::ALL
            .into_iter()
            .find(|known| known.name() == period)
            .ok_or(RateError)?;
        Ok(Self {
            calls: calls.parse().map_err(|_| RateError)?,
            period,
        })
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.calls, self.period.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rate(text: &str) -> Rate {
        text.parse().unwrap()
    }

    #[test]
    fn a_burst_is_not_within_a_slower_drip() {
        assert!(rate("1/min").within(rate("1/s")));
        assert!(!rate("10/min").within(rate("1/s")));
        assert!(!rate("1/s").within(rate("20/min")));
        assert_eq!(rate("10/min").meet(rate("1/s")), rate("1/min"));
    }

    #[test]
    fn only_plain_rates_parse() {
        for bad in [
            "20",
            "/min",
            "20/",
            "-1/s",
            "+1/s",
            "1/week",
            "1.5/s",
            "99999999999/s",
            "1/S",
        ] {
            assert_eq!(bad.parse::<Rate>(), Err(RateError), "{bad}");
        }
    }
}
