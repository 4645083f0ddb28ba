//! Days of the week, times of day and the offset they are meant in.
//!
//! Fixed offsets only. A zone with daylight saving would need the zone database, whose yearly changes would
//! silently change what an unchanged contract permits; a contract says `+01:00` or `+02:00` and is versioned.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Serialize, Serializer};
use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

/// Minutes in a day and in a week.
pub const DAY_MINUTES: u16 = 24 * 60;
/// Minutes in a week.
pub const WEEK_MINUTES: u16 = 7 * DAY_MINUTES;

/// A day of the week.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Day {
    /// Monday, the first day here (ISO 8601).
    Mon,
    /// Tuesday.
    Tue,
    /// Wednesday.
    Wed,
    /// Thursday.
    Thu,
    /// Friday.
    Fri,
    /// Saturday.
    Sat,
    /// Sunday.
    Sun,
}

impl Day {
    /// Monday to Sunday.
    pub const ALL: [Self; 7] = [
        Self::Mon,
        Self::Tue,
        Self::Wed,
        Self::Thu,
        Self::Fri,
        Self::Sat,
        Self::Sun,
    ];

    /// The spelling in contracts.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Mon => "mon",
            Self::Tue => "tue",
            Self::Wed => "wed",
            Self::Thu => "thu",
            Self::Fri => "fri",
            Self::Sat => "sat",
            Self::Sun => "sun",
        }
    }
    /// The days that `mon-fri`, `fri-mon` or `wed` name; nothing when the text is none of these.
    pub fn span(text: &str) -> Option<Vec<Self>> {
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        let place = |name: &str| Self::ALL.iter().position(|day| day.as_str() == name);
        let (first, last) = (place(first)?, place(last)?);
        let length = (last + 7 - first) % 7 + 1;
        Some(
            Self::ALL
                .iter()
                .cycle()
                .skip(first)
                .take(length)
                .copied()
                .collect(),
        )
    }
}

impl FromStr for Day {
    type Err = ();
    fn from_str(text: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|day| day.as_str() == text).ok_or(())
    }
}

/// Minutes since midnight, `00:00` to `24:00`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct TimeOfDay(u16);

impl TimeOfDay {
    /// Minutes since midnight, 0 to 1440.
    pub const fn minutes(self) -> u16 {
        self.0
    }
}

/// Why a text is not a [`TimeOfDay`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a time of day is HH:MM from 00:00 to 24:00, in quotes")]
pub struct TimeOfDayError;

/// Two digits as a number.
fn two_digits(text: &str) -> Option<u16> {
    (text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit())).then(|| text.parse().ok())?
}

impl FromStr for TimeOfDay {
    type Err = TimeOfDayError;
    fn from_str(text: &str) -> Result<Self, TimeOfDayError> {
        let (hours, minutes) = text.split_once(':').ok_or(TimeOfDayError)?;
        let hours = two_digits(hours).ok_or(TimeOfDayError)?;
        let minutes = two_digits(minutes)
            .filter(|minutes| *minutes < 60)
            .ok_or(TimeOfDayError)?;
        let total = hours * 60 + minutes;
        if total > DAY_MINUTES {
            Err(TimeOfDayError)
        } else {
            Ok(Self(total))
        }
    }
}

impl fmt::Display for TimeOfDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}:{:02}", self.0 / 60, self.0 % 60)
    }
}

/// Minutes east of UTC, at most 14 hours either way.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Offset(i16);

impl Offset {
    /// Minutes east of UTC; negative to the west.
    pub const fn minutes(self) -> i16 {
        self.0
    }
}

/// Why a text is not an [`Offset`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a time zone is UTC or a fixed offset from -14:00 to +14:00, as in +01:00")]
pub struct OffsetError;

impl FromStr for Offset {
    type Err = OffsetError;
    fn from_str(text: &str) -> Result<Self, OffsetError> {
        if text == "UTC" {
            return Ok(Self(0));
        }
        let (sign, rest) = match text.split_at_checked(1) {
            Some(("+", rest)) => (1, rest),
            Some(("-", rest)) => (-1, rest),
            _ => return Err(OffsetError),
        };
        let time: TimeOfDay = rest.parse().map_err(|_| OffsetError)?;
        match i16::try_from(time.minutes()) {
            Ok(minutes) if minutes <= 14 * 60 => Ok(Self(sign * minutes)),
            _ => Err(OffsetError),
        }
    }
}

impl fmt::Display for Offset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == 0 {
            return f.write_str("UTC");
        }
        let sign = if self.0 < 0 { '-' } else { '+' };
        let minutes = self.0.unsigned_abs();
        write!(f, "{sign}{:02}:{:02}", minutes / 60, minutes % 60)
    }
}

impl Serialize for TimeOfDay {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}
impl Serialize for Offset {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}
impl JsonSchema for TimeOfDay {
    fn schema_name() -> Cow<'static, str> {
        "TimeOfDay".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"description": "HH:MM, from 00:00 to 24:00.", "type": "string", "pattern": "^[0-2][0-9]:[0-5][0-9]$"})
    }
}
impl JsonSchema for Offset {
    fn schema_name() -> Cow<'static, str> {
        "Offset".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "UTC or a fixed offset from it.",
            "type": "string",
            "pattern": "^(UTC|[+-][01][0-9]:[0-5][0-9])$",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_of_days_may_cross_sunday() {
        assert_eq!(Day::span("mon-fri").map(|days| days.len()), Some(5));
        assert_eq!(Day::span("sat-mon"), Some(vec![Day::Sat, Day::Sun, Day::Mon]));
        assert_eq!(Day::span("wed"), Some(vec![Day::Wed]));
        assert_eq!(Day::span("Mon-Fri"), None);
    }

    #[test]
    fn times_and_offsets_have_one_spelling() {
        assert_eq!("24:00".parse::<TimeOfDay>().map(TimeOfDay::minutes), Ok(1440));
        assert!("24:01".parse::<TimeOfDay>().is_err());
        assert!("6:00".parse::<TimeOfDay>().is_err());
        assert_eq!("-05:30".parse::<Offset>().map(Offset::minutes), Ok(-330));
        assert_eq!("+00:00".parse::<Offset>().unwrap().to_string(), "UTC");
        assert!("+14:01".parse::<Offset>().is_err());
        assert!("Europe/Berlin".parse::<Offset>().is_err());
    }
}
