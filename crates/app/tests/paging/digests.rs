//! Digests come by themselves: at each handover to whoever comes on call, once, by ways that do not ring.

use serde_json::json;
use tenfold_app::alerts::NewMute;
use tenfold_app::people::{PersonKind, PersonUpdate};
use tenfold_app::{Caller, Role};
use tenfold_types::{Actor, EventDraft, Source};

use crate::world::{Answer, World, caller, from};

const HOUR_MS: i64 = 3_600_000;

/// ana and raj take turns of an hour at the desk; the room of the desk is told as well.
async fn desk(seed: u64, handoff: serde_json::Value) -> World {
    let w = World::new(seed).await;
    let system = Caller::system();
    let room = PersonUpdate {
        name: Some("Desk room".to_owned()),
        kind: Some(PersonKind::Operator),
        role: Some(Role::Viewer),
        contact: Some(from(json!({"channels": {"discord": "https://discord.example/desk"}}))),
        ..PersonUpdate::default()
    };
    w.app.person_put(&system, "desk-room", room).await.expect("an account is made");
    let plan = json!({
        "timezone": "UTC", "handoff": handoff,
        "rotation": {"people": ["ana", "raj"], "start": "2026-11-23T08:00:00", "shift_length": "1h"},
    });
    w.app.schedule_put(&system, "desk", from(plan)).await.expect("a schedule is made");
    told(&w).await;
    w
}

async fn told(w: &World) {
    w.app.handoff_tick().await.expect("handovers are looked at");
    w.app.digests_tick().await.expect("digests are told");
}

/// Whom what was told of the desk went to.
fn desks(w: &World) -> Vec<String> {
    let taken = w.receivers.taken.lock();
    taken.iter().filter(|sent| sent.notice.subject.contains("desk")).map(|sent| sent.to.clone()).collect()
}

#[tokio::test]
async fn each_handover_is_told_of_once() {
    let mut w = desk(320, json!({"channel": "desk-room"})).await;
    assert!(desks(&w).is_empty(), "what was before is nobody's news");
    let on = w.app.on_call_now().await.expect("who is on call");
    let on = on.into_iter().find(|o| o.schedule == "desk").and_then(|o| o.person).expect("somebody").login;
    w.errors(9.0);
    w.pass(20).await;
    w.clock.advance_ms(HOUR_MS);
    told(&w).await;
    told(&w).await;
    let next = if on == "ana" { "raj" } else { "ana" };
    let mut whom = desks(&w);
    whom.sort();
    assert_eq!(whom, [format!("{next}@example.org"), "https://discord.example/desk".to_owned()]);
    let text = w
        .receivers
        .taken
        .lock()
        .iter()
        .find(|s| s.notice.subject.contains("desk"))
        .expect("it went")
        .notice
        .text
        .clone();
    assert!(text.contains("1 alert fired, 0 pages, 1 incident open") || text.contains("photos answers 9 %"), "{text}");
    w.restart().await;
    told(&w).await;
    assert_eq!(desks(&w).len(), 2, "a start tells nobody anew");
    let events: Vec<_> = w.events().await.into_iter().filter(|e| e.kind == "handoff.told").collect();
    assert_eq!(events.len(), 1);
    assert_eq!((&events[0].data["coming"], &events[0].data["told"]), (&json!([next]), &json!([next, "desk-room"])));
    w.clock.advance_ms(HOUR_MS);
    told(&w).await;
    assert_eq!(desks(&w).len(), 4, "the next one is told of as well");
}

#[tokio::test]
async fn a_schedule_may_tell_nobody() {
    let w = desk(321, json!({"digest": false})).await;
    w.clock.advance_ms(HOUR_MS);
    told(&w).await;
    assert!(desks(&w).is_empty() && w.count("handoff.told").await == 0);
}

#[tokio::test]
async fn what_is_refused_is_tried_again_and_lost_in_no_crash() {
    let mut w = desk(322, json!({})).await;
    w.receivers.answers.lock().push_back(Answer::put_off(None));
    w.clock.advance_ms(HOUR_MS);
    told(&w).await;
    assert!(desks(&w).is_empty());
    w.restart().await;
    w.clock.advance_ms(60_000);
    told(&w).await;
    assert_eq!(desks(&w).len(), 1);
    assert_eq!(w.count("digest.sent").await, 1);
}

#[tokio::test]
async fn what_was_refused_comes_though_the_clock_is_set_back() {
    let w = desk(329, json!({})).await;
    w.clock.advance_ms(HOUR_MS);
    w.tick().await;
    w.receivers.answers.lock().push_back(Answer::put_off(None));
    told(&w).await;
    assert!(desks(&w).is_empty() && w.receivers.answers.lock().is_empty(), "it is put off");
    w.clock.set(w.clock_now().plus_ms(-24 * HOUR_MS));
    w.pass(15).await;
    told(&w).await;
    assert_eq!(desks(&w).len(), 1);
}

#[tokio::test]
async fn who_has_no_quiet_way_is_named_in_the_record() {
    let w = desk(323, json!({})).await;
    for login in ["ana", "raj"] {
        let update =
            PersonUpdate { contact: Some(from(json!({"channels": {"pagerduty": "KEY"}}))), ..PersonUpdate::default() };
        w.app.person_put(&Caller::system(), login, update).await.expect("the contact is changed");
    }
    w.clock.advance_ms(HOUR_MS);
    told(&w).await;
    assert!(desks(&w).is_empty(), "nobody is rung up for a digest");
    let failed = w.events().await.into_iter().find(|e| e.kind == "digest.failed").expect("it is said");
    assert!(failed.text.contains("no way that does not ring"), "{}", failed.text);
}

#[tokio::test]
async fn what_never_may_be_told_ends_and_the_record_says_so() {
    let w = desk(324, json!({})).await;
    for login in ["ana", "raj"] {
        let contact = json!({"email": format!("{login}@example.org"),
            "quiet": {"from": "00:00", "to": "23:59", "channels": ["irc"]}});
        let update = PersonUpdate { contact: Some(from(contact)), ..PersonUpdate::default() };
        w.app.person_put(&Caller::system(), login, update).await.expect("the contact is changed");
    }
    w.clock.advance_ms(HOUR_MS);
    told(&w).await;
    assert_eq!((desks(&w).len(), w.count("digest.failed").await), (0, 0), "it waits");
    w.clock.advance_ms(47 * HOUR_MS);
    w.app.digests_tick().await.expect("digests are looked at");
    assert_eq!(w.count("digest.failed").await, 0, "still");
    w.clock.advance_ms(HOUR_MS);
    w.app.digests_tick().await.expect("digests are looked at");
    let failed = w.events().await.into_iter().find(|e| e.kind == "digest.failed").expect("it is said");
    assert!(failed.text.contains("quiet hours"), "{}", failed.text);
}

#[tokio::test]
async fn a_digest_tells_of_what_reaches_its_schedule_alone() {
    let w = World::new(325).await;
    let system = Caller::system();
    let plan = json!({"timezone": "UTC",
        "rotation": {"people": ["mei"], "start": "2026-11-23T08:00:00", "shift_length": "1d"}});
    w.app.schedule_put(&system, "music", from(plan)).await.expect("a schedule is made");
    let policy = json!({"steps": [{"delay_ms": 60_000, "targets": [{"kind": "schedule", "name": "music"}]}]});
    w.app.policy_put(&system, "music", from(policy)).await.expect("a policy is made");
    // The rule's service is photos, whose policy pages photos-primary and raj.
    w.errors(12.5);
    w.pass(20).await;
    let ends = w.clock_now().plus_ms(HOUR_MS);
    for (service, severity) in [("music", "critical"), ("photos", "warning")] {
        let alert = json!({"labels": {"alertname": "Late", "service": service, "severity": severity}, "endsAt": ends});
        w.app.alerts_receive(&system, vec![from(alert)]).await.expect("it is taken");
    }
    w.pass(10).await;
    w.clock.advance_ms(HOUR_MS / 2);
    let digest = w.app.handoff_digest(&system, "music").await.expect("a digest");
    assert_eq!((digest.fired.len(), digest.pages, digest.open.len()), (1, 1, 1), "{digest:?}");
    assert!(digest.fired[0].contains("music"), "{digest:?}");
    let digest = w.app.handoff_digest(&system, "photos-primary").await.expect("a digest");
    assert_eq!((digest.fired.len(), digest.pages, digest.open.len()), (2, 1, 1), "{digest:?}");
}

#[tokio::test]
async fn in_a_storm_a_digest_has_its_pages_its_mutes_and_whose_rest_is_short() {
    const STORM: usize = 1_200;
    let w = World::new(327).await;
    let system = Caller::system();
    // It is one at night there.
    let update = PersonUpdate { timezone: Some("America/Los_Angeles".to_owned()), ..PersonUpdate::default() };
    w.app.person_put(&system, "ana", update).await.expect("ana says where she is");
    let plan = json!({"timezone": "UTC", "min_rest_hours": 11,
        "rotation": {"people": ["ana", "raj"], "start": "2026-11-23T08:00:00", "shift_length": "1h"}});
    w.app.schedule_put(&system, "desk", from(plan)).await.expect("a schedule is made");
    w.tick().await;
    w.errors(12.5);
    w.pass(20).await;
    let expires_at = w.clock_now().plus_ms(HOUR_MS);
    let mute = NewMute::from_text("service=photos", "a storm", expires_at);
    w.app.mute_create(&caller("raj", Role::Responder), mute).await.expect("it is muted");
    let storm = w.app.transact(|t| {
        for n in 1..=STORM {
            let text = format!("Late fires on host {n}");
            let draft = EventDraft::new(Actor::system(), Source::System, "alert.fired", text).service("photos");
            t.record(draft)?;
        }
        Ok(())
    });
    storm.await.expect("they are in the record");
    w.clock.advance_ms(60_000);
    let digest = w.app.handoff_digest(&caller("ana", Role::Viewer), "desk").await.expect("a digest");
    assert_eq!((digest.pages, digest.muted.len(), digest.short_rests.len()), (1, 1, 1), "{digest:?}");
    assert!(digest.short_rests[0].starts_with("ana was paged at night"), "{digest:?}");
    assert_eq!((digest.fired_count, digest.fired.len(), digest.truncated), (STORM + 1, 100, true));
    assert_eq!(digest.fired[99], format!("Late fires on host {STORM}"), "the last ones are listed");
}

#[tokio::test]
async fn a_schedule_that_cannot_be_read_keeps_no_other_from_being_told() {
    let w = desk(326, json!({})).await;
    let broken = w.app.housekeeping(|t| Ok(tenfold_store::oncall::schedule_put(t.tx(), "broken", "{")?)).await;
    broken.expect("it is broken");
    w.clock.advance_ms(HOUR_MS);
    let fault = w.app.handoff_tick().await.expect_err("it is said");
    assert!(fault.message.contains("broken"), "{}", fault.message);
    w.app.digests_tick().await.expect("digests are told");
    assert_eq!(desks(&w).len(), 1);
}
