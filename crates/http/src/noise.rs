//! Noise: what pages were for, what rules cost, drafts of quieter ones.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, header};
use tenfold_app::incidents::IncidentView;
use tenfold_app::noise::{Classification, DraftAsk, DraftPut, NoiseAsk, NoiseView, RuleDrafts, RuleFileChanged};
use tenfold_app::{App, Role};
use tenfold_types::{ErrorCode, Fault};
use utoipa_axum::routes;

use crate::auth::Who;
use crate::{Api, ApiError, Body, PathOf, Policy, QueryOf};

pub fn api() -> Api {
    Api::new("noise")
        .add(Policy::Viewer, routes!(noise))
        .add(Policy::Role(Role::Responder), routes!(drafts))
        .add(Policy::Role(Role::Deployer), routes!(draft_put))
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

/// The version of a rule file that an edit was made on, of the header `If-Match`.
pub(crate) fn edited_rules(headers: &HeaderMap) -> Result<Option<String>, Fault> {
    let Some(given) = headers.get(header::IF_MATCH) else { return Ok(None) };
    let version = given.to_str().unwrap_or_default().trim().trim_matches('"');
    if version.len() == 16 && version.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Ok(Some(version.to_owned()));
    }
    Err(Fault::new(ErrorCode::BadRequest, "the header If-Match is not a version of a rule file")
        .advice("send the version that GET gave, in quotes"))
}

/// Puts a draft of a quieter rule into force, by a change of its rule file; `POST /api/rules/{group}/undo` takes it back. With
/// `If-Match: "VERSION"` it is refused (412) when the file was changed since the draft was made.
#[utoipa::path(post, path = "/api/noise/drafts", operation_id = "noise_draft_put", params(("if-match" = Option<String>, Header)), request_body = DraftPut, responses((status = 200, body = RuleFileChanged), (status = 409), (status = 412)))]
async fn draft_put(
    State(app): State<App>,
    Who(who): Who,
    headers: HeaderMap,
    Body(put): Body<DraftPut>,
) -> Result<Json<RuleFileChanged>, ApiError> {
    let edited = edited_rules(&headers)?;
    Ok(Json(app.noise_draft_put(&who, put, edited).await?))
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
