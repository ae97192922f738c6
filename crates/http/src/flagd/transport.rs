//! How messages travel: gRPC, Connect with one message, Connect with a stream; each in protobuf or JSON.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::Json;
use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::{Stream, StreamExt};
use http_body::Frame;
use serde_json::{Map, Value, json};
use tenfold_protocols::flagd::{
    Answer, AnswerKind, FRAME_END, Request, Status, answer_json, answer_proto, answers_proto, error_json, event_json,
    event_proto, frame, request_from_json, request_from_proto, unframe,
};

use super::resolve::Told;
use crate::grpc::{self, Framed};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Transport {
    Grpc,
    /// One message, as it is.
    Connect(Coding),
    /// Messages in frames.
    ConnectStream(Coding),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Coding {
    Proto,
    Json,
}

/// To a client whose `Content-Type` is none of ours.
pub(super) fn unsupported() -> Response {
    let text = "send application/grpc, application/json, application/proto or application/connect+json";
    (StatusCode::UNSUPPORTED_MEDIA_TYPE, Json(json!({"code": "unimplemented", "message": text}))).into_response()
}

impl Transport {
    pub(super) fn of(headers: &HeaderMap) -> Option<Self> {
        let kind = headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
        Some(match kind.split(';').next().unwrap_or_default().trim() {
            "application/grpc" | "application/grpc+proto" => Self::Grpc,
            "application/json" => Self::Connect(Coding::Json),
            "application/proto" => Self::Connect(Coding::Proto),
            "application/connect+json" => Self::ConnectStream(Coding::Json),
            "application/connect+proto" => Self::ConnectStream(Coding::Proto),
            _ => return None,
        })
    }

    const fn coding(self) -> Coding {
        match self {
            Self::Grpc => Coding::Proto,
            Self::Connect(coding) | Self::ConnectStream(coding) => coding,
        }
    }

    const fn content_type(self) -> &'static str {
        match self {
            Self::Grpc => grpc::CONTENT_TYPE,
            Self::Connect(Coding::Json) => "application/json",
            Self::Connect(Coding::Proto) => "application/proto",
            Self::ConnectStream(Coding::Json) => "application/connect+json",
            Self::ConnectStream(Coding::Proto) => "application/connect+proto",
        }
    }

    pub(super) fn request(self, body: &[u8], all: bool) -> Result<Request, String> {
        let message = if matches!(self, Self::Connect(_)) { body } else { unframe(body)? };
        match self.coding() {
            Coding::Proto => request_from_proto(message, all),
            Coding::Json => request_from_json(message),
        }
    }

    pub(super) fn answer(self, answer: &Answer, kind: AnswerKind) -> Response {
        self.unary(match self.coding() {
            Coding::Proto => answer_proto(answer, kind),
            Coding::Json => answer_json(answer, Some(kind)).to_string().into_bytes(),
        })
    }

    pub(super) fn answers(self, answers: &[(String, Answer)], set: &Map<String, Value>) -> Response {
        self.unary(match self.coding() {
            Coding::Proto => answers_proto(answers, set),
            Coding::Json => {
                let flags: Map<_, _> = answers.iter().map(|(key, a)| (key.clone(), answer_json(a, None))).collect();
                json!({"flags": flags, "metadata": set}).to_string().into_bytes()
            }
        })
    }

    fn unary(self, message: Vec<u8>) -> Response {
        match self {
            Self::Connect(_) => self.respond(message.into()),
            Self::Grpc | Self::ConnectStream(_) => self.respond(Body::new(Framed {
                frames: std::collections::VecDeque::from([Frame::data(frame(0, &message).into()), self.end(None)]),
            })),
        }
    }

    fn respond(self, body: Body) -> Response {
        ([(header::CONTENT_TYPE, self.content_type())], body).into_response()
    }

    /// What comes after the last message: gRPC's trailers, Connect's last frame.
    fn end(self, error: Option<(Status, &str)>) -> Frame<Bytes> {
        match self {
            Self::Grpc => grpc::trailers(error),
            Self::Connect(_) | Self::ConnectStream(_) => {
                let body = match error {
                    None => json!({}),
                    Some((status, message)) => json!({"error": error_json(status, message)}),
                };
                Frame::data(frame(FRAME_END, body.to_string().as_bytes()).into())
            }
        }
    }

    pub(super) fn error(self, status: Status, message: &str) -> Response {
        match self {
            Self::Grpc => grpc::error(status, message),
            Self::Connect(_) => {
                let code = StatusCode::from_u16(status.http()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
                (code, Json(error_json(status, message))).into_response()
            }
            Self::ConnectStream(_) => self.respond(Body::new(Framed {
                frames: std::collections::VecDeque::from([self.end(Some((status, message)))]),
            })),
        }
    }

    /// A stream of events, each in a frame. A client of Connect that asked without frames gets frames all the same.
    pub(super) fn stream(self, told: impl Stream<Item = Result<Told, Infallible>> + Send + 'static) -> Response {
        let me = match self {
            Self::Connect(coding) => Self::ConnectStream(coding),
            other => other,
        };
        let frames = told.map(move |told| match told {
            Ok(Told::Event(kind, data)) => {
                let message = match me.coding() {
                    Coding::Proto => event_proto(kind, &data),
                    Coding::Json => event_json(kind, &data).to_string().into_bytes(),
                };
                Frame::data(Bytes::from(frame(0, &message)))
            }
            Ok(Told::End(status, message)) => me.end(Some((status, &message))),
            Err(never) => match never {},
        });
        me.respond(Body::new(Streamed(Box::pin(frames))))
    }
}

/// Frames as they come.
struct Streamed(Pin<Box<dyn Stream<Item = Frame<Bytes>> + Send>>);

impl http_body::Body for Streamed {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.poll_next_unpin(cx).map(|frame| frame.map(Ok))
    }
}
