//! What alerts of rule files, checks and sources lack for the person whom they wake, as far as the settings ask.

use tenfold_alerting::{Finding, RuleFile, lint};
use tenfold_types::Fault;

use crate::settings::RuleLint;

/// Findings that a refusal names.
const NAMED_MAX: usize = 5;

/// What is found in a file; nothing with `off`.
pub(crate) fn found(how: RuleLint, file: &RuleFile) -> Vec<Finding> {
    if how == RuleLint::Off { Vec::new() } else { lint(file) }
}

/// One line for each finding, or with `fail` the refusal of the file.
pub(crate) fn accepted(how: RuleLint, name: &str, file: &RuleFile) -> Result<Vec<String>, Fault> {
    let found = found(how, file);
    let lines: Vec<String> = found.iter().map(|f| format!("line {}: {} {}", f.line, f.alert, f.message)).collect();
    if how != RuleLint::Fail || lines.is_empty() {
        return Ok(lines);
    }
    let more = lines.len().saturating_sub(NAMED_MAX);
    let more = if more > 0 { format!("; and {more} more") } else { String::new() };
    let said = lines.iter().take(NAMED_MAX).map(String::as_str).collect::<Vec<_>>().join("; ");
    Err(Fault::invalid(format!("the rule file {name}: {said}{more}"))
        .advice("add what is missing; with lint = \"warn\" under [alerts] the server only says so"))
}

/// What the alert of a check or a source lacks, in sentences that go on after its name; nothing with `off`.
pub(crate) fn lacking(how: RuleLint, lacks: Vec<String>) -> Vec<String> {
    if how == RuleLint::Off { Vec::new() } else { lacks }
}

/// The same, or with `fail` the refusal. `what` is such as "the check disk".
pub(crate) fn complete(how: RuleLint, what: &str, lacks: Vec<String>) -> Result<Vec<String>, Fault> {
    let lacks = lacking(how, lacks);
    if how != RuleLint::Fail || lacks.is_empty() {
        return Ok(lacks);
    }
    Err(Fault::invalid(format!("{what} {}", lacks.join("; it ")))
        .advice("add what is missing; with lint = \"warn\" under [alerts] the server only says so"))
}

#[cfg(test)]
mod tests {
    use tenfold_alerting::parse_rules;

    use super::*;

    #[test]
    fn what_is_no_rule_is_looked_at_the_same() {
        let lacks = || vec!["has no runbook".to_owned(), "has no owner".to_owned()];
        assert_eq!(complete(RuleLint::Off, "the check disk", lacks()), Ok(vec![]));
        assert_eq!(complete(RuleLint::Warn, "the check disk", lacks()), Ok(lacks()));
        assert_eq!(complete(RuleLint::Fail, "the check disk", vec![]), Ok(vec![]));
        let refused = complete(RuleLint::Fail, "the check disk", lacks()).expect_err("refused").message;
        assert_eq!(refused, "the check disk has no runbook; it has no owner");
    }

    #[test]
    fn the_setting_says_whether_it_is_told_and_whether_it_is_refused() {
        let bare = "groups:\n- name: g\n  rules:\n  - {alert: A, expr: up}\n  - {alert: B, expr: up}\n";
        let bare = parse_rules(bare).expect("it reads");
        assert_eq!(accepted(RuleLint::Off, "g", &bare), Ok(vec![]));
        assert_eq!(accepted(RuleLint::Warn, "g", &bare).map(|lines| lines.len()), Ok(6));
        let refused = accepted(RuleLint::Fail, "g", &bare).expect_err("refused").message;
        assert!(refused.starts_with("the rule file g: line 4: A has no runbook"), "{refused}");
        assert!(refused.ends_with("; and 1 more"), "{refused}");
        let recording = parse_rules("groups:\n- name: g\n  rules:\n  - {record: a, expr: up}\n").expect("it reads");
        assert_eq!(accepted(RuleLint::Fail, "g", &recording), Ok(vec![]));
    }
}
