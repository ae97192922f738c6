//! The Unleash protocol: what server-side SDKs ask (client API). The frontend API and what SDKs report are beside it.
//!
//! SDKs send their token as the bare value of `Authorization`; the token names the environment.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, header};
use axum::response::Response;
use tenfold_app::App;
use tenfold_app::flags::{Environment, Projects};
use tenfold_app::people::{TOKEN_PROJECTS_MAX, Token};
use tenfold_httpkit::streams::Opening;
use tenfold_types::Fault;
use utoipa_axum::routes;

use crate::auth::WithToken;
use crate::flag_streams::FlagStreams;
use crate::flags::book_of;
use crate::standing::Standing;
use crate::{Api, ApiError, PathOf, Policy, etag};

pub mod frontend;
pub mod reports;

pub fn api() -> Api {
    Api::new("unleash")
        .add(Policy::FlagClient, routes!(features))
        .add(Policy::FlagClient, routes!(delta))
        .add(Policy::FlagClient, routes!(streaming))
        .add(Policy::FlagClient, routes!(feature))
}

/// The answer book that a client's token opens.
async fn environment(app: &App, token: Option<&Arc<Token>>) -> Result<Arc<Environment>, ApiError> {
    book_of(app, token, None).await
}

/// What a client wants less of.
#[derive(Debug, Default)]
struct Wish {
    projects: Vec<String>,
    name_prefix: String,
    tags: Vec<String>,
}

impl Wish {
    /// Parameters that are not known are passed over: SDKs send some of their own.
    fn read(query: Option<&str>) -> Result<Self, Fault> {
        let mut wish = Self::default();
        for (name, value) in url::form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
            match name.trim_end_matches("[]") {
                "project" => wish.projects.push(value.into_owned()),
                "namePrefix" => wish.name_prefix = value.into_owned(),
                "tag" => wish.tags.push(value.into_owned()),
                _ => {}
            }
        }
        if wish.projects.len().max(wish.tags.len()) > TOKEN_PROJECTS_MAX {
            return Err(Fault::invalid(format!(
                "a request names at most {TOKEN_PROJECTS_MAX} projects and as many tags"
            )));
        }
        Ok(wish)
    }

    fn is_for_all(&self) -> bool {
        self.name_prefix.is_empty() && self.tags.is_empty() && Projects::of(&self.projects) == Projects::All
    }
}

#[derive(Debug, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(
    dead_code,
    reason = "only for the OpenAPI document; the query is read by hand, where a name may come repeatedly"
)]
struct FeaturesQuery {
    /// Only flags of this project, among those the token reads. May come repeatedly.
    project: Option<String>,
    /// Only flags with one of these tags, `type:value`. May come repeatedly.
    tag: Option<String>,
    /// Only flags whose name starts so.
    #[param(rename = "namePrefix")]
    name_prefix: Option<String>,
}

/// Definitions of flags, for SDKs that evaluate themselves.
#[utoipa::path(get, path = "/api/client/features", params(FeaturesQuery), responses((status = 200, body = Value), (status = 304)))]
async fn features(
    State(app): State<App>,
    WithToken(token): WithToken,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let environment = environment(&app, token.as_ref()).await?;
    reports::introduce(&app, &environment.name, &headers);
    let wish = Wish::read(query.as_deref())?;
    if wish.is_for_all() {
        return Ok(etag::kept(&headers, &environment.etag, environment.clone(), Environment::document).await);
    }
    let projects = Projects::of(&wish.projects);
    let tagged = |tags: &[String]| wish.tags.is_empty() || wish.tags.iter().any(|t| tags.contains(t));
    let keep = |name: &str, project: &str, tags: &[String]| {
        name.starts_with(&wish.name_prefix) && projects.contains(project) && tagged(tags)
    };
    let (body, tag) = environment.document_of(keep);
    Ok(etag::json(&headers, &tag, body))
}

/// One flag's definition.
#[utoipa::path(get, path = "/api/client/features/{name}", params(("name" = String, Path)), responses((status = 200, body = Value), (status = 304)))]
async fn feature(
    State(app): State<App>,
    WithToken(token): WithToken,
    PathOf(name): PathOf<String>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let environment = environment(&app, token.as_ref()).await?;
    let missing = || Fault::not_found(format!("there is no flag `{name}` in {}", environment.name));
    let body = environment.definition(&name).ok_or_else(missing)?;
    Ok(etag::json(&headers, &etag::of(&body), body))
}

/// What changed since the state that `If-None-Match` names; everything when that is too old or not named.
#[utoipa::path(get, path = "/api/client/delta", responses((status = 200, body = Value), (status = 304)))]
async fn delta(State(app): State<App>, WithToken(token): WithToken, headers: HeaderMap) -> Result<Response, ApiError> {
    let environment = environment(&app, token.as_ref()).await?;
    reports::introduce(&app, &environment.name, &headers);
    let known = headers.get(header::IF_NONE_MATCH).and_then(|v| v.to_str().ok());
    if let Some(events) = known.and_then(|tag| environment.delta_since(tag)) {
        return Ok(etag::json(&headers, &environment.etag, events));
    }
    Ok(etag::kept(&headers, &environment.etag, environment.clone(), Environment::hydration).await)
}

/// Definitions at once and after every change, as server-sent events.
#[utoipa::path(get, path = "/api/client/streaming", responses((status = 200, content_type = "text/event-stream")))]
async fn streaming(
    State(app): State<App>,
    WithToken(token): WithToken,
    Extension(streams): Extension<FlagStreams>,
    standing: Standing,
    headers: HeaderMap,
    opening: Opening,
) -> Result<Response, ApiError> {
    let environment = environment(&app, token.as_ref()).await?;
    reports::introduce(&app, &environment.name, &headers);
    streams.definitions(&app, &environment, &standing, opening)
}
