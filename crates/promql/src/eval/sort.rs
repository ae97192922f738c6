//! The `sort` functions. They order the answer of an instant query; a range query is not affected.

use std::cmp::Ordering;

use super::{Context, Grid, Row, Sink, notes::Note, string};
use crate::{
    error::{QueryError, Span},
    syntax::ast::{Expr, Kind},
};

impl Context<'_> {
    pub fn sort(&self, name: &str, args: &[Expr], span: Span, grid: Grid, sink: Sink<'_>) -> Result<(), QueryError> {
        let mut rows = self.rows(&args[0], grid)?;
        let by_labels = name.starts_with("sort_by_label");
        if !by_labels {
            for row in &mut rows {
                row.histograms = None;
            }
            rows.retain(Row::has_values);
        }
        // A range of one step is a range all the same.
        let over_time = grid.steps > 1 || (grid == self.top && self.end != grid.start);
        if over_time && !args.iter().all(is_constant) {
            self.note(span, Note::SortInRange);
        }
        if grid.steps == 1 {
            let names =
                if by_labels { args[1..].iter().map(string).collect::<Result<Vec<_>, _>>()? } else { Vec::new() };
            rows.sort_by(|a, b| match name {
                "sort" => nan_last(a, b, Ordering::Less),
                "sort_desc" => nan_last(a, b, Ordering::Greater),
                "sort_by_label" => label_order(a, b, &names),
                _ => label_order(b, a, &names),
            });
        }
        rows.into_iter().try_for_each(sink)
    }
}

/// Whether an expression is the same at every step, because it is pinned with `@` or needs no samples. Prometheus evaluates it
/// as an instant then.
fn is_constant(expr: &Expr) -> bool {
    match &expr.kind {
        Kind::Number(_) | Kind::Duration(_) | Kind::String(_) | Kind::NotUtf8(_) => true,
        Kind::Selector(selector) | Kind::Matrix { selector, .. } => selector.shift.at.is_some(),
        Kind::Subquery { shift, .. } => shift.at.is_some(),
        Kind::Paren(inner) | Kind::Unary { expr: inner, .. } | Kind::Aggregate { expr: inner, .. } => {
            is_constant(inner)
        }
        Kind::Binary { lhs, rhs, .. } => is_constant(lhs) && is_constant(rhs),
        Kind::Call { function, args } => match function.name {
            "time" | "predict_linear" => false,
            "timestamp" => args.iter().all(|a| matches!(a.unwrapped().kind, Kind::Selector(_)) && is_constant(a)),
            name => super::calendar::part(name, 0.0).is_none() && args.iter().all(is_constant),
        },
    }
}

fn nan_last(a: &Row, b: &Row, wanted: Ordering) -> Ordering {
    let (x, y) = (a.values[0], b.values[0]);
    x.is_nan().cmp(&y.is_nan()).then_with(|| {
        let order = x.partial_cmp(&y).unwrap_or(Ordering::Equal);
        if wanted == Ordering::Less { order } else { order.reverse() }
    })
}

fn label_order(a: &Row, b: &Row, names: &[&str]) -> Ordering {
    for name in names {
        let order = natural(a.labels.get(name).unwrap_or_default(), b.labels.get(name).unwrap_or_default());
        if order != Ordering::Equal {
            return order;
        }
    }
    a.labels.cmp(&b.labels)
}

/// Runs of digits compare as numbers, so that `cpu 2` comes before `cpu 10`. What lies between them compares as a whole, so that
/// `cpu2` comes before `cpu-1`.
fn natural(mut a: &str, mut b: &str) -> Ordering {
    while !a.is_empty() && !b.is_empty() {
        let ((x, rest_a), (y, rest_b)) = (run(a), run(b));
        let order = match (number(x), number(y)) {
            (Some(x), Some(y)) => x.cmp(&y),
            _ => x.cmp(y),
        };
        if order != Ordering::Equal {
            return order;
        }
        (a, b) = (rest_a, rest_b);
    }
    b.is_empty().cmp(&a.is_empty())
}

/// What compares as a number of any length. One order for all of them: what goes round in a circle cannot be sorted.
fn number(run: &str) -> Option<(usize, &str)> {
    run.starts_with(|c: char| c.is_ascii_digit()).then(|| {
        let significant = run.trim_start_matches('0');
        (significant.len(), significant)
    })
}

/// The digits, or what is none, that a text begins with, and the rest.
fn run(text: &str) -> (&str, &str) {
    let digits = text.starts_with(|c: char| c.is_ascii_digit());
    let end = text.find(|c: char| c.is_ascii_digit() != digits).unwrap_or(text.len());
    text.split_at(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_any_length_have_one_order() {
        let sorted =
            ["", "-", "0", "1-a", "01-b", "9", "10", "50000000000000000000", "99999999999999999999", "cpu2", "cpu-1"];
        for (i, a) in sorted.iter().enumerate() {
            for (j, b) in sorted.iter().enumerate() {
                assert_eq!(natural(a, b), i.cmp(&j), "{a} and {b}");
            }
        }
    }
}
