//! The words of an explanation. The pages, the command line and chat show the same ones.

use super::{Answer, Part, StrategyPart};
use crate::{
    features::{Constraint, Dependency, Segment},
    model::FlagEnvironment,
};

/// Values listed before the rest is only counted.
const VALUES_SHOWN_MAX: usize = 5;

/// `country is one of DE, AT`.
pub fn constraint(c: &Constraint) -> String {
    let (plain, inverted, listed) = operator(&c.operator);
    let how = if c.inverted { inverted } else { plain };
    let values = if listed { list(&c.values) } else { c.value.clone().unwrap_or_default() };
    let case = if c.case_insensitive { " (in any case)" } else { "" };
    format!("{} {how} {values}{case}", c.context_name)
}

/// How an operator reads, how it reads inverted, and whether it takes a list.
fn operator(name: &str) -> (&'static str, &'static str, bool) {
    match name {
        "IN" => ("is one of", "is none of", true),
        "NOT_IN" => ("is none of", "is one of", true),
        "STR_STARTS_WITH" => ("starts with", "does not start with", true),
        "STR_ENDS_WITH" => ("ends with", "does not end with", true),
        "STR_CONTAINS" => ("contains", "does not contain", true),
        "NUM_EQ" => ("equals", "does not equal", false),
        "NUM_GT" => ("is above", "is not above", false),
        "NUM_GTE" => ("is at least", "is not at least", false),
        "NUM_LT" => ("is below", "is not below", false),
        "NUM_LTE" => ("is at most", "is not at most", false),
        "DATE_AFTER" => ("is after", "is not after", false),
        "DATE_BEFORE" => ("is before", "is not before", false),
        "SEMVER_EQ" => ("is version", "is not version", false),
        "SEMVER_GT" => ("is newer than", "is not newer than", false),
        "SEMVER_GTE" => ("is at least version", "is not at least version", false),
        "SEMVER_LT" => ("is older than", "is not older than", false),
        "SEMVER_LTE" => ("is at most version", "is not at most version", false),
        "REGEX" => ("matches", "does not match", false),
        "IN_CIDR" => ("is in the range", "is outside the range", true),
        _ => ("meets an unknown operator with", "meets an unknown operator with", true),
    }
}

fn list(values: &[String]) -> String {
    let text = values.iter().take(VALUES_SHOWN_MAX).map(String::as_str).collect::<Vec<_>>().join(", ");
    match values.len().checked_sub(VALUES_SHOWN_MAX).filter(|n| *n > 0) {
        Some(more) => format!("{text} and {more} more"),
        None => text,
    }
}

pub fn segment(id: i64, known: Option<&Segment>) -> String {
    match known {
        Some(segment) => format!("in the segment {}", segment.name),
        None => format!("in the segment {id}, which does not exist"),
    }
}

pub fn parent(d: &Dependency) -> String {
    match (d.enabled, d.variants.as_slice()) {
        (Some(false), _) => format!("{} is off", d.feature),
        (_, []) => format!("{} is on", d.feature),
        (_, variants) => format!("{} is on with {}", d.feature, variants.join(" or ")),
    }
}

/// Of the older strategies that hold a list.
pub fn listed(field: &str, found: Option<String>, values: &str) -> String {
    let count = values.split(',').filter(|v| !v.trim().is_empty()).count();
    match found {
        Some(value) => format!("{field} `{value}`, looked up in a list of {count}"),
        None => format!("{field} in a list of {count}, and the context lacks it"),
    }
}

/// What decided, in one sentence.
pub fn because(
    state: &FlagEnvironment,
    parents: &[Part],
    strategies: &[StrategyPart],
    matched: Option<usize>,
    answer: &Answer,
) -> String {
    if !state.enabled {
        let failed = strategies.first().filter(|_| strategies.len() == 1).map(first_failure);
        let once_on = match (matched, failed) {
            _ if !parents.iter().all(|p| p.holds) => "a parent would still keep it off".to_owned(),
            (None, _) if strategies.is_empty() => "everybody would get it".to_owned(),
            (Some(i), _) => format!("strategy {} would match", i + 1),
            (None, Some(failed)) => format!("its one strategy would not match: {failed}"),
            (None, None) => "no strategy would match".to_owned(),
        };
        return format!("the flag is off in this environment; once on, {once_on}");
    }
    if let Some(parent) = parents.iter().find(|p| !p.holds) {
        let found = parent.found.as_deref().unwrap_or("unknown");
        return format!("it needs that {}, but for this context that is: {found}", parent.text);
    }
    let variant = match answer.variant.as_str() {
        "on" | "off" => String::new(),
        name => format!("; the variant is {name}"),
    };
    match matched {
        Some(i) => format!("strategy {} matches: {}{variant}", i + 1, strategies[i].rule.text),
        None if strategies.is_empty() => format!("there are no strategies, so everybody gets it{variant}"),
        None => match strategies {
            [one] => format!("the one strategy does not match: {}", first_failure(one)),
            many => format!("none of the {} strategies matches", many.len()),
        },
    }
}

fn first_failure(s: &StrategyPart) -> String {
    let unmet = |parts: &[Part]| parts.iter().find(|p| !p.holds).cloned();
    if let Some(part) = unmet(&s.constraints) {
        return match &part.found {
            Some(found) => format!("it asks that {}, and it is `{found}`", part.text),
            None => format!("it asks that {}, and the context does not say", part.text),
        };
    }
    match unmet(&s.segments) {
        Some(part) => format!("it is for those {}, and this context is not", part.text),
        None => s.rule.text.clone(),
    }
}
