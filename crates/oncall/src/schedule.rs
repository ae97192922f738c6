//! A schedule: versions of a plan with overrides over them, and the question who is on call.
//!
//! The answer for an instant is evaluated for that instant alone; spans are found by going from one edge to the next.

use std::collections::BTreeSet;

use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};
use tenfold_types::Timestamp;

use crate::{
    calendar::CALENDAR_LAYER,
    overrides::{FixedShift, Override, on_shift},
    plan::Plan,
};

/// Spans one preview lists.
pub const PREVIEW_SPANS_MAX: usize = 5_000;
/// The longest time one preview looks over.
pub const PREVIEW_MS_MAX: i64 = 400 * 86_400_000;
/// How far the beginning and the end of a span are looked for.
const REACH_MS: i64 = 400 * 86_400_000;

/// A plan from an instant on, until a version that was made later holds.
#[derive(Debug, Clone)]
pub struct Version {
    pub number: i64,
    pub from: Timestamp,
    pub plan: Plan,
    /// Of each layer.
    zones: Vec<TimeZone>,
}

impl Version {
    /// # Errors
    /// What [`Plan::check`] says.
    pub fn new(number: i64, from: Timestamp, plan: Plan) -> Result<Self, String> {
        plan.check()?;
        let zones = plan.layers.iter().map(|l| plan.zone_of(l)).collect::<Result<_, _>>()?;
        Ok(Self { number, from, plan, zones })
    }
}

#[derive(Debug, Clone)]
pub struct Schedule {
    pub name: String,
    /// In the order they were made.
    versions: Vec<Version>,
    /// In the order they were made.
    pub overrides: Vec<Override>,
    /// Of the calendar, for those versions that follow it.
    calendar: Vec<FixedShift>,
}

/// Who stands where at one instant.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Duty {
    /// On call, in order; empty in a gap.
    pub people: Vec<String>,
    /// Who stands behind them: the covering layer's turn and those after it, as far as they are not on call.
    pub behind: Vec<String>,
    /// In copy of whoever is on call.
    pub shadows: Vec<String>,
    /// The layer that covers, and its turn; of a calendar always 0.
    pub layer: Option<(String, i64)>,
    /// The overrides that took part.
    pub overrides: Vec<i64>,
    /// Nobody else is on call, so the fallback is.
    pub fallback: bool,
}

/// A stretch of time in which the same people are on call for the same reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Span {
    pub since: Timestamp,
    pub until: Timestamp,
    /// Empty: a gap. More than one: an overlap.
    pub people: Vec<String>,
    pub shadows: Vec<String>,
    /// Who stands behind them, as it was when the span began.
    pub secondary: Option<String>,
    pub layer: Option<String>,
    pub overrides: Vec<i64>,
    pub fallback: bool,
}

impl Duty {
    /// The same of those alone who `can` be paged. Where nobody who is on call can, the fallback is, as far as it can.
    #[must_use]
    pub fn among(mut self, fallback: &[String], can: &dyn Fn(&str) -> bool) -> Self {
        for part in [&mut self.people, &mut self.behind, &mut self.shadows] {
            part.retain(|person| can(person));
        }
        if self.people.is_empty() && !self.fallback {
            self.people = fallback.iter().filter(|person| can(person)).cloned().collect();
            self.fallback = !self.people.is_empty();
            for part in [&mut self.behind, &mut self.shadows] {
                part.retain(|person| !self.people.contains(person));
            }
        }
        self
    }

    /// Two instants with the same reason belong to one span. An override that covers everybody hides the turns below.
    fn same_as(&self, other: &Self) -> bool {
        let hidden = !self.overrides.is_empty() || self.fallback;
        self.people == other.people
            && self.overrides == other.overrides
            && self.fallback == other.fallback
            && self.shadows == other.shadows
            && (hidden || self.layer == other.layer)
    }
}

impl Schedule {
    /// # Errors
    /// One sentence when there is no version.
    pub fn new(name: &str, mut versions: Vec<Version>, overrides: Vec<Override>) -> Result<Self, String> {
        versions.sort_by_key(|v| v.number);
        if versions.is_empty() {
            return Err(format!("the schedule {name} has no version"));
        }
        Ok(Self { name: name.to_owned(), versions, overrides, calendar: Vec::new() })
    }

    /// A schedule whose plan always held.
    ///
    /// # Errors
    /// What [`Plan::check`] says.
    pub fn of_plan(name: &str, plan: Plan, overrides: Vec<Override>) -> Result<Self, String> {
        Self::new(name, vec![Version::new(1, Timestamp(i64::MIN), plan)?], overrides)
    }

    /// The same schedule with these shifts of its calendar, what was and what comes.
    pub fn with_calendar(mut self, shifts: Vec<FixedShift>) -> Self {
        self.calendar = shifts;
        self
    }

    pub fn calendar(&self) -> &[FixedShift] {
        &self.calendar
    }

    /// The address is asked: the version that holds at `now` follows a calendar, or one that is still to begin.
    pub fn follows_from(&self, now: Timestamp) -> bool {
        let follows = |version: &Version| version.plan.calendar.is_some();
        self.version_at(now).is_some_and(follows) || self.versions.iter().any(|v| v.from > now && follows(v))
    }

    /// Everybody whom a version names, and its calendar.
    pub fn people_of<'a>(&'a self, version: &'a Version) -> BTreeSet<&'a str> {
        let mut all = version.plan.people();
        if version.plan.calendar.is_some() {
            all.extend(self.calendar.iter().map(|s| s.person.as_str()));
        }
        all
    }

    pub fn versions(&self) -> &[Version] {
        &self.versions
    }

    /// The version that holds at `at`: the last made of those that have begun. `None` before the first.
    pub fn version_at(&self, at: Timestamp) -> Option<&Version> {
        self.versions.iter().rev().find(|v| v.from <= at)
    }

    /// The version that was made last, though it may not have begun.
    pub fn newest(&self) -> Option<&Version> {
        self.versions.last()
    }

    /// The same schedule with a plan that holds from `from` on, to look at before it is saved.
    ///
    /// # Errors
    /// What [`Plan::check`] says.
    pub fn with_version(mut self, from: Timestamp, plan: Plan) -> Result<Self, String> {
        let number = self.versions.last().map_or(1, |v| v.number + 1);
        self.versions.push(Version::new(number, from, plan)?);
        Ok(self)
    }

    /// Who is on call at `at`, who stands behind, who is in copy.
    pub fn duty_at(&self, at: Timestamp) -> Duty {
        let version = self.version_at(at);
        let mut duty = Duty::default();
        let mut behind = Vec::new();
        if let Some(version) = version {
            let held = version.plan.layers.iter().zip(&version.zones).rev();
            let covering = held.into_iter().find_map(|(layer, zone)| Some((layer, layer.turn_at(zone, at)?)));
            let by_calendar = if version.plan.calendar.is_some() { on_shift(&self.calendar, at) } else { Vec::new() };
            if !by_calendar.is_empty() {
                duty.people = by_calendar;
                duty.layer = Some((CALENDAR_LAYER.to_owned(), 0));
            } else if let Some((layer, turn)) = covering {
                let n = i64::try_from(layer.rotation.people.len()).unwrap_or(0);
                behind = (turn..turn + n).filter_map(|k| layer.rotation.person(k)).collect();
                duty.people.extend(layer.rotation.person(turn).map(str::to_owned));
                duty.layer = Some((layer.name.clone(), turn));
            }
        }
        for o in &self.overrides {
            if o.apply(&mut duty.people, at) {
                duty.overrides.push(o.id);
                if o.covers_all() {
                    // What it covers is of no account any more.
                    duty.overrides = vec![o.id];
                }
            }
        }
        if let Some(version) = version {
            if duty.people.is_empty() && !version.plan.fallback.is_empty() {
                duty.people.clone_from(&version.plan.fallback);
                duty.fallback = true;
            }
            let learning = version.plan.shadows.iter().filter(|s| s.holds(at) && !duty.people.contains(&s.person));
            if !duty.people.is_empty() {
                duty.shadows = learning.map(|s| s.person.clone()).collect();
            }
        }
        for person in behind {
            if !duty.people.iter().chain(&duty.behind).any(|p| p == person) {
                duty.behind.push(person.to_owned());
            }
        }
        duty
    }

    /// On call at `at` when nobody else is.
    pub fn fallback_at(&self, at: Timestamp) -> &[String] {
        self.version_at(at).map_or(&[], |version| version.plan.fallback.as_slice())
    }

    /// The span that holds at `at`. Its ends are looked for within 400 days.
    pub fn span_at(&self, at: Timestamp) -> Span {
        let duty = self.duty_at(at);
        let (first, last) = (at.plus_ms(-REACH_MS), at.plus_ms(REACH_MS));
        let mut since = self.edge_before(at).unwrap_or(first);
        while since > first && self.duty_at(since.plus_ms(-1)).same_as(&duty) {
            since = self.edge_before(since.plus_ms(-1)).unwrap_or(first);
        }
        let mut until = self.edge_after(at).unwrap_or(last);
        while until < last && self.duty_at(until).same_as(&duty) {
            until = self.edge_after(until).unwrap_or(last);
        }
        let behind = if since == at { duty.behind.clone() } else { self.duty_at(since).behind };
        Span {
            since,
            until,
            secondary: behind.into_iter().next(),
            people: duty.people,
            shadows: duty.shadows,
            layer: duty.layer.map(|(name, _)| name),
            overrides: duty.overrides,
            fallback: duty.fallback,
        }
    }

    /// The spans that touch `from..to`, in order and without holes between them; the first from its real beginning. At
    /// most 5,000, over at most 400 days.
    pub fn spans(&self, from: Timestamp, to: Timestamp) -> Vec<Span> {
        let to = to.min(from.plus_ms(PREVIEW_MS_MAX));
        let mut out: Vec<Span> = Vec::new();
        let mut at = from;
        while at < to && out.len() < PREVIEW_SPANS_MAX {
            let mut span = if out.is_empty() { self.span_at(at) } else { self.span_from(at) };
            // Only what `span_at` cannot see, beyond its reach, is without an end.
            span.until = span.until.max(at.plus_ms(1));
            at = span.until;
            out.push(span);
        }
        out
    }

    /// The span that begins at `at`.
    fn span_from(&self, at: Timestamp) -> Span {
        let duty = self.duty_at(at);
        let last = at.plus_ms(REACH_MS);
        let mut until = self.edge_after(at).unwrap_or(last);
        while until < last && self.duty_at(until).same_as(&duty) {
            until = self.edge_after(until).unwrap_or(last);
        }
        Span {
            since: at,
            until,
            secondary: duty.behind.into_iter().next(),
            people: duty.people,
            shadows: duty.shadows,
            layer: duty.layer.map(|(name, _)| name),
            overrides: duty.overrides,
            fallback: duty.fallback,
        }
    }

    /// The spans of one layer alone, without overrides and fallback: what is under the result.
    pub fn layer_spans(&self, layer: &str, from: Timestamp, to: Timestamp) -> Vec<Span> {
        let mut alone = self.clone();
        alone.overrides.clear();
        for version in &mut alone.versions {
            let keep: Vec<bool> = version.plan.layers.iter().map(|l| l.name == layer).collect();
            let mut kept = keep.iter();
            version.plan.layers.retain(|_| kept.next().copied().unwrap_or(false));
            let mut kept = keep.iter();
            version.zones.retain(|_| kept.next().copied().unwrap_or(false));
            if layer != CALENDAR_LAYER {
                version.plan.calendar = None;
            }
            version.plan.fallback.clear();
            version.plan.shadows.clear();
        }
        alone.spans(from, to)
    }

    /// The last instant not after `at` at which the answer may have changed.
    fn edge_before(&self, at: Timestamp) -> Option<Timestamp> {
        let version = self.version_at(at);
        let layers = version.into_iter().flat_map(|v| v.plan.layers.iter().zip(&v.zones));
        let turns = layers.filter_map(|(layer, zone)| layer.edge_before(zone, at));
        self.fixed_edges(version).filter(|t| *t <= at).chain(turns).max()
    }

    fn edge_after(&self, at: Timestamp) -> Option<Timestamp> {
        let version = self.version_at(at);
        let layers = version.into_iter().flat_map(|v| v.plan.layers.iter().zip(&v.zones));
        let turns = layers.filter_map(|(layer, zone)| layer.edge_after(zone, at));
        self.fixed_edges(version).filter(|t| *t > at).chain(turns).min()
    }

    fn fixed_edges<'a>(&'a self, version: Option<&'a Version>) -> impl Iterator<Item = Timestamp> + 'a {
        let begun = self.versions.iter().map(|v| v.from).filter(|from| from.millis() != i64::MIN);
        let shadows = version.into_iter().flat_map(|v| &v.plan.shadows).flat_map(|s| [s.start, s.end]).flatten();
        let follows = version.is_some_and(|v| v.plan.calendar.is_some());
        let calendar = self.calendar.iter().filter(move |_| follows).flat_map(|s| [s.start, s.end]);
        begun.chain(self.overrides.iter().flat_map(Override::edges)).chain(shadows).chain(calendar)
    }
}
