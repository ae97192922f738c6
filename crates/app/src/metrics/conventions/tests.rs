//! What each convention draws; that all of it parses.

use super::requests::{Convention, HTTP, RPC, Unit};
use super::saturation::{CONNECTIONS, QUEUES, ROWS};
use super::*;
use crate::metrics::check_dashboard;
use crate::metrics::drawn::page;

/// `name{label,label}` for each metric, apart by blanks; `!` before one that is a native histogram.
fn names(text: &str) -> Names {
    let read = |word: &str| {
        let (native, word) = word.strip_prefix('!').map_or((false, word), |rest| (true, rest));
        let (name, labels) = word.split_once('{').unwrap_or((word, ""));
        let labels = labels.trim_end_matches('}').split(',').filter(|l| !l.is_empty()).map(str::to_owned).collect();
        (name.to_owned(), Shape { labels, native })
    };
    Names {
        of: "service=\"photos\"".into(),
        prefix: "photos_".into(),
        window_s: 60,
        split: false,
        by_name: text.split_whitespace().map(read).collect(),
    }
}

/// The expressions of a panel; its queries must parse.
fn drawn(names: &Names, title: &str) -> Vec<String> {
    let panels = conventions(names);
    check_dashboard(&page("photos", panels.clone())).expect("each expression parses");
    let panel = panels.into_iter().find(|panel| panel.title == title);
    panel.into_iter().flat_map(|p| p.queries).map(|q| q.expr).collect()
}

fn check(text: &str, title: &str, wanted: &[&str]) {
    assert_eq!(drawn(&names(text), title), wanted, "{text}: {title}");
}

#[test]
fn prometheus_clients() {
    for label in ["code", "status", "status_code"] {
        let text = format!("http_requests_total{{method,{label}}} http_request_duration_seconds_bucket{{le}}");
        check(&text, "Requests", &[&format!("sum by ({label}) (rate(http_requests_total{{service=\"photos\"}}[1m]))")]);
        let all = "sum(rate(http_requests_total{service=\"photos\"}[1m]))";
        let failed = format!("sum(rate(http_requests_total{{service=\"photos\",{label}=~\"5..\"}}[1m]))");
        check(&text, "Error ratio", &[&format!("({failed} or 0 * {all}) / {all}")]);
        let rates = "sum by (le) (rate(http_request_duration_seconds_bucket{service=\"photos\"}[1m]))";
        let wanted = ["0.5", "0.95", "0.99"].map(|q| format!("histogram_quantile({q}, {rates})"));
        check(&text, "Time to answer", &wanted.each_ref().map(String::as_str));
    }
    check("http_requests_total{method}", "Error ratio", &[]);
    check("http_requests_total", "Requests", &["sum(rate(http_requests_total{service=\"photos\"}[1m]))"]);
}

#[test]
fn opentelemetry_http_in_native_histograms() {
    let text = "!http_server_request_duration_seconds{http_response_status_code,http_route}";
    let of = "http_server_request_duration_seconds{service=\"photos\"}[5m]";
    check(text, "Requests", &[&format!("sum by (http_response_status_code) (histogram_count(rate({of})))")]);
    let failed = "http_server_request_duration_seconds{service=\"photos\",http_response_status_code=~\"5..\"}[5m]";
    let all = format!("sum(histogram_count(rate({of})))");
    check(text, "Error ratio", &[&format!("(sum(histogram_count(rate({failed}))) or 0 * {all}) / {all}")]);
    let wanted = ["0.5", "0.95", "0.99"].map(|q| format!("histogram_quantile({q}, sum(rate({of})))"));
    check(text, "Time to answer", &wanted.each_ref().map(String::as_str));
}

#[test]
fn opentelemetry_http_in_classic_histograms() {
    let text = "http_server_request_duration_seconds_bucket{le,http_response_status_code} \
                http_server_request_duration_seconds_count{http_response_status_code} \
                http_server_request_duration_seconds_sum{http_response_status_code}";
    check(
        text,
        "Requests",
        &[
            "sum by (http_response_status_code) (rate(http_server_request_duration_seconds_count{service=\"photos\"}[5m]))",
        ],
    );
    let old = "http_server_duration_milliseconds_bucket{le,http_status_code} \
               http_server_duration_milliseconds_count{http_status_code}";
    let rates = "sum by (le) (rate(http_server_duration_milliseconds_bucket{service=\"photos\"}[5m]))";
    let wanted = ["0.5", "0.95", "0.99"].map(|q| format!("histogram_quantile({q}, {rates}) / 1000"));
    check(old, "Time to answer", &wanted.each_ref().map(String::as_str));
}

#[test]
fn calls_of_grpc_and_of_opentelemetrys_rpc() {
    let grpc = "grpc_server_handled_total{grpc_code,grpc_method} grpc_server_handling_seconds_bucket{le}";
    check(grpc, "Calls", &["sum by (grpc_code) (rate(grpc_server_handled_total{service=\"photos\"}[1m]))"]);
    let errors = &drawn(&names(grpc), "Error ratio of calls")[0];
    assert!(
        errors.contains("grpc_code=~\"Unknown|DeadlineExceeded|Unimplemented|Internal|Unavailable|DataLoss\""),
        "{errors}"
    );
    assert_eq!(drawn(&names(grpc), "Time of calls").len(), 3);
    let otel = names("!rpc_server_duration_milliseconds{rpc_grpc_status_code}");
    let errors = &drawn(&otel, "Error ratio of calls")[0];
    assert!(errors.contains("rpc_grpc_status_code=~\"2|4|12|13|14|15\""), "{errors}");
    let newer = names("rpc_server_call_duration_seconds_count{rpc_response_status_code}");
    assert!(drawn(&newer, "Error ratio of calls")[0].contains("rpc_response_status_code=~\"UNKNOWN|"));
}

#[test]
fn http_and_grpc_of_one_service_are_both_drawn() {
    let both = conventions(&names("http_requests_total{code} grpc_server_handled_total{grpc_code}"));
    let titles: Vec<&str> = both.iter().map(|panel| panel.title.as_str()).collect();
    assert_eq!(titles, ["Requests", "Error ratio", "Calls", "Error ratio of calls"]);
}

#[test]
fn timers_and_counters_of_statsd() {
    let mut found = names(
        "photos_requests_total photos_errors_total photos_request_duration_seconds{quantile} \
         photos_request_duration_seconds_sum photos_request_duration_seconds_count photos_uploads_total \
         photos_resize_seconds{quantile} photos_resize_seconds_count",
    );
    found.of = String::new();
    let check = |title: &str, wanted: &[&str]| assert_eq!(drawn(&found, title), wanted, "{title}");
    check("Requests", &["sum(rate(photos_requests_total[1m]))"]);
    let all = "sum(rate(photos_requests_total[1m]))";
    check("Error ratio", &[&format!("(sum(rate(photos_errors_total[1m])) or 0 * {all}) / {all}")]);
    check("Time to answer", &["max by (quantile) (photos_request_duration_seconds)"]);
    check("Counters", &["sum(rate(photos_uploads_total[1m]))"]);
    check("Timers", &["max(photos_resize_seconds{quantile=\"0.95\"})"]);
}

#[test]
fn gunicorn_micrometer_and_proxies() {
    let gunicorn =
        names("gunicorn_requests_total gunicorn_request_status_500_total gunicorn_request_duration_seconds{quantile}");
    assert!(drawn(&gunicorn, "Error ratio")[0].contains("gunicorn_request_status_500_total"));
    let micrometer = "http_server_requests_seconds_count{status,uri} http_server_requests_seconds_sum{status,uri}";
    let mean =
        ["sum", "count"].map(|s| format!("sum(rate(http_server_requests_seconds_{s}{{service=\"photos\"}}[1m]))"));
    check(micrometer, "Time to answer", &[&mean.join(" / ")]);
    let envoy =
        names("envoy_cluster_upstream_rq_xx{envoy_response_code_class} envoy_cluster_upstream_rq_time_bucket{le}");
    assert!(drawn(&envoy, "Error ratio")[0].contains("envoy_response_code_class=\"5\""));
    assert!(drawn(&envoy, "Time to answer")[0].ends_with(" / 1000"));
    for (text, series) in [
        ("nginx_ingress_controller_requests{status}", "nginx_ingress_controller_requests{"),
        ("traefik_service_requests_total{code}", "traefik_service_requests_total{"),
        ("istio_requests_total{response_code}", "istio_requests_total{"),
        ("haproxy_backend_http_responses_total{code}", "haproxy_backend_http_responses_total{"),
        ("nginx_http_requests_total", "nginx_http_requests_total{"),
    ] {
        assert!(drawn(&names(text), "Requests")[0].contains(series), "{text}");
    }
}

#[test]
fn one_that_tells_failures_comes_before_one_that_does_not() {
    let text = "http_requests_total http_server_request_duration_seconds_count{http_response_status_code}";
    assert!(drawn(&names(text), "Requests")[0].contains("http_server_request_duration_seconds_count"));
}

#[test]
fn saturation_against_limits() {
    let go =
        "process_cpu_seconds_total{instance} go_sched_gomaxprocs_threads process_open_fds{instance} process_max_fds";
    let of = "{service=\"photos\"}";
    check(
        go,
        "Processors",
        &[
            &format!("sum by (instance) (rate(process_cpu_seconds_total{of}[1m]))"),
            &format!("max(go_sched_gomaxprocs_threads{of})"),
        ],
    );
    check(go, "Open files", &[&format!("process_open_fds{of} / process_max_fds{of}")]);
    let cgroup = "container_cpu_usage_seconds_total{pod} container_spec_cpu_quota container_spec_cpu_period \
                  container_memory_working_set_bytes{pod} container_spec_memory_limit_bytes \
                  container_cpu_cfs_throttled_periods_total{pod} container_cpu_cfs_periods_total{pod}";
    check(
        cgroup,
        "Processors",
        &[
            &format!("sum by (pod) (rate(container_cpu_usage_seconds_total{of}[1m]))"),
            &format!("max((container_spec_cpu_quota{of} > 0) / container_spec_cpu_period{of})"),
        ],
    );
    assert_eq!(drawn(&names(cgroup), "Memory")[1], format!("max(container_spec_memory_limit_bytes{of} > 0)"));
    let periods = |what: &str| format!("sum by (pod) (rate(container_cpu_cfs_{what}_total{of}[1m]))");
    let held = format!("{} / {}", periods("throttled_periods"), periods("periods"));
    check(cgroup, "Held back by the kernel", &[&held]);
    check("go_sched_gomaxprocs_threads", "Processors", &[]);
    let agent = "namedprocess_namegroup_memory_bytes{host,memtype}";
    check(agent, "Memory", &["namedprocess_namegroup_memory_bytes{service=\"photos\",memtype=\"resident\"}"]);
}

#[test]
fn queues_and_pools_by_how_their_names_end() {
    let text = "photos_queue_length{queue} hikaricp_connections_active{pool} db_client_connections_usage{state}";
    let of = "{service=\"photos\"}";
    check(text, "Queues", &[&format!("sum by (queue) (photos_queue_length{of})")]);
    check(
        text,
        "Connections",
        &[
            &format!("sum by (state) (db_client_connections_usage{of})"),
            &format!("sum by (pool) (hikaricp_connections_active{of})"),
        ],
    );
    let many = (0..20).map(|n| format!("q{n}_queue_length")).collect::<Vec<_>>().join(" ");
    assert_eq!(drawn(&names(&many), "Queues").len(), LINES_MAX);
}

#[test]
fn rates_span_several_samples() {
    let mut found = names("http_requests_total !rpc_server_duration_milliseconds");
    for (seconds, scraped, pushed) in [(60, "[1m]", "[5m]"), (90, "[90s]", "[5m]"), (600, "[10m]", "[10m]")] {
        found.window_s = seconds;
        assert!(drawn(&found, "Requests")[0].contains(scraped), "{seconds} s");
        assert!(drawn(&found, "Calls")[0].contains(pushed), "{seconds} s");
    }
}

#[test]
fn several_environments_are_told_apart() {
    let mut found = names("http_requests_total{code} http_request_duration_seconds_bucket{le}");
    found.split = true;
    assert_eq!(
        drawn(&found, "Requests"),
        ["sum by (code, environment) (rate(http_requests_total{service=\"photos\"}[1m]))"]
    );
    assert!(drawn(&found, "Error ratio")[0].contains(" or 0 * sum by (environment) ("));
    assert!(drawn(&found, "Time to answer")[0].contains("sum by (le, environment) (rate("));
    assert!(conventions(&found).iter().flat_map(|p| &p.queries).all(|q| q.legend.starts_with("{{environment}} ")));
}

#[test]
fn nothing_known_draws_nothing() {
    assert_eq!(conventions(&names("")), []);
    assert_eq!(conventions(&names("photos_temperature http_client_open_sockets")), []);
}

#[test]
fn selectors_are_put_together_and_the_first_that_knows_counts() {
    let mut pushed = names("!http_server_request_duration_seconds{http_response_status_code} photos_uploads_total");
    pushed.of = "job=\"photos\"".into();
    let panels = merged(&[names("up process_resident_memory_bytes{host} photos_seen_total"), pushed]);
    let titles: Vec<&str> = panels.iter().map(|panel| panel.title.as_str()).collect();
    assert_eq!(titles, ["Requests", "Error ratio", "Time to answer", "Memory", "Counters", "Targets up"]);
    assert!(panels[0].queries[0].expr.contains("{job=\"photos\"}"));
    assert!(panels[4].queries[0].expr.contains("photos_seen_total"), "the first selector's");
    assert!(counts_requests(&panels));
}

/// All that a row may name, as one service that has it.
fn whole(row: &Convention) -> Names {
    let labels: Vec<&str> = row.outcomes.iter().map(|outcome| outcome.label).collect();
    let labels = labels.join(",");
    let mut text: Vec<String> = row.counters.iter().chain(row.failures).map(|n| format!("{n}{{{labels}}}")).collect();
    text.extend(row.durations.iter().map(|(n, _)| format!("{n}_bucket{{le,{labels}}} {n}_count{{{labels}}}")));
    names(&text.join(" "))
}

#[test]
fn each_row_of_the_table_draws_what_parses() {
    for (rows, titles) in [(HTTP, ["Requests", "Error ratio"]), (RPC, ["Calls", "Error ratio of calls"])] {
        for row in rows {
            let found = whole(row);
            for title in titles {
                assert_eq!(drawn(&found, title).len(), 1, "{}: {title}", row.source);
            }
            for name in found.by_name.keys() {
                assert!(may_name(name, "photos_"), "the labels of {name} must be looked at");
            }
            for (name, unit) in row.durations {
                let one = names(&format!("!{name}"));
                let title = if titles[0] == "Calls" { "Time of calls" } else { "Time to answer" };
                let lines = drawn(&one, title);
                assert_eq!((lines.len(), lines[0].ends_with(" / 1000")), (3, *unit == Unit::Millis), "{name}");
            }
        }
    }
    for row in ROWS.iter().filter(|row| !row.limit) {
        let text: Vec<String> = row.needs.iter().map(|(name, label)| format!("{name}{{host,{label}}}")).collect();
        let lines = drawn(&names(&text.join(" ")), row.title);
        assert!(lines.len() >= row.lines.len(), "{}: {text:?} draws {lines:?}", row.title);
        assert!(row.needs.iter().all(|(name, _)| may_name(name, "photos_")));
        assert!(!lines.concat().contains('$'), "everything is filled in: {lines:?}");
    }
    for (title, ends) in [("Queues", &QUEUES[..]), ("Connections", &CONNECTIONS[..])] {
        for end in ends {
            assert_eq!(drawn(&names(&format!("work{end}")), title).len(), 1, "{end}");
        }
    }
    assert!(ROWS.iter().all(|row| saturation::TITLES.contains(&row.title)), "each has its place on the page");
}
