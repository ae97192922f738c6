//! Flags through their use cases: answers change before a use case returns, every change is told, switching off needs no
//! database, and a ramp goes on where it was after a restart.

mod common;

use std::sync::Arc;

use common::World;
use serde_json::{Value, json};
use tenfold_app::flags::{FlagQuestion, FlagUpdate, FlagView, RampStart};
use tenfold_app::record::EventQuery;
use tenfold_app::{App, Caller, Grant, Role, Settings};
use tenfold_flags::{Context, RampState, RampStep, Share};
use tenfold_store::{Db, StoreError};
use tenfold_testkit::{TestClock, TestEntropy};
use tenfold_types::{Actor, ErrorCode, Event, Fault, Source, Timestamp};
use tokio_util::sync::CancellationToken;

fn person(login: &str, role: Role) -> Caller {
    Caller {
        actor: Actor::person(login),
        name: login.into(),
        source: Source::Web,
        grants: vec![Grant::everywhere(role)],
    }
}

fn update(body: Value) -> FlagUpdate {
    serde_json::from_value(body).expect("a flag update")
}

async fn put(app: &App, key: &str, body: Value) -> Result<FlagView, Fault> {
    app.flag_put(&person("mei", Role::Deployer), key, update(body)).await
}

async fn rolled_out(app: &App, percent: u8) {
    put(app, "new_uploader", json!({"environments": {"production": {"enabled": true, "rollout_percent": percent}}}))
        .await
        .expect("a new flag");
}

fn is_on(app: &App, environment: &str, user: &str) -> bool {
    let context = Context::new().with("userId", user);
    let answers = app.flags.environment(environment).expect("the environment is there");
    answers.evaluate("new_uploader", &context, app.flag_moment()).is_some_and(|a| a.enabled)
}

async fn told(app: &App, kind: &str) -> Vec<Event> {
    let query = EventQuery { kinds: vec![kind.into()], ascending: true, limit: 100, ..EventQuery::default() };
    app.events(query).await.expect("the record is read")
}

fn steps(percents: &[u8]) -> RampStart {
    RampStart::of(
        percents
            .iter()
            .map(|percent| RampStep { percent: Share::percent(*percent), hold_ms: 60_000, guard: None })
            .collect(),
    )
}

#[tokio::test]
async fn a_flag_lives_from_creation_to_archive() {
    let World { app, .. } = &common::world().await;
    rolled_out(app, 100).await;
    assert!(is_on(app, "production", "7"));
    assert!(!is_on(app, "development", "7"), "off where nobody configured it");
    let flag = app.flag("new_uploader").unwrap();
    assert_eq!(flag.owner, "mei");
    assert_eq!(flag.environments["production"].rollout_percent, Some(Share::percent(100)));
    assert_eq!(flag.environments["production"].updated_by, "mei");
    assert_eq!(flag.environments["production"].usage.yes, 1);
    assert_eq!(told(app, "flag.created").await[0].text, "mei created the flag new_uploader");

    let off = app.flag_switch(&person("mei", Role::Responder), "new_uploader", "production", false).await.unwrap();
    assert!(!off.environments["production"].enabled && !off.environments["production"].pending);
    assert!(!is_on(app, "production", "7"));
    let event = &told(app, "flag.switched").await[0];
    assert_eq!(event.text, "mei switched new_uploader off in production");
    assert_eq!(event.correlation.as_deref(), Some("flag:new_uploader"));
    assert_eq!(event.subject.flag.as_deref(), Some("new_uploader"));
    assert_eq!(event.data["environment"], "production");
    assert_eq!((&event.data["before"]["enabled"], &event.data["after"]["enabled"]), (&json!(true), &json!(false)));
    // Again changes nothing and tells nothing.
    app.flag_switch(&person("mei", Role::Responder), "new_uploader", "production", false).await.unwrap();
    assert_eq!(told(app, "flag.switched").await.len(), 1);

    app.flag_archive(&person("mei", Role::Deployer), "new_uploader").await.unwrap();
    let answers = app.flags.environment("production").unwrap();
    assert!(answers.evaluate("new_uploader", &Context::new(), app.flag_moment()).is_none(), "unknown to clients");
    assert!(app.flag_list(None).items.is_empty());
    rolled_out(app, 100).await;
    assert!(is_on(app, "production", "7"), "putting it again brings it back");
    assert!(app.record_verify().await.unwrap().ok);
}

#[tokio::test]
async fn what_did_not_change_is_not_told() {
    let World { app, .. } = &common::world().await;
    rolled_out(app, 50).await;
    let flag = serde_json::to_value(app.flag("new_uploader").unwrap()).unwrap();
    let etag = app.flags.environment("production").unwrap().etag.clone();
    put(app, "new_uploader", flag).await.unwrap();
    assert!(told(app, "flag.changed").await.is_empty(), "a flag as it was read may be sent back");
    assert_eq!(app.flags.environment("production").unwrap().etag, etag);
    put(app, "new_uploader", json!({"environments": {"production": {"enabled": false}}})).await.unwrap();
    assert_eq!(told(app, "flag.switched").await.len(), 1, "only switching is told as switching");
    put(app, "new_uploader", json!({"description": "faster", "expires_at": "2027-01-01T00:00:00Z"})).await.unwrap();
    let flag = put(app, "new_uploader", json!({"expires_at": null})).await.unwrap();
    assert_eq!((flag.description.as_str(), flag.expires_at), ("faster", None));
    assert_eq!(told(app, "flag.changed").await.len(), 2);
}

#[tokio::test]
async fn rights_follow_the_environment_and_the_direction() {
    let World { app, .. } = &common::world().await;
    rolled_out(app, 50).await;
    let viewer = person("ana", Role::Viewer);
    let responder = person("raj", Role::Responder);
    let refused = |r: Result<FlagView, Fault>| r.unwrap_err().code == ErrorCode::Forbidden;
    assert!(refused(app.flag_switch(&viewer, "new_uploader", "production", false).await));
    assert!(app.flag("new_uploader").unwrap().environments["production"].enabled, "a refused kill does nothing");
    assert!(
        refused(app.flag_rollout(&responder, "new_uploader", "production", Share::percent(60)).await),
        "raising takes a deployer"
    );
    app.flag_rollout(&responder, "new_uploader", "production", Share::percent(10)).await.unwrap();
    app.flag_switch(&responder, "new_uploader", "production", false).await.unwrap();
    assert!(refused(app.flag_switch(&responder, "new_uploader", "production", true).await), "on takes a deployer");
    assert!(refused(app.flag_put(&responder, "other", update(json!({}))).await));
    let elsewhere = Caller {
        grants: vec![Grant { role: Role::Deployer, service: None, environment: Some("development".into()) }],
        ..person("mei", Role::Viewer)
    };
    assert!(refused(app.flag_switch(&elsewhere, "new_uploader", "production", true).await));
    app.flag_switch(&elsewhere, "new_uploader", "development", true).await.unwrap();
    assert!(is_on(app, "development", "7"));
}

#[tokio::test]
async fn percentages_are_set_and_told() {
    let World { app, .. } = &common::world().await;
    rolled_out(app, 10).await;
    let mei = person("mei", Role::Deployer);
    let flag = app.flag_rollout(&mei, "new_uploader", "production", Share::percent(25)).await.unwrap();
    assert_eq!(flag.environments["production"].rollout_percent, Some(Share::percent(25)));
    assert_eq!(told(app, "flag.changed").await[0].text, "mei set new_uploader to 25 % in production (was 10 %)");
    let tenth = Share::hundredths(10).unwrap();
    let flag = app.flag_rollout(&mei, "new_uploader", "production", tenth).await.unwrap();
    assert_eq!(flag.environments["production"].rollout_percent, Some(tenth));
    assert_eq!(
        app.flag_rollout(&mei, "ghost", "production", Share::percent(1)).await.unwrap_err().code,
        ErrorCode::NotFound
    );
    assert_eq!(
        app.flag_rollout(&mei, "new_uploader", "ghost", Share::percent(1)).await.unwrap_err().code,
        ErrorCode::NotFound
    );
}

#[tokio::test]
async fn what_sdks_would_read_differently_is_refused_and_nothing_is_written() {
    let World { app, .. } = &common::world().await;
    let bad = json!({"environments": {"production": {"enabled": true, "variants": [{"name": "a", "weight": 0}]}}});
    let fault = put(app, "f", bad).await.unwrap_err();
    assert_eq!(fault.code, ErrorCode::Invalid);
    assert!(fault.message.contains("sum to 0"), "{}", fault.message);
    assert_eq!(app.flag("f").unwrap_err().code, ErrorCode::NotFound);
    assert!(told(app, "flag.").await.is_empty());
    assert_eq!(put(app, "a b", json!({})).await.unwrap_err().code, ErrorCode::Invalid);
}

#[tokio::test]
async fn a_ramp_rises_step_by_step() {
    let world = common::world().await;
    let (app, clock) = (&world.app, &world.clock);
    put(app, "new_uploader", json!({})).await.unwrap();
    let mei = person("mei", Role::Deployer);
    app.flag_ramp_start(&mei, "new_uploader", "production", steps(&[10, 50, 100])).await.unwrap();
    let percent = || app.flag("new_uploader").unwrap().environments["production"].rollout_percent.unwrap();
    assert_eq!(percent(), Share::percent(10));
    clock.advance_ms(59_999);
    app.flag_ramps_step().await;
    assert_eq!(percent(), Share::percent(10));
    clock.advance_ms(3_600_000);
    app.flag_ramps_step().await;
    app.flag_ramps_step().await;
    assert_eq!(percent(), Share::percent(50), "one step, however late");
    clock.advance_ms(60_000);
    app.flag_ramps_step().await;
    let state = app.flag("new_uploader").unwrap().environments["production"].clone();
    assert_eq!((state.rollout_percent, state.ramp.unwrap().state), (Some(Share::percent(100)), RampState::Done));
    let texts: Vec<_> =
        told(app, "flag.").await.into_iter().filter(|e| e.kind.contains("ramp")).map(|e| e.text).collect();
    assert_eq!(
        texts,
        [
            "mei started to ramp new_uploader in production from 10 % to 100 %",
            "new_uploader went to 50 % in production (step 2 of 3)",
            "new_uploader went to 100 % in production (step 3 of 3)",
        ]
    );
}

#[tokio::test]
async fn a_hand_on_the_flag_stops_its_ramp() {
    let world = common::world().await;
    let (app, clock) = (&world.app, &world.clock);
    rolled_out(app, 100).await;
    let mei = person("mei", Role::Deployer);
    app.flag_ramp_start(&mei, "new_uploader", "production", steps(&[10, 50])).await.unwrap();
    app.flag_switch(&mei, "new_uploader", "production", false).await.unwrap();
    clock.advance_ms(600_000);
    app.flag_ramps_step().await;
    let state = app.flag("new_uploader").unwrap().environments["production"].clone();
    assert!(!state.enabled);
    assert_eq!((state.rollout_percent, state.ramp.unwrap().state), (Some(Share::percent(10)), RampState::Stopped));
    assert_eq!(
        told(app, "flag.ramp_stopped").await[0].text,
        "mei stopped the ramp of new_uploader in production at 10 %"
    );
    let again = app.flag_ramp_stop(&mei, "new_uploader", "production").await.unwrap_err();
    assert_eq!(again.code, ErrorCode::Conflict);
}

/// Everything a second server needs to go on in the same place.
async fn start(dir: &std::path::Path, clock: &TestClock, seed: u64) -> App {
    start_with(dir, dir, clock, seed).await
}

async fn start_with(database: &std::path::Path, data: &std::path::Path, clock: &TestClock, seed: u64) -> App {
    let db = Db::open_sqlite(database.join("state.db"), tenfold_testkit::sealer()).await.expect("the database opens");
    let settings = Settings { data_dir: data.to_owned(), ..Settings::default() };
    let metrics = tenfold_app::metrics::State::open(&settings).expect("the time-series store opens");
    let app = App::new(db, Arc::new(clock.clone()), Arc::new(TestEntropy::seeded(seed)), settings, metrics);
    tenfold_app::load(&app).await.expect("the store loads");
    app
}

#[tokio::test]
async fn a_ramp_goes_on_after_a_restart_without_a_jump() {
    let dir = tempfile::tempdir().unwrap();
    let clock = TestClock::default();
    let app = start(dir.path(), &clock, 1).await;
    put(&app, "new_uploader", json!({})).await.unwrap();
    let mei = person("mei", Role::Deployer);
    app.flag_ramp_start(&mei, "new_uploader", "production", steps(&[1, 10, 50, 100])).await.unwrap();
    let etag = app.flags.environment("production").unwrap().etag.clone();
    let channel = app.flag_channel("production", None, None);
    drop(app);
    clock.advance_ms(24 * 3_600_000);
    let app = start(dir.path(), &clock, 2).await;
    assert_eq!(app.flags.environment("production").unwrap().etag, etag, "clients have nothing to fetch");
    assert_eq!(app.flag_channel("production", None, None), channel, "the address of the stream outlives a restart");
    app.flag_ramps_step().await;
    let state = app.flag("new_uploader").unwrap().environments["production"].clone();
    assert_eq!(state.rollout_percent, Some(Share::percent(10)));
    assert_eq!(state.ramp.unwrap().next_at, Some(clock_now(&clock).plus_ms(60_000)));
}

fn clock_now(clock: &TestClock) -> Timestamp {
    tenfold_types::Clock::now(clock)
}

/// Somebody else writes and does not come to an end: no write gets through until this is dropped.
struct Outage {
    end: Option<std::sync::mpsc::Sender<()>>,
    writer: Option<tokio::task::JoinHandle<()>>,
}

impl Outage {
    async fn begin(dir: &std::path::Path) -> Self {
        let db = Db::open_sqlite(dir.join("state.db"), tenfold_testkit::sealer()).await.expect("a second opening");
        let (end, wait) = std::sync::mpsc::channel();
        let (began, begins) = tokio::sync::oneshot::channel();
        let (mut began, wait) = (Some(began), std::sync::Mutex::new(wait));
        let writer = tokio::spawn(async move {
            let rolled_back: Result<(), StoreError> = db
                .write(move |tx| {
                    tenfold_store::cursors::set(tx, "outage", 1)?;
                    if let Some(began) = began.take() {
                        began.send(()).expect("the test waits");
                    }
                    // Ends with an error when the sender is dropped, which is what is waited for.
                    let _ = wait.lock().expect("one reader").recv();
                    Err(StoreError::Closed)
                })
                .await;
            assert!(rolled_back.is_err());
        });
        begins.await.expect("the writer holds the database");
        Self { end: Some(end), writer: Some(writer) }
    }

    async fn end(mut self) {
        drop(self.end.take());
        self.writer.take().expect("ended once").await.expect("the writer rolled back");
    }
}

#[tokio::test]
async fn switching_off_does_not_wait_for_the_database() {
    let dir = tempfile::tempdir().unwrap();
    let clock = TestClock::default();
    let app = start(dir.path(), &clock, 1).await;
    rolled_out(&app, 100).await;
    clock.advance_ms(1_000);
    let outage = Outage::begin(dir.path()).await;
    let flag = app.flag_switch(&person("raj", Role::Responder), "new_uploader", "production", false).await.unwrap();
    assert!(flag.environments["production"].pending, "the answer says that it is not recorded yet");
    assert!(!flag.environments["production"].enabled && !is_on(&app, "production", "7"));
    assert!(dir.path().join(JOURNAL).exists(), "it would survive a restart");
    let killed_at = clock_now(&clock);
    outage.end().await;

    clock.advance_ms(60_000);
    drop(app);
    let app = start(dir.path(), &clock, 2).await;
    assert!(!is_on(&app, "production", "7"));
    let state = app.flag("new_uploader").unwrap().environments["production"].clone();
    assert!(!state.enabled && !state.pending);
    assert!(!dir.path().join(JOURNAL).exists());
    let events = told(&app, "flag.switched").await;
    assert_eq!(events.len(), 1);
    assert_eq!((&events[0].actor, events[0].occurred_at), (&Actor::person("raj"), killed_at));
}

const JOURNAL: &str = "flags-switched-off.json";

#[tokio::test]
async fn what_the_journal_holds_is_replayed_once() {
    let dir = tempfile::tempdir().unwrap();
    let clock = TestClock::default();
    let app = start(dir.path(), &clock, 1).await;
    rolled_out(&app, 100).await;
    drop(app);
    let at = clock.advance_ms(5_000);
    let journal = json!([
        {"key": "new_uploader", "environment": "production", "actor": {"kind": "person", "id": "raj"}, "source": "chat", "at": at},
        {"key": "ghost", "environment": "production", "actor": {"kind": "person", "id": "raj"}, "source": "chat", "at": at},
    ]);
    std::fs::write(dir.path().join(JOURNAL), journal.to_string()).unwrap();
    let app = start(dir.path(), &clock, 2).await;
    assert!(!is_on(&app, "production", "7"));
    assert!(!dir.path().join(JOURNAL).exists(), "recorded, so nothing is left to do");
    let events = told(&app, "flag.switched").await;
    assert_eq!((events.len(), events[0].text.as_str()), (1, "raj switched new_uploader off in production"));
    clock.advance_ms(1_000);
    app.flag_switch(&person("mei", Role::Deployer), "new_uploader", "production", true).await.unwrap();
    drop(app);

    // Older than the switching on: somebody decided anew.
    std::fs::write(dir.path().join(JOURNAL), journal.to_string()).unwrap();
    clock.advance_ms(5_000);
    let app = start(dir.path(), &clock, 3).await;
    assert!(is_on(&app, "production", "7"));
    assert_eq!(told(&app, "flag.switched").await.len(), 2);
}

#[tokio::test]
async fn listeners_are_told_of_changes_in_their_environment_only() {
    let World { app, .. } = &common::world().await;
    rolled_out(app, 100).await;
    let mut production = app.flags.watch("production").unwrap();
    let development = app.flags.watch("development").unwrap();
    production.mark_unchanged();
    app.flag_switch(&person("mei", Role::Deployer), "new_uploader", "production", false).await.unwrap();
    assert!(production.has_changed().unwrap());
    assert!(!development.has_changed().unwrap());
}

#[tokio::test]
async fn a_second_server_follows_what_the_first_one_changes() {
    let dir = tempfile::tempdir().unwrap();
    let clock = TestClock::default();
    let other = tempfile::tempdir().unwrap();
    let first = start(dir.path(), &clock, 1).await;
    let second = start_with(dir.path(), other.path(), &clock, 2).await;
    let stop = CancellationToken::new();
    let follower = tokio::spawn(tenfold_app::flags::run(second.clone(), stop.clone()));
    let reader = tokio::spawn(tenfold_app::record::run(second.clone(), stop.clone()));
    let mut answers = second.flags.watch("production").unwrap();
    rolled_out(&first, 100).await;
    let within = std::time::Duration::from_secs(20);
    tokio::time::timeout(within, answers.changed()).await.expect("the second server follows").unwrap();
    assert!(is_on(&second, "production", "7"));
    let same = |app: &App| app.flags.environment("production").unwrap().etag.clone();
    assert_eq!(same(&first), same(&second), "clients may change servers without fetching anew");
    stop.cancel();
    follower.await.unwrap();
    reader.await.unwrap();
}

#[tokio::test]
async fn segments_and_parents_guard_each_other() {
    let World { app, .. } = &common::world().await;
    let mei = person("mei", Role::Deployer);
    let segment = serde_json::from_value(json!({"id": 1, "name": "testers", "constraints": [
        {"contextName": "userId", "operator": "IN", "values": ["7"]},
    ]}))
    .unwrap();
    app.flag_segment_put(&mei, segment).await.unwrap();
    let strategy = json!({"name": "default", "segments": [1]});
    put(app, "new_uploader", json!({"environments": {"production": {"enabled": true, "strategies": [strategy]}}}))
        .await
        .unwrap();
    assert!(is_on(app, "production", "7") && !is_on(app, "production", "8"));
    assert_eq!(app.flag_segment_delete(&mei, 1).await.unwrap_err().code, ErrorCode::Conflict);
    put(app, "child", json!({"dependencies": [{"feature": "new_uploader"}]})).await.unwrap();
    assert_eq!(app.flag_archive(&mei, "new_uploader").await.unwrap_err().code, ErrorCode::Conflict);
    app.flag_archive(&mei, "child").await.unwrap();
    app.flag_archive(&mei, "new_uploader").await.unwrap();
    app.flag_segment_delete(&mei, 1).await.unwrap();
}

#[tokio::test]
async fn a_question_is_answered_with_its_reason() {
    let World { app, .. } = &common::world().await;
    put(
        app,
        "limit",
        json!({"value_type": "int", "environments": {"production": {
            "enabled": true, "off_value": 10, "variants": [{"name": "big", "weight": 1, "value": 100}],
            "strategies": [{"name": "default", "constraints": [{"contextName": "plan", "operator": "IN", "values": ["pro"]}]}],
        }}}),
    )
    .await
    .unwrap();
    let ask = |plan: &str| {
        let context = json!({"targetingKey": "7", "plan": plan}).as_object().unwrap().clone();
        app.flag_evaluate("limit", FlagQuestion { environment: "production".into(), context })
    };
    let yes = ask("pro").await.unwrap();
    assert_eq!((yes.value, yes.variant.as_str(), yes.reason.as_str()), (json!(100), "big", "TARGETING_MATCH"));
    let no = ask("free").await.unwrap();
    assert_eq!((no.value, no.variant.as_str(), no.enabled), (json!(10), "off", false));
    assert_eq!(app.flag("limit").unwrap().environments["production"].usage.yes, 0, "asking is not using");
}

#[tokio::test]
async fn switching_on_after_an_outage_tells_of_both() {
    let dir = tempfile::tempdir().unwrap();
    let clock = TestClock::default();
    let app = start(dir.path(), &clock, 1).await;
    rolled_out(&app, 100).await;
    clock.advance_ms(1_000);
    let outage = Outage::begin(dir.path()).await;
    app.flag_switch(&person("raj", Role::Responder), "new_uploader", "production", false).await.unwrap();
    outage.end().await;
    clock.advance_ms(1_000);
    app.flag_switch(&person("mei", Role::Deployer), "new_uploader", "production", true).await.unwrap();
    assert!(is_on(&app, "production", "7"));
    assert!(!dir.path().join(JOURNAL).exists());
    let texts: Vec<_> = told(&app, "flag.switched").await.into_iter().map(|e| e.text).collect();
    assert_eq!(texts, ["raj switched new_uploader off in production", "mei switched new_uploader on in production"]);
}

#[tokio::test]
async fn a_change_by_somebody_else_is_not_written_over() {
    let World { app, .. } = &common::world().await;
    rolled_out(app, 50).await;
    let mei = person("mei", Role::Deployer);
    let read = app.flag("new_uploader").unwrap();
    assert_eq!((read.version, read.updated_by.as_str()), (1, "mei"));
    app.flag_rollout(&person("raj", Role::Responder), "new_uploader", "production", Share::percent(10)).await.unwrap();
    let update = || update(json!({"description": "faster"}));
    let refused = app.flag_put_over(&mei, "new_uploader", update(), Some(read.version)).await.unwrap_err();
    assert_eq!(refused.code, ErrorCode::Changed);
    assert_eq!(refused.message, "`new_uploader` is at version 2 since a change by raj; you edited version 1");
    assert_eq!(app.flag("new_uploader").unwrap().description, "");
    let flag = app.flag_put_over(&mei, "new_uploader", update(), Some(2)).await.unwrap();
    assert_eq!((flag.version, flag.description.as_str(), flag.updated_by.as_str()), (3, "faster", "mei"));
    // Made only where there is none.
    assert_eq!(app.flag_put_over(&mei, "new_uploader", update(), Some(0)).await.unwrap_err().code, ErrorCode::Changed);
    assert_eq!(app.flag_put_over(&mei, "other", update(), Some(0)).await.unwrap().version, 1);
    assert_eq!(app.flag_put_over(&mei, "third", update(), Some(4)).await.unwrap_err().code, ErrorCode::Changed);
}

#[tokio::test]
async fn a_switch_may_have_a_reason() {
    let World { app, .. } = &common::world().await;
    rolled_out(app, 50).await;
    let raj = person("raj", Role::Responder);
    app.flag_switch_because(&raj, "new_uploader", "production", false, Some(" uploads fail ")).await.unwrap();
    let event = &told(app, "flag.switched").await[0];
    assert_eq!(event.text, "raj switched new_uploader off in production: uploads fail");
    assert_eq!(event.data["reason"], "uploads fail");
    let long = "x".repeat(1_001);
    let refused = app.flag_switch_because(&raj, "new_uploader", "production", false, Some(&long)).await.unwrap_err();
    assert!(refused.message.contains("1001 bytes, over the limit of 1000"), "{refused}");
}

#[tokio::test]
async fn a_preview_shows_stored_and_edited_side_by_side() {
    let World { app, .. } = &common::world().await;
    rolled_out(app, 0).await;
    let ask = |question: Value| {
        let question = serde_json::from_value(question).expect("a question");
        app.flag_preview("new_uploader", question)
    };
    let edited = json!({"environments": {"production": {"strategies": [{"name": "default", "constraints": [
        {"contextName": "plan", "operator": "IN", "values": ["pro"]},
    ]}]}}});
    let told = ask(json!({"environment": "production", "context": {"userId": "7", "plan": "pro"}, "edited": edited}))
        .await
        .unwrap();
    assert!(!told.saved.unwrap().answer.enabled);
    assert_eq!(told.edited.unwrap().because, "strategy 1 matches: everybody");
    assert_eq!(app.flag("new_uploader").unwrap().version, 1, "nothing is written");
    assert_eq!(app.flag("new_uploader").unwrap().environments["production"].usage.no, 0, "nothing is counted");

    // What would be refused is told in the words of the refusal, and not evaluated.
    let broken = json!({"environments": {"production": {"strategies": [{"name": "flexibleRollout", "parameters": {"rollout": "many"}}]}}});
    let told = ask(json!({"environment": "production", "edited": broken})).await.unwrap();
    assert!(told.edited.is_none());
    let refused = told.refused.unwrap();
    let put = put(app, "new_uploader", broken).await.unwrap_err();
    assert_eq!(refused, put.message);
    assert!(refused.contains("strategy 1 (`flexibleRollout`)"), "{refused}");

    // Of a thousand ids about half are in at 50 %, and the same ones as a client gets.
    let ids: Vec<String> = (0..1_000).map(|i| format!("u-{i}")).collect();
    let half = json!({"environments": {"production": {"rollout_percent": 50}}});
    let told = ask(json!({"environment": "production", "edited": half, "ids": ids})).await.unwrap().ids.unwrap();
    assert_eq!((told.asked, told.saved.as_ref().unwrap()["off"]), (1_000, 1_000));
    let on = told.edited.as_ref().unwrap()["on"];
    assert!((430..570).contains(&on), "{on} of 1,000");
    app.flag_rollout(&person("mei", Role::Deployer), "new_uploader", "production", Share::percent(50)).await.unwrap();
    for row in told.rows.iter().step_by(37) {
        assert_eq!(row.edited.as_deref() == Some("on"), is_on(app, "production", &row.id), "{}", row.id);
    }
    let many: Vec<String> = (0..=1_000).map(|i| i.to_string()).collect();
    let refused = ask(json!({"environment": "production", "ids": many})).await.unwrap_err();
    assert!(refused.message.contains("1001 ids are asked for, over the limit of 1000"), "{refused}");
}

#[tokio::test]
async fn summaries_are_short_rows_of_the_same_flags() {
    let World { app, .. } = &common::world().await;
    rolled_out(app, 50).await;
    put(app, "old", json!({"description": "gone", "environments": {"staging": {"enabled": true}}})).await.unwrap_err();
    put(app, "old", json!({"description": "gone"})).await.unwrap();
    app.flag_archive(&person("mei", Role::Deployer), "old").await.unwrap();
    let list = app.flag_summaries(false);
    let keys: Vec<_> = list.items.iter().map(|f| f.key.as_str()).collect();
    assert_eq!(keys, ["new_uploader"]);
    assert_eq!(list.items[0].project, "default");
    let state = &list.items[0].environments["production"];
    assert_eq!((state.enabled, state.rollout_percent, state.ramping, state.asked), (true, Some(50.0), false, false));
    is_on(app, "production", "7");
    assert!(app.flag_summaries(false).items[0].environments["production"].asked);
    app.flag_ramp_start(&person("mei", Role::Deployer), "new_uploader", "production", steps(&[5, 100])).await.unwrap();
    let ramping = &app.flag_summaries(false).items[0];
    let state = &ramping.environments["production"];
    assert!(state.ramping && !state.guarded && ramping.updated_by == "mei");
    let archived = app.flag_summaries(true);
    assert_eq!((archived.items.len(), archived.items[0].key.as_str()), (1, "old"));
    assert!(archived.environments.contains(&"production".to_owned()));
}

/// The guide's example, as it stands there.
#[tokio::test]
async fn the_guides_preview_is_answered_as_the_guide_says() {
    let guide = include_str!("../../../docs/guide/flags.md");
    let (_, section) = guide.split_once("## Who gets it?").unwrap();
    let block = section.split("```json").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    let question = serde_json::from_str(block).expect("the guide's question");
    let World { app, .. } = &common::world().await;
    put(app, "new_checkout", json!({"environments": {"production": {"enabled": true}}})).await.unwrap();
    let told = app.flag_preview("new_checkout", question).await.unwrap();
    assert!(told.saved.unwrap().answer.enabled);
    let because = told.edited.unwrap().because.replace('`', "");
    let said = section.replace('\n', " ");
    let sentence = because.split(": ").nth(1).unwrap();
    assert!(said.contains(sentence), "the guide lacks: {sentence}");
    assert_eq!(told.ids.unwrap().asked, 3);
}
