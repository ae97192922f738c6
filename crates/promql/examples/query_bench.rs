//! How long queries take over a directory that `ingest_bench` filled.
//!
//! `cargo run --release -p tenfold-promql --example query_bench -- DIR [THREADS]`
//!
//! Each query is run ten times: the median of wall time, and the mean of processor time, which other work on the machine
//! disturbs less. No HTTP and no JSON are in the figures, so a comparison with a server
//! asked over the network favours this side by what those cost it (a millisecond or so for small answers).

#[path = "../tests/support/scoped.rs"]
mod scoped;

use std::time::Instant;

use scoped::Scoped;
use tenfold_promql::{Interrupt, Limits, Query, QueryError, Queryable, ReadSamples, SeriesData, instant, parse, range};
use tenfold_tsdb::{Options, SeriesChunks, Tsdb};
use tenfold_types::{Matcher, Point};

struct Store(Tsdb);

struct Chunks(SeriesChunks);

impl ReadSamples for Chunks {
    fn read(&self, out: &mut Vec<Point>) -> Result<(), QueryError> {
        self.0.read(out).map_err(|e| QueryError::Storage(e.to_string()))
    }
}

impl Queryable for Store {
    fn select(&self, matchers: &[Matcher], start_ms: i64, end_ms: i64) -> Result<Vec<SeriesData>, QueryError> {
        let found = self.0.select(matchers, start_ms, end_ms).map_err(|e| QueryError::Storage(e.to_string()))?;
        Ok(found.into_iter().map(|s| SeriesData::lazy(s.labels, Chunks(s.chunks))).collect())
    }
}

const RUNS: usize = 10;
const HOUR: i64 = 3_600_000;
const STEP: i64 = 15_000;

/// Processor seconds used so far (100 ticks a second on Linux).
fn cpu_seconds() -> f64 {
    let text = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<&str> = text.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |i: usize| fields.get(i).and_then(|n| n.parse::<f64>().ok()).unwrap_or(0.0);
    (ticks(11) + ticks(12)) / 100.0
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let dir = std::env::args().nth(1).ok_or("usage: query_bench DIR [THREADS]")?;
    let options = Options { retention_ms: i64::MAX / 2, ..Options::default() };
    let store = Store(Tsdb::open(dir, options)?.0);
    let end = store.0.stats().max_t_ms.ok_or("the directory holds no samples; fill it with ingest_bench")?;
    let one = "instance=\"host-0000:9100\",handler=\"/api/v1/handler/0\"";
    let queries = [
        ("one series raw, 6 h", format!("bench_requests_total{{{one}}}"), 6 * HOUR),
        ("rate of one series, 6 h", format!("rate(bench_requests_total{{{one}}}[5m])"), 6 * HOUR),
        (
            "sum by (job) (rate()) over half the series, 1 h",
            "sum by (job) (rate(bench_requests_total[5m]))".into(),
            HOUR,
        ),
        ("the same, 6 h", "sum by (job) (rate(bench_requests_total[5m]))".into(), 6 * HOUR),
        ("the same, instant", "sum by (job) (rate(bench_requests_total[5m]))".into(), 0),
        (
            "quantile by (job) over a fifth of the series, 1 h",
            "quantile by (job) (0.9, bench_load{job=~\"job-[01]\"})".into(),
            HOUR,
        ),
        (
            "sum(rate()) over a tenth of them by regex, 1 h",
            "sum(rate(bench_requests_total{instance=~\"host-..0.:9100\"}[5m]))".into(),
            HOUR,
        ),
    ];
    let threads = Scoped(std::env::args().nth(2).map_or(Ok(1), |n| n.parse())?);
    let (limits, interrupt) = (Limits::default(), Interrupt::default());
    let query = Query { threads: Some(&threads), ..Query::new(&store, &limits, &interrupt) };
    for (what, text, span) in queries {
        let mut times = Vec::new();
        let mut read = 0;
        let cpu = cpu_seconds();
        for _ in 0..RUNS {
            let started = Instant::now();
            let expr = parse(&text)?;
            let output =
                if span == 0 { instant(&query, &expr, end)? } else { range(&query, &expr, end - span, end, STEP)? };
            times.push(started.elapsed().as_secs_f64() * 1000.0);
            read = output.samples_read;
            if output.value.is_empty() {
                return Err(format!("{what}: no data").into());
            }
        }
        times.sort_by(f64::total_cmp);
        let cpu_ms = (cpu_seconds() - cpu) * 1000.0 / RUNS as f64;
        println!("{what}: {:.1} ms, {cpu_ms:.0} ms CPU ({read} samples read)", times[RUNS / 2]);
    }
    Ok(())
}
