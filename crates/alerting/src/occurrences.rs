//! When a mute holds within a stretch of time: what a preview and a calendar show.
//!
//! A local time that a clock change leaves out never comes; one that it brings twice holds twice. That is what
//! `TimeInterval::contains` says of each instant, and a property test holds the two to each other.

use jiff::{civil::DateTime, tz::TimeZone};
use tenfold_types::Timestamp;

use crate::{MuteSpec, TimeInterval, TimeRange};

/// The longest stretch that is looked at, from its start: a year and the weeks around it that a calendar shows.
pub const OCCURRENCES_SPAN_MS_MAX: i64 = 400 * 86_400_000;
/// Clock changes of one zone within that stretch; real ones have two a year, a few had some more.
const CLOCK_CHANGES_MAX: usize = 64;
const WHOLE_DAY: [TimeRange; 1] = [TimeRange { start_minute: 0, end_minute: 24 * 60 }];

/// A stretch in which a mute holds, the end not included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Occurrence {
    pub from: Timestamp,
    pub to: Timestamp,
}

impl MuteSpec {
    /// The stretches between `from` and `to` in which it holds, in their order, none touching the next.
    pub fn occurrences(&self, from: Timestamp, to: Timestamp) -> Vec<Occurrence> {
        let from = from.max(self.starts_at);
        let to = to.min(self.ends_at).min(from.plus_ms(OCCURRENCES_SPAN_MS_MAX));
        if from >= to {
            return Vec::new();
        }
        if self.recurs.is_empty() {
            return vec![Occurrence { from, to }];
        }
        merged(self.recurs.iter().flat_map(|interval| within(interval, from, to)).collect())
    }
}

fn merged(mut all: Vec<Occurrence>) -> Vec<Occurrence> {
    all.sort_unstable();
    let mut out: Vec<Occurrence> = Vec::new();
    for one in all {
        match out.last_mut() {
            Some(last) if one.from <= last.to => last.to = last.to.max(one.to),
            _ => out.push(one),
        }
    }
    out
}

/// Goes from clock change to clock change, since between two of them local time is the instant and a number.
fn within(interval: &TimeInterval, from: Timestamp, to: Timestamp) -> Vec<Occurrence> {
    let Some(zone) = interval.zone() else { return Vec::new() };
    let mut out = Vec::new();
    let mut start = from;
    for change in changes(&zone, from, to).into_iter().chain([to]) {
        between_changes(interval, &zone, Occurrence { from: start, to: change }, &mut out);
        start = change;
    }
    out
}

fn changes(zone: &TimeZone, from: Timestamp, to: Timestamp) -> Vec<Timestamp> {
    let Ok(begin) = jiff::Timestamp::from_millisecond(from.millis()) else { return Vec::new() };
    let instants = zone.following(begin).map(|t| Timestamp::from_millis(t.timestamp().as_millisecond()));
    instants.take(CLOCK_CHANGES_MAX).take_while(|at| *at < to).filter(|at| *at > from).collect()
}

/// `stretch` has one offset all along. An instant outside what the calendar knows makes it hold never.
fn between_changes(interval: &TimeInterval, zone: &TimeZone, stretch: Occurrence, out: &mut Vec<Occurrence>) {
    let instant = |at: Timestamp| jiff::Timestamp::from_millisecond(at.millis()).ok();
    let (Some(first), Some(last)) = (instant(stretch.from), instant(stretch.to)) else { return };
    let offset = zone.to_offset(first);
    let at = |local: DateTime| Some(Timestamp::from_millis(offset.to_timestamp(local).ok()?.as_millisecond()));
    let end = offset.to_datetime(last).date();
    let mut date = offset.to_datetime(first).date();
    loop {
        if interval.date_holds(date) {
            let times: &[TimeRange] = if interval.times.is_empty() { &WHOLE_DAY } else { &interval.times };
            for time in times {
                let Some(midnight) = at(date.to_datetime(jiff::civil::Time::midnight())) else { continue };
                let minutes = |m: u16| midnight.plus_ms(i64::from(m) * 60_000);
                let from = minutes(time.start_minute).max(stretch.from);
                let to = minutes(time.end_minute).min(stretch.to);
                if from < to {
                    out.push(Occurrence { from, to });
                }
            }
        }
        match date.tomorrow() {
            Ok(next) if next <= end => date = next,
            _ => return,
        }
    }
}
