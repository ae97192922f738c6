//! Alerts that several receivers are told of, and incidents that belong to different people: nobody's page is lost in the
//! incident of somebody else.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use tenfold_app::alerts::{AlertView, INTEGRATION_LABEL, PostedAlert};
use tenfold_app::oncall::PolicyUpdate;
use tenfold_app::{Caller, Role};
use tenfold_protocols::alert_hook::{KeyedAlert, SaidState};

use crate::world::{World, caller, from};

const ANA: &str = "ana@example.org";
const MEI: &str = "mei@example.org";

/// A policy that pages one person.
pub async fn pages(w: &World, policy: &str, login: &str) {
    let update: PolicyUpdate =
        from(json!({"steps": [{"delay_ms": 60_000, "targets": [{"kind": "person", "name": login}]}]}));
    w.app.policy_put(&Caller::system(), policy, update).await.expect("a policy is made");
}

pub async fn routes(w: &World, routing: &Value) {
    w.app.routing_put(&caller("raj", Role::Admin), &routing.to_string(), false).await.expect("the routing is taken");
}

/// Both receivers page: web the policy of photos, db the one of mei.
fn routing(routes: &Value) -> Value {
    json!({
        "route": {
            "receiver": "web", "group_by": ["service"], "group_wait": "0s", "group_interval": "5s", "routes": routes,
        },
        "receivers": [{"name": "web", "policy": "photos"}, {"name": "db", "policy": "db"}],
    })
}

async fn world(seed: u64, routing: &Value) -> World {
    let w = World::new(seed).await;
    pages(&w, "db", "mei").await;
    routes(&w, routing).await;
    w
}

/// An alert of photos, with further labels; over when `ends`.
async fn say(w: &World, name: &str, more: &[(&str, &str)], ends: bool) {
    let mut labels = BTreeMap::from([("alertname", name), ("service", "photos"), ("severity", "critical")]);
    labels.extend(more.iter().copied());
    let ends_at = if ends { w.clock_now() } else { w.clock_now().plus_ms(86_400_000) };
    let alert: PostedAlert = from(json!({"labels": labels, "endsAt": ends_at}));
    w.app.alerts_receive(&Caller::system(), vec![alert]).await.expect("it is taken");
    w.tick().await;
    w.tick().await;
}

fn mails(w: &World, to: &str) -> usize {
    w.receivers.subjects_to(to).len()
}

async fn alert(w: &World, name: &str) -> AlertView {
    let all = w.app.alerts_list(None).await.expect("alerts");
    all.into_iter().find(|a| a.rule == name).expect("it is there")
}

#[tokio::test]
async fn each_receiver_of_an_alert_pages_its_own_people() {
    let both = json!([{"receiver": "web", "continue": true}, {"receiver": "db"}]);
    let w = world(401, &routing(&both)).await;
    say(&w, "Late", &[], false).await;
    assert_eq!((mails(&w, ANA), mails(&w, MEI)), (1, 1));
    let seen = alert(&w, "Late").await;
    assert_eq!((seen.incident, seen.further_incidents.as_slice()), (Some(1), &[2][..]));
    assert_eq!(w.app.alert_get(&seen.fingerprint).await.expect("it is known"), seen);
    let nobody = w.app.alert_get("0000000000000000").await.expect_err("no such alert");
    assert!(nobody.message.contains("no alert"), "{nobody}");
    // Who has one of them has not got the other.
    w.app.incident_acknowledge(&caller("ana", Role::Responder), 1).await.expect("acknowledged");
    assert_eq!(w.states().await[&2], "open");
    say(&w, "Late", &[], true).await;
    assert!(w.states().await.values().all(|state| state == "resolved"), "{:?}", w.states().await);
}

#[tokio::test]
async fn an_alert_of_other_people_pages_them_though_somebody_has_an_incident_of_the_service() {
    let by_team = json!([{"receiver": "db", "matchers": ["team=\"db\""]}]);
    let w = world(402, &routing(&by_team)).await;
    say(&w, "Late", &[], false).await;
    w.app.incident_acknowledge(&caller("ana", Role::Responder), 1).await.expect("acknowledged");
    say(&w, "Later", &[], false).await;
    w.pass(10).await;
    assert_eq!((mails(&w, ANA), mails(&w, MEI), w.states().await.len()), (1, 0, 1), "ana has it");
    say(&w, "Disk", &[("team", "db")], false).await;
    w.pass(10).await;
    assert_eq!((mails(&w, ANA), mails(&w, MEI), w.states().await.len()), (1, 1, 2));
}

#[tokio::test]
async fn two_receivers_of_one_policy_page_once() {
    let mut routing = routing(&json!([{"receiver": "web", "continue": true}, {"receiver": "db"}]));
    routing["receivers"][1]["policy"] = "photos".into();
    let w = world(403, &routing).await;
    say(&w, "Late", &[], false).await;
    w.pass(30).await;
    assert_eq!((mails(&w, ANA), w.states().await.len()), (1, 1));
    assert_eq!(alert(&w, "Late").await.further_incidents, Vec::<i64>::new());
}

#[tokio::test]
async fn a_routing_that_groups_by_more_separates_and_the_plain_one_does_not() {
    let mut routing = routing(&json!([]));
    routing["route"]["group_by"] = json!(["service", "alertname"]);
    let w = world(404, &routing).await;
    say(&w, "Late", &[], false).await;
    w.app.incident_acknowledge(&caller("ana", Role::Responder), 1).await.expect("acknowledged");
    say(&w, "Disk", &[], false).await;
    w.pass(10).await;
    assert_eq!((mails(&w, ANA), w.states().await.len()), (2, 2));
    let plain = World::new(405).await;
    say(&plain, "Late", &[], false).await;
    say(&plain, "Disk", &[], false).await;
    plain.pass(10).await;
    assert_eq!(plain.states().await.len(), 1);
}

#[tokio::test]
async fn a_warning_pages_where_the_receiver_says_so() {
    let both = json!([{"receiver": "web", "continue": true}, {"receiver": "db"}]);
    let mut all = routing(&both);
    all["receivers"][1]["pages"] = "all".into();
    let mut w = world(408, &all).await;
    let ways = from(json!({"contact": {
        "email": MEI, "webhook": "https://hooks.example.org/mei",
        "rules": {"critical": [{"channel": "webhook"}], "other": [{"channel": "mail"}]},
    }}));
    w.app.person_put(&Caller::system(), "mei", ways).await.expect("changed");
    let warning = [("severity", "warning")];
    say(&w, "Late", &warning, false).await;
    assert_eq!((mails(&w, ANA), mails(&w, MEI)), (0, 1), "by the way for what is not critical");
    assert_eq!(mails(&w, "https://hooks.example.org/mei"), 0);
    assert_eq!(w.app.incident(1).await.expect("an incident").severity, "warning");
    say(&w, "Quiet", &[("severity", "warning"), ("page", "false")], false).await;
    assert_eq!(alert(&w, "Quiet").await.incident, None, "what the label says comes first");
    w.restart().await;
    w.pass(10).await;
    assert_eq!((mails(&w, ANA), mails(&w, MEI), w.states().await.len()), (0, 1, 1), "nobody twice");

    let w = world(409, &routing(&both)).await;
    say(&w, "Late", &warning, false).await;
    w.pass(10).await;
    assert_eq!((mails(&w, ANA), mails(&w, MEI), w.states().await.len()), (0, 0, 0));
}

#[tokio::test]
async fn a_start_between_two_receivers_loses_no_page_and_sends_none_twice() {
    let later = json!([{"receiver": "web", "continue": true}, {"receiver": "db", "group_wait": "30s"}]);
    let mut w = world(406, &routing(&later)).await;
    say(&w, "Late", &[], false).await;
    assert_eq!((mails(&w, ANA), mails(&w, MEI)), (1, 0));
    w.restart().await;
    w.pass(45).await;
    assert_eq!((mails(&w, ANA), mails(&w, MEI)), (1, 1));
    w.restart().await;
    w.pass(10).await;
    assert_eq!((mails(&w, ANA), mails(&w, MEI), w.states().await.len()), (1, 1, 2));
}

#[tokio::test]
async fn what_a_sender_names_by_keys_is_apart_where_nothing_else_is_known_of_it() {
    let w = World::new(407).await;
    pages(&w, "default", "mei").await;
    let event = async |key: &str| {
        let labels = [("alertname", "event"), ("severity", "critical"), ("source", "db1")];
        let said = KeyedAlert {
            key: key.to_owned(),
            state: SaidState::Firing,
            labels: labels.into_iter().map(|(n, v)| (n.to_owned(), v.to_owned())).collect(),
            annotations: BTreeMap::new(),
            starts_at: None,
            url: None,
        };
        w.app.alerts_keyed(&Caller::system(), (INTEGRATION_LABEL, "monitor"), vec![said]).await.expect("it is taken");
        w.pass(5).await;
    };
    event("disk").await;
    w.app.incident_acknowledge(&caller("mei", Role::Responder), 1).await.expect("acknowledged");
    event("disk").await;
    assert_eq!((mails(&w, MEI), w.states().await.len()), (1, 1), "said again");
    event("network").await;
    assert_eq!((mails(&w, MEI), w.states().await.len()), (2, 2));
}

async fn put_rules(w: &World, why: &str) {
    let rules = crate::world::RULES.replace("HighErrorRate", "Other").replace("name: photos", "name: more");
    w.app.rules_put(&Caller::system(), "more", &format!("{rules}# {why}\n")).await.expect("rules are put");
}

async fn has_alerts(w: &World, incident: i64) -> usize {
    w.app.incident(incident).await.expect("an incident").alerts.len()
}

/// As in Alertmanager, which hears nothing of a change of rules.
#[tokio::test]
async fn a_change_of_rules_leaves_groups_their_times_and_decides_nothing_anew() {
    let mut slow = routing(&json!([]));
    (slow["route"]["group_wait"], slow["route"]["group_interval"]) = ("30s".into(), "5m".into());
    let by_late = json!({"source_matchers": ["alertname=Late"], "target_matchers": ["alertname=Slow"]});
    slow["inhibit_rules"] = json!([by_late]);
    let w = world(420, &slow).await;
    say(&w, "Late", &[], false).await;
    say(&w, "Slow", &[], false).await;
    w.pass(5).await;
    put_rules(&w, "once").await;
    w.pass(5).await;
    assert_eq!(mails(&w, ANA), 0, "the group waits for what comes together");
    say(&w, "Disk", &[], false).await;
    w.pass(25).await;
    assert_eq!((mails(&w, ANA), has_alerts(&w, 1).await, w.count("alert.decided").await), (1, 2, 1));
    w.pass(25).await;
    say(&w, "More", &[], false).await;
    put_rules(&w, "twice").await;
    w.pass(30).await;
    assert_eq!((has_alerts(&w, 1).await, w.count("alert.decided").await), (2, 1), "not before its interval is over");
    // Of another routing somebody may not have heard yet.
    slow["route"]["repeat_interval"] = "3h".into();
    routes(&w, &slow).await;
    w.pass(5).await;
    assert_eq!((has_alerts(&w, 1).await, w.count("alert.decided").await), (3, 1));
}
