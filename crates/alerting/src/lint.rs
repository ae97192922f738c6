//! What an alert needs so that the person it wakes can act: a runbook, somebody who owns it, and how bad it is.

use crate::rules::{Rule, RuleFile};

/// One of the names is enough.
const RUNBOOK: [&str; 3] = ["runbook_url", "runbook", "playbook"];
const OWNER: [&str; 3] = ["owner", "team", "squad"];
const SEVERITY: [&str; 2] = ["severity", "priority"];

/// What is missing on an alert.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    pub group: String,
    pub alert: String,
    /// Line of the rule's expression.
    pub line: u64,
    /// `runbook`, `owner` or `severity`.
    pub check: &'static str,
    pub message: String,
}

/// The findings of a file, in its order. A label that is set to the empty text counts as missing.
pub fn lint(file: &RuleFile) -> Vec<Finding> {
    let mut out = Vec::new();
    for group in &file.groups {
        for rule in &group.rules {
            let Rule::Alert(alert) = rule else { continue };
            let label =
                |names: &[&str]| names.iter().any(|n| alert.labels.get(*n).is_some_and(|t| !t.source().is_empty()));
            let annotation = |names: &[&str]| {
                names.iter().any(|n| alert.annotations.get(*n).is_some_and(|t| !t.source().is_empty()))
            };
            let mut missing = |check, message: String| {
                out.push(Finding {
                    group: group.name.clone(),
                    alert: alert.alert.clone(),
                    line: alert.line,
                    check,
                    message,
                });
            };
            if !annotation(&RUNBOOK) {
                missing("runbook", format!("has no runbook; add the annotation {}", RUNBOOK[0]));
            }
            if !label(&OWNER) && !annotation(&OWNER) {
                missing("owner", format!("has no owner; add the label {}", OWNER[0]));
            }
            if !label(&SEVERITY) {
                missing("severity", format!("has no severity; add the label {}", SEVERITY[0]));
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_what_is_missing() {
        let yaml = "groups:\n- name: g\n  labels: {team: web}\n  rules:\n  - alert: Bare\n    expr: up == 0\n  - alert: Good\n    expr: up == 0\n    labels: {severity: critical}\n    annotations: {runbook_url: 'https://x'}\n  - record: a\n    expr: up\n";
        let found = lint(&crate::parse_rules(yaml).unwrap());
        let said: Vec<_> = found.iter().map(|f| (f.alert.as_str(), f.line, f.check)).collect();
        assert_eq!(said, [("Bare", 6, "runbook"), ("Bare", 6, "severity")]);
        let without = lint(&crate::parse_rules(&yaml.replace("team: web", "team: ''")).unwrap());
        assert_eq!(without.iter().filter(|f| f.check == "owner").count(), 2);
    }
}
