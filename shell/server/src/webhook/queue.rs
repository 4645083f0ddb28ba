//! What waits for one endpoint: few messages, each tried a few times, then given up.

use super::message::Message;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Most messages that wait for one endpoint. Approvals come at human pace; what is over this is a flood.
pub(super) const WAITING_MAX: usize = 256;
/// Pauses before the second attempt and those after it: a quarter of an hour in all. An approval waits for minutes, and
/// later than that there is nothing to be told.
const PAUSES: [Duration; 5] = [
    Duration::from_secs(1),
    Duration::from_secs(5),
    Duration::from_secs(30),
    Duration::from_mins(2),
    Duration::from_mins(11),
];

/// One message and its attempts.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) message: Message,
    /// Attempts that failed.
    pub(super) attempts: u32,
    due: Instant,
}

impl Waiting {
    /// After one more attempt that failed.
    pub(super) fn failed(mut self) -> Self {
        self.attempts = self.attempts.saturating_add(1);
        self
    }
}

/// The queue of one endpoint.
#[derive(Debug, Default)]
pub(super) struct Queue(VecDeque<Waiting>);

impl Queue {
    /// How many wait.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// One more, at once; the message back where too many wait. One that waits already is not taken twice.
    pub(super) fn push(&mut self, message: Message, now: Instant) -> Result<(), Message> {
        if self.0.iter().any(|known| known.message.id == message.id) {
            return Ok(());
        }
        if self.0.len() >= WAITING_MAX {
            return Err(message);
        }
        self.0.push_back(Waiting {
            message,
            attempts: 0,
            due: now,
        });
        Ok(())
    }

    /// When the next attempt is due.
    pub(super) fn due(&self) -> Option<Instant> {
        self.0.iter().map(|waiting| waiting.due).min()
    }

    /// Takes the one that is due first; of two that are, the older.
    pub(super) fn take(&mut self, now: Instant) -> Option<Waiting> {
        let due = self.due().filter(|due| *due <= now)?;
        let place = self.0.iter().position(|waiting| waiting.due == due)?;
        self.0.remove(place)
    }

    /// Puts one back whose attempt failed; it comes back itself where that was the last.
    pub(super) fn again(&mut self, mut waiting: Waiting, now: Instant) -> Result<(), Waiting> {
        let before = usize::try_from(waiting.attempts.saturating_sub(1)).ok();
        let Some(pause) = before.and_then(|before| PAUSES.get(before)) else {
            return Err(waiting);
        };
        waiting.due = now + *pause;
        self.0.push_back(waiting);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(id: &str) -> Message {
        Message {
            id: id.to_owned(),
            body: bytes::Bytes::new(),
            about: None,
        }
    }

    #[test]
    fn a_message_is_tried_six_times_within_a_quarter_of_an_hour() {
        let (mut queue, start) = (Queue::default(), Instant::now());
        queue.push(message("a"), start).unwrap();
        let mut now = start;
        for attempt in 1..=6 {
            let waiting = queue.take(now).unwrap();
            match queue.again(waiting.failed(), now) {
                Ok(()) => {
                    assert!(attempt < 6);
                    assert!(queue.take(now).is_none(), "not before its pause is over");
                    now = queue.due().unwrap();
                }
                Err(given_up) => assert_eq!((attempt, given_up.attempts), (6, 6)),
            }
        }
        assert!(queue.due().is_none());
        assert!(now - start < Duration::from_mins(15), "{:?}", now - start);
    }

    #[test]
    fn one_that_fails_holds_up_no_other() {
        let (mut queue, now) = (Queue::default(), Instant::now());
        queue.push(message("a"), now).unwrap();
        queue.push(message("b"), now).unwrap();
        let a = queue.take(now).unwrap();
        assert_eq!(a.message.id, "a");
        queue.again(a.failed(), now).unwrap();
        assert_eq!(queue.take(now).unwrap().message.id, "b");
        assert!(queue.take(now).is_none());
    }

    #[test]
    fn it_is_bounded_and_holds_nothing_twice() {
        let (mut queue, now) = (Queue::default(), Instant::now());
        for number in 0..WAITING_MAX {
            queue.push(message(&number.to_string()), now).unwrap();
        }
        queue.push(message("7"), now).unwrap();
        assert_eq!(queue.len(), WAITING_MAX);
        assert_eq!(queue.push(message("x"), now).unwrap_err().id, "x");
    }
}
