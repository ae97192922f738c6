//! The story: a bad deploy, errors, an incident, a page to the developer on call, the next step to the operator, an
//! acknowledgement, a rollback, recovery; and the timeline that nobody wrote.

use serde_json::json;
use tenfold_app::Role;

use crate::world::{World, caller};

#[tokio::test]
async fn from_a_bad_deploy_to_recovery_and_its_story() {
    let w = World::new(1).await;
    let commits = json!({"to_sha": "1a2b3c4d5e", "commits": [{"sha": "1a2b", "at": "2026-11-23T08:00:00Z", "author": "Mei", "message": "Resize in parallel"}]});
    w.tick().await;
    w.deploy(12, &["deploy.queued", "deploy.canary_started", "deploy.promoting", "deploy.succeeded"], "mei", commits)
        .await;
    w.errors(12.5);
    w.pass(5).await;
    assert_eq!(w.count("alert.pending").await, 1);
    assert_eq!(w.states().await.len(), 0, "it waits for ten seconds before it fires");
    w.pass(10).await;

    let incidents = w.app.incidents_open().await.expect("incidents");
    let incident = &incidents[0];
    assert_eq!(
        (incident.number, incident.state.as_str(), incident.title.as_str()),
        (1, "open", "photos answers 12.5 % with errors")
    );
    let suspect = &incident.suspects[0];
    assert_eq!((suspect.number, suspect.actor_name.as_str(), suspect.rollback), (Some(12), "Mei Lin", false));
    assert_eq!(suspect.text, "deploy 12 of photos 1a2b3c4d (Resize in parallel)");
    let mail = w.receivers.taken.lock()[0].clone();
    assert_eq!(mail.to, "ana@example.org");
    assert_eq!(mail.notice.subject, "[critical] Incident 1: photos answers 12.5 % with errors");
    for part in [
        "Suspect: deploy 12 of photos 1a2b3c4d (Resize in parallel) by Mei Lin",
        "http://127.0.0.1:7070/deploys/12",
        "Acknowledge: http://127.0.0.1:7070/incidents/1",
        "!ack 1",
        "Runbook: https://example.org/runbooks/errors",
    ] {
        assert!(mail.notice.text.contains(part), "`{part}` is missing in\n{}", mail.notice.text);
    }

    w.pass(55).await;
    assert_eq!(w.receivers.taken.lock().len(), 1, "the first step waits a minute");
    w.pass(5).await;
    assert_eq!(w.receivers.subjects_to("raj@example.org").len(), 1, "then the operator is paged");

    let raj = caller("raj", Role::Responder);
    let first = w.app.incident_acknowledge(&raj, 1).await.expect("acknowledged");
    assert!(!first.already);
    let second = w.app.incident_acknowledge(&caller("ana", Role::Responder), 1).await.expect("acknowledged");
    assert!(second.already);
    assert_eq!(second.incident.acknowledged_by_name.as_deref(), Some("raj"));
    let pages: Vec<_> = second.incident.pages.iter().map(|p| (p.person.as_str(), p.step, p.state.as_str())).collect();
    assert_eq!(pages, [("ana", 1, "delivered"), ("raj", 2, "acknowledged")]);
    let alert = &w.app.alerts_list(Some("firing")).await.expect("alerts")[0];
    assert_eq!((alert.incident, alert.acknowledged_by.as_deref()), (Some(1), Some("raj")));

    w.pass(300).await;
    assert_eq!(w.receivers.taken.lock().len(), 2, "nothing is sent after the acknowledgement");
    let rollback = json!({"deploy_kind": "rollback", "reverts": 12, "to_sha": "0f0f0f"});
    w.deploy(13, &["deploy.queued", "deploy.rolling_back", "deploy.rolled_back"], "ana", rollback).await;
    w.errors(0.2);
    w.pass(10).await;
    assert_eq!(w.states().await[&1], "resolved");
    let late = w.app.incident_acknowledge(&raj, 1).await.expect_err("too late");
    assert!(late.message.contains("resolved already"));

    let timeline = w.app.incident_timeline(1).await.expect("a timeline");
    let mut phases: Vec<&str> = timeline.iter().map(|e| e.phase.as_str()).collect();
    phases.dedup();
    assert_eq!(
        phases,
        ["deploy", "first_errors", "alert", "page", "acknowledged", "mitigation", "recovery"],
        "{:?}",
        timeline.iter().map(|e| (&e.event.kind, e.phase)).collect::<Vec<_>>()
    );
    assert!(timeline.is_sorted_by_key(|e| e.event.occurred_at));
    let draft = w.app.incident_postmortem(1).await.expect("a draft");
    for role in ["the developer on call", "the operator on call", "the deployer"] {
        assert!(draft.contains(role), "{role} is missing in\n{draft}");
    }
    for name in ["Mei", "Ana", "Raj", "Silva", "Patel"] {
        assert!(!draft.contains(name), "{name} stands in\n{draft}");
    }
    let verified = w.app.record_verify().await.expect("the record is whole");
    assert!(verified.first_broken.is_none(), "the chain holds");
}

#[tokio::test]
async fn further_alerts_join_the_open_incident_and_all_must_be_over() {
    let w = World::new(2).await;
    let second = crate::world::RULES.replace("HighErrorRate", "Other").replace("name: photos", "name: more");
    w.app.rules_put(&tenfold_app::Caller::system(), "more", &second).await.expect("rules are made");
    w.tick().await;
    w.errors(9.0);
    w.pass(20).await;
    let incident = w.app.incident(1).await.expect("an incident");
    assert_eq!(incident.alerts.len(), 2);
    assert_eq!(w.states().await.len(), 1);
    assert_eq!(w.receivers.taken.lock().len(), 1, "the second alert pages nobody again");
    w.errors(1.0);
    w.pass(10).await;
    assert_eq!(w.states().await[&1], "resolved");
    assert_eq!(w.count("alert.resolved").await, 2);
}

#[tokio::test]
async fn an_override_and_a_take_change_who_is_paged() {
    let w = World::new(3).await;
    w.tick().await;
    let mei = caller("mei", Role::Responder);
    w.app.take(&mei, "photos-primary", Some(3_600_000), None).await.expect("taken");
    let on_call = w.app.on_call_now().await.expect("on call");
    let person = on_call[0].person.as_ref().expect("somebody");
    assert_eq!((person.login.as_str(), on_call[0].secondary.as_ref().map(|p| p.login.as_str())), ("mei", Some("ana")));
    w.errors(9.0);
    w.pass(20).await;
    assert_eq!(w.receivers.subjects_to("mei@example.org").len(), 1);
    assert_eq!(w.receivers.subjects_to("ana@example.org").len(), 0);
}
