//! Lengths of time as people write them: `90s`, `30m`, `12h`, `90d`.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Serialize, Serializer};
use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

/// Longest length of time a contract can hold: ten years of 365 days, so that sums of two stay far from overflow.
const SECS_MAX: u64 = 10 * 365 * 86_400;
/// Units from the largest, with their length in seconds.
const UNITS: [(char, u64); 4] = [('d', 86_400), ('h', 3600), ('m', 60), ('s', 1)];

/// A length of time in whole seconds, 1 second to ten years. Written with the largest unit that fits exactly.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Seconds(u64);

/// Why a text is not a [`Seconds`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SecondsError {
    /// Not digits and one unit.
    #[error("a length of time is a whole number and one of s, m, h, d, as in 30m")]
    Form,
    /// Zero, or more than ten years.
    #[error("a length of time is between 1s and 3650d")]
    Range,
}

impl Seconds {
    /// Half an hour.
    pub const HALF_HOUR: Self = Self(30 * 60);
    /// Ten minutes.
    pub const TEN_MINUTES: Self = Self(10 * 60);

    /// From whole seconds.
    pub const fn new(secs: u64) -> Result<Self, SecondsError> {
        if secs == 0 || secs > SECS_MAX {
            Err(SecondsError::Range)
        } else {
            Ok(Self(secs))
        }
    }
    /// Whole seconds.
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl FromStr for Seconds {
    type Err = SecondsError;
    fn from_str(text: &str) -> Result<Self, SecondsError> {
        let (digits, unit) = text
            .split_at_checked(text.len().saturating_sub(1))
            .ok_or(SecondsError::Form)?;
        let (_, length) = UNITS
            .iter()
            .find(|(letter, _)| unit == letter.to_string())
            .ok_or(SecondsError::Form)?;
        if digits.is_empty() || digits.len() > 12 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(SecondsError::Form);
        }
        let number: u64 = digits.parse().map_err(|_| SecondsError::Form)?;
        Self::new(number.saturating_mul(*length))
    }
}

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (letter, length) = UNITS
            .iter()
            .find(|(_, length)| self.0.is_multiple_of(*length))
            .copied()
            .unwrap_or(('s', 1));
        write!(f, "{}{letter}", self.0 / length)
    }
}

impl Serialize for Seconds {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl JsonSchema for Seconds {
    fn schema_name() -> Cow<'static, str> {
        "Seconds".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A length of time: a whole number and one of s, m, h, d, as in 30m.",
            "type": "string",
            "pattern": "^[0-9]{1,12}[smhd]$",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_length_has_one_spelling() {
        for (written, canonical) in [("1800s", "30m"), ("60m", "1h"), ("24h", "1d"), ("90s", "90s")] {
            assert_eq!(written.parse::<Seconds>().unwrap().to_string(), canonical);
        }
    }

    #[test]
    fn odd_lengths_are_refused() {
        for odd in ["", "m", "30", "-1m", "1.5h", "30 m", "30M", "1h30m", "٣0m", "30м"] {
            assert_eq!(odd.parse::<Seconds>(), Err(SecondsError::Form), "{odd}");
        }
        assert_eq!("0s".parse::<Seconds>(), Err(SecondsError::Range));
        assert_eq!("999999999999d".parse::<Seconds>(), Err(SecondsError::Range));
    }
}
