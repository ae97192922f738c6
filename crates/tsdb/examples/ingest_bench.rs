//! How fast samples go in, what they weigh on disk, and how long a start takes.
//!
//! `cargo run --release -p tenfold-tsdb --example ingest_bench -- DIR [SERIES] [HOURS]`
//!
//! The data are made up: half counters, half random-walk gauges, all whole numbers, one sample each 15 s, in appends of
//! 1,000 samples as a scrape of one target makes them, with a flush to disk after every round (15 s of data) and the
//! maintenance every 15 minutes of data. No network and no decoding of a page is in the figures: what a server with an
//! HTTP edge reaches is less.

use std::{fs, path::Path, time::Instant};

use tenfold_tsdb::{Options, Sample, Tsdb};
use tenfold_types::Labels;

const INTERVAL_MS: i64 = 15_000;
const PER_APPEND: usize = 1000;
const START_MS: i64 = 1_700_000_000_000;

/// Kibibytes (`VmHWM`) or clock ticks of this process.
fn proc_status(key: &str) -> u64 {
    let text = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = text.lines().find(|l| l.starts_with(key)).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|n| n.parse().ok()).unwrap_or(0)
}

/// Processor seconds used so far (100 ticks a second on Linux).
fn cpu_seconds() -> f64 {
    let text = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<&str> = text.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |i: usize| fields.get(i).and_then(|n| n.parse::<f64>().ok()).unwrap_or(0.0);
    (ticks(11) + ticks(12)) / 100.0
}

fn disk_bytes(dir: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(dir) else { return 0 };
    entries
        .filter_map(Result::ok)
        .map(|e| if e.path().is_dir() { disk_bytes(&e.path()) } else { e.metadata().map_or(0, |m| m.len()) })
        .sum()
}

/// The series by number: 5 jobs, half of them counters.
fn labels(i: usize) -> Labels {
    let name = if i.is_multiple_of(2) { "bench_requests_total" } else { "bench_load" };
    Labels::from_pairs([
        ("__name__", name.to_string()),
        ("job", format!("job-{}", i / 2 % 5)),
        ("instance", format!("host-{:04}:9100", i / 20)),
        ("handler", format!("/api/v1/handler/{}", i % 20)),
        ("environment", "production".to_string()),
    ])
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().collect();
    let dir = args.get(1).ok_or("usage: ingest_bench DIR [SERIES] [HOURS]")?;
    let series: usize = args.get(2).map_or(Ok(20_000), |s| s.parse())?;
    let hours: i64 = args.get(3).map_or(Ok(6), |s| s.parse())?;
    let options = Options { retention_ms: i64::MAX / 2, ..Options::default() };
    let (db, _) = Tsdb::open(dir, options.clone())?;
    let mut batches: Vec<Vec<Sample>> = (0..series)
        .collect::<Vec<_>>()
        .chunks(PER_APPEND)
        .map(|ids| ids.iter().map(|i| Sample::new(labels(*i), 0, 0.0)).collect())
        .collect();
    let mut state = 42u64;
    let mut random = move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state >> 33
    };
    let rounds = hours * 3_600_000 / INTERVAL_MS;
    let (started, cpu_before) = (Instant::now(), cpu_seconds());
    let mut append_seconds = 0.0;
    let mut total = 0usize;
    for round in 0..rounds {
        let t_ms = START_MS + round * INTERVAL_MS;
        for batch in &mut batches {
            for (i, sample) in batch.iter_mut().enumerate() {
                sample.t_ms = t_ms + (i % 7) as i64;
                let r = random();
                sample.value += if i % 2 == 0 { (r % 50) as f64 } else { (r % 21) as f64 - 10.0 };
            }
            let before = Instant::now();
            total += db.append(batch)?.appended;
            append_seconds += before.elapsed().as_secs_f64();
        }
        db.sync()?;
        if round % 60 == 59 {
            db.maintain(t_ms)?;
        }
    }
    let (wall, cpu) = (started.elapsed().as_secs_f64(), cpu_seconds() - cpu_before);
    db.maintain(START_MS + rounds * INTERVAL_MS)?;
    let stats = db.stats();
    println!("{total} samples of {series} series over {hours} h");
    println!(
        "in: {:.0} samples/s of wall time, {:.0} per CPU second, {:.0} within append alone",
        total as f64 / wall,
        total as f64 / cpu,
        total as f64 / append_seconds
    );
    println!("memory: {} MiB at the peak", proc_status("VmHWM") / 1024);
    println!(
        "disk: {} MiB in all; blocks {:.2} bytes a sample ({} samples in {} blocks)",
        disk_bytes(Path::new(dir)) >> 20,
        stats.block_bytes as f64 / stats.block_samples.max(1) as f64,
        stats.block_samples,
        stats.blocks
    );
    drop(db);
    let started = Instant::now();
    let (_db, report) = Tsdb::open(dir, options)?;
    println!("start: {:.2} s for {} samples from the log", started.elapsed().as_secs_f64(), report.replayed_samples);
    Ok(())
}
