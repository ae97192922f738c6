//! Many threads answer as one does, to the last bit and remark; and what a query cost is told.

#[path = "support/scoped.rs"]
mod scoped;

use std::sync::{
    Arc,
    atomic::{AtomicU64, AtomicUsize, Ordering},
};

use scoped::Scoped;
use tenfold_promql::{
    Interrupt, Limits, Output, Query, QueryError, Queryable, ReadSamples, SeriesData, Value, parse, range,
};
use tenfold_types::{Labels, Matcher, Point, STALE_NAN};

const SERIES: usize = 700;
const STEP: i64 = 15_000;

/// Counters and gauges whose samples come at even and at uneven times, with gaps, resets and staleness markers.
struct Made {
    /// Series read so far.
    read: Arc<AtomicUsize>,
    /// Reading this series goes wrong.
    bad: Option<usize>,
}

struct Samples(usize, Arc<AtomicUsize>, bool, i64, i64);

impl ReadSamples for Samples {
    fn read(&self, out: &mut Vec<Point>) -> Result<(), QueryError> {
        let Self(number, read, bad, start, end) = self;
        read.fetch_add(1, Ordering::Relaxed);
        if *bad {
            return Err(QueryError::Storage(format!("series {number} is damaged")));
        }
        let mut value = 0.0;
        for i in 0..300_i64 {
            let mixed = (i.wrapping_mul(7919) ^ (*number as i64).wrapping_mul(104_729)) & 0xffff;
            let jitter = if number.is_multiple_of(3) { mixed % 11 } else { 0 };
            value = if mixed % 97 == 0 { 0.0 } else { value + (mixed % 13) as f64 / 7.0 };
            let kept = if mixed % 131 == 0 && number % 5 == 1 { STALE_NAN } else { value };
            let t_ms = i * STEP + jitter;
            if !(number % 7 == 2 && mixed % 31 < 9) && (*start..=*end).contains(&t_ms) {
                out.push(Point::new(t_ms, kept));
            }
        }
        Ok(())
    }
    fn chunks(&self) -> u64 {
        3
    }
}

impl Queryable for Made {
    fn select(&self, matchers: &[Matcher], start: i64, end: i64) -> Result<Vec<SeriesData>, QueryError> {
        let name = &matchers[0].value;
        let one = |i: usize| {
            let labels = Labels::from_pairs([
                ("__name__", name.clone()),
                ("job", format!("job-{}", i % 4)),
                ("le", ["0.1", "1", "10", "+Inf", "wrong"][i % 5].to_owned()),
                ("instance", format!("{}", i / 5)),
            ]);
            let samples = Samples(i, self.read.clone(), self.bad == Some(i), start, end);
            SeriesData::lazy(Arc::new(labels), samples)
        };
        Ok((0..SERIES).map(one).collect())
    }
}

fn made() -> Made {
    Made { read: Arc::default(), bad: None }
}

fn ask(
    source: &Made,
    text: &str,
    threads: usize,
    limits: &Limits,
    interrupt: &Interrupt,
) -> Result<Output, QueryError> {
    let query = Query { threads: Some(&Scoped(threads)), ..Query::new(source, limits, interrupt) };
    range(&query, &parse(text)?, 600_000, 600_000 + 200 * STEP, STEP)
}

#[test]
fn the_number_of_threads_changes_no_bit() {
    let (limits, interrupt) = (Limits::default(), Interrupt::default());
    for text in [
        "x",
        "sum by (job) (rate(x_total[5m]))",
        "sum(rate(not_a_counter[5m]))",
        "avg without (instance) (increase(x_total[2m]))",
        "stddev(delta(x[4m]))",
        "max by (job) (max_over_time(x[3m]))",
        "topk(3, quantile_over_time(1.5, x[3m]))",
        "quantile by (job) (0.7, x)",
        "histogram_quantile(0.9, rate(x_bucket[5m]))",
        "sum(x offset 1m) / count(x @ start())",
        "sum(changes(x[5m] anchored)) + sum(rate(x_total[2m] smoothed))",
        "max_over_time(sum(rate(x_total[1m]))[10m:])",
    ] {
        let shown = |threads| format!("{:?}", ask(&made(), text, threads, &limits, &interrupt).unwrap());
        let one = shown(1);
        assert!(one.contains("Point"), "{text} has an answer");
        for threads in [2, 5] {
            assert!(one == shown(threads), "{text} with {threads} threads");
        }
    }
}

#[test]
fn even_windows_answer_as_single_ones_do() {
    let (limits, interrupt) = (Limits::default(), Interrupt::default());
    let source = made();
    let query = Query::new(&source, &limits, &interrupt);
    for (text, step) in [("rate(x_total[5m])", STEP), ("increase(x_total[40s])", 2 * STEP), ("delta(x[7m])", STEP)] {
        let expr = parse(text).unwrap();
        // Past the last sample too.
        let Value::Matrix(all) = range(&query, &expr, -60_000, 330 * STEP, step).unwrap().value else { panic!() };
        for at in [-60_000, 0, STEP, 22 * STEP, 180 * STEP, 298 * STEP, 300 * STEP, 318 * STEP] {
            let at = -60_000 + (at + 60_000) / step * step;
            let Value::Vector(now) = tenfold_promql::instant(&query, &expr, at).unwrap().value else { panic!() };
            let found: Vec<_> = all
                .iter()
                .filter_map(|s| Some((s.labels.clone(), s.points.iter().find(|p| p.t_ms == at)?.value.to_bits())))
                .collect();
            let mut single: Vec<_> =
                now.iter().map(|s| (s.labels.clone(), s.value.float().unwrap().to_bits())).collect();
            single.sort();
            assert!(found == single, "{text} at {at}");
        }
    }
}

#[test]
fn errors_limits_and_interrupts_end_all_threads() {
    let (limits, interrupt) = (Limits::default(), Interrupt::default());
    let bad = Made { bad: Some(400), ..made() };
    let error = ask(&bad, "sum(rate(x[5m]))", 4, &limits, &interrupt).unwrap_err();
    assert_eq!(error, QueryError::Storage("series 400 is damaged".into()));

    let source = made();
    let few = Limits { samples_max: 5_000, ..Limits::default() };
    let error = ask(&source, "sum(rate(x[5m]))", 4, &few, &interrupt).unwrap_err();
    assert!(error.to_string().contains("more than 5000 samples"), "{error}");
    assert!(source.read.load(Ordering::Relaxed) < SERIES / 2, "threads went on");

    // Cancelled by another thread once some series were read.
    let (source, interrupt) = (made(), Interrupt::default());
    let (seen, ended) = (source.read.clone(), &interrupt);
    let error = std::thread::scope(|scope| {
        scope.spawn(move || {
            while seen.load(Ordering::Relaxed) < 50 {
                std::thread::yield_now();
            }
            ended.cancel();
        });
        // As often as it takes for the other thread to come to it.
        (0..10_000).find_map(|_| ask(&source, "sum(rate(x[5m]))", 4, &limits, &interrupt).err())
    });
    assert_eq!(error, Some(QueryError::Cancelled));
}

#[test]
fn a_panic_while_reading_is_not_waited_for() {
    struct Panics;
    impl ReadSamples for Panics {
        fn read(&self, _: &mut Vec<Point>) -> Result<(), QueryError> {
            panic!("reading panics")
        }
    }
    struct Source;
    impl Queryable for Source {
        fn select(&self, _: &[Matcher], _: i64, _: i64) -> Result<Vec<SeriesData>, QueryError> {
            Ok((0..SERIES).map(|_| SeriesData::lazy(Arc::default(), Panics)).collect())
        }
    }
    let outcome = std::thread::spawn(|| {
        let (limits, interrupt) = (Limits::default(), Interrupt::default());
        let query = Query {
            lookback_ms: 1,
            subquery_step_ms: 1,
            threads: Some(&Scoped(3)),
            ..Query::new(&Source, &limits, &interrupt)
        };
        range(&query, &parse("x").unwrap(), 0, 200 * STEP, STEP).map(|_| ())
    });
    assert!(outcome.join().is_err());
}

#[test]
fn the_plan_tells_what_each_node_read() {
    let (limits, interrupt, source) = (Limits::default(), Interrupt::default(), made());
    // Every look at the clock takes a millisecond.
    let ticks = AtomicU64::new(0);
    let clock = || ticks.fetch_add(1_000_000, Ordering::Relaxed);
    let text = "sum by (job) (rate(x_total[5m])) / 2 + scalar(max(y))";
    for threads in [1, 3] {
        let query =
            Query { threads: Some(&Scoped(threads)), clock: Some(&clock), ..Query::new(&source, &limits, &interrupt) };
        let before = ticks.load(Ordering::Relaxed);
        let output =
            range(&query, &parse(text).expect("the query parses"), 600_000, 600_000 + 200 * STEP, STEP).unwrap();
        let passed = (ticks.load(Ordering::Relaxed) - before) as f64 / 1e6;
        let shape: Vec<_> = output
            .plan
            .iter()
            .map(|n| (n.depth, n.operation.as_str(), &text[n.span.start..n.span.end], n.series, n.chunks, n.rows))
            .collect();
        let series = SERIES as u64;
        assert_eq!(
            shape,
            [
                (0, "+", text, 0, 0, 4),
                (1, "/", "sum by (job) (rate(x_total[5m])) / 2", 0, 0, 4),
                (2, "sum by (job)", "sum by (job) (rate(x_total[5m]))", 0, 0, 4),
                (3, "rate", "rate(x_total[5m])", 0, 0, series),
                (4, "range of 300 s", "x_total[5m]", series, 3 * series, 0),
                (1, "scalar", "scalar(max(y))", 0, 0, 0),
                (2, "max", "max(y)", 0, 0, 1),
                (3, "selector", "y", series, 3 * series, series),
            ]
        );
        let samples: u64 = output.plan.iter().map(|n| n.samples).sum();
        assert_eq!((samples, output.series_read, output.chunks_read), (output.samples_read, 2 * series, 6 * series));
        let ms: f64 = output.plan.iter().map(|n| n.ms).sum();
        assert!(output.plan.iter().all(|n| n.ms > 0.0), "{:?}", output.plan);
        // On one thread all time belongs to some node.
        assert!(threads > 1 || (ms <= passed && ms > 0.99 * passed - 5.0), "{ms} of {passed}");
        assert!(output.bytes_held > 0);
    }
}
