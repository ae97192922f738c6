//! Reads dashboards as Grafana exports them (JSON, schema versions up to 41; also inside the `dashboard` of its API), and
//! reports what has no equal here.
//!
//! What is taken: panels that query Prometheus and panels of text, in the order of the page, with their rows, those of the
//! library among them when the file has them; units; widths; stacking, axes, gaps and thresholds; what is set for single series;
//! expressions over queries; which value is told; columns of tables; links; annotations that query Prometheus; template variables
//! from label values, names of metrics, lists, constants and ad hoc filters. The source of the fields is Grafana's
//! `kinds/dashboard` schema.

mod expressions;
mod look;
mod marks;
mod old;
mod queries;
mod rows;
mod series;
mod templating;
#[cfg(test)]
mod tests;
mod units;
mod values;

use std::collections::HashMap;

use serde::Deserialize;
use serde_json::Value;

pub use look::{Bound, Level, Look, Nulls};
pub use marks::{Link, Mark};
pub use series::Series;
pub use values::{Column, Reduce, Word};

use queries::is_prometheus;
use rows::RawRow;
use templating::RawVariable;
use units::unit;

/// Panels of a file, those in rows among them.
pub const PANELS_MAX: usize = 500;
/// As much of a row's title as is kept.
const ROW_CHARS_MAX: usize = 60;
/// The data source of expressions over queries.
const EXPRESSIONS: &str = "__expr__";

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
    Text,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Panel {
    pub title: String,
    /// The title of the row that it stands in.
    pub row: Option<String>,
    pub description: Option<String>,
    pub shown: Shown,
    /// `ops`, `ratio`, `seconds`, `bytes`, `bytes_per_second`, `celsius`, `hertz`, `watt`, `volt`, `ampere`, `date`
    /// or `short`.
    pub unit: &'static str,
    /// Columns of three.
    pub width: u8,
    /// Expression and legend.
    pub queries: Vec<(String, String)>,
    /// One of its queries at least asks for exemplars.
    pub exemplars: bool,
    pub look: Look,
    /// What is set for single series; the later before the earlier.
    pub series: Vec<Series>,
    /// Which value of a series is told.
    pub reduce: Reduce,
    /// A line below the value.
    pub sparkline: bool,
    /// Of a table.
    pub columns: Vec<Column>,
    /// Of a table: a column, and whether the largest comes first.
    pub sort: Option<(String, bool)>,
    /// What is told instead of numbers.
    pub words: Vec<Word>,
    pub links: Vec<Link>,
    /// Of a panel of text, as Markdown.
    pub text: Option<String>,
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
    /// Its values are the series of this query, as text.
    pub query: Option<String>,
    /// Anything may be typed.
    pub free: bool,
    /// Its values are label matchers, which every selector gets.
    pub filters: bool,
    /// Of the values, those in which this finds something, and of them what its first group finds.
    pub regex: Option<String>,
    pub values: Vec<String>,
    pub all: bool,
    /// Several may be chosen at once.
    pub multi: bool,
    /// What is chosen at first; none where that is all, or where the first value is.
    pub first: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Default)]
pub struct Imported {
    pub title: String,
    pub variables: Vec<Variable>,
    pub panels: Vec<Panel>,
    /// Titles of rows that are folded.
    pub folded: Vec<String>,
    /// Annotations that query Prometheus.
    pub marks: Vec<Mark>,
    pub links: Vec<Link>,
    /// How far back the page opens, as pages write it: `90m`, `24h`, `7d`.
    pub range: Option<String>,
    /// The two instants that it opens with instead, as they are written.
    pub fixed: Option<(String, String)>,
    /// What was left out or changed, each in a sentence.
    pub report: Vec<String>,
}

#[derive(Deserialize)]
struct File {
    #[serde(default)]
    title: String,
    panels: Option<Vec<RawPanel>>,
    /// How it was before version 16.
    rows: Option<Vec<RawRow>>,
    #[serde(default)]
    templating: Templating,
    #[serde(default)]
    annotations: Value,
    #[serde(default)]
    links: Vec<Value>,
    #[serde(default)]
    time: Value,
    #[serde(default)]
    timezone: Value,
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

#[derive(Deserialize, Default)]
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
    /// Of the old graph.
    #[serde(default)]
    series_overrides: Value,
    /// Of the old graph: colours by the names of series.
    #[serde(default)]
    alias_colors: Value,
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
    #[serde(default)]
    null_point_mode: Value,
    #[serde(default)]
    options: Value,
    #[serde(default)]
    links: Value,
    /// Of a row.
    #[serde(default)]
    collapsed: Value,
    /// Of the old single stat.
    #[serde(default)]
    value_name: Value,
    #[serde(default)]
    sparkline: Value,
    /// Before version 16, how many twelfths of the page it takes.
    #[serde(default)]
    span: Value,
    /// Of the old heatmap.
    #[serde(default)]
    data_format: Value,
    /// Of the old text.
    #[serde(default)]
    mode: Value,
    #[serde(default)]
    content: Value,
    #[serde(flatten)]
    old: old::RawOld,
}

impl RawPanel {
    /// A heatmap whose queries are no histograms.
    fn counts_lines(&self) -> bool {
        let calculates = self.options.get("calculate").and_then(Value::as_bool);
        calculates == Some(true) || self.data_format.as_str() == Some("timeseries")
    }
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
    /// It asks for one instant.
    #[serde(default)]
    instant: Value,
    #[serde(default)]
    ref_id: String,
    #[serde(default)]
    datasource: Value,
    /// Of an expression over queries, as all that follow.
    #[serde(default, rename = "type")]
    kind: Value,
    #[serde(default)]
    expression: Value,
    #[serde(default)]
    reducer: Value,
    #[serde(default)]
    window: Value,
    #[serde(default)]
    downsampler: Value,
    #[serde(default)]
    conditions: Value,
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
    old::drop_nulls(&mut value);
    // Its API has it in `dashboard`, an export as a resource in `spec`.
    for around in ["dashboard", "spec"] {
        if let Some(inner) = value.get_mut(around).filter(|inner| inner.is_object()) {
            value = inner.take();
        }
    }
    if value.get("elements").is_some_and(Value::is_object) {
        return Err(GrafanaError::NotOne("it is of the schema v2; export it as the classic model".to_owned()));
    }
    let file: File = serde_json::from_value(value).map_err(not_one)?;
    let panels = match (file.panels, file.rows.unwrap_or_default()) {
        (Some(panels), _) => panels,
        (None, rows) if rows.is_empty() => return Err(GrafanaError::NotOne("it has no `panels`".to_owned())),
        (None, rows) => rows::panels(rows),
    };
    let mut out = Imported { title: file.title, ..Imported::default() };
    let sources = sources(&file.inputs, &file.templating.list);
    for raw in file.templating.list {
        templating::variable(raw, &mut out);
    }
    let mut read = Reader { out, count: 0, sources, library: library(&file.elements) };
    read.panels(panels, None)?;
    read.annotations(&file.annotations);
    let mut out = read.out;
    out.links = marks::links(&file.links, &mut out.report);
    out.fixed = marks::fixed(&file.time);
    if out.fixed.is_none() {
        out.range = marks::range(&file.time, &mut out.report);
    }
    if let Some(zone) = file.timezone.as_str().filter(|zone| !matches!(*zone, "" | "browser")) {
        out.report.push(format!("times are told in the browser's zone, not in `{zone:.40}`"));
    }
    Ok(out)
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

struct Reader {
    out: Imported,
    count: usize,
    sources: HashMap<String, String>,
    library: HashMap<String, Value>,
}

impl Reader {
    /// Annotations that query Prometheus; those that Grafana brings are the record's marks here.
    fn annotations(&mut self, annotations: &Value) {
        let list = annotations.get("list").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        for raw in list.iter().filter(|raw| raw.get("builtIn").is_none_or(|built_in| built_in.as_i64() == Some(0))) {
            let other = raw.get("datasource").and_then(|source| self.kind(source)).filter(|kind| !is_prometheus(kind));
            let other = other.map(str::to_owned);
            if let Some(mark) = marks::mark(raw, other.as_deref(), &mut self.out.report) {
                self.out.marks.push(mark);
            }
        }
    }

    fn panels(&mut self, mut panels: Vec<RawPanel>, row: Option<&str>) -> Result<(), GrafanaError> {
        self.count += panels.len();
        if self.count > PANELS_MAX {
            return Err(GrafanaError::TooMany);
        }
        panels.sort_by(|a, b| a.grid_pos.y.total_cmp(&b.grid_pos.y).then(a.grid_pos.x.total_cmp(&b.grid_pos.x)));
        let mut row = row.map(str::to_owned);
        let mut repeat: Option<String> = None;
        for mut panel in panels {
            if panel.kind == "row" {
                let title: String = variables(panel.title.trim()).chars().take(ROW_CHARS_MAX).collect();
                repeat = panel.repeat.take().filter(|name| !name.is_empty());
                if repeat.is_some() {
                    self.out.report.push(format!("row `{title}`: each of its panels is repeated, instead of the row"));
                }
                row = Some(title).filter(|title| !title.is_empty());
                let folded = panel.collapsed.as_bool() == Some(true);
                if let Some(title) = row.as_ref().filter(|title| folded && !self.out.folded.contains(title)) {
                    self.out.folded.push(title.clone());
                }
                let mut inside = std::mem::take(&mut panel.panels);
                for panel in &mut inside {
                    repeated(panel, repeat.as_ref());
                }
                // Rows do not lie in rows, so that this goes no deeper.
                self.panels(inside.into_iter().filter(|p| p.kind != "row").collect(), row.as_deref())?;
            } else {
                repeated(&mut panel, repeat.as_ref());
                self.panel(panel, row.as_deref());
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
            EXPRESSIONS => Some(EXPRESSIONS),
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

    fn panel(&mut self, raw: RawPanel, row: Option<&str>) {
        let raw = self.resolved(raw);
        let title = match variables(raw.title.trim()) {
            title if title.is_empty() && raw.kind == "text" => "Notes".to_owned(),
            title if title.is_empty() => format!("panel {}", self.out.panels.len() + 1),
            title => title,
        };
        let mut notes = Vec::new();
        let shown = match raw.kind.as_str() {
            "timeseries" | "graph" | "" => Shown::Graph,
            "state-timeline" | "status-history" => {
                notes.push("its states are drawn as lines".to_owned());
                Shown::Graph
            }
            "stat" | "singlestat" | "gauge" => Shown::Stat,
            "bargauge" | "barchart" | "piechart" | "grafana-piechart-panel" => Shown::Top,
            "table" | "table-old" => Shown::Table,
            "heatmap" if raw.counts_lines() => {
                notes.push("it counts values of lines in buckets of its own; here its lines are drawn".to_owned());
                Shown::Graph
            }
            "heatmap" => Shown::Heatmap,
            "text" => Shown::Text,
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
        let made = self.made(raw, shown, title, row, &mut notes);
        let title = &made.title;
        self.out.report.extend(notes.into_iter().map(|note| format!("panel `{title}`: {note}")));
        let nothing = match &made.text {
            Some(text) if text.is_empty() => Some("it has no words"),
            None if made.queries.is_empty() => Some("it has no query that is taken"),
            _ => None,
        };
        match nothing {
            Some(why) => self.out.report.push(format!("panel `{title}` is left out: {why}")),
            None => self.out.panels.push(made),
        }
    }

    /// The panel that is made of one, with what is lost in `notes`.
    fn made(&self, raw: RawPanel, shown: Shown, title: String, row: Option<&str>, notes: &mut Vec<String>) -> Panel {
        if raw.alert.is_object() {
            notes.push("its alert is left out: write a rule".to_owned());
        }
        let told =
            raw.field_config.pointer("/defaults/unit").or_else(|| raw.yaxes.first().and_then(|y| y.get("format")));
        let told = told.and_then(Value::as_str).unwrap_or(&raw.format);
        let (unit, factor) = unit(told);
        if unit == "short" && !matches!(told, "" | "short" | "none" | "locale") {
            notes.push(format!("its unit `{told:.40}` is not known here"));
        }
        let old = look::Old {
            stack: raw.stack.as_bool().unwrap_or(false),
            axis: raw.yaxes.first(),
            nulls: raw.null_point_mode.as_str().unwrap_or_default(),
        };
        let mut look = if shown == Shown::Text {
            Look::default()
        } else {
            look::read(&raw.field_config, &old, shown == Shown::Graph, factor, notes)
        };
        look.thresholds.extend(raw.old.thresholds(shown == Shown::Graph, factor, notes));
        raw.old.tell_lost(notes);
        let taken = self.taken(&raw, notes);
        let tells = matches!(shown, Shown::Stat | Shown::Top | Shown::Table);
        let refs: Vec<&str> = taken.iter().map(|(target, _)| target.ref_id.as_str()).collect();
        let table = if shown == Shown::Table { values::table(&raw, &refs, notes) } else { values::Table::default() };
        if shown != Shown::Table && shown != Shown::Text {
            values::tell_lost(&raw, shown, tells, notes);
        }
        let series = match shown {
            Shown::Graph | Shown::Stat | Shown::Top => series::read(&raw, shown, look.stacked, factor, &refs, notes),
            Shown::Table | Shown::Heatmap | Shown::Text => Vec::new(),
        };
        let at_once = !taken.is_empty() && taken.iter().all(|(_, asked)| asked.instant);
        let value = values::value(&raw, shown, at_once, notes);
        let of_field = if shown == Shown::Table { None } else { queries::display_name(&raw.field_config, notes) };
        let queries = taken.iter().enumerate().map(|(at, (target, asked))| {
            let factor = table.factors.get(at).copied().flatten().unwrap_or(factor);
            let expr = &asked.expr;
            let expr = if factor.is_empty() { expr.clone() } else { format!("({expr}){factor}") };
            let legend = if target.legend_format == "__auto" { String::new() } else { target.legend_format.clone() };
            (expr, of_field.clone().unwrap_or(legend))
        });
        let queries = if shown == Shown::Text { Vec::new() } else { queries.collect() };
        Panel {
            row: row.map(str::to_owned),
            description: Some(raw.description.trim().to_owned()).filter(|d| !d.is_empty()),
            shown,
            unit,
            width: if raw.grid_pos.w > 16.0 { 3 } else { u8::from(raw.grid_pos.w > 8.0) + 1 },
            queries,
            exemplars: taken.iter().any(|(target, _)| target.exemplar == Some(true)),
            look,
            series,
            reduce: value.reduce,
            sparkline: value.sparkline,
            columns: table.columns,
            sort: table.sort,
            words: if tells { raw.old.words(&raw.field_config, factor, notes) } else { Vec::new() },
            links: marks::links(raw.links.as_array().map(Vec::as_slice).unwrap_or_default(), notes),
            text: (shown == Shown::Text).then(|| values::text(&raw, notes)),
            repeat: raw.repeat.filter(|name| !name.is_empty()),
            title,
        }
    }
}

/// A panel of a row that is repeated, unless it is repeated by itself.
fn repeated(panel: &mut RawPanel, of_row: Option<&String>) {
    if panel.repeat.as_ref().is_none_or(String::is_empty) {
        panel.repeat = of_row.cloned();
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
