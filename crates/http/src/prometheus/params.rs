//! Parameters as the document describes them, the same by address and by form. They are read by name, since some may stand
//! several times.
#![allow(dead_code, clippy::allow_attributes, reason = "only described from here")]

use utoipa::{IntoParams, ToSchema};

/// A query at one instant.
#[derive(IntoParams, ToSchema)]
#[into_params(parameter_in = Query)]
pub(super) struct PrometheusInstant {
    /// An expression of PromQL.
    query: String,
    /// Seconds since 1970, or RFC 3339; now when it is left out.
    time: Option<String>,
    /// `all` adds what the query cost, in Prometheus' shape.
    stats: Option<String>,
    /// `1` adds where time and samples went, by node of the expression.
    explain: Option<String>,
    /// How coarse rows of old time may be: `0s` for samples alone, `5m`, `1h` or `auto`.
    max_source_resolution: Option<String>,
    /// A duration after which the query is ended, at most the one of the settings (`metrics.query.timeout_ms`).
    timeout: Option<String>,
    /// A duration for which the newest sample of a series counts; five minutes when it is left out.
    lookback_delta: Option<String>,
    /// At most so many series; 0 for all. A warning tells when there were more.
    limit: Option<u64>,
}

/// A query at every step of a time.
#[derive(IntoParams, ToSchema)]
#[into_params(parameter_in = Query)]
pub(super) struct PrometheusRange {
    /// An expression of PromQL.
    query: String,
    /// The first instant: seconds since 1970, or RFC 3339.
    start: String,
    /// The last instant.
    end: String,
    /// A duration such as `15s`, or seconds.
    step: String,
    /// `all` adds what the query cost, in Prometheus' shape.
    stats: Option<String>,
    /// `1` adds where time and samples went, by node of the expression.
    explain: Option<String>,
    /// How coarse rows of old time may be: `0s` for samples alone, `5m`, `1h` or `auto`.
    max_source_resolution: Option<String>,
    /// A duration after which the query is ended, at most the one of the settings (`metrics.query.timeout_ms`).
    timeout: Option<String>,
    /// A duration for which the newest sample of a series counts; five minutes when it is left out.
    lookback_delta: Option<String>,
    /// At most so many series; 0 for all. A warning tells when there were more.
    limit: Option<u64>,
}

/// Series that are looked for.
#[derive(IntoParams, ToSchema)]
#[into_params(parameter_in = Query)]
pub(super) struct PrometheusSeries {
    /// Selectors such as `up{job="web"}`; a series that one of them matches is told.
    #[param(rename = "match[]")]
    #[schema(rename = "match[]")]
    selectors: Vec<String>,
    /// From when on: seconds since 1970, or RFC 3339.
    start: Option<String>,
    /// Up to when.
    end: Option<String>,
    /// At most so many; 0 for all.
    limit: Option<u64>,
}

/// Series whose labels are looked for.
#[derive(IntoParams, ToSchema)]
#[into_params(parameter_in = Query)]
pub(super) struct PrometheusLabels {
    /// Selectors such as `up{job="web"}`; all series when there is none.
    #[param(rename = "match[]")]
    #[schema(rename = "match[]")]
    selectors: Option<Vec<String>>,
    /// From when on: seconds since 1970, or RFC 3339.
    start: Option<String>,
    /// Up to when.
    end: Option<String>,
    /// At most so many; 0 for all.
    limit: Option<u64>,
}

/// A query whose series' exemplars are looked for.
#[derive(IntoParams, ToSchema)]
#[into_params(parameter_in = Query)]
pub(super) struct PrometheusExemplars {
    /// An expression of PromQL.
    query: String,
    /// From when on: seconds since 1970, or RFC 3339.
    start: Option<String>,
    /// Up to when.
    end: Option<String>,
}

/// An expression of PromQL.
#[derive(IntoParams, ToSchema)]
#[into_params(parameter_in = Query)]
pub(super) struct PrometheusExpression {
    query: String,
}

/// Families of metrics.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct PrometheusFamilies {
    /// The name of one family.
    metric: Option<String>,
    /// At most so many; 0 for all.
    limit: Option<u64>,
}

/// Families of metrics by target.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct PrometheusTargetFamilies {
    /// A selector of targets by their labels, such as `{job="web"}`; all when it is left out.
    match_target: Option<String>,
    /// The name of one family.
    metric: Option<String>,
    /// Of at most so many targets; 0 for all.
    limit: Option<u64>,
}

/// Which rules are told.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct PrometheusRules {
    /// `alert` or `record`.
    r#type: Option<String>,
    /// Names of rules.
    #[param(rename = "rule_name[]")]
    rule_name: Option<Vec<String>>,
    /// Names of groups.
    #[param(rename = "rule_group[]")]
    rule_group: Option<Vec<String>>,
    /// Names of rule files.
    #[param(rename = "file[]")]
    file: Option<Vec<String>>,
    /// Selectors such as `{team="web"}`, of the rules' own labels; a rule that one of them matches is told.
    #[param(rename = "match[]")]
    selectors: Option<Vec<String>>,
    /// `true` leaves out the alerts of the rules.
    exclude_alerts: Option<String>,
    /// Groups in the answer; there are more where it has a `groupNextToken`.
    group_limit: Option<usize>,
    /// `groupNextToken` of the answer before.
    group_next_token: Option<String>,
}

/// Which targets are told.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct PrometheusTargets {
    /// `active`, `dropped` or `any`.
    state: Option<String>,
    /// The job of the configuration file.
    #[param(rename = "scrapePool")]
    scrape_pool: Option<String>,
}

/// Labels that go through the rules of a job.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct PrometheusRelabelling {
    /// The job of the configuration file.
    #[param(rename = "scrapePool")]
    scrape_pool: String,
    /// The labels before relabelling, as a JSON object such as `{"__address__":"h1:80"}`.
    labels: String,
}

/// Which of the server's own metrics are told.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct PrometheusOwn {
    /// A regular expression of whole names; all when it is left out.
    metric_name_pattern: Option<String>,
}

/// Whose newest samples are told.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct PrometheusFederation {
    /// Selectors such as `up{job="web"}`.
    #[param(rename = "match[]")]
    selectors: Vec<String>,
}
