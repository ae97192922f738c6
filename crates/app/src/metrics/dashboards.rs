//! Dashboards: panels of queries, the same for everybody. A service without one gets a generated one.

use serde::{Deserialize, Serialize};
use tenfold_protocols::grafana;
use tenfold_store::dashboards::{self as store, DashboardRow};
use tenfold_types::{Fault, Timestamp, is_legacy_name};

use super::dashboard_saves::saved;
use super::drawn;
use super::ingest_page::{INGEST, ingest};
use super::panel_look::{self, Threshold, ThresholdLevel};
use crate::people::check_name;
use crate::{App, Caller, Role};

const PANELS_MAX: usize = 60;
const QUERIES_MAX: usize = 20;
const VARIABLES_MAX: usize = 20;
const VALUES_MAX: usize = 200;
const REGEX_BYTES_MAX: usize = 500;
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
    /// `ops` (per second), `ratio` (0 to 1), `seconds`, `bytes`, `bytes_per_second`, `celsius`, `hertz` or `short`.
    #[serde(default = "short")]
    pub unit: String,
    #[serde(default, skip_serializing_if = "PanelKind::is_graph")]
    pub kind: PanelKind,
    /// Columns it takes, of three.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub width: u8,
    pub queries: Vec<PanelQuery>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
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
    /// A variable: the panel stands once for each of its values that are chosen, which is the value of `$name` in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repeat: Option<String>,
    /// From where on values are bad: lines across a `graph`, and the look of a value elsewhere.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub thresholds: Vec<Threshold>,
}

/// How a panel shows its queries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum PanelKind {
    /// Lines over time.
    #[default]
    Graph,
    /// The newest value, large, in the look of the threshold that it reaches.
    Stat,
    /// Series and their newest values.
    Table,
    /// How often which values were observed over time: of native histograms, or of `_bucket` series by `le`.
    Heatmap,
    /// Bars of the newest values, the largest first.
    Top,
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

/// A variable of a dashboard: its values are those of a label, or a list.
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
    /// Of the values of the label, those in which this regular expression (JavaScript's) finds something; what its first group
    /// finds is offered instead of the whole value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub regex: Option<String>,
    /// What is offered where there is no label.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<String>,
    /// Offers all values at once, which stands as `.*` in queries: for use with `=~`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub all: bool,
    /// Several may be chosen at once, which stand as `(a|b)` in a matcher: `=` is asked as `=~`, `!=` as `!~`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub multi: bool,
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

const UNITS: [&str; 8] = ["ops", "ratio", "seconds", "bytes", "bytes_per_second", "celsius", "hertz", "short"];

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
        if let Some(name) = panel.repeat.as_ref().filter(|name| !dashboard.variables.iter().any(|v| v.name == **name)) {
            return Err(Fault::invalid(format!("the panel `{title}` is repeated for `{name}`, which is no variable")));
        }
        if panel.queries.is_empty() || panel.queries.len() > QUERIES_MAX {
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
fn check_variable(variable: &Variable, before: &[Variable]) -> Result<(), String> {
    let name = &variable.name;
    if !is_legacy_name(name, "_") || name.starts_with("__") || name.len() > 64 {
        return Err("a name is made of letters, digits and `_`".to_owned());
    }
    if before.iter().any(|v| v.name == *name) {
        return Err("it stands twice".to_owned());
    }
    match (&variable.label, variable.values.len()) {
        (Some(_), 0) | (None, 1..=VALUES_MAX) => {}
        (Some(_), _) => return Err("it has a label or values, not both".to_owned()),
        (None, _) => return Err(format!("it has a label, or 1 to {VALUES_MAX} values")),
    }
    if variable.regex.as_ref().is_some_and(|regex| regex.len() > REGEX_BYTES_MAX) {
        return Err(format!("its regular expression is longer than {REGEX_BYTES_MAX} bytes"));
    }
    let Some(of) = variable.of.as_deref().filter(|of| !of.is_empty()) else { return Ok(()) };
    let of = filled(of, before)?;
    tenfold_promql::parse(&of).map(drop).map_err(|e| e.pointing(&of))
}

/// A query with values in place of its variables, as the page fills them in.
fn filled(expr: &str, variables: &[Variable]) -> Result<String, String> {
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
        } else if let Some(variable) = variables.iter().find(|v| v.name == name) {
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

/// A dashboard of Grafana to take in.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DashboardImport {
    /// What Grafana exported, or what its API answered.
    #[schema(value_type = Object)]
    pub document: serde_json::Value,
    /// Its name here; otherwise one after its title.
    #[serde(default)]
    pub name: Option<String>,
    /// Says what would be made and makes nothing.
    #[serde(default)]
    pub dry_run: bool,
}

/// A dashboard made of another product's file.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct ImportedDashboard {
    pub dashboard: Dashboard,
    /// What was left out or changed, each in a sentence.
    pub report: Vec<String>,
    /// It is saved; false when only looking.
    pub saved: bool,
}

/// Variables of Grafana that would not be refused here; what is left out of them is told.
fn variables_of_grafana(read: Vec<grafana::Variable>, report: &mut Vec<String>) -> Vec<Variable> {
    let mut kept: Vec<Variable> = Vec::new();
    for v in read {
        let (name, of) = (v.name, Some(v.of).filter(|of| !of.is_empty()));
        let mut made =
            Variable { name, label: v.label, of, regex: v.regex, values: v.values, all: v.all, multi: v.multi };
        let name = made.name.clone();
        let mut tell = |text: &str| report.push(format!("variable {name}: {text}"));
        if kept.len() == VARIABLES_MAX {
            tell(&format!("it is left out, a dashboard has at most {VARIABLES_MAX}"));
            continue;
        }
        if made.values.len() > VALUES_MAX {
            made.values.truncate(VALUES_MAX);
            tell(&format!("its values beyond the first {VALUES_MAX} are left out"));
        }
        if made.regex.as_ref().is_some_and(|regex| regex.len() > REGEX_BYTES_MAX) {
            made.regex = None;
            tell(&format!("its filter is left out, it is longer than {REGEX_BYTES_MAX} bytes"));
        }
        if made.of.is_some()
            && let Err(error) = check_variable(&made, &kept)
        {
            made.of = None;
            tell(&format!("the values of all series are offered: {error}"));
        }
        match check_variable(&made, &kept) {
            Ok(()) => kept.push(made),
            Err(error) => tell(&format!("it is left out: {error}")),
        }
    }
    kept
}

/// A panel of Grafana with those of its queries that were taken.
fn panel_of_grafana(panel: grafana::Panel, queries: Vec<PanelQuery>, repeat: Option<String>) -> Panel {
    let kind = match panel.shown {
        grafana::Shown::Graph => PanelKind::Graph,
        grafana::Shown::Stat => PanelKind::Stat,
        grafana::Shown::Table => PanelKind::Table,
        grafana::Shown::Heatmap => PanelKind::Heatmap,
        grafana::Shown::Top => PanelKind::Top,
    };
    let threshold = |(bound, level): (grafana::Bound, grafana::Level)| {
        let (above, below) = match bound {
            grafana::Bound::Above(bound) => (Some(bound), None),
            grafana::Bound::Below(bound) => (None, Some(bound)),
        };
        let level = match level {
            grafana::Level::Warning => ThresholdLevel::Warning,
            grafana::Level::Critical => ThresholdLevel::Critical,
        };
        Threshold { above, below, level }
    };
    let look = panel.look;
    Panel {
        title: panel.title,
        unit: panel.unit.to_owned(),
        kind,
        width: panel.width,
        queries,
        description: panel.description,
        exemplars: panel.exemplars,
        stacked: look.stacked,
        log: look.log,
        min: look.min,
        max: look.max,
        repeat,
        thresholds: look.thresholds.into_iter().take(panel_look::THRESHOLDS_MAX).map(threshold).collect(),
    }
}

/// A dashboard of Grafana made into one of ours; `name` names it, otherwise its title does.
fn of_grafana(document: serde_json::Value, name: Option<&str>) -> Result<(Dashboard, Vec<String>), Fault> {
    let read = grafana::read(document).map_err(|e| Fault::invalid(e.to_string()))?;
    let mut report = read.report;
    let variables = variables_of_grafana(read.variables, &mut report);
    let mut panels = Vec::new();
    for mut panel in read.panels {
        if panels.len() == PANELS_MAX {
            report.push(format!("panels beyond the first {PANELS_MAX} are left out"));
            break;
        }
        let mut queries = Vec::new();
        for (expr, legend) in std::mem::take(&mut panel.queries).into_iter().take(QUERIES_MAX) {
            let parsed =
                filled(&expr, &variables).and_then(|e| tenfold_promql::parse(&e).map_err(|error| error.to_string()));
            match parsed {
                Ok(_) => queries.push(PanelQuery { expr, legend }),
                Err(error) => report.push(format!("panel `{}`: `{expr:.200}` is left out: {error}", panel.title)),
            }
        }
        if !queries.is_empty() {
            let repeat = panel.repeat.take().filter(|name| {
                let known = variables.iter().any(|v| v.name == *name);
                if !known {
                    report.push(format!(
                        "panel `{}`: it is not repeated: there is no variable `{name:.64}`",
                        panel.title
                    ));
                }
                known
            });
            panels.push(panel_of_grafana(panel, queries, repeat));
        }
    }
    if panels.is_empty() {
        return Err(Fault::invalid(format!("nothing of it can be taken: {}", report.join("; "))));
    }
    let title = Some(read.title).filter(|t| !t.trim().is_empty()).unwrap_or_else(|| "imported".to_owned());
    let name = name.map_or_else(|| named_after(&title), str::to_owned);
    let page = super::drawn::page(&name, panels);
    Ok((Dashboard { title, variables, ..page }.only_written(), report))
}

/// `Node Exporter / Nodes` becomes `node-exporter-nodes`.
fn named_after(title: &str) -> String {
    let plain = title.to_lowercase().replace(|c: char| !c.is_ascii_alphanumeric(), " ");
    let name: String = plain.split_whitespace().collect::<Vec<_>>().join("-").chars().take(60).collect();
    if name.is_empty() { "imported".to_owned() } else { name.trim_end_matches('-').to_owned() }
}

impl App {
    /// Takes in a dashboard that Grafana exported.
    pub async fn dashboard_import(&self, who: &Caller, import: DashboardImport) -> Result<ImportedDashboard, Fault> {
        who.require(Role::Deployer, None, None)?;
        let (dashboard, mut report) = of_grafana(import.document, import.name.as_deref())?;
        check_dashboard(&dashboard)?;
        if self.dashboards_written().await?.iter().any(|d| d.name == dashboard.name) {
            report.push(format!("it replaces the dashboard {}", dashboard.name));
        }
        let dashboard = if import.dry_run { dashboard } else { self.dashboard_put(who, dashboard).await? };
        Ok(ImportedDashboard { dashboard, report, saved: !import.dry_run })
    }

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
        assert_eq!((read.variables.len(), read.panels.len()), (2, 2));
    }

    #[test]
    fn variables_are_checked() {
        for (variables, wanted) in [
            (serde_json::json!([{"name": "a b", "values": ["1"]}]), "letters, digits and `_`"),
            (serde_json::json!([{"name": "a"}]), "a label, or 1 to"),
            (serde_json::json!([{"name": "a", "label": "job", "values": ["1"]}]), "not both"),
            (serde_json::json!([{"name": "a", "values": ["1"]}, {"name": "a", "values": ["1"]}]), "twice"),
            (serde_json::json!([{"name": "a", "label": "job", "of": "up{"}]), "the variable `a`"),
        ] {
            let mut one = with_query("up");
            one.variables = serde_json::from_value(variables).expect("variables");
            let fault = check_dashboard(&one).unwrap_err();
            assert!(fault.message.contains(wanted), "{fault}");
        }
        let mut repeated = with_query("up");
        repeated.panels[0].repeat = Some("job".to_owned());
        check_dashboard(&repeated).expect("there is such a variable");
        repeated.panels[0].repeat = Some("jop".to_owned());
        assert!(check_dashboard(&repeated).unwrap_err().message.contains("`jop`, which is no variable"));
        let mut wide = with_query("up");
        wide.panels[0].width = 4;
        assert!(check_dashboard(&wide).unwrap_err().message.contains("4 columns"));
    }

    #[test]
    fn variables_of_grafana_that_would_be_refused_are_told() {
        let list = |name: &str, values: usize| serde_json::json!({"name": name, "type": "custom", "query": (0..values).map(|n| n.to_string()).collect::<Vec<_>>().join(",")});
        let mut all = vec![
            list("long", VALUES_MAX + 5),
            serde_json::json!({"name": "instance", "type": "query", "query": "label_values(up{cluster=\"$cluster\"}, instance)"}),
            list("long", 1),
        ];
        all.extend((0..VARIABLES_MAX).map(|n| list(&format!("v{n}"), 1)));
        let panels = serde_json::json!([{"type": "stat", "title": "Up", "repeat": "long", "targets": [{"expr": "up"}]},
                                        {"type": "stat", "title": "Odd", "repeat": "gone", "targets": [{"expr": "up"}]}]);
        let (made, report) =
            of_grafana(serde_json::json!({"title": "T", "templating": {"list": all}, "panels": panels}), None)
                .expect("it is taken");
        check_dashboard(&made).expect("and right");
        assert_eq!((made.variables.len(), made.variables[0].values.len()), (VARIABLES_MAX, VALUES_MAX));
        assert_eq!(made.variables[1].of, None);
        for (line, wanted) in
            report.iter().zip(["beyond the first 200", "no variable `cluster`", "stands twice", "at most 20"])
        {
            assert!(line.contains(wanted), "{report:?}");
        }
        assert_eq!(report.len(), 6, "{report:?}");
        assert!(report[5].contains("there is no variable `gone`"), "{report:?}");
        let repeated: Vec<_> = made.panels.iter().map(|panel| panel.repeat.as_deref()).collect();
        assert_eq!(repeated, [Some("long"), None]);
    }

    #[test]
    fn a_dashboard_of_grafana_is_taken_with_what_parses() {
        let file = serde_json::json!({"title": "Node / all", "templating": {"list": [
            {"name": "job", "type": "query", "query": "label_values(up, job)", "multi": true}]},
            "panels": [{"type": "stat", "title": "Up", "fieldConfig": {"defaults": {"thresholds": {"steps": [{"color": "green", "value": null}, {"color": "red", "value": 80}]}}}, "targets": [{"expr": "sum(up{job=\"$job\"})", "exemplar": true}, {"expr": "sum("}]},
                       {"type": "stat", "title": "Other", "targets": [{"expr": "a{b=\"$c\"}"}]}]});
        let (made, report) = of_grafana(file, None).expect("it is taken");
        check_dashboard(&made).expect("and right");
        assert_eq!((made.name.as_str(), made.panels.len(), made.panels[0].kind), ("node-all", 1, PanelKind::Stat));
        assert!(made.variables[0].multi && made.panels[0].exemplars, "{made:?}");
        assert_eq!(report.len(), 2, "{report:?}");
        assert!(report[1].contains("there is no variable `c`"), "{report:?}");
        let (step, first) = (&made.panels[0].thresholds, &made.panels[0].queries[0]);
        assert_eq!(step, &[Threshold { above: Some(80.0), below: None, level: ThresholdLevel::Critical }]);
        assert_eq!(first.expr, "sum(up{job=\"$job\"})");
        let nothing = of_grafana(serde_json::json!({"panels": [{"type": "text"}]}), None).unwrap_err();
        assert!(nothing.message.contains("nothing of it can be taken"), "{nothing}");
    }
}
