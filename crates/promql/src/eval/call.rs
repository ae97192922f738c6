//! Function calls: which name does what.

use std::sync::Arc;

use tenfold_types::{Labels, MatcherOp};

use super::{
    ABSENT, Context, Grid, Row, Sink, calendar,
    coarse::FromRows,
    counts, histogram, is_absent, math,
    notes::Note,
    over_time as ot,
    range_fn::{self as rf, Extrapolated},
    regression as line,
    select::Aspect,
    window::{Extreme, FloatFn, HistogramFn, WindowFn, WithHistograms},
};
use crate::{
    error::{QueryError, Span},
    functions::Function,
    syntax::ast::{Expr, Kind, RangeMode, Type},
};

/// Functions of a window besides `rate` and its like.
fn window_function(name: &str) -> Option<WindowFn> {
    let rows = FromRows::of(name);
    let floats_only = |floats: FloatFn| WindowFn {
        floats,
        histograms: WithHistograms::Ignore,
        keep_name: false,
        extreme: None,
        rows,
        remarked_at: None,
    };
    let both = |floats: FloatFn, histograms: HistogramFn| WindowFn {
        floats,
        histograms: WithHistograms::Use(histograms),
        keep_name: false,
        extreme: None,
        rows,
        remarked_at: None,
    };
    Some(match name {
        "avg_over_time" => both(ot::avg, ot::histogram_avg),
        "changes" => both(counts::changes, counts::histogram_changes),
        "count_over_time" => both(ot::count, ot::all_count),
        "deriv" => floats_only(line::deriv),
        "double_exponential_smoothing" | "holt_winters" => floats_only(line::double_exponential_smoothing),
        "first_over_time" => WindowFn { keep_name: true, ..both(ot::first, ot::first_of_both) },
        "idelta" => both(rf::idelta, rf::histogram_idelta),
        "irate" => both(rf::irate, rf::histogram_irate),
        "last_over_time" => WindowFn { keep_name: true, ..both(ot::last, ot::last_of_both) },
        "mad_over_time" => floats_only(ot::mad),
        "max_over_time" => WindowFn { extreme: Some(Extreme::Max), ..floats_only(ot::max) },
        "min_over_time" => WindowFn { extreme: Some(Extreme::Min), ..floats_only(ot::min) },
        "predict_linear" => floats_only(line::predict_linear),
        "present_over_time" => both(ot::present, ot::any_present),
        "quantile_over_time" => floats_only(ot::quantile),
        "resets" => both(counts::resets, counts::histogram_resets),
        "stddev_over_time" => floats_only(ot::stddev),
        "stdvar_over_time" => floats_only(ot::stdvar),
        "sum_over_time" => both(ot::sum, ot::histogram_sum),
        "ts_of_first_over_time" => both(ot::ts_of_first, ot::ts_of_first_of_both),
        "ts_of_last_over_time" => both(ot::ts_of_last, ot::ts_of_last_of_both),
        "ts_of_max_over_time" => floats_only(ot::ts_of_max),
        "ts_of_min_over_time" => floats_only(ot::ts_of_min),
        _ => return None,
    })
}

impl Context<'_> {
    pub fn call(
        &self,
        function: &Function,
        args: &[Expr],
        span: Span,
        grid: Grid,
        sink: Sink<'_>,
    ) -> Result<(), QueryError> {
        let name = function.name;
        if let Some(matrix) = args.iter().find(|a| a.value_type() == Type::Matrix) {
            return self.range_call(name, args, matrix, grid, sink);
        }
        if let Some(f) = math::unary(name) {
            return self.each_row(&args[0], grid, &mut |row| with_values(row.map(f).without_name(), &mut *sink));
        }
        if let Some(f) = histogram::of_one(name) {
            return self.each_row(&args[0], grid, &mut |row| {
                let Some(all) = &row.histograms else { return Ok(()) };
                let values = all.iter().map(|h| h.as_ref().map_or(ABSENT, |h| f(h))).collect();
                with_values(Row { labels: row.labels, drop_name: true, values, histograms: None }, &mut *sink)
            });
        }
        match name {
            "absent" => {
                let present = any_present(grid, &mut |each| self.each_row(&args[0], grid, each))?;
                absent_row(&args[0], &present).map_or(Ok(()), sink)
            }
            "clamp" | "clamp_min" | "clamp_max" => self.clamp(name, args, grid, sink),
            "round" => {
                let to = args.get(1).map_or_else(|| Ok(vec![1.0; grid.steps]), |e| self.scalar(e, grid))?;
                self.each_row(&args[0], grid, &mut |row| {
                    with_values(zip(row, |i, v| math::round(v, to[i])), &mut *sink)
                })
            }
            "timestamp" => match &args[0].unwrapped().kind {
                Kind::Selector(selector) => {
                    self.instant_selector(selector, args[0].unwrapped(), grid, Aspect::Timestamp, &mut |row| {
                        sink(row.without_name())
                    })
                }
                _ => self.each_row(&args[0], grid, &mut |mut row| {
                    for step in (0..grid.steps).filter(|i| row.present(*i)).collect::<Vec<_>>() {
                        row.values[step] = grid.at(step) as f64 / 1000.0;
                    }
                    row.histograms = None;
                    sink(row.without_name())
                }),
            },
            "start_timestamp" => match &args[0].unwrapped().kind {
                Kind::Selector(selector) => {
                    self.instant_selector(selector, args[0].unwrapped(), grid, Aspect::Start, &mut |row| {
                        sink(row.without_name())
                    })
                }
                // A calculated value has no start.
                _ => self.each_row(&args[0], grid, &mut |_| Ok(())),
            },
            "vector" => sink(Row::bare(self.scalar(&args[0], grid)?)),
            "histogram_quantile" => self.histogram_quantile(&args[0], &args[1], grid, sink),
            "histogram_quantiles" => self.histogram_quantiles(args, grid, sink),
            "histogram_fraction" => self.histogram_fraction(args, grid, sink),
            "info" => self.info(args, grid, sink),
            "label_replace" => self.label_replace(args, grid, sink),
            "label_join" => self.label_join(args, grid, sink),
            "sort" | "sort_desc" | "sort_by_label" | "sort_by_label_desc" => self.sort(name, args, span, grid, sink),
            _ => {
                let part = |s: f64| calendar::part(name, s);
                if part(0.0).is_none() {
                    return Err(QueryError::parse(span, format!("the function `{name}` is not available here")));
                }
                let part = |s: f64| part(s).unwrap_or(f64::NAN);
                match args.first() {
                    Some(arg) => {
                        self.each_row(arg, grid, &mut |row| with_values(row.map(part).without_name(), &mut *sink))
                    }
                    None => sink(Row::bare(grid.times().map(|t| part(t as f64 / 1000.0)).collect())),
                }
            }
        }
    }

    fn range_call(
        &self,
        name: &str,
        args: &[Expr],
        matrix: &Expr,
        grid: Grid,
        sink: Sink<'_>,
    ) -> Result<(), QueryError> {
        let extrapolated = match name {
            "rate" => Some(Extrapolated::Rate),
            "increase" => Some(Extrapolated::Increase),
            "delta" => Some(Extrapolated::Delta),
            _ => None,
        };
        if let Some(kind) = extrapolated {
            return self.extrapolated(kind, matrix, grid, sink);
        }
        if let Kind::Matrix { mode, .. } = &matrix.unwrapped().kind {
            let allowed = match mode {
                RangeMode::Normal => true,
                RangeMode::Anchored => matches!(name, "changes" | "resets"),
                RangeMode::Smoothed => false,
            };
            if !allowed {
                let (word, list) = if *mode == RangeMode::Anchored {
                    ("anchored", "changes, delta, increase, rate, resets")
                } else {
                    ("smoothed", "delta, increase, rate")
                };
                return Err(QueryError::parse(
                    matrix.span,
                    format!("{word} modifier can only be used with: {list} - not with {name}"),
                ));
            }
            if *mode == RangeMode::Anchored {
                return self.anchored_count(name == "resets", matrix, grid, sink);
            }
        }
        if name == "absent_over_time" {
            return absent_row(matrix, &self.present_over(matrix, grid)?).map_or(Ok(()), sink);
        }
        let scalars = args.iter().filter(|a| a.value_type() == Type::Scalar);
        let scalars = scalars.map(|a| self.scalar(a, grid)).collect::<Result<Vec<_>, _>>()?;
        if let "double_exponential_smoothing" | "holt_winters" = name {
            self.check_factors(matrix, grid, &scalars)?;
        }
        let function = window_function(name)
            .ok_or_else(|| QueryError::parse(matrix.span, format!("the function `{name}` is not available here")))?;
        if name != "quantile_over_time" {
            return self.over_windows(matrix, grid, &scalars, function, sink);
        }
        let span = args[0].unwrapped().span;
        let function = WindowFn { remarked_at: Some(span), ..function };
        self.over_windows(matrix, grid, &scalars, function, &mut |row| {
            let used = scalars[0].iter().zip(&row.values).filter(|(_, v)| !is_absent(**v));
            self.note_quantiles(&used.map(|(q, _)| *q).collect::<Vec<_>>(), span);
            sink(row)
        })
    }

    pub fn note_quantiles(&self, values: &[f64], span: Span) {
        let mut before = None;
        for bad in values.iter().filter(|q| q.is_nan() || **q < 0.0 || **q > 1.0) {
            if before.replace(bad.to_bits()) != Some(bad.to_bits()) {
                self.note(span, Note::InvalidQuantile(*bad));
            }
        }
    }

    fn clamp(&self, name: &str, args: &[Expr], grid: Grid, sink: Sink<'_>) -> Result<(), QueryError> {
        let first = self.scalar(&args[1], grid)?;
        let second = args.get(2).map_or_else(|| Ok(Vec::new()), |e| self.scalar(e, grid))?;
        self.each_row(&args[0], grid, &mut |row| {
            let row = zip(row, |i, v| match name {
                "clamp_min" => math::max_of(v, first[i]),
                "clamp_max" => math::min_of(v, first[i]),
                _ if second[i] < first[i] => ABSENT,
                _ => math::max_of(first[i], math::min_of(second[i], v)),
            });
            with_values(row, &mut *sink)
        })
    }

    pub fn scalar_call(&self, name: &str, args: &[Expr], grid: Grid) -> Result<Vec<f64>, QueryError> {
        let seconds = |ms: i64| ms as f64 / 1000.0;
        let constant = |v: f64| vec![v; grid.steps];
        Ok(match name {
            "time" => grid.times().map(seconds).collect(),
            "pi" => constant(std::f64::consts::PI),
            "start" => constant(seconds(self.top.start)),
            "end" => constant(seconds(self.end)),
            // Of an instant, and of a range that is one, there is none.
            "step" => constant(if self.end == self.top.start { 0.0 } else { seconds(self.top.step) }),
            "range" => constant(seconds(self.end - self.top.start)),
            "min_of" | "max_of" => {
                let f = if name == "min_of" { math::min_of } else { math::max_of };
                let (a, b) = (self.scalar(&args[0], grid)?, self.scalar(&args[1], grid)?);
                a.into_iter().zip(b).map(|(a, b)| f(a, b)).collect()
            }
            "scalar" => {
                let mut values = constant(f64::NAN);
                let mut seen = vec![0usize; grid.steps];
                self.each_row(&args[0], grid, &mut |row| {
                    for (i, v) in row.values.iter().enumerate().filter(|(_, v)| !is_absent(**v)) {
                        seen[i] += 1;
                        values[i] = if seen[i] == 1 { *v } else { f64::NAN };
                    }
                    Ok(())
                })?;
                values
            }
            _ => return Err(QueryError::execution(format!("the function `{name}` yields no scalar"))),
        })
    }
}

/// Hands a row over when there is something left in it.
fn with_values(row: Row, sink: Sink<'_>) -> Result<(), QueryError> {
    if row.has_values() { sink(row) } else { Ok(()) }
}

/// Maps each float with its step; histograms and the metric name go.
fn zip(mut row: Row, f: impl Fn(usize, f64) -> f64) -> Row {
    row.histograms = None;
    for (i, v) in row.values.iter_mut().enumerate() {
        if !is_absent(*v) {
            *v = f(i, *v);
        }
    }
    row.without_name()
}

impl Context<'_> {
    /// The steps at which a range has any sample.
    fn present_over(&self, matrix: &Expr, grid: Grid) -> Result<Vec<bool>, QueryError> {
        let present_in = WindowFn {
            floats: ot::present,
            histograms: WithHistograms::Use(ot::any_present),
            keep_name: true,
            extreme: None,
            rows: Some(FromRows::Present),
            remarked_at: None,
        };
        any_present(grid, &mut |each| self.over_windows(matrix, grid, &[], present_in, each))
    }

    /// A factor of smoothing lies between 0 and 1 wherever there is something to smooth.
    fn check_factors(&self, matrix: &Expr, grid: Grid, factors: &[Vec<f64>]) -> Result<(), QueryError> {
        for (what, short, values) in [("smoothing", "sf", &factors[0]), ("trend", "tf", &factors[1])] {
            let bad = |v: f64| v <= 0.0 || v >= 1.0;
            if !values.iter().any(|v| bad(*v)) {
                continue;
            }
            let present = self.present_over(matrix, grid)?;
            if let Some((value, _)) = values.iter().zip(present).find(|(v, present)| *present && bad(**v)) {
                return Err(QueryError::execution(format!(
                    "invalid {what} factor. Expected: 0 < {short} < 1, got: {value:.6}"
                )));
            }
        }
        Ok(())
    }
}

/// At which steps any row has a value.
fn any_present(grid: Grid, run: &mut dyn FnMut(Sink<'_>) -> Result<(), QueryError>) -> Result<Vec<bool>, QueryError> {
    let mut present = vec![false; grid.steps];
    run(&mut |row| {
        for (step, p) in present.iter_mut().enumerate() {
            *p |= row.present(step);
        }
        Ok(())
    })?;
    Ok(present)
}

/// 1 where nothing is present, with the labels an equality matcher of the selector fixes.
fn absent_row(arg: &Expr, present: &[bool]) -> Option<Row> {
    if present.iter().all(|p| *p) {
        return None;
    }
    let matchers = match &arg.unwrapped().kind {
        Kind::Selector(s) | Kind::Matrix { selector: s, .. } => s.matchers.as_slice(),
        _ => &[],
    };
    let mut labels = Labels::new();
    let mut seen: Vec<&str> = Vec::new();
    for m in matchers.iter().filter(|m| m.name != Labels::NAME) {
        if m.op == MatcherOp::Equal && !seen.contains(&m.name.as_str()) {
            labels.set(&m.name, &m.value);
            seen.push(&m.name);
        } else {
            labels.remove(&m.name);
        }
    }
    let values = present.iter().map(|p| if *p { ABSENT } else { 1.0 }).collect();
    Some(Row::new(Arc::new(labels), values))
}
