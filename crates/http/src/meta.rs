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
struct Health {
    status: &'static str,
}

/// The process runs.
#[utoipa::path(get, path = "/healthz", responses((status = 200, body = Health)))]
async fn healthz() -> Json<Health> {
    Json(Health { status: "ok" })
}

/// The store answers.
#[utoipa::path(get, path = "/readyz", responses((status = 200, body = Health), (status = 503, body = Health)))]
async fn readyz(State(app): State<App>) -> Response {
    match app.setup_needed().await {
        Ok(_) => Json(Health { status: "ok" }).into_response(),
        Err(_) => {
            (StatusCode::SERVICE_UNAVAILABLE, Json(Health { status: "the store does not answer" })).into_response()
        }
    }
}

/// This document.
#[utoipa::path(get, path = "/api/openapi.json", responses((status = 200, content_type = "application/json")))]
async fn openapi_json(Extension(text): Extension<OpenApiText>) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], text.0.to_string()).into_response()
}
