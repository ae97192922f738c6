//! Function calls: which name does what.

use std::sync::Arc;

use tenfold_types::{Labels, MatcherOp};

use super::{
    ABSENT, Context, Grid, Row, Sink, calendar, is_absent, math, over_time as ot,
    range_fn::{self as rf, Extrapolated},
    window::WindowFn,
};
use crate::{
    error::{Level, QueryError, Span},
    functions::Function,
    syntax::ast::{Expr, Kind, RangeMode, Type},
};

/// Functions of a window that take nothing else, and whether they keep the metric name.
fn window_function(name: &str) -> Option<(WindowFn, bool)> {
    let function: WindowFn = match name {
        "avg_over_time" => ot::avg,
        "changes" => rf::changes,
        "count_over_time" => ot::count,
        "deriv" => rf::deriv,
        "double_exponential_smoothing" | "holt_winters" => rf::double_exponential_smoothing,
        "first_over_time" => return Some((ot::first, true)),
        "idelta" => rf::idelta,
        "irate" => rf::irate,
        "last_over_time" => return Some((ot::last, true)),
        "mad_over_time" => ot::mad,
        "max_over_time" => ot::max,
        "min_over_time" => ot::min,
        "predict_linear" => rf::predict_linear,
        "present_over_time" => ot::present,
        "quantile_over_time" => ot::quantile,
        "resets" => rf::resets,
        "stddev_over_time" => ot::stddev,
        "stdvar_over_time" => ot::stdvar,
        "sum_over_time" => ot::sum,
        "ts_of_first_over_time" => ot::ts_of_first,
        "ts_of_last_over_time" => ot::ts_of_last,
        "ts_of_max_over_time" => ot::ts_of_max,
        "ts_of_min_over_time" => ot::ts_of_min,
        _ => return None,
    };
    Some((function, false))
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
            return self.each_row(&args[0], grid, &mut |row| sink(row.map(f).without_name()));
        }
        match name {
            "absent" => {
                let present = any_present(grid, &mut |each| self.each_row(&args[0], grid, each))?;
                absent_row(&args[0], &present).map_or(Ok(()), sink)
            }
            "clamp" | "clamp_min" | "clamp_max" => self.clamp(name, args, grid, sink),
            "round" => {
                let to = args.get(1).map_or_else(|| Ok(vec![1.0; grid.steps]), |e| self.scalar(e, grid))?;
                self.each_row(&args[0], grid, &mut |row| sink(zip(row, |i, v| math::round(v, to[i]))))
            }
            "timestamp" => match &args[0].unwrapped().kind {
                Kind::Selector(selector) => {
                    self.instant_selector(selector, grid, true, &mut |row| sink(row.without_name()))
                }
                _ => self.each_row(&args[0], grid, &mut |row| sink(zip(row, |i, _| grid.at(i) as f64 / 1000.0))),
            },
            "vector" => sink(Row::bare(self.scalar(&args[0], grid)?)),
            "histogram_quantile" => self.histogram_quantile(&args[0], &args[1], grid, sink),
            "histogram_quantiles" => self.histogram_quantiles(args, grid, sink),
            "histogram_fraction" => self.histogram_fraction(args, grid, sink),
            "info" => self.info(args, grid, sink),
            // They read native histograms only; float series have nothing for them.
            "histogram_avg" | "histogram_count" | "histogram_stddev" | "histogram_stdvar" | "histogram_sum" => {
                self.each_row(&args[0], grid, &mut |_| Ok(()))
            }
            "label_replace" => self.label_replace(args, grid, sink),
            "label_join" => self.label_join(args, grid, sink),
            "sort" | "sort_desc" | "sort_by_label" | "sort_by_label_desc" => self.sort(name, args, grid, sink),
            _ => {
                let part = |s: f64| calendar::part(name, s);
                if part(0.0).is_none() {
                    return Err(QueryError::parse(span, format!("the function `{name}` is not available here")));
                }
                let part = |s: f64| part(s).unwrap_or(f64::NAN);
                match args.first() {
                    Some(arg) => self.each_row(arg, grid, &mut |row| sink(row.map(part).without_name())),
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
                return self.anchored_count(name, matrix, grid, sink);
            }
        }
        if name == "absent_over_time" {
            let present =
                any_present(grid, &mut |each| self.over_windows(matrix, grid, &[], true, false, ot::present, each))?;
            return absent_row(matrix, &present).map_or(Ok(()), sink);
        }
        let scalars = args.iter().filter(|a| a.value_type() == Type::Scalar);
        let scalars = scalars.map(|a| self.scalar(a, grid)).collect::<Result<Vec<_>, _>>()?;
        match name {
            "quantile_over_time" => self.note_quantiles(&scalars[0], args[0].span),
            "double_exponential_smoothing" | "holt_winters" => {
                for (what, values) in ["smoothing", "trend"].iter().zip(&scalars) {
                    if let Some(bad) = values.iter().find(|v| **v <= 0.0 || **v >= 1.0) {
                        return Err(QueryError::execution(format!(
                            "invalid {what} factor. Expected: 0 < factor < 1, got: {bad}"
                        )));
                    }
                }
            }
            _ => {}
        }
        let (function, keep_name) = window_function(name)
            .ok_or_else(|| QueryError::parse(matrix.span, format!("the function `{name}` is not available here")))?;
        self.over_windows(matrix, grid, &scalars, keep_name, name == "irate", function, sink)
    }

    /// `changes` and `resets` that also see the last sample before the window.
    fn anchored_count(&self, name: &str, matrix: &Expr, grid: Grid, sink: Sink<'_>) -> Result<(), QueryError> {
        let (function, _) = window_function(name).expect("changes and resets are in the table");
        let lookback = self.query.lookback_ms;
        self.windows(matrix, grid, &mut |series| {
            let mut edges = super::window::Edges::default();
            let values: Vec<f64> = grid
                .times()
                .map(|t| {
                    let (start, end) = series.spec.window(t);
                    let points = edges.slice(series.points, start - lookback, end);
                    if points.last().is_none_or(|p| p.t_ms <= start) {
                        return ABSENT;
                    }
                    let points = &points[rf::anchor(points, start)..];
                    let window = super::window::Window { points, t_ms: t, args: [0.0; 2] };
                    function(&window).unwrap_or(ABSENT)
                })
                .collect();
            let row = Row { labels: series.labels.clone(), drop_name: true, values };
            if row.has_values() { sink(row) } else { Ok(()) }
        })
    }

    pub fn note_quantiles(&self, values: &[f64], span: Span) {
        if let Some(bad) = values.iter().find(|q| q.is_nan() || **q < 0.0 || **q > 1.0) {
            let shown = crate::value::format_float(*bad);
            self.annotate(Level::Warning, span, format!("quantile value should be between 0 and 1, got {shown}"));
        }
    }

    fn clamp(&self, name: &str, args: &[Expr], grid: Grid, sink: Sink<'_>) -> Result<(), QueryError> {
        let first = self.scalar(&args[1], grid)?;
        let second = args.get(2).map_or_else(|| Ok(Vec::new()), |e| self.scalar(e, grid))?;
        self.each_row(&args[0], grid, &mut |row| {
            sink(zip(row, |i, v| match name {
                "clamp_min" => math::max_of(v, first[i]),
                "clamp_max" => math::min_of(v, first[i]),
                _ if second[i] < first[i] => ABSENT,
                _ => math::max_of(first[i], math::min_of(second[i], v)),
            }))
        })
    }

    pub fn scalar_call(&self, name: &str, args: &[Expr], grid: Grid) -> Result<Vec<f64>, QueryError> {
        let seconds = |ms: i64| ms as f64 / 1000.0;
        let constant = |v: f64| vec![v; grid.steps];
        Ok(match name {
            "time" => grid.times().map(seconds).collect(),
            "pi" => constant(std::f64::consts::PI),
            "start" => constant(seconds(self.top.start)),
            "end" => constant(seconds(self.top.end())),
            "step" => constant(seconds(self.top.step)),
            "range" => constant(seconds(self.top.end() - self.top.start)),
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

/// Maps each value with its step; the metric name goes.
fn zip(mut row: Row, f: impl Fn(usize, f64) -> f64) -> Row {
    for (i, v) in row.values.iter_mut().enumerate() {
        if !is_absent(*v) {
            *v = f(i, *v);
        }
    }
    row.without_name()
}

/// At which steps any row has a value.
fn any_present(grid: Grid, run: &mut dyn FnMut(Sink<'_>) -> Result<(), QueryError>) -> Result<Vec<bool>, QueryError> {
    let mut present = vec![false; grid.steps];
    run(&mut |row| {
        for (p, v) in present.iter_mut().zip(&row.values) {
            *p |= !is_absent(*v);
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
    for m in matchers.iter().filter(|m| m.op == MatcherOp::Equal && m.name != Labels::NAME) {
        if matchers.iter().filter(|o| o.name == m.name).count() == 1 {
            labels.set(&m.name, &m.value);
        }
    }
    let values = present.iter().map(|p| if *p { ABSENT } else { 1.0 }).collect();
    Some(Row::new(Arc::new(labels), values))
}
