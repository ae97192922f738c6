//! How a socket leaves the HTTP stack. The connection's IO is wrapped; a stream's answer goes through the stack like any
//! other, with all its headers, and its body asks for the socket once the head is written. The wrapper hands the socket
//! over at the flush that follows, which the stack makes only when nothing is left in its buffers, and from then on says
//! that the connection is gone: so the stack drops it.

use std::io::{self, ErrorKind, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

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
}

impl Parkable {
    pub(crate) fn new(socket: TcpStream) -> (Self, Berth) {
        let berth = Berth::default();
        (Self { socket: Some(socket), slot: berth.slot.clone() }, berth)
    }

    fn socket(&mut self) -> io::Result<Pin<&mut TcpStream>> {
        self.socket
            .as_mut()
            .map(Pin::new)
            .ok_or_else(|| io::Error::new(ErrorKind::NotConnected, "the socket is parked"))
    }

    fn hand_over(&mut self) -> io::Result<()> {
        self.slot.armed.store(false, Ordering::Release);
        let claim = self.slot.claim.lock().take();
        if let (Some((streams, newcomer)), Some(socket)) = (claim, self.socket.take()) {
            streams.park(socket.into_std()?, newcomer);
        }
        self.socket().map(drop)
    }
}

impl AsyncRead for Parkable {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.socket()?.poll_read(cx, buf)
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
