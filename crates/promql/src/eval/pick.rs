//! Aggregations with a parameter, which look at all values of a group at once: `topk`, `bottomk`, `quantile`,
//! `count_values`, `limitk`, `limit_ratio`.

use std::{cmp::Ordering, collections::HashMap, sync::Arc};

use tenfold_types::Labels;

use super::{
    ABSENT, Context, Grid, Row, aggregate::group_labels, hash::label_hash, is_absent, notes::Note,
    over_time::quantile_of, string,
};
use crate::{
    error::{QueryError, Span},
    syntax::ast::{AggregateOp, Expr, Grouping, Kind},
};

/// The groups in the order they first appear, each with its rows.
fn groups(rows: Vec<Row>, grouping: &Grouping) -> Vec<(Labels, Vec<Row>)> {
    let mut slots: HashMap<Labels, usize> = HashMap::new();
    let mut out: Vec<(Labels, Vec<Row>)> = Vec::new();
    for row in rows {
        let key = group_labels(&row, grouping);
        let slot = *slots.entry(key.clone()).or_insert_with(|| {
            out.push((key, Vec::new()));
            out.len() - 1
        });
        out[slot].1.push(row);
    }
    out
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
        let groups = groups(rows, grouping);
        let mut out = Vec::new();
        for (labels, mut rows) in groups {
            match op {
                AggregateOp::Quantile => {
                    let at = |i: usize| {
                        let values: Vec<f64> = rows.iter().map(|r| r.values[i]).filter(|v| !is_absent(*v)).collect();
                        if values.is_empty() { ABSENT } else { quantile_of(params[i], values) }
                    };
                    let mut row = Row::new(Arc::new(labels), (0..grid.steps).map(at).collect());
                    row.drop_name = rows.iter().any(|r| r.drop_name);
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
                    keep_k(op, &mut rows, &params, self.top.steps == 1);
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
        let values_max = self.query.limits.values_max;
        let mut counts: HashMap<Labels, Vec<f64>> = HashMap::new();
        self.each_row(expr, grid, &mut |row| {
            let group = group_labels(&row, grouping);
            for (i, v) in row.values.iter().enumerate().filter(|(i, _)| row.present(*i)) {
                let text = row.histogram(i).map_or_else(|| plain(*v), ToString::to_string);
                let key = group.clone().with(label, text);
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

/// The value without an exponent, as it appears in the label.
fn plain(value: f64) -> String {
    if value.is_infinite() {
        return if value > 0.0 { "+Inf".into() } else { "-Inf".into() };
    }
    value.to_string()
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

/// Keeps the `k` first rows of each step in the operation's order; for an instant query the rows are put in that order.
fn keep_k(op: AggregateOp, rows: &mut Vec<Row>, params: &[f64], instant: bool) {
    let order = |a: f64, b: f64| match op {
        AggregateOp::Topk => a.is_nan().cmp(&b.is_nan()).then(b.partial_cmp(&a).unwrap_or(Ordering::Equal)),
        AggregateOp::Bottomk => a.is_nan().cmp(&b.is_nan()).then(a.partial_cmp(&b).unwrap_or(Ordering::Equal)),
        _ => Ordering::Equal,
    };
    if instant {
        rows.retain(|r| r.present(0));
        rows.sort_by(|a, b| order(a.values[0], b.values[0]));
        rows.truncate(params[0].max(0.0) as usize);
        return;
    }
    let mut candidates: Vec<usize> = Vec::new();
    for (step, k) in params.iter().enumerate() {
        let k = k.max(0.0) as usize;
        candidates.clear();
        candidates.extend((0..rows.len()).filter(|r| rows[*r].present(step)));
        if candidates.len() > k {
            candidates.sort_by(|a, b| order(rows[*a].values[step], rows[*b].values[step]));
            for dropped in &candidates[k..] {
                rows[*dropped].erase(step);
            }
        }
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
