//! Targets in Prometheus' shape.

use std::collections::BTreeMap;

use axum::extract::{RawQuery, State};
use serde_json::{Value as Json, json};
use tenfold_app::App;
use tenfold_app::metrics::{Dropped, TargetFamily, TargetStatus};
use tenfold_scrape::{Step, steps};
use tenfold_types::{Labels, format_duration_ms};

use super::params::{PrometheusRelabelling, PrometheusTargetFamilies, PrometheusTargets};
use super::{Answer, Params, bad, in_store, instant_or_never, limit_or_all, success};

/// Rows of families that one answer may hold.
const FAMILIES_MAX: usize = 100_000;

fn active(t: TargetStatus) -> Json {
    json!({
        "discoveredLabels": t.discovered, "labels": t.labels, "scrapePool": t.pool,
        "scrapeUrl": t.url, "globalUrl": t.url, "lastError": t.error.unwrap_or_default(),
        "lastScrape": instant_or_never(t.last_scrape),
        "lastScrapeDuration": t.duration_ms.unwrap_or(0) as f64 / 1000.0, "health": t.health.as_str(),
        "scrapeInterval": format_duration_ms(t.interval_ms as i64), "scrapeTimeout": format_duration_ms(t.timeout_ms as i64),
    })
}

/// Prometheus does not say why; where a target cannot be one, we do.
fn dropped(d: &Dropped) -> Json {
    let mut out = json!({"discoveredLabels": d.discovered, "scrapePool": d.pool});
    if let Some(reason) = &d.reason {
        out["reason"] = json!(reason);
    }
    out
}

/// Targets (`state`: active, dropped or any; `scrapePool`). `/api/targets` says the same in our shape.
#[utoipa::path(get, path = "/api/v1/targets", params(PrometheusTargets), responses((status = 200, content_type = "application/json")))]
pub(super) async fn targets(State(app): State<App>, RawQuery(q): RawQuery) -> Answer {
    let params = Params::new(q.as_deref(), b"");
    let state = params.get("state").unwrap_or("any").to_ascii_lowercase();
    if !matches!(state.as_str(), "any" | "active" | "dropped") {
        return Err(bad(format!("`state`: `{state}` is none of active, dropped and any")).into());
    }
    let pool = params.get("scrapePool");
    let of_pool = |name: &str| pool.is_none_or(|wanted| wanted == name);
    let (mut active_targets, mut dropped_targets, mut counts) = (Vec::new(), Vec::new(), BTreeMap::new());
    if state != "dropped" {
        let all = app.metrics.target_statuses().into_iter();
        active_targets.extend(all.filter(|t| of_pool(&t.pool)).map(active));
    }
    if state != "active" {
        dropped_targets.extend(app.metrics.dropped_targets().iter().filter(|d| of_pool(&d.pool)).map(dropped));
        counts.extend(app.metrics.pools().into_iter().filter(|p| of_pool(&p.name)).map(|p| (p.name, p.dropped)));
    }
    Ok(success(json!({
        "activeTargets": active_targets, "droppedTargets": dropped_targets, "droppedTargetCounts": counts,
    })))
}

/// Names of the jobs that are scraped.
#[utoipa::path(get, path = "/api/v1/scrape_pools", responses((status = 200, content_type = "application/json")))]
pub(super) async fn scrape_pools(State(app): State<App>) -> Answer {
    let of_targets = app.metrics.target_statuses().into_iter().map(|t| t.pool);
    let mut names: Vec<String> = app.metrics.pools().into_iter().map(|p| p.name).chain(of_targets).collect();
    names.sort_unstable();
    names.dedup();
    Ok(success(json!({"scrapePools": names})))
}

/// What each rule of a job (`scrapePool`) makes of a target's labels (`labels`, as JSON), one after the other.
#[utoipa::path(get, path = "/api/v1/targets/relabel_steps", params(PrometheusRelabelling), responses((status = 200, content_type = "application/json")))]
pub(super) async fn relabel_steps(State(app): State<App>, RawQuery(q): RawQuery) -> Answer {
    let params = Params::new(q.as_deref(), b"");
    let (pool, text) = (params.need("scrapePool")?, params.need("labels")?);
    let read = serde_json::from_str::<BTreeMap<String, String>>(text);
    let pairs = read.map_err(|e| bad(format!("`labels` is no JSON object of texts: {e}")))?;
    let job = app.metrics.job_named(pool).ok_or_else(|| bad(format!("`scrapePool`: there is no job `{pool}`")))?;
    let labels = Labels::from_pairs(pairs.iter().map(|(n, v)| (n.as_str(), v.as_str())));
    let row = |s: &Step| json!({"rule": s.rule, "output": s.labels, "keep": s.keep});
    Ok(success(json!({"steps": steps(&job.relabel, &labels).iter().map(row).collect::<Vec<_>>()})))
}

/// Kind, help and unit of the families on the last page of each target (`match_target`, `metric`, and `limit`, a number of
/// targets).
#[utoipa::path(get, path = "/api/v1/targets/metadata", params(PrometheusTargetFamilies), responses((status = 200, content_type = "application/json")))]
pub(super) async fn targets_metadata(State(app): State<App>, RawQuery(q): RawQuery) -> Answer {
    let params = Params::new(q.as_deref(), b"");
    let (selector, metric) = (params.get("match_target").map(str::to_owned), params.get("metric").map(str::to_owned));
    let one_family = metric.is_some();
    let look = move |metrics: &tenfold_app::metrics::State| {
        metrics.target_families(selector.as_deref(), metric.as_deref(), FAMILIES_MAX)
    };
    let mut found = in_store(&app, look).await?;
    if let Some(most) = limit_or_all(&params)? {
        let of_each = found.chunk_by(|a, b| a.target == b.target);
        let rows: usize = of_each.take(most).map(<[TargetFamily]>::len).sum();
        found.truncate(rows);
    }
    let row = |f: &TargetFamily| {
        let kind = if f.metadata.kind.is_empty() { "unknown" } else { &f.metadata.kind };
        let mut row = json!({"target": f.target, "type": kind, "help": f.metadata.help, "unit": f.metadata.unit});
        // Whoever asks for one family knows its name.
        if !one_family {
            row["metric"] = json!(f.family);
        }
        row
    };
    Ok(success(found.iter().map(row).collect::<Vec<_>>()))
}
