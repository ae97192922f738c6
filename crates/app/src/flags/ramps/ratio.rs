//! Ratios of counters: one that has counted nothing yet has no series, and means zero where there is traffic.
//!
//! `sum(rate(http_requests_total{code=~"5.."}[1m])) / sum(rate(http_requests_total[1m]))` answers with nothing until the
//! first error of all. A guard asks such a division with zero where only the numerator is missing; what is not known at all
//! stays no data.

use tenfold_promql::ast::{ArithmeticOp, BinaryOp, Expr, Kind, Matching, Selector, Side};
use tenfold_types::{Labels, MatcherOp};

/// Functions that count how much a counter grew.
const COUNTING: [&str; 3] = ["rate", "increase", "irate"];

/// An expression that reads a missing numerator as zero.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Filled {
    pub expr: String,
    /// Counters above the line that do not stand below it: zero only where they are known to be counted at all.
    pub apart: Vec<String>,
}

/// Nothing where there is no division of counters.
pub(super) fn fill(expr: &str) -> Option<Filled> {
    let parsed = tenfold_promql::parse(expr).ok()?;
    let mut filled = Filled { expr: expr.to_owned(), apart: Vec::new() };
    let mut divisions = Vec::new();
    find(&parsed, &mut divisions);
    // From the back, so that what comes before stays where it is.
    for division in divisions.iter().rev() {
        replace(expr, division, &mut filled)?;
    }
    (!divisions.is_empty()).then_some(filled)
}

/// The outermost divisions, in the order of the text.
fn find<'a>(expr: &'a Expr, found: &mut Vec<&'a Expr>) {
    match &expr.kind {
        Kind::Paren(inner) | Kind::Unary { expr: inner, .. } | Kind::Aggregate { expr: inner, .. } => {
            find(inner, found);
        }
        Kind::Call { args, .. } => {
            for arg in args {
                find(arg, found);
            }
        }
        Kind::Binary { lhs, rhs, .. } => {
            if is_ratio(expr) {
                found.push(expr);
            } else {
                find(lhs, found);
                find(rhs, found);
            }
        }
        Kind::Number(_)
        | Kind::Duration(_)
        | Kind::String(_)
        | Kind::NotUtf8(_)
        | Kind::Selector(_)
        | Kind::Matrix { .. }
        | Kind::Subquery { .. } => {}
    }
}

fn is_ratio(expr: &Expr) -> bool {
    let Kind::Binary { op: BinaryOp::Arithmetic(ArithmeticOp::Div), matching, lhs, rhs, .. } = &expr.kind else {
        return false;
    };
    let plain = matching.side == Side::OneToOne && matching.fill_left.is_none() && matching.fill_right.is_none();
    plain && Counters::of(lhs).counted && Counters::of(rhs).counted
}

fn replace(text: &str, division: &Expr, filled: &mut Filled) -> Option<()> {
    let Kind::Binary { matching, lhs, rhs, .. } = &division.kind else { return None };
    let below = Counters::of(rhs).names;
    for name in Counters::of(lhs).names {
        if !below.contains(&name) && !filled.apart.contains(&name) {
            filled.apart.push(name);
        }
    }
    let part = |expr: &Expr| text.get(expr.span.start..expr.span.end);
    let (whole, below, on) = (part(division)?, part(rhs)?, words(matching));
    let with = format!("(({whole}) or{on} ((({below}) > 0) * 0))");
    filled.expr.replace_range(division.span.start..division.span.end, &with);
    Some(())
}

fn words(matching: &Matching) -> String {
    match (matching.on, matching.labels.is_empty()) {
        (true, _) => format!(" on ({})", matching.labels.join(", ")),
        (false, false) => format!(" ignoring ({})", matching.labels.join(", ")),
        (false, true) => String::new(),
    }
}

/// What an expression counts.
#[derive(Default)]
struct Counters {
    counted: bool,
    names: Vec<String>,
}

impl Counters {
    fn of(expr: &Expr) -> Self {
        let mut counters = Self::default();
        counters.read(expr);
        counters
    }

    fn read(&mut self, expr: &Expr) {
        match &expr.kind {
            Kind::Paren(e) | Kind::Unary { expr: e, .. } | Kind::Subquery { expr: e, .. } => self.read(e),
            Kind::Aggregate { expr: e, .. } => self.read(e),
            Kind::Selector(selector) | Kind::Matrix { selector, .. } => self.name(selector),
            Kind::Call { function, args } => {
                self.counted |= COUNTING.contains(&function.name);
                for arg in args {
                    self.read(arg);
                }
            }
            Kind::Binary { lhs, rhs, .. } => {
                self.read(lhs);
                self.read(rhs);
            }
            Kind::Number(_) | Kind::Duration(_) | Kind::String(_) | Kind::NotUtf8(_) => {}
        }
    }

    /// A selector without one name names nothing that could be known.
    fn name(&mut self, selector: &Selector) {
        let named = selector.matchers.iter().find(|m| m.name == Labels::NAME && m.op == MatcherOp::Equal);
        self.names.push(named.map(|m| m.value.clone()).unwrap_or_default());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_ratios_of_counters_are_filled() {
        let cases = [
            ("sum(rate(r{code=\"5\"}[1m])) / sum(rate(r[1m]))", Some("")),
            ("sum by (host) (rate(r{code=\"5\"}[1m])) / on (host) sum by (host) (rate(r[1m]))", Some("")),
            ("100 * (rate(bad[1m]) / rate(all[1m]))", Some("bad")),
            ("1 - sum(increase(ok[1m])) / ignoring (code) sum(increase(all[1m]))", Some("ok")),
            ("queue_length / queue_capacity", None),
            ("rate(r[1m]) / 60", None),
            ("rate(r[1m]) / on (host) group_left () rate(all[1m])", None),
            ("up", None),
            ("sum(rate(", None),
        ];
        for (expr, apart) in cases {
            let filled = fill(expr);
            assert_eq!(filled.as_ref().map(|f| f.apart.join(",")).as_deref(), apart, "{expr}");
            if let Some(filled) = filled {
                tenfold_promql::parse(&filled.expr).unwrap_or_else(|e| panic!("{}: {e}", filled.expr));
            }
        }
    }

    #[test]
    fn two_ratios_are_both_filled() {
        let expr = "max(rate(a[1m]) / rate(a[1m])) + rate(b[5m]) / rate(b[5m])";
        let filled = fill(expr).unwrap();
        assert_eq!(filled.expr.matches(" or ").count(), 2, "{}", filled.expr);
        assert!(filled.expr.starts_with("max((("), "{}", filled.expr);
    }
}
