//! What the judge saw, in numbers and as a line over time.

use serde::{Deserialize, Serialize};

use crate::counts::Bin;
use crate::judge::Verdict;

/// Points of the picture; more looks are thinned, the newest always stays.
const POINTS_MAX: usize = 600;

/// Evidence at one look, in nats (`ln E`).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(as = JudgeEvidence))]
pub struct Evidence {
    pub at_ms: i64,
    /// For "more errors than tolerated".
    pub errors: f64,
    /// For "slower".
    pub latency: f64,
    /// Against "as bad as `prove_below` or worse".
    pub promote: f64,
}

/// Everything a person needs to believe or doubt the verdict.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(as = JudgeReport))]
pub struct Report {
    pub verdict: Verdict,
    /// Requests and errors on both sides, all looks together.
    pub seen: Bin,
    /// Canary's error rate over the control's; absent without requests on a side.
    pub ratio: Option<f64>,
    /// The believable ratios; `ratio_high` is absent where none could be ruled out.
    pub ratio_low: f64,
    pub ratio_high: Option<f64>,
    /// Ratio up to which the canary is not called worse: the setting, raised where the hosts were unequal before.
    pub tolerated: f64,
    pub prove_below: f64,
    /// Error rate below which the canary is never bad.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub negligible: Option<f64>,
    /// Variance over mean of the control's errors before the deploy: 1 when they come one by one. Evidence is tempered by
    /// it.
    pub dispersion: f64,
    /// Nats at which it is rolled back and promoted.
    pub roll_back_at: f64,
    pub promote_at: f64,
    /// Canary requests after which a release as good as the old one is promoted, on average; absent while no error was
    /// seen anywhere, when no number would do.
    pub canary_requests_needed: Option<u64>,
    pub series: Vec<Evidence>,
}

impl Report {
    /// With at most so many points, evenly taken; the newest stays.
    pub fn thinned(mut self, points_max: usize) -> Self {
        let every = self.series.len().div_ceil(points_max.max(1));
        let last = self.series.len().saturating_sub(1);
        let mut index = 0;
        self.series.retain(|_| {
            index += 1;
            (last + 1 - index).is_multiple_of(every.max(1))
        });
        self
    }
}

/// Keeps at most `POINTS_MAX` points by keeping every second, fourth, ... look.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Series {
    kept: Vec<Evidence>,
    newest: Option<Evidence>,
    stride_log2: u32,
    count: u64,
}

impl Series {
    pub(crate) fn push(&mut self, point: Evidence) {
        if self.count.is_multiple_of(1 << self.stride_log2) {
            self.kept.push(point);
        }
        self.count += 1;
        self.newest = Some(point);
        if self.kept.len() >= POINTS_MAX {
            let mut index = 0;
            self.kept.retain(|_| {
                index += 1;
                index % 2 == 1
            });
            self.stride_log2 += 1;
        }
    }

    pub(crate) fn points(&self) -> Vec<Evidence> {
        let mut points = self.kept.clone();
        points.extend(self.newest.filter(|n| points.last() != Some(n)));
        points
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_watch_is_thinned_and_ends_with_the_newest() {
        let mut series = Series::default();
        for at_ms in 0..100_000 {
            series.push(Evidence { at_ms, errors: 0.0, latency: 0.0, promote: 0.0 });
        }
        let points = series.points();
        assert!(points.len() <= POINTS_MAX + 1 && points.len() > POINTS_MAX / 2 - 1, "{}", points.len());
        assert_eq!((points[0].at_ms, points.last().unwrap().at_ms), (0, 99_999));
        assert!(points.is_sorted_by(|a, b| a.at_ms < b.at_ms));
    }
}
