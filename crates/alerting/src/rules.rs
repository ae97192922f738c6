//! Prometheus rule files: groups of alerting and recording rules, read with errors that name the line and the key.
//!
//! The format is Prometheus' own (`groups: [{name, interval, rules: [{alert, expr, for, ..}]}]`); a file that works
//! there works here. Expressions are not parsed in this crate: the caller checks each with its PromQL parser.

use serde::Deserialize;
use serde_saphyr::Spanned;
use std::collections::{BTreeMap, BTreeSet};
use tenfold_types::{Labels, parse_duration_ms};

use crate::{nothing::or_nothing, template::Template};

/// How often a group without its own `interval` is evaluated.
pub const INTERVAL_DEFAULT_MS: i64 = 5_000;
/// The shortest interval a group may ask for.
pub const INTERVAL_MIN_MS: i64 = 1_000;
/// Groups of all files together.
pub const GROUPS_MAX: usize = 1_000;
pub const RULES_PER_GROUP_MAX: usize = 2_000;
/// The group under which alerts that others send are listed.
pub const RECEIVED_GROUP: &str = "/received";
/// Bytes of the name of a label, a series or a group.
const NAME_BYTES_MAX: usize = 200;
/// Bytes of one rule file.
pub const FILE_BYTES_MAX: usize = 1 << 20;

/// What is wrong with a rule file, where, and under which key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: `{key}`: {message}")]
pub struct RuleError {
    /// Counted from 1; 0 when the file as a whole is meant.
    pub line: u64,
    pub key: String,
    pub message: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleFile {
    pub groups: Vec<Group>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    pub name: String,
    pub interval_ms: i64,
    /// Series a rule may answer with; 0 where the file says nothing.
    pub limit: u64,
    /// How long before the instant of an evaluation its data is read.
    pub offset_ms: i64,
    pub rules: Vec<Rule>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rule {
    Alert(AlertRule),
    Record(RecordingRule),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AlertRule {
    pub alert: String,
    pub expr: String,
    /// How long the expression must hold before the alert fires.
    pub for_ms: i64,
    /// How long a firing alert goes on firing after the expression stopped holding.
    pub keep_firing_for_ms: i64,
    /// Values are templates.
    pub labels: BTreeMap<String, Template>,
    /// Values are templates.
    pub annotations: BTreeMap<String, Template>,
    /// Line of the rule's expression in its file, for messages.
    pub line: u64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordingRule {
    pub record: String,
    pub expr: String,
    pub labels: Labels,
    pub line: u64,
}

impl Rule {
    pub fn name(&self) -> &str {
        match self {
            Self::Alert(r) => &r.alert,
            Self::Record(r) => &r.record,
        }
    }
    pub fn expr(&self) -> &str {
        match self {
            Self::Alert(r) => &r.expr,
            Self::Record(r) => &r.expr,
        }
    }
    pub fn line(&self) -> u64 {
        match self {
            Self::Alert(r) => r.line,
            Self::Record(r) => r.line,
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawFile {
    #[serde(default, deserialize_with = "or_nothing")]
    groups: Vec<RawGroup>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawGroup {
    name: Spanned<String>,
    interval: Option<Spanned<String>>,
    #[serde(default, deserialize_with = "or_nothing")]
    limit: u64,
    query_offset: Option<Spanned<String>>,
    /// Labels of every rule; a rule's own count more.
    #[serde(default, deserialize_with = "or_nothing")]
    labels: Texts,
    #[serde(default, deserialize_with = "or_nothing")]
    rules: Vec<RawRule>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRule {
    alert: Option<Spanned<String>>,
    record: Option<Spanned<String>>,
    expr: Spanned<String>,
    #[serde(rename = "for")]
    hold: Option<Spanned<String>>,
    keep_firing_for: Option<Spanned<String>>,
    #[serde(default, deserialize_with = "or_nothing")]
    labels: Texts,
    #[serde(default, deserialize_with = "or_nothing")]
    annotations: Texts,
}

/// Texts by name. A key with nothing behind it has an empty one, as in Prometheus.
type Texts = BTreeMap<String, Spanned<Option<String>>>;

fn wrong<T>(at: &Spanned<T>, key: &str, message: impl Into<String>) -> RuleError {
    RuleError { line: at.referenced.line(), key: key.to_owned(), message: message.into() }
}

/// Reads a rule file.
///
/// # Errors
/// The first thing that is wrong, with its line and key.
pub fn parse_rules(yaml: &str) -> Result<RuleFile, RuleError> {
    parse_rules_with(yaml, INTERVAL_DEFAULT_MS)
}

/// Reads a rule file; groups without an interval get `interval_ms`.
///
/// # Errors
/// As [`parse_rules`].
pub fn parse_rules_with(yaml: &str, interval_ms: i64) -> Result<RuleFile, RuleError> {
    let mut errors = Vec::new();
    let file = read_rules(yaml, interval_ms, &mut errors);
    errors.into_iter().next().map_or(Ok(file), Err)
}

/// Reads what can be read of a rule file, and everything that is wrong with it, in the order of the file.
pub fn read_rules(yaml: &str, interval_ms: i64, errors: &mut Vec<RuleError>) -> RuleFile {
    let whole = |line, message: String| RuleError { line, key: "groups".to_owned(), message };
    let mut file = RuleFile { groups: Vec::new() };
    if yaml.len() > FILE_BYTES_MAX {
        let message = format!("a rule file has at most {FILE_BYTES_MAX} bytes, this one has {}", yaml.len());
        errors.push(whole(0, message));
        return file;
    }
    // A file of nothing but comments has no rules, and is no mistake.
    if yaml.lines().all(|line| matches!(line.trim_start().chars().next(), None | Some('#'))) {
        return file;
    }
    let raw: RawFile = match serde_saphyr::from_str(yaml) {
        Ok(raw) => raw,
        Err(e) => {
            let message = e.without_snippet().to_string();
            errors.push(whole(e.location().map_or(0, |l| l.line()), message));
            return file;
        }
    };
    if raw.groups.len() > GROUPS_MAX {
        errors.push(whole(0, format!("a file has at most {GROUPS_MAX} groups, this one has {}", raw.groups.len())));
        return file;
    }
    let mut names = BTreeSet::new();
    for group in raw.groups {
        if !names.insert(group.name.value.clone()) {
            errors.push(wrong(&group.name, "name", format!("the group `{}` is there twice", group.name.value)));
        }
        file.groups.push(read_group(group, interval_ms, errors));
    }
    file
}

fn read_group(raw: RawGroup, interval_default_ms: i64, errors: &mut Vec<RuleError>) -> Group {
    let name = raw.name.value.clone();
    if name.is_empty() || name.len() > NAME_BYTES_MAX {
        errors.push(wrong(&raw.name, "name", format!("a group's name has 1 to {NAME_BYTES_MAX} bytes")));
    }
    if name == RECEIVED_GROUP {
        errors.push(wrong(&raw.name, "name", "alerts that others send are listed under this name"));
    }
    let mut duration = |text: Option<&Spanned<String>>, key: &str, otherwise: i64| {
        let read = text.map(|t| parse_duration_ms(&t.value).map_err(|m| wrong(t, key, m)));
        read.unwrap_or(Ok(otherwise)).unwrap_or_else(|error| {
            errors.push(error);
            otherwise
        })
    };
    let otherwise = interval_default_ms.max(INTERVAL_MIN_MS);
    // 0 says nothing, as in Prometheus.
    let interval_ms = match duration(raw.interval.as_ref(), "interval", otherwise) {
        0 => otherwise,
        ms => ms,
    };
    let offset_ms = duration(raw.query_offset.as_ref(), "query_offset", 0);
    if interval_ms < INTERVAL_MIN_MS {
        let at = raw.interval.as_ref().map_or_else(|| raw.name.referenced.line(), |i| i.referenced.line());
        let message = format!("a group is evaluated at most every {INTERVAL_MIN_MS} ms");
        errors.push(RuleError { line: at, key: "interval".to_owned(), message });
    }
    if raw.rules.len() > RULES_PER_GROUP_MAX {
        let message = format!("a group has at most {RULES_PER_GROUP_MAX} rules, this one has {}", raw.rules.len());
        errors.push(wrong(&raw.name, "rules", message));
    }
    let mut rules = Vec::with_capacity(raw.rules.len());
    for mut rule in raw.rules {
        for (label, value) in &raw.labels {
            rule.labels.entry(label.clone()).or_insert_with(|| value.clone());
        }
        match read_rule(rule) {
            Ok(rule) => rules.push(rule),
            Err(error) => errors.push(error),
        }
    }
    Group { name, interval_ms, limit: raw.limit, offset_ms, rules }
}

fn read_rule(raw: RawRule) -> Result<Rule, RuleError> {
    let line = raw.expr.referenced.line();
    if raw.expr.value.trim().is_empty() {
        return Err(wrong(&raw.expr, "expr", "is empty"));
    }
    let name = match (&raw.alert, &raw.record) {
        (Some(a), None) => a,
        (None, Some(r)) => r,
        (Some(a), Some(_)) => return Err(wrong(a, "alert", "a rule has either `alert` or `record`, not both")),
        (None, None) => {
            return Err(wrong(&raw.expr, "alert", "a rule has either `alert` or `record`, this has neither"));
        }
    };
    for (label, value) in &raw.labels {
        if !is_name(label) || label == Labels::NAME {
            let message = format!("is not a name a rule may set: 1 to {NAME_BYTES_MAX} bytes, and not `__name__`");
            return Err(wrong(value, &format!("labels.{label}"), message));
        }
    }
    if raw.record.is_some() {
        if let Some(at) = raw.hold.as_ref().or(raw.keep_firing_for.as_ref()) {
            return Err(wrong(at, "for", "a recording rule has no `for` and no `keep_firing_for`"));
        }
        if let Some((key, at)) = raw.annotations.iter().next() {
            return Err(wrong(at, &format!("annotations.{key}"), "a recording rule has no annotations"));
        }
        // Of UTF-8 names most are slips; those that Prometheus takes for slips are refused as well.
        if !is_name(&name.value) || name.value.contains(['{', '}']) {
            return Err(wrong(name, "record", format!("`{}` is not a metric name", name.value)));
        }
        let labels = Labels::from_pairs(raw.labels.into_iter().map(|(n, v)| (n, v.value.unwrap_or_default())));
        return Ok(Rule::Record(RecordingRule { record: name.value.clone(), expr: raw.expr.value, labels, line }));
    }
    if !is_name(&name.value) {
        return Err(wrong(name, "alert", format!("an alert's name has 1 to {NAME_BYTES_MAX} bytes")));
    }
    if let Some((key, at)) = raw.annotations.iter().find(|(key, _)| !is_name(key)) {
        let message = format!("the name of an annotation has 1 to {NAME_BYTES_MAX} bytes");
        return Err(wrong(at, &format!("annotations.{key}"), message));
    }
    let duration = |text: &Option<Spanned<String>>, key: &str| match text {
        None => Ok(0),
        Some(t) => parse_duration_ms(&t.value).map_err(|m| wrong(t, key, m)),
    };
    Ok(Rule::Alert(AlertRule {
        alert: name.value.clone(),
        for_ms: duration(&raw.hold, "for")?,
        keep_firing_for_ms: duration(&raw.keep_firing_for, "keep_firing_for")?,
        labels: templates(raw.labels, "labels")?,
        annotations: templates(raw.annotations, "annotations")?,
        expr: raw.expr.value,
        line,
    }))
}

fn templates(raw: Texts, section: &str) -> Result<BTreeMap<String, Template>, RuleError> {
    raw.into_iter()
        .map(|(name, text)| {
            let source = text.value.as_deref().unwrap_or_default();
            let template =
                Template::parse(source).map_err(|e| wrong(&text, &format!("{section}.{name}"), e.to_string()))?;
            Ok((name, template))
        })
        .collect()
}

/// Any text is a name, as in Prometheus 3.
fn is_name(name: &str) -> bool {
    (1..=NAME_BYTES_MAX).contains(&name.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"
groups:
- name: photos
  interval: 10s
  rules:
  - record: job:errors:rate1m
    expr: sum by (job) (rate(errors[1m]))
    labels: {team: web}
  - alert: HighErrorRate
    expr: |
      job:errors:rate1m > 5
    for: 30s
    keep_firing_for: 1m
    labels: {severity: critical, service: photos}
    annotations:
      summary: "{{ $labels.job }} has {{ $value | humanize }} errors a second"
"#;

    #[test]
    fn reads_a_file() {
        let file = parse_rules(GOOD).unwrap();
        let group = &file.groups[0];
        assert_eq!((group.name.as_str(), group.interval_ms, group.rules.len()), ("photos", 10_000, 2));
        let Rule::Alert(rule) = &group.rules[1] else { panic!("the second rule is an alert") };
        assert_eq!((rule.for_ms, rule.keep_firing_for_ms), (30_000, 60_000));
        assert!(rule.annotations.contains_key("summary"));
        assert_eq!(parse_rules("groups: []").unwrap().groups, vec![]);
        for nothing in ["groups:\n- name: a\n  rules: []", "groups:\n- name: a\n  interval: 0s\n  rules: []"] {
            assert_eq!(parse_rules(nothing).unwrap().groups[0].interval_ms, INTERVAL_DEFAULT_MS, "{nothing}");
        }
    }

    #[test]
    fn what_prometheus_takes_is_taken() {
        let text = "groups:\n- name: team/photos\n  rules:\n  - {alert: A, expr: up}\n  - {alert: A, expr: down}\n  - {alert: B, expr: up, labels: {alertname: x, größe.max: '1'}}\n  - {record: http.errors, expr: up}\n";
        assert_eq!(parse_rules(text).unwrap().groups[0].rules.len(), 4);
        for nothing in ["", "# later\n\n  # more\n", "groups: []", "{}"] {
            assert_eq!(parse_rules(nothing).unwrap().groups, vec![], "{nothing}");
        }
    }

    /// `promtool check rules` takes each of them: what stands behind a key may be commented out.
    #[test]
    fn a_key_with_nothing_behind_it_is_none() {
        assert_eq!(parse_rules("groups:\n").unwrap().groups, vec![]);
        let text = "groups:\n- name: a\n  interval:\n  limit:\n  labels:\n  rules:\n  - alert: A\n    expr: up == 0\n    for:\n    labels:\n    # team: web\n    annotations:\n      summary:\n      description: ~\n- name: b\n  rules:\n";
        let groups = parse_rules(text).unwrap().groups;
        let Rule::Alert(rule) = &groups[0].rules[0] else { panic!("it is an alert") };
        let said: Vec<_> = rule.annotations.iter().map(|(name, text)| (name.as_str(), text.source())).collect();
        assert_eq!(said, [("description", ""), ("summary", "")]);
        assert_eq!((rule.for_ms, rule.labels.len(), groups[0].limit, groups[1].rules.len()), (0, 0, 0, 0));
    }

    #[test]
    fn errors_name_line_and_key() {
        let rule = |body: &str| format!("groups:\n- name: g\n  rules:\n  - {body}\n");
        let cases = [
            (rule("alert: A\n    expr: up\n    for: soon"), 6, "for", "is not a duration"),
            (
                rule("alert: A\n    expr: up\n    annotations:\n      s: '{{ nonsense }}'"),
                7,
                "annotations.s",
                "nonsense",
            ),
            (rule("expr: up"), 4, "alert", "neither"),
            (rule("alert: A\n    record: b\n    expr: up"), 4, "alert", "not both"),
            (rule("alert: A\n    expr: ''"), 5, "expr", "empty"),
            (rule("record: 'a{b}'\n    expr: up"), 4, "record", "metric name"),
            (rule("alert: A\n    expr: up\n    labels: {__name__: x}"), 6, "labels.__name__", "not a name"),
            (rule("alert: A\n    expr: up\n    labels: {'': x}"), 6, "labels.", "not a name"),
            (rule("alert: A\n    expr: up\n    colour: red"), 6, "groups", "colour"),
            ("groups:\n- name: g\n  interval: 10ms\n  rules: []\n".to_owned(), 3, "interval", "at most every"),
            ("groups:\n- name: g\n- name: g\n".to_owned(), 3, "name", "twice"),
            ("groups:\n- name: /received\n".to_owned(), 2, "name", "others send"),
        ];
        for (yaml, line, key, message) in cases {
            let e = parse_rules(&yaml).expect_err(&yaml);
            assert_eq!((e.line, e.key.as_str()), (line, key), "{e} in {yaml}");
            assert!(e.message.contains(message), "{e} lacks {message}");
        }
    }
}
