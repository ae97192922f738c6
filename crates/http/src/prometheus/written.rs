//! The answer of a query as Prometheus' API writes it, put down without a tree in between: a graph is tens of thousands of
//! points.

use serde::Serialize;
use serde_json::{Value as Json, json};
use tenfold_promql::{Sample, Series, Value, VectorSample, format_float, put_float};
use tenfold_types::Histogram;

/// Bytes of one point of a series, roughly.
const POINT_BYTES: usize = 32;

pub(crate) fn put_value(out: &mut Vec<u8>, value: &Value) {
    match value {
        Value::Scalar(p) => put_point(out, p.t_ms, p.value),
        Value::String { t_ms, value } => {
            put_instant(out, *t_ms);
            put_json(out, value);
            out.push(b']');
        }
        Value::Vector(samples) => put_list(out, samples, put_sample),
        Value::Matrix(series) => {
            out.reserve(series.iter().map(|s| s.points.len()).sum::<usize>() * POINT_BYTES);
            put_list(out, series, put_series);
        }
    }
}

fn put_list<T>(out: &mut Vec<u8>, items: &[T], put: impl Fn(&mut Vec<u8>, &T)) {
    out.push(b'[');
    for (i, item) in items.iter().enumerate() {
        if i > 0 {
            out.push(b',');
        }
        put(out, item);
    }
    out.push(b']');
}

fn put_sample(out: &mut Vec<u8>, s: &VectorSample) {
    out.extend_from_slice(b"{\"metric\":");
    put_json(out, &s.labels);
    match &s.value {
        Sample::Float(v) => {
            out.extend_from_slice(b",\"value\":");
            put_point(out, s.t_ms, *v);
        }
        Sample::Histogram(h) => {
            out.extend_from_slice(b",\"histogram\":");
            put_histogram(out, s.t_ms, h);
        }
    }
    out.push(b'}');
}

fn put_series(out: &mut Vec<u8>, series: &Series) {
    out.extend_from_slice(b"{\"metric\":");
    put_json(out, &series.labels);
    if !series.points.is_empty() || series.histograms.is_empty() {
        out.extend_from_slice(b",\"values\":");
        put_list(out, &series.points, |out, p| put_point(out, p.t_ms, p.value));
    }
    if !series.histograms.is_empty() {
        out.extend_from_slice(b",\"histograms\":");
        put_list(out, &series.histograms, |out, p| put_histogram(out, p.t_ms, &p.histogram));
    }
    out.push(b'}');
}

fn put_json(out: &mut Vec<u8>, value: &impl Serialize) {
    serde_json::to_writer(out, value).expect("a vector takes every write");
}

/// Seconds since 1970 as Prometheus writes them: no fraction where there is none, three digits of one otherwise.
fn put_seconds(out: &mut Vec<u8>, t_ms: i64) {
    let (seconds, ms) = (t_ms.unsigned_abs() / 1_000, t_ms.unsigned_abs() % 1_000);
    if t_ms < 0 {
        out.push(b'-');
    }
    out.extend_from_slice(itoa::Buffer::new().format(seconds).as_bytes());
    if ms > 0 {
        let digit = |n: u64| b'0' + (n % 10) as u8;
        out.extend_from_slice(&[b'.', digit(ms / 100), digit(ms / 10), digit(ms)]);
    }
}

/// The same in a tree, which has no digits of its own: a whole number where it is one.
pub(super) fn seconds(t_ms: i64) -> Json {
    if t_ms % 1_000 == 0 { json!(t_ms / 1_000) } else { json!(t_ms as f64 / 1000.0) }
}

/// The instant that a point begins with, and the comma before what was then.
fn put_instant(out: &mut Vec<u8>, t_ms: i64) {
    out.push(b'[');
    put_seconds(out, t_ms);
    out.push(b',');
}

fn put_point(out: &mut Vec<u8>, t_ms: i64, value: f64) {
    put_instant(out, t_ms);
    out.push(b'"');
    // Whole numbers are most of all, and are the same in either way.
    let whole = value as i64;
    if whole as f64 == value && value.abs() < 1e15 && (whole != 0 || value.is_sign_positive()) {
        out.extend_from_slice(itoa::Buffer::new().format(whole).as_bytes());
    } else {
        put_float(out, value);
    }
    out.extend_from_slice(b"\"]");
}

/// A native histogram: buckets that hold something, each with the code of its bounds (0 upper inclusive, 1 lower inclusive, 2
/// none, 3 both), the bounds and the count.
fn put_histogram(out: &mut Vec<u8>, t_ms: i64, h: &Histogram) {
    let buckets = h.all_buckets().into_iter().filter(|b| b.count != 0.0).map(|b| {
        let code = match (b.lower_inclusive, b.upper_inclusive) {
            (false, true) => 0,
            (true, false) => 1,
            (false, false) => 2,
            (true, true) => 3,
        };
        json!([code, format_float(b.lower), format_float(b.upper), format_float(b.count)])
    });
    let mut parts = json!({"count": format_float(h.count), "sum": format_float(h.sum)});
    let buckets: Vec<Json> = buckets.collect();
    if !buckets.is_empty() {
        parts["buckets"] = buckets.into();
    }
    put_instant(out, t_ms);
    serde_json::to_writer(&mut *out, &parts).expect("a vector takes every write");
    out.push(b']');
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tenfold_types::{HistogramPoint, Labels, Point, histogram::Buckets};

    use super::*;

    fn read(value: &Value) -> Json {
        let mut written = Vec::new();
        put_value(&mut written, value);
        serde_json::from_slice(&written).unwrap()
    }

    #[test]
    fn native_histograms_are_written_as_prometheus_writes_them() {
        let histogram = Arc::new(Histogram {
            count: 5.5,
            sum: 18.4,
            zero_threshold: 0.001,
            zero_count: 2.0,
            positive: Buckets::single(0, vec![1.0, 0.0, 2.5]),
            negative: Buckets::single(1, vec![0.0, 0.0]),
            ..Histogram::default()
        });
        let labels = Arc::new(Labels::from_pairs([("job", "web")]));
        let written = json!([12.5, {"count": "5.5", "sum": "18.4", "buckets": [
            [3, "-0.001", "0.001", "2"], [0, "0.5", "1", "1"], [0, "2", "4", "2.5"],
        ]}]);
        let sample = VectorSample { labels: labels.clone(), t_ms: 12_500, value: Sample::Histogram(histogram.clone()) };
        let vector = read(&Value::Vector(vec![sample]));
        assert_eq!(vector, json!([{"metric": {"job": "web"}, "histogram": written}]));
        let histograms = vec![HistogramPoint { t_ms: 12_500, histogram }];
        let matrix = Value::Matrix(vec![Series { labels, points: vec![Point::new(0, 1.0)], histograms }]);
        assert_eq!(read(&matrix), json!([{"metric": {"job": "web"}, "values": [[0, "1"]], "histograms": [written]}]));
    }

    #[test]
    fn instants_are_written_as_prometheus_writes_them() {
        for (t_ms, expected) in [
            (0, "0"),
            (1, "0.001"),
            (10, "0.010"),
            (100, "0.100"),
            (1_000, "1"),
            (1_001, "1.001"),
            (-1, "-0.001"),
            (-1_500, "-1.500"),
            (-2_000, "-2"),
            (1_795_424_000_000, "1795424000"),
            (1_795_424_000_120, "1795424000.120"),
            (i64::MIN, "-9223372036854775.808"),
            (i64::MAX, "9223372036854775.807"),
        ] {
            let mut written = Vec::new();
            put_value(&mut written, &Value::Scalar(Point::new(t_ms, 1.0)));
            assert_eq!(String::from_utf8(written).unwrap(), format!("[{expected},\"1\"]"));
            assert_eq!(seconds(t_ms).as_f64(), expected.parse().ok());
            assert_eq!(seconds(t_ms).is_f64(), expected.contains('.'), "{expected}");
        }
    }

    #[test]
    fn floats_are_written_as_the_tree_would_be() {
        let values =
            [0.0, -0.0, 1.0, -7.0, 0.5, 1e15, 1e16, 1e21, 1.5e-7, f64::NAN, f64::INFINITY, f64::MAX, 0.1 + 0.2];
        for (i, value) in values.into_iter().enumerate() {
            for t_ms in [0, 1_795_424_000_000, 1_795_424_000_120 + i as i64, -1_500, 5] {
                let mut written = Vec::new();
                put_value(&mut written, &Value::Scalar(Point::new(t_ms, value)));
                let tree: Json = serde_json::from_slice(&written).unwrap();
                assert_eq!(tree, json!([seconds(t_ms), format_float(value)]));
            }
        }
        let labels = Arc::new(Labels::from_pairs([("a\"b", "c\\\n\u{1}é")]));
        let series = |n: i64| Series {
            labels: labels.clone(),
            points: (0..n).map(|t| Point::new(t, t as f64)).collect(),
            histograms: Vec::new(),
        };
        let tree = json!([
            {"metric": {"a\"b": "c\\\n\u{1}é"}, "values": [[0, "0"], [0.001, "1"]]},
            {"metric": {"a\"b": "c\\\n\u{1}é"}, "values": []},
        ]);
        assert_eq!(read(&Value::Matrix(vec![series(2), series(0)])), tree);
        assert_eq!(read(&Value::String { t_ms: 1_000, value: "\"".into() }), json!([1, "\""]));
        assert_eq!(read(&Value::Vector(Vec::new())), json!([]));
    }
}
