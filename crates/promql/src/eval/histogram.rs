//! Classic histograms: series with a label `le`, the cumulative counts up to that bound.

use std::{collections::HashMap, sync::Arc};

use tenfold_types::Labels;

use super::{ABSENT, Context, Grid, Row, Sink, is_absent, row::join_same, string};
use crate::{
    error::{Level, QueryError, Span},
    syntax::ast::Expr,
};

#[derive(Debug, Clone, Copy)]
struct Bucket {
    bound: f64,
    count: f64,
}

/// The buckets of one histogram, one row per bound.
struct Histogram {
    labels: Arc<Labels>,
    rows: Vec<(f64, Vec<f64>)>,
}

impl Histogram {
    fn at(&self, step: usize) -> Vec<Bucket> {
        let present = self.rows.iter().filter(|(_, values)| !is_absent(values[step]));
        present.map(|(bound, values)| Bucket { bound: *bound, count: values[step] }).collect()
    }
}

/// Counts that differ by less than this share are taken as equal.
const SMALL_DELTA: f64 = 1e-12;

impl Context<'_> {
    fn histograms(&self, arg: &Expr, grid: Grid) -> Result<Vec<Histogram>, QueryError> {
        let mut by_labels: HashMap<(Labels, bool), usize> = HashMap::new();
        let mut out: Vec<Histogram> = Vec::new();
        let mut bad: Option<(String, String)> = None;
        self.each_row(arg, grid, &mut |row| {
            let le = row.labels.get("le").unwrap_or_default();
            let Some(bound) = parse_bound(le) else {
                bad.get_or_insert_with(|| (le.to_string(), row.labels.metric_name().unwrap_or_default().to_string()));
                return Ok(());
            };
            let mut labels = (*row.labels).clone();
            labels.remove("le");
            let slot = *by_labels.entry((labels.clone(), row.drop_name)).or_insert_with(|| {
                out.push(Histogram { labels: Arc::new(labels), rows: Vec::new() });
                out.len() - 1
            });
            out[slot].rows.push((bound, row.values));
            Ok(())
        })?;
        if let Some((le, name)) = bad {
            let message = format!(
                "bucket label \"le\" is missing or has a malformed value of \"{le}\" for metric name \"{name}\""
            );
            self.annotate(Level::Warning, arg.span, message);
        }
        Ok(out)
    }

    pub fn histogram_quantile(&self, q: &Expr, arg: &Expr, grid: Grid, sink: Sink<'_>) -> Result<(), QueryError> {
        let quantiles = self.scalar(q, grid)?;
        self.note_quantiles(&quantiles, q.span);
        let histograms = self.histograms(arg, grid)?;
        let rows = histograms.iter().map(|h| self.quantile_row(h, &quantiles, arg.span)).collect();
        join_same(rows)?.into_iter().try_for_each(sink)
    }

    pub fn histogram_quantiles(&self, args: &[Expr], grid: Grid, sink: Sink<'_>) -> Result<(), QueryError> {
        let label = string(&args[1])?;
        let histograms = self.histograms(&args[0], grid)?;
        let mut rows = Vec::new();
        for q in &args[2..] {
            let quantiles = self.scalar(q, grid)?;
            self.note_quantiles(&quantiles, q.span);
            let shown = open_metrics_float(quantiles[0]);
            for h in &histograms {
                let mut row = self.quantile_row(h, &quantiles, args[0].span);
                row.labels = Arc::new((*row.labels).clone().with(label, shown.clone()));
                rows.push(row);
            }
        }
        join_same(rows)?.into_iter().try_for_each(sink)
    }

    fn quantile_row(&self, h: &Histogram, quantiles: &[f64], span: Span) -> Row {
        let mut forced = false;
        let values = quantiles
            .iter()
            .enumerate()
            .map(|(i, q)| {
                let buckets = h.at(i);
                if buckets.is_empty() { ABSENT } else { quantile(*q, buckets, &mut forced) }
            })
            .collect();
        if forced {
            let name = h.labels.metric_name().unwrap_or_default();
            let message = format!(
                "input to histogram_quantile needed to be fixed for monotonicity (see https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile) for metric name \"{name}\""
            );
            self.annotate(Level::Info, span, message);
        }
        Row { labels: h.labels.clone(), drop_name: true, values }
    }

    pub fn histogram_fraction(&self, args: &[Expr], grid: Grid, sink: Sink<'_>) -> Result<(), QueryError> {
        let (lower, upper) = (self.scalar(&args[0], grid)?, self.scalar(&args[1], grid)?);
        let rows = self
            .histograms(&args[2], grid)?
            .iter()
            .map(|h| {
                let value = |i: usize| {
                    let buckets = h.at(i);
                    if buckets.is_empty() { ABSENT } else { fraction(lower[i], upper[i], buckets) }
                };
                Row { labels: h.labels.clone(), drop_name: true, values: (0..grid.steps).map(value).collect() }
            })
            .collect();
        join_same(rows)?.into_iter().try_for_each(sink)
    }
}

/// Whole numbers with `.0`, as OpenMetrics writes label values.
fn open_metrics_float(value: f64) -> String {
    let text = crate::value::format_float(value);
    if value.is_finite() && !text.contains(['.', 'e']) { text + ".0" } else { text }
}

fn parse_bound(le: &str) -> Option<f64> {
    match le.trim_start_matches('+') {
        "" => None,
        other => other.parse().ok(),
    }
}

/// Sorted by bound, equal bounds added up; `None` without a bucket up to infinity.
#[expect(clippy::float_cmp, reason = "equal bounds are written differently but parse to the same float")]
fn prepare(mut buckets: Vec<Bucket>) -> Option<Vec<Bucket>> {
    buckets.sort_by(|a, b| a.bound.total_cmp(&b.bound));
    if buckets.last()?.bound != f64::INFINITY {
        return None;
    }
    buckets.dedup_by(|next, kept| {
        let same = next.bound == kept.bound;
        if same {
            kept.count += next.count;
        }
        same
    });
    Some(buckets)
}

/// Lifts counts that fall, which happens when buckets are scraped or rated apart. Returns whether one fell noticeably.
#[expect(clippy::float_cmp, reason = "equality is the common case and needs no tolerance")]
fn make_monotonic(buckets: &mut [Bucket]) -> bool {
    let mut forced = false;
    let mut before = buckets[0].count;
    for b in &mut buckets[1..] {
        if b.count == before {
            continue;
        }
        if nearly(before, b.count) {
            b.count = before;
        } else if b.count < before {
            b.count = before;
            forced = true;
        } else {
            before = b.count;
        }
    }
    forced
}

fn nearly(a: f64, b: f64) -> bool {
    let sum = a.abs() + b.abs();
    (a - b).abs() / sum.min(f64::MAX) < SMALL_DELTA
}

fn quantile(q: f64, buckets: Vec<Bucket>, forced: &mut bool) -> f64 {
    if q.is_nan() {
        return f64::NAN;
    }
    if q < 0.0 {
        return f64::NEG_INFINITY;
    }
    if q > 1.0 {
        return f64::INFINITY;
    }
    let Some(mut buckets) = prepare(buckets) else { return f64::NAN };
    *forced |= make_monotonic(&mut buckets);
    let last = buckets.len() - 1;
    let observations = buckets[last].count;
    if last == 0 || observations == 0.0 || observations.is_nan() {
        return f64::NAN;
    }
    let mut rank = q * observations;
    let b = buckets[..last].partition_point(|b| b.count < rank);
    if b == last {
        return buckets[last - 1].bound;
    }
    if b == 0 && buckets[0].bound <= 0.0 {
        return buckets[0].bound;
    }
    let (mut start, mut count) = (0.0, buckets[b].count);
    if b > 0 {
        start = buckets[b - 1].bound;
        count -= buckets[b - 1].count;
        rank -= buckets[b - 1].count;
    }
    start + (buckets[b].bound - start) * (rank / count)
}

fn fraction(lower: f64, upper: f64, buckets: Vec<Bucket>) -> f64 {
    let Some(mut buckets) = prepare(buckets) else { return f64::NAN };
    make_monotonic(&mut buckets);
    let count = buckets[buckets.len() - 1].count;
    if count == 0.0 || lower.is_nan() || upper.is_nan() {
        return f64::NAN;
    }
    if lower >= upper {
        return 0.0;
    }
    (rank_of(upper, &buckets) - rank_of(lower, &buckets)) / count
}

/// How many observations lie below a value, with those of its own bucket spread evenly.
fn rank_of(value: f64, buckets: &[Bucket]) -> f64 {
    let mut below = Bucket { bound: if buckets[0].bound > 0.0 { 0.0 } else { f64::NEG_INFINITY }, count: 0.0 };
    for b in buckets {
        if below.bound >= value {
            return below.count;
        }
        if below.bound == f64::NEG_INFINITY && b.bound > value {
            // Nothing can be interpolated over an infinite width.
            return b.count;
        }
        if b.bound > value {
            let share = (value - below.bound) / (b.bound - below.bound);
            return below.count + (b.count - below.count) * if share.is_nan() { 0.0 } else { share };
        }
        below = *b;
    }
    buckets[buckets.len() - 1].count
}
