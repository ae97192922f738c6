//! Real faults in a microservice shop, labelled: how many are found, and how often quiet times are called a fault.
//!
//! ```text
//! cargo run --release -p tenfold-judge --example nezha -- DIR
//! ```
//!
//! `DIR` holds `DAY/DAY-fault_list.json` and `DAY/metric/*.csv` (or a folder `rca_data` with them), one row a minute. Each
//! fault is taken as a deploy to the pod it was injected into: the judge sees the pod's own metrics and the latency of the
//! calls to it, five minutes before and four after, and an hour and a half of how they move.
//!
//! Windows and threshold are those of the watch after a promotion (`after.levels` of the pipeline file).
//!
//! Split: everything (metrics, units, windows, threshold) was chosen on 2022-08-22 alone, before 2022-08-23 was looked at.
//! A quiet window is any pod at any tenth minute with no fault anywhere from 15 minutes before to 5 minutes after it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use tenfold_judge::{Direction, LEVEL_AFTER, LEVEL_BEFORE, LEVEL_CHANGED, Level, level_change};

const QUIET_EVERY_S: i64 = 600;

const fn level(direction: Direction, unit: f64, relative_min: f64) -> Level {
    Level { direction, unit, relative_min }
}

/// Columns of a pod's file.
const COLUMNS: [(&str, Level); 5] = [
    ("CpuUsage(m)", level(Direction::Both, 1.0, 0.1)),
    ("MemoryUsage(Mi)", level(Direction::Both, 1.0, 0.01)),
    ("PodServerLatencyP90(s)", level(Direction::Up, 0.001, 0.1)),
    ("PodServerLatencyP95(s)", level(Direction::Up, 0.001, 0.1)),
    ("PodServerLatencyP99(s)", level(Direction::Up, 0.001, 0.1)),
];
/// Latency of the calls to a service, as the caller and as the service see it.
const CALLS: Level = level(Direction::Up, 0.001, 0.1);

/// One metric over time, in rows of (second, value).
struct Metric {
    level: Level,
    rows: Vec<(i64, f64)>,
}

impl Metric {
    fn change_at(&self, at: i64) -> Option<f64> {
        let middle = self.rows.partition_point(|(t, _)| *t < at);
        let after = self.rows.get(middle..middle + LEVEL_AFTER)?;
        let before = &self.rows[middle.saturating_sub(LEVEL_BEFORE)..middle];
        let values = |rows: &[(i64, f64)]| rows.iter().map(|(_, v)| *v).collect::<Vec<_>>();
        level_change(&values(before), &values(after), self.level)
    }
}

struct Fault {
    at: i64,
    pod: String,
    kind: String,
}

struct Day {
    pods: BTreeMap<String, Vec<Metric>>,
    faults: Vec<Fault>,
}

fn main() {
    let Some(dir) = std::env::args().nth(1).map(PathBuf::from) else {
        eprintln!("usage: nezha DIR (a folder that holds DAY/DAY-fault_list.json and DAY/metric/*.csv)");
        std::process::exit(2);
    };
    let days = days(&dir);
    if days.is_empty() {
        eprintln!("{}: no folder DAY with DAY-fault_list.json and metric/ in it", dir.display());
        std::process::exit(1);
    }
    let (mut found, mut faults, mut alarms, mut quiet) = (0, 0, 0, 0);
    for path in days {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let day = read_day(&path, &name);
        let (day_found, day_alarms, day_quiet) = judge_day(&day);
        println!(
            "{name}: {day_found} of {} faults found, {day_alarms} false alarms in {day_quiet} quiet windows",
            day.faults.len()
        );
        found += day_found;
        faults += day.faults.len();
        alarms += day_alarms;
        quiet += day_quiet;
    }
    let share = |part: usize, whole: usize| part as f64 / whole.max(1) as f64;
    println!(
        "faults={faults} recall={:.3} quiet={quiet} false_alarms={:.3}",
        share(found, faults),
        share(alarms, quiet)
    );
}

fn judge_day(day: &Day) -> (usize, usize, usize) {
    let mut found = 0;
    for fault in &day.faults {
        // A fault without data is not found.
        let worst = day.pods.get(&fault.pod).and_then(|metrics| worst(metrics, fault.at));
        let is_found = worst.is_some_and(|w| w >= LEVEL_CHANGED);
        found += usize::from(is_found);
        if !is_found {
            let worst = worst.map_or("no data".into(), |w| format!("{w:.1} deviations"));
            println!("  missed: {} on {} ({worst})", fault.kind, fault.pod);
        }
    }
    let (mut alarms, mut quiet) = (0, 0);
    let rows = || day.pods.values().flatten().flat_map(|m| m.rows.iter().map(|(t, _)| *t));
    let (first, last) = (rows().min().unwrap_or(0), rows().max().unwrap_or(0));
    let mut at = first + QUIET_EVERY_S;
    while at < last {
        if !day.faults.iter().any(|f| f.at > at - 900 && f.at < at + 300) {
            for metrics in day.pods.values() {
                if let Some(worst) = worst(metrics, at) {
                    quiet += 1;
                    alarms += usize::from(worst >= LEVEL_CHANGED);
                }
            }
        }
        at += QUIET_EVERY_S;
    }
    (found, alarms, quiet)
}

fn worst(metrics: &[Metric], at: i64) -> Option<f64> {
    metrics.iter().filter_map(|m| m.change_at(at)).max_by(f64::total_cmp)
}

fn days(dir: &Path) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = [dir.to_path_buf(), dir.join("rca_data")]
        .iter()
        .flat_map(|root| std::fs::read_dir(root).into_iter().flatten().flatten().map(|e| e.path()))
        .chain([dir.to_path_buf()])
        .filter(|p| {
            let name = p.file_name().unwrap_or_default().to_string_lossy().into_owned();
            p.join(format!("{name}-fault_list.json")).is_file() && p.join("metric").is_dir()
        })
        .collect();
    found.sort();
    found.dedup();
    found
}

fn read_day(path: &Path, name: &str) -> Day {
    let mut pods: BTreeMap<String, Vec<Metric>> = BTreeMap::new();
    let mut calls: Vec<(String, Metric)> = Vec::new();
    for entry in std::fs::read_dir(path.join("metric")).expect("the folder was there").flatten() {
        let file = entry.file_name().to_string_lossy().into_owned();
        let (header, rows) = table(&entry.path());
        if let Some(pod) = file.strip_suffix("_metric.csv") {
            let metrics = COLUMNS.iter().filter_map(|(column, level)| {
                let index = header.iter().position(|h| h == column)?;
                Some(Metric { level: *level, rows: column_of(&rows, index) })
            });
            pods.entry(pod.to_owned()).or_default().extend(metrics);
        } else if ["source_50.csv", "destination_50.csv"].contains(&file.as_str()) {
            for (index, edge) in header.iter().enumerate().skip(2) {
                if let Some((_, callee)) = edge.split_once('_') {
                    calls.push((callee.to_owned(), Metric { level: CALLS, rows: column_of(&rows, index) }));
                }
            }
        }
    }
    for (callee, metric) in calls {
        if let Some((_, metrics)) = pods.iter_mut().find(|(pod, _)| pod.split('-').next() == Some(&callee)) {
            metrics.push(metric);
        }
    }
    let text = std::fs::read_to_string(path.join(format!("{name}-fault_list.json"))).expect("the list was there");
    let list: BTreeMap<String, Vec<BTreeMap<String, String>>> = serde_json::from_str(&text).expect("a list of faults");
    let faults = list.into_values().flatten().filter_map(|f| {
        Some(Fault {
            at: seconds(f.get("inject_time")?)?,
            pod: f.get("inject_pod")?.clone(),
            kind: f.get("inject_type")?.clone(),
        })
    });
    Day { pods, faults: faults.collect() }
}

type Rows = Vec<Vec<String>>;

/// Header and rows; no field of these files is quoted.
fn table(path: &Path) -> (Vec<String>, Rows) {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let mut lines = text.lines().map(|l| l.split(',').map(|f| f.trim().to_owned()).collect::<Vec<_>>());
    (lines.next().unwrap_or_default(), lines.collect())
}

/// The first column is the time: the second one, an epoch, is wrong in some rows.
fn column_of(rows: &Rows, index: usize) -> Vec<(i64, f64)> {
    let mut out: Vec<(i64, f64)> = rows
        .iter()
        .filter_map(|row| {
            let at = seconds(row.first()?)?;
            Some((at, row.get(index).and_then(|v| v.parse().ok()).unwrap_or(f64::NAN)))
        })
        .collect();
    out.sort_by_key(|(at, _)| *at);
    out
}

/// `2022-08-22 03:51:19...` in UTC as seconds since the epoch.
fn seconds(text: &str) -> Option<i64> {
    let number = |range: std::ops::Range<usize>| text.get(range)?.parse::<i64>().ok();
    let (y, m, d) = (number(0..4)?, number(5..7)?, number(8..10)?);
    let (y, m) = if m > 2 { (y, m - 3) } else { (y - 1, m + 9) };
    let days = 365 * y + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + d - 1 - 719_468;
    Some(days * 86_400 + number(11..13)? * 3_600 + number(14..16)? * 60 + number(17..19)?)
}
