//! A schedule: a rotation in a time zone with overrides over it, and the question who is on call.

use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};
use tenfold_types::Timestamp;

use crate::rotation::{PEOPLE_PER_ROTATION_MAX, Rotation};

/// Overrides one schedule may hold.
pub const OVERRIDES_MAX: usize = 1_000;
/// Shifts one preview lists.
const PREVIEW_MAX: usize = 2_000;

/// For its time this person is on call instead of whoever the rotation says. Of two that overlap, the later made counts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Override {
    pub id: i64,
    pub person: String,
    pub start: Timestamp,
    /// The first instant at which it no longer holds.
    pub end: Timestamp,
    pub by: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    pub name: String,
    pub zone: TimeZone,
    pub rotation: Rotation,
    /// In the order they were made.
    pub overrides: Vec<Override>,
}

/// A stretch of time with one person on call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shift {
    pub person: String,
    pub since: Timestamp,
    pub until: Timestamp,
    /// The override that makes it so.
    pub override_id: Option<i64>,
    /// Who stands behind the person on call: the rotation's own turn or the next one, as it was when the shift began.
    pub secondary: Option<String>,
}

#[derive(PartialEq, Eq, Clone, Copy)]
enum Holder {
    Turn(i64),
    Override(i64),
}

impl Schedule {
    /// # Errors
    /// One sentence saying what is wrong with the parts.
    pub fn new(name: &str, timezone: &str, rotation: Rotation, overrides: Vec<Override>) -> Result<Self, String> {
        let zone = TimeZone::get(timezone).map_err(|_| {
            format!("`{timezone}` is not a time zone; write an IANA name like Europe/Berlin, America/Chicago or UTC")
        })?;
        if rotation.people.is_empty() || rotation.people.len() > PEOPLE_PER_ROTATION_MAX {
            let n = rotation.people.len();
            return Err(format!("a rotation has 1 to {PEOPLE_PER_ROTATION_MAX} people, this one has {n}"));
        }
        if rotation.shift_at(&zone, Timestamp(0)).is_none() {
            return Err(format!("the start {} is too far from our time", rotation.start));
        }
        Ok(Self { name: name.to_owned(), zone, rotation, overrides })
    }

    /// Who is on call at `at`, since and until when. `None` only beyond the calendar.
    pub fn who_is_on_call(&self, at: Timestamp) -> Option<Shift> {
        let holder = self.holder(at)?;
        let mut since = self.boundary_before(at)?;
        while self.holder(since.plus_ms(-1)) == Some(holder) {
            since = self.boundary_before(since.plus_ms(-1))?;
        }
        let mut until = self.boundary_after(at)?;
        while self.holder(until) == Some(holder) {
            until = self.boundary_after(until)?;
        }
        let turn = self.rotation.shift_at(&self.zone, since)?;
        let (person, override_id) = match holder {
            Holder::Turn(k) => (self.rotation.person(k)?, None),
            Holder::Override(id) => (self.overrides.iter().find(|o| o.id == id)?.person.as_str(), Some(id)),
        };
        let secondary = [turn, turn + 1].into_iter().filter_map(|k| self.rotation.person(k)).find(|p| *p != person);
        Some(Shift { person: person.to_owned(), since, until, override_id, secondary: secondary.map(str::to_owned) })
    }

    /// The shifts that touch `from..to`, in order, the first from its real beginning. At most 2,000.
    pub fn preview(&self, from: Timestamp, to: Timestamp) -> Vec<Shift> {
        let mut out = Vec::new();
        let mut at = from;
        while at < to && out.len() < PREVIEW_MAX {
            let Some(shift) = self.who_is_on_call(at) else { break };
            at = shift.until;
            out.push(shift);
        }
        out
    }

    fn holder(&self, at: Timestamp) -> Option<Holder> {
        match self.overrides.iter().rev().find(|o| o.start <= at && at < o.end) {
            Some(o) => Some(Holder::Override(o.id)),
            None => self.rotation.shift_at(&self.zone, at).map(Holder::Turn),
        }
    }

    /// The last instant not after `at` at which the holder may have changed.
    fn boundary_before(&self, at: Timestamp) -> Option<Timestamp> {
        let handoff = self.rotation.handoff(&self.zone, self.rotation.shift_at(&self.zone, at)?)?;
        let edges = self.overrides.iter().flat_map(|o| [o.start, o.end]).filter(|t| *t <= at).max();
        Some(edges.map_or(handoff, |e| e.max(handoff)))
    }

    fn boundary_after(&self, at: Timestamp) -> Option<Timestamp> {
        let handoff = self.rotation.handoff(&self.zone, self.rotation.shift_at(&self.zone, at)? + 1)?;
        let edges = self.overrides.iter().flat_map(|o| [o.start, o.end]).filter(|t| *t > at).min();
        Some(edges.map_or(handoff, |e| e.min(handoff)))
    }
}
