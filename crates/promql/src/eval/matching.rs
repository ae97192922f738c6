//! Which series of two vectors belong together, and what comes of them.

use std::{collections::HashMap, sync::Arc};

use tenfold_types::Labels;

use super::{
    ABSENT, Context, Row,
    binary::{Operator, drops_name},
    element::{self, Outcome},
    is_absent,
    notes::Note,
    row::{ROW_BYTES, collide, strip_name},
};
use crate::{
    error::QueryError,
    syntax::{
        ast::{BinaryOp, Matching, Side},
        written_label,
    },
    value::Sample,
};

/// The labels by which rows of the two sides meet.
pub(crate) fn signature(labels: &Labels, matching: &Matching) -> Labels {
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
pub(crate) fn shown(labels: &Labels) -> String {
    let all: Vec<String> = labels.iter().map(|(name, value)| written_label(name, value)).collect();
    format!("{{{}}}", all.join(", "))
}

fn by_signature(rows: &[Row], matching: &Matching) -> HashMap<Labels, Vec<usize>> {
    let mut out: HashMap<Labels, Vec<usize>> = HashMap::with_capacity(rows.len());
    for (i, row) in rows.iter().enumerate() {
        out.entry(signature(&row.labels, matching)).or_default().push(i);
    }
    out
}

/// How many of several rows are present at a step.
fn present(rows: &[Row], members: &[usize], step: usize) -> usize {
    members.iter().filter(|i| rows[**i].present(step)).count()
}

/// 1 where both rows have a float.
fn both_floats(many: &Row, one: &Row, labels: Arc<Labels>) -> Row {
    let both = |(m, o): (&f64, &f64)| if is_absent(*m) || is_absent(*o) { ABSENT } else { 1.0 };
    let values = many.values.iter().zip(&one.values).map(both).collect();
    Row { drop_name: many.drop_name, ..Row::new(labels, values) }
}

/// Two vectors to be joined.
pub(crate) struct Pair<'a> {
    pub operator: Operator,
    pub matching: &'a Matching,
    pub left: Vec<Row>,
    pub right: Vec<Row>,
    pub steps: usize,
}

impl Pair<'_> {
    fn many_is_right(&self) -> bool {
        self.matching.side == Side::ManyRight
    }

    /// The joined rows. They are held against the query's limit until whoever asked lets them go.
    pub fn join(self, c: &Context<'_>) -> Result<Vec<Row>, QueryError> {
        let (many, one) = if self.many_is_right() { (&self.right, &self.left) } else { (&self.left, &self.right) };
        // The two tables, and the labels that are made.
        c.hold((one.len() + 2 * many.len()) * ROW_BYTES)?;
        let ones = by_signature(one, self.matching);
        let manys = by_signature(many, self.matching);
        self.check_one(&ones, one, many)?;
        if self.matching.side == Side::OneToOne {
            self.check_many(&manys, many, &ones, one)?;
        }
        // Prometheus does not swap the fill values with the sides: with `group_right` the left one stands for "many" too.
        let (fill_many, fill_one) = (self.matching.fill_left, self.matching.fill_right);
        let grouped = self.matching.side != Side::OneToOne;
        let mut out = Vec::new();
        // What a comparison leaves out has to be unique as well: two alike may hold at once some day.
        let mut compared = Vec::new();
        // The last remark of each step: as in Prometheus, of several made at one step the others are not told.
        let mut remarks = Vec::new();
        for row in many {
            let key = signature(&row.labels, self.matching);
            let members = ones.get(&key).map_or(&[][..], Vec::as_slice);
            for i in members {
                let labels = self.labels(&row.labels, &one[*i].labels);
                if grouped && self.leaves_out() {
                    let both = both_floats(row, &one[*i], Arc::new(labels.clone()));
                    c.hold(both.bytes())?;
                    compared.push(both);
                }
                let joined = self.combine(&mut remarks, row, &one[*i]);
                self.emit(c, &mut out, labels, row.drop_name, joined)?;
            }
            if let Some(fill) = fill_one {
                let filled = |s: usize| if present(one, members, s) == 0 { fill } else { ABSENT };
                let missing = Row::bare((0..self.steps).map(filled).collect());
                let joined = self.combine(&mut remarks, row, &missing);
                // The labels that stand for the missing side are those by which the two would have met.
                self.emit(c, &mut out, self.labels(&row.labels, &key), row.drop_name, joined)?;
            }
        }
        if let Some(fill) = fill_many {
            for row in one {
                let key = signature(&row.labels, self.matching);
                let others = manys.get(&key).map_or(&[][..], Vec::as_slice);
                let filled = |s: usize| if present(many, others, s) == 0 { fill } else { ABSENT };
                let missing = Row::bare((0..self.steps).map(filled).collect());
                let joined = self.combine(&mut remarks, &missing, row);
                self.emit(c, &mut out, self.labels(&key, &row.labels), false, joined)?;
            }
        }
        remarks.into_iter().flatten().for_each(|note| c.note(self.operator.span, note));
        let ambiguous = grouped && (collide(&compared) || collide(&out));
        for row in &compared {
            c.release(row.bytes());
        }
        if ambiguous {
            return Err(QueryError::execution(
                "multiple matches for labels: grouping labels must ensure unique matches",
            ));
        }
        Ok(out)
    }

    fn emit(
        &self,
        c: &Context<'_>,
        out: &mut Vec<Row>,
        labels: Labels,
        drop_name: bool,
        mut row: Row,
    ) -> Result<(), QueryError> {
        if row.has_values() {
            c.hold(row.bytes())?;
            row.drop_name = drop_name || drops_name(self.operator.op, self.operator.bool_modifier);
            row.labels = Arc::new(labels);
            out.push(row);
        }
        Ok(())
    }

    fn combine(&self, remarks: &mut Vec<Option<Note<'static>>>, many: &Row, one: &Row) -> Row {
        let swap = self.many_is_right();
        let Operator { op, bool_modifier, .. } = self.operator;
        let plain = many.histograms.is_none() && one.histograms.is_none() && !matches!(op, BinaryOp::Trim(_));
        if plain {
            let value = |(m, o): (&f64, &f64)| {
                if is_absent(*m) || is_absent(*o) {
                    return ABSENT;
                }
                let (l, r) = if swap { (*o, *m) } else { (*m, *o) };
                element::floats(op, bool_modifier, l, r, l)
            };
            return Row::bare(many.values.iter().zip(&one.values).map(value).collect());
        }
        let mut out = Row::empty(Arc::default(), false, self.steps);
        for step in 0..self.steps {
            let (Some(many), Some(one)) = (many.sample(step), one.sample(step)) else { continue };
            let (l, r): (&Sample, &Sample) = if swap { (&one, &many) } else { (&many, &one) };
            let Outcome { sample, note } = element::element(op, bool_modifier, l, r, l);
            if note.is_some() {
                remarks.resize(self.steps, None);
                remarks[step] = note;
            }
            // Of two vectors a sum that is in doubt is left out, as in Prometheus.
            if let Some(sample) = sample.filter(|_| !matches!(note, Some(Note::ResetsConflict(_)))) {
                out.set(step, sample);
            }
        }
        out
    }

    fn labels(&self, many: &Labels, one: &Labels) -> Labels {
        // After `bool` the name goes at the end only: until then it tells pairs apart.
        let changes = matches!(self.operator.op, BinaryOp::Arithmetic(_));
        let mut out = if changes { strip_name(many) } else { many.clone() };
        if self.matching.side == Side::OneToOne {
            if self.matching.on {
                out =
                    Labels::from_pairs(self.matching.labels.iter().filter_map(|n| out.get(n).map(|v| (n.as_str(), v))));
            } else {
                self.matching.labels.iter().for_each(|n| out.remove(n));
            }
        }
        for name in &self.matching.include {
            out.set(name, one.get(name).unwrap_or_default());
        }
        out
    }

    /// Whether pairs are left out for which the operator does not hold.
    fn leaves_out(&self) -> bool {
        matches!(self.operator.op, BinaryOp::Comparison(_)) && !self.operator.bool_modifier
    }

    /// The "one" side may have one row per signature and step.
    fn check_one(&self, ones: &HashMap<Labels, Vec<usize>>, one: &[Row], many: &[Row]) -> Result<(), QueryError> {
        let filled = self.matching.fill_left.or(self.matching.fill_right).is_some();
        let crowded: Vec<_> = ones.iter().filter(|(_, members)| members.len() > 1).collect();
        if crowded.is_empty() {
            return Ok(());
        }
        for step in (0..self.steps).filter(|step| filled || many.iter().any(|r| r.present(*step))) {
            // Of several groups the one is told whose second series comes first.
            let two = crowded.iter().filter_map(|(key, members)| {
                let mut there = members.iter().copied().filter(|i| one[*i].present(step));
                let first = there.next()?;
                Some((there.next()?, first, *key))
            });
            let Some((second, first, key)) = two.min_by_key(|(second, ..)| *second) else { continue };
            let mut names = [first, second].map(|i| shown(&one[i].labels));
            names.sort_unstable();
            let side = if self.many_is_right() { "left" } else { "right" };
            return Err(QueryError::execution(format!(
                "found duplicate series for the match group {} on the {side} hand-side of the operation: [{}, {}];many-to-many matching not allowed: matching labels must be unique on one side",
                shown(key),
                names[0],
                names[1],
            )));
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
                if present(many, members, step) < 2 {
                    continue;
                }
                let matched = ones.get(key).is_some_and(|o| present(one, o, step) > 0);
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
