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
            {"name": "adhoc", "type": "adhoc", "filters": [{"key": "job", "operator": "=~", "value": "a\"b"}, {"key": "n", "operator": "<", "value": "1"}]},
            {"name": "groups", "type": "groupby"},
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
            ("Free", Shown::Stat, "ratio", 1)
        ]
    );
    assert_eq!(read.panels.iter().map(|p| p.row.as_deref()).collect::<Vec<_>>(), [None, None, Some("Memory")]);
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
            ("window", "", None, 2, false),
            ("adhoc", "", None, 1, false)
        ]
    );
    assert_eq!(
        read.report,
        [
            "variable job: all of its values stand as `.*`, not as `web.+`",
            "variable adhoc: 1 of its filters are left out: they have no matcher as their equal",
            "variable groups: it is left out; a variable of the kind `groupby` has no equal here",
            "panel `Notes` is left out: it has no words",
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
        ("watt", ("watt", "")),
        ("mvolt", ("volt", " / 1000")),
        ("dateTimeAsIso", ("date", " / 1000")),
        ("d", ("seconds", " * 86400")),
        ("dtdhms", ("seconds", "")),
        ("tbytes", ("bytes", " * 1099511627776")),
        ("Gbits", ("bytes_per_second", " * 1.25e8")),
        ("Kibits", ("bytes_per_second", " * 128")),
        ("rowsps", ("ops", "")),
        ("reqpm", ("ops", " / 60")),
        ("humidity", ("ratio", " / 100")),
        ("pbytes", ("bytes", " * 1125899906842624")),
        ("TiBs", ("bytes_per_second", " * 1099511627776")),
        ("rotrpm", ("hertz", " / 60")),
        ("megwatt", ("watt", " * 1e6")),
        ("lumens", ("short", "")),
    ] {
        assert_eq!(unit(told), wanted, "{told}");
    }
}

#[test]
fn filters_of_values_are_taken() {
    let variable = |name: &str, regex: &str| json!({"name": name, "type": "query", "query": "label_values(up, instance)", "regex": regex});
    let file = json!({
        "title": "T",
        "templating": {"list": [variable("a", "/(.*):\\d+/"), variable("b", "web.*"), variable("c", "/x/i"), variable("d", ""),
            variable("e", "/(?<text>[^:]+):(?<value>.*)/"), variable("f", "/x/y"), variable("g", "/x/ii"), variable("h", "/x")]},
        "panels": [],
    });
    let read = read(file).unwrap();
    let taken: Vec<_> = read.variables.iter().map(|v| v.regex.as_deref()).collect();
    assert_eq!(
        taken,
        [Some("(.*):\\d+"), Some("^web.*$"), Some("/x/i"), None, Some("(?<text>[^:]+):(?<value>.*)"), None, None, None,]
    );
    let lost = |name: &str, regex: &str| format!("variable {name}: its filter `{regex}` is left out");
    assert_eq!(read.report, [lost("f", "/x/y"), lost("g", "/x/ii"), lost("h", "/x")]);
}

#[test]
fn values_of_lists_are_what_is_asked_for() {
    let file = json!({
        "title": "T",
        "templating": {"list": [
            {"name": "site", "type": "custom", "query": "Production : prod.eu, a\\,b,web:9100 ,, Night : shift : night"},
            {"name": "plain", "type": "custom", "query": "x, y\\z"},
            {"name": "host", "type": "query", "query": "label_values(up{site=\"[[site]]\",job=~\"${plain:regex}\"}, instance)"},
        ]},
        "panels": [],
    });
    let read = read(file).unwrap();
    assert_eq!(read.variables[0].values, ["prod.eu", "a,b", "web:9100", "night"]);
    assert_eq!(read.variables[1].values, ["x", "y\\z"]);
    assert_eq!(read.variables[2].of, "up{site=\"${site}\",job=~\"${plain}\"}");
    assert_eq!(
        read.report,
        ["variable site: its values are offered as they are asked for, without the names they have there"]
    );
}

#[test]
fn what_was_chosen_is_chosen_at_first() {
    let labels = |name: &str, more: serde_json::Value| {
        let mut variable = json!({"name": name, "type": "query", "query": "label_values(up, instance)"});
        variable.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        variable
    };
    let list = |name: &str, current: serde_json::Value| json!({"name": name, "type": "custom", "query": "x,y,7", "current": current});
    let file = json!({
        "title": "T",
        "templating": {"list": [
            labels("one", json!({"current": {"text": "h1", "value": "h1"}})),
            labels("several", json!({"multi": true, "includeAll": true, "current": {"value": ["h1", "h2"]}})),
            labels("single", json!({"current": {"value": ["h1", "h2"]}})),
            labels("all", json!({"multi": true, "includeAll": true, "current": {"text": "All", "value": ["$__all"]}})),
            labels("empty", json!({"current": {"text": "", "value": ""}})),
            labels("without", json!({"current": {}})),
            list("second", json!({"value": "y"})),
            list("number", json!({"value": 7})),
            list("as_it_is", json!({"value": "x"})),
            list("gone", json!({"value": "z"})),
            {"name": "window", "type": "interval", "query": "1m,5m", "auto": true, "current": {"value": "$__auto_interval_window"}},
            {"name": "typed", "type": "textbox", "query": "web", "current": {"value": "web"}},
            {"name": "fixed", "type": "constant", "query": "prod", "current": {"value": "prod"}},
        ]},
        "panels": [],
    });
    let read = read(file).unwrap();
    let first: Vec<_> =
        read.variables.iter().filter(|v| !v.first.is_empty()).map(|v| (v.name.as_str(), v.first.join(" "))).collect();
    let wanted = [("one", "h1"), ("several", "h1 h2"), ("single", "h1"), ("second", "y"), ("number", "7")];
    assert_eq!(first, wanted.map(|(name, values)| (name, values.to_owned())));
    assert_eq!((read.variables.len(), read.report.len()), (13, 0), "{:?}", read.report);
}

#[test]
fn queries_and_typed_texts_are_variables() {
    let file = json!({
        "title": "T",
        "templating": {"list": [
            {"name": "busy", "type": "query", "query": "query_result(topk(5, load{job=\"[[job]]\"}))", "regex": "/instance=\"([^\"]+)\"/"},
            {"name": "filter", "type": "textbox", "query": "web.*", "includeAll": true},
            {"name": "open", "type": "textbox", "query": ""},
            {"name": "names", "type": "query", "query": "label_names()"},
        ]},
        "panels": [],
    });
    let read = read(file).unwrap();
    let taken: Vec<_> = read
        .variables
        .iter()
        .map(|v| (v.name.as_str(), v.query.as_deref(), v.regex.as_deref(), v.free, v.all, v.values.len()))
        .collect();
    let query = "topk(5, load{job=\"${job}\"})";
    assert_eq!(
        taken,
        [
            ("busy", Some(query), Some("instance=\"([^\"]+)\""), false, false, 0),
            ("filter", None, None, true, false, 1),
            ("open", None, None, true, false, 0)
        ]
    );
    assert_eq!(read.report.len(), 1, "{:?}", read.report);
    assert!(read.report[0].contains("`label_names()` is neither"), "{:?}", read.report);
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
    assert_eq!(taken, [("Kept", 3, true, None), ("One", 1, false, Some("metric"))]);
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
fn what_stands_around_panels_is_taken() {
    let file = json!({
        "title": "Around",
        "time": {"from": "now-6h", "to": "now"},
        "timezone": "utc",
        "links": [{"type": "link", "title": "Nodes", "url": "/d/abc/nodes", "includeVars": true}],
        "annotations": {"list": [
            {"builtIn": 1, "datasource": "-- Grafana --", "enable": true, "name": "Annotations & Alerts", "type": "dashboard"},
            {"name": "Restarts", "datasource": {"type": "prometheus", "uid": "x"}, "expr": "changes(start[5m]) > 0", "titleFormat": "{{instance}}"},
            {"name": "Logs", "datasource": {"type": "loki"}, "expr": "{job=\"x\"}"},
        ]},
        "panels": [
            {"type": "text", "title": "", "options": {"mode": "markdown", "content": "# Of [[job]]"}},
            {"type": "row", "title": "Disks", "collapsed": true, "gridPos": {"y": 1}, "panels": [
                {"type": "timeseries", "title": "Used", "gridPos": {"y": 2}, "links": [{"title": "Wiki", "url": "https://example.org/"}],
                 "fieldConfig": {"defaults": {"custom": {"spanNulls": 60_000}}, "overrides": [{"matcher": {}}]}, "targets": [{"expr": "used"}]}]},
            {"type": "row", "title": "", "gridPos": {"y": 3}},
            {"type": "stat", "title": "Most", "gridPos": {"y": 4}, "options": {"reduceOptions": {"calcs": ["max"]}, "graphMode": "area"}, "targets": [{"expr": "up"}]},
            {"type": "table", "title": "Hosts", "gridPos": {"y": 5}, "transformations": [{"id": "organize", "options": {"renameByName": {"Value #B": "Load"}}}],
             "fieldConfig": {"defaults": {"unit": "percent"}, "overrides": [{"matcher": {"id": "byName", "options": "Value #B"}, "properties": [{"id": "unit", "value": "short"}]}]},
             "targets": [{"refId": "A", "expr": "busy", "instant": true}, {"refId": "B", "expr": "load", "instant": true}]},
        ],
    });
    let read = read(file).unwrap();
    assert_eq!((read.range.as_deref(), read.folded.as_slice()), (Some("6h"), &["Disks".to_owned()][..]));
    assert_eq!(read.marks.iter().map(|m| m.name.as_str()).collect::<Vec<_>>(), ["Restarts"]);
    assert_eq!(read.links, [Link { title: "Nodes".to_owned(), to: "/graphs/nodes".to_owned(), keeps_range: true }]);
    let panels: Vec<_> = read.panels.iter().map(|p| (p.title.as_str(), p.row.as_deref(), p.shown)).collect();
    assert_eq!(
        panels,
        [
            ("Notes", None, Shown::Text),
            ("Used", Some("Disks"), Shown::Graph),
            ("Most", None, Shown::Stat),
            ("Hosts", None, Shown::Table)
        ]
    );
    let [text, used, most, hosts] = read.panels.as_slice() else { panic!("four panels") };
    assert_eq!((text.text.as_deref(), text.queries.len()), (Some("# Of ${job}"), 0));
    assert_eq!((used.look.nulls, used.links.len()), (Nulls::Connect(Some(60_000)), 1));
    assert_eq!((most.reduce, most.sparkline), (Reduce::Max, true));
    let exprs: Vec<_> = hosts.queries.iter().map(|(expr, _)| expr.as_str()).collect();
    assert_eq!(exprs, ["(busy) / 100", "load"], "each in the unit of its column");
    assert_eq!(
        hosts.columns,
        [Column { name: "value 2".to_owned(), title: Some("Load".to_owned()), unit: Some("short"), hidden: false }]
    );
    assert_eq!(
        read.report,
        [
            "panel `Used`: what is set for single series (overrides) is left out: series are chosen by ``",
            "annotations `Logs` are left out: they ask `loki`, not Prometheus",
            "the link `Nodes` leads to the dashboard `nodes`: import that too",
            "times are told in the browser's zone, not in `utc`",
        ]
    );
}

#[test]
fn expressions_over_queries_are_taken() {
    let computed = |more: Value| {
        let mut target = json!({"datasource": {"type": "__expr__", "uid": "__expr__"}});
        target.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        target
    };
    let file = json!({"title": "T", "panels": [{"type": "timeseries", "title": "Share", "fieldConfig": {"defaults": {"unit": "percent", "displayName": "${__field.labels.job} of all"},
        "overrides": [{"matcher": {"id": "byFrameRefID", "options": "D"}, "properties": [{"id": "custom.axisPlacement", "value": "right"}]}]}, "targets": [
            {"refId": "A", "expr": "errors", "hide": true},
            {"refId": "B", "expr": "requests", "hide": true},
            computed(json!({"refId": "C", "type": "math", "expression": "$A / $B", "hide": true})),
            computed(json!({"refId": "D", "type": "reduce", "expression": "C", "reducer": "max"})),
            computed(json!({"refId": "E", "type": "math", "expression": "$E"})),
            computed(json!({"refId": "F", "type": "sql", "expression": "select 1"}))]}]});
    let read = read(file).unwrap();
    let wanted = "(max_over_time(((errors) / (requests))[$__range:$__interval])) / 100";
    assert_eq!(read.panels[0].queries, [(wanted.to_owned(), "{{job}} of all".to_owned())]);
    assert_eq!((read.panels[0].series[0].query, read.panels[0].series[0].right), (Some(0), true));
    assert_eq!(
        read.report,
        [
            "panel `Share`: a query is left out: it is computed of itself",
            "panel `Share`: a query is left out: it is computed of other queries by `sql`",
        ]
    );
}

#[test]
fn heatmaps_are_of_histograms() {
    let heatmap = |more: Value| {
        let mut panel = json!({"type": "heatmap", "title": "H", "targets": [{"expr": "up"}]});
        panel.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let read = read(json!({"title": "T", "panels": [panel]})).unwrap();
        (read.panels[0].shown, read.report.len())
    };
    assert_eq!(heatmap(json!({"dataFormat": "tsbuckets", "options": {"calculate": false}})), (Shown::Heatmap, 0));
    assert_eq!(heatmap(json!({"options": {"calculate": true}})), (Shown::Graph, 1));
    assert_eq!(heatmap(json!({"dataFormat": "timeseries"})), (Shown::Graph, 1));
}

#[test]
fn what_is_no_dashboard_is_told() {
    for (text, wanted) in [
        (json!([]), "this is no dashboard"),
        (json!({"title": 1, "panels": []}), "invalid type"),
        (json!({"rows": []}), "it has no `panels`"),
        (json!({}), "it has no `panels`"),
        (
            json!({"kind": "Dashboard", "spec": {"title": "T", "elements": {}, "layout": {}}}),
            "export it as the classic model",
        ),
    ] {
        let error = read(text).unwrap_err().to_string();
        assert!(error.contains(wanted), "{error}");
    }
    let resource = json!({"apiVersion": "dashboard.grafana.app/v1beta1", "spec": {"title": "T", "panels": []}});
    assert_eq!(read(resource).unwrap().title, "T");
    let many = json!({"panels": vec![json!({"type": "text"}); PANELS_MAX + 1]});
    assert_eq!(read(many), Err(GrafanaError::TooMany));
}

proptest! {
    #[test]
    fn never_panics(expr in "[$\\[\\]{}a-z:é]{0,40}") {
        let _ = variables(&expr);
        let _ = templating::label_values(&expr);
    }
}
