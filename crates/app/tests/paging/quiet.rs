//! Quiet hours: in a person's own night only what is critical rings.

use serde_json::json;
use tenfold_app::people::{Contact, Method, NotificationRules, PersonUpdate, QuietHours};
use tenfold_app::{Caller, Role};
use tenfold_types::Timestamp;

use crate::world::{World, caller, from};

const RING: &str = "https://ana.example/ring";
const MAIL: &str = "ana@example.org";

fn hours(from: &str, to: &str, channels: &[&str]) -> QuietHours {
    QuietHours { from: from.to_owned(), to: to.to_owned(), channels: channels.iter().map(|&c| c.to_owned()).collect() }
}

#[test]
fn hours_are_of_ones_own_clock() {
    let night = hours("22:00", "07:00", &[]);
    for (quiet, zone, at, covered) in [
        (&night, "UTC", "2026-11-23T21:59:59Z", false),
        (&night, "UTC", "2026-11-23T22:00:00Z", true),
        (&night, "UTC", "2026-11-24T06:59:59Z", true),
        (&night, "UTC", "2026-11-24T07:00:00Z", false),
        (&night, "Asia/Kolkata", "2026-11-23T16:30:00Z", true),
        (&night, "Asia/Kolkata", "2026-11-23T22:00:00Z", true),
        (&night, "Asia/Kolkata", "2026-11-24T01:30:00Z", false),
        // The same hour of the day before and after the clocks went back.
        (&night, "Europe/Berlin", "2026-10-24T05:30:00Z", false),
        (&night, "Europe/Berlin", "2026-10-25T05:30:00Z", true),
        (&hours("12:00", "13:00", &[]), "UTC", "2026-11-23T12:30:00Z", true),
        (&hours("12:00", "13:00", &[]), "UTC", "2026-11-23T13:00:00Z", false),
        // What cannot be read never keeps a page quiet.
        (&hours("late", "07:00", &[]), "UTC", "2026-11-23T23:00:00Z", false),
        (&night, "Nowhere/At_all", "2026-11-23T23:00:00Z", false),
    ] {
        let instant = Timestamp::parse_rfc3339(at).expect("an instant");
        assert_eq!(quiet.covers(instant, zone), covered, "{} to {} in {zone} at {at}", quiet.from, quiet.to);
    }
    assert!(night.allows("mail") && !night.allows("webhook"));
    let named = hours("22:00", "07:00", &["webhook"]);
    assert!(named.allows("webhook") && !named.allows("mail"));
}

/// ana is on call, in UTC, with mail and something that rings, both at once.
async fn with(quiet: Option<QuietHours>) -> World {
    let w = World::new(77).await;
    let both = ["mail", "webhook"].map(|channel| Method { channel: channel.to_owned(), after_s: 0 }).to_vec();
    let rules = Some(NotificationRules { critical: both.clone(), other: both });
    let contact = Contact { email: MAIL.into(), webhook: RING.into(), quiet, rules, ..Contact::default() };
    let update = PersonUpdate { contact: Some(contact), ..PersonUpdate::default() };
    w.app.person_put(&caller("ana", Role::Responder), "ana", update).await.expect("ana says how to reach her");
    w
}

/// An alert that pages, of a service of its own; who was told of it.
async fn page(w: &World, service: &str, severity: &str) -> Vec<String> {
    let before = w.receivers.taken.lock().len();
    let alert = from(json!({
        "labels": {"alertname": "Late", "service": service, "severity": severity, "page": "true"},
        "annotations": {"summary": "the batch is late"},
    }));
    w.app.alerts_receive(&Caller::system(), vec![alert]).await.expect("it is taken");
    w.tick().await;
    w.tick().await;
    let mut told: Vec<String> = w.receivers.taken.lock()[before..].iter().map(|s| s.to.clone()).collect();
    told.sort();
    told
}

/// Hours around the clock of the test, of an hour each side, or those after them.
fn around(w: &World, quiet: bool, channels: &[&str]) -> QuietHours {
    let hour = |add: i64| {
        let at = jiff::Timestamp::from_millisecond(w.clock_now().millis() + add * 3_600_000).expect("an instant");
        at.to_zoned(jiff::tz::TimeZone::UTC).strftime("%H:%M").to_string()
    };
    if quiet { hours(&hour(-1), &hour(1), channels) } else { hours(&hour(1), &hour(3), channels) }
}

#[tokio::test]
async fn in_the_night_only_what_is_critical_rings() {
    let probe = World::new(76).await;
    let w = with(Some(around(&probe, true, &[]))).await;
    let policy = from(json!({"steps": [
        {"delay_ms": 60_000, "targets": [{"kind": "schedule", "name": "photos-primary"}]},
        {"delay_ms": 120_000, "targets": [{"kind": "person", "name": "raj"}]},
    ]}));
    w.app.policy_put(&Caller::system(), "search", policy).await.expect("a policy");
    assert_eq!(page(&w, "photos", "warning").await, [MAIL], "a warning waits in the mailbox");
    assert_eq!(page(&w, "search", "critical").await, [MAIL, RING]);
    // Nobody answers: the quiet hours of one keep nothing from the next.
    w.pass(70).await;
    assert_eq!(w.receivers.subjects_to("raj@example.org").len(), 2);
}

#[tokio::test]
async fn what_becomes_critical_rings_though_its_incident_was_told_of_quietly() {
    let probe = World::new(76).await;
    let w = with(Some(around(&probe, true, &[]))).await;
    assert_eq!(page(&w, "photos", "warning").await, [MAIL]);
    w.pass(30).await;
    let before = w.receivers.taken.lock().len();
    page(&w, "photos", "critical").await;
    // The group it joins is looked at once more a second later.
    w.pass(1).await;
    let mut told: Vec<String> = w.receivers.taken.lock()[before..].iter().map(|s| s.to.clone()).collect();
    told.sort();
    assert_eq!(told, [MAIL, RING]);
    assert_eq!(w.states().await.len(), 1, "it joined the incident that is open");
    let rounds: Vec<(i64, i64)> =
        w.app.pages(Some(1)).await.expect("pages").iter().map(|p| (p.step, p.round)).collect();
    assert!(rounds.contains(&(1, 1)) && rounds.contains(&(1, 2)), "{rounds:?}");
    // A minute later it is raj's turn, and once: the first round has ended, and none comes after the second.
    w.pass(55).await;
    assert_eq!(w.receivers.subjects_to("raj@example.org").len(), 0);
    w.pass(200).await;
    assert_eq!(w.receivers.subjects_to("raj@example.org").len(), 1);
    let escalation = w.app.incident(1).await.expect("the incident").escalation.expect("a policy");
    assert_eq!(escalation.state, "exhausted");

    // Somebody has it: they hear of it, and it does not ring.
    let w = with(Some(around(&probe, true, &[]))).await;
    assert_eq!(page(&w, "photos", "warning").await, [MAIL]);
    w.app.incident_acknowledge(&caller("ana", Role::Responder), 1).await.expect("acknowledged");
    assert_eq!(page(&w, "photos", "critical").await, Vec::<String>::new());
}

#[tokio::test]
async fn by_day_everything_rings_and_who_has_no_quiet_way_is_told_anyhow() {
    let probe = World::new(76).await;
    let w = with(Some(around(&probe, false, &[]))).await;
    assert_eq!(page(&w, "photos", "warning").await, [MAIL, RING]);
    let w = with(Some(around(&probe, true, &["ntfy"]))).await;
    assert_eq!(page(&w, "photos", "warning").await, [MAIL, RING], "ntfy is not set up: a page is not lost for it");
    let w = with(Some(around(&probe, true, &["webhook"]))).await;
    assert_eq!(page(&w, "photos", "warning").await, [RING]);
}

#[tokio::test]
async fn hours_that_are_none_are_refused() {
    let w = World::new(78).await;
    for (quiet, why) in [
        (hours("22", "07:00", &[]), "time of the day"),
        (hours("22:00", "25:00", &[]), "time of the day"),
        (hours("22:00", "22:00", &[]), "same"),
        (hours("22:00", "07:00", &["smoke"]), "not a channel"),
    ] {
        let contact = Contact { quiet: Some(quiet), ..Contact::default() };
        let update = PersonUpdate { contact: Some(contact), ..PersonUpdate::default() };
        let refused = w.app.person_put(&caller("ana", Role::Responder), "ana", update).await.expect_err(why);
        assert!(refused.message.contains(why), "{refused}");
    }
}
