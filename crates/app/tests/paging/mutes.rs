//! Mutes looked at before they are made, changed, listed over weeks; and by the words of chat.

use serde_json::json;
use tenfold_app::alerts::{CalendarAsk, NewMute};
use tenfold_app::chat::grammar::parse;
use tenfold_app::{Caller, Grant, Role};
use tenfold_types::ErrorCode;

use crate::receivers::routes;
use crate::world::{World, caller, from};

const DAY_MS: i64 = 86_400_000;

#[tokio::test]
async fn a_preview_says_when_it_holds_and_what_it_covers_and_changes_nothing() {
    let w = World::new(71).await;
    w.tick().await;
    w.errors(9.0);
    w.pass(20).await;
    let raj = caller("raj", Role::Responder);
    let now = w.clock_now();
    let ask = |recurs: &str| -> NewMute {
        from(json!({
            "matchers": "service=photos", "reason": "vacuum", "expires_at": now.plus_ms(30 * DAY_MS),
            "kind": "maintenance", "recurs_text": recurs,
        }))
    };
    let preview = w.app.mute_preview(&raj, ask("00:00-24:00")).await.expect("a preview");
    assert_eq!((preview.turns.len(), preview.turns[0].from), (1, now), "days that touch are one stretch");
    assert_eq!(preview.alerts.len(), 1, "the alert that fires now");
    assert_eq!(preview.alerts[0].state, "firing");
    let preview = w.app.mute_preview(&raj, ask("12:00-13:00")).await.expect("a preview");
    assert_eq!(preview.turns.len(), 20);
    assert!((9..=11).contains(&preview.turns_more), "{preview:?}");
    let said = w.app.mute_preview(&raj, ask("now and then")).await.expect_err("no times");
    assert!(said.message.contains("now"), "{said:?}");
    let bound: NewMute =
        from(json!({"matchers": "alertname=A", "reason": "x", "expires_at": now.plus_ms(60_000), "kind": "deploy"}));
    let long: NewMute = from(
        json!({"matchers": "alertname=A", "reason": "x", "expires_at": now.plus_ms(31 * DAY_MS), "kind": "silence"}),
    );
    let said = w.app.mute_create(&raj, long).await.expect_err("longer than a silence lasts");
    assert!(said.message.ends_with("at most 30d from now"), "{said:?}");
    let said = w.app.mute_create(&raj, bound).await.expect_err("a deploy makes those");
    assert!(said.advice.contains("mute_alerts"), "{said:?}");
    assert_eq!(w.app.mutes_all().await.expect("mutes"), []);
    assert_eq!(w.count("mute.created").await, 0);
}

#[tokio::test]
async fn pending_active_and_over_are_told_apart_and_a_calendar_has_them_all() {
    let w = World::new(72).await;
    let raj = caller("raj", Role::Responder);
    let start = w.clock_now();
    let say = async |line: &str| {
        let reply = w.app.execute(&raj, parse(line).expect(line)).await.expect(line);
        reply.text()
    };
    say("mute photos --kind downtime --from 1d --for 2h --reason racks").await;
    say("mute db --recurs '00:00-12:00' --for 10d --reason vacuum").await;
    say("mute web --for 1h --reason noise").await;
    assert!(say("unmute 3").await.contains("over"));
    let states = || async {
        let all = w.app.mutes_all().await.expect("mutes");
        let mut all: Vec<_> = all.into_iter().map(|m| (m.id, m.state, m.next.is_some())).collect();
        all.sort();
        all
    };
    let wanted = |first: &str| {
        vec![(1, first.to_owned(), true), (2, "active".to_owned(), true), (3, "expired".to_owned(), false)]
    };
    assert_eq!(states().await, wanted("pending"));
    w.clock.advance_ms(DAY_MS + 60_000);
    assert_eq!(states().await, wanted("active"));
    assert!(say("mutes").await.contains("mute 1 (downtime)"));
    assert!(!say("mutes").await.contains("mute 3"), "what is over is listed with `mutes all`");
    assert!(say("mutes all").await.contains("mute 3"));

    let ask = CalendarAsk { from: start.plus_ms(-DAY_MS), to: start.plus_ms(5 * DAY_MS) };
    let calendar = w.app.mutes_calendar(ask).await.expect("a calendar");
    let of = |id: i64| calendar.items.iter().filter(|t| t.mute == id).copied().collect::<Vec<_>>();
    assert_eq!(
        of(1).iter().map(|t| (t.from, t.to)).collect::<Vec<_>>(),
        [(start.plus_ms(DAY_MS), start.plus_ms(DAY_MS + 7_200_000))]
    );
    assert!((5..=6).contains(&of(2).len()), "{:?}", of(2));
    assert!(of(3).is_empty(), "it was ended in the moment it began");
    assert_eq!(calendar.left_out, 0);
    let long = CalendarAsk { from: start, to: start.plus_ms(63 * DAY_MS) };
    assert!(w.app.mutes_calendar(long).await.expect_err("too long").message.contains("62 days"));
}

#[tokio::test]
async fn a_change_of_the_end_keeps_the_number_and_any_other_makes_a_new_one() {
    let w = World::new(73).await;
    let raj = caller("raj", Role::Responder);
    let now = w.clock_now();
    let body = |matchers: &str, kind: &str, hours: i64| -> NewMute {
        let ends = now.plus_ms(hours * 3_600_000);
        from(json!({"matchers": matchers, "reason": "racks", "expires_at": ends, "kind": kind}))
    };
    let made = w.app.mute_create(&raj, body("service=photos", "silence", 1)).await.expect("a mute");
    let longer = w.app.mute_change(&raj, made.id, body("service=photos", "silence", 4)).await.expect("longer");
    assert_eq!((longer.id, longer.expires_at), (made.id, now.plus_ms(4 * 3_600_000)));
    let planned = w.app.mute_change(&raj, made.id, body("service=photos", "downtime", 4)).await.expect("planned");
    assert_ne!(planned.id, made.id);
    let other = w.app.mute_change(&raj, planned.id, body("service=web", "downtime", 4)).await.expect("other");
    assert_ne!(other.id, planned.id);
    let open = w.app.mutes().await.expect("mutes");
    assert_eq!(open.iter().map(|m| m.id).collect::<Vec<_>>(), [other.id]);
    assert_eq!(
        w.kinds(&["mute."]).await,
        ["mute.created", "mute.changed", "mute.expired", "mute.created", "mute.expired", "mute.created"]
    );
}

#[tokio::test]
async fn who_may_make_a_mute_may_end_it_and_nobody_elses() {
    let w = World::new(74).await;
    let scoped = |service: &str| Caller {
        grants: vec![Grant { role: Role::Responder, service: Some(service.to_owned()), environment: None }],
        ..caller("mei", Role::Viewer)
    };
    let expires_at = w.clock_now().plus_ms(3_600_000);
    let photos = NewMute::from_text("service=photos", "vacuum", expires_at);
    let made = w.app.mute_create(&scoped("photos"), photos).await.expect("she may");
    let refused = w.app.mute_delete(&scoped("search"), made.id).await.expect_err("it is not hers");
    assert_eq!(refused.code, ErrorCode::Forbidden, "{refused}");
    w.app.mute_delete(&scoped("photos"), made.id).await.expect("she may end it");
    let gone = w.app.mute_delete(&scoped("photos"), made.id).await.expect_err("it is over");
    assert_eq!(gone.code, ErrorCode::NotFound, "{gone}");
    let everything = NewMute::from_text("alertname=Down", "vacuum", expires_at);
    let made = w.app.mute_create(&caller("raj", Role::Responder), everything).await.expect("a mute");
    assert!(w.app.mute_delete(&scoped("photos"), made.id).await.is_err(), "it is about everything");
}

/// Whether somebody is told of an alert of this service, which begins now.
async fn is_told(w: &World, service: &str) -> bool {
    let labels = json!({"alertname": "Late", "service": service, "severity": "critical"});
    let now = w.clock_now();
    let alert = from(json!({"labels": labels, "startsAt": now, "endsAt": now.plus_ms(DAY_MS)}));
    w.app.alerts_receive(&Caller::system(), vec![alert]).await.expect("it is taken");
    let all = w.app.alerts_list(None).await.expect("alerts");
    all.iter().find(|a| a.service.as_deref() == Some(service)).expect("it fires").incident.is_some()
}

/// The pipeline keeps the open mutes in memory from one step to the next.
#[tokio::test]
async fn each_change_of_mutes_counts_for_the_next_alert_at_the_same_instant() {
    let w = World::new(75).await;
    let route = json!({"receiver": "web", "group_by": ["service"], "group_wait": "0s", "group_interval": "5s"});
    routes(&w, &json!({"route": route, "receivers": [{"name": "web", "policy": "photos"}]})).await;
    let raj = caller("raj", Role::Responder);
    let now = w.clock_now();
    let (soon, later) = (now.plus_ms(2_000), now.plus_ms(3_600_000));
    let mute = |service: &str, expires_at| NewMute::from_text(&format!("service={service}"), "vacuum", expires_at);

    assert!(is_told(&w, "a").await, "nothing is muted");
    w.app.mute_create(&raj, mute("b", later)).await.expect("a mute");
    assert!(!is_told(&w, "b").await, "it was made");
    let ended = w.app.mute_create(&raj, mute("c", later)).await.expect("a mute");
    assert!(is_told(&w, "d").await, "of this one nobody spoke");
    w.app.mute_delete(&raj, ended.id).await.expect("it is over");
    assert!(is_told(&w, "c").await, "it was ended");
    let replaced = w.app.mute_create(&raj, mute("e", later)).await.expect("a mute");
    assert!(is_told(&w, "f").await);
    w.app.mute_change(&raj, replaced.id, mute("g", later)).await.expect("another one");
    assert!(is_told(&w, "e").await && !is_told(&w, "g").await, "it was replaced");

    // One that is made shorter, and one that begins, while they are kept.
    let shorter = w.app.mute_create(&raj, mute("h", later)).await.expect("a mute");
    let planned = from(json!({
        "matchers": "service=i", "reason": "racks", "kind": "downtime", "starts_at": soon, "expires_at": later,
    }));
    w.app.mute_create(&raj, planned).await.expect("a downtime");
    assert!(is_told(&w, "j").await);
    w.app.mute_change(&raj, shorter.id, mute("h", soon)).await.expect("shorter");
    assert!(is_told(&w, "k").await);
    w.clock.set(soon);
    assert!(is_told(&w, "h").await, "it is over");
    assert!(!is_told(&w, "i").await, "it has begun");
}
