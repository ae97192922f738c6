//! A layer of a schedule: a rotation in a zone of its own, cut to hours and weekdays, with a beginning and an end.

use jiff::{
    Timestamp as Instant, ToSpan,
    civil::{Date, Time, Weekday},
    tz::TimeZone,
};
use serde::{Deserialize, Serialize};
use tenfold_types::Timestamp;

use crate::rotation::{Rotation, resolve};

pub const RESTRICTIONS_PER_LAYER_MAX: usize = 20;
/// A window may fall on one weekday only, so the next edge is at most this many days away.
const DAYS_LOOKED_AT: i32 = 9;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Day {
    Mon,
    Tue,
    Wed,
    Thu,
    Fri,
    Sat,
    Sun,
}

impl Day {
    pub const fn of(weekday: Weekday) -> Self {
        match weekday {
            Weekday::Monday => Self::Mon,
            Weekday::Tuesday => Self::Tue,
            Weekday::Wednesday => Self::Wed,
            Weekday::Thursday => Self::Thu,
            Weekday::Friday => Self::Fri,
            Weekday::Saturday => Self::Sat,
            Weekday::Sunday => Self::Sun,
        }
    }
}

/// A window of clock time on some days. When `to` is not after `from`, it ends on the day after the one it begins on;
/// so `00:00` to `00:00` is a whole day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Restriction {
    /// The days on which the window begins; empty means every day.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub days: Vec<Day>,
    pub from: Time,
    pub to: Time,
}

impl Restriction {
    /// The window that begins on `date`; `None` when there is none or a change of clocks swallows it.
    fn window(&self, zone: &TimeZone, date: Date) -> Option<(Timestamp, Timestamp)> {
        if !self.days.is_empty() && !self.days.contains(&Day::of(date.weekday())) {
            return None;
        }
        let last = if self.to > self.from { date } else { date.checked_add(1.day()).ok()? };
        let start = resolve(zone, date.to_datetime(self.from))?;
        let end = resolve(zone, last.to_datetime(self.to))?;
        (start < end).then_some((start, end))
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Layer {
    pub name: String,
    /// The zone of its handoffs and restrictions; the schedule's when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timezone: Option<String>,
    pub rotation: Rotation,
    /// It holds only in one of these windows; always when there are none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub restrictions: Vec<Restriction>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<Timestamp>,
    /// The first instant at which it no longer holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<Timestamp>,
}

impl Layer {
    /// The number of the turn that holds at `at`; `None` while the layer does not hold.
    pub fn turn_at(&self, zone: &TimeZone, at: Timestamp) -> Option<i64> {
        if self.start.is_some_and(|start| at < start) || self.end.is_some_and(|end| at >= end) {
            return None;
        }
        if !self.restrictions.is_empty() {
            let today = date_at(zone, at)?;
            // A day before and a day after: windows cross midnight, and clocks may skip it.
            let held = (-2..=1).filter_map(|n| today.checked_add(n.days()).ok()).any(|date| {
                let mut windows = self.restrictions.iter().filter_map(|r| r.window(zone, date));
                windows.any(|(start, end)| start <= at && at < end)
            });
            if !held {
                return None;
            }
        }
        self.rotation.shift_at(zone, at)
    }

    /// The first instant after `at` at which the layer may change.
    pub(crate) fn edge_after(&self, zone: &TimeZone, at: Timestamp) -> Option<Timestamp> {
        if self.end.is_some_and(|end| at >= end) {
            return None;
        }
        if let Some(start) = self.start.filter(|start| at < *start) {
            return Some(start);
        }
        let handoff = self.rotation.shift_at(zone, at).and_then(|k| self.rotation.handoff(zone, k + 1));
        let window = self.window_edge(zone, at, 1);
        [handoff, window, self.end].into_iter().flatten().min()
    }

    /// The last instant not after `at` at which the layer may have changed.
    pub(crate) fn edge_before(&self, zone: &TimeZone, at: Timestamp) -> Option<Timestamp> {
        if self.start.is_some_and(|start| at < start) {
            return None;
        }
        if let Some(end) = self.end.filter(|end| at >= *end) {
            return Some(end);
        }
        let handoff = self.rotation.shift_at(zone, at).and_then(|k| self.rotation.handoff(zone, k));
        let window = self.window_edge(zone, at, -1);
        [handoff, window, self.start].into_iter().flatten().max()
    }

    /// The nearest edge of a window after `at` (`direction` 1), or not after it (-1). Looks day by day, and no farther
    /// than a nearer edge can be.
    fn window_edge(&self, zone: &TimeZone, at: Timestamp, direction: i32) -> Option<Timestamp> {
        if self.restrictions.is_empty() {
            return None;
        }
        let today = date_at(zone, at)?;
        let mut best: Option<Timestamp> = None;
        for n in -2..DAYS_LOOKED_AT {
            let date = today.checked_add((n * direction).days()).ok()?;
            // A window of this day or a farther one has no edge nearer than this midnight.
            let limit = if direction > 0 { date } else { date.checked_add(2.days()).ok()? };
            let limit = resolve(zone, limit.to_datetime(Time::midnight()))?;
            let nearer = |edge: Timestamp| if direction > 0 { edge < limit } else { edge > limit };
            if best.is_some_and(nearer) {
                break;
            }
            let windows = self.restrictions.iter().filter_map(|r| r.window(zone, date));
            for edge in windows.flat_map(|(start, end)| [start, end]) {
                best = match (direction > 0, best) {
                    (true, _) if edge <= at => best,
                    (false, _) if edge > at => best,
                    (_, None) => Some(edge),
                    (true, Some(b)) => Some(b.min(edge)),
                    (false, Some(b)) => Some(b.max(edge)),
                };
            }
        }
        best
    }
}

pub(crate) fn date_at(zone: &TimeZone, at: Timestamp) -> Option<Date> {
    Some(Instant::from_millisecond(at.millis()).ok()?.to_zoned(zone.clone()).date())
}
