//! Bodies on their way to the agent: ours, or the upstream's, frame by frame, scrubbed, counted, and cut.

use crate::live::Place;
use crate::outcome::Ending;
use crate::scrub::{Patterns, Scrubber};
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::Full;
use hyper::body::Incoming;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::sync::OwnedSemaphorePermit;

/// Why an answer broke off; the agent sees a connection that ends early.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Broken {
    /// Revoked, or nobody keeps the World current.
    #[error("the call was cut: {}", .0.as_str())]
    Cut(crate::live::Cut),
    /// The upstream.
    #[error("the upstream's answer broke off")]
    Upstream,
}

/// A response body.
#[derive(Debug)]
pub(crate) enum AnswerBody {
    /// Our own words.
    Own(Full<Bytes>),
    /// The upstream's.
    Upstream(Box<Passing>),
}

/// An upstream's answer as it passes.
#[derive(Debug)]
pub(crate) struct Passing {
    incoming: Incoming,
    patterns: Vec<Arc<Patterns>>,
    scrubber: Scrubber,
    place: Place,
    ending: Ending,
    done: bool,
    _in_flight: OwnedSemaphorePermit,
}

impl From<Bytes> for AnswerBody {
    fn from(bytes: Bytes) -> Self {
        Self::Own(Full::new(bytes))
    }
}

impl Passing {
    pub(crate) fn new(
        incoming: Incoming,
        patterns: Vec<Arc<Patterns>>,
        place: Place,
        mut ending: Ending,
        in_flight: OwnedSemaphorePermit,
    ) -> Self {
        let done = incoming.is_end_stream();
        if done {
            ending.ended.error = None;
        }
        Self {
            incoming,
            patterns,
            scrubber: Scrubber::default(),
            place,
            ending,
            done,
            _in_flight: in_flight,
        }
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        if self.done {
            return Poll::Ready(None);
        }
        if let Poll::Ready(cut) = self.place.poll_cut(cx) {
            self.done = true;
            self.ending.ended.error = Some(cut.as_str());
            return Poll::Ready(Some(Err(Broken::Cut(cut))));
        }
        loop {
            let frame = match Pin::new(&mut self.incoming).poll_frame(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(frame) => frame,
            };
            match frame {
                Some(Ok(frame)) => {
                    // Trailers were not looked at by anybody: they end here.
                    let Ok(data) = frame.into_data() else { continue };
                    let data = if self.patterns.is_empty() {
                        data
                    } else {
                        self.scrubber.push(&self.patterns, data)
                    };
                    // With a known length nobody asks for another frame after the last byte.
                    let data = if self.incoming.is_end_stream() {
                        self.finished_with(data)
                    } else {
                        data
                    };
                    if data.is_empty() && !self.done {
                        continue;
                    }
                    return Poll::Ready(Some(Ok(self.counted(data))));
                }
                Some(Err(_)) => {
                    self.done = true;
                    self.ending.ended.error = Some("upstream_broke_off");
                    return Poll::Ready(Some(Err(Broken::Upstream)));
                }
                None => {
                    let rest = self.finished_with(Bytes::new());
                    return Poll::Ready((!rest.is_empty()).then(|| Ok(self.counted(rest))));
                }
            }
        }
    }

    /// The last bytes: `data`, and what was held back after it.
    fn finished_with(&mut self, data: Bytes) -> Bytes {
        self.done = true;
        self.ending.ended.error = None;
        let rest = self.scrubber.finish();
        if rest.is_empty() {
            data
        } else {
            [&data[..], &rest[..]].concat().into()
        }
    }

    fn counted(&mut self, data: Bytes) -> Frame<Bytes> {
        let length = u64::try_from(data.len()).unwrap_or(u64::MAX);
        self.ending.ended.bytes = self.ending.ended.bytes.saturating_add(length);
        Frame::data(data)
    }
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        match self.get_mut() {
            Self::Own(full) => Pin::new(full).poll_frame(cx).map_err(|never| match never {}),
            Self::Upstream(passing) => passing.poll_next(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Own(full) => full.is_end_stream(),
            // Polled to its end, so that the outcome is known.
            Self::Upstream(passing) => passing.done,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Own(full) => full.size_hint(),
            Self::Upstream(passing) => passing.incoming.size_hint(),
        }
    }
}
