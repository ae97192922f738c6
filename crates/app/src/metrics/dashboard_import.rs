//! Dashboards that come from Grafana: what was read of them becomes one of ours, and what is lost is told.

use serde::{Deserialize, Serialize};
use tenfold_protocols::grafana;
use tenfold_types::{Fault, Timestamp};

use super::dashboard_marks::{self, DashboardLink, DashboardMark};
use super::dashboards::{
    Dashboard, PANELS_MAX, Panel, PanelKind, PanelQuery, QUERIES_MAX, REGEX_BYTES_MAX, VALUES_MAX, VARIABLES_MAX,
    Variable, check_dashboard, check_variable, filled,
};
use super::panel_look::{self, CONNECT_MS_MAX, PanelNulls, Threshold, ThresholdLevel};
use super::panel_series::{self, PanelSeries};
use super::panel_values::{self, PanelColumn, PanelReduce, PanelSort, PanelWord};
use crate::{App, Caller, Role};

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
        let (query, free, filters) = (v.query, v.free, v.filters);
        let (label, regex, values, all, multi, first) = (v.label, v.regex, v.values, v.all, v.multi, v.first);
        let mut made = Variable { name, label, of, query, regex, free, filters, values, all, multi, first };
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
        made.first.truncate(VALUES_MAX);
        if made.label.is_none() && made.query.is_none() {
            made.first.retain(|value| made.values.contains(value));
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

fn level(level: grafana::Level) -> ThresholdLevel {
    match level {
        grafana::Level::Warning => ThresholdLevel::Warning,
        grafana::Level::Critical => ThresholdLevel::Critical,
    }
}

const fn kind_of(shown: grafana::Shown) -> PanelKind {
    match shown {
        grafana::Shown::Graph => PanelKind::Graph,
        grafana::Shown::Stat => PanelKind::Stat,
        grafana::Shown::Table => PanelKind::Table,
        grafana::Shown::Heatmap => PanelKind::Heatmap,
        grafana::Shown::Top => PanelKind::Top,
        grafana::Shown::Text => PanelKind::Text,
    }
}

fn threshold((bound, of): (grafana::Bound, grafana::Level)) -> Threshold {
    let (above, below) = match bound {
        grafana::Bound::Above(bound) => (Some(bound), None),
        grafana::Bound::Below(bound) => (None, Some(bound)),
    };
    Threshold { above, below, level: level(of) }
}

/// What is set for single series of a panel, of whose queries those at the places `kept` are taken.
fn series_of_grafana(
    title: &str,
    kind: PanelKind,
    read: Vec<grafana::Series>,
    kept: &[usize],
    report: &mut Vec<String>,
) -> Vec<PanelSeries> {
    let mut all = Vec::new();
    for one in read {
        let query = match one.query.map(|at| kept.iter().position(|of| *of == at)) {
            None => None,
            Some(Some(at)) => u8::try_from(at + 1).ok(),
            // Of a query that is left out, which is told.
            Some(None) => continue,
        };
        let made = PanelSeries {
            name: one.name,
            regex: one.regex,
            query,
            title: one.title,
            colour: one.colour,
            unit: one.unit.map(str::to_owned),
            scale: one.scale,
            decimals: one.decimals,
            hidden: one.hidden,
            right: one.right,
            dashed: one.dashed,
            unstacked: one.unstacked,
            line_px: one.line_px,
            fill_percent: one.fill_percent,
            min: one.min,
            max: one.max,
            thresholds: one.thresholds.into_iter().take(panel_look::THRESHOLDS_MAX).map(threshold).collect(),
        };
        match panel_series::check_one(&made, kind, kept.len()) {
            Ok(()) => all.push(made),
            Err(error) => report.push(format!("panel `{title}`: what is set for a series is left out: {error}")),
        }
    }
    if all.len() > panel_series::SERIES_MAX {
        all.truncate(panel_series::SERIES_MAX);
        let most = panel_series::SERIES_MAX;
        report.push(format!("panel `{title}`: what is set for series beyond the first {most} is left out"));
    }
    all
}

/// A panel of Grafana with those of its queries that were taken.
fn panel_of_grafana(
    panel: grafana::Panel,
    queries: Vec<PanelQuery>,
    links: Vec<DashboardLink>,
    repeat: Option<String>,
) -> Panel {
    let kind = kind_of(panel.shown);
    let reduce = match panel.reduce {
        grafana::Reduce::Last => PanelReduce::Last,
        grafana::Reduce::Min => PanelReduce::Min,
        grafana::Reduce::Max => PanelReduce::Max,
        grafana::Reduce::Mean => PanelReduce::Mean,
        grafana::Reduce::Sum => PanelReduce::Sum,
        grafana::Reduce::Count => PanelReduce::Count,
        grafana::Reduce::Range => PanelReduce::Range,
    };
    let look = panel.look;
    let (nulls, connect_max_ms) = match look.nulls {
        grafana::Nulls::Gap => (PanelNulls::Gap, None),
        grafana::Nulls::Connect(most) => (PanelNulls::Connect, most.filter(|most| *most <= CONNECT_MS_MAX)),
        grafana::Nulls::Zero => (PanelNulls::Zero, None),
    };
    let column = |column: grafana::Column| PanelColumn {
        name: column.name,
        title: column.title,
        unit: column.unit.map(str::to_owned),
        hidden: column.hidden,
    };
    let word = |word: grafana::Word| PanelWord {
        value: word.value,
        from: word.from,
        to: word.to,
        nothing: word.nothing,
        text: word.text,
        level: word.level.map(level),
    };
    let words = panel.words.into_iter().map(word).filter(|word| panel_values::check_word(word).is_ok());
    Panel {
        kind,
        width: panel.width,
        queries,
        row: panel.row,
        description: panel.description,
        exemplars: panel.exemplars,
        stacked: look.stacked,
        log: look.log,
        min: look.min,
        max: look.max,
        nulls,
        connect_max_ms,
        reduce,
        sparkline: panel.sparkline,
        columns: panel.columns.into_iter().map(column).collect(),
        sort: panel.sort.map(|(by, descending)| PanelSort { by, descending }),
        words: words.take(panel_values::WORDS_MAX).collect(),
        links,
        text: panel.text,
        repeat,
        thresholds: look.thresholds.into_iter().take(panel_look::THRESHOLDS_MAX).map(threshold).collect(),
        ..super::drawn::panel(&panel.title, panel.unit, &[])
    }
}

fn marks_of_grafana(read: Vec<grafana::Mark>) -> Vec<DashboardMark> {
    let mark = |mark: grafana::Mark| DashboardMark {
        name: mark.name,
        expr: mark.expr,
        title: mark.title,
        text: mark.text,
        tags: mark.tags,
        step_ms: mark.step_ms,
        value_is_time: mark.value_is_time,
        off: mark.off,
    };
    read.into_iter().map(mark).collect()
}

/// Links that would not be refused; what is left out is told.
fn links_of_grafana(of: &str, read: Vec<grafana::Link>, report: &mut Vec<String>) -> Vec<DashboardLink> {
    let link = |link: grafana::Link| DashboardLink { title: link.title, to: link.to, keeps_range: link.keeps_range };
    dashboard_marks::kept_links(of, read.into_iter().map(link).collect(), report)
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
        let (mut queries, mut kept) = (Vec::new(), Vec::new());
        if panel.queries.len() > QUERIES_MAX {
            report.push(format!("panel `{}`: queries beyond the first {QUERIES_MAX} are left out", panel.title));
        }
        for (at, (expr, legend)) in std::mem::take(&mut panel.queries).into_iter().enumerate().take(QUERIES_MAX) {
            let parsed =
                filled(&expr, &variables).and_then(|e| tenfold_promql::parse(&e).map_err(|error| error.to_string()));
            match parsed {
                Ok(_) => {
                    queries.push(PanelQuery { expr, legend });
                    kept.push(at);
                }
                Err(error) => report.push(format!("panel `{}`: `{expr:.200}` is left out: {error}", panel.title)),
            }
        }
        if !queries.is_empty() || panel.text.is_some() {
            let repeat = panel.repeat.take().filter(|name| {
                let known = variables.iter().any(|v| v.name == *name && !v.filters);
                if !known {
                    report.push(format!(
                        "panel `{}`: it is not repeated: there is no variable `{name:.64}`",
                        panel.title
                    ));
                }
                known
            });
            let columns = panel.columns.len();
            panel.columns.retain(|column| panel_values::is_named(&column.name, column.title.as_deref()));
            panel.columns.truncate(panel_values::COLUMNS_MAX);
            if panel.columns.len() < columns {
                let most = panel_values::COLUMNS_MAX;
                report.push(format!("panel `{}`: columns beyond {most} and long names are left out", panel.title));
            }
            panel.sort = panel.sort.take().filter(|(by, _)| panel_values::is_named(by, None));
            let series = series_of_grafana(
                &panel.title,
                kind_of(panel.shown),
                std::mem::take(&mut panel.series),
                &kept,
                &mut report,
            );
            let of = format!("the panel `{}`", panel.title);
            let links = links_of_grafana(&of, std::mem::take(&mut panel.links), &mut report);
            panels.push(Panel { series, ..panel_of_grafana(panel, queries, links, repeat) });
        }
    }
    if panels.iter().all(|panel: &Panel| panel.kind == PanelKind::Text) {
        return Err(Fault::invalid(format!("nothing of it can be taken: {}", report.join("; "))));
    }
    let title = Some(read.title).filter(|t| !t.trim().is_empty()).unwrap_or_else(|| "imported".to_owned());
    let name = name.map_or_else(|| named_after(&title), str::to_owned);
    let marks = dashboard_marks::kept(marks_of_grafana(read.marks), &variables, &mut report);
    let links = links_of_grafana("the dashboard", read.links, &mut report);
    let has_row = |row: &String| panels.iter().any(|panel| panel.row.as_ref() == Some(row));
    let folded = read.folded.into_iter().filter(has_row).collect();
    let (range, from, to) = opened(read.range, read.fixed, &mut report);
    let page = super::drawn::page(&name, panels);
    Ok((Dashboard { title, variables, folded, marks, links, range, from, to, ..page }.only_written(), report))
}

/// What it opens with: a range by its name, or two instants.
fn opened(
    range: Option<String>,
    fixed: Option<(String, String)>,
    report: &mut Vec<String>,
) -> (Option<String>, Option<Timestamp>, Option<Timestamp>) {
    let Some((from, to)) = fixed else { return (range, None, None) };
    match (Timestamp::parse_rfc3339(&from), Timestamp::parse_rfc3339(&to)) {
        (Some(first), Some(last)) if first.millis() < last.millis() => (None, Some(first), Some(last)),
        _ => {
            report.push(format!("its range from `{from:.40}` to `{to:.40}` is left out: choose it with From … to"));
            (None, None, None)
        }
    }
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
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn what_grafana_opens_with_is_chosen_at_first() {
        let many: Vec<String> = (0..VALUES_MAX + 5).map(|n| n.to_string()).collect();
        let file = serde_json::json!({"title": "T", "templating": {"list": [
            {"name": "host", "type": "query", "query": "label_values(up, instance)", "multi": true, "current": {"text": "h", "value": ["h1", "h2"]}},
            {"name": "long", "type": "custom", "query": many.join(","), "current": {"value": many[VALUES_MAX]}},
            {"name": "window", "type": "interval", "query": "1m,5m", "current": {"value": "5m"}}]},
            "panels": [{"type": "stat", "title": "Up", "targets": [{"expr": "up"}]}]});
        let (made, _) = of_grafana(file, None).expect("it is taken");
        check_dashboard(&made).expect("and right");
        let first: Vec<String> = made.variables.iter().map(|v| v.first.join(" ")).collect();
        assert_eq!(first, ["h1 h2", "", "5m"], "what is left out of a list is not chosen");
    }

    #[test]
    fn what_is_chosen_at_first_is_one_of_the_values() {
        let with = |variable: serde_json::Value| {
            let page = serde_json::json!({"name": "d", "title": "D", "panels": [], "variables": [variable]});
            check_dashboard(&serde_json::from_value(page).expect("a dashboard"))
        };
        with(serde_json::json!({"name": "a", "values": ["x", "y"], "multi": true, "first": ["y", "x"]}))
            .expect("right");
        with(serde_json::json!({"name": "a", "label": "job", "first": ["gone"]})).expect("right");
        for (variable, says) in [
            (serde_json::json!({"name": "a", "values": ["x"], "first": ["z"]}), "`z` is chosen at first"),
            (serde_json::json!({"name": "a", "label": "job", "first": ["x", "y"]}), "one value, with `multi`"),
            (serde_json::json!({"name": "a", "free": true, "values": ["x"], "first": ["x"]}), "has no `first`"),
            (serde_json::json!({"name": "a", "label": "job", "first": [""]}), "none of its values"),
        ] {
            let fault = with(variable).expect_err("it is refused");
            assert!(fault.message.contains(says), "{fault:?}");
        }
    }

    #[test]
    fn what_stands_around_panels_is_taken() {
        let file = serde_json::json!({"title": "Around", "time": {"from": "now-6h", "to": "now"},
            "annotations": {"list": [{"name": "Restarts", "expr": "changes(start[5m]) > 0"}, {"name": "Odd", "expr": "up{job=\"$gone\"}"}]},
            "links": [{"type": "link", "title": "Bad", "url": "ftp://example.org"}, {"type": "link", "title": "Wiki", "url": "https://example.org/"}],
            "panels": [
                {"type": "text", "title": "Read me", "options": {"mode": "markdown", "content": "# Hello"}},
                {"type": "row", "title": "Empty", "collapsed": true, "gridPos": {"y": 1}, "panels": []},
                {"type": "row", "title": "Load", "collapsed": true, "gridPos": {"y": 2}, "panels": [
                    {"type": "timeseries", "title": "Load", "fieldConfig": {"defaults": {"custom": {"spanNulls": 60000}}}, "targets": [{"expr": "load"}]},
                    {"type": "stat", "title": "Mean", "gridPos": {"y": 1}, "options": {"reduceOptions": {"calcs": ["mean"]}, "graphMode": "area"}, "targets": [{"expr": "load"}]},
                    {"type": "table", "title": "Hosts", "gridPos": {"y": 2}, "options": {"sortBy": [{"displayName": "Value", "desc": true}]}, "targets": [{"expr": "load"}]}]}]});
        let (made, report) = of_grafana(file, None).expect("it is taken");
        check_dashboard(&made).expect("and right");
        assert_eq!((made.range.as_deref(), made.folded.as_slice()), (Some("6h"), &["Load".to_owned()][..]));
        assert_eq!(made.marks.iter().map(|mark| mark.name.as_str()).collect::<Vec<_>>(), ["Restarts"]);
        assert_eq!(made.links.iter().map(|link| link.title.as_str()).collect::<Vec<_>>(), ["Wiki"]);
        let [text, graph, stat, table] = made.panels.as_slice() else { panic!("four panels: {made:?}") };
        assert_eq!((text.kind, text.text.as_deref(), text.row.as_deref()), (PanelKind::Text, Some("# Hello"), None));
        assert_eq!((graph.nulls, graph.connect_max_ms), (PanelNulls::Connect, Some(60_000)));
        assert_eq!((stat.reduce, stat.sparkline, stat.row.as_deref()), (PanelReduce::Mean, true, Some("Load")));
        assert_eq!(table.sort, Some(PanelSort { by: "value".to_owned(), descending: true }));
        for (line, wanted) in report.iter().zip(["no variable `gone`", "neither a path"]) {
            assert!(line.contains(wanted), "{report:?}");
        }
        assert_eq!(report.len(), 2, "{report:?}");
    }

    #[test]
    fn settings_of_series_and_filters_are_taken() {
        let of = |id: &str, options: &str, properties: serde_json::Value| serde_json::json!({"matcher": {"id": id, "options": options}, "properties": properties});
        let overrides = serde_json::json!([
            of(
                "byFrameRefID",
                "B",
                serde_json::json!([{"id": "unit", "value": "bytes"}, {"id": "custom.axisPlacement", "value": "right"}])
            ),
            of("byFrameRefID", "A", serde_json::json!([{"id": "unit", "value": "bytes"}])),
            of("byName", &"x".repeat(600), serde_json::json!([{"id": "unit", "value": "bytes"}]))
        ]);
        let file = serde_json::json!({"title": "T", "templating": {"list": [{"name": "Filters", "type": "adhoc", "filters": [{"key": "job", "operator": "=", "value": "web"}]}]},
            "panels": [{"type": "timeseries", "title": "P", "repeat": "Filters", "fieldConfig": {"overrides": overrides},
                        "targets": [{"refId": "A", "expr": "sum("}, {"refId": "B", "expr": "up"}]}]});
        let (made, report) = of_grafana(file, None).expect("it is taken");
        check_dashboard(&made).expect("and right");
        let series: Vec<_> =
            made.panels[0].series.iter().map(|one| (one.query, one.unit.as_deref(), one.right)).collect();
        assert_eq!(series, [(Some(1), Some("bytes"), true)], "of the query that is kept");
        assert_eq!(
            (made.variables[0].filters, made.variables[0].values.as_slice()),
            (true, &["job=\"web\"".to_owned()][..])
        );
        for (line, wanted) in report.iter().zip(["`sum(`", "no variable `Filters`", "at most 500 bytes"]) {
            assert!(line.contains(wanted), "{report:?}");
        }
        assert_eq!(report.len(), 3, "{report:?}");
    }

    #[test]
    fn queries_that_have_no_place_are_told() {
        let targets: Vec<_> = (0..QUERIES_MAX + 3).map(|n| serde_json::json!({"expr": format!("up{n}")})).collect();
        let panels = serde_json::json!([{"type": "timeseries", "title": "Many", "targets": targets}]);
        let (made, report) =
            of_grafana(serde_json::json!({"title": "T", "panels": panels}), None).expect("it is taken");
        check_dashboard(&made).expect("and right");
        assert_eq!((made.panels[0].queries.len(), report.len()), (QUERIES_MAX, 1), "{report:?}");
        assert!(report[0].contains("panel `Many`: queries beyond the first 20"), "{report:?}");
    }

    #[test]
    fn a_range_that_stands_still_is_taken() {
        for (from, to, wanted, told) in [
            ("2026-01-01T00:00:00.000Z", "2026-01-01T06:00:00.000Z", Some(6 * 3_600_000), 0),
            ("2026-01-02T00:00:00Z", "2026-01-01T00:00:00Z", None, 1),
            ("yesterday", "today", None, 1),
        ] {
            let panels = serde_json::json!([{"type": "stat", "title": "Up", "targets": [{"expr": "up"}]}]);
            let file = serde_json::json!({"title": "T", "time": {"from": from, "to": to}, "panels": panels});
            let (made, report) = of_grafana(file, None).expect("it is taken");
            check_dashboard(&made).expect("and right");
            assert_eq!(made.to.zip(made.from).map(|(to, from)| to.since_ms(from)), wanted, "{from}");
            assert_eq!((made.range, report.len()), (None, told), "{report:?}");
        }
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
