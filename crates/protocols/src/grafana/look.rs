//! How Grafana draws a panel's values: stacked, on which axis, over gaps or not, and from where on they are bad.

use serde_json::Value;

/// How bad a value is; the order is that of badness.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    Warning,
    Critical,
}

/// On which side of a number values are bad.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Bound {
    Above(f64),
    Below(f64),
}

/// What stands where a series has no value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Nulls {
    #[default]
    Gap,
    /// A line over gaps of at most so many milliseconds; over all where there is no number.
    Connect(Option<u64>),
    Zero,
}

/// In the unit that the panel has here.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Look {
    pub stacked: bool,
    pub log: bool,
    pub min: Option<f64>,
    pub max: Option<f64>,
    pub nulls: Nulls,
    pub thresholds: Vec<(Bound, Level)>,
}

/// Of a panel of lines before version 7: whether it stacks them, its left axis, and its word for what has no value.
pub(super) struct Old<'a> {
    pub stack: bool,
    pub axis: Option<&'a Value>,
    pub nulls: &'a str,
}

/// `factor` is what brings a value into the panel's unit, as PromQL: ` / 100`. What has no equal is told in `notes`.
pub(super) fn read(config: &Value, old: &Old<'_>, lines: bool, factor: &str, notes: &mut Vec<String>) -> Look {
    let text = |path: &str| config.pointer(path).and_then(Value::as_str).unwrap_or_default();
    let mut look = Look::default();
    if lines {
        let stacking = text("/defaults/custom/stacking/mode");
        look.stacked = old.stack || matches!(stacking, "normal" | "percent");
        if stacking == "percent" {
            notes.push("its lines are stacked by their values, not by their shares".to_owned());
        }
        let of_axis = |field: &str| old.axis.and_then(|axis| axis.get(field));
        look.log = text("/defaults/custom/scaleDistribution/type") == "log"
            || of_axis("logBase").and_then(Value::as_f64).is_some_and(|base| base > 1.0);
        let bound = |name: &str| {
            let told = config.pointer(&format!("/defaults/{name}")).or_else(|| of_axis(name));
            told.and_then(number).map(|value| scaled(value, factor))
        };
        (look.min, look.max) = (bound("min"), bound("max"));
        fit(&mut look, notes);
        look.nulls = nulls(config.pointer("/defaults/custom/spanNulls"), old.nulls);
        if let style @ ("bars" | "points") = text("/defaults/custom/drawStyle") {
            notes.push(format!("its {style} are drawn as lines"));
        }
    }
    // Lines have steps as well that are not drawn unless somebody asks for it.
    if !lines || !matches!(text("/defaults/custom/thresholdsStyle/mode"), "" | "off") {
        let told = config.pointer("/defaults/thresholds").unwrap_or(&Value::Null);
        if told.get("mode").and_then(Value::as_str) == Some("percentage") {
            if told.get("steps").and_then(Value::as_array).is_some_and(|steps| steps.len() > 1) {
                notes.push("its thresholds are left out: they are shares of a range".to_owned());
            }
        } else {
            look.thresholds = thresholds(told, factor, notes);
        }
    }
    look
}

/// A switch or a number of milliseconds now, a word before.
fn nulls(span: Option<&Value>, old: &str) -> Nulls {
    match span {
        Some(Value::Bool(true)) => Nulls::Connect(None),
        Some(Value::Number(most)) => match most.as_f64() {
            Some(most) if most >= 1.0 => Nulls::Connect(Some(most as u64)),
            _ => Nulls::Gap,
        },
        Some(Value::Bool(false)) => Nulls::Gap,
        _ => match old {
            "connected" => Nulls::Connect(None),
            "null as zero" => Nulls::Zero,
            _ => Nulls::Gap,
        },
    }
}

/// Leaves out what would be refused.
fn fit(look: &mut Look, notes: &mut Vec<String>) {
    if look.stacked && look.log {
        look.log = false;
        notes.push("its axis is not logarithmic: its lines are stacked".to_owned());
    }
    let small = |bound: Option<f64>| bound.is_some_and(|bound| look.log && bound <= 0.0);
    let (no_min, no_max) = (small(look.min), small(look.max));
    if no_min {
        look.min = None;
    }
    if no_max {
        look.max = None;
    }
    if let (Some(min), Some(max)) = (look.min, look.max)
        && min >= max
    {
        (look.min, look.max) = (None, None);
        notes.push(format!("the bounds of its axis are left out: {min} is not below {max}"));
    }
}

/// Steps from the lowest up, each with the colour of what is reached there; the first has no number.
pub(super) fn thresholds(told: &Value, factor: &str, notes: &mut Vec<String>) -> Vec<(Bound, Level)> {
    let list = told.get("steps").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let step = |step: &Value| {
        let colour = step.get("color").and_then(Value::as_str).unwrap_or_default();
        (step.get("value").and_then(Value::as_f64), level(colour))
    };
    let steps: Vec<(Option<f64>, Option<Level>)> = list.iter().map(step).collect();
    let mut all = Vec::new();
    for (at, (from, of)) in steps.iter().enumerate() {
        let Some(level) = *of else { continue };
        let worsens = at > 0 && steps[at - 1].1 < *of;
        let improves = steps.get(at + 1).filter(|(_, next)| next < of);
        match (worsens, improves) {
            (true, None) => all.extend(from.map(|from| (Bound::Above(scaled(from, factor)), level))),
            (false, Some((to, _))) => all.extend(to.map(|to| (Bound::Below(scaled(to, factor)), level))),
            (true, Some(_)) => notes.push("a threshold is left out: what is bad lies between two numbers".to_owned()),
            (false, None) => {}
        }
    }
    all
}

/// By Grafana's names of colours, and by what it wrote before it had names.
pub(super) fn level(colour: &str) -> Option<Level> {
    let colour = colour.to_ascii_lowercase();
    let is = |parts: &[&str]| parts.iter().any(|part| colour.contains(part));
    if is(&["red", "#f2495c", "#e02f44", "#c4162a", "#d44a3a", "rgba(245, 54, 54"]) {
        return Some(Level::Critical);
    }
    let warning = is(&["orange", "yellow", "#ff9830", "#ff780a", "#fade2a", "#f2cc0c", "#eab839", "rgba(237, 129, 40"]);
    warning.then_some(Level::Warning)
}

/// Axes had their bounds as text before.
pub(super) fn number(value: &Value) -> Option<f64> {
    value.as_f64().or_else(|| value.as_str()?.trim().parse().ok()).filter(|number| number.is_finite())
}

pub(super) fn scaled(value: f64, factor: &str) -> f64 {
    let Some((sign, number)) = factor.trim().split_once(' ') else { return value };
    let number: f64 = number.parse().unwrap_or(1.0);
    if sign == "/" { value / number } else { value * number }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const NEW: Old<'static> = Old { stack: false, axis: None, nulls: "" };

    fn steps(steps: Value) -> Vec<(Bound, Level)> {
        let mut notes = Vec::new();
        let look = read(
            &json!({"defaults": {"thresholds": {"mode": "absolute", "steps": steps}}}),
            &NEW,
            false,
            " / 100",
            &mut notes,
        );
        assert!(notes.is_empty(), "{notes:?}");
        look.thresholds
    }

    #[test]
    fn thresholds_are_bad_on_their_side() {
        use Bound::{Above, Below};
        use Level::{Critical, Warning};
        let step = |value: Option<f64>, color: &str| json!({"value": value, "color": color});
        for (told, wanted) in [
            (vec![step(None, "green"), step(Some(80.0), "red")], vec![(Above(0.8), Critical)]),
            (
                vec![step(None, "green"), step(Some(70.0), "#EAB839"), step(Some(90.0), "semi-dark-red")],
                vec![(Above(0.7), Warning), (Above(0.9), Critical)],
            ),
            (
                vec![step(None, "red"), step(Some(50.0), "orange"), step(Some(80.0), "green")],
                vec![(Below(0.5), Critical), (Below(0.8), Warning)],
            ),
            (
                vec![step(None, "red"), step(Some(10.0), "green"), step(Some(90.0), "red")],
                vec![(Below(0.1), Critical), (Above(0.9), Critical)],
            ),
            (vec![step(None, "blue")], vec![]),
        ] {
            assert_eq!(steps(json!(told)), wanted, "{told:?}");
        }
    }

    #[test]
    fn lines_are_drawn_as_they_were() {
        let mut notes = Vec::new();
        let config = json!({"defaults": {"min": 0, "max": 5000, "thresholds": {"steps": [{"color": "green", "value": null}, {"color": "red", "value": 80}]},
            "custom": {"stacking": {"mode": "normal"}, "thresholdsStyle": {"mode": "off"}}}});
        let look = read(&config, &NEW, true, " / 1000", &mut notes);
        assert_eq!(look, Look { stacked: true, min: Some(0.0), max: Some(5.0), ..Look::default() });
        let axis = json!({"logBase": 10, "min": "0.5", "max": null});
        let old = Old { axis: Some(&axis), ..NEW };
        let look = read(&Value::Null, &old, true, "", &mut notes);
        assert_eq!(look, Look { log: true, min: Some(0.5), ..Look::default() });
        assert!(notes.is_empty(), "{notes:?}");
    }

    #[test]
    fn gaps_are_what_they_were() {
        for (span, old, wanted) in [
            (json!({}), "", Nulls::Gap),
            (json!({"spanNulls": false}), "connected", Nulls::Gap),
            (json!({"spanNulls": true}), "", Nulls::Connect(None)),
            (json!({"spanNulls": 3_600_000}), "", Nulls::Connect(Some(3_600_000))),
            (json!({"spanNulls": 0}), "", Nulls::Gap),
            (json!({}), "null", Nulls::Gap),
            (json!({}), "connected", Nulls::Connect(None)),
            (json!({}), "null as zero", Nulls::Zero),
        ] {
            let mut notes = Vec::new();
            let config = json!({"defaults": {"custom": span}});
            let look = read(&config, &Old { nulls: old, ..NEW }, true, "", &mut notes);
            assert_eq!(look.nulls, wanted, "{config} {old}");
            assert!(notes.is_empty(), "{notes:?}");
        }
        let mut notes = Vec::new();
        let config = json!({"defaults": {"custom": {"drawStyle": "bars", "spanNulls": true}}});
        assert_eq!(read(&config, &NEW, false, "", &mut notes).nulls, Nulls::Gap, "a number has no gaps");
        assert!(notes.is_empty(), "{notes:?}");
        read(&config, &NEW, true, "", &mut notes);
        assert_eq!(notes, ["its bars are drawn as lines"]);
    }

    #[test]
    fn what_has_no_equal_is_told() {
        let mut notes = Vec::new();
        let custom = json!({"stacking": {"mode": "percent"}, "scaleDistribution": {"type": "log", "log": 10}, "thresholdsStyle": {"mode": "line"}});
        let steps =
            json!([{"color": "green", "value": null}, {"color": "red", "value": 10}, {"color": "green", "value": 20}]);
        let config = json!({"defaults": {"min": 3, "max": 2, "custom": custom, "thresholds": {"mode": "absolute", "steps": steps}}});
        let look = read(&config, &NEW, true, "", &mut notes);
        assert_eq!(look, Look { stacked: true, ..Look::default() });
        for (note, wanted) in notes.iter().zip(["shares", "not logarithmic", "3 is not below 2", "between two numbers"])
        {
            assert!(note.contains(wanted), "{notes:?}");
        }
        assert_eq!(notes.len(), 4, "{notes:?}");
    }
}
