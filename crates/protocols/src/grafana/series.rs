//! What is set for single series of a panel: overrides of fields, and in panels of before version 7 those of series.

use serde_json::Value;

use super::look::{self, Bound, Level};
use super::values::list;
use super::{RawPanel, Shown, unit};

/// Which series, by one of the first three, and what is set for them; of all series where none is told.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Series {
    /// The whole name.
    pub name: Option<String>,
    /// A regular expression (JavaScript's) that finds something in the name.
    pub regex: Option<String>,
    /// The place of the query among those that are taken, from 0.
    pub query: Option<usize>,
    pub title: Option<String>,
    /// `#rrggbb`.
    pub colour: Option<String>,
    pub unit: Option<&'static str>,
    /// What values are multiplied by: into the unit, and below the axis.
    pub scale: Option<f64>,
    pub decimals: Option<u8>,
    pub hidden: bool,
    /// On an axis of its own, at the right.
    pub right: bool,
    pub dashed: bool,
    /// Not stacked with the others.
    pub unstacked: bool,
    pub line_px: Option<f64>,
    pub fill_percent: Option<u8>,
    /// Ends of the axis at the right.
    pub min: Option<f64>,
    pub max: Option<f64>,
    pub thresholds: Vec<(Bound, Level)>,
}

impl Series {
    /// The same series, with nothing set.
    fn bare(&self) -> Self {
        Self { name: self.name.clone(), regex: self.regex.clone(), query: self.query, ..Self::default() }
    }
}

/// The panel that settings stand in.
struct Scope<'a> {
    lines: bool,
    stacked: bool,
    /// What its queries are brought into the panel's unit by.
    factor: &'a str,
}

const PIXELS_MAX: f64 = 20.0;
const DECIMALS_MAX: u64 = 15;

/// Of a panel of lines, of one value or of bars. `refs` are the letters of the queries that are taken.
pub(super) fn read(
    raw: &RawPanel,
    shown: Shown,
    stacked: bool,
    factor: &str,
    refs: &[&str],
    notes: &mut Vec<String>,
) -> Vec<Series> {
    let scope = Scope { lines: shown == Shown::Graph, stacked, factor };
    let mut all = Vec::new();
    let told = raw.field_config.pointer("/defaults/decimals");
    let told = told.or_else(|| raw.yaxes.first().and_then(|axis| axis.get("decimals"))).and_then(decimals);
    all.extend(told.map(|decimals| Series { decimals: Some(decimals), ..Series::default() }));
    let mut lost = Vec::new();
    for of_field in list(&raw.field_config, "/overrides") {
        let matcher = of_field.get("matcher").unwrap_or(&Value::Null);
        match matched(matcher, refs) {
            Ok(None) => {}
            Ok(Some(mut series)) => {
                overridden(&mut series, list(of_field, "/properties"), &scope, &mut lost);
                all.push(series);
            }
            Err(why) => notes.push(format!("what is set for single series (overrides) is left out: {why}")),
        }
    }
    // What is set for a series goes before these.
    for (name, told) in raw.alias_colors.as_object().into_iter().flatten().filter(|_| scope.lines) {
        let colour = told.as_str().and_then(colour);
        all.push(Series { name: Some(name.clone()), colour, ..Series::default() });
    }
    for of_series in raw.series_overrides.as_array().map(Vec::as_slice).unwrap_or_default() {
        let Some(mut series) = of_series.get("alias").and_then(Value::as_str).and_then(aliased) else {
            notes.push("what is set for series without a name, or with flags (overrides) is left out".to_owned());
            continue;
        };
        old(&mut series, of_series, raw.yaxes.get(1), &scope, &mut lost);
        all.push(series);
    }
    all.retain(|series| *series != series.bare());
    settle_scales(&mut all, notes);
    lost.sort_unstable();
    lost.dedup();
    notes.extend(lost.into_iter().map(|name| format!("`{name:.40}` of single series is left out")));
    all
}

/// Of several scales of one series the last counts: a unit that needs none says so, and a sign of its own is told.
fn settle_scales(all: &mut [Series], notes: &mut Vec<String>) {
    if !all.iter().any(|series| series.unit.is_some() && series.scale.is_some()) {
        return;
    }
    for series in all.iter_mut().filter(|series| series.unit.is_some()) {
        series.scale.get_or_insert(1.0);
    }
    if all.iter().any(|series| series.unit.is_none() && series.scale.is_some()) {
        notes
            .push("where series have a unit of their own and stand below the axis, the last `scale` counts".to_owned());
    }
}

fn decimals(told: &Value) -> Option<u8> {
    told.as_u64().filter(|told| *told <= DECIMALS_MAX).and_then(|told| u8::try_from(told).ok())
}

/// Those that a matcher means; none where it means no series.
fn matched(matcher: &Value, refs: &[&str]) -> Result<Option<Series>, String> {
    let options = matcher.get("options").unwrap_or(&Value::Null);
    let text = options.as_str().unwrap_or_default();
    let of_regex = |regex: String| Ok(Some(Series { regex: Some(regex), ..Series::default() }));
    match matcher.get("id").and_then(Value::as_str).unwrap_or_default() {
        "byName" if text == "Time" => Ok(None),
        "byName" => Ok(Some(Series { name: Some(text.to_owned()), ..Series::default() })),
        "byRegexp" => of_regex(regex(text).ok_or_else(|| format!("`{text:.100}` has flags"))?),
        "byNames" => {
            let names = list(options, "/names").iter().filter_map(Value::as_str).map(literal);
            let any = names.collect::<Vec<_>>().join("|");
            let others = options.get("mode").and_then(Value::as_str) == Some("exclude");
            of_regex(if others { format!("^(?!(?:{any})$)") } else { format!("^(?:{any})$") })
        }
        "byFrameRefID" => match refs.iter().position(|of| *of == text) {
            Some(at) => Ok(Some(Series { query: Some(at), ..Series::default() })),
            None => Err(format!("there is no query `{text:.40}`")),
        },
        "byType" if text == "number" => Ok(Some(Series::default())),
        "byType" => Ok(None),
        other => Err(format!("series are chosen by `{other:.40}`")),
    }
}

/// `/.../` finds something in a name; what stands without slashes is put between `^` and `$`, as it is.
fn regex(text: &str) -> Option<String> {
    match text.strip_prefix('/') {
        Some(inside) => inside.strip_suffix('/').map(str::to_owned),
        None => Some(format!("^{text}$")),
    }
}

/// A name that a regular expression takes for itself.
fn literal(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    for c in name.chars() {
        if r"\^$.*+?()[]{}|/".contains(c) {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

fn aliased(alias: &str) -> Option<Series> {
    if alias.is_empty() {
        return None;
    }
    if alias.starts_with('/') {
        return regex(alias).map(|regex| Series { regex: Some(regex), ..Series::default() });
    }
    Some(Series { name: Some(alias.to_owned()), ..Series::default() })
}

/// The unit, and what brings values that are in the panel's into it.
fn in_unit(series: &mut Series, told: &str, scope: &Scope<'_>) -> &'static str {
    let (unit, factor) = unit(told);
    series.unit = Some(unit);
    let scale = look::scaled(1.0, factor) / look::scaled(1.0, scope.factor);
    series.scale = Some(scale).filter(|_| factor != scope.factor);
    factor
}

fn negate(series: &mut Series) {
    series.scale = Some(-series.scale.unwrap_or(1.0));
}

/// Takes the properties of an override; those without an equal are named in `lost`.
fn overridden(series: &mut Series, properties: &[Value], scope: &Scope<'_>, lost: &mut Vec<String>) {
    let id = |property: &Value| property.get("id").and_then(Value::as_str).unwrap_or_default().to_owned();
    let told = |property: &Value| property.get("value").cloned().unwrap_or(Value::Null);
    // Numbers of the others are in it.
    let of_unit = properties.iter().find(|property| id(property) == "unit").map(told);
    let factor = match of_unit.as_ref().and_then(Value::as_str) {
        Some(unit) => in_unit(series, unit, scope).to_owned(),
        None => scope.factor.to_owned(),
    };
    for property in properties {
        let (id, told) = (id(property), told(property));
        let known = set(series, &id, &told, &factor) || (scope.lines && set_line(series, &id, &told, &factor, scope));
        if !known {
            lost.push(id);
        }
    }
    if scope.lines && !series.thresholds.is_empty() {
        series.thresholds.clear();
        lost.push("thresholds".to_owned());
    }
    if !series.right && (series.min.is_some() || series.max.is_some()) {
        (series.min, series.max) = (None, None);
        lost.push("min and max".to_owned());
    }
    drop_crossed(series);
}

/// Ends of an axis that are none.
fn drop_crossed(series: &mut Series) {
    if series.min.zip(series.max).is_some_and(|(min, max)| min >= max) {
        (series.min, series.max) = (None, None);
    }
}

/// What every panel of values has; whether it has an equal.
fn set(series: &mut Series, id: &str, told: &Value, factor: &str) -> bool {
    match id {
        "unit" => true,
        "displayName" => {
            let title = told.as_str().unwrap_or_default().trim();
            // Words of its own labels are not known where the series stands.
            let plain = !title.contains("${__");
            series.title = Some(title.to_owned()).filter(|title| plain && !title.is_empty());
            plain
        }
        "decimals" => {
            series.decimals = decimals(told);
            true
        }
        "custom.hidden" => {
            series.hidden = told.as_bool() == Some(true);
            true
        }
        "custom.hideFrom" => {
            series.hidden = told.get("viz").and_then(Value::as_bool) == Some(true);
            series.hidden || told.get("legend").and_then(Value::as_bool) != Some(true)
        }
        "thresholds" => {
            let mut notes = Vec::new();
            let shares = told.get("mode").and_then(Value::as_str) == Some("percentage");
            if !shares {
                series.thresholds = look::thresholds(told, factor, &mut notes);
            }
            !shares && notes.is_empty()
        }
        _ => false,
    }
}

/// What a line has besides.
fn set_line(series: &mut Series, id: &str, told: &Value, factor: &str, scope: &Scope<'_>) -> bool {
    let bound = |told: &Value| look::number(told).map(|bound| look::scaled(bound, factor));
    match id {
        "color" => match told.get("mode").and_then(Value::as_str).unwrap_or_default() {
            "fixed" | "shades" => {
                series.colour = told.get("fixedColor").and_then(Value::as_str).and_then(colour);
                series.colour.is_some()
            }
            mode => mode.starts_with("palette"),
        },
        "min" => {
            series.min = bound(told);
            true
        }
        "max" => {
            series.max = bound(told);
            true
        }
        "custom.axisPlacement" => {
            series.right = told.as_str() == Some("right");
            told.as_str() != Some("hidden")
        }
        "custom.lineWidth" => width(series, told),
        "custom.fillOpacity" => {
            let share = told.as_f64().filter(|share| (0.0..=100.0).contains(share));
            series.fill_percent = share.map(|share| share as u8);
            share.is_some()
        }
        "custom.transform" => match told.as_str() {
            Some("negative-Y") => {
                negate(series);
                true
            }
            other => other.is_none_or(str::is_empty),
        },
        "custom.lineStyle" => {
            series.dashed = matches!(told.get("fill").and_then(Value::as_str), Some("dash" | "dot"));
            true
        }
        "custom.stacking" => {
            series.unstacked = told.get("mode").and_then(Value::as_str) == Some("none");
            series.unstacked || scope.stacked
        }
        "custom.drawStyle" => told.as_str() == Some("line"),
        // How lines and axes look here is the page's business.
        "custom.showPoints"
        | "custom.pointSize"
        | "custom.lineInterpolation"
        | "custom.gradientMode"
        | "custom.axisGridShow"
        | "custom.axisColorMode"
        | "custom.axisLabel"
        | "custom.barAlignment" => true,
        _ => false,
    }
}

fn width(series: &mut Series, told: &Value) -> bool {
    series.line_px = told.as_f64().filter(|width| (0.0..=PIXELS_MAX).contains(width));
    series.line_px.is_some()
}

/// What panels of before version 7 set for a series; `axis` is their right one.
fn old(series: &mut Series, told: &Value, axis: Option<&Value>, scope: &Scope<'_>, lost: &mut Vec<String>) {
    if told.get("yaxis").and_then(Value::as_i64) == Some(2) {
        series.right = true;
        let of_axis = |field: &str| axis.and_then(|axis| axis.get(field));
        let unit = of_axis("format").and_then(Value::as_str).unwrap_or("short");
        let factor = in_unit(series, unit, scope);
        let bound = |field: &str| of_axis(field).and_then(look::number).map(|bound| look::scaled(bound, factor));
        (series.min, series.max) = (bound("min"), bound("max"));
        drop_crossed(series);
    }
    for (name, told) in told.as_object().into_iter().flatten() {
        let known = match name.as_str() {
            "alias" | "yaxis" | "$$hashKey" | "zindex" | "legend" | "nullPointMode" | "pointradius" => true,
            "color" => {
                series.colour = told.as_str().and_then(colour);
                series.colour.is_some()
            }
            "transform" if told.as_str() == Some("negative-Y") => {
                negate(series);
                true
            }
            "linewidth" => width(series, told),
            // Of ten.
            "fill" => {
                let share = told.as_f64().filter(|share| (0.0..=10.0).contains(share));
                series.fill_percent = share.map(|share| (share * 10.0) as u8);
                share.is_some()
            }
            "dashes" => {
                series.dashed = told.as_bool() == Some(true);
                true
            }
            "hiddenSeries" => {
                series.hidden = told.as_bool() == Some(true);
                true
            }
            "lines" => told.as_bool() == Some(true),
            "stack" => {
                series.unstacked = told.as_bool() == Some(false);
                series.unstacked || scope.stacked
            }
            _ => false,
        };
        if !known {
            lost.push(name.clone());
        }
    }
}

/// Grafana's names of colours, from dark to light.
const NAMED: [(&str, [&str; 5]); 6] = [
    ("red", ["#c4162a", "#e02f44", "#f2495c", "#ff7383", "#ffa6b0"]),
    ("orange", ["#fa6400", "#ff780a", "#ff9830", "#ffb357", "#ffcb7d"]),
    ("yellow", ["#e0b400", "#f2cc0c", "#fade2a", "#ffee52", "#fff899"]),
    ("green", ["#37872d", "#56a64b", "#73bf69", "#96d98d", "#c8f2c2"]),
    ("blue", ["#1f60c4", "#3274d9", "#5794f2", "#8ab8ff", "#c0d8ff"]),
    ("purple", ["#8f3bb8", "#a352cc", "#b877d9", "#ca95e5", "#deb6f2"]),
];
const SHADES: [&str; 5] = ["dark-", "semi-dark-", "", "light-", "super-light-"];

/// As `#rrggbb`; none of what is no colour, or cannot be seen.
fn colour(told: &str) -> Option<String> {
    let told = told.trim().to_ascii_lowercase();
    if let Some(hex) = told.strip_prefix('#') {
        let plain = hex.chars().all(|c| c.is_ascii_hexdigit());
        return match hex.len() {
            6 | 8 if plain => Some(format!("#{}", &hex[..6])),
            3 if plain => Some(format!("#{}", hex.chars().flat_map(|c| [c, c]).collect::<String>())),
            _ => None,
        };
    }
    if let Some(inside) = told.strip_prefix("rgb").and_then(|rest| rest.split_once('(')).map(|(_, inside)| inside) {
        let parts = inside.trim_end_matches(')').split(',').take(3);
        let parts: Vec<u8> = parts.filter_map(|part| part.trim().parse().ok()).collect();
        let [red, green, blue] = parts.as_slice() else { return None };
        return Some(format!("#{red:02x}{green:02x}{blue:02x}"));
    }
    NAMED.iter().find_map(|(name, shades)| {
        let shade = told.strip_suffix(name)?;
        let at = SHADES.iter().position(|of| *of == shade)?;
        shades.get(at).map(|hex| (*hex).to_owned())
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of(body: Value, shown: Shown, factor: &str) -> (Vec<Series>, Vec<String>) {
        let raw: RawPanel = serde_json::from_value(body).unwrap();
        let mut notes = Vec::new();
        let all = read(&raw, shown, true, factor, &["A", "B"], &mut notes);
        (all, notes)
    }

    fn overrides(matcher: (&str, Value), properties: Value) -> Value {
        let (id, options) = matcher;
        json!({"fieldConfig": {"overrides": [{"matcher": {"id": id, "options": options}, "properties": properties}]}})
    }

    #[test]
    fn series_are_chosen_as_they_were() {
        let by = |id: &str, options: Value| {
            let (mut all, notes) =
                of(overrides((id, options), json!([{"id": "decimals", "value": 1}])), Shown::Graph, "");
            (all.pop().map(|series| (series.name, series.regex, series.query)), notes.len())
        };
        let text = |text: &str| Some(text.to_owned());
        for (id, options, wanted) in [
            ("byName", json!("Total"), (Some((text("Total"), None, None)), 0)),
            ("byName", json!("Time"), (None, 0)),
            ("byRegexp", json!("/.*tx.*/"), (Some((None, text(".*tx.*"), None)), 0)),
            ("byRegexp", json!("tx|rx"), (Some((None, text("^tx|rx$"), None)), 0)),
            ("byRegexp", json!("/tx/i"), (None, 1)),
            ("byNames", json!({"names": ["a.b", "c"]}), (Some((None, text(r"^(?:a\.b|c)$"), None)), 0)),
            ("byNames", json!({"mode": "exclude", "names": ["a"]}), (Some((None, text("^(?!(?:a)$)"), None)), 0)),
            ("byFrameRefID", json!("B"), (Some((None, None, Some(1))), 0)),
            ("byFrameRefID", json!("C"), (None, 1)),
            ("byType", json!("number"), (Some((None, None, None)), 0)),
            ("byValue", json!({}), (None, 1)),
        ] {
            assert_eq!(by(id, options.clone()), wanted, "{id} {options}");
        }
    }

    #[test]
    fn what_is_set_for_a_line_is_taken() {
        let properties = json!([
            {"id": "max", "value": 1000}, {"id": "unit", "value": "ms"}, {"id": "displayName", "value": "Late"},
            {"id": "color", "value": {"mode": "fixed", "fixedColor": "semi-dark-red"}}, {"id": "decimals", "value": 2},
            {"id": "custom.axisPlacement", "value": "right"}, {"id": "custom.lineWidth", "value": 3},
            {"id": "custom.fillOpacity", "value": 20}, {"id": "custom.transform", "value": "negative-Y"},
            {"id": "custom.lineStyle", "value": {"fill": "dash"}}, {"id": "custom.stacking", "value": {"mode": "none"}},
            {"id": "mappings", "value": []}]);
        let (all, notes) = of(overrides(("byName", json!("x")), properties), Shown::Graph, " / 100");
        let wanted = Series {
            name: Some("x".to_owned()),
            title: Some("Late".to_owned()),
            colour: Some("#e02f44".to_owned()),
            unit: Some("seconds"),
            scale: Some(-0.1),
            decimals: Some(2),
            right: true,
            dashed: true,
            unstacked: true,
            line_px: Some(3.0),
            fill_percent: Some(20),
            max: Some(1.0),
            ..Series::default()
        };
        assert_eq!(all, [wanted]);
        assert_eq!(notes, ["`mappings` of single series is left out"]);
    }

    #[test]
    fn a_value_has_its_own_thresholds_and_no_line() {
        let steps =
            json!({"mode": "absolute", "steps": [{"color": "green", "value": null}, {"color": "red", "value": 80}]});
        let properties = json!([{"id": "thresholds", "value": steps}, {"id": "unit", "value": "percent"}, {"id": "custom.lineWidth", "value": 3}]);
        let body = overrides(("byName", json!("x")), properties);
        let (all, notes) = of(body.clone(), Shown::Stat, "");
        assert_eq!(
            (all[0].thresholds.as_slice(), all[0].scale),
            (&[(Bound::Above(0.8), Level::Critical)][..], Some(0.01))
        );
        assert_eq!(notes, ["`custom.lineWidth` of single series is left out"]);
        let (all, notes) = of(body, Shown::Graph, "");
        assert!(all[0].thresholds.is_empty(), "{all:?}");
        assert_eq!(notes, ["`thresholds` of single series is left out"]);
    }

    #[test]
    fn older_panels_are_taken() {
        let body = json!({"yaxes": [{"format": "short"}, {"format": "ms", "min": 0, "max": "2000"}],
            "seriesOverrides": [{"alias": "/late/", "yaxis": 2, "fill": 0, "linewidth": 2, "bars": true}, {"alias": "sent", "transform": "negative-Y", "stack": false}],
            "aliasColors": {"sent": "rgba(10, 20, 255, 0.5)", "odd": "no colour"}});
        let (all, notes) = of(body, Shown::Graph, "");
        let [colour, late, sent] = all.as_slice() else { panic!("three of them: {all:?}") };
        assert_eq!(
            (late.regex.as_deref(), late.right, late.unit, late.scale),
            (Some("late"), true, Some("seconds"), Some(0.001))
        );
        assert_eq!((late.min, late.max, late.fill_percent, late.line_px), (Some(0.0), Some(2.0), Some(0), Some(2.0)));
        assert_eq!((sent.name.as_deref(), sent.scale, sent.unstacked), (Some("sent"), Some(-1.0), true));
        assert_eq!((colour.name.as_deref(), colour.colour.as_deref()), (Some("sent"), Some("#0a14ff")));
        let told = "where series have a unit of their own and stand below the axis, the last `scale` counts";
        assert_eq!(notes, [told, "`bars` of single series is left out"]);
        let (none, notes) = of(json!({"seriesOverrides": [{"alias": "/late/i", "fill": 0}]}), Shown::Graph, "");
        assert_eq!((none.len(), notes.len()), (0, 1), "{notes:?}");
    }

    #[test]
    fn colours_are_theirs() {
        for (told, wanted) in [
            ("#ABC", Some("#aabbcc")),
            ("#F2495C80", Some("#f2495c")),
            ("rgb(1,2,3)", Some("#010203")),
            ("super-light-purple", Some("#deb6f2")),
            ("green", Some("#73bf69")),
            ("transparent", None),
            ("#é1", None),
        ] {
            assert_eq!(colour(told).as_deref(), wanted, "{told}");
        }
    }
}
