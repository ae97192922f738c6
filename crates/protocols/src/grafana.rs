//! Reads dashboards as Grafana exports them (JSON, schema versions 16 to 41; also inside the `dashboard` of its API), and
//! reports what has no equal here.
//!
//! What is taken: panels that query Prometheus, in the order of the page, with rows as a prefix of their titles, those of the
//! library among them when the file has them; units; widths; stacking, axes and thresholds; template variables from label
//! values, names of metrics, lists and constants. The source of the fields is Grafana's `kinds/dashboard` schema.

mod look;
#[cfg(test)]
mod tests;

use std::collections::HashMap;

use serde::Deserialize;
use serde_json::Value;

pub use look::{Bound, Level, Look};

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

#[derive(Debug, Clone, PartialEq)]
pub struct Panel {
    pub title: String,
    pub description: Option<String>,
    pub shown: Shown,
    /// `ops`, `ratio`, `seconds`, `bytes`, `bytes_per_second`, `celsius`, `hertz` or `short`.
    pub unit: &'static str,
    /// Columns of three.
    pub width: u8,
    /// Expression and legend.
    pub queries: Vec<(String, String)>,
    /// One of its queries at least asks for exemplars.
    pub exemplars: bool,
    pub look: Look,
    /// The variable for each of whose values it stands.
    pub repeat: Option<String>,
}

/// A value that is chosen on the page and stands as `$name` in queries.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Variable {
    pub name: String,
    /// The values of this label...
    pub label: Option<String>,
    /// ...of these series; all when empty.
    pub of: String,
    /// Of the values, those in which this finds something, and of them what its first group finds.
    pub regex: Option<String>,
    pub values: Vec<String>,
    pub all: bool,
    /// Several may be chosen at once.
    pub multi: bool,
}

#[derive(Debug, Clone, PartialEq, Default)]
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
    /// What an export for others asks for: data sources by name.
    #[serde(default, rename = "__inputs")]
    inputs: Value,
    /// Panels of the library, by their id.
    #[serde(default, rename = "__elements")]
    elements: Value,
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
    #[serde(default)]
    datasource: Value,
    /// Of the old graph.
    #[serde(default)]
    stack: Value,
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
    #[serde(default)]
    datasource: Value,
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
    let sources = sources(&file.inputs, &file.templating.list);
    for raw in file.templating.list {
        variable(raw, &mut out);
    }
    let mut read = Reader { out, count: 0, sources, library: library(&file.elements) };
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
            if let Some((of, label)) = label_values(text) {
                (made.of, made.label) = (of.to_owned(), Some(label.to_owned()));
            } else if let Some(names) = metrics(text) {
                (made.of, made.label) = (names, Some("__name__".to_owned()));
            } else {
                report(format!(
                    "it is left out; `{text:.200}` is neither `label_values(SERIES, LABEL)` nor `metrics(NAMES)`"
                ));
                return;
            }
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
    match bare_regex(raw.regex.trim()) {
        _ if raw.regex.trim().is_empty() => {}
        Some(regex) if made.label.is_some() => made.regex = Some(regex.to_owned()),
        _ => report(format!("its filter `{:.100}` is left out", raw.regex)),
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

/// What stands between the slashes of `/.../`; also without them. What has flags or names its groups has no equal here.
fn bare_regex(text: &str) -> Option<&str> {
    let bare = match text.strip_prefix('/') {
        Some(inside) => inside.strip_suffix('/')?,
        None => text,
    };
    (!bare.contains("(?<text>") && !bare.contains("(?<value>")).then_some(bare)
}

/// The selector of `metrics(NAMES)`, a regular expression.
fn metrics(text: &str) -> Option<String> {
    let names = text.trim().strip_prefix("metrics(")?.strip_suffix(')')?.trim();
    let plain = names.trim_matches(['"', '\'']).replace('\\', "\\\\").replace('"', "\\\"");
    Some(if plain.is_empty() { String::new() } else { format!("{{__name__=~\".*({plain}).*\"}}") })
}

/// The kinds of data sources that have a name in the file.
fn sources(inputs: &Value, variables: &[RawVariable]) -> HashMap<String, String> {
    let text = |input: &Value, field: &str| input.get(field).and_then(Value::as_str).map(str::to_owned);
    let inputs = inputs.as_array().map(Vec::as_slice).unwrap_or_default().iter();
    let inputs = inputs.filter_map(|input| Some((text(input, "name")?, text(input, "pluginId")?)));
    let chosen = variables.iter().filter(|v| v.kind == "datasource");
    let chosen = chosen.filter_map(|v| Some((v.name.clone(), v.query.as_str()?.to_owned())));
    inputs.chain(chosen).collect()
}

/// The models of the library's panels; a list in older files.
fn library(elements: &Value) -> HashMap<String, Value> {
    let all: Vec<&Value> = match elements {
        Value::Object(by_id) => by_id.values().collect(),
        Value::Array(list) => list.iter().collect(),
        _ => Vec::new(),
    };
    all.into_iter().filter_map(|e| Some((e.get("uid")?.as_str()?.to_owned(), e.get("model")?.clone()))).collect()
}

fn is_prometheus(kind: &str) -> bool {
    kind.contains("prometheus") || kind.contains("victoriametrics-metrics")
}

struct Reader {
    out: Imported,
    count: usize,
    sources: HashMap<String, String>,
    library: HashMap<String, Value>,
}

impl Reader {
    fn panels(&mut self, mut panels: Vec<RawPanel>, row: &str) -> Result<(), GrafanaError> {
        self.count += panels.len();
        if self.count > PANELS_MAX {
            return Err(GrafanaError::TooMany);
        }
        panels.sort_by(|a, b| a.grid_pos.y.total_cmp(&b.grid_pos.y).then(a.grid_pos.x.total_cmp(&b.grid_pos.x)));
        let mut row = row.to_owned();
        let mut repeat: Option<String> = None;
        for mut panel in panels {
            if panel.kind == "row" {
                panel.title.trim().clone_into(&mut row);
                repeat = panel.repeat.take().filter(|name| !name.is_empty());
                if repeat.is_some() {
                    self.out.report.push(format!("row `{row}`: each of its panels is repeated, instead of the row"));
                }
                let mut inside = std::mem::take(&mut panel.panels);
                for panel in &mut inside {
                    repeated(panel, repeat.as_ref());
                }
                // Rows do not lie in rows, so that this goes no deeper.
                self.panels(inside.into_iter().filter(|p| p.kind != "row").collect(), &row)?;
            } else {
                repeated(&mut panel, repeat.as_ref());
                self.panel(panel, &row);
            }
        }
        Ok(())
    }

    /// The kind of a data source, where the file says it; none where panels of one dashboard mix them.
    fn kind<'a>(&'a self, source: &'a Value) -> Option<&'a str> {
        let name = match source {
            Value::String(name) => name.as_str(),
            Value::Object(source) => {
                let text = |field: &str| source.get(field).and_then(Value::as_str);
                let kind = text("type").unwrap_or_default();
                if !matches!(kind, "" | "datasource") {
                    return Some(kind);
                }
                text("uid").unwrap_or_default()
            }
            _ => return None,
        };
        match name {
            "-- Mixed --" => None,
            "-- Grafana --" | "-- Dashboard --" => Some("Grafana itself"),
            _ => {
                let name = name.trim_start_matches("${").trim_start_matches('$').trim_end_matches('}');
                self.sources.get(name).map(String::as_str)
            }
        }
    }

    /// A panel of the library as the file has it, in the place that refers to it.
    fn resolved(&self, raw: RawPanel) -> RawPanel {
        let uid = raw.library_panel.get("uid").and_then(Value::as_str);
        let model = uid.and_then(|uid| self.library.get(uid));
        let Some(mut model) = model.and_then(|m| serde_json::from_value::<RawPanel>(m.clone()).ok()) else {
            return raw;
        };
        model.grid_pos = raw.grid_pos;
        if raw.repeat.is_some() {
            model.repeat = raw.repeat;
        }
        if !raw.title.trim().is_empty() {
            model.title = raw.title;
        }
        model
    }

    /// Why a query is not taken.
    fn refusal(&self, target: &RawTarget, of_panel: &Value) -> Option<String> {
        if target.hide {
            return Some("it is hidden".to_owned());
        }
        match self.kind(&target.datasource).or_else(|| self.kind(of_panel)) {
            Some("__expr__") => Some("it is computed of other queries".to_owned()),
            Some(kind) if !is_prometheus(kind) => Some(format!("it asks `{kind:.40}`, not Prometheus")),
            _ => target.expr.trim().is_empty().then(|| "it does not ask Prometheus".to_owned()),
        }
    }

    fn panel(&mut self, raw: RawPanel, row: &str) {
        let raw = self.resolved(raw);
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
        let old = look::Old { stack: raw.stack.as_bool().unwrap_or(false), axis: raw.yaxes.first() };
        let look = look::read(&raw.field_config, &old, shown == Shown::Graph, factor, &mut notes);
        let mut queries = Vec::new();
        let mut exemplars = false;
        for target in raw.targets {
            if let Some(why) = self.refusal(&target, &raw.datasource) {
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
        let repeat = raw.repeat.filter(|name| !name.is_empty());
        self.out.panels.push(Panel { title, description, shown, unit, width, queries, exemplars, look, repeat });
    }
}

/// A panel of a row that is repeated, unless it is repeated by itself.
fn repeated(panel: &mut RawPanel, of_row: Option<&String>) {
    if panel.repeat.as_ref().is_none_or(String::is_empty) {
        panel.repeat = of_row.cloned();
    }
}

/// The unit here, and what brings a value into it.
fn unit(told: &str) -> (&'static str, &'static str) {
    match told {
        "ops" | "reqps" | "rps" | "wps" | "iops" | "cps" | "pps" | "eps" | "mps" | "recps" => ("ops", ""),
        "opm" | "rpm" | "wpm" => ("ops", " / 60"),
        "percentunit" => ("ratio", ""),
        "percent" => ("ratio", " / 100"),
        "s" | "dtdurations" | "clocks" => ("seconds", ""),
        "ms" | "dtdurationms" => ("seconds", " / 1000"),
        "µs" | "us" => ("seconds", " / 1e6"),
        "ns" => ("seconds", " / 1e9"),
        "m" => ("seconds", " * 60"),
        "h" => ("seconds", " * 3600"),
        "bytes" | "decbytes" => ("bytes", ""),
        "bits" | "decbits" => ("bytes", " / 8"),
        "kbytes" => ("bytes", " * 1024"),
        "deckbytes" => ("bytes", " * 1000"),
        "mbytes" => ("bytes", " * 1048576"),
        "decmbytes" => ("bytes", " * 1e6"),
        "gbytes" => ("bytes", " * 1073741824"),
        "decgbytes" => ("bytes", " * 1e9"),
        "Bps" | "binBps" => ("bytes_per_second", ""),
        "bps" | "binbps" => ("bytes_per_second", " / 8"),
        "KBs" => ("bytes_per_second", " * 1000"),
        "KiBs" => ("bytes_per_second", " * 1024"),
        "MBs" => ("bytes_per_second", " * 1e6"),
        "MiBs" => ("bytes_per_second", " * 1048576"),
        "Kbits" => ("bytes_per_second", " * 125"),
        "Mbits" => ("bytes_per_second", " * 125000"),
        "celsius" => ("celsius", ""),
        "hertz" | "rothz" => ("hertz", ""),
        "rotkhz" => ("hertz", " * 1000"),
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
