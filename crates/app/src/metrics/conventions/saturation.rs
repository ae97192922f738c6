//! What a service runs short of: processors and memory against their limits, open files, time held back by the kernel,
//! threads, queues, connections, the collector.
//!
//! Sources: the process collectors of Prometheus' client libraries, the Go, Java, Node.js and .NET runtimes as those and
//! Micrometer and OpenTelemetry name them, cAdvisor's names for control groups, process-exporter's for what an agent here
//! says of each service. Queues and pools are known by how their names end.

use super::{LINES_MAX, Names, PUSHED_WINDOW_S, several};
use crate::metrics::dashboards::Panel;
use crate::metrics::drawn::panel;

/// In the order of the page.
pub(super) const TITLES: [&str; 13] = [
    "In flight",
    "Processors",
    "Memory",
    "Heap",
    "Open files",
    "Held back by the kernel",
    "Queues",
    "Connections",
    "Threads",
    "Garbage collection",
    "Collections",
    "Event loop delay",
    "Restarts in an hour",
];

/// One way to draw a panel.
pub(super) struct Row {
    pub title: &'static str,
    pub unit: &'static str,
    /// Metrics that must be there, each with a label that it must have, if any.
    pub needs: &'static [(&'static str, &'static str)],
    /// Expressions and legends. `$0` and `$1` stand for the metrics, `$of` for the matchers, `$who` for the label that tells
    /// processes apart, `$w` and `$o` for the windows of what is scraped and of what is sent once a minute.
    pub lines: &'static [(&'static str, &'static str)],
    /// A limit: drawn into the panel of its title where there is one, and never alone.
    pub limit: bool,
}

const fn row(
    title: &'static str,
    unit: &'static str,
    needs: &'static [(&'static str, &'static str)],
    lines: &'static [(&'static str, &'static str)],
) -> Row {
    Row { title, unit, needs, lines, limit: false }
}

const fn limit(
    title: &'static str,
    needs: &'static [(&'static str, &'static str)],
    lines: &'static [(&'static str, &'static str)],
) -> Row {
    Row { title, unit: "", needs, lines, limit: true }
}

const EACH: &[(&str, &str)] = &[("$0{$of}", "{{$who}}")];
const SUMMED: &[(&str, &str)] = &[("sum by ($who) ($0{$of})", "{{$who}}")];
const RATE: &[(&str, &str)] = &[("sum by ($who) (rate($0{$of}[$w]))", "{{$who}}")];
const RATE_PUSHED: &[(&str, &str)] = &[("sum by ($who) (rate($0{$of}[$o]))", "{{$who}}")];
const RATIO: &[(&str, &str)] = &[("$0{$of} / $1{$of}", "{{$who}}")];
const LIMIT: &[(&str, &str)] = &[("max($0{$of})", "limit")];

/// Of one title the first row counts whose metrics are there.
pub(super) const ROWS: &[Row] = &[
    row("In flight", "short", &[("http_requests_in_flight", "")], SUMMED),
    row("In flight", "short", &[("http_requests_in_progress", "")], SUMMED),
    row("In flight", "short", &[("http_requests_inprogress", "")], SUMMED),
    row("In flight", "short", &[("http_server_active_requests", "")], SUMMED),
    row("In flight", "short", &[("starlette_requests_in_progress", "")], SUMMED),
    row("In flight", "short", &[("envoy_cluster_upstream_rq_active", "")], SUMMED),
    row("Processors", "short", &[("process_cpu_seconds_total", "")], RATE),
    row("Processors", "short", &[("container_cpu_usage_seconds_total", "")], RATE),
    row("Processors", "short", &[("process_cpu_time_seconds_total", "")], RATE_PUSHED),
    row("Processors", "short", &[("jvm_cpu_time_seconds_total", "")], RATE_PUSHED),
    row(
        "Processors",
        "short",
        &[("process_cpu_usage", ""), ("system_cpu_count", "")],
        &[("$0{$of} * $1{$of}", "{{$who}}")],
    ),
    row("Processors", "short", &[("namedprocess_namegroup_cpu_seconds_total", "")], RATE),
    limit(
        "Processors",
        &[("container_spec_cpu_quota", ""), ("container_spec_cpu_period", "")],
        &[("max(($0{$of} > 0) / $1{$of})", "limit")],
    ),
    limit("Processors", &[("go_sched_gomaxprocs_threads", "")], LIMIT),
    limit("Processors", &[("jvm_cpu_count", "")], LIMIT),
    limit("Processors", &[("system_cpu_count", "")], LIMIT),
    row("Memory", "bytes", &[("process_resident_memory_bytes", "")], EACH),
    row("Memory", "bytes", &[("container_memory_working_set_bytes", "")], SUMMED),
    row("Memory", "bytes", &[("process_memory_usage_bytes", "")], EACH),
    row("Memory", "bytes", &[("dotnet_process_memory_working_set_bytes", "")], EACH),
    row(
        "Memory",
        "bytes",
        &[("namedprocess_namegroup_memory_bytes", "memtype")],
        &[("$0{$of,memtype=\"resident\"}", "{{$who}}")],
    ),
    limit("Memory", &[("container_spec_memory_limit_bytes", "")], &[("max($0{$of} > 0)", "limit")]),
    row(
        "Heap",
        "bytes",
        &[("jvm_memory_used_bytes", "area"), ("jvm_memory_max_bytes", "area")],
        &[
            ("sum by ($who) ($0{$of,area=\"heap\"})", "{{$who}}"),
            ("max(sum by ($who) ($1{$of,area=\"heap\"} > 0))", "limit"),
        ],
    ),
    row(
        "Heap",
        "bytes",
        &[("jvm_memory_used_bytes", "jvm_memory_type"), ("jvm_memory_limit_bytes", "jvm_memory_type")],
        &[
            ("sum by ($who) ($0{$of,jvm_memory_type=\"heap\"})", "{{$who}}"),
            ("max(sum by ($who) ($1{$of,jvm_memory_type=\"heap\"}))", "limit"),
        ],
    ),
    row(
        "Heap",
        "bytes",
        &[("nodejs_heap_size_used_bytes", ""), ("nodejs_heap_size_total_bytes", "")],
        &[("$0{$of}", "{{$who}}"), ("max($1{$of})", "taken from the system")],
    ),
    row(
        "Heap",
        "bytes",
        &[("go_memstats_heap_alloc_bytes", ""), ("go_memstats_next_gc_bytes", "")],
        &[("$0{$of}", "{{$who}}"), ("max($1{$of})", "next collection")],
    ),
    row("Open files", "ratio", &[("process_open_fds", ""), ("process_max_fds", "")], RATIO),
    row("Open files", "ratio", &[("process_files_open_files", ""), ("process_files_max_files", "")], RATIO),
    row("Open files", "ratio", &[("jvm_file_descriptor_count", ""), ("jvm_file_descriptor_limit", "")], RATIO),
    row("Open files", "ratio", &[("namedprocess_namegroup_worst_fd_ratio", "")], EACH),
    row(
        "Held back by the kernel",
        "ratio",
        &[("container_cpu_cfs_throttled_periods_total", ""), ("container_cpu_cfs_periods_total", "")],
        &[("sum by ($who) (rate($0{$of}[$w])) / sum by ($who) (rate($1{$of}[$w]))", "{{$who}}")],
    ),
    row("Held back by the kernel", "ratio", &[("container_cpu_cfs_throttled_seconds_total", "")], RATE),
    row("Held back by the kernel", "ratio", &[("container_pressure_cpu_waiting_seconds_total", "")], RATE),
    row("Threads", "short", &[("go_goroutines", "")], EACH),
    row("Threads", "short", &[("jvm_threads_live_threads", "")], EACH),
    row("Threads", "short", &[("jvm_threads_current", "")], EACH),
    row("Threads", "short", &[("jvm_thread_count", "")], SUMMED),
    row("Threads", "short", &[("process_threads", "")], EACH),
    row("Threads", "short", &[("namedprocess_namegroup_num_threads", "")], SUMMED),
    row("Garbage collection", "ratio", &[("go_gc_duration_seconds_sum", "")], RATE),
    row("Garbage collection", "ratio", &[("jvm_gc_pause_seconds_sum", "")], RATE),
    row("Garbage collection", "ratio", &[("jvm_gc_collection_seconds_sum", "")], RATE),
    row("Garbage collection", "ratio", &[("jvm_gc_duration_seconds_sum", "")], RATE_PUSHED),
    row("Garbage collection", "ratio", &[("nodejs_gc_duration_seconds_sum", "")], RATE),
    row("Garbage collection", "ratio", &[("dotnet_gc_pause_time_seconds_total", "")], RATE_PUSHED),
    row("Collections", "ops", &[("python_gc_collections_total", "")], RATE),
    row("Collections", "ops", &[("dotnet_collection_count_total", "")], RATE),
    row("Event loop delay", "seconds", &[("nodejs_eventloop_lag_p99_seconds", "")], EACH),
    row("Event loop delay", "seconds", &[("nodejs_eventloop_delay_p99_seconds", "")], EACH),
    row(
        "Restarts in an hour",
        "short",
        &[("process_start_time_seconds", "")],
        &[("sum by ($who) (changes($0{$of}[1h]))", "{{$who}}")],
    ),
];

/// How the names end of what waits for its turn.
pub(super) const QUEUES: [&str; 9] = [
    "_queue_length",
    "_queue_size",
    "_queue_depth",
    "_queue_messages",
    "_queued",
    "_queued_tasks",
    "_backlog",
    "_pending_requests",
    "_jobs_waiting",
];
/// How the names end of connections and the pools they are taken from.
pub(super) const CONNECTIONS: [&str; 14] = [
    "_connections",
    "_connections_active",
    "_connections_idle",
    "_connections_pending",
    "_connections_max",
    "_connections_open",
    "_connections_in_use",
    "_in_use_connections",
    "_idle_connections",
    "_open_connections",
    "_max_open_connections",
    "client_connections_usage",
    "client_connection_count",
    "client_connection_max",
];
/// Labels by which a pool says what its connections do, or a queue which it is.
const KINDS: [&str; 6] = ["state", "db_client_connection_state", "queue", "name", "pool", "db_name"];
/// Labels that tell processes apart, the plainest first.
const WHO: [&str; 5] = ["host", "instance", "pod", "container", "service_instance_id"];

/// Whether a row names it, or its end says what it is.
pub(super) fn knows(name: &str) -> bool {
    ROWS.iter().any(|row| row.needs.iter().any(|(known, _)| *known == name))
        || ends(&QUEUES, name)
        || ends(&CONNECTIONS, name)
}

fn ends(all: &[&str], name: &str) -> bool {
    all.iter().any(|end| name.ends_with(end))
}

pub(super) fn panels(names: &Names) -> Vec<Panel> {
    let mut panels: Vec<Panel> = Vec::new();
    let mut limited: Vec<&str> = Vec::new();
    for row in ROWS {
        let drawn = panels.iter().position(|panel| panel.title == row.title);
        match (drawn, row.limit) {
            (None, false) => panels.extend(draw(names, row)),
            (Some(at), true) if !limited.contains(&row.title) => {
                if let Some(limit) = draw(names, row) {
                    panels[at].queries.extend(limit.queries);
                    limited.push(row.title);
                }
            }
            _ => {}
        }
    }
    panels.extend(by_ends(names, "Queues", &QUEUES));
    panels.extend(by_ends(names, "Connections", &CONNECTIONS));
    panels
}

fn draw(names: &Names, row: &Row) -> Option<Panel> {
    let mut found = Vec::with_capacity(row.needs.len());
    let mut who = "instance";
    for (name, label) in row.needs {
        let (full, shape) = names.get(name)?;
        if !label.is_empty() && !shape.labels.contains(*label) {
            return None;
        }
        if found.is_empty() {
            who = WHO.into_iter().find(|l| shape.labels.contains(*l)).unwrap_or(who);
        }
        found.push(full);
    }
    let (window, pushed) = (names.window(0), names.window(PUSHED_WINDOW_S));
    let fill = |text: &str| {
        let mut text = text.replace("$who", who).replace("$w", &window).replace("$o]", &format!("{pushed}]"));
        text = if names.of.is_empty() {
            text.replace("$of,", "").replace("{$of}", "")
        } else {
            text.replace("$of", &names.of)
        };
        found.iter().enumerate().fold(text, |text, (i, name)| text.replace(&format!("${i}"), name))
    };
    let lines: Vec<(String, String)> = row.lines.iter().map(|(expr, legend)| (fill(expr), fill(legend))).collect();
    let lines: Vec<(&str, &str)> = lines.iter().map(|(expr, legend)| (expr.as_str(), legend.as_str())).collect();
    Some(panel(row.title, row.unit, &lines))
}

/// A panel of what the names' ends tell.
fn by_ends(names: &Names, title: &str, all: &[&str]) -> Option<Panel> {
    let found = names.by_name.iter().filter(|(name, _)| ends(all, name)).take(LINES_MAX);
    let line = |(name, shape): (&String, &super::Shape)| {
        let kind = KINDS.into_iter().find(|label| shape.labels.contains(*label));
        let expr = format!("sum{}({})", names.by(kind.as_slice()), names.select(name, ""));
        let kind = kind.map_or_else(String::new, |label| format!(" {{{{{label}}}}}"));
        (expr, names.legend(&format!("{}{kind}", names.short(name))))
    };
    several(title, "short", found.map(line))
}
