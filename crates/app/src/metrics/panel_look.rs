//! How a panel's values are drawn: stacked, on which axis, over gaps or not, and from where on they are bad. Pure.

use serde::{Deserialize, Serialize};
use tenfold_types::Fault;

use super::dashboards::Panel;

pub(super) const THRESHOLDS_MAX: usize = 10;
/// The longest gap that may be named: longer ones are drawn over without a number.
pub(super) const CONNECT_MS_MAX: u64 = 366 * 24 * 3_600_000;

/// How bad a value is beyond a threshold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum ThresholdLevel {
    Warning,
    Critical,
}

/// From where on a value is bad, in the panel's unit. One of the two bounds stands.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Threshold {
    /// From this value up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub above: Option<f64>,
    /// Below this value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub below: Option<f64>,
    pub level: ThresholdLevel,
}

/// What stands where a series has no value: nothing is made up for the instants before its first value and behind its last, except
/// by `zero`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum PanelNulls {
    /// The line is broken there.
    #[default]
    Gap,
    /// A straight line from the value before to the value behind.
    Connect,
    /// The value 0.
    Zero,
}

impl PanelNulls {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "what serde asks for")]
    pub(super) fn is_gap(&self) -> bool {
        *self == Self::Gap
    }
}

/// Says what is wrong with how a panel is drawn.
pub(super) fn check(panel: &Panel) -> Result<(), Fault> {
    let title = &panel.title;
    let wrong = |text: &str| Err(Fault::invalid(format!("the panel `{title}`: {text}")));
    if panel.thresholds.len() > THRESHOLDS_MAX {
        return wrong(&format!("it has more than {THRESHOLDS_MAX} thresholds"));
    }
    for threshold in &panel.thresholds {
        let ((Some(bound), None) | (None, Some(bound))) = (threshold.above, threshold.below) else {
            return wrong("a threshold has `above` or `below`, and not both");
        };
        if !bound.is_finite() {
            return wrong("a threshold is a number");
        }
    }
    if [panel.min, panel.max].into_iter().flatten().any(|bound| !bound.is_finite()) {
        return wrong("`min` and `max` are numbers");
    }
    if let (Some(min), Some(max)) = (panel.min, panel.max)
        && min >= max
    {
        return wrong("its `min` is not below its `max`");
    }
    if panel.log && panel.stacked {
        return wrong("stacked lines have no logarithmic axis, where a sum has no height");
    }
    if panel.log && [panel.min, panel.max].into_iter().flatten().any(|bound| bound <= 0.0) {
        return wrong("a logarithmic axis begins above 0");
    }
    if let Some(most) = panel.connect_max_ms {
        if panel.nulls != PanelNulls::Connect {
            return wrong("`connect_max_ms` is of `nulls: connect`");
        }
        if !(1..=CONNECT_MS_MAX).contains(&most) {
            return wrong(&format!("`connect_max_ms` is 1 to {CONNECT_MS_MAX} milliseconds"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn checked(look: serde_json::Value) -> Result<Panel, String> {
        let mut body = json!({"title": "P", "queries": [{"expr": "up"}]});
        let fields = body.as_object_mut().expect("an object");
        fields.extend(look.as_object().expect("an object").clone());
        let panel: Panel = serde_json::from_value(body).map_err(|e| e.to_string())?;
        check(&panel).map_err(|fault| fault.message)?;
        Ok(panel)
    }

    #[test]
    fn a_panel_is_drawn_as_it_says() {
        let look = json!({"log": true, "min": 0.001, "max": 10.0, "thresholds": [{"above": 1.0, "level": "warning"}, {"below": 0.1, "level": "critical"}]});
        let panel = checked(look.clone()).expect("it is right");
        assert_eq!((panel.log, panel.stacked, panel.min, panel.max), (true, false, Some(0.001), Some(10.0)));
        let written = serde_json::to_value(&panel).expect("it is written");
        for (name, value) in look.as_object().expect("an object") {
            assert_eq!(written.get(name), Some(value), "{name}");
        }
        let plain = checked(json!({})).expect("it is right");
        let written = serde_json::to_value(&plain).expect("it is written");
        for name in ["stacked", "log", "min", "max", "thresholds", "nulls", "connect_max_ms"] {
            assert_eq!(written.get(name), None, "what is not said is not written");
        }
    }

    #[test]
    fn gaps_are_kept_drawn_over_or_zero() {
        for (look, wanted) in [
            (json!({}), (PanelNulls::Gap, None)),
            (json!({"nulls": "connect"}), (PanelNulls::Connect, None)),
            (json!({"nulls": "connect", "connect_max_ms": 300_000}), (PanelNulls::Connect, Some(300_000))),
            (json!({"nulls": "zero"}), (PanelNulls::Zero, None)),
        ] {
            let panel = checked(look).expect("it is right");
            assert_eq!((panel.nulls, panel.connect_max_ms), wanted);
            let again: Panel =
                serde_json::from_value(serde_json::to_value(&panel).expect("it is written")).expect("it reads");
            assert_eq!(again, panel);
        }
    }

    #[test]
    fn what_cannot_be_drawn_is_refused() {
        for (look, wanted) in [
            (json!({"thresholds": [{"level": "warning"}]}), "`above` or `below`"),
            (json!({"thresholds": [{"above": 1.0, "below": 2.0, "level": "warning"}]}), "not both"),
            (json!({"thresholds": [{"above": 1.0, "level": "fine"}]}), "unknown variant"),
            (json!({"thresholds": vec![json!({"above": 1.0, "level": "warning"}); 11]}), "more than 10"),
            (json!({"min": 2.0, "max": 2.0}), "not below"),
            (json!({"log": true, "stacked": true}), "stacked lines"),
            (json!({"log": true, "min": 0.0}), "above 0"),
            (json!({"nulls": "none"}), "unknown variant"),
            (json!({"connect_max_ms": 60_000}), "of `nulls: connect`"),
            (json!({"nulls": "connect", "connect_max_ms": 0}), "1 to"),
        ] {
            let said = checked(look).expect_err(wanted);
            assert!(said.contains(wanted), "{said}");
        }
    }
}
