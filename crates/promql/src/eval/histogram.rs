//! `histogram_quantile` and its relatives over classic histograms (a series per bucket, with the label `le`) and native
//! ones. Where a histogram is there in both forms at once, neither is used.

use std::{collections::HashMap, sync::Arc};

use tenfold_types::{Histogram, Labels};

use super::{
    Context, Grid, Row, Sink,
    classic::{self, Bucket},
    is_absent, native,
    notes::Note,
    row::join_same,
    string,
};
use crate::{
    error::{QueryError, Span},
    syntax::ast::Expr,
};

/// One histogram over all steps, in one of its forms or, at different steps, in both.
struct Family {
    labels: Arc<Labels>,
    /// A row per bound.
    classic: Vec<(f64, Vec<f64>)>,
    native: Option<Row>,
}

enum Form<'f> {
    /// The buckets are in the list that was given.
    Classic,
    Native(&'f Arc<Histogram>),
}

impl Family {
    fn name(&self) -> &str {
        self.labels.metric_name().unwrap_or_default()
    }

    /// Puts the buckets in the order of their bounds.
    fn sorted(mut self) -> Self {
        self.classic.sort_by(|a, b| a.0.total_cmp(&b.0));
        self
    }

    /// What there is at a step; classic buckets are put into `buckets`.
    fn at(&self, step: usize, c: &Context<'_>, span: Span, buckets: &mut Vec<Bucket>) -> Option<Form<'_>> {
        let present = self.classic.iter().filter(|(_, values)| !is_absent(values[step]));
        buckets.clear();
        buckets.extend(present.map(|(bound, values)| Bucket { bound: *bound, count: values[step] }));
        match (self.native.as_ref().and_then(|r| r.histogram(step)), buckets.is_empty()) {
            (Some(_), false) => {
                c.note(span, Note::MixedClassicNative { name: self.name() });
                None
            }
            (Some(h), true) => Some(Form::Native(h)),
            (None, false) => Some(Form::Classic),
            (None, true) => None,
        }
    }
}

/// A function of one native histogram.
pub(crate) fn of_one(name: &str) -> Option<fn(&Histogram) -> f64> {
    Some(match name {
        "histogram_count" => |h| h.count,
        "histogram_sum" => |h| h.sum,
        "histogram_avg" => |h| h.sum / h.count,
        "histogram_stdvar" => native::variance,
        "histogram_stddev" => |h| native::variance(h).sqrt(),
        _ => return None,
    })
}

impl Context<'_> {
    fn families(&self, arg: &Expr, grid: Grid) -> Result<Vec<Family>, QueryError> {
        let span = arg.unwrapped().span;
        let mut by_labels: HashMap<(Labels, bool), usize> = HashMap::new();
        let mut out: Vec<Family> = Vec::new();
        let mut family = |labels: Labels, drop_name: bool, out: &mut Vec<Family>| {
            *by_labels.entry((labels.clone(), drop_name)).or_insert_with(|| {
                out.push(Family { labels: Arc::new(labels), classic: Vec::new(), native: None });
                out.len() - 1
            })
        };
        self.each_row(arg, grid, &mut |mut row| {
            let floats = row.values.iter().any(|v| !is_absent(*v));
            if row.histograms.is_some() {
                let slot = family((*row.labels).clone(), row.drop_name, &mut out);
                let values = if floats { std::mem::take(&mut row.values) } else { Vec::new() };
                let labels = Arc::clone(&row.labels);
                self.hold(row.bytes())?;
                out[slot].native = Some(row);
                row = Row { values, ..Row::bare(Vec::new()) };
                row.labels = labels;
            }
            if !floats {
                return Ok(());
            }
            let le = row.labels.get("le").unwrap_or_default();
            let Ok(bound) = le.parse() else {
                self.note(span, Note::BadBucketLabel { le, name: row.labels.metric_name().unwrap_or_default() });
                return Ok(());
            };
            let mut labels = (*row.labels).clone();
            labels.remove("le");
            let slot = family(labels, row.drop_name, &mut out);
            self.hold(row.values.len() * size_of::<f64>())?;
            out[slot].classic.push((bound, row.values));
            Ok(())
        })?;
        Ok(out.into_iter().map(Family::sorted).collect())
    }

    pub fn histogram_quantile(&self, q: &Expr, arg: &Expr, grid: Grid, sink: Sink<'_>) -> Result<(), QueryError> {
        let quantiles = self.scalar(q, grid)?;
        self.note_quantiles(&quantiles, q.unwrapped().span);
        let span = arg.unwrapped().span;
        let rows = self.families(arg, grid)?.iter().map(|f| self.quantile_row(f, &quantiles, grid, span)).collect();
        join_same(rows)?.into_iter().try_for_each(sink)
    }

    pub fn histogram_quantiles(&self, args: &[Expr], grid: Grid, sink: Sink<'_>) -> Result<(), QueryError> {
        let label = string(&args[1])?;
        let mut wanted = Vec::new();
        for q in &args[2..] {
            let quantiles = self.scalar(q, grid)?;
            self.note_quantiles(&quantiles, q.unwrapped().span);
            wanted.push(quantiles);
        }
        let span = args[0].unwrapped().span;
        let families = self.families(&args[0], grid)?;
        let mut rows = Vec::new();
        for (family, quantiles) in families.iter().flat_map(|f| wanted.iter().map(move |q| (f, q))) {
            let row = self.quantile_row(family, quantiles, grid, span);
            // A quantile that depends on the step is another label at each.
            let mut by_text: HashMap<String, Row> = HashMap::new();
            for (step, q) in quantiles.iter().enumerate().filter(|(i, _)| row.present(*i)) {
                let text = open_metrics_float(*q);
                let labels = || Arc::new((*row.labels).clone().with(label, text.clone()));
                let part =
                    by_text.entry(text.clone()).or_insert_with(|| Row::empty(labels(), row.drop_name, grid.steps));
                part.values[step] = row.values[step];
            }
            rows.extend(by_text.into_values());
        }
        rows.sort_by(|a, b| a.labels.cmp(&b.labels));
        join_same(rows)?.into_iter().try_for_each(sink)
    }

    fn quantile_row(&self, family: &Family, quantiles: &[f64], grid: Grid, span: Span) -> Row {
        let name = family.name();
        let mut row = Row::empty(family.labels.clone(), true, grid.steps);
        let mut buckets = Vec::new();
        for (step, q) in quantiles.iter().enumerate() {
            row.values[step] = match family.at(step, self, span, &mut buckets) {
                None => continue,
                Some(Form::Classic) => {
                    let (value, forced) = classic::quantile(*q, &mut buckets);
                    if let Some(forced) = forced {
                        self.note(span, Note::ForcedMonotonic { name, t_ms: grid.at(step), forced });
                    }
                    value
                }
                Some(Form::Native(h)) => match native::quantile(*q, h) {
                    native::Quantile::Of(value) => value,
                    native::Quantile::Skewed(value) => {
                        self.note(span, Note::QuantileSkewed { name });
                        value
                    }
                    native::Quantile::AmongNan => {
                        self.note(span, Note::QuantileIsNan { name });
                        f64::NAN
                    }
                },
            };
        }
        row
    }

    pub fn histogram_fraction(&self, args: &[Expr], grid: Grid, sink: Sink<'_>) -> Result<(), QueryError> {
        let (lower, upper) = (self.scalar(&args[0], grid)?, self.scalar(&args[1], grid)?);
        let span = args[2].unwrapped().span;
        let mut rows = Vec::new();
        for family in self.families(&args[2], grid)? {
            let mut row = Row::empty(family.labels.clone(), true, grid.steps);
            let mut buckets = Vec::new();
            for step in 0..grid.steps {
                row.values[step] = match family.at(step, self, span, &mut buckets) {
                    None => continue,
                    Some(Form::Classic) => classic::fraction(lower[step], upper[step], &mut buckets),
                    Some(Form::Native(h)) => {
                        let (value, without_nan) = native::fraction(lower[step], upper[step], h);
                        if without_nan {
                            self.note(span, Note::FractionWithoutNan { name: family.name() });
                        }
                        value
                    }
                };
            }
            rows.push(row);
        }
        join_same(rows)?.into_iter().try_for_each(sink)
    }
}

/// Whole numbers with `.0`, as OpenMetrics writes label values.
fn open_metrics_float(value: f64) -> String {
    let text = tenfold_types::histogram::short_float(value);
    if value.is_finite() && !text.contains(['.', 'e']) { text + ".0" } else { text }
}
