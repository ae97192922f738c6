//! What people put over the layers for a while: covers, additions, removals, temporary schedules.

use serde::{Deserialize, Serialize};
use tenfold_types::Timestamp;

pub const OVERRIDES_MAX: usize = 1_000;
pub const SHIFTS_PER_TEMPORARY_MAX: usize = 200;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OverrideKind {
    /// The person is on call instead of the one in `replaces`, while that one is; instead of everybody when there is no
    /// `replaces`.
    #[default]
    Replace,
    /// The person is on call too.
    Add,
    /// The person is not on call.
    Remove,
    /// The fixed shifts in `shifts` hold instead of the layers; between them nobody does.
    Temporary,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FixedShift {
    pub person: String,
    pub start: Timestamp,
    pub end: Timestamp,
}

/// Who has one of these shifts at `at`, each once.
pub(crate) fn on_shift(shifts: &[FixedShift], at: Timestamp) -> Vec<String> {
    let mut people: Vec<String> = Vec::new();
    for shift in shifts.iter().filter(|s| s.start <= at && at < s.end) {
        if !people.contains(&shift.person) {
            people.push(shift.person.clone());
        }
    }
    people
}

/// They apply in the order in which they were made, so of two that meet the later made counts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Override {
    pub id: i64,
    #[serde(default)]
    pub kind: OverrideKind,
    /// Empty for a temporary schedule.
    pub person: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaces: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub shifts: Vec<FixedShift>,
    pub start: Timestamp,
    /// The first instant at which it no longer holds.
    pub end: Timestamp,
    pub by: String,
}

impl Override {
    /// `person` instead of everybody.
    pub fn cover(id: i64, person: &str, start: Timestamp, end: Timestamp, by: &str) -> Self {
        let (person, by) = (person.to_owned(), by.to_owned());
        Self { id, kind: OverrideKind::Replace, person, replaces: None, shifts: Vec::new(), start, end, by }
    }

    /// # Errors
    /// One sentence saying what does not fit together.
    pub fn check(&self) -> Result<(), String> {
        if self.end <= self.start {
            return Err("an override ends after its start".to_owned());
        }
        if self.kind != OverrideKind::Replace && self.replaces.is_some() {
            return Err("only an override of the kind replace has `replaces`".to_owned());
        }
        if self.kind != OverrideKind::Temporary {
            return match (self.person.is_empty(), self.shifts.is_empty()) {
                (true, _) => Err("an override names a person".to_owned()),
                (_, false) => Err("only a temporary schedule has `shifts`".to_owned()),
                _ if self.replaces.as_ref() == Some(&self.person) => {
                    Err(format!("{} cannot replace themselves", self.person))
                }
                _ => Ok(()),
            };
        }
        if !self.person.is_empty() {
            return Err("a temporary schedule names people in its `shifts`, not in `person`".to_owned());
        }
        if !(1..=SHIFTS_PER_TEMPORARY_MAX).contains(&self.shifts.len()) {
            let given = self.shifts.len();
            return Err(format!("a temporary schedule has 1 to {SHIFTS_PER_TEMPORARY_MAX} shifts, not {given}"));
        }
        match self.shifts.iter().find(|s| s.end <= s.start || s.start < self.start || s.end > self.end) {
            Some(shift) => Err(format!(
                "the shift of {} ends after its start and lies within the temporary schedule",
                shift.person
            )),
            None => Ok(()),
        }
    }

    /// Everybody it names.
    pub fn people(&self) -> impl Iterator<Item = &String> {
        let person = Some(&self.person).filter(|p| !p.is_empty());
        person.into_iter().chain(&self.replaces).chain(self.shifts.iter().map(|s| &s.person))
    }

    /// Whoever was on call before it is not any more.
    pub(crate) fn covers_all(&self) -> bool {
        self.kind == OverrideKind::Temporary || (self.kind == OverrideKind::Replace && self.replaces.is_none())
    }

    pub(crate) fn edges(&self) -> impl Iterator<Item = Timestamp> {
        let shifts = self.shifts.iter().flat_map(|s| [s.start, s.end]);
        [self.start, self.end].into_iter().chain(shifts).filter(|t| self.start <= *t && *t <= self.end)
    }

    /// Changes who is on call at `at`; true when it took part.
    pub(crate) fn apply(&self, people: &mut Vec<String>, at: Timestamp) -> bool {
        if at < self.start || at >= self.end {
            return false;
        }
        match (self.kind, &self.replaces) {
            (OverrideKind::Replace, None) => *people = vec![self.person.clone()],
            (OverrideKind::Replace, Some(replaced)) => {
                let Some(i) = people.iter().position(|p| p == replaced) else { return false };
                if people.contains(&self.person) {
                    people.remove(i);
                } else {
                    people[i].clone_from(&self.person);
                }
            }
            (OverrideKind::Add, _) => {
                if people.contains(&self.person) {
                    return false;
                }
                people.push(self.person.clone());
            }
            (OverrideKind::Remove, _) => {
                let before = people.len();
                people.retain(|p| *p != self.person);
                return people.len() < before;
            }
            (OverrideKind::Temporary, _) => {
                *people = on_shift(&self.shifts, at);
            }
        }
        true
    }
}
