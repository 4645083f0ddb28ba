//! Calendar days in UTC.

use identity::UnixTime;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Serialize, Serializer};
use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

/// A day from 1970-01-01 to 9999-12-31, in UTC.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Date {
    year: u64,
    month: u64,
    day: u64,
}

/// Why a text is not a [`Date`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a date is YYYY-MM-DD, a day that exists, from 1970-01-01 on")]
pub struct DateError;

impl Date {
    /// The instant at which the day begins (00:00 UTC).
    pub const fn begins(self) -> UnixTime {
        // Counts in years that begin in March, so that the leap day is the last of its year.
        let year = if self.month <= 2 { self.year - 1 } else { self.year };
        let month = (self.month + 9) % 12;
        let day_of_year = (153 * month + 2) / 5 + self.day - 1;
        let days = year * 365 + year / 4 - year / 100 + year / 400 + day_of_year;
        UnixTime::from_secs((days - 719_468) * 86_400)
    }
}

const fn days_in(year: u64, month: u64) -> u64 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400)) => 29,
        2 => 28,
        _ => 31,
    }
}

impl FromStr for Date {
    type Err = DateError;
    fn from_str(text: &str) -> Result<Self, DateError> {
        let number = |part: Option<&str>, digits: usize| {
            part.filter(|part| part.len() == digits && part.bytes().all(|byte| byte.is_ascii_digit()))
                .and_then(|part| part.parse::<u64>().ok())
                .ok_or(DateError)
        };
        let mut parts = text.split('-');
        let (year, month, day) = (
            number(parts.next(), 4)?,
            number(parts.next(), 2)?,
            number(parts.next(), 2)?,
        );
        let exists = (1..=12).contains(&month) && (1..=days_in(year, month)).contains(&day);
        if parts.next().is_some() || year < 1970 || !exists {
            return Err(DateError);
        }
        Ok(Self { year, month, day })
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}-{:02}", self.year, self.month, self.day)
    }
}
impl Serialize for Date {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}
impl JsonSchema for Date {
    fn schema_name() -> Cow<'static, str> {
        "Date".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"description": "A day in UTC, YYYY-MM-DD.", "type": "string", "format": "date"})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_begins_at_midnight_utc() {
        for text in [
            "1970-01-01",
            "2000-02-29",
            "2026-11-22",
            "2027-06-30",
            "2100-03-01",
        ] {
            let date: Date = text.parse().unwrap();
            assert_eq!(date.begins().rfc3339(), format!("{text}T00:00:00.000Z"));
            assert_eq!(date.to_string(), text);
        }
    }

    #[test]
    fn days_that_do_not_exist_are_refused() {
        for odd in [
            "2027-02-29",
            "2100-02-29",
            "2027-13-01",
            "2027-1-1",
            "1969-12-31",
            "2027-06-30-1",
            "soon",
        ] {
            assert_eq!(odd.parse::<Date>(), Err(DateError), "{odd}");
        }
    }
}
