//! The dashboard of what comes in and of what does not: packets, bad lines, drops by the kernel and how full its queues are,
//! what was refused or lost, scrapes that failed, what waits to be sent on. Out of the server's own metrics.

use super::dashboards::{Dashboard, Panel};
use super::drawn::{page, panel};

/// Its name.
pub(super) const INGEST: &str = "ingest";

/// Counters of whatever is not scraped.
const CAME_IN: [&str; 4] = [
    "tenfold_statsd_packets_total",
    "tenfold_ganglia_packets_total",
    "tenfold_collectd_packets_total",
    "tenfold_push_requests_total",
];

impl super::State {
    /// Whether anything comes in, or is to be fetched.
    pub(super) fn takes_in(&self) -> bool {
        self.own.any(&CAME_IN) || !self.targets().is_empty() || self.has_pushed()
    }
}

/// Queries of the server's own metrics; `$rate(NAME)` stands for their rate and `$now(NAME)` for what they are, with more
/// matchers behind a comma.
fn own(title: &str, unit: &str, queries: &[(&str, &str)]) -> Panel {
    let filled: Vec<(String, &str)> = queries.iter().map(|(expr, legend)| (fill(expr), *legend)).collect();
    let filled: Vec<(&str, &str)> = filled.iter().map(|(expr, legend)| (expr.as_str(), *legend)).collect();
    panel(title, unit, &filled)
}

fn fill(expr: &str) -> String {
    let mut out = String::with_capacity(expr.len() * 2);
    let mut rest = expr;
    while let Some((before, after)) = rest.split_once('$') {
        out.push_str(before);
        let (what, after) = after.split_once('(').unwrap_or((after, ""));
        let (inside, after) = after.split_once(')').unwrap_or((after, ""));
        let (name, more) = inside.split_once(',').map_or((inside, String::new()), |(n, more)| (n, format!(",{more}")));
        let selected = format!("{name}{{job=\"tenfold\"{more}}}");
        let asked = if what == "rate" { format!("rate({selected}[1m])") } else { selected };
        out.push_str(&asked);
        rest = after;
    }
    out.push_str(rest);
    out
}

pub(super) fn ingest() -> Dashboard {
    let panels = [came_in(), queues(), left_out(), scraped(), sent_on()].into_iter().flatten().collect();
    Dashboard { title: "Ingest".into(), ..page(INGEST, panels) }
}

fn came_in() -> Vec<Panel> {
    vec![
        own("Samples kept", "ops", &[("sum($rate(tenfold_samples_appended_total))", "kept")]),
        own(
            "Samples by source",
            "ops",
            &[
                ("sum by (job) (sum_over_time(scrape_samples_post_metric_relabeling[1m])) / 60", "scraped {{job}}"),
                ("topk(10, sum by (protocol, source) ($rate(tenfold_push_samples_total)))", "{{protocol}} {{source}}"),
            ],
        ),
        own(
            "Packets",
            "ops",
            &[
                ("sum by (transport) ($rate(tenfold_statsd_packets_total))", "StatsD {{transport}}"),
                ("sum($rate(tenfold_ganglia_packets_total))", "Ganglia"),
                ("sum($rate(tenfold_collectd_packets_total))", "collectd"),
            ],
        ),
        own(
            "Pushed requests",
            "ops",
            &[("sum by (protocol, outcome) ($rate(tenfold_push_requests_total))", "{{protocol}} {{outcome}}")],
        ),
    ]
}

fn queues() -> Vec<Panel> {
    vec![
        own(
            "Socket queues, how full",
            "ratio",
            &[
                (
                    "$now(tenfold_socket_queue_bytes) / $now(tenfold_socket_queue_bytes_max)",
                    "{{protocol}} {{transport}}",
                ),
                (
                    "$now(tenfold_socket_queue_packets) / $now(tenfold_socket_queue_packets_max)",
                    "{{protocol}} {{transport}}",
                ),
            ],
        ),
        own(
            "Dropped by the kernel",
            "ops",
            &[
                ("sum by (transport) ($rate(tenfold_statsd_dropped_total))", "StatsD {{transport}}"),
                ("sum($rate(tenfold_graphite_dropped_total))", "Graphite"),
                ("sum($rate(tenfold_ganglia_dropped_total))", "Ganglia"),
                ("sum($rate(tenfold_collectd_dropped_total))", "collectd"),
            ],
        ),
    ]
}

fn left_out() -> Vec<Panel> {
    vec![
        own(
            "Bad lines",
            "ops",
            &[
                ("sum by (transport) ($rate(tenfold_statsd_bad_lines_total))", "StatsD {{transport}}"),
                (
                    "sum by (protocol) ($rate(tenfold_push_refused_total,reason=~\"bad_line|bad_packet\"))",
                    "{{protocol}}",
                ),
                (
                    "sum by (protocol) ($rate(tenfold_push_requests_total,outcome=\"unreadable\"))",
                    "{{protocol}}, whole requests",
                ),
            ],
        ),
        own(
            "Refused",
            "ops",
            &[
                ("sum by (protocol, reason) ($rate(tenfold_push_refused_total))", "{{protocol}} {{reason}}"),
                ("sum by (reason) ($rate(tenfold_samples_rejected_total))", "the store: {{reason}}"),
                ("sum by (reason) ($rate(tenfold_exemplars_rejected_total))", "exemplars: {{reason}}"),
                ("sum($rate(tenfold_statsd_refused_total))", "StatsD"),
                ("sum($rate(tenfold_own_series_refused_total))", "the server's own"),
            ],
        ),
        own(
            "Lost",
            "ops",
            &[
                ("sum by (protocol) ($rate(tenfold_push_lost_total))", "{{protocol}}"),
                ("sum($rate(tenfold_statsd_lost_samples_total))", "StatsD"),
                ("sum($rate(tenfold_remote_write_lost_samples_total))", "not sent on"),
            ],
        ),
    ]
}

fn scraped() -> Vec<Panel> {
    vec![
        own(
            "Failed scrapes in 5 minutes",
            "short",
            &[("sum by (job) (count_over_time(up[5m]) - sum_over_time(up[5m]))", "{{job}}")],
        ),
        own("Targets", "short", &[("sum(up)", "up"), ("count(up)", "known")]),
        own(
            "Over a limit",
            "ops",
            &[(
                "sum by (exported_job, limit) ($rate(tenfold_scrape_limit_exceeded_total))",
                "{{exported_job}} {{limit}}",
            )],
        ),
        // Of the hosts, not of this server.
        panel(
            "Series that agents had no room for",
            "short",
            &[("topk(10, sum by (instance) (tenfold_agent_series_dropped)) > 0", "{{instance}}")],
        ),
        own(
            "Discovery that failed",
            "ops",
            &[("sum by (exported_job, kind) ($rate(tenfold_discovery_failures_total))", "{{exported_job}} {{kind}}")],
        ),
    ]
}

fn sent_on() -> Vec<Panel> {
    vec![
        own(
            "Queue of remote write, how full",
            "ratio",
            &[("$now(tenfold_remote_write_queue_bytes) / $now(tenfold_remote_write_queue_bytes_max)", "{{receiver}}")],
        ),
        own(
            "Sent on",
            "ops",
            &[
                ("sum by (receiver) ($rate(tenfold_remote_write_samples_total))", "{{receiver}}"),
                ("sum by (receiver) ($rate(tenfold_remote_write_refused_samples_total))", "{{receiver}} refused"),
                ("sum by (receiver) ($rate(tenfold_remote_write_dropped_samples_total))", "{{receiver}} dropped"),
                ("sum by (receiver) ($rate(tenfold_remote_write_retries_total))", "{{receiver}} tried again"),
            ],
        ),
        own(
            "Series",
            "short",
            &[
                ("$now(tenfold_tsdb_series)", "known"),
                ("$now(tenfold_tsdb_active_series)", "active"),
                ("$now(tenfold_tsdb_series_max)", "limit of active"),
            ],
        ),
    ]
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::metrics::check_dashboard;

    #[test]
    fn what_is_drawn_is_right() {
        let page = ingest();
        check_dashboard(&page).expect("its queries parse");
        let expr = |title: &str| {
            let panel = page.panels.iter().find(|p| p.title.starts_with(title)).expect(title);
            panel.queries[0].expr.clone()
        };
        assert_eq!(expr("Samples kept"), "sum(rate(tenfold_samples_appended_total{job=\"tenfold\"}[1m]))");
        assert_eq!(
            expr("Socket queues"),
            "tenfold_socket_queue_bytes{job=\"tenfold\"} / tenfold_socket_queue_bytes_max{job=\"tenfold\"}"
        );
        assert_eq!(
            fill("sum($rate(a,b=~\"c|d\")) + $now(e)"),
            "sum(rate(a{job=\"tenfold\",b=~\"c|d\"}[1m])) + e{job=\"tenfold\"}"
        );
    }

    /// The sources of the crates that count, this file aside.
    fn sources(folder: &Path, all: &mut String) {
        for entry in std::fs::read_dir(folder).expect("a folder of sources") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                sources(&path, all);
            } else if path.extension().is_some_and(|e| e == "rs") && !path.ends_with("ingest_page.rs") {
                all.push_str(&std::fs::read_to_string(&path).expect("a source"));
            }
        }
    }

    #[test]
    fn each_name_is_one_that_is_counted() {
        let crates = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the folder of the crates");
        let mut written = String::new();
        for folder in ["app/src", "ingest/src", "protocols/src"] {
            sources(&crates.join(folder), &mut written);
        }
        let page = ingest();
        let words = page.panels.iter().flat_map(|p| &p.queries).flat_map(|q| {
            q.expr.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').filter(|w| w.starts_with("tenfold_"))
        });
        let mut seen = 0;
        for name in words {
            assert!(written.contains(&format!("\"{name}\"")), "nobody counts {name}");
            seen += 1;
        }
        assert!(seen > 20, "only {seen} names");
    }
}
