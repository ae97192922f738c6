//! Queries that people type: a parse ends in an expression or an error that points into the text, and an expression in
//! an answer or an error, over floats and histograms alike.
#![no_main]
use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use tenfold_promql::{Interrupt, Limits, Query, QueryError, Queryable, Run, SeriesData, instant, parse, range};
use tenfold_types::{Histogram, HistogramPoint, Labels, Matcher, Point, histogram::Buckets};

/// A few series whatever is asked for: floats, histograms of two schemas, both in turn, and starts.
struct Few;

impl Queryable for Few {
    fn select(&self, _: &[Matcher], start_ms: i64, end_ms: i64) -> Result<Vec<SeriesData>, QueryError> {
        let times = || (0..60).map(|i| i * 1000).filter(|t| *t >= start_ms && *t <= end_ms);
        let series = |le: &str, kind: i64| {
            let mut run = Run::default();
            for t_ms in times() {
                let value = (t_ms / 1000 % 7) as f64;
                if kind == 0 || (kind == 3 && t_ms % 2000 == 0) {
                    run.floats.push(Point::new(t_ms, value));
                    run.float_starts.push(t_ms - 500);
                } else {
                    let schema = if kind == 2 { -53 } else { 1 };
                    let bounds = if kind == 2 { vec![1.0, value + 2.0].into() } else { Arc::default() };
                    let positive = Buckets::single(0, vec![value, 1.0]);
                    let h = Histogram { schema, bounds, count: value + 1.0, sum: value, positive, ..Histogram::default() };
                    run.histograms.push(HistogramPoint { t_ms, histogram: Arc::new(h) });
                    run.histogram_starts.push(0);
                }
            }
            let labels = Labels::from_pairs([("__name__", "x"), ("le", le), ("instance", "a")]);
            SeriesData::run(Arc::new(labels), run)
        };
        Ok(vec![series("1", 0), series("+Inf", 0), series("", 1), series("a", 2), series("b", 3)])
    }
}

fuzz_target!(|query: &str| {
    match parse(query) {
        Err(error) => {
            let _ = error.pointing(query);
        }
        Ok(expr) => {
            let (interrupt, limits) = (Interrupt::default(), Limits { values_max: 10_000, ..Limits::default() });
            let engine = Query { lookback_ms: 5000, subquery_step_ms: 1000, ..Query::new(&Few, &limits, &interrupt) };
            for answer in [instant(&engine, &expr, 30_000), range(&engine, &expr, 0, 60_000, 10_000)].into_iter().flatten() {
                for remark in answer.annotations {
                    let _ = remark.render(query);
                }
            }
        }
    }
});
