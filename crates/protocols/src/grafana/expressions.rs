//! Grafana's expressions over queries (the data source `__expr__`: math, reduce, resample, threshold) as PromQL.
//!
//! Math joins series whose labels are the same; Grafana joins also those of which one has fewer.

use serde_json::Value;

use super::{RawTarget, variables};

/// Expressions over expressions.
pub(super) const DEEP_MAX: usize = 8;
/// A name that stands twice doubles what it stands for.
const BYTES_MAX: usize = 16 << 10;

/// What a query asks.
pub(super) struct Operand {
    pub expr: String,
    /// It is of one instant: there is nothing to reduce.
    pub instant: bool,
}

type Result<T> = std::result::Result<T, String>;

/// The PromQL of an expression. `of` gives the query of a letter.
///
/// # Errors
/// Why it has no equal.
pub(super) fn translate(target: &RawTarget, of: &dyn Fn(&str) -> Result<Operand>) -> Result<Operand> {
    let text = target.expression.as_str().unwrap_or_default().trim();
    let letter = text.trim_start_matches("${").trim_start_matches('$').trim_end_matches('}');
    let made = match target.kind.as_str().unwrap_or_default() {
        "math" => math(text, of)?,
        "reduce" => {
            let operand = of(letter)?;
            let reducer = target.reducer.as_str().unwrap_or_default();
            // Whatever the reducer, there as well.
            let expr = if operand.instant { operand.expr } else { over(&operand.expr, reducer, "$__range")? };
            Operand { expr, instant: true }
        }
        "resample" => {
            let window = target.window.as_str().unwrap_or_default().trim();
            let is_duration = window.starts_with(|c: char| c.is_ascii_digit())
                && window.chars().all(|c| c.is_ascii_digit() || matches!(c, 'm' | 's' | 'h' | 'd' | 'w' | 'y'));
            if !is_duration {
                return Err(format!("`{window:.40}` is no time to resample by"));
            }
            let expr = over(&of(letter)?.expr, target.downsampler.as_str().unwrap_or_default(), window)?;
            Operand { expr, instant: false }
        }
        "threshold" => {
            let operand = of(letter)?;
            let evaluator = target.conditions.pointer("/0/evaluator").unwrap_or(&Value::Null);
            Operand { expr: threshold(&operand.expr, evaluator)?, ..operand }
        }
        "" => return Err("it is computed of other queries".to_owned()),
        other => return Err(format!("it is computed of other queries by `{other:.40}`")),
    };
    if made.expr.len() > BYTES_MAX {
        return Err(format!("it is longer than {BYTES_MAX} bytes once other queries stand in it"));
    }
    Ok(made)
}

/// One value of those in a window.
fn over(expr: &str, reducer: &str, window: &str) -> Result<String> {
    let range = format!("({expr})[{window}:$__interval]");
    Ok(match reducer {
        "mean" | "avg" => format!("avg_over_time({range})"),
        "sum" | "min" | "max" | "count" => format!("{reducer}_over_time({range})"),
        "last" => format!("last_over_time({range})"),
        "median" => format!("quantile_over_time(0.5, {range})"),
        other => return Err(format!("`{other:.40}` of a range has no equal")),
    })
}

/// 1 where a value is beyond, else 0.
fn threshold(expr: &str, evaluator: &Value) -> Result<String> {
    let number = |at: usize| {
        let told = evaluator.pointer(&format!("/params/{at}")).and_then(Value::as_f64);
        told.ok_or_else(|| "its threshold has no number".to_owned())
    };
    let kind = evaluator.get("type").and_then(Value::as_str).unwrap_or_default();
    let sign = match kind {
        "gt" => ">",
        "lt" => "<",
        "gte" => ">=",
        "lte" => "<=",
        "eq" => "==",
        "ne" => "!=",
        "within_range" => {
            return Ok(format!("(({expr}) > bool {}) * (({expr}) < bool {})", number(0)?, number(1)?));
        }
        "outside_range" => {
            return Ok(format!("(({expr}) < bool {}) + (({expr}) > bool {})", number(0)?, number(1)?));
        }
        other => return Err(format!("a threshold `{other:.40}` has no equal")),
    };
    Ok(format!("({expr}) {sign} bool {}", number(0)?))
}

/// `$A / ${B} * 100`: letters stand for queries, comparisons give 0 and 1.
fn math(text: &str, of: &dyn Fn(&str) -> Result<Operand>) -> Result<Operand> {
    let mut out = String::new();
    let mut instant = true;
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        if let Some(after) = rest.strip_prefix('$') {
            let (name, after) = match after.strip_prefix('{').and_then(|inside| inside.split_once('}')) {
                Some(named) => named,
                None => after.split_at(after.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(after.len())),
            };
            let operand = of(name)?;
            instant &= operand.instant;
            out.extend(["(", operand.expr.as_str(), ")"]);
            rest = after;
        } else if c.is_ascii_alphabetic() {
            let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
            let (word, after) = rest.split_at(end);
            out.push_str(match word {
                "abs" | "ceil" | "floor" | "round" => word,
                "log" => "ln",
                other => return Err(format!("`{other:.40}` of its math has no equal")),
            });
            rest = after;
        } else {
            let (sign, stands) = SIGNS
                .iter()
                .find(|(sign, _)| rest.starts_with(sign))
                .ok_or_else(|| format!("`{c}` of its math has no equal"))?;
            out.push_str(stands);
            rest = &rest[sign.len()..];
        }
        if out.len() > BYTES_MAX {
            return Err(format!("it is longer than {BYTES_MAX} bytes once other queries stand in it"));
        }
    }
    if out.trim().is_empty() {
        return Err("it computes nothing".to_owned());
    }
    if is_read_otherwise(text) {
        return Err("its powers are read in another order".to_owned());
    }
    Ok(Operand { expr: variables(&out), instant })
}

/// There powers go from left to right, and signs before them; in PromQL it is the other way round.
fn is_read_otherwise(text: &str) -> bool {
    let parts: Vec<&str> = text.split("**").collect();
    let mut between = parts.iter().skip(1).take(parts.len().saturating_sub(2));
    let chained = between.any(|part| !part.contains(['+', '-', '*', '/', '%', '<', '>', '=', '!', '(', ')']));
    let mut before = None;
    let mut signed = false;
    for c in text.chars().filter(|c| !c.is_whitespace()) {
        signed |= c == '-' && before.is_none_or(|sign| "(+-*/%<>=".contains(sign));
        before = Some(c);
    }
    chained || (signed && parts.len() > 1)
}

/// The longer before the shorter that begins like it.
const SIGNS: [(&str, &str); 28] = [
    ("**", "^"),
    ("==", "== bool "),
    ("!=", "!= bool "),
    (">=", ">= bool "),
    ("<=", "<= bool "),
    (">", "> bool "),
    ("<", "< bool "),
    ("+", "+"),
    ("-", "-"),
    ("*", "*"),
    ("/", "/"),
    ("%", "%"),
    ("(", "("),
    (")", ")"),
    (" ", " "),
    ("\n", " "),
    ("\t", " "),
    (".", "."),
    ("0", "0"),
    ("1", "1"),
    ("2", "2"),
    ("3", "3"),
    ("4", "4"),
    ("5", "5"),
    ("6", "6"),
    ("7", "7"),
    ("8", "8"),
    ("9", "9"),
];

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn made(body: Value) -> Result<String> {
        let target: RawTarget = serde_json::from_value(body).unwrap();
        translate(&target, &|letter| match letter {
            "A" => Ok(Operand { expr: "rate(a[5m])".to_owned(), instant: false }),
            "B" => Ok(Operand { expr: "b".to_owned(), instant: true }),
            other => Err(format!("there is no query `{other}`")),
        })
        .map(|made| made.expr)
    }

    #[test]
    fn what_is_computed_of_instants_is_of_one() {
        for (kind, expression, wanted) in [("math", "$B * 2", true), ("math", "$A / $B", false), ("reduce", "A", true)]
        {
            let body = json!({"type": kind, "expression": expression, "reducer": "mean"});
            let target: RawTarget = serde_json::from_value(body).unwrap();
            let of = |letter: &str| -> Result<Operand> { Ok(Operand { expr: "x".to_owned(), instant: letter == "B" }) };
            assert_eq!(translate(&target, &of).map(|made| made.instant), Ok(wanted), "{expression}");
        }
    }

    #[test]
    fn expressions_are_asked_as_promql() {
        let evaluator = |kind: &str, params: Value| json!({"type": "threshold", "expression": "A", "conditions": [{"evaluator": {"type": kind, "params": params}}]});
        for (body, wanted) in [
            (json!({"type": "math", "expression": "$A / ${B} * 100"}), "(rate(a[5m])) / (b) * 100"),
            (json!({"type": "math", "expression": "abs($A) ** 2 > 1.5"}), "abs((rate(a[5m]))) ^ 2 > bool  1.5"),
            (
                json!({"type": "reduce", "expression": "A", "reducer": "mean"}),
                "avg_over_time((rate(a[5m]))[$__range:$__interval])",
            ),
            (json!({"type": "reduce", "expression": "$B", "reducer": "last"}), "b"),
            (json!({"type": "reduce", "expression": "$B", "reducer": "count"}), "b"),
            (json!({"type": "math", "expression": "$B - $B**2 * 2**$B"}), "(b) - (b)^2 * 2^(b)"),
            (
                json!({"type": "resample", "expression": "A", "window": "10m", "downsampler": "max", "upsampler": "pad"}),
                "max_over_time((rate(a[5m]))[10m:$__interval])",
            ),
            (evaluator("gt", json!([5])), "(rate(a[5m])) > bool 5"),
            (evaluator("within_range", json!([1, 2.5])), "((rate(a[5m])) > bool 1) * ((rate(a[5m])) < bool 2.5)"),
        ] {
            assert_eq!(made(body.clone()).as_deref(), Ok(wanted), "{body}");
        }
    }

    #[test]
    fn what_has_no_equal_is_told() {
        for (body, wanted) in [
            (json!({"expr": "up"}), "computed of other queries"),
            (json!({"type": "sql", "expression": "select 1"}), "by `sql`"),
            (json!({"type": "math", "expression": "$A && $B"}), "`&` of its math"),
            (json!({"type": "math", "expression": "is_nan($A)"}), "`is_nan`"),
            (json!({"type": "math", "expression": "$C"}), "no query `C`"),
            (json!({"type": "math", "expression": ""}), "computes nothing"),
            (json!({"type": "math", "expression": "-$A ** 2"}), "another order"),
            (json!({"type": "math", "expression": "2 ** $A ** 2"}), "another order"),
            (json!({"type": "math", "expression": "$A é"}), "`é` of its math"),
            (json!({"type": "math", "expression": "$A+".repeat(2_000)}), "longer than"),
            (json!({"type": "reduce", "expression": "A", "reducer": "mode"}), "`mode` of a range"),
            (
                json!({"type": "resample", "expression": "A", "window": "$w", "downsampler": "max"}),
                "no time to resample",
            ),
            (json!({"type": "threshold", "expression": "A"}), "a threshold ``"),
        ] {
            let why = made(body.clone()).unwrap_err();
            assert!(why.contains(wanted), "{body}: {why}");
        }
    }
}
