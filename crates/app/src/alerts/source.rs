//! The server's own metrics as the source of rule evaluations.

use std::sync::Arc;

use tenfold_promql::{Interrupt, Value};
use tenfold_tsdb::Sample;
use tenfold_types::{Labels, Timestamp};

use crate::App;

/// Series and values of an instant query. A scalar is a series without labels, as in Prometheus' rules.
pub(super) async fn evaluate(app: &App, expr: &str, at: Timestamp) -> Result<Vec<(Labels, f64)>, String> {
    series(app.query(expr, at).await.map_err(|fault| fault.message)?.value)
}

/// What templates may ask while the sentences of one rule are being written: on the thread that writes them, and no longer
/// than a query may take, all of them together.
pub(super) struct Templates {
    app: App,
    at: Timestamp,
    asked: std::cell::Cell<usize>,
    interrupt: Arc<Interrupt>,
}

/// Queries of the templates of one rule in one evaluation.
const QUERIES_MAX: usize = 1_000;

impl Templates {
    pub fn new(app: &App, at: Timestamp, interrupt: Arc<Interrupt>) -> Self {
        Self { app: app.clone(), at, asked: std::cell::Cell::new(0), interrupt }
    }

    pub fn ask(&self, expr: &str) -> Result<Vec<(Labels, f64)>, String> {
        self.asked.set(self.asked.get() + 1);
        if self.asked.get() > QUERIES_MAX {
            return Err(format!("the templates of one rule ask at most {QUERIES_MAX} queries in one evaluation"));
        }
        let answer = self.app.metrics.query_instant_while(expr, self.at, &self.interrupt);
        series(answer.map_err(|fault| fault.message)?)
    }
}

pub(super) fn series(value: Value) -> Result<Vec<(Labels, f64)>, String> {
    match value {
        Value::Vector(rows) => rows
            .into_iter()
            .map(|row| match row.value.float() {
                Some(value) => Ok(((*row.labels).clone(), value)),
                None => Err("a rule's expression answers with numbers, not with histograms; take histogram_quantile or histogram_count of them".to_owned()),
            })
            .collect(),
        Value::Scalar(point) => Ok(vec![(Labels::new(), point.value)]),
        other => {
            Err(format!("a rule's expression answers with a vector or a scalar, not with a {}", other.type_name()))
        }
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
