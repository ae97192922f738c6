//! A range query says at each step what an instant query says there; and neither depends on the order of the series.

use std::collections::BTreeMap;

use tenfold_promql::{
    Interrupt, Limits, Output, Query, QueryError, Queryable, Sample, SeriesData, Value, instant, parse, range,
    series::Table,
};
use tenfold_types::{Histogram, HistogramPoint, Labels, Matcher, STALE_NAN, histogram::Buckets};

const STEP: i64 = 17_000;
const FROM: i64 = 600_000;
const STEPS: i64 = 60;

/// Counters with resets, gauges with gaps and an end, and a classic histogram; the same at every run.
fn table() -> Table {
    let mut table = Table::default();
    let mut state = 7u64;
    let mut random = move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as f64 / f64::from(1u32 << 31)
    };
    for job in ["api", "web"] {
        for instance in ["a", "b", "c"] {
            let labels = |name: &str| Labels::from_pairs([("__name__", name), ("job", job), ("instance", instance)]);
            let (mut counter, mut buckets) = (0.0, [0.0; 3]);
            for i in 0..120 {
                let t = i * 15_000 + (random() * 900.0) as i64;
                counter = if random() < 0.03 { 0.0 } else { counter + (random() * 50.0).floor() };
                table.add(labels("requests_total"), t, counter);
                if random() > 0.2 && !(instance == "c" && i > 80) {
                    table.add(labels("load"), t, random() * 10.0 - 3.0);
                } else if instance == "c" && i == 81 {
                    table.add(labels("load"), t, STALE_NAN);
                }
                for (b, le) in ["0.1", "1", "+Inf"].iter().enumerate() {
                    buckets[b] += (random() * 4.0).floor() + if b > 0 { buckets[b - 1] / (i + 1) as f64 } else { 0.0 };
                    table.add(labels("latency_bucket").with("le", *le), t, buckets[b]);
                }
            }
        }
    }
    // Native histograms of two schemas, with resets, a gap and floats in between.
    for (n, schema) in [("a", 1), ("b", 0)] {
        let labels = Labels::from_pairs([("__name__", "native"), ("instance", n)]);
        let mut counts = vec![0.0; 4];
        for i in 0..120 {
            if random() < 0.05 {
                counts = vec![0.0; 4];
            }
            for c in &mut counts {
                *c += (random() * 5.0).floor();
            }
            let t = i * 15_000 + 7;
            if n == "a" && (50..55).contains(&i) {
                table.add(labels.clone(), t, f64::from(i as i32));
                continue;
            }
            if i % 17 == 3 {
                continue;
            }
            let count = counts.iter().sum();
            let positive = Buckets::single(1, counts.clone());
            let h = Histogram { schema, count, sum: count * 2.0, positive, ..Histogram::default() };
            table.add_histogram(labels.clone(), t, h);
        }
    }
    for (i, t) in (0..120).map(|i| (i, i * 15_000)) {
        table.add(Labels::from_pairs([("__name__", "owner"), ("job", "api"), ("team", "core")]), t, 1.0);
        table.add(Labels::from_pairs([("__name__", "k")]), t, (i % 4) as f64);
    }
    table
}

const EXPRESSIONS: &[&str] = &[
    "load",
    "load offset 1m",
    "load offset -30s",
    "load @ 900",
    "load @ end()",
    "timestamp(load)",
    "-load + 3 * load",
    "load > 2",
    "load > bool 2",
    "2 < load",
    "rate(requests_total[2m])",
    "increase(requests_total[1m] offset 30s)",
    "increase(requests_total[1m] anchored)",
    "increase(requests_total[1m] smoothed)",
    "delta(load[3m])",
    "irate(requests_total[1m])",
    "idelta(load[1m])",
    "deriv(load[5m])",
    "predict_linear(load[5m], 60)",
    "double_exponential_smoothing(load[5m], 0.4, 0.6)",
    "changes(load[5m]) + resets(requests_total[5m])",
    "sum_over_time(load[1m])",
    "avg_over_time(load[1m])",
    "min_over_time(load[1m]) - max_over_time(load[1m])",
    "stddev_over_time(load[2m])",
    "quantile_over_time(0.3, load[2m])",
    "mad_over_time(load[2m])",
    "last_over_time(load[1m])",
    "count_over_time(load[1m]) == 3",
    "absent_over_time(load{instance=\"c\"}[1m])",
    "absent(load{instance=\"c\"})",
    "sum by (job) (load)",
    "avg without (instance) (load)",
    "min(load)",
    "max by (instance) (load)",
    "count by (job) (load > 0)",
    "group(load)",
    "stddev(load)",
    "stdvar by (job) (load)",
    "quantile by (job) (0.9, load)",
    "quantile(scalar(k) / 4, load)",
    "topk(2, load)",
    "bottomk by (job) (1, load)",
    "count(topk(scalar(k), load))",
    "count_values(\"v\", round(load))",
    "limitk(2, load)",
    "limit_ratio(0.5, load)",
    "load and on(instance) (requests_total > 100)",
    "load or requests_total",
    "load unless on(job) owner",
    "load * on(job) group_left(team) owner",
    "owner * on(job) group_right(team) load",
    "load / ignoring(instance) group_left sum without (instance) (load)",
    "load + fill(0) (load > 3)",
    "histogram_quantile(0.9, rate(latency_bucket[2m]))",
    "histogram_quantile(0.5, sum by (le) (rate(latency_bucket[2m])))",
    "histogram_fraction(0, 0.5, latency_bucket)",
    "label_replace(load, \"x\", \"$1-i\", \"instance\", \"(.*)\")",
    "label_join(load, \"x\", \"/\", \"job\", \"instance\")",
    "clamp(load, -1, scalar(k))",
    "round(load, 0.5)",
    "abs(load) ^ 0.5 % 2 atan2 3",
    "max_over_time(rate(requests_total[1m])[5m:30s])",
    "sum_over_time(load[2m:15s] offset 1m)",
    "avg_over_time(sum(load)[1m:])",
    "count_over_time(topk(1, load)[5m:30s])",
    "sum_over_time(bottomk by (job) (2, load)[5m:1m])",
    "last_over_time(limitk(2, load)[5m:1m])",
    "vector(time())",
    "hour() * 60 + minute()",
    "day_of_week(load)",
    "scalar(sum(load)) + load",
    "sort(load)",
    "sgn(load)",
    "native",
    "native * 2 - native",
    "native / 2 == native / 2",
    "rate(native[2m])",
    "increase(native[1m] smoothed)",
    "increase(native[1m] anchored)",
    "irate(native[1m])",
    "sum(native)",
    "avg by (instance) (native)",
    "count by (instance) (native) + count_over_time(native[1m])",
    "sum_over_time(native[1m])",
    "avg_over_time(native[1m])",
    "histogram_quantile(0.9, rate(native[2m]))",
    "histogram_quantiles(native, \"q\", 0.1, scalar(k) / 4)",
    "histogram_fraction(0, 2, native)",
    "histogram_count(rate(native[2m]))",
    "histogram_stddev(native)",
    "native </ 2",
    "resets(native[5m]) + changes(native[5m])",
    "last_over_time(native[1m])",
    "sum_over_time(native[2m:15s])",
    "count_values(\"v\", native{instance=\"a\"})",
    "-native",
    "native smoothed",
];

type Values = BTreeMap<(Labels, i64), Sample>;

fn values(output: &Output, at: i64) -> Values {
    match &output.value {
        Value::Vector(v) => v.iter().map(|s| (((*s.labels).clone(), at), s.value.clone())).collect(),
        Value::Matrix(m) => {
            let floats =
                m.iter().flat_map(|s| s.points.iter().map(|p| (((*s.labels).clone(), p.t_ms), Sample::Float(p.value))));
            let histograms = m.iter().flat_map(|s| {
                let sample = |p: &HistogramPoint| Sample::Histogram(p.histogram.clone());
                s.histograms.iter().map(move |p| (((*s.labels).clone(), p.t_ms), sample(p)))
            });
            floats.chain(histograms).collect()
        }
        Value::Scalar(p) => [((Labels::new(), at), Sample::Float(p.value))].into(),
        Value::String { .. } => BTreeMap::new(),
    }
}

/// Hands the series over in the opposite order.
struct Reversed<'t>(&'t Table);

impl Queryable for Reversed<'_> {
    fn select(&self, matchers: &[Matcher], start: i64, end: i64) -> Result<Vec<SeriesData>, QueryError> {
        let mut series = self.0.select(matchers, start, end)?;
        series.reverse();
        Ok(series)
    }
}

fn close(x: f64, y: f64) -> bool {
    x.to_bits() == y.to_bits() || (x.is_nan() && y.is_nan()) || (x - y).abs() <= 1e-9 * x.abs().max(y.abs()).max(1.0)
}

fn near(a: &Values, b: &Values) -> bool {
    a.len() == b.len()
        && a.iter().zip(b).all(|((ka, va), (kb, vb))| {
            let same = match (va, vb) {
                (Sample::Float(x), Sample::Float(y)) => close(*x, *y),
                (Sample::Histogram(x), Sample::Histogram(y)) => {
                    let buckets = x.positive.indexed().zip(y.positive.indexed());
                    close(x.count, y.count)
                        && close(x.sum, y.sum)
                        && close(x.zero_count, y.zero_count)
                        && x.reset_hint == y.reset_hint
                        && x.positive.counts.len() == y.positive.counts.len()
                        && buckets.into_iter().all(|((i, v), (j, w))| i == j && close(v, w))
                }
                _ => false,
            };
            ka == kb && same
        })
}

#[test]
fn a_range_query_is_its_instant_queries() {
    let table = table();
    let (limits, interrupt) = (Limits::default(), Interrupt::default());
    let engine =
        |source| Query { lookback_ms: 60_000, subquery_step_ms: 20_000, ..Query::new(source, &limits, &interrupt) };
    let reversed = Reversed(&table);
    for text in EXPRESSIONS {
        let expr = parse(text).unwrap_or_else(|e| panic!("{}", e.pointing(text)));
        let end = FROM + (STEPS - 1) * STEP;
        let whole = range(&engine(&table), &expr, FROM, end, STEP).unwrap_or_else(|e| panic!("{text}: {e}"));
        let whole = values(&whole, 0);
        assert!(!whole.is_empty(), "{text} yields nothing, so it tests nothing");
        // `@ end()` means another instant in an instant query.
        if !text.contains("end()") {
            let mut single = Values::new();
            for t in (0..STEPS).map(|i| FROM + i * STEP) {
                single.extend(values(&instant(&engine(&table), &expr, t).unwrap(), t));
            }
            assert!(near(&whole, &single), "{text}");
        }
        // Which series are kept when there is a choice is not promised.
        if !text.contains("limitk") {
            let other = values(&range(&engine(&reversed), &expr, FROM, end, STEP).unwrap(), 0);
            assert!(near(&whole, &other), "{text} depends on the order of the series");
        }
    }
}

#[test]
fn the_end_is_the_one_that_was_asked_for() {
    let table = table();
    let (limits, interrupt) = (Limits::default(), Interrupt::default());
    let query = Query { lookback_ms: 60_000, subquery_step_ms: 20_000, ..Query::new(&table, &limits, &interrupt) };
    // Behind the last step by more than a sample.
    let (start, end, step) = (FROM, FROM + 3 * 100_000 + 70_000, 100_000);
    for text in ["load @ end()", "sum_over_time(load[1m] @ end())", "count_over_time(load[1m:20s] @ end())"] {
        let expr = parse(text).unwrap();
        let whole = values(&range(&query, &expr, start, end, step).unwrap(), 0);
        let at_end: BTreeMap<_, _> =
            values(&instant(&query, &expr, end).unwrap(), end).into_iter().map(|((l, _), v)| (l, v)).collect();
        assert_eq!(whole.len(), 4 * at_end.len(), "{text}");
        for ((labels, t), value) in whole {
            assert_eq!(at_end.get(&labels), Some(&value), "{text} at {t}");
        }
    }
}
