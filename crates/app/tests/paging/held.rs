//! Acknowledgements that hold for a time: who has it is asked again, unless it is over by then or they say so once more.

use serde_json::json;
use tenfold_app::alerts::{Asked, Question};
use tenfold_app::oncall::PolicyUpdate;
use tenfold_app::{Caller, Role};

use crate::foretold::{came, pages_of};
use crate::world::{World, caller, from};

const ANA: &str = "ana@example.org";
const MINUTE_MS: i64 = 60_000;

/// One incident of photos, which ana is paged for; its policy is `photos` with `more`.
pub async fn paged(seed: u64, more: serde_json::Value) -> World {
    let w = World::new(seed).await;
    let mut policy = json!({"steps": [
        {"delay_ms": 60_000, "targets": [{"kind": "schedule", "name": "photos-primary"}]},
        {"delay_ms": 120_000, "targets": [{"kind": "person", "name": "raj"}]},
    ]});
    policy.as_object_mut().expect("an object").extend(more.as_object().cloned().expect("an object"));
    let update: PolicyUpdate = from(policy);
    w.app.policy_put(&Caller::system(), "photos", update).await.expect("a policy");
    w.tick().await;
    w.errors(9.0);
    w.pass(15).await;
    assert_eq!(mails(&w), 1);
    w
}

fn mails(w: &World) -> usize {
    w.receivers.subjects_to(ANA).len()
}

#[tokio::test]
async fn when_the_time_is_over_who_is_on_call_is_asked_again() {
    let mut w = paged(501, json!({"ack_timeout_ms": 10 * MINUTE_MS})).await;
    let ana = caller("ana", Role::Responder);
    let done = w.app.incident_acknowledge(&ana, 1).await.expect("acknowledged");
    let escalation = done.incident.escalation.expect("a policy");
    assert_eq!(escalation.expires_at, Some(w.clock_now().plus_ms(10 * MINUTE_MS)));
    w.pass(300).await;
    w.restart().await;
    w.pass(295).await;
    assert_eq!((w.states().await[&1].as_str(), mails(&w)), ("acknowledged", 1));
    w.pass(5).await;
    let incident = w.app.incident(1).await.expect("an incident");
    assert_eq!((incident.state.as_str(), incident.acknowledged_by, mails(&w)), ("open", None, 2));
    assert_eq!(w.count("incident.unacknowledged").await, 1);
    assert_eq!(w.app.alerts_list(None).await.expect("alerts")[0].acknowledged_by, None);
    // It goes on as it began: the next step, and then no more.
    w.pass(200).await;
    assert_eq!(w.receivers.subjects_to("raj@example.org").len(), 1);
    assert_eq!(w.app.incident(1).await.expect("an incident").escalation.expect("a policy").state, "exhausted");
    // Who had it may take it again, and has it for as long.
    let again = w.app.incident_acknowledge(&ana, 1).await.expect("acknowledged");
    assert!(!again.already);
    w.errors(1.0);
    w.pass(700).await;
    assert_eq!((w.states().await[&1].as_str(), mails(&w)), ("resolved", 2), "it is over, so nobody is asked");
    assert_eq!(w.count("incident.unacknowledged").await, 1);
}

#[tokio::test]
async fn whoever_has_it_may_have_it_for_longer_and_nobody_else_may() {
    let w = paged(502, json!({})).await;
    let (ana, raj) = (caller("ana", Role::Responder), caller("raj", Role::Responder));
    for wrong in [0, 59_999, 8 * 86_400_000] {
        w.app.incident_acknowledge_for(&ana, 1, Some(wrong)).await.expect_err("not so long");
    }
    w.app.incident_acknowledge_for(&ana, 1, Some(5 * MINUTE_MS)).await.expect("acknowledged");
    w.pass(240).await;
    let other = w.app.incident_acknowledge_for(&raj, 1, Some(MINUTE_MS)).await.expect("somebody has it");
    assert!(other.already && other.incident.acknowledged_by.as_deref() == Some("ana"));
    let until = other.incident.escalation.expect("a policy").expires_at.expect("a time");
    let longer = w.app.incident_acknowledge_for(&ana, 1, Some(5 * MINUTE_MS)).await.expect("she has it");
    let later = longer.incident.escalation.expect("a policy").expires_at.expect("a time");
    assert_eq!((longer.already, later.since_ms(until)), (true, 240_000));
    w.app.incident_acknowledge(&ana, 1).await.expect("she has it");
    w.pass(295).await;
    assert_eq!((w.states().await[&1].as_str(), mails(&w)), ("acknowledged", 1));
    w.pass(5).await;
    assert_eq!((w.states().await[&1].as_str(), mails(&w)), ("open", 2));
    // Nobody would be asked for one without a policy.
    let new = from(json!({"title": "the tape robot is stuck"}));
    let number = w.app.incident_open(&raj, new).await.expect("opened").number;
    let refused = w.app.incident_acknowledge_for(&raj, number, Some(MINUTE_MS)).await.expect_err("no policy");
    assert!(refused.message.contains("no escalation policy"), "{refused}");
    w.app.incident_acknowledge(&raj, number).await.expect("for good");
}

#[tokio::test]
async fn what_comes_after_the_time_is_foretold() {
    let w = paged(503, json!({})).await;
    w.app
        .incident_acknowledge_for(&caller("ana", Role::Responder), 1, Some(5 * MINUTE_MS))
        .await
        .expect("acknowledged");
    let labels = w.app.alerts_list(None).await.expect("alerts")[0].labels.clone();
    let told = w.app.alert_simulate(Question { labels: Asked::Labels(labels), at: None }).await.expect("foretold");
    let incident = told.incident.expect("it has one");
    assert!(incident.because.contains("has it for a time"), "{}", incident.because);
    let before = w.app.pages(Some(1)).await.expect("pages").len();
    w.pass(600).await;
    let pages = w.app.pages(Some(1)).await.expect("pages");
    assert_eq!(came(&pages[before..]), pages_of(&incident));
}
