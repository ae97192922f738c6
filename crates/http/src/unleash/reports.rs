//! What Unleash SDKs and proxies tell: that they are there, what they counted, what the code behind flags measured.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};
use tenfold_app::App;
use tenfold_app::flags::{ImpactMetric, InstanceList, Introduction, Reported};
use tenfold_app::people::{Token, TokenKind};
use tenfold_types::{Fault, Timestamp};
use utoipa_axum::routes;

use super::environment;
use crate::auth::WithToken;
use crate::{Api, ApiError, Body, Policy};

pub fn api() -> Api {
    Api::new("unleash")
        .add(Policy::FlagClient, routes!(register))
        .add(Policy::FlagClient, routes!(metrics))
        .add(Policy::FlagClient, routes!(metrics_bulk))
        .add(Policy::FlagClient, routes!(edge_metrics))
        .add(Policy::FlagClient, routes!(edge_observed))
        .add(Policy::Public, routes!(edge_validate))
        .add(Policy::FlagFrontend, routes!(frontend_register))
        .add(Policy::FlagFrontend, routes!(frontend_metrics))
        .add(Policy::Viewer, routes!(instances))
}

/// Flags that one report may name.
const TOGGLES_MAX: usize = 10_000;
/// Applications that one report of a proxy may name.
const APPLICATIONS_MAX: usize = 10_000;
/// Tokens that a proxy may ask about at once.
const VALIDATE_TOKENS_MAX: usize = 1_000;

/// Notes who asks, as SDKs say in headers of every request.
pub(super) fn introduce(app: &App, environment: &str, headers: &HeaderMap) {
    let text = |name: &str| headers.get(name).and_then(|v| v.to_str().ok()).map(str::to_owned);
    let Some(app_name) = text("unleash-appname").or_else(|| text("x-unleash-appname")) else { return };
    let said = Introduction {
        app_name,
        instance_id: text("unleash-instanceid"),
        connection_id: text("unleash-connection-id").or_else(|| text("x-unleash-connection-id")),
        sdk_version: text("unleash-sdk").or_else(|| text("x-unleash-sdk")),
        ..Introduction::default()
    };
    app.flag_instance_seen(environment, &said);
}

async fn hello(app: &App, token: Option<&Arc<Token>>, said: &Introduction) -> Result<StatusCode, ApiError> {
    if said.app_name.is_empty() {
        return Err(Fault::invalid("a registration names its application").advice("send \"appName\"").into());
    }
    let environment = environment(app, token).await?;
    app.flag_instance_seen(&environment.name, said);
    Ok(StatusCode::ACCEPTED)
}

/// An SDK says hello.
#[utoipa::path(post, path = "/api/client/register", request_body = Value, responses((status = 202)))]
async fn register(
    State(app): State<App>,
    WithToken(token): WithToken,
    Body(said): Body<Introduction>,
) -> Result<StatusCode, ApiError> {
    hello(&app, token.as_ref(), &said).await
}

/// A browser SDK says hello.
#[utoipa::path(post, path = "/api/frontend/client/register", request_body = Value, responses((status = 202)))]
async fn frontend_register(
    State(app): State<App>,
    WithToken(token): WithToken,
    Body(said): Body<Introduction>,
) -> Result<StatusCode, ApiError> {
    hello(&app, token.as_ref(), &said).await
}

/// What SDKs counted.
#[derive(Deserialize, utoipa::ToSchema)]
#[schema(as = UnleashMetrics)]
struct Metrics {
    #[serde(flatten)]
    #[schema(value_type = Object)]
    said: Introduction,
    #[serde(default)]
    bucket: Bucket,
    /// What the code behind the flags measured.
    #[serde(default, rename = "impactMetrics")]
    #[schema(value_type = Vec<Object>)]
    impact: Vec<ImpactMetric>,
}

#[derive(Default, Deserialize, utoipa::ToSchema)]
#[schema(as = UnleashBucket)]
struct Bucket {
    #[serde(default)]
    #[schema(value_type = Object)]
    toggles: BTreeMap<String, Reported>,
}

async fn count(app: &App, token: Option<&Arc<Token>>, report: Metrics) -> Result<StatusCode, ApiError> {
    if report.bucket.toggles.len() > TOGGLES_MAX {
        return Err(Fault::invalid(format!("a report names at most {TOGGLES_MAX} flags")).into());
    }
    let environment = environment(app, token).await?;
    app.flag_instance_seen(&environment.name, &report.said);
    app.flag_usage_report(&environment.name, &report.bucket.toggles);
    measured(app, &environment.name, &report.impact);
    Ok(StatusCode::ACCEPTED)
}

fn measured(app: &App, environment: &str, metrics: &[ImpactMetric]) {
    let refused = app.flag_impact_report(environment, metrics);
    if refused > 0 {
        app.metrics.own.add("tenfold_impact_samples_refused_total", &[("environment", environment)], refused as f64);
    }
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

/// Takes what a browser SDK counted.
#[utoipa::path(post, path = "/api/frontend/client/metrics", request_body = Metrics, responses((status = 202)))]
async fn frontend_metrics(
    State(app): State<App>,
    WithToken(token): WithToken,
    Body(report): Body<Metrics>,
) -> Result<StatusCode, ApiError> {
    count(&app, token.as_ref(), report).await
}

/// What a proxy collected from many SDKs.
#[derive(Deserialize, utoipa::ToSchema)]
#[schema(as = UnleashBulkMetrics)]
struct BulkMetrics {
    #[serde(default)]
    #[schema(value_type = Vec<Object>)]
    applications: Vec<Introduction>,
    #[serde(default)]
    metrics: Vec<BulkMetric>,
    #[serde(default, rename = "impactMetrics")]
    #[schema(value_type = Vec<Object>)]
    impact: Option<Vec<ImpactMetric>>,
}

#[derive(Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = UnleashBulkMetric)]
struct BulkMetric {
    feature_name: String,
    /// Counts for the token's environment only; of another they are passed over.
    #[serde(default)]
    environment: Option<String>,
    #[serde(flatten)]
    #[schema(value_type = Object)]
    counted: Reported,
}

async fn bulk(app: &App, token: Option<&Arc<Token>>, report: BulkMetrics) -> Result<StatusCode, ApiError> {
    let (flags, applications) = (report.metrics.len(), report.applications.len());
    if flags > TOGGLES_MAX || applications > APPLICATIONS_MAX {
        return Err(Fault::invalid(format!(
            "a report has at most {TOGGLES_MAX} metrics and {APPLICATIONS_MAX} applications, not {flags} and {applications}"
        ))
        .advice("send it in parts")
        .into());
    }
    let environment = environment(app, token).await?;
    for said in &report.applications {
        app.flag_instance_seen(&environment.name, said);
    }
    for metric in report.metrics {
        if metric.environment.is_none_or(|e| e == environment.name) {
            app.flag_usage_report(&environment.name, &BTreeMap::from([(metric.feature_name, metric.counted)]));
        }
    }
    measured(app, &environment.name, report.impact.as_deref().unwrap_or_default());
    Ok(StatusCode::ACCEPTED)
}

/// Takes what a proxy collected from SDKs.
#[utoipa::path(post, path = "/api/client/metrics/bulk", request_body = BulkMetrics, responses((status = 202)))]
async fn metrics_bulk(
    State(app): State<App>,
    WithToken(token): WithToken,
    Body(report): Body<BulkMetrics>,
) -> Result<StatusCode, ApiError> {
    bulk(&app, token.as_ref(), report).await
}

/// The same at the address that older proxies use.
#[utoipa::path(post, path = "/edge/metrics", request_body = BulkMetrics, responses((status = 202)))]
async fn edge_metrics(
    State(app): State<App>,
    WithToken(token): WithToken,
    Body(report): Body<BulkMetrics>,
) -> Result<StatusCode, ApiError> {
    bulk(&app, token.as_ref(), report).await
}

/// What a proxy tells of its own health, which is not kept.
#[utoipa::path(post, path = "/api/client/metrics/edge", request_body = Value, responses((status = 202)))]
async fn edge_observed() -> StatusCode {
    StatusCode::ACCEPTED
}

#[derive(Deserialize, utoipa::ToSchema)]
#[schema(as = UnleashTokenQuestion)]
struct TokenQuestion {
    tokens: Vec<String>,
}

#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = UnleashTokens)]
struct Tokens {
    tokens: Vec<TokenAnswer>,
}

/// A token that is valid.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = UnleashToken)]
struct TokenAnswer {
    token: String,
    /// `client` or `frontend`.
    #[serde(rename = "type")]
    kind: &'static str,
    environment: String,
    projects: Vec<String>,
    /// Relays hold to it while they cannot ask.
    #[serde(rename = "expiresAt", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    expires_at: Option<Timestamp>,
}

/// Which of these flag clients' tokens are valid, and for what. Whoever has a token may ask about it; of others nothing
/// is said.
#[utoipa::path(post, path = "/edge/validate", request_body = TokenQuestion, responses((status = 200, body = Tokens)))]
async fn edge_validate(State(app): State<App>, Body(question): Body<TokenQuestion>) -> Result<Json<Tokens>, ApiError> {
    if question.tokens.len() > VALIDATE_TOKENS_MAX {
        return Err(Fault::invalid(format!("at most {VALIDATE_TOKENS_MAX} tokens are looked at in one request")).into());
    }
    let known = question.tokens.into_iter().filter_map(|secret| {
        let token = app.token_by_secret(&secret)?;
        let environment = token.environment.clone()?;
        matches!(token.kind, TokenKind::Client | TokenKind::Frontend).then(|| TokenAnswer {
            token: secret,
            kind: token.kind.name(),
            environment,
            projects: token.projects().names(),
            expires_at: token.expires_at,
        })
    });
    Ok(Json(Tokens { tokens: known.collect() }))
}

/// Running copies of applications that use flags, seen by this node within a day.
#[utoipa::path(get, path = "/api/flag-clients", responses((status = 200, body = InstanceList)))]
async fn instances(State(app): State<App>) -> Json<InstanceList> {
    Json(app.flag_instances())
}
