//! The `sort` functions. They order the answer of an instant query; a range query is not affected.

use std::cmp::Ordering;

use super::{Context, Grid, Row, Sink, notes::Note, string};
use crate::{
    error::{QueryError, Span},
    syntax::ast::Expr,
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
        if grid.steps > 1 {
            self.note(span, Note::SortInRange);
        } else {
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

/// Runs of digits compare as numbers, so that `cpu 2` comes before `cpu 10`.
fn natural(a: &str, b: &str) -> Ordering {
    let (mut a, mut b) = (a.as_bytes(), b.as_bytes());
    loop {
        let digits = |s: &[u8]| s.iter().take_while(|c| c.is_ascii_digit()).count();
        let (da, db) = (digits(a), digits(b));
        if da > 0 && db > 0 {
            let significant = |s: &[u8], n: usize| s[..n].iter().position(|c| *c != b'0').unwrap_or(n);
            let (na, nb) = (&a[significant(a, da)..da], &b[significant(b, db)..db]);
            let order = na.len().cmp(&nb.len()).then_with(|| na.cmp(nb));
            if order != Ordering::Equal {
                return order;
            }
            (a, b) = (&a[da..], &b[db..]);
            continue;
        }
        match (a.split_first(), b.split_first()) {
            (Some((x, rest_a)), Some((y, rest_b))) => {
                if x != y {
                    return x.cmp(y);
                }
                (a, b) = (rest_a, rest_b);
            }
            (x, y) => return x.is_some().cmp(&y.is_some()),
        }
    }
}
