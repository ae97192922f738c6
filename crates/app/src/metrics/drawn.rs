//! Dashboards that nobody wrote: of a service and of the hosts, by the names that are in use everywhere.

use super::dashboards::{Dashboard, Panel, PanelKind, PanelQuery};

/// The name of the hosts' dashboard.
pub(super) const HOSTS: &str = "hosts";

fn panel(title: &str, unit: &str, queries: &[(&str, &str)]) -> Panel {
    let query = |(expr, legend): &(&str, &str)| PanelQuery { expr: (*expr).into(), legend: (*legend).into() };
    Panel {
        title: title.into(),
        unit: unit.into(),
        kind: PanelKind::Graph,
        width: 1,
        queries: queries.iter().map(query).collect(),
        description: None,
    }
}

/// Requests, errors, latency, CPU and memory of a service, by the names that Prometheus' client libraries use.
pub(super) fn service(service: &str) -> Dashboard {
    // Written with `$of` for the matcher of the service.
    let panels = [
        panel("Requests", "ops", &[("sum by (code) (rate(http_requests_total{$of}[1m]))", "{{code}}")]),
        panel(
            "Error ratio",
            "ratio",
            &[(
                "(sum(rate(http_requests_total{$of,code=~\"5..\"}[1m])) or vector(0)) / sum(rate(http_requests_total{$of}[1m]))",
                "errors",
            )],
        ),
        panel(
            "Time to answer",
            "seconds",
            &[
                ("histogram_quantile(0.5, sum by (le) (rate(http_request_duration_seconds_bucket{$of}[1m])))", "p50"),
                ("histogram_quantile(0.95, sum by (le) (rate(http_request_duration_seconds_bucket{$of}[1m])))", "p95"),
                ("histogram_quantile(0.99, sum by (le) (rate(http_request_duration_seconds_bucket{$of}[1m])))", "p99"),
            ],
        ),
        panel("CPU by host", "ratio", &[("rate(process_cpu_seconds_total{$of}[1m])", "{{host}}")]),
        panel("Memory by host", "bytes", &[("process_resident_memory_bytes{$of}", "{{host}}")]),
        panel("Targets up", "short", &[("sum(up{$of})", "up"), ("count(up{$of})", "known")]),
    ];
    let of = format!("service=\"{service}\"");
    let mut panels = Vec::from(panels);
    for query in panels.iter_mut().flat_map(|panel| &mut panel.queries) {
        query.expr = query.expr.replace("$of", &of);
    }
    Dashboard {
        name: service.into(),
        title: service.into(),
        service: Some(service.into()),
        generated: true,
        variables: Vec::new(),
        panels,
    }
}

/// How busy and how full the hosts are, by the names of node_exporter, and what the services take of them.
pub(super) fn hosts() -> Dashboard {
    let panels = [
        panel(
            "Processors busy",
            "ratio",
            &[("1 - avg by (instance) (rate(node_cpu_seconds_total{job=\"node\",mode=\"idle\"}[1m]))", "{{instance}}")],
        ),
        panel(
            "Memory used",
            "ratio",
            &[(
                "1 - node_memory_MemAvailable_bytes{job=\"node\"} / node_memory_MemTotal_bytes{job=\"node\"}",
                "{{instance}}",
            )],
        ),
        panel(
            "Fullest file system",
            "ratio",
            &[(
                "max by (instance) (1 - node_filesystem_avail_bytes{job=\"node\"} / node_filesystem_size_bytes{job=\"node\"})",
                "{{instance}}",
            )],
        ),
        panel(
            "Busiest disk",
            "ratio",
            &[("max by (instance) (rate(node_disk_io_time_seconds_total{job=\"node\"}[1m]))", "{{instance}}")],
        ),
        panel(
            "Network, bytes a second",
            "bytes",
            &[(
                "sum by (instance) (rate(node_network_receive_bytes_total{job=\"node\",device!=\"lo\"}[1m]) + rate(node_network_transmit_bytes_total{job=\"node\",device!=\"lo\"}[1m]))",
                "{{instance}}",
            )],
        ),
        panel("Load", "short", &[("node_load1{job=\"node\"}", "{{instance}}")]),
        panel(
            "Processors by service",
            "short",
            &[(
                "sum by (service, instance) (rate(namedprocess_namegroup_cpu_seconds_total{job=\"node\"}[1m]))",
                "{{service}} on {{instance}}",
            )],
        ),
        panel(
            "Memory by service",
            "bytes",
            &[(
                "namedprocess_namegroup_memory_bytes{job=\"node\",memtype=\"resident\"}",
                "{{service}} on {{instance}}",
            )],
        ),
        panel("Hosts up", "short", &[("sum(up{job=\"node\"})", "up"), ("count(up{job=\"node\"})", "known")]),
    ];
    Dashboard {
        name: HOSTS.into(),
        title: HOSTS.into(),
        service: None,
        generated: true,
        variables: Vec::new(),
        panels: panels.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::check_dashboard;

    #[test]
    fn what_is_drawn_is_right() {
        for dashboard in [service("photos"), hosts()] {
            check_dashboard(&dashboard).expect("its queries parse");
        }
        assert!(service("photos").panels[0].queries[0].expr.contains("{service=\"photos\"}"));
    }
}
