//! How many samples each step of a query looks at, as Prometheus' statistics by step count them: of a selector the newest of
//! each series, of a range of samples all that lie in the window. A sample counts once for each window it lies in.
//!
//! Steps that rows of aggregates answer look at no samples.

use std::sync::atomic::{AtomicU64, Ordering};

use tenfold_types::Histogram;

use super::{Context, Grid, Row, is_absent, select::BYTES_OF_A_SAMPLE, window::WindowSpec};
use crate::source::Run;

/// Counts for the steps that a query was asked for, over all its threads.
#[derive(Debug)]
pub struct StepCounts {
    start_ms: i64,
    /// 0 for an instant.
    step_ms: i64,
    counts: Vec<AtomicU64>,
}

impl StepCounts {
    pub fn new(start_ms: i64, step_ms: i64, steps: usize) -> Self {
        Self { start_ms, step_ms, counts: (0..steps.max(1)).map(|_| AtomicU64::new(0)).collect() }
    }

    /// For the step at an instant or after it: steps of a subquery lie before the one that they are for.
    fn add(&self, t_ms: i64, samples: u64) {
        let past = t_ms.saturating_sub(self.start_ms).max(0).unsigned_abs();
        let step = if self.step_ms > 0 { past.div_ceil(self.step_ms.unsigned_abs()) } else { 0 };
        let last = self.counts.len() - 1;
        let at = usize::try_from(step).unwrap_or(last).min(last);
        self.counts[at].fetch_add(samples, Ordering::Relaxed);
    }

    /// Each step's instant with what it looked at.
    pub fn told(&self) -> Vec<(i64, u64)> {
        let grid = Grid { start: self.start_ms, step: self.step_ms, steps: self.counts.len() };
        grid.times().zip(&self.counts).map(|(t_ms, count)| (t_ms, count.load(Ordering::Relaxed))).collect()
    }
}

/// A histogram counts as the samples that would take as much memory.
fn samples_of(histogram: &Histogram) -> u64 {
    (histogram.bytes() / BYTES_OF_A_SAMPLE) as u64
}

impl Context<'_> {
    /// Counts the newest samples of a series, where that is asked for.
    pub fn count_steps(&self, row: &Row, grid: Grid) {
        let Some(counts) = self.query.steps else { return };
        for (step, t_ms) in grid.times().enumerate() {
            if let Some(h) = row.histogram(step) {
                counts.add(t_ms, samples_of(h));
            } else if !is_absent(row.values[step]) {
                counts.add(t_ms, 1);
            }
        }
    }

    /// Counts the windows of a series, where that is asked for.
    pub fn count_windows(&self, run: &Run, spec: WindowSpec, grid: Grid) {
        let Some(counts) = self.query.steps else { return };
        for t_ms in grid.times() {
            let (start, end) = spec.window(t_ms);
            let among = |until: i64| run.floats.partition_point(|p| p.t_ms <= until);
            let floats = among(end).saturating_sub(among(start)) as u64;
            let within = run.histograms.iter().filter(|h| h.t_ms > start && h.t_ms <= end);
            let histograms: u64 = within.map(|h| samples_of(&h.histogram)).sum();
            counts.add(t_ms, floats + histograms);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_count_for_the_step_at_their_instant_or_after_it() {
        let counts = StepCounts::new(1_000, 100, 3);
        for (t_ms, samples) in [(500, 1), (1_000, 2), (1_001, 4), (1_100, 8), (1_150, 16), (1_200, 32), (9_000, 64)] {
            counts.add(t_ms, samples);
        }
        assert_eq!(counts.told(), [(1_000, 3), (1_100, 12), (1_200, 112)]);
        let instant = StepCounts::new(1_000, 0, 1);
        instant.add(400, 1);
        instant.add(1_000, 2);
        assert_eq!(instant.told(), [(1_000, 3)]);
    }
}
