//! What a panel sets for single series: which, and how they are called, counted and drawn. Pure.

use serde::{Deserialize, Serialize};
use tenfold_types::Fault;

use super::dashboards::{Panel, PanelKind, UNITS};
use super::panel_look::{THRESHOLDS_MAX, Threshold};

pub(super) const SERIES_MAX: usize = 100;
const NAME_BYTES_MAX: usize = 500;
const DECIMALS_MAX: u8 = 15;
const LINE_PX_MAX: f64 = 20.0;

/// What is set for some series of a panel: of the one with a `name`, of those whose name a `regex` finds something in, of those of one
/// `query`, or of all where none of the three stands. What follows in the list goes before what stands earlier.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PanelSeries {
    /// What the series is called on the page: its legend, filled in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// JavaScript's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub regex: Option<String>,
    /// The first is 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub query: Option<u8>,
    /// What it is called instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// `#rrggbb`, of a line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub colour: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
    /// Its values are multiplied by this; -1 draws them below the axis.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scale: Option<f64>,
    /// Places behind the point.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decimals: Option<u8>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub hidden: bool,
    /// Of a line: on an axis at the right, which has the unit of the first line on it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub right: bool,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub dashed: bool,
    /// Of a line, where others are stacked.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unstacked: bool,
    /// How wide a line is, in pixels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line_px: Option<f64>,
    /// How strongly what is below a line is filled, 0 to 100.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fill_percent: Option<u8>,
    /// Where the axis at the right begins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min: Option<f64>,
    /// Where the axis at the right ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<f64>,
    /// Of a `stat` and a `top`, instead of the panel's.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub thresholds: Vec<Threshold>,
}

/// Says what is wrong with one of them, in a panel of so many queries.
pub(super) fn check_one(one: &PanelSeries, kind: PanelKind, queries: usize) -> Result<(), String> {
    let chosen = [one.name.is_some(), one.regex.is_some(), one.query.is_some()];
    if chosen.into_iter().filter(|told| *told).count() > 1 {
        return Err("they are chosen by `name`, `regex` or `query`, not by two of them".to_owned());
    }
    if one.query.is_some_and(|query| query == 0 || usize::from(query) > queries) {
        return Err(format!("`query` is 1 to {queries}"));
    }
    if [&one.name, &one.regex, &one.title].into_iter().flatten().any(|text| text.len() > NAME_BYTES_MAX) {
        return Err(format!("a name, a regular expression and a title have at most {NAME_BYTES_MAX} bytes"));
    }
    if one.title.as_ref().is_some_and(|title| title.trim().is_empty()) {
        return Err("a title has words".to_owned());
    }
    if let Some(unit) = one.unit.as_deref().filter(|unit| !UNITS.contains(unit)) {
        return Err(format!("the unit `{unit}` is not known; known are {}", UNITS.join(", ")));
    }
    if one.decimals.is_some_and(|decimals| decimals > DECIMALS_MAX) {
        return Err(format!("`decimals` are at most {DECIMALS_MAX}"));
    }
    if one.scale.is_some_and(|scale| !scale.is_finite() || scale == 0.0) {
        return Err("`scale` is a number other than 0".to_owned());
    }
    let is_colour = |colour: &String| {
        let hex = colour.strip_prefix('#').unwrap_or_default();
        hex.len() == 6 && hex.chars().all(|c| c.is_ascii_hexdigit())
    };
    if one.colour.as_ref().is_some_and(|colour| !is_colour(colour)) {
        return Err("a `colour` is written `#rrggbb`".to_owned());
    }
    if one.line_px.is_some_and(|width| !(0.0..=LINE_PX_MAX).contains(&width)) {
        return Err(format!("`line_px` is 0 to {LINE_PX_MAX}"));
    }
    if one.fill_percent.is_some_and(|share| share > 100) {
        return Err("`fill_percent` is 0 to 100".to_owned());
    }
    let is_line = one.right || one.dashed || one.unstacked || one.line_px.is_some() || one.fill_percent.is_some();
    if kind != PanelKind::Graph && (is_line || one.colour.is_some()) {
        return Err("a colour, an axis and the look of a line are of the kind `graph`".to_owned());
    }
    if !one.right && (one.min.is_some() || one.max.is_some()) {
        return Err("`min` and `max` are of the axis at the right: `right: true`".to_owned());
    }
    if [one.min, one.max].into_iter().flatten().any(|bound| !bound.is_finite())
        || one.min.zip(one.max).is_some_and(|(min, max)| min >= max)
    {
        return Err("its `min` is a number below its `max`".to_owned());
    }
    if one.thresholds.len() > THRESHOLDS_MAX || (kind == PanelKind::Graph && !one.thresholds.is_empty()) {
        return Err(format!("thresholds of single series are of the kinds `stat` and `top`, {THRESHOLDS_MAX} at most"));
    }
    let is_whole = |threshold: &Threshold| match (threshold.above, threshold.below) {
        (Some(bound), None) | (None, Some(bound)) => bound.is_finite(),
        _ => false,
    };
    if !one.thresholds.iter().all(is_whole) {
        return Err("a threshold has `above` or `below`, and not both".to_owned());
    }
    Ok(())
}

/// Says what is wrong with what a panel sets for its series.
pub(super) fn check(panel: &Panel) -> Result<(), Fault> {
    let wrong = |text: String| Err(Fault::invalid(format!("the panel `{}`: `series`: {text}", panel.title)));
    if panel.series.is_empty() {
        return Ok(());
    }
    if !matches!(panel.kind, PanelKind::Graph | PanelKind::Stat | PanelKind::Top) {
        return wrong("they are of the kinds `graph`, `stat` and `top`; a table has `columns`".to_owned());
    }
    if panel.series.len() > SERIES_MAX {
        return wrong(format!("there are more than {SERIES_MAX}"));
    }
    match panel.series.iter().find_map(|one| check_one(one, panel.kind, panel.queries.len()).err()) {
        Some(text) => wrong(text),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn checked(kind: &str, series: Value) -> Result<Panel, String> {
        let body =
            json!({"title": "P", "kind": kind, "queries": [{"expr": "up"}, {"expr": "down"}], "series": [series]});
        let panel: Panel = serde_json::from_value(body).map_err(|e| e.to_string())?;
        check(&panel).map_err(|fault| fault.message)?;
        Ok(panel)
    }

    #[test]
    fn what_is_set_for_series_is_kept_as_it_is_written() {
        for (kind, series) in [
            ("graph", json!({"regex": "tx", "scale": -1.0, "colour": "#315fcf", "dashed": true, "line_px": 2.0})),
            ("graph", json!({"query": 2, "right": true, "unit": "bytes", "min": 0.0, "max": 1.0, "fill_percent": 20})),
            ("graph", json!({"name": "all", "unstacked": true, "title": "All of it"})),
            ("stat", json!({"decimals": 2, "thresholds": [{"above": 1.0, "level": "warning"}]})),
            ("top", json!({"name": "x", "hidden": true})),
        ] {
            let panel = checked(kind, series.clone()).expect("it is right");
            assert_eq!(serde_json::to_value(&panel.series[0]).expect("it is written"), series);
        }
    }

    #[test]
    fn what_cannot_be_set_is_refused() {
        for (kind, series, wanted) in [
            ("table", json!({"decimals": 1}), "a table has `columns`"),
            ("graph", json!({"name": "a", "query": 1}), "not by two"),
            ("graph", json!({"query": 0}), "1 to 2"),
            ("graph", json!({"query": 3}), "1 to 2"),
            ("graph", json!({"title": " "}), "has words"),
            ("graph", json!({"unit": "lumens"}), "`lumens` is not known"),
            ("graph", json!({"scale": 0.0}), "other than 0"),
            ("graph", json!({"colour": "red"}), "#rrggbb"),
            ("graph", json!({"line_px": 40.0}), "0 to 20"),
            ("graph", json!({"fill_percent": 101}), "0 to 100"),
            ("graph", json!({"decimals": 16}), "at most 15"),
            ("graph", json!({"min": 1.0}), "`right: true`"),
            ("graph", json!({"right": true, "min": 1.0, "max": 1.0}), "below its `max`"),
            ("graph", json!({"thresholds": [{"above": 1.0, "level": "warning"}]}), "`stat` and `top`"),
            ("stat", json!({"thresholds": [{"level": "warning"}]}), "`above` or `below`"),
            ("stat", json!({"dashed": true}), "of the kind `graph`"),
            ("stat", json!({"name": "x".repeat(501)}), "at most 500"),
        ] {
            let said = checked(kind, series).expect_err(wanted);
            assert!(said.contains(wanted), "{said}");
        }
    }
}
