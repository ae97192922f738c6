//! A targeting rule as a list of decisions: the first whose condition holds decides.

use serde_json::Value;

use super::super::shown;
use super::condition::{Any, Evaluators, every, field, operation, read, reference};
use super::{DEPTH_MAX, FLAG_KEY, RULES_MAX, TARGETING_KEY, USER_ID};

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Choice {
    Variant(String),
    /// The default variant.
    Default,
    Split {
        /// The context field that ties a person to a bucket.
        sticky: String,
        shares: Vec<(String, u64)>,
    },
}

#[derive(Debug, Clone)]
pub(super) struct Decision {
    pub(super) when: Any,
    pub(super) choice: Choice,
}

/// The decisions of a rule. The last one holds for everybody who is left.
pub(super) fn decisions(rule: &Value, evaluators: &Evaluators, depth: u8) -> Result<Vec<Decision>, String> {
    let depth = depth.checked_sub(1).ok_or_else(|| format!("the rule nests deeper than {DEPTH_MAX}"))?;
    if let Some(choice) = literal(rule) {
        return Ok(vec![always(choice)]);
    }
    let (name, arguments) = operation(rule)?;
    match name {
        "$ref" => decisions(reference(rule, evaluators)?, evaluators, depth),
        "fractional" => Ok(vec![always(fractional(arguments)?)]),
        "if" if arguments.len() != 1 => {
            let mut out = Vec::new();
            let mut rest = arguments;
            while let [condition, then, more @ ..] = rest {
                let when = read(condition, true, evaluators, depth)?;
                for inner in decisions(then, evaluators, depth)? {
                    out.push(Decision { when: every(vec![when.clone(), inner.when])?, choice: inner.choice });
                }
                if out.len() > RULES_MAX {
                    return Err(format!("the rule has more than {RULES_MAX} cases"));
                }
                rest = more;
            }
            match rest {
                [otherwise] => out.extend(decisions(otherwise, evaluators, depth)?),
                _ => out.push(always(Choice::Default)),
            }
            Ok(out)
        }
        // A bare condition names the variants `true` and `false`.
        _ => {
            let condition = if name == "if" { &arguments[0] } else { rule };
            let when = read(condition, true, evaluators, depth)?;
            Ok(vec![Decision { when, choice: Choice::Variant("true".into()) }, always(Choice::Variant("false".into()))])
        }
    }
}

fn always(choice: Choice) -> Decision {
    Decision { when: vec![Vec::new()], choice }
}

fn literal(value: &Value) -> Option<Choice> {
    match value {
        Value::Null => Some(Choice::Default),
        Value::String(name) => Some(Choice::Variant(name.clone())),
        Value::Bool(truth) => Some(Choice::Variant(truth.to_string())),
        Value::Number(number) => Some(Choice::Variant(number.to_string())),
        Value::Object(map) if map.is_empty() => Some(Choice::Default),
        _ => None,
    }
}

/// Shares of variants. One share alone is no split.
fn fractional(arguments: &[Value]) -> Result<Choice, String> {
    let (sticky, entries) = match arguments {
        [first, rest @ ..] if !first.is_array() => (bucketing_field(first)?, rest),
        all => (USER_ID.to_owned(), all),
    };
    let mut shares = Vec::new();
    for entry in entries {
        let entry = entry.as_array().map(Vec::as_slice).unwrap_or_default();
        let (variant, weight) = match entry {
            [variant] => (variant, 1),
            [variant, weight] => {
                let weight = weight.as_u64().filter(|w| i32::try_from(*w).is_ok());
                (variant, weight.ok_or("a share that is computed has no counterpart here")?)
            }
            _ => return Err("a share needs a variant and a weight".into()),
        };
        match literal(variant) {
            Some(Choice::Variant(name)) => shares.push((name, weight)),
            _ => return Err("a share that is not a variant's name has no counterpart here".into()),
        }
    }
    match shares.as_slice() {
        [] => Err("`fractional` has no shares".into()),
        [(name, _)] => Ok(Choice::Variant(name.clone())),
        _ if shares.iter().all(|(_, w)| *w == 0) => Err("the shares sum to 0".into()),
        _ => Ok(Choice::Split { sticky, shares }),
    }
}

/// A field, alone or behind the flag's own name.
fn bucketing_field(expression: &Value) -> Result<String, String> {
    let name = match operation(expression) {
        Ok(("cat", [key, name])) if field(key) == Some(FLAG_KEY) => field(name),
        _ => field(expression),
    };
    match name {
        Some(TARGETING_KEY) => Ok(USER_ID.into()),
        Some(name) if !name.is_empty() && !name.starts_with("$flagd.") => Ok(name.to_owned()),
        _ => Err(format!("buckets by `{}` have no counterpart here", shown(&expression.to_string()))),
    }
}
