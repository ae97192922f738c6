//! query: the newest values of an expression, a few of them, and where the rest are.

use std::fmt::Write as _;
use std::time::Duration;

use tenfold_promql::{Level, Sample, Series, Value, format_float};
use tenfold_types::{ErrorCode, Fault, Labels};

use super::Reply;
use crate::{App, Caller, Role};

/// A room's commands are answered one after the other: what takes longer is for the page.
const TIMEOUT: Duration = Duration::from_secs(5);
/// Series of one answer; the page has them all.
const ROWS_MAX: usize = 10;
/// A longer label set is cut.
const LABELS_CHARS_MAX: usize = 300;
/// Remarks on the query that are told.
const REMARKS_MAX: usize = 2;
/// A longer address would be cut in two on a line of IRC.
const LINK_BYTES_MAX: usize = 350;

pub(super) async fn execute(app: &App, who: &Caller, expr: &str) -> Result<Reply, Fault> {
    // What `GET /api/v1/query` demands.
    who.require(Role::Viewer, None, None)?;
    let Ok(answer) = tokio::time::timeout(TIMEOUT, app.query(expr, app.now())).await else {
        let refused = format!("the query took longer than {} s", TIMEOUT.as_secs());
        return Err(Fault::new(ErrorCode::Timeout, refused).advice(format!("ask on the page: {}", link(app, expr))));
    };
    let answer = answer?;
    let (mut lines, all) = rows(&answer.value);
    if all == 0 {
        lines.push("no series matches".to_owned());
    }
    let remarks = answer.annotations.iter().filter(|a| a.level == Level::Warning);
    lines.extend(remarks.take(REMARKS_MAX).map(|a| format!("warning: {}", a.message)));
    let link = link(app, expr);
    lines.push(match all - all.min(ROWS_MAX) {
        0 => link,
        more => format!("and {more} more: {link}"),
    });
    Ok(Reply::lines(lines))
}

/// The page that asks the same; without the question where that is too long for a line.
fn link(app: &App, expr: &str) -> String {
    let page = app.settings.link("/graphs/explore");
    let whole = format!("{page}?expr={}", escaped(expr));
    if whole.len() > LINK_BYTES_MAX { page } else { whole }
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len() * 2);
    for b in text.bytes() {
        if b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'~') {
            out.push(char::from(b));
        } else {
            let _ = write!(out, "%{b:02X}");
        }
    }
    out
}

/// The first rows in the order of the answer, and how many there are.
fn rows(value: &Value) -> (Vec<String>, usize) {
    match value {
        Value::Scalar(point) => (vec![format_float(point.value)], 1),
        Value::String { value, .. } => (vec![value.clone()], 1),
        Value::Vector(all) => (all.iter().take(ROWS_MAX).map(|s| row(&s.labels, &s.value)).collect(), all.len()),
        Value::Matrix(all) => {
            let newest = all.iter().filter_map(|series| Some(row(&series.labels, &newest(series)?)));
            (newest.take(ROWS_MAX).collect(), all.len())
        }
    }
}

/// Of a range the newest value, a number or a histogram.
fn newest(series: &Series) -> Option<Sample> {
    let (float, histogram) = (series.points.last(), series.histograms.last());
    match (float, histogram) {
        (Some(float), Some(histogram)) if histogram.t_ms > float.t_ms => {
            Some(Sample::Histogram(histogram.histogram.clone()))
        }
        (Some(float), _) => Some(Sample::Float(float.value)),
        (None, histogram) => histogram.map(|h| Sample::Histogram(h.histogram.clone())),
    }
}

/// `up{job="web"} 1`, as the command line says it; a value without labels alone.
fn row(labels: &Labels, sample: &Sample) -> String {
    let value = match sample {
        Sample::Float(value) => format_float(*value),
        Sample::Histogram(h) => format!("count {}, sum {}", format_float(h.count), format_float(h.sum)),
    };
    if labels.is_empty() {
        return value;
    }
    let text = labels.to_string();
    match text.char_indices().nth(LABELS_CHARS_MAX) {
        Some((at, _)) => format!("{}… {value}", &text[..at]),
        None => format!("{text} {value}"),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tenfold_promql::VectorSample;
    use tenfold_types::{Histogram, HistogramPoint, Point};

    use super::*;

    fn labels(pairs: &[(&str, &str)]) -> Arc<Labels> {
        Arc::new(Labels::from_pairs(pairs.iter().copied()))
    }

    #[test]
    fn each_kind_of_answer_has_its_rows() {
        let up = labels(&[("__name__", "up"), ("job", "web")]);
        let float = |labels: &Arc<Labels>, value| VectorSample { labels: labels.clone(), t_ms: 0, value };
        let histogram = Arc::new(Histogram { count: 4.0, sum: 1.5, ..Histogram::default() });
        let vector = Value::Vector(vec![
            float(&up, Sample::Float(1.0)),
            float(&labels(&[]), Sample::Float(0.000_000_15)),
            float(&up, Sample::Histogram(histogram.clone())),
        ]);
        let wanted = ["up{job=\"web\"} 1", "1.5e-07", "up{job=\"web\"} count 4, sum 1.5"];
        assert_eq!(rows(&vector), (wanted.map(str::to_owned).to_vec(), 3));
        let points = vec![Point::new(1, 1.0), Point::new(2, 7.0)];
        let matrix =
            |histograms| Value::Matrix(vec![Series { labels: up.clone(), points: points.clone(), histograms }]);
        assert_eq!(rows(&matrix(vec![])).0, ["up{job=\"web\"} 7"]);
        let later = vec![HistogramPoint { t_ms: 3, histogram }];
        assert_eq!(rows(&matrix(later)).0, ["up{job=\"web\"} count 4, sum 1.5"]);
        assert_eq!(rows(&Value::Scalar(Point::new(0, f64::NAN))).0, ["NaN"]);
        assert_eq!(rows(&Value::String { t_ms: 0, value: "text".into() }).0, ["text"]);
        assert_eq!(rows(&Value::Vector(vec![])), (vec![], 0));
    }

    #[test]
    fn a_long_label_set_is_cut_between_characters() {
        let long = labels(&[("a", &"é".repeat(500))]);
        let text = row(&long, &Sample::Float(2.0));
        assert_eq!(text.chars().count(), LABELS_CHARS_MAX + 3);
        assert!(text.ends_with("é… 2"), "{text}");
    }

    #[test]
    fn an_address_holds_any_expression() {
        assert_eq!(escaped("rate(a{b=\"é\"}[5m]) + 1"), "rate%28a%7Bb%3D%22%C3%A9%22%7D%5B5m%5D%29%20%2B%201");
    }
}
