//! How fast samples go in, what they weigh in memory and on disk, and how long a start and a selection take.
//!
//! `cargo run --release -p tenfold-tsdb --example ingest_bench -- DIR [SERIES] [HOURS] [LOG_ROUNDS]`; with 0 series it opens
//! what is in the directory and reads. In the last LOG_ROUNDS rounds (usually none) there is no maintenance: what the start
//! after a kill finds is what shortening the log leaves. A million series for an hour, of it 40 rounds so: `DIR 1000000 1 40`.
//!
//! The data are made up: half counters, half random-walk gauges, all whole numbers, one sample each 15 s, in batches of
//! 1,000 series as a scrape of one target makes them, with a flush to disk and a look at the log's length after every round
//! (15 s of data) and the maintenance every 15 minutes of data. No network and no decoding of a page is in the figures: what a server with an
//! HTTP edge reaches is less.

use std::{fs, path::Path, time::Instant};

use tenfold_tsdb::{Options, Point, SeriesWrite, Tsdb};
use tenfold_types::Matcher;

const INTERVAL_MS: i64 = 15_000;
const PER_BATCH: usize = 1000;
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
fn labels(i: usize) -> Vec<(String, String)> {
    let name = if i.is_multiple_of(2) { "bench_requests_total" } else { "bench_load" };
    [
        ("__name__", name.to_string()),
        ("environment", "production".to_string()),
        ("handler", format!("/api/v1/handler/{}", i % 20)),
        ("instance", format!("host-{:04}:9100", i / 20)),
        ("job", format!("job-{}", i / 2 % 5)),
    ]
    .map(|(n, v)| (n.to_string(), v))
    .to_vec()
}

/// Resident bytes of this process now.
fn resident_bytes() -> u64 {
    proc_status("VmRSS") * 1024
}

/// Series, samples and seconds of one selection, decoded.
fn select(
    db: &Tsdb,
    matchers: &[Matcher],
    start: i64,
    end: i64,
) -> Result<(usize, usize, f64, f64), Box<dyn std::error::Error>> {
    let (started, cpu) = (Instant::now(), cpu_seconds());
    let (mut series, mut samples) = (0, 0);
    let mut points = Vec::new();
    for found in db.select(matchers, start, end)? {
        points.clear();
        found.chunks.read(&mut points)?;
        series += 1;
        samples += points.len();
    }
    Ok((series, samples, started.elapsed().as_secs_f64(), cpu_seconds() - cpu))
}

fn selections(db: &Tsdb, what: &str, end: i64) -> Result<(), Box<dyn std::error::Error>> {
    let counters = [Matcher::equal("__name__", "bench_requests_total")];
    let one = [Matcher::equal("instance", "host-0003:9100"), Matcher::equal("handler", "/api/v1/handler/4")];
    for (name, matchers, hours) in [
        ("one series", &one[..], 6),
        ("half of the series", &counters[..], 1),
        ("half of the series", &counters[..], 6),
    ] {
        let (series, samples, seconds, cpu) = select(db, matchers, end - hours * 3_600_000, end)?;
        println!(
            "select {what}: {name}, {hours} h: {series} series, {samples} samples in {:.1} ms ({:.0} ms of CPU)",
            seconds * 1000.0,
            cpu * 1000.0
        );
    }
    Ok(())
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().collect();
    let dir = args.get(1).ok_or("usage: ingest_bench DIR [SERIES] [HOURS] [LOG_ROUNDS]")?;
    let series: usize = args.get(2).map_or(Ok(20_000), |s| s.parse())?;
    let hours: i64 = args.get(3).map_or(Ok(6), |s| s.parse())?;
    let log_rounds: i64 = args.get(4).map_or(Ok(0), |s| s.parse())?;
    let options = Options { retention_ms: i64::MAX / 2, ..Options::default() };
    if series == 0 {
        let (started, cpu) = (Instant::now(), cpu_seconds());
        let (db, report) = Tsdb::open(dir, options)?;
        let (wall, cpu) = (started.elapsed().as_secs_f64(), cpu_seconds() - cpu);
        println!(
            "start: {wall:.2} s, {cpu:.2} CPU seconds, {} series, {} samples from the log",
            report.series, report.replayed_samples
        );
        let end = db.stats().max_t_ms.ok_or("there is nothing in the directory")?;
        return selections(&db, "after a start", end);
    }
    let before = resident_bytes();
    let (db, _) = Tsdb::open(dir, options.clone())?;
    let owned: Vec<Vec<(String, String)>> = (0..series).map(labels).collect();
    let borrowed: Vec<Vec<(&str, &str)>> =
        owned.iter().map(|l| l.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect()).collect();
    let mut points = vec![[Point::new(0, 0.0)]; series];
    let bench_bytes = resident_bytes() - before;
    let mut state = 42u64;
    let mut random = move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state >> 33
    };
    let rounds = hours * 3_600_000 / INTERVAL_MS;
    let (started, cpu_before) = (Instant::now(), cpu_seconds());
    let (mut write_seconds, mut first_round, mut total) = (0.0, 0.0, 0usize);
    let mut maintain_seconds = 0.0;
    for round in 0..rounds {
        let t_ms = START_MS + round * INTERVAL_MS;
        for (i, [point]) in points.iter_mut().enumerate() {
            point.t_ms = t_ms + (i % 7) as i64;
            let r = random();
            point.value += if i % 2 == 0 { (r % 50) as f64 } else { (r % 21) as f64 - 10.0 };
        }
        for (labels, points) in borrowed.chunks(PER_BATCH).zip(points.chunks(PER_BATCH)) {
            let before = Instant::now();
            let batch: Vec<SeriesWrite<'_>> = labels
                .iter()
                .zip(points)
                .map(|(labels, points)| SeriesWrite { labels, points, ..SeriesWrite::default() })
                .collect();
            total += db.write(&batch)?.appended;
            write_seconds += before.elapsed().as_secs_f64();
        }
        if round == 0 {
            first_round = write_seconds;
        }
        db.sync()?;
        let before = Instant::now();
        db.shorten_log()?;
        maintain_seconds += before.elapsed().as_secs_f64();
        if round % 60 == 59 && round + log_rounds < rounds {
            let before = Instant::now();
            db.maintain(t_ms)?;
            maintain_seconds += before.elapsed().as_secs_f64();
        }
    }
    let (wall, cpu) = (started.elapsed().as_secs_f64(), cpu_seconds() - cpu_before);
    let stats = db.stats();
    println!("{total} samples of {series} series over {hours} h");
    println!(
        "in: {:.0} samples/s of wall time, {:.0} per CPU second with blocks and checkpoints, {:.0}/s within write alone",
        total as f64 / wall,
        total as f64 / cpu,
        (total - series) as f64 / (write_seconds - first_round)
    );
    println!("new series: {:.0}/s; maintenance {maintain_seconds:.1} s", series as f64 / first_round);
    let resident = resident_bytes().saturating_sub(before + bench_bytes);
    println!(
        "memory: {} MiB at the peak, {} MiB resident, {} bytes a series resident, {} accounted, with {} samples each in memory",
        proc_status("VmHWM") / 1024,
        resident >> 20,
        resident / series as u64,
        db.memory_bytes() / series,
        stats.head_samples / series
    );
    let end = START_MS + rounds * INTERVAL_MS;
    if log_rounds == 0 {
        db.maintain(end)?;
    }
    selections(&db, "warm", end)?;
    let stats = db.stats();
    println!(
        "disk: {} MiB in all; blocks {:.2} bytes a sample ({} samples in {} blocks)",
        disk_bytes(Path::new(dir)) >> 20,
        stats.block_bytes as f64 / stats.block_samples.max(1) as f64,
        stats.block_samples,
        stats.blocks
    );
    drop((db, points));
    let (started, cpu) = (Instant::now(), cpu_seconds());
    let (db, report) = Tsdb::open(dir, options.clone())?;
    let (wall, cpu) = (started.elapsed().as_secs_f64(), cpu_seconds() - cpu);
    println!(
        "start after a kill: {wall:.2} s, {cpu:.2} CPU seconds, {} series, {} samples from the log",
        report.series, report.replayed_samples
    );
    db.checkpoint()?;
    drop(db);
    let started = Instant::now();
    let (db, report) = Tsdb::open(dir, options)?;
    println!("start after a stop: {:.2} s, {} series", started.elapsed().as_secs_f64(), report.series);
    selections(&db, "after a start", end)?;
    Ok(())
}
