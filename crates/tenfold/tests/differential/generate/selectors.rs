//! Selectors of what `data` writes, with matchers of every kind, offsets and `@`.

use super::Exact::{Dyadic, Same};
use super::{Exact, Generator, Node};

/// A metric: its labels with values, and what is known of its values.
pub(super) struct Metric {
    pub(super) name: &'static str,
    pub(super) labels: &'static [(&'static str, &'static [&'static str])],
    pub(super) exact: Exact,
    pub(super) counter: bool,
    pub(super) distinct: bool,
}

const JOBS: &[&str] = &["api", "web"];
const INSTANCES: &[&str] = &["a", "b", "c"];

const fn metric(
    name: &'static str,
    labels: &'static [(&'static str, &'static [&'static str])],
    exact: Exact,
    counter: bool,
    distinct: bool,
) -> Metric {
    Metric { name, labels, exact, counter, distinct }
}

const METRICS: &[Metric] = &[
    metric("requests_total", &[("job", JOBS), ("instance", INSTANCES), ("code", &["200", "500"])], Dyadic, true, false),
    metric("load", &[("job", JOBS), ("instance", INSTANCES)], Dyadic, false, true),
    metric("temperature", &[("job", JOBS), ("zone", &["north", "south"])], Dyadic, false, true),
    metric("up", &[("job", JOBS), ("instance", INSTANCES)], Dyadic, false, false),
    metric("limits", &[("instance", INSTANCES)], Dyadic, false, true),
    metric("owner", &[("job", JOBS), ("team", &["core", "front"])], Dyadic, false, false),
    metric("paths", &[("job", JOBS), ("path", &["/x.y", "/ü/日本", ""])], Dyadic, false, true),
    metric("ended", &[("job", JOBS), ("instance", INSTANCES)], Dyadic, false, true),
    metric("sparse", &[("instance", INSTANCES)], Dyadic, false, true),
    metric("odd", &[("kind", &["nan", "inf", "mixed", "zero", "huge", "tiny"])], Same, false, false),
    metric(
        "latency_seconds_bucket",
        &[("job", JOBS), ("instance", INSTANCES), ("le", &["0.1", "0.5", "1", "2.5", "+Inf"])],
        Dyadic,
        true,
        false,
    ),
    metric("latency_seconds_count", &[("job", JOBS), ("instance", INSTANCES)], Dyadic, true, false),
    metric("latency_seconds_sum", &[("job", JOBS), ("instance", INSTANCES)], Dyadic, true, false),
];

impl Generator {
    pub(super) fn duration(&mut self) -> &'static str {
        self.random.pick::<&str>(&["31s", "45s", "1m", "2m", "5m", "7m30s", "10m", "20m", "1h"])
    }

    /// `offset` and `@`, in either order, now and then.
    pub(super) fn shift(&mut self) -> String {
        let offset = match self.random.below(12) {
            // Whole multiples of five seconds, so that steps of subqueries stay off the ends of windows.
            0 | 1 => format!(" offset {}", self.random.pick(&["30s", "1m", "5m", "25m"])),
            2 => format!(" offset -{}", self.random.pick(&["35s", "2m"])),
            _ => String::new(),
        };
        let at = match self.random.below(14) {
            0 => " @ 1700004321.123".to_owned(),
            1 => " @ start()".to_owned(),
            2 => " @ end()".to_owned(),
            _ => String::new(),
        };
        if self.random.chance(0.5) { format!("{offset}{at}") } else { format!("{at}{offset}") }
    }

    pub(super) fn matchers(&mut self, metric: &Metric) -> Vec<String> {
        let mut out = Vec::new();
        for (label, values) in metric.labels {
            if !self.random.chance(0.25) {
                continue;
            }
            let value = *self.random.pick(values);
            let other = *self.random.pick(values);
            let escaped = value.replace('.', "\\\\.").replace('+', "\\\\+");
            out.push(match self.random.below(10) {
                0..=2 => format!("{label}=\"{value}\""),
                3 => format!("{label}!='{value}'"),
                4 => format!("{label}=~\"{escaped}|{}\"", other.replace('.', "\\\\.").replace('+', "\\\\+")),
                5 => format!("{label}!~\"{escaped}\""),
                6 => format!("{label}=~\".+\""),
                7 => {
                    format!(
                        "{label}=~\"(?i){}.*\"",
                        escaped.to_uppercase().chars().next().map_or(String::new(), |c| {
                            if c.is_alphanumeric() { c.to_string() } else { String::new() }
                        })
                    )
                }
                8 => format!("{label}!=\"\""),
                _ => format!("{label}=~`[abcw].*|{escaped}`"),
            });
        }
        if self.random.chance(0.08) {
            out.push(
                (*self.random.pick(&["none=\"\"", "none!=\"x\"", "none=~\".*\"", "none=\"x\"", "none!~\"\""]))
                    .to_owned(),
            );
        }
        out
    }

    /// A selector without shift.
    pub(super) fn selector(&mut self, wanted: fn(&Metric) -> bool) -> Node {
        let fitting: Vec<&Metric> = METRICS.iter().filter(|m| wanted(m)).collect();
        let metric = *self.random.pick(&fitting);
        let mut matchers = self.matchers(metric);
        let mut node = Node::new(String::new(), metric.exact);
        (node.counter, node.distinct) = (metric.counter, metric.distinct);
        node.text = match self.random.below(20) {
            0 => {
                matchers.insert(0, format!("__name__=\"{}\"", metric.name));
                format!("{{{}}}", matchers.join(","))
            }
            1 if !metric.counter => {
                node.distinct = false;
                matchers.insert(0, format!("__name__=~\"{}|limits\"", metric.name));
                format!("{{{}}}", matchers.join(", "))
            }
            _ if matchers.is_empty() => metric.name.to_owned(),
            _ => format!("{}{{{}}}", metric.name, matchers.join(",")),
        };
        node
    }

    pub(super) fn instant_selector(&mut self, wanted: fn(&Metric) -> bool) -> Node {
        let mut node = self.selector(wanted);
        node.text.push_str(&self.shift());
        node
    }
}
