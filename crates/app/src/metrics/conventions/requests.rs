//! How many requests, how many of them fail, how long answers take: under which names that is counted.
//!
//! Sources: Prometheus' client libraries (`promhttp`, `prom-client`, prometheus-net, Starlette and Flask exporters);
//! OpenTelemetry's semantic conventions for HTTP and RPC, as OTLP's names become Prometheus' (dots `_`, the unit behind);
//! Micrometer (Spring Boot); go-grpc-prometheus and gRPC's own OpenTelemetry metrics (gRFC A66); Gunicorn and plain timers
//! over StatsD; Envoy, Istio, ingress-nginx, nginx's exporter and vts module, Traefik, HAProxy and Caddy.

use super::{Names, PUSHED_WINDOW_S, Shape};
use crate::metrics::dashboards::Panel;
use crate::metrics::drawn::panel;

const HTTP_TITLES: [&str; 3] = ["Requests", "Error ratio", "Time to answer"];
const RPC_TITLES: [&str; 3] = ["Calls", "Error ratio of calls", "Time of calls"];
/// In the order of the page.
pub(super) const TITLES: [&str; 6] =
    [HTTP_TITLES[0], HTTP_TITLES[1], HTTP_TITLES[2], RPC_TITLES[0], RPC_TITLES[1], RPC_TITLES[2]];

const QUANTILES: [(&str, &str); 3] = [("0.5", "p50"), ("0.95", "p95"), ("0.99", "p99")];

/// How one library or proxy names what is answered.
pub(super) struct Convention {
    /// Whose names they are.
    pub source: &'static str,
    pub counters: &'static [&'static str],
    /// Counters of failures, where no label tells them.
    pub failures: &'static [&'static str],
    /// Histograms and summaries of how long an answer took, without the suffixes of their series. Their count stands in
    /// where there is no counter.
    pub durations: &'static [(&'static str, Unit)],
    /// Labels that tell how it went; the first that is there counts.
    pub outcomes: &'static [Outcome],
    /// Sent once a minute rather than scraped.
    pub pushed: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unit {
    Seconds,
    Millis,
}
use Unit::{Millis, Seconds};

/// A label, and which of its values mean that it failed.
pub(super) struct Outcome {
    pub label: &'static str,
    pub failed: &'static str,
}

const fn outcome(label: &'static str, failed: &'static str) -> Outcome {
    Outcome { label, failed }
}

/// Codes of HTTP, by all the labels they stand in; exporters that keep only the class write `5xx`.
const CODES: &[Outcome] = &[
    outcome("code", "=~\"5..\""),
    outcome("status", "=~\"5..\""),
    outcome("status_code", "=~\"5..\""),
    outcome("http_response_status_code", "=~\"5..\""),
    outcome("http_status_code", "=~\"5..\""),
    outcome("response_code", "=~\"5..\""),
    outcome("http_status", "=~\"5..\""),
    outcome("http_code", "=~\"5..\""),
    outcome("error_type", "!=\"\""),
];
/// gRPC's codes that are the server's fault, as OpenTelemetry counts them: unknown, deadline exceeded, unimplemented,
/// internal, unavailable, data loss.
const CAMEL: &str = "=~\"Unknown|DeadlineExceeded|Unimplemented|Internal|Unavailable|DataLoss\"";
const UPPER: &str = "=~\"UNKNOWN|DEADLINE_EXCEEDED|UNIMPLEMENTED|INTERNAL|UNAVAILABLE|DATA_LOSS\"";
const NUMBERS: &str = "=~\"2|4|12|13|14|15\"";

const NONE: Convention =
    Convention { source: "", counters: &[], failures: &[], durations: &[], outcomes: CODES, pushed: false };

pub(super) const HTTP: &[Convention] = &[
    Convention {
        source: "Prometheus' client libraries",
        counters: &["http_requests_total", "http_server_requests_total", "http_requests_received_total"],
        durations: &[
            ("http_request_duration_seconds", Seconds),
            ("http_response_time_seconds", Seconds),
            ("http_request_duration_milliseconds", Millis),
            ("http_request_duration_ms", Millis),
        ],
        ..NONE
    },
    Convention {
        source: "OpenTelemetry, http.server.request.duration",
        durations: &[("http_server_request_duration_seconds", Seconds)],
        pushed: true,
        ..NONE
    },
    Convention {
        source: "OpenTelemetry before its conventions were stable, http.server.duration",
        durations: &[
            ("http_server_duration_milliseconds", Millis),
            ("http_server_duration_seconds", Seconds),
            ("http_server_duration", Millis),
        ],
        pushed: true,
        ..NONE
    },
    Convention { source: "Micrometer", durations: &[("http_server_requests_seconds", Seconds)], ..NONE },
    Convention {
        source: "exporters of web frameworks",
        counters: &[
            "starlette_requests_total",
            "flask_http_request_total",
            "rails_requests_total",
            "ruby_http_requests_total",
            "django_http_responses_total_by_status_total",
        ],
        durations: &[
            ("starlette_requests_processing_time_seconds", Seconds),
            ("starlette_request_duration_seconds", Seconds),
            ("flask_http_request_duration_seconds", Seconds),
            ("rails_request_duration_seconds", Seconds),
            ("ruby_http_request_duration_seconds", Seconds),
            ("django_http_requests_latency_seconds_by_view_method", Seconds),
        ],
        ..NONE
    },
    Convention {
        source: "Gunicorn over StatsD",
        counters: &["gunicorn_requests_total"],
        failures: &["gunicorn_request_status_500_total"],
        durations: &[("gunicorn_request_duration_seconds", Seconds)],
        ..NONE
    },
    Convention {
        source: "timers and counters of StatsD",
        counters: &["requests_total", "request_total", "hits_total"],
        failures: &["errors_total", "request_errors_total", "requests_failed_total", "failures_total"],
        durations: &[
            ("request_duration_seconds", Seconds),
            ("request_time_seconds", Seconds),
            ("response_time_seconds", Seconds),
            ("request_seconds", Seconds),
            ("requests_seconds", Seconds),
            ("http_request_seconds", Seconds),
            ("latency_seconds", Seconds),
        ],
        ..NONE
    },
    Convention {
        source: "Istio",
        counters: &["istio_requests_total"],
        durations: &[("istio_request_duration_milliseconds", Millis)],
        ..NONE
    },
    Convention {
        source: "ingress-nginx",
        counters: &["nginx_ingress_controller_requests"],
        durations: &[("nginx_ingress_controller_request_duration_seconds", Seconds)],
        ..NONE
    },
    Convention {
        source: "Traefik",
        counters: &["traefik_service_requests_total", "traefik_entrypoint_requests_total"],
        durations: &[
            ("traefik_service_request_duration_seconds", Seconds),
            ("traefik_entrypoint_request_duration_seconds", Seconds),
        ],
        ..NONE
    },
    Convention {
        source: "Envoy",
        counters: &["envoy_cluster_upstream_rq_xx", "envoy_http_downstream_rq_xx", "envoy_cluster_upstream_rq_total"],
        durations: &[("envoy_cluster_upstream_rq_time", Millis), ("envoy_http_downstream_rq_time", Millis)],
        outcomes: &[outcome("envoy_response_code_class", "=\"5\"")],
        ..NONE
    },
    Convention {
        source: "HAProxy",
        counters: &["haproxy_backend_http_responses_total", "haproxy_server_http_responses_total"],
        ..NONE
    },
    Convention {
        source: "Caddy",
        counters: &["caddy_http_requests_total"],
        durations: &[("caddy_http_request_duration_seconds", Seconds)],
        ..NONE
    },
    Convention { source: "nginx", counters: &["nginx_vts_server_requests_total", "nginx_http_requests_total"], ..NONE },
];

pub(super) const RPC: &[Convention] = &[
    Convention {
        source: "go-grpc-prometheus and its kin",
        counters: &["grpc_server_handled_total"],
        durations: &[("grpc_server_handling_seconds", Seconds)],
        outcomes: &[outcome("grpc_code", CAMEL)],
        ..NONE
    },
    Convention {
        source: "OpenTelemetry, rpc.server.call.duration",
        durations: &[("rpc_server_call_duration_seconds", Seconds)],
        outcomes: &[
            outcome("rpc_response_status_code", UPPER),
            outcome("rpc_grpc_status_code", NUMBERS),
            outcome("error_type", "!=\"\""),
        ],
        pushed: true,
        ..NONE
    },
    Convention {
        source: "OpenTelemetry, rpc.server.duration",
        durations: &[
            ("rpc_server_duration_milliseconds", Millis),
            ("rpc_server_duration_seconds", Seconds),
            ("rpc_server_duration", Millis),
        ],
        outcomes: &[
            outcome("rpc_grpc_status_code", NUMBERS),
            outcome("rpc_connect_rpc_error_code", "!=\"\""),
            outcome("error_type", "!=\"\""),
        ],
        pushed: true,
        ..NONE
    },
    Convention {
        source: "gRPC's own metrics",
        durations: &[("grpc_server_call_duration_seconds", Seconds)],
        outcomes: &[outcome("grpc_status", UPPER)],
        pushed: true,
        ..NONE
    },
    Convention {
        source: "Micrometer",
        durations: &[("grpc_server_processing_duration_seconds", Seconds)],
        outcomes: &[outcome("statusCode", UPPER), outcome("status_code", UPPER)],
        ..NONE
    },
];

/// The names of a page that says what was looked for: of each convention the first.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    let first =
        |row: &'static Convention| row.counters.first().or(row.durations.first().map(|(name, _)| name)).copied();
    HTTP.iter().chain(RPC).filter_map(first)
}

/// Whether a convention names this metric, or the histogram that it is a series of.
pub(super) fn knows(name: &str, base: &str) -> bool {
    HTTP.iter().chain(RPC).any(|row| {
        row.counters.contains(&name)
            || row.failures.contains(&name)
            || row.durations.iter().any(|(known, _)| *known == base || *known == name)
    })
}

pub(super) fn panels(names: &Names) -> Vec<Panel> {
    let mut panels = of_kind(names, HTTP, &HTTP_TITLES);
    panels.extend(of_kind(names, RPC, &RPC_TITLES));
    panels
}

/// By the first convention that counts them and tells failures apart, or else the first that counts them; times by the first
/// that has them.
fn of_kind(names: &Names, rows: &'static [Convention], titles: &[&str; 3]) -> Vec<Panel> {
    let counted: Vec<Counted<'_>> = rows.iter().filter_map(|row| Counted::of(names, row)).collect();
    let best = counted.iter().find(|c| c.outcome.is_some() || c.failures.is_some()).or(counted.first());
    let mut panels = Vec::new();
    if let Some(counted) = best {
        panels.push(told(counted.requests(names, titles[0]), counted.row));
        panels.extend(counted.errors(names, titles[1]).map(|p| told(p, counted.row)));
    }
    let timed = rows.iter().find_map(|row| Some((times(names, row, titles[2])?, row)));
    panels.extend(timed.map(|(panel, row)| told(panel, row)));
    panels
}

/// With whose names they are.
fn told(panel: Panel, row: &Convention) -> Panel {
    Panel { description: Some(format!("By names of {}.", row.source)), ..panel }
}

fn window(names: &Names, row: &Convention) -> String {
    names.window(if row.pushed { PUSHED_WINDOW_S } else { 0 })
}

/// A counter of requests, or the count of a histogram of them.
struct Counted<'n> {
    row: &'static Convention,
    series: String,
    native: bool,
    outcome: Option<&'static Outcome>,
    /// A counter of the failures alone.
    failures: Option<&'n str>,
}

impl<'n> Counted<'n> {
    fn of(names: &'n Names, row: &'static Convention) -> Option<Self> {
        let counter = row.counters.iter().find_map(|name| names.get(name)).map(|(name, shape)| (name, shape, false));
        let count = || {
            row.durations.iter().find_map(|(name, _)| {
                let native = names.get(name).filter(|(_, shape)| shape.native).map(|(name, shape)| (name, shape, true));
                native.or_else(|| names.get(&format!("{name}_count")).map(|(name, shape)| (name, shape, false)))
            })
        };
        let (series, shape, native): (&str, &Shape, bool) = counter.or_else(count)?;
        Some(Self {
            row,
            series: series.to_owned(),
            native,
            outcome: row.outcomes.iter().find(|outcome| shape.labels.contains(outcome.label)),
            failures: row.failures.iter().find_map(|name| names.get(name)).map(|(name, _)| name),
        })
    }

    fn rate(&self, names: &Names, more: &str) -> String {
        let rate = format!("rate({}[{}])", names.select(&self.series, more), window(names, self.row));
        if self.native { format!("histogram_count({rate})") } else { rate }
    }

    fn requests(&self, names: &Names, title: &str) -> Panel {
        let label = self.outcome.map(|outcome| outcome.label);
        let by = names.by(label.as_slice());
        let legend = label.map_or_else(|| title.to_lowercase(), |label| format!("{{{{{label}}}}}"));
        let expr = format!("sum{by}({})", self.rate(names, ""));
        panel(title, "ops", &[(expr.as_str(), names.legend(&legend).as_str())])
    }

    /// No traffic has no ratio; traffic without failures has one of 0.
    fn errors(&self, names: &Names, title: &str) -> Option<Panel> {
        let by = names.by(&[]);
        let failed = match (self.outcome, self.failures) {
            (Some(Outcome { label, failed }), _) => self.rate(names, &format!("{label}{failed}")),
            (None, Some(counter)) => format!("rate({}[{}])", names.select(counter, ""), window(names, self.row)),
            (None, None) => return None,
        };
        let all = format!("sum{by}({})", self.rate(names, ""));
        let ratio = format!("(sum{by}({failed}) or 0 * {all}) / {all}");
        Some(panel(title, "ratio", &[(ratio.as_str(), names.legend("errors").as_str())]))
    }
}

/// Quantiles of a histogram of either kind, those that a summary has, or the mean where there is no more.
fn times(names: &Names, row: &Convention, title: &str) -> Option<Panel> {
    let window = window(names, row);
    row.durations.iter().find_map(|(name, unit)| {
        let seconds = |expr: String| if *unit == Millis { format!("{expr} / 1000") } else { expr };
        let bare = names.get(name);
        let rates = if let Some((native, _)) = bare.filter(|(_, shape)| shape.native) {
            Some(format!("sum{}(rate({}[{window}]))", names.by(&[]), names.select(native, "")))
        } else {
            let classic = names.get(&format!("{name}_bucket"));
            classic.map(|(n, _)| format!("sum{}(rate({}[{window}]))", names.by(&["le"]), names.select(n, "")))
        };
        let lines: Vec<(String, String)> = if let Some(rates) = rates {
            let line = |(q, legend): (&str, &str)| {
                (seconds(format!("histogram_quantile({q}, {rates})")), names.legend(legend))
            };
            QUANTILES.into_iter().map(line).collect()
        } else if let Some((summary, _)) = bare.filter(|(_, shape)| shape.labels.contains("quantile")) {
            let expr = format!("max{}({})", names.by(&["quantile"]), names.select(summary, ""));
            vec![(seconds(expr), names.legend("{{quantile}}"))]
        } else {
            let part = |suffix: &str| {
                let (full, _) = names.get(&format!("{name}{suffix}"))?;
                Some(format!("sum{}(rate({}[{window}]))", names.by(&[]), names.select(full, "")))
            };
            vec![(seconds(format!("{} / {}", part("_sum")?, part("_count")?)), names.legend("mean"))]
        };
        let lines: Vec<(&str, &str)> = lines.iter().map(|(expr, legend)| (expr.as_str(), legend.as_str())).collect();
        Some(panel(title, "seconds", &lines))
    })
}
