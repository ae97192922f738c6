//! What is foretold of an alert is what comes: the incident, each page with its step and instant, and each way with its
//! own, over policies, schedules, own rules and quiet hours that dice make. A page says afterwards why it went.
//!
//! `SEEDS` sets how many are played, `SEED` plays one. A failing seed is in the message.

use std::env;

use serde_json::{Value, json};
use tenfold_app::alerts::{Asked, Foretold, NewMute, Question};
use tenfold_app::incidents::{ForetoldIncident, PageReason, PageView};
use tenfold_app::oncall::{NewOverride, PolicyUpdate};
use tenfold_app::people::PersonUpdate;
use tenfold_app::{Caller, Role};
use tenfold_testkit::TestEntropy;
use tenfold_types::{Labels, Timestamp};

use crate::world::{World, caller, from};

/// One page: who, step, round, when, in copy, and each way with its instant.
pub type Told = (String, i64, i64, Timestamp, bool, Vec<(String, Timestamp)>);

const LABELS: [(&str, &str); 2] = [("alertname", "Late"), ("service", "photos")];

pub fn seeds() -> Vec<u64> {
    let number = |name: &str| env::var(name).ok().and_then(|v| v.parse::<u64>().ok());
    match number("SEED") {
        Some(seed) => vec![seed],
        None => (0..number("SEEDS").unwrap_or(10)).map(|n| 7_000 + n).collect(),
    }
}

/// Everything is a multiple of the five seconds in which the world moves.
fn fives(dice: &TestEntropy, max: u64) -> u64 {
    5 * (1 + dice.below(max / 5))
}

fn policy(dice: &TestEntropy) -> Value {
    let targets = [
        json!({"kind": "schedule", "name": "photos-primary"}),
        json!({"kind": "schedule", "name": "photos-primary", "offset": 1}),
        json!({"kind": "schedule", "name": "photos-primary", "offset": 9}),
        json!({"kind": "person", "name": "mei"}),
        json!({"kind": "person", "name": "raj"}),
        json!({"kind": "team", "name": "web"}),
    ];
    let any = || targets[dice.below(6) as usize].clone();
    let mut steps = Vec::new();
    for _ in 0..=dice.below(3) {
        let mut list = vec![any()];
        let more = any();
        if !list.contains(&more) {
            list.push(more);
        }
        let robin = dice.below(3) == 0;
        steps.push(json!({"delay_ms": fives(dice, 60) * 1_000, "round_robin": robin, "targets": list}));
    }
    let mut policy = json!({"repeat": dice.below(2), "steps": steps});
    if dice.below(2) == 0 {
        policy["deployer_first"] = json!({"within_ms": 600_000, "delay_ms": fives(dice, 30) * 1_000});
    }
    policy
}

async fn reach(w: &World, dice: &TestEntropy, login: &str) {
    let mut contact =
        json!({"email": format!("{login}@example.org"), "webhook": format!("https://{login}.example/ring")});
    if dice.below(2) == 0 {
        let ways = json!([{"channel": "webhook"}, {"channel": "mail", "after_s": fives(dice, 60)}]);
        contact["rules"] = json!({"critical": ways.clone(), "other": ways});
    }
    if dice.below(2) == 0 {
        contact["quiet"] = json!({"from": "00:00", "to": "23:59"});
    }
    let teams = (login != "ana").then(|| vec!["web".to_owned()]);
    let update = PersonUpdate { contact: Some(from(contact)), teams, ..PersonUpdate::default() };
    w.app.person_put(&Caller::system(), login, update).await.expect("how to reach them");
}

async fn downtime(w: &World, matchers: &str, start: Timestamp, end: Timestamp) {
    let new: NewMute = from(json!({
        "matchers": matchers, "kind": "downtime", "reason": "moving disks", "starts_at": start, "expires_at": end,
    }));
    w.app.mute_create(&caller("raj", Role::Responder), new).await.expect("a downtime");
}

fn labels(severity: &str) -> Labels {
    let own = [("severity", severity), ("page", "true")];
    Labels::from_pairs(LABELS.into_iter().chain(own).map(|(n, v)| (n.to_owned(), v.to_owned())))
}

async fn foretell(w: &World, severity: &str) -> Foretold {
    let question = Question { labels: Asked::Labels(labels(severity)), at: None };
    w.app.alert_simulate(question).await.expect("it is foretold")
}

async fn send(w: &World, severity: &str) {
    let alert = from(json!({
        "labels": {"alertname": "Late", "service": "photos", "severity": severity, "page": "true"},
        "annotations": {"summary": "the batch is late"},
        "endsAt": w.clock_now().plus_ms(86_400_000),
    }));
    w.app.alerts_receive(&Caller::system(), vec![alert]).await.expect("it is taken");
    w.tick().await;
}

fn foreseen(told: &Foretold) -> Vec<Told> {
    told.incident.as_ref().map(pages_of).unwrap_or_default()
}

/// The pages of an incident that is foretold.
pub fn pages_of(incident: &ForetoldIncident) -> Vec<Told> {
    let mut out: Vec<Told> = incident
        .steps
        .iter()
        .flat_map(|s| {
            s.pages.iter().map(move |p| {
                let mut ways: Vec<_> = p.ways.iter().map(|w| (w.channel.clone(), w.at)).collect();
                ways.sort();
                (p.person.clone(), s.step as i64, i64::from(s.round), s.at, p.copy, ways)
            })
        })
        .collect();
    out.sort();
    out
}

pub fn came(pages: &[PageView]) -> Vec<Told> {
    let mut out: Vec<Told> = pages
        .iter()
        .map(|p| {
            let tried = p.attempts.iter().filter(|a| a.channel != "web").map(|a| (a.channel.clone(), a.at));
            let mut ways: Vec<_> = tried.chain(p.planned.iter().map(|w| (w.channel.clone(), w.at))).collect();
            ways.sort();
            (p.person.clone(), p.step, p.round, p.due_at, p.copy, ways)
        })
        .collect();
    out.sort();
    out
}

async fn history(seed: u64) {
    let w = World::new(seed).await;
    let dice = TestEntropy::seeded(seed.wrapping_mul(17));
    let update: PolicyUpdate = from(policy(&dice));
    w.app.policy_put(&Caller::system(), "photos", update).await.expect("a policy");
    for login in ["ana", "raj", "mei"] {
        reach(&w, &dice, login).await;
    }
    if dice.below(2) == 0 {
        w.deploy(12, &["deploy.queued", "deploy.succeeded"], "mei", json!({})).await;
    }
    if dice.below(2) == 0 {
        // Begins while the escalation goes on: who is on call is asked anew at each step.
        let start = w.clock_now().plus_ms(fives(&dice, 40) as i64 * 1_000);
        let cover: NewOverride =
            from(json!({"kind": "replace", "person": "mei", "start": start, "end": start.plus_ms(3_600_000)}));
        w.app.override_create(&caller("raj", Role::Responder), "photos-primary", cover).await.expect("a cover");
    }
    if dice.below(2) == 0 {
        // Covers the alert while somebody is asked: the steps that come due meanwhile wait.
        let start = w.clock_now().plus_ms(fives(&dice, 60) as i64 * 1_000);
        let end = start.plus_ms(fives(&dice, 120) as i64 * 1_000);
        downtime(&w, "service=photos", start, end).await;
    }
    w.tick().await;
    let severity = ["critical", "warning"][dice.below(2) as usize];
    let told = foretell(&w, severity).await;
    let incident = told.incident.clone().unwrap_or_else(|| panic!("seed {seed}: nobody is foretold"));
    assert_eq!((incident.verdict.as_str(), incident.number), ("opened", None), "seed {seed}");
    assert_eq!(w.count("page.queued").await, 0, "seed {seed}: nobody is paged by a question");

    send(&w, severity).await;
    w.pass(600).await;
    let pages = w.app.pages(Some(1)).await.expect("pages");
    assert_eq!(came(&pages), foreseen(&told), "seed {seed}: {incident:?}");
    for page in &pages {
        let why = w.app.page_why(&page.id).await.expect("a reason");
        let step = incident.steps.iter().find(|s| s.at == page.due_at && s.step as i64 == page.step);
        let foretold = step.and_then(|s| s.pages.iter().find(|p| p.person == page.person)).expect("foretold");
        assert_eq!(why.reasons, foretold.reasons, "seed {seed}: the same code says why");
        assert!(why.seq.is_some(), "seed {seed}");
    }
}

#[tokio::test]
async fn what_is_foretold_is_what_comes() {
    for seed in seeds() {
        history(seed).await;
    }
}

#[tokio::test]
async fn what_lies_more_than_a_year_ahead_is_not_foretold() {
    let w = World::new(7_040).await;
    for (days, told) in [(366, true), (367, false)] {
        let at = Some(w.clock_now().plus_ms(days * 86_400_000));
        let question = Question { labels: Asked::Labels(labels("critical")), at };
        let foretold = w.app.alert_simulate(question).await;
        assert_eq!(foretold.is_ok_and(|foretold| foretold.pages && !foretold.notifications.is_empty()), told, "{days}");
    }
}

#[tokio::test]
async fn a_step_that_will_wait_for_a_mute_is_foretold_with_since_when() {
    let w = World::new(7_050).await;
    let (start, end) = (w.clock_now().plus_ms(30_000), w.clock_now().plus_ms(100_000));
    downtime(&w, "alertname=Late", start, end).await;
    let told = foretell(&w, "critical").await;
    let held = |told: &Foretold| -> Vec<_> {
        let steps = told.incident.iter().flat_map(|i| &i.steps);
        steps.map(|s| (s.at.since_ms(told.at), s.held_since.map(|at| at.since_ms(told.at)))).collect()
    };
    assert_eq!(held(&told), [(0, None), (100_000, Some(60_000))]);
    send(&w, "critical").await;
    w.pass(300).await;
    assert_eq!(came(&w.app.pages(Some(1)).await.expect("pages")), foreseen(&told));

    // Another alert of the incident that is not muted keeps it from waiting.
    let w = World::new(7_051).await;
    downtime(&w, "alertname=Late", w.clock_now().plus_ms(60_000), w.clock_now().plus_ms(600_000)).await;
    w.errors(9.0);
    w.pass(15).await;
    let told = foretell(&w, "critical").await;
    assert!(held(&told).iter().all(|(_, since)| since.is_none()), "{:?}", held(&told));
}

#[tokio::test]
async fn an_open_incident_is_joined_and_one_that_is_held_pages_nobody() {
    let w = World::new(7_100).await;
    w.errors(9.0);
    w.pass(15).await;
    assert_eq!(w.states().await[&1], "open");
    let told = foretell(&w, "critical").await.incident.expect("an incident");
    assert_eq!((told.verdict.as_str(), told.number), ("joined", Some(1)));
    let left: Vec<_> = told.steps.iter().flat_map(|s| &s.pages).map(|p| p.person.as_str()).collect();
    assert_eq!(left, ["raj"], "the first step is behind");
    send(&w, "critical").await;
    w.pass(100).await;
    assert_eq!(w.states().await.len(), 1);
    assert!(came(&w.app.pages(Some(1)).await.expect("pages")).iter().any(|p| p.0 == "raj" && p.3 == told.steps[0].at));

    w.app.incident_acknowledge(&caller("ana", Role::Responder), 1).await.expect("acknowledged");
    let told = foretell(&w, "critical").await.incident.expect("an incident");
    assert_eq!((told.verdict.as_str(), told.steps.len()), ("has", 0));
    assert!(told.because.contains("ana has it"), "{}", told.because);
}

#[tokio::test]
async fn what_becomes_critical_begins_its_escalation_again() {
    let w = World::new(7_150).await;
    send(&w, "warning").await;
    w.pass(30).await;
    let told = foretell(&w, "critical").await;
    let incident = told.incident.clone().expect("an incident");
    assert_eq!((incident.verdict.as_str(), incident.number), ("joined", Some(1)));
    // The group it joins is looked at once more a second later.
    let steps: Vec<_> = incident.steps.iter().map(|s| (s.step, s.round, s.at.since_ms(told.at))).collect();
    assert_eq!(steps, [(1, 2, 1_000), (2, 2, 61_000)]);
    send(&w, "critical").await;
    w.pass(1).await;
    w.pass(299).await;
    let pages = w.app.pages(Some(1)).await.expect("pages");
    let second: Vec<PageView> = pages.into_iter().filter(|p| p.round == 2).collect();
    assert_eq!(came(&second), foreseen(&told));
    assert_eq!(w.states().await.len(), 1);
}

#[tokio::test]
async fn who_cannot_be_reached_is_passed_over_at_once() {
    let w = World::new(7_200).await;
    let nowhere = PersonUpdate { contact: Some(from(json!({"email": ""}))), ..PersonUpdate::default() };
    w.app.person_put(&Caller::system(), "ana", nowhere).await.expect("no address");
    let told = foretell(&w, "critical").await;
    let steps: Vec<_> = told.incident.iter().flat_map(|i| &i.steps).map(|s| s.at.since_ms(told.at)).collect();
    assert_eq!(steps, [0, 1_000]);
    send(&w, "critical").await;
    w.clock.advance_ms(1_000);
    w.tick().await;
    assert_eq!(came(&w.app.pages(Some(1)).await.expect("pages")), foreseen(&told));
}

#[tokio::test]
async fn a_page_says_why() {
    let w = World::new(7_300).await;
    let quiet = json!({"email": "ana@example.org", "quiet": {"from": "00:00", "to": "23:59"}});
    let update = PersonUpdate { contact: Some(from(quiet)), ..PersonUpdate::default() };
    w.app.person_put(&Caller::system(), "ana", update).await.expect("quiet hours");
    w.errors(9.0);
    w.pass(15).await;
    let page = w.app.pages(Some(1)).await.expect("pages").remove(0);
    let why = w.app.page_why(&page.id).await.expect("a reason");
    let said = |stage: &str| -> String {
        why.reasons.iter().filter(|r: &&PageReason| r.stage == stage).map(|r| r.because.clone()).collect()
    };
    assert_eq!(said("step"), "step 1 of 2 of photos comes first");
    assert!(said("schedule").starts_with("on call in photos-primary (layer "), "{}", said("schedule"));
    assert_eq!(said("quiet"), "quiet hours from 00:00 to 23:59 hold, but it is critical");
    assert_eq!(said("ways"), "one way after another: mail after 0 s");

    let raj = caller("raj", Role::Responder);
    let test = w.app.page_test(&raj, "raj").await.expect("a test");
    assert_eq!(w.app.page_why(&test.id).await.expect("no reason").reasons, []);
    let missing = w.app.page_why("0199c2a4-7a51-7c32-8a5e-3c1f6f0f4a10").await.expect_err("no such page");
    assert!(missing.message.contains("no such page"), "{missing}");
}
