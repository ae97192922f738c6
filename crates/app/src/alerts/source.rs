//! The server's own metrics as the source of rule evaluations.

use tenfold_promql::Value;
use tenfold_tsdb::Sample;
use tenfold_types::{Labels, Timestamp};

use crate::App;

/// Series and values of an instant query. A scalar is a series without labels, as in Prometheus' rules.
pub(super) async fn evaluate(app: &App, expr: &str, at: Timestamp) -> Result<Vec<(Labels, f64)>, String> {
    series(app.query(expr, at).await.map_err(|fault| fault.message)?.value)
}

/// What a template's `query` answers, on this thread: it is asked while the sentence is being written.
pub(super) fn asked_by_template(app: &App, expr: &str, at: Timestamp) -> Result<Vec<(Labels, f64)>, String> {
    series(app.metrics.query_instant(expr, at).map_err(|fault| fault.message)?)
}

fn series(value: Value) -> Result<Vec<(Labels, f64)>, String> {
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

/// Appends what recording rules and alert states bring. What cannot be kept is only a gap in a series.
pub(super) fn record(app: &App, rows: Vec<(Labels, f64)>, at: Timestamp) {
    if rows.is_empty() {
        return;
    }
    let samples: Vec<Sample> =
        rows.into_iter().map(|(labels, value)| Sample::new(labels, at.millis(), value)).collect();
    if let Err(fault) = app.metrics.append(&samples) {
        tracing::warn!(%fault, samples = samples.len(), "samples of rules were lost");
    }
}
