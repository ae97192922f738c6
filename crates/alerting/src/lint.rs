//! What an alert needs so that the person it wakes can act: a runbook, somebody who owns it, and how bad it is. And what is
//! there twice, as promtool finds it.

use std::collections::BTreeSet;

use crate::rules::{Rule, RuleFile};

/// One of the names is enough; the first that says something counts.
const RUNBOOK: [&str; 3] = ["runbook_url", "runbook", "playbook"];
const OWNER: [&str; 3] = ["owner", "team", "squad"];
/// Who is paged follows from this one, so no other will do.
const SEVERITY: &str = "severity";

/// The runbook that an alert's annotations name: what a rule may be without, by [`lint`], is what people are shown.
pub fn runbook<'a>(annotation: impl Fn(&str) -> Option<&'a str>) -> Option<&'a str> {
    RUNBOOK.iter().find_map(|name| annotation(name).map(str::trim).filter(|text| !text.is_empty()))
}

/// What an alert lacks whose labels and annotations say something where these answer yes: the check's name, and a sentence that
/// goes on after the alert's name.
pub fn lacks(label: impl Fn(&str) -> bool, annotation: impl Fn(&str) -> bool) -> Vec<(&'static str, String)> {
    let mut out = Vec::new();
    if !RUNBOOK.iter().any(|name| annotation(name)) {
        out.push(("runbook", format!("has no runbook; add the annotation {}", RUNBOOK[0])));
    }
    if !OWNER.iter().any(|name| label(name) || annotation(name)) {
        out.push(("owner", format!("has no owner; add the label {}", OWNER[0])));
    }
    if !label(SEVERITY) {
        out.push(("severity", format!("has no severity; add the label {SEVERITY}")));
    }
    out
}

/// What is missing on a rule, or wrong with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    pub group: String,
    /// The rule's place in its group.
    pub rule: usize,
    /// The name of the alert, or of what is recorded.
    pub alert: String,
    /// Line of the rule's expression.
    pub line: u64,
    /// `runbook`, `owner`, `severity` or `duplicate`.
    pub check: &'static str,
    pub message: String,
}

/// The findings of a file, in its order. What is set to blanks alone counts as missing.
pub fn lint(file: &RuleFile) -> Vec<Finding> {
    let mut out = Vec::new();
    let mut seen = BTreeSet::new();
    for group in &file.groups {
        for (index, rule) in group.rules.iter().enumerate() {
            if !seen.insert(identity(rule)) {
                let (alert, line) = (rule.name().to_owned(), rule.line());
                let message =
                    "is there twice with the same labels; rename one of the two, or give it a label".to_owned();
                let group = group.name.clone();
                out.push(Finding { group, rule: index, alert, line, check: "duplicate", message });
            }
            let Rule::Alert(alert) = rule else { continue };
            let label = |name: &str| alert.labels.get(name).is_some_and(|t| !t.source().trim().is_empty());
            let annotation = |name: &str| alert.annotations.get(name).is_some_and(|t| !t.source().trim().is_empty());
            out.extend(lacks(label, annotation).into_iter().map(|(check, message)| Finding {
                group: group.name.clone(),
                rule: index,
                alert: alert.alert.clone(),
                line: alert.line,
                check,
                message,
            }));
        }
    }
    out
}

/// Whether it records, its name and its own labels.
fn identity(rule: &Rule) -> (bool, &str, Vec<(&str, &str)>) {
    match rule {
        Rule::Alert(r) => (false, &r.alert, r.labels.iter().map(|(n, t)| (n.as_str(), t.source())).collect()),
        Rule::Record(r) => (true, &r.record, r.labels.iter().collect()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_what_is_there_twice() {
        let yaml = "groups:\n- name: a\n  rules:\n  - {record: x, expr: up}\n  - {record: x, expr: up, labels: {y: z}}\n- name: b\n  rules:\n  - {record: x, expr: down}\n  - {alert: x, expr: down}\n";
        let found = lint(&crate::parse_rules(yaml).unwrap());
        let twice: Vec<_> =
            found.iter().filter(|f| f.check == "duplicate").map(|f| (f.group.as_str(), f.line)).collect();
        assert_eq!(twice, [("b", 8)]);
    }

    #[test]
    fn what_passes_is_what_is_shown() {
        for name in RUNBOOK {
            let yaml = format!(
                "groups:\n- name: g\n  rules:\n  - alert: A\n    expr: up == 0\n    labels: {{severity: critical, team: web}}\n    annotations: {{{name}: 'https://x'}}\n"
            );
            assert!(lint(&crate::parse_rules(&yaml).unwrap()).is_empty(), "{name}");
            assert_eq!(runbook(|asked| (asked == name).then_some(" https://x ")), Some("https://x"), "{name}");
        }
        assert_eq!(runbook(|_| Some(" ")), None);
        let priority = "groups:\n- name: g\n  rules:\n  - alert: A\n    expr: up == 0\n    labels: {priority: P1, team: web}\n    annotations: {runbook: 'https://x'}\n";
        let found = lint(&crate::parse_rules(priority).unwrap());
        assert_eq!(found.iter().map(|f| f.check).collect::<Vec<_>>(), ["severity"], "nobody is paged by it");
    }

    #[test]
    fn says_what_is_missing() {
        let yaml = "groups:\n- name: g\n  labels: {team: web}\n  rules:\n  - alert: Bare\n    expr: up == 0\n  - alert: Good\n    expr: up == 0\n    labels: {severity: critical}\n    annotations: {runbook_url: 'https://x'}\n  - record: a\n    expr: up\n";
        let found = lint(&crate::parse_rules(yaml).unwrap());
        let said: Vec<_> = found.iter().map(|f| (f.alert.as_str(), f.line, f.check)).collect();
        assert_eq!(said, [("Bare", 6, "runbook"), ("Bare", 6, "severity")]);
        let without = lint(&crate::parse_rules(&yaml.replace("team: web", "team: ''")).unwrap());
        assert_eq!(without.iter().filter(|f| f.check == "owner").count(), 2);
        let blank = lint(&crate::parse_rules(&yaml.replace("https://x", " ")).unwrap());
        assert_eq!(blank.iter().filter(|f| f.check == "runbook").count(), 2, "nobody would be shown it");
    }
}
