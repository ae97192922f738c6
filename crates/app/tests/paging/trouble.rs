//! When something is missing or refuses: no data, mutes, mail that bounces, nobody to page, restarts.

use std::time::Duration;

use serde_json::json;
use tenfold_app::alerts::{NewMute, PostedAlert};
use tenfold_app::incidents::{NewIncident, Resolution};
use tenfold_app::people::{Contact, PersonUpdate};
use tenfold_app::{Caller, Role};
use tokio_util::sync::CancellationToken;

use crate::world::{Answer, World, caller, from};

#[tokio::test]
async fn vanished_data_is_unknown_and_only_data_resolves() {
    let w = World::new(10).await;
    w.tick().await;
    w.errors(9.0);
    w.pass(20).await;
    *w.samples.errors.lock() = Some(vec![]);
    w.pass(600).await;
    assert_eq!(w.count("alert.unknown").await, 1);
    assert_eq!(w.app.alerts_list(None).await.expect("alerts")[0].state, "unknown");
    assert_eq!(w.states().await[&1], "open", "no data is not an end");
    *w.samples.errors.lock() = None;
    w.pass(60).await;
    assert_eq!(w.states().await[&1], "open", "a failed query is not an end");
    assert!(w.app.rules()[0].rules[0].error.as_deref().is_some_and(|e| e.contains("too long")));
    w.errors(1.0);
    w.pass(5).await;
    assert_eq!(w.states().await[&1], "resolved");
}

#[tokio::test]
async fn data_that_stays_away_expires_and_leaves_the_incident_to_people() {
    let w = World::new(11).await;
    w.tick().await;
    w.errors(9.0);
    w.pass(20).await;
    *w.samples.errors.lock() = Some(vec![]);
    w.pass(5).await;
    w.clock.advance_ms(tenfold_app::alerts::UNKNOWN_KEEP_MS);
    w.pass(10).await;
    assert_eq!(w.count("alert.expired").await, 1);
    assert_eq!(w.states().await[&1], "open");
    let resolution = Resolution { text: Some("the host is gone for good".into()), caused_by: Some("external".into()) };
    let incident = w.app.incident_resolve(&caller("raj", Role::Responder), 1, resolution).await.expect("resolved");
    assert_eq!((incident.state.as_str(), incident.caused_by.as_deref()), ("resolved", Some("external")));
}

#[tokio::test]
async fn a_mute_keeps_quiet_and_its_end_lets_it_through() {
    let w = World::new(12).await;
    w.tick().await;
    let raj = caller("raj", Role::Responder);
    let until = w.clock.advance_ms(0).plus_ms(60_000);
    let mute =
        w.app.mute_create(&raj, NewMute::from_text("service=photos", "moving disks", until)).await.expect("a mute");
    w.errors(9.0);
    w.pass(30).await;
    assert_eq!(w.count("alert.fired").await, 1);
    assert_eq!(w.app.alerts_list(None).await.expect("alerts")[0].muted_by, Some(mute.id));
    assert_eq!(w.states().await.len(), 0);
    w.pass(40).await;
    assert_eq!(w.kinds(&["mute.", "incident."]).await, ["mute.created", "mute.expired", "incident.opened"]);
    assert_eq!(w.receivers.taken.lock().len(), 1);
    for (matchers, reason, ms) in
        [("host=\"\"", "x", 1_000), ("a=b", " ", 1_000), ("a=b", "x", 0), ("a=b", "x", i64::MAX / 2)]
    {
        let until = w.clock.advance_ms(0).plus_ms(ms);
        w.app.mute_create(&raj, NewMute::from_text(matchers, reason, until)).await.expect_err(matchers);
    }
}

#[tokio::test]
async fn mail_that_is_put_off_is_tried_again_and_counted_once() {
    let w = World::new(13).await;
    w.tick().await;
    w.receivers.answers.lock().extend([Answer::put_off(None), Answer::put_off(Some(30_000))]);
    w.errors(9.0);
    w.pass(15).await;
    assert_eq!(w.receivers.calls.lock().len(), 1);
    assert_eq!(w.count("page.failed").await, 1);
    w.pass(5).await;
    assert_eq!(w.receivers.calls.lock().len(), 2, "five seconds after the first failure");
    w.pass(25).await;
    assert_eq!(w.receivers.calls.lock().len(), 2, "the receiver asked for thirty seconds");
    w.pass(5).await;
    assert_eq!(w.receivers.subjects_to("ana@example.org").len(), 1);
    assert_eq!((w.count("page.failed").await, w.count("page.sent").await), (1, 1));
    let page = &w.app.pages(Some(1)).await.expect("pages")[0];
    let attempts: Vec<_> =
        page.attempts.iter().map(|a| (a.channel.as_str(), a.state.as_str(), a.error.as_deref())).collect();
    assert_eq!(page.state, "delivered");
    assert_eq!(
        attempts,
        [
            ("mail", "failed", Some("450 later")),
            ("web", "shown", None),
            ("mail", "failed", Some("450 later")),
            ("mail", "accepted", None)
        ]
    );
    let keys: std::collections::BTreeSet<_> = w.receivers.calls.lock().iter().cloned().collect();
    assert_eq!(keys.len(), 1, "the same message every time");
}

#[tokio::test]
async fn when_nobody_of_a_step_can_be_reached_the_next_does_not_wait() {
    let w = World::new(14).await;
    w.tick().await;
    w.receivers.unknown.lock().insert("ana@example.org".to_owned());
    w.errors(9.0);
    w.pass(20).await;
    assert_eq!(w.receivers.subjects_to("raj@example.org").len(), 1);
    assert_eq!(w.app.pages(Some(1)).await.expect("pages")[0].state, "failed");

    let w = World::new(15).await;
    w.tick().await;
    let nothing = PersonUpdate { contact: Some(Contact::default()), ..PersonUpdate::default() };
    w.app.person_put(&Caller::system(), "ana", nothing).await.expect("changed");
    w.errors(9.0);
    w.pass(20).await;
    assert_eq!(w.receivers.subjects_to("raj@example.org").len(), 1);
    let failed = w.events().await.into_iter().find(|e| e.kind == "page.failed").expect("it is said");
    assert!(failed.text.contains("Ana Silva cannot be paged"), "{}", failed.text);
}

#[tokio::test]
async fn a_way_that_hangs_keeps_nobody_from_the_next_one() {
    /// More than may be on the way to one receiver.
    const INCIDENTS: usize = 60;
    const HOOK: &str = "https://hooks.example.org/ana";
    let w = World::new(47).await;
    let ways: PersonUpdate = from(json!({"contact": {
        "email": "ana@example.org", "webhook": HOOK,
        "rules": {"critical": [{"channel": "webhook"}, {"channel": "mail", "after_s": 30}]},
    }}));
    w.app.person_put(&Caller::system(), "ana", ways).await.expect("changed");
    w.receivers.slow.lock().insert(HOOK.to_owned());
    let held = w.receivers.held.lock().await;
    let alerts: Vec<PostedAlert> = (0..INCIDENTS)
        .map(|n| {
            let labels = json!({"alertname": format!("Late{n}"), "service": "photos", "environment": format!("e{n}"),
                "severity": "critical"});
            from(json!({"labels": labels, "endsAt": w.clock_now().plus_ms(86_400_000)}))
        })
        .collect();
    w.app.alerts_receive(&Caller::system(), alerts).await.expect("they are taken");
    w.app.alerts_tick().await.expect("alerts are evaluated");
    let app = w.app.clone();
    let first = tokio::spawn(async move { app.incidents_tick().await });
    w.receivers.holding.notified().await;
    w.clock.advance_ms(30_000);
    let stop = CancellationToken::new();
    let pages = tokio::spawn(tenfold_app::incidents::run(w.app.clone(), stop.clone()));
    let all_mailed = async {
        while w.receivers.subjects_to("ana@example.org").len() < INCIDENTS {
            w.receivers.took.notified().await;
        }
    };
    let in_time = tokio::time::timeout(Duration::from_secs(25), all_mailed).await;
    let mails = w.receivers.subjects_to("ana@example.org").len();
    assert!(in_time.is_ok(), "{mails} of {INCIDENTS} mails went out");
    let hooks = w.receivers.subjects_to(HOOK).len();
    assert!(hooks < INCIDENTS, "the webhook was to hang, and took {hooks}");
    drop(held);
    first.await.expect("it does not panic").expect("pages are worked on");
    stop.cancel();
    pages.await.expect("the loop ends");
}

#[tokio::test]
async fn an_acknowledgement_before_delivery_ends_the_tries() {
    let w = World::new(16).await;
    w.tick().await;
    w.receivers.answers.lock().extend([Answer::put_off(None)]);
    w.errors(9.0);
    w.pass(15).await;
    w.app.incident_acknowledge(&caller("raj", Role::Responder), 1).await.expect("acknowledged");
    w.pass(600).await;
    assert_eq!(w.receivers.calls.lock().len(), 1);
    assert_eq!(w.app.pages(Some(1)).await.expect("pages")[0].state, "superseded");
}

#[tokio::test]
async fn an_escalation_that_runs_out_says_so_and_can_still_be_acknowledged() {
    let w = World::new(17).await;
    w.tick().await;
    w.errors(9.0);
    w.pass(220).await;
    let incident = w.app.incident(1).await.expect("an incident");
    assert_eq!(incident.escalation.expect("a policy").state, "exhausted");
    let said = w.events().await.into_iter().rfind(|e| e.kind == "page.escalated").expect("it is said");
    assert!(said.text.contains("no more steps"), "{}", said.text);
    let done = w.app.incident_acknowledge(&caller("raj", Role::Responder), 1).await.expect("acknowledged");
    assert_eq!(done.incident.escalation.expect("a policy").state, "acknowledged");
}

#[tokio::test]
async fn state_survives_a_restart() {
    let mut w = World::new(18).await;
    w.tick().await;
    w.errors(9.0);
    w.pass(5).await;
    let since = w.app.alerts_list(Some("pending")).await.expect("alerts")[0].active_since;
    w.restart().await;
    w.pass(10).await;
    let firing = &w.app.alerts_list(Some("firing")).await.expect("alerts")[0];
    assert_eq!(firing.active_since, since, "the time it was pending counts over the restart");
    w.restart().await;
    w.pass(60).await;
    assert_eq!(
        w.receivers.taken.lock().iter().map(|s| s.to.clone()).collect::<Vec<_>>(),
        ["ana@example.org", "raj@example.org"]
    );
    assert_eq!((w.count("alert.fired").await, w.count("incident.opened").await), (1, 1));
}

#[tokio::test]
async fn a_runbook_of_each_name_that_the_check_takes_is_shown() {
    for (seed, name) in [(48, "runbook_url"), (49, "runbook"), (50, "playbook")] {
        let w = World::new(seed).await;
        let rules = crate::world::RULES.replace("runbook_url", name);
        w.app.rules_put(&Caller::system(), "photos", &rules).await.expect("it is put");
        w.tick().await;
        w.errors(9.0);
        w.pass(20).await;
        let url = "https://example.org/runbooks/errors";
        let alert = &w.app.alerts_list(None).await.expect("alerts")[0];
        assert_eq!(alert.runbook_url.as_deref(), Some(url), "{name}");
        let text = w.receivers.taken.lock()[0].notice.text.clone();
        assert!(text.contains(&format!("Runbook: {url}")), "{name}: {text}");
    }
}

#[tokio::test]
async fn rules_are_checked_and_removing_them_ends_their_alerts() {
    let w = World::new(19).await;
    w.tick().await;
    w.errors(9.0);
    w.pass(20).await;
    let system = Caller::system();
    let bad = crate::world::RULES.replace("errors > 5", "errors >");
    let fault = w.app.rules_put(&system, "photos", &bad).await.expect_err("refused");
    assert!(fault.message.contains("line 6") && fault.message.contains("`expr`"), "{}", fault.message);
    w.app.rules_put(&system, "photos", &crate::world::RULES.replace("12.5", "x")).await.expect("the same again");
    assert_eq!(w.app.alerts_list(Some("firing")).await.expect("alerts").len(), 1, "a rule that stays keeps its alerts");
    let viewer = caller("mei", Role::Viewer);
    w.app.rules_delete(&viewer, "photos").await.expect_err("a viewer may not");
    w.app.rules_delete(&system, "photos").await.expect("removed");
    assert_eq!(w.count("alert.expired").await, 1);
    assert_eq!(w.states().await[&1], "open", "that a rule is gone does not say that it is over");
    assert!(w.app.rules().is_empty());
}

#[tokio::test]
async fn people_open_note_and_resolve_and_say_the_cause() {
    let w = World::new(20).await;
    let raj = caller("raj", Role::Responder);
    let new: NewIncident = from(json!({"title": "the tape robot is stuck"}));
    let incident = w.app.incident_open(&raj, new).await.expect("opened");
    assert!(incident.escalation.is_none());
    w.app.incident_note(&raj, incident.number, "looking").await.expect("noted");
    w.app.incident_note(&raj, incident.number, "  ").await.expect_err("an empty note");
    w.app.incident_note(&raj, 99, "x").await.expect_err("no such incident");
    let cause = |c: &str| Resolution { text: None, caused_by: Some(c.to_owned()) };
    w.app.incident_resolve(&raj, incident.number, cause("gremlins")).await.expect_err("not a cause");
    w.app.incident_resolve(&raj, incident.number, Resolution::default()).await.expect("resolved");
    w.app.incident_resolve(&raj, incident.number, cause("deploy:12")).await.expect("said later");
    w.app.incident_resolve(&raj, incident.number, cause("deploy:12")).await.expect("said twice");
    assert_eq!(
        w.kinds(&["incident."]).await,
        ["incident.opened", "incident.noted", "incident.resolved", "incident.noted"]
    );
    let viewer = caller("mei", Role::Viewer);
    w.app.incident_acknowledge(&viewer, incident.number).await.expect_err("a viewer may not");
}

#[tokio::test]
async fn a_test_page_goes_the_way_of_a_real_one() {
    let w = World::new(21).await;
    w.app.page_test(&caller("raj", Role::Viewer), "raj").await.expect("oneself");
    w.app.page_test(&caller("mei", Role::Viewer), "raj").await.expect_err("a viewer may not test others");
    w.tick().await;
    assert_eq!(w.receivers.subjects_to("raj@example.org"), ["[test] This is what a page looks like"]);
    assert_eq!(w.count("page.sent").await, 1);
    w.receivers.unknown.lock().insert("mei@example.org".to_owned());
    let test = w.app.page_test(&caller("mei", Role::Viewer), "mei").await.expect("oneself");
    w.pass(60).await;
    let pages = w.app.pages(Some(0)).await.expect("pages");
    assert_eq!(pages.iter().find(|p| p.id == test.id).expect("the page").state, "failed");
    assert_eq!(w.count("page.failed").await, 1);
}

#[tokio::test]
async fn a_rule_file_too_long_for_the_record_can_be_changed() {
    let w = World::new(45).await;
    let (system, long) = (Caller::system(), format!("{}{}", crate::world::RULES, "# why\n".repeat(30_000)));
    for text in [long.clone(), format!("{long}# once more\n")] {
        w.app.rules_put(&system, "long", &text).await.expect("it is put");
    }
    let refused = w.app.rules_undo(&system, "long", None).await.expect_err("there is nothing to put back");
    assert!(refused.to_string().contains("the record has nothing"), "{refused}");
}

#[tokio::test]
async fn a_rule_file_is_put_back_however_much_else_was_changed_since() {
    /// More than the record gives in one answer by default.
    const CHANGES: usize = 520;
    let w = World::new(46).await;
    let system = Caller::system();
    let before = w.app.rule_file("photos").await.expect("a rule file");
    w.app.rules_put(&system, "photos", &format!("{before}# later\n")).await.expect("it is changed");
    for n in 0..CHANGES {
        let text = format!("groups:\n- name: other\n  rules:\n  - record: other:{n}\n    expr: vector({n})\n");
        w.app.rules_put(&system, "other", &text).await.expect("another is changed");
    }
    assert_eq!(w.app.rules_undo(&system, "photos", None).await.expect("it is put back"), before);
}

#[tokio::test]
async fn what_the_provider_says_before_its_order_is_answered_is_the_last_word() {
    for (said, wanted) in [("busy", "due"), ("failed", "failed"), ("completed", "delivered")] {
        let w = World::new(29).await;
        w.tick().await;
        w.receivers.answers.lock().push_back(Answer::Hold);
        let held = w.receivers.held.lock().await;
        w.errors(9.0);
        for _ in 0..3 {
            w.clock.advance_ms(5_000);
            w.app.alerts_tick().await.expect("alerts are evaluated");
        }
        let app = w.app.clone();
        let sending = tokio::spawn(async move { app.incidents_tick().await });
        w.receivers.holding.notified().await;
        let page = w.app.pages(Some(1)).await.expect("pages").remove(0);
        w.app.phone_status(&format!("{}.mail", page.id), said, None).await.expect("it is taken");
        drop(held);
        sending.await.expect("it does not panic").expect("pages are worked on");
        let page = w.app.pages(Some(1)).await.expect("pages").remove(0);
        assert_eq!(page.state, wanted, "{said}: {page:?}");
        let attempt = page.attempts.iter().find(|a| a.channel == "mail").expect("it was tried");
        let word = if said == "completed" { "delivered" } else { "failed" };
        assert_eq!(attempt.state, word, "{said}");
        w.pass(10).await;
        let sent = if said == "busy" { 2 } else { 1 };
        assert_eq!(w.receivers.subjects_to("ana@example.org").len(), sent, "{said}: nobody took the call");
    }
}
