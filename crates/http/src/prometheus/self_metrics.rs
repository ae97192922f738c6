//! The server's own metrics as JSON: families as the protobuf format has them (`io.prometheus.client.MetricFamily`), in
//! protobuf's own JSON form, where large counts are texts and so are numbers that JSON has not.

use std::collections::BTreeMap;

use axum::extract::{RawQuery, State};
use serde_json::{Value as Json, json};
use tenfold_app::App;
use tenfold_protocols::exposition::{Format, Page, PageSample};
use tenfold_protocols::prom_text;
use tenfold_types::pattern::whole;
use tenfold_types::{Fault, Labels};

use super::params::PrometheusOwn;
use super::{Answer, Params, bad, success};

/// What a histogram is told as in text.
const PARTS: [&str; 3] = ["_bucket", "_sum", "_count"];

/// The server's own metrics as families (`metric_name_pattern`, a regular expression of whole names).
#[utoipa::path(get, path = "/api/v1/status/self_metrics", params(PrometheusOwn), responses((status = 200, content_type = "application/json")))]
pub(super) async fn self_metrics(State(app): State<App>, RawQuery(q): RawQuery) -> Answer {
    let params = Params::new(q.as_deref(), b"");
    let pattern = params.get("metric_name_pattern").map(pattern).transpose()?;
    // Counts of queues wait for their disks.
    let page = tokio::task::spawn_blocking(move || app.own_metrics_page()).await;
    let page = page.map_err(|_| Fault::internal("writing the metrics page ended in a panic"))?;
    let page = prom_text::parse(&page, Format::Prometheus)
        .map_err(|e| Fault::internal(format!("the own metrics page cannot be read: {e}")))?;
    let wanted = |name: &str| pattern.as_ref().is_none_or(|pattern| pattern.is_match(name));
    Ok(success(families(&page, wanted)))
}

fn pattern(text: &str) -> Result<regex::Regex, Fault> {
    whole(text).map_err(|e| bad(format!("`metric_name_pattern`: `{text}` is not a regular expression: {e}")))
}

/// Numbers that JSON has not are texts.
fn number(value: f64) -> Json {
    if value.is_nan() {
        return "NaN".into();
    }
    if value.is_infinite() {
        return if value > 0.0 { "Infinity" } else { "-Infinity" }.into();
    }
    json!(value)
}

fn pairs(labels: &Labels) -> Vec<Json> {
    let told = labels.iter().filter(|(name, _)| *name != Labels::NAME);
    told.map(|(name, value)| json!({"name": name, "value": value})).collect()
}

fn families(page: &Page, wanted: impl Fn(&str) -> bool) -> Vec<Json> {
    let mut by_family: BTreeMap<&str, (&str, Vec<&PageSample>)> = BTreeMap::new();
    for sample in &page.samples {
        let name = sample.labels.metric_name().unwrap_or_default();
        let base = PARTS.iter().find_map(|part| name.strip_suffix(part));
        let base = base.filter(|base| page.metadata.get(*base).is_some_and(|about| about.kind == "histogram"));
        let family = base.unwrap_or(name);
        if wanted(family) {
            let kind = page.metadata.get(family).map_or("unknown", |about| about.kind.as_str());
            by_family.entry(family).or_insert((kind, Vec::new())).1.push(sample);
        }
    }
    let told = by_family.into_iter().map(|(name, (kind, samples))| {
        let (kind, metrics) = match kind {
            "histogram" => ("HISTOGRAM", histograms(&samples)),
            "counter" => ("COUNTER", singles("counter", &samples)),
            "gauge" => ("GAUGE", singles("gauge", &samples)),
            _ => ("UNTYPED", singles("untyped", &samples)),
        };
        json!({"name": name, "help": "", "type": kind, "metric": metrics})
    });
    told.collect()
}

fn singles(key: &str, samples: &[&PageSample]) -> Vec<Json> {
    let one = |sample: &&PageSample| json!({"label": pairs(&sample.labels), key: {"value": number(sample.value)}});
    samples.iter().map(one).collect()
}

/// One metric for each set of labels besides `le`.
fn histograms(samples: &[&PageSample]) -> Vec<Json> {
    #[derive(Default)]
    struct Parts {
        count: f64,
        sum: f64,
        buckets: Vec<Json>,
    }
    let mut all: BTreeMap<Labels, Parts> = BTreeMap::new();
    for sample in samples {
        let (mut labels, name) = (sample.labels.clone(), sample.labels.metric_name().unwrap_or_default());
        labels.remove(Labels::NAME);
        labels.remove("le");
        let parts = all.entry(labels).or_default();
        if name.ends_with("_sum") {
            parts.sum = sample.value;
        } else if name.ends_with("_count") {
            parts.count = sample.value;
        } else if let Some(upper) = sample.labels.get("le").and_then(|le| le.parse().ok()) {
            parts.buckets.push(json!({"cumulativeCount": sample.value.to_string(), "upperBound": number(upper)}));
        }
    }
    let told = all.into_iter().map(|(labels, parts)| {
        let histogram = json!({
            "sampleCount": parts.count.to_string(), "sampleSum": number(parts.sum), "bucket": parts.buckets,
        });
        json!({"label": pairs(&labels), "histogram": histogram})
    });
    told.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_histogram_is_one_metric_for_each_set_of_labels() {
        let text = "# TYPE took histogram\ntook_bucket{job=\"a\",le=\"0.5\"} 1\ntook_bucket{job=\"a\",le=\"+Inf\"} 3\n\
                    took_sum{job=\"a\"} 2.5\ntook_count{job=\"a\"} 3\n# TYPE left gauge\nleft NaN\n";
        let page = prom_text::parse(text, Format::Prometheus).expect("a page");
        let took = json!({"name": "took", "help": "", "type": "HISTOGRAM", "metric": [{
            "label": [{"name": "job", "value": "a"}],
            "histogram": {"sampleCount": "3", "sampleSum": 2.5, "bucket": [
                {"cumulativeCount": "1", "upperBound": 0.5}, {"cumulativeCount": "3", "upperBound": "Infinity"}]},
        }]});
        assert_eq!(families(&page, |name| name == "took"), [took]);
        let left =
            json!({"name": "left", "help": "", "type": "GAUGE", "metric": [{"label": [], "gauge": {"value": "NaN"}}]});
        assert_eq!(families(&page, |name| name == "left"), [left]);
    }
}
