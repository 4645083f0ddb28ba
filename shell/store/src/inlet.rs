//! The writer's end of the queue: a thread that waits for messages, for a while or for ever.
//!
//! The senders are async and the receiver is a thread; tokio's channel has no wait with an end for a thread.

use crate::queue::Message;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;
use std::time::Instant;
use tokio::sync::mpsc::Receiver;

/// The receiving end. To be used by the thread that made it.
pub(crate) struct Inlet {
    queue: Receiver<Message>,
    waker: Waker,
    closed: bool,
}

/// Wakes the thread that waits.
struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
    fn wake_by_ref(self: &Arc<Self>) {
        self.0.unpark();
    }
}

impl Inlet {
    pub(crate) fn new(queue: Receiver<Message>) -> Self {
        Self {
            queue,
            waker: Arc::new(Unpark(std::thread::current())).into(),
            closed: false,
        }
    }

    /// Whether every sender is gone and everything was taken.
    pub(crate) const fn is_closed(&self) -> bool {
        self.closed
    }

    /// The next message, if there is one now.
    pub(crate) fn take(&mut self) -> Option<Message> {
        match self.poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(message) => message,
            Poll::Pending => None,
        }
    }

    /// The next message; `None` when there will be no more.
    pub(crate) fn wait(&mut self) -> Option<Message> {
        loop {
            match self.poll(&mut Context::from_waker(&self.waker.clone())) {
                Poll::Ready(message) => return message,
                // A wake-up without a message costs one more look.
                Poll::Pending => std::thread::park(),
            }
        }
    }

    /// The next message that comes before `until`.
    pub(crate) fn wait_until(&mut self, until: Instant) -> Option<Message> {
        loop {
            if let Poll::Ready(message) = self.poll(&mut Context::from_waker(&self.waker.clone())) {
                return message;
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return None;
            }
            std::thread::park_timeout(left);
        }
    }

    /// Ready with `None`: nothing ever again.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Message>> {
        let polled = self.queue.poll_recv(cx);
        self.closed = matches!(polled, Poll::Ready(None));
        polled
    }
}
