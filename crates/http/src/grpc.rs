//! What unary gRPC is over HTTP/2: a message in a frame, and the status in trailers.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use http_body::Frame;
use tenfold_protocols::flagd::{Status, frame, header_text};

pub(crate) const CONTENT_TYPE: &str = "application/grpc";

/// One message and the trailers that say that all is well.
pub(crate) fn answer(message: &[u8]) -> Response {
    let frames = VecDeque::from([Frame::data(frame(0, message).into()), trailers(None)]);
    ([(header::CONTENT_TYPE, CONTENT_TYPE)], Body::new(Framed { frames })).into_response()
}

/// No message: the trailers stand in the head.
pub(crate) fn error(status: Status, message: &str) -> Response {
    let mut response = ([(header::CONTENT_TYPE, CONTENT_TYPE)], Body::empty()).into_response();
    put_status(response.headers_mut(), Some((status, message)));
    response
}

pub(crate) fn trailers(error: Option<(Status, &str)>) -> Frame<Bytes> {
    let mut trailers = HeaderMap::new();
    put_status(&mut trailers, error);
    Frame::trailers(trailers)
}

pub(crate) fn put_status(headers: &mut HeaderMap, error: Option<(Status, &str)>) {
    let number = error.map_or(0, |(status, _)| status.number());
    headers.insert("grpc-status", HeaderValue::from(u16::from(number)));
    if let Some((_, message)) = error
        && let Ok(text) = HeaderValue::from_str(&header_text(message))
    {
        headers.insert("grpc-message", text);
    }
}

/// A few frames that are there already.
pub(crate) struct Framed {
    pub(crate) frames: VecDeque<Frame<Bytes>>,
}

impl http_body::Body for Framed {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.frames.pop_front().map(Ok))
    }

    fn is_end_stream(&self) -> bool {
        self.frames.is_empty()
    }
}
