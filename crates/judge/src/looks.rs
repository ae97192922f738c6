//! From what was counted between the bounds to looks, and to a judge that has taken them all. It only adds up.
//!
//! Nothing is kept between two calls: whoever asks again with the same samples gets the same evidence, so a restart loses
//! none. The bounds follow from the instant at which the watch began and from nothing else.

use crate::counts::{Bin, Count};
use crate::judge::{Before, Judge, Look, Settings, SettingsError};
use crate::latency::HistogramBin;
use crate::report::Report;

const HOUR_MS: i64 = 3_600_000;
/// Time before the watch from which the control's bursts are learned.
const BEFORE_MS: i64 = HOUR_MS;
/// From this age of the watch on (milliseconds) looks are at least so far apart (milliseconds).
const COARSER: [(i64, i64); 3] = [(HOUR_MS, 60_000), (24 * HOUR_MS, 15 * 60_000), (7 * 24 * HOUR_MS, 2 * HOUR_MS)];
/// A side that had no requests is waited for so long: its next ones count beside those of the other side since.
const JOIN_MS_MAX: i64 = 60_000;
/// Share of the control's requests beyond the bound by which slow ones are told, at most.
const SLOW_SHARE_MAX: f64 = 0.05;

/// The instants between which is counted: every so often since the watch began, and in the hour before; coarser as the
/// watch grows old.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bounds {
    started_ms: i64,
    every_ms: i64,
    instants_ms: Vec<i64>,
    /// Looks before the watch began.
    before: usize,
    /// Looks between the past and the watch, which are neither: one at most.
    gap: usize,
}

impl Bounds {
    /// All bounds up to `now_ms`; `every_ms` of at least one second.
    pub fn new(started_ms: i64, every_ms: i64, now_ms: i64) -> Self {
        Self::apart_from(started_ms, started_ms, every_ms, now_ms)
    }

    /// Of a watch whose past is the hour before `past_until_ms`, however long before the watch that ended: what was counted
    /// in between belongs to neither.
    pub fn apart_from(past_until_ms: i64, started_ms: i64, every_ms: i64, now_ms: i64) -> Self {
        let every_ms = every_ms.max(1_000);
        let past_until_ms = past_until_ms.min(started_ms);
        let before = usize::try_from(BEFORE_MS / every_ms).unwrap_or(0);
        let mut instants_ms: Vec<i64> = (0..before as i64).rev().map(|i| past_until_ms - (i + 1) * every_ms).collect();
        let gap = usize::from(past_until_ms < started_ms);
        if gap > 0 {
            instants_ms.push(past_until_ms);
        }
        let mut at_ms = started_ms;
        while at_ms <= now_ms {
            instants_ms.push(at_ms);
            at_ms = at_ms.saturating_add(Self::apart(at_ms - started_ms, every_ms));
        }
        Self { started_ms, every_ms, instants_ms, before, gap }
    }

    /// How far looks are apart at an age of the watch.
    pub fn apart(age_ms: i64, every_ms: i64) -> i64 {
        let coarser = COARSER.iter().rev().find(|(from_ms, _)| age_ms >= *from_ms);
        coarser.map_or(every_ms, |(_, apart_ms)| every_ms.max(*apart_ms))
    }

    pub fn len(&self) -> usize {
        self.instants_ms.len()
    }

    pub fn is_empty(&self) -> bool {
        self.instants_ms.is_empty()
    }

    /// Looks that are of the hour before, and come first.
    pub fn before(&self) -> usize {
        self.before
    }

    /// Runs of bounds that are equally far apart: first, last, step. Their ends are shared with the next run.
    pub fn runs(&self) -> Vec<(i64, i64, i64)> {
        let mut runs: Vec<(i64, i64, i64)> = Vec::new();
        for pair in self.instants_ms.windows(2) {
            let (from, to) = (pair[0], pair[1]);
            match runs.last_mut() {
                Some((_, last, step)) if to - from == *step => *last = to,
                _ => runs.push((from, to, to - from)),
            }
        }
        runs
    }

    /// Which bound an instant is.
    pub fn index_of(&self, at_ms: i64) -> Option<usize> {
        self.instants_ms.binary_search(&at_ms).ok()
    }
}

/// Everything that was counted, look by look, from the hour before on.
#[derive(Debug, Clone, PartialEq)]
pub struct Watched {
    pub bounds: Bounds,
    /// Failed requests; absent where nobody counts them. Then slow ones are counted in their place.
    pub errors: Option<Vec<Bin>>,
    pub latency: Option<Vec<HistogramBin>>,
    /// The canary and the control are told apart by where they run, and since this instant both ran the same: so that they
    /// were unequal even then is known, and allowed for.
    pub equal_since_ms: Option<i64>,
}

impl Watched {
    /// A judge that has taken all looks, without an end of its own.
    pub fn judge(&self, settings: Settings) -> Result<Judge, SettingsError> {
        let slow = self.latency.as_deref().map(slow_ones);
        let counted = self.errors.as_ref().or(slow.as_ref()).map_or(&[][..], Vec::as_slice);
        let before = self.bounds.before.min(counted.len());
        let equal = self
            .equal_since_ms
            .map(|since_ms| self.bounds.instants_ms.iter().take(before).filter(|at| **at < since_ms).count()..before);
        let past = Before {
            control: counted[..before].iter().map(|b| b.control).collect(),
            control_slow: slow.iter().flatten().take(before).map(|b| b.control).collect(),
            hosts: equal.clone().and_then(|looks| counted.get(looks)).map_or_else(Vec::new, <[Bin]>::to_vec),
            hosts_latency: equal
                .and_then(|looks| self.latency.as_deref()?.get(looks))
                .map_or_else(Vec::new, <[HistogramBin]>::to_vec),
        };
        let mut judge = Judge::lasting(settings, &past)?.drawn();
        if self.latency.is_some() {
            judge = judge.with_latency(&past);
        }
        for look in self.looks(counted) {
            judge.step(&look);
        }
        Ok(judge)
    }

    /// The judge's report; while it is undecided its verdict is what it would have to say if nothing more were seen.
    pub fn report(&self, settings: Settings) -> Result<Report, SettingsError> {
        let judge = self.judge(settings)?;
        let slow = self.latency.as_deref().map(slow_ones).map(|bins| {
            bins.iter().skip(self.bounds.before + self.bounds.gap).fold(Bin::default(), |mut sum, bin| {
                sum.add(*bin);
                sum
            })
        });
        let latency_alone = self.errors.is_none();
        Ok(Report { verdict: judge.so_far(), slow, latency_alone, ..judge.report() })
    }

    /// The control's counts in the hour of the past, and since the watch began.
    pub fn before_and_since(&self) -> (Vec<Count>, Vec<Count>) {
        let bins = self.errors.as_deref().unwrap_or_default();
        let counts = |from: usize, looks: usize| bins.iter().skip(from).take(looks).map(|b| b.control).collect();
        (counts(0, self.bounds.before), counts(self.bounds.before + self.bounds.gap, usize::MAX))
    }

    /// As [`Self::before_and_since`], of slow requests: those beyond the bound that at most a twentieth of the past's went
    /// beyond. Nothing is slow where nothing is known of the past.
    pub fn slow_before_and_since(&self) -> (Vec<Count>, Vec<Count>) {
        let bins = self.latency.as_deref().unwrap_or_default();
        let (past, rest) = bins.split_at(self.bounds.before.min(bins.len()));
        let mut sums = Vec::new();
        for bin in past {
            take(&mut sums, &bin.control);
        }
        let Some(bound) = slow_bound(&sums) else { return Default::default() };
        let slow = |bins: &[HistogramBin]| bins.iter().map(|bin| beyond(&bin.control, bound)).collect();
        (slow(past), slow(rest.get(self.bounds.gap..).unwrap_or_default()))
    }

    /// When the canary and the control had their newest requests.
    pub fn newest_ms(&self) -> (Option<i64>, Option<i64>) {
        let slow = self.latency.as_deref().map(slow_ones);
        let counted = self.errors.as_ref().or(slow.as_ref()).map_or(&[][..], Vec::as_slice);
        let newest = |side: fn(&Bin) -> Count| {
            let index = counted.iter().rposition(|bin| side(bin).total > 0)?;
            self.bounds.instants_ms.get(index + 1).copied().filter(|at| *at > self.bounds.started_ms)
        };
        (newest(|b| b.canary), newest(|b| b.control))
    }

    /// The looks of the watch itself. One in which a side had no requests is joined with the next, for a minute: hosts
    /// are asked for their counters at different moments.
    fn looks(&self, counted: &[Bin]) -> Vec<Look> {
        let mut looks = Vec::new();
        let mut open: Option<(i64, Look)> = None;
        for (index, bin) in counted.iter().enumerate().skip(self.bounds.before + self.bounds.gap) {
            let (Some(from_ms), Some(at_ms)) =
                (self.bounds.instants_ms.get(index), self.bounds.instants_ms.get(index + 1))
            else {
                break;
            };
            let (since_ms, mut look) = open.take().unwrap_or((*from_ms, Look::default()));
            look.at_ms = *at_ms;
            look.errors.add(*bin);
            if let Some(latency) = self.latency.as_ref().and_then(|l| l.get(index)) {
                add(look.latency.get_or_insert_default(), latency);
            }
            let whole = look.errors.canary.total > 0 && look.errors.control.total > 0;
            if whole || at_ms - since_ms >= JOIN_MS_MAX {
                looks.push(look);
            } else {
                open = Some((since_ms, look));
            }
        }
        looks
    }
}

fn add(sum: &mut HistogramBin, bin: &HistogramBin) {
    take(&mut sum.canary, &bin.canary);
    take(&mut sum.control, &bin.control);
}

fn take(sums: &mut Vec<u64>, counts: &[u64]) {
    sums.resize(sums.len().max(counts.len()), 0);
    sums.iter_mut().zip(counts).for_each(|(sum, count)| *sum = sum.saturating_add(*count));
}

/// The requests beyond a bucket, of all.
fn beyond(counts: &[u64], bound: usize) -> Count {
    Count::new(sum(counts.iter().skip(bound + 1)), sum(counts.iter()))
}

/// Of each look the requests slower than the first bound that at most a twentieth of the control's requests went beyond
/// until then. The bound of a look is known before it, so that it is no choice by the outcome.
fn slow_ones(bins: &[HistogramBin]) -> Vec<Bin> {
    let mut past: Vec<u64> = Vec::new();
    let mut slow = Vec::with_capacity(bins.len());
    for bin in bins {
        slow.push(slow_bound(&past).map_or_else(Bin::default, |bound| Bin {
            canary: beyond(&bin.canary, bound),
            control: beyond(&bin.control, bound),
        }));
        take(&mut past, &bin.control);
    }
    slow
}

fn sum<'a>(counts: impl Iterator<Item = &'a u64>) -> u64 {
    counts.fold(0, |sum, count| sum.saturating_add(*count))
}

/// The bucket up to which requests are not slow; the last bucket but one at the latest.
fn slow_bound(past: &[u64]) -> Option<usize> {
    let all = sum(past.iter());
    let last = past.len().checked_sub(2)?;
    if all == 0 {
        return None;
    }
    let mut beyond = all;
    let within = past.iter().position(|count| {
        beyond = beyond.saturating_sub(*count);
        beyond as f64 <= all as f64 * SLOW_SHARE_MAX
    });
    within.map(|bound| bound.min(last))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Verdict;

    const START_MS: i64 = 1_000_000_000;

    #[test]
    fn bounds_follow_from_the_start_and_grow_coarser() {
        let young = Bounds::new(START_MS, 5_000, START_MS + 12_000);
        assert_eq!((young.len(), young.before), (720 + 3, 720));
        assert_eq!(young.runs(), [(START_MS - HOUR_MS, START_MS + 10_000, 5_000)]);
        let old = Bounds::new(START_MS, 5_000, START_MS + 30 * 24 * HOUR_MS);
        assert!(old.len() < 4_000, "{}", old.len());
        assert_eq!(old.runs().len(), 4);
        assert!(old.instants_ms.starts_with(&young.instants_ms), "what was looked at stays as it was");
        assert_eq!(old.index_of(START_MS), Some(720));
        assert_eq!(Bounds::apart(0, 5_000), 5_000);
        assert_eq!(Bounds::apart(HOUR_MS, 5_000), 60_000);
    }

    fn watched(errors: impl Fn(usize) -> Bin, looks: usize) -> Watched {
        let bounds = Bounds::new(START_MS, 5_000, START_MS + 5_000 * looks as i64);
        let errors = (0..bounds.len() - 1).map(|i| errors(i.saturating_sub(720))).collect();
        Watched { bounds, errors: Some(errors), latency: None, equal_since_ms: None }
    }

    #[test]
    fn the_same_samples_are_the_same_evidence_whenever_asked() {
        let each =
            |i: usize| Bin { canary: Count::new(u64::from(i.is_multiple_of(3)), 50), control: Count::new(1, 150) };
        let first = watched(each, 100).judge(Settings::default()).unwrap();
        let mut later = watched(each, 40).judge(Settings::default()).unwrap();
        for i in 40..100 {
            later.step(&Look { at_ms: START_MS + 5_000 * (i as i64 + 1), errors: each(i), latency: None });
        }
        assert_eq!(first.report(), later.report());
    }

    /// A bad release that was taken back half an hour ago excuses no other.
    #[test]
    fn hosts_are_compared_only_while_they_ran_the_same() {
        let bounds = Bounds::new(START_MS, 5_000, START_MS + 5_000 * 60);
        let bad_until = 360;
        let errors = (0..bounds.len() - 1).map(|i| {
            let bad = if i < bad_until || i >= 720 { 40 } else { 10 };
            Bin { canary: Count::new(bad, 1_000), control: Count::new(90, 9_000) }
        });
        let errors = Some(errors.collect());
        let watched =
            |equal_since_ms| Watched { bounds: bounds.clone(), errors: errors.clone(), latency: None, equal_since_ms };
        let judge = |since: Option<i64>| watched(since).judge(Settings::default()).unwrap();
        let taken_back = START_MS - 5_000 * (720 - bad_until as i64);
        assert_eq!(judge(Some(taken_back)).verdict(), Verdict::Worse);
        assert_eq!(judge(None).verdict(), Verdict::Worse);
        assert!(judge(Some(0)).report().tolerated > 2.0, "the whole hour would have excused it");
    }

    /// A deploy may take longer than the hour that its past is: what was counted while it went on is no reference.
    #[test]
    fn a_past_may_have_ended_long_before_the_watch() {
        let each = |_: usize| Bin { control: Count::new(1, 10), ..Bin::default() };
        let (before, since) = watched(each, 7).before_and_since();
        assert_eq!((before.len(), since.len()), (720, 7));
        let began_ms = START_MS - 3 * HOUR_MS;
        let bounds = Bounds::apart_from(began_ms, START_MS, 5_000, START_MS + 12_000);
        assert_eq!(
            bounds.runs(),
            [
                (began_ms - HOUR_MS, began_ms, 5_000),
                (began_ms, START_MS, 3 * HOUR_MS),
                (START_MS, START_MS + 10_000, 5_000)
            ]
        );
        let errors = (0..bounds.len() - 1).map(|i| match i {
            0..720 => Bin { control: Count::new(1, 10), ..Bin::default() },
            720 => Bin { control: Count::new(9_000, 9_000), ..Bin::default() },
            _ => Bin { control: Count::new(2, 10), ..Bin::default() },
        });
        let watched = Watched { errors: Some(errors.collect()), bounds, latency: None, equal_since_ms: None };
        let (before, since) = watched.before_and_since();
        assert_eq!((before.len(), since.len()), (720, 2));
        assert!(before.iter().all(|c| *c == Count::new(1, 10)) && since.iter().all(|c| *c == Count::new(2, 10)));
        assert_eq!(Bounds::apart_from(START_MS, START_MS, 5_000, START_MS), Bounds::new(START_MS, 5_000, START_MS));
    }

    /// The bound is the past's: that everything is slow since does not make it normal.
    #[test]
    fn what_is_slow_is_told_by_the_past_alone() {
        let bounds = Bounds::apart_from(START_MS - HOUR_MS, START_MS, 5_000, START_MS + 12_000);
        let bin = |control: [u64; 3]| HistogramBin { canary: Vec::new(), control: control.to_vec() };
        let bins = (0..bounds.len() - 1).map(|i| match i {
            0..720 => bin([90, 8, 2]),
            720 => bin([0, 0, 5_000]),
            _ => bin([10, 10, 80]),
        });
        let watched = Watched { latency: Some(bins.collect()), bounds, errors: None, equal_since_ms: None };
        let (before, since) = watched.slow_before_and_since();
        assert_eq!((before.len(), since.len()), (720, 2));
        assert_eq!((before[0], since[0]), (Count::new(2, 100), Count::new(80, 100)));
        let nothing = Watched { latency: None, ..watched };
        assert_eq!(nothing.slow_before_and_since(), (Vec::new(), Vec::new()));
    }

    #[test]
    fn sides_that_are_asked_at_different_moments_are_joined() {
        let each = |i: usize| match i % 3 {
            0 => Bin { canary: Count::new(3, 100), ..Bin::default() },
            1 => Bin { control: Count::new(4, 900), ..Bin::default() },
            _ => Bin::default(),
        };
        let watched = watched(each, 240);
        assert_eq!(watched.judge(Settings::default()).unwrap().verdict(), Verdict::Worse);
        assert_eq!(watched.newest_ms(), (Some(START_MS + 5_000 * 238), Some(START_MS + 5_000 * 239)));
    }

    #[test]
    fn slow_requests_are_told_by_what_the_control_did_before() {
        let bin = |canary: [u64; 3]| HistogramBin { canary: canary.to_vec(), control: vec![900, 90, 10] };
        let slow = slow_ones(&[bin([0, 0, 9]), bin([50, 40, 10]), bin([50, 0, 0])]);
        assert_eq!(slow[0], Bin::default(), "nothing is known before the first");
        assert_eq!(slow[1], Bin { canary: Count::new(10, 100), control: Count::new(10, 1_000) });
        assert_eq!(slow[2].canary, Count::new(0, 50));
        let latency = |canary: [u64; 3]| {
            let mut watched = watched(|_| Bin::default(), 360);
            watched.errors = None;
            watched.latency = Some(vec![bin(canary); watched.bounds.len() - 1]);
            watched.judge(Settings::default()).unwrap().verdict()
        };
        assert_eq!(latency([60, 30, 10]), Verdict::Worse);
        assert_eq!(latency([90, 9, 1]), Verdict::NotWorse, "a histogram alone can promote");
    }
}
