//! What a question cost in the cluster and what it remarked, as far as it tells: `stats=all`, `warnings` and `infos` of
//! Prometheus' API, and the shorter `stats` of VictoriaMetrics.

use serde_json::Value as Json;
use tenfold_promql::{Annotation, Level, PlanNode, Span, Value};

use super::{How, seconds};

/// How a question is to be answered, as a cluster is told.
pub(super) fn parameters(how: How) -> Vec<(String, String)> {
    let shorter = how.timeout_ms.and_then(|ms| i64::try_from(ms).ok());
    let rows = (how.rows_max_ms != i64::MAX).then_some(how.rows_max_ms);
    let spans = [("timeout", shorter), ("lookback_delta", how.lookback_ms), ("max_source_resolution", rows)];
    let stats = how.explain.then(|| ("stats".to_owned(), "all".to_owned()));
    spans.into_iter().filter_map(|(name, ms)| Some((name.to_owned(), seconds(ms?)))).chain(stats).collect()
}

#[derive(Debug, Default, PartialEq)]
pub(super) struct Cost {
    pub series: u64,
    pub samples: u64,
    pub queued_ms: Option<f64>,
    /// Of the evaluation alone, without the way there and back.
    pub ms: Option<f64>,
}

impl Cost {
    pub fn of(stats: &Json) -> Self {
        let seconds = |name: &str| Some(stats["timings"][name].as_f64().filter(|s| *s >= 0.0)? * 1000.0);
        let count = |told: &Json| told.as_u64().or_else(|| told.as_str()?.parse().ok()).unwrap_or(0);
        Self {
            series: count(&stats["seriesFetched"]),
            samples: count(&stats["samples"]["totalQueryableSamples"]),
            queued_ms: seconds("execQueueTime"),
            ms: seconds("evalTotalTime").or_else(|| stats["executionTimeMsec"].as_f64()),
        }
    }

    /// The only node of the plan: the whole expression.
    pub fn node(&self, expr: &str, value: &Value, elapsed_ms: f64) -> PlanNode {
        let rows = match value {
            Value::Vector(rows) => rows.len(),
            Value::Matrix(rows) => rows.len(),
            Value::Scalar(_) | Value::String { .. } => 1,
        };
        PlanNode {
            depth: 0,
            operation: "cluster".to_owned(),
            span: Span::new(0, expr.len()),
            series: self.series,
            chunks: 0,
            samples: self.samples,
            rows: rows as u64,
            ms: self.ms.unwrap_or(elapsed_ms),
        }
    }
}

/// The cluster's remarks, with their places in the expression where it tells them.
pub(super) fn remarks(answer: &Json, expr: &str) -> Vec<Annotation> {
    let mut out = Vec::new();
    let lists = [("warnings", Level::Warning, "PromQL warning: "), ("infos", Level::Info, "PromQL info: ")];
    for (key, level, start) in lists {
        for text in answer[key].as_array().into_iter().flatten().filter_map(Json::as_str) {
            let (message, span) = placed(text.strip_prefix(start).unwrap_or(text), expr);
            out.push(Annotation { level, message: message.to_owned(), span });
        }
    }
    out
}

/// `message (LINE:COLUMN)`, both counted from 1 and the column in bytes.
fn placed<'t>(text: &'t str, expr: &str) -> (&'t str, Span) {
    let read = || {
        let (message, place) = text.strip_suffix(')')?.rsplit_once(" (")?;
        let (line, column) = place.split_once(':')?;
        let (line, column): (usize, usize) = (line.parse().ok()?, column.parse().ok()?);
        let before: usize = expr.split('\n').take(line.saturating_sub(1)).map(|line| line.len() + 1).sum();
        let start = before.saturating_add(column.saturating_sub(1)).min(expr.len());
        Some((message, Span::new(start, start)))
    };
    read().unwrap_or((text, Span::default()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_cluster_is_told_how_to_answer() {
        assert!(parameters(How::default()).is_empty());
        let how =
            How { explain: true, timeout_ms: Some(1_500), lookback_ms: Some(60_000), rows_max_ms: 0, ..How::default() };
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let told = [
            pair("timeout", "1.500"),
            pair("lookback_delta", "60.000"),
            pair("max_source_resolution", "0.000"),
            pair("stats", "all"),
        ];
        assert_eq!(parameters(how), told);
    }

    #[test]
    fn costs_are_read_where_they_are_told() {
        assert_eq!(Cost::of(&json!(null)), Cost::default());
        let prometheus = json!({
            "timings": {"evalTotalTime": 0.25, "execQueueTime": 0.5},
            "samples": {"totalQueryableSamples": 120, "peakSamples": 3},
        });
        let read = Cost { samples: 120, queued_ms: Some(500.0), ms: Some(250.0), ..Cost::default() };
        assert_eq!(Cost::of(&prometheus), read);
        let victoria = Cost::of(&json!({"seriesFetched": "50", "executionTimeMsec": 3}));
        assert_eq!(victoria, Cost { series: 50, ms: Some(3.0), ..Cost::default() });
        let node = victoria.node("sum(up)", &Value::Vector(Vec::new()), 9.0);
        assert_eq!((node.depth, node.series, node.rows, node.ms, node.span), (0, 50, 0, 3.0, Span::new(0, 7)));
        assert_eq!(Cost::default().node("up", &Value::Vector(Vec::new()), 9.0).ms, 9.0);
    }

    #[test]
    fn remarks_are_told_as_they_came() {
        let expr = "rate(\n  depth[5m])";
        let answer = json!({
            "warnings": ["PromQL warning: odd (1:1)"],
            "infos": ["PromQL info: metric might not be a counter (2:3)"],
        });
        let told: Vec<_> = remarks(&answer, expr).iter().map(|a| a.render(expr)).collect();
        assert_eq!(told, ["PromQL warning: odd (1:1)", "PromQL info: metric might not be a counter (2:3)"]);
        assert!(remarks(&json!({}), expr).is_empty());
        let plain = remarks(&json!({"warnings": ["half of it (of two)"]}), expr);
        assert_eq!(plain[0].message, "half of it (of two)");
    }
}
