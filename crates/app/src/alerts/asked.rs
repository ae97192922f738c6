//! What a rule asks, parsed once and not with each evaluation.

use std::collections::BTreeSet;
use std::sync::Arc;

use tenfold_alerting::Rule;
use tenfold_promql::ast::{Expr, Selector};
use tenfold_types::{Labels, MatcherOp};

use super::believed::{Believed, Recorded, Witnesses};
use crate::App;

/// An expression as text, and as parsed or why it cannot be. A cluster that answers instead of the own store reads the text.
pub(super) struct Expression {
    pub text: String,
    pub parsed: Result<Expr, String>,
}

impl Expression {
    fn new(app: &App, text: &str) -> Self {
        Self { text: text.to_owned(), parsed: app.metrics.parse_query(text).map_err(|fault| fault.message) }
    }

    /// The metrics whose newest samples it reads. A selector that names no metric may read any, and one that reads the past is
    /// not changed by what is new; neither is here.
    pub fn metrics(&self) -> BTreeSet<Arc<str>> {
        let selectors = self.parsed.iter().flat_map(Expr::selectors);
        selectors.filter_map(metric_of_now).map(Arc::from).collect()
    }
}

fn metric_of_now(selector: &Selector) -> Option<&str> {
    if selector.shift.at.is_some() || selector.shift.offset.is_some() {
        return None;
    }
    let named = |m: &&tenfold_types::Matcher| m.name == Labels::NAME && m.op == MatcherOp::Equal && !m.value.is_empty();
    selector.matchers.iter().find(named).map(|m| m.value.as_str())
}

/// What else is asked when an alert is missing from an answer; see [`Believed`].
pub(super) enum Otherwise {
    Nothing,
    Series(Expression),
    /// With what recording rules bring in between.
    Witnesses(Vec<Expression>, BTreeSet<String>),
}

/// The questions of one rule.
pub(super) struct Asked {
    pub expr: Expression,
    pub otherwise: Otherwise,
}

impl Asked {
    pub fn of(app: &App, rule: &Rule, recorded: &Recorded) -> Self {
        let otherwise = match rule {
            Rule::Alert(alert) => match Believed::of(&alert.expr, recorded) {
                Believed::Always => Otherwise::Nothing,
                Believed::Series(text) => Otherwise::Series(Expression::new(app, &text)),
                Believed::Witnesses(Witnesses { texts, recorded }) => {
                    Otherwise::Witnesses(texts.iter().map(|text| Expression::new(app, text)).collect(), recorded)
                }
            },
            Rule::Record(_) => Otherwise::Nothing,
        };
        Self { expr: Expression::new(app, rule.expr()), otherwise }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metrics(text: &str) -> Vec<String> {
        let parsed = tenfold_promql::parse(text).map_err(|e| e.to_string());
        let expression = Expression { text: text.to_owned(), parsed };
        expression.metrics().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn rules_wait_for_the_metrics_that_they_read_now() {
        let cases: [(&str, &[&str]); 8] = [
            ("errors > 5", &["errors"]),
            (
                "sum by (job) (rate(errors_total{code=~'5..'}[1m])) / sum(rate(requests_total[1m])) > 0.1",
                &["errors_total", "requests_total"],
            ),
            ("{__name__='queue.size', host='a'} > 1", &["queue.size"]),
            ("{job='web'} > 1", &[]),
            ("{__name__=~'queue_.*'} > 1", &[]),
            ("errors > 2 * errors offset 1h", &["errors"]),
            ("errors offset 1h > 2", &[]),
            ("vector(time()) > 1", &[]),
        ];
        for (text, expected) in cases {
            assert_eq!(metrics(text), expected, "{text}");
        }
    }
}
