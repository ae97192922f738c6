//! What fires again soon after its incident ended opens it again, as it was.

use serde_json::json;
use tenfold_app::incidents::Resolution;
use tenfold_app::{Caller, Role};

use crate::world::{Answer, World, caller, from};

const ANA: &str = "ana@example.org";
const RAJ: &str = "raj@example.org";

fn told(w: &World) -> Vec<String> {
    w.receivers.taken.lock().iter().map(|s| s.to.clone()).collect()
}

/// An incident that is open since 15 s; ana has her page, raj is next 60 s later.
async fn opened(seed: u64) -> World {
    let w = World::new(seed).await;
    w.tick().await;
    w.errors(9.0);
    w.pass(15).await;
    assert_eq!(told(&w), [ANA]);
    w
}

/// The same incident, but ana's page was put off for 40 s.
async fn put_off(seed: u64) -> World {
    let w = World::new(seed).await;
    w.tick().await;
    w.receivers.answers.lock().push_back(Answer::put_off(Some(40_000)));
    w.errors(9.0);
    w.pass(15).await;
    assert_eq!(told(&w), Vec::<String>::new());
    w
}

/// The data says that it is over, and `seconds` later that it is not.
async fn over_and_again(w: &World, seconds: i64) {
    w.errors(1.0);
    w.pass(5).await;
    assert_eq!(w.states().await.values().last().map(String::as_str), Some("resolved"));
    w.pass(seconds - 15).await;
    w.errors(9.0);
    w.pass(15).await;
}

#[tokio::test]
async fn what_was_acknowledged_stays_so_and_nobody_is_paged_anew() {
    let mut w = opened(220).await;
    w.app.incident_acknowledge(&caller("ana", Role::Responder), 1).await.expect("acknowledged");
    over_and_again(&w, 60).await;
    let incident = w.app.incident(1).await.expect("the incident");
    assert_eq!((incident.state.as_str(), incident.reopened), ("acknowledged", 1));
    assert_eq!(incident.acknowledged_by.as_deref(), Some("ana"));
    assert_eq!((incident.resolved_at, incident.resolved_by), (None, None));
    w.restart().await;
    w.pass(600).await;
    assert_eq!(told(&w), [ANA]);
    assert_eq!(w.states().await.len(), 1);
    let kinds = w.kinds(&["incident."]).await;
    assert_eq!(kinds, ["incident.opened", "incident.acknowledged", "incident.resolved", "incident.reopened"]);
    let told = w.events().await.into_iter().find(|e| e.kind == "incident.reopened").expect("it is said");
    assert_eq!(told.text, "Incident 1 is open again: photos answers 9 % with errors; ana has it");
    let timeline = w.app.incident_timeline(1).await.expect("a timeline");
    assert!(timeline.iter().any(|e| e.event.kind == "incident.reopened" && e.phase.as_str() == "alert"));
    over_and_again(&w, 30).await;
    assert_eq!(w.app.incident(1).await.expect("the incident").reopened, 2);
}

#[tokio::test]
async fn what_is_over_and_back_before_its_group_is_looked_at_is_not_lost() {
    let w = World::new(227).await;
    w.tick().await;
    let say = async |over: bool| {
        let ends = if over { w.clock_now() } else { w.clock_now().plus_ms(3_600_000) };
        let labels = json!({"alertname": "Late", "service": "photos", "severity": "critical"});
        let alert = from(json!({"labels": labels, "endsAt": ends}));
        w.app.alerts_receive(&Caller::system(), vec![alert]).await.expect("it is taken");
    };
    say(false).await;
    w.tick().await;
    assert_eq!(told(&w), [ANA]);
    say(true).await;
    assert_eq!(w.states().await[&1], "resolved");
    say(false).await;
    w.pass(5).await;
    assert_eq!(w.states().await[&1], "open", "it fires, and is somebody's");
    w.pass(60).await;
    assert_eq!(told(&w), [ANA, RAJ]);
}

#[tokio::test]
async fn an_escalation_goes_on_where_it_stood() {
    let w = opened(221).await;
    // Raj would be next 60 s after ana's page; 5 s of them are gone when it is over.
    over_and_again(&w, 120).await;
    assert_eq!(w.app.incident(1).await.expect("the incident").state, "open");
    assert_eq!(told(&w), [ANA], "the time that was left is left");
    let news: Vec<String> = w.receivers.updates.lock().iter().map(|t| t.update.news.clone()).collect();
    assert_eq!(
        news,
        ["Over within a minute", "Open again, 1 alert now"],
        "who heard that it is over hears that it is not"
    );
    w.pass(50).await;
    assert_eq!(told(&w), [ANA]);
    w.pass(10).await;
    assert_eq!(told(&w), [ANA, RAJ]);
}

#[tokio::test]
async fn a_page_that_the_end_had_cancelled_is_sent_after_all() {
    let w = put_off(222).await;
    over_and_again(&w, 30).await;
    w.pass(40).await;
    assert_eq!(told(&w), [ANA]);
    let keys = w.receivers.calls.lock().clone();
    assert_eq!(keys[0], keys[1], "the same message");
}

#[tokio::test]
async fn a_page_that_somebody_had_spared_a_person_stays_cancelled() {
    let w = put_off(228).await;
    w.app.incident_acknowledge_for(&caller("raj", Role::Responder), 1, Some(60_000)).await.expect("acknowledged");
    w.pass(60).await;
    assert_eq!(told(&w), [ANA], "the time is over, and she is asked in a round of its own");
    over_and_again(&w, 30).await;
    assert_eq!(w.app.incident(1).await.expect("the incident").state, "open");
    w.pass(10).await;
    assert_eq!(told(&w), [ANA]);
    let pages = w.app.pages(Some(1)).await.expect("pages");
    let states: Vec<_> = pages.iter().map(|page| (page.round, page.state.as_str())).collect();
    assert!(states.contains(&(1, "superseded")) && states.contains(&(2, "delivered")), "{states:?}");
}

#[tokio::test]
async fn a_page_on_its_way_while_it_ends_and_opens_again_goes_out_once() {
    let w = World::new(226).await;
    let rules = async |seconds: i64| {
        for _ in 0..seconds / 5 {
            w.clock.advance_ms(5_000);
            w.app.alerts_tick().await.expect("alerts are evaluated");
        }
    };
    w.tick().await;
    w.receivers.answers.lock().push_back(Answer::Hold);
    let held = w.receivers.held.lock().await;
    w.errors(9.0);
    rules(15).await;
    let app = w.app.clone();
    let sending = tokio::spawn(async move { app.incidents_tick().await });
    w.receivers.holding.notified().await;
    w.errors(1.0);
    rules(5).await;
    assert_eq!(w.states().await[&1], "resolved");
    w.errors(9.0);
    rules(15).await;
    assert_eq!(w.states().await[&1], "open");
    drop(held);
    sending.await.expect("it does not panic").expect("the page is sent");
    let page = w.app.pages(Some(1)).await.expect("pages").remove(0);
    assert_eq!((page.person.as_str(), page.state.as_str()), ("ana", "delivered"));
    w.pass(40).await;
    assert_eq!(told(&w), [ANA]);
}

#[tokio::test]
async fn a_policy_that_had_run_out_is_gone_through_again() {
    let w = opened(223).await;
    w.pass(200).await;
    assert_eq!(w.app.incident(1).await.expect("the incident").escalation.expect("a policy").state, "exhausted");
    assert_eq!(told(&w), [ANA, RAJ]);
    over_and_again(&w, 60).await;
    w.pass(70).await;
    assert_eq!(told(&w), [ANA, RAJ, ANA, RAJ]);
}

#[tokio::test]
async fn later_or_after_a_person_ended_it_there_is_a_new_one() {
    let w = opened(224).await;
    over_and_again(&w, 301).await;
    assert_eq!(w.states().await.len(), 2, "five minutes are over");
    let w = opened(225).await;
    let raj = caller("raj", Role::Responder);
    w.app.incident_resolve(&raj, 1, Resolution::default()).await.expect("resolved");
    over_and_again(&w, 60).await;
    assert_eq!(w.states().await.len(), 2, "who said that it is over hears that it is not");
    assert_eq!(told(&w), [ANA, ANA]);
}
