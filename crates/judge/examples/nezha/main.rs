//! Real faults in a microservice shop, labelled: how many are found, and how often quiet times are called a fault.
//!
//! ```text
//! cargo run --release -p tenfold-judge --example nezha -- DIR
//! ```
//!
//! `DIR` holds `DAY/DAY-fault_list.json` and `DAY/metric/*.csv` (or a folder `rca_data` with them, or is such a `DAY`), one
//! row a minute. Each fault is taken as a deploy to the pod it was injected into: the judge sees the pod's own metrics and
//! the latency of the calls to its service, five minutes before and four after, and an hour and a half of how they move.
//!
//! A fault that cannot be read, or has no data, is one that is not found. What cannot be used of a folder is said on
//! standard error.
//!
//! Windows and threshold are those of the watch after a promotion (`after.levels` of the pipeline file).
//!
//! Split: everything (metrics, units, windows, threshold) was chosen on 2022-08-22 alone, before 2022-08-23 was looked at.
//! A quiet window is any pod at any tenth minute with no fault anywhere from 15 minutes before to 5 minutes after it.

mod reading;
#[cfg(test)]
mod tests;

use std::path::PathBuf;

use reading::{Day, Metric, days, read_day};
use tenfold_judge::{Direction, LEVEL_AFTER, LEVEL_BEFORE, LEVEL_CHANGED, Level, level_change};

const QUIET_EVERY_S: i64 = 600;
const QUIET_AFTER_FAULT_S: i64 = 900;
const QUIET_BEFORE_FAULT_S: i64 = 300;
const MINUTE_S: i64 = 60;
/// Rows come a minute apart, and one of them may be late or missing: a window is longer by this than its rows are.
const LATE_S: i64 = 90;

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

/// The change of a metric at a second: rows of the minutes around it, however far the next ones are.
fn change_at(metric: &Metric, at: i64) -> Option<f64> {
    let rows = &metric.rows;
    let from = at - LEVEL_BEFORE as i64 * MINUTE_S - LATE_S;
    let until = at + LEVEL_AFTER as i64 * MINUTE_S + LATE_S;
    let row_at = |second: i64| rows.partition_point(|(t, _)| *t < second);
    let (first, middle, end) = (row_at(from), row_at(at), row_at(until));
    let after = rows[middle..end].get(..LEVEL_AFTER)?;
    let before = &rows[first.max(middle.saturating_sub(LEVEL_BEFORE))..middle];
    let values = |rows: &[(i64, f64)]| rows.iter().map(|(_, v)| *v).collect::<Vec<_>>();
    level_change(&values(before), &values(after), metric.level)
}

fn worst(metrics: &[Metric], at: i64) -> Option<f64> {
    metrics.iter().filter_map(|m| change_at(m, at)).max_by(f64::total_cmp)
}

/// What was counted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Counted {
    faults: usize,
    found: usize,
    quiet: usize,
    alarms: usize,
    /// A line for each fault that was not found.
    missed: Vec<String>,
}

fn judge_day(day: &Day) -> Counted {
    let mut counted = Counted { faults: day.faults.len(), ..Counted::default() };
    for fault in &day.faults {
        let pod = fault.pod.as_deref().unwrap_or("no pod");
        let worst = match (fault.at, &fault.pod) {
            (Some(at), Some(pod)) => day.of_pod(pod).into_iter().filter_map(|m| worst(m, at)).max_by(f64::total_cmp),
            _ => None,
        };
        if worst.is_some_and(|w| w >= LEVEL_CHANGED) {
            counted.found += 1;
            continue;
        }
        let why = match (fault.at, worst) {
            (None, _) => "it has no time".to_owned(),
            (_, Some(worst)) => format!("{worst:.1} deviations"),
            (_, None) => "no data".to_owned(),
        };
        counted.missed.push(format!("{} on {pod} ({why})", fault.kind));
    }
    let rows = || day.pods.values().flatten().flat_map(|m| m.rows.iter().map(|(t, _)| *t));
    let (first, last) = (rows().min().unwrap_or(0), rows().max().unwrap_or(0));
    let near = |at: i64, fault: i64| fault > at - QUIET_AFTER_FAULT_S && fault < at + QUIET_BEFORE_FAULT_S;
    let mut at = first + QUIET_EVERY_S;
    while at < last {
        if !day.faults.iter().filter_map(|f| f.at).any(|fault| near(at, fault)) {
            for worst in day.pods.values().filter_map(|metrics| worst(metrics, at)) {
                counted.quiet += 1;
                counted.alarms += usize::from(worst >= LEVEL_CHANGED);
            }
        }
        at += QUIET_EVERY_S;
    }
    counted
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
    let mut all = Counted::default();
    let mut unread = false;
    for path in days {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let day = match read_day(&path) {
            Ok(day) => day,
            Err(error) => {
                eprintln!("{error}");
                unread = true;
                continue;
            }
        };
        for said in &day.said {
            eprintln!("{name}: {said}");
        }
        let Counted { faults, found, quiet, alarms, missed } = judge_day(&day);
        for line in missed {
            println!("  missed: {line}");
        }
        println!("{name}: {found} of {faults} faults found, {alarms} false alarms in {quiet} quiet windows");
        all.faults += faults;
        all.found += found;
        all.quiet += quiet;
        all.alarms += alarms;
    }
    let share = |part: usize, whole: usize| part as f64 / whole.max(1) as f64;
    println!(
        "faults={} recall={:.3} quiet={} false_alarms={:.3}",
        all.faults,
        share(all.found, all.faults),
        all.quiet,
        share(all.alarms, all.quiet)
    );
    if unread {
        std::process::exit(1);
    }
}
