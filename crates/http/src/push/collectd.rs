//! What collectd's plugin `write_http` posts, in its format JSON.

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use tenfold_app::App;
use tenfold_app::metrics::{PushFault, Pushed, Source};
use tenfold_protocols::collectd::{JSON_BYTES_MAX, from_json};
use tenfold_types::{ErrorCode, Fault};
use utoipa_axum::routes;

use super::{later, source, text, unpacked, work};
use crate::{Api, Policy};

pub(super) fn add(api: Api) -> Api {
    api.add(Policy::MetricsWriter, routes!(collectd))
}

/// Takes the lists of values that collectd's plugin `write_http` posts with `Format "JSON"`, plain, in gzip or in zstd.
#[utoipa::path(post, path = "/collectd", request_body(content = String, content_type = "application/json"), responses(
    (status = 200, description = "Everything is kept."),
    (status = 400, description = "The body cannot be read, or some values will never be taken; the rest is kept."),
    (status = 429, description = "The source sends too fast."),
    (status = 503, description = "Nothing is kept."),
))]
async fn collectd(State(app): State<App>, request: Request) -> Response {
    let source = source("collectd", &request);
    let body = match unpacked(&app, request, JSON_BYTES_MAX).await {
        Ok(body) => body,
        Err(fault) => {
            app.metrics.push_unreadable(&source);
            return text(&fault);
        }
    };
    match take(&app, source, body).await {
        Ok(pushed) if pushed.refused.is_empty() => StatusCode::OK.into_response(),
        Ok(pushed) => text(&Fault::new(ErrorCode::BadRequest, pushed.refused_text())),
        Err(fault) => later(text(&fault.fault), &fault),
    }
}

async fn take(app: &App, source: Source, body: Vec<u8>) -> Result<Pushed, PushFault> {
    let again = |fault: Fault| PushFault { fault, retry_after_s: None };
    let place = app.metrics.push_place().await.map_err(again)?;
    let inside = app.clone();
    let pushed = work(move || {
        let posts = from_json(&body).map_err(|error| {
            inside.metrics.push_unreadable(&source);
            again(Fault::new(ErrorCode::BadRequest, error.to_string()).advice("send Format \"JSON\" of write_http"))
        })?;
        let bad = (posts.refused, posts.first_refused.as_str());
        inside.metrics.push_collectd(&source, &posts.lists, bad, inside.now())
    })
    .await
    .map_err(again)?;
    drop(place);
    pushed
}
