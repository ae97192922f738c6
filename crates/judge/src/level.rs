//! Did a metric move to another level at the deploy? For metrics without a control beside them: memory, CPU, latency of
//! a host that runs the new release alone.
//!
//! No e-process: nothing is promised about looking again and again. It asks once, when the time after the deploy is over,
//! and its threshold is set by how often quiet times cross it (`examples/nezha` measures that on real faults).
//!
//! The statistic is a difference of medians over a robust deviation, Hampel's identifier ("The influence curve and its
//! role in robust estimation", 1974) with the deviation of Rousseeuw and Croux (1993): neither a peak nor a missing
//! minute moves it. Steps from value to value in place of the spread, for a level that drifts, are von Neumann's (1941).

use serde::{Deserialize, Serialize};

use crate::math::median;

/// Which way is bad.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    Up,
    /// A drop is as telling as a rise: work that is not done any more.
    Both,
}

/// What is known of a metric before anything was measured.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Level {
    pub direction: Direction,
    /// In the metric's unit: differences far below it mean nothing (a millisecond, a milli-core).
    pub unit: f64,
    /// Relative change that is never called a change on its own, however calm the metric was: 0.1 for a tenth.
    pub relative_min: f64,
}

/// Deviations from which on a level is called changed, values that are held against it after the deploy, and values before
/// it, a minute apart: as they were chosen on half of the real faults, before the other half was looked at.
pub const LEVEL_CHANGED: f64 = 4.0;
pub const LEVEL_AFTER: usize = 4;
pub const LEVEL_BEFORE: usize = 90;

/// Values that give a level before and after; fewer are no answer.
const BEFORE_MIN: usize = 2;
/// Of the values before, how many make the level; all of them tell how much it moves from one value to the next.
const BEFORE_LEVEL: usize = 5;

/// By how many robust standard deviations the level rose, as the ratio of medians on a logarithmic scale: never negative
/// for [`Direction::Both`]. `None` without enough finite values on both sides, which is not "unchanged".
///
/// The deviation is the larger of the median absolute step from value to value (1.4826 / sqrt 2 of it) and the median
/// absolute deviation of the values just before (Rousseeuw and Croux 1993), and never below `relative_min`.
pub fn level_change(before: &[f64], after: &[f64], level: Level) -> Option<f64> {
    let scaled = |values: &[f64]| -> Vec<f64> {
        values.iter().filter(|v| v.is_finite()).map(|v| (v.max(0.0) + level.unit).ln()).collect()
    };
    let (before, mut after) = (scaled(before), scaled(after));
    if before.len() < BEFORE_MIN {
        return None;
    }
    let near = &before[before.len().saturating_sub(BEFORE_LEVEL)..];
    let was = median(&mut near.to_vec())?;
    let is = median(&mut after)?;
    let mut steps: Vec<f64> = before.windows(2).map(|w| (w[1] - w[0]).abs()).collect();
    let by_steps = median(&mut steps).unwrap_or(0.0) / std::f64::consts::SQRT_2;
    let mut away: Vec<f64> = near.iter().map(|v| (v - was).abs()).collect();
    let by_spread = median(&mut away).unwrap_or(0.0);
    let deviation = (1.4826 * by_steps.max(by_spread)).max(level.relative_min);
    let change = (is - was) / deviation;
    Some(match level.direction {
        Direction::Up => change,
        Direction::Both => change.abs(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const CPU: Level = Level { direction: Direction::Both, unit: 1.0, relative_min: 0.1 };

    #[test]
    fn levels_and_noise() {
        let calm = [10.0, 11.0, 10.0, 9.0, 10.0, 11.0, 10.0];
        assert!(level_change(&calm, &[30.0, 31.0, 29.0], CPU).unwrap() > 5.0);
        assert!(level_change(&calm, &[11.0, 10.0, 10.0], CPU).unwrap() < 1.0);
        let wild = [10.0, 30.0, 8.0, 25.0, 9.0, 35.0, 10.0];
        assert!(level_change(&wild, &[30.0, 31.0, 29.0], CPU).unwrap() < 3.0, "it moves that much all the time");
        let drop = level_change(&calm, &[2.0, 2.0, 2.0], CPU).unwrap();
        assert!(drop > 5.0);
        assert_eq!(level_change(&calm, &[2.0, 2.0, 2.0], Level { direction: Direction::Up, ..CPU }), Some(-drop));
    }

    #[test]
    fn no_values_are_no_answer() {
        assert_eq!(level_change(&[1.0], &[1.0], CPU), None);
        assert_eq!(level_change(&[1.0, 1.0], &[f64::NAN], CPU), None);
        assert!(level_change(&[0.0, -1.0, f64::INFINITY, 0.0], &[0.0], CPU).unwrap().is_finite());
    }
}
