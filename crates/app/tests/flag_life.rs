//! The life of a flag through its use cases: opting in, groups, drills that end once and survive a restart, going back in
//! history, and what looks finished.

mod common;

use std::sync::Arc;

use common::World;
use serde_json::{Value, json};
use tenfold_app::flags::{FlagGroupUpdate, FlagRevert, FlagRevertTo, FlagScan, FlagUpdate, Reported, StaleFlags};
use tenfold_app::people::{EnvironmentSettings, PersonUpdate};
use tenfold_app::record::EventQuery;
use tenfold_app::{App, Caller, Grant, Role, Settings};
use tenfold_flags::{Choice, Context, Share, StaleReason};
use tenfold_testkit::TestEntropy;
use tenfold_types::{Actor, ErrorCode, Event, Source};

const DAY_MS: i64 = 86_400_000;

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

async fn put(app: &App, key: &str, body: Value) {
    let update: FlagUpdate = serde_json::from_value(body).expect("a flag update");
    app.flag_put(&mei(), key, update).await.expect("the flag is written");
}

async fn told(app: &App, kind: &str) -> Vec<Event> {
    let query = EventQuery { kinds: vec![kind.into()], ascending: true, limit: 100, ..EventQuery::default() };
    app.events(query).await.expect("the record is read")
}

fn is_on(app: &App, key: &str, field: &str, id: &str) -> bool {
    let answers = app.flags.environment("production").expect("the environment is there");
    answers.evaluate(key, &Context::new().with(field, id), app.flag_moment()).is_some_and(|a| a.enabled)
}

async fn account(app: &App, login: &str, team: &str) {
    let update = PersonUpdate {
        role: Some(Role::Viewer),
        teams: Some(vec![team.into()]),
        contact: Some(serde_json::from_value(json!({"email": format!("{login}@example.org")})).expect("a contact")),
        ..PersonUpdate::default()
    };
    app.person_put(&person("root", Role::Admin), login, update).await.expect("an account");
}

#[tokio::test]
async fn people_switch_a_flag_for_themselves() {
    let World { app, .. } = &common::world().await;
    account(app, "ana", "search").await;
    account(app, "raj", "billing").await;
    let (ana, raj) = (person("ana", Role::Viewer), person("raj", Role::Viewer));
    put(app, "beta", json!({"environments": {"production": {"enabled": true, "rollout_percent": 0}}})).await;
    let refused = app.flag_choose(&ana, "beta", Some(Choice::In)).await.unwrap_err();
    assert_eq!(refused.code, ErrorCode::Conflict, "it is not offered");

    put(app, "beta", json!({"opt_in": {"text": "A new search", "teams": ["search"]}})).await;
    let mine = app.flag_mine(&ana).await.unwrap().items;
    assert_eq!((mine[0].key.as_str(), mine[0].text.as_str(), mine[0].choice), ("beta", "A new search", None));
    assert_eq!(mine[0].environments, ["production"]);
    assert!(app.flag_mine(&raj).await.unwrap().items.is_empty(), "offered to the other team");
    assert_eq!(app.flag_choose(&raj, "beta", Some(Choice::In)).await.unwrap_err().code, ErrorCode::Forbidden);
    let robot = Caller { actor: Actor::robot("ci"), ..mei() };
    assert_eq!(app.flag_mine(&robot).await.unwrap_err().code, ErrorCode::Forbidden);

    assert!(!is_on(app, "beta", "userId", "ana"));
    app.flag_choose(&ana, "beta", Some(Choice::In)).await.unwrap();
    assert!(is_on(app, "beta", "userId", "ana") && !is_on(app, "beta", "userId", "raj"));
    app.flag_choose(&ana, "beta", Some(Choice::In)).await.unwrap();
    assert_eq!(told(app, "flag.opted_in").await.len(), 1, "again changes nothing");
    app.flag_choose(&ana, "beta", Some(Choice::Out)).await.unwrap();
    put(app, "beta", json!({"environments": {"production": {"rollout_percent": 100}}})).await;
    assert!(!is_on(app, "beta", "userId", "ana") && is_on(app, "beta", "userId", "raj"));
    app.flag_choose(&ana, "beta", None).await.unwrap();
    assert!(is_on(app, "beta", "userId", "ana"));
    assert_eq!((told(app, "flag.opted_out").await.len(), told(app, "flag.opt_cleared").await.len()), (1, 1));

    // Clients that know people by e-mail.
    put(app, "beta", json!({"opt_in": {"field": "email"}, "environments": {"production": {"rollout_percent": 0}}}))
        .await;
    app.flag_choose(&ana, "beta", Some(Choice::In)).await.unwrap();
    assert!(is_on(app, "beta", "email", "ana@example.org"));
    assert!(app.record_verify().await.unwrap().ok);
}

#[tokio::test]
async fn a_group_is_a_segment_that_follows() {
    let World { app, .. } = &common::world().await;
    let update = |body: Value| serde_json::from_value::<FlagGroupUpdate>(body).unwrap();
    let group = app.flag_group_put(&mei(), "testers", update(json!({"add": ["ana", "4711"]}))).await.unwrap();
    assert_eq!((group.members.len(), group.field.as_str(), group.segment), (2, "userId", 1));
    put(
        app,
        "beta",
        json!({"environments": {"production": {"enabled": true, "strategies": [{"name": "default", "segments": [1]}]}}}),
    )
    .await;
    assert!(is_on(app, "beta", "userId", "4711") && !is_on(app, "beta", "userId", "raj"));
    app.flag_group_put(&mei(), "testers", update(json!({"add": ["raj"], "remove": ["4711"]}))).await.unwrap();
    assert!(!is_on(app, "beta", "userId", "4711") && is_on(app, "beta", "userId", "raj"));
    app.flag_group_put(&mei(), "testers", update(json!({"add": ["raj"]}))).await.unwrap();
    assert_eq!(told(app, "flag_group.changed").await.len(), 2, "what did not change is not told");

    let used = app.flag_group_delete(&mei(), "testers").await.unwrap_err();
    assert!(used.message.contains("`beta`"), "{}", used.message);
    put(app, "beta", json!({"environments": {"production": {"strategies": []}}})).await;
    app.flag_group_delete(&mei(), "testers").await.unwrap();
    assert!(app.flag_groups().await.unwrap().items.is_empty() && app.flag_segments().items.is_empty());
    let many: Vec<String> = (0..1_001).map(|i| i.to_string()).collect();
    let refused = app.flag_group_put(&mei(), "many", update(json!({"members": many}))).await.unwrap_err();
    assert!(refused.message.contains("1000"), "{}", refused.message);
    let viewer = person("ana", Role::Viewer);
    assert_eq!(app.flag_group_put(&viewer, "x", update(json!({}))).await.unwrap_err().code, ErrorCode::Forbidden);
}

async fn kill_switch(app: &App) {
    put(
        app,
        "thumbs",
        json!({"kind": "kill_switch", "environments": {"production": {"enabled": true}},
        "contingency": {"rank": 2, "impact": "no thumbnails", "degrades": "full pictures"}}),
    )
    .await;
    put(app, "ads", json!({"contingency": {"rank": 1}})).await;
    put(app, "bare", json!({"kind": "kill_switch"})).await;
    put(app, "other", json!({})).await;
}

#[tokio::test]
async fn a_drill_ends_by_itself_and_once() {
    let World { app, clock, .. } = &common::world().await;
    kill_switch(app).await;
    let ranked: Vec<String> = app.flag_contingency().items.into_iter().map(|f| f.key).collect();
    assert_eq!(ranked, ["ads", "thumbs", "bare"], "by rank, those without one last");
    let raj = person("raj", Role::Responder);
    assert_eq!(app.flag_drill(&raj, "other", "production", 60_000).await.unwrap_err().code, ErrorCode::Conflict);

    assert!(is_on(app, "thumbs", "userId", "7"));
    app.flag_drill(&raj, "thumbs", "production", 60_000).await.unwrap();
    assert!(!is_on(app, "thumbs", "userId", "7"));
    assert_eq!(
        told(app, "flag.drill_started").await[0].text,
        "DRILL: raj switched thumbs off in production for 60 s; it comes back by itself"
    );
    clock.advance_ms(20_000);
    // A client that had not heard of it reports three answers.
    let late = Reported { yes: 3, ..Reported::default() };
    app.flag_usage_report("production", &std::collections::BTreeMap::from([("thumbs".to_owned(), late)]));
    app.flag_drills_step().await;
    clock.advance_ms(39_999);
    app.flag_drills_step().await;
    assert!(!is_on(app, "thumbs", "userId", "7"), "a moment before its time");
    clock.advance_ms(1);
    app.flag_drills_step().await;
    app.flag_drills_step().await;
    assert!(is_on(app, "thumbs", "userId", "7"));
    let ended = told(app, "flag.drill_ended").await;
    assert_eq!(ended.len(), 1, "once");
    assert_eq!(
        ended[0].text,
        "DRILL over: thumbs is on again in production after 60 s; 3 answers were still on, the last after 20 s"
    );
    let drilled = app.flag("thumbs").unwrap().drilled.unwrap();
    assert_eq!(
        (drilled.by.as_str(), drilled.off_ms, drilled.still_on, drilled.last_use_ms),
        ("raj", 60_000, Some(3), Some(20_000))
    );
}

#[tokio::test]
async fn a_drill_outlives_the_server_and_gives_way_to_a_real_kill() {
    let world = common::world().await;
    let (app, clock) = (&world.app, &world.clock);
    kill_switch(app).await;
    app.flag_drill(&mei(), "thumbs", "production", 60_000).await.unwrap();
    // The server dies; the next one comes up after the drill's time.
    clock.advance_ms(300_000);
    let settings = Settings { data_dir: app.settings.data_dir.clone(), ..Settings::default() };
    let dir = tempfile::tempdir().unwrap();
    let own = Settings { data_dir: dir.path().to_owned(), ..Settings::default() };
    let metrics = tenfold_app::metrics::State::open(&own).unwrap();
    let next = App::new(app.db.clone(), Arc::new(clock.clone()), Arc::new(TestEntropy::default()), settings, metrics);
    tenfold_app::load(&next).await.unwrap();
    assert!(!is_on(&next, "thumbs", "userId", "7"));
    next.flag_drills_step().await;
    assert!(is_on(&next, "thumbs", "userId", "7"));
    // The one that was thought dead finds nothing left to end.
    app.flag_drills_step().await;
    assert_eq!(told(&next, "flag.drill_ended").await.len(), 1);
    assert!(told(&next, "flag.drill_ended").await[0].text.contains("not counted"), "nobody watched the whole time");

    next.flag_drill(&mei(), "thumbs", "production", 60_000).await.unwrap();
    let off = next.flag_switch(&person("raj", Role::Responder), "thumbs", "production", false).await.unwrap();
    assert_eq!(off.environments["production"].drill, None);
    clock.advance_ms(120_000);
    next.flag_drills_step().await;
    assert!(!is_on(&next, "thumbs", "userId", "7"), "off for good");
    assert_eq!(told(&next, "flag.switched").await.last().unwrap().text, "raj switched thumbs off in production");

    next.flag_switch(&mei(), "thumbs", "production", true).await.unwrap();
    next.flag_drill(&mei(), "thumbs", "production", 60_000).await.unwrap();
    next.flag_drill_cancel(&mei(), "thumbs", "production").await.unwrap();
    assert!(is_on(&next, "thumbs", "userId", "7"));
    assert!(next.flag_drill_cancel(&mei(), "thumbs", "production").await.is_err());
    assert!(next.record_verify().await.unwrap().ok);
}

#[tokio::test]
async fn history_shows_what_differed_and_leads_back() {
    let World { app, .. } = &common::world().await;
    put(
        app,
        "search",
        json!({"description": "old", "environments": {"production": {"enabled": true, "rollout_percent": 10}}}),
    )
    .await;
    app.flag_rollout(&mei(), "search", "production", Share::percent(50)).await.unwrap();
    put(app, "search", json!({"description": "new"})).await;
    let items = app.flag_history("search", None, 0).await.unwrap().items;
    let shown: Vec<_> = items.iter().map(|i| (i.kind.as_str(), i.can_revert)).collect();
    assert_eq!(shown, [("flag.changed", true), ("flag.changed", true), ("flag.created", false)]);
    let rollout = items[1].changes.iter().find(|c| c.path == "strategies.0.parameters.rollout").unwrap();
    assert_eq!((&rollout.before, &rollout.after), (&json!("10"), &json!("50")));

    let before = |seq| FlagRevert { seq, to: FlagRevertTo::Before };
    app.flag_revert(&mei(), "search", &before(items[1].seq)).await.unwrap();
    let flag = app.flag("search").unwrap();
    assert_eq!(
        (flag.environments["production"].rollout_percent, flag.description.as_str()),
        (Some(Share::percent(10)), "new")
    );
    app.flag_revert(&mei(), "search", &before(items[0].seq)).await.unwrap();
    assert_eq!(app.flag("search").unwrap().description, "old");
    let reverted = told(app, "flag.reverted").await;
    assert_eq!(reverted[0].data["reverts"], items[1].seq);
    assert!(reverted[0].causation.is_some(), "the edge to what it takes back");
    assert_eq!(app.flag_revert(&mei(), "search", &before(items[1].seq)).await.unwrap_err().code, ErrorCode::Conflict);
    app.flag_revert(&mei(), "search", &FlagRevert { seq: items[1].seq, to: FlagRevertTo::After }).await.unwrap();
    assert_eq!(app.flag("search").unwrap().environments["production"].rollout_percent, Some(Share::percent(50)));

    app.flag_archive(&mei(), "search").await.unwrap();
    let archived = app.flag_history("search", None, 1).await.unwrap().items[0].seq;
    app.flag_revert(&mei(), "search", &before(archived)).await.unwrap();
    assert!(!app.flag("search").unwrap().archived);

    let viewer = person("ana", Role::Viewer);
    assert_eq!(app.flag_revert(&viewer, "search", &before(items[1].seq)).await.unwrap_err().code, ErrorCode::Forbidden);
    assert_eq!(app.flag_revert(&mei(), "search", &before(999_999)).await.unwrap_err().code, ErrorCode::NotFound);
    assert_eq!(app.flag_history("nothing", None, 0).await.unwrap_err().code, ErrorCode::NotFound);
    assert!(app.record_verify().await.unwrap().ok);
}

#[tokio::test]
async fn going_back_waits_for_a_second_person_where_one_is_wanted() {
    let World { app, .. } = &common::world().await;
    put(app, "search", json!({"environments": {"production": {"enabled": true, "rollout_percent": 10}}})).await;
    put(app, "search", json!({"environments": {"production": {"rollout_percent": 50}}})).await;
    let root = person("root", Role::Admin);
    app.environment_put(&root, "production", EnvironmentSettings { four_eyes: true }).await.unwrap();
    let seq = app.flag_history("search", None, 1).await.unwrap().items[0].seq;
    let back = FlagRevert { seq, to: FlagRevertTo::Before };
    let view = app.flag_revert(&mei(), "search", &back).await.unwrap();
    assert!(view.requested.is_some(), "it became a change request");
    assert_eq!(view.environments["production"].rollout_percent, Some(Share::percent(50)));
    assert!(told(app, "flag.reverted").await.is_empty());
    let group: FlagGroupUpdate = serde_json::from_value(json!({"add": ["ana"]})).unwrap();
    app.flag_group_put(&mei(), "testers", group).await.unwrap();
}

#[tokio::test]
async fn what_looks_finished_says_why_and_where_it_stands() {
    let World { app, clock, .. } = &common::world().await;
    put(app, "old", json!({"environments": {"production": {"enabled": true}}})).await;
    put(app, "asked", json!({"kind": "kill_switch", "environments": {"production": {"enabled": true}}})).await;
    clock.advance_ms(20 * DAY_MS);
    is_on(app, "asked", "userId", "7");
    app.flag_seen_step().await.unwrap();
    let stale = app.flag_stale_list().await.unwrap();
    assert_eq!((stale.items.len(), stale.items[0].key.as_str(), stale.items[0].places), (1, "old", None));
    assert_eq!(
        stale.items[0].reasons,
        [StaleReason::OnForEverybody { days: 20 }, StaleReason::NotAsked { days: None }]
    );
    assert!(app.flag("asked").unwrap().environments["production"].asked_at.is_some());

    let scan: FlagScan = serde_json::from_value(json!({"repo": "photos", "commit": "abc", "places": [
        {"key": "asked", "path": "src/a.js", "line": 3}], "unknown": [{"key": "gone", "path": "src/b.js", "line": 9}]}))
    .unwrap();
    app.flag_places_put(&mei(), scan.clone()).await.unwrap();
    let stale = app.flag_stale_list().await.unwrap();
    assert_eq!(
        (stale.items[0].places, stale.unused.as_slice(), stale.repos),
        (Some(0), ["old".to_owned()].as_slice(), 1)
    );
    assert_eq!(stale.unknown[0].places[0].key, "gone");
    assert_eq!(app.flag_places("asked").items[0].places[0].line, 3);
    assert_eq!(told(app, "flags.scanned").await[0].text, "mei scanned photos: 1 flags in use, 1 keys that nobody made");
    let ana = person("ana", Role::Viewer);
    assert_eq!(app.flag_places_put(&ana, scan.clone()).await.unwrap_err().code, ErrorCode::Forbidden);
    let many = FlagScan { places: vec![scan.places[0].clone(); 5_001], ..scan };
    assert!(app.flag_places_put(&mei(), many).await.unwrap_err().message.contains("5000"));
}

#[tokio::test]
async fn a_flag_whose_owner_is_nobody_here_is_named() {
    let World { app, .. } = &common::world().await;
    let root = person("root", Role::Admin);
    let ana = json!({"name": "Ana", "teams": ["photos-team"], "password": "a long enough password"});
    app.person_put(&root, "ana", serde_json::from_value(ana).unwrap()).await.unwrap();
    let group: FlagGroupUpdate = serde_json::from_value(json!({"add": ["4711"]})).unwrap();
    app.flag_group_put(&mei(), "testers", group).await.unwrap();
    for owner in ["ana", "photos-team", "testers", "ghost"] {
        put(app, &format!("of_{owner}"), json!({"owner": owner})).await;
    }
    let named = |stale: StaleFlags| stale.ownerless.into_iter().map(|f| (f.key, f.text)).collect::<Vec<_>>();
    let ghost = ("of_ghost".to_owned(), "its owner `ghost` is unknown: no person, team or group here".to_owned());
    assert_eq!(named(app.flag_stale_list().await.unwrap()), std::slice::from_ref(&ghost));
    let closed = serde_json::from_value(json!({"disabled": true})).unwrap();
    app.person_put(&root, "ana", closed).await.unwrap();
    let now = named(app.flag_stale_list().await.unwrap());
    assert_eq!(now.iter().map(|(k, _)| k.as_str()).collect::<Vec<_>>(), ["of_ana", "of_ghost", "of_photos-team"]);
    assert!(now[0].1.contains("closed"), "{now:?}");
}
