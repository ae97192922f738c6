//! InfluxDB's line protocol, at the addresses of its versions 1 and 2.
//!
//! Clients drop a body that was answered with 400 and 413, and repeat it after 429 and 5xx. A body of which some lines can
//! never be taken is answered with 400 while the rest is kept: InfluxDB calls that a partial write.

use axum::Json;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::json;
use tenfold_app::App;
use tenfold_app::metrics::{PushFault, Pushed, Source};
use tenfold_protocols::influx::{BODY_BYTES_MAX, Precision, parse};
use tenfold_types::{ErrorCode, Fault};
use utoipa_axum::routes;

use super::{later, source, unpacked, work};
use crate::{Api, Policy};

pub(super) fn add(api: Api) -> Api {
    api.add(Policy::MetricsWriter, routes!(write_v1)).add(Policy::MetricsWriter, routes!(write_v2))
}

/// Takes InfluxDB's line protocol at the address of version 1, plain or in gzip; `precision` and `db` as there.
#[utoipa::path(post, path = "/write", params(("db" = Option<String>, Query), ("precision" = Option<String>, Query)), request_body(content = String, content_type = "text/plain"), responses(
    (status = 204, description = "Everything is kept."),
    (status = 400, description = "Some lines will never be taken; the rest is kept. Not to be sent again."),
    (status = 429, description = "The source sends too fast; to be sent again after Retry-After."),
    (status = 503, description = "Nothing is kept; to be sent again."),
))]
async fn write_v1(State(app): State<App>, request: Request) -> Response {
    write(&app, request, "db").await
}

/// The same at the address of version 2; `precision` and `bucket` as there.
#[utoipa::path(post, path = "/api/v2/write", params(("bucket" = Option<String>, Query), ("precision" = Option<String>, Query)), request_body(content = String, content_type = "text/plain"), responses((status = 204), (status = 400), (status = 429), (status = 503)))]
async fn write_v2(State(app): State<App>, request: Request) -> Response {
    write(&app, request, "bucket").await
}

async fn write(app: &App, request: Request, database_parameter: &str) -> Response {
    let source = source("influx", &request);
    let parameters: Vec<(String, String)> =
        url::form_urlencoded::parse(request.uri().query().unwrap_or_default().as_bytes()).into_owned().collect();
    let parameter = |name: &str| parameters.iter().find(|(n, _)| n == name).map(|(_, v)| v.clone()).unwrap_or_default();
    let database = parameter(database_parameter);
    let Some(precision) = Precision::parse(&parameter("precision")) else {
        let fault = Fault::new(ErrorCode::BadRequest, "`precision` is one of ns, us, ms, s, m, h");
        return unreadable(app, &source, fault);
    };
    let body = match unpacked(app, request, BODY_BYTES_MAX).await {
        Ok(body) => body,
        Err(fault) => return unreadable(app, &source, fault),
    };
    match take(app, source, body, precision, database).await {
        Ok(pushed) if pushed.refused.is_empty() => StatusCode::NO_CONTENT.into_response(),
        Ok(pushed) => {
            let text = format!("partial write: {} dropped={}", pushed.refused_text(), pushed.refused_count());
            error(&Fault::new(ErrorCode::BadRequest, text))
        }
        Err(fault) => later(error(&fault.fault), &fault),
    }
}

async fn take(
    app: &App,
    source: Source,
    body: Vec<u8>,
    precision: Precision,
    database: String,
) -> Result<Pushed, PushFault> {
    let again = |fault: Fault| PushFault { fault, retry_after_s: None };
    let place = app.metrics.push_place().await.map_err(again)?;
    let inside = app.clone();
    let pushed = work(move || {
        let too_much = |e: tenfold_protocols::batch::TooMuch| again(Fault::new(ErrorCode::TooLarge, e.to_string()));
        let read = parse(&body, precision).map_err(too_much)?;
        if read.texts > 0 {
            inside.metrics.own.add("tenfold_influx_texts_ignored_total", &[], read.texts as f64);
        }
        let batch = read.batch(&database, inside.now().millis()).map_err(too_much)?;
        inside.metrics.push(&source, &batch, inside.now())
    })
    .await
    .map_err(again)?;
    drop(place);
    pushed
}

fn unreadable(app: &App, source: &Source, fault: Fault) -> Response {
    app.metrics.push_unreadable(source);
    error(&fault)
}

/// Version 1 reads `error`, version 2 `code` and `message`.
fn error(fault: &Fault) -> Response {
    let status = StatusCode::from_u16(fault.code.http_status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let code = match status {
        StatusCode::TOO_MANY_REQUESTS => "too many requests",
        StatusCode::PAYLOAD_TOO_LARGE => "request too large",
        status if status.is_server_error() => "unavailable",
        _ => "invalid",
    };
    let message =
        if fault.advice.is_empty() { fault.message.clone() } else { format!("{}; {}", fault.message, fault.advice) };
    (status, Json(json!({"code": code, "message": message, "error": message}))).into_response()
}
