//! Fairness figures for the people of a schedule, who has had least, and the digest at a handoff.

use std::collections::BTreeMap;

use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};
use tenfold_oncall::{Load, Profile, Schedule, load};
use tenfold_store::{Tx, events, events::EventQuery, people as person_store};
use tenfold_types::{Fault, Timestamp};
use utoipa::ToSchema;

use super::{
    calendars::everybody, concerns::Concerns, no_schedule, rest::busy, schedule, schedules::profiles,
    views::OnCallPerson,
};
use crate::{
    App, Caller,
    incidents::{IncidentView, paged_between, paged_counts},
    people::Person,
};

const DAY_MS: i64 = 86_400_000;
const WINDOW_DAYS_DEFAULT: i64 = 84;
const WINDOW_DAYS_MAX: i64 = 366;
/// Events of a kind that a digest looks at, the newest.
const LOOKED_AT_MAX: usize = 10_000;
/// Lines of each part of a digest.
const DIGEST_LINES_MAX: usize = 100;

/// Which stretch of time is looked at.
#[derive(Debug, Clone, Copy, Default, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct FairnessAsk {
    /// How many days back, 1 to 366; 84 when absent.
    pub days: Option<i64>,
}

/// A stretch for which somebody is looked for.
#[derive(Debug, Clone, Copy, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct SuggestAsk {
    #[param(value_type = String)]
    pub start: Timestamp,
    #[param(value_type = String)]
    pub end: Timestamp,
}

/// One person's share. Nights (22 to 7), weekends and holidays are by their own clock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct LoadView {
    pub person: OnCallPerson,
    pub timezone: String,
    pub total_ms: i64,
    pub night_ms: i64,
    pub weekend_ms: i64,
    pub holiday_ms: i64,
    pub pages: u32,
    pub night_pages: u32,
}

/// The shares of a schedule's people, in the order of their names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct FairnessView {
    pub schedule: String,
    #[schema(value_type = String)]
    pub from: Timestamp,
    #[schema(value_type = String)]
    pub to: Timestamp,
    pub people: Vec<LoadView>,
}

/// Who might take a stretch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct SuggestionView {
    pub person: Option<OnCallPerson>,
    /// One sentence.
    pub reason: String,
}

/// What the next one should know, from the record of a shift: what reaches the people of the schedule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct DigestView {
    pub schedule: String,
    #[schema(value_type = String)]
    pub from: Timestamp,
    #[schema(value_type = String)]
    pub to: Timestamp,
    /// Alerts that fired, as the record says it, by the policy of their incident or service: the last 100.
    pub fired: Vec<String>,
    /// How many did, of the last 10,000 that fired at all.
    pub fired_count: usize,
    /// Mutes that were made, of such services or of no service in particular: the last 100.
    pub muted: Vec<String>,
    /// Pages to the schedule's people.
    pub pages: usize,
    /// Incidents that are not over: 100 of them.
    pub open: Vec<String>,
    /// How many are not.
    pub open_count: usize,
    /// There was more than is listed or counted here.
    pub truncated: bool,
    /// People who were paged at night and begin again before they have rested.
    pub short_rests: Vec<String>,
}

/// Refuses everybody who is not one of the schedule's people: the figures are theirs.
fn theirs(who: &Caller, of: &Schedule) -> Result<(), Fault> {
    let member = of.versions().iter().any(|v| of.people_of(v).contains(who.actor.id.as_str()));
    if member {
        return Ok(());
    }
    Err(Fault::forbidden(format!("the figures of {} are shown to its people only", of.name))
        .advice("they are for the people who share the schedule, not about them"))
}

fn shares(
    tx: &mut dyn Tx,
    of: &Schedule,
    from: Timestamp,
    to: Timestamp,
) -> Result<BTreeMap<String, (Load, String)>, Fault> {
    let mut paged = paged_between(tx, from, to)?;
    let mut zones = BTreeMap::new();
    let mut known = BTreeMap::new();
    let newest = of.newest().map(|v| of.people_of(v)).unwrap_or_default();
    for row in person_store::people(tx)? {
        let person: Person = serde_json::from_str(&row.body)
            .map_err(|e| Fault::internal(format!("the profile of `{}` cannot be read: {e}", row.login)))?;
        if newest.contains(row.login.as_str()) {
            let zone = TimeZone::get(&person.timezone).unwrap_or(TimeZone::UTC);
            let pages = paged.remove(&row.login).unwrap_or_default();
            zones.insert(row.login.clone(), person.timezone);
            known.insert(row.login, Profile { zone, pages });
        }
    }
    let loads = load(of, &known, from, to);
    Ok(loads.into_iter().map(|(p, l)| (p.clone(), (l, zones.remove(&p).unwrap_or_default()))).collect())
}

impl App {
    /// How much each of the schedule's people had. Only for them.
    pub async fn fairness(&self, who: &Caller, name: &str, ask: FairnessAsk) -> Result<FairnessView, Fault> {
        let days = ask.days.unwrap_or(WINDOW_DAYS_DEFAULT);
        if !(1..=WINDOW_DAYS_MAX).contains(&days) {
            return Err(Fault::invalid(format!("the figures look back over 1 to {WINDOW_DAYS_MAX} days, not {days}")));
        }
        let (to, key, who) = (self.now(), name.to_owned(), who.clone());
        let from = to.plus_ms(-days * DAY_MS);
        self.read(move |tx| {
            let of = schedule(tx, &key, from)?.ok_or_else(|| no_schedule(&key))?;
            theirs(&who, &of)?;
            let names = profiles(tx)?;
            let mut people: Vec<LoadView> = shares(tx, &of, from, to)?
                .into_iter()
                .filter_map(|(login, (l, timezone))| {
                    Some(LoadView {
                        person: names.get(&login)?.clone(),
                        timezone,
                        total_ms: l.total_ms,
                        night_ms: l.night_ms,
                        weekend_ms: l.weekend_ms,
                        holiday_ms: l.holiday_ms,
                        pages: l.pages,
                        night_pages: l.night_pages,
                    })
                })
                .collect();
            people.sort_by(|a, b| a.person.name.cmp(&b.person.name));
            Ok(FairnessView { schedule: key.clone(), from, to, people })
        })
        .await
    }

    /// Who of the schedule's people is free in a stretch and has had least of late.
    pub async fn suggest(&self, who: &Caller, name: &str, ask: SuggestAsk) -> Result<SuggestionView, Fault> {
        if ask.end <= ask.start || ask.end.since_ms(ask.start) > WINDOW_DAYS_MAX * DAY_MS {
            return Err(Fault::invalid("the stretch ends after its start and within a year"));
        }
        let (now, key, who) = (self.now(), name.to_owned(), who.clone());
        self.read(move |tx| {
            let from = now.plus_ms(-WINDOW_DAYS_DEFAULT * DAY_MS);
            let of = schedule(tx, &key, from)?.ok_or_else(|| no_schedule(&key))?;
            theirs(&who, &of)?;
            let busy = busy(tx, &of, ask, now)?;
            let shadows: Vec<String> =
                of.newest().map(|v| v.plan.shadows.iter().map(|s| s.person.clone()).collect()).unwrap_or_default();
            let shares = shares(tx, &of, from, now)?;
            // Who is gone cannot be put on call, and has had less the longer it is.
            let least = everybody(tx)?
                .into_iter()
                .filter(|p| !busy.contains(&p.login) && !shadows.contains(&p.login))
                .filter_map(|p| Some((shares.get(&p.login)?.0.weighed_ms(), p)))
                .min_by(|(a_ms, a), (b_ms, b)| (a_ms, &a.login).cmp(&(b_ms, &b.login)));
            let person = least.map(|(_, p)| OnCallPerson { login: p.login, name: p.name, kind: p.kind });
            let reason = match &person {
                Some(p) => format!(
                    "{} is free then, rests before and after, and has had least in the last {WINDOW_DAYS_DEFAULT} days",
                    p.name
                ),
                None => {
                    "everybody in this schedule is on call then, here or elsewhere, would not have rested, or is gone"
                        .to_owned()
                }
            };
            Ok(SuggestionView { person, reason })
        })
        .await
    }

    /// What happened in the shift that holds now, for whoever comes next. Whose rest was short is said to the schedule's
    /// people alone.
    pub async fn handoff_digest(&self, who: &Caller, name: &str) -> Result<DigestView, Fault> {
        let (now, key, who) = (self.now(), name.to_owned(), who.clone());
        let open = self.incidents_open().await?;
        self.read(move |tx| {
            let of = schedule(tx, &key, now)?.ok_or_else(|| no_schedule(&key))?;
            let from = of.span_at(now).since;
            let mut digest = digest(tx, &of, from, now, &open)?;
            if theirs(&who, &of).is_err() {
                digest.short_rests.clear();
            }
            Ok(digest)
        })
        .await
    }
}

/// What happened in a stretch of a schedule, for whoever comes next: only what reaches its people. What there are many of in a
/// storm keeps nothing else from being found.
pub(super) fn digest(
    tx: &mut dyn Tx,
    of: &Schedule,
    from: Timestamp,
    to: Timestamp,
    open: &[IncidentView],
) -> Result<DigestView, Fault> {
    let mut concerns = Concerns::of(of, from, to);
    let fired = said(tx, "alert.fired", (from, to), &mut concerns)?;
    let muted = said(tx, "mute.created", (from, to), &mut concerns)?;
    let (mut still_open, mut open_count) = (Vec::new(), 0);
    for incident in open {
        if concerns.incident(tx, incident.number, incident.service.as_deref())? {
            open_count += 1;
            if still_open.len() < DIGEST_LINES_MAX {
                still_open.push(format!("incident {}: {}", incident.number, incident.title));
            }
        }
    }
    let mut pages = 0;
    for (incident, person, count) in paged_counts(tx, from, to)? {
        if concerns.people.contains(&person) && concerns.incident(tx, incident, None)? {
            pages += count;
        }
    }
    Ok(DigestView {
        schedule: of.name.clone(),
        from,
        to,
        truncated: fired.truncated || muted.truncated || open_count > still_open.len(),
        fired: fired.lines,
        fired_count: fired.count,
        muted: muted.lines,
        pages,
        open: still_open,
        open_count,
        short_rests: after_night_pages(tx, of, from, to)?,
    })
}

/// What the record says of one kind.
struct Said {
    /// The last of them, the oldest first.
    lines: Vec<String>,
    count: usize,
    truncated: bool,
}

fn said(
    tx: &mut dyn Tx,
    kind: &str,
    (from, to): (Timestamp, Timestamp),
    concerns: &mut Concerns,
) -> Result<Said, Fault> {
    let (mut lines, mut count, mut looked_at, mut before) = (Vec::new(), 0, 0, None);
    loop {
        let query = EventQuery {
            kinds: vec![kind.to_owned()],
            from: Some(from),
            to: Some(to),
            before,
            limit: events::EVENTS_MAX,
            include_admin: true,
            ..EventQuery::default()
        };
        let some = events::list(tx, &query)?;
        let all = some.len() < events::EVENTS_MAX;
        looked_at += some.len();
        before = some.last().map(|event| event.seq);
        for event in some {
            if concerns.event(tx, &event)? {
                count += 1;
                if lines.len() < DIGEST_LINES_MAX {
                    lines.push(event.text);
                }
            }
        }
        if all || looked_at >= LOOKED_AT_MAX {
            lines.reverse();
            return Ok(Said { truncated: !all || count > lines.len(), lines, count });
        }
    }
}

/// Those who were paged at night by their own clock and begin a shift before the rest that the plan wants. Rest goes by every
/// page that somebody had in the stretch, whatever it was for.
fn after_night_pages(tx: &mut dyn Tx, of: &Schedule, from: Timestamp, now: Timestamp) -> Result<Vec<String>, Fault> {
    let Some(hours) = of.newest().and_then(|v| v.plan.min_rest_hours) else { return Ok(Vec::new()) };
    let rest_ms = i64::from(hours) * 3_600_000;
    let loads = shares(tx, of, now.plus_ms(-DAY_MS), now)?;
    let paged = paged_between(tx, from, now)?;
    let coming = of.spans(now, now.plus_ms(rest_ms));
    let mut out = Vec::new();
    for (login, _) in loads.into_iter().filter(|(_, (l, _))| l.night_pages > 0) {
        let Some(last) = paged.get(&login).and_then(|pages| pages.last().copied()) else { continue };
        let next = coming.iter().find(|s| s.since >= last && s.people.contains(&login));
        if let Some(next) = next.filter(|s| s.since.since_ms(last) < rest_ms) {
            let hours_left = next.since.since_ms(last) / 3_600_000;
            out.push(format!(
                "{login} was paged at night and begins again after {hours_left} h, less than {hours} h of rest"
            ));
        }
    }
    Ok(out)
}
