//! Conditions of JsonLogic as alternatives of constraints: one of the alternatives must hold, in it every constraint.

use serde_json::{Map, Value, json};
use tenfold_types::Timestamp;

use super::super::shown;
use super::{CURRENT_TIME, DEPTH_MAX, RULES_MAX, TARGETING_KEY, TIMESTAMP, USER_ID};
use crate::Constraint;

pub(super) type All = Vec<Constraint>;
pub(super) type Any = Vec<All>;

/// The named conditions that `$ref` stands for.
pub(super) type Evaluators = Map<String, Value>;

/// Reads a condition, or its opposite where `wanted` is false.
pub(super) fn read(expression: &Value, wanted: bool, evaluators: &Evaluators, depth: u8) -> Result<Any, String> {
    let depth = depth.checked_sub(1).ok_or_else(|| format!("the rule nests deeper than {DEPTH_MAX}"))?;
    let again = |e: &Value, wanted: bool| read(e, wanted, evaluators, depth);
    if let Value::Bool(truth) = expression {
        return Ok(if *truth == wanted { vec![All::new()] } else { Any::new() });
    }
    let (name, arguments) = operation(expression)?;
    match name {
        "$ref" => again(reference(expression, evaluators)?, wanted),
        "!" => again(only(name, arguments)?, !wanted),
        "!!" => again(only(name, arguments)?, wanted),
        "and" | "or" => {
            let parts: Result<Vec<Any>, String> = arguments.iter().map(|a| again(a, wanted)).collect();
            if (name == "and") == wanted { every(parts?) } else { some(parts?) }
        }
        "if" => {
            let [condition, then, otherwise] = arguments else {
                return Err("an `if` inside a condition needs three parts".into());
            };
            let yes = every(vec![again(condition, true)?, again(then, wanted)?])?;
            let no = every(vec![again(condition, false)?, again(otherwise, wanted)?])?;
            some(vec![yes, no])
        }
        "!=" | "!==" => one(equal(arguments)?, !wanted),
        "==" | "===" => one(equal(arguments)?, wanted),
        "in" => one(contained(arguments)?, wanted),
        "starts_with" => one(text("STR_STARTS_WITH", arguments)?, wanted),
        "ends_with" => one(text("STR_ENDS_WITH", arguments)?, wanted),
        "sem_ver" => all_of(version(arguments)?, wanted),
        "<" | "<=" | ">" | ">=" => all_of(compare(name, arguments)?, wanted),
        "var" => {
            Err("a bare field has no truth of its own here; compare it, as in {\"==\": [{\"var\": ..}, true]}".into())
        }
        other => Err(format!("`{}` has no counterpart here", shown(other))),
    }
}

/// Both lists hold.
pub(super) fn every(parts: Vec<Any>) -> Result<Any, String> {
    let mut out = vec![All::new()];
    for part in parts {
        if out.len().saturating_mul(part.len()) > RULES_MAX {
            return Err(too_many());
        }
        out = out.iter().flat_map(|a| part.iter().map(|b| [a.clone(), b.clone()].concat())).collect();
    }
    Ok(out)
}

fn some(parts: Vec<Any>) -> Result<Any, String> {
    let out: Any = parts.into_iter().flatten().collect();
    if out.len() > RULES_MAX { Err(too_many()) } else { Ok(out) }
}

/// None of the alternatives holds.
pub(super) fn not(any: &Any) -> Result<Any, String> {
    every(any.iter().map(|all| all.iter().map(|c| vec![inverted(c.clone())]).collect()).collect())
}

fn too_many() -> String {
    format!("the rule becomes more than {RULES_MAX} strategies, the most a flag has")
}

fn one(constraint: Constraint, wanted: bool) -> Result<Any, String> {
    all_of(vec![constraint], wanted)
}

fn all_of(all: All, wanted: bool) -> Result<Any, String> {
    if wanted { Ok(vec![all]) } else { not(&vec![all]) }
}

fn inverted(mut c: Constraint) -> Constraint {
    match c.operator.as_str() {
        "IN" if !c.inverted => c.operator = "NOT_IN".into(),
        "NOT_IN" if !c.inverted => c.operator = "IN".into(),
        _ => c.inverted = !c.inverted,
    }
    c
}

/// An operation's name and its arguments; a single argument may stand without a list.
pub(super) fn operation(expression: &Value) -> Result<(&str, &[Value]), String> {
    let map = expression.as_object().filter(|m| m.len() == 1);
    let (name, arguments) = map
        .and_then(|m| m.iter().next())
        .ok_or_else(|| format!("`{}` is no condition", shown(&expression.to_string())))?;
    Ok((name, arguments.as_array().map_or(std::slice::from_ref(arguments), Vec::as_slice)))
}

pub(super) fn reference<'a>(expression: &'a Value, evaluators: &'a Evaluators) -> Result<&'a Value, String> {
    let name = expression["$ref"].as_str().unwrap_or_default();
    evaluators.get(name).ok_or_else(|| format!("`$evaluators` has no `{}`", shown(name)))
}

fn only<'a>(name: &str, arguments: &'a [Value]) -> Result<&'a Value, String> {
    match arguments {
        [one] => Ok(one),
        _ => Err(format!("`{name}` takes one condition")),
    }
}

/// The field that a `var` names.
pub(super) fn field(expression: &Value) -> Option<&str> {
    let map = expression.as_object().filter(|m| m.len() == 1)?;
    match map.get("var")? {
        Value::String(name) => Some(name),
        Value::Array(list) => match list.as_slice() {
            [Value::String(name)] => Some(name),
            _ => None,
        },
        _ => None,
    }
}

fn field_here(expression: &Value) -> Result<String, String> {
    match field(expression) {
        Some(TARGETING_KEY) => Ok(USER_ID.into()),
        Some(name) if name.is_empty() || name.starts_with("$flagd.") => {
            Err(format!("the field `{}` is not known here", shown(name)))
        }
        Some(name) => Ok(name.to_owned()),
        None => Err(format!("`{}` is not a field of the context", shown(&expression.to_string()))),
    }
}

fn constant(value: &Value) -> Result<String, String> {
    match value {
        Value::String(text) => Ok(text.clone()),
        Value::Number(number) => Ok(number.to_string()),
        Value::Bool(truth) => Ok(truth.to_string()),
        other => Err(format!("`{}` is not a text, a number or a truth value", shown(&other.to_string()))),
    }
}

fn listed(operator: &str, name: String, values: Vec<String>) -> Constraint {
    Constraint { context_name: name, operator: operator.into(), values, ..Constraint::default() }
}

fn single(operator: &str, name: String, value: String) -> Constraint {
    Constraint { context_name: name, operator: operator.into(), value: Some(value), ..Constraint::default() }
}

fn equal(arguments: &[Value]) -> Result<Constraint, String> {
    let [a, b] = arguments else { return Err("a comparison needs two sides".into()) };
    let (name, value) = if field(a).is_some() { (a, b) } else { (b, a) };
    let name = field_here(name)?;
    Ok(match value {
        Value::Number(number) => single("NUM_EQ", name, number.to_string()),
        other => listed("IN", name, vec![constant(other)?]),
    })
}

/// `in` asks for a part of a text, or for a member of a list.
fn contained(arguments: &[Value]) -> Result<Constraint, String> {
    match arguments {
        [Value::String(part), text] => Ok(listed("STR_CONTAINS", field_here(text)?, vec![part.clone()])),
        [member, Value::Array(list)] => {
            let values: Result<Vec<String>, String> = list.iter().map(constant).collect();
            Ok(listed("IN", field_here(member)?, values?))
        }
        _ => Err("`in` needs a text and a field, or a field and a list".into()),
    }
}

fn text(operator: &str, arguments: &[Value]) -> Result<Constraint, String> {
    match arguments {
        [name, Value::String(part)] => Ok(listed(operator, field_here(name)?, vec![part.clone()])),
        _ => Err("`starts_with` and `ends_with` need a field and a text".into()),
    }
}

fn version(arguments: &[Value]) -> Result<All, String> {
    let [name, Value::String(operator), Value::String(wanted)] = arguments else {
        return Err("`sem_ver` needs a field, an operator and a version".into());
    };
    let name = field_here(name)?;
    let parsed = semver::Version::parse(wanted.trim_start_matches(['v', 'V']))
        .map_err(|_| format!("`{}` is not a version like 1.2.3", shown(wanted)))?;
    let that = |operator: &str| vec![single(operator, name.clone(), parsed.to_string())];
    // From the first to before the first of the next, pre-releases of neither.
    let between = |from: String, to: String| {
        vec![single("SEMVER_GTE", name.clone(), from), single("SEMVER_LT", name.clone(), to)]
    };
    let (major, minor) = (parsed.major, parsed.minor);
    let too_big = || "the version is too big".to_owned();
    Ok(match operator.as_str() {
        "=" => that("SEMVER_EQ"),
        "!=" => vec![inverted(single("SEMVER_EQ", name.clone(), parsed.to_string()))],
        "<" => that("SEMVER_LT"),
        "<=" => that("SEMVER_LTE"),
        ">" => that("SEMVER_GT"),
        ">=" => that("SEMVER_GTE"),
        "^" => {
            let next = major.checked_add(1).ok_or_else(too_big)?;
            between(format!("{major}.0.0-0"), format!("{next}.0.0-0"))
        }
        "~" => {
            let next = minor.checked_add(1).ok_or_else(too_big)?;
            between(format!("{major}.{minor}.0-0"), format!("{major}.{next}.0-0"))
        }
        other => return Err(format!("`{}` is no operator of versions", shown(other))),
    })
}

/// A comparison of a field with a number; with three sides the field stands between two numbers.
fn compare(operator: &str, arguments: &[Value]) -> Result<All, String> {
    match arguments {
        [a, b] if field(a).is_some() => Ok(vec![bound(operator, a, b)?]),
        [a, b] => Ok(vec![bound(mirrored(operator), b, a)?]),
        [low, middle, high] if operator.starts_with('<') => {
            Ok(vec![bound(mirrored(operator), middle, low)?, bound(operator, middle, high)?])
        }
        _ => Err(format!("`{operator}` needs a field and a number")),
    }
}

fn mirrored(operator: &str) -> &'static str {
    match operator {
        "<" => ">",
        "<=" => ">=",
        ">" => "<",
        _ => "<=",
    }
}

fn bound(operator: &str, name: &Value, number: &Value) -> Result<Constraint, String> {
    if field(name) == Some(TIMESTAMP) {
        return instant(operator, number);
    }
    let name = field_here(name)?;
    let Value::Number(number) = number else {
        return Err(format!("`{}` is compared with something that is not a number", shown(&name)));
    };
    let operator = match operator {
        "<" => "NUM_LT",
        "<=" => "NUM_LTE",
        ">" => "NUM_GT",
        _ => "NUM_GTE",
    };
    Ok(single(operator, name, number.to_string()))
}

/// The clock has whole seconds there, so `>= s` is `> s - 1`.
fn instant(operator: &str, seconds: &Value) -> Result<Constraint, String> {
    let seconds = seconds.as_i64().ok_or("the time is compared with something that is not a number of seconds")?;
    let (after, seconds) = match operator {
        ">" => (true, seconds),
        ">=" => (true, seconds.saturating_sub(1)),
        "<" => (false, seconds),
        _ => (false, seconds.saturating_add(1)),
    };
    let at = seconds.checked_mul(1_000).map(Timestamp).ok_or("the time is out of range")?;
    let value = json!(at).as_str().map(str::to_owned).ok_or("the time is out of range")?;
    Ok(single(if after { "DATE_AFTER" } else { "DATE_BEFORE" }, CURRENT_TIME.into(), value))
}
