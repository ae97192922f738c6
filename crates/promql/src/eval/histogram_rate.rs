//! The change of histograms over a window, counter resets made up for.

use std::sync::Arc;

use tenfold_types::{Histogram, ResetHint, histogram::Incompatible};

use super::{
    Context,
    notes::{Note, Operation},
    range_fn::{Extrapolated, starts_anew},
    window::{SeriesWindows, Window},
};

/// How the change of one window was found: what is to be remarked, unless the window has no answer.
struct Change<'w> {
    notes: Vec<Note<'w>>,
    name: &'w str,
    /// The remarks so far stand even if there is no answer.
    stand: bool,
}

impl Context<'_> {
    /// Of two histograms at least. `None` when they do not fit together, which is remarked.
    pub fn histogram_change(
        &self,
        kind: Extrapolated,
        series: &SeriesWindows<'_>,
        window: &Window<'_>,
    ) -> Option<Histogram> {
        let mut change = Change { notes: Vec::new(), name: series.name(), stand: false };
        let result = change.compute(kind.is_counter(), window);
        if result.is_ok() || change.stand {
            change.notes.into_iter().for_each(|note| self.note(series.span, note));
        }
        if result.is_err() {
            self.note(series.span, Note::MixedSchemas { name: series.name() });
        }
        result.ok()
    }
}

impl Change<'_> {
    fn remark(&mut self, reconciled: bool, operation: Operation) {
        if reconciled {
            self.notes.push(Note::BoundsReconciled(operation));
        }
    }

    fn compute(&mut self, counter: bool, window: &Window<'_>) -> Result<Histogram, Incompatible> {
        let points = window.histograms;
        let starts = window.histogram_starts;
        let began_anew = |i: usize| {
            starts.get(i).is_some_and(|start| starts_anew(starts[i - 1], points[i - 1].t_ms, *start, points[i].t_ms))
        };
        let (first, last) = (&points[0].histogram, &points[points.len() - 1].histogram);
        let gauge = |h: &Histogram| h.reset_hint == ResetHint::Gauge;
        if counter && (gauge(first) || gauge(last)) {
            self.notes.push(Note::NotCounter { name: self.name });
        }
        let gauges = gauge(first) && gauge(last);
        let mut previous = Arc::clone(first);
        let second = &points[1].histogram;
        if counter && (began_anew(1) || second.is_reset_after(first)) {
            // The first sample counts for nothing then, and its layout need not fit.
            previous = Arc::new(Histogram {
                schema: second.schema,
                bounds: Arc::clone(&second.bounds),
                ..Histogram::default()
            });
        }
        let custom = previous.is_custom();
        let mut schema = last.schema.min(previous.schema);
        if last.is_custom() != custom {
            self.stand = true;
            return Err(Incompatible);
        }
        if counter {
            let between = &points[1..points.len() - 1];
            if self.notes.is_empty() && between.iter().any(|p| gauge(&p.histogram)) {
                self.notes.push(Note::NotCounter { name: self.name });
            }
            for p in between {
                if p.histogram.is_custom() != custom {
                    return Err(Incompatible);
                }
                schema = schema.min(p.histogram.schema);
            }
        }
        // The hints may contradict each other here, as resets are looked at one by one.
        let (mut change, added) = last.to_schema(schema).minus(&previous)?;
        self.remark(added.bounds_reconciled, Operation::Subtraction);
        if counter {
            let mut overlaps = false;
            for (i, p) in points.iter().enumerate().skip(1) {
                overlaps |= starts
                    .get(i)
                    .is_some_and(|start| *start != 0 && *start < points[i - 1].t_ms && *start != starts[i - 1]);
                if began_anew(i) || p.histogram.is_reset_after(&previous) {
                    let (sum, added) = change.plus(&previous)?;
                    self.remark(added.bounds_reconciled, Operation::Addition);
                    change = sum;
                }
                previous = Arc::clone(&p.histogram);
            }
            if overlaps {
                self.notes.push(Note::StartOverlaps { name: self.name });
            }
        } else if !gauges {
            self.notes.push(Note::NotGauge { name: self.name });
        }
        change.reset_hint = ResetHint::Gauge;
        change.compact();
        Ok(change)
    }
}
