//! Who may be paged and could not be reached, told before it matters.

use serde_json::json;
use tenfold_app::Caller;
use tenfold_app::oncall::{NewOverride, ReadinessView, Unreached};
use tenfold_app::people::PersonUpdate;
use tenfold_types::Severity;

use crate::world::{World, from};

const DAY_S: i64 = 86_400;

async fn ready(w: &World) -> ReadinessView {
    w.app.readiness().await.expect("it is computed")
}

/// What is said of somebody.
async fn kinds(w: &World, login: &str) -> Vec<String> {
    let view = ready(w).await;
    let person = view.people.into_iter().find(|p| p.login == login).expect("they are on it");
    person.troubles.into_iter().map(|t| t.kind).collect()
}

async fn put(w: &World, login: &str, update: serde_json::Value) {
    let update: PersonUpdate = from(update);
    w.app.person_put(&Caller::system(), login, update).await.expect("they are changed");
}

async fn test(w: &World, login: &str) {
    w.app.page_test(&Caller::system(), login).await.expect("a test is sent");
    w.tick().await;
}

#[tokio::test]
async fn everybody_who_may_be_paged_is_looked_at_by_name() {
    let w = World::new(61).await;
    let view = ready(&w).await;
    let names: Vec<&str> = view.people.iter().map(|p| p.name.as_str()).collect();
    assert_eq!(names, ["Ana Silva", "Raj Patel"], "mei has no shift and no policy names her");
    assert_eq!((view.people[0].schedules[0].as_str(), view.people[0].ways[0].as_str()), ("photos-primary", "mail"));
    assert_eq!(view.people[1].policies, ["photos"]);
    assert!(view.steps.is_empty() && view.people.iter().all(|p| !p.ready && !p.unreachable), "{view:?}");
    assert_eq!(kinds(&w, "ana").await, ["never_tested"]);

    test(&w, "ana").await;
    test(&w, "raj").await;
    let view = ready(&w).await;
    assert!(view.people.iter().all(|p| p.ready) && view.sentences().is_empty(), "{view:?}");

    // A way that refuses for good.
    w.receivers.unknown.lock().insert("ana@example.org".to_owned());
    w.clock.advance_ms(1_000);
    test(&w, "ana").await;
    assert_eq!(kinds(&w, "ana").await, ["test_failed"]);
    w.receivers.unknown.lock().clear();
    w.clock.advance_ms(1_000);
    test(&w, "ana").await;
    assert!(kinds(&w, "ana").await.is_empty());

    // An address for what the server does not have, beside one that goes.
    put(&w, "ana", json!({"contact": {"email": "ana@example.org", "channels": {"sms": "+4930123456"}}})).await;
    assert_eq!(kinds(&w, "ana").await, ["channel_unset"]);
    put(&w, "ana", json!({"contact": {}})).await;
    let view = ready(&w).await;
    assert!(view.people[0].unreachable, "{view:?}");
    assert_eq!(view.sentences(), ["Ana Silva has no address for a channel that is set up"]);

    // Quiet at all hours, so that the webhook never rings unless it is critical.
    let ways =
        |quiet| json!({"contact": {"email": "ana@example.org", "webhook": "https://x.example/1", "quiet": quiet}});
    put(&w, "ana", ways(json!({"from": "00:00", "to": "23:59"}))).await;
    assert_eq!(kinds(&w, "ana").await, ["always_quiet"]);
    put(&w, "ana", ways(json!({"from": "22:00", "to": "07:00"}))).await;
    assert!(kinds(&w, "ana").await.is_empty(), "a night is no whole week");
}

#[tokio::test]
async fn a_step_that_has_nobody_is_found_before_its_time() {
    let w = World::new(62).await;
    put(&w, "raj", json!({"disabled": true})).await;
    let view = ready(&w).await;
    let steps: Vec<(usize, bool)> = view.steps.iter().map(|s| (s.step, s.from > view.at)).collect();
    assert_eq!(steps, [(1, true), (2, false)], "the schedule when raj's week begins, and raj himself now");
    assert_eq!(kinds(&w, "raj").await, ["disabled"]);
    assert!(view.sentences()[0].starts_with("Raj Patel has an account that is disabled"), "{:?}", view.sentences());
}

#[tokio::test]
async fn a_test_counts_for_who_is_on_call_by_an_override_alone() {
    let w = World::new(64).await;
    let start = w.clock_now().plus_ms(3_600_000);
    let new = NewOverride::cover("mei", None, start, start.plus_ms(7_200_000));
    w.app.override_create(&Caller::system(), "photos-primary", new).await.expect("it is made");
    put(&w, "mei", json!({"contact": {"email": "mei@example.org"}})).await;
    assert_eq!(kinds(&w, "mei").await, ["never_tested"]);
    test(&w, "mei").await;
    assert!(kinds(&w, "mei").await.is_empty());
}

#[tokio::test]
async fn the_room_is_told_once_a_week() {
    let mut w = World::new(63).await;
    let look = async |w: &World| w.app.readiness_tick().await.expect("it is told");
    look(&w).await;
    assert_eq!(w.count("readiness.checked").await, 0, "a new server begins with the week it is in");
    w.clock.advance_ms(7 * DAY_S * 1_000);
    look(&w).await;
    look(&w).await;
    w.restart().await;
    look(&w).await;
    let told: Vec<_> = w.events().await.into_iter().filter(|e| e.kind == "readiness.checked").collect();
    assert_eq!((told.len(), told[0].severity), (1, Severity::Warning));
    assert!(told[0].text.contains("Ana Silva was never sent a test page"), "{}", told[0].text);
    test(&w, "ana").await;
    test(&w, "raj").await;
    w.clock.advance_ms(7 * DAY_S * 1_000);
    look(&w).await;
    let told: Vec<_> = w.events().await.into_iter().filter(|e| e.kind == "readiness.checked").collect();
    assert_eq!((told.len(), told[1].severity), (2, Severity::Good), "{}", told[1].text);
    w.clock.advance_ms(DAY_S * 1_000);
    assert_eq!(kinds(&w, "ana").await, ["test_old"]);
}

#[tokio::test]
async fn a_schedule_that_comes_to_its_end_is_found_before_it() {
    let w = World::new(66).await;
    assert!(ready(&w).await.ends.is_empty(), "a rotation goes on");
    let end = w.clock_now().plus_ms(5 * DAY_S * 1_000);
    let rotation = json!({"people": ["ana", "raj"], "start": "2026-11-23T08:00:00", "shift_length": "1d"});
    let plan = json!({"timezone": "UTC", "layers": [{"name": "imported", "rotation": rotation, "end": end}]});
    w.app.schedule_put(&Caller::system(), "holidays", from(plan)).await.expect("a schedule is made");
    let view = ready(&w).await;
    assert_eq!(view.ends.len(), 1, "{view:?}");
    assert_eq!((view.ends[0].schedule.as_str(), view.ends[0].at), ("holidays", end));
    let said = view.sentences();
    assert!(said.iter().any(|s| s.starts_with("the schedule holidays has nobody any more from ")), "{said:?}");
    // It goes on after a pause.
    let later = end.plus_ms(20 * DAY_S * 1_000);
    let new = NewOverride::cover("ana", None, later, later.plus_ms(DAY_S * 1_000));
    w.app.override_create(&Caller::system(), "holidays", new).await.expect("it is made");
    assert!(ready(&w).await.ends.is_empty());
}

#[tokio::test]
async fn what_would_page_nobody_is_found_before_an_alert_does() {
    let w = World::new(68).await;
    let system = Caller::system();
    let policy = json!({"steps": [{"delay_ms": 60_000, "targets": [{"kind": "person", "name": "mei"}]}]});
    w.app.policy_put(&system, "db", from(policy)).await.expect("a policy");
    assert!(ready(&w).await.unreached.is_empty());
    put(&w, "mei", json!({"contact": {}})).await;
    let routing = "route: {receiver: dba}\nreceivers:\n- {name: dba, policy: db}\n- {name: web, policy: photos}\n\
                   - {name: lost, policy: gone}\n- {name: silent, policy: gone, quiet: true}\n";
    let view = w.app.routing_put(&system, routing, true).await.expect("it reads");
    let said: Vec<String> = view.unreached.iter().map(Unreached::sentence).collect();
    let wanted = [
        "the receiver dba goes by the policy db, which pages nobody who can be reached, now",
        "the receiver lost names the policy gone, which is not there",
    ];
    assert_eq!(said, wanted);
    w.app.routing_put(&system, routing, false).await.expect("it is put");
    let sentences = ready(&w).await.sentences();
    assert!(sentences.contains(&"the policy db pages nobody who can be reached, now".to_owned()), "{sentences:?}");
    assert!(sentences.iter().any(|one| one.starts_with("the receiver lost names the policy gone")), "{sentences:?}");
}

#[tokio::test]
async fn a_receiver_that_leaves_it_to_services_without_a_policy_is_named() {
    let w = World::new(70).await;
    let system = Caller::system();
    let routing = "route:\n  receiver: all\n  routes:\n  - {receiver: web, matchers: ['service=\"photos\"']}\n\
                   receivers:\n- {name: all, pages: critical}\n- {name: web, pages: all}\n";
    let view = w.app.routing_put(&system, routing, true).await.expect("it reads");
    let said: Vec<String> = view.unreached.iter().map(Unreached::sentence).collect();
    let alone = "the receiver all names neither a policy nor a webhook, and there is no policy `default`: alerts without \
                 a service page nobody";
    assert_eq!(said, [alone], "photos has a policy of its name");
    assert!(ready(&w).await.unreached.is_empty(), "nothing is put yet");
    w.app.routing_put(&system, routing, false).await.expect("it is put");
    assert!(ready(&w).await.sentences().contains(&alone.to_owned()));
    let policy = json!({"steps": [{"delay_ms": 60_000, "targets": [{"kind": "person", "name": "raj"}]}]});
    w.app.policy_put(&system, "default", from(policy)).await.expect("a policy");
    assert!(ready(&w).await.unreached.is_empty());
}
