//! Paging: one page after the other of what several logs of this process have, newest first.
//!
//! Each log keeps its own order, so a page is a merge by time of the logs' newest, and the next one begins where each of
//! them was left: nothing is shown twice and nothing is left out, also where clocks of two logs differ.

use super::Plane;
use super::entries::Recorded;
use super::refused::Refused;
use identity::UnixTime;
use std::fmt;
use std::iter::Peekable;
use std::str::FromStr;
use std::sync::Arc;
use store::{Query, ReadError};

/// Most logs of one process: its own, a gateway's and a node agent's, and room to spare.
const LOGS_MAX: usize = 16;

/// Where a page begins: below which entry of each log, in the order in which the process has them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Cursor(Vec<Option<u64>>);

/// Why a text is no [`Cursor`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not the place of a page")]
pub(crate) struct NotACursor;

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, below) in self.0.iter().enumerate() {
            let between = if place == 0 { "" } else { "." };
            match below {
                Some(below) => write!(f, "{between}{below}")?,
                None => f.write_str(between)?,
            }
        }
        Ok(())
    }
}

impl FromStr for Cursor {
    type Err = NotACursor;
    fn from_str(text: &str) -> Result<Self, NotACursor> {
        let one = |below: &str| match below {
            "" => Ok(None),
            below => below.parse().map(Some).map_err(|_| NotACursor),
        };
        let all: Vec<Option<u64>> = text
            .split('.')
            .take(LOGS_MAX + 1)
            .map(one)
            .collect::<Result<_, _>>()?;
        if all.len() > LOGS_MAX {
            return Err(NotACursor);
        }
        Ok(Self(all))
    }
}

/// One page of what matches, over all logs of this process.
#[derive(Debug)]
pub(crate) struct Paged {
    /// At most as many entries as the query asks for, newest first.
    pub(crate) entries: Vec<Recorded>,
    /// Where the next page begins; `None` where there is nothing more.
    pub(crate) next: Option<Cursor>,
}

/// Reads a page. Blocks another thread on the logs' files.
pub(crate) async fn page(plane: &Arc<Plane>, query: Query, from: Cursor) -> Result<Paged, Refused> {
    let plane = plane.clone();
    let read = tokio::task::spawn_blocking(move || -> Result<Paged, ReadError> {
        let mut heads = Vec::new();
        for (place, store) in plane.stores().enumerate() {
            let mut one = query.clone();
            one.before = from.0.get(place).copied().flatten();
            // One more than fits says whether there is another page.
            one.limit = query.limit.saturating_add(1);
            let found = store.index().find(&one)?;
            let read = found
                .into_iter()
                .filter_map(|it| Some((it.index, Recorded::of(it.entry)?)));
            heads.push(read.collect::<Vec<_>>().into_iter().peekable());
        }
        let (entries, next) = merge(heads, from, query.limit, |it| it.parsed.event.at);
        Ok(Paged { entries, next })
    });
    match read.await {
        Ok(read) => read.map_err(|error| Refused::unavailable(&error.to_string())),
        Err(_) => Err(Refused::unavailable("the search ended early")),
    }
}

/// The newest of all heads, one after the other, and where each was left if there is more.
fn merge<T, I: Iterator<Item = (u64, T)>>(
    mut heads: Vec<Peekable<I>>,
    from: Cursor,
    limit: usize,
    at: impl Fn(&T) -> UnixTime,
) -> (Vec<T>, Option<Cursor>) {
    let mut left = from.0;
    left.resize(heads.len(), None);
    let mut taken = Vec::new();
    while taken.len() < limit {
        let waiting = heads.iter_mut().zip(&mut left);
        let waiting = waiting.filter_map(|(head, left)| Some((at(&head.peek()?.1), head, left)));
        let Some((_, head, left)) = waiting.max_by_key(|(at, ..)| *at) else {
            break;
        };
        if let Some((index, entry)) = head.next() {
            *left = Some(index);
            taken.push(entry);
        }
    }
    let more = heads.iter_mut().any(|head| head.peek().is_some());
    (taken, more.then_some(Cursor(left)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Entries of two logs as (index, second), newest first.
    fn below(log: &[(u64, u64)], from: Option<u64>, limit: usize) -> Vec<(u64, (u64, u64))> {
        let all = log
            .iter()
            .filter(|(index, _)| from.is_none_or(|below| *index < below));
        all.take(limit + 1).map(|it| (it.0, *it)).collect()
    }

    #[test]
    fn pages_leave_nothing_out_and_show_nothing_twice() {
        // The clock of the second log goes back once, and it ends sooner.
        let logs = [
            vec![(90, 900), (70, 700), (50, 500), (30, 300), (10, 100)],
            vec![(9, 800), (8, 820), (7, 500), (6, 500), (5, 490)],
        ];
        for limit in 1..12 {
            let (mut from, mut seen, mut pages) = (Cursor::default(), Vec::new(), 0);
            loop {
                let heads = logs.iter().enumerate().map(|(place, log)| {
                    let left = from.0.get(place).copied().flatten();
                    below(log, left, limit).into_iter().peekable()
                });
                let (taken, next) = merge(heads.collect(), from.clone(), limit, |it| {
                    UnixTime::from_secs(it.1)
                });
                assert!(taken.len() == limit || next.is_none(), "{limit}");
                seen.extend(taken);
                pages += 1;
                match next {
                    // As it travels in a link.
                    Some(next) => from = next.to_string().parse().unwrap(),
                    None => break,
                }
            }
            assert_eq!(pages, 10_usize.div_ceil(limit), "{limit}");
            let of = |log: &[(u64, u64)]| {
                seen.iter()
                    .filter(|it| log.contains(it))
                    .copied()
                    .collect::<Vec<_>>()
            };
            assert_eq!(
                (of(&logs[0]), of(&logs[1])),
                (logs[0].clone(), logs[1].clone()),
                "{limit}"
            );
            assert_eq!(seen.len(), 10, "{limit}");
        }
    }

    #[test]
    fn a_place_is_what_it_was_written_as() {
        for text in ["", "7", "136.9", "136..4", ".", "..18446744073709551615"] {
            assert_eq!(text.parse::<Cursor>().unwrap().to_string(), text);
        }
        for odd in ["x", "1.-2", "1,2", "18446744073709551616", &".".repeat(LOGS_MAX)] {
            assert_eq!(odd.parse::<Cursor>(), Err(NotACursor), "{odd}");
        }
    }
}
