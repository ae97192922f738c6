//! The Unleash protocol: what server-side SDKs (client API) and browser SDKs (frontend API) ask.
//!
//! SDKs send their token as the bare value of `Authorization`; the token names the environment.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{ConnectInfo, RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use axum::response::sse::{Event, KeepAlive, Sse};
use futures_util::Stream;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tenfold_app::App;
use tenfold_app::flags::{Environment, ImpactMetric, Reported};
use tenfold_app::people::Token;
use tenfold_flags::{Context, DISABLED_VARIANT, Evaluation, Payload};
use tenfold_types::Fault;
use tokio::sync::watch;
use utoipa_axum::routes;

use crate::auth::WithToken;
use crate::flags::environment_of;
use crate::{Api, ApiError, Body, Policy, etag};

pub fn api() -> Api {
    Api::new("unleash")
        .add(Policy::FlagClient, routes!(features))
        .add(Policy::FlagClient, routes!(delta))
        .add(Policy::FlagClient, routes!(streaming))
        .add(Policy::FlagClient, routes!(register))
        .add(Policy::FlagClient, routes!(metrics))
        .add(Policy::FlagFrontend, routes!(frontend, frontend_post))
        .add(Policy::FlagFrontend, routes!(frontend_register))
        .add(Policy::FlagFrontend, routes!(frontend_metrics))
}

const KEEP_ALIVE: Duration = Duration::from_secs(15);

async fn environment(app: &App, token: Option<&Arc<Token>>) -> Result<Arc<Environment>, ApiError> {
    Ok(app.flag_environment(&environment_of(token, None)?).await?)
}

/// Every flag's definition, for SDKs that evaluate themselves.
#[utoipa::path(get, path = "/api/client/features", responses((status = 200, body = Value), (status = 304)))]
async fn features(
    State(app): State<App>,
    WithToken(token): WithToken,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let environment = environment(&app, token.as_ref()).await?;
    Ok(etag::json(&headers, &environment.etag, environment.document.clone()))
}

/// The same as one event of the delta protocol.
#[utoipa::path(get, path = "/api/client/delta", responses((status = 200, body = Value), (status = 304)))]
async fn delta(State(app): State<App>, WithToken(token): WithToken, headers: HeaderMap) -> Result<Response, ApiError> {
    let environment = environment(&app, token.as_ref()).await?;
    Ok(etag::json(&headers, &environment.etag, environment.hydration_text().to_owned().into()))
}

/// Definitions at once and after every change, as server-sent events.
#[utoipa::path(get, path = "/api/client/streaming", responses((status = 200, content_type = "text/event-stream")))]
async fn streaming(
    State(app): State<App>,
    WithToken(token): WithToken,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, ApiError> {
    let environment = environment(&app, token.as_ref()).await?;
    let watch = app.flags.watch(&environment.name).ok_or_else(|| Fault::not_found("there is no such environment"))?;
    Ok(Sse::new(definitions(watch)).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)))
}

fn definitions(watch: watch::Receiver<Arc<Environment>>) -> impl Stream<Item = Result<Event, Infallible>> {
    futures_util::stream::unfold((watch, false), |(mut watch, connected)| async move {
        if connected {
            watch.changed().await.ok()?;
        }
        let current = watch.borrow_and_update().clone();
        let name = if connected { "unleash-updated" } else { "unleash-connected" };
        let event = Event::default().event(name).id(current.number().to_string()).data(current.hydration_text());
        Some((Ok(event), (watch, true)))
    })
}

/// An SDK says hello.
#[utoipa::path(post, path = "/api/client/register", request_body = Value, responses((status = 202)))]
async fn register() -> StatusCode {
    StatusCode::ACCEPTED
}

/// What SDKs counted.
#[derive(Deserialize, utoipa::ToSchema)]
#[schema(as = UnleashMetrics)]
struct Metrics {
    #[serde(default)]
    bucket: Bucket,
    /// What the code behind the flags measured.
    #[serde(default, rename = "impactMetrics")]
    #[schema(value_type = Vec<Object>)]
    impact_metrics: Vec<ImpactMetric>,
}

#[derive(Default, Deserialize, utoipa::ToSchema)]
#[schema(as = UnleashBucket)]
struct Bucket {
    #[serde(default)]
    #[schema(value_type = Object)]
    toggles: BTreeMap<String, Reported>,
}

/// Flags that one report may name.
const TOGGLES_MAX: usize = 10_000;

async fn count(app: &App, token: Option<&Arc<Token>>, report: Metrics) -> Result<StatusCode, ApiError> {
    if report.bucket.toggles.len() > TOGGLES_MAX {
        return Err(Fault::invalid(format!("a report names at most {TOGGLES_MAX} flags")).into());
    }
    let environment = environment(app, token).await?;
    app.flag_usage_report(&environment.name, &report.bucket.toggles);
    let refused = app.flag_impact_report(&environment.name, &report.impact_metrics);
    if refused > 0 {
        app.metrics.own.add("tenfold_impact_samples_refused_total", &[], refused as f64);
    }
    Ok(StatusCode::ACCEPTED)
}

/// Takes what a server-side SDK counted.
#[utoipa::path(post, path = "/api/client/metrics", request_body = Metrics, responses((status = 202)))]
async fn metrics(
    State(app): State<App>,
    WithToken(token): WithToken,
    Body(report): Body<Metrics>,
) -> Result<StatusCode, ApiError> {
    count(&app, token.as_ref(), report).await
}

/// A browser SDK says hello.
#[utoipa::path(post, path = "/api/frontend/client/register", request_body = Value, responses((status = 202)))]
async fn frontend_register() -> StatusCode {
    StatusCode::ACCEPTED
}

/// Takes what a browser SDK counted.
#[utoipa::path(post, path = "/api/frontend/client/metrics", request_body = Metrics, responses((status = 202)))]
async fn frontend_metrics(
    State(app): State<App>,
    WithToken(token): WithToken,
    Body(report): Body<Metrics>,
) -> Result<StatusCode, ApiError> {
    count(&app, token.as_ref(), report).await
}

#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = UnleashToggles)]
struct Toggles<'a> {
    toggles: Vec<Toggle<'a>>,
}

#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = UnleashToggle)]
struct Toggle<'a> {
    name: &'a str,
    enabled: bool,
    impression_data: bool,
    variant: VariantOf<'a>,
}

#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = UnleashVariant)]
struct VariantOf<'a> {
    name: &'a str,
    enabled: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    payload: Option<&'a Payload>,
    feature_enabled: bool,
}

fn toggle<'a>(answer: &Evaluation<'a>) -> Toggle<'a> {
    let variant = answer.unleash_variant();
    Toggle {
        name: answer.key(),
        enabled: answer.enabled,
        impression_data: answer.impression_data(),
        variant: VariantOf {
            name: variant.map_or(DISABLED_VARIANT, |v| v.0),
            enabled: variant.is_some(),
            payload: variant.and_then(|v| v.1),
            feature_enabled: answer.enabled,
        },
    }
}

/// Flags that are on for a context, evaluated here.
#[utoipa::path(get, path = "/api/frontend", responses((status = 200, body = Toggles), (status = 304)))]
async fn frontend(
    State(app): State<App>,
    WithToken(token): WithToken,
    peer: Option<axum::Extension<ConnectInfo<SocketAddr>>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let mut fields = Map::new();
    for (name, value) in url::form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
        let name = name.strip_prefix("properties[").and_then(|n| n.strip_suffix(']')).unwrap_or(&name);
        fields.insert(name.to_owned(), Value::String(value.into_owned()));
    }
    evaluated(&app, token.as_ref(), &fields, peer, &headers).await
}

#[derive(Deserialize, utoipa::ToSchema)]
#[schema(as = UnleashContext)]
struct FrontendRequest {
    #[serde(default)]
    #[schema(value_type = Object)]
    context: Map<String, Value>,
}

/// The same with the context in the body, where no log keeps it.
#[utoipa::path(post, path = "/api/frontend", request_body = FrontendRequest, responses((status = 200, body = Toggles), (status = 304)))]
async fn frontend_post(
    State(app): State<App>,
    WithToken(token): WithToken,
    peer: Option<axum::Extension<ConnectInfo<SocketAddr>>>,
    headers: HeaderMap,
    Body(request): Body<FrontendRequest>,
) -> Result<Response, ApiError> {
    evaluated(&app, token.as_ref(), &request.context, peer, &headers).await
}

async fn evaluated(
    app: &App,
    token: Option<&Arc<Token>>,
    fields: &Map<String, Value>,
    peer: Option<axum::Extension<ConnectInfo<SocketAddr>>>,
    headers: &HeaderMap,
) -> Result<Response, ApiError> {
    let environment = environment(app, token).await?;
    let mut context: Context = app.flag_context(&environment.name, fields)?;
    // The token names the environment; a page cannot choose another.
    context.set("environment", environment.name.as_str());
    if let Some(axum::Extension(ConnectInfo(peer))) = peer
        && !context.has("remoteAddress")
    {
        context.set("remoteAddress", peer.ip().to_string());
    }
    let answers: Vec<_> = environment.evaluate_all(&context, app.flag_moment()).collect();
    let document = Toggles { toggles: answers.iter().filter(|a| a.enabled).map(toggle).collect() };
    let body = serde_json::to_vec(&document).map_err(|e| Fault::internal(e.to_string()))?;
    Ok(etag::json(headers, &etag::of(&body), body.into()))
}
