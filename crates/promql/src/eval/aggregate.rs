//! Aggregations that fold row by row: `sum`, `avg`, `min`, `max`, `count`, `group`, `stddev`, `stdvar`. The input is never
//! held as a whole.

use std::sync::Arc;

use tenfold_types::{
    Histogram, Kahan, ResetHint,
    histogram::{HistogramSum, Incompatible},
};

use super::{
    ABSENT, Context, Grid, Row,
    groups::Groups,
    is_absent,
    mean::{HistogramMean, Mean},
    notes::{Note, Operation},
};
use crate::{
    error::{QueryError, Span},
    syntax::ast::{AggregateOp, Expr, Grouping},
    value::Sample,
};

/// What is folded into one row of the answer.
struct Group {
    row: Row,
    floats: Fold,
    /// Sums or means of histograms by step, once there is one.
    histograms: Option<Vec<Option<HistogramFold>>>,
}

impl Context<'_> {
    pub fn aggregate(
        &self,
        op: AggregateOp,
        grouping: &Grouping,
        param: Option<&Expr>,
        expr: &Expr,
        grid: Grid,
        span: Span,
    ) -> Result<Vec<Row>, QueryError> {
        if let Some(param) = param {
            return self.pick(op, grouping, param, expr, grid, span);
        }
        let mut groups = Groups::new(grouping);
        let mut out: Vec<Group> = Vec::new();
        let values_max = self.query.limits.values_max;
        let input = expr.unwrapped().span;
        self.each_row(expr, grid, &mut |row| {
            let slot = groups.of(&row.labels);
            if slot == out.len() {
                if (out.len() as u64).saturating_mul(grid.steps as u64) > values_max {
                    return Err(QueryError::Limit(format!(
                        "an aggregation yields more than {values_max} values; group by fewer labels or use a larger step"
                    )));
                }
                self.hold(grid.steps * size_of::<Mean>())?;
                let empty = Row { values: Vec::new(), ..Row::new(groups.labels(slot), Vec::new()) };
                out.push(Group { row: empty, floats: Fold::new(op, grid.steps), histograms: None });
            }
            let group = &mut out[slot];
            group.row.drop_name |= row.drop_name;
            group.floats.add(&row.values);
            if row.histograms.is_some() {
                self.add_histograms(op, group, &row, input);
            }
            Ok(())
        })?;
        let rows = out.into_iter().map(|group| self.finish_group(group, input));
        Ok(rows.filter(Row::has_values).collect())
    }

    fn add_histograms(&self, op: AggregateOp, group: &mut Group, row: &Row, span: Span) {
        let present = (0..row.values.len()).filter_map(|step| Some((step, row.histogram(step)?)));
        let ignored = match op {
            AggregateOp::Min => "min",
            AggregateOp::Max => "max",
            AggregateOp::Stddev => "stddev",
            AggregateOp::Stdvar => "stdvar",
            AggregateOp::Sum | AggregateOp::Avg => {
                let name = row.labels.metric_name().unwrap_or_default();
                let folds = group.histograms.get_or_insert_with(|| vec![None; row.values.len()]);
                for (step, h) in present {
                    let floats = group.floats.holds(step);
                    match &mut folds[step] {
                        Some(fold) => fold.add(h, floats, self, span, name),
                        slot => *slot = Some(HistogramFold::new(op, h, floats)),
                    }
                }
                return;
            }
            // The others only ask whether there is something.
            _ => {
                present.for_each(|(step, _)| group.floats.count(step));
                return;
            }
        };
        if present.count() > 0 {
            self.note(span, Note::IgnoredInAggregation { aggregation: ignored });
        }
    }

    fn finish_group(&self, group: Group, span: Span) -> Row {
        let mut row = Row { values: group.floats.finish(), ..group.row };
        for (step, fold) in group.histograms.into_iter().flatten().enumerate() {
            let Some(fold) = fold else { continue };
            if fold.is_mixed(row.present(step)) {
                self.note(span, Note::MixedAggregation);
                row.erase(step);
            } else if let Some(histogram) = fold.finish(self, span) {
                row.set(step, Sample::Histogram(Arc::new(histogram)));
            } else {
                row.erase(step);
            }
        }
        row
    }
}

/// The histograms of one group at one step.
#[derive(Clone)]
struct HistogramFold {
    kind: Total,
    /// Why no more are added, if so.
    ended: Option<Ended>,
    reset: bool,
    not_reset: bool,
}

/// What makes the order of series matter for the remarks, as it does in Prometheus.
#[derive(Clone, Copy)]
enum Ended {
    /// A float came first: there is no answer, whatever else comes.
    AfterFloat,
    /// Exponential and custom buckets met. Later floats are not looked at.
    Incompatible { floats_before: bool },
}

#[derive(Clone)]
enum Total {
    Sum(HistogramSum),
    Mean(HistogramMean),
}

impl HistogramFold {
    fn new(op: AggregateOp, first: &Histogram, after_float: bool) -> Self {
        let kind = if op == AggregateOp::Avg {
            Total::Mean(HistogramMean::new(first))
        } else {
            Total::Sum(HistogramSum::new(first))
        };
        let ended = after_float.then_some(Ended::AfterFloat);
        let mut fold = Self { kind, ended, reset: false, not_reset: false };
        fold.see(first);
        fold
    }

    fn see(&mut self, h: &Histogram) {
        self.reset |= h.reset_hint == ResetHint::Reset;
        self.not_reset |= h.reset_hint == ResetHint::NotReset;
    }

    fn add(&mut self, h: &Histogram, floats_before: bool, c: &Context<'_>, span: Span, name: &str) {
        if self.ended.is_some() {
            return;
        }
        self.see(h);
        let added = match &mut self.kind {
            Total::Sum(sum) => sum.add(h).map(|added| added.bounds_reconciled),
            Total::Mean(mean) => mean.add(h),
        };
        match added {
            Ok(true) => c.note(span, Note::BoundsReconciled(Operation::Aggregation)),
            Ok(false) => {}
            Err(Incompatible) => {
                self.ended = Some(Ended::Incompatible { floats_before });
                c.note(span, Note::MixedSchemas { name });
            }
        }
    }

    /// Whether floats count against it, given whether there are any.
    fn is_mixed(&self, floats: bool) -> bool {
        match self.ended {
            Some(Ended::Incompatible { floats_before }) => floats_before,
            Some(Ended::AfterFloat) | None => floats,
        }
    }

    fn finish(self, c: &Context<'_>, span: Span) -> Option<Histogram> {
        if self.ended.is_some() {
            return None;
        }
        if self.reset && self.not_reset {
            c.note(span, Note::ResetsConflict(Operation::Aggregation));
        }
        let mut histogram = match self.kind {
            Total::Sum(sum) => sum.finish(),
            Total::Mean(mean) => mean.finish(),
        };
        histogram.compact();
        Some(histogram)
    }
}

/// One accumulator of floats per step.
enum Fold {
    Sum(Vec<Kahan>),
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
            AggregateOp::Sum => Self::Sum(vec![Kahan::new(ABSENT); steps]),
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
            Self::Sum(a) => each(a, values, |sum, v| {
                if is_absent(sum.sum) {
                    sum.sum = v;
                } else {
                    sum.add(v);
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

    /// Whether there was a float to add up at this step.
    fn holds(&self, step: usize) -> bool {
        match self {
            Self::Sum(a) => !is_absent(a[step].sum),
            Self::Avg(a) => !a[step].is_empty(),
            _ => false,
        }
    }

    /// There is something at this step that has no float value.
    fn count(&mut self, step: usize) {
        match self {
            Self::Count(a) => a[step] += 1.0,
            Self::Group(a) => a[step] = 1.0,
            _ => {}
        }
    }

    fn finish(self) -> Vec<f64> {
        match self {
            Self::Sum(a) => a.into_iter().map(|s| if is_absent(s.sum) { ABSENT } else { s.value() }).collect(),
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
