//! Values that are read more seldom than a query looks back, which is five minutes.
//!
//! As for collectd itself (its `Timeout`), its plugin `write_prometheus` and Prometheus' collectd_exporter, a value counts for
//! twice its interval: it is written again until then, and its series ends with that.
//!
//! The next value may come after a repetition that has a later time than it: its sender's clock is behind, or it waited in a
//! buffer. A gauge is put right at once. A counter would fall and rise again, which is a start anew for `rate()`, so that it is
//! not repeated before its next value had the time to come that values of it needed before.

use std::collections::HashMap;

use tenfold_types::{Labels, Point, STALE_NAN, Timestamp};

use crate::metrics::AHEAD_MS_MAX;

/// Values that are remembered; further ones are not repeated.
const HELD_MAX: usize = 50_000;
/// At up to this much a value that is a minute late is still seen.
const INTERVAL_MS_MIN: i64 = 240_000;
/// Of a longer interval the value counts for two of these. As late is a value at most that others are waited for as long.
const INTERVAL_MS_MAX: i64 = 86_400_000;
/// How far a repetition is from the one before, by the sender's clock. It divides no usual interval, so that none stands where
/// the next value will.
const AGAIN_MS: i64 = 149_999;
/// How long is waited for a value that may have come meanwhile.
const LATE_MS: i64 = 60_000;
/// As collectd's `Timeout`.
const TIMES: i64 = 2;

/// What was heard of values that are read seldom.
#[derive(Default)]
pub(in crate::metrics) struct Held {
    values: HashMap<Labels, One>,
}

struct One {
    said: Point,
    /// The instant it was last written for.
    written_ms: i64,
    /// What was written for it is not what was said.
    is_wrong: bool,
    /// From here on it is waited as long as values of it needed before: of a counter the next may have come, of others the end.
    waits_ms: i64,
    until_ms: i64,
    /// How long the slowest value was on its way, by the clocks of both.
    late_ms: i64,
}

impl One {
    /// What is written next, and from when on by the server's clock.
    fn due(&self) -> (Point, i64) {
        let step_ms = if self.is_wrong { 1 } else { AGAIN_MS };
        let t_ms = self.written_ms.saturating_add(step_ms).min(self.until_ms);
        let value = if t_ms == self.until_ms { STALE_NAN } else { self.said.value };
        let wait_ms = if self.is_wrong {
            0
        } else if t_ms < self.waits_ms {
            LATE_MS
        } else {
            LATE_MS.saturating_add(self.late_ms)
        };
        (Point::new(t_ms, value), t_ms.saturating_add(wait_ms))
    }
}

/// Whether a query would not see a value until the next one comes.
pub(super) fn is_seldom(interval_ms: Option<i64>) -> bool {
    interval_ms.is_some_and(|ms| ms > INTERVAL_MS_MIN)
}

impl Held {
    /// A value was written. `may_begin` says whether one that was not heard of is to be remembered.
    pub(super) fn hear(
        &mut self,
        labels: &Labels,
        said: Point,
        (interval_ms, is_counter): (Option<i64>, bool),
        may_begin: bool,
        now: Timestamp,
    ) {
        let is_seldom = is_seldom(interval_ms);
        if !is_seldom && self.values.is_empty() {
            return;
        }
        let late_ms = now.millis().saturating_sub(said.t_ms).clamp(0, INTERVAL_MS_MAX);
        let known = self.values.get_mut(labels);
        let late_ms = known.as_ref().map_or(late_ms, |one| one.late_ms.max(late_ms));
        if let Some(one) = known.filter(|one| one.said.t_ms >= said.t_ms) {
            one.late_ms = late_ms;
            return;
        }
        let known = self.values.get(labels);
        let lasts_ms = interval_ms.unwrap_or_default().clamp(0, INTERVAL_MS_MAX);
        // One more: a value that comes at the end itself stands before it.
        let until_ms = said.t_ms.saturating_add(lasts_ms * TIMES + 1);
        let is_ahead = said.t_ms > now.millis().saturating_add(AHEAD_MS_MAX);
        if !is_seldom || is_ahead || until_ms <= now.millis() {
            self.values.remove(labels);
        } else if known.is_some() || (may_begin && self.values.len() < HELD_MAX) {
            let behind = known.filter(|one| one.written_ms > said.t_ms);
            let differs = |one: &One| one.is_wrong || one.said.value.to_bits() != said.value.to_bits();
            let written_ms = behind.map_or(said.t_ms, |one| one.written_ms);
            // A reading is not always a whole interval after the one before.
            let next_ms = said.t_ms.saturating_add(lasts_ms - LATE_MS);
            let waits_ms = if is_counter { next_ms } else { until_ms };
            let one = One { said, written_ms, is_wrong: behind.is_some_and(differs), waits_ms, until_ms, late_ms };
            self.values.insert(labels.clone(), one);
        }
    }

    /// The sender says that there is no value any more.
    pub(super) fn forget(&mut self, labels: &Labels, t_ms: i64) {
        if self.values.get(labels).is_some_and(|one| one.said.t_ms < t_ms) {
            self.values.remove(labels);
        }
    }

    /// What is to be written again, and ends of series: one sample of a series at a time, however far its clock is behind.
    pub(super) fn due(&self, now: Timestamp) -> Vec<(Labels, Point)> {
        let due = self.values.iter().filter_map(|(labels, one)| {
            let (point, from_ms) = one.due();
            (from_ms <= now.millis()).then(|| (labels.clone(), point))
        });
        due.collect()
    }

    /// That this was written. What was heard meanwhile stands.
    pub(super) fn written(&mut self, series: &[(Labels, Point)]) {
        for (labels, point) in series {
            let Some(one) = self.values.get_mut(labels).filter(|one| one.written_ms < point.t_ms) else { continue };
            one.written_ms = point.t_ms;
            one.is_wrong = one.said.value.to_bits() != point.value.to_bits();
            if one.until_ms <= point.t_ms {
                self.values.remove(labels);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR_MS: i64 = 3_600_000;

    fn labels(name: &str) -> Labels {
        Labels::from_pairs([(Labels::NAME, name)])
    }

    fn hear(held: &mut Held, name: &str, t_ms: i64, interval_ms: i64, now_ms: i64) {
        held.hear(&labels(name), Point::new(t_ms, 1.0), (Some(interval_ms), false), true, Timestamp(now_ms));
    }

    #[test]
    fn only_what_a_query_would_miss_is_remembered() {
        let mut held = Held::default();
        for (interval_ms, is_held) in
            [(10_000, false), (240_000, false), (300_000, true), (HOUR_MS, true), (i64::MAX, true), (-1, false)]
        {
            hear(&mut held, "a", 0, interval_ms, 0);
            assert_eq!(held.values.len(), usize::from(is_held), "{interval_ms}");
            held.values.clear();
        }
        held.hear(&labels("a"), Point::new(0, 1.0), (None, false), true, Timestamp(0));
        held.hear(&labels("a"), Point::new(0, 1.0), (Some(HOUR_MS), false), false, Timestamp(0));
        hear(&mut held, "a", AHEAD_MS_MAX + 1, HOUR_MS, 0);
        hear(&mut held, "a", 0, HOUR_MS, 2 * HOUR_MS + 1);
        assert!(held.values.is_empty(), "no interval, refused, from ahead, over already");
        hear(&mut held, "a", 0, HOUR_MS, 0);
        hear(&mut held, "a", 10, 10_000, 10);
        assert!(held.values.is_empty(), "it comes often now");
    }

    #[test]
    fn the_newest_value_counts_and_of_a_day_at_most() {
        let mut held = Held::default();
        hear(&mut held, "a", 100, i64::MAX, 100);
        held.hear(&labels("a"), Point::new(50, 7.0), (Some(HOUR_MS), false), true, Timestamp(100));
        held.forget(&labels("a"), 100);
        let one = &held.values[&labels("a")];
        assert_eq!((one.said, one.until_ms), (Point::new(100, 1.0), 100 + 2 * INTERVAL_MS_MAX + 1));
        held.forget(&labels("a"), 101);
        assert!(held.values.is_empty());
    }

    #[test]
    fn a_clock_that_is_behind_brings_one_sample_at_a_time() {
        let mut held = Held::default();
        let now = Timestamp(HOUR_MS);
        hear(&mut held, "a", 0, HOUR_MS, HOUR_MS);
        for times in 1..=3 {
            let due = held.due(now);
            assert_eq!(due.iter().map(|(_, point)| point.t_ms).collect::<Vec<_>>(), [times * AGAIN_MS]);
            assert_eq!(held.due(now), due, "it is due until it was written");
            held.written(&due);
        }
        assert!(held.due(Timestamp(4 * AGAIN_MS + LATE_MS - 1)).is_empty(), "the next may still come");
        let later = Timestamp(4 * HOUR_MS);
        let mut all = Vec::new();
        while !held.values.is_empty() {
            let due = held.due(later);
            held.written(&due);
            all.extend(due);
        }
        let last = all.last().map(|(_, point)| *point).unwrap();
        assert!(tenfold_types::is_stale(last.value));
        assert_eq!(last.t_ms, 2 * HOUR_MS + 1);
        assert!(all.iter().rev().skip(1).all(|(_, point)| point.value == 1.0));
    }

    #[test]
    fn further_ones_are_not_remembered() {
        let mut held = Held::default();
        for at in 0..HELD_MAX {
            hear(&mut held, &format!("m{at}"), 0, HOUR_MS, 0);
        }
        hear(&mut held, "more", 0, HOUR_MS, 0);
        hear(&mut held, "m7", 5, HOUR_MS, 5);
        assert_eq!(held.values.len(), HELD_MAX);
        assert_eq!(held.values[&labels("m7")].said.t_ms, 5);
    }

    #[test]
    fn what_was_repeated_over_a_later_value_is_put_right_at_once() {
        let (mut held, a) = (Held::default(), labels("a"));
        let say = |held: &mut Held, t_ms: i64, value: f64, interval_ms: i64, now_ms: i64| {
            held.hear(&a, Point::new(t_ms, value), (Some(interval_ms), false), true, Timestamp(now_ms));
        };
        let due = |held: &Held, now_ms: i64| held.due(Timestamp(now_ms)).into_iter().map(|(_, point)| point).next();
        let write = |held: &mut Held, now_ms: i64| {
            let all = held.due(Timestamp(now_ms));
            held.written(&all);
        };
        say(&mut held, 0, 1.0, 600_000, 0);
        for times in 1..=5 {
            write(&mut held, times * AGAIN_MS + LATE_MS);
        }
        // It comes when the value before it stands at five times as much already.
        let (behind, now) = (5 * AGAIN_MS, 5 * AGAIN_MS + LATE_MS);
        say(&mut held, 600_000, 2.0, 600_000, now);
        assert_eq!(due(&held, now), Some(Point::new(behind + 1, 2.0)));
        write(&mut held, now);
        assert_eq!(due(&held, now), None);
        assert_eq!(due(&held, now + AGAIN_MS + 1), Some(Point::new(behind + 1 + AGAIN_MS, 2.0)));
        // The same while a repetition is on its way.
        let later = now + AGAIN_MS + 1;
        let on_its_way = held.due(Timestamp(later));
        say(&mut held, 700_000, 3.0, 600_000, later);
        held.written(&on_its_way);
        assert_eq!(due(&held, later), Some(Point::new(on_its_way[0].1.t_ms + 1, 3.0)));
        write(&mut held, later);
        // What is the same is not wrong.
        say(&mut held, 700_001, 3.0, 600_000, later);
        assert_eq!(due(&held, later), None);
    }

    #[test]
    fn a_counter_waits_for_its_next_value_as_long_as_it_had_to_before() {
        let (mut held, a) = (Held::default(), labels("a"));
        let slow_ms = 200_000;
        let at = |t_ms: i64| Timestamp(t_ms + slow_ms);
        held.hear(&a, Point::new(0, 1.0), (Some(300_000), true), true, at(0));
        let first = held.due(at(10_000));
        assert_eq!(first, [(a.clone(), Point::new(AGAIN_MS, 1.0))], "nothing can come before it");
        held.written(&first);
        assert!(held.due(at(2 * AGAIN_MS + LATE_MS - 1)).is_empty());
        assert_eq!(held.due(at(2 * AGAIN_MS + LATE_MS)).len(), 1);
        // Of what came together the oldest tells it, though the newest was heard first.
        held.hear(&a, Point::new(900_000, 3.0), (Some(300_000), true), true, at(900_000));
        held.hear(&a, Point::new(600_000, 2.0), (Some(300_000), true), true, at(900_000));
        assert_eq!((held.values[&a].said.value, held.values[&a].late_ms), (3.0, 300_000 + slow_ms));
    }
}
