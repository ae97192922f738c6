//! What stands on a dashboard beside its panels: marks that a query makes, links, the range it opens with. Pure.

use serde::{Deserialize, Serialize};
use tenfold_types::Fault;

use super::dashboards::{Dashboard, Variable, filled};

const MARKS_MAX: usize = 10;
const LINKS_MAX: usize = 20;
const TEXT_BYTES_MAX: usize = 500;
const ADDRESS_BYTES_MAX: usize = 2_000;
const TAGS_MAX: usize = 20;
/// The shortest and the longest step at which marks are looked for.
const STEP_MS: std::ops::RangeInclusive<u64> = 1_000..=86_400_000;
/// The shortest and the longest range that pages show.
const RANGE_MS: std::ops::RangeInclusive<u64> = 5_000..=10 * 365 * 86_400_000;

/// Marks on the graphs of a dashboard, where a query has a value other than 0: one for each series and stretch of such values.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DashboardMark {
    pub name: String,
    /// PromQL; the dashboard's variables stand in it.
    pub expr: String,
    /// What a mark is called; `{{label}}` stands for a label's value, and the name of the marks where it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// What is told behind it, written like the title.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// Labels whose values are told as well.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// How far apart the query is asked; otherwise as a graph of the range is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step_ms: Option<u64>,
    /// The value is the instant of the mark, in milliseconds since 1970.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub value_is_time: bool,
    /// It is not drawn until somebody ticks it on the page.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub off: bool,
}

/// Where a dashboard or a panel leads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DashboardLink {
    pub title: String,
    /// A path of this server (`/graphs/nodes?var-job=$job`) or an address with `https://` or `http://`; variables stand in it.
    pub to: String,
    /// A path takes the range and the chosen values of the page along.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub keeps_range: bool,
}

/// Says what is wrong with links; `of` names whose they are.
pub(super) fn check_links(of: &str, links: &[DashboardLink]) -> Result<(), Fault> {
    let wrong = |text: String| Err(Fault::invalid(format!("the links of {of}: {text}")));
    if links.len() > LINKS_MAX {
        return wrong(format!("there are more than {LINKS_MAX}"));
    }
    for link in links {
        if link.title.trim().is_empty() || link.title.len() > TEXT_BYTES_MAX {
            return wrong(format!("each has a title of at most {TEXT_BYTES_MAX} bytes"));
        }
        if link.to.len() > ADDRESS_BYTES_MAX {
            return wrong(format!("`{}` is longer than {ADDRESS_BYTES_MAX} bytes", link.title));
        }
        // `//host` leaves this server without saying so, and browsers take a tab out that stands between.
        let is_plain = !link.to.contains(|c: char| c.is_ascii_control());
        let is_path = link.to.starts_with('/') && !link.to.starts_with("//") && !link.to.starts_with("/\\");
        if !is_plain || !is_path && !link.to.starts_with("https://") && !link.to.starts_with("http://") {
            return wrong(format!(
                "`{}` leads to `{:.100}`, which is neither a path nor https://",
                link.title, link.to
            ));
        }
    }
    Ok(())
}

fn check_mark(mark: &DashboardMark, variables: &[Variable]) -> Result<(), String> {
    let texts = [Some(&mark.name), mark.title.as_ref(), mark.text.as_ref()];
    if mark.name.trim().is_empty() || texts.into_iter().flatten().any(|text| text.len() > TEXT_BYTES_MAX) {
        return Err(format!("marks have a name, and no text of more than {TEXT_BYTES_MAX} bytes"));
    }
    if mark.tags.len() > TAGS_MAX {
        return Err(format!("more than {TAGS_MAX} labels are told"));
    }
    if let Some(step) = mark.step_ms.filter(|step| !STEP_MS.contains(step)) {
        return Err(format!("`step_ms` is {} to {}, not {step}", STEP_MS.start(), STEP_MS.end()));
    }
    let expr = filled(&mark.expr, variables)?;
    tenfold_promql::parse(&expr).map(drop).map_err(|e| e.pointing(&expr))
}

/// Whether it is a length as pages write it in their address: `90m`, `2d`.
fn is_range(range: &str) -> bool {
    let units = [('s', 1_000), ('m', 60_000), ('h', 3_600_000), ('d', 86_400_000), ('w', 604_800_000)];
    units.into_iter().any(|(letter, unit_ms)| {
        let count =
            range.strip_suffix(letter).filter(|count| count.len() <= 4 && count.bytes().all(|b| b.is_ascii_digit()));
        count.and_then(|count| count.parse::<u64>().ok()).is_some_and(|count| RANGE_MS.contains(&(count * unit_ms)))
    })
}

/// Says what is wrong with what stands beside the panels.
pub(super) fn check(dashboard: &Dashboard) -> Result<(), Fault> {
    check_links("the dashboard", &dashboard.links)?;
    if dashboard.marks.len() > MARKS_MAX {
        return Err(Fault::invalid(format!("a dashboard has at most {MARKS_MAX} queries for marks")));
    }
    for (at, mark) in dashboard.marks.iter().enumerate() {
        let wrong = |text: String| Fault::invalid(format!("the marks `{}`: {text}", mark.name));
        if dashboard.marks[..at].iter().any(|before| before.name == mark.name) {
            return Err(wrong("they stand twice".to_owned()));
        }
        check_mark(mark, &dashboard.variables).map_err(wrong)?;
    }
    if let Some(range) = dashboard.range.as_deref().filter(|range| !is_range(range)) {
        return Err(Fault::invalid(format!("the range `{range:.40}` is no length that pages show"))
            .advice("write it like 90m, 6h or 7d, from 5s to ten years"));
    }
    match (dashboard.from, dashboard.to) {
        (None, None) => {}
        (Some(from), Some(to)) if from.millis() < to.millis() && dashboard.range.is_none() => {}
        _ => {
            return Err(Fault::invalid(
                "a dashboard opens with a `range`, or with what was `from` one instant `to` a later one",
            ));
        }
    }
    let has_row = |row: &String| dashboard.panels.iter().any(|panel| panel.row.as_ref() == Some(row));
    if let Some(row) = dashboard.folded.iter().find(|row| !has_row(row)) {
        return Err(Fault::invalid(format!("the row `{row}` is folded, but no panel is in it")));
    }
    Ok(())
}

/// Those of a list of marks that would not be refused, 10 at most; what is left out is told.
pub(super) fn kept(read: Vec<DashboardMark>, variables: &[Variable], report: &mut Vec<String>) -> Vec<DashboardMark> {
    let mut all: Vec<DashboardMark> = Vec::new();
    for mark in read {
        let refused = if all.len() == MARKS_MAX {
            Some(format!("a dashboard has at most {MARKS_MAX}"))
        } else if all.iter().any(|before| before.name == mark.name) {
            Some("the name stands twice".to_owned())
        } else {
            check_mark(&mark, variables).err()
        };
        match refused {
            Some(why) => report.push(format!("annotations `{}` are left out: {why}", mark.name)),
            None => all.push(mark),
        }
    }
    all
}

/// Those of a list of links that would not be refused.
pub(super) fn kept_links(of: &str, read: Vec<DashboardLink>, report: &mut Vec<String>) -> Vec<DashboardLink> {
    let mut all = Vec::new();
    for link in read {
        match check_links(of, std::slice::from_ref(&link)) {
            Ok(()) if all.len() < LINKS_MAX => all.push(link),
            Ok(()) => report.push(format!("{of}: links beyond the first {LINKS_MAX} are left out")),
            Err(fault) => report.push(format!("a link is left out: {}", fault.message)),
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::metrics::check_dashboard;

    fn checked(more: Value) -> Result<Dashboard, String> {
        let mut body = json!({"name": "d", "title": "D", "variables": [{"name": "job", "label": "job"}],
                              "panels": [{"title": "P", "row": "Memory", "queries": [{"expr": "up"}]}]});
        body.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        let dashboard: Dashboard = serde_json::from_value(body).map_err(|e| e.to_string())?;
        check_dashboard(&dashboard).map_err(|fault| fault.message)?;
        Ok(dashboard)
    }

    #[test]
    fn what_stands_beside_the_panels_is_kept_as_it_is_written() {
        let more = json!({
            "marks": [{"name": "Restarts", "expr": "changes(start{job=~\"$job\"}[5m])", "title": "{{instance}} began anew", "tags": ["job"], "step_ms": 60_000},
                      {"name": "Backups", "expr": "backup_time * 1000", "value_is_time": true, "off": true}],
            "links": [{"title": "Nodes", "to": "/graphs/nodes?var-job=$job", "keeps_range": true}, {"title": "Wiki", "to": "https://example.org/"}],
            "range": "6h",
            "folded": ["Memory"],
        });
        let written = serde_json::to_value(checked(more.clone()).expect("it is right")).expect("it is written");
        for (name, value) in more.as_object().expect("an object") {
            assert_eq!(written.get(name), Some(value), "{name}");
        }
        let plain = serde_json::to_value(checked(json!({})).expect("it is right")).expect("it is written");
        let fixed =
            checked(json!({"from": "2026-01-01T00:00:00Z", "to": "2026-01-02T00:00:00Z"})).expect("it is right");
        assert_eq!(fixed.to.zip(fixed.from).map(|(to, from)| to.since_ms(from)), Some(86_400_000));
        for name in ["marks", "links", "range", "folded", "from", "to"] {
            assert_eq!(plain.get(name), None, "what is not said is not written");
        }
    }

    #[test]
    fn what_cannot_stand_there_is_refused() {
        let mark = |expr: &str| json!({"name": "M", "expr": expr});
        let link = |to: &str| json!({"links": [{"title": "L", "to": to}]});
        for (more, wanted) in [
            (json!({"marks": [mark("sum(")]}), "the marks `M`"),
            (json!({"marks": [mark("up{job=\"$jop\"}")]}), "no variable `jop`"),
            (json!({"marks": [mark("up"), mark("up")]}), "stand twice"),
            (json!({"marks": [{"name": "", "expr": "up"}]}), "have a name"),
            (json!({"marks": [{"name": "M", "expr": "up", "step_ms": 5}]}), "`step_ms` is 1000 to 86400000, not 5"),
            (link("javascript:alert(1)"), "neither a path nor https://"),
            (link("//example.org"), "neither a path nor https://"),
            (link("/\\example.org"), "neither a path nor https://"),
            (link("/\t/example.org"), "neither a path nor https://"),
            (json!({"links": [{"title": " ", "to": "/"}]}), "has a title"),
            (json!({"range": "2y"}), "the range `2y`"),
            (json!({"from": "2026-01-01T00:00:00Z"}), "opens with a `range`"),
            (json!({"from": "2026-01-02T00:00:00Z", "to": "2026-01-01T00:00:00Z"}), "opens with a `range`"),
            (
                json!({"from": "2026-01-01T00:00:00Z", "to": "2026-01-02T00:00:00Z", "range": "1h"}),
                "opens with a `range`",
            ),
            (json!({"folded": ["Disks"]}), "no panel is in it"),
        ] {
            let said = checked(more).expect_err(wanted);
            assert!(said.contains(wanted), "{said}");
        }
    }

    #[test]
    fn a_dashboard_opens_with_a_range_of_any_length() {
        for range in ["5s", "90m", "24h", "12w", "3650d"] {
            assert_eq!(checked(json!({"range": range})).map(|made| made.range), Ok(Some(range.to_owned())));
        }
        for range in ["", "m", "4s", "0h", "3651d", "9999w", "+5m", "1h30m", "now-1h", "10000m"] {
            assert!(checked(json!({"range": range})).is_err(), "{range}");
        }
    }
}
