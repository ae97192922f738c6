//! Messages that grow: who was told hears when more alerts join and when it is over, and nobody is woken by it.

use serde_json::{Value, json};
use tenfold_app::alerts::{Channel, NotifyError, UpdateKind};
use tenfold_app::people::PersonUpdate;
use tenfold_app::{Caller, Role};
use tenfold_types::{Event, Severity};

use crate::world::{Answer, Told, World, caller, from, put_off};

const ANA: &str = "ana@example.org";
const RING: &str = "https://ana.example/ring";

async fn alert(w: &World, name: &str) {
    let alert = from(json!({
        "labels": {"alertname": name, "service": "photos", "environment": "production", "severity": "critical"},
        "annotations": {"summary": format!("{name} is wrong")},
    }));
    w.app.alerts_receive(&Caller::system(), vec![alert]).await.expect("it is taken");
    w.tick().await;
}

fn updates(w: &World) -> Vec<Told> {
    w.receivers.updates.lock().clone()
}

/// Kind, address and news of all that was told after the pages.
fn news(w: &World) -> Vec<(UpdateKind, String, String)> {
    updates(w).into_iter().map(|t| (t.update.kind, t.to, t.update.news)).collect()
}

fn told(kind: UpdateKind, to: &str, news: &str) -> (UpdateKind, String, String) {
    (kind, to.to_owned(), news.to_owned())
}

/// The rule of photos fires, and ana has her page; in 15 s.
async fn fired(seed: u64) -> World {
    let w = World::new(seed).await;
    w.tick().await;
    w.errors(9.0);
    w.pass(15).await;
    assert_eq!(w.receivers.subjects_to(ANA).len(), 1);
    w
}

async fn contact(w: &World, contact: Value) {
    let update = PersonUpdate { contact: Some(from(contact)), ..PersonUpdate::default() };
    w.app.person_put(&caller("ana", Role::Responder), "ana", update).await.expect("ana says how to reach her");
}

#[tokio::test]
async fn alerts_that_join_are_told_together_and_not_too_often() {
    let w = World::new(230).await;
    alert(&w, "Slow").await;
    w.tick().await;
    assert_eq!(w.receivers.subjects_to(ANA).len(), 1);
    alert(&w, "Queue").await;
    w.pass(10).await;
    alert(&w, "Disk").await;
    w.pass(15).await;
    assert!(news(&w).is_empty());
    w.pass(10).await;
    assert_eq!(news(&w), [told(UpdateKind::Grown, ANA, "3 alerts now")]);
    let first = updates(&w).remove(0);
    for part in ["- Slow is wrong", "- Queue is wrong", "- Disk is wrong", "!ack 1"] {
        assert!(first.update.notice.text.contains(part), "`{part}` is missing in\n{}", first.update.notice.text);
    }
    assert_eq!(first.key, format!("{}.1", first.update.page_key));
    alert(&w, "Network").await;
    w.pass(200).await;
    assert_eq!(news(&w).len(), 1, "five minutes are between two of them");
    w.pass(110).await;
    assert_eq!(news(&w)[1..], [told(UpdateKind::Grown, ANA, "4 alerts now")]);
    assert_eq!(w.receivers.subjects_to(ANA).len(), 1, "nobody is paged for it");
    alert(&w, "Network").await;
    w.pass(400).await;
    assert_eq!(news(&w).len(), 2, "what is known is no news");
}

#[tokio::test]
async fn who_was_told_hears_that_it_is_over_once_and_after_a_crash() {
    let mut w = fired(231).await;
    w.errors(1.0);
    w.clock.advance_ms(5_000);
    w.app.alerts_tick().await.expect("the alert resolves");
    assert_eq!((w.states().await[&1].as_str(), updates(&w).len()), ("resolved", 0));
    w.restart().await;
    w.pass(60).await;
    assert_eq!(news(&w), [told(UpdateKind::Over, ANA, "Over within a minute")]);
    let over = updates(&w).remove(0).update;
    assert!(!over.notice.text.contains("!ack"), "{}", over.notice.text);
    assert!(over.notice.text.contains("photos answers 9 % with errors"), "{}", over.notice.text);
    w.restart().await;
    w.pass(60).await;
    assert_eq!(updates(&w).len(), 1);
    assert_eq!(w.count("page.updated").await, 1);
    let page = w.app.pages(Some(1)).await.expect("pages").remove(0);
    let shown: Vec<_> = page.news.iter().map(|n| (n.channel.as_str(), n.kind.as_str())).collect();
    assert_eq!(shown, [("mail", "over")]);
    assert_eq!(w.receivers.calls.lock().len(), 1, "raj was never paged, and hears nothing");
}

#[tokio::test]
async fn after_an_acknowledgement_whoever_has_it_hears_of_more() {
    for (who, heard) in [("ana", 1), ("raj", 0)] {
        let w = fired(232).await;
        w.app.incident_acknowledge(&caller(who, Role::Responder), 1).await.expect("acknowledged");
        alert(&w, "Queue").await;
        w.pass(60).await;
        assert_eq!(updates(&w).len(), heard, "{who} has it");
        assert_eq!(w.receivers.calls.lock().len(), 1);
    }
}

#[tokio::test]
async fn in_quiet_hours_only_quiet_ways_bring_news() {
    let w = World::new(233).await;
    let hour = |add: i64| {
        let at = jiff::Timestamp::from_millisecond(w.clock_now().millis() + add * 3_600_000).expect("an instant");
        at.to_zoned(jiff::tz::TimeZone::UTC).strftime("%H:%M").to_string()
    };
    let quiet = json!({"from": hour(-1), "to": hour(1)});
    let both = json!([{"channel": "webhook"}, {"channel": "mail"}]);
    contact(&w, json!({"email": ANA, "webhook": RING, "quiet": quiet, "rules": {"critical": both}})).await;
    w.tick().await;
    w.errors(9.0);
    w.pass(15).await;
    assert_eq!(w.receivers.calls.lock().len(), 2, "the page is critical");
    w.errors(1.0);
    w.pass(10).await;
    assert_eq!(updates(&w).iter().map(|t| t.channel).collect::<Vec<_>>(), [Channel::Mail]);
}

#[tokio::test]
async fn news_is_owed_until_it_is_taken_or_newer_news_stand_there() {
    let later = || put_off("450 later", Some(20_000));
    let w = fired(234).await;
    w.app.incident_acknowledge(&caller("ana", Role::Responder), 1).await.expect("acknowledged");
    alert(&w, "Queue").await;
    w.receivers.update_refusals.lock().push_back(later());
    w.pass(35).await;
    assert_eq!(updates(&w).len(), 0);
    w.pass(30).await;
    assert_eq!(news(&w), [told(UpdateKind::Grown, ANA, "2 alerts now")]);

    // Over before it could be told that it grew.
    let w = fired(235).await;
    w.receivers.update_refusals.lock().push_back(later());
    w.errors(1.0);
    w.pass(5).await;
    assert_eq!(updates(&w).len(), 0);
    w.pass(20).await;
    assert_eq!(news(&w), [told(UpdateKind::Over, ANA, "Over within a minute")]);

    let w = fired(236).await;
    w.receivers.update_refusals.lock().push_back(NotifyError { permanent: true, ..later() });
    w.errors(1.0);
    w.pass(600).await;
    assert_eq!(updates(&w).len(), 0, "refused for good");
    let said = w.events().await.into_iter().find(|e| e.kind == "page.updated").expect("it is in the record");
    assert!(said.text.contains("was not told by mail"), "{}", said.text);
}

#[tokio::test]
async fn what_flaps_is_not_told_at_each_turn() {
    let w = fired(237).await;
    w.app.incident_acknowledge(&caller("ana", Role::Responder), 1).await.expect("acknowledged");
    for _ in 0..3 {
        w.errors(1.0);
        w.pass(10).await;
        w.errors(9.0);
        w.pass(20).await;
    }
    assert_eq!(w.app.incident(1).await.expect("the incident").reopened, 3);
    assert_eq!(news(&w), [told(UpdateKind::Over, ANA, "Over within a minute")]);
    // Open again for five seconds, and half a minute is waited for.
    w.pass(20).await;
    assert_eq!(news(&w).len(), 1, "it may be over again at once");
    w.pass(10).await;
    assert_eq!(
        news(&w)[1..],
        [told(UpdateKind::Grown, ANA, "Open again, 1 alert now")],
        "who has it is not left at over"
    );
    alert(&w, "Queue").await;
    w.pass(200).await;
    assert_eq!(news(&w).len(), 2, "five minutes are between what is told of its growth");
    assert_eq!(w.receivers.calls.lock().len(), 1);
}

/// ana has no way but one, and her page is out.
async fn paged_by(seed: u64, channel: &str, to: &str) -> World {
    let w = World::new(seed).await;
    contact(&w, json!({"channels": {channel: to}})).await;
    w.tick().await;
    w.errors(9.0);
    w.pass(15).await;
    assert_eq!(w.receivers.calls.lock().len(), 1);
    w
}

fn kinds(w: &World) -> Vec<UpdateKind> {
    updates(w).into_iter().map(|t| t.update.kind).collect()
}

#[tokio::test]
async fn what_a_page_opened_elsewhere_is_acknowledged_and_closed_and_does_not_ring_again() {
    use UpdateKind::{Acknowledged, Over};
    let w = paged_by(238, "pagerduty", "KEY").await;
    w.app.incident_acknowledge(&caller("raj", Role::Responder), 1).await.expect("acknowledged");
    w.tick().await;
    assert_eq!(kinds(&w), [Acknowledged], "whoever acknowledged");
    w.errors(1.0);
    w.pass(5).await;
    assert_eq!(kinds(&w), [Acknowledged, Over]);
    // Open again, and acknowledged still: to open it there once more would ring.
    w.errors(9.0);
    w.pass(60).await;
    assert_eq!(w.app.incident(1).await.expect("the incident").state, "acknowledged");
    w.pass(400).await;
    assert_eq!(kinds(&w), [Acknowledged, Over]);
}

#[tokio::test]
async fn what_perhaps_rings_on_is_ended_though_nobody_said_that_it_was_taken() {
    let w = World::new(242).await;
    contact(&w, json!({"channels": {"pushover": "KEY"}})).await;
    w.tick().await;
    w.receivers.answers.lock().push_back(Answer::put_off(Some(60_000)));
    w.errors(9.0);
    w.pass(15).await;
    assert_eq!(w.receivers.calls.lock().len(), 1);
    w.app.incident_acknowledge(&caller("ana", Role::Responder), 1).await.expect("acknowledged");
    w.tick().await;
    assert_eq!(kinds(&w), [UpdateKind::Acknowledged]);
}

/// That somebody has it is no message there, so it takes the place of none.
#[tokio::test]
async fn where_nothing_rings_on_news_that_waits_is_told_after_an_acknowledgement() {
    let w = World::new(243).await;
    contact(&w, json!({"channels": {"pushover": "KEY"}})).await;
    w.tick().await;
    for name in ["Slow", "Queue"] {
        let labels = json!({"alertname": name, "service": "photos", "severity": "warning", "page": "true"});
        w.app.alerts_receive(&Caller::system(), vec![from(json!({"labels": labels}))]).await.expect("it is taken");
        w.tick().await;
        w.tick().await;
    }
    assert_eq!((w.receivers.calls.lock().len(), news(&w)), (1, vec![]));
    w.app.incident_acknowledge(&caller("ana", Role::Responder), 1).await.expect("acknowledged");
    w.pass(60).await;
    assert_eq!(news(&w), [told(UpdateKind::Grown, "KEY", "2 alerts now")]);
}

#[tokio::test]
async fn what_was_perhaps_opened_elsewhere_again_is_closed_again() {
    use UpdateKind::Over;
    let w = paged_by(240, "pagerduty", "KEY").await;
    w.errors(1.0);
    w.pass(5).await;
    assert_eq!(kinds(&w), [Over]);
    // The answer to what opens it there is lost, and it is over before it is tried again.
    w.receivers.update_refusals.lock().push_back(put_off("no answer within 30 s", Some(60_000)));
    w.errors(9.0);
    w.pass(15).await;
    assert!(w.receivers.update_refusals.lock().is_empty(), "it was tried");
    w.errors(1.0);
    w.pass(5).await;
    assert_eq!(kinds(&w), [Over, Over]);
}

#[tokio::test]
async fn what_is_open_elsewhere_is_closed_after_a_long_outage_and_people_hear_of_it_meanwhile() {
    const REFUSALS: usize = 25;
    let w = paged_by(241, "pagerduty", "KEY").await;
    let down = put_off("503 Service Unavailable", None);
    w.receivers.update_refusals.lock().extend(std::iter::repeat_n(down, REFUSALS));
    w.errors(1.0);
    w.pass(5).await;
    for _ in 1..REFUSALS {
        w.clock.advance_ms(300_000);
        w.tick().await;
    }
    assert_eq!((w.receivers.update_refusals.lock().len(), kinds(&w)), (0, vec![]));
    let said = |events: Vec<Event>| {
        let updated = events.into_iter().filter(|e| e.kind == "page.updated");
        updated.map(|e| (e.severity, e.text)).collect::<Vec<_>>()
    };
    let told = said(w.events().await);
    let [(Severity::Warning, text)] = &told[..] else { panic!("it is said once: {told:?}") };
    assert!(text.contains("stays as it is, and is tried again"), "{text}");
    w.clock.advance_ms(300_000);
    w.tick().await;
    assert_eq!(kinds(&w), [UpdateKind::Over]);
    assert_eq!(said(w.events().await)[1].0, Severity::Debug);
}

#[tokio::test]
async fn a_message_is_changed_by_its_name_as_long_as_its_incident_lasts() {
    use UpdateKind::{Acknowledged, Grown, Over};
    let w = paged_by(239, "discord", "https://discord.example/hook").await;
    w.app.incident_acknowledge(&caller("raj", Role::Responder), 1).await.expect("acknowledged");
    w.tick().await;
    alert(&w, "Queue").await;
    w.pass(400).await;
    assert_eq!(kinds(&w), [Acknowledged, Grown], "a message that is changed wakes nobody");
    let told = updates(&w).remove(1);
    assert_eq!(told.update.message, Some(format!("name of {}", told.update.page_key)));
    assert!(!told.update.notice.text.contains("!ack"), "{}", told.update.notice.text);
    w.app
        .incident_resolve(&caller("raj", Role::Responder), 1, tenfold_app::incidents::Resolution::default())
        .await
        .expect("resolved");
    w.tick().await;
    assert_eq!(kinds(&w), [Acknowledged, Grown, Over]);
}
