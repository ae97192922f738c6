//! Rest between two stretches of duty, over all schedules that somebody stands in. A page in the night is duty as well: whoever
//! was woken begins to rest from then on.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tenfold_types::Timestamp;

use crate::schedule::{Schedule, Span};

/// A person has less rest between two shifts than the plan wants.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShortRest {
    pub person: String,
    /// When the one shift ends, or when they were paged in the night.
    pub from: Timestamp,
    /// When the next one begins.
    pub to: Timestamp,
    pub min_rest_hours: u32,
    /// The other schedule that the shift before is of.
    pub after: Option<String>,
    /// It was no shift but a page in the night.
    pub after_page: bool,
    /// The other schedule that the shift behind is of.
    pub before: Option<String>,
}

/// What people have to do beside the shifts of one schedule.
#[derive(Debug, Clone, Default)]
pub struct Elsewhere {
    /// Other schedules, each with its spans in the order of time.
    pub schedules: Vec<(String, Vec<Span>)>,
    /// When each person was paged in their night.
    pub night_pages: BTreeMap<String, Vec<Timestamp>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Of<'a> {
    Own,
    Other(&'a str),
    Page,
}

/// A stretch of duty without a hole. A page has no length.
#[derive(Debug, Clone, Copy)]
struct Stretch<'a> {
    from: Timestamp,
    to: Timestamp,
    of: Of<'a>,
}

/// The stretches of each person in one schedule: spans that meet are one.
fn stretches<'a>(spans: &'a [Span], of: Of<'a>, into: &mut BTreeMap<&'a str, Vec<Stretch<'a>>>) {
    let mut own: BTreeMap<&str, Vec<Stretch<'a>>> = BTreeMap::new();
    for span in spans {
        for person in &span.people {
            let of_person = own.entry(person.as_str()).or_default();
            if let Some(last) = of_person.last_mut().filter(|last| last.to >= span.since) {
                last.to = last.to.max(span.until);
            } else {
                of_person.push(Stretch { from: span.since, to: span.until, of });
            }
        }
    }
    for (person, found) in own {
        into.entry(person).or_default().extend(found);
    }
}

/// The short rests of one person. `wanted` says how many hours the plan asks for at an instant.
fn of_person(person: &str, all: &mut [Stretch<'_>], wanted: &dyn Fn(Timestamp) -> Option<u32>) -> Vec<ShortRest> {
    all.sort_by_key(|s| (s.from, s.to));
    let mut out = Vec::new();
    let mut before: Option<Stretch<'_>> = None;
    for next in all.iter().copied() {
        if let Some(last) = before {
            let rest_ms = next.from.since_ms(last.to);
            // Two schedules back to back leave no rest at all; one schedule that goes on has no end there.
            let ended = rest_ms > 0 || (rest_ms == 0 && last.of != next.of && last.of != Of::Page);
            let ours = next.of == Of::Own || (last.of == Of::Own && next.of != Of::Page);
            let hours = wanted(next.from).filter(|_| ended && ours && next.of != Of::Page);
            if let Some(hours) = hours.filter(|hours| rest_ms < i64::from(*hours) * 3_600_000) {
                let named = |of: Of<'_>| if let Of::Other(name) = of { Some(name.to_owned()) } else { None };
                out.push(ShortRest {
                    person: person.to_owned(),
                    from: last.to,
                    to: next.from,
                    min_rest_hours: hours,
                    after: named(last.of),
                    after_page: last.of == Of::Page,
                    before: named(next.of),
                });
            }
        }
        // What ends later is what somebody rests from; of two that end together the own one.
        if before.is_none_or(|last| next.to > last.to || (next.to == last.to && next.of == Of::Own)) {
            before = Some(next);
        }
    }
    out
}

impl Schedule {
    /// Where somebody has less rest between two shifts of this schedule than the plan wants, in the order of time.
    pub fn short_rests(&self, spans: &[Span]) -> Vec<ShortRest> {
        self.short_rests_beside(spans, &Elsewhere::default())
    }

    /// The same with what people do elsewhere: a rest counts when a shift of this schedule is at one end of it. A rest
    /// between shifts of two other schedules is theirs to tell.
    pub fn short_rests_beside(&self, spans: &[Span], elsewhere: &Elsewhere) -> Vec<ShortRest> {
        let mut people: BTreeMap<&str, Vec<Stretch<'_>>> = BTreeMap::new();
        stretches(spans, Of::Own, &mut people);
        let own: Vec<&str> = people.keys().copied().collect();
        for (name, spans) in &elsewhere.schedules {
            stretches(spans, Of::Other(name.as_str()), &mut people);
        }
        for (person, pages) in &elsewhere.night_pages {
            let pages = pages.iter().map(|at| Stretch { from: *at, to: *at, of: Of::Page });
            people.entry(person.as_str()).or_default().extend(pages);
        }
        let wanted = |at: Timestamp| self.version_at(at).and_then(|v| v.plan.min_rest_hours);
        let mut out = Vec::new();
        for person in own {
            if let Some(all) = people.get_mut(person) {
                out.extend(of_person(person, all, &wanted));
            }
        }
        out.sort_by_key(|rest| rest.to);
        out
    }
}
