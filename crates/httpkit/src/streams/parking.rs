//! How a socket leaves the HTTP stack. The connection's IO is wrapped; a stream's answer goes through the stack like any
//! other, with all its headers, and its body asks for the socket once the head is written. The wrapper hands the socket
//! over at the flush that follows, which the stack makes only when nothing is left in its buffers, and from then on says
//! that the connection is gone: so the stack drops it.

use std::io::{self, ErrorKind, IoSlice};
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{Method, Version};
use bytes::Bytes;
use hyper::body::{Body, Frame};
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use super::Streams;
use super::client::Newcomer;

/// Who asks for so few bytes only looks how a connection begins, to tell HTTP/1 from HTTP/2.
const LOOK_BYTES_MAX: usize = 64;
/// So many are read then in one call: most requests are shorter.
const AHEAD_BYTES: usize = 2 * 1024;

/// Where a body leaves word that it wants its connection's socket.
#[derive(Clone, Default)]
pub(crate) struct Berth {
    pub(super) chunked: bool,
    slot: Arc<Slot>,
}

#[derive(Default)]
struct Slot {
    armed: AtomicBool,
    claim: Mutex<Option<(Arc<Streams>, Newcomer)>>,
}

/// What a handler needs to know of a request to answer with a stream.
pub struct Opening {
    pub(super) berth: Option<Berth>,
    pub(super) method: Method,
    /// What the client says it has seen last.
    pub last_event_id: Option<String>,
}

impl<S: Send + Sync> FromRequestParts<S> for Opening {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        // The streams of an HTTP/2 connection share a socket, so that none can have it.
        let alone = matches!(parts.version, Version::HTTP_10 | Version::HTTP_11);
        let berth = parts.extensions.get::<Berth>().filter(|_| alone).cloned();
        Ok(Self {
            berth: berth.map(|b| Berth { chunked: parts.version == Version::HTTP_11, ..b }),
            method: parts.method.clone(),
            last_event_id: parts.headers.get("last-event-id").and_then(|v| v.to_str().ok()).map(str::to_owned),
        })
    }
}

/// The first line of a stream, and then the request for the socket.
pub(super) struct ParkingBody {
    first: Option<Bytes>,
    berth: Berth,
    claim: Option<(Arc<Streams>, Newcomer)>,
}

impl ParkingBody {
    pub(super) fn new(first: String, berth: Berth, streams: Arc<Streams>, newcomer: Newcomer) -> Self {
        Self { first: Some(first.into()), berth, claim: Some((streams, newcomer)) }
    }
}

impl Body for ParkingBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        if let Some(first) = self.first.take() {
            return Poll::Ready(Some(Ok(Frame::data(first))));
        }
        if let Some(claim) = self.claim.take() {
            *self.berth.slot.claim.lock() = Some(claim);
            self.berth.slot.armed.store(true, Ordering::Release);
        }
        // Nobody wakes it: the flush that follows takes the connection apart.
        Poll::Pending
    }
}

/// A connection's socket, until it is taken.
pub(crate) struct Parkable {
    socket: Option<TcpStream>,
    slot: Arc<Slot>,
    /// Came with the first bytes and was not asked for yet.
    ahead: Bytes,
}

impl Parkable {
    pub(crate) fn new(socket: TcpStream) -> (Self, Berth) {
        let berth = Berth::default();
        (Self { socket: Some(socket), slot: berth.slot.clone(), ahead: Bytes::new() }, berth)
    }

    fn socket(&mut self) -> io::Result<Pin<&mut TcpStream>> {
        self.socket
            .as_mut()
            .map(Pin::new)
            .ok_or_else(|| io::Error::new(ErrorKind::NotConnected, "the socket is parked"))
    }

    fn hand_over(&mut self) -> io::Result<()> {
        self.slot.armed.store(false, Ordering::Release);
        self.ahead.clear();
        let claim = self.slot.claim.lock().take();
        if let (Some((streams, newcomer)), Some(socket)) = (claim, self.socket.take()) {
            streams.park(socket.into_std()?, newcomer);
        }
        self.socket().map(drop)
    }
}

impl AsyncRead for Parkable {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if !self.ahead.is_empty() {
            let len = self.ahead.len().min(buf.remaining());
            buf.put_slice(&self.ahead.split_to(len));
            return Poll::Ready(Ok(()));
        }
        if !(1..=LOOK_BYTES_MAX).contains(&buf.remaining()) {
            return self.socket()?.poll_read(cx, buf);
        }
        let mut space = [MaybeUninit::<u8>::uninit(); AHEAD_BYTES];
        let mut read = ReadBuf::uninit(&mut space);
        ready!(self.socket()?.poll_read(cx, &mut read))?;
        let (now, later) = read.filled().split_at(read.filled().len().min(buf.remaining()));
        buf.put_slice(now);
        self.ahead = Bytes::copy_from_slice(later);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Parkable {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.socket()?.poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.socket()?.poll_flush(cx) {
            Poll::Ready(Ok(())) if self.slot.armed.load(Ordering::Acquire) => Poll::Ready(self.hand_over()),
            other => other,
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.socket()?.poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.socket()?.poll_write_vectored(cx, bufs)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn what_came_with_the_first_bytes_is_read_after_them() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (mut served, _berth) = Parkable::new(listener.accept().await.unwrap().0);
        let sent: Vec<u8> = (0..AHEAD_BYTES + 1_000).map(|n| (n % 251) as u8).collect();
        client.write_all(&sent).await.unwrap();
        client.shutdown().await.unwrap();
        let (mut first, mut rest) = ([0; 24], Vec::new());
        served.read_exact(&mut first).await.unwrap();
        assert!(!served.ahead.is_empty(), "more was read than asked for");
        served.read_to_end(&mut rest).await.unwrap();
        assert!([&first[..], &rest[..]].concat() == sent);
    }
}
