//! Length-prefixed JSON frames over a Unix stream, with descriptors beside them.
//!
//! A frame is four bytes of big-endian length and that many bytes of JSON. Descriptors travel with its first byte.

use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::io::{self, IoSlice, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use tokio::net::UnixStream as AsyncUnixStream;

/// Largest frame: a command line and an environment. Linux itself takes more, no agent needs it.
pub(super) const FRAME_BYTES_MAX: usize = 512 << 10;

/// Bytes received so far, and the descriptors that came with them.
#[derive(Default, Debug)]
pub(super) struct Frames {
    bytes: Vec<u8>,
    pub(super) descriptors: Vec<OwnedFd>,
}

impl Frames {
    /// Adds what one read brought.
    pub(super) fn push(&mut self, bytes: &[u8], descriptors: Vec<OwnedFd>) {
        self.bytes.extend_from_slice(bytes);
        self.descriptors.extend(descriptors);
        self.descriptors.truncate(peer::sys::DESCRIPTORS_MAX);
    }
    /// The next message, if it is complete.
    pub(super) fn next<T: DeserializeOwned>(&mut self) -> io::Result<Option<T>> {
        let Some((len, rest)) = self.bytes.split_first_chunk::<4>() else {
            return Ok(None);
        };
        let len = u32::from_be_bytes(*len) as usize;
        if len > FRAME_BYTES_MAX {
            return Err(invalid("a frame is larger than 512 KiB"));
        }
        let Some(json) = rest.get(..len) else {
            return Ok(None);
        };
        let message = serde_json::from_slice(json)
            .map_err(|error| invalid(&format!("a frame is not understood: {error}")))?;
        self.bytes.drain(..4 + len);
        Ok(Some(message))
    }
}

fn invalid(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what.to_owned())
}

fn frame<T: Serialize>(message: &T) -> io::Result<Vec<u8>> {
    let json = serde_json::to_vec(message).map_err(io::Error::other)?;
    let len = u32::try_from(json.len())
        .ok()
        .filter(|_| json.len() <= FRAME_BYTES_MAX);
    let len = len.ok_or_else(|| {
        invalid("a frame is larger than 512 KiB: shorten the command line or the environment")
    })?;
    Ok([&len.to_be_bytes()[..], &json].concat())
}

fn send_first(socket: BorrowedFd<'_>, bytes: &[u8], descriptors: &[BorrowedFd<'_>]) -> io::Result<usize> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(8))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !descriptors.is_empty() && !control.push(SendAncillaryMessage::ScmRights(descriptors)) {
        return Err(invalid("more than 8 descriptors"));
    }
    Ok(sendmsg(
        socket,
        &[IoSlice::new(bytes)],
        &mut control,
        SendFlags::NOSIGNAL,
    )?)
}

/// The blocking end: supervisor and command line.
#[derive(Debug)]
pub(super) struct Link {
    stream: UnixStream,
    pub(super) frames: Frames,
}

impl Link {
    pub(super) fn new(stream: UnixStream) -> Self {
        Self {
            stream,
            frames: Frames::default(),
        }
    }
    pub(super) fn send<T: Serialize>(
        &mut self,
        message: &T,
        descriptors: &[BorrowedFd<'_>],
    ) -> io::Result<()> {
        let bytes = frame(message)?;
        let sent = send_first(self.stream.as_fd(), &bytes, descriptors)?;
        self.stream.write_all(bytes.get(sent..).unwrap_or_default())
    }
    /// Waits for the next message; `None` when the other end has hung up.
    pub(super) fn receive<T: DeserializeOwned>(&mut self) -> io::Result<Option<T>> {
        loop {
            if let Some(message) = self.frames.next()? {
                return Ok(Some(message));
            }
            let mut bytes = vec![0; 1 << 16];
            let received = peer::sys::receive(self.stream.as_fd(), &mut bytes)?;
            if received.bytes == 0 {
                return Ok(None);
            }
            self.frames.push(
                bytes.get(..received.bytes).unwrap_or_default(),
                received.descriptors,
            );
        }
    }
}

impl AsFd for Link {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}

/// The asynchronous end: the node agent towards a supervisor of its own.
#[derive(Debug)]
pub(super) struct AsyncLink {
    stream: AsyncUnixStream,
    pub(super) frames: Frames,
}

impl AsyncLink {
    pub(super) fn new(stream: AsyncUnixStream) -> Self {
        Self {
            stream,
            frames: Frames::default(),
        }
    }
    pub(super) async fn send<T: Serialize>(
        &self,
        message: &T,
        descriptors: &[BorrowedFd<'_>],
    ) -> io::Result<()> {
        let bytes = frame(message)?;
        let (mut sent, mut descriptors) = (0, descriptors);
        while let Some(rest) = bytes.get(sent..).filter(|rest| !rest.is_empty()) {
            self.stream.writable().await?;
            let send = || send_first(self.stream.as_fd(), rest, descriptors);
            match self.stream.try_io(tokio::io::Interest::WRITABLE, send) {
                Ok(more) => {
                    sent += more;
                    descriptors = &[];
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
    pub(super) async fn receive<T: DeserializeOwned>(&mut self) -> io::Result<Option<T>> {
        loop {
            if let Some(message) = self.frames.next()? {
                return Ok(Some(message));
            }
            self.stream.readable().await?;
            let mut bytes = vec![0; 1 << 12];
            let receive = || peer::sys::receive(self.stream.as_fd(), &mut bytes);
            match self.stream.try_io(tokio::io::Interest::READABLE, receive) {
                Ok(received) if received.bytes == 0 => return Ok(None),
                Ok(received) => {
                    self.frames.push(
                        bytes.get(..received.bytes).unwrap_or_default(),
                        received.descriptors,
                    );
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
    }
}

/// One frame to a caller of the launch socket.
pub(super) async fn tell<T: Serialize>(
    to: &mut (impl tokio::io::AsyncWrite + Unpin),
    message: &T,
) -> io::Result<()> {
    tokio::io::AsyncWriteExt::write_all(to, &frame(message)?).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_arrives_whole_with_its_descriptors() {
        let (a, b) = UnixStream::pair().unwrap();
        let (mut a, mut b) = (Link::new(a), Link::new(b));
        let long = "x".repeat(100_000);
        let file = std::fs::File::open("/dev/null").unwrap();
        let sender = std::thread::spawn({
            let long = long.clone();
            move || a.send(&long, &[file.as_fd()]).unwrap()
        });
        assert_eq!(b.receive::<String>().unwrap(), Some(long));
        assert_eq!(b.frames.descriptors.len(), 1);
        sender.join().unwrap();
        assert_eq!(b.receive::<String>().unwrap(), None);
    }

    #[test]
    fn an_oversized_or_unknown_frame_is_refused() {
        let mut frames = Frames::default();
        frames.push(&[0xff; 8], Vec::new());
        assert!(frames.next::<String>().is_err());
        let mut frames = Frames::default();
        frames.push(&[0, 0, 0, 2, b'{', b'}'], Vec::new());
        assert!(frames.next::<String>().is_err());
        assert!(frame(&"x".repeat(FRAME_BYTES_MAX)).is_err());
    }
}
