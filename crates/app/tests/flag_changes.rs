//! Scheduled changes and change requests through their use cases, with a clock that the test moves.

#![expect(clippy::unwrap_used, reason = "a test that fails should panic where it fails")]

mod common;

use std::sync::Arc;

use common::World;
use serde_json::{Value, json};
use tenfold_app::flags::{
    FlagAction, FlagUpdate, FlagView, LATE_MS_DEFAULT, NewSchedule, REQUEST_MS, RampMove, RampStart,
};
use tenfold_app::people::{EnvironmentSettings, NewToken, PersonUpdate, TokenKind};
use tenfold_app::record::EventQuery;
use tenfold_app::{App, Caller, Grant, Role, Settings};
use tenfold_flags::{RampStep, Share};
use tenfold_store::Db;
use tenfold_testkit::{TestClock, TestEntropy};
use tenfold_types::{Actor, ErrorCode, Event, Fault, Severity, Source, Timestamp};

const FLAG: &str = "new_uploader";
const PLACE: &str = "production";
const HOUR_MS: i64 = 3_600_000;

fn person(login: &str, role: Role) -> Caller {
    Caller {
        actor: Actor::person(login),
        name: login.into(),
        source: Source::Web,
        grants: vec![Grant::everywhere(role)],
    }
}

fn mei() -> Caller {
    person("mei", Role::Deployer)
}
fn raj() -> Caller {
    person("raj", Role::Deployer)
}
fn ana() -> Caller {
    person("ana", Role::Admin)
}

async fn put(app: &App, who: &Caller, body: Value) -> Result<FlagView, Fault> {
    app.flag_put(who, FLAG, serde_json::from_value::<FlagUpdate>(body).expect("an update")).await
}

async fn told(app: &App, kind: &str) -> Vec<Event> {
    let kinds = vec!["flag.".into(), "incident.".into(), "environment.".into()];
    let query = EventQuery { kinds, ascending: true, limit: 500, ..EventQuery::default() };
    let all = app.events(query).await.expect("the record is read");
    all.into_iter().filter(|e| e.kind.starts_with(kind)).collect()
}

fn on(app: &App) -> bool {
    app.flag(FLAG).unwrap().environments[PLACE].enabled
}

fn new(app: &App, in_ms: i64, action: FlagAction) -> NewSchedule {
    NewSchedule { environment: PLACE.into(), at: app.now().plus_ms(in_ms), action, late_ms_max: LATE_MS_DEFAULT }
}

const ON: FlagAction = FlagAction::Switch { enabled: true, reason: None };
const OFF: FlagAction = FlagAction::Switch { enabled: false, reason: None };

/// mei and raj have accounts, and the flag is there.
async fn people(app: &App) {
    for (login, role) in [("mei", Role::Deployer), ("raj", Role::Deployer)] {
        let update = PersonUpdate { role: Some(role), ..PersonUpdate::default() };
        app.person_put(&ana(), login, update).await.expect("a person");
    }
    put(app, &mei(), json!({"environments": {"production": {"enabled": false}}})).await.expect("a flag");
}

async fn world() -> World {
    let world = common::world().await;
    people(&world.app).await;
    world
}

async fn four_eyes(app: &App, wanted: bool) {
    app.environment_put(&ana(), PLACE, EnvironmentSettings { four_eyes: wanted }).await.expect("the setting is kept");
}

#[tokio::test]
async fn a_scheduled_change_is_done_once_at_its_instant() {
    let world = world().await;
    let app = &world.app;
    let made = app.flag_schedule(&mei(), FLAG, new(app, HOUR_MS, ON)).await.unwrap().schedule.unwrap();
    assert_eq!((made.number, made.text.as_str()), (1, "switch new_uploader on in production"));
    world.clock.advance_ms(HOUR_MS - 1);
    app.flag_schedules_run().await.unwrap();
    assert!(!on(app));
    world.clock.advance_ms(1);
    app.flag_schedules_run().await.unwrap();
    assert!(on(app));
    app.flag_switch(&raj(), FLAG, PLACE, false).await.unwrap();
    app.flag_schedules_run().await.unwrap();
    assert!(!on(app), "once");
    let ran = told(app, "flag.schedule_ran").await;
    assert_eq!(ran.len(), 1);
    assert_eq!(ran[0].on_behalf_of, Some(Actor::person("mei")));
    let switched = &told(app, "flag.switched").await[0];
    assert_eq!((switched.actor.id.as_str(), switched.causation), ("mei", Some(ran[0].id)));
    assert_eq!(app.flag_schedules(Some(FLAG), None).await.unwrap().items[0].state, "done");
}

#[tokio::test]
async fn of_two_servers_one_does_it() {
    let dir = tempfile::tempdir().unwrap();
    let clock = TestClock::default();
    let start = async |seed: u64| {
        let own = tempfile::tempdir().unwrap();
        let db = Db::open_sqlite(dir.path().join("state.db"), tenfold_testkit::sealer()).await.unwrap();
        let settings = Settings { data_dir: own.path().to_owned(), ..Settings::default() };
        let metrics = tenfold_app::metrics::State::open(&settings).unwrap();
        let entropy = Arc::new(TestEntropy::seeded(seed));
        let app = App::new(db, Arc::new(clock.clone()), entropy, settings, metrics);
        tenfold_app::load(&app).await.unwrap();
        (app, own)
    };
    let (first, _own) = start(1).await;
    people(&first).await;
    for n in 1..=5 {
        let percent = Share::percent(n * 10);
        let at = new(&first, HOUR_MS, FlagAction::Rollout { percent });
        first.flag_schedule(&mei(), FLAG, at).await.unwrap();
    }
    let (second, _other) = start(2).await;
    clock.advance_ms(HOUR_MS);
    let (a, b) = tokio::join!(first.flag_schedules_run(), second.flag_schedules_run());
    a.and(b).unwrap();
    assert_eq!(told(&first, "flag.schedule_ran").await.len(), 5);
    assert_eq!(told(&second, "flag.changed").await.len(), 5);
}

#[tokio::test]
async fn what_is_too_late_is_not_done_and_said_so() {
    let world = world().await;
    let app = &world.app;
    app.flag_schedule(&mei(), FLAG, new(app, HOUR_MS, ON)).await.unwrap();
    app.flag_schedule(&mei(), FLAG, NewSchedule { late_ms_max: 3 * HOUR_MS, ..new(app, HOUR_MS, ON) }).await.unwrap();
    world.clock.advance_ms(3 * HOUR_MS);
    app.flag_schedules_run().await.unwrap();
    assert!(on(app), "the second one may be late");
    let missed = told(app, "flag.schedule_missed").await;
    assert_eq!((missed.len(), missed[0].severity), (1, Severity::Warning));
    assert!(missed[0].text.contains("2 h late"), "{}", missed[0].text);
}

#[tokio::test]
async fn a_schedule_is_cancelled_fails_and_is_refused() {
    let world = world().await;
    let app = &world.app;
    app.flag_schedule(&mei(), FLAG, new(app, HOUR_MS, ON)).await.unwrap();
    let responder = person("eve", Role::Responder);
    assert_eq!(app.flag_schedule_cancel(&responder, 1).await.unwrap_err().code, ErrorCode::Forbidden);
    app.flag_schedule_cancel(&raj(), 1).await.unwrap();
    assert_eq!(app.flag_schedule_cancel(&raj(), 1).await.unwrap_err().code, ErrorCode::Conflict);
    assert_eq!(app.flag_schedule(&responder, FLAG, new(app, 1, ON)).await.unwrap_err().code, ErrorCode::Forbidden);
    app.flag_schedule(&responder, FLAG, new(app, HOUR_MS, OFF)).await.unwrap();
    assert_eq!(app.flag_schedule(&mei(), FLAG, new(app, 0, ON)).await.unwrap_err().code, ErrorCode::Invalid);
    assert_eq!(app.flag_schedule(&mei(), "ghost", new(app, 1, ON)).await.unwrap_err().code, ErrorCode::NotFound);
    let wrong = FlagAction::Ramp(RampStart { plan: Some("ghost".into()), ..RampStart::default() });
    assert_eq!(app.flag_schedule(&mei(), FLAG, new(app, 1, wrong)).await.unwrap_err().code, ErrorCode::NotFound);
    // Who has left changes nothing any more.
    app.flag_schedule(&mei(), FLAG, new(app, HOUR_MS, ON)).await.unwrap();
    let gone = PersonUpdate { disabled: Some(true), ..PersonUpdate::default() };
    app.person_put(&ana(), "mei", gone).await.unwrap();
    world.clock.advance_ms(HOUR_MS);
    app.flag_schedules_run().await.unwrap();
    assert!(!on(app));
    let failed = &told(app, "flag.schedule_failed").await;
    assert!(failed.iter().any(|e| e.text.contains("mei")), "{failed:?}");
}

fn edit(body: Value) -> FlagAction {
    FlagAction::Edit { update: Box::new(serde_json::from_value(body).expect("an update")) }
}

fn for_pros() -> FlagAction {
    let constraint = json!({"contextName": "plan", "operator": "IN", "values": ["pro"]});
    let strategy = json!({"name": "default", "constraints": [constraint]});
    edit(json!({"environments": {"production": {"strategies": [strategy]}}}))
}

/// Somebody who edits an older state of the flag is told, as when saving at once.
#[tokio::test]
async fn a_plan_is_not_made_over_somebody_else_s_change() {
    let world = world().await;
    let app = &world.app;
    let seen = app.flag(FLAG).unwrap().version;
    app.flag_put(&raj(), FLAG, FlagUpdate { description: Some("raj was here".into()), ..FlagUpdate::default() })
        .await
        .unwrap();
    let plan = async |version| app.flag_schedule_over(&mei(), FLAG, new(app, HOUR_MS, ON), Some(version)).await;
    let refused = plan(seen).await.unwrap_err();
    assert_eq!(refused.code, ErrorCode::Changed);
    assert!(refused.message.contains("raj"), "{refused}");
    plan(seen + 1).await.unwrap();
}

/// What a robot planned is done with the rights that its token has at the instant: a revoked one changes nothing.
#[tokio::test]
async fn a_robot_s_plan_ends_with_its_token() {
    let world = world().await;
    let app = &world.app;
    let token = |name: &str| NewToken {
        name: name.into(),
        kind: TokenKind::Robot,
        role: Some(Role::Deployer),
        service: None,
        environment: Some("production".into()),
        projects: Vec::new(),
        expires_at: None,
    };
    let kept = app.token_create(&ana(), token("kept")).await.unwrap().token;
    let gone = app.token_create(&ana(), token("gone")).await.unwrap().token;
    app.flag_schedule(&gone.caller(), FLAG, new(app, HOUR_MS, ON)).await.unwrap();
    app.token_revoke(&ana(), &gone.id).await.unwrap();
    world.clock.advance_ms(HOUR_MS);
    app.flag_schedules_run().await.unwrap();
    let failed = &app.flag_schedules(Some(FLAG), None).await.unwrap().items[0];
    assert_eq!((failed.state.as_str(), failed.remark.contains("`gone`")), ("failed", true), "{}", failed.remark);
    app.flag_schedule(&kept.caller(), FLAG, new(app, HOUR_MS, ON)).await.unwrap();
    world.clock.advance_ms(HOUR_MS);
    app.flag_schedules_run().await.unwrap();
    assert_eq!(app.flag_schedules(Some(FLAG), None).await.unwrap().items[0].state, "done");
}

#[tokio::test]
async fn an_edit_is_scheduled_and_not_done_over_somebody_else_s() {
    let world = world().await;
    let app = &world.app;
    let made = app.flag_schedule(&mei(), FLAG, new(app, HOUR_MS, for_pros())).await.unwrap().schedule.unwrap();
    assert_eq!(made.text, "change new_uploader in production");
    app.flag_schedule(&raj(), FLAG, new(app, 2 * HOUR_MS, for_pros())).await.unwrap();
    // A switch meanwhile changes nothing of what the edit replaces.
    app.flag_switch(&raj(), FLAG, PLACE, true).await.unwrap();
    world.clock.advance_ms(HOUR_MS);
    app.flag_schedules_run().await.unwrap();
    let state = app.flag(FLAG).unwrap().environments[PLACE].clone();
    assert_eq!((state.enabled, state.strategies[0].constraints[0].context_name.as_str()), (true, "plan"));
    // The second one was to replace what is no longer there.
    world.clock.advance_ms(HOUR_MS);
    app.flag_schedules_run().await.unwrap();
    let failed = told(app, "flag.schedule_failed").await;
    assert!(failed[0].text.contains("what it replaces was changed since"), "{failed:?}");

    let refusal = async |action| app.flag_schedule(&mei(), FLAG, new(app, HOUR_MS, action)).await.unwrap_err().message;
    assert!(refusal(for_pros()).await.contains("is so already"));
    let wrong = json!({"environments": {"production": {"strategies": [{"name": "default", "segments": [9]}]}}});
    assert!(refusal(edit(wrong)).await.contains("segment 9 does not exist"));
    for more in [json!({"owner": "mei"}), json!({"environments": {"staging": {"enabled": true}}})] {
        assert!(refusal(edit(more)).await.contains("holds `environments.production` and nothing else"));
    }
    four_eyes(app, true).await;
    let all = edit(json!({"environments": {"production": {"strategies": []}}}));
    let asked = app.flag_schedule(&mei(), FLAG, new(app, HOUR_MS, all)).await.unwrap();
    app.flag_request_approve(&raj(), asked.requested.unwrap()).await.unwrap();
    world.clock.advance_ms(HOUR_MS);
    app.flag_schedules_run().await.unwrap();
    assert_eq!(app.flag(FLAG).unwrap().environments[PLACE].strategies, []);
}

#[tokio::test]
async fn where_four_eyes_are_wanted_a_change_waits_for_another_person() {
    let world = world().await;
    let app = &world.app;
    four_eyes(app, true).await;
    let view = app.flag_switch(&mei(), FLAG, PLACE, true).await.unwrap();
    assert_eq!((view.requested, on(app)), (Some(1), false));
    let again = app.flag_switch(&mei(), FLAG, PLACE, true).await.unwrap();
    assert_eq!(again.requested, Some(1), "the same wish is the same request");
    let own = app.flag_request_approve(&mei(), 1).await.unwrap_err();
    assert_eq!(own.code, ErrorCode::Forbidden);
    let robot = Caller { actor: Actor::robot("ci"), ..raj() };
    assert_eq!(app.flag_request_approve(&robot, 1).await.unwrap_err().code, ErrorCode::Forbidden);
    let viewer = person("eve", Role::Responder);
    assert_eq!(app.flag_request_approve(&viewer, 1).await.unwrap_err().code, ErrorCode::Forbidden);
    let done = app.flag_request_approve(&raj(), 1).await.unwrap();
    assert_eq!((done.state.as_str(), done.decided_by.as_str(), on(app)), ("approved", "raj", true));
    assert_eq!(app.flag_request_approve(&raj(), 1).await.unwrap_err().code, ErrorCode::Conflict);
    let switched = &told(app, "flag.switched").await[0];
    let approved = &told(app, "flag.change_approved").await[0];
    assert_eq!((switched.actor.id.as_str(), switched.causation), ("mei", Some(approved.id)));
    assert_eq!(approved.actor.id, "raj");
    // Taking away waits for nobody.
    let lower = app.flag_rollout(&mei(), FLAG, PLACE, Share::percent(10)).await.unwrap();
    assert_eq!(lower.requested, None);
    let off = app.flag_switch(&mei(), FLAG, PLACE, false).await.unwrap();
    assert_eq!((off.requested, on(app)), (None, false));
    // Elsewhere nobody has to look.
    let elsewhere = app.flag_switch(&mei(), FLAG, "development", true).await.unwrap();
    assert_eq!(elsewhere.requested, None);
    assert!(app.record_verify().await.unwrap().ok);
}

#[tokio::test]
async fn no_way_leads_around_the_second_person() {
    let world = world().await;
    let app = &world.app;
    four_eyes(app, true).await;
    let steps = vec![RampStep { percent: Share::percent(100), hold_ms: 0, guard: None }];
    let ramp = app.flag_ramp_start(&mei(), FLAG, PLACE, RampStart::of(steps)).await.unwrap();
    assert!(ramp.requested.is_some());
    let edit = json!({"description": "x", "environments": {
        "production": {"enabled": true, "rollout_percent": 50}, "development": {"enabled": true},
    }});
    let edited = put(app, &mei(), edit).await.unwrap();
    assert!(edited.requested.is_some());
    assert_eq!(edited.description, "x", "what concerns no such environment is done at once");
    assert!(edited.environments["development"].enabled && !edited.environments["production"].enabled);
    let scheduled = app.flag_schedule(&mei(), FLAG, new(app, HOUR_MS, ON)).await.unwrap();
    assert!(scheduled.schedule.is_none() && scheduled.requested.is_some());
    let update = json!({"environments": {"production": {"enabled": true}}});
    let fresh = app.flag_put(&mei(), "other", serde_json::from_value(update).unwrap()).await.unwrap();
    assert!(fresh.requested.is_some() && !fresh.environments["production"].enabled);
    assert!(!on(app));
    // Approved, the edit applies; what was based on the flag before it does not any more.
    let edit = edited.requested.unwrap();
    app.flag_request_approve(&raj(), edit).await.unwrap();
    assert!(on(app));
    let stale = app.flag_request_approve(&raj(), ramp.requested.unwrap()).await.unwrap_err();
    assert_eq!(stale.code, ErrorCode::Conflict);
    let open = app.flag_requests(Some(FLAG), Some("pending")).await.unwrap().items;
    assert!(open.iter().all(|r| r.outdated), "{open:?}");
    // Parents, segments and archiving reach into it as well.
    put(app, &mei(), json!({"dependencies": [{"feature": "other"}]})).await.unwrap();
    assert!(app.flag(FLAG).unwrap().dependencies.is_empty());
    assert_eq!(app.flag_archive(&mei(), FLAG).await.unwrap_err().code, ErrorCode::Conflict);
}

/// A guarded ramp 5, 50, 100 %, held for an hour each.
fn guarded() -> RampStart {
    serde_json::from_value(json!({
        "steps": [{"percent": 5, "hold_ms": HOUR_MS}, {"percent": 50, "hold_ms": HOUR_MS}, {"percent": 100}],
        "guard": {"expr": "up", "condition": {"threshold": {"op": ">", "value": 0.1}}, "readings_min": 1},
    }))
    .unwrap()
}

#[tokio::test]
async fn a_ramp_that_was_approved_begins_again_without_another_request() {
    let world = world().await;
    let app = &world.app;
    four_eyes(app, true).await;
    let start = async |who: &Caller, start: RampStart| app.flag_ramp_start(who, FLAG, PLACE, start).await.unwrap();
    let number = start(&mei(), guarded()).await.requested.unwrap();
    assert_eq!(start(&mei(), guarded()).await.requested, Some(number), "the same wish is the same request");
    app.flag_request_approve(&raj(), number).await.unwrap();
    let percent = || app.flag(FLAG).unwrap().environments[PLACE].rollout_percent;
    assert_eq!(percent(), Some(Share::percent(5)));
    assert_eq!(start(&mei(), guarded()).await.requested, None, "it runs already, with the second person's consent");
    let skip = app.flag_ramp_move(&mei(), FLAG, PLACE, RampMove::Skip, None).await.unwrap();
    app.flag_request_approve(&raj(), skip.requested.unwrap()).await.unwrap();
    assert_eq!(percent(), Some(Share::percent(50)));
    let again = start(&mei(), guarded()).await;
    assert_eq!((again.requested, percent()), (None, Some(Share::percent(5))), "down to the first step");
    // Another ramp, or one that is over, is another wish.
    let other = RampStart { guard: None, ..guarded() };
    assert!(start(&mei(), other).await.requested.is_some());
    app.flag_switch(&mei(), FLAG, PLACE, false).await.unwrap();
    assert!(start(&mei(), guarded()).await.requested.is_some());
    assert!(!on(app));
}

#[tokio::test]
async fn a_wish_on_a_flag_that_has_changed_is_renewed_and_not_doubled() {
    let world = world().await;
    let app = &world.app;
    four_eyes(app, true).await;
    let ask = async || app.flag_ramp_start(&mei(), FLAG, PLACE, guarded()).await.unwrap().requested.unwrap();
    let number = ask().await;
    app.flag_request_force(&ana(), app.flag_switch(&raj(), FLAG, PLACE, true).await.unwrap().requested.unwrap(), "now")
        .await
        .unwrap();
    assert!(app.flag_requests(None, Some("pending")).await.unwrap().items[0].outdated);
    assert_eq!(ask().await, number);
    let open = app.flag_requests(None, Some("pending")).await.unwrap().items;
    assert!(open.len() == 1 && !open[0].outdated, "{open:?}");
    assert!(told(app, "flag.change_requested").await.last().unwrap().text.contains("still wants to ramp"));
    app.flag_request_approve(&raj(), number).await.unwrap();
    assert!(app.flag(FLAG).unwrap().environments[PLACE].ramp.is_some());
}

#[tokio::test]
async fn a_scheduled_wish_is_planned_when_it_is_approved() {
    let world = world().await;
    let app = &world.app;
    four_eyes(app, true).await;
    let wish = app.flag_schedule(&mei(), FLAG, new(app, HOUR_MS, ON)).await.unwrap();
    app.flag_request_approve(&raj(), wish.requested.unwrap()).await.unwrap();
    assert!(!on(app));
    world.clock.advance_ms(HOUR_MS);
    app.flag_schedules_run().await.unwrap();
    assert!(on(app));
}

#[tokio::test]
async fn requests_end_one_way_or_another() {
    let world = world().await;
    let app = &world.app;
    four_eyes(app, true).await;
    let ask = async |percent: u8| {
        app.flag_switch(&mei(), FLAG, PLACE, false).await.unwrap();
        let update = json!({"environments": {"production": {"enabled": true, "rollout_percent": percent}}});
        put(app, &mei(), update).await.unwrap().requested.unwrap()
    };
    let (first, second, third) = (ask(1).await, ask(2).await, ask(3).await);
    assert_eq!(app.flag_request_reject(&mei(), first, "").await.unwrap_err().code, ErrorCode::Forbidden);
    let rejected = app.flag_request_reject(&raj(), first, "not today").await.unwrap();
    assert_eq!((rejected.state.as_str(), rejected.reason.as_str()), ("rejected", "not today"));
    assert_eq!(app.flag_request_withdraw(&raj(), second).await.unwrap_err().code, ErrorCode::Forbidden);
    app.flag_request_withdraw(&mei(), second).await.unwrap();
    world.clock.advance_ms(REQUEST_MS);
    app.flag_schedules_run().await.unwrap();
    let third = app.flag_requests(None, None).await.unwrap().items.into_iter().find(|r| r.number == third).unwrap();
    assert_eq!(third.state, "expired");
    assert!(!on(app));
    let kinds: Vec<String> = told(app, "flag.change_").await.into_iter().skip(3).map(|e| e.kind).collect();
    assert_eq!(kinds, ["flag.change_rejected", "flag.change_withdrawn", "flag.change_expired"]);
}

#[tokio::test]
async fn an_admin_breaks_the_glass_and_everybody_hears_of_it() {
    let world = world().await;
    let app = &world.app;
    four_eyes(app, true).await;
    let wish = app.flag_switch(&ana(), FLAG, PLACE, true).await.unwrap().requested.unwrap();
    assert_eq!(app.flag_request_force(&raj(), wish, "help").await.unwrap_err().code, ErrorCode::Forbidden);
    assert_eq!(app.flag_request_force(&ana(), wish, " ").await.unwrap_err().code, ErrorCode::Invalid);
    let forced = app.flag_request_force(&ana(), wish, "uploads are down").await.unwrap();
    assert_eq!((forced.state.as_str(), on(app)), ("forced", true));
    let event = &told(app, "flag.break_glass").await[0];
    assert_eq!(event.severity, Severity::Critical);
    assert!(event.text.ends_with(": uploads are down"), "{}", event.text);
    assert!(tenfold_app::chat::announce::announce(event, "").is_some(), "the room is told");
    // Turning the setting off is itself told, as a warning.
    four_eyes(app, false).await;
    assert_eq!(told(app, "environment.changed").await[1].severity, Severity::Warning);
    assert_eq!(
        app.environment_put(&mei(), PLACE, EnvironmentSettings { four_eyes: true }).await.unwrap_err().code,
        ErrorCode::Forbidden
    );
}

#[tokio::test]
async fn a_schedule_made_before_the_rule_waits_for_nobody_and_is_not_done() {
    let world = world().await;
    let app = &world.app;
    app.flag_schedule(&mei(), FLAG, new(app, HOUR_MS, ON)).await.unwrap();
    four_eyes(app, true).await;
    world.clock.advance_ms(HOUR_MS);
    app.flag_schedules_run().await.unwrap();
    assert!(!on(app));
    assert!(told(app, "flag.schedule_failed").await[0].text.contains("second person"));
    assert_ne!(app.now(), Timestamp::default());
}
