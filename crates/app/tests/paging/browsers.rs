//! Pages in browsers: turned on by the person, sent to each of them, and those that are no more are forgotten.

use serde_json::json;
use tenfold_app::alerts::PushError;
use tenfold_app::people::{NewBrowser, PersonUpdate};
use tenfold_app::{Caller, Role};
use tenfold_types::ErrorCode;

use crate::world::{World, caller, from, put_off};

const DESK: &str = "https://push.example.org/desk";
const PHONE: &str = "https://push.example.net/phone";

fn browser(endpoint: &str) -> NewBrowser {
    from(json!({"endpoint": endpoint, "label": "Firefox on Linux", "keys": {
        "p256dh": "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4",
        "auth": "BTBZMqHH6r4Tts7J_aSIgg",
    }}))
}

fn ana() -> Caller {
    caller("ana", Role::Responder)
}

/// ana is on call, and is reached by her browsers alone.
async fn with(seed: u64, browsers: &[&str]) -> World {
    let w = World::new(seed).await;
    let contact = PersonUpdate { contact: Some(from(json!({}))), ..PersonUpdate::default() };
    w.app.person_put(&ana(), "ana", contact).await.expect("ana reads no mail");
    for endpoint in browsers {
        w.app.browser_put(&ana(), browser(endpoint)).await.expect("a browser is taken");
    }
    w.tick().await;
    w
}

async fn count(w: &World) -> u32 {
    w.app.person("ana").await.expect("the store answers").expect("ana is there").browsers
}

/// The addresses that were pushed to, sorted.
fn pushed_to(w: &World) -> Vec<String> {
    let mut to: Vec<String> = w.receivers.pushed.lock().iter().map(|(to, _)| to.clone()).collect();
    to.sort();
    to
}

#[tokio::test]
async fn a_page_goes_to_every_browser_and_news_follow() {
    let w = with(300, &[DESK, PHONE]).await;
    w.errors(9.0);
    w.pass(15).await;
    assert_eq!(pushed_to(&w), [PHONE, DESK]);
    let page = w.app.pages(Some(1)).await.expect("pages").remove(0);
    assert_eq!((page.person.as_str(), page.state.as_str()), ("ana", "delivered"));
    w.receivers.pushed.lock().clear();
    w.app.incident_acknowledge(&ana(), 1).await.expect("acknowledged");
    w.pass(10).await;
    assert_eq!(pushed_to(&w), [PHONE, DESK], "what they show asks for it no more");
    w.receivers.pushed.lock().clear();
    w.errors(0.0);
    w.pass(300).await;
    assert_eq!(w.states().await[&1], "resolved");
    assert_eq!(pushed_to(&w), [PHONE, DESK], "both hear that it is over");
}

#[tokio::test]
async fn what_its_push_service_knows_no_more_is_forgotten() {
    let w = with(301, &[DESK, PHONE]).await;
    w.receivers.push_refusals.lock().insert(DESK.to_owned(), PushError::Gone);
    w.errors(9.0);
    w.pass(15).await;
    assert_eq!((pushed_to(&w), count(&w).await), (vec![PHONE.to_owned()], 1));
    let left = w.app.push_view(&ana()).await.expect("ana looks").browsers;
    assert_eq!(left.iter().map(|b| b.service.as_str()).collect::<Vec<_>>(), ["push.example.net"]);
    assert!(w.events().await.iter().any(|e| e.text.contains("takes no pages any more")));
}

#[tokio::test]
async fn with_the_last_browser_the_page_fails_and_the_next_step_does_not_wait() {
    let w = with(302, &[DESK]).await;
    w.receivers.push_refusals.lock().insert(DESK.to_owned(), PushError::Gone);
    w.errors(9.0);
    w.pass(25).await;
    let failed = w.app.pages(Some(1)).await.expect("pages").into_iter().find(|p| p.person == "ana").expect("ana's");
    assert_eq!((failed.state.as_str(), count(&w).await), ("failed", 0));
    assert!(!w.receivers.subjects_to("raj@example.org").is_empty(), "raj is paged at once");
}

#[tokio::test]
async fn a_push_service_in_trouble_is_tried_again_when_it_asks() {
    let w = with(303, &[DESK]).await;
    let limited = put_off("webpush answers 429", Some(20_000));
    w.receivers.push_refusals.lock().insert(DESK.to_owned(), PushError::Failed(limited));
    w.errors(9.0);
    w.pass(15).await;
    w.receivers.push_refusals.lock().clear();
    w.pass(10).await;
    assert!(pushed_to(&w).is_empty(), "it asked for 20 s");
    w.pass(15).await;
    assert_eq!(pushed_to(&w), [DESK]);
}

#[tokio::test]
async fn rules_may_name_browsers_whether_there_are_any_or_not() {
    let w = with(304, &[]).await;
    let rules = || PersonUpdate {
        contact: Some(from(json!({"email": "ana@example.org",
            "rules": {"critical": [{"channel": "webpush"}, {"channel": "mail", "after_s": 60}]}}))),
        ..PersonUpdate::default()
    };
    w.app.browser_put(&ana(), browser(DESK)).await.expect("a browser is taken");
    w.app.person_put(&ana(), "ana", rules()).await.expect("there is one");
    assert_eq!(count(&w).await, 1, "a new profile keeps what is counted");
    w.errors(9.0);
    w.pass(15).await;
    assert_eq!((pushed_to(&w), w.receivers.taken.lock().len()), (vec![DESK.to_owned()], 0), "the browser first");

    let w = with(306, &[DESK]).await;
    w.app.person_put(&ana(), "ana", rules()).await.expect("there is one");
    let id = w.app.push_view(&ana()).await.expect("ana looks").browsers[0].id.clone();
    w.app.browser_delete(&ana(), &id).await.expect("it is taken out");
    w.app.person_put(&ana(), "ana", rules()).await.expect("her profile can be saved as it is");
    w.errors(9.0);
    w.pass(15).await;
    assert_eq!((pushed_to(&w).len(), w.receivers.taken.lock().len()), (0, 1), "the mail does not wait for a browser");
}

#[tokio::test]
async fn browsers_are_ones_own_and_few() {
    let w = with(305, &[DESK]).await;
    let mine = w.app.push_view(&ana()).await.expect("ana looks");
    assert_eq!((mine.key.as_str(), mine.browsers.len()), ("KEY", 1));
    let raj = caller("raj", Role::Admin);
    let id = mine.browsers[0].id.clone();
    for refused in [w.app.browser_delete(&raj, &id).await, w.app.browser_test(&raj, &id).await] {
        assert_eq!(refused.expect_err("it is ana's").code, ErrorCode::NotFound);
    }
    w.app.browser_test(&ana(), &id).await.expect("the push service takes it");
    assert_eq!(pushed_to(&w), [DESK]);
    w.app.browser_put(&raj, browser(DESK)).await.expect("raj signed in there");
    assert_eq!(count(&w).await, 0, "what comes there is raj's now");
    for n in 0..10 {
        w.app.browser_put(&ana(), browser(&format!("{PHONE}/{n}"))).await.expect("one more");
    }
    let refused = w.app.browser_put(&ana(), browser(DESK)).await.expect_err("the eleventh");
    assert!(refused.message.contains("at most 10"), "{refused}");
    w.app.browser_put(&ana(), browser(&format!("{PHONE}/3"))).await.expect("it is no other");
    assert!(w.app.push_view(&Caller::system()).await.is_err(), "only people have browsers");
}
