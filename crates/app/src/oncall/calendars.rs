//! Calendars: a schedule's, a person's own at an address with a secret, and what somebody else's calendar brings in.

use serde::{Deserialize, Serialize};
use serde_json::json;
use tenfold_oncall::{IcsEvent, IcsShift, OverrideKind, Schedule, Span, read_events, write_calendar};
use tenfold_store::{Tx, oncall as store, people as person_store};
use tenfold_types::{ActorKind, EventDraft, Fault, Timestamp};

use super::{
    no_schedule,
    overrides::{NewOverride, insert},
    schedule,
    schedules::minute,
    views::OverrideView,
};
use crate::{
    App, Caller, Role,
    people::{Person, digest},
};

const DAY_MS: i64 = 86_400_000;
/// A calendar shows what was of late, and what comes.
const PAST_MS: i64 = 14 * DAY_MS;
const COMING_MS: i64 = 90 * DAY_MS;
/// How far ahead an import reaches.
const IMPORT_MS: i64 = 90 * DAY_MS;
const SECRET_BYTES: usize = 24;
/// Overrides made by one import.
const IMPORT_MAX: usize = 200;

/// The address of a person's or a schedule's calendar. The secret in it is shown this once.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct CalendarAddress {
    pub url: String,
}

/// A calendar to be read, and whether only to look.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CalendarImport {
    /// The file's text. Each event names a person: by login in its summary, or by mail address as an attendee.
    pub ics: String,
    /// Says what would be made and makes nothing.
    #[serde(default)]
    pub dry_run: bool,
}

/// What an import makes, or would make.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct CalendarImported {
    pub overrides: Vec<OverrideView>,
    /// Events that name nobody who has an account, or several people, each in a sentence.
    pub skipped: Vec<String>,
}

/// What a person does in a shift of a calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    OnCall,
    Behind,
    Shadow,
}

impl Part {
    /// What its events say between the person and the schedule.
    const fn words(self) -> &'static str {
        match self {
            Self::OnCall => "on call",
            Self::Behind => "stands behind",
            Self::Shadow => "learns along",
        }
    }
    /// Keeps the names of a person's events apart where one has two parts in one span.
    const fn mark(self) -> &'static str {
        match self {
            Self::OnCall => "",
            Self::Behind => "-behind",
            Self::Shadow => "-shadow",
        }
    }
}

/// The same shift has the same name in every answer.
fn event(schedule: &str, span: &Span, person: &str, part: Part) -> IcsShift {
    let mut notes = Vec::new();
    if part != Part::OnCall && !span.people.is_empty() {
        notes.push(format!("On call: {}", span.people.join(", ")));
    }
    if part != Part::Behind {
        notes.extend(span.secondary.as_ref().map(|p| format!("Behind: {p}")));
    }
    if part == Part::OnCall && !span.shadows.is_empty() {
        notes.push(format!("Learns along: {}", span.shadows.join(", ")));
    }
    if !span.overrides.is_empty() {
        notes.push("By an override".to_owned());
    }
    if span.fallback {
        notes.push("Fallback: nobody else is on call".to_owned());
    }
    IcsShift {
        uid: format!("{schedule}.{}{}.{person}@tenfold", span.since.millis() / 1_000, part.mark()),
        start: span.since,
        end: span.until,
        summary: format!("{person} {}: {schedule}", part.words()),
        description: notes.join("\n"),
    }
}

/// A schedule's calendar has who is on call and nobody else, for other programs page by it; who stands behind and who
/// learns are notes there. In a person's own calendar these are events too.
fn events(of: &Schedule, now: Timestamp, person: Option<&str>) -> Vec<IcsShift> {
    let mut out = Vec::new();
    for span in of.spans(now.plus_ms(-PAST_MS), now.plus_ms(COMING_MS)) {
        let on_call = span.people.iter().map(|p| (p, Part::OnCall));
        let behind = span.secondary.iter().map(|p| (p, Part::Behind));
        let shadows = span.shadows.iter().map(|p| (p, Part::Shadow));
        let parts = on_call.chain(behind).chain(shadows);
        let wanted = parts.filter(|(p, part)| match person {
            Some(wanted) => wanted == p.as_str(),
            None => *part == Part::OnCall,
        });
        out.extend(wanted.map(|(p, part)| event(&of.name, &span, p, part)));
    }
    out
}

impl App {
    /// The schedule's shifts as iCalendar.
    pub async fn schedule_calendar(&self, name: &str) -> Result<String, Fault> {
        let (now, key) = (self.now(), name.to_owned());
        let of = self.read(move |tx| schedule(tx, &key, now)?.ok_or_else(|| no_schedule(&key))).await?;
        Ok(write_calendar(&format!("On call: {name}"), &events(&of, now, None), now))
    }

    /// A new address for the calendar of a person; the one before ends. People for themselves only.
    pub async fn calendar_renew(&self, who: &Caller, login: &str) -> Result<CalendarAddress, Fault> {
        own(who, login)?;
        self.feed_renew(who, Feed::Person(login.to_owned())).await
    }

    /// Ends the address of a person's calendar.
    pub async fn calendar_end(&self, who: &Caller, login: &str) -> Result<(), Fault> {
        own(who, login)?;
        self.feed_end(who, Feed::Person(login.to_owned())).await
    }

    /// A new address for the calendar of a schedule, for whoever subscribes to it; the one before ends for all of them.
    pub async fn schedule_calendar_renew(&self, who: &Caller, name: &str) -> Result<CalendarAddress, Fault> {
        who.require(Role::Responder, None, None)?;
        self.feed_renew(who, Feed::Schedule(name.to_owned())).await
    }

    /// Ends the address of a schedule's calendar.
    pub async fn schedule_calendar_end(&self, who: &Caller, name: &str) -> Result<(), Fault> {
        who.require(Role::Responder, None, None)?;
        self.feed_end(who, Feed::Schedule(name.to_owned())).await
    }

    async fn feed_renew(&self, who: &Caller, feed: Feed) -> Result<CalendarAddress, Fault> {
        let secret = self.random_text(SECRET_BYTES);
        let hash = digest(&secret);
        let who = who.clone();
        self.transact(move |t| {
            if let Feed::Schedule(name) = &feed
                && store::schedule_get(t.tx(), name)?.is_none()
            {
                return Err(no_schedule(name));
            }
            let now = t.now();
            store::feed_put(t.tx(), &feed.key(), &hash, now)?;
            let text = format!("{} made a new address for {}", who.name, feed.whose());
            t.record(EventDraft::new(who.actor.clone(), who.source, "calendar.renewed", text).data(feed.data()))?;
            Ok(())
        })
        .await?;
        Ok(CalendarAddress { url: self.settings.link(&format!("/calendar/{secret}.ics")) })
    }

    async fn feed_end(&self, who: &Caller, feed: Feed) -> Result<(), Fault> {
        let who = who.clone();
        self.transact(move |t| {
            if !store::feed_delete(t.tx(), &feed.key())? {
                return Err(Fault::not_found(format!("{} has no address", feed.whose())));
            }
            let text = format!("{} ended the address of {}", who.name, feed.whose());
            t.record(EventDraft::new(who.actor.clone(), who.source, "calendar.ended", text).data(feed.data()))?;
            Ok(())
        })
        .await
    }

    /// The calendar behind a secret: all shifts of its person, also behind others and as a shadow, or of its schedule.
    pub async fn calendar(&self, secret: &str) -> Result<String, Fault> {
        let (now, hash) = (self.now(), digest(secret));
        let (feed, all) = self
            .read(move |tx| {
                let feed = store::feed_login(tx, &hash)?.map(|key| Feed::of_key(&key));
                let there = match &feed {
                    Some(Feed::Person(login)) => person(tx, login)?.is_some(),
                    Some(Feed::Schedule(name)) => store::schedule_get(tx, name)?.is_some(),
                    None => false,
                };
                let Some(feed) = feed.filter(|_| there) else {
                    return Err(Fault::not_found("there is no calendar at this address any more")
                        .advice("its owner can make a new address on the On-call page"));
                };
                Ok((feed, super::schedules(tx, now)?))
            })
            .await?;
        let (name, shifts): (&str, Vec<IcsShift>) = match &feed {
            Feed::Person(login) => (login.as_str(), all.iter().flat_map(|s| events(s, now, Some(login))).collect()),
            Feed::Schedule(name) => {
                (name.as_str(), all.iter().filter(|s| s.name == *name).flat_map(|s| events(s, now, None)).collect())
            }
        };
        Ok(write_calendar(&format!("On call: {name}"), &shifts, now))
    }

    /// Makes an override of each event of a calendar in the 90 days to come.
    pub async fn calendar_import(
        &self,
        who: &Caller,
        name: &str,
        import: CalendarImport,
    ) -> Result<CalendarImported, Fault> {
        who.require(Role::Responder, None, None)?;
        let (who, name) = (who.clone(), name.to_owned());
        self.transact(move |t| {
            let now = t.now();
            let of = schedule(t.tx(), &name, now)?.ok_or_else(|| no_schedule(&name))?;
            let zone = of.newest().map_or("UTC", |v| v.plan.timezone.as_str());
            let zone = jiff::tz::TimeZone::get(zone).map_err(|e| Fault::internal(e.to_string()))?;
            let found = read_events(&import.ics, &zone, now, now.plus_ms(IMPORT_MS)).map_err(Fault::invalid)?;
            if found.len() > IMPORT_MAX {
                return Err(Fault::invalid(format!(
                    "an import makes at most {IMPORT_MAX} overrides, this is {}",
                    found.len()
                ))
                .advice("cut the calendar to a shorter time"));
            }
            let people = everybody(t.tx())?;
            let (found, nobody) = assigned(&people, found);
            let left_out =
                |(event, why): (IcsEvent, String)| format!("`{}` from {} {why}", event.summary, minute(event.start));
            let skipped = nobody.into_iter().map(left_out).collect();
            let mut out = CalendarImported { overrides: Vec::new(), skipped };
            for new in covers(&found, now) {
                if import.dry_run {
                    out.overrides.push(OverrideView {
                        id: 0,
                        kind: new.kind,
                        person: new.person,
                        replaces: None,
                        start: new.start,
                        end: new.end,
                        by: who.actor.id.clone(),
                        short_rests: Vec::new(),
                    });
                } else {
                    out.overrides.push(insert(t, &who, &name, &new)?);
                }
            }
            Ok(out)
        })
        .await
    }
}

/// A person and the event that is their shift.
type Assigned = (String, IcsEvent);

/// The overrides of events in the order of their beginnings. Whoever has one is on call instead of whom the layers say, and beside
/// those whose events go on.
fn covers(found: &[Assigned], now: Timestamp) -> Vec<NewOverride> {
    let (mut out, mut covered) = (Vec::new(), now);
    for (login, event) in found {
        let start = event.start.max(now);
        let alone = start.max(covered);
        if start < alone {
            let beside = NewOverride::cover(login, None, start, alone.min(event.end));
            out.push(NewOverride { kind: OverrideKind::Add, ..beside });
        }
        if alone < event.end {
            out.push(NewOverride::cover(login, None, alone, event.end));
        }
        covered = covered.max(event.end);
    }
    out
}

/// Who has the shift of each event; and the events that put nobody on call, each with the reason, to follow its title.
pub(super) fn assigned(people: &[Person], found: Vec<IcsEvent>) -> (Vec<Assigned>, Vec<(IcsEvent, String)>) {
    let (mut shifts, mut nobody) = (Vec::new(), Vec::new());
    for event in found {
        let who = if beside_on_call(&event.uid) {
            Err("is not a shift on call".to_owned())
        } else {
            named(people, &event).map(|person| person.login.clone())
        };
        match who {
            Ok(login) => shifts.push((login, event)),
            Err(why) => nobody.push((event, why)),
        }
    }
    (shifts, nobody)
}

/// Whether an event of our own calendars says who stands behind or learns; read back, it puts nobody on call.
pub(super) fn beside_on_call(uid: &str) -> bool {
    let marked = |piece: &str| {
        let marks = [Part::Behind.mark(), Part::Shadow.mark()];
        let second = marks.iter().find_map(|mark| piece.strip_suffix(*mark));
        second.is_some_and(|second| !second.is_empty() && second.bytes().all(|b| b.is_ascii_digit()))
    };
    uid.ends_with("@tenfold") && uid.split('.').skip(1).any(marked)
}

/// Whose shifts an address has.
enum Feed {
    Person(String),
    Schedule(String),
}

/// Under what a schedule's address is stored; a login has no colon.
const SCHEDULE_KEY: &str = "schedule:";

impl Feed {
    fn key(&self) -> String {
        match self {
            Self::Person(login) => login.clone(),
            Self::Schedule(name) => schedule_feed_key(name),
        }
    }
    fn of_key(key: &str) -> Self {
        match key.strip_prefix(SCHEDULE_KEY) {
            Some(name) => Self::Schedule(name.to_owned()),
            None => Self::Person(key.to_owned()),
        }
    }
    fn whose(&self) -> String {
        match self {
            Self::Person(login) => format!("the on-call calendar of {login}"),
            Self::Schedule(name) => format!("the calendar of the schedule {name}"),
        }
    }
    fn data(&self) -> serde_json::Value {
        match self {
            Self::Person(login) => json!({"person": login}),
            Self::Schedule(name) => json!({"schedule": name}),
        }
    }
}

pub(super) fn schedule_feed_key(name: &str) -> String {
    format!("{SCHEDULE_KEY}{name}")
}

fn own(who: &Caller, login: &str) -> Result<(), Fault> {
    if who.actor.kind == ActorKind::Person && who.actor.id == login {
        return Ok(());
    }
    Err(Fault::forbidden(format!("the calendar address of {login} is theirs alone"))
        .advice("whoever has the address reads the calendar, so nobody else makes it"))
}

fn person(tx: &mut dyn Tx, login: &str) -> Result<Option<Person>, Fault> {
    Ok(everybody(tx)?.into_iter().find(|p| p.login == login))
}

/// Everybody who has an account that is not disabled.
pub(super) fn everybody(tx: &mut dyn Tx) -> Result<Vec<Person>, Fault> {
    let rows = person_store::people(tx)?.into_iter().filter(|row| row.disabled_at.is_none());
    rows.map(|row| {
        serde_json::from_str(&row.body)
            .map_err(|e| Fault::internal(format!("the profile of `{}` cannot be read: {e}", row.login)))
    })
    .collect()
}

/// Whom an event names: its attendee; else the one whose login is a word of the summary; else the one whose whole name
/// stands in it.
///
/// # Errors
/// Why it cannot be told, to follow the event's title.
fn named<'a>(people: &'a [Person], event: &IcsEvent) -> Result<&'a Person, String> {
    let words = words(&event.summary);
    let attends = |p: &&Person| {
        let mail = &p.contact.email;
        !mail.is_empty() && event.attendees.iter().any(|a| a.eq_ignore_ascii_case(mail))
    };
    let by_login = |p: &&Person| event.summary.split_whitespace().any(|w| trimmed(w).eq_ignore_ascii_case(&p.login));
    let by_name = |p: &&Person| {
        let name = self::words(&p.name);
        !name.is_empty() && words.windows(name.len()).any(|w| w == name)
    };
    for hits in [
        people.iter().filter(attends).collect::<Vec<_>>(),
        people.iter().filter(by_login).collect(),
        people.iter().filter(by_name).collect(),
    ] {
        match hits.as_slice() {
            [] => {}
            [one] => return Ok(one),
            several => {
                let logins: Vec<&str> = several.iter().map(|p| p.login.as_str()).collect();
                return Err(format!("names several people: {}", logins.join(", ")));
            }
        }
    }
    Err("names nobody who has an account".to_owned())
}

fn trimmed(word: &str) -> &str {
    word.trim_matches(|c: char| !c.is_alphanumeric())
}

fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(|w| trimmed(w).to_lowercase()).filter(|w| !w.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn person(login: &str, name: &str, email: &str) -> Person {
        let contact = json!({"email": email});
        let body = json!({
            "login": login, "name": name, "kind": "developer", "timezone": "UTC", "role": "viewer", "contact": contact,
        });
        serde_json::from_value(body).expect("a person")
    }

    fn found(summary: &str, attendees: &[&str]) -> Result<String, String> {
        let people = [
            person("al", "Al", ""),
            person("mei", "Mei Lin", "mei@example.org"),
            person("lin", "", "lin@example.org"),
            person("sam", "Sam Fox", ""),
            person("sam2", "Sam Fox", ""),
        ];
        let event = IcsEvent {
            uid: "u".to_owned(),
            summary: summary.to_owned(),
            attendees: attendees.iter().map(|&a| a.to_owned()).collect(),
            start: Timestamp(0),
            end: Timestamp(1),
        };
        named(&people, &event).map(|p| p.login.clone())
    }

    #[test]
    fn only_our_own_events_beside_on_call_are_known_by_their_name() {
        let span = Span {
            since: Timestamp(1_795_000_000_000),
            until: Timestamp(1_795_003_600_000),
            people: vec!["ana".to_owned()],
            shadows: vec!["mei".to_owned()],
            secondary: Some("raj".to_owned()),
            layer: None,
            overrides: Vec::new(),
            fallback: false,
        };
        for (part, beside) in [(Part::OnCall, false), (Part::Behind, true), (Part::Shadow, true)] {
            for schedule in ["web", "web-shadow", "eu.web"] {
                let uid = event(schedule, &span, "ana", part).uid;
                assert_eq!(beside_on_call(&uid), beside, "{uid}");
            }
        }
        assert!(!beside_on_call("x.7-shadow.ana@example.org"), "somebody else's");
    }

    #[test]
    fn an_attendee_comes_before_a_login_and_a_login_before_a_name() {
        assert_eq!(found("al covers", &["LIN@example.org"]).as_deref(), Ok("lin"));
        assert_eq!(found("On call: (mei)", &[]).as_deref(), Ok("mei"));
        assert_eq!(found("mei lin is on call, ask al", &[]).unwrap_err(), "names several people: al, mei, lin");
    }

    /// Ana at three, Raj from five on beside her until eight, Mei from nine on.
    #[test]
    fn events_at_one_time_put_all_of_them_on_call() {
        let event = |login: &str, start: i64, end: i64| {
            let (uid, summary, attendees) = (String::new(), String::new(), Vec::new());
            let (start, end) = (Timestamp(start), Timestamp(end));
            (login.to_owned(), IcsEvent { uid, summary, attendees, start, end })
        };
        let found = [event("ana", 1, 7), event("raj", 5, 8), event("mei", 9, 12), event("ana", 10, 11)];
        let made: Vec<_> =
            covers(&found, Timestamp(3)).into_iter().map(|o| (o.kind, o.person, o.start.0, o.end.0)).collect();
        let row = |kind, person: &str, start, end| (kind, person.to_owned(), start, end);
        let (instead, beside) = (OverrideKind::Replace, OverrideKind::Add);
        assert_eq!(
            made,
            [
                row(instead, "ana", 3, 7),
                row(beside, "raj", 5, 7),
                row(instead, "raj", 7, 8),
                row(instead, "mei", 9, 12),
                row(beside, "ana", 10, 11),
            ]
        );
    }

    #[test]
    fn a_part_of_a_word_is_nobody() {
        assert_eq!(found("Alerts in July", &[]).unwrap_err(), "names nobody who has an account");
        assert_eq!(found("Sammy Fox", &[]).unwrap_err(), "names nobody who has an account");
        assert_eq!(found("Fox, Sam Foxtrot", &[]).as_deref(), Ok("sam"), "a login, though not the name");
    }
}
