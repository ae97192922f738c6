//! The files of a day: tables of pods, tables of calls between services, and the list of faults. They were written by
//! several programs, so numbers may be texts and texts numbers; what is missing is said and never made up.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use serde_json::Value;
use tenfold_judge::Level;

use super::{CALLS, COLUMNS};

const LIST: &str = "fault_list.json";
const POD_FILE: &str = "_metric.csv";
/// Calls as the caller sees them, and as the one who is called does.
const CALL_FILES: [&str; 2] = ["source_50.csv", "destination_50.csv"];
/// The two times of a fault are said to differ from here on: less is how long it took to inject it.
const APART_S: i64 = 600;

/// One metric over time, in rows of (second, value), in their order.
#[derive(Clone)]
pub struct Metric {
    pub level: Level,
    pub rows: Vec<(i64, f64)>,
}

/// A label. One without a time or a pod is still a fault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Seconds since the epoch.
    pub at: Option<i64>,
    pub pod: Option<String>,
    pub kind: String,
}

pub struct Day {
    pub pods: BTreeMap<String, Vec<Metric>>,
    pub faults: Vec<Fault>,
    /// What could not be used of the folder, in words.
    pub said: Vec<String>,
}

impl Day {
    /// The metrics of a pod; where there is none of that name, those of the pods of its service: a pod that was started
    /// anew has another name.
    pub fn of_pod(&self, name: &str) -> Vec<&[Metric]> {
        if let Some(metrics) = self.pods.get(name) {
            return vec![metrics.as_slice()];
        }
        let same = |pod: &str| service_of(pod) == service_of(name) || service_of(pod) == name;
        self.pods.iter().filter(|(pod, _)| same(pod)).map(|(_, metrics)| metrics.as_slice()).collect()
    }
}

/// `cart-api` of `cart-api-579f59597d-wc2lz`: without the two parts that a Deployment adds.
pub fn service_of(pod: &str) -> &str {
    pod.rsplitn(3, '-').nth(2).unwrap_or(pod)
}

/// The folders of days in `dir`, by name.
pub fn days(dir: &Path) -> Vec<PathBuf> {
    // `.` has no name of its own
    let dir = fs::canonicalize(dir).unwrap_or_else(|_| dir.to_path_buf());
    let mut found: Vec<PathBuf> = [dir.clone(), dir.join("rca_data")]
        .iter()
        .flat_map(|root| fs::read_dir(root).into_iter().flatten().flatten().map(|e| e.path()))
        .chain([dir])
        .filter(|day| list_of(day).is_some() && day.join("metric").is_dir())
        .collect();
    found.sort();
    found.dedup();
    found
}

/// `DAY/DAY-fault_list.json`, or the one file whose name ends so.
fn list_of(day: &Path) -> Option<PathBuf> {
    let named = day.join(format!("{}-{LIST}", day.file_name()?.to_string_lossy()));
    if named.is_file() {
        return Some(named);
    }
    let mut others = fs::read_dir(day).ok()?.flatten().map(|e| e.path());
    let is_list = |path: &PathBuf| path.is_file() && path.to_string_lossy().ends_with(LIST);
    let found = others.find(is_list)?;
    others.all(|path| !is_list(&path)).then_some(found)
}

pub fn read_day(path: &Path) -> Result<Day, String> {
    let told = |path: &Path, e: String| format!("{}: {e}", path.display());
    let list = list_of(path).ok_or_else(|| told(path, format!("no file that ends in {LIST}")))?;
    let text = fs::read(&list).map_err(|e| told(&list, e.to_string()))?;
    let json: Value = serde_json::from_slice(&text).map_err(|e| told(&list, e.to_string()))?;
    let folder = path.join("metric");
    let mut files: Vec<PathBuf> = fs::read_dir(&folder)
        .map_err(|e| told(&folder, e.to_string()))?
        .flatten()
        .map(|e| e.path())
        .filter(|p| p.is_file())
        .collect();
    files.sort();
    let (mut pods, mut calls, mut said) = (BTreeMap::<String, Vec<Metric>>::new(), Vec::new(), Vec::new());
    for file in &files {
        let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let pod = name.strip_suffix(POD_FILE);
        if pod.is_none() && !CALL_FILES.contains(&name.as_str()) {
            continue;
        }
        let table = match fs::read(file) {
            Ok(bytes) => Table::of(&String::from_utf8_lossy(&bytes)),
            Err(error) => {
                said.push(format!("{name} cannot be read: {error}"));
                continue;
            }
        };
        if table.rows.is_empty() {
            said.push(format!("{name} has no row with a time"));
        }
        if let Some(pod) = pod {
            let metrics = pods.entry(pod.to_owned()).or_default();
            for (column, level) in COLUMNS {
                match table.header.iter().position(|h| h.eq_ignore_ascii_case(column)) {
                    Some(index) => metrics.push(Metric { level, rows: table.column(index) }),
                    None => said.push(format!("{name} has no column {column}")),
                }
            }
        } else {
            let edges = table.header.iter().enumerate().filter(|(_, name)| name.contains('_'));
            calls.extend(edges.map(|(index, edge)| (edge.clone(), Metric { level: CALLS, rows: table.column(index) })));
        }
    }
    hand_out(&mut pods, calls, &mut said);
    let rows = || pods.values().flatten().flat_map(|metric| metric.rows.iter().map(|(at, _)| *at));
    let covered = rows().min().zip(rows().max());
    let listed = faults(&json);
    said.extend(listed.iter().filter_map(Listed::apart));
    let faults: Vec<Fault> = listed.into_iter().map(|listed| listed.within(covered)).collect();
    for fault in &faults {
        if fault.at.is_none() || fault.pod.is_none() {
            said.push(format!("a fault has no time or no pod, and counts as one that is not found: {fault:?}"));
        }
    }
    Ok(Day { pods, faults, said })
}

/// Gives the calls to a service (`CALLER_CALLEE`) to every pod of it.
fn hand_out(pods: &mut BTreeMap<String, Vec<Metric>>, calls: Vec<(String, Metric)>, said: &mut Vec<String>) {
    let services: BTreeSet<String> = pods.keys().map(|pod| service_of(pod).to_owned()).collect();
    let mut nobody = BTreeSet::new();
    for (edge, metric) in calls {
        // a service may have an underscore in its name: the longest one that ends the edge
        let callee = edge
            .match_indices('_')
            .filter(|(at, _)| *at > 0)
            .map(|(at, _)| &edge[at + 1..])
            .find(|callee| services.contains(*callee));
        let Some(callee) = callee else {
            nobody.insert(edge);
            continue;
        };
        for (_, metrics) in pods.iter_mut().filter(|(pod, _)| service_of(pod) == callee) {
            metrics.push(metric.clone());
        }
    }
    if !nobody.is_empty() {
        let edges = nobody.into_iter().collect::<Vec<_>>().join(", ");
        said.push(format!("no pod takes the calls {edges}"));
    }
}

/// A fault as the list has it: by a clock, which may be a local one though nothing says so, and since the epoch.
struct Listed {
    times: [Option<i64>; 2],
    pod: Option<String>,
    kind: String,
}

impl Listed {
    /// Which of the times is meant is known by the rows: the one that lies among them, the clock's first.
    fn within(self, covered: Option<(i64, i64)>) -> Fault {
        let lies = |at: &i64| covered.is_none_or(|(first, last)| (first..=last).contains(at));
        let times = || self.times.into_iter().flatten();
        Fault { at: times().find(lies).or_else(|| times().next()), pod: self.pod, kind: self.kind }
    }

    fn apart(&self) -> Option<String> {
        let [Some(clock), Some(epoch)] = self.times else { return None };
        let minutes = (clock - epoch) / 60;
        ((clock - epoch).abs() > APART_S).then(|| {
            let (kind, pod) = (&self.kind, self.pod.as_deref().unwrap_or("no pod"));
            format!(
                "{kind} on {pod}: inject_time is {minutes} min from inject_timestamp; the one among the rows counts"
            )
        })
    }
}

/// All objects of the list that name a fault, in lists by the hour or in one.
fn faults(json: &Value) -> Vec<Listed> {
    match json {
        Value::Array(list) => list.iter().flat_map(faults).collect(),
        Value::Object(map) if map.keys().any(|key| key.starts_with("inject_")) => vec![fault(json)],
        Value::Object(map) => map.values().flat_map(faults).collect(),
        _ => Vec::new(),
    }
}

fn fault(json: &Value) -> Listed {
    let text = |name: &str| match &json[name] {
        Value::String(text) if !text.trim().is_empty() => Some(text.trim().to_owned()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    };
    let times = ["inject_time", "inject_timestamp"].map(|name| seconds(&text(name)?));
    Listed { times, pod: text("inject_pod"), kind: text("inject_type").unwrap_or_else(|| "fault".to_owned()) }
}

struct Table {
    header: Vec<String>,
    rows: Vec<(i64, Vec<String>)>,
}

impl Table {
    /// Rows without a time are left out. The time is the column `Time`: `TimeStamp`, an epoch, is wrong in some rows and
    /// stands in only where there is no other.
    fn of(text: &str) -> Self {
        let mut lines = text.trim_start_matches('\u{feff}').lines().map(fields);
        let header = lines.next().unwrap_or_default();
        let named = |name: &str| header.iter().position(|h| h.eq_ignore_ascii_case(name));
        let time = named("time").or_else(|| named("timestamp")).unwrap_or(0);
        let mut rows: Vec<(i64, Vec<String>)> = lines.filter_map(|row| Some((seconds(row.get(time)?)?, row))).collect();
        rows.sort_by_key(|(at, _)| *at);
        Self { header, rows }
    }

    fn column(&self, index: usize) -> Vec<(i64, f64)> {
        let value = |row: &[String]| row.get(index).and_then(|v| v.parse().ok()).unwrap_or(f64::NAN);
        self.rows.iter().map(|(at, row)| (*at, value(row))).collect()
    }
}

/// No field of these files holds a comma, so quotes are only taken off.
fn fields(line: &str) -> Vec<String> {
    line.split(',').map(|field| field.trim().trim_matches('"').to_owned()).collect()
}

/// `2022-08-22 03:51:19...`, in UTC or with a difference like `+0800`, or a number since the epoch in seconds, or in parts
/// of them that its size tells, as seconds since the epoch.
pub fn seconds(text: &str) -> Option<i64> {
    if let Ok(number) = text.parse::<f64>() {
        return epoch(number);
    }
    let number = |range: std::ops::Range<usize>| text.get(range)?.parse::<i64>().ok();
    let (year, month, day) = (number(0..4)?, number(5..7)?, number(8..10)?);
    let (hour, minute, second) = (number(11..13)?, number(14..16)?, number(17..19)?);
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    // days since the epoch, by a year that begins in March
    let (y, m) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = 365 * y + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + day - 1 - 719_468;
    Some(days * 86_400 + hour * 3_600 + minute * 60 + second - offset_s(text.get(19..)?))
}

/// Seconds that a clock with `+0800` or `+08:00` in it is ahead of UTC; none is UTC.
fn offset_s(rest: &str) -> i64 {
    let Some(at) = rest.find(['+', '-']) else { return 0 };
    let digits: String = rest[at + 1..].chars().filter(|c| *c != ':').take_while(char::is_ascii_digit).collect();
    let Some((hours, minutes)) = digits.split_at_checked(2).filter(|(_, m)| m.len() == 2) else { return 0 };
    let ahead = hours.parse().unwrap_or(0) * 3_600 + minutes.parse().unwrap_or(0) * 60;
    if rest[at..].starts_with('-') { -ahead } else { ahead }
}

/// Seconds, milliseconds, microseconds or nanoseconds: each is a thousand times what the one before can be.
fn epoch(number: f64) -> Option<i64> {
    const SECONDS_MAX: f64 = 1e11;
    if !number.is_finite() || number <= 0.0 {
        return None;
    }
    let mut seconds = number;
    while seconds >= SECONDS_MAX {
        seconds /= 1_000.0;
    }
    Some(seconds as i64)
}
