//! Which metrics a service has: a look at the index of the store, or one question to the cluster that answers instead.
//!
//! Bounded: names come from the index alone, labels only of names that a convention may know, samples of a few series only
//! where a name may be a native histogram. What was found is kept for a minute.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use serde_json::Value as Json;
use tenfold_tsdb::{CompiledMatcher, TsdbError};
use tenfold_types::{ErrorCode, Fault, Labels, Matcher, MatcherOp, Timestamp, is_legacy_name};

use super::conventions::{Names, Shape, may_name};
use super::dashboards::Dashboard;
use super::{State, drawn};
use crate::App;

/// Series without samples for this long do not count.
const LOOK_BACK_MS: i64 = 3_600_000;
/// What was found is looked for anew after this long.
const FRESH_MS: i64 = 60_000;
/// Services whose names are kept.
const SERVICES_MAX: usize = 1_000;
/// Names of one selector whose labels are looked at.
const NAMES_MAX: usize = 500;
/// Series that are read to tell a native histogram from a number.
const SERIES_READ_MAX: usize = 3;
/// Series that are selected for it: some of them may have ended before the time asked for.
const SELECTED_MAX: usize = 8 * SERIES_READ_MAX;
/// Bounds of the window of rates: four samples of what is seen, no less than a minute, no more than an hour.
const WINDOW_S_MIN: u64 = 60;
const WINDOW_S_MAX: u64 = 3_600;
const WINDOW_SAMPLES: u64 = 4;
/// Series a cluster is asked for, and how long: a page is waiting.
const CLUSTER_SERIES_MAX: usize = 20_000;
const CLUSTER_TIMEOUT: Duration = Duration::from_secs(5);

/// What was found of services, and when.
#[derive(Default)]
pub(super) struct Cache(Mutex<BTreeMap<String, Kept>>);

/// When it was looked up, and what was found.
type Kept = (Timestamp, Arc<Vec<Names>>);

impl Cache {
    fn get(&self, service: &str, now: Timestamp) -> Option<Arc<Vec<Names>>> {
        let all = self.0.lock();
        let (at, found) = all.get(service)?;
        (now.since_ms(*at) < FRESH_MS).then(|| found.clone())
    }

    /// A service without metrics is looked at each time: somebody may be about to give it some.
    fn put(&self, service: &str, found: &Arc<Vec<Names>>, now: Timestamp) {
        let mut all = self.0.lock();
        if found.is_empty() {
            all.remove(service);
        } else if all.len() < SERVICES_MAX || all.contains_key(service) {
            all.insert(service.to_owned(), (now, found.clone()));
        }
    }
}

/// A way in which series say that they are a service's.
struct Selector {
    matchers: Vec<Matcher>,
    /// The name alone tells it, so that a query needs no matcher.
    by_name: bool,
}

impl Selector {
    /// As a query writes it.
    fn of(&self) -> String {
        if self.by_name { String::new() } else { written(&self.matchers) }
    }
}

fn written(matchers: &[Matcher]) -> String {
    matchers.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}

/// A name of a service within a regular expression: of what such names are made of, only the dot means something else there.
fn escaped(service: &str) -> String {
    service.replace('.', "\\.")
}

/// From what says it plainest: the labels of a scraped release, the job or the attribute of OpenTelemetry, the label of a
/// Kubernetes deployment, and the beginning of a name that came without any of them.
fn selectors(service: &str) -> Vec<Selector> {
    let equal = |label: &str| Selector { matchers: vec![Matcher::equal(label, service)], by_name: false };
    let job = Matcher::new("job", MatcherOp::Regex, format!(".+/{}", escaped(service)));
    let named = Matcher::new(Labels::NAME, MatcherOp::Regex, format!("{}.*", drawn::prefix(service)));
    vec![
        equal("service"),
        equal("job"),
        Selector { matchers: vec![job], by_name: false },
        equal("service_name"),
        equal("app"),
        Selector { matchers: vec![named, Matcher::equal("service", ""), Matcher::equal("job", "")], by_name: true },
    ]
}

/// The series of a selector under one name.
fn named(name: &str, matchers: &[Matcher]) -> Vec<Matcher> {
    matchers.iter().cloned().chain([Matcher::equal(Labels::NAME, name)]).collect()
}

/// The window in which a few samples lie.
fn window_of(spacing_ms: i64) -> u64 {
    let seconds = u64::try_from(spacing_ms).unwrap_or(0).saturating_mul(WINDOW_SAMPLES).div_ceil(1_000);
    seconds.clamp(WINDOW_S_MIN, WINDOW_S_MAX)
}

/// Names without shapes yet.
fn names(service: &str, selector: &Selector, window_s: u64) -> Names {
    Names { of: selector.of(), prefix: drawn::prefix(service), window_s, split: false, by_name: BTreeMap::new() }
}

impl State {
    /// What the own store has of a service, for each selector that finds anything.
    fn look_up(&self, service: &str, window_s: u64, now: Timestamp) -> Result<Vec<Names>, TsdbError> {
        let (start, end) = (now.millis() - LOOK_BACK_MS, now.millis());
        let mut all = Vec::new();
        for selector in selectors(service) {
            let mut found = names(service, &selector, window_s);
            let matchers = &selector.matchers;
            let known = self.tsdb.label_values(Labels::NAME, matchers, start, end)?;
            // Others would have to be quoted, and follow no convention.
            let known: Vec<String> = known.into_iter().filter(|name| is_legacy_name(name, "_:")).collect();
            if known.is_empty() {
                continue;
            }
            found.split = self.tsdb.label_values("environment", matchers, start, end)?.len() > 1;
            let mut looked_at = 0;
            for name in known {
                let mut shape = Shape::default();
                if looked_at < NAMES_MAX && may_name(&name, &found.prefix) {
                    looked_at += 1;
                    shape = self.shape(&name, matchers, start, end)?;
                }
                found.by_name.insert(name, shape);
            }
            let counted = |(name, shape): &(&String, &Shape)| {
                shape.native || ["_total", "_count"].iter().any(|end| name.ends_with(end))
            };
            if let Some((name, _)) = found.by_name.iter().find(counted) {
                let spacing_ms = self.spacing_ms(&named(name, matchers), start, end)?;
                found.window_s = window_of(spacing_ms).max(window_s);
            }
            all.push(found);
        }
        Ok(all)
    }

    fn shape(&self, name: &str, matchers: &[Matcher], start: i64, end: i64) -> Result<Shape, TsdbError> {
        let matchers = named(name, matchers);
        let labels: BTreeSet<String> = self.tsdb.label_names(&matchers, start, end)?.into_iter().collect();
        let native = may_be_native(name, &labels) && self.has_histograms(&matchers, start, end)?;
        Ok(Shape { labels, native })
    }

    /// How far apart the samples of one of the series are.
    fn spacing_ms(&self, matchers: &[Matcher], start: i64, end: i64) -> Result<i64, TsdbError> {
        let (mut floats, mut histograms) = (Vec::new(), Vec::new());
        if let Some(series) = self.tsdb.select_some(matchers, start, end, SELECTED_MAX)?.into_iter().next() {
            series.chunks.read_all(&mut floats, &mut histograms)?;
        }
        let times: Vec<i64> = floats.iter().map(|p| p.t_ms).chain(histograms.iter().map(|h| h.t_ms)).collect();
        let span = times.iter().max().zip(times.iter().min()).map_or(0, |(last, first)| last - first);
        let gaps = i64::try_from(times.len()).unwrap_or(i64::MAX).saturating_sub(1).max(1);
        Ok(span / gaps)
    }

    fn has_histograms(&self, matchers: &[Matcher], start: i64, end: i64) -> Result<bool, TsdbError> {
        let (mut floats, mut histograms) = (Vec::new(), Vec::new());
        for series in self.tsdb.select_some(matchers, start, end, SELECTED_MAX)?.into_iter().take(SERIES_READ_MAX) {
            series.chunks.read_all(&mut floats, &mut histograms)?;
        }
        Ok(!histograms.is_empty())
    }
}

/// The name of a duration, which is no series of a classic histogram and no summary.
fn may_be_native(name: &str, labels: &BTreeSet<String>) -> bool {
    let unit = ["_seconds", "_milliseconds", "_duration", "_ms", "_time"].iter().any(|unit| name.ends_with(unit));
    let number = ["quantile", "le"].iter().any(|label| labels.contains(*label));
    unit && !number
}

/// What a cluster's answer to `series` says of a service.
fn of_series(service: &str, window_s: u64, series: &[Json]) -> Vec<Names> {
    let labels: Vec<Labels> = series
        .iter()
        .filter_map(|s| {
            Some(Labels::from_pairs(s.as_object()?.iter().filter_map(|(n, v)| Some((n.as_str(), v.as_str()?)))))
        })
        .collect();
    let mut all = Vec::new();
    for selector in selectors(service) {
        let Ok(compiled) = CompiledMatcher::all(&selector.matchers) else { continue };
        let mut found = names(service, &selector, window_s);
        let mut environments = BTreeSet::<&str>::new();
        for labels in labels.iter().filter(|labels| compiled.iter().all(|m| m.matches_labels(labels))) {
            let Some(name) = labels.metric_name().filter(|name| is_legacy_name(name, "_:")) else { continue };
            let shape = found.by_name.entry(name.to_owned()).or_default();
            shape.labels.extend(labels.iter().map(|(n, _)| n.to_owned()));
            environments.extend(labels.get("environment"));
        }
        found.split = environments.len() > 1;
        for (name, shape) in &mut found.by_name {
            // The cluster does not say what kind of samples a series has: a bare name of a duration is one of histograms.
            shape.native = may_be_native(name, &shape.labels) && may_name(name, &found.prefix);
        }
        if !found.by_name.is_empty() {
            all.push(found);
        }
    }
    all
}

impl App {
    /// The pages of services that nobody wrote one for.
    pub(super) async fn drawn_services(&self, services: &[String]) -> Vec<Dashboard> {
        let mut pages = Vec::with_capacity(services.len());
        let mut trouble: Option<Fault> = None;
        for service in services {
            // What does not answer for one is not asked for every other.
            let found = match trouble.clone() {
                Some(fault) => Err(fault),
                None => self.service_names(service).await,
            };
            pages.push(match found {
                Ok(found) => drawn::service(service, &found),
                Err(fault) => {
                    let page = drawn::unknown(service, &fault);
                    trouble = Some(fault);
                    page
                }
            });
        }
        pages
    }

    /// The metrics that a service has now, for each way in which series say whose they are.
    async fn service_names(&self, service: &str) -> Result<Arc<Vec<Names>>, Fault> {
        let now = self.now();
        if let Some(found) = self.metrics.found.get(service, now) {
            return Ok(found);
        }
        let window_s = window_of(i64::try_from(self.settings.metrics.scrape_interval_ms).unwrap_or(i64::MAX));
        let found = if let Some(series) = self.series_of_cluster(service, now).await? {
            of_series(service, window_s, &series)
        } else {
            let (app, service) = (self.clone(), service.to_owned());
            let look = move || app.metrics.look_up(&service, window_s, now);
            let done = tokio::task::spawn_blocking(look).await;
            done.map_err(|_| Fault::internal("looking at the index of the samples ended in a panic"))?
                .map_err(|e| super::query::store_fault(&e))?
        };
        let found = Arc::new(found);
        self.metrics.found.put(service, &found, now);
        Ok(found)
    }

    async fn series_of_cluster(&self, service: &str, now: Timestamp) -> Result<Option<Vec<Json>>, Fault> {
        let seconds = super::remote::seconds;
        let mut asked = vec![
            ("start".to_owned(), seconds(now.millis() - LOOK_BACK_MS)),
            ("end".to_owned(), seconds(now.millis())),
            ("limit".to_owned(), CLUSTER_SERIES_MAX.to_string()),
        ];
        let selector = |s: Selector| ("match[]".to_owned(), format!("{{{}}}", written(&s.matchers)));
        asked.extend(selectors(service).into_iter().map(selector));
        let answer = tokio::time::timeout(CLUSTER_TIMEOUT, self.ask_cluster("/api/v1/series", &asked)).await;
        let late = Fault::new(ErrorCode::Timeout, format!("the cluster did not answer within {CLUSTER_TIMEOUT:?}"));
        let Some(answer) = answer.map_err(|_| late)?? else { return Ok(None) };
        let mut series = answer.json["data"].as_array().cloned().unwrap_or_default();
        series.truncate(CLUSTER_SERIES_MAX);
        Ok(Some(series))
    }
}

#[cfg(test)]
#[path = "found_tests.rs"]
mod tests;
