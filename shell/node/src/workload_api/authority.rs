//! Makes gRPC clients written in C++, Python, Ruby, PHP, Objective-C and Java understood on a Unix socket.
//!
//! Those clients put the socket's path into the HTTP/2 `:authority` (percent-encoded or raw), which is no authority in the
//! sense of RFC 9113 section 8.3.1, and our HTTP/2 library resets such a stream before anybody sees the request. On a
//! Unix socket the authority names nothing, so this replaces it by `localhost` on the way in: it decodes each header
//! block of the client (RFC 7541) and writes it anew as plain literals without indexing. What follows then needs no
//! dynamic table. All other frames pass byte for byte.
//!
//! It does not judge headers, streams or settings: whatever else is wrong is for the HTTP/2 library to refuse.

use fluke_hpack::Decoder;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Largest frame we take: the default of RFC 9113 section 6.5.2, and our server never offers more.
pub const FRAME_BYTES_MAX: usize = 16_384;
/// Largest header block of one request, compressed. A Workload API request needs a few hundred bytes; the limit
/// also bounds the work that a block full of references to one long table entry can cause.
pub const BLOCK_BYTES_MAX: usize = 16_384;
/// Largest header list of one request, decompressed.
pub const LIST_BYTES_MAX: usize = 65_536;

/// Why a client's bytes are not HTTP/2 that we transcode. The connection ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    /// RFC 9113 section 4.2.
    #[error("an HTTP/2 frame is larger than 16384 bytes")]
    FrameTooLarge,
    /// Padding or priority fields longer than their frame (RFC 9113 section 6.2).
    #[error("the padding or priority of a HEADERS frame does not fit")]
    FrameLayout,
    /// A header block interrupted by another frame, or a CONTINUATION without one (RFC 9113 section 6.10).
    #[error("a header block is not contiguous")]
    NotContiguous,
    /// More than [`BLOCK_BYTES_MAX`].
    #[error("a header block is larger than 16384 bytes")]
    BlockTooLarge,
    /// More than [`LIST_BYTES_MAX`].
    #[error("a header list is larger than 65536 bytes")]
    ListTooLarge,
    /// RFC 7541.
    #[error("a header block is not valid HPACK")]
    Compression,
}

/// The transcoder: a pure function of the bytes fed so far.
pub struct Transcoder {
    pending: Vec<u8>,
    preface_left: usize,
    decoder: Decoder<'static>,
    block: Option<Block>,
}

struct Block {
    stream: [u8; 4],
    end_stream: u8,
    fragments: Vec<u8>,
}

impl Default for Transcoder {
    fn default() -> Self {
        let mut decoder = Decoder::new();
        decoder.set_max_allowed_table_size(TABLE_BYTES_MAX);
        Self {
            pending: Vec::new(),
            preface_left: PREFACE_BYTES,
            decoder,
            block: None,
        }
    }
}

impl Transcoder {
    /// Takes the client's next bytes and appends to `out` what the HTTP/2 library is to see.
    pub fn feed(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), HeaderError> {
        let (preface, bytes) = bytes.split_at(self.preface_left.min(bytes.len()));
        self.preface_left = self.preface_left.saturating_sub(preface.len());
        out.extend_from_slice(preface);

        let mut pending = std::mem::take(&mut self.pending);
        pending.extend_from_slice(bytes);
        let mut rest = pending.as_slice();
        while let Some(([l0, l1, l2, kind, flags, stream @ ..], after)) = rest.split_first_chunk::<9>() {
            let len = u32::from_be_bytes([0, *l0, *l1, *l2]) as usize;
            if len > FRAME_BYTES_MAX {
                return Err(HeaderError::FrameTooLarge);
            }
            let Some((payload, next)) = after.split_at_checked(len) else {
                break;
            };
            match (*kind, self.block.is_some()) {
                (HEADERS, false) => {
                    let end_stream = flags & END_STREAM;
                    self.block = Some(Block {
                        stream: *stream,
                        end_stream,
                        fragments: Vec::new(),
                    });
                    self.fragment(unframed(payload, *flags)?, *flags, out)?;
                }
                (CONTINUATION, true) if self.block.as_ref().is_some_and(|block| block.stream == *stream) => {
                    self.fragment(payload, *flags, out)?;
                }
                (CONTINUATION, _) | (_, true) => return Err(HeaderError::NotContiguous),
                (_, false) => out.extend_from_slice(rest.get(..9 + len).unwrap_or_default()),
            }
            rest = next;
        }
        self.pending = rest.to_vec();
        Ok(())
    }

    fn fragment(&mut self, bytes: &[u8], flags: u8, out: &mut Vec<u8>) -> Result<(), HeaderError> {
        let Some(block) = &mut self.block else {
            return Err(HeaderError::NotContiguous);
        };
        if block.fragments.len() + bytes.len() > BLOCK_BYTES_MAX {
            return Err(HeaderError::BlockTooLarge);
        }
        block.fragments.extend_from_slice(bytes);
        if flags & END_HEADERS == 0 {
            return Ok(());
        }
        let Some(block) = self.block.take() else {
            return Err(HeaderError::NotContiguous);
        };
        let list = rewritten(&mut self.decoder, &block.fragments)?;
        write_block(&list, block.stream, block.end_stream, out);
        Ok(())
    }
}

/// Cuts padding and priority off a HEADERS payload (RFC 9113 section 6.2).
fn unframed(payload: &[u8], flags: u8) -> Result<&[u8], HeaderError> {
    let (padding, payload) = match (flags & PADDED, payload) {
        (0, payload) => (0, payload),
        (_, [padding, payload @ ..]) => (usize::from(*padding), payload),
        (_, []) => return Err(HeaderError::FrameLayout),
    };
    let priority = if flags & PRIORITY == 0 { 0 } else { 5 };
    let payload = payload.get(priority..).ok_or(HeaderError::FrameLayout)?;
    let end = payload
        .len()
        .checked_sub(padding)
        .ok_or(HeaderError::FrameLayout)?;
    payload.get(..end).ok_or(HeaderError::FrameLayout)
}

/// Decodes a header block and encodes it as literals that are never indexed (RFC 7541 section 6.2.3).
fn rewritten(decoder: &mut Decoder<'static>, block: &[u8]) -> Result<Vec<u8>, HeaderError> {
    let mut list = Vec::with_capacity(block.len() * 2);
    let mut too_large = false;
    let decoded = decoder.decode_with_cb(block, |name, value| {
        too_large |= list.len() + name.len() + value.len() > LIST_BYTES_MAX;
        if too_large {
            return;
        }
        let value = if *name == *b":authority" {
            b"localhost"
        } else {
            value.as_ref()
        };
        list.push(NEVER_INDEXED);
        write_string(&name, &mut list);
        write_string(value, &mut list);
    });
    match (decoded, too_large) {
        (_, true) => Err(HeaderError::ListTooLarge),
        (Err(_), _) => Err(HeaderError::Compression),
        (Ok(()), false) => Ok(list),
    }
}

/// A string literal without Huffman coding: a length with a 7-bit prefix, then the bytes (RFC 7541 sections 5.1, 5.2).
fn write_string(bytes: &[u8], out: &mut Vec<u8>) {
    const PREFIX_FULL: usize = 0x7f;
    match bytes.len().checked_sub(PREFIX_FULL) {
        None => out.push(low_byte(bytes.len())),
        Some(mut rest) => {
            out.push(0x7f);
            while rest >= 0x80 {
                out.push(low_byte(rest & 0x7f) | 0x80);
                rest >>= 7;
            }
            out.push(low_byte(rest));
        }
    }
    out.extend_from_slice(bytes);
}

fn write_block(list: &[u8], stream: [u8; 4], end_stream: u8, out: &mut Vec<u8>) {
    let (first, mut rest) = list.split_at(list.len().min(FRAME_BYTES_MAX));
    let last = |rest: &[u8]| if rest.is_empty() { END_HEADERS } else { 0 };
    write_frame(HEADERS, end_stream | last(rest), stream, first, out);
    while !rest.is_empty() {
        let (piece, after) = rest.split_at(rest.len().min(FRAME_BYTES_MAX));
        write_frame(CONTINUATION, last(after), stream, piece, out);
        rest = after;
    }
}

fn write_frame(kind: u8, flags: u8, stream: [u8; 4], payload: &[u8], out: &mut Vec<u8>) {
    let len = payload.len();
    out.extend_from_slice(&[
        low_byte(len >> 16),
        low_byte(len >> 8),
        low_byte(len),
        kind,
        flags,
    ]);
    out.extend_from_slice(&stream);
    out.extend_from_slice(payload);
}

const fn low_byte(number: usize) -> u8 {
    number.to_le_bytes()[0]
}

/// `PRI * HTTP/2.0` and so on (RFC 9113 section 3.4); the HTTP/2 library checks its text.
const PREFACE_BYTES: usize = 24;
/// The default of SETTINGS_HEADER_TABLE_SIZE; our server never offers more.
const TABLE_BYTES_MAX: usize = 4096;
const NEVER_INDEXED: u8 = 0x10;
const HEADERS: u8 = 1;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 0x01;
const END_HEADERS: u8 = 0x04;
const PADDED: u8 = 0x08;
const PRIORITY: u8 = 0x20;

/// A connection whose reading side goes through a [`Transcoder`].
pub struct AuthorityStream<S> {
    inner: S,
    transcoder: Transcoder,
    ready: Vec<u8>,
    taken: usize,
}

impl<S> AuthorityStream<S> {
    /// Wraps an accepted connection before its first byte is read.
    pub fn new(inner: S) -> Self {
        Self {
            inner,
            transcoder: Transcoder::default(),
            ready: Vec::new(),
            taken: 0,
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for AuthorityStream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            let this = &mut *self;
            let waiting = this.ready.get(this.taken..).unwrap_or_default();
            if !waiting.is_empty() {
                let take = waiting
                    .get(..into.remaining().min(waiting.len()))
                    .unwrap_or_default();
                into.put_slice(take);
                this.taken += take.len();
                return Poll::Ready(Ok(()));
            }
            this.ready.clear();
            this.taken = 0;
            let mut bytes = [0; 8192];
            let mut read = ReadBuf::new(&mut bytes);
            ready!(Pin::new(&mut this.inner).poll_read(cx, &mut read))?;
            if read.filled().is_empty() {
                return Poll::Ready(Ok(()));
            }
            this.transcoder
                .feed(read.filled(), &mut this.ready)
                .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for AuthorityStream<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, bytes)
    }
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests;
