//! Schedules as people use them: versions, overrides, swaps, previews; and what they do to pages.

use serde_json::{Value, json};
use tenfold_app::Role;
use tenfold_app::oncall::{
    Draft, FairnessAsk, NewOverride, NewSwap, PolicyUpdate, PreviewAsk, ScheduleUpdate, SuggestAsk,
};
use tenfold_app::people::PersonUpdate;
use tenfold_app::{Caller, incidents::NewIncident};
use tenfold_oncall::OverrideKind;
use tenfold_types::{ErrorCode, Timestamp};

use crate::world::{World, caller, from};

const HOUR: i64 = 3_600_000;

fn weekly(people: &[&str]) -> Value {
    json!({"timezone": "UTC", "rotation": {"people": people, "start": "2026-11-23T08:00:00", "shift_length": "1w"}})
}

async fn put(w: &World, value: Value, begins: Option<Timestamp>) {
    put_as(w, "photos-primary", value, begins).await;
}

async fn put_as(w: &World, name: &str, value: Value, begins: Option<Timestamp>) {
    let update: ScheduleUpdate = from(value);
    w.app.schedule_put_from(&Caller::system(), name, update, begins).await.expect("a schedule");
}

async fn on_call(w: &World) -> Vec<String> {
    let views = w.app.on_call_now().await.expect("who is on call");
    views[0].person.iter().chain(&views[0].also).map(|p| p.login.clone()).collect()
}

async fn open(w: &World, value: Value) -> i64 {
    let new: NewIncident = from(value);
    let incident = w.app.incident_open(&caller("raj", Role::Admin), new).await.expect("an incident");
    w.tick().await;
    incident.number
}

async fn paged(w: &World, incident: i64) -> Vec<(i64, String, bool)> {
    let pages = w.app.pages(Some(incident)).await.expect("pages");
    pages.into_iter().map(|p| (p.step, p.person, p.copy)).collect()
}

fn row(step: i64, person: &str, copy: bool) -> (i64, String, bool) {
    (step, person.to_owned(), copy)
}

#[tokio::test]
async fn a_change_makes_a_version_and_the_past_stays() {
    let w = World::new(21).await;
    assert_eq!(on_call(&w).await, ["ana"]);
    let made = w.clock_now();
    w.clock.advance_ms(HOUR);
    put(&w, weekly(&["mei"]), None).await;
    assert_eq!(on_call(&w).await, ["mei"]);
    put(&w, weekly(&["raj"]), Some(w.clock_now().plus_ms(HOUR))).await;
    assert_eq!(on_call(&w).await, ["mei"], "the third version begins in an hour");
    let view = w.app.schedule("photos-primary").await.expect("the schedule");
    assert_eq!(
        (view.version, view.begins_at, view.people.as_slice()),
        (3, Some(made.plus_ms(2 * HOUR)), &["raj".to_owned()][..])
    );
    let ask = PreviewAsk { from: Some(made), days: Some(1) };
    let preview = w.app.schedule_preview("photos-primary", ask, None).await.expect("a preview");
    let rows: Vec<_> = preview.spans.iter().map(|s| (s.people[0].as_str(), s.since)).collect();
    assert_eq!(rows, [("ana", made), ("mei", made.plus_ms(HOUR)), ("raj", made.plus_ms(2 * HOUR))]);
    let draft = Draft { plan: from(weekly(&["mei"])), from: None };
    let drafted = w.app.schedule_preview("photos-primary", ask, Some(draft)).await.expect("a preview");
    assert_eq!(drafted.spans.last().expect("some").people, ["mei"]);
    assert_eq!(w.app.schedule_versions("photos-primary").await.expect("versions").len(), 3, "a draft is not saved");
    let past: ScheduleUpdate = from(weekly(&["mei"]));
    let refused =
        w.app.schedule_put_from(&Caller::system(), "photos-primary", past, Some(made)).await.expect_err("past");
    assert!(refused.message.contains("between now and a year"), "{refused}");
}

#[tokio::test]
async fn an_override_that_is_taken_back_still_counts_for_the_past() {
    let w = World::new(22).await;
    let raj = caller("raj", Role::Responder);
    let begun = w.clock_now();
    let made = w.app.take(&raj, "photos-primary", Some(4 * HOUR), None).await.expect("taken");
    assert_eq!(on_call(&w).await, ["raj"]);
    w.clock.advance_ms(HOUR);
    w.app.override_delete(&raj, "photos-primary", made.id).await.expect("taken back");
    assert_eq!(on_call(&w).await, ["ana"]);
    let ask = PreviewAsk { from: Some(begun), days: Some(1) };
    let spans = w.app.schedule_preview("photos-primary", ask, None).await.expect("a preview").spans;
    assert_eq!((spans[0].people.as_slice(), spans[0].until), (&["raj".to_owned()][..], begun.plus_ms(HOUR)));
    let both: NewOverride =
        from(json!({"kind": "add", "person": "mei", "start": w.clock_now(), "end": w.clock_now().plus_ms(HOUR)}));
    w.app.override_create(&raj, "photos-primary", both).await.expect("added");
    assert_eq!(on_call(&w).await, ["ana", "mei"]);
    policy(&w, json!({"steps": [{"delay_ms": 60_000, "targets": [{"kind": "schedule", "name": "photos-primary"}]}]}))
        .await;
    let incident = open(&w, json!({"title": "both are paged"})).await;
    assert_eq!(paged(&w, incident).await, [row(1, "ana", false), row(1, "mei", false)]);
}

#[tokio::test]
async fn a_swap_changes_nothing_before_the_other_accepts() {
    let w = World::new(23).await;
    let (ana, raj, mei) =
        (caller("ana", Role::Responder), caller("raj", Role::Responder), caller("mei", Role::Responder));
    let next_week = w.clock_now().plus_ms(7 * 24 * HOUR + HOUR);
    let ask = |with: &str| NewSwap { with: with.to_owned(), take: Some(next_week), ..NewSwap::default() };
    assert_eq!(
        w.app.swap_ask(&raj, "photos-primary", ask("ana")).await.expect_err("not his").code,
        ErrorCode::Conflict
    );
    let swap = w.app.swap_ask(&ana, "photos-primary", ask("raj")).await.expect("asked");
    assert_eq!(on_call(&w).await, ["ana"]);
    assert_eq!(w.app.swap_accept(&mei, swap.id).await.expect_err("not hers").code, ErrorCode::Forbidden);
    assert_eq!(w.app.swap_accept(&raj, swap.id).await.expect("accepted").state, "accepted");
    assert_eq!(on_call(&w).await, ["raj"]);
    let ask_preview = PreviewAsk { from: Some(next_week), days: Some(1) };
    let spans = w.app.schedule_preview("photos-primary", ask_preview, None).await.expect("a preview").spans;
    assert_eq!(spans[0].people, ["ana"], "the week after is hers for it");
    assert_eq!(w.app.swap_accept(&raj, swap.id).await.expect_err("once").code, ErrorCode::Conflict);

    let give = NewSwap { with: "mei".into(), ..NewSwap::default() };
    let second = w.app.swap_ask(&raj, "photos-primary", give.clone()).await.expect("asked");
    assert_eq!(w.app.swap_decline(&mei, second.id).await.expect("declined").state, "declined");
    let third = w.app.swap_ask(&raj, "photos-primary", give).await.expect("asked");
    w.app.take(&ana, "photos-primary", Some(HOUR), None).await.expect("taken");
    let stale = w.app.swap_accept(&mei, third.id).await.expect_err("ana has it meanwhile");
    assert!(stale.message.contains("does not have the whole shift"), "{stale}");
    assert_eq!(w.app.swap_decline(&raj, third.id).await.expect("withdrawn").state, "withdrawn");
    assert_eq!(w.app.swaps().await.expect("swaps"), []);
    assert_eq!(
        w.kinds(&["swap."]).await,
        ["swap.asked", "swap.accepted", "swap.asked", "swap.declined", "swap.asked", "swap.withdrawn"]
    );
}

async fn policy(w: &World, value: Value) {
    let update: PolicyUpdate = from(value);
    w.app.policy_put(&Caller::system(), "default", update).await.expect("a policy");
}

#[tokio::test]
async fn shadows_get_a_copy_and_the_second_step_goes_to_whoever_stands_behind() {
    let w = World::new(24).await;
    let mut plan = weekly(&["ana", "raj"]);
    plan["shadows"] = json!([{"person": "mei"}]);
    put(&w, plan, None).await;
    policy(
        &w,
        json!({"steps": [
            {"delay_ms": 60_000, "targets": [{"kind": "schedule", "name": "photos-primary"}]},
            {"delay_ms": 60_000, "targets": [{"kind": "schedule", "name": "photos-primary", "offset": 1}]},
        ]}),
    )
    .await;
    let incident = open(&w, json!({"title": "the tape robot is stuck"})).await;
    assert_eq!(paged(&w, incident).await, [row(1, "ana", false), row(1, "mei", true)]);
    let waiting = w.app.incident(incident).await.expect("the incident").escalation.expect("a policy").waiting_for;
    assert_eq!(waiting, ["Ana Silva"], "nobody waits for a shadow");
    w.pass(60).await;
    assert_eq!(paged(&w, incident).await.last(), Some(&row(2, "raj", false)));
}

#[tokio::test]
async fn the_primary_who_cannot_be_reached_is_not_waited_for_though_the_shadow_can_be() {
    let w = World::new(25).await;
    let mut plan = weekly(&["ana", "raj"]);
    plan["shadows"] = json!([{"person": "mei"}]);
    put(&w, plan, None).await;
    policy(
        &w,
        json!({"steps": [
            {"delay_ms": 600_000, "targets": [{"kind": "schedule", "name": "photos-primary"}]},
            {"delay_ms": 60_000, "targets": [{"kind": "person", "name": "raj"}]},
        ]}),
    )
    .await;
    w.receivers.unknown.lock().insert("ana@example.org".into());
    let incident = open(&w, json!({"title": "the tape robot is stuck"})).await;
    w.pass(10).await;
    assert_eq!(paged(&w, incident).await.last(), Some(&row(2, "raj", false)));
}

#[tokio::test]
async fn the_deployer_is_asked_first_and_steps_in_turns_go_round() {
    let w = World::new(26).await;
    let update: PolicyUpdate = from(json!({
        "deployer_first": {"within_ms": 600_000, "delay_ms": 30_000},
        "steps": [{"delay_ms": 60_000, "round_robin": true, "targets": [
            {"kind": "person", "name": "ana"}, {"kind": "person", "name": "raj"}]}],
    }));
    w.app.policy_put(&Caller::system(), "photos", update).await.expect("a policy");
    w.deploy(12, &["deploy.queued", "deploy.canary_started", "deploy.succeeded"], "mei", json!({})).await;
    w.errors(12.5);
    w.pass(15).await;
    assert_eq!(paged(&w, 1).await, [row(1, "mei", false)]);
    w.pass(30).await;
    assert_eq!(paged(&w, 1).await.last(), Some(&row(2, "ana", false)));
    w.errors(0.0);
    w.pass(10).await;
    w.clock.advance_ms(600_000);
    w.errors(12.5);
    w.pass(15).await;
    assert_eq!(paged(&w, 2).await, [row(1, "raj", false)], "long after the deploy, and the next in turn");
}

#[tokio::test]
async fn a_drill_is_paged_and_marked() {
    let w = World::new(27).await;
    policy(&w, json!({"steps": [{"delay_ms": 60_000, "targets": [{"kind": "person", "name": "ana"}]}]})).await;
    let number = open(&w, json!({"title": "the database is gone", "drill": true})).await;
    let incident = w.app.incident(number).await.expect("the incident");
    assert_eq!((incident.drill, incident.title.as_str()), (true, "DRILL: the database is gone"));
    assert_eq!(w.receivers.subjects_to("ana@example.org"), ["[critical] Incident 1: DRILL: the database is gone"]);
    let opened = w.events().await.into_iter().find(|e| e.kind == "incident.opened").expect("an event");
    assert_eq!(opened.data["drill"], true);
    assert_eq!(tenfold_dora::facts_from_events(&w.events().await).incidents, [], "nothing was broken");
}

#[tokio::test]
async fn a_drill_is_scored_without_a_name() {
    let w = World::new(127).await;
    policy(
        &w,
        json!({"steps": [
            {"delay_ms": 60_000, "targets": [{"kind": "person", "name": "ana"}]},
            {"delay_ms": 60_000, "targets": [{"kind": "person", "name": "raj"}]},
        ]}),
    )
    .await;
    w.receivers.unknown.lock().insert("ana@example.org".to_owned());
    let number = open(&w, json!({"title": "the database is gone", "drill": true})).await;
    w.pass(30).await;
    let raj = caller("raj", Role::Responder);
    w.app.incident_acknowledge(&raj, number).await.expect("acknowledged");
    let so_far = w.app.drill_score(number).await.expect("a score");
    assert_eq!((so_far.pages, so_far.delivered, so_far.steps_used, so_far.steps), (2, 1, 2, 2));
    assert_eq!(so_far.acknowledged_ms, Some(30_000));
    assert!(so_far.first_delivery_ms.is_some_and(|ms| (1_000..=10_000).contains(&ms)), "{so_far:?}");
    let mail = &so_far.channels[0];
    assert_eq!((mail.channel.as_str(), mail.tried, mail.reached, mail.trouble), ("mail", 2, 1, 1));
    // That a telephone has it, which its provider says later, is no less than that the provider took it.
    let page = w.app.pages(Some(number)).await.expect("pages").into_iter().find(|page| page.person == "raj");
    let key = format!("{}.mail", page.expect("a page of his").id);
    w.app.phone_status(&key, "delivered", None).await.expect("it is known");
    let score = w.app.drill_score(number).await.expect("a score");
    assert_eq!((score.delivered, score.channels[0].reached), (1, 1), "{score:?}");
    assert_eq!(w.count("drill.scored").await, 0, "it goes on");
    w.app.incident_resolve(&raj, number, from(json!({}))).await.expect("resolved");
    let scored = w.events().await.into_iter().find(|e| e.kind == "drill.scored").expect("an event");
    assert_eq!((scored.data["delivered"].as_i64(), scored.subject.incident), (Some(1), Some(number)));
    let told = format!("{} {}", scored.text, scored.data);
    assert!(!["ana", "raj", "Ana", "Raj"].iter().any(|name| told.contains(name)), "{told}");

    let real = open(&w, json!({"title": "uploads are slow"})).await;
    let refused = w.app.drill_score(real).await.expect_err("no drill");
    assert!(refused.message.contains("no drill"), "{refused}");
    w.app.incident_resolve(&raj, real, from(json!({}))).await.expect("resolved");
    assert_eq!(w.count("drill.scored").await, 1);
}

#[tokio::test]
async fn a_calendar_has_an_address_with_a_secret_that_can_be_renewed() {
    let w = World::new(28).await;
    let ana = caller("ana", Role::Viewer);
    let refused = w.app.calendar_renew(&caller("raj", Role::Admin), "ana").await.expect_err("hers alone");
    assert_eq!(refused.code, ErrorCode::Forbidden);
    let secret =
        |url: &str| url.rsplit('/').next().and_then(|f| f.strip_suffix(".ics")).expect("an address").to_owned();
    let first = secret(&w.app.calendar_renew(&ana, "ana").await.expect("an address").url);
    let ics = w.app.calendar(&first).await.expect("a calendar");
    assert!(ics.contains("SUMMARY:ana on call: photos-primary") && !ics.contains("raj on call"), "{ics}");
    let uids = |text: &str| text.lines().filter(|l| l.starts_with("UID:")).map(str::to_owned).collect::<Vec<_>>();
    let before = uids(&ics);
    w.clock.advance_ms(HOUR);
    assert_eq!(uids(&w.app.calendar(&first).await.expect("a calendar")), before, "the same shift keeps its name");
    let second = secret(&w.app.calendar_renew(&ana, "ana").await.expect("an address").url);
    assert_eq!(w.app.calendar(&first).await.expect_err("ended").code, ErrorCode::NotFound);
    w.app.calendar_end(&ana, "ana").await.expect("ended");
    assert_eq!(w.app.calendar(&second).await.expect_err("ended").code, ErrorCode::NotFound);
    let record = format!("{:?}", w.events().await);
    assert!(!record.contains(&first) && !record.contains(&second), "no secret in the record");
}

#[tokio::test]
async fn a_calendar_tells_who_stands_behind_and_who_learns() {
    let w = World::new(132).await;
    let mut plan = weekly(&["ana", "raj"]);
    plan["shadows"] = json!([{"person": "mei"}]);
    put(&w, plan, None).await;
    let secret =
        |url: &str| url.rsplit('/').next().and_then(|f| f.strip_suffix(".ics")).expect("an address").to_owned();
    let has = |ics: &str, text: &str| ics.lines().any(|l| l == text);
    let mut own = Vec::new();
    for login in ["raj", "mei"] {
        let url = w.app.calendar_renew(&caller(login, Role::Viewer), login).await.expect("an address").url;
        own.push(w.app.calendar(&secret(&url)).await.expect("a calendar"));
    }
    for text in ["SUMMARY:raj on call: photos-primary", "SUMMARY:raj stands behind: photos-primary"] {
        assert!(has(&own[0], text), "{text} in {}", own[0]);
    }
    assert!(has(&own[0], "DESCRIPTION:Behind: ana\\nLearns along: mei"), "{}", own[0]);
    assert!(has(&own[1], "SUMMARY:mei learns along: photos-primary"), "{}", own[1]);
    assert!(has(&own[1], "DESCRIPTION:On call: ana\\nBehind: raj"), "{}", own[1]);
    assert!(!own[1].contains("SUMMARY:mei on call") && !own[1].contains("stands behind"), "{}", own[1]);
    let shared = w.app.schedule_calendar("photos-primary").await.expect("a calendar");
    assert!(has(&shared, "DESCRIPTION:Behind: raj\\nLearns along: mei"), "{shared}");
    assert!(!shared.contains("learns along: ") && !shared.contains("stands behind"), "notes there: {shared}");

    // Read back, a calendar of somebody who learns puts nobody on call.
    let import = from(json!({"ics": own[1], "dry_run": true}));
    let raj = caller("raj", Role::Responder);
    let looked = w.app.calendar_import(&raj, "photos-primary", import).await.expect("read");
    assert!(looked.overrides.is_empty(), "{looked:?}");
    assert!(looked.skipped.iter().all(|s| s.ends_with("is not a shift on call")), "{looked:?}");
    assert!(!looked.skipped.is_empty());
}

#[tokio::test]
async fn a_foreign_calendar_becomes_overrides() {
    let w = World::new(29).await;
    let raj = caller("raj", Role::Responder);
    let stamp = |t: Timestamp| t.to_string()[..19].replace(['-', ':'], "") + "Z";
    let event = |uid: &str, start: i64, text: &str| {
        let (from, to) = (w.clock_now().plus_ms(start * HOUR), w.clock_now().plus_ms((start + 2) * HOUR));
        format!(
            "BEGIN:VEVENT\r\nUID:{uid}\r\nDTSTART:{}\r\nDTEND:{}\r\n{text}\r\nEND:VEVENT\r\n",
            stamp(from),
            stamp(to)
        )
    };
    let ics = format!(
        "BEGIN:VCALENDAR\r\n{}{}{}END:VCALENDAR\r\n",
        event("a", 1, "SUMMARY:Mei covers"),
        event("b", 5, "SUMMARY:Cover\r\nATTENDEE:mailto:RAJ@example.org"),
        event("c", 9, "SUMMARY:dentist"),
    );
    let import = |dry_run| from(json!({"ics": ics, "dry_run": dry_run}));
    let looked = w.app.calendar_import(&raj, "photos-primary", import(true)).await.expect("read");
    assert_eq!((looked.overrides.len(), w.app.schedule("photos-primary").await.expect("it").overrides.len()), (2, 0));
    let made = w.app.calendar_import(&raj, "photos-primary", import(false)).await.expect("imported");
    assert_eq!(made.overrides.iter().map(|o| o.person.as_str()).collect::<Vec<_>>(), ["mei", "raj"]);
    assert!(made.skipped.len() == 1 && made.skipped[0].contains("dentist"), "{:?}", made.skipped);
    w.clock.advance_ms(2 * HOUR);
    assert_eq!(on_call(&w).await, ["mei"]);
}

#[tokio::test]
async fn figures_are_for_the_people_of_the_schedule_and_the_digest_tells_of_the_shift() {
    let w = World::new(30).await;
    let ana = caller("ana", Role::Viewer);
    w.tick().await;
    w.errors(12.5);
    w.pass(20).await;
    w.clock.advance_ms(2 * HOUR);
    let figures = w.app.fairness(&ana, "photos-primary", FairnessAsk { days: Some(7) }).await.expect("hers");
    let rows: Vec<_> = figures.people.iter().map(|l| (l.person.login.as_str(), l.total_ms / HOUR, l.pages)).collect();
    assert_eq!(rows, [("ana", 2, 1), ("raj", 0, 0)], "in the order of names");
    let admin = caller("mei", Role::Admin);
    let refused = w.app.fairness(&admin, "photos-primary", FairnessAsk::default()).await.expect_err("not hers");
    assert_eq!(refused.code, ErrorCode::Forbidden);
    let ask = SuggestAsk { start: w.clock_now().plus_ms(HOUR), end: w.clock_now().plus_ms(2 * HOUR) };
    let suggestion = w.app.suggest(&ana, "photos-primary", ask).await.expect("a suggestion");
    assert_eq!(suggestion.person.expect("somebody").login, "raj", "ana has it then");
    let digest = w.app.handoff_digest(&ana, "photos-primary").await.expect("a digest");
    assert_eq!((digest.fired.len(), digest.pages, digest.open.len()), (1, 1, 1), "{digest:?}");
}

#[tokio::test]
async fn nobody_is_missing_before_there_is_a_schedule() {
    let w = World::new(29).await;
    put_as(&w, "fresh", weekly(&["ana"]), None).await;
    let ask = PreviewAsk { from: Some(w.clock_now().plus_ms(-24 * HOUR)), days: Some(3) };
    let preview = w.app.schedule_preview("fresh", ask, None).await.expect("a preview");
    assert_eq!((preview.gap_ms, preview.spans[0].since), (0, w.clock_now()));
}

#[tokio::test]
async fn a_plan_put_now_does_not_wait_for_the_same_plan_of_next_week() {
    let w = World::new(31).await;
    put_as(&w, "photos-primary", weekly(&["raj"]), None).await;
    put_as(&w, "photos-primary", weekly(&["mei"]), Some(w.clock_now().plus_ms(7 * 24 * HOUR))).await;
    assert_eq!(on_call(&w).await, ["raj"]);
    put_as(&w, "photos-primary", weekly(&["mei"]), None).await;
    assert_eq!(on_call(&w).await, ["mei"]);
    let before = w.app.schedule_versions("photos-primary").await.expect("versions").len();
    put_as(&w, "photos-primary", weekly(&["mei"]), None).await;
    let after = w.app.schedule_versions("photos-primary").await.expect("versions").len();
    assert_eq!(before, after, "the same plan again is no new version");
}

#[tokio::test]
async fn whose_rest_a_change_makes_too_short_is_said_or_it_is_refused() {
    let w = World::new(128).await;
    let raj = caller("raj", Role::Responder);
    let now = w.clock_now();
    let plan = |enforce: bool| -> ScheduleUpdate {
        let mut plan = weekly(&["ana", "raj"]);
        plan["min_rest_hours"] = 11.into();
        if enforce {
            plan["enforce_rest"] = true.into();
        }
        from(plan)
    };
    w.app.schedule_put(&Caller::system(), "photos-primary", plan(false)).await.expect("a schedule");
    let mei =
        |from_h: i64, to_h: i64| NewOverride::cover("mei", None, now.plus_ms(from_h * HOUR), now.plus_ms(to_h * HOUR));
    let first = w.app.override_create(&raj, "photos-primary", mei(2, 4)).await.expect("a cover");
    // ana, who has the week, rests for two hours only in the middle of it.
    let rests: Vec<_> = first.short_rests.iter().map(|r| (r.person.as_str(), r.to.since_ms(r.from))).collect();
    assert_eq!(rests, [("ana", 2 * HOUR)]);
    let second = w.app.override_create(&raj, "photos-primary", mei(7, 9)).await.expect("a cover");
    assert!(second.short_rests.iter().any(|r| r.person == "mei" && r.to.since_ms(r.from) == 3 * HOUR), "{second:?}");
    assert!(!second.short_rests.iter().any(|r| r.from == first.start), "what was short before is not said again");

    w.app.schedule_put(&Caller::system(), "photos-primary", plan(true)).await.expect("a schedule");
    let before = w.count("override.created").await;
    let refused = w.app.override_create(&raj, "photos-primary", mei(12, 14)).await.expect_err("too little rest");
    assert!(refused.message.contains("photos-primary wants 11 h"), "{refused}");
    assert_eq!(w.count("override.created").await, before, "what is refused leaves nothing");
    // ana has been on call for an hour.
    w.clock.advance_ms(HOUR);
    let taken = w.app.take(&raj, "photos-primary", Some(HOUR), None).await.expect("whoever takes over now may");
    assert!(!taken.short_rests.is_empty(), "{taken:?}");
    let none: ScheduleUpdate = from({
        let mut plan = weekly(&["ana"]);
        plan["enforce_rest"] = true.into();
        plan
    });
    let refused = w.app.schedule_put(&Caller::system(), "photos-primary", none).await.expect_err("no hours");
    assert!(refused.message.contains("enforce_rest needs min_rest_hours"), "{refused}");
}

#[tokio::test]
async fn shifts_of_other_schedules_and_pages_in_the_night_count_as_duty() {
    let w = World::new(129).await;
    let (ana, raj) = (caller("ana", Role::Responder), caller("raj", Role::Responder));
    let now = w.clock_now();
    let mut own = weekly(&["ana", "raj"]);
    own["min_rest_hours"] = 11.into();
    put_as(&w, "photos-primary", own, None).await;
    put_as(&w, "db", weekly(&["raj"]), None).await;
    let mei =
        |from_h: i64, to_h: i64| NewOverride::cover("mei", None, now.plus_ms(from_h * HOUR), now.plus_ms(to_h * HOUR));
    w.app.override_create(&raj, "db", mei(2, 4)).await.expect("a cover");
    let made = w.app.override_create(&raj, "photos-primary", mei(7, 9)).await.expect("a cover");
    let rest = made.short_rests.iter().find(|r| r.person == "mei").expect("mei rests too short");
    assert_eq!((rest.after.as_deref(), rest.to.since_ms(rest.from)), (Some("db"), 3 * HOUR));
    let ask = PreviewAsk { from: Some(now), days: Some(1) };
    let preview = w.app.schedule_preview("photos-primary", ask, None).await.expect("a preview");
    assert!(preview.short_rests.iter().any(|r| r.after.as_deref() == Some("db")), "{:?}", preview.short_rests);
    // raj has the other schedule the whole week.
    let ask = SuggestAsk { start: now.plus_ms(30 * HOUR), end: now.plus_ms(31 * HOUR) };
    let suggestion = w.app.suggest(&ana, "photos-primary", ask).await.expect("a suggestion");
    assert_eq!(suggestion.person, None, "{}", suggestion.reason);
}

#[tokio::test]
async fn who_is_gone_is_not_suggested_though_they_have_had_least() {
    let w = World::new(132).await;
    put_as(&w, "web", weekly(&["ana", "mei", "raj"]), None).await;
    let ana = caller("ana", Role::Responder);
    let ask = SuggestAsk { start: w.clock_now().plus_ms(HOUR), end: w.clock_now().plus_ms(2 * HOUR) };
    let suggested = async || {
        let suggestion = w.app.suggest(&ana, "web", ask).await.expect("a suggestion");
        suggestion.person.map(|person| person.login)
    };
    assert_eq!(suggested().await.as_deref(), Some("mei"), "ana has it then, and nobody else has had anything");
    let gone = PersonUpdate { disabled: Some(true), ..PersonUpdate::default() };
    w.app.person_put(&Caller::system(), "mei", gone).await.expect("mei is gone");
    assert_eq!(suggested().await.as_deref(), Some("raj"));
}

#[tokio::test]
async fn who_is_gone_is_replaced_and_taken_off_and_puts_nobody_else_on() {
    let w = World::new(139).await;
    let gone = PersonUpdate { disabled: Some(true), ..PersonUpdate::default() };
    w.app.person_put(&Caller::system(), "ana", gone).await.expect("ana is gone");
    let (raj, now) = (caller("raj", Role::Responder), w.clock_now());
    let make = async |new: NewOverride| w.app.override_create(&raj, "photos-primary", new).await;
    let until = now.plus_ms(HOUR);
    let off = NewOverride { kind: OverrideKind::Remove, ..NewOverride::cover("ana", None, now, until) };
    let made = make(off).await.expect("ana is taken off");
    assert!(on_call(&w).await.is_empty());
    w.app.override_delete(&raj, "photos-primary", made.id).await.expect("taken back");
    make(NewOverride::cover("mei", Some("ana"), now, until)).await.expect("mei instead of ana");
    assert_eq!(on_call(&w).await, ["mei"]);
    for refused in [NewOverride::cover("ana", None, now, until), NewOverride::cover("mei", Some("nobody"), now, until)]
    {
        let fault = make(refused).await.expect_err("refused");
        assert_eq!(fault.code, ErrorCode::NotFound, "{fault}");
    }
}

#[tokio::test]
async fn a_part_of_a_shift_is_swapped_for_a_part_of_another() {
    let w = World::new(130).await;
    let (ana, raj) = (caller("ana", Role::Responder), caller("raj", Role::Responder));
    let h = |hours: i64| w.clock_now().plus_ms(hours * HOUR);
    let week = 7 * 24;
    let ask = NewSwap {
        with: "raj".into(),
        give: Some(h(2)),
        give_until: Some(h(5)),
        take: Some(h(week + 2)),
        take_until: Some(h(week + 3)),
    };
    let swap = w.app.swap_ask(&ana, "photos-primary", ask.clone()).await.expect("asked");
    assert_eq!((swap.give_start, swap.give_end), (h(2), h(5)));
    assert_eq!((swap.take_start, swap.take_end), (Some(h(week + 2)), Some(h(week + 3))));
    w.app.swap_accept(&raj, swap.id).await.expect("accepted");
    let days = PreviewAsk { from: Some(h(0)), days: Some(14) };
    let spans = w.app.schedule_preview("photos-primary", days, None).await.expect("a preview").spans;
    let at = |when: Timestamp| {
        let span = spans.iter().find(|s| s.since <= when && when < s.until).expect("a span");
        span.people.join(" ")
    };
    let hours = [1, 2, 4, 5, week + 1, week + 2, week + 3].map(|hours| at(h(hours)));
    assert_eq!(hours, ["ana", "raj", "raj", "ana", "raj", "ana", "raj"]);
    // What is not wholly theirs, has no length or no beginning is refused.
    for (refused, code) in [
        (NewSwap { give_until: Some(h(30 * 24)), ..ask.clone() }, ErrorCode::Conflict),
        (NewSwap { give: Some(h(7)), give_until: Some(h(7)), ..ask.clone() }, ErrorCode::Invalid),
        (NewSwap { take: None, ..ask.clone() }, ErrorCode::Invalid),
    ] {
        let fault = w.app.swap_ask(&ana, "photos-primary", refused.clone()).await.expect_err("refused");
        assert_eq!(fault.code, code, "{refused:?}: {fault}");
    }
}

#[tokio::test]
async fn a_schedule_has_an_address_that_ends_with_it() {
    let w = World::new(131).await;
    let (viewer, raj) = (caller("ana", Role::Viewer), caller("raj", Role::Responder));
    let refused = w.app.schedule_calendar_renew(&viewer, "photos-primary").await.expect_err("not a viewer's");
    assert_eq!(refused.code, ErrorCode::Forbidden);
    assert_eq!(w.app.schedule_calendar_renew(&raj, "none").await.expect_err("unknown").code, ErrorCode::NotFound);
    let secret =
        |url: &str| url.rsplit('/').next().and_then(|f| f.strip_suffix(".ics")).expect("an address").to_owned();
    let first = secret(&w.app.schedule_calendar_renew(&raj, "photos-primary").await.expect("an address").url);
    let ics = w.app.calendar(&first).await.expect("a calendar");
    assert!(ics.contains("ana on call: photos-primary") && ics.contains("raj on call: photos-primary"), "{ics}");
    // A person's address and a schedule's do not meet.
    let own = secret(&w.app.calendar_renew(&viewer, "ana").await.expect("an address").url);
    let second = secret(&w.app.schedule_calendar_renew(&raj, "photos-primary").await.expect("an address").url);
    assert_eq!(w.app.calendar(&first).await.expect_err("ended").code, ErrorCode::NotFound);
    assert!(w.app.calendar(&own).await.is_ok());
    w.app.schedule_calendar_end(&raj, "photos-primary").await.expect("ended");
    assert_eq!(w.app.calendar(&second).await.expect_err("ended").code, ErrorCode::NotFound);

    put_as(&w, "fresh", weekly(&["mei"]), None).await;
    let fresh = secret(&w.app.schedule_calendar_renew(&raj, "fresh").await.expect("an address").url);
    w.app.schedule_delete(&Caller::system(), "fresh").await.expect("deleted");
    put_as(&w, "fresh", weekly(&["ana"]), None).await;
    assert_eq!(w.app.calendar(&fresh).await.expect_err("the old one's").code, ErrorCode::NotFound);
    let record = format!("{:?}", w.events().await);
    assert!([first, second, own, fresh].iter().all(|secret| !record.contains(secret)), "no secret in the record");
}
