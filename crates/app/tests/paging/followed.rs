//! A schedule that follows a calendar at an address: who is on call by it, what holds while it cannot be read, what is said and
//! what of the address is shown.

use std::sync::Arc;

use async_trait::async_trait;
use parking_lot::Mutex;
use serde_json::{Value, json};
use tenfold_app::config::{ConfigAction, ConfigApply, ConfigFile};
use tenfold_app::incidents::NewIncident;
use tenfold_app::oncall::{
    CalendarAnswer, CalendarClient, CalendarKnown, Draft, FairnessAsk, FollowedView, PolicyUpdate, PreviewAsk,
    ScheduleUpdate,
};
use tenfold_app::{Caller, Role};
use tenfold_types::{ErrorCode, Event, Severity, Timestamp};

use crate::world::{World, caller, from};

const HOUR: i64 = 3_600_000;
const MINUTE: i64 = 60_000;
const NAME: &str = "photos-primary";
const URL: &str = "https://calendar.example.org/private-s3cret/basic.ics";
const HIDDEN: &str = "https://calendar.example.org/hidden";

/// An address that answers as the test says, and remembers how it was asked.
struct Site {
    answer: Mutex<Result<CalendarAnswer, String>>,
    asked: Mutex<Vec<(String, CalendarKnown)>>,
}

#[async_trait]
impl CalendarClient for Site {
    async fn ask(&self, url: &str, known: &CalendarKnown) -> Result<CalendarAnswer, String> {
        self.asked.lock().push((url.to_owned(), known.clone()));
        self.answer.lock().clone()
    }
}

impl Site {
    fn says(&self, ics: &str) {
        let known = CalendarKnown { etag: format!("\"{}\"", ics.len()), last_modified: String::new() };
        *self.answer.lock() = Ok(CalendarAnswer::Text { ics: ics.to_owned(), known });
    }
    fn fails(&self, why: &str) {
        *self.answer.lock() = Err(why.to_owned());
    }
    fn asked(&self) -> usize {
        self.asked.lock().len()
    }
}

/// Hours from the beginning of the test, each with the title of its event.
fn ics(w: &World, events: &[(&str, i64, i64)]) -> String {
    let begun = Timestamp(1_795_424_400_000);
    assert!(w.clock_now() >= begun, "the clock of tests begins then");
    let utc = |hours: i64| {
        let text = begun.plus_ms(hours * HOUR).to_string();
        let bare: String = text.chars().take(19).filter(|c| !matches!(c, '-' | ':')).collect();
        format!("{bare}Z")
    };
    let event = |(n, (title, from, to)): (usize, &(&str, i64, i64))| {
        let (start, end) = (utc(*from), utc(*to));
        format!("BEGIN:VEVENT\r\nUID:{n}\r\nSUMMARY:{title}\r\nDTSTART:{start}\r\nDTEND:{end}\r\nEND:VEVENT\r\n")
    };
    let events: String = events.iter().enumerate().map(event).collect();
    format!("BEGIN:VCALENDAR\r\nVERSION:2.0\r\n{events}END:VCALENDAR\r\n")
}

fn plan(url: &str) -> Value {
    json!({"timezone": "UTC", "calendar": {"url": url}})
}

async fn put(w: &World, plan: Value) {
    let update: ScheduleUpdate = from(plan);
    w.app.schedule_put(&Caller::system(), NAME, update).await.expect("a schedule");
}

/// Looks at the site from now on.
fn connect(w: &World, site: &Arc<Site>) {
    w.app.oncall.set_calendar_client(site.clone());
}

async fn look(w: &World) {
    w.app.calendars_tick().await.expect("calendars are looked at");
}

/// Ten minutes later.
async fn later(w: &World) {
    w.clock.advance_ms(10 * MINUTE);
    look(w).await;
}

/// A world whose schedule follows the site, which was read once.
async fn following(seed: u64, events: &[(&str, i64, i64)]) -> (World, Arc<Site>) {
    let w = World::new(seed).await;
    let site = Arc::new(Site { answer: Mutex::new(Err("nobody".to_owned())), asked: Mutex::default() });
    site.says(&ics(&w, events));
    connect(&w, &site);
    put(&w, plan(URL)).await;
    look(&w).await;
    (w, site)
}

async fn on_call(w: &World) -> Vec<String> {
    let view = w.app.schedule(NAME).await.expect("the schedule").on_call.expect("a span");
    view.person.iter().chain(&view.also).map(|p| p.login.clone()).collect()
}

async fn state(w: &World) -> FollowedView {
    w.app.schedule(NAME).await.expect("the schedule").calendar.expect("it follows one")
}

async fn told(w: &World) -> Vec<Event> {
    w.events().await.into_iter().filter(|e| e.kind.starts_with("schedule.calendar_")).collect()
}

async fn kinds(w: &World) -> Vec<String> {
    told(w).await.into_iter().map(|e| e.kind.replace("schedule.calendar_", "")).collect()
}

#[tokio::test]
async fn whoever_the_calendar_names_is_on_call_and_paged() {
    let (w, site) = following(301, &[("On call: mei", 0, 4), ("Raj Patel", 4, 8), ("ana", 6, 8)]).await;
    assert_eq!(on_call(&w).await, ["mei"]);
    let now = w.clock_now();
    let state = state(&w).await;
    assert_eq!((state.host.as_str(), state.shifts, state.refresh_s), ("calendar.example.org", 3, 600));
    assert_eq!((state.read_at, state.until), (Some(now), Some(now.plus_ms(120 * 24 * HOUR))));
    let preview = w.app.schedule_preview(NAME, PreviewAsk::default(), None).await.expect("a preview");
    let rows: Vec<_> =
        preview.spans.iter().map(|s| (s.people.join(" "), s.until.since_ms(now) / HOUR)).take(4).collect();
    let row = |who: &str, until: i64| (who.to_owned(), until);
    assert_eq!(rows[..3], [row("mei", 4), row("raj", 6), row("raj ana", 8)]);
    assert_eq!((rows[3].0.as_str(), preview.overlap_ms), ("", 2 * HOUR), "behind it there is a gap");
    assert_eq!(preview.layers.iter().map(|l| l.name.as_str()).collect::<Vec<_>>(), ["calendar"]);
    let text = &told(&w).await[0].text;
    assert!(text.starts_with("photos-primary follows the calendar at calendar.example.org: 3 shifts until "), "{text}");
    let out = w.app.schedule_calendar(NAME).await.expect("a feed");
    assert!(out.contains("mei on call: photos-primary"), "{out}");
    let mei = w.app.fairness(&caller("mei", Role::Responder), NAME, FairnessAsk::default()).await;
    assert!(mei.is_ok(), "whoever is in the calendar is one of the schedule's people");

    let policy: PolicyUpdate =
        from(json!({"steps": [{"delay_ms": 60_000, "targets": [{"kind": "schedule", "name": NAME}]}]}));
    w.app.policy_put(&Caller::system(), "default", policy).await.expect("a policy is made");
    let new: NewIncident = from(json!({"title": "broken"}));
    let number = w.app.incident_open(&caller("raj", Role::Admin), new).await.expect("an incident").number;
    w.tick().await;
    let pages = w.app.pages(Some(number)).await.expect("pages");
    assert_eq!(pages.iter().map(|p| p.person.as_str()).collect::<Vec<_>>(), ["mei"]);
    assert_eq!(site.asked(), 1);
}

#[tokio::test]
async fn it_is_asked_for_when_it_is_due_and_after_a_start() {
    let (mut w, site) = following(302, &[("mei", 0, 4)]).await;
    look(&w).await;
    w.clock.advance_ms(9 * MINUTE);
    look(&w).await;
    assert_eq!(site.asked(), 1, "it is not due");
    *site.answer.lock() = Ok(CalendarAnswer::Unchanged);
    w.clock.advance_ms(MINUTE);
    look(&w).await;
    let known = site.asked.lock()[1].1.etag.clone();
    assert!(known.starts_with('"'), "asked for what is newer only: {known}");
    assert_eq!((state(&w).await.read_at, on_call(&w).await), (Some(w.clock_now()), vec!["mei".to_owned()]));
    w.restart().await;
    connect(&w, &site);
    look(&w).await;
    look(&w).await;
    assert_eq!((site.asked(), kinds(&w).await), (3, vec!["changed".to_owned()]), "once after a start, and no news");
    // It is due while another node evaluates alerts, and so asks for calendars.
    w.clock.advance_ms(10 * MINUTE - 11_000);
    w.lose_lease().await;
    w.clock.advance_ms(11_500);
    look(&w).await;
    assert_eq!(site.asked(), 3);
    w.clock.advance_ms(2_000);
    look(&w).await;
    assert_eq!(site.asked(), 4);
}

#[tokio::test]
async fn what_it_said_last_holds_while_it_cannot_be_read() {
    let (w, site) = following(303, &[("mei", 0, 2), ("ana", 2, 48)]).await;
    site.fails("it answers 500 Internal Server Error");
    later(&w).await;
    let since = w.clock_now();
    later(&w).await;
    site.says("<html>s3cret</html>");
    later(&w).await;
    assert_eq!(
        (on_call(&w).await, kinds(&w).await),
        (vec!["mei".to_owned()], ["changed", "failing"].map(str::to_owned).to_vec())
    );
    let now = state(&w).await;
    assert_eq!(now.failing_since, Some(since));
    assert!(now.failure.is_some_and(|why| why.contains("BEGIN:VCALENDAR")));
    let event = told(&w).await.remove(1);
    assert_eq!(event.severity, Severity::Warning);
    assert!(event.text.ends_with("it answers 500 Internal Server Error; what it said last holds"), "{}", event.text);
    let sentences = w.app.readiness().await.expect("it is computed").sentences();
    let said = "the calendar of photos-primary cannot be read from calendar.example.org since 2026-11-23 09:10 UTC";
    assert!(sentences.iter().any(|s| s.starts_with(said)), "{sentences:?}");
    w.clock.advance_ms(2 * HOUR);
    assert_eq!(on_call(&w).await, ["ana"]);
    // It is read again, and somebody else has it.
    site.says(&ics(&w, &[("mei", 0, 2), ("raj", 2, 48)]));
    later(&w).await;
    assert_eq!(on_call(&w).await, ["raj"]);
    let events = told(&w).await;
    let last: Vec<_> = events[2..].iter().map(|e| (e.kind.as_str(), e.severity)).collect();
    assert_eq!(last, [("schedule.calendar_recovered", Severity::Good), ("schedule.calendar_changed", Severity::Info)]);
    assert!(events[3].text.contains("raj instead of ana from 2026-11-23 11:40 UTC"), "{}", events[3].text);
    assert!(state(&w).await.failing_since.is_none());
    // What was stays as it was.
    let ask = PreviewAsk { from: Some(since), days: Some(1) };
    let spans = w.app.schedule_preview(NAME, ask, None).await.expect("a preview").spans;
    assert_eq!(spans.iter().take(3).map(|s| s.people.join(" ")).collect::<Vec<_>>(), ["mei", "ana", "raj"]);
}

#[tokio::test]
async fn events_that_name_nobody_are_said_once() {
    let (w, site) = following(304, &[("mei", 0, 4), ("Bob", 4, 8), ("Bob", 8, 12), ("mei and raj", 12, 16)]).await;
    let state = state(&w).await;
    assert_eq!(state.unnamed.len(), 2, "{:?}", state.unnamed);
    assert!(
        state.unnamed[0].starts_with("names nobody who has an account: `Bob` from 2026-11-23 13:00 UTC, and 1 more")
    );
    assert!(state.unnamed[1].starts_with("names several people: mei, raj: `mei and raj`"), "{}", state.unnamed[1]);
    let first = told(&w).await.remove(0);
    assert_eq!(first.severity, Severity::Warning);
    assert!(first.text.contains("`Bob`"), "{}", first.text);
    later(&w).await;
    assert_eq!(kinds(&w).await, ["changed"], "it was said");
    let view = w.app.readiness().await.expect("it is computed");
    assert_eq!(view.calendars.len(), 2, "{:?}", view.calendars);
    site.says(&ics(&w, &[("mei", 0, 4), ("Eve", 4, 8)]));
    later(&w).await;
    let last = told(&w).await.remove(1);
    assert!(last.text.contains("names somebody who is not known") && last.text.contains("`Eve`"), "{}", last.text);
}

#[tokio::test]
async fn an_empty_calendar_leaves_nobody_and_that_is_told() {
    let (w, site) = following(305, &[("mei", 0, 48)]).await;
    site.says(&ics(&w, &[]));
    later(&w).await;
    assert!(on_call(&w).await.is_empty());
    let last = told(&w).await.remove(1);
    assert_eq!(last.severity, Severity::Warning);
    assert!(last.text.contains("nobody instead of mei"), "{}", last.text);
}

#[tokio::test]
async fn the_address_is_kept_and_never_shown() {
    let (w, site) = following(306, &[("mei", 0, 48)]).await;
    let shown = |value: &Value| value.to_string();
    let view = w.app.schedule(NAME).await.expect("the schedule");
    assert_eq!(view.plan.calendar.as_ref().map(|c| c.url.as_str()), Some(HIDDEN));
    let versions = w.app.schedule_versions(NAME).await.expect("versions");
    let export = w.app.config_export(&Caller::system()).await.expect("exported");
    let everything = json!({"view": view, "versions": versions, "export": export, "events": w.events().await});
    assert!(!shown(&everything).contains("s3cret"), "{everything}");

    // What is shown may be given back, by the page and in files.
    let mut again = plan(HIDDEN);
    again["fallback"] = json!(["raj"]);
    put(&w, again).await;
    later(&w).await;
    assert_eq!(site.asked.lock().last().map(|(url, _)| url.clone()), Some(URL.to_owned()));
    let apply = async |content: String| {
        let path = format!("schedules/{NAME}.yaml");
        let wanted = ConfigApply { files: vec![ConfigFile { path, content }], dry_run: false, prune: false };
        w.app.config_apply(&Caller::system(), wanted).await.expect("it is applied").changes[0].action
    };
    let exported = w.app.config_export(&Caller::system()).await.expect("exported").files;
    let file = exported.into_iter().find(|f| f.path == format!("schedules/{NAME}.yaml")).expect("a file").content;
    assert!(file.contains(HIDDEN), "{file}");
    assert_eq!(apply(file.clone()).await, ConfigAction::None);
    assert_eq!(apply(file.replace(HIDDEN, URL)).await, ConfigAction::None, "the same address in whole");
    assert_eq!(apply(file.replace(HIDDEN, "https://calendar.example.org/renewed")).await, ConfigAction::Update);
    later(&w).await;
    assert_eq!(site.asked.lock().last().map(|(url, _)| url.ends_with("/renewed")), Some(true));
    // Nothing stands for an address that is not there.
    let update: ScheduleUpdate = from(plan(HIDDEN));
    let refused = w.app.schedule_put(&Caller::system(), "fresh", update).await.expect_err("nobody knows it");
    assert!(refused.message.contains("is hidden"), "{refused}");

    // Followed no more, the address is forgotten, and what was stays.
    put(&w, json!({"timezone": "UTC", "rotation": {"people": ["ana"], "start": "2026-11-23T08:00:00", "shift_length": "1w"}}))
        .await;
    let asked = site.asked();
    later(&w).await;
    assert_eq!((site.asked(), on_call(&w).await), (asked, vec!["ana".to_owned()]));
    assert!(w.app.schedule(NAME).await.expect("the schedule").calendar.is_none());
    let update: ScheduleUpdate = from(plan(HIDDEN));
    assert!(w.app.schedule_put(&Caller::system(), NAME, update).await.is_err(), "it is not known any more");
}

#[tokio::test]
async fn a_new_address_is_read_for_a_preview_and_what_is_known_holds_until_it_is_read() {
    let (w, site) = following(307, &[("mei", 0, 48)]).await;
    site.says(&ics(&w, &[("raj", 0, 4), ("Bob", 4, 8)]));
    let draft = |url: &str| Draft { plan: from(plan(url)), from: None };
    let other = "https://other.example.org/s3cret.ics";
    let ask = PreviewAsk { from: None, days: Some(1) };
    let raj = caller("raj", Role::Responder);
    let refused = w.app.schedule_preview_draft(&raj, NAME, ask, draft(other)).await.expect_err("not his to say");
    assert_eq!((refused.code, site.asked()), (ErrorCode::Forbidden, 1), "nothing was asked");
    let own = w.app.schedule_preview_draft(&raj, NAME, ask, draft(HIDDEN)).await.expect("what is followed already");
    assert_eq!(own.spans[0].people, ["mei"]);
    let mei = caller("mei", Role::Deployer);
    let preview = w.app.schedule_preview_draft(&mei, NAME, ask, draft(other)).await.expect("a preview");
    assert_eq!(preview.spans[0].people, ["raj"]);
    let calendar = preview.calendar.expect("what was read");
    assert_eq!((calendar.host.as_str(), calendar.unnamed.len()), ("other.example.org", 1));
    assert_eq!(on_call(&w).await, ["mei"], "nothing is saved");
    site.fails("it answers 404 Not Found");
    let wrong = w.app.schedule_preview_draft(&mei, NAME, ask, draft(other)).await.expect_err("it is not there");
    assert!(wrong.message.contains("other.example.org") && !wrong.message.contains("s3cret"), "{wrong}");

    put(&w, plan(other)).await;
    look(&w).await;
    let state = state(&w).await;
    assert_eq!((state.host.as_str(), state.read_at), ("other.example.org", None));
    assert_eq!(on_call(&w).await, ["mei"], "nobody is lost to a mistyped address");
    let next = w.clock_now().plus_ms(HOUR);
    let update: ScheduleUpdate = from(plan(URL));
    let refused = w.app.schedule_put_from(&mei, NAME, update, Some(next)).await.expect_err("one at a time");
    assert!(refused.message.contains("follows another calendar"), "{refused}");
}

#[tokio::test]
async fn the_guides_example_is_followed() {
    let guide = include_str!("../../../../docs/guide/on-call.md");
    let mut examples = guide.split("```yaml title=schedules/photos-primary.yaml\n").skip(1);
    let example = examples.find_map(|part| part.split("```").next().filter(|yaml| yaml.contains("calendar:")));
    let (w, site) = following(308, &[]).await;
    let file = ConfigFile {
        path: format!("schedules/{NAME}.yaml"),
        content: example.expect("the guide has an example").to_owned(),
    };
    let wanted = ConfigApply { files: vec![file], dry_run: false, prune: false };
    w.app.config_apply(&Caller::system(), wanted).await.expect("it is applied");
    site.says(&ics(&w, &[("raj", 0, 4)]));
    look(&w).await;
    assert_eq!((on_call(&w).await, state(&w).await.refresh_s), (vec!["raj".to_owned()], 900));
    w.clock.advance_ms(5 * HOUR);
    assert_eq!(on_call(&w).await, ["mei"], "the fallback");
}
