//! OTLP metrics: over HTTP in protobuf or JSON, and over gRPC on the same port.
//!
//! An exporter repeats a request that was answered with 429, 503 or gRPC's `UNAVAILABLE`, and drops one that was answered
//! otherwise. What will never be taken of a request is told with the answer that the rest was: a partial success.

use axum::Json;
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use tenfold_app::App;
use tenfold_app::metrics::{PushFault, Pushed, Source};
use tenfold_protocols::flagd::{FRAME_HEAD_BYTES, Status};
use tenfold_protocols::inflate::{gunzip, unzstd};
use tenfold_protocols::otlp::{
    self, BODY_BYTES_MAX, JSON_BYTES_MAX, OtlpError, answer_json, answer_proto, status_json, status_proto,
};
use tenfold_types::{ErrorCode, Fault};
use utoipa_axum::routes;

use super::{body, header_text, inflating, later, source, unpacked, work};
use crate::{Api, Policy, grpc};

pub(super) fn add(api: Api) -> Api {
    api.add(Policy::MetricsWriter, routes!(export))
        .add(Policy::MetricsWriter, routes!(export_as_prometheus))
        .add(Policy::MetricsWriter, routes!(export_grpc))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Coding {
    Proto,
    Json,
    Grpc,
}

/// Takes OTLP metrics in protobuf or JSON, plain, in gzip or in zstd.
#[utoipa::path(post, path = "/v1/metrics", request_body(content = Vec<u8>, content_type = "application/x-protobuf"), responses(
    (status = 200, description = "Kept; what will never be taken is told as a partial success."),
    (status = 400, description = "The body cannot be read."),
    (status = 429, description = "The source sends too fast; to be sent again after Retry-After."),
    (status = 503, description = "Nothing is kept; to be sent again."),
))]
async fn export(State(app): State<App>, request: Request) -> Response {
    over_http(&app, request).await
}

/// The same at the address of Prometheus' receiver.
#[utoipa::path(post, path = "/api/v1/otlp/v1/metrics", request_body(content = Vec<u8>, content_type = "application/x-protobuf"), responses((status = 200), (status = 400), (status = 429), (status = 503)))]
async fn export_as_prometheus(State(app): State<App>, request: Request) -> Response {
    over_http(&app, request).await
}

/// The same as a gRPC call.
#[utoipa::path(post, path = "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export", request_body(content = Vec<u8>, content_type = "application/grpc"), responses((status = 200)))]
async fn export_grpc(State(app): State<App>, request: Request) -> Response {
    let kind = header_text(request.headers(), header::CONTENT_TYPE);
    if kind != grpc::CONTENT_TYPE && kind != "application/grpc+proto" {
        let text = "send application/grpc; OTLP over HTTP goes to /v1/metrics";
        return (StatusCode::UNSUPPORTED_MEDIA_TYPE, text).into_response();
    }
    let coding = request.headers().get("grpc-encoding").and_then(|v| v.to_str().ok()).unwrap_or_default().to_owned();
    let source = source("otlp", &request);
    let message = match body(&app, request, BODY_BYTES_MAX + FRAME_HEAD_BYTES).await {
        Ok(body) => work(move || unframe(&body, &coding)).await.and_then(|message| message),
        Err(fault) => Err(fault),
    };
    match message {
        Ok(message) => taken(&app, &source, Coding::Grpc, message).await,
        Err(fault) => unreadable(&app, &source, Coding::Grpc, fault),
    }
}

async fn over_http(app: &App, request: Request) -> Response {
    let source = source("otlp", &request);
    let kind = header_text(request.headers(), header::CONTENT_TYPE);
    let coding = match kind.split(';').next().unwrap_or_default().trim() {
        "application/x-protobuf" => Coding::Proto,
        "application/json" => Coding::Json,
        other => {
            let text = format!("`{other}` is not read here; send application/x-protobuf or application/json");
            return unreadable(app, &source, Coding::Json, Fault::new(ErrorCode::UnsupportedMedia, text));
        }
    };
    match unpacked(app, request, BODY_BYTES_MAX).await {
        Ok(body) => taken(app, &source, coding, body).await,
        Err(fault) => unreadable(app, &source, coding, fault),
    }
}

/// The one message of a call, decompressed.
fn unframe(body: &[u8], coding: &str) -> Result<Vec<u8>, Fault> {
    let bad = |text: String| Fault::new(ErrorCode::BadRequest, text);
    let Some((head, message)) = body.split_first_chunk::<FRAME_HEAD_BYTES>() else {
        return Err(bad(format!("a message is in a frame of at least {FRAME_HEAD_BYTES} bytes")));
    };
    let length = u32::from_be_bytes([head[1], head[2], head[3], head[4]]) as usize;
    if length != message.len() {
        return Err(bad(format!("the frame announces {length} bytes and {} follow", message.len())));
    }
    match (head[0], coding) {
        (0, _) => Ok(message.to_vec()),
        (1, "gzip") => gunzip(message, BODY_BYTES_MAX).map_err(inflating),
        (1, "zstd") => unzstd(message, BODY_BYTES_MAX).map_err(inflating),
        (1, other) => Err(bad(format!("the encoding `{other}` is not read here; send gzip, zstd or nothing"))),
        _ => Err(bad("the frame's flags are none that gRPC knows".into())),
    }
}

async fn taken(app: &App, source: &Source, coding: Coding, body: Vec<u8>) -> Response {
    if coding == Coding::Json && body.len() > JSON_BYTES_MAX {
        let text = format!("the request body is larger than {JSON_BYTES_MAX} bytes; send protobuf, or smaller ones");
        return unreadable(app, source, coding, Fault::new(ErrorCode::TooLarge, text));
    }
    match take(app, source, coding, body).await {
        Ok(pushed) => answer(coding, &pushed),
        Err(fault) => failed(coding, &fault),
    }
}

async fn take(app: &App, source: &Source, coding: Coding, body: Vec<u8>) -> Result<Pushed, PushFault> {
    let again = |fault: Fault| PushFault { fault, retry_after_s: None };
    let place = app.metrics.push_place().await.map_err(again)?;
    let (inside, from) = (app.clone(), source.clone());
    let pushed = work(move || {
        let read = match coding {
            Coding::Json => otlp::from_json(&body),
            Coding::Proto | Coding::Grpc => otlp::from_proto(&body),
        };
        let request = read.map_err(|error| {
            inside.metrics.push_unreadable(&from);
            let code = if error == OtlpError::TooMuch { ErrorCode::TooLarge } else { ErrorCode::BadRequest };
            again(Fault::new(code, error.to_string()))
        })?;
        inside.metrics.push_otlp(&from, &request, inside.now())
    })
    .await
    .map_err(again)?;
    drop(place);
    pushed
}

fn answer(coding: Coding, pushed: &Pushed) -> Response {
    let (rejected, message) = (pushed.refused_count(), pushed.refused_text());
    match coding {
        Coding::Grpc => grpc::answer(&answer_proto(rejected, &message)),
        Coding::Proto => {
            ([(header::CONTENT_TYPE, "application/x-protobuf")], answer_proto(rejected, &message)).into_response()
        }
        Coding::Json => Json(answer_json(rejected, &message)).into_response(),
    }
}

fn unreadable(app: &App, source: &Source, coding: Coding, fault: Fault) -> Response {
    app.metrics.push_unreadable(source);
    failed(coding, &PushFault { fault, retry_after_s: None })
}

/// Exporters repeat after 503 but not after 500 and 507.
fn failed(coding: Coding, fault: &PushFault) -> Response {
    let (status, grpc_status) = match fault.fault.code {
        ErrorCode::TooMany => (StatusCode::TOO_MANY_REQUESTS, Status::Unavailable),
        // A body that did not come in time may come in time when it is sent again.
        ErrorCode::Unavailable | ErrorCode::DiskFull | ErrorCode::Timeout => {
            (StatusCode::SERVICE_UNAVAILABLE, Status::Unavailable)
        }
        ErrorCode::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, Status::ResourceExhausted),
        ErrorCode::UnsupportedMedia => (StatusCode::UNSUPPORTED_MEDIA_TYPE, Status::InvalidArgument),
        ErrorCode::BadRequest => (StatusCode::BAD_REQUEST, Status::InvalidArgument),
        _ => (StatusCode::INTERNAL_SERVER_ERROR, Status::Internal),
    };
    let message = if fault.fault.advice.is_empty() {
        fault.fault.message.clone()
    } else {
        format!("{}; {}", fault.fault.message, fault.fault.advice)
    };
    let response = match coding {
        Coding::Grpc => return grpc::error(grpc_status, &message),
        Coding::Proto => {
            let body = status_proto(grpc_status.number(), &message);
            (status, [(header::CONTENT_TYPE, "application/x-protobuf")], body).into_response()
        }
        Coding::Json => (status, Json(status_json(grpc_status.number(), &message))).into_response(),
    };
    later(response, fault)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_help_when_sent_again_is_answered_so() {
        for (code, wanted) in [
            (ErrorCode::TooMany, 429),
            (ErrorCode::Timeout, 503),
            (ErrorCode::Unavailable, 503),
            (ErrorCode::DiskFull, 503),
            (ErrorCode::TooLarge, 413),
            (ErrorCode::BadRequest, 400),
            (ErrorCode::Internal, 500),
        ] {
            for coding in [Coding::Proto, Coding::Json] {
                let fault = PushFault { fault: Fault::new(code, "no"), retry_after_s: None };
                assert_eq!(failed(coding, &fault).status(), wanted, "{code:?}");
            }
        }
    }
}
