//! Who is on call, found without any cleverness: clock times are looked up in a table of every quarter of an hour, handoffs are
//! counted one after another.

use std::collections::BTreeMap;

use jiff::{Timestamp as Instant, ToSpan, civil::DateTime, tz::TimeZone};
use tenfold_oncall::{Day, Layer, Override, OverrideKind, Plan, Unit};
use tenfold_types::Timestamp;

const MINUTE: i64 = 60_000;
/// Every clock time and every change of clocks here falls on a quarter of an hour.
const STEP: i64 = 15 * MINUTE;
const DAY: i64 = 24 * 60 * MINUTE;
/// The table reaches over the longest shift on both sides.
const AROUND_DAYS: i64 = 70;

/// The latest clock time shown so far, for every quarter of an hour.
struct Clock {
    first: i64,
    shown: Vec<DateTime>,
}

impl Clock {
    fn new(zone: &TimeZone, from: i64, to: i64) -> Self {
        let mut shown: Vec<DateTime> = Vec::new();
        for at in (from..to).step_by(STEP as usize) {
            let civil = zone.to_datetime(Instant::from_millisecond(at).expect("in range"));
            shown.push(shown.last().map_or(civil, |last| civil.max(*last)));
        }
        Self { first: from, shown }
    }
    /// The first instant at which the clock shows `civil` or later: the earlier one in a fold, the one after in a gap.
    fn at(&self, civil: DateTime) -> i64 {
        self.first + self.shown.partition_point(|shown| *shown < civil) as i64 * STEP
    }
}

pub struct Brute<'a> {
    plan: &'a Plan,
    overrides: &'a [Override],
    clocks: BTreeMap<String, Clock>,
    /// For each layer its handoffs, each with whose turn begins.
    turns: Vec<Vec<(i64, String)>>,
}

impl<'a> Brute<'a> {
    pub fn new(plan: &'a Plan, overrides: &'a [Override], from: Timestamp, to: Timestamp) -> Self {
        let mut clocks = BTreeMap::new();
        for layer in &plan.layers {
            let name = layer.timezone.clone().expect("every layer has one here");
            let zone = TimeZone::get(&name).expect("a zone");
            let (from, to) = (from.millis() - AROUND_DAYS * DAY, to.millis() + AROUND_DAYS * DAY);
            clocks.entry(name).or_insert_with(|| Clock::new(&zone, from, to));
        }
        let turns =
            plan.layers.iter().map(|layer| turns(layer, &clocks[layer.timezone.as_ref().expect("a zone")])).collect();
        Self { plan, overrides, clocks, turns }
    }

    fn holds(&self, layer: &Layer, at: Timestamp) -> bool {
        if layer.start.is_some_and(|s| at < s) || layer.end.is_some_and(|e| e <= at) {
            return false;
        }
        let clock = &self.clocks[layer.timezone.as_ref().expect("a zone")];
        let around = clock.shown[((at.millis() - clock.first) / STEP) as usize].date();
        layer.restrictions.is_empty()
            || layer.restrictions.iter().any(|r| {
                (-3..=3).any(|n| {
                    let date = around.checked_add(n.days()).expect("in range");
                    let last = if r.to > r.from { date } else { date.tomorrow().expect("in range") };
                    (r.days.is_empty() || r.days.contains(&Day::of(date.weekday())))
                        && clock.at(date.to_datetime(r.from)) <= at.millis()
                        && at.millis() < clock.at(last.to_datetime(r.to))
                })
            })
    }

    pub fn people(&self, at: Timestamp) -> Vec<String> {
        let mut people = Vec::new();
        for (layer, turns) in self.plan.layers.iter().zip(&self.turns) {
            if self.holds(layer, at) {
                let turn = turns.iter().rfind(|(begins, _)| *begins <= at.millis()).expect("a turn");
                people = vec![turn.1.clone()];
            }
        }
        for o in self.overrides.iter().filter(|o| o.start <= at && at < o.end) {
            match o.kind {
                OverrideKind::Replace => match &o.replaces {
                    None => people = vec![o.person.clone()],
                    Some(gone) if people.contains(gone) => {
                        let there = people.contains(&o.person);
                        people.retain(|p| !there || p != gone);
                        for p in people.iter_mut().filter(|p| *p == gone) {
                            p.clone_from(&o.person);
                        }
                    }
                    Some(_) => {}
                },
                OverrideKind::Add => {
                    if !people.contains(&o.person) {
                        people.push(o.person.clone());
                    }
                }
                OverrideKind::Remove => people.retain(|p| *p != o.person),
                OverrideKind::Temporary => {
                    people = Vec::new();
                    for s in o.shifts.iter().filter(|s| s.start <= at && at < s.end) {
                        if !people.contains(&s.person) {
                            people.push(s.person.clone());
                        }
                    }
                }
            }
        }
        if people.is_empty() { self.plan.fallback.clone() } else { people }
    }
}

/// Handoffs from the anchor on, and back from it, one by one.
fn turns(layer: &Layer, clock: &Clock) -> Vec<(i64, String)> {
    let rotation = &layer.rotation;
    let length = rotation.shift_length;
    let unit = |n: i64| match length.unit {
        Unit::Hour => jiff::Span::new().hours(n),
        Unit::Day => jiff::Span::new().days(n),
        Unit::Week => jiff::Span::new().weeks(n),
        Unit::Month => jiff::Span::new().months(n),
    };
    let (low, high) = (clock.shown[0], *clock.shown.last().expect("some"));
    let mut out = Vec::new();
    for direction in [-1_i64, 1] {
        let mut k = -i64::from(direction < 0);
        loop {
            let civil = rotation.start.checked_add(unit(k * length.count)).expect("in range");
            if (direction < 0 && civil < low) || (direction > 0 && civil > high) {
                break;
            }
            let whose = k.rem_euclid(rotation.people.len() as i64) as usize;
            if civil >= low && civil <= high {
                out.push((clock.at(civil), k, rotation.people[whose].clone()));
            }
            k += direction;
        }
    }
    out.sort_by_key(|(at, k, _)| (*at, *k));
    out.into_iter().map(|(at, _, who)| (at, who)).collect()
}
