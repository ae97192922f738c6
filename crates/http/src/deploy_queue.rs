//! The queues of deploys: asking for one, seeing who waits, leaving, and letting a queue go on.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use tenfold_app::deploys::views::NewDeploy;
use tenfold_app::deploys::{QueueAsked, QueueView, QueueWord};
use tenfold_app::{App, Role};
use utoipa_axum::routes;

use crate::auth::Who;
use crate::{Api, ApiError, Body, PathOf, Policy};

pub fn api() -> Api {
    Api::new("deploys")
        .add(Policy::Viewer, routes!(queues))
        .add(Policy::Role(Role::Deployer), routes!(ask))
        .add(Policy::Viewer, routes!(queue))
        .add(Policy::Role(Role::Deployer), routes!(say))
}

#[derive(Serialize, utoipa::ToSchema)]
struct QueueList {
    items: Vec<QueueView>,
}

/// All queues in which something waits.
#[utoipa::path(get, path = "/api/queues", responses((status = 200, body = QueueList)))]
async fn queues(State(app): State<App>) -> Result<Json<QueueList>, ApiError> {
    Ok(Json(QueueList { items: app.queues().await? }))
}

/// Deploys, or waits for its turn where a deploy is under way or others wait. `POST /api/deploys` refuses instead.
#[utoipa::path(post, path = "/api/queues", request_body = NewDeploy, responses((status = 202, body = QueueAsked)))]
async fn ask(
    State(app): State<App>,
    Who(who): Who,
    Body(new): Body<NewDeploy>,
) -> Result<(StatusCode, Json<QueueAsked>), ApiError> {
    Ok((StatusCode::ACCEPTED, Json(app.deploy_ask(&who, new).await?)))
}

/// Who waits for a service and environment, and what the first waits for.
#[utoipa::path(get, path = "/api/queues/{service}/{environment}", responses((status = 200, body = QueueView)))]
async fn queue(
    State(app): State<App>,
    PathOf((service, environment)): PathOf<(String, String)>,
) -> Result<Json<QueueView>, ApiError> {
    Ok(Json(app.queue(&service, &environment).await?))
}

#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct QueueBody {
    word: QueueWord,
    /// Whose deploy is dropped: a login or the name of a robot.
    #[serde(default)]
    of: Option<String>,
    /// Why; kept in the record.
    #[serde(default)]
    reason: Option<String>,
}

/// Says a word to a queue: leave, drop somebody's, or go where it stands. Whoever may deploy there may say each.
#[utoipa::path(post, path = "/api/queues/{service}/{environment}", request_body = QueueBody,
    responses((status = 200, body = QueueView)))]
async fn say(
    State(app): State<App>,
    Who(who): Who,
    PathOf((service, environment)): PathOf<(String, String)>,
    Body(body): Body<QueueBody>,
) -> Result<Json<QueueView>, ApiError> {
    Ok(Json(app.queue_say(&who, &service, &environment, body.word, body.of, body.reason).await?))
}
