//! Grafana's template variables.

use serde::Deserialize;
use serde_json::Value;

use super::{Imported, Variable, variables};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RawVariable {
    #[serde(default)]
    pub name: String,
    #[serde(default, rename = "type")]
    pub kind: String,
    #[serde(default)]
    pub query: Value,
    #[serde(default)]
    include_all: bool,
    #[serde(default)]
    multi: bool,
    /// What all of them stands as, instead of each.
    all_value: Option<String>,
    #[serde(default)]
    regex: String,
    /// Of an ad hoc one: what is chosen.
    #[serde(default)]
    filters: Value,
    /// What was chosen when it was saved, which is what it opens with.
    #[serde(default)]
    current: Value,
}

/// What stands for all values.
const ALL: &str = "$__all";

/// Takes one in, or tells why not.
pub(super) fn variable(raw: RawVariable, out: &mut Imported) {
    let name = raw.name;
    let mut report = |text: String| out.report.push(format!("variable {name}: {text}"));
    if !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') || name.is_empty() {
        report("it is left out, its name is not made of letters, digits and `_`".to_owned());
        return;
    }
    if let Some(all) = raw.all_value.filter(|all| raw.include_all && !matches!(all.as_str(), "" | ".*")) {
        report(format!("all of its values stand as `.*`, not as `{all:.100}`"));
    }
    let text = match &raw.query {
        Value::Object(query) => query.get("query").and_then(Value::as_str).unwrap_or_default(),
        other => other.as_str().unwrap_or_default(),
    };
    let list = || text.split(',').map(str::trim).filter(|v| !v.is_empty()).map(str::to_owned).collect::<Vec<_>>();
    let mut made = Variable { name: name.clone(), all: raw.include_all, multi: raw.multi, ..Variable::default() };
    match raw.kind.as_str() {
        "query" => {
            if let Some((of, label)) = label_values(text) {
                (made.of, made.label) = (variables(of), Some(label.to_owned()));
            } else if let Some(names) = metrics(text) {
                (made.of, made.label) = (names, Some("__name__".to_owned()));
            } else if let Some(query) = query_result(text) {
                made.query = Some(variables(query));
            } else {
                report(format!(
                    "it is left out; `{text:.200}` is neither `label_values(SERIES, LABEL)` nor `metrics(NAMES)` nor \
                     `query_result(QUERY)`"
                ));
                return;
            }
        }
        "custom" => {
            let (values, named) = custom(text);
            made.values = values;
            if named {
                report("its values are offered as they are asked for, without the names they have there".to_owned());
            }
        }
        "interval" => {
            made.values = list().into_iter().filter(|v| v != "auto" && !v.starts_with("$__")).collect();
        }
        "constant" => made.values = vec![text.to_owned()],
        "textbox" => {
            made.free = true;
            (made.all, made.multi) = (false, false);
            made.values = Some(text.to_owned()).filter(|text| !text.is_empty()).into_iter().collect();
        }
        "datasource" => return,
        "adhoc" => {
            let (values, lost) = matchers(&raw.filters);
            if lost > 0 {
                report(format!("{lost} of its filters are left out: they have no matcher as their equal"));
            }
            (made.filters, made.all, made.multi, made.values) = (true, false, false, values);
            out.variables.push(made);
            return;
        }
        other => {
            report(format!("it is left out; a variable of the kind `{other:.40}` has no equal here"));
            return;
        }
    }
    if !made.free {
        made.first = chosen(&raw.current, &made);
    }
    match bare_regex(raw.regex.trim()) {
        _ if raw.regex.trim().is_empty() => {}
        Some(regex) if made.label.is_some() || made.query.is_some() => made.regex = Some(regex),
        _ => report(format!("its filter `{:.100}` is left out", raw.regex)),
    }
    if made.label.is_none() && made.query.is_none() && !made.free && made.values.is_empty() {
        report("it is left out, it has no values".to_owned());
        return;
    }
    out.variables.push(made);
}

/// What a variable opens with, where a page would not choose it by itself.
fn chosen(current: &Value, of: &Variable) -> Vec<String> {
    let text = |value: &Value| match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    };
    let mut all: Vec<String> = match current.get("value") {
        Some(Value::Array(values)) => values.iter().filter_map(text).collect(),
        Some(one) => text(one).into_iter().collect(),
        None => Vec::new(),
    };
    if all.iter().any(|value| value == ALL) {
        return Vec::new();
    }
    let is_list = of.label.is_none() && of.query.is_none();
    all.retain(|value| !value.is_empty() && (!is_list || of.values.contains(value)));
    all.truncate(if of.multi { all.len() } else { 1 });
    if is_list && !of.all && all.first() == of.values.first() && all.len() < 2 { Vec::new() } else { all }
}

/// The values of a list like `a, b\,c, shown : value`, and whether any has a name that is shown instead.
fn custom(text: &str) -> (Vec<String>, bool) {
    let mut parts: Vec<String> = Vec::new();
    let mut joins = false;
    for piece in text.split(',') {
        let before_comma = piece.strip_suffix('\\');
        let words = before_comma.unwrap_or(piece);
        match parts.last_mut() {
            Some(part) if joins => part.extend([",", words]),
            _ => parts.push(words.to_owned()),
        }
        joins = before_comma.is_some();
    }
    let mut named = false;
    let value = |part: &String| match part.trim().rsplit_once(" : ") {
        Some((name, value)) if !name.trim().is_empty() => {
            named = true;
            value.trim().to_owned()
        }
        _ => part.trim().to_owned(),
    };
    let values: Vec<String> = parts.iter().map(value).filter(|value| !value.is_empty()).collect();
    (values, named)
}

/// Filters as label matchers, and how many of them are none.
fn matchers(filters: &Value) -> (Vec<String>, usize) {
    let filters = filters.as_array().map(Vec::as_slice).unwrap_or_default();
    let matcher = |filter: &Value| {
        let text = |field: &str| filter.get(field).and_then(Value::as_str).unwrap_or_default();
        let (label, value) = (text("key"), text("value"));
        let plain = !label.is_empty() && label.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        let sign = Some(text("operator")).filter(|sign| plain && matches!(*sign, "=" | "!=" | "=~" | "!~"))?;
        let value = value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
        Some(format!("{label}{sign}\"{value}\""))
    };
    let kept: Vec<String> = filters.iter().filter_map(matcher).collect();
    let lost = filters.len() - kept.len();
    (kept, lost)
}

/// Series and label of `label_values(up{job="x"}, instance)` and `label_values(instance)`.
pub(super) fn label_values(text: &str) -> Option<(&str, &str)> {
    let inside = text.trim().strip_prefix("label_values(")?.strip_suffix(')')?;
    let (of, label) = inside.rsplit_once(',').filter(|(_, l)| !l.contains(['}', '"'])).unwrap_or(("", inside));
    let label = label.trim();
    let plain = !label.is_empty() && label.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    plain.then_some((of.trim(), label))
}

/// The query of `query_result(QUERY)`.
fn query_result(text: &str) -> Option<&str> {
    let query = text.trim().strip_prefix("query_result(")?.strip_suffix(')')?.trim();
    (!query.is_empty()).then_some(query)
}

/// What stands between the slashes of `/.../`; with flags all of it, as pages read it. Without slashes it is of the whole value.
/// Nothing where it is no regular expression of Grafana's.
fn bare_regex(text: &str) -> Option<String> {
    let Some(inside) = text.strip_prefix('/') else { return Some(format!("^{text}$")) };
    let (bare, flags) = inside.rsplit_once('/').filter(|(bare, _)| !bare.is_empty())?;
    let known = flags.char_indices().all(|(at, flag)| "gimsu".contains(flag) && !flags[..at].contains(flag));
    known.then(|| if flags.is_empty() { bare.to_owned() } else { format!("/{bare}/{flags}") })
}

/// The selector of `metrics(NAMES)`, a regular expression.
fn metrics(text: &str) -> Option<String> {
    let names = text.trim().strip_prefix("metrics(")?.strip_suffix(')')?.trim();
    let plain = names.trim_matches(['"', '\'']).replace('\\', "\\\\").replace('"', "\\\"");
    Some(if plain.is_empty() { String::new() } else { format!("{{__name__=~\".*({plain}).*\"}}") })
}
