//! Constraints, compiled: operands are parsed once, so that an evaluation only compares.
//!
//! A constraint whose operand cannot be read makes its whole strategy match nobody; it must never match everybody.

use std::{cmp::Ordering, sync::Arc};

use jiff::Timestamp as Instant;
use regex::{Regex, RegexBuilder};
use semver::Version;
use tenfold_types::pattern::go_regex;

use crate::{
    context::parse_date,
    facts::{Facts, Form, Key, Slots},
    features::Constraint as Definition,
    network::Network,
    table::same,
    words::Words,
};

/// The operators of the Unleash protocol.
pub const OPERATORS: [&str; 19] = [
    "IN",
    "NOT_IN",
    "STR_STARTS_WITH",
    "STR_ENDS_WITH",
    "STR_CONTAINS",
    "NUM_EQ",
    "NUM_GT",
    "NUM_GTE",
    "NUM_LT",
    "NUM_LTE",
    "DATE_AFTER",
    "DATE_BEFORE",
    "SEMVER_EQ",
    "SEMVER_GT",
    "SEMVER_GTE",
    "SEMVER_LT",
    "SEMVER_LTE",
    "REGEX",
    "IN_CIDR",
];

/// A compiled expression may not take more memory than this.
const REGEX_BYTES_MAX: usize = 1 << 20;

#[derive(Debug, Clone)]
pub(crate) struct Constraint {
    key: Key,
    inverted: bool,
    test: Test,
}

#[derive(Debug, Clone)]
enum Test {
    In(Words),
    NotIn(Words),
    Text(Place, Words),
    TextIgnoringCase(Place, Words),
    Number(Comparison, f64),
    Date(Comparison, Instant),
    Version(Comparison, Arc<Version>),
    /// `None`: the expression does not compile and matches nothing.
    Regex(Option<Arc<Regex>>),
    Network(Arc<[Network]>),
}

#[derive(Debug, Clone, Copy)]
enum Place {
    Start,
    End,
    Anywhere,
}

#[derive(Debug, Clone, Copy)]
enum Comparison {
    Equal,
    Greater,
    GreaterOrEqual,
    Less,
    LessOrEqual,
}

impl Comparison {
    fn holds(self, order: Ordering) -> bool {
        match self {
            Self::Equal => order.is_eq(),
            Self::Greater => order.is_gt(),
            Self::GreaterOrEqual => order.is_ge(),
            Self::Less => order.is_lt(),
            Self::LessOrEqual => order.is_le(),
        }
    }
}

impl Constraint {
    /// `None` when the operator is unknown or its operand cannot be read.
    pub(crate) fn compile(definition: &Definition, slots: &mut Slots) -> Option<Self> {
        let test = Test::compile(definition)?;
        Some(Self { key: slots.key(&definition.context_name, test.form()), inverted: definition.inverted, test })
    }

    #[inline]
    pub(crate) fn holds(&self, facts: &impl Facts) -> bool {
        self.test.holds(self.key, facts) != self.inverted
    }
}

impl Test {
    fn compile(definition: &Definition) -> Option<Self> {
        use Comparison::{Equal, Greater, GreaterOrEqual, Less, LessOrEqual};
        let values = &definition.values;
        let value = definition.value.as_deref();
        let text = |place| {
            Some(if definition.case_insensitive {
                Self::TextIgnoringCase(place, Words::new(values.iter().map(|v| v.to_lowercase())))
            } else {
                Self::Text(place, Words::new(values))
            })
        };
        let number = |op| {
            let operand = value?.parse::<f64>().ok().filter(|n| n.is_finite())?;
            Some(Self::Number(op, operand))
        };
        let date = |op| Some(Self::Date(op, parse_date(value?)?));
        let semver = |op| Some(Self::Version(op, Arc::new(Version::parse(value?).ok()?)));
        match definition.operator.as_str() {
            "IN" => Some(Self::In(Words::new(values))),
            "NOT_IN" => Some(Self::NotIn(Words::new(values))),
            "STR_STARTS_WITH" => text(Place::Start),
            "STR_ENDS_WITH" => text(Place::End),
            "STR_CONTAINS" => text(Place::Anywhere),
            "NUM_EQ" => number(Equal),
            "NUM_GT" => number(Greater),
            "NUM_GTE" => number(GreaterOrEqual),
            "NUM_LT" => number(Less),
            "NUM_LTE" => number(LessOrEqual),
            "DATE_AFTER" => date(Greater),
            "DATE_BEFORE" => date(Less),
            "SEMVER_EQ" => semver(Equal),
            "SEMVER_GT" => semver(Greater),
            "SEMVER_GTE" => semver(GreaterOrEqual),
            "SEMVER_LT" => semver(Less),
            "SEMVER_LTE" => semver(LessOrEqual),
            "REGEX" => {
                let regex = compile_regex(value.unwrap_or_default(), definition.case_insensitive);
                Some(Self::Regex(regex.map(Arc::new)))
            }
            "IN_CIDR" => Some(Self::Network(values.iter().filter_map(|v| Network::parse(v)).collect())),
            _ => None,
        }
    }

    /// The form in which it wants its field.
    fn form(&self) -> Form {
        match self {
            Self::In(_) | Self::NotIn(_) | Self::Text(..) | Self::Regex(_) => Form::Text,
            Self::TextIgnoringCase(..) => Form::Lower,
            Self::Number(..) => Form::Number,
            Self::Date(..) => Form::Date,
            Self::Version(..) => Form::Version,
            Self::Network(_) => Form::Address,
        }
    }

    /// A field that is absent matches nothing but `NOT_IN`.
    #[inline]
    fn holds(&self, key: Key, facts: &impl Facts) -> bool {
        match self {
            Self::In(words) => facts.text(key).is_some_and(|v| words.contains(v)),
            Self::NotIn(words) => facts.text(key).is_none_or(|v| !words.contains(v)),
            Self::Text(place, needles) => facts.text(key).is_some_and(|v| needles.any(|n| place.holds(v, n))),
            Self::TextIgnoringCase(place, needles) => {
                facts.lower(key).is_some_and(|v| needles.any(|n| place.holds(&v, n)))
            }
            Self::Number(op, operand) => {
                facts.number(key).and_then(|v| v.partial_cmp(operand)).is_some_and(|order| op.holds(order))
            }
            Self::Date(op, operand) => facts.date(key).is_some_and(|v| op.holds(v.cmp(operand))),
            Self::Version(op, operand) => facts.version(key).is_some_and(|v| op.holds(precedence(&v, operand))),
            Self::Regex(regex) => regex.as_ref().zip(facts.text(key)).is_some_and(|(r, v)| r.is_match(v)),
            Self::Network(networks) => {
                facts.address(key).is_some_and(|address| networks.iter().any(|n| n.contains(address)))
            }
        }
    }
}

impl Place {
    #[inline]
    fn holds(self, text: &str, needle: &[u8]) -> bool {
        match self {
            Self::Start => text.as_bytes().get(..needle.len()).is_some_and(|start| same(start, needle)),
            Self::End => {
                text.len().checked_sub(needle.len()).is_some_and(|from| same(&text.as_bytes()[from..], needle))
            }
            Self::Anywhere => str::from_utf8(needle).is_ok_and(|needle| text.contains(needle)),
        }
    }
}

/// The order of two versions; what comes behind the numbers is looked at only where they are the same.
#[inline]
fn precedence(a: &Version, b: &Version) -> Ordering {
    let numbers = |v: &Version| (v.major, v.minor, v.patch);
    numbers(a).cmp(&numbers(b)).then_with(|| a.cmp_precedence(b))
}

/// Read as yggdrasil does; what RE2 refuses, which other SDKs have, is none here either, nor what takes long to compile.
pub(crate) fn compile_regex(pattern: &str, ignore_case: bool) -> Option<Regex> {
    go_regex(&format!("{}{pattern}", if ignore_case { "(?i)" } else { "" })).ok()?;
    RegexBuilder::new(pattern).case_insensitive(ignore_case).size_limit(REGEX_BYTES_MAX).build().ok()
}

#[cfg(test)]
mod tests {
    use tenfold_types::Timestamp;

    use super::*;
    use crate::{context::Context, facts::Direct};

    fn holds(operator: &str, values: &[&str], value: Option<&str>, context: &Context) -> bool {
        let definition = Definition {
            context_name: "x".into(),
            operator: operator.into(),
            values: values.iter().map(ToString::to_string).collect(),
            value: value.map(Into::into),
            ..Definition::default()
        };
        let mut slots = Slots::default();
        let compiled = Constraint::compile(&definition, &mut slots);
        compiled.is_some_and(|c| c.holds(&Direct { context, now: Timestamp(0), slots: &slots }))
    }

    #[test]
    fn every_operator_compiles() {
        for operator in OPERATORS {
            let value = if operator.starts_with("DATE") { "2026-01-01T00:00:00Z" } else { "1.2.3" };
            let value = if operator.starts_with("NUM") { "1" } else { value };
            let definition = Definition {
                context_name: "x".into(),
                operator: operator.into(),
                value: Some(value.into()),
                ..Definition::default()
            };
            assert!(Constraint::compile(&definition, &mut Slots::default()).is_some(), "{operator}");
        }
    }

    #[test]
    fn an_absent_field_matches_only_not_in() {
        for operator in OPERATORS {
            let context = Context::new();
            assert_eq!(holds(operator, &["1"], Some("1"), &context), operator == "NOT_IN", "{operator}");
        }
    }

    #[test]
    fn operands_that_cannot_be_read_match_nobody() {
        let context = Context::new().with("x", "1");
        for (operator, value) in [("NUM_EQ", "one"), ("DATE_AFTER", "soon"), ("SEMVER_EQ", "v1.0.0"), ("HUNCH", "1")] {
            assert!(!holds(operator, &[], Some(value), &context), "{operator}");
            assert!(!holds(operator, &[], None, &context), "{operator} without a value");
        }
    }
}
