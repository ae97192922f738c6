//! How long the evaluator takes over samples in memory: what a store costs is not in the figures.
//!
//! `cargo run --release -p tenfold-promql --example eval_bench -- [RUNS] [ONLY]`
//!
//! 10,000 counters of five jobs for 24 h at 15 s, 1,000 histograms of ten buckets for an hour, and 100,000 gauges of two
//! samples. Each query runs `RUNS` times (5) in this one process; the medians of wall time and the means of processor time
//! are printed, with one thread and with as many as there are processors. `ONLY` keeps the queries whose name holds it.

#[path = "../tests/support/scoped.rs"]
mod scoped;

use std::{collections::HashMap, sync::Arc, time::Instant};

use scoped::Scoped;
use tenfold_promql::{Interrupt, Limits, Query, QueryError, Queryable, ReadSamples, SeriesData, parse, range};
use tenfold_types::{Labels, Matcher, Point};

const HOUR: i64 = 3_600_000;
const STEP: i64 = 15_000;
const END: i64 = 1_700_000_000_000 / STEP * STEP;

/// Values at every `STEP` up to `END`.
struct Column(Arc<[f64]>, i64, i64);

impl ReadSamples for Column {
    fn read(&self, out: &mut Vec<Point>) -> Result<(), QueryError> {
        let first = END - (self.0.len() as i64 - 1) * STEP;
        let skip = (self.1 - first).max(0).div_euclid(STEP) as usize;
        let until = ((self.2 - first) / STEP + 1).clamp(0, self.0.len() as i64) as usize;
        out.extend((skip..until).map(|i| Point::new(first + i as i64 * STEP, self.0[i])));
        Ok(())
    }
}

/// Labels and values.
type Stored = (Arc<Labels>, Arc<[f64]>);

/// The series by metric name.
#[derive(Default)]
struct Memory(HashMap<String, Vec<Stored>>);

impl Queryable for Memory {
    fn select(&self, matchers: &[Matcher], start_ms: i64, end_ms: i64) -> Result<Vec<SeriesData>, QueryError> {
        let name = matchers.iter().find(|m| m.name == Labels::NAME).map_or("", |m| m.value.as_str());
        let wanted: Vec<&Matcher> = matchers.iter().filter(|m| m.name != Labels::NAME).collect();
        let regexes: Vec<_> =
            wanted.iter().map(|m| regex::Regex::new(&format!("^(?:{})$", m.value)).expect("a regex")).collect();
        let matches = |labels: &Labels| {
            wanted.iter().zip(&regexes).all(|(m, r)| r.is_match(labels.get(&m.name).unwrap_or_default()))
        };
        let all = self.0.get(name).map_or(&[][..], Vec::as_slice).iter().filter(|(labels, _)| matches(labels));
        Ok(all.map(|(l, values)| SeriesData::lazy(l.clone(), Column(values.clone(), start_ms, end_ms))).collect())
    }
}

/// A sequence that looks random and is the same at every run.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % below
    }
    /// A counter that starts anew once in a while.
    fn counter(&mut self, samples: usize, up_to: u64) -> Arc<[f64]> {
        let mut value = self.next(1_000_000);
        let next = |_| {
            value = if self.next(5_000) == 0 { 0 } else { value + self.next(up_to) };
            value as f64
        };
        (0..samples).map(next).collect()
    }
}

fn memory() -> Memory {
    let (mut numbers, mut out) = (Numbers(1), Memory::default());
    let labels = |name: &str, i: usize| {
        Labels::from_pairs([
            ("__name__", name.to_string()),
            ("job", format!("job-{}", i % 5)),
            ("instance", format!("host-{:05}:9100", i / 10)),
            ("handler", format!("/api/v1/handler/{}", i % 10)),
            ("environment", "production".to_string()),
        ])
    };
    let mut add = |name: &str, labels: Labels, values| {
        out.0.entry(name.to_string()).or_default().push((Arc::new(labels), values));
    };
    for i in 0..10_000 {
        add("requests_total", labels("requests_total", i), numbers.counter(24 * 240 + 20, 100));
    }
    for i in 0..1_000 {
        let mut below: Vec<f64> = vec![0.0; 260];
        for le in ["0.005", "0.01", "0.05", "0.1", "0.25", "0.5", "1", "2.5", "5", "+Inf"] {
            below.iter_mut().zip(numbers.counter(260, 20).iter()).for_each(|(sum, v)| *sum += v);
            add("seconds_bucket", labels("seconds_bucket", i).with("le", le), below.clone().into());
        }
    }
    for i in 0..100_000 {
        let values = [numbers.next(1000) as f64, numbers.next(1000) as f64];
        add("load", labels("load", i), values.into_iter().collect());
    }
    out
}

/// Processor seconds used so far (100 ticks a second on Linux).
fn cpu_seconds() -> f64 {
    let text = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<&str> = text.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |i: usize| fields.get(i).and_then(|n| n.parse::<f64>().ok()).unwrap_or(0.0);
    (ticks(11) + ticks(12)) / 100.0
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let runs: usize = std::env::args().nth(1).map_or(Ok(5), |n| n.parse())?;
    let only = std::env::args().nth(2).unwrap_or_default();
    let memory = memory();
    let queries = [
        ("one series raw, 6 h", "requests_total{instance=\"host-00007:9100\",handler=\"/api/v1/handler/0\"}", 6),
        ("sum by (job) (rate()), 1 h", "sum by (job) (rate(requests_total[5m]))", 1),
        ("sum by (job) (rate()), 6 h", "sum by (job) (rate(requests_total[5m]))", 6),
        ("sum by (job) (rate()), 24 h", "sum by (job) (rate(requests_total[5m]))", 24),
        ("max_over_time, 1 h", "max by (job) (max_over_time(requests_total[5m]))", 1),
        ("avg_over_time, 1 h", "avg by (job) (avg_over_time(requests_total[5m]))", 1),
        ("histogram_quantile of 1,000, 1 h", "histogram_quantile(0.9, rate(seconds_bucket[5m]))", 1),
        ("histogram_quantile by job, 1 h", "histogram_quantile(0.9, sum by (job, le) (rate(seconds_bucket[5m])))", 1),
        ("quantile by (job), 1 h", "quantile by (job) (0.9, requests_total)", 1),
        ("topk(10), 1 h", "topk(10, rate(requests_total[5m]))", 1),
        ("regex over 100,000 series", "sum(load{instance=~\"host-..[0-4]0.:9100\"})", 0),
    ];
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let (limits, interrupt) = (Limits { samples_max: 100_000_000, ..Limits::default() }, Interrupt::default());
    for (what, text, hours) in queries.into_iter().filter(|q| q.0.contains(&only)) {
        let expr = parse(text)?;
        for threads in [1, processors] {
            let query = Query { threads: Some(&Scoped(threads)), ..Query::new(&memory, &limits, &interrupt) };
            let mut times = Vec::new();
            let cpu = cpu_seconds();
            for _ in 0..runs {
                let started = Instant::now();
                let output = range(&query, &expr, END - hours * HOUR, END, STEP)?;
                times.push(started.elapsed().as_secs_f64() * 1000.0);
                assert!(!output.value.is_empty(), "{what}: no data");
            }
            times.sort_by(f64::total_cmp);
            let cpu_ms = (cpu_seconds() - cpu) * 1000.0 / runs as f64;
            println!("{what}, {threads} thread(s): {:.1} ms, {cpu_ms:.0} ms CPU", times[runs / 2]);
        }
    }
    Ok(())
}
