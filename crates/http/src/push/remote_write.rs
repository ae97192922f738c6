//! Prometheus remote write, 1.0 and 2.0, at Prometheus' own address.
//!
//! Senders repeat a request that was answered with 5xx (and 429) and drop one that was answered with another 4xx. So a
//! store that cannot write answers 503 or 507, and a request of which some samples can never be taken answers 400 with the
//! rest kept, as both specifications ask.

use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use tenfold_app::App;
use tenfold_app::metrics::{PushFault, Pushed, Source};
use tenfold_protocols::remote_write::{BODY_BYTES_MAX, RemoteWriteError, Version, decode, decompress};
use tenfold_types::{ErrorCode, Fault};
use utoipa_axum::routes;

use super::{body, header_text, later, source, text, work};
use crate::{Api, Policy};

pub(super) fn add(api: Api) -> Api {
    api.add(Policy::MetricsWriter, routes!(write))
}

/// Takes samples by Prometheus remote write, 1.0 or 2.0: snappy-compressed protobuf.
#[utoipa::path(post, path = "/api/v1/write", request_body(content = Vec<u8>, content_type = "application/x-protobuf"), responses(
    (status = 204, description = "Everything is kept. X-Prometheus-Remote-Write-Samples-Written and its like tell how much."),
    (status = 400, description = "Some samples will never be taken; the rest is kept. Not to be sent again."),
    (status = 429, description = "The source sends too fast; to be sent again after Retry-After."),
    (status = 503, description = "Nothing is kept; to be sent again."),
))]
async fn write(State(app): State<App>, request: Request) -> Response {
    let source = source("remote_write", &request);
    let version = match version(&request) {
        Ok(version) => version,
        Err(fault) => return unreadable(&app, &source, &fault),
    };
    let answer = match body(&app, request, BODY_BYTES_MAX).await {
        Ok(body) => take(&app, &source, version, body).await,
        Err(fault) => return unreadable(&app, &source, &fault),
    };
    match answer {
        Ok(pushed) => written(&pushed),
        Err(fault) => with_counts(later(text(&fault.fault), &fault), &Pushed::default()),
    }
}

fn unreadable(app: &App, source: &Source, fault: &Fault) -> Response {
    app.metrics.push_unreadable(source);
    with_counts(text(fault), &Pushed::default())
}

fn version(request: &Request) -> Result<Version, Fault> {
    let unsupported = |message: String| Fault::new(ErrorCode::UnsupportedMedia, message);
    let coding = header_text(request.headers(), header::CONTENT_ENCODING);
    if !coding.is_empty() && !coding.eq_ignore_ascii_case("snappy") {
        return Err(unsupported(format!("the encoding `{coding}` is not read here; compress with snappy")));
    }
    Version::of(header_text(request.headers(), header::CONTENT_TYPE)).map_err(unsupported)
}

async fn take(app: &App, source: &Source, version: Version, body: Vec<u8>) -> Result<Pushed, PushFault> {
    let again = |fault: Fault| PushFault { fault, retry_after_s: None };
    let place = app.metrics.push_place().await.map_err(again)?;
    let (inside, from) = (app.clone(), source.clone());
    let pushed = work(move || {
        let read = decompress(&body).map_err(|e| wrong(&inside, &from, &e))?;
        let read = decode(&read, version).map_err(|e| wrong(&inside, &from, &e))?;
        // First, so that whoever these samples are sent on to is told as well.
        inside.metrics.push_metadata(read.metadata);
        inside.metrics.push(&from, &read.batch, inside.now())
    })
    .await
    .map_err(again)?;
    drop(place);
    pushed
}

fn wrong(app: &App, source: &Source, error: &RemoteWriteError) -> PushFault {
    app.metrics.push_unreadable(source);
    let code = match error {
        RemoteWriteError::TooLarge { .. } | RemoteWriteError::TooMuch(_) | RemoteWriteError::Families => {
            ErrorCode::TooLarge
        }
        _ => ErrorCode::BadRequest,
    };
    PushFault { fault: Fault::new(code, error.to_string()), retry_after_s: None }
}

fn written(pushed: &Pushed) -> Response {
    let response = if pushed.refused.is_empty() {
        StatusCode::NO_CONTENT.into_response()
    } else {
        text(&Fault::new(ErrorCode::BadRequest, pushed.refused_text()))
    };
    with_counts(response, pushed)
}

/// What was kept, which 2.0 wants to be told with every answer.
fn with_counts(mut response: Response, pushed: &Pushed) -> Response {
    for (name, count) in [
        ("x-prometheus-remote-write-samples-written", pushed.samples),
        ("x-prometheus-remote-write-histograms-written", pushed.histograms),
        ("x-prometheus-remote-write-exemplars-written", pushed.exemplars),
    ] {
        response.headers_mut().insert(name, count.into());
    }
    response
}
