//! A team as those whom a policy pages: who is in it when the step comes, and what is said of one that cannot be paged.

use serde_json::{Value, json};
use tenfold_app::oncall::PolicyUpdate;
use tenfold_app::people::PersonUpdate;
use tenfold_app::{Caller, Role, incidents::NewIncident};

use crate::world::{World, caller, from};

fn pages_team(name: &str) -> Value {
    let step = json!({"delay_ms": 60_000, "targets": [{"kind": "team", "name": name}]});
    json!({"steps": [step, step]})
}

async fn put(w: &World, login: &str, update: Value) {
    let update: PersonUpdate = from(update);
    w.app.person_put(&Caller::system(), login, update).await.expect("they are changed");
}

async fn policy(w: &World, value: Value) {
    let update: PolicyUpdate = from(value);
    w.app.policy_put(&Caller::system(), "default", update).await.expect("a policy");
}

/// Who was paged for an incident, by step.
async fn paged(w: &World, incident: i64) -> Vec<(i64, String)> {
    let pages = w.app.pages(Some(incident)).await.expect("pages");
    let mut all: Vec<_> = pages.into_iter().map(|page| (page.step, page.person)).collect();
    all.sort_unstable();
    all
}

fn row(step: i64, person: &str) -> (i64, String) {
    (step, person.to_owned())
}

#[tokio::test]
async fn who_is_in_it_is_asked_when_the_step_comes() {
    let w = World::new(131).await;
    put(&w, "ana", json!({"teams": ["photos", "web"]})).await;
    put(&w, "raj", json!({"teams": ["photos"], "disabled": true})).await;
    policy(&w, pages_team("photos")).await;
    let preview = w.app.policy_preview(from(pages_team("photos"))).await.expect("a preview");
    let foreseen: Vec<_> = preview.steps.iter().map(|s| (s.after_ms, s.people[0].login.as_str())).collect();
    assert_eq!(foreseen, [(0, "ana"), (60_000, "ana")]);
    assert!(preview.steps.iter().all(|s| s.people.len() == 1), "raj's account is disabled: {preview:?}");

    let new: NewIncident = from(json!({"title": "uploads are slow"}));
    let incident = w.app.incident_open(&caller("mei", Role::Admin), new).await.expect("an incident").number;
    w.tick().await;
    assert_eq!(paged(&w, incident).await, [row(1, "ana")]);
    put(&w, "mei", json!({"teams": ["photos"]})).await;
    w.pass(60).await;
    assert_eq!(paged(&w, incident).await, [row(1, "ana"), row(2, "ana"), row(2, "mei")], "mei came meanwhile");
    let events = w.events().await;
    let mei = events.iter().find(|e| e.kind == "page.queued" && e.data["person"] == "mei").expect("her page");
    let reasons = mei.data["because"].as_array().expect("reasons");
    let team = reasons.iter().find(|r| r["stage"] == "team").expect("a reason");
    assert_eq!(team["because"], "is in the team photos, and the step pages all of it");
}

#[tokio::test]
async fn one_with_nobody_is_told_before_it_matters() {
    let w = World::new(132).await;
    policy(&w, pages_team("photos")).await;
    let preview = w.app.policy_preview(from(pages_team("photos"))).await.expect("a preview");
    assert!(preview.steps.len() == 2 && preview.steps.iter().all(|s| s.people.is_empty()), "{preview:?}");
    let view = w.app.readiness().await.expect("readiness");
    let teams: Vec<_> = view.teams.iter().map(|t| (t.team.as_str(), t.policies.join(" "))).collect();
    assert_eq!(teams, [("photos", "default".to_owned())]);
    let empty: Vec<_> = view.steps.iter().map(|s| (s.policy.as_str(), s.step)).collect();
    assert_eq!(empty, [("default", 1), ("default", 2)]);
    let said = "the team photos, which default pages, has nobody in it";
    assert!(view.sentences().iter().any(|s| s == said), "{:?}", view.sentences());

    put(&w, "mei", json!({"teams": ["photos"]})).await;
    let view = w.app.readiness().await.expect("readiness");
    assert_eq!((view.teams.len(), view.steps.len()), (0, 0));
    let mei = view.people.iter().find(|p| p.login == "mei").expect("she may be paged now");
    assert_eq!(mei.policies, ["default"]);
}

#[tokio::test]
async fn one_that_is_too_large_is_refused_and_told_when_it_grew() {
    let w = World::new(133).await;
    for n in 0..51 {
        put(&w, &format!("crowd-{n:02}"), json!({"teams": ["crowd"]})).await;
    }
    let refused = w
        .app
        .policy_put(&Caller::system(), "default", from(pages_team("crowd")))
        .await
        .expect_err("one person too many");
    assert!(refused.message.contains("the team `crowd` has 51 people"), "{refused}");
    put(&w, "crowd-50", json!({"teams": []})).await;
    policy(&w, pages_team("crowd")).await;
    put(&w, "crowd-50", json!({"teams": ["crowd"]})).await;
    let view = w.app.readiness().await.expect("readiness");
    assert!(view.teams[0].text.starts_with("has 51 people"), "{:?}", view.teams);
}
