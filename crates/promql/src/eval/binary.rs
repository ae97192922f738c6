//! Operators between two expressions: arithmetic and comparisons with vector matching, and the set operators.

use std::{collections::HashMap, fmt::Write, sync::Arc};

use tenfold_types::Labels;

use super::{ABSENT, Context, Grid, Row, Sink, is_absent, row::strip_name};
use crate::{
    error::QueryError,
    syntax::ast::{BinaryOp, Expr, Matching, SetOp, Side, Type},
};

/// What an operator makes of two values; `ABSENT` when a comparison does not hold.
fn apply(op: BinaryOp, bool_modifier: bool, left: f64, right: f64, kept: f64) -> f64 {
    match op {
        BinaryOp::Arithmetic(op) => op.apply(left, right),
        BinaryOp::Comparison(op) => match (op.apply(left, right), bool_modifier) {
            (holds, true) => f64::from(u8::from(holds)),
            (true, false) => kept,
            (false, false) => ABSENT,
        },
        BinaryOp::Set(_) => ABSENT,
    }
}

fn drops_name(op: BinaryOp, bool_modifier: bool) -> bool {
    bool_modifier || matches!(op, BinaryOp::Arithmetic(_))
}

/// The labels by which rows of the two sides meet.
fn signature(labels: &Labels, matching: &Matching) -> Labels {
    if matching.on {
        let pairs = matching.labels.iter().filter_map(|n| labels.get(n).map(|v| (n.as_str(), v)));
        return Labels::from_pairs(pairs);
    }
    let mut out = labels.clone();
    out.remove(Labels::NAME);
    matching.labels.iter().for_each(|n| out.remove(n));
    out
}

/// Labels the way Prometheus' messages write them.
fn shown(labels: &Labels) -> String {
    let mut out = String::from("{");
    for (i, (name, value)) in labels.iter().enumerate() {
        let _ = write!(out, "{}{name}={value:?}", if i > 0 { ", " } else { "" });
    }
    out.push('}');
    out
}

fn by_signature(rows: &[Row], matching: &Matching) -> HashMap<Labels, Vec<usize>> {
    let mut out: HashMap<Labels, Vec<usize>> = HashMap::with_capacity(rows.len());
    for (i, row) in rows.iter().enumerate() {
        out.entry(signature(&row.labels, matching)).or_default().push(i);
    }
    out
}

/// The values of several rows as one; `None` where more than one is present at a step.
fn merged(rows: &[Row], members: &[usize], step: usize) -> Option<f64> {
    let mut value = ABSENT;
    for i in members {
        let v = rows[*i].values[step];
        if !is_absent(v) {
            if !is_absent(value) {
                return None;
            }
            value = v;
        }
    }
    Some(value)
}

impl Context<'_> {
    #[expect(clippy::too_many_arguments, reason = "the parts of one syntax node")]
    pub fn binary(
        &self,
        op: BinaryOp,
        bool_modifier: bool,
        matching: &Matching,
        lhs: &Expr,
        rhs: &Expr,
        grid: Grid,
        sink: Sink<'_>,
    ) -> Result<(), QueryError> {
        if let BinaryOp::Set(op) = op {
            return self.set(op, matching, lhs, rhs, grid, sink);
        }
        let name = drops_name(op, bool_modifier);
        let finish = |mut row: Row| {
            row.drop_name |= name;
            if row.has_values() { Some(row) } else { None }
        };
        match (lhs.value_type(), rhs.value_type()) {
            (Type::Scalar, _) => {
                let left = self.scalar(lhs, grid)?;
                self.each_row(rhs, grid, &mut |mut row| {
                    for (v, l) in row.values.iter_mut().zip(&left) {
                        if !is_absent(*v) {
                            *v = apply(op, bool_modifier, *l, *v, *v);
                        }
                    }
                    finish(row).map_or(Ok(()), &mut *sink)
                })
            }
            (_, Type::Scalar) => {
                let right = self.scalar(rhs, grid)?;
                self.each_row(lhs, grid, &mut |mut row| {
                    for (v, r) in row.values.iter_mut().zip(&right) {
                        if !is_absent(*v) {
                            *v = apply(op, bool_modifier, *v, *r, *v);
                        }
                    }
                    finish(row).map_or(Ok(()), &mut *sink)
                })
            }
            _ => {
                let pair = Pair {
                    op,
                    bool_modifier,
                    matching,
                    left: self.rows(lhs, grid)?,
                    right: self.rows(rhs, grid)?,
                    steps: grid.steps,
                };
                pair.join()?.into_iter().try_for_each(sink)
            }
        }
    }

    fn set(
        &self,
        op: SetOp,
        matching: &Matching,
        lhs: &Expr,
        rhs: &Expr,
        grid: Grid,
        sink: Sink<'_>,
    ) -> Result<(), QueryError> {
        let (mut left, mut right) = (self.rows(lhs, grid)?, self.rows(rhs, grid)?);
        // Which steps each signature is present at, on the side that decides.
        let (deciding, filtered) = if op == SetOp::Or { (&left, &mut right) } else { (&right, &mut left) };
        let mut present: HashMap<Labels, Vec<bool>> = HashMap::new();
        for row in deciding {
            let at = present.entry(signature(&row.labels, matching)).or_insert_with(|| vec![false; grid.steps]);
            at.iter_mut().zip(&row.values).for_each(|(p, v)| *p |= !is_absent(*v));
        }
        let wanted = op == SetOp::And;
        for row in filtered.iter_mut() {
            let at = present.get(&signature(&row.labels, matching));
            for (i, v) in row.values.iter_mut().enumerate() {
                if at.is_some_and(|at| at[i]) != wanted {
                    *v = ABSENT;
                }
            }
        }
        let rows = if op == SetOp::Or { left.into_iter().chain(right).collect() } else { left };
        rows.into_iter().filter(Row::has_values).try_for_each(sink)
    }
}

/// Two vectors to be joined.
struct Pair<'a> {
    op: BinaryOp,
    bool_modifier: bool,
    matching: &'a Matching,
    left: Vec<Row>,
    right: Vec<Row>,
    steps: usize,
}

impl Pair<'_> {
    fn many_is_right(&self) -> bool {
        self.matching.side == Side::ManyRight
    }

    fn join(self) -> Result<Vec<Row>, QueryError> {
        let (many, one) = if self.many_is_right() { (&self.right, &self.left) } else { (&self.left, &self.right) };
        let ones = by_signature(one, self.matching);
        let manys = by_signature(many, self.matching);
        self.check_one(&ones, one, many)?;
        if self.matching.side == Side::OneToOne {
            self.check_many(&manys, many, &ones, one)?;
        }
        // Prometheus does not swap the fill values with the sides: with `group_right` the left one stands for "many" too.
        let (fill_many, fill_one) = (self.matching.fill_left, self.matching.fill_right);
        let mut out = Vec::new();
        for row in many {
            let members = ones.get(&signature(&row.labels, self.matching)).map_or(&[][..], Vec::as_slice);
            for i in members {
                let other = &one[*i];
                let values = self.values(&row.values, &other.values);
                self.emit(&mut out, self.labels(&row.labels, Some(&other.labels)), row.drop_name, values);
            }
            if let Some(fill) = fill_one {
                let missing: Vec<f64> = (0..self.steps)
                    .map(|s| if members.iter().all(|i| is_absent(one[*i].values[s])) { fill } else { ABSENT })
                    .collect();
                let values = self.values(&row.values, &missing);
                self.emit(&mut out, self.labels(&row.labels, None), row.drop_name, values);
            }
        }
        if let Some(fill) = fill_many {
            for (key, members) in &ones {
                let others = manys.get(key).map_or(&[][..], Vec::as_slice);
                for i in members {
                    let missing: Vec<f64> = (0..self.steps)
                        .map(|s| if others.iter().all(|o| is_absent(many[*o].values[s])) { fill } else { ABSENT })
                        .collect();
                    let values = self.values(&missing, &one[*i].values);
                    let mut labels = key.clone();
                    self.include(&mut labels, Some(&one[*i].labels));
                    self.emit(&mut out, labels, false, values);
                }
            }
        }
        if self.matching.side != Side::OneToOne {
            super::row::join_same(out.clone()).map_err(|_| {
                QueryError::execution("multiple matches for labels: grouping labels must ensure unique matches")
            })?;
        }
        Ok(out)
    }

    fn emit(&self, out: &mut Vec<Row>, labels: Labels, drop_name: bool, values: Vec<f64>) {
        let drop_name = drop_name || drops_name(self.op, self.bool_modifier);
        let row = Row { labels: Arc::new(labels), drop_name, values };
        if row.has_values() {
            out.push(row);
        }
    }

    fn values(&self, many: &[f64], one: &[f64]) -> Vec<f64> {
        let swap = self.many_is_right();
        many.iter()
            .zip(one)
            .map(|(m, o)| {
                if is_absent(*m) || is_absent(*o) {
                    return ABSENT;
                }
                let (l, r) = if swap { (*o, *m) } else { (*m, *o) };
                apply(self.op, self.bool_modifier, l, r, l)
            })
            .collect()
    }

    fn labels(&self, many: &Labels, one: Option<&Labels>) -> Labels {
        let mut out = if drops_name(self.op, self.bool_modifier) { strip_name(many) } else { many.clone() };
        if self.matching.side == Side::OneToOne {
            if self.matching.on {
                out = Labels::from_pairs(
                    self.matching.labels.iter().filter_map(|n| many.get(n).map(|v| (n.as_str(), v))),
                );
            } else {
                self.matching.labels.iter().for_each(|n| out.remove(n));
            }
        }
        self.include(&mut out, one);
        out
    }

    fn include(&self, out: &mut Labels, one: Option<&Labels>) {
        for name in &self.matching.include {
            out.set(name, one.and_then(|l| l.get(name)).unwrap_or_default());
        }
    }

    /// The "one" side may have one row per signature and step.
    fn check_one(&self, ones: &HashMap<Labels, Vec<usize>>, one: &[Row], many: &[Row]) -> Result<(), QueryError> {
        let filled = self.matching.fill_left.or(self.matching.fill_right).is_some();
        for (key, members) in ones.iter().filter(|(_, m)| m.len() > 1) {
            for step in 0..self.steps {
                let asked = || filled || many.iter().any(|r| !is_absent(r.values[step]));
                if merged(one, members, step).is_some() || !asked() {
                    continue;
                }
                let mut names: Vec<String> = members
                    .iter()
                    .filter(|i| !is_absent(one[**i].values[step]))
                    .map(|i| shown(&one[*i].labels))
                    .collect();
                names.sort_unstable();
                let side = if self.many_is_right() { "left" } else { "right" };
                return Err(QueryError::execution(format!(
                    "found duplicate series for the match group {} on the {side} hand-side of the operation: [{}, {}];many-to-many matching not allowed: matching labels must be unique on one side",
                    shown(key),
                    names[0],
                    names[1],
                )));
            }
        }
        Ok(())
    }

    /// Without a grouping, the other side may not have several either where there is something to match.
    fn check_many(
        &self,
        manys: &HashMap<Labels, Vec<usize>>,
        many: &[Row],
        ones: &HashMap<Labels, Vec<usize>>,
        one: &[Row],
    ) -> Result<(), QueryError> {
        let filled = self.matching.fill_right.is_some();
        for (key, members) in manys.iter().filter(|(_, m)| m.len() > 1) {
            for step in 0..self.steps {
                if merged(many, members, step).is_some() {
                    continue;
                }
                let matched = ones.get(key).is_some_and(|o| o.iter().any(|i| !is_absent(one[*i].values[step])));
                if matched || filled {
                    return Err(QueryError::execution(
                        "multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)",
                    ));
                }
            }
        }
        Ok(())
    }
}
