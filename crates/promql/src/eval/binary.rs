//! Operators between two expressions: arithmetic and comparisons with vector matching, and the set operators.

use std::collections::HashMap;

use tenfold_types::Labels;

use super::{
    Context, Grid, Row, Sink,
    element::{Outcome, element},
    is_absent,
    matching::{Pair, signature},
    row::{ROW_BYTES, join_over_time, join_same},
};
use crate::{
    error::{QueryError, Span},
    syntax::ast::{BinaryOp, Expr, Matching, SetOp, Type},
    value::Sample,
};

pub(crate) fn drops_name(op: BinaryOp, bool_modifier: bool) -> bool {
    bool_modifier || matches!(op, BinaryOp::Arithmetic(_))
}

/// An operator as it stands in the query.
#[derive(Clone, Copy)]
pub(crate) struct Operator {
    pub op: BinaryOp,
    pub bool_modifier: bool,
    pub span: Span,
}

impl Context<'_> {
    pub fn binary(
        &self,
        operator: Operator,
        matching: &Matching,
        lhs: &Expr,
        rhs: &Expr,
        grid: Grid,
        sink: Sink<'_>,
    ) -> Result<(), QueryError> {
        if let BinaryOp::Set(op) = operator.op {
            return self.set(op, matching, lhs, rhs, grid, sink);
        }
        match (lhs.value_type(), rhs.value_type()) {
            (Type::Scalar, _) => {
                let left = self.scalar(lhs, grid)?;
                self.each_row(rhs, grid, &mut |row| self.with_scalar(operator, row, &left, true, &mut *sink))
            }
            (_, Type::Scalar) => {
                let right = self.scalar(rhs, grid)?;
                self.each_row(lhs, grid, &mut |row| self.with_scalar(operator, row, &right, false, &mut *sink))
            }
            _ => {
                let pair = Pair {
                    operator,
                    matching,
                    left: self.rows(lhs, grid)?,
                    right: self.rows(rhs, grid)?,
                    steps: grid.steps,
                };
                join_same(pair.join(self)?)?.into_iter().try_for_each(|row| {
                    // Whoever keeps the row counts it.
                    self.release(row.bytes());
                    sink(row)
                })
            }
        }
    }

    /// A row and a scalar, which stands on the left or on the right.
    fn with_scalar(
        &self,
        operator: Operator,
        mut row: Row,
        scalar: &[f64],
        on_the_left: bool,
        sink: Sink<'_>,
    ) -> Result<(), QueryError> {
        let Operator { op, bool_modifier, .. } = operator;
        if row.histograms.is_none() && !matches!(op, BinaryOp::Trim(_)) {
            for (v, s) in row.values.iter_mut().zip(scalar) {
                if !is_absent(*v) {
                    let (l, r) = if on_the_left { (*s, *v) } else { (*v, *s) };
                    *v = super::element::floats(op, bool_modifier, l, r, *v);
                }
            }
        } else {
            for (step, s) in scalar.iter().enumerate() {
                let Some(sample) = row.sample(step) else { continue };
                let scalar = Sample::Float(*s);
                let (l, r) = if on_the_left { (&scalar, &sample) } else { (&sample, &scalar) };
                match self.noted_element(operator, l, r, &sample) {
                    Some(out) => row.set(step, out),
                    None => row.erase(step),
                }
            }
        }
        row.drop_name |= drops_name(op, bool_modifier);
        if row.has_values() { sink(row) } else { Ok(()) }
    }

    /// What an operator makes of two samples; remarks are made.
    fn noted_element(&self, operator: Operator, left: &Sample, right: &Sample, kept: &Sample) -> Option<Sample> {
        let Outcome { sample, note } = element(operator.op, operator.bool_modifier, left, right, kept);
        if let Some(note) = note {
            self.note(operator.span, note);
        }
        sample
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
        self.hold(deciding.len() * (ROW_BYTES + grid.steps))?;
        let mut present: HashMap<Labels, Vec<bool>> = HashMap::new();
        for row in deciding {
            let at = present.entry(signature(&row.labels, matching)).or_insert_with(|| vec![false; grid.steps]);
            at.iter_mut().enumerate().for_each(|(step, p)| *p |= row.present(step));
        }
        let wanted = op == SetOp::And;
        for row in filtered.iter_mut() {
            let at = present.get(&signature(&row.labels, matching));
            for step in 0..grid.steps {
                if at.is_some_and(|at| at[step]) != wanted {
                    row.erase(step);
                }
            }
        }
        let rows = if op == SetOp::Or { left.into_iter().chain(right).collect() } else { left };
        let rows = if op == SetOp::Or && grid.steps > 1 { join_over_time(rows)? } else { join_same(rows)? };
        rows.into_iter().filter(Row::has_values).try_for_each(sink)
    }
}
