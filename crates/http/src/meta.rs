//! Health, readiness, the OpenAPI document.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde::Serialize;
use tenfold_app::App;
use utoipa::openapi::{InfoBuilder, OpenApi, OpenApiBuilder};
use utoipa_axum::routes;

use crate::{Api, Policy};

pub fn api() -> Api {
    Api::new("meta")
        .add(Policy::Public, routes!(healthz))
        .add(Policy::Public, routes!(readyz))
        .add(Policy::Public, routes!(openapi_json))
}

pub(crate) fn document() -> OpenApi {
    let info = InfoBuilder::new()
        .title("tenfold")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(
            "Deploys, metrics, flags, alerts, on-call, incidents and the record of it all. Instants are RFC 3339 in UTC, \
             durations are `_ms` integers, errors are {\"error\":{\"code\",\"message\",\"advice\"}}.",
        ))
        .build();
    OpenApiBuilder::new().info(info).build()
}

/// The document as text, rendered once.
#[derive(Clone)]
pub(crate) struct OpenApiText(Arc<str>);

impl OpenApiText {
    pub(crate) fn new(document: &OpenApi) -> Self {
        Self(document.to_pretty_json().unwrap_or_else(|e| format!("{{\"error\":\"{e}\"}}")).into())
    }
}

#[derive(Serialize, utoipa::ToSchema)]
struct Alive {
    status: &'static str,
}

#[derive(Serialize, utoipa::ToSchema)]
struct Ready {
    status: &'static str,
    /// How long ago this node looked at its rules, and at what has to be paged, last; absent before it did.
    #[serde(skip_serializing_if = "Option::is_none")]
    rules_ms_ago: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pages_ms_ago: Option<i64>,
}

/// The process runs.
#[utoipa::path(get, path = "/healthz", responses((status = 200, body = Alive)))]
async fn healthz() -> Json<Alive> {
    Json(Alive { status: "ok" })
}

/// The store answers; and when the loops that page people went round, which changes nothing of the status.
#[utoipa::path(get, path = "/readyz", responses((status = 200, body = Ready), (status = 503, body = Ready)))]
async fn readyz(State(app): State<App>) -> Response {
    let answers = app.setup_needed().await.is_ok();
    let pulse = app.pulse();
    let status = if answers { "ok" } else { "the store does not answer" };
    let ready = Json(Ready { status, rules_ms_ago: pulse.rules_ms_ago, pages_ms_ago: pulse.pages_ms_ago });
    if answers { ready.into_response() } else { (StatusCode::SERVICE_UNAVAILABLE, ready).into_response() }
}

/// This document.
#[utoipa::path(get, path = "/api/openapi.json", responses((status = 200, content_type = "application/json")))]
async fn openapi_json(Extension(text): Extension<OpenApiText>) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], text.0.to_string()).into_response()
}
