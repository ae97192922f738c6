//! Constraints, compiled: operands are parsed once, so that an evaluation only compares.
//!
//! A constraint whose operand cannot be read makes its whole strategy match nobody; it must never match everybody.

use std::cmp::Ordering;
use std::collections::HashSet;
use std::net::IpAddr;

use regex::{Regex, RegexBuilder};
use semver::Version;
use tenfold_types::Timestamp;

use crate::{
    context::{Context, Field, parse_date},
    features::Constraint as Definition,
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
/// Up to this many values a list is scanned; longer ones are hashed.
const SCAN_VALUES_MAX: usize = 8;

#[derive(Debug)]
pub(crate) struct Constraint {
    field: Field,
    inverted: bool,
    test: Test,
}

#[derive(Debug)]
enum Test {
    In(Words),
    NotIn(Words),
    Text {
        place: Place,
        needles: Vec<Box<str>>,
        ignore_case: bool,
    },
    Number(Comparison, f64),
    Date(Comparison, Timestamp),
    Semver(Comparison, Version),
    /// `None`: the expression does not compile and matches nothing.
    Regex(Option<Regex>),
    Network(Vec<Network>),
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
    pub(crate) fn compile(definition: &Definition) -> Option<Self> {
        Some(Self {
            field: Field::parse(&definition.context_name),
            inverted: definition.inverted,
            test: Test::compile(definition)?,
        })
    }

    pub(crate) fn holds(&self, context: &Context, now: Timestamp) -> bool {
        self.test.holds(&self.field, context, now) != self.inverted
    }
}

impl Test {
    fn compile(definition: &Definition) -> Option<Self> {
        use Comparison::{Equal, Greater, GreaterOrEqual, Less, LessOrEqual};
        let values = &definition.values;
        let value = definition.value.as_deref();
        let ignore_case = definition.case_insensitive;
        let text = |place| {
            let needles = values.iter().map(|v| if ignore_case { v.to_lowercase() } else { v.clone() });
            Some(Self::Text { place, needles: needles.map(String::into_boxed_str).collect(), ignore_case })
        };
        let number = |op| {
            let operand = value?.parse::<f64>().ok().filter(|n| n.is_finite())?;
            Some(Self::Number(op, operand))
        };
        let date = |op| Some(Self::Date(op, parse_date(value?)?));
        let semver = |op| Some(Self::Semver(op, Version::parse(value?).ok()?));
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
            "REGEX" => Some(Self::Regex(compile_regex(value.unwrap_or_default(), ignore_case))),
            "IN_CIDR" => Some(Self::Network(values.iter().filter_map(|v| Network::parse(v)).collect())),
            _ => None,
        }
    }

    /// A field that is absent matches nothing but `NOT_IN`.
    fn holds(&self, field: &Field, context: &Context, now: Timestamp) -> bool {
        match self {
            Self::In(words) => context.text(field).is_some_and(|v| words.contains(v)),
            Self::NotIn(words) => context.text(field).is_none_or(|v| !words.contains(v)),
            Self::Text { place, needles, ignore_case } => context.text(field).is_some_and(|v| {
                let lower = ignore_case.then(|| v.to_lowercase());
                let v = lower.as_deref().unwrap_or(v);
                needles.iter().any(|n| match place {
                    Place::Start => v.starts_with(&**n),
                    Place::End => v.ends_with(&**n),
                    Place::Anywhere => v.contains(&**n),
                })
            }),
            Self::Number(op, operand) => context
                .text(field)
                .and_then(|v| v.parse::<f64>().ok())
                .and_then(|v| v.partial_cmp(operand))
                .is_some_and(|order| op.holds(order)),
            Self::Date(op, operand) => context.date(field, now).is_some_and(|v| op.holds(v.cmp(operand))),
            Self::Semver(op, operand) => context
                .text(field)
                .and_then(|v| Version::parse(v).ok())
                .is_some_and(|v| op.holds(v.cmp_precedence(operand))),
            Self::Regex(regex) => regex.as_ref().zip(context.text(field)).is_some_and(|(r, v)| r.is_match(v)),
            Self::Network(networks) => context
                .text(field)
                .and_then(|v| v.parse::<IpAddr>().ok())
                .is_some_and(|address| networks.iter().any(|n| n.contains(address))),
        }
    }
}

pub(crate) fn compile_regex(pattern: &str, ignore_case: bool) -> Option<Regex> {
    RegexBuilder::new(pattern).case_insensitive(ignore_case).size_limit(REGEX_BYTES_MAX).build().ok()
}

/// A set of words that is fast when short.
#[derive(Debug)]
pub(crate) enum Words {
    Few(Vec<Box<str>>),
    Many(HashSet<Box<str>>),
}

impl Words {
    pub(crate) fn new<S: AsRef<str>>(values: &[S]) -> Self {
        let boxed = values.iter().map(|v| Box::from(v.as_ref()));
        if values.len() <= SCAN_VALUES_MAX { Self::Few(boxed.collect()) } else { Self::Many(boxed.collect()) }
    }

    pub(crate) fn contains(&self, word: &str) -> bool {
        match self {
            Self::Few(words) => words.iter().any(|w| **w == *word),
            Self::Many(words) => words.contains(word),
        }
    }
}

/// An address or an address range (`10.0.0.0/8`, `2001:db8::/32`).
#[derive(Debug, Clone, Copy)]
pub(crate) struct Network {
    address: IpAddr,
    prefix_bits: u8,
}

impl Network {
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().ok()?;
        let bits_max = if address.is_ipv4() { 32 } else { 128 };
        let prefix_bits = prefix.map_or(Some(bits_max), |p| p.parse().ok().filter(|bits| *bits <= bits_max))?;
        Some(Self { address, prefix_bits })
    }

    pub(crate) fn contains(&self, other: IpAddr) -> bool {
        match (self.address, other) {
            (IpAddr::V4(a), IpAddr::V4(b)) => {
                let mask = u32::MAX.checked_shl(32 - u32::from(self.prefix_bits)).unwrap_or(0);
                (a.to_bits() ^ b.to_bits()) & mask == 0
            }
            (IpAddr::V6(a), IpAddr::V6(b)) => {
                let mask = u128::MAX.checked_shl(128 - u32::from(self.prefix_bits)).unwrap_or(0);
                (a.to_bits() ^ b.to_bits()) & mask == 0
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holds(operator: &str, values: &[&str], value: Option<&str>, context: &Context) -> bool {
        let definition = Definition {
            context_name: "x".into(),
            operator: operator.into(),
            values: values.iter().map(ToString::to_string).collect(),
            value: value.map(Into::into),
            ..Definition::default()
        };
        Constraint::compile(&definition).is_some_and(|c| c.holds(context, Timestamp(0)))
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
            assert!(Constraint::compile(&definition).is_some(), "{operator}");
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

    #[test]
    fn networks() {
        for (range, address, inside) in [
            ("0.0.0.0/0", "203.0.113.9", true),
            ("10.1.2.3/8", "10.200.0.1", true),
            ("10.0.0.0/8", "11.0.0.1", false),
            ("::/0", "2001:db8::1", true),
            ("::/0", "10.0.0.1", false),
            ("10.0.0.1", "10.0.0.1", true),
        ] {
            let network = Network::parse(range).unwrap();
            assert_eq!(network.contains(address.parse().unwrap()), inside, "{address} in {range}");
        }
        for broken in ["10.0.0.0/33", "10.0.0/8", "::/129", "", "/8", "10.0.0.0/-1"] {
            assert!(Network::parse(broken).is_none(), "{broken}");
        }
    }
}
