//! Impact metrics: what the code behind a flag measured, sent by Unleash SDKs along with their counts.
//!
//! SDKs send what came since their last report; here it is added up to series like any others. Names, labels and the
//! number of series are the clients' choice only within limits.

use std::collections::{BTreeMap, BTreeSet};

use parking_lot::Mutex;
use serde::Deserialize;
use serde_json::Value;

use crate::App;

/// Series that all impact metrics may have together.
pub const IMPACT_SERIES_MAX: usize = 2_000;
const LABELS_MAX: usize = 20;
const TEXT_BYTES_MAX: usize = 200;

/// One metric of a report.
#[derive(Debug, Clone, Deserialize)]
pub struct ImpactMetric {
    name: String,
    #[serde(rename = "type")]
    kind: Kind,
    #[serde(default)]
    samples: Vec<Sample>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Counter,
    Gauge,
    Histogram,
    #[serde(other)]
    Unknown,
}

#[derive(Debug, Clone, Deserialize)]
struct Sample {
    #[serde(default)]
    labels: BTreeMap<String, String>,
    #[serde(default)]
    value: f64,
    #[serde(default)]
    count: u64,
    #[serde(default)]
    sum: f64,
    #[serde(default)]
    buckets: Vec<Bucket>,
}

#[derive(Debug, Clone, Deserialize)]
struct Bucket {
    /// A number, or the text `+Inf`.
    le: Value,
    count: u64,
}

/// Which series were let in.
#[derive(Default)]
pub struct Admitted(Mutex<BTreeSet<String>>);

impl Admitted {
    fn admit(&self, series: String) -> bool {
        let mut known = self.0.lock();
        known.contains(&series) || (known.len() < IMPACT_SERIES_MAX && known.insert(series))
    }
}

impl App {
    /// Adds a report up; gives how many samples were passed over because a limit was reached or they made no sense.
    pub fn flag_impact_report(&self, environment: &str, metrics: &[ImpactMetric]) -> usize {
        let mut refused = 0;
        for metric in metrics {
            let Some(name) = plain_name(&metric.name).map(|n| format!("impact_{n}")) else {
                refused += metric.samples.len();
                continue;
            };
            for sample in &metric.samples {
                refused += usize::from(!self.flag_impact_add(environment, &name, metric.kind, sample));
            }
        }
        refused
    }

    fn flag_impact_add(&self, environment: &str, name: &str, kind: Kind, sample: &Sample) -> bool {
        let Some(labels) = plain_labels(environment, &sample.labels) else { return false };
        let numbers = [sample.value, sample.sum];
        let series = format!("{name}{labels:?}");
        if numbers.iter().any(|n| !n.is_finite()) || !self.flags.impact.admit(series.clone()) {
            return false;
        }
        let labels: Vec<(&str, &str)> = labels.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        let own = &self.metrics.own;
        match kind {
            Kind::Counter if sample.value >= 0.0 => own.add(&format!("{name}_total"), &labels, sample.value),
            Kind::Gauge => own.set(name, &labels, sample.value),
            Kind::Histogram => {
                for bucket in &sample.buckets {
                    let Some(le) = bound(&bucket.le) else { continue };
                    if !self.flags.impact.admit(format!("{series}{le}")) {
                        return false;
                    }
                    let mut with_bound = labels.clone();
                    with_bound.push(("le", &le));
                    own.add(&format!("{name}_bucket"), &with_bound, bucket.count as f64);
                }
                own.add(&format!("{name}_sum"), &labels, sample.sum);
                own.add(&format!("{name}_count"), &labels, sample.count as f64);
            }
            Kind::Counter | Kind::Unknown => return false,
        }
        true
    }
}

/// A bucket's upper bound as the label `le` has it.
fn bound(le: &Value) -> Option<String> {
    match le {
        Value::String(text) if text == "+Inf" => Some(text.clone()),
        Value::Number(number) => number.as_f64().map(tenfold_promql::format_float),
        _ => None,
    }
}

/// Letters, digits and `_`; `-`, `.` and spaces become `_`.
fn plain_name(text: &str) -> Option<String> {
    if text.is_empty() || text.len() > TEXT_BYTES_MAX {
        return None;
    }
    let name: String = text.chars().map(|c| if matches!(c, '-' | '.' | ' ' | ':') { '_' } else { c }).collect();
    let good =
        name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') && !name.starts_with(|c: char| c.is_ascii_digit());
    good.then_some(name)
}

/// The environment is the token's, whatever the client says.
fn plain_labels(environment: &str, given: &BTreeMap<String, String>) -> Option<BTreeMap<String, String>> {
    if given.len() > LABELS_MAX {
        return None;
    }
    let mut labels = BTreeMap::new();
    for (name, value) in given {
        if value.len() > TEXT_BYTES_MAX {
            return None;
        }
        labels.insert(plain_name(name).filter(|n| n != "le" && !n.starts_with("__"))?, value.clone());
    }
    labels.insert("environment".into(), environment.to_owned());
    Some(labels)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_made_plain_or_refused() {
        assert_eq!(plain_name("checkout.time-ms").as_deref(), Some("checkout_time_ms"));
        for bad in ["", "1st", "größe", "a{b}"] {
            assert_eq!(plain_name(bad), None, "{bad}");
        }
    }

    #[test]
    fn labels_cannot_pretend() {
        let given =
            BTreeMap::from([("environment".to_owned(), "production".to_owned()), ("appName".into(), "a".into())]);
        let labels = plain_labels("development", &given).unwrap();
        assert_eq!((labels["environment"].as_str(), labels["appName"].as_str()), ("development", "a"));
        for bad in ["__name__", "le"] {
            assert_eq!(plain_labels("e", &BTreeMap::from([(bad.to_owned(), "x".to_owned())])), None);
        }
    }

    #[test]
    fn series_are_limited() {
        let admitted = Admitted::default();
        assert!((0..IMPACT_SERIES_MAX).all(|i| admitted.admit(i.to_string())));
        assert!(!admitted.admit("one more".into()));
        assert!(admitted.admit("7".into()), "known ones go on");
    }
}
