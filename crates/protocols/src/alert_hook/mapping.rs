//! Any JSON as alerts: a mapping names where things stand in it, by JSON Pointers (RFC 6901).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tenfold_types::Timestamp;

use super::{ALERTS_MAX, HookError, KEY_CHARS_MAX, KeyedAlert, SaidState, cut};

/// Labels that one mapping takes out of a body.
pub const MAPPED_LABELS_MAX: usize = 32;
const POINTER_BYTES_MAX: usize = 256;
const WORDS_MAX: usize = 50;

/// One pointer, or several whose texts are joined.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Paths {
    One(String),
    Several(Vec<String>),
}

impl Paths {
    fn all(&self) -> &[String] {
        match self {
            Self::One(path) => std::slice::from_ref(path),
            Self::Several(paths) => paths,
        }
    }
}

/// When an alert is over: what stands at a pointer is one of these texts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResolvedWhen {
    pub path: String,
    pub values: Vec<String>,
}

/// Where things stand in a body. Pointers start at the alert, which is the body itself when `alerts` is absent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mapping {
    /// Where the list of alerts is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alerts: Option<String>,
    /// By what an alert is known again.
    pub key: Paths,
    /// What it says in one line.
    pub title: Paths,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<Paths>,
    /// Its name, the label `alertname`; absent: the source's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<Paths>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub severity: Option<Paths>,
    /// What the sender calls severities, and what they are here. What is not named stays as it is.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub severities: BTreeMap<String, String>,
    /// RFC 3339, or seconds or milliseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub starts_at: Option<Paths>,
    /// A link to what the sender says of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<Paths>,
    pub resolved: ResolvedWhen,
    /// More labels and where they stand; one that is not there is left out.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// More annotations, the same way.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

impl Mapping {
    /// Why the mapping itself cannot be, if so.
    pub fn wrong(&self) -> Option<String> {
        let lists = [Some(&self.key), Some(&self.title), self.description.as_ref(), self.name.as_ref()];
        let more = [self.severity.as_ref(), self.starts_at.as_ref(), self.url.as_ref()];
        let listed = lists.into_iter().chain(more).flatten();
        if listed.clone().any(|paths| paths.all().is_empty() || paths.all().len() > 10) {
            return Some("a list of pointers holds 1 to 10".into());
        }
        if self.labels.len() > MAPPED_LABELS_MAX || self.annotations.len() > MAPPED_LABELS_MAX {
            return Some(format!("at most {MAPPED_LABELS_MAX} labels and as many annotations are taken out of a body"));
        }
        if self.resolved.values.is_empty()
            || self.resolved.values.len() > WORDS_MAX
            || self.severities.len() > WORDS_MAX
        {
            return Some(format!("`resolved.values` holds 1 to {WORDS_MAX} texts, `severities` at most {WORDS_MAX}"));
        }
        let pointers = listed.flat_map(Paths::all).chain(&self.alerts).chain([&self.resolved.path]);
        let wrong = |p: &&String| !(p.is_empty() || p.starts_with('/')) || p.len() > POINTER_BYTES_MAX;
        pointers.chain(self.labels.values()).chain(self.annotations.values()).find(wrong).map(|pointer| {
            format!(
                "`{pointer:.60}` is no JSON Pointer of at most {POINTER_BYTES_MAX} bytes: write it like /alert/host"
            )
        })
    }

    /// The alerts of a body.
    pub fn read(&self, body: &[u8]) -> Result<Vec<KeyedAlert>, HookError> {
        let body: Value = serde_json::from_slice(body).map_err(|e| HookError::Body(e.to_string()))?;
        let Some(path) = &self.alerts else {
            return self.alert(&body).map(|alert| vec![alert]).map_err(HookError::Body);
        };
        let listed = body.pointer(path).and_then(Value::as_array);
        let listed = listed.ok_or_else(|| HookError::Body(format!("there is no list of alerts at {path}")))?;
        if listed.len() > ALERTS_MAX {
            let text = format!("it holds {} alerts, at most {ALERTS_MAX} are read", listed.len());
            return Err(HookError::Body(text));
        }
        let one = |(i, alert)| self.alert(alert).map_err(|why| HookError::Body(format!("alert {}: {why}", i + 1)));
        listed.iter().enumerate().map(one).collect()
    }

    fn alert(&self, alert: &Value) -> Result<KeyedAlert, String> {
        let needed = |what: &str, paths: &Paths, between: &str| {
            let parts: Option<Vec<String>> = paths.all().iter().map(|p| text(alert, p)).collect();
            let parts =
                parts.ok_or_else(|| format!("there is no text for the {what} at {}", paths.all().join(" and ")))?;
            Ok::<_, String>(parts.join(between))
        };
        // What is not needed is what is there of it.
        let optional = |paths: &Option<Paths>| {
            let parts: Vec<String> = paths.as_ref()?.all().iter().filter_map(|p| text(alert, p)).collect();
            (!parts.is_empty()).then(|| parts.join(" "))
        };
        let key = needed("key", &self.key, "/")?;
        if key.chars().count() > KEY_CHARS_MAX {
            return Err(format!("its key has more than {KEY_CHARS_MAX} characters"));
        }
        let found = |named: &BTreeMap<String, String>| {
            let one = |(name, path): (&String, &String)| Some((name.clone(), cut(&text(alert, path)?)));
            named.iter().filter_map(one).collect::<BTreeMap<_, _>>()
        };
        let (mut labels, mut annotations) = (found(&self.labels), found(&self.annotations));
        annotations.insert("summary".into(), cut(&needed("title", &self.title, " ")?));
        if let Some(description) = optional(&self.description) {
            annotations.insert("description".into(), cut(&description));
        }
        if let Some(name) = optional(&self.name) {
            labels.insert("alertname".into(), cut(&name));
        }
        if let Some(severity) = optional(&self.severity) {
            let severity = self.severities.get(&severity).cloned().unwrap_or(severity);
            labels.insert("severity".into(), cut(&severity));
        }
        let stands = text(alert, &self.resolved.path)
            .ok_or_else(|| format!("there is nothing at {}, where it says whether it is over", self.resolved.path))?;
        let over = self.resolved.values.iter().any(|v| v.eq_ignore_ascii_case(&stands));
        let url = optional(&self.url).filter(|u| u.starts_with("http"));
        let starts_at = self.starts_at.as_ref().and_then(|paths| instant(alert.pointer(paths.all().first()?)?));
        let state = if over { SaidState::Resolved } else { SaidState::Firing };
        Ok(KeyedAlert { key, state, labels, annotations, starts_at, url: url.map(|u| cut(&u)) })
    }
}

/// A text, number or truth at a pointer; nothing of what is empty.
fn text(alert: &Value, path: &str) -> Option<String> {
    match alert.pointer(path)? {
        Value::String(text) => Some(text.clone()).filter(|t| !t.trim().is_empty()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(truth) => Some(truth.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

fn instant(value: &Value) -> Option<Timestamp> {
    // From here on a number is milliseconds: as seconds it would be the year 5138.
    const MILLIS_FROM: i64 = 100_000_000_000;
    match value {
        Value::String(text) => Timestamp::parse_rfc3339(text),
        Value::Number(number) => {
            #[expect(clippy::cast_possible_truncation, reason = "saturates, and is bounded below")]
            let number = number.as_i64().or_else(|| number.as_f64().map(|f| f as i64))?;
            if number < 0 {
                return None;
            }
            let millis = if number < MILLIS_FROM { number.checked_mul(1_000)? } else { number };
            (0..MILLIS_FROM * 1_000).contains(&millis).then_some(Timestamp(millis))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_instant_is_seconds_or_milliseconds_and_never_before_1970() {
        for (value, wanted) in [
            (json!(1_795_424_400), Some(1_795_424_400_000)),
            (json!(1_795_424_400_123_i64), Some(1_795_424_400_123)),
            (json!(0), Some(0)),
            (json!(-1), None),
            (json!(i64::MIN), None),
            (json!(i64::MAX), None),
            (json!(u64::MAX), None),
            (json!(-1e300), None),
            (json!(1e300), None),
        ] {
            assert_eq!(instant(&value), wanted.map(Timestamp), "{value}");
        }
    }
}
