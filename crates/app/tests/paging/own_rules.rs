//! Each person's own rules: one way after another until somebody acknowledges, and what is next does not wait for a way
//! that failed.

use serde_json::{Value, json};
use tenfold_app::config::{ConfigAction, ConfigApply, ConfigFile};
use tenfold_app::incidents::Resolution;
use tenfold_app::people::PersonUpdate;
use tenfold_app::{Caller, Role};

use crate::world::{Answer, World, caller, from};

const RING: &str = "https://ana.example/ring";
const MAIL: &str = "ana@example.org";

/// ana is on call with two ways and these rules.
async fn with(seed: u64, rules: Value) -> World {
    let w = World::new(seed).await;
    let contact = json!({"email": MAIL, "webhook": RING, "rules": rules});
    let update = PersonUpdate { contact: Some(from(contact)), ..PersonUpdate::default() };
    w.app.person_put(&caller("ana", Role::Responder), "ana", update).await.expect("ana says how to reach her");
    w.tick().await;
    w
}

/// Everybody who was told so far, in order.
fn told(w: &World) -> Vec<String> {
    w.receivers.taken.lock().iter().map(|s| s.to.clone()).collect()
}

/// The alert fires; the pages of its incident are out as far as they are due.
async fn fire(w: &World) {
    w.errors(9.0);
    w.pass(15).await;
    assert_eq!(w.states().await[&1], "open");
}

#[tokio::test]
async fn without_rules_the_next_way_comes_after_thirty_seconds() {
    let w = with(200, Value::Null).await;
    fire(&w).await;
    assert_eq!(told(&w), [MAIL]);
    let page = w.app.pages(Some(1)).await.expect("pages").remove(0);
    let planned: Vec<_> = page.planned.iter().map(|p| (p.channel.as_str(), p.at.since_ms(page.due_at))).collect();
    assert_eq!((page.state.as_str(), planned), ("delivered", vec![("webhook", 30_000)]));
    w.pass(25).await;
    assert_eq!(told(&w), [MAIL]);
    w.pass(5).await;
    assert_eq!(told(&w), [MAIL, RING], "that the mail was taken does not prove that somebody read it");
    assert!(w.app.pages(Some(1)).await.expect("pages")[0].planned.is_empty());
}

#[tokio::test]
async fn an_acknowledgement_or_the_end_cancels_what_is_planned() {
    let w = with(201, Value::Null).await;
    fire(&w).await;
    w.app.incident_acknowledge(&caller("ana", Role::Responder), 1).await.expect("acknowledged");
    w.pass(300).await;
    assert_eq!(told(&w), [MAIL]);

    let w = with(202, Value::Null).await;
    fire(&w).await;
    w.app.incident_resolve(&caller("ana", Role::Responder), 1, Resolution::default()).await.expect("resolved");
    w.pass(40).await;
    assert_eq!(told(&w), [MAIL]);
}

#[tokio::test]
async fn own_rules_say_the_order_by_severity() {
    let rules = json!({
        "critical": [{"channel": "webhook", "after_s": 0}, {"channel": "mail", "after_s": 45}],
        "other": [{"channel": "mail"}],
    });
    let w = with(203, rules).await;
    fire(&w).await;
    assert_eq!(told(&w), [RING]);
    w.pass(40).await;
    assert_eq!(told(&w), [RING]);
    w.pass(5).await;
    assert_eq!(told(&w), [RING, MAIL]);

    let late = from(json!({
        "labels": {"alertname": "Late", "service": "photos", "environment": "staging", "severity": "warning", "page": "true"},
        "annotations": {"summary": "the batch is late"},
    }));
    w.app.alerts_receive(&Caller::system(), vec![late]).await.expect("it is taken");
    w.tick().await;
    w.pass(50).await;
    let of_second: Vec<String> =
        w.receivers.taken.lock().iter().filter(|s| s.notice.incident == 2).map(|s| s.to.clone()).collect();
    assert_eq!(of_second, [MAIL], "a way that the rules do not name is not used");
}

#[tokio::test]
async fn a_way_that_fails_for_good_pulls_the_next_one_forward() {
    let w = with(204, Value::Null).await;
    w.receivers.unknown.lock().insert(MAIL.to_owned());
    fire(&w).await;
    w.tick().await;
    assert_eq!(told(&w), [RING], "half a minute is not waited for a mailbox that is not there");
    assert_eq!(w.app.pages(Some(1)).await.expect("pages")[0].state, "delivered");
}

#[tokio::test]
async fn a_way_that_is_put_off_again_and_again_does_not_keep_the_next_waiting() {
    let slow = json!({"critical": [{"channel": "mail"}, {"channel": "webhook", "after_s": 3600}]});
    let w = with(205, slow).await;
    w.receivers.answers.lock().extend(std::iter::repeat_n(Answer::put_off(None), 3));
    fire(&w).await;
    // Tried at once, after five seconds, and after ten more.
    w.pass(10).await;
    assert_eq!(told(&w), Vec::<String>::new());
    w.pass(10).await;
    assert_eq!(told(&w), [RING]);
    w.pass(30).await;
    assert_eq!(told(&w).iter().filter(|to| *to == MAIL).count(), 1, "the mail is an obligation all the same");
}

#[tokio::test]
async fn a_policy_does_not_wait_for_the_ways_of_one_person() {
    let slow = json!({"critical": [{"channel": "mail"}, {"channel": "webhook", "after_s": 90}]});
    let w = with(206, slow).await;
    fire(&w).await;
    w.pass(60).await;
    assert_eq!(told(&w), [MAIL, "raj@example.org"]);
    w.pass(30).await;
    assert_eq!(told(&w), [MAIL, "raj@example.org", RING]);
}

#[tokio::test]
async fn rules_for_a_way_without_an_address_are_refused() {
    let w = World::new(207).await;
    let contact = json!({"email": MAIL, "rules": {"critical": [{"channel": "sms"}]}});
    let update = PersonUpdate { contact: Some(from(contact)), ..PersonUpdate::default() };
    let refused = w.app.person_put(&caller("ana", Role::Responder), "ana", update).await.expect_err("no number");
    assert!(refused.message.contains("sms, which has no address"), "{refused}");
}

#[tokio::test]
async fn the_guides_example_is_applied_and_exported() {
    let guide = include_str!("../../../../docs/guide/on-call.md");
    let mut examples = guide.split("```yaml\n").skip(1).filter_map(|part| part.split("```").next());
    let example = examples.find(|yaml| yaml.contains("rules:")).expect("the guide has an example");
    let w = World::new(208).await;
    let system = Caller::system();
    let apply = |files| w.app.config_apply(&system, ConfigApply { files, dry_run: false, prune: false });
    let file = ConfigFile { path: "people/ana.yaml".to_owned(), content: example.to_owned() };
    apply(vec![file]).await.expect("it is applied");
    let rules = w.app.person("ana").await.expect("people").expect("ana").contact.rules.expect("rules");
    let read = |methods: &[tenfold_app::people::Method]| -> Vec<(String, u32)> {
        methods.iter().map(|m| (m.channel.clone(), m.after_s)).collect()
    };
    let ways =
        |ways: &[(&str, u32)]| -> Vec<(String, u32)> { ways.iter().map(|(c, s)| ((*c).to_owned(), *s)).collect() };
    assert_eq!(read(&rules.critical), ways(&[("sms", 0), ("voice", 30), ("mail", 30)]));
    assert_eq!(read(&rules.other), ways(&[("mail", 0)]));
    let mut exported = w.app.config_export(&system).await.expect("exported").files;
    exported.retain(|f| f.path == "people/ana.yaml");
    let again = apply(exported).await.expect("it is applied").changes;
    assert_eq!(again.iter().map(|c| c.action).collect::<Vec<_>>(), [ConfigAction::None]);
}
