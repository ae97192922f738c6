//! Changing one alerting rule in the text of its file, so that all else stays as it was written: comments, order, quotes.
//!
//! The text is changed by lines and then read again: what does not come out as the same file with that one change is
//! refused, so that nothing is lost where somebody writes YAML in another way.

use tenfold_types::format_duration_ms;

use crate::rules::{AlertRule, Rule, RuleFile, parse_rules};

/// Lines that a difference shows around a change.
const AROUND: usize = 2;

/// What is changed of a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RuleEdit {
    /// How long the expression must hold, in milliseconds.
    For(i64),
    Expr(String),
}

/// The text of a rule file with one of its rules changed.
///
/// # Errors
/// One sentence when the rule is written in a way that is not changed by lines.
pub fn edit_rule(yaml: &str, rule: &AlertRule, edit: &RuleEdit) -> Result<String, String> {
    let name = &rule.alert;
    let lines: Vec<&str> = yaml.split('\n').collect();
    let expr = expr_line(&lines, rule).ok_or_else(|| {
        format!("the rule {name} is not written with one key a line, so it cannot be changed by a program")
    })?;
    let column = key_column(lines[expr]);
    let end = value_end(&lines, expr, column);
    let mut out: Vec<String> = lines.iter().map(|line| (*line).to_owned()).collect();
    match edit {
        RuleEdit::Expr(text) => {
            let line = format!("{}expr: {}", &lines[expr][..column], scalar(text));
            out.splice(expr..end, [line]);
        }
        RuleEdit::For(for_ms) => {
            let value = format_duration_ms(*for_ms);
            if let Some(at) = for_line(&lines, expr, end, column) {
                let comment = lines[at].find(" #").map_or("", |from| &lines[at][from..]);
                let line = format!("{}for: {value}{comment}", &lines[at][..column]);
                out.splice(at..value_end(&lines, at, column), [line]);
            } else {
                out.insert(end, format!("{}for: {value}", " ".repeat(column)));
            }
        }
    }
    let out = out.join("\n");
    if changed_only(yaml, &out, rule, edit) {
        return Ok(out);
    }
    Err(format!("the rule {name} is written in a way that a program would spoil"))
}

/// The line of a rule's key `expr`; its value may begin on the next.
fn expr_line(lines: &[&str], rule: &AlertRule) -> Option<usize> {
    let last = usize::try_from(rule.line).ok()?.checked_sub(1)?.min(lines.len().checked_sub(1)?);
    (last.saturating_sub(1)..=last).rev().find(|at| key_at(lines[*at], "expr"))
}

/// Where the first key of a line begins, behind the dash of a list's item.
fn key_column(line: &str) -> usize {
    let spaces = line.len() - line.trim_start_matches(' ').len();
    match line[spaces..].strip_prefix('-') {
        Some(rest) if rest.starts_with(' ') => spaces + 1 + (rest.len() - rest.trim_start_matches(' ').len()),
        _ => spaces,
    }
}

fn key_at(line: &str, key: &str) -> bool {
    let rest = &line[key_column(line)..];
    rest.strip_prefix(key).is_some_and(|rest| rest.trim_start_matches(' ').starts_with(':'))
}

fn is_blank(line: &str) -> bool {
    let text = line.trim();
    text.is_empty() || text.starts_with('#')
}

/// The line behind a key's value: what is indented more belongs to it.
fn value_end(lines: &[&str], key: usize, column: usize) -> usize {
    let mut end = key + 1;
    for (at, line) in lines.iter().enumerate().skip(key + 1) {
        if line.trim().is_empty() {
            continue;
        }
        let spaces = line.len() - line.trim_start_matches(' ').len();
        if spaces <= column {
            break;
        }
        end = at + 1;
    }
    end
}

/// The line of the rule's key `for`, among those of the same item.
fn for_line(lines: &[&str], expr: usize, end: usize, column: usize) -> Option<usize> {
    let is_item = |line: &str| line.trim_start_matches(' ').starts_with("- ");
    for (at, line) in lines.iter().enumerate().skip(end).filter(|(_, line)| !is_blank(line)) {
        let begins = key_column(line);
        if begins < column || (begins == column && is_item(line)) {
            break;
        }
        if begins == column && key_at(line, "for") {
            return Some(at);
        }
    }
    if is_item(lines[expr]) {
        return None;
    }
    for at in (0..expr).rev().filter(|at| !is_blank(lines[*at])) {
        let begins = key_column(lines[at]);
        if begins < column {
            return None;
        }
        if begins == column && key_at(lines[at], "for") {
            return Some(at);
        }
        if begins == column && is_item(lines[at]) {
            return None;
        }
    }
    None
}

/// A text as YAML, quoted where it would be read as something else.
fn scalar(text: &str) -> String {
    let first = text.starts_with(|c: char| c.is_ascii_alphanumeric() || matches!(c, '(' | '_'));
    let plain = first && !text.contains(": ") && !text.contains(" #") && !text.ends_with(':');
    if plain { text.to_owned() } else { format!("'{}'", text.replace('\'', "''")) }
}

/// The new text is the same file with the one change.
fn changed_only(before: &str, after: &str, rule: &AlertRule, edit: &RuleEdit) -> bool {
    let (Ok(mut wanted), Ok(mut found)) = (parse_rules(before), parse_rules(after)) else { return false };
    let mut changed = 0;
    for one in rules_of(&mut wanted) {
        if let Rule::Alert(alert) = one
            && alert.alert == rule.alert
            && alert.line == rule.line
        {
            changed += 1;
            match edit {
                RuleEdit::For(for_ms) => alert.for_ms = *for_ms,
                RuleEdit::Expr(expr) => alert.expr.clone_from(expr),
            }
        }
    }
    for file in [&mut wanted, &mut found] {
        for one in rules_of(file) {
            match one {
                Rule::Alert(alert) => alert.line = 0,
                Rule::Record(record) => record.line = 0,
            }
        }
    }
    changed == 1 && wanted == found
}

fn rules_of(file: &mut RuleFile) -> impl Iterator<Item = &mut Rule> {
    file.groups.iter_mut().flat_map(|group| &mut group.rules)
}

/// What is between two texts: lines with `-` and `+`, and some around them. Empty when they are the same.
pub fn line_diff(before: &str, after: &str) -> String {
    let (old, new): (Vec<&str>, Vec<&str>) = (before.lines().collect(), after.lines().collect());
    let same = old.iter().zip(&new).take_while(|(a, b)| a == b).count();
    let most = old.len().min(new.len()) - same;
    let tail = old.iter().rev().zip(new.iter().rev()).take(most).take_while(|(a, b)| a == b).count();
    let (old_end, new_end) = (old.len() - tail, new.len() - tail);
    if same == old_end && same == new_end {
        return String::new();
    }
    let from = same.saturating_sub(AROUND);
    let mut out = vec![format!("@@ line {} @@", from + 1)];
    out.extend(old[from..same].iter().map(|line| format!(" {line}")));
    out.extend(old[same..old_end].iter().map(|line| format!("-{line}")));
    out.extend(new[same..new_end].iter().map(|line| format!("+{line}")));
    out.extend(old[old_end..].iter().take(AROUND).map(|line| format!(" {line}")));
    out.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "\
# Kept by the team of photos.
groups:
- name: photos
  rules:
  - alert: High   # since the outage
    expr: errors > 5
    for: 10s # short
    labels: {severity: critical}
  - expr: |
      sum(rate(errors[5m]))
        > 7
    alert: Sum
    annotations:
      summary: 'errors: many'

  - {alert: Flow, expr: up == 0}
  - alert: Bare
    expr: 'up{job=\"a: b\"} == 0'
";

    fn rule(name: &str) -> AlertRule {
        let file = parse_rules(FILE).unwrap();
        let rules = file.groups.into_iter().flat_map(|group| group.rules);
        let mut alerts = rules.filter_map(|rule| if let Rule::Alert(alert) = rule { Some(alert) } else { None });
        alerts.find(|alert| alert.alert == name).unwrap()
    }

    #[test]
    fn one_line_is_changed_and_the_rest_stays() {
        type Case<'a> = (&'a str, RuleEdit, &'a str);
        let cases: &[Case<'_>] = &[
            (
                "High",
                RuleEdit::For(60_000),
                "@@ line 5 @@\n   - alert: High   # since the outage\n     expr: errors > 5\n-    for: 10s # short\n+    for: 1m # short\n     labels: {severity: critical}\n   - expr: |",
            ),
            (
                "High",
                RuleEdit::Expr("errors > 7.5".into()),
                "@@ line 4 @@\n   rules:\n   - alert: High   # since the outage\n-    expr: errors > 5\n+    expr: errors > 7.5\n     for: 10s # short\n     labels: {severity: critical}",
            ),
            (
                "Sum",
                RuleEdit::For(60_000),
                "@@ line 10 @@\n       sum(rate(errors[5m]))\n         > 7\n+    for: 1m\n     alert: Sum\n     annotations:",
            ),
            (
                "Sum",
                RuleEdit::Expr("sum(rate(errors[5m])) > 8".into()),
                "@@ line 7 @@\n     for: 10s # short\n     labels: {severity: critical}\n-  - expr: |\n-      sum(rate(errors[5m]))\n-        > 7\n+  - expr: sum(rate(errors[5m])) > 8\n     alert: Sum\n     annotations:",
            ),
            (
                "Bare",
                RuleEdit::Expr("up{job=\"it's: b\"} < 1".into()),
                "@@ line 16 @@\n   - {alert: Flow, expr: up == 0}\n   - alert: Bare\n-    expr: 'up{job=\"a: b\"} == 0'\n+    expr: 'up{job=\"it''s: b\"} < 1'",
            ),
        ];
        for (name, edit, diff) in cases {
            let after = edit_rule(FILE, &rule(name), edit).unwrap();
            assert_eq!(line_diff(FILE, &after), *diff, "{name} {edit:?}");
        }
        assert_eq!(line_diff(FILE, FILE), "");
    }

    #[test]
    fn what_a_program_would_spoil_is_left_alone() {
        let refused = edit_rule(FILE, &rule("Flow"), &RuleEdit::For(60_000)).unwrap_err();
        assert!(refused.contains("one key a line"), "{refused}");
    }
}
