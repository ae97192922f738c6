//! Whether an alert would page one person, and if not, why not.

use serde_json::json;
use tenfold_app::alerts::{Asked, NewMute, WhyNotAsk, WhyNotView};
use tenfold_app::people::PersonUpdate;
use tenfold_app::{Caller, Role};

use crate::world::{World, caller, from};

const CRITICAL: &str = "alertname=Late service=photos severity=critical";

async fn ask(w: &World, labels: &str, person: &str) -> WhyNotView {
    let ask = WhyNotAsk { labels: Asked::Text(labels.to_owned()), at: None, person: person.to_owned() };
    w.app.alert_why_not(ask).await.expect("an answer")
}

fn stages(view: &WhyNotView) -> Vec<&str> {
    view.reasons.iter().map(|r| r.stage.as_str()).collect()
}

#[tokio::test]
async fn who_is_paged_is_told_when_and_by_which_ways() {
    let w = World::new(330).await;
    let ana = ask(&w, CRITICAL, "ana").await;
    assert!(ana.pages && ana.at == Some(ana.foretold.at), "{ana:?}");
    assert_eq!(ana.ways.iter().map(|way| way.channel.as_str()).collect::<Vec<_>>(), ["mail"]);
    assert!(ana.because.contains("step 1, round 1 pages Ana Silva by mail"), "{}", ana.because);
    assert!(stages(&ana).contains(&"schedule"), "{ana:?}");
    let raj = ask(&w, CRITICAL, "raj").await;
    assert!(raj.pages && raj.because.contains("step 2"), "{}", raj.because);
}

#[tokio::test]
async fn who_is_not_paged_is_told_why() {
    let w = World::new(331).await;
    let mei = ask(&w, CRITICAL, "mei").await;
    assert!(!mei.pages && mei.at.is_none());
    assert!(mei.because.contains("no step of photos comes to Mei Lin"), "{}", mei.because);
    assert!(mei.reasons.iter().any(|r| r.because.contains("Mei Lin is not in photos-primary")), "{mei:?}");

    let warning = ask(&w, "alertname=Late service=photos severity=warning", "ana").await;
    assert!(!warning.pages && warning.because.contains("not critical"), "{}", warning.because);

    let no_way = PersonUpdate { contact: Some(from(json!({}))), ..PersonUpdate::default() };
    w.app.person_put(&Caller::system(), "ana", no_way).await.expect("the contact is changed");
    let ana = ask(&w, CRITICAL, "ana").await;
    assert!(!ana.pages && ana.because.contains("has no way"), "{}", ana.because);

    let closed = PersonUpdate { disabled: Some(true), ..PersonUpdate::default() };
    w.app.person_put(&Caller::system(), "mei", closed).await.expect("the account is closed");
    assert!(ask(&w, CRITICAL, "mei").await.because.contains("is closed"));

    let mute: NewMute = from(
        json!({"matchers": "service=photos", "reason": "known", "expires_at": w.clock_now().plus_ms(2 * 86_400_000)}),
    );
    w.app.mute_create(&caller("raj", Role::Responder), mute).await.expect("muted");
    let muted = ask(&w, CRITICAL, "raj").await;
    assert!(!muted.pages && stages(&muted) == ["mute"], "{muted:?}");

    let ask = WhyNotAsk { labels: Asked::Text(CRITICAL.to_owned()), at: None, person: "nobody".to_owned() };
    assert!(w.app.alert_why_not(ask).await.expect_err("no such person").message.contains("no person"));
}

#[tokio::test]
async fn an_incident_that_somebody_has_pages_nobody() {
    let w = World::new(332).await;
    w.tick().await;
    w.errors(9.0);
    w.pass(15).await;
    w.app.incident_acknowledge(&caller("ana", Role::Responder), 1).await.expect("acknowledged");
    let raj = ask(&w, CRITICAL, "raj").await;
    assert!(!raj.pages && raj.because.contains("has it, nobody is paged"), "{}", raj.because);
}
