//! Everything that is wrong with a rule file, with lines.

use serde::Serialize;
use tenfold_alerting::{Finding, INTERVAL_DEFAULT_MS, Rule, RuleFile, lint, read_rules};
use tenfold_promql::QueryError;

/// What is wrong, and where.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// Counted from 1; 0 when the file as a whole is meant.
    pub line: u64,
    pub message: String,
}

/// What was read of a rule file.
#[derive(Debug)]
pub struct CheckedRules {
    pub file: RuleFile,
    /// A file with problems is refused by a server.
    pub problems: Vec<Problem>,
    /// What an alert lacks for the person whom it wakes.
    pub findings: Vec<Finding>,
}

/// Reads a rule file and parses every expression in it.
pub fn check_rules(yaml: &str) -> CheckedRules {
    let mut errors = Vec::new();
    let file = read_rules(yaml, INTERVAL_DEFAULT_MS, &mut errors);
    let mut problems: Vec<Problem> =
        errors.into_iter().map(|e| Problem { line: e.line, message: format!("`{}`: {}", e.key, e.message) }).collect();
    for rule in file.groups.iter().flat_map(|g| &g.rules) {
        if let Err(e) = tenfold_promql::parse(rule.expr()) {
            problems.push(expression(yaml, rule, &e));
        }
    }
    problems.sort_by_key(|p| p.line);
    let findings = lint(&file);
    CheckedRules { file, problems, findings }
}

/// The line an error of an expression stands in: that of the expression, and further down in a block of several.
fn expression(yaml: &str, rule: &Rule, error: &QueryError) -> Problem {
    let QueryError::Parse { span, .. } = error else {
        return Problem { line: rule.line(), message: format!("`expr` of {}: {error}", rule.name()) };
    };
    let (within, _) = span.line_column(rule.expr());
    let wanted = rule.expr().lines().nth(within - 1).unwrap_or_default().trim();
    let from = usize::try_from(rule.line()).unwrap_or(1).saturating_sub(1);
    let height = rule.expr().lines().count() + 1;
    let found = yaml.lines().skip(from).take(height).position(|l| !wanted.is_empty() && l.contains(wanted));
    let line = rule.line() + found.unwrap_or(0) as u64;
    Problem { line, message: format!("`expr` of {}: {}", rule.name(), error.pointing(rule.expr())) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_problem_has_its_line() {
        let yaml = "groups:\n- name: g\n  interval: soon\n  rules:\n  - alert: A\n    expr: |\n      sum(up) +\n        rate(up)\n  - record: 'a{b}'\n    expr: up\n  - alert: C\n    expr: up ==\n  - alert: D\n    expr: up\n    labels: {x: '{{ nothing }}'}\n";
        let checked = check_rules(yaml);
        let said: Vec<_> = checked.problems.iter().map(|p| (p.line, p.message.split(':').next().unwrap())).collect();
        assert_eq!(
            said,
            [(3, "`interval`"), (8, "`expr` of A"), (9, "`record`"), (12, "`expr` of C"), (15, "`labels.x`")]
        );
        assert_eq!(check_rules("group: []").problems.len(), 1);
        assert_eq!(check_rules("groups: []").problems, []);
        assert_eq!(check_rules("groups:\n- name: g\n  rules:\n  - record: a\n    expr: up\n").problems, []);
    }
}
