//! A policy that is played before it is saved says what an incident then does.

use serde_json::json;
use tenfold_app::chat::grammar::parse;
use tenfold_app::oncall::{PolicyPreviewView, PolicyUpdate, ScheduleUpdate};
use tenfold_app::people::PersonUpdate;
use tenfold_app::{Caller, Role};

use crate::world::{World, caller, from};

fn told(preview: &PolicyPreviewView) -> Vec<(usize, u32, i64, Vec<&str>)> {
    preview
        .steps
        .iter()
        .map(|s| (s.step, s.round, s.after_ms, s.people.iter().map(|p| p.login.as_str()).collect()))
        .collect()
}

#[tokio::test]
async fn it_is_what_the_pages_of_an_incident_are() {
    let w = World::new(81).await;
    w.tick().await;
    let policy: PolicyUpdate = w.app.policies().await.expect("policies").remove(0).into();
    let preview = w.app.policy_preview(policy).await.expect("a preview");
    assert_eq!(told(&preview), [(1, 1, 0, vec!["ana"]), (2, 1, 60_000, vec!["raj"])]);
    assert_eq!(preview.ends_after_ms, 180_000);
    assert_eq!(w.count("page.queued").await, 0, "nobody is paged by a preview");

    w.errors(9.0);
    w.pass(300).await;
    let pages = w.app.pages(Some(1)).await.expect("pages");
    let mut paged: Vec<&str> = pages.iter().map(|p| p.person.as_str()).collect();
    paged.sort_unstable();
    paged.dedup();
    assert_eq!(paged, ["ana", "raj"]);
}

#[tokio::test]
async fn whose_account_is_disabled_is_foreseen_as_nobody() {
    let w = World::new(83).await;
    let schedule: ScheduleUpdate = from(json!({
        "timezone": "UTC",
        "rotation": {"people": ["ana", "raj"], "start": "2026-11-23T08:00:00", "shift_length": "1w"},
        "shadows": [{"person": "mei"}],
    }));
    w.app.schedule_put(&Caller::system(), "photos-primary", schedule).await.expect("a schedule with a shadow");
    let policy = async || -> PolicyUpdate { w.app.policies().await.expect("policies").remove(0).into() };
    let preview = w.app.policy_preview(policy().await).await.expect("a preview");
    assert_eq!(preview.steps[0].shadows.iter().map(|p| p.login.as_str()).collect::<Vec<_>>(), ["mei"]);
    for login in ["mei", "ana"] {
        let gone = PersonUpdate { disabled: Some(true), ..PersonUpdate::default() };
        w.app.person_put(&Caller::system(), login, gone).await.expect("an account is disabled");
        let preview = w.app.policy_preview(policy().await).await.expect("a preview");
        assert_eq!(preview.steps[0].shadows, [], "mei learns no more");
    }
    let preview = w.app.policy_preview(policy().await).await.expect("a preview");
    assert_eq!(told(&preview), [(1, 1, 0, vec![]), (2, 1, 0, vec!["raj"])], "nobody is waited for who is not paged");
    assert_eq!(preview.ends_after_ms, 120_000);
}

#[tokio::test]
async fn where_whoever_is_on_call_is_gone_the_fallback_and_the_next_behind_are_paged() {
    let w = World::new(84).await;
    let schedule: ScheduleUpdate = from(json!({
        "timezone": "UTC", "fallback": ["mei"],
        "rotation": {"people": ["ana", "raj", "mei"], "start": "2026-11-23T08:00:00", "shift_length": "1w"},
    }));
    w.app.schedule_put(&Caller::system(), "photos-primary", schedule).await.expect("a schedule with a fallback");
    let policy: PolicyUpdate = from(json!({"steps": [
        {"delay_ms": 10_000, "targets": [{"kind": "schedule", "name": "photos-primary"}]},
        {"delay_ms": 20_000, "targets": [{"kind": "schedule", "name": "photos-primary", "offset": 1}]},
    ]}));
    let paged = async || {
        let preview = w.app.policy_preview(policy.clone()).await.expect("a preview");
        told(&preview).into_iter().map(|(.., people)| people.join(" ")).collect::<Vec<_>>()
    };
    assert_eq!(paged().await, ["ana", "raj"]);
    let gone = async |login: &str| {
        let update = PersonUpdate { disabled: Some(true), ..PersonUpdate::default() };
        w.app.person_put(&Caller::system(), login, update).await.expect("an account is disabled");
    };
    gone("raj").await;
    assert_eq!(paged().await, ["ana", "mei"], "the next one who is there stands behind");
    gone("ana").await;
    assert_eq!(paged().await, ["mei", ""], "the fallback, and nobody is left behind it");
}

#[tokio::test]
async fn turns_rounds_and_steps_with_nobody_are_played() {
    let w = World::new(82).await;
    let policy: PolicyUpdate = from(json!({"repeat": 1, "steps": [
        {"delay_ms": 10_000, "targets": [{"kind": "schedule", "name": "photos-primary", "offset": 5}]},
        {"delay_ms": 20_000, "round_robin": true,
         "targets": [{"kind": "person", "name": "raj"}, {"kind": "person", "name": "mei"}]},
    ]}));
    let preview = w.app.policy_preview(policy).await.expect("a preview");
    assert_eq!(
        told(&preview),
        [(1, 1, 0, vec![]), (2, 1, 0, vec!["raj"]), (1, 2, 20_000, vec![]), (2, 2, 20_000, vec!["mei"])]
    );
    assert_eq!(preview.ends_after_ms, 40_000);
    for (broken, word) in [
        (json!({"steps": []}), "1 to 10 steps"),
        (json!({"steps": [{"delay_ms": 1_000, "targets": [{"kind": "person", "name": "nobody"}]}]}), "nobody"),
        (json!({"steps": [{"delay_ms": 1_000, "targets": [{"kind": "schedule", "name": "none"}]}]}), "none"),
    ] {
        let said = w.app.policy_preview(from(broken)).await.expect_err(word);
        assert!(said.message.contains(word), "{said:?}");
    }
}

#[tokio::test]
async fn a_room_is_told_the_ladder() {
    let w = World::new(85).await;
    w.tick().await;
    let raj = caller("raj", Role::Viewer);
    let say = async |line: &str| w.app.execute(&raj, parse(line).expect(line)).await.map(|reply| reply.lines);
    assert_eq!(say("policies list").await.expect("all"), ["photos: 2 steps"]);
    let ladder = [
        "at once: Ana Silva (step 1, round 1)",
        "after 1 min: Raj Patel (step 2, round 1)",
        "after 3 min: nobody else is asked",
    ];
    assert_eq!(say("policies show photos").await.expect("one"), ladder);
    let gone = say("policies show gone").await.expect_err("there is none");
    assert!(gone.advice.contains("policies list"), "{gone}");
}

#[tokio::test]
async fn a_test_page_is_asked_for_in_chat() {
    let w = World::new(87).await;
    let say =
        async |who: &Caller, line: &str| w.app.execute(who, parse(line).expect(line)).await.map(|reply| reply.lines);
    let raj = caller("raj", Role::Viewer);
    let said = say(&raj, "oncall test").await.expect("everybody may test themselves");
    assert!(said[0].starts_with("a test page to Raj Patel is on its way"), "{said:?}");
    say(&raj, "oncall test ana").await.expect_err("others are for responders");
    w.tick().await;
    assert_eq!(w.receivers.subjects_to("raj@example.org"), ["[test] This is what a page looks like"]);
}
