//! Aggregations with a parameter, which look at all values of a group at once: `topk`, `bottomk`, `quantile`,
//! `count_values`, `limitk`, `limit_ratio`.

use std::{cmp::Ordering, collections::HashMap, sync::Arc};

use tenfold_types::Labels;

use super::{
    ABSENT, Context, Grid, Row,
    groups::Groups,
    hash::label_hash,
    is_absent,
    math::{max_of, min_of},
    notes::Note,
    over_time::quantile_of,
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
    mut each: impl FnMut(&mut [Row], usize, &[(f64, usize)]) -> Result<(), QueryError>,
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
            for row in &mut rows {
                if row.histograms.take().is_some_and(|all| all.iter().any(Option::is_some)) {
                    self.note(place, Note::IgnoredInAggregation { aggregation });
                }
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
        // What is no number hides the others.
        let greatest = params.iter().copied().fold(f64::NEG_INFINITY, max_of);
        let smallest = params.iter().copied().fold(f64::INFINITY, min_of);
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
    /// Keeps `k` rows of each step; for an instant query the rows are put in the operation's order (not within its subqueries,
    /// which have steps of their own).
    fn keep_k(&self, op: AggregateOp, rows: &mut Vec<Row>, params: &[f64]) -> Result<(), QueryError> {
        let better: fn(f64, f64) -> bool = match op {
            AggregateOp::Topk => |a: f64, b: f64| a > b,
            AggregateOp::Bottomk => |a: f64, b: f64| a < b,
            _ => return self.keep_first(rows, params),
        };
        let mut best = Best { better, k: 0, heap: Vec::new() };
        if self.top.steps == 1 && params.len() == 1 {
            rows.retain(|r| r.present(0));
            best.k = params[0].max(0.0) as usize;
            for (number, row) in rows.iter().enumerate() {
                best.offer((row.values[0], number));
            }
            let mut taken: Vec<Option<Row>> = std::mem::take(rows).into_iter().map(Some).collect();
            rows.extend(best.in_order().iter().filter_map(|(_, number)| taken[*number].take()));
            return Ok(());
        }
        each_column(rows, params.len(), |rows, step, column| {
            self.query.interrupt.check()?;
            best.k = params[step].max(0.0) as usize;
            best.heap.clear();
            if column.len() > best.k {
                for (_, dropped) in column.iter().filter_map(|candidate| best.offer(*candidate)) {
                    rows[dropped].erase(step);
                }
            }
            Ok(())
        })
    }

    /// `limitk`: of each step those that come first.
    fn keep_first(&self, rows: &mut Vec<Row>, params: &[f64]) -> Result<(), QueryError> {
        if self.top.steps == 1 && params.len() == 1 {
            rows.retain(|r| r.present(0));
            rows.truncate(params[0].max(0.0) as usize);
            return Ok(());
        }
        each_column(rows, params.len(), |rows, step, column| {
            self.query.interrupt.check()?;
            let k = params[step].max(0.0) as usize;
            column.iter().skip(k).for_each(|(_, dropped)| rows[*dropped].erase(step));
            Ok(())
        })
    }
}

/// The `k` best of values that come one by one, the worst of them first. Which of equal values stay, and in which order, follows
/// from how the heap is kept: as Prometheus keeps it.
struct Best {
    better: fn(f64, f64) -> bool,
    k: usize,
    heap: Vec<(f64, usize)>,
}

impl Best {
    /// NaN is worse than any.
    fn worse(&self, a: usize, b: usize) -> bool {
        let (a, b) = (self.heap[a].0, self.heap[b].0);
        a.is_nan() || (self.better)(b, a)
    }

    /// Takes a value, with the number of its row; what has to go for it is answered, which may be itself.
    fn offer(&mut self, candidate: (f64, usize)) -> Option<(f64, usize)> {
        if self.heap.len() < self.k {
            self.heap.push(candidate);
            self.rise();
            return None;
        }
        let Some(worst) = self.heap.first_mut() else { return Some(candidate) };
        let beats = (self.better)(candidate.0, worst.0) || (worst.0.is_nan() && !candidate.0.is_nan());
        if !beats {
            return Some(candidate);
        }
        let gone = std::mem::replace(worst, candidate);
        self.sink();
        Some(gone)
    }

    fn rise(&mut self) {
        let mut at = self.heap.len() - 1;
        while at > 0 {
            let parent = (at - 1) / 2;
            if !self.worse(at, parent) {
                break;
            }
            self.heap.swap(at, parent);
            at = parent;
        }
    }

    fn sink(&mut self) {
        let mut at = 0;
        loop {
            let left = 2 * at + 1;
            if left >= self.heap.len() {
                break;
            }
            let right = left + 1;
            let child = if right < self.heap.len() && self.worse(right, left) { right } else { left };
            if !self.worse(child, at) {
                break;
            }
            self.heap.swap(child, at);
            at = child;
        }
    }

    /// The best first.
    fn in_order(&mut self) -> &[(f64, usize)] {
        let better = self.better;
        self.heap.sort_by(|(a, _), (b, _)| {
            a.is_nan().cmp(&b.is_nan()).then_with(|| match (better(*a, *b), better(*b, *a)) {
                (true, _) => Ordering::Less,
                (_, true) => Ordering::Greater,
                _ => Ordering::Equal,
            })
        });
        &self.heap
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
