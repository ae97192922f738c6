//! Where metrics are pushed to. Each protocol's handler reads its body, hands a batch to `app.metrics.push` and answers in
//! the words of its protocol; what may be sent and how much is decided there.

mod collectd;
mod influx;
mod otlp;
mod remote_write;
mod sources;

use std::time::Duration;

use axum::extract::Request;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use tenfold_app::App;
use tenfold_app::metrics::{PushFault, Source};
use tenfold_httpkit::body::{BodyError, Pace, PaceError, whole as capped, whole_at};
use tenfold_protocols::inflate::{InflateError, gunzip, unzstd};
use tenfold_types::{ErrorCode, Fault};

use crate::Api;
use crate::auth::Identity;

/// How long a sender may take to send a body.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);

pub fn api() -> Api {
    sources::add(collectd::add(influx::add(otlp::add(remote_write::add(Api::new("push"))))))
}

/// Whose samples these are.
fn source(protocol: &str, request: &Request) -> Source {
    Source::new(protocol, request.extensions().get::<Identity>().unwrap_or(&Identity::Anonymous).name())
}

/// A whole body of at most `max` bytes, that came within [`BODY_TIMEOUT`]. Only so many are read at a time.
pub(crate) async fn body(app: &App, request: Request, max: usize) -> Result<Vec<u8>, Fault> {
    let _place = app.metrics.body_place().await?;
    whole_within(request, max, BODY_TIMEOUT).await
}

/// A whole body of at most `max` bytes, that came within `time`.
pub(crate) async fn whole_within(request: Request, max: usize, time: Duration) -> Result<Vec<u8>, Fault> {
    tokio::time::timeout(time, whole(request, max)).await.unwrap_or_else(|_| {
        let text = format!("the request body did not come within {} s", time.as_secs());
        Err(Fault::new(ErrorCode::Timeout, text).advice("send it again, in smaller pieces"))
    })
}

/// A whole body of at most `max` bytes, however long it takes.
pub(crate) async fn whole(request: Request, max: usize) -> Result<Vec<u8>, Fault> {
    capped(request.into_body().into_data_stream(), max).await.map_err(|e| unread(&e, max))
}

/// A whole body of at most `max` bytes, of a sender who keeps to a pace.
pub(crate) async fn whole_at_pace(request: Request, max: usize, pace: Pace) -> Result<Vec<u8>, Fault> {
    whole_at(request.into_body().into_data_stream(), max, pace).await.map_err(|e| match e {
        PaceError::TooSlow => {
            let (grace, rate) = (pace.grace.as_secs(), pace.bytes_per_second / 1024);
            let text =
                format!("the request body came slowly: after {grace} s, {rate} KiB of it a second are to be here");
            Fault::new(ErrorCode::Timeout, text).advice("send it again")
        }
        PaceError::Body(e) => unread(&e, max),
    })
}

fn unread(error: &BodyError<axum::Error>, max: usize) -> Fault {
    match error {
        BodyError::Broken(e) => Fault::new(ErrorCode::BadRequest, format!("the request body could not be read: {e}")),
        BodyError::TooLarge => Fault::new(ErrorCode::TooLarge, format!("the request body is larger than {max} bytes"))
            .advice("send smaller ones"),
    }
}

/// A whole body, in gzip, in zstd or as it is, of at most `max` bytes either way.
async fn unpacked(app: &App, request: Request, max: usize) -> Result<Vec<u8>, Fault> {
    let packed = header_text(request.headers(), header::CONTENT_ENCODING).to_ascii_lowercase();
    let body = body(app, request, max).await?;
    match packed.as_str() {
        "" | "identity" => Ok(body),
        "gzip" => work(move || gunzip(&body, max)).await?.map_err(inflating),
        "zstd" => work(move || unzstd(&body, max)).await?.map_err(inflating),
        other => Err(Fault::new(
            ErrorCode::UnsupportedMedia,
            format!("the encoding `{other}` is not read here; send gzip, zstd or nothing"),
        )),
    }
}

fn inflating(error: InflateError) -> Fault {
    let code = match error {
        InflateError::TooLarge { .. } | InflateError::TooManyFrames => ErrorCode::TooLarge,
        InflateError::Broken(_) | InflateError::BrokenZstd(_) => ErrorCode::BadRequest,
    };
    Fault::new(code, error.to_string())
}

fn header_text(headers: &HeaderMap, name: header::HeaderName) -> &str {
    headers.get(name).and_then(|v| v.to_str().ok()).unwrap_or_default().trim()
}

/// An error as one line of text, for senders that log the line.
fn text(fault: &Fault) -> Response {
    let status = StatusCode::from_u16(fault.code.http_status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let advice = if fault.advice.is_empty() { String::new() } else { format!("; {}", fault.advice) };
    (status, [(header::CONTENT_TYPE, "text/plain; charset=utf-8")], format!("{}{advice}\n", fault.message))
        .into_response()
}

/// Tells when to come again.
fn later(mut response: Response, fault: &PushFault) -> Response {
    if let Some(seconds) = fault.retry_after_s {
        response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
    }
    response
}

/// Decoding is work for the processor and writing for the disk: neither is done on a thread that serves connections.
async fn work<T: Send + 'static>(run: impl FnOnce() -> T + Send + 'static) -> Result<T, Fault> {
    tokio::task::spawn_blocking(run).await.map_err(|_| Fault::internal("reading the request ended in a panic"))
}
