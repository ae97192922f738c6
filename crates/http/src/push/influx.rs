//! InfluxDB's line protocol, at the addresses of its versions 1 and 2.
//!
//! Clients drop a body that was answered with 400 and 413, and repeat it after 429 and 5xx. A body of which some lines can
//! never be taken is answered with 400 while the rest is kept: InfluxDB calls that a partial write.

use axum::Json;
use axum::extract::{Request, State};
use axum::http::{Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;
use tenfold_app::App;
use tenfold_app::metrics::{PushFault, Pushed, Source};
use tenfold_protocols::influx::{BODY_BYTES_MAX, Precision, parse};
use tenfold_types::{ErrorCode, Fault};
use utoipa_axum::routes;

use super::{body, header_text, later, source, unpacked, work};
use crate::{Api, Policy};

/// The oldest InfluxDB that has both ways to write; clients look what the other side is before they do, some in the answer to
/// an empty write.
const VERSION: &str = "1.8.10";
const VERSIONS: [(&str, &str); 2] = [("x-influxdb-version", VERSION), ("x-influxdb-build", "tenfold")];
/// Bytes of a form with statements.
const STATEMENTS_BYTES_MAX: usize = 64 * 1024;

pub(super) fn add(api: Api) -> Api {
    api.add(Policy::MetricsWriter, routes!(write_v1))
        .add(Policy::MetricsWriter, routes!(write_v2))
        .add(Policy::MetricsWriter, routes!(query, query_by_get))
        .add(Policy::Public, routes!(ping))
        .add(Policy::Public, routes!(health))
}

/// Says to clients of InfluxDB that somebody is there; with `verbose` in a body as well.
#[utoipa::path(get, path = "/ping", operation_id = "influx_ping", params(("verbose" = Option<String>, Query)), responses((status = 200), (status = 204)))]
async fn ping(request: Request) -> Response {
    let verbose = parameters(request.uri().query()).iter().any(|(name, value)| name == "verbose" && value != "false");
    if verbose {
        return (VERSIONS, Json(json!({"version": VERSION}))).into_response();
    }
    (StatusCode::NO_CONTENT, VERSIONS).into_response()
}

/// Says to clients of InfluxDB that lines are taken.
#[utoipa::path(get, path = "/health", operation_id = "influx_health", responses((status = 200)))]
async fn health() -> Response {
    let health = json!({
        "name": "influxdb", "message": "ready for writes", "status": "pass", "checks": [], "version": VERSION,
    });
    (VERSIONS, Json(health)).into_response()
}

/// The statements that clients of InfluxDB 1 begin with: a database need not be made, so that making one is done. Samples are
/// asked for in PromQL elsewhere.
#[utoipa::path(post, path = "/query", operation_id = "influx_query", params(("q" = Option<String>, Query)), responses((status = 200), (status = 400)))]
async fn query(State(app): State<App>, request: Request) -> Response {
    answer_statements(&app, request).await
}

/// The same, as some clients ask.
#[utoipa::path(get, path = "/query", operation_id = "influx_query_by_get", params(("q" = Option<String>, Query)), responses((status = 200), (status = 400)))]
async fn query_by_get(State(app): State<App>, request: Request) -> Response {
    answer_statements(&app, request).await
}

async fn answer_statements(app: &App, request: Request) -> Response {
    let mut all = parameters(request.uri().query());
    let kind = header_text(request.headers(), header::CONTENT_TYPE);
    if request.method() == Method::POST && kind.starts_with("application/x-www-form-urlencoded") {
        match body(app, request, STATEMENTS_BYTES_MAX).await {
            Ok(form) => all.extend(url::form_urlencoded::parse(&form).into_owned()),
            Err(fault) => return error(&fault),
        }
    }
    let text = all.into_iter().find(|(name, _)| name == "q").map(|(_, value)| value).unwrap_or_default();
    match results(&text) {
        Ok(results) => (VERSIONS, Json(json!({"results": results}))).into_response(),
        Err(reason) => error(&Fault::new(ErrorCode::BadRequest, reason)),
    }
}

/// What is answered to each statement, or why one is none that is answered.
fn results(text: &str) -> Result<Vec<serde_json::Value>, String> {
    let statements: Vec<&str> = text.split(';').map(str::trim).filter(|s| !s.is_empty()).collect();
    if statements.is_empty() {
        return Err("missing required parameter \"q\"".to_owned());
    }
    let result = |(id, statement): (usize, &&str)| {
        let words: Vec<String> = statement.split_ascii_whitespace().take(3).map(str::to_ascii_lowercase).collect();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        match words.as_slice() {
            ["create", "database", _] | ["create" | "alter", "retention", "policy"] => Ok(json!({"statement_id": id})),
            ["show", "databases"] => {
                Ok(json!({"statement_id": id, "series": [{"name": "databases", "columns": ["name"]}]}))
            }
            _ => Err(format!(
                "error parsing query: `{}` is not answered here; samples are asked for in PromQL at /api/v1/query",
                statement.chars().take(100).collect::<String>()
            )),
        }
    };
    statements.iter().enumerate().map(result).collect()
}

fn parameters(query: Option<&str>) -> Vec<(String, String)> {
    url::form_urlencoded::parse(query.unwrap_or_default().as_bytes()).into_owned().collect()
}

/// Takes InfluxDB's line protocol at the address of version 1, plain or in gzip; `precision` and `db` as there.
#[utoipa::path(post, path = "/write", params(("db" = Option<String>, Query), ("precision" = Option<String>, Query)), request_body(content = String, content_type = "text/plain"), responses(
    (status = 204, description = "Everything is kept."),
    (status = 400, description = "Some lines will never be taken; the rest is kept. Not to be sent again."),
    (status = 429, description = "The source sends too fast; to be sent again after Retry-After."),
    (status = 503, description = "Nothing is kept; to be sent again."),
))]
async fn write_v1(State(app): State<App>, request: Request) -> Response {
    (VERSIONS, write(&app, request, "db").await).into_response()
}

/// The same at the address of version 2; `precision` and `bucket` as there.
#[utoipa::path(post, path = "/api/v2/write", params(("bucket" = Option<String>, Query), ("precision" = Option<String>, Query)), request_body(content = String, content_type = "text/plain"), responses((status = 204), (status = 400), (status = 429), (status = 503)))]
async fn write_v2(State(app): State<App>, request: Request) -> Response {
    (VERSIONS, write(&app, request, "bucket").await).into_response()
}

async fn write(app: &App, request: Request, database_parameter: &str) -> Response {
    let source = source("influx", &request);
    let parameters = parameters(request.uri().query());
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_clients_begin_with_is_answered() {
        for (text, wanted) in [
            ("CREATE DATABASE \"telegraf\"", json!([{"statement_id": 0}])),
            (
                "create database a WITH DURATION 1d; CREATE RETENTION POLICY x ON a DURATION 1d REPLICATION 1;",
                json!([{"statement_id": 0}, {"statement_id": 1}]),
            ),
            ("SHOW DATABASES", json!([{"statement_id": 0, "series": [{"name": "databases", "columns": ["name"]}]}])),
        ] {
            assert_eq!(results(text).map(serde_json::Value::from), Ok(wanted), "{text}");
        }
        for text in
            ["", " ; ", "CREATE DATABASE", "SHOW MEASUREMENTS", "DROP DATABASE a", "CREATE DATABASE a; DROP DATABASE a"]
        {
            assert!(results(text).is_err(), "{text}");
        }
    }
}
