//! Noise: what people say of pages, what rules cost, and drafts that are tried on the past.

use serde_json::{Value, json};
use tenfold_app::alerts::rule_file_version;
use tenfold_app::noise::{DraftAsk, DraftPut, NoiseAsk};
use tenfold_app::people::PersonUpdate;
use tenfold_app::{Caller, Role};
use tenfold_tsdb::Sample;
use tenfold_types::{ErrorCode, Labels};

use crate::world::{World, caller, from};

const DAY_MS: i64 = 86_400_000;

async fn page(w: &World, rule: &str) {
    let alert = from(json!({
        "labels": {"alertname": rule, "service": "photos", "environment": rule.to_lowercase(), "severity": "critical", "team": "web"},
        "annotations": {"summary": rule},
    }));
    w.app.alerts_receive(&Caller::system(), vec![alert]).await.expect("it is taken");
    w.tick().await;
}

async fn noise(w: &World) -> Value {
    json!(w.app.noise(NoiseAsk::default()).await.expect("the noise is counted").teams)
}

#[tokio::test]
async fn what_is_said_of_pages_counts_for_their_rules() {
    let w = World::new(51).await;
    let ana = caller("ana", Role::Responder);
    page(&w, "Slow").await;
    // It is 10 in the evening where ana is from now on.
    let update = PersonUpdate { timezone: Some("Pacific/Auckland".into()), ..PersonUpdate::default() };
    w.app.person_put(&ana, "ana", update).await.expect("ana moves");
    page(&w, "Down").await;
    w.pass(65).await;
    let said = w.app.incident_classify(&ana, 1, "7").await.expect("it is said with one key");
    assert_eq!(said.classified.as_deref(), Some("threshold"));
    w.app.incident_classify(&ana, 1, "threshold").await.expect("the same again");
    assert_eq!(w.count("incident.classified").await, 1, "what is known is no news");
    w.app.incident_classify(&ana, 2, "action").await.expect("it is said");
    let refused = w.app.incident_classify(&ana, 2, "nonsense").await.expect_err("no kind");
    assert!(refused.advice.contains("7 threshold"), "{refused:?}");
    let viewer = caller("mei", Role::Viewer);
    w.app.incident_classify(&viewer, 2, "1").await.expect_err("a viewer says nothing");

    let teams = noise(&w).await;
    assert_eq!(teams[0]["team"], "web");
    let rules = teams[0]["rules"].as_array().expect("rules");
    // Each paged ana, and raj after a minute; raj's clock is UTC. ana's zone counts as it is now.
    let figures: Vec<Value> = rules
        .iter()
        .map(|r| json!([r["rule"], r["pages"], r["wakes"], r["cost"], r["action"], r["no_action"], r["unsaid"]]))
        .collect();
    assert_eq!(json!(figures), json!([["Down", 2, 1, 5, 1, 0, 0], ["Slow", 2, 1, 5, 0, 1, 0]]));
    assert!(!teams.to_string().contains("ana"), "people are not counted");
    w.app.noise(NoiseAsk { days: Some(29) }).await.expect_err("that is too long");
}

#[tokio::test]
async fn the_room_is_told_once_a_week() {
    let w = World::new(52).await;
    w.app.noise_tick().await.expect("a new server begins");
    assert_eq!(w.count("noise.digest").await, 0);
    w.clock.advance_ms(7 * DAY_MS);
    w.app.noise_tick().await.expect("a quiet week");
    assert_eq!(w.count("noise.digest").await, 0, "a quiet week says nothing");
    w.clock.advance_ms(6 * DAY_MS);
    page(&w, "Slow").await;
    w.clock.advance_ms(DAY_MS);
    for _ in 0..3 {
        w.app.noise_tick().await.expect("it is told");
    }
    assert_eq!(w.count("noise.digest").await, 1);
    let events = w.events().await;
    let told = events.iter().find(|e| e.kind == "noise.digest").expect("the digest");
    assert!(told.text.starts_with("The noisiest rules of the week. web: Slow 1 page"), "{}", told.text);
    assert_eq!(told.data["teams"][0]["rules"][0]["rule"], "Slow");
    assert!(tenfold_app::chat::announce::announce(told, "http://t/").is_some(), "the room hears it");
}

#[tokio::test]
async fn a_team_is_told_of_its_own_once() {
    let w = World::new(54).await;
    for (login, team) in [("ana", "web"), ("raj", "db")] {
        let update = PersonUpdate { teams: Some(vec![team.to_owned()]), ..PersonUpdate::default() };
        w.app.person_put(&Caller::system(), login, update).await.expect("a team is set");
    }
    w.app.noise_tick().await.expect("a new server begins");
    w.clock.advance_ms(6 * DAY_MS);
    page(&w, "Slow").await;
    w.receivers.taken.lock().clear();
    w.clock.advance_ms(DAY_MS);
    for _ in 0..2 {
        w.app.noise_tick().await.expect("it is told");
        w.app.digests_tick().await.expect("people are told");
    }
    let taken = w.receivers.taken.lock();
    let told: Vec<(&str, &str)> = taken.iter().map(|s| (s.to.as_str(), s.notice.subject.as_str())).collect();
    assert_eq!(told, [("ana@example.org", "[noise] The noisiest alerts of web last week")]);
    assert!(taken[0].notice.text.contains("- Slow 1 page"), "{}", taken[0].notice.text);
}

#[tokio::test]
async fn a_draft_is_put_into_force_and_taken_back() {
    let w = World::new(55).await;
    let ana = caller("ana", Role::Deployer);
    let put = |change: &str| DraftPut { rule: "HighErrorRate".into(), change: change.into(), ..DraftPut::default() };
    let before = w.app.rule_file("photos").await.expect("a rule file");
    let version = rule_file_version(&before);

    w.app.noise_draft_put(&caller("raj", Role::Responder), put("for: 20s"), None).await.expect_err("deployers do");
    let wrong = w.app.noise_draft_put(&ana, put("for: 7s"), None).await.expect_err("it is no draft");
    assert!(wrong.message.contains("is no draft") && wrong.advice.contains("for: 20s"), "{wrong} {}", wrong.advice);

    let done = w.app.noise_draft_put(&ana, put("for: 20s"), Some(version.clone())).await.expect("it is put");
    assert_eq!(done.file, "photos");
    assert!(done.diff.contains("-    for: 10s") && done.diff.contains("+    for: 20s"), "{}", done.diff);
    let after = w.app.rule_file("photos").await.expect("a rule file");
    assert_eq!(
        (after.clone(), done.version.as_str()),
        (before.replace("for: 10s", "for: 20s"), &*rule_file_version(&after))
    );
    let event = w.events().await.into_iter().rfind(|e| e.kind == "rule.changed").expect("it is in the record");
    assert_eq!((event.text.as_str(), &event.data["draft"]["change"]), (done.text.as_str(), &json!("for: 20s")));
    assert_eq!(event.data["before"], before.as_str());

    // Of the version that was shown it is nothing any more.
    let late = w.app.noise_draft_put(&ana, put("for: 40s"), Some(version.clone())).await.expect_err("it was changed");
    assert_eq!(late.code, ErrorCode::Changed, "{late}");

    w.app.rules_undo(&ana, "photos", Some(version)).await.expect_err("that is not the version that holds");
    assert_eq!(w.app.rules_undo(&ana, "photos", None).await.expect("it is put back"), before);
    assert_eq!(w.app.rule_file("photos").await.expect("a rule file"), before);
    assert_eq!(w.app.rules_undo(&ana, "photos", None).await.expect("and that as well"), after);
}

/// Short spikes are what a longer wait leaves out; a higher threshold would have missed the incident that mattered.
#[tokio::test]
async fn a_draft_says_what_it_would_have_done() {
    let w = World::new(53).await;
    let end = w.clock_now().plus_ms(20 * 60_000).millis();
    let series = Labels::from_pairs([("__name__", "errors"), ("job", "photos")]);
    let value = |minute: i64, second: i64| match minute {
        // Two hours with half a minute of errors every ten minutes, then twenty minutes of them.
        0..120 if minute % 10 == 0 && second < 30 => 7.0,
        120.. => 7.0,
        _ => 1.0,
    };
    let samples: Vec<Sample> = (0..140 * 4)
        .map(|n| {
            let at = end - (140 * 4 - 1 - n) * 15_000;
            Sample::new(series.clone(), at, value(n / 4, n % 4 * 15))
        })
        .collect();
    w.clock.advance_ms(20 * 60_000);
    w.app.metrics.append(&samples).expect("samples are kept");
    w.errors(7.0);
    w.pass(20).await;
    let ana = caller("ana", Role::Responder);
    w.app.incident_classify(&ana, 1, "action").await.expect("something was done");

    let ask = || DraftAsk { rule: "HighErrorRate".into(), days: Some(1), ..DraftAsk::default() };
    let drafts = w.app.noise_drafts(&ana, ask()).await.expect("drafts");
    assert_eq!((drafts.file.as_str(), drafts.step_ms), ("photos", 8_640));
    assert_eq!((drafts.now.fires, drafts.now.for_.as_str()), (13, "10s"), "{drafts:?}");
    let draft = |change: &str| drafts.drafts.iter().find(|d| d.change == change).unwrap_or_else(|| panic!("{change}"));
    let longer = draft("for: 50s");
    assert_eq!((longer.fires, longer.missed.as_slice()), (1, &[][..]), "{longer:?}");
    assert_eq!(longer.expr, "errors > 5");
    let higher = draft("expr: errors > 7.5");
    assert_eq!((higher.fires, higher.missed.as_slice(), higher.expr.as_str()), (0, &[1][..], "errors > 7.5"));

    let other = DraftAsk { rule: "Nothing".into(), ..ask() };
    assert!(w.app.noise_drafts(&ana, other).await.expect_err("no rule").message.contains("no rule file"));
    w.app.noise_drafts(&caller("mei", Role::Viewer), ask()).await.expect_err("a query of this size is not for viewers");
}
