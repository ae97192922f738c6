//! Which graphs a service gets, by the names its series have: requests, errors and how long answers take (RED), then what
//! it runs short of (saturation). Pure.
//!
//! The conventions are tables (`requests`, `saturation`); each row says whose names they are. A new library is a new row.
//! Nothing here decides by a service's name what it is: only names and labels of series count.

mod requests;
mod saturation;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use super::dashboards::Panel;
use super::drawn::panel;

/// Lines of one panel that is made of whatever names fit a pattern.
const LINES_MAX: usize = 8;
/// The window at least of rates of what may be sent once a minute, as OpenTelemetry's exporters do by default.
const PUSHED_WINDOW_S: u64 = 300;
/// What counters begin with that are the runtime's, the exporter's or ours, and say nothing of what the service does.
const NOT_ITS_OWN: [&str; 17] = [
    "container_",
    "dotnet_",
    "ganglia_",
    "go_",
    "grpc_",
    "http_",
    "jvm_",
    "namedprocess_",
    "net_conntrack_",
    "node_",
    "nodejs_",
    "otel_",
    "process_",
    "promhttp_",
    "python_",
    "rpc_",
    "tenfold_",
];

/// A metric as the service has it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Shape {
    /// The labels of its series.
    pub labels: BTreeSet<String>,
    /// Its series are native histograms.
    pub native: bool,
}

/// The metrics of a service that one selector finds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Names {
    /// Matchers, as they stand between braces; none where the names alone say whose they are.
    pub of: String,
    /// What its own names may begin with (`photos_`), which conventions do not know of.
    pub prefix: String,
    /// The window of rates, in seconds.
    pub window_s: u64,
    /// Several environments have them: each gets lines of its own.
    pub split: bool,
    pub by_name: BTreeMap<String, Shape>,
}

impl Names {
    /// A metric by the name that a convention gives it: its full name and its shape.
    fn get(&self, name: &str) -> Option<(&str, &Shape)> {
        let found = self.by_name.get_key_value(name);
        found.or_else(|| self.by_name.get_key_value(&format!("{}{name}", self.prefix))).map(|(n, s)| (n.as_str(), s))
    }

    /// `name{matchers,more}`.
    fn select(&self, name: &str, more: &str) -> String {
        let matchers: Vec<&str> = [self.of.as_str(), more].into_iter().filter(|m| !m.is_empty()).collect();
        if matchers.is_empty() { name.to_owned() } else { format!("{name}{{{}}}", matchers.join(",")) }
    }

    /// The window of rates, of at least so many seconds, as PromQL writes it.
    fn window(&self, seconds_min: u64) -> String {
        let seconds = self.window_s.max(seconds_min);
        if seconds.is_multiple_of(60) { format!("{}m", seconds / 60) } else { format!("{seconds}s") }
    }

    /// ` by (a, b) ` behind an aggregation, with the environment where there are several.
    fn by(&self, labels: &[&str]) -> String {
        let all: Vec<&str> = labels.iter().copied().chain(self.split.then_some("environment")).collect();
        if all.is_empty() { String::new() } else { format!(" by ({}) ", all.join(", ")) }
    }

    /// The name of a line, with the environment where there are several.
    fn legend(&self, text: &str) -> String {
        if self.split { format!("{{{{environment}}}} {text}") } else { text.to_owned() }
    }

    /// A name without what all of the service's begin with.
    fn short<'n>(&self, name: &'n str) -> &'n str {
        name.strip_prefix(self.prefix.as_str()).unwrap_or(name)
    }
}

/// The panels for what there is; empty where no name is known.
pub(super) fn conventions(names: &Names) -> Vec<Panel> {
    let mut panels = requests::panels(names);
    panels.extend(saturation::panels(names));
    let used: String = panels.iter().flat_map(|p| &p.queries).map(|q| q.expr.as_str()).collect::<Vec<_>>().join(" ");
    panels.extend(counters(names, &used));
    panels.extend(timers(names, &used));
    if names.by_name.contains_key("up") {
        let up = names.select("up", "");
        panels.push(panel(
            "Targets up",
            "short",
            &[(format!("sum({up})").as_str(), "up"), (format!("count({up})").as_str(), "known")],
        ));
    }
    panels
}

/// Panels of several selectors as one page: of each title the first, in the order of the page.
pub(super) fn merged(found: &[Names]) -> Vec<Panel> {
    let mut all: Vec<Panel> = Vec::new();
    for panel in found.iter().flat_map(conventions) {
        if !all.iter().any(|known| known.title == panel.title) {
            all.push(panel);
        }
    }
    let own = ["Counters", "Timers", "Targets up"];
    let order = requests::TITLES.iter().chain(&saturation::TITLES).chain(&own);
    let place = |panel: &Panel| order.clone().position(|title| *title == panel.title);
    all.sort_by_key(place);
    all
}

/// Whether a page says how many requests there are.
pub(super) fn counts_requests(panels: &[Panel]) -> bool {
    panels.iter().any(|panel| requests::TITLES.contains(&panel.title.as_str()))
}

/// The names that requests are looked for under, one of each convention.
pub(super) fn looked_for() -> Vec<&'static str> {
    requests::names().collect()
}

/// Whether the labels of a metric are worth a look: only what a convention may name.
pub(super) fn may_name(name: &str, prefix: &str) -> bool {
    let bare = name.strip_prefix(prefix).unwrap_or(name);
    [name, bare].into_iter().any(|n| {
        let base = ["_bucket", "_count", "_sum"].into_iter().find_map(|suffix| n.strip_suffix(suffix)).unwrap_or(n);
        n == "up" || base.ends_with("_seconds") || requests::knows(n, base) || saturation::knows(n)
    })
}

/// Counters of the service that no convention names: what it counts of its own.
fn counters(names: &Names, used: &str) -> Option<Panel> {
    let own = names.by_name.keys().filter(|name| {
        let counter = name.ends_with("_total") && !NOT_ITS_OWN.iter().any(|start| name.starts_with(start));
        counter && !used.contains(name.as_str())
    });
    let line = |name: &String| {
        let rate = format!("sum{}(rate({}[{}]))", names.by(&[]), names.select(name, ""), names.window(0));
        (rate, names.legend(names.short(name).trim_end_matches("_total")))
    };
    several("Counters", "ops", own.map(line))
}

/// Timers as StatsD's `|ms` makes them (summaries in seconds) that no convention names.
fn timers(names: &Names, used: &str) -> Option<Panel> {
    let own = names.by_name.iter().filter(|(name, shape)| {
        let timer = name.ends_with("_seconds") && shape.labels.contains("quantile");
        timer && !NOT_ITS_OWN.iter().any(|start| name.starts_with(start)) && !used.contains(name.as_str())
    });
    let line = |(name, _): (&String, &Shape)| {
        let slow = format!("max{}({})", names.by(&[]), names.select(name, "quantile=\"0.95\""));
        (slow, names.legend(&format!("{} p95", names.short(name).trim_end_matches("_seconds"))))
    };
    several("Timers", "seconds", own.map(line))
}

/// A panel of as many lines as it may have; none of no lines.
fn several(title: &str, unit: &str, lines: impl Iterator<Item = (String, String)>) -> Option<Panel> {
    let lines: Vec<_> = lines.take(LINES_MAX).collect();
    let lines: Vec<(&str, &str)> = lines.iter().map(|(expr, legend)| (expr.as_str(), legend.as_str())).collect();
    (!lines.is_empty()).then(|| panel(title, unit, &lines))
}
