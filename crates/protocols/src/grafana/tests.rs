//! Dashboards as Grafana exports them, in small.

use proptest::prelude::*;
use serde_json::json;

use super::*;

#[test]
fn a_dashboard_is_read_in_the_order_of_its_page() {
    let file = json!({"dashboard": {
        "title": "Node",
        "templating": {"list": [
            {"name": "instance", "type": "query", "query": {"query": "label_values(up{job=\"node\"}, instance)"}, "includeAll": true, "multi": true},
            {"name": "job", "type": "query", "query": "label_values(job)", "includeAll": true, "allValue": "web.+"},
            {"name": "window", "type": "interval", "query": "1m,5m,auto"},
            {"name": "ds", "type": "datasource", "query": "prometheus"},
            {"name": "adhoc", "type": "adhoc"},
        ]},
        "panels": [
            {"type": "timeseries", "title": "Late", "gridPos": {"x": 12, "y": 9, "w": 12, "h": 8}, "fieldConfig": {"defaults": {"unit": "ms"}},
             "targets": [{"expr": "rate(a{instance=~\"$instance\"}[$__rate_interval])", "legendFormat": "{{mode}}"}, {"expr": "b", "hide": true}]},
            {"type": "row", "title": "Memory", "gridPos": {"y": 10}, "panels": [
                {"type": "stat", "title": "Free", "gridPos": {"y": 11, "w": 6}, "fieldConfig": {"defaults": {"unit": "percent"}},
                 "targets": [{"expr": "free{job=\"[[job]]\"} / ${window:raw}", "legendFormat": "__auto"}]}]},
            {"type": "text", "title": "Notes", "gridPos": {"y": 0}},
            {"type": "heatmap", "title": "Spread", "gridPos": {"y": 1, "w": 24}, "targets": [{"expr": "sum by (le) (rate(c_bucket[5m]))", "exemplar": true}]},
        ],
    }});
    let read = read(file).unwrap();
    assert_eq!(read.title, "Node");
    let names: Vec<_> = read.panels.iter().map(|p| (p.title.as_str(), p.shown, p.unit, p.width)).collect();
    assert_eq!(
        names,
        [
            ("Spread", Shown::Heatmap, "short", 3),
            ("Late", Shown::Graph, "seconds", 2),
            ("Memory: Free", Shown::Stat, "ratio", 1)
        ]
    );
    assert_eq!(
        read.panels[1].queries,
        [("(rate(a{instance=~\"$instance\"}[$__rate_interval])) / 1000".to_owned(), "{{mode}}".to_owned())]
    );
    assert_eq!(read.panels.iter().map(|p| p.exemplars).collect::<Vec<_>>(), [true, false, false]);
    assert_eq!(read.panels[2].queries[0].0, "(free{job=\"${job}\"} / ${window}) / 100");
    let variables: Vec<_> = read
        .variables
        .iter()
        .map(|v| (v.name.as_str(), v.of.as_str(), v.label.as_deref(), v.values.len(), v.multi))
        .collect();
    assert_eq!(
        variables,
        [
            ("instance", "up{job=\"node\"}", Some("instance"), 0, true),
            ("job", "", Some("job"), 0, false),
            ("window", "", None, 2, false)
        ]
    );
    assert_eq!(
        read.report,
        [
            "variable job: all of its values stand as `.*`, not as `web.+`",
            "variable adhoc: it is left out; a variable of the kind `adhoc` has no equal here",
            "panel `Notes` is left out: `text` has no equal here",
            "panel `Late`: a query is left out: it is hidden",
        ]
    );
}

#[test]
fn units_come_with_what_brings_values_into_them() {
    for (told, wanted) in [
        ("Bps", ("bytes_per_second", "")),
        ("bps", ("bytes_per_second", " / 8")),
        ("decbytes", ("bytes", "")),
        ("decmbytes", ("bytes", " * 1e6")),
        ("celsius", ("celsius", "")),
        ("watt", ("short", "")),
    ] {
        assert_eq!(unit(told), wanted, "{told}");
    }
}

#[test]
fn filters_of_values_are_taken() {
    let variable = |name: &str, regex: &str| json!({"name": name, "type": "query", "query": "label_values(up, instance)", "regex": regex});
    let file = json!({
        "title": "T",
        "templating": {"list": [variable("a", "/(.*):\\d+/"), variable("b", "web.*"), variable("c", "/x/i"), variable("d", "")]},
        "panels": [],
    });
    let read = read(file).unwrap();
    let taken: Vec<_> = read.variables.iter().map(|v| v.regex.as_deref()).collect();
    assert_eq!(taken, [Some("(.*):\\d+"), Some("web.*"), None, None]);
    assert_eq!(read.report, ["variable c: its filter `/x/i` is left out"]);
}

#[test]
fn queries_of_other_sources_are_told() {
    let target = |kind: &str| json!({"expr": "up", "datasource": {"type": kind, "uid": "x"}});
    let file = json!({
        "title": "Mixed",
        "__inputs": [{"name": "DS_LOGS", "type": "datasource", "pluginId": "loki"}, {"name": "DS_METRICS", "pluginId": "prometheus"}],
        "templating": {"list": [{"name": "traces", "type": "datasource", "query": "tempo"}]},
        "panels": [
            {"type": "stat", "title": "All", "datasource": {"type": "datasource", "uid": "-- Mixed --"},
             "targets": [target("prometheus"), target("loki"), target("__expr__"), {"expr": "down"}]},
            {"type": "stat", "title": "Logs", "datasource": "${DS_LOGS}", "targets": [{"expr": "{job=\"x\"}"}]},
            {"type": "stat", "title": "Traces", "datasource": {"uid": "$traces"}, "targets": [{"expr": "{a=\"b\"}"}]},
            {"type": "stat", "title": "Metrics", "datasource": "${DS_METRICS}", "targets": [{"expr": "up"}]},
            {"type": "stat", "title": "Named", "datasource": "Ours", "targets": [{"expr": "up"}]},
        ],
    });
    let read = read(file).unwrap();
    let taken: Vec<_> = read.panels.iter().map(|p| (p.title.as_str(), p.queries.len())).collect();
    assert_eq!(taken, [("All", 2), ("Metrics", 1), ("Named", 1)]);
    assert_eq!(
        read.report,
        [
            "panel `All`: a query is left out: it asks `loki`, not Prometheus",
            "panel `All`: a query is left out: it is computed of other queries",
            "panel `Logs`: a query is left out: it asks `loki`, not Prometheus",
            "panel `Logs` is left out: it has no query that is taken",
            "panel `Traces`: a query is left out: it asks `tempo`, not Prometheus",
            "panel `Traces` is left out: it has no query that is taken",
        ]
    );
}

#[test]
fn panels_of_the_library_are_taken_where_the_file_has_them() {
    let model = json!({"type": "timeseries", "title": "Kept", "fieldConfig": {"defaults": {"custom": {"stacking": {"mode": "normal"}}}},
                       "targets": [{"expr": "up"}]});
    let file = json!({
        "title": "Library",
        "__elements": {"abc": {"uid": "abc", "name": "Kept", "kind": 1, "model": model}},
        "templating": {"list": [{"name": "metric", "type": "query", "query": "metrics(node_.*)"}]},
        "panels": [
            {"title": "", "gridPos": {"w": 24}, "libraryPanel": {"uid": "abc", "name": "Kept"}},
            {"title": "Gone", "gridPos": {"y": 1}, "libraryPanel": {"uid": "other", "name": "Gone"}},
            {"type": "row", "title": "Each", "repeat": "metric", "gridPos": {"y": 2}},
            {"type": "stat", "title": "One", "gridPos": {"y": 3}, "targets": [{"expr": "up"}]},
        ],
    });
    let read = read(file).unwrap();
    let taken: Vec<_> =
        read.panels.iter().map(|p| (p.title.as_str(), p.width, p.look.stacked, p.repeat.as_deref())).collect();
    assert_eq!(taken, [("Kept", 3, true, None), ("Each: One", 1, false, Some("metric"))]);
    assert_eq!(read.variables[0].label.as_deref(), Some("__name__"));
    assert_eq!(read.variables[0].of, "{__name__=~\".*(node_.*).*\"}");
    assert_eq!(
        read.report,
        [
            "panel `Gone` is left out: it is kept in Grafana's library, not in the file",
            "row `Each`: each of its panels is repeated, instead of the row",
        ]
    );
}

#[test]
fn what_is_no_dashboard_is_told() {
    for (text, wanted) in [
        (json!([]), "this is no dashboard"),
        (json!({"title": 1, "panels": []}), "invalid type"),
        (json!({"rows": []}), "as before Grafana 5"),
        (json!({}), "it has no `panels`"),
    ] {
        let error = read(text).unwrap_err().to_string();
        assert!(error.contains(wanted), "{error}");
    }
    let many = json!({"panels": vec![json!({"type": "text"}); PANELS_MAX + 1]});
    assert_eq!(read(many), Err(GrafanaError::TooMany));
}

proptest! {
    #[test]
    fn never_panics(expr in "[$\\[\\]{}a-z:é]{0,40}") {
        let _ = variables(&expr);
        let _ = label_values(&expr);
    }
}
