//! A calendar that somebody else keeps and a schedule follows: its address, and what becomes of its shifts over time. What was
//! does not change when the calendar does, so a new answer counts from the instant at which it came.

use std::collections::BTreeSet;

use serde::{Deserialize, Deserializer, Serialize};
use tenfold_types::Timestamp;

use crate::overrides::FixedShift;

/// Under this name the calendar stands among the layers.
pub const CALENDAR_LAYER: &str = "calendar";
pub const REFRESH_S_DEFAULT: u32 = 600;
pub const REFRESH_S_MIN: u32 = 300;
pub const REFRESH_S_MAX: u32 = 86_400;
/// How far ahead a calendar is read.
pub const CALENDAR_AHEAD_MS: i64 = 120 * 86_400_000;
/// How far back it is known who was on call by it: the figures look back over a year.
pub const CALENDAR_BACK_MS: i64 = 400 * 86_400_000;
/// Shifts kept of one calendar, the past counted; of more the oldest that are over are forgotten.
pub const CALENDAR_SHIFTS_MAX: usize = 5_000;
const ADDRESS_CHARS_MAX: usize = 2_000;
/// What stands behind the host where an address is not shown.
const HIDDEN: &str = "hidden";

/// Where the calendar is. The address often holds a secret: a plan that is kept or shown has [`Calendar::hidden`] in its place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Calendar {
    /// `http` or `https`; `webcal` is read as `https`.
    #[serde(deserialize_with = "address")]
    pub url: String,
    /// How often it is asked for, in seconds; 600 when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refresh_s: Option<u32>,
}

fn address<'de, D: Deserializer<'de>>(d: D) -> Result<String, D::Error> {
    Ok(Calendar::at(&String::deserialize(d)?).url)
}

impl Calendar {
    /// The one at an address, asked for as often as is usual.
    pub fn at(url: &str) -> Self {
        // Programs offer a subscription by this scheme; it is fetched over https.
        let url = match url.split_once("://") {
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("webcal") => format!("https://{rest}"),
            _ => url.to_owned(),
        };
        Self { url, refresh_s: None }
    }

    /// Scheme and host, with a port if there is one; without name and password.
    fn parts(&self) -> Option<(&str, &str)> {
        let (scheme, rest) = self.url.split_once("://")?;
        let authority = rest.split(['/', '?', '#', '\\']).next().unwrap_or_default();
        let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
        (!host.is_empty()).then_some((scheme, host))
    }

    /// All of the address that may be shown to everybody.
    pub fn host(&self) -> &str {
        self.parts().map_or("", |(_, host)| host)
    }

    /// The address without what may be a secret in it. Given back it stands for the address that is kept.
    pub fn hidden(&self) -> Self {
        let url = self.parts().map(|(scheme, host)| format!("{}://{host}/{HIDDEN}", scheme.to_ascii_lowercase()));
        Self { url: url.unwrap_or_default(), refresh_s: self.refresh_s }
    }

    pub fn is_hidden(&self) -> bool {
        self.hidden().url == self.url
    }

    pub fn refresh_ms(&self) -> i64 {
        i64::from(self.refresh_s.unwrap_or(REFRESH_S_DEFAULT)) * 1_000
    }

    /// # Errors
    /// One sentence, which never repeats the address.
    pub(crate) fn check(&self) -> Result<(), String> {
        let web = self
            .parts()
            .is_some_and(|(scheme, _)| ["http", "https"].iter().any(|known| scheme.eq_ignore_ascii_case(known)));
        let printable = self.url.chars().all(|c| !c.is_control() && !c.is_whitespace());
        if !web || !printable {
            return Err("the calendar's `url` begins with https:// or http:// and a host".to_owned());
        }
        if self.url.chars().count() > ADDRESS_CHARS_MAX {
            return Err(format!("the calendar's `url` has at most {ADDRESS_CHARS_MAX} characters"));
        }
        match self.refresh_s {
            Some(s) if !(REFRESH_S_MIN..=REFRESH_S_MAX).contains(&s) => Err(format!(
                "the calendar's `refresh_s` is {REFRESH_S_MIN} to {REFRESH_S_MAX} seconds, not {s}; leave it out for \
                 {REFRESH_S_DEFAULT}"
            )),
            _ => Ok(()),
        }
    }
}

/// The shifts of a calendar after it was read at `now`: `known` until then, `read` from then on. In the order of time.
pub fn merged_shifts(known: &[FixedShift], read: &[FixedShift], now: Timestamp) -> Vec<FixedShift> {
    let oldest = now.plus_ms(-CALENDAR_BACK_MS);
    let past = known.iter().filter(|s| s.start < now && s.end > oldest);
    let mut all: Vec<FixedShift> = past.map(|s| FixedShift { end: s.end.min(now), ..s.clone() }).collect();
    for shift in read.iter().filter(|s| s.end > now) {
        // Whoever goes on has one shift and not two.
        let began = shift.start <= now;
        let before = if began { all.iter_mut().find(|s| s.end == now && s.person == shift.person) } else { None };
        match before {
            Some(before) => before.end = shift.end,
            None => all.push(FixedShift { start: shift.start.max(now), ..shift.clone() }),
        }
    }
    all.sort_by(|a, b| (a.start, a.end, &a.person).cmp(&(b.start, b.end, &b.person)));
    all.dedup();
    let mut surplus = all.len().saturating_sub(CALENDAR_SHIFTS_MAX);
    all.retain(|shift| {
        // Never whoever has it now, however long.
        let forgotten = surplus > 0 && shift.end <= now;
        surplus -= usize::from(forgotten);
        !forgotten
    });
    all.truncate(CALENDAR_SHIFTS_MAX);
    all
}

/// A stretch in which a calendar puts others on call than it did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ShiftChange {
    pub since: Timestamp,
    pub until: Timestamp,
    /// By login.
    pub before: Vec<String>,
    pub after: Vec<String>,
}

/// Who has one of some shifts, asked for instants that only grow: a year of shifts has thousands of edges.
struct Going<'a> {
    /// Those that have not begun, the next one last.
    coming: Vec<&'a FixedShift>,
    on: Vec<&'a FixedShift>,
}

impl<'a> Going<'a> {
    fn of(shifts: &'a [FixedShift]) -> Self {
        let mut coming: Vec<&FixedShift> = shifts.iter().collect();
        coming.sort_by_key(|shift| std::cmp::Reverse(shift.start));
        Self { coming, on: Vec::new() }
    }

    /// By login, each once, in order.
    fn people(&mut self, at: Timestamp) -> Vec<String> {
        while self.coming.last().is_some_and(|shift| shift.start <= at) {
            self.on.extend(self.coming.pop());
        }
        self.on.retain(|shift| shift.end > at);
        let people: BTreeSet<&str> = self.on.iter().map(|shift| shift.person.as_str()).collect();
        people.into_iter().map(str::to_owned).collect()
    }
}

/// Where two lists of shifts differ between `from` and `to`, in the order of time.
pub fn shift_changes(before: &[FixedShift], after: &[FixedShift], from: Timestamp, to: Timestamp) -> Vec<ShiftChange> {
    let within = |shifts: &[FixedShift]| -> Vec<FixedShift> {
        let touching = shifts.iter().filter(|s| s.start < to && s.end > from);
        touching.map(|s| FixedShift { start: s.start.max(from), end: s.end.min(to), ..s.clone() }).collect()
    };
    let (before, after) = (within(before), within(after));
    if before == after {
        return Vec::new();
    }
    let mut edges: BTreeSet<Timestamp> = before.iter().chain(&after).flat_map(|s| [s.start, s.end]).collect();
    edges.extend([from, to]);
    let edges: Vec<Timestamp> = edges.into_iter().collect();
    let (mut on_before, mut on_after) = (Going::of(&before), Going::of(&after));
    let mut out: Vec<ShiftChange> = Vec::new();
    for stretch in edges.windows(2) {
        let &[since, until] = stretch else { continue };
        let (before, after) = (on_before.people(since), on_after.people(since));
        if before == after {
            continue;
        }
        match out.last_mut() {
            Some(last) if last.until == since && last.before == before && last.after == after => last.until = until,
            _ => out.push(ShiftChange { since, until, before, after }),
        }
    }
    out
}
