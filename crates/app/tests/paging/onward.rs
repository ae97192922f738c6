//! Asking others by hand: the next step at once, and one person by name. What is foretold after that is what comes.

use serde_json::json;
use tenfold_app::alerts::{Asked, NewMute, Question};
use tenfold_app::incidents::{ASKED_AGAIN_MS, HandOver, PageView, SeenPlace};
use tenfold_app::people::PersonUpdate;
use tenfold_app::{Caller, Role};

use crate::foretold::{came, pages_of};
use crate::held::paged;
use crate::world::{World, caller, from};

const ANA: &str = "ana@example.org";
const RAJ: &str = "raj@example.org";
const MEI: &str = "mei@example.org";

fn mails(w: &World, to: &str) -> usize {
    w.receivers.subjects_to(to).len()
}

fn to(person: &str) -> HandOver {
    HandOver { person: person.to_owned(), text: None }
}

async fn pages(w: &World) -> Vec<PageView> {
    w.app.pages(Some(1)).await.expect("pages")
}

/// mei is in no step of the policy.
async fn reach_mei(w: &World) {
    let contact = Some(from(json!({"email": MEI})));
    let update = PersonUpdate { contact, ..PersonUpdate::default() };
    w.app.person_put(&Caller::system(), "mei", update).await.expect("how to reach her");
}

/// What is foretold of the incident's alert now comes within ten minutes.
async fn comes_as_foretold(w: &World) {
    let labels = w.app.alerts_list(None).await.expect("alerts")[0].labels.clone();
    let told = w.app.alert_simulate(Question { labels: Asked::Labels(labels), at: None }).await.expect("foretold");
    let before = pages(w).await.len();
    w.tick().await;
    w.pass(600).await;
    assert_eq!(came(&pages(w).await[before..]), pages_of(&told.incident.expect("it has one")));
}

#[tokio::test]
async fn the_next_one_is_asked_at_once() {
    let w = paged(601, json!({})).await;
    let ana = caller("ana", Role::Responder);
    w.app.incident_escalate(&caller("zoe", Role::Viewer), 1, None).await.expect_err("a viewer asks nobody");
    let asked = w.app.incident_escalate(&ana, 1, None).await.expect("asked");
    assert_eq!((asked.state.as_str(), mails(&w, RAJ)), ("open", 0));
    w.app.incident_escalate(&ana, 1, None).await.expect("said twice before anybody is paged, it is the same step");
    w.tick().await;
    assert_eq!((mails(&w, ANA), mails(&w, RAJ), w.count("incident.escalated").await), (1, 1, 1));
    // A second press of a page that showed the step before asks nobody more; one that shows the newest step does.
    let seen = |step| Some(SeenPlace { step, round: 1 });
    w.app.incident_escalate(&ana, 1, seen(1)).await.expect("nothing is done");
    w.tick().await;
    assert_eq!((pages(&w).await.len(), w.count("incident.escalated").await), (2, 1));
    // Behind the last step all begins again, though the policy repeats nothing.
    w.app.incident_escalate(&ana, 1, seen(2)).await.expect("asked");
    comes_as_foretold(&w).await;
    let last = pages(&w).await;
    assert_eq!(last.iter().map(|p| (p.round, p.step)).collect::<Vec<_>>(), [(1, 1), (1, 2), (2, 1), (2, 2)]);
    assert_eq!(w.app.incident(1).await.expect("it").escalation.expect("a policy").state, "exhausted");
}

#[tokio::test]
async fn whoever_has_it_may_ask_the_next_one_and_has_it_no_more() {
    let mut w = paged(602, json!({})).await;
    let ana = caller("ana", Role::Responder);
    w.app.incident_acknowledge(&ana, 1).await.expect("acknowledged");
    w.pass(300).await;
    assert_eq!(mails(&w, RAJ), 0);
    let asked = w.app.incident_escalate(&ana, 1, None).await.expect("asked");
    assert_eq!((asked.state.as_str(), asked.acknowledged_by), ("open", None));
    // It survives a crash before anybody was paged.
    w.restart().await;
    w.pass(15).await;
    assert_eq!((mails(&w, ANA), mails(&w, RAJ)), (1, 1));
    w.app.incident_acknowledge(&caller("raj", Role::Responder), 1).await.expect("acknowledged");
    w.pass(600).await;
    assert_eq!((mails(&w, ANA), mails(&w, RAJ)), (1, 1), "nobody more is asked");
}

#[tokio::test]
async fn one_is_paged_by_name_and_the_policy_follows() {
    let w = paged(603, json!({})).await;
    reach_mei(&w).await;
    let ana = caller("ana", Role::Responder);
    w.app.incident_acknowledge(&ana, 1).await.expect("acknowledged");
    w.app.incident_hand_over(&ana, 1, to("ana")).await.expect_err("she has it");
    w.app.incident_hand_over(&ana, 1, to("nobody")).await.expect_err("there is no such account");
    let note = HandOver { person: "mei".to_owned(), text: Some("it is the database".to_owned()) };
    let handed = w.app.incident_hand_over(&ana, 1, note).await.expect("handed over");
    assert_eq!((handed.state.as_str(), handed.acknowledged_by), ("open", None));
    comes_as_foretold(&w).await;
    let all = pages(&w).await;
    let first = &all[1];
    assert!(first.handed && first.person == "mei" && !all[0].handed, "{first:?}");
    let words = |to: &str| -> Vec<String> {
        w.receivers.taken.lock().iter().filter(|sent| sent.to == to).map(|sent| sent.notice.text.clone()).collect()
    };
    assert!(words(MEI)[0].contains("handed this over to you: it is the database"), "{:?}", words(MEI));
    assert!(!words(RAJ)[0].contains("handed this over"), "{:?}", words(RAJ));
    // ana's step waits 60 s, and so does mei's turn: then the whole policy, once.
    let since: Vec<_> = all.iter().map(|p| (p.person.as_str(), p.due_at.since_ms(first.due_at))).collect();
    assert_eq!(since[1..], [("mei", 0), ("ana", 60_000), ("raj", 120_000)]);
    let why = w.app.page_why(&first.id).await.expect("why");
    assert!(why.reasons.iter().any(|r| r.stage == "handed"), "{:?}", why.reasons);
    let said = w.events().await.into_iter().find(|e| e.kind == "incident.handed_over").expect("recorded");
    assert!(said.text.contains("over to Mei Lin: it is the database"), "{}", said.text);
    // Once more to the same one is another page.
    w.app.incident_hand_over(&ana, 1, to("mei")).await.expect("handed over");
    w.tick().await;
    assert_eq!(mails(&w, MEI), 2);
    w.app.incident_acknowledge(&caller("mei", Role::Responder), 1).await.expect("acknowledged");
    w.pass(600).await;
    assert_eq!(mails(&w, MEI), 2);
}

#[tokio::test]
async fn who_was_asked_before_hears_no_more() {
    let w = paged(604, json!({})).await;
    reach_mei(&w).await;
    w.app.incident_hand_over(&caller("raj", Role::Responder), 1, to("mei")).await.expect("handed over");
    w.pass(55).await;
    assert_eq!((mails(&w, ANA), mails(&w, RAJ), mails(&w, MEI)), (1, 0, 1));
}

#[tokio::test]
async fn one_without_a_policy_can_be_handed_over() {
    let w = World::new(605).await;
    reach_mei(&w).await;
    let raj = caller("raj", Role::Responder);
    let number = w.app.incident_open(&raj, from(json!({"title": "the robot is stuck"}))).await.expect("it").number;
    let refused = w.app.incident_escalate(&raj, number, None).await.expect_err("there is no next one");
    assert!(refused.message.contains("no escalation policy"), "{refused}");
    w.app.incident_hand_over(&raj, number, to("mei")).await.expect("handed over");
    w.tick().await;
    assert_eq!(mails(&w, MEI), 1);
    w.pass(305).await;
    let escalation = w.app.incident(number).await.expect("it").escalation.expect("one of its own");
    assert_eq!((escalation.state.as_str(), escalation.steps), ("exhausted", 0));
    w.app.incident_escalate(&raj, number, None).await.expect_err("there is no next one still");
}

#[tokio::test]
async fn nobody_is_asked_by_hand_in_vain() {
    let w = paged(606, json!({})).await;
    let raj = caller("raj", Role::Responder);
    let nowhere = PersonUpdate { contact: Some(from(json!({}))), ..PersonUpdate::default() };
    w.app.person_put(&Caller::system(), "mei", nowhere).await.expect("she has no address");
    let refused = w.app.incident_hand_over(&raj, 1, to("mei")).await.expect_err("she cannot be reached");
    assert!(refused.message.contains("cannot be paged"), "{refused}");
    let mute: NewMute = from(json!({
        "matchers": "service=photos", "reason": "moving disks", "expires_at": w.clock_now().plus_ms(3_600_000),
    }));
    w.app.mute_create(&raj, mute).await.expect("a mute");
    for refused in [
        w.app.incident_escalate(&raj, 1, None).await.expect_err("it is muted"),
        w.app.incident_hand_over(&raj, 1, to("ana")).await.expect_err("it is muted"),
    ] {
        assert!(refused.message.contains("nobody is asked"), "{refused}");
    }
    w.app.incident_resolve(&raj, 1, tenfold_app::incidents::Resolution::default()).await.expect("over");
    w.app.incident_escalate(&raj, 1, None).await.expect_err("it is over");
}

#[tokio::test]
async fn two_who_type_it_at_once_ask_one_step() {
    let w = paged(607, json!({})).await;
    let (ana, mei) = (caller("ana", Role::Responder), caller("mei", Role::Responder));
    w.app.incident_escalate(&ana, 1, None).await.expect("asked");
    w.tick().await;
    assert_eq!(mails(&w, RAJ), 1, "he is paged before the other one has typed it");
    let second = w.app.incident_escalate(&mei, 1, None).await.expect("nothing more is done");
    w.tick().await;
    assert_eq!((pages(&w).await.len(), w.count("incident.escalated").await), (2, 1));
    let words = second.escalation.expect("a policy").asked_words();
    assert_eq!(words.as_deref(), Some("ana asked for the next one: step 2 of 2 of photos"), "whose word it is");
    // What the page and the record say is that she asked, and not that nobody acknowledged.
    let said = w.events().await.into_iter().rfind(|e| e.kind == "page.escalated").expect("recorded");
    assert!(said.text.starts_with("ana asked for the next one for incident 1; step 2 of photos"), "{}", said.text);
    let newest = pages(&w).await.into_iter().max_by_key(|p| (p.round, p.step)).expect("a page");
    let why = w.app.page_why(&newest.id).await.expect("why");
    assert!(why.reasons.iter().any(|r| r.because.starts_with("ana asked for the next one")), "{:?}", why.reasons);
    // After a while a word without a step asks the next one again.
    w.clock.advance_ms(ASKED_AGAIN_MS);
    w.app.incident_escalate(&mei, 1, None).await.expect("asked");
    w.tick().await;
    assert_eq!((pages(&w).await.len(), w.count("incident.escalated").await), (3, 2));
}

#[tokio::test]
async fn who_has_acknowledged_passes_it_on_at_once_and_what_comes_by_itself_says_so() {
    let w = paged(608, json!({"repeat": 1})).await;
    let (ana, raj) = (caller("ana", Role::Responder), caller("raj", Role::Responder));
    w.app.incident_escalate(&ana, 1, None).await.expect("asked");
    w.tick().await;
    w.app.incident_acknowledge(&raj, 1).await.expect("acknowledged");
    let asked = w.app.incident_escalate(&raj, 1, None).await.expect("asked");
    let asked = asked.escalation.and_then(|e| e.asked).expect("who asked");
    assert_eq!((asked.by.as_str(), asked.step, asked.round), ("raj", 1, 2));
    w.tick().await;
    assert_eq!(w.count("incident.escalated").await, 2);
    // The step behind it nobody asked for.
    w.pass(90).await;
    let said = w.events().await.into_iter().rfind(|e| e.kind == "page.escalated").expect("recorded");
    assert!(said.text.starts_with("Nobody acknowledged incident 1; step 2"), "{}", said.text);
}
