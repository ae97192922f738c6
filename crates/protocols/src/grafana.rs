//! Reads dashboards as Grafana exports them (JSON, schema versions 16 to 41; also inside the `dashboard` of its API), and
//! reports what has no equal here.
//!
//! What is taken: panels that query Prometheus, in the order of the page, with rows as a prefix of their titles; units;
//! widths; template variables from label values, lists and constants. The source of the fields is Grafana's `kinds/dashboard`
//! schema.

use serde::Deserialize;
use serde_json::Value;

/// Panels of a file, those in rows among them.
pub const PANELS_MAX: usize = 500;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GrafanaError {
    #[error("this is no dashboard of Grafana: {0}")]
    NotOne(String),
    #[error("a dashboard has at most {PANELS_MAX} panels")]
    TooMany,
}

/// How a panel shows its queries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shown {
    Graph,
    Stat,
    Table,
    Heatmap,
    Top,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Panel {
    pub title: String,
    pub description: Option<String>,
    pub shown: Shown,
    /// `ops`, `ratio`, `seconds`, `bytes` or `short`.
    pub unit: &'static str,
    /// Columns of three.
    pub width: u8,
    /// Expression and legend.
    pub queries: Vec<(String, String)>,
    /// One of its queries at least asks for exemplars.
    pub exemplars: bool,
}

/// A value that is chosen on the page and stands as `$name` in queries.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Variable {
    pub name: String,
    /// The values of this label...
    pub label: Option<String>,
    /// ...of these series; all when empty.
    pub of: String,
    pub values: Vec<String>,
    pub all: bool,
    /// Several may be chosen at once.
    pub multi: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Imported {
    pub title: String,
    pub variables: Vec<Variable>,
    pub panels: Vec<Panel>,
    /// What was left out or changed, each in a sentence.
    pub report: Vec<String>,
}

#[derive(Deserialize)]
struct File {
    #[serde(default)]
    title: String,
    panels: Option<Vec<RawPanel>>,
    /// How it was before version 16.
    rows: Option<Vec<Value>>,
    #[serde(default)]
    templating: Templating,
    #[serde(default)]
    annotations: Value,
    #[serde(default)]
    links: Vec<Value>,
}

#[derive(Deserialize, Default)]
struct Templating {
    #[serde(default)]
    list: Vec<RawVariable>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawVariable {
    #[serde(default)]
    name: String,
    #[serde(default, rename = "type")]
    kind: String,
    #[serde(default)]
    query: Value,
    #[serde(default)]
    include_all: bool,
    #[serde(default)]
    multi: bool,
    /// What all of them stands as, instead of each.
    all_value: Option<String>,
    #[serde(default)]
    regex: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawPanel {
    #[serde(default)]
    title: String,
    #[serde(default)]
    description: String,
    #[serde(default, rename = "type")]
    kind: String,
    #[serde(default)]
    targets: Vec<RawTarget>,
    #[serde(default)]
    field_config: Value,
    /// Of the old graph: the left axis is the first.
    #[serde(default)]
    yaxes: Vec<Value>,
    /// Of the old single stat.
    #[serde(default)]
    format: String,
    #[serde(default)]
    grid_pos: GridPos,
    #[serde(default)]
    panels: Vec<RawPanel>,
    #[serde(default)]
    alert: Value,
    #[serde(default)]
    transformations: Vec<Value>,
    #[serde(default)]
    repeat: Option<String>,
    #[serde(default)]
    library_panel: Value,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawTarget {
    #[serde(default)]
    expr: String,
    #[serde(default)]
    legend_format: String,
    #[serde(default)]
    hide: bool,
    exemplar: Option<bool>,
}

#[derive(Deserialize, Clone, Copy, Default)]
struct GridPos {
    #[serde(default)]
    w: f64,
    #[serde(default)]
    x: f64,
    #[serde(default)]
    y: f64,
}

/// Reads a dashboard.
///
/// # Errors
/// When it is none, or has too many panels.
pub fn read(mut value: Value) -> Result<Imported, GrafanaError> {
    let not_one = |e: serde_json::Error| GrafanaError::NotOne(e.to_string());
    if let Some(inner) = value.get_mut("dashboard").filter(|d| d.is_object()) {
        value = inner.take();
    }
    let file: File = serde_json::from_value(value).map_err(not_one)?;
    let Some(panels) = file.panels else {
        let why = if file.rows.is_some() {
            "its panels lie in `rows`, as before Grafana 5; open and save it in a newer one"
        } else {
            "it has no `panels`"
        };
        return Err(GrafanaError::NotOne(why.to_owned()));
    };
    let mut out = Imported { title: file.title, ..Imported::default() };
    for raw in file.templating.list {
        variable(raw, &mut out);
    }
    let mut read = Reader { out, count: 0 };
    read.panels(panels, "")?;
    let mut out = read.out;
    let queries = |a: &Value| {
        a.get("list").and_then(Value::as_array).map_or(0, |l| l.iter().filter(|a| a.get("builtIn").is_none()).count())
    };
    if queries(&file.annotations) > 0 {
        out.report
            .push("annotations are left out: deploys, flips and notes are drawn on every graph anyway".to_owned());
    }
    if !file.links.is_empty() {
        out.report.push("links to other dashboards are left out".to_owned());
    }
    Ok(out)
}

fn variable(raw: RawVariable, out: &mut Imported) {
    let name = raw.name;
    let mut report = |text: String| out.report.push(format!("variable {name}: {text}"));
    if !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') || name.is_empty() {
        report("it is left out, its name is not made of letters, digits and `_`".to_owned());
        return;
    }
    if !raw.regex.is_empty() {
        report(format!("its filter `{:.100}` is left out", raw.regex));
    }
    if let Some(all) = raw.all_value.filter(|all| raw.include_all && !matches!(all.as_str(), "" | ".*")) {
        report(format!("all of its values stand as `.*`, not as `{all:.100}`"));
    }
    let text = match &raw.query {
        Value::Object(query) => query.get("query").and_then(Value::as_str).unwrap_or_default(),
        other => other.as_str().unwrap_or_default(),
    };
    let list = || text.split(',').map(str::trim).filter(|v| !v.is_empty()).map(str::to_owned).collect::<Vec<_>>();
    let mut made = Variable { name: name.clone(), all: raw.include_all, multi: raw.multi, ..Variable::default() };
    match raw.kind.as_str() {
        "query" => {
            let Some((of, label)) = label_values(text) else {
                report(format!("it is left out; `{text:.200}` is not `label_values(SERIES, LABEL)`"));
                return;
            };
            (made.of, made.label) = (of.to_owned(), Some(label.to_owned()));
        }
        "custom" | "interval" => {
            made.values = list().into_iter().filter(|v| v != "auto" && !v.starts_with("$__")).collect();
        }
        "constant" | "textbox" => made.values = vec![text.to_owned()],
        "datasource" => return,
        other => {
            report(format!("it is left out; a variable of the kind `{other:.40}` has no equal here"));
            return;
        }
    }
    if made.label.is_none() && made.values.is_empty() {
        report("it is left out, it has no values".to_owned());
        return;
    }
    out.variables.push(made);
}

/// Series and label of `label_values(up{job="x"}, instance)` and `label_values(instance)`.
fn label_values(text: &str) -> Option<(&str, &str)> {
    let inside = text.trim().strip_prefix("label_values(")?.strip_suffix(')')?;
    let (of, label) = inside.rsplit_once(',').filter(|(_, l)| !l.contains(['}', '"'])).unwrap_or(("", inside));
    let label = label.trim();
    let plain = !label.is_empty() && label.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    plain.then_some((of.trim(), label))
}

struct Reader {
    out: Imported,
    count: usize,
}

impl Reader {
    fn panels(&mut self, mut panels: Vec<RawPanel>, row: &str) -> Result<(), GrafanaError> {
        self.count += panels.len();
        if self.count > PANELS_MAX {
            return Err(GrafanaError::TooMany);
        }
        panels.sort_by(|a, b| a.grid_pos.y.total_cmp(&b.grid_pos.y).then(a.grid_pos.x.total_cmp(&b.grid_pos.x)));
        let mut row = row.to_owned();
        for mut panel in panels {
            if panel.kind == "row" {
                panel.title.trim().clone_into(&mut row);
                let inside = std::mem::take(&mut panel.panels);
                // Rows do not lie in rows, so that this goes no deeper.
                self.panels(inside.into_iter().filter(|p| p.kind != "row").collect(), &row)?;
            } else {
                self.panel(panel, &row);
            }
        }
        Ok(())
    }

    fn panel(&mut self, raw: RawPanel, row: &str) {
        let name = match raw.title.trim() {
            "" => format!("panel {}", self.out.panels.len() + 1),
            title => title.to_owned(),
        };
        let title = if row.is_empty() { name } else { format!("{row}: {name}") };
        let mut notes = Vec::new();
        let shown = match raw.kind.as_str() {
            "timeseries" | "graph" | "" => Shown::Graph,
            "stat" | "singlestat" | "gauge" => Shown::Stat,
            "bargauge" | "barchart" | "piechart" | "grafana-piechart-panel" => Shown::Top,
            "table" | "table-old" => Shown::Table,
            "heatmap" => Shown::Heatmap,
            other => {
                self.out.report.push(format!("panel `{title}` is left out: `{other:.40}` has no equal here"));
                return;
            }
        };
        if raw.library_panel.is_object() && raw.targets.is_empty() {
            self.out
                .report
                .push(format!("panel `{title}` is left out: it is kept in Grafana's library, not in the file"));
            return;
        }
        for (there, what) in [
            (raw.alert.is_object(), "its alert is left out: write a rule"),
            (!raw.transformations.is_empty(), "its transformations are left out: queries are shown as they answer"),
            (raw.repeat.is_some(), "it is not repeated for each value of a variable"),
        ] {
            if there {
                notes.push(what.to_owned());
            }
        }
        let told =
            raw.field_config.pointer("/defaults/unit").or_else(|| raw.yaxes.first().and_then(|y| y.get("format")));
        let told = told.and_then(Value::as_str).unwrap_or(&raw.format);
        let (unit, factor) = unit(told);
        if unit == "short" && !matches!(told, "" | "short" | "none" | "locale") {
            notes.push(format!("its unit `{told:.40}` is not known here"));
        }
        let mut queries = Vec::new();
        let mut exemplars = false;
        for target in raw.targets {
            if target.hide || target.expr.trim().is_empty() {
                let why = if target.hide { "it is hidden" } else { "it does not ask Prometheus" };
                notes.push(format!("a query is left out: {why}"));
                continue;
            }
            exemplars |= target.exemplar == Some(true);
            let expr = variables(target.expr.trim());
            let expr = if factor.is_empty() { expr } else { format!("({expr}){factor}") };
            let legend = if target.legend_format == "__auto" { String::new() } else { target.legend_format };
            queries.push((expr, legend));
        }
        self.out.report.extend(notes.into_iter().map(|note| format!("panel `{title}`: {note}")));
        if queries.is_empty() {
            self.out.report.push(format!("panel `{title}` is left out: it has no query that is taken"));
            return;
        }
        let width = if raw.grid_pos.w > 16.0 { 3 } else { u8::from(raw.grid_pos.w > 8.0) + 1 };
        let description = Some(raw.description.trim().to_owned()).filter(|d| !d.is_empty());
        self.out.panels.push(Panel { title, description, shown, unit, width, queries, exemplars });
    }
}

/// The unit here, and what brings a value into it.
fn unit(told: &str) -> (&'static str, &'static str) {
    match told {
        "ops" | "reqps" | "rps" | "wps" | "iops" | "cps" | "opm" | "pps" | "eps" | "mps" | "recps" => ("ops", ""),
        "percentunit" => ("ratio", ""),
        "percent" => ("ratio", " / 100"),
        "s" | "dtdurations" | "clocks" => ("seconds", ""),
        "ms" | "dtdurationms" => ("seconds", " / 1000"),
        "µs" | "us" => ("seconds", " / 1e6"),
        "ns" => ("seconds", " / 1e9"),
        "m" => ("seconds", " * 60"),
        "h" => ("seconds", " * 3600"),
        "bytes" | "decbytes" | "Bps" | "binBps" => ("bytes", ""),
        "bits" | "decbits" | "bps" | "binbps" => ("bytes", " / 8"),
        "kbytes" | "deckbytes" | "KBs" | "KiBs" => ("bytes", " * 1024"),
        "mbytes" | "decmbytes" | "MBs" | "MiBs" => ("bytes", " * 1048576"),
        _ => ("short", ""),
    }
}

/// `[[name]]` and `${name:format}` as `${name}`.
fn variables(expr: &str) -> String {
    let mut out = String::with_capacity(expr.len());
    let mut rest = expr;
    while let Some(at) = rest.find(['$', '[']) {
        let (before, from) = rest.split_at(at);
        out.push_str(before);
        let found = ["${", "[["].into_iter().zip(["}", "]]"]).find_map(|(open, close)| {
            let inside = from.strip_prefix(open)?;
            let end = inside.find(close)?;
            let name = inside[..end].split(':').next()?;
            let plain = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
            plain.then(|| (name, &inside[end + close.len()..]))
        });
        if let Some((name, after)) = found {
            out.extend(["${", name, "}"]);
            rest = after;
        } else {
            out.push_str(&from[..1]);
            rest = &from[1..];
        }
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
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
}
