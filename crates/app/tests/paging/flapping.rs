//! An alert that flaps pages once and is held until it is calm, also over a start.

use tenfold_app::Role;
use tenfold_app::alerts::{AlertView, PostedAlert};
use tenfold_app::incidents::Resolution;

use crate::world::{World, caller};

/// The alert of photos has begun to fire four times within four minutes, and flaps. ana has its incident.
async fn flapping(seed: u64) -> World {
    let w = World::new(seed).await;
    w.tick().await;
    w.errors(9.0);
    w.pass(15).await;
    w.app.incident_acknowledge(&caller("ana", Role::Responder), 1).await.expect("acknowledged");
    for _ in 0..3 {
        w.errors(1.0);
        w.pass(30).await;
        w.errors(9.0);
        w.pass(30).await;
    }
    w
}

async fn alert(w: &World) -> AlertView {
    w.app.alerts_list(None).await.expect("alerts").remove(0)
}

#[tokio::test]
async fn neither_ends_nor_beginnings_are_told_while_it_flaps() {
    let mut w = flapping(310).await;
    assert!(alert(&w).await.flapping.is_some(), "four times within the hour");
    assert_eq!(w.kinds(&["alert.flapping", "alert.calm"]).await, ["alert.flapping"]);
    let incidents = w.kinds(&["incident."]).await.len();
    let calls = w.receivers.calls.lock().len();
    for turn in 0..3 {
        w.errors(1.0);
        w.pass(60).await;
        let held = alert(&w).await;
        assert_eq!(held.state, "firing", "it is held");
        assert!(held.flapping.is_some_and(|f| f.over_since.is_some()), "turn {turn}");
        if turn == 1 {
            w.restart().await;
        }
        w.errors(9.0);
        w.pass(60).await;
        let fires = alert(&w).await;
        assert_eq!((fires.incident, fires.flapping.map(|f| f.over_since)), (Some(1), Some(None)), "turn {turn}");
    }
    assert_eq!(w.kinds(&["incident."]).await.len(), incidents, "the incident goes on");
    assert_eq!(w.receivers.calls.lock().len(), calls, "nobody is paged anew");
    let why = w.app.alert_why(&alert(&w).await.fingerprint).await.expect("there is a reason");
    let text = serde_json::to_string(&why).expect("it is JSON");
    assert!(text.contains("\"stage\":\"flap\"") && text.contains("fires again while it flaps"), "{text}");

    w.errors(1.0);
    w.pass(840).await;
    assert_eq!(w.states().await[&1], "acknowledged", "it is not calm yet");
    w.restart().await;
    w.pass(120).await;
    assert_eq!(w.states().await[&1], "resolved");
    let over = alert(&w).await;
    assert_eq!((over.state.as_str(), over.flapping), ("resolved", None));
    assert_eq!(w.kinds(&["alert.flapping", "alert.calm"]).await, ["alert.flapping", "alert.calm"]);
    assert_eq!(w.kinds(&["alert."]).await.last().map(String::as_str), Some("alert.resolved"));
}

#[tokio::test]
async fn what_fires_on_is_calm_after_a_while_and_ends_as_any_other() {
    let w = flapping(311).await;
    w.pass(900).await;
    let calm = alert(&w).await;
    assert_eq!((calm.state.as_str(), calm.flapping), ("firing", None));
    w.errors(1.0);
    w.pass(10).await;
    assert_eq!(w.states().await[&1], "resolved");
}

/// Who resolved it has put it aside; that it fires again is news then.
#[tokio::test]
async fn what_was_resolved_by_hand_and_fires_again_is_told_anew() {
    let w = flapping(313).await;
    w.errors(1.0);
    w.pass(30).await;
    w.app.incident_resolve(&caller("ana", Role::Responder), 1, Resolution::default()).await.expect("resolved");
    w.errors(9.0);
    w.pass(30).await;
    let told = w.app.incidents_open().await.expect("incidents");
    assert_eq!(told.len(), 1, "somebody has it again");
    assert_eq!(alert(&w).await.flapping, None);
}

#[tokio::test]
async fn a_clock_set_back_holds_nothing_for_longer() {
    let w = flapping(315).await;
    w.errors(1.0);
    w.pass(30).await;
    assert!(alert(&w).await.flapping.is_some_and(|f| f.over_since.is_some()), "it is held");
    w.clock.set(w.clock_now().plus_ms(-24 * 3_600_000));
    w.tick().await;
    w.pass(960).await;
    assert_eq!(w.states().await[&1], "resolved", "it has been calm for a quarter of an hour");
}

/// What is held as firing fires by no rule: only calm ends it.
#[tokio::test]
async fn what_is_held_ends_though_flapping_is_turned_off() {
    let mut w = flapping(314).await;
    w.errors(1.0);
    w.pass(30).await;
    assert!(alert(&w).await.flapping.is_some_and(|f| f.over_since.is_some()), "it is held");
    w.restart_with(|settings| settings.alerts.flapping.fires = 0).await;
    w.pass(900).await;
    assert_eq!(alert(&w).await.state, "resolved");
    assert_eq!(w.states().await[&1], "resolved");
}

#[tokio::test]
async fn alerts_of_senders_flap_as_well() {
    let w = World::new(312).await;
    let sender = caller("raj", Role::Responder);
    let posted = |over: bool| {
        let now = w.clock_now();
        PostedAlert {
            labels: [("alertname", "Link"), ("severity", "warning")].map(|(n, v)| (n.to_owned(), v.to_owned())).into(),
            ends_at: Some(if over { now } else { now.plus_ms(3_600_000) }),
            ..PostedAlert::default()
        }
    };
    for _ in 0..4 {
        w.app.alerts_receive(&sender, vec![posted(false)]).await.expect("taken");
        w.pass(20).await;
        w.app.alerts_receive(&sender, vec![posted(true)]).await.expect("taken");
        w.pass(20).await;
    }
    let held = alert(&w).await;
    assert_eq!(held.state, "firing");
    assert!(held.flapping.is_some_and(|f| f.over_since.is_some()), "{held:?}");
    w.pass(900).await;
    assert_eq!(alert(&w).await.state, "resolved");
}
