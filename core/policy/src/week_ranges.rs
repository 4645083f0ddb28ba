//! Time windows as stretches of the UTC week, which is what a policy can compare.

use crate::contract::{DAY_MINUTES, TimeWindow, WEEK_MINUTES};

/// The minutes of the week (from Monday 00:00 UTC, end excluded) that `windows` cover, sorted, without overlaps.
pub(crate) fn week_ranges(windows: &[TimeWindow]) -> Vec<(u16, u16)> {
    let mut ranges = Vec::new();
    for window in windows {
        let (from, to) = (window.from.minutes(), window.to.minutes());
        let length = if to > from {
            to - from
        } else {
            to + DAY_MINUTES - from
        };
        for day in &window.days {
            let local = i32::from(*day as u8) * i32::from(DAY_MINUTES) + i32::from(from);
            let utc = (local - i32::from(window.tz.minutes())).rem_euclid(i32::from(WEEK_MINUTES));
            let start = u16::try_from(utc).unwrap_or_default();
            let end = start + length;
            if end <= WEEK_MINUTES {
                ranges.push((start, end));
            } else {
                ranges.push((start, WEEK_MINUTES));
                ranges.push((0, end - WEEK_MINUTES));
            }
        }
    }
    ranges.sort_unstable();
    let mut merged: Vec<(u16, u16)> = Vec::with_capacity(ranges.len());
    for (start, end) in ranges {
        match merged.last_mut() {
            Some(last) if start <= last.1 => last.1 = last.1.max(end),
            _ => merged.push((start, end)),
        }
    }
    merged
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::Day;

    fn window(days: &str, from: &str, to: &str, tz: &str) -> TimeWindow {
        TimeWindow {
            days: Day::span(days).unwrap().into_iter().collect(),
            from: from.parse().unwrap(),
            to: to.parse().unwrap(),
            tz: tz.parse().unwrap(),
        }
    }

    #[test]
    fn an_offset_moves_a_window_across_the_end_of_the_week() {
        // Monday 01:00 to 03:00 at +02:00 is Sunday 23:00 to Monday 01:00 UTC.
        let ranges = week_ranges(&[window("mon", "01:00", "03:00", "+02:00")]);
        assert_eq!(ranges, [(0, 60), (WEEK_MINUTES - 60, WEEK_MINUTES)]);
    }

    #[test]
    fn a_window_may_last_past_midnight_and_whole_weeks_merge() {
        assert_eq!(
            week_ranges(&[window("mon", "22:00", "06:00", "UTC")]),
            [(22 * 60, 30 * 60)]
        );
        assert_eq!(
            week_ranges(&[window("mon-sun", "00:00", "24:00", "-05:00")]),
            [(0, WEEK_MINUTES)]
        );
    }
}
