//! `info(v, {selector})`: adds to each series the labels of its info series, found by `instance` and `job`.
//!
//! Which info series counts is asked at the instant the base samples were read at (`offset`, `@` and subqueries of the
//! first argument shift it too). Labels the series already has are never overwritten.

use std::{
    cmp::Ordering,
    collections::{HashMap, hash_map::Entry},
    sync::Arc,
};

use tenfold_types::pattern::whole;
use tenfold_types::{Labels, Matcher, MatcherOp, is_stale};

use super::{Context, Grid, Row, Sink, matching::shown, select::Shifted};
use crate::{
    error::QueryError,
    source::Run,
    syntax::ast::{Expr, Kind, Shift},
};

/// What a series and its info series have in common.
const IDENTIFYING: [&str; 2] = ["instance", "job"];

/// An info series with the value and instant it has at each step.
struct Info {
    labels: Arc<Labels>,
    /// The instant of the newest sample at each step.
    seen: Vec<Option<i64>>,
}

struct Test(Matcher, Option<regex::Regex>);

impl Test {
    fn new(matcher: &Matcher) -> Result<Self, QueryError> {
        let regex = match matcher.op {
            MatcherOp::Regex | MatcherOp::NotRegex => Some(
                whole(&matcher.value)
                    .map_err(|_| QueryError::execution(format!("the regular expression of {matcher} is not valid")))?,
            ),
            MatcherOp::Equal | MatcherOp::NotEqual => None,
        };
        Ok(Self(matcher.clone(), regex))
    }
    fn matches(&self, value: &str) -> bool {
        let hit = self.1.as_ref().map_or(self.0.value == value, |r| r.is_match(value));
        hit == matches!(self.0.op, MatcherOp::Equal | MatcherOp::Regex)
    }
}

/// The matchers of the second argument, with the default name where none is asked for.
fn info_matchers(selector: Option<&Expr>) -> Vec<Matcher> {
    let mut matchers = match selector.map(|e| &e.unwrapped().kind) {
        Some(Kind::Selector(s)) => s.matchers.clone(),
        _ => Vec::new(),
    };
    let names: Vec<_> = matchers.iter().filter(|m| m.name == Labels::NAME).map(|m| m.op).collect();
    if names.is_empty() {
        matchers.push(Matcher::equal(Labels::NAME, "target_info"));
    } else if names.iter().all(|op| matches!(op, MatcherOp::NotEqual | MatcherOp::NotRegex)) {
        matchers.push(Matcher::new(Labels::NAME, MatcherOp::Regex, ".+_info"));
    }
    matchers
}

/// The shifts from a step's instant to the one at which the base samples are read, outermost first.
fn base_shifts<'e>(expr: &'e Expr, out: &mut Vec<&'e Shift>) -> bool {
    match &expr.kind {
        Kind::Selector(s) | Kind::Matrix { selector: s, .. } => {
            out.push(&s.shift);
            true
        }
        Kind::Subquery { expr, shift, .. } => {
            out.push(shift);
            base_shifts(expr, out) || out.pop().is_none()
        }
        Kind::Paren(e) | Kind::Unary { expr: e, .. } | Kind::Aggregate { expr: e, .. } => base_shifts(e, out),
        Kind::Call { args, .. } => args.iter().any(|a| base_shifts(a, out)),
        Kind::Binary { lhs, rhs, .. } => base_shifts(lhs, out) || base_shifts(rhs, out),
        Kind::Number(_) | Kind::Duration(_) | Kind::String(_) | Kind::NotUtf8(_) => false,
    }
}

fn signature(labels: &Labels) -> [&str; 2] {
    IDENTIFYING.map(|n| labels.get(n).unwrap_or_default())
}

impl Context<'_> {
    pub fn info(&self, args: &[Expr], grid: Grid, sink: Sink<'_>) -> Result<(), QueryError> {
        let matchers = info_matchers(args.get(1));
        let (names, data): (Vec<&Matcher>, Vec<&Matcher>) = matchers.iter().partition(|m| m.name == Labels::NAME);
        let name_tests = names.into_iter().map(Test::new).collect::<Result<Vec<_>, _>>()?;
        let required = data.iter().map(|m| Ok(!Test::new(m)?.matches(""))).collect::<Result<Vec<_>, QueryError>>()?;
        let wanted: Vec<&str> = data.iter().map(|m| m.name.as_str()).collect();
        let infos = self.info_series(&args[0], &matchers, grid)?;
        let mut by_signature: HashMap<[&str; 2], Vec<&Info>> = HashMap::new();
        for info in &infos {
            by_signature.entry(signature(&info.labels)).or_default().push(info);
        }
        let required = required.contains(&true);
        self.each_row(&args[0], grid, &mut |row| {
            let name = row.labels.metric_name().unwrap_or_default();
            if name_tests.iter().all(|t| t.matches(name)) {
                return sink(row);
            }
            let key = signature(&row.labels);
            let found = by_signature.get(&key).filter(|_| key != [""; 2]).map_or(&[][..], Vec::as_slice);
            enrich(&row, found, &wanted, required)?.into_iter().try_for_each(&mut *sink)
        })
    }

    fn info_series(&self, base: &Expr, matchers: &[Matcher], grid: Grid) -> Result<Vec<Info>, QueryError> {
        let mut shifts = Vec::new();
        base_shifts(base, &mut shifts);
        let shifts: Vec<Shifted> = shifts.into_iter().map(|s| self.shifted(s)).collect::<Result<_, _>>()?;
        let read_at = |t: i64| shifts.iter().fold(t, |t, s| s.at(t));
        let lookback = self.query.lookback_ms;
        let (first, last) = (read_at(grid.start), read_at(grid.end()));
        let mut run = Run::default();
        let mut out = Vec::new();
        for series in self.series(matchers, first.saturating_sub(lookback), last)? {
            self.load(series.samples, false, &mut run)?;
            if !run.histograms.is_empty() {
                return Err(QueryError::execution(format!(
                    "this should be an info metric, with float samples: {}",
                    series.labels
                )));
            }
            let points = &run.floats;
            let newest = |t: i64| {
                let at = read_at(t);
                let i = points.partition_point(|p| p.t_ms <= at).checked_sub(1)?;
                let fresh = points[i].t_ms > at.saturating_sub(lookback) && !is_stale(points[i].value);
                fresh.then_some(points[i].t_ms)
            };
            out.push(Info { labels: series.labels, seen: grid.times().map(newest).collect() });
        }
        Ok(out)
    }
}

/// One row per set of labels the info series give it over time.
fn enrich(row: &Row, found: &[&Info], wanted: &[&str], required: bool) -> Result<Vec<Row>, QueryError> {
    let mut slots: HashMap<Vec<usize>, usize> = HashMap::new();
    let mut out: Vec<Row> = Vec::new();
    for step in 0..row.values.len() {
        let Some(sample) = row.sample(step) else { continue };
        let chosen = newest_of_each_name(found, step)?;
        if chosen.is_empty() && required {
            continue;
        }
        let slot = if let Some(slot) = slots.get(&chosen) {
            *slot
        } else {
            let labels = with_info(&row.labels, chosen.iter().map(|i| &*found[*i].labels), wanted)?;
            out.push(Row::empty(Arc::new(labels), row.drop_name, row.values.len()));
            slots.insert(chosen, out.len() - 1);
            out.len() - 1
        };
        out[slot].set(step, sample);
    }
    Ok(out)
}

/// Of several info series of one metric, the one with the newest sample. Which of two of one instant is true nobody knows.
fn newest_of_each_name(found: &[&Info], step: usize) -> Result<Vec<usize>, QueryError> {
    let mut best: HashMap<&str, (i64, usize)> = HashMap::new();
    for (i, info) in found.iter().enumerate() {
        let Some(t) = info.seen[step] else { continue };
        match best.entry(info.labels.metric_name().unwrap_or_default()) {
            Entry::Vacant(slot) => {
                slot.insert((t, i));
            }
            Entry::Occupied(mut slot) => match slot.get().0.cmp(&t) {
                Ordering::Greater => {}
                Ordering::Less => {
                    slot.insert((t, i));
                }
                Ordering::Equal => {
                    return Err(QueryError::execution(format!(
                        "found duplicate series for info metric: existing {} @ {t}, new {} @ {t}",
                        shown(&found[slot.get().1].labels),
                        shown(&info.labels)
                    )));
                }
            },
        }
    }
    let mut chosen: Vec<usize> = best.into_values().map(|(_, i)| i).collect();
    chosen.sort_unstable();
    Ok(chosen)
}

fn with_info<'l>(
    base: &Labels,
    infos: impl Iterator<Item = &'l Labels>,
    wanted: &[&str],
) -> Result<Labels, QueryError> {
    let mut added = Labels::new();
    for info in infos {
        for (name, value) in info.iter() {
            let identifies = name == Labels::NAME || IDENTIFYING.contains(&name);
            let asked = wanted.is_empty() || wanted.contains(&name);
            if identifies || !asked || base.get(name).is_some() {
                continue;
            }
            if added.get(name).is_some_and(|v| v != value) {
                return Err(QueryError::execution(format!("conflicting label: {name}")));
            }
            added.set(name, value);
        }
    }
    let mut out = base.clone();
    for (name, value) in added.iter() {
        out.set(name, value);
    }
    Ok(out)
}
