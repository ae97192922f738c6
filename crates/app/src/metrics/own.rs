//! The server's own metrics: counted where things happen, served at `/metrics` and kept as series.

use std::collections::BTreeMap;

use parking_lot::RwLock;
use tenfold_types::Labels;

use crate::App;

/// Series the server may have of itself.
const OWN_SERIES_MAX: usize = 10_000;

/// Counts what was refused because of [`OWN_SERIES_MAX`], by the metric that wanted more.
const REFUSED: &str = "tenfold_own_series_refused_total";

/// Counters and gauges by label set. A name that ends in `_total` is a counter.
#[derive(Default)]
pub struct Own {
    all: RwLock<BTreeMap<Labels, f64>>,
    /// Values that found no room, by metric; these few are kept beyond the limit.
    refused: RwLock<BTreeMap<String, f64>>,
}

fn key(name: &str, labels: &[(&str, &str)]) -> Labels {
    Labels::from_pairs(labels.iter().copied().chain([(Labels::NAME, name)]))
}

/// The labels of a series in the store. A job that is counted of keeps its name as it would in a scrape.
pub(super) fn kept_as(labels: Labels) -> Labels {
    let of = labels.get("job").map(str::to_owned);
    let kept = labels.with("job", "tenfold");
    match of {
        Some(job) => kept.with("exported_job", job),
        None => kept,
    }
}

impl Own {
    /// Adds to a counter.
    pub fn add(&self, name: &str, labels: &[(&str, &str)], by: f64) {
        self.change(key(name, labels), |value| value + by);
    }
    /// Sets a gauge, or a counter that is counted elsewhere.
    pub fn set(&self, name: &str, labels: &[(&str, &str)], to: f64) {
        self.change(key(name, labels), |_| to);
    }
    fn change(&self, key: Labels, f: impl FnOnce(f64) -> f64) {
        let mut all = self.all.write();
        if let Some(value) = all.get_mut(&key) {
            *value = f(*value);
        } else if all.len() < OWN_SERIES_MAX {
            all.insert(key, f(0.0));
        } else {
            let name = key.metric_name().unwrap_or_default().to_owned();
            *self.refused.write().entry(name).or_default() += 1.0;
        }
    }
    /// Forgets those of these names that are not wanted any more.
    pub(crate) fn keep(&self, names: &[&str], wanted: impl Fn(&Labels) -> bool) {
        let named = |labels: &Labels| labels.metric_name().is_some_and(|name| names.contains(&name));
        self.all.write().retain(|labels, _| !named(labels) || wanted(labels));
    }
    pub fn get(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        self.all.read().get(&key(name, labels)).copied().unwrap_or(0.0)
    }
    /// Whether anything was counted under one of these names, whatever the labels.
    pub(super) fn any(&self, names: &[&str]) -> bool {
        let counted = |labels: &Labels| labels.metric_name().is_some_and(|name| names.contains(&name));
        self.all.read().iter().any(|(labels, value)| *value > 0.0 && counted(labels))
    }
    pub fn read(&self) -> Vec<(Labels, f64)> {
        let refused = self.refused.read();
        let refused = refused.iter().map(|(metric, count)| (key(REFUSED, &[("metric", metric)]), *count));
        self.all.read().iter().map(|(l, v)| (l.clone(), *v)).chain(refused).collect()
    }

    /// As a metrics page in the Prometheus text format.
    pub fn page(&self) -> String {
        let all = self.read();
        tenfold_protocols::prom_page::write(all.iter().map(|(labels, value)| (labels, *value)))
    }
}

impl App {
    /// Brings the gauges that are read, not counted, up to date.
    pub fn collect_own(&self) {
        let stats = self.metrics.tsdb.stats();
        let own = &self.metrics.own;
        own.set("tenfold_tsdb_series", &[], stats.series as f64);
        own.set("tenfold_tsdb_active_series", &[], stats.head_series as f64);
        own.set("tenfold_tsdb_series_max", &[], self.metrics.series_max as f64);
        own.set("tenfold_tsdb_head_samples", &[], stats.head_samples as f64);
        own.set("tenfold_tsdb_block_bytes", &[], stats.block_bytes as f64);
        own.set("tenfold_record_events_total", &[], self.record.last_seq() as f64);
        for (environment, flag, usage) in self.flag_usage_all() {
            let name = "tenfold_flag_evaluations_total";
            let of = |enabled: &'static str| {
                [("environment", environment.as_str()), ("flag", flag.as_str()), ("enabled", enabled)]
            };
            own.set(name, &of("true"), usage.yes as f64);
            own.set(name, &of("false"), usage.no as f64);
            for (variant, count) in &usage.by_variant {
                let labels =
                    [("environment", environment.as_str()), ("flag", flag.as_str()), ("variant", variant.as_str())];
                own.set("tenfold_flag_variants_total", &labels, *count as f64);
            }
        }
        for receiver in self.metrics.receivers() {
            let of = [("receiver", receiver.name.as_str())];
            own.set("tenfold_remote_write_queue_bytes", &of, receiver.queue_bytes as f64);
            own.set("tenfold_remote_write_queue_bytes_max", &of, receiver.queue_bytes_max as f64);
            own.set("tenfold_remote_write_dropped_samples_total", &of, receiver.dropped as f64);
        }
        own.set("tenfold_build_info", &[("version", env!("CARGO_PKG_VERSION"))], 1.0);
        // Karma asks here with whom it speaks.
        own.set("alertmanager_build_info", &[("version", crate::alerts::ALERTMANAGER_VERSION)], 1.0);
    }

    /// The server's own metrics in the Prometheus text format.
    pub fn own_metrics_page(&self) -> String {
        self.collect_own();
        self.metrics.own.page()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jobs_that_are_counted_of_stay_apart() {
        let kept = |labels: &[(&str, &str)]| kept_as(key("failures_total", labels)).to_string();
        assert_eq!(kept(&[("kind", "dns")]), "failures_total{job=\"tenfold\",kind=\"dns\"}");
        let of_web = "failures_total{exported_job=\"web\",job=\"tenfold\",kind=\"dns\"}";
        assert_eq!(kept(&[("job", "web"), ("kind", "dns")]), of_web);
    }

    #[test]
    fn who_wants_too_many_series_is_named() {
        let own = Own::default();
        for n in 0..=OWN_SERIES_MAX {
            own.set("many", &[("n", &n.to_string())], 1.0);
        }
        own.set("many", &[("n", "0")], 2.0);
        assert!(own.any(&["few", "many"]) && !own.any(&["few"]));
        assert_eq!(own.get("many", &[("n", "0")]), 2.0, "what is known goes on");
        assert_eq!(own.read().len(), OWN_SERIES_MAX + 1);
        assert!(own.page().contains("tenfold_own_series_refused_total{metric=\"many\"} 1\n"));
    }
}
