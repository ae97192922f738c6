//! `/federate`: the newest sample of each series that is asked for, so that another Prometheus scrapes it from here.
//!
//! As Prometheus' `web/federate.go`: samples no older than the lookback, with their own timestamps, without those that
//! ended; series without `instance` get an empty one, so that the scraper does not add its own.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::http::header;
use axum::response::IntoResponse;
use tenfold_app::App;
use tenfold_app::metrics::SeriesFilter;
use tenfold_promql::{Value, format_float};
use tenfold_protocols::prom_page;
use tenfold_types::Labels;

use super::params::PrometheusFederation;
use super::{Answer, Params, bad};

const LOOKBACK: &str = "5m";
/// Samples that one answer may hold.
const SAMPLES_MAX: usize = 200_000;

/// The newest samples of matching series in the Prometheus text format (`match[]`, several times if wanted).
#[utoipa::path(get, path = "/federate", params(PrometheusFederation), responses((status = 200, content_type = "text/plain")))]
pub(super) async fn federate(State(app): State<App>, RawQuery(q): RawQuery) -> Answer {
    let selectors = Params::new(q.as_deref(), b"").all("match[]");
    if selectors.is_empty() {
        return Err(bad("at least one `match[]` is needed".into()).into());
    }
    // Says what is wrong with a selector before anything is asked.
    SeriesFilter::parse(&selectors, None, None)?;
    let now = app.now();
    let mut found: BTreeMap<Arc<Labels>, (i64, f64)> = BTreeMap::new();
    for selector in &selectors {
        // Which series have not ended, and then when their samples were taken.
        let Value::Vector(live) = app.query(selector, now).await?.value else { continue };
        let Value::Matrix(recent) = app.query(&format!("{selector}[{LOOKBACK}]"), now).await?.value else {
            continue;
        };
        let times: BTreeMap<Arc<Labels>, i64> =
            recent.into_iter().filter_map(|series| Some((series.labels, series.points.last()?.t_ms))).collect();
        for sample in live {
            // Native histograms have no place in this format.
            let (Some(value), Some(t_ms)) = (sample.value.float(), times.get(&sample.labels)) else { continue };
            found.insert(sample.labels, (*t_ms, value));
        }
        if found.len() > SAMPLES_MAX {
            return Err(bad(format!("there are more than {SAMPLES_MAX} series; ask for fewer")).into());
        }
    }
    Ok(([(header::CONTENT_TYPE, prom_page::CONTENT_TYPE)], page(&found)).into_response())
}

fn page(found: &BTreeMap<Arc<Labels>, (i64, f64)>) -> String {
    // Names that are told alike are one series to whoever reads the page: the first is told.
    let mut families: BTreeMap<String, BTreeMap<String, (i64, f64)>> = BTreeMap::new();
    for (labels, sample) in found {
        let told = prom_page::legacy(labels);
        let Some(name) = told.metric_name() else { continue };
        let mut text = told.to_string();
        if told.get("instance").is_none() {
            match text.pop() {
                Some('}') => text.push_str(",instance=\"\"}"),
                last => text.extend(last.into_iter().chain("{instance=\"\"}".chars())),
            }
        }
        families.entry(name.to_owned()).or_default().entry(text).or_insert(*sample);
    }
    let mut out = String::new();
    for (name, series) in families {
        let _ = writeln!(out, "# TYPE {name} untyped");
        for (text, (t_ms, value)) in series {
            let _ = writeln!(out, "{text} {} {t_ms}", format_float(value));
        }
    }
    out
}
