//! Which queries of a panel are taken, and what their series are called.

use serde_json::Value;

use super::expressions::{self, Operand};
use super::{EXPRESSIONS, RawPanel, RawTarget, Reader, variables};

/// Queries of a panel that are looked at: letters are looked for among them.
const TARGETS_MAX: usize = 50;

pub(super) fn is_prometheus(kind: &str) -> bool {
    kind.contains("prometheus") || kind.contains("victoriametrics-metrics")
}

impl Reader {
    /// What a query asks, or why it is not taken. `deep` bounds expressions over expressions.
    fn asked(&self, target: &RawTarget, raw: &RawPanel, deep: usize) -> Result<Operand, String> {
        match self.kind(&target.datasource).or_else(|| self.kind(&raw.datasource)) {
            Some(EXPRESSIONS) => expressions::translate(target, &|letter| {
                let of = raw.targets.iter().take(TARGETS_MAX).find(|of| of.ref_id == letter);
                let of = of.ok_or_else(|| format!("there is no query `{letter:.40}`"))?;
                let deeper = deep.checked_sub(1).ok_or_else(|| "it is computed of itself".to_owned())?;
                self.asked(of, raw, deeper)
            }),
            Some(kind) if !is_prometheus(kind) => Err(format!("it asks `{kind:.40}`, not Prometheus")),
            _ if target.expr.trim().is_empty() => Err("it does not ask Prometheus".to_owned()),
            _ => Ok(Operand { expr: variables(target.expr.trim()), instant: target.instant.as_bool() == Some(true) }),
        }
    }

    /// The queries that are taken, each with what it asks; why others are not, is told.
    pub(super) fn taken<'r>(&self, raw: &'r RawPanel, notes: &mut Vec<String>) -> Vec<(&'r RawTarget, Operand)> {
        let of_panel = self.kind(&raw.datasource);
        let computed = |target: &RawTarget| self.kind(&target.datasource).or(of_panel) == Some(EXPRESSIONS);
        // What is hidden stands in these.
        let computes = raw.targets.iter().any(|target| !target.hide && computed(target));
        let mut taken = Vec::new();
        if raw.targets.len() > TARGETS_MAX {
            notes.push(format!("queries beyond the first {TARGETS_MAX} are left out"));
        }
        for target in raw.targets.iter().take(TARGETS_MAX) {
            let asked = if target.hide {
                Err("it is hidden".to_owned())
            } else {
                self.asked(target, raw, expressions::DEEP_MAX)
            };
            match asked {
                Ok(asked) => taken.push((target, asked)),
                Err(_) if target.hide && computes => {}
                Err(why) => notes.push(format!("a query is left out: {why}")),
            }
        }
        taken
    }
}

/// What every series is called instead of by its query's legend, with its labels as a legend has them.
pub(super) fn display_name(config: &Value, notes: &mut Vec<String>) -> Option<String> {
    let told = config.pointer("/defaults/displayName").and_then(Value::as_str)?.trim();
    let mut out = String::with_capacity(told.len());
    let mut rest = told;
    while let Some((before, inside)) = rest.split_once("${__field.labels.") {
        let (label, after) = inside.split_once('}')?;
        out.extend([before, "{{", label.trim_matches('"'), "}}"]);
        rest = after;
    }
    out.push_str(rest);
    if out.contains("${__") || out.contains("$__") {
        notes.push(format!("series are not called `{told:.100}`"));
        return None;
    }
    Some(variables(&out)).filter(|name| !name.is_empty())
}
