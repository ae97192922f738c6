//! Dashboards that nobody wrote: of a service and of the hosts, by the names that are in use everywhere.

use tenfold_types::Fault;

use super::conventions::{Names, counts_requests, looked_for, merged};
use super::dashboards::{Dashboard, Panel, PanelKind, PanelQuery};
use super::panel_look::{PanelNulls, Threshold, ThresholdLevel};
use super::panel_values::PanelReduce;

/// The name of the hosts' dashboard.
pub(super) const HOSTS: &str = "hosts";

pub(super) fn panel(title: &str, unit: &str, queries: &[(&str, &str)]) -> Panel {
    let query = |(expr, legend): &(&str, &str)| PanelQuery { expr: (*expr).into(), legend: (*legend).into() };
    Panel {
        title: title.into(),
        unit: unit.into(),
        kind: PanelKind::Graph,
        width: 1,
        queries: queries.iter().map(query).collect(),
        description: None,
        exemplars: false,
        stacked: false,
        log: false,
        min: None,
        max: None,
        nulls: PanelNulls::Gap,
        connect_max_ms: None,
        reduce: PanelReduce::Last,
        sparkline: false,
        columns: Vec::new(),
        sort: None,
        words: Vec::new(),
        series: Vec::new(),
        row: None,
        links: Vec::new(),
        text: None,
        repeat: None,
        thresholds: Vec::new(),
    }
}

/// A page of nobody's.
pub(super) fn page(name: &str, panels: Vec<Panel>) -> Dashboard {
    Dashboard {
        name: name.into(),
        title: name.into(),
        service: None,
        generated: true,
        note: None,
        version: None,
        saved_by: None,
        saved_at: None,
        variables: Vec::new(),
        panels,
        folded: Vec::new(),
        marks: Vec::new(),
        links: Vec::new(),
        range: None,
        from: None,
        to: None,
    }
}

/// What there is of a service in the store, by the conventions that its names follow.
pub(super) fn service(service: &str, found: &[Names]) -> Dashboard {
    let panels = merged(found);
    let note = if found.is_empty() {
        Some(unmeasured(service))
    } else if counts_requests(&panels) {
        None
    } else {
        Some(format!(
            "No requests of {service} are counted under a name that is known here. Looked for, also behind `{}`: {}.",
            prefix(service),
            looked_for().join(", ")
        ))
    };
    Dashboard { service: Some(service.into()), note, ..page(service, panels) }
}

/// A service of which nobody knows at the moment what is measured.
pub(super) fn unknown(service: &str, fault: &Fault) -> Dashboard {
    let note = format!("What is measured of {service} could not be looked up: {}", fault.message);
    Dashboard { service: Some(service.into()), note: Some(note), ..page(service, Vec::new()) }
}

/// What names of a service's own metrics begin with, where nothing else says whose they are: StatsD's `photos.uploads` is
/// `photos_uploads_total`.
pub(super) fn prefix(service: &str) -> String {
    let plain = service.replace(|c: char| !c.is_ascii_alphanumeric(), "_");
    format!("{plain}_")
}

fn unmeasured(service: &str) -> String {
    format!(
        "Nothing is measured of {service}. In the last hour no series had service, job, service_name or app \"{service}\", and \
         none had a name that begins with {}. Any of these is enough: the release answers on a metrics page, which its \
         pipeline file names (metrics: {{path: /metrics}}); it sends OpenTelemetry's metrics to /api/v1/otlp/v1/metrics with \
         service.name={service}; it sends StatsD, like {service}.requests:1|c and {service}.request_duration:12|ms.",
        prefix(service)
    )
}

const fn above(bound: f64, level: ThresholdLevel) -> Threshold {
    Threshold { above: Some(bound), below: None, level }
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
        Panel {
            thresholds: vec![above(0.9, ThresholdLevel::Warning), above(0.97, ThresholdLevel::Critical)],
            ..panel(
                "Fullest file system",
                "ratio",
                &[(
                    "max by (instance) (1 - node_filesystem_avail_bytes{job=\"node\"} / node_filesystem_size_bytes{job=\"node\"})",
                    "{{instance}}",
                )],
            )
        },
        panel(
            "Busiest disk",
            "ratio",
            &[("max by (instance) (rate(node_disk_io_time_seconds_total{job=\"node\"}[1m]))", "{{instance}}")],
        ),
        panel(
            "Network",
            "bytes_per_second",
            &[(
                "sum by (instance) (rate(node_network_receive_bytes_total{job=\"node\",device!=\"lo\"}[1m]) + rate(node_network_transmit_bytes_total{job=\"node\",device!=\"lo\"}[1m]))",
                "{{instance}}",
            )],
        ),
        panel("Load", "short", &[("node_load1{job=\"node\"}", "{{instance}}")]),
        panel(
            "Waiting for processors, disks and memory",
            "ratio",
            &[
                ("rate(node_pressure_cpu_waiting_seconds_total{job=\"node\"}[1m])", "processors of {{instance}}"),
                ("rate(node_pressure_io_waiting_seconds_total{job=\"node\"}[1m])", "disks of {{instance}}"),
                ("rate(node_pressure_memory_waiting_seconds_total{job=\"node\"}[1m])", "memory of {{instance}}"),
            ],
        ),
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
    page(HOSTS, panels.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::check_dashboard;
    use crate::metrics::conventions::Shape;

    #[test]
    fn what_is_drawn_is_right() {
        check_dashboard(&hosts()).expect("its queries parse");
    }

    #[test]
    fn a_service_that_is_not_measured_says_how_to_begin() {
        let empty = service("photo-album", &[]);
        check_dashboard(&empty).expect("it is right without panels");
        assert!(empty.panels.is_empty());
        let note = empty.note.expect("it says what to do");
        for said in ["\"photo-album\"", "photo_album_", "metrics: {path: /metrics}", "otlp", "photo-album.requests:1|c"]
        {
            assert!(note.contains(said), "{said}: {note}");
        }
    }

    #[test]
    fn a_service_without_known_requests_says_what_was_looked_for() {
        let of = |names: &[&str]| Names {
            of: "service=\"photos\"".into(),
            prefix: prefix("photos"),
            window_s: 60,
            split: false,
            by_name: names.iter().map(|name| ((*name).to_owned(), Shape::default())).collect(),
        };
        let quiet = service("photos", &[of(&["process_resident_memory_bytes"])]);
        let note = quiet.note.expect("it says what was looked for");
        for said in
            ["photos_", "http_requests_total", "http_server_request_duration_seconds", "grpc_server_handled_total"]
        {
            assert!(note.contains(said), "{said}: {note}");
        }
        assert_eq!(quiet.panels.len(), 1, "what there is, is drawn");
        let odd = service("photos", &[of(&["photos_temperature"])]);
        assert!(odd.panels.is_empty() && odd.note.is_some_and(|note| note.starts_with("No requests of photos")));
        assert_eq!(service("photos", &[of(&["http_requests_total"])]).note, None);
    }
}
