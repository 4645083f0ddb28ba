//! Unix sockets whose other end is known: who connected, and who writes each byte.

use crate::{PeerError, PidFd, sys};
use rustix::net::sockopt::set_socket_passcred;
use rustix::process::Pid;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::{UnixListener, UnixStream};

/// The process that opened a connection, as of its `connect`.
#[derive(Clone, Debug)]
pub struct Peer {
    /// The process, held.
    pub process: Arc<PidFd>,
    /// Its effective user id when it connected.
    pub uid: u32,
    /// Its effective group id when it connected.
    pub gid: u32,
}

impl Peer {
    /// Who is on the other end of a connected Unix socket.
    pub fn of(socket: impl AsFd) -> Result<Self, PeerError> {
        let fd = sys::peer_pidfd(socket.as_fd()).map_err(|error| match error.raw_os_error() {
            Some(libc::ENOPROTOOPT) => PeerError::Kernel("SO_PEERPIDFD"),
            Some(libc::ESRCH | libc::EINVAL | libc::ENODATA) => PeerError::Gone,
            _ => PeerError::Io(error),
        })?;
        let credentials = sys::peer_credentials(socket.as_fd())?;
        let pid = Pid::from_raw(credentials.pid).ok_or(PeerError::Invisible)?;
        let process = PidFd::adopt(fd, pid)?;
        process.check()?;
        Ok(Self {
            process: Arc::new(process),
            uid: credentials.uid,
            gid: credentials.gid,
        })
    }
}

/// A listening Unix socket that knows its callers.
#[derive(Debug)]
pub struct Listener(UnixListener);

impl Listener {
    /// Listens on `path`. A socket file left by a dead process is replaced; one that answers is not.
    pub fn bind(path: &Path) -> io::Result<Self> {
        match std::os::unix::net::UnixStream::connect(path) {
            Ok(_) => return Err(io::Error::from(io::ErrorKind::AddrInUse)),
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => std::fs::remove_file(path)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        let listener = UnixListener::bind(path)?;
        // Everybody may ask: who asks is the kernel's word, not a file permission's.
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o666))?;
        // Set before the first accept: connections inherit it, so not even their first byte is unwitnessed.
        set_socket_passcred(&listener, true)?;
        Ok(Self(listener))
    }
    /// The next connection. An error of the outer kind ends the listener, one of the inner kind only this connection.
    pub async fn accept(&self) -> io::Result<Result<(Peer, WitnessedStream), PeerError>> {
        let (stream, _) = self.0.accept().await?;
        Ok(WitnessedStream::new(stream))
    }
}

/// A connection that ends when anybody but the process that opened it writes to it.
///
/// A connected socket that a child inherits still shows its opener's credentials (`unix(7)`, SO_PEERCRED). With SO_PASSCRED
/// the kernel attaches the real writer to every piece of data, so an inherited socket gives no identity away.
#[derive(Debug)]
pub struct WitnessedStream {
    stream: UnixStream,
    opener: i32,
}

impl WitnessedStream {
    fn new(stream: UnixStream) -> Result<(Peer, Self), PeerError> {
        let peer = Peer::of(&stream)?;
        let opener = peer.process.pid().as_raw_nonzero().get();
        Ok((peer, Self { stream, opener }))
    }
}

impl WitnessedStream {
    fn poll_received(
        &self,
        cx: &mut Context<'_>,
        room: &mut [u8],
    ) -> Poll<io::Result<(usize, Vec<OwnedFd>)>> {
        loop {
            std::task::ready!(self.stream.poll_read_ready(cx))?;
            let received = self
                .stream
                .try_io(Interest::READABLE, || sys::receive(self.stream.as_fd(), room));
            return Poll::Ready(match received {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
                Err(error) => Err(error),
                Ok(received) if received.bytes == 0 => Ok((0, Vec::new())),
                Ok(received) => match received.writer.map_or(0, |writer| writer.pid) {
                    writer if writer == self.opener => Ok((received.bytes, received.descriptors)),
                    writer => {
                        let inherited = PeerError::Inherited {
                            writer,
                            opener: self.opener,
                        };
                        Err(io::Error::new(io::ErrorKind::PermissionDenied, inherited))
                    }
                },
            });
        }
    }
    /// Reads some bytes and takes the descriptors that were sent along with them.
    pub async fn receive(&self, into: &mut [u8]) -> io::Result<(usize, Vec<OwnedFd>)> {
        std::future::poll_fn(|cx| self.poll_received(cx, into)).await
    }
}

impl AsyncRead for WitnessedStream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        // Descriptors that arrive where none are expected are closed here, when the list is dropped.
        let (bytes, _unwanted) = std::task::ready!(self.poll_received(cx, into.initialize_unfilled()))?;
        into.advance(bytes);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for WitnessedStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Command, Stdio};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    fn listener() -> (tempfile::TempDir, std::path::PathBuf, Listener) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s");
        let listener = Listener::bind(&path).unwrap();
        (dir, path, listener)
    }

    #[tokio::test]
    async fn the_opener_is_known_and_may_write() {
        let (_dir, path, listener) = listener();
        let mut client = UnixStream::connect(&path).await.unwrap();
        client.write_all(b"hello").await.unwrap();
        let (peer, mut stream) = listener.accept().await.unwrap().unwrap();
        assert_eq!(peer.process.pid(), rustix::process::getpid());
        assert_eq!(peer.uid, rustix::process::geteuid().as_raw());
        let mut got = [0; 5];
        stream.read_exact(&mut got).await.unwrap();
        assert_eq!(&got, b"hello");
    }

    #[tokio::test]
    async fn a_child_writing_on_an_inherited_socket_is_cut_off() {
        let (_dir, path, listener) = listener();
        let client = std::os::unix::net::UnixStream::connect(&path).unwrap();
        let (_peer, mut stream) = listener.accept().await.unwrap().unwrap();
        let mut child = Command::new("/bin/echo")
            .arg("stolen")
            .stdout(Stdio::from(OwnedFd::from(client)))
            .spawn()
            .unwrap();
        let error = stream.read_u8().await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::PermissionDenied);
        child.wait().unwrap();
    }

    #[tokio::test]
    async fn a_caller_that_has_ended_is_nobody() {
        let (_dir, path, listener) = listener();
        let script =
            "import socket,sys; s=socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]); s.send(b'x')";
        let done = Command::new("python3")
            .args(["-c", script])
            .arg(&path)
            .status()
            .unwrap();
        assert!(done.success());
        let accepted = listener.accept().await.unwrap();
        assert!(
            matches!(accepted, Err(PeerError::Gone | PeerError::Invisible)),
            "{accepted:?}"
        );
    }

    #[tokio::test]
    async fn a_socket_in_use_is_not_taken_over() {
        let (_dir, path, listener) = listener();
        assert_eq!(
            Listener::bind(&path).unwrap_err().kind(),
            io::ErrorKind::AddrInUse
        );
        drop(listener);
        assert!(Listener::bind(&path).is_ok());
    }
}
