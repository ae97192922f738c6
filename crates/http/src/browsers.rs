//! Pages in the browser (Push API): the key to subscribe with, one's own browsers, a test.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use tenfold_app::App;
use tenfold_app::people::{Browser, NewBrowser, PushView};
use utoipa_axum::routes;

use crate::auth::Who;
use crate::{Api, ApiError, Body, PathOf, Policy};

pub fn api() -> Api {
    Api::new("browsers")
        .add(Policy::Person, routes!(list))
        .add(Policy::Person, routes!(put))
        .add(Policy::Person, routes!(delete))
        .add(Policy::Person, routes!(push_test))
}

#[derive(Serialize, utoipa::ToSchema)]
struct BrowserDone {
    done: bool,
}

/// The server's public key for subscriptions, and one's own browsers that take pages.
#[utoipa::path(get, path = "/api/browsers", operation_id = "browsers", responses((status = 200, body = PushView)))]
async fn list(State(app): State<App>, Who(who): Who) -> Result<Json<PushView>, ApiError> {
    Ok(Json(app.push_view(&who).await?))
}

/// Takes a browser's subscription, so that pages come there. At most ten of a person; the same one again is no other.
#[utoipa::path(post, path = "/api/browsers", operation_id = "browser_put", request_body = NewBrowser, responses((status = 200, body = Browser)))]
async fn put(State(app): State<App>, Who(who): Who, Body(new): Body<NewBrowser>) -> Result<Json<Browser>, ApiError> {
    Ok(Json(app.browser_put(&who, new).await?))
}

/// Sends no pages there any more.
#[utoipa::path(delete, path = "/api/browsers/{id}", operation_id = "browser_delete", params(("id" = String, Path)), responses((status = 200, body = BrowserDone)))]
async fn delete(
    State(app): State<App>,
    Who(who): Who,
    PathOf(id): PathOf<String>,
) -> Result<Json<BrowserDone>, ApiError> {
    app.browser_delete(&who, &id).await?;
    Ok(Json(BrowserDone { done: true }))
}

/// Pushes a test there, and answers when its push service took it.
#[utoipa::path(post, path = "/api/browsers/{id}/test", operation_id = "browser_test", params(("id" = String, Path)), responses((status = 200, body = BrowserDone)))]
async fn push_test(
    State(app): State<App>,
    Who(who): Who,
    PathOf(id): PathOf<String>,
) -> Result<Json<BrowserDone>, ApiError> {
    app.browser_test(&who, &id).await?;
    Ok(Json(BrowserDone { done: true }))
}
