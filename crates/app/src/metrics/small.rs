//! Queries so small that handing them to another thread and waiting for it takes longer than answering them: a panel with
//! one line, the values on a page of a service. They are answered on the thread that asks.

use tenfold_promql::ast::Expr;
use tokio::runtime::{Handle, RuntimeFlavor};

use super::{How, State};

/// A longer text is not even looked at.
pub(super) const TEXT_BYTES_MAX: usize = 1024;
/// Series of all selectors together.
const SERIES_MAX: u64 = 16;
/// Series times the seconds of samples that are looked at: some ten milliseconds where there is a sample each second.
const SERIES_SECONDS_MAX: f64 = 4e6;
/// The same of what takes a millisecond or two even then, and a tenth of one as samples usually come.
const AT_ONCE_SECONDS_MAX: f64 = 6e5;
/// A query that is to be ended sooner than this needs someone who watches it.
const TIMEOUT_MS_MIN: u64 = 1_000;

/// What a query is asked for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Extent {
    pub span_ms: i64,
    pub steps: usize,
}

impl Extent {
    /// Of one instant.
    pub const INSTANT: Self = Self { span_ms: 0, steps: 1 };

    pub fn of(start_ms: i64, end_ms: i64, step_ms: i64) -> Self {
        let span_ms = end_ms.saturating_sub(start_ms).max(0);
        let steps = span_ms.checked_div(step_ms).and_then(|steps| usize::try_from(steps).ok());
        Self { span_ms, steps: steps.unwrap_or(usize::MAX).saturating_add(1) }
    }
}

/// Where a query is evaluated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// On a thread of its own.
    Apart,
    /// Here, and other threads of the runtime take over what this one would have done meanwhile.
    Here,
    /// Here, as any other work of this thread: calling others costs more.
    AtOnce,
}

/// Where a query is best evaluated, by what it looks at for certain.
pub(super) fn place_of(state: &State, parsed: &Expr, how: How, extent: Extent) -> Place {
    let watched = how.explain || how.lookback_ms.is_some() || how.timeout_ms.is_some_and(|ms| ms < TIMEOUT_MS_MIN);
    if watched || !has_other_threads() {
        return Place::Apart;
    }
    let span_s = extent.span_ms as f64 / 1000.0;
    let Some(seconds) = parsed.seconds_looked_at(span_s, extent.steps) else { return Place::Apart };
    let selectors = parsed.selectors();
    let series = selectors.iter().map(|s| state.tsdb.series_at_most(&s.matchers)).sum::<Option<u64>>();
    match series {
        Some(n) if n <= SERIES_MAX => place_for(n as f64 * seconds),
        _ => Place::Apart,
    }
}

fn place_for(series_seconds: f64) -> Place {
    if series_seconds <= AT_ONCE_SECONDS_MAX {
        Place::AtOnce
    } else if series_seconds <= SERIES_SECONDS_MAX {
        Place::Here
    } else {
        Place::Apart
    }
}

fn has_other_threads() -> bool {
    Handle::try_current().is_ok_and(|handle| handle.runtime_flavor() == RuntimeFlavor::MultiThread)
}

#[cfg(test)]
mod tests {
    use tenfold_tsdb::Sample;
    use tenfold_types::Labels;

    use super::*;
    use crate::settings::Settings;

    #[test]
    fn what_takes_longer_is_evaluated_further_away() {
        let days = |days: f64| days * 86_400.0;
        let places = [0.0, days(6.0), days(8.0), days(40.0), days(60.0), f64::INFINITY, f64::NAN].map(place_for);
        use Place::{Apart, AtOnce, Here};
        assert_eq!(places, [AtOnce, AtOnce, Here, Here, Apart, Apart, Apart]);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_day_of_one_series_is_answered_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let settings = Settings { data_dir: dir.path().to_owned(), ..Settings::default() };
        let state = State::open(&settings).unwrap();
        let sample = |name: &str| Sample::new(Labels::from_pairs([(Labels::NAME, name), ("series", "67")]), 1_000, 1.0);
        assert_eq!(state.append(&[sample("a"), sample("b")]).unwrap().rejected, []);
        let place = |expr: &str| {
            let parsed = state.parse_query(expr).unwrap();
            place_of(&state, &parsed, How::default(), Extent::of(0, 86_400_000, 60_000))
        };
        assert_eq!(place("rate(a{series=\"67\"}[5m])"), Place::AtOnce);
        assert_eq!(place("rate({series=\"67\"}[5m])"), Place::Here, "two series have the label");
        assert_eq!(place("rate(a{series=\"67\"}[5m:15s])"), Place::Apart, "only the evaluation tells what it reads");
    }

    #[test]
    fn steps_of_a_time() {
        let steps = |start, end, step| Extent::of(start, end, step).steps;
        assert_eq!((steps(0, 0, 15), steps(0, 60, 15), steps(0, 59, 15), steps(60, 0, 15)), (1, 5, 4, 1));
        assert_eq!(steps(0, 60, 0), usize::MAX);
        assert_eq!(Extent::of(i64::MIN, i64::MAX, 1).span_ms, i64::MAX);
    }
}
