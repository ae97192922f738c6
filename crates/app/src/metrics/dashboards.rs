//! Dashboards: panels of queries, the same for everybody. A service without one gets a generated one.

use serde::{Deserialize, Serialize};
use tenfold_store::dashboards::{self as store, DashboardRow};
use tenfold_types::{Fault, Timestamp, is_legacy_name};

use super::dashboard_marks::{self, DashboardLink, DashboardMark, check_links};
use super::dashboard_saves::saved;
use super::drawn;
use super::ingest_page::{INGEST, ingest};
use super::panel_look::{self, PanelNulls, Threshold};
use super::panel_series::{self, PanelSeries};
use super::panel_values::{self, PanelColumn, PanelReduce, PanelSort, PanelWord};
use crate::App;
use crate::people::check_name;

pub(super) const PANELS_MAX: usize = 200;
pub(super) const QUERIES_MAX: usize = 20;
pub(super) const VARIABLES_MAX: usize = 20;
pub(super) const VALUES_MAX: usize = 200;
pub(super) const REGEX_BYTES_MAX: usize = 500;
const ROW_BYTES_MAX: usize = 256;
/// Columns of a page.
const WIDTH_MAX: u8 = 3;
/// What the page fills in by itself, and what stands for it when a query is checked: the step, four scrapes or a step whichever
/// is longer, the whole range and its ends in milliseconds since 1970.
const BUILT_IN: [(&str, &str); 8] = [
    ("__interval", "1m"),
    ("__interval_ms", "60000"),
    ("__rate_interval", "1m"),
    ("__range", "1m"),
    ("__range_s", "60"),
    ("__range_ms", "60000"),
    ("__from", "1700000000000"),
    ("__to", "1700000060000"),
];

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Dashboard {
    pub name: String,
    pub title: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    /// What is chosen on the page, and stands as `$name` or `${name}` in queries.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub variables: Vec<Variable>,
    pub panels: Vec<Panel>,
    /// Rows that are folded until somebody opens them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub folded: Vec<String>,
    /// What its queries mark on the graphs, beside what the record has.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub marks: Vec<DashboardMark>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub links: Vec<DashboardLink>,
    /// What it opens with where the address says nothing: a length such as `90m`, from five seconds to ten years.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub range: Option<String>,
    /// It opens with what was from here...
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub from: Option<Timestamp>,
    /// ...to here, instead of a range that moves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub to: Option<Timestamp>,
    /// Made up from the service's metrics because nobody wrote one.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub generated: bool,
    /// Of one that was made up: what was looked for, where little or nothing was found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// Grows with every save; `PUT` and `DELETE` with `If-Match` change exactly this one. Absent where nobody saved any, and not
    /// taken from what is written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(read_only)]
    pub version: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(read_only)]
    pub saved_by: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(read_only, value_type = Option<String>)]
    pub saved_at: Option<Timestamp>,
}

impl Dashboard {
    /// What somebody wrote of it, and nothing that the server says.
    pub(crate) fn only_written(self) -> Self {
        Self { generated: false, note: None, version: None, saved_by: None, saved_at: None, ..self }
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Panel {
    pub title: String,
    /// `ops` (per second), `ratio` (0 to 1), `seconds`, `bytes`, `bytes_per_second`, `celsius`, `hertz`, `watt`, `volt`,
    /// `ampere`, `date` (seconds since 1970) or `short`.
    #[serde(default = "short")]
    pub unit: String,
    #[serde(default, skip_serializing_if = "PanelKind::is_graph")]
    pub kind: PanelKind,
    /// Columns it takes, of three.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub width: u8,
    /// None in a panel of text.
    #[serde(default)]
    #[schema(required = true)]
    pub queries: Vec<PanelQuery>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Panels that follow each other and have the same row stand together below its title, which folds them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub row: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub links: Vec<DashboardLink>,
    /// Markdown, of a panel of the kind `text`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// Draws exemplars of its queries, where their series have some: of a `graph` and a `heatmap`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub exemplars: bool,
    /// Lines of a `graph` lie on top of each other, with what is below them filled.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub stacked: bool,
    /// The axis of a `graph` is logarithmic; values of 0 and below are not drawn.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub log: bool,
    /// Where the axis of a `graph` begins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min: Option<f64>,
    /// Where the axis of a `graph` ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<f64>,
    /// What stands where a series of a `graph` has no value, or of a `stat` that draws a line.
    #[serde(default, skip_serializing_if = "PanelNulls::is_gap")]
    pub nulls: PanelNulls,
    /// With `nulls: connect`, the longest time between two values that are joined.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connect_max_ms: Option<u64>,
    /// Which value of a series is told in a `stat`, a `top` and a `table`.
    #[serde(default, skip_serializing_if = "PanelReduce::is_last")]
    pub reduce: PanelReduce,
    /// A `stat` draws the line over the range below its value.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub sparkline: bool,
    /// Columns of a `table` in their order: with any, or with `sort`, it has a column for each label and each query; those not
    /// named here follow.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub columns: Vec<PanelColumn>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sort: Option<PanelSort>,
    /// What is told instead of numbers; the first that fits.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub words: Vec<PanelWord>,
    /// A variable: the panel stands once for each of its values that are chosen, which is the value of `$name` in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repeat: Option<String>,
    /// From where on values are bad: lines across a `graph`, and the look of a value elsewhere.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub thresholds: Vec<Threshold>,
    /// What is set for single series: of a `graph`, a `stat` and a `top`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub series: Vec<PanelSeries>,
}

/// How a panel shows its queries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum PanelKind {
    /// Lines over time.
    #[default]
    Graph,
    /// One value, large, in the look of the threshold that it reaches.
    Stat,
    /// Series and their values.
    Table,
    /// How often which values were observed over time: of native histograms, or of `_bucket` series by `le`.
    Heatmap,
    /// Bars of values, the largest first.
    Top,
    /// Words, as Markdown.
    Text,
}

impl PanelKind {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "what serde asks for")]
    fn is_graph(&self) -> bool {
        *self == Self::Graph
    }
}

const fn one() -> u8 {
    1
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "what serde asks for")]
fn is_one(width: &u8) -> bool {
    *width == 1
}

/// A variable of a dashboard: its values are those of a label, of a query, a list, what somebody types, or filters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Variable {
    pub name: String,
    /// The label whose values are offered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// The series whose label it is, as a selector; all series when it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub of: Option<String>,
    /// A query whose series are offered, each as `name{label="value"} 42`: for use with a `regex`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub query: Option<String>,
    /// Of the values of the label or the query, those in which this regular expression (JavaScript's) finds something; what its first group
    /// finds is offered instead of the whole value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub regex: Option<String>,
    /// Anything may be typed; a value is what stands there at first.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub free: bool,
    /// Its values are label matchers (`job="web"`), which every selector of the dashboard's queries gets: it has no name in them.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub filters: bool,
    /// What is offered where there is no label; of `filters` what stands there at first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<String>,
    /// Offers all values at once, which stands as `.*` in queries: for use with `=~`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub all: bool,
    /// Several may be chosen at once, which stand as `(a|b)` in a matcher: `=` is asked as `=~`, `!=` as `!~`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub multi: bool,
    /// What is chosen at first, with `multi` several; without it all of them, or the first value. What is no longer there is not chosen.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub first: Vec<String>,
}

fn short() -> String {
    "short".into()
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PanelQuery {
    pub expr: String,
    /// Name of the line; `{{label}}` stands for a label's value.
    #[serde(default)]
    pub legend: String,
}

pub(super) const UNITS: [&str; 12] = [
    "ops",
    "ratio",
    "seconds",
    "bytes",
    "bytes_per_second",
    "celsius",
    "hertz",
    "watt",
    "volt",
    "ampere",
    "date",
    "short",
];

/// Says what is wrong with a dashboard, naming the panel.
pub fn check_dashboard(dashboard: &Dashboard) -> Result<(), Fault> {
    check_name("dashboard", &dashboard.name)?;
    if dashboard.panels.len() > PANELS_MAX {
        return Err(Fault::invalid(format!(
            "a dashboard has at most {PANELS_MAX} panels; this one has {}",
            dashboard.panels.len()
        )));
    }
    check_variables(&dashboard.variables)?;
    dashboard_marks::check(dashboard)?;
    for panel in &dashboard.panels {
        let title = &panel.title;
        if !UNITS.contains(&panel.unit.as_str()) {
            return Err(Fault::invalid(format!("the panel `{title}` has the unknown unit `{}`", panel.unit))
                .advice(format!("known are {}", UNITS.join(", "))));
        }
        if !(1..=WIDTH_MAX).contains(&panel.width) {
            return Err(Fault::invalid(format!("the panel `{title}` is {} columns wide", panel.width))
                .advice(format!("a page has {WIDTH_MAX}")));
        }
        panel_look::check(panel)?;
        panel_values::check(panel)?;
        panel_series::check(panel)?;
        check_links(&format!("the panel `{title}`"), &panel.links)?;
        if panel.row.as_ref().is_some_and(|row| row.trim().is_empty() || row.len() > ROW_BYTES_MAX) {
            return Err(Fault::invalid(format!(
                "the panel `{title}`: a row has a title of at most {ROW_BYTES_MAX} bytes"
            )));
        }
        let repeats = |name: &String| dashboard.variables.iter().any(|v| v.name == *name && !v.filters);
        if let Some(name) = panel.repeat.as_ref().filter(|name| !repeats(name)) {
            return Err(Fault::invalid(format!("the panel `{title}` is repeated for `{name}`, which is no variable")));
        }
        if panel.kind != PanelKind::Text && (panel.queries.is_empty() || panel.queries.len() > QUERIES_MAX) {
            return Err(Fault::invalid(format!("the panel `{title}` needs 1 to {QUERIES_MAX} queries")));
        }
        for query in &panel.queries {
            let of = |text: String| Fault::invalid(format!("a query of the panel `{title}`: {text}"));
            let expr = filled(&query.expr, &dashboard.variables).map_err(of)?;
            tenfold_promql::parse(&expr).map_err(|e| of(e.pointing(&expr)))?;
        }
    }
    Ok(())
}

fn check_variables(variables: &[Variable]) -> Result<(), Fault> {
    if variables.len() > VARIABLES_MAX {
        return Err(Fault::invalid(format!("a dashboard has at most {VARIABLES_MAX} variables")));
    }
    for (i, variable) in variables.iter().enumerate() {
        let wrong = |text: String| Fault::invalid(format!("the variable `{}`: {text}", variable.name));
        check_variable(variable, &variables[..i]).map_err(wrong)?;
    }
    Ok(())
}

/// Says what is wrong with a variable behind others, which its series may name.
pub(super) fn check_variable(variable: &Variable, before: &[Variable]) -> Result<(), String> {
    let name = &variable.name;
    if !is_legacy_name(name, "_") || name.starts_with("__") || name.len() > 64 {
        return Err("a name is made of letters, digits and `_`".to_owned());
    }
    if before.iter().any(|v| v.name == *name) {
        return Err("it stands twice".to_owned());
    }
    check_first(variable)?;
    if variable.filters {
        return check_filters(variable);
    }
    match (&variable.label, &variable.query, variable.values.len()) {
        (None, None, 0) if variable.free => {}
        (Some(_), None, 0) | (None, Some(_), 0) | (None, None, 1..=VALUES_MAX) => {}
        (None, None, _) => return Err(format!("it has a label, or 1 to {VALUES_MAX} values")),
        _ => return Err("it has a label, a query or values, not both".to_owned()),
    }
    let lists = variable.all || variable.multi || variable.label.is_some() || variable.query.is_some();
    if variable.free && (lists || variable.values.len() > 1) {
        return Err("what is typed is one value: it has no label, no query, no `all` and no `multi`".to_owned());
    }
    if variable.regex.as_ref().is_some_and(|regex| regex.len() > REGEX_BYTES_MAX) {
        return Err(format!("its regular expression is longer than {REGEX_BYTES_MAX} bytes"));
    }
    for asked in [&variable.of, &variable.query].into_iter().flatten().filter(|asked| !asked.is_empty()) {
        let asked = filled(asked, before)?;
        tenfold_promql::parse(&asked).map_err(|e| e.pointing(&asked))?;
    }
    Ok(())
}

/// Says what is wrong with what is chosen at first.
fn check_first(variable: &Variable) -> Result<(), String> {
    let (first, asked) = (&variable.first, variable.label.is_some() || variable.query.is_some());
    if !first.is_empty() && (variable.free || variable.filters) {
        return Err("its `values` stand there at first; it has no `first`".to_owned());
    }
    if first.len() > VALUES_MAX || (first.len() > 1 && !variable.multi) {
        return Err(format!("`first` is one value, with `multi` at most {VALUES_MAX}"));
    }
    match first.iter().find(|value| value.is_empty() || !(asked || variable.values.contains(value))) {
        Some(value) => Err(format!("`{value:.100}` is chosen at first and is none of its values")),
        None => Ok(()),
    }
}

/// Says what is wrong with filters: each is one label matcher.
fn check_filters(variable: &Variable) -> Result<(), String> {
    let other = variable.label.is_some() || variable.query.is_some() || variable.of.is_some();
    if other || variable.regex.is_some() || variable.free || variable.all || variable.multi {
        return Err("`filters` have `values` and nothing else".to_owned());
    }
    if variable.values.len() > VALUES_MAX {
        return Err(format!("it has at most {VALUES_MAX} values"));
    }
    for matcher in &variable.values {
        // With a name the selector is one even where the matcher takes series without the label.
        let selector = format!("up{{{matcher}}}");
        let parsed = tenfold_promql::parse_matchers(&selector).map_err(|e| e.pointing(&selector))?;
        if parsed.len() != 2 || matcher.trim_end().ends_with(',') {
            return Err(format!("`{matcher:.100}` is no label matcher, like `job=\"web\"`"));
        }
    }
    Ok(())
}

/// A query with values in place of its variables, as the page fills them in.
pub(super) fn filled(expr: &str, variables: &[Variable]) -> Result<String, String> {
    let mut out = String::with_capacity(expr.len());
    let mut rest = expr;
    while let Some(at) = rest.find('$') {
        let (before, from) = rest.split_at(at + 1);
        let (name, after) = match from.strip_prefix('{').and_then(|inside| inside.split_once('}')) {
            Some(named) => named,
            None => from.split_at(from.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(from.len())),
        };
        if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
            // The end of a line in a regular expression.
            out.push_str(before);
            rest = from;
            continue;
        }
        out.push_str(&before[..at]);
        if let Some((_, stands)) = BUILT_IN.iter().find(|(built_in, _)| *built_in == name) {
            out.push_str(stands);
        } else if let Some(variable) = variables.iter().find(|v| v.name == name && !v.filters) {
            out.push_str(variable.values.first().map_or("x", String::as_str));
        } else {
            return Err(format!("there is no variable `{name}`"));
        }
        rest = after;
    }
    out.push_str(rest);
    Ok(out)
}

pub(super) fn from_row(row: &DashboardRow) -> Result<Dashboard, Fault> {
    serde_json::from_str(&row.body)
        .map_err(|e| Fault::internal(format!("the dashboard `{}` cannot be read: {e}", row.name)))
}

impl App {
    /// All dashboards, with a generated one for each service that has none, one for the hosts and one for what comes in.
    pub async fn dashboards(&self) -> Result<Vec<Dashboard>, Fault> {
        let saves = self.read(|tx| store::saves(tx).map_err(Fault::from)).await?;
        let newest = |name: &str| saves.binary_search_by(|save| save.name.as_str().cmp(name)).ok().map(|at| &saves[at]);
        let written = self.dashboards_written().await?.into_iter();
        let with_save = |dashboard: Dashboard| {
            let save = newest(&dashboard.name);
            saved(dashboard, save)
        };
        let mut all: Vec<Dashboard> = written.map(with_save).collect();
        let services: Vec<String> = self.services().await?.into_iter().map(|s| s.name).collect();
        let unwritten = |s: &String| !all.iter().any(|d| d.service.as_ref() == Some(s) || d.name == *s);
        let services: Vec<String> = services.into_iter().filter(unwritten).collect();
        all.extend(self.drawn_services(&services).await);
        if self.metrics.has_pushed() && !all.iter().any(|d| d.name == drawn::HOSTS) {
            all.push(drawn::hosts());
        }
        if self.metrics.takes_in() && !all.iter().any(|d| d.name == INGEST) {
            all.push(ingest());
        }
        // What people ship comes before what it runs on.
        let rank = |d: &Dashboard| d.generated && d.service.is_none();
        all.sort_by(|a, b| (rank(a), &a.name).cmp(&(rank(b), &b.name)));
        Ok(all)
    }

    /// Those that somebody wrote.
    pub async fn dashboards_written(&self) -> Result<Vec<Dashboard>, Fault> {
        self.read(|tx| store::list(tx)?.iter().map(from_row).collect()).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_query_names_its_panel_and_place() {
        let mut d = with_query("up");
        d.panels[0].queries[0].expr = "sum(rate(x[1m])".into();
        let fault = check_dashboard(&d).expect_err("the bracket is open");
        assert!(fault.message.contains("`P`"), "{}", fault.message);
    }

    fn dashboard(body: serde_json::Value) -> Dashboard {
        serde_json::from_value(body).expect("a dashboard")
    }

    fn with_query(expr: &str) -> Dashboard {
        dashboard(serde_json::json!({
            "name": "d", "title": "D",
            "variables": [{"name": "job", "label": "job", "of": "up"}, {"name": "window", "values": ["5m", "1h"]}],
            "panels": [{"title": "P", "width": 2, "queries": [{"expr": expr}]}],
        }))
    }

    #[test]
    fn variables_stand_in_queries() {
        for expr in [
            "rate(a{job=~\"$job\"}[$window])",
            "rate(a{job=\"${job}\"}[$__rate_interval] offset $__interval)",
            "a{code=~\"5..$\"} or a{code=~\"(4|5)$|2\"}",
            "increase(a[${__range_s}s]) * $__interval_ms / ($__to - $__from + $__range_ms)",
        ] {
            check_dashboard(&with_query(expr)).unwrap_or_else(|fault| panic!("{expr}: {fault}"));
        }
        let unknown = check_dashboard(&with_query("a{job=\"$jop\"}")).unwrap_err();
        assert!(unknown.message.contains("there is no variable `jop`"), "{unknown}");
    }

    #[test]
    fn the_example_of_the_guide_is_right() {
        let guide = include_str!("../../../../docs/guide/metrics.md");
        let (_, after) = guide.split_once("## Dashboards").expect("it has the chapter");
        let (_, example) = after.split_once("```yaml\n").expect("with an example");
        let (example, _) = example.split_once("```").expect("that ends");
        let read: Dashboard = serde_saphyr::from_str(example).expect("it reads");
        check_dashboard(&read).expect("it is right");
        assert_eq!((read.variables.len(), read.panels.len(), read.marks.len()), (2, 3, 1));
    }

    #[test]
    fn variables_are_checked() {
        for (variables, wanted) in [
            (serde_json::json!([{"name": "a b", "values": ["1"]}]), "letters, digits and `_`"),
            (serde_json::json!([{"name": "a"}]), "a label, or 1 to"),
            (serde_json::json!([{"name": "a", "label": "job", "values": ["1"]}]), "not both"),
            (serde_json::json!([{"name": "a", "values": ["1"]}, {"name": "a", "values": ["1"]}]), "twice"),
            (serde_json::json!([{"name": "a", "label": "job", "of": "up{"}]), "the variable `a`"),
            (serde_json::json!([{"name": "a", "query": "sum("}]), "the variable `a`"),
            (serde_json::json!([{"name": "a", "query": "up", "values": ["1"]}]), "not both"),
            (serde_json::json!([{"name": "a", "free": true, "multi": true}]), "is one value"),
            (serde_json::json!([{"name": "a", "filters": true, "label": "job"}]), "nothing else"),
            (serde_json::json!([{"name": "a", "filters": true, "values": ["job=1"]}]), "the variable `a`"),
            (serde_json::json!([{"name": "a", "filters": true, "values": ["a=\"1\",b=\"2\""]}]), "no label matcher"),
            (serde_json::json!([{"name": "a", "filters": true, "values": [""]}]), "no label matcher"),
        ] {
            let mut one = with_query("up");
            one.variables = serde_json::from_value(variables).expect("variables");
            let fault = check_dashboard(&one).unwrap_err();
            assert!(fault.message.contains(wanted), "{fault}");
        }
        let mut asked = with_query("a{b=\"$typed\",c=\"$asked\"}");
        let typed = serde_json::json!([{"name": "typed", "free": true}, {"name": "other", "free": true, "values": ["x"]},
                                       {"name": "asked", "query": "topk(5, up{a=\"$typed\"})", "regex": "instance=\"([^\"]+)\""}]);
        asked.variables = serde_json::from_value(typed).expect("variables");
        check_dashboard(&asked).expect("a query and what is typed have no values");
        let mut filtered = with_query("up");
        let filters = serde_json::json!([{"name": "Filters", "filters": true}, {"name": "More", "filters": true, "values": ["job!~\"a|b\""]}]);
        filtered.variables = serde_json::from_value(filters).expect("variables");
        check_dashboard(&filtered).expect("filters have no values until somebody chooses some");
        filtered.panels[0].queries[0].expr = "a{b=\"$More\"}".to_owned();
        assert!(check_dashboard(&filtered).unwrap_err().message.contains("no variable `More`"));
        let mut repeated = with_query("up");
        repeated.panels[0].repeat = Some("job".to_owned());
        check_dashboard(&repeated).expect("there is such a variable");
        repeated.panels[0].repeat = Some("jop".to_owned());
        assert!(check_dashboard(&repeated).unwrap_err().message.contains("`jop`, which is no variable"));
        let mut wide = with_query("up");
        wide.panels[0].width = 4;
        assert!(check_dashboard(&wide).unwrap_err().message.contains("4 columns"));
    }
}
