//! Noise: what pages were for, what rules cost, drafts of quieter ones.

use axum::Json;
use axum::extract::State;
use tenfold_app::incidents::IncidentView;
use tenfold_app::noise::{Classification, DraftAsk, NoiseAsk, NoiseView, RuleDrafts};
use tenfold_app::{App, Role};
use utoipa_axum::routes;

use crate::auth::Who;
use crate::{Api, ApiError, Body, PathOf, Policy, QueryOf};

pub fn api() -> Api {
    Api::new("noise")
        .add(Policy::Viewer, routes!(noise))
        .add(Policy::Role(Role::Responder), routes!(drafts))
        .add(Policy::Role(Role::Responder), routes!(classify))
}

/// What each rule cost whom it paged, by the team that owns it; the costliest first.
#[utoipa::path(get, path = "/api/noise", params(NoiseAsk), responses((status = 200, body = NoiseView)))]
async fn noise(State(app): State<App>, QueryOf(ask): QueryOf<NoiseAsk>) -> Result<Json<NoiseView>, ApiError> {
    Ok(Json(app.noise(ask).await?))
}

/// Drafts of a quieter rule, each run over the stored past: how often it would have fired, and which incidents it would have
/// missed.
#[utoipa::path(get, path = "/api/noise/drafts", operation_id = "noise_drafts", params(DraftAsk), responses((status = 200, body = RuleDrafts)))]
async fn drafts(
    State(app): State<App>,
    Who(who): Who,
    QueryOf(ask): QueryOf<DraftAsk>,
) -> Result<Json<RuleDrafts>, ApiError> {
    Ok(Json(app.noise_drafts(&who, ask).await?))
}

/// Says what an incident's pages were for, by a word or one key; the last word counts.
#[utoipa::path(post, path = "/api/incidents/{n}/classify", operation_id = "incident_classify", params(("n" = i64, Path)), request_body = Classification, responses((status = 200, body = IncidentView)))]
async fn classify(
    State(app): State<App>,
    Who(who): Who,
    PathOf(number): PathOf<i64>,
    Body(said): Body<Classification>,
) -> Result<Json<IncidentView>, ApiError> {
    Ok(Json(app.incident_classify(&who, number, &said.kind).await?))
}
