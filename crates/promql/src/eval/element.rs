//! One operator on two samples: floats, histograms, or one of each.

use std::sync::Arc;

use tenfold_types::{Histogram, ResetHint, histogram::Incompatible};

use super::{
    ABSENT, native,
    notes::{Note, Operation},
};
use crate::{
    syntax::ast::{ArithmeticOp, BinaryOp, ComparisonOp, TrimOp},
    value::Sample,
};

/// What an operator makes of two floats; `ABSENT` when a comparison does not hold.
#[inline]
pub(crate) fn floats(op: BinaryOp, bool_modifier: bool, left: f64, right: f64, kept: f64) -> f64 {
    match op {
        BinaryOp::Arithmetic(op) => op.apply(left, right),
        BinaryOp::Comparison(op) => match (op.apply(left, right), bool_modifier) {
            (holds, true) => f64::from(u8::from(holds)),
            (true, false) => kept,
            (false, false) => ABSENT,
        },
        BinaryOp::Set(_) | BinaryOp::Trim(_) => ABSENT,
    }
}

pub(crate) struct Outcome {
    pub sample: Option<Sample>,
    pub note: Option<Note<'static>>,
}

impl Outcome {
    fn of(histogram: Histogram) -> Self {
        Self { sample: Some(Sample::Histogram(Arc::new(histogram))), note: None }
    }
}

/// `kept` is what a comparison that holds leaves.
pub(crate) fn element(op: BinaryOp, bool_modifier: bool, left: &Sample, right: &Sample, kept: &Sample) -> Outcome {
    let impossible = |left, right| Outcome {
        sample: None,
        note: Some(Note::IncompatibleTypes { left, operator: op.sign(), right }),
    };
    match (left, right) {
        (Sample::Float(_), Sample::Float(_)) if matches!(op, BinaryOp::Trim(_)) => impossible("float", "float"),
        (Sample::Float(l), Sample::Float(r)) => {
            let kept = kept.float().unwrap_or(*l);
            let value = floats(op, bool_modifier, *l, *r, kept);
            Outcome { sample: Some(value).filter(|v| !super::is_absent(*v)).map(Sample::Float), note: None }
        }
        (Sample::Float(factor), Sample::Histogram(h)) => match op {
            BinaryOp::Arithmetic(ArithmeticOp::Mul) => Outcome::of(scaled(h, |h| h.multiply(*factor))),
            _ => impossible("float", "histogram"),
        },
        (Sample::Histogram(h), Sample::Float(value)) => match op {
            BinaryOp::Arithmetic(ArithmeticOp::Mul) => Outcome::of(scaled(h, |h| h.multiply(*value))),
            BinaryOp::Arithmetic(ArithmeticOp::Div) => Outcome::of(scaled(h, |h| h.divide(*value))),
            BinaryOp::Trim(trim) => Outcome::of(native::trimmed(h, *value, trim == TrimOp::Below)),
            _ => impossible("histogram", "float"),
        },
        (Sample::Histogram(l), Sample::Histogram(r)) => match op {
            BinaryOp::Arithmetic(ArithmeticOp::Add) => combined(op, l, r, Operation::Addition),
            BinaryOp::Arithmetic(ArithmeticOp::Sub) => combined(op, l, r, Operation::Subtraction),
            BinaryOp::Comparison(compare @ (ComparisonOp::Equal | ComparisonOp::NotEqual)) => {
                let holds = l.same_as(r) == (compare == ComparisonOp::Equal);
                let sample = if bool_modifier {
                    Some(Sample::Float(f64::from(u8::from(holds))))
                } else {
                    holds.then(|| left.clone())
                };
                Outcome { sample, note: None }
            }
            _ => impossible("histogram", "histogram"),
        },
    }
}

fn scaled(h: &Histogram, scale: impl Fn(&mut Histogram)) -> Histogram {
    let mut out = h.clone();
    scale(&mut out);
    out.compact();
    out
}

fn combined(op: BinaryOp, l: &Histogram, r: &Histogram, operation: Operation) -> Outcome {
    let subtracts = operation == Operation::Subtraction;
    let result = if subtracts { l.minus(r) } else { l.plus(r) };
    let (mut histogram, added) = match result {
        Ok(both) => both,
        Err(Incompatible) => {
            return Outcome { sample: None, note: Some(Note::BucketLayout { operator: op.sign() }) };
        }
    };
    if subtracts {
        histogram.reset_hint = ResetHint::Gauge;
    }
    histogram.compact();
    let note = if added.resets_conflict {
        Some(Note::ResetsConflict(operation))
    } else {
        added.bounds_reconciled.then_some(Note::BoundsReconciled(operation))
    };
    Outcome { note, ..Outcome::of(histogram) }
}
