//! Aggregations that fold row by row: `sum`, `avg`, `min`, `max`, `count`, `group`, `stddev`, `stdvar`. The input is never
//! held as a whole.

use std::{collections::HashMap, sync::Arc};

use tenfold_types::Labels;

use super::{
    ABSENT, Context, Grid, Row, is_absent,
    kahan::{Kahan, Mean},
};
use crate::{
    error::QueryError,
    syntax::ast::{AggregateOp, Expr, Grouping},
};

impl Context<'_> {
    pub fn aggregate(
        &self,
        op: AggregateOp,
        grouping: &Grouping,
        param: Option<&Expr>,
        expr: &Expr,
        grid: Grid,
    ) -> Result<Vec<Row>, QueryError> {
        if let Some(param) = param {
            return self.pick(op, grouping, param, expr, grid);
        }
        let mut groups: HashMap<Labels, usize> = HashMap::new();
        let mut out: Vec<(Row, Fold)> = Vec::new();
        let values_max = self.query.limits.values_max;
        self.each_row(expr, grid, &mut |row| {
            let key = group_labels(&row, grouping);
            let slot = if let Some(slot) = groups.get(&key) {
                *slot
            } else {
                if (out.len() as u64).saturating_mul(grid.steps as u64) > values_max {
                    return Err(QueryError::Limit(format!(
                        "an aggregation yields more than {values_max} values; group by fewer labels or use a larger step"
                    )));
                }
                let labels = Arc::new(key.clone());
                let drop_name = row.drop_name && grouping.without;
                out.push((Row { labels, drop_name, values: Vec::new() }, Fold::new(op, grid.steps)));
                groups.insert(key, out.len() - 1);
                out.len() - 1
            };
            out[slot].1.add(&row.values);
            Ok(())
        })?;
        Ok(out.into_iter().map(|(row, fold)| Row { values: fold.finish(), ..row }).filter(Row::has_values).collect())
    }
}

/// The labels of the group a row belongs to.
pub(crate) fn group_labels(row: &Row, grouping: &Grouping) -> Labels {
    if grouping.without {
        let mut labels = super::row::strip_name(&row.labels);
        grouping.labels.iter().for_each(|l| labels.remove(l));
        return labels;
    }
    let mut labels = Labels::new();
    for name in &grouping.labels {
        if let Some(value) = row.labels.get(name) {
            labels.set(name, value);
        }
    }
    labels
}

/// One accumulator per step.
enum Fold {
    Sum(Vec<(Kahan, bool)>),
    Avg(Vec<Mean>),
    Extreme(Vec<f64>, bool),
    Count(Vec<f64>),
    Group(Vec<f64>),
    Deviation(Vec<Welford>, bool),
}

#[derive(Clone, Default)]
struct Welford {
    count: f64,
    mean: f64,
    square: f64,
}

impl Fold {
    fn new(op: AggregateOp, steps: usize) -> Self {
        match op {
            AggregateOp::Sum => Self::Sum(vec![Default::default(); steps]),
            AggregateOp::Avg => Self::Avg(vec![Mean::default(); steps]),
            AggregateOp::Min => Self::Extreme(vec![ABSENT; steps], false),
            AggregateOp::Max => Self::Extreme(vec![ABSENT; steps], true),
            AggregateOp::Count => Self::Count(vec![0.0; steps]),
            AggregateOp::Stddev => Self::Deviation(vec![Welford::default(); steps], true),
            AggregateOp::Stdvar => Self::Deviation(vec![Welford::default(); steps], false),
            _ => Self::Group(vec![ABSENT; steps]),
        }
    }

    fn add(&mut self, values: &[f64]) {
        fn each<T>(accumulators: &mut [T], values: &[f64], mut f: impl FnMut(&mut T, f64)) {
            for (a, v) in accumulators.iter_mut().zip(values) {
                if !is_absent(*v) {
                    f(a, *v);
                }
            }
        }
        match self {
            Self::Sum(a) => each(a, values, |(sum, any), v| {
                if *any {
                    sum.add(v);
                } else {
                    *any = true;
                    sum.sum = v;
                }
            }),
            Self::Avg(a) => each(a, values, Mean::add),
            Self::Extreme(a, max) => {
                let max = *max;
                each(a, values, |a, v| {
                    if a.is_nan() || (max && *a < v) || (!max && *a > v) {
                        *a = v;
                    }
                });
            }
            Self::Count(a) => each(a, values, |a, _| *a += 1.0),
            Self::Group(a) => each(a, values, |a, _| *a = 1.0),
            Self::Deviation(a, _) => each(a, values, |w, v| {
                w.count += 1.0;
                let delta = v - w.mean;
                w.mean += delta / w.count;
                w.square += delta * (v - w.mean);
                if !v.is_finite() {
                    w.square = f64::NAN;
                }
            }),
        }
    }

    fn finish(self) -> Vec<f64> {
        match self {
            Self::Sum(a) => a.into_iter().map(|(sum, any)| if any { sum.value() } else { ABSENT }).collect(),
            Self::Avg(a) => a.into_iter().map(|m| if m.is_empty() { ABSENT } else { m.value() }).collect(),
            Self::Extreme(a, _) | Self::Group(a) => a,
            Self::Count(a) => a.into_iter().map(|c| if c == 0.0 { ABSENT } else { c }).collect(),
            Self::Deviation(a, root) => a
                .into_iter()
                .map(|w| match w.count {
                    0.0 => ABSENT,
                    n if root => (w.square / n).sqrt(),
                    n => w.square / n,
                })
                .collect(),
        }
    }
}
