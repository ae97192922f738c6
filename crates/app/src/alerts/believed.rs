//! When an empty answer of a rule may be believed: what else is to be asked when an alert is missing from it.
//!
//! Most expressions say it themselves once their comparisons are turned into `bool` ([`presence`]). One over series that are
//! not there while all is well does not: `ALERTS`, and what a recording rule brings that filters. There the series behind them
//! are asked for, so that an end is an end, and what stops being measured is still no end.

use std::collections::{BTreeMap, BTreeSet};

use tenfold_alerting::{Presence, presence};
use tenfold_promql::ast::{Expr, Selector};
use tenfold_types::{Labels, MatcherOp};

/// The series of alerts that this server itself brings.
pub(super) const ALERTS: &str = "ALERTS";
pub(super) const ALERTS_FOR_STATE: &str = "ALERTS_FOR_STATE";
/// Recording rules over recording rules that are followed.
const DEPTH_MAX: usize = 8;

/// The expressions of recording rules, by what they record.
pub(super) type Recorded = BTreeMap<String, Vec<String>>;

/// What shows that an empty answer of an expression is one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Believed {
    Always,
    /// A series in the answer to this has data.
    Series(String),
    Witnesses(Witnesses),
}

/// What is behind series that come and go.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Witnesses {
    /// Each of these answers something, and one of them for the series.
    pub texts: BTreeSet<String>,
    /// What recording rules bring in between; while one of them fails, nothing is known.
    pub recorded: BTreeSet<String>,
}

impl Believed {
    pub fn of(expr: &str, recorded: &Recorded) -> Self {
        Self::within(expr, recorded, 0)
    }

    fn within(expr: &str, recorded: &Recorded, depth: usize) -> Self {
        let Presence::Expr(plain) = presence(expr) else { return Self::Always };
        // One that cannot be read answers nothing, and says so.
        let Ok(parsed) = tenfold_promql::parse(&plain) else { return Self::Series(plain) };
        let (mut comes_and_goes, mut witnesses) = (false, Witnesses::default());
        for selector in Expr::selectors(&parsed) {
            let name = metric(selector);
            if name.is_some_and(|name| matches!(name, ALERTS | ALERTS_FOR_STATE)) {
                comes_and_goes = true;
                continue;
            }
            let of = name.and_then(|name| recorded.get(name)).filter(|_| depth < DEPTH_MAX);
            let (Some(name), Some(expressions)) = (name, of) else {
                witnesses.texts.insert(selector.to_string());
                continue;
            };
            witnesses.recorded.insert(name.to_owned());
            for text in expressions {
                match Self::within(text, recorded, depth + 1) {
                    Self::Always => comes_and_goes = true,
                    Self::Series(same) if same == text.trim() => {
                        witnesses.texts.insert(selector.to_string());
                    }
                    Self::Series(behind) => {
                        comes_and_goes = true;
                        witnesses.texts.insert(behind);
                    }
                    Self::Witnesses(behind) => {
                        comes_and_goes = true;
                        witnesses.texts.extend(behind.texts);
                        witnesses.recorded.extend(behind.recorded);
                    }
                }
            }
        }
        match (comes_and_goes, witnesses == Witnesses::default()) {
            (false, _) => Self::Series(plain),
            (true, true) => Self::Always,
            (true, false) => Self::Witnesses(witnesses),
        }
    }
}

fn metric(selector: &Selector) -> Option<&str> {
    let named = |m: &&tenfold_types::Matcher| m.name == Labels::NAME && m.op == MatcherOp::Equal;
    selector.matchers.iter().find(named).map(|m| m.value.as_str())
}

/// Whether a witness speaks of a series: nothing that both say differs.
pub(super) fn speaks_of(witness: &Labels, series: &Labels) -> bool {
    let mut said = witness.iter().filter(|(name, _)| *name != Labels::NAME);
    said.all(|(name, value)| series.get(name).is_none_or(|other| other == value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recorded() -> Recorded {
        let of = |name: &str, expr: &str| (name.to_owned(), vec![expr.to_owned()]);
        Recorded::from([
            of("job:errors", "sum by (job) (errors)"),
            of("high", "errors > 5"),
            of("highest", "max by (job) (high)"),
            of("gone", "absent(up)"),
            of("loop", "loop > 1"),
        ])
    }

    #[test]
    fn what_comes_and_goes_is_judged_by_what_is_behind_it() {
        let owned = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        let witnesses = |texts: &[&str], recorded: &[&str]| {
            Believed::Witnesses(Witnesses { texts: owned(texts), recorded: owned(recorded) })
        };
        let series = |text: &str| Believed::Series(text.to_owned());
        let cases = [
            ("errors > 5", series("errors > bool  5")),
            ("absent(up)", Believed::Always),
            ("job:errors > 5", series("job:errors > bool  5")),
            ("ALERTS{alertname=\"A\"}", Believed::Always),
            ("{__name__=\"ALERTS\"} == 1", Believed::Always),
            ("count(ALERTS_FOR_STATE) > 3", Believed::Always),
            ("{\"ALERTS\", alertname=\"A\"}", Believed::Always),
            ("errors{job=\"x\"} > 5 and on() ALERTS", witnesses(&["errors{job=\"x\"}"], &[])),
            ("errors > 5 unless on() ALERTS", series("errors > bool  5")),
            ("high", witnesses(&["errors > bool  5"], &["high"])),
            ("high{job=\"x\"} > 9", witnesses(&["errors > bool  5"], &["high"])),
            ("highest and on() up", witnesses(&["errors > bool  5", "up"], &["high", "highest"])),
            ("gone", witnesses(&[], &["gone"])),
            ("alerts_sent > 1", series("alerts_sent > bool  1")),
        ];
        for (expr, expected) in cases {
            assert_eq!(Believed::of(expr, &recorded()), expected, "{expr}");
        }
    }

    #[test]
    fn a_rule_over_itself_is_followed_to_the_limit() {
        assert!(matches!(Believed::of("loop", &recorded()), Believed::Witnesses(_) | Believed::Series(_)));
    }

    #[test]
    fn a_witness_speaks_of_what_it_does_not_contradict() {
        let labels = |pairs: &[(&str, &str)]| Labels::from_pairs(pairs.iter().copied());
        let witness = labels(&[("__name__", "errors"), ("job", "a"), ("host", "x")]);
        for (series, speaks) in [
            (labels(&[("job", "a"), ("host", "x")]), true),
            (labels(&[("job", "a")]), true),
            (labels(&[("job", "a"), ("team", "web")]), true),
            (labels(&[("job", "b")]), false),
            (labels(&[("job", "a"), ("host", "y")]), false),
        ] {
            assert_eq!(speaks_of(&witness, &series), speaks, "{series}");
        }
    }
}
