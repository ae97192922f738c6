//! The server's own metrics as the source of rule evaluations.

use std::sync::Arc;
use std::time::Duration;

use tenfold_promql::{Interrupt, Sample as Answered, Value};
use tenfold_tsdb::Sample;
use tenfold_types::{Histogram, Labels, Timestamp};
use tokio::runtime::Handle;
use tokio::time::Instant;

use crate::{App, metrics::How};

/// One series of an answer: a number, or a native histogram, which recording rules keep as it is.
pub(super) type Row = (Labels, Answered);

/// Series and values of an instant query. A scalar is a series without labels, as in Prometheus' rules.
pub(super) async fn evaluate(app: &App, expr: &str, at: Timestamp) -> Result<Vec<Row>, String> {
    let how = How { by_rule: true, ..How::default() };
    rows(app.query_told(expr, at, how).await.map_err(|fault| fault.message)?.answer.value)
}

/// What templates may ask while the sentences of one rule are being written: on the thread that writes them, and no longer
/// than a query may take, all of them together.
pub(super) struct Templates {
    app: App,
    at: Timestamp,
    asked: std::cell::Cell<usize>,
    interrupt: Arc<Interrupt>,
    /// Where a cluster that answers is waited for, and until when.
    runtime: Handle,
    until: Instant,
}

/// Queries of the templates of one rule in one evaluation.
const QUERIES_MAX: usize = 1_000;

impl Templates {
    pub fn new(app: &App, at: Timestamp, interrupt: Arc<Interrupt>, runtime: Handle) -> Self {
        let until = Instant::now() + Duration::from_millis(app.settings.metrics.query.timeout_ms);
        Self { app: app.clone(), at, asked: std::cell::Cell::new(0), interrupt, runtime, until }
    }

    pub fn ask(&self, expr: &str) -> Result<Vec<(Labels, f64)>, String> {
        self.asked.set(self.asked.get() + 1);
        if self.asked.get() > QUERIES_MAX {
            return Err(format!("the templates of one rule ask at most {QUERIES_MAX} queries in one evaluation"));
        }
        if self.app.metrics.is_asked_elsewhere() {
            let asked = async { tokio::time::timeout_at(self.until, evaluate(&self.app, expr, self.at)).await };
            let late = |_| "the templates of one rule took longer than a query may".to_owned();
            return numbers(self.runtime.block_on(asked).map_err(late)??);
        }
        let answer = self.app.metrics.query_instant_while(expr, self.at, &self.interrupt);
        numbers(rows(answer.map_err(|fault| fault.message)?)?)
    }
}

pub(super) fn rows(value: Value) -> Result<Vec<Row>, String> {
    match value {
        Value::Vector(rows) => Ok(rows.into_iter().map(|row| ((*row.labels).clone(), row.value)).collect()),
        Value::Scalar(point) => Ok(vec![(Labels::new(), Answered::Float(point.value))]),
        other => {
            Err(format!("a rule's expression answers with a vector or a scalar, not with a {}", other.type_name()))
        }
    }
}

/// The same where only numbers mean something.
pub(super) fn numbers(rows: Vec<Row>) -> Result<Vec<(Labels, f64)>, String> {
    let wrong = || {
        "an alert's expression answers with numbers, not with histograms; take histogram_quantile or histogram_count of them"
            .to_owned()
    };
    let number = |(labels, value): Row| value.float().map(|value| (labels, value)).ok_or_else(wrong);
    rows.into_iter().map(number).collect()
}

pub(super) fn floats(rows: Vec<(Labels, f64)>) -> impl Iterator<Item = Row> {
    rows.into_iter().map(|(labels, value)| (labels, Answered::Float(value)))
}

/// The same as [`bring`], with native histograms among it. Another source takes numbers alone.
pub(super) fn bring_rows(app: &App, rows: Vec<Row>, at: Timestamp) {
    let (mut plain, mut histograms) = (Vec::with_capacity(rows.len()), Vec::new());
    for (labels, value) in rows {
        match value {
            Answered::Float(value) => plain.push((labels, value)),
            Answered::Histogram(histogram) => histograms.push((labels, histogram)),
        }
    }
    bring(app, plain, at);
    if !histograms.is_empty() && app.alerts.source.read().is_none() {
        record_histograms(app, &histograms, at);
    }
}

fn record_histograms(app: &App, rows: &[(Labels, Arc<Histogram>)], at: Timestamp) {
    if let Err(fault) = app.metrics.append_histograms_of_rules(rows, at.millis()) {
        tracing::warn!(%fault, histograms = rows.len(), "histograms of rules were lost");
    }
}

/// What recording rules and alert states bring, to whoever takes it.
pub(super) fn bring(app: &App, rows: Vec<(Labels, f64)>, at: Timestamp) {
    if rows.is_empty() {
        return;
    }
    let other = app.alerts.source.read().clone();
    match other {
        Some(other) => other.record(rows, at),
        None => record(app, rows, at),
    }
}

/// What cannot be kept is only a gap in a series.
fn record(app: &App, rows: Vec<(Labels, f64)>, at: Timestamp) {
    let samples: Vec<Sample> =
        rows.into_iter().map(|(labels, value)| Sample::new(labels, at.millis(), value)).collect();
    if let Err(fault) = app.metrics.append_of_rules(&samples) {
        tracing::warn!(%fault, samples = samples.len(), "samples of rules were lost");
    }
}

#[cfg(test)]
mod tests {
    use tenfold_promql::VectorSample;

    use super::*;

    #[test]
    fn histograms_are_kept_and_are_no_numbers() {
        let vector = |value: Answered| Value::Vector(vec![VectorSample { labels: Arc::default(), t_ms: 0, value }]);
        let histogram = Answered::Histogram(Arc::new(Histogram { count: 2.0, ..Histogram::default() }));
        let kept = rows(vector(histogram.clone())).unwrap();
        assert_eq!(kept, [(Labels::new(), histogram)]);
        assert!(numbers(kept).unwrap_err().contains("histogram_quantile"));
        assert_eq!(numbers(rows(vector(Answered::Float(3.0))).unwrap()), Ok(vec![(Labels::new(), 3.0)]));
    }
}
