//! Bodies on their way to an upstream: whole, or frame by frame as the agent sends them, with a limit on pauses.

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::Full;
use hyper::body::Incoming;
use std::future::Future as _;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::time::{Instant, Sleep};

/// Why a body did not come in.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BodyError {
    /// The agent's connection.
    #[error("the request's body broke off")]
    Broken(#[from] hyper::Error),
    /// Longer pauses than allowed.
    #[error("the request's body came too slowly")]
    Slow,
}

/// A request body.
#[derive(Debug)]
pub(crate) enum OutgoingBody {
    /// Known in full.
    Whole(Full<Bytes>),
    /// As it comes in.
    Streamed(Streamed),
}

/// A body as it comes in.
#[derive(Debug)]
pub(crate) struct Streamed {
    incoming: Incoming,
    pause: Pin<Box<Sleep>>,
    longest_pause: Duration,
}

impl OutgoingBody {
    pub(crate) fn whole(bytes: Bytes) -> Self {
        Self::Whole(Full::new(bytes))
    }
    pub(crate) fn streamed(incoming: Incoming, longest_pause: Duration) -> Self {
        let pause = Box::pin(tokio::time::sleep(longest_pause));
        Self::Streamed(Streamed {
            incoming,
            pause,
            longest_pause,
        })
    }
}

impl Body for OutgoingBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match self.get_mut() {
            Self::Whole(full) => match ready!(Pin::new(full).poll_frame(cx)) {
                Some(Ok(frame)) => Poll::Ready(Some(Ok(frame))),
                Some(Err(never)) => match never {},
                None => Poll::Ready(None),
            },
            Self::Streamed(streamed) => match Pin::new(&mut streamed.incoming).poll_frame(cx) {
                Poll::Ready(Some(Ok(frame))) if frame.is_data() => {
                    streamed
                        .pause
                        .as_mut()
                        .reset(Instant::now() + streamed.longest_pause);
                    Poll::Ready(Some(Ok(frame)))
                }
                // Trailers were not decided on: they end here.
                Poll::Ready(Some(Ok(_)) | None) => Poll::Ready(None),
                Poll::Ready(Some(Err(error))) => Poll::Ready(Some(Err(error.into()))),
                Poll::Pending => {
                    ready!(streamed.pause.as_mut().poll(cx));
                    Poll::Ready(Some(Err(BodyError::Slow)))
                }
            },
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(full) => full.is_end_stream(),
            Self::Streamed(streamed) => streamed.incoming.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(full) => full.size_hint(),
            Self::Streamed(streamed) => streamed.incoming.size_hint(),
        }
    }
}
