//! Aggregations with a parameter, which look at all values of a group at once: `topk`, `bottomk`, `quantile`,
//! `count_values`, `limitk`, `limit_ratio`.

use std::{cmp::Ordering, collections::HashMap, sync::Arc};

use tenfold_types::Labels;

use super::{
    ABSENT, Context, Grid, Row, groups::Groups, hash::label_hash, is_absent, notes::Note, over_time::quantile_of,
    string,
};
use crate::{
    error::{QueryError, Span},
    syntax::ast::{AggregateOp, Expr, Grouping, Kind},
    value::without_exponent,
};

/// The groups in the order they first appear, each with its rows.
fn grouped(rows: Vec<Row>, grouping: &Grouping) -> impl Iterator<Item = (Arc<Labels>, Vec<Row>)> {
    let mut groups = Groups::new(grouping);
    let mut out: Vec<Vec<Row>> = Vec::new();
    for row in rows {
        let slot = groups.of(&row.labels);
        if slot == out.len() {
            out.push(Vec::new());
        }
        out[slot].push(row);
    }
    groups.into_labels().into_iter().zip(out)
}

/// Steps of which the values are gathered at one time: those that lie in one line of the processor's cache.
const COLUMNS: usize = 8;

/// Hands over the values of all rows at each step, with the row's number, where there is something.
fn each_column(
    rows: &mut [Row],
    steps: usize,
    mut each: impl FnMut(&mut [Row], usize, &mut Vec<(f64, usize)>) -> Result<(), QueryError>,
) -> Result<(), QueryError> {
    let mut columns: [Vec<(f64, usize)>; COLUMNS] = Default::default();
    for first in (0..steps).step_by(COLUMNS) {
        let until = (first + COLUMNS).min(steps);
        columns.iter_mut().for_each(Vec::clear);
        for (number, row) in rows.iter().enumerate() {
            for (step, column) in (first..until).zip(&mut columns) {
                if row.present(step) {
                    column.push((row.values[step], number));
                }
            }
        }
        for (step, column) in (first..until).zip(&mut columns) {
            each(rows, step, column)?;
        }
    }
    Ok(())
}

impl Context<'_> {
    pub fn pick(
        &self,
        op: AggregateOp,
        grouping: &Grouping,
        param: &Expr,
        expr: &Expr,
        grid: Grid,
        span: Span,
    ) -> Result<Vec<Row>, QueryError> {
        if op == AggregateOp::CountValues {
            if let Kind::NotUtf8(label) = &param.unwrapped().kind {
                return Err(QueryError::execution(format!("invalid label name \"{label}\"")));
            }
            return self.count_values(grouping, string(param)?, expr, grid);
        }
        let params = self.scalar(param, grid)?;
        self.check_params(op, param, &params)?;
        let mut rows = self.rows(expr, grid)?;
        if nothing_wanted(op, &params) {
            return Ok(Vec::new());
        }
        let ignoring = match op {
            AggregateOp::Quantile => Some(("quantile", expr.unwrapped().span)),
            AggregateOp::Topk => Some(("topk", span)),
            AggregateOp::Bottomk => Some(("bottomk", span)),
            _ => None,
        };
        if let Some((aggregation, place)) = ignoring {
            for row in rows.iter_mut().filter(|r| r.histograms.is_some()) {
                row.histograms = None;
                self.note(place, Note::IgnoredInAggregation { aggregation });
            }
        }
        let mut out = Vec::new();
        for (labels, mut rows) in grouped(rows, grouping) {
            match op {
                AggregateOp::Quantile => {
                    let drop_name = rows.iter().any(|r| r.drop_name);
                    let mut row = Row::empty(labels, drop_name, grid.steps);
                    let mut values = Vec::with_capacity(rows.len());
                    each_column(&mut rows, grid.steps, |_, step, column| {
                        self.query.interrupt.check()?;
                        values.clear();
                        values.extend(column.iter().map(|(value, _)| *value));
                        if !values.is_empty() {
                            row.values[step] = quantile_of(params[step], &mut values);
                        }
                        Ok(())
                    })?;
                    out.push(row);
                }
                AggregateOp::LimitRatio => {
                    for row in &mut rows {
                        let place = label_place(&row.labels);
                        keep(row, |i| ratio_takes(params[i], place));
                    }
                    out.extend(rows);
                }
                _ => {
                    self.keep_k(op, &mut rows, &params)?;
                    out.extend(rows);
                }
            }
        }
        out.retain(Row::has_values);
        Ok(out)
    }

    fn check_params(&self, op: AggregateOp, param: &Expr, params: &[f64]) -> Result<(), QueryError> {
        let span = param.unwrapped().span;
        let greatest = params.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let smallest = params.iter().copied().fold(f64::INFINITY, f64::min);
        let none_is = params.iter().any(|p| p.is_nan());
        match op {
            AggregateOp::Quantile => {
                if none_is {
                    self.note(span, Note::InvalidQuantile(f64::NAN));
                }
                if greatest > 1.0 {
                    self.note(span, Note::InvalidQuantile(greatest));
                }
                if smallest < 0.0 {
                    self.note(span, Note::InvalidQuantile(smallest));
                }
            }
            AggregateOp::LimitRatio => {
                if none_is {
                    return Err(QueryError::execution("Ratio value is NaN"));
                }
                if greatest > 1.0 {
                    self.note(span, Note::InvalidRatio { ratio: greatest, capped: 1.0 });
                }
                if smallest < -1.0 {
                    self.note(span, Note::InvalidRatio { ratio: smallest, capped: -1.0 });
                }
            }
            _ => {
                if none_is {
                    return Err(QueryError::execution("Parameter value is NaN"));
                }
                if greatest < 1.0 {
                    return Ok(());
                }
                let shown = tenfold_types::histogram::short_float;
                if smallest <= i64::MIN as f64 {
                    let message = format!("Scalar value {} underflows int64", shown(smallest));
                    return Err(QueryError::execution(message));
                }
                if greatest >= i64::MAX as f64 {
                    return Err(QueryError::execution(format!("Scalar value {} overflows int64", shown(greatest))));
                }
            }
        }
        Ok(())
    }

    fn count_values(&self, grouping: &Grouping, label: &str, expr: &Expr, grid: Grid) -> Result<Vec<Row>, QueryError> {
        if label.is_empty() {
            return Err(QueryError::execution(format!("invalid label name {label:?}")));
        }
        // Grouping comes after the label is set, which then is no longer there.
        let is_dropped = grouping.without && (label == Labels::NAME || grouping.labels.iter().any(|l| l == label));
        let values_max = self.query.limits.values_max;
        let mut counts: HashMap<Labels, Vec<f64>> = HashMap::new();
        let mut groups = Groups::new(grouping);
        self.each_row(expr, grid, &mut |row| {
            let group = groups.of(&row.labels);
            let group = groups.labels(group);
            for (i, v) in row.values.iter().enumerate().filter(|(i, _)| row.present(*i)) {
                let mut key = (*group).clone();
                if !is_dropped {
                    key.set(label, row.histogram(i).map_or_else(|| without_exponent(*v), ToString::to_string));
                }
                let slot = counts.entry(key).or_insert_with(|| vec![ABSENT; grid.steps]);
                slot[i] = if is_absent(slot[i]) { 1.0 } else { slot[i] + 1.0 };
            }
            if (counts.len() as u64).saturating_mul(grid.steps as u64) > values_max {
                return Err(QueryError::Limit(format!("count_values yields more than {values_max} values")));
            }
            Ok(())
        })?;
        Ok(counts.into_iter().map(|(labels, values)| Row::new(Arc::new(labels), values)).collect())
    }
}

fn keep(row: &mut Row, wanted: impl Fn(usize) -> bool) {
    for step in 0..row.values.len() {
        if !wanted(step) {
            row.erase(step);
        }
    }
}

/// Whether no step asks for anything.
fn nothing_wanted(op: AggregateOp, params: &[f64]) -> bool {
    match op {
        AggregateOp::Topk | AggregateOp::Bottomk | AggregateOp::Limitk => params.iter().all(|k| *k < 1.0),
        AggregateOp::LimitRatio => params.iter().all(|r| *r == 0.0),
        _ => false,
    }
}

impl Context<'_> {
    /// Keeps the `k` first rows of each step in the operation's order; for an instant query the rows are put in that order (not
    /// within its subqueries, which have steps of their own).
    fn keep_k(&self, op: AggregateOp, rows: &mut Vec<Row>, params: &[f64]) -> Result<(), QueryError> {
        let order = |a: f64, b: f64| match op {
            AggregateOp::Topk => a.is_nan().cmp(&b.is_nan()).then(b.partial_cmp(&a).unwrap_or(Ordering::Equal)),
            AggregateOp::Bottomk => a.is_nan().cmp(&b.is_nan()).then(a.partial_cmp(&b).unwrap_or(Ordering::Equal)),
            _ => Ordering::Equal,
        };
        if self.top.steps == 1 && params.len() == 1 {
            rows.retain(|r| r.present(0));
            rows.sort_by(|a, b| order(a.values[0], b.values[0]));
            rows.truncate(params[0].max(0.0) as usize);
            return Ok(());
        }
        each_column(rows, params.len(), |rows, step, column| {
            self.query.interrupt.check()?;
            let k = params[step].max(0.0) as usize;
            if column.len() > k {
                // Of equal values the row that came first is kept.
                column.select_nth_unstable_by(k, |a, b| order(a.0, b.0).then(a.1.cmp(&b.1)));
                column[k..].iter().for_each(|(_, dropped)| rows[*dropped].erase(step));
            }
            Ok(())
        })
    }
}

/// Where a label set lies between 0 and 1, evenly spread and always the same; Prometheus finds the same place.
fn label_place(labels: &Labels) -> f64 {
    label_hash(labels) as f64 / u64::MAX as f64
}

/// A positive ratio takes from the low end, a negative one from the high end, so that `r` and `r - 1` are complements.
fn ratio_takes(ratio: f64, place: f64) -> bool {
    if ratio >= 0.0 { place < ratio.min(1.0) } else { place >= 1.0 + ratio.max(-1.0) }
}
