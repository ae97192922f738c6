//! Which value of a series a panel tells and in which words, how a table lays series out, and panels of text. Pure.

use serde::{Deserialize, Serialize};
use tenfold_types::Fault;

use super::dashboards::{Panel, PanelKind, UNITS};
use super::panel_look::ThresholdLevel;

pub(super) const COLUMNS_MAX: usize = 40;
const COLUMN_BYTES_MAX: usize = 256;
pub(super) const WORDS_MAX: usize = 100;
pub(super) const WORD_BYTES_MAX: usize = 256;
const TEXT_BYTES_MAX: usize = 16 << 10;

/// The one value that a series has in a `stat`, a `top` and a `table`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum PanelReduce {
    /// The newest.
    #[default]
    Last,
    /// The lowest over the range of the page, as all that follow.
    Min,
    Max,
    Mean,
    /// Of the values at the steps of the range.
    Sum,
    /// How many steps of the range have a value.
    Count,
    /// The highest less the lowest.
    Range,
}

impl PanelReduce {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "what serde asks for")]
    pub(super) fn is_last(&self) -> bool {
        *self == Self::Last
    }
}

/// A column of a `table`: a label by its name, or the value of a query: `value` of the first, `value 2` of the second.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PanelColumn {
    pub name: String,
    /// What stands above it instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// Of a value, where it is not that of the panel.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub hidden: bool,
}

/// What rows of a `table` are sorted by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PanelSort {
    /// A column by its `name`.
    pub by: String,
    /// The largest first.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub descending: bool,
}

/// What is told instead of a number in a `stat`, a `top` and a `table`: of one `value`, of all between `from` and `to` (either may
/// be left out), or where there is `nothing`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PanelWord {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<f64>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub nothing: bool,
    pub text: String,
    /// How bad it is, instead of what thresholds say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub level: Option<ThresholdLevel>,
}

/// Says what is wrong with a word for values.
pub(super) fn check_word(word: &PanelWord) -> Result<(), String> {
    if word.text.trim().is_empty() || word.text.len() > WORD_BYTES_MAX {
        return Err(format!("words for values have a `text` of at most {WORD_BYTES_MAX} bytes"));
    }
    let is_span = word.from.is_some() || word.to.is_some();
    if usize::from(word.value.is_some()) + usize::from(is_span) + usize::from(word.nothing) != 1 {
        return Err(format!("`{}` stands for a `value`, for what is `from` … `to`, or for `nothing`", word.text));
    }
    if [word.value, word.from, word.to].into_iter().flatten().any(|bound| !bound.is_finite()) {
        return Err(format!("`{}` stands for a number", word.text));
    }
    Ok(())
}

/// Whether a column may be named so.
pub(super) fn is_named(name: &str, title: Option<&str>) -> bool {
    !name.is_empty() && [Some(name), title].into_iter().flatten().all(|text| text.len() <= COLUMN_BYTES_MAX)
}

/// Says what is wrong with what a panel tells.
pub(super) fn check(panel: &Panel) -> Result<(), Fault> {
    let wrong = |text: String| Err(Fault::invalid(format!("the panel `{}`: {text}", panel.title)));
    let is_table = panel.kind == PanelKind::Table;
    match &panel.text {
        None if panel.kind == PanelKind::Text => return wrong("a panel of text has a `text`".to_owned()),
        Some(_) if panel.kind != PanelKind::Text => return wrong("`text` is of the kind `text`".to_owned()),
        Some(text) if text.len() > TEXT_BYTES_MAX => {
            return wrong(format!("its text is longer than {TEXT_BYTES_MAX} bytes"));
        }
        _ => {}
    }
    if panel.kind == PanelKind::Text && !panel.queries.is_empty() {
        return wrong("a panel of text has no queries".to_owned());
    }
    if panel.sparkline && panel.kind != PanelKind::Stat {
        return wrong("`sparkline` is of the kind `stat`".to_owned());
    }
    if !panel.reduce.is_last() && !matches!(panel.kind, PanelKind::Stat | PanelKind::Top | PanelKind::Table) {
        return wrong("`reduce` is of the kinds `stat`, `top` and `table`".to_owned());
    }
    if !panel.words.is_empty() && !matches!(panel.kind, PanelKind::Stat | PanelKind::Top | PanelKind::Table) {
        return wrong("`words` are of the kinds `stat`, `top` and `table`".to_owned());
    }
    if panel.words.len() > WORDS_MAX {
        return wrong(format!("it has more than {WORDS_MAX} words for values"));
    }
    if let Some(text) = panel.words.iter().find_map(|word| check_word(word).err()) {
        return wrong(text);
    }
    if !is_table && (!panel.columns.is_empty() || panel.sort.is_some()) {
        return wrong("`columns` and `sort` are of the kind `table`".to_owned());
    }
    if panel.columns.len() > COLUMNS_MAX {
        return wrong(format!("it has more than {COLUMNS_MAX} columns"));
    }
    for (at, column) in panel.columns.iter().enumerate() {
        let name = &column.name;
        if !is_named(name, column.title.as_deref()) {
            return wrong(format!("a column has a name, and none is longer than {COLUMN_BYTES_MAX} bytes"));
        }
        if panel.columns[..at].iter().any(|before| before.name == *name) {
            return wrong(format!("the column `{name}` stands twice"));
        }
        if let Some(unit) = column.unit.as_deref().filter(|unit| !UNITS.contains(unit)) {
            return wrong(format!("the column `{name}` has the unknown unit `{unit}`; known are {}", UNITS.join(", ")));
        }
    }
    if panel.sort.as_ref().is_some_and(|sort| !is_named(&sort.by, None)) {
        return wrong("`sort` names a column".to_owned());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn checked(kind: &str, more: Value) -> Result<Panel, String> {
        let queries = if kind == "text" { json!([]) } else { json!([{"expr": "up"}]) };
        let mut body = json!({"title": "P", "kind": kind, "queries": queries});
        body.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        let panel: Panel = serde_json::from_value(body).map_err(|e| e.to_string())?;
        check(&panel).map_err(|fault| fault.message)?;
        Ok(panel)
    }

    #[test]
    fn what_a_panel_tells_is_kept_as_it_is_written() {
        for (kind, more) in [
            ("stat", json!({"reduce": "mean", "sparkline": true})),
            (
                "top",
                json!({"words": [{"value": 0.0, "text": "down", "level": "critical"}, {"from": 1.0, "text": "up"}, {"nothing": true, "text": "N/A"}]}),
            ),
            ("text", json!({"text": "# Read me"})),
            (
                "table",
                json!({"columns": [{"name": "job", "title": "Job"}, {"name": "value", "unit": "bytes"}, {"name": "instance", "hidden": true}],
                             "sort": {"by": "value", "descending": true}}),
            ),
        ] {
            let panel = checked(kind, more.clone()).expect("it is right");
            let written = serde_json::to_value(&panel).expect("it is written");
            for (name, value) in more.as_object().expect("an object") {
                assert_eq!(written.get(name), Some(value), "{name}");
            }
        }
        let written = serde_json::to_value(checked("table", json!({})).expect("it is right")).expect("it is written");
        for name in ["reduce", "sparkline", "text", "columns", "sort", "words"] {
            assert_eq!(written.get(name), None, "what is not said is not written");
        }
    }

    #[test]
    fn what_another_kind_of_panel_has_is_refused() {
        let column = |name: &str| json!({"name": name});
        for (kind, more, wanted) in [
            ("graph", json!({"reduce": "max"}), "`reduce` is of"),
            ("graph", json!({"text": "a"}), "`text` is of"),
            ("top", json!({"sparkline": true}), "`sparkline` is of"),
            ("stat", json!({"sort": {"by": "value"}}), "of the kind `table`"),
            ("text", json!({}), "has a `text`"),
            ("text", json!({"text": "x".repeat(TEXT_BYTES_MAX + 1)}), "longer than"),
            ("text", json!({"text": "a", "queries": [{"expr": "up"}]}), "no queries"),
            ("table", json!({"columns": [column("a"), column("a")]}), "`a` stands twice"),
            ("table", json!({"columns": [column("")]}), "has a name"),
            ("table", json!({"columns": [{"name": "value", "unit": "miles"}]}), "unknown unit `miles`"),
            ("table", json!({"sort": {"by": ""}}), "names a column"),
            ("stat", json!({"reduce": "median"}), "unknown variant"),
            ("graph", json!({"words": [{"value": 1.0, "text": "up"}]}), "`words` are of"),
            ("stat", json!({"words": [{"value": 1.0, "text": " "}]}), "have a `text`"),
            ("stat", json!({"words": [{"text": "up"}]}), "`up` stands for"),
            ("stat", json!({"words": [{"value": 1.0, "nothing": true, "text": "up"}]}), "`up` stands for"),
        ] {
            let said = checked(kind, more).expect_err(wanted);
            assert!(said.contains(wanted), "{said}");
        }
    }
}
