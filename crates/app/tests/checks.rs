//! Checks with a clock that the test moves and somebody who looks as the test says.

mod common;
#[path = "checks/hangs.rs"]
mod hangs;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use common::{World, open, world};
use parking_lot::Mutex;
use tenfold_alerting::checks::CheckStatus::{self, Critical as C, Ok as O, Unknown as U, Warning as W};
use tenfold_app::checks::{CheckAsk, CheckCounts, CheckList, CheckRunner, CheckSpec, PassiveResult, Ran, Run};
use tenfold_app::{App, Caller};
use tenfold_store::events::EventQuery;

/// Answers by the first argument of a plugin.
#[derive(Default)]
struct Script(Mutex<BTreeMap<String, (CheckStatus, String)>>);

#[async_trait]
impl CheckRunner for Script {
    async fn run(&self, what: &Run, _: Duration) -> Ran {
        let Run::Plugin(argv) = what else { return Ran::unknown("not a plugin") };
        let (status, output) = self.0.lock().get(&argv[0]).cloned().unwrap_or((O, "fine".to_owned()));
        Ran { status, output: output.into_bytes() }
    }
}

impl Script {
    fn say(&self, name: &str, status: CheckStatus, output: &str) {
        self.0.lock().insert(name.to_owned(), (status, output.to_owned()));
    }
}

fn spec(yaml: serde_json::Value) -> CheckSpec {
    serde_json::from_value(yaml).expect("a check")
}

fn plugin(name: &str) -> serde_json::Value {
    serde_json::json!({"host": "db1", "service": "photos", "run": {"plugin": [name]}, "interval": "10s",
        "retry_interval": "2s", "attempts": 3, "annotations": {"runbook_url": "https://x/r"}})
}

async fn start() -> (World, Arc<Script>) {
    let world = world().await;
    let script = Arc::new(Script::default());
    world.app.set_check_runner(script.clone());
    (world, script)
}

async fn pass(world: &World, ms: i64) {
    world.clock.advance_ms(ms);
    world.app.checks_tick().await.expect("a tick");
    world.app.checks_settle().await;
}

async fn firing(app: &App) -> Vec<String> {
    let alerts = app.alerts_list(Some("firing")).await.expect("alerts");
    alerts.iter().map(|a| format!("{} {}", a.labels.get("alertname").unwrap_or_default(), a.severity)).collect()
}

async fn told(app: &App) -> Vec<String> {
    let query = EventQuery { kinds: vec!["check.state".to_owned()], limit: 50, ..EventQuery::default() };
    let mut events: Vec<String> = app.events(query).await.expect("events").into_iter().map(|e| e.text).collect();
    events.reverse();
    events
}

/// Keeps what it is asked to look at.
#[derive(Default)]
struct Asked(Mutex<Vec<Run>>);

#[async_trait]
impl CheckRunner for Asked {
    async fn run(&self, what: &Run, _: Duration) -> Ran {
        self.0.lock().push(what.clone());
        Ran { status: O, output: b"fine".to_vec() }
    }
}

#[tokio::test]
async fn outside_of_its_hours_a_check_stands_as_it_stood_unless_somebody_asks() {
    let world = world().await;
    let (app, asked) = (&world.app, Arc::new(Asked::default()));
    app.set_check_runner(asked.clone());
    let looks = || std::mem::take(&mut *asked.0.lock()).len();
    // The hour that begins now, and the one after the next.
    world.clock.set(tenfold_types::Timestamp::parse_rfc3339("2026-11-23T09:00:00Z").expect("an instant"));
    let hours = serde_json::json!([{"times": [{"start_time": "09:00", "end_time": "10:00"}, {"start_time": "11:00", "end_time": "12:00"}]}]);
    let check = serde_json::json!({"host": "db1", "run": {"plugin": ["x"]}, "interval": "10m", "active": hours});
    app.check_put(&Caller::system(), "hours", spec(check.clone())).await.expect("put");
    for (minutes, wanted) in [(60, 6), (60, 0), (60, 6), (60, 0)] {
        for _ in 0..minutes / 5 {
            pass(&world, 300_000).await;
        }
        let seen = looks();
        assert!(seen.abs_diff(wanted) <= 1 && (wanted > 0 || seen <= 1), "{seen} looks, not {wanted}");
    }
    pass(&world, 300_000).await;
    assert_eq!(looks(), 0);
    app.check_now(&Caller::system(), "hours").await.expect("asked for");
    pass(&world, 1_000).await;
    assert_eq!(looks(), 1, "somebody wants it");
    for _ in 0..6 {
        pass(&world, 300_000).await;
    }
    assert_eq!(looks(), 0, "and once is enough");
    let mut passive = check.clone();
    passive["run"] = serde_json::json!({"passive": {}});
    let mut fresh = check;
    fresh["freshness"] = serde_json::json!("1h");
    for wrong in [passive, fresh] {
        assert!(app.check_put(&Caller::system(), "wrong", spec(wrong)).await.is_err());
    }
    let short = spec(serde_json::json!({"run": {"passive": {}}, "interval": "1ms"}));
    assert!(app.check_put(&Caller::system(), "a", short).await.is_err_and(|e| e.message.contains("between 1s and ")));
}

#[tokio::test]
async fn a_secret_of_a_request_comes_to_who_looks_and_is_shown_to_nobody() {
    let world = world().await;
    let (app, asked) = (&world.app, Arc::new(Asked::default()));
    app.set_check_runner(asked.clone());
    let http = |url: &str, secret: &str| {
        let run = serde_json::json!({"http": {"url": url, "secret_headers": {"Authorization": secret}}});
        spec(serde_json::json!({"host": "web", "run": run, "interval": "10s"}))
    };
    let secret_of =
        |run: &Run| serde_json::to_value(run).expect("JSON")["http"]["secret_headers"]["Authorization"].clone();
    app.check_put(&Caller::system(), "web", http("http://web/", "Bearer t0k3n")).await.expect("put");
    pass(&world, 10_000).await;
    assert_eq!(secret_of(&asked.0.lock()[0]), "Bearer t0k3n");

    // What is exported is applied again, and nothing is changed by it.
    let export = app.config_export(&Caller::system()).await.expect("exported");
    let shown = serde_json::to_string(&export).expect("JSON");
    let view = serde_json::to_string(&app.check("web").expect("there")).expect("JSON");
    let query = EventQuery { limit: 100, include_admin: true, ..EventQuery::default() };
    let record = serde_json::to_string(&app.events(query).await.expect("events")).expect("JSON");
    for text in [&shown, &view, &record] {
        assert!(!text.contains("t0k3n"), "{text}");
    }
    assert!(shown.contains("<secret>") && view.contains("<secret>"), "{view}");
    let mut again = app.check("web").expect("there").spec;
    again.attempts = 2;
    app.check_put(&Caller::system(), "web", again).await.expect("the secret stays");
    pass(&world, 10_000).await;
    assert_eq!(secret_of(asked.0.lock().last().expect("a look")), "Bearer t0k3n");

    let moved = app.check_put(&Caller::system(), "web", http("http://elsewhere/", "<secret>")).await;
    assert!(moved.expect_err("it is for another place").message.contains("stands for a secret"));
    let file = serde_json::json!({"http": {"url": "http://web/", "secret_headers": {"Cookie": {"file": "cookie"}}}});
    let refused = app.check_put(&Caller::system(), "web", spec(serde_json::json!({"run": file}))).await;
    assert!(refused.expect_err("there is no folder").advice.contains("`secrets_dir`"));
}

#[tokio::test]
async fn a_problem_is_believed_after_its_attempts_and_becomes_an_alert() {
    let (world, script) = start().await;
    let app = &world.app;
    app.check_put(&Caller::system(), "disk", spec(plugin("disk"))).await.expect("put");
    pass(&world, 10_000).await;
    assert_eq!(app.check("disk").expect("there").status, "ok");
    script.say("disk", C, "DISK CRITICAL - full | /=99%;80;90\nmore");
    pass(&world, 10_000).await;
    let seen = app.check("disk").expect("there");
    assert_eq!((seen.status.as_str(), seen.hard, seen.attempt), ("critical", false, 1));
    assert_eq!(firing(app).await, Vec::<String>::new());
    pass(&world, 2_000).await;
    pass(&world, 2_000).await;
    let seen = app.check("disk").expect("there");
    assert!(seen.hard && seen.alerts, "{seen:?}");
    assert_eq!((seen.values[0].label.as_str(), seen.values[0].value, seen.long_output.as_str()), ("/", 99.0, "more"));
    assert_eq!(firing(app).await, ["disk critical"]);
    // The alert has the plugin's words and the runbook.
    let alert = &app.alerts_list(Some("firing")).await.expect("alerts")[0];
    assert_eq!(alert.annotations["summary"], "DISK CRITICAL - full");
    assert_eq!(alert.annotations["runbook_url"], "https://x/r");
    assert_eq!(alert.check.as_deref(), Some("disk"));
    assert_eq!(seen.alert.as_deref(), Some(alert.fingerprint.as_str()));
    assert_eq!(alert.graph.as_ref().map(|g| g.expr.as_str()), Some("check_status{check=\"disk\"}"));
    // From critical to warning: another alert, and the first is over.
    script.say("disk", W, "DISK WARNING");
    pass(&world, 10_000).await;
    assert_eq!(firing(app).await, ["disk warning"]);
    script.say("disk", O, "DISK OK");
    pass(&world, 10_000).await;
    assert_eq!(firing(app).await, Vec::<String>::new());
    let events = told(app).await;
    assert_eq!(events.len(), 3, "{events:?}");
    assert!(events[2].contains("ok again"), "{events:?}");
    let value =
        app.query("check_perfdata{check=\"disk\",perf=\"/\",host=\"db1\"} offset 22s", app.now()).await.expect("asked");
    assert!(!value.value.is_empty(), "{value:?}");
}

#[tokio::test]
async fn what_stands_behind_a_problem_is_quiet() {
    let (world, script) = start().await;
    let app = &world.app;
    app.check_put(&Caller::system(), "switch", spec(plugin("switch"))).await.expect("put");
    let mut behind = plugin("web");
    behind["parents"] = serde_json::json!(["switch"]);
    app.check_put(&Caller::system(), "web", spec(behind.clone())).await.expect("put");
    pass(&world, 10_000).await;
    script.say("switch", C, "down");
    script.say("web", C, "no answer");
    for _ in 0..10 {
        pass(&world, 2_000).await;
    }
    assert_eq!(firing(app).await, ["switch critical"]);
    assert!(app.check("web").expect("there").unreachable);
    script.say("switch", O, "up");
    for _ in 0..6 {
        pass(&world, 2_000).await;
    }
    assert_eq!(firing(app).await, ["web critical"], "{:?}", told(app).await);
    // A circle and a parent that is not there are refused.
    let mut circle = plugin("switch");
    circle["parents"] = serde_json::json!(["web"]);
    assert!(app.check_put(&Caller::system(), "switch", spec(circle)).await.is_err());
    behind["parents"] = serde_json::json!(["gone"]);
    assert!(app.check_put(&Caller::system(), "web", spec(behind)).await.is_err());
}

#[tokio::test]
async fn a_parent_that_warns_is_up() {
    let (world, script) = start().await;
    let app = &world.app;
    app.check_put(&Caller::system(), "switch", spec(plugin("switch"))).await.expect("put");
    let mut behind = plugin("web");
    behind["parents"] = serde_json::json!(["switch"]);
    app.check_put(&Caller::system(), "web", spec(behind)).await.expect("put");
    pass(&world, 10_000).await;
    script.say("switch", W, "slow");
    script.say("web", C, "no answer");
    for _ in 0..10 {
        pass(&world, 2_000).await;
    }
    let mut all = firing(app).await;
    all.sort();
    assert_eq!(all, ["switch warning", "web critical"]);
    assert!(!app.check("web").expect("there").unreachable);
    script.say("switch", U, "no answer from it");
    for _ in 0..10 {
        pass(&world, 2_000).await;
    }
    assert!(app.check("web").expect("there").unreachable, "what nobody knows of is not up");
}

#[tokio::test]
async fn results_from_outside_and_their_silence() {
    let (world, _) = start().await;
    let app = &world.app;
    let passive = serde_json::json!({"run": {"passive": {}}, "freshness": "1m", "attempts": 1, "severity": "warning"});
    app.check_put(&Caller::system(), "backup", spec(passive)).await.expect("put");
    let send = |status: &str, output: &str| PassiveResult { status: status.to_owned(), output: output.to_owned() };
    let seen = app.check_passive(&Caller::system(), "backup", send("ok", "done|seconds=12")).await.expect("taken");
    assert_eq!((seen.status.as_str(), seen.values[0].value), ("ok", 12.0));
    assert!(app.check_passive(&Caller::system(), "backup", send("fine", "")).await.is_err());
    assert!(app.check_passive(&Caller::system(), "gone", send("ok", "")).await.is_err());
    assert!(app.check_now(&Caller::system(), "backup").await.is_err());
    pass(&world, 59_000).await;
    assert_eq!(firing(app).await, Vec::<String>::new());
    pass(&world, 2_000).await;
    let seen = app.check("backup").expect("there");
    assert!(seen.stale && seen.status == "unknown", "{seen:?}");
    assert_eq!(firing(app).await, ["backup warning"]);
    app.check_passive(&Caller::system(), "backup", send("ok", "done")).await.expect("taken");
    assert_eq!(firing(app).await, Vec::<String>::new());
}

#[tokio::test]
async fn silence_is_counted_over_restarts() {
    let (mut world, _) = start().await;
    let passive = serde_json::json!({"run": {"passive": {}}, "freshness": "26h", "attempts": 1});
    world.app.check_put(&Caller::system(), "backup", spec(passive.clone())).await.expect("put");
    world.app.check_put(&Caller::system(), "never", spec(passive)).await.expect("put");
    let done = PassiveResult { status: "ok".to_owned(), output: "done".to_owned() };
    let hours = |n: i64| n * 3_600_000;
    pass(&world, hours(1)).await;
    world.app.check_passive(&Caller::system(), "backup", done.clone()).await.expect("taken");
    for _ in 0..2 {
        pass(&world, hours(12)).await;
        assert_eq!(firing(&world.app).await, Vec::<String>::new());
        let World { app, clock, _db: db, _dir: dir } = world;
        drop(app);
        world = open(dir, db, clock).await;
        world.app.set_check_runner(Arc::new(Script::default()));
    }
    // 25 h after it was put, and 24 h after the one of them was heard.
    pass(&world, hours(1) + 60_000).await;
    assert_eq!(firing(&world.app).await, ["never critical"]);
    pass(&world, hours(1)).await;
    let mut all = firing(&world.app).await;
    all.sort();
    assert_eq!(all, ["backup critical", "never critical"]);
    // What is late when the server starts has some minutes, since it may have had nowhere to send to.
    world.app.check_passive(&Caller::system(), "backup", done).await.expect("taken");
    world.clock.advance_ms(hours(40));
    let World { app, clock, _db: db, _dir: dir } = world;
    drop(app);
    let world = open(dir, db, clock).await;
    world.app.set_check_runner(Arc::new(Script::default()));
    let backup = |all: &[String]| all.iter().any(|a| a.starts_with("backup"));
    pass(&world, 240_000).await;
    assert!(!backup(&firing(&world.app).await));
    pass(&world, 61_000).await;
    assert!(backup(&firing(&world.app).await));
}

#[tokio::test]
async fn the_alert_of_a_check_that_is_deleted_ends_over_a_kill() {
    let (world, _) = start().await;
    let passive = serde_json::json!({"run": {"passive": {}}, "freshness": "1h", "attempts": 1});
    world.app.check_put(&Caller::system(), "backup", spec(passive)).await.expect("put");
    let full = PassiveResult { status: "critical".to_owned(), output: "full".to_owned() };
    world.app.check_passive(&Caller::system(), "backup", full).await.expect("taken");
    assert_eq!(firing(&world.app).await, ["backup critical"]);
    // What the deletion commits; the process ends before anybody hears of it.
    let deleted = world.app.housekeeping(|t| {
        let row = tenfold_store::checks::get(t.tx(), "backup")?.expect("it is there");
        let stand: serde_json::Value = serde_json::from_str(&row.state.expect("a state")).expect("JSON");
        tenfold_store::checks::gone_put(t.tx(), 1, &stand["raised"].to_string())?;
        tenfold_store::checks::delete(t.tx(), "backup")?;
        Ok(())
    });
    deleted.await.expect("it is deleted");
    let World { app, clock, _db: db, _dir: dir } = world;
    drop(app);
    let world = open(dir, db, clock).await;
    assert_eq!(firing(&world.app).await, ["backup critical"]);
    pass(&world, 1_000).await;
    assert_eq!(firing(&world.app).await, Vec::<String>::new());
    let left = world.app.read(|tx| Ok(tenfold_store::checks::gone(tx, 5)?)).await.expect("it is read");
    assert!(left.is_empty(), "it was heard: {left:?}");
}

#[tokio::test]
async fn a_check_that_gets_worse_has_an_alert_at_every_moment() {
    let (world, _) = start().await;
    let app = &world.app;
    let passive = serde_json::json!({"run": {"passive": {}}, "freshness": "1h", "attempts": 1});
    app.check_put(&Caller::system(), "disk", spec(passive)).await.expect("put");
    for status in ["warning", "critical"] {
        let result = PassiveResult { status: status.to_owned(), output: "full".to_owned() };
        app.check_passive(&Caller::system(), "disk", result).await.expect("taken");
        world.clock.advance_ms(1_000);
    }
    assert_eq!(firing(app).await, ["disk critical"]);
    let kinds = vec!["alert.fired".to_owned(), "alert.resolved".to_owned()];
    let query = EventQuery { kinds, ascending: true, limit: 10, ..EventQuery::default() };
    let told: Vec<String> = app.events(query).await.expect("events").into_iter().map(|e| e.kind).collect();
    assert_eq!(told, ["alert.fired", "alert.fired", "alert.resolved"], "the new one first");
}

#[tokio::test]
async fn silence_has_the_severity_of_the_check_or_one_of_its_own() {
    let (world, _) = start().await;
    let app = &world.app;
    let passive = serde_json::json!({"run": {"passive": {}}, "freshness": "1m", "attempts": 1});
    let mut mild = passive.clone();
    mild["stale_severity"] = "info".into();
    app.check_put(&Caller::system(), "nightly", spec(passive)).await.expect("put");
    app.check_put(&Caller::system(), "weekly", spec(mild.clone())).await.expect("put");
    for name in ["nightly", "weekly"] {
        let done = PassiveResult { status: "ok".to_owned(), output: "done".to_owned() };
        app.check_passive(&Caller::system(), name, done).await.expect("taken");
    }
    pass(&world, 61_000).await;
    let mut fires = firing(app).await;
    fires.sort();
    assert_eq!(fires, ["nightly critical", "weekly info"], "an unknown result alone would be a warning");
    // A result that says that it knows nothing is another thing.
    let unknown = PassiveResult { status: "unknown".to_owned(), output: "?".to_owned() };
    app.check_passive(&Caller::system(), "nightly", unknown).await.expect("taken");
    assert!(firing(app).await.contains(&"nightly warning".to_owned()), "{:?}", firing(app).await);
    mild["stale_severity"] = "loud".into();
    assert!(app.check_put(&Caller::system(), "weekly", spec(mild)).await.is_err());
}

#[tokio::test]
async fn a_host_that_warns_may_be_up() {
    let (world, script) = start().await;
    let app = &world.app;
    for (name, up) in [("lenient", true), ("strict", false)] {
        let mut host = plugin(name);
        host["attempts"] = serde_json::json!(1);
        host["warning_is_ok"] = serde_json::json!(up);
        app.check_put(&Caller::system(), name, spec(host)).await.expect("put");
        script.say(name, W, "slow");
    }
    for _ in 0..3 {
        pass(&world, 10_000).await;
    }
    assert_eq!(firing(app).await, ["strict warning"]);
    script.say("lenient", C, "down");
    for _ in 0..3 {
        pass(&world, 10_000).await;
    }
    assert!(firing(app).await.contains(&"lenient critical".to_owned()), "{:?}", firing(app).await);
}

#[tokio::test]
async fn flapping_raises_one_alert_and_keeps_it() {
    let (world, script) = start().await;
    let app = &world.app;
    let mut quick = plugin("link");
    quick["attempts"] = serde_json::json!(1);
    app.check_put(&Caller::system(), "link", spec(quick)).await.expect("put");
    for i in 0..20 {
        script.say("link", if i % 2 == 0 { C } else { O }, "up and down");
        pass(&world, 10_000).await;
    }
    let seen = app.check("link").expect("there");
    assert!(seen.flapping, "{seen:?}");
    assert_eq!(firing(app).await.len(), 1);
    let before = told(app).await.len();
    for _ in 0..2 {
        pass(&world, 10_000).await;
    }
    assert_eq!(firing(app).await.len(), 1, "one calm look ends nothing");
    assert!(told(app).await.len() <= before + 1);
    script.say("link", O, "up");
    for _ in 0..25 {
        pass(&world, 10_000).await;
    }
    assert!(!app.check("link").expect("there").flapping);
    assert_eq!(firing(app).await, Vec::<String>::new());
}

#[tokio::test]
async fn a_restart_goes_on_from_what_was_stored() {
    let (world, script) = start().await;
    world.app.check_put(&Caller::system(), "disk", spec(plugin("disk"))).await.expect("put");
    script.say("disk", C, "full");
    for _ in 0..8 {
        pass(&world, 2_000).await;
    }
    assert_eq!(firing(&world.app).await, ["disk critical"]);
    let World { app, clock, _db: db, _dir: dir } = world;
    drop(app);
    let again = open(dir, db, clock).await;
    again.app.set_check_runner(script.clone());
    let seen = again.app.check("disk").expect("there");
    assert!(seen.hard && seen.alerts && seen.status == "critical", "{seen:?}");
    script.say("disk", O, "fine");
    pass(&again, 10_000).await;
    assert_eq!(firing(&again.app).await, Vec::<String>::new(), "the alert of before the restart is ended");
    again.app.check_delete(&Caller::system(), "disk").await.expect("deleted");
    assert!(again.app.check("disk").is_err());
}

#[tokio::test]
async fn what_cannot_be_is_refused() {
    let (world, _) = start().await;
    let app = &world.app;
    let cases = [
        serde_json::json!({"run": {"plugin": []}}),
        serde_json::json!({"run": {"plugin": ["../sh"]}}),
        serde_json::json!({"run": {"plugin": ["a/../sh"]}}),
        serde_json::json!({"run": {"plugin": ["x"]}, "interval": "10ms"}),
        serde_json::json!({"run": {"plugin": ["x"]}, "timeout": "1h"}),
        serde_json::json!({"run": {"plugin": ["x"]}, "attempts": 0}),
        serde_json::json!({"run": {"plugin": ["x"]}, "severity": "loud"}),
        serde_json::json!({"run": {"tcp": {"address": "nowhere"}}}),
        serde_json::json!({"run": {"http": {"url": "file:///etc/passwd"}}}),
        serde_json::json!({"run": {"disk": {"path": "tmp"}}}),
        serde_json::json!({"run": {"nrpe": {"address": "h", "command": "a!b"}}}),
        serde_json::json!({"run": {"plugin": ["x"]}, "parents": ["self"]}),
    ];
    for case in cases {
        let put = app.check_put(&Caller::system(), "self", spec(case.clone())).await;
        assert!(put.is_err(), "{case}");
    }
    let nobody = Caller { grants: Vec::new(), ..Caller::system() };
    assert!(app.check_put(&nobody, "disk", spec(plugin("disk"))).await.is_err());
    assert!(app.checks_all().is_empty());
}

#[tokio::test]
async fn a_list_has_a_part_of_the_checks_the_worst_first_and_counts_all() {
    let (world, script) = start().await;
    let app = &world.app;
    for name in ["a", "b", "c", "d"] {
        app.check_put(&Caller::system(), name, spec(plugin(name))).await.expect("put");
    }
    script.say("b", W, "DISK WARNING - nearly full");
    script.say("d", C, "DISK CRITICAL - full");
    pass(&world, 10_000).await;
    let ask = |state: &str, q: &str, after: Option<String>| CheckAsk {
        state: Some(state.to_owned()).filter(|s| !s.is_empty()),
        q: Some(q.to_owned()),
        limit: Some(2),
        after,
        ..CheckAsk::default()
    };
    let names = |list: &CheckList| list.items.iter().map(|c| c.name.clone()).collect::<Vec<_>>().join(" ");
    let first = app.checks_page(&ask("", "", None)).expect("a page");
    assert_eq!((names(&first).as_str(), first.next.as_deref()), ("d b", Some("2.b")));
    let counts = CheckCounts { ok: 2, warning: 1, critical: 1, unknown: 0 };
    assert_eq!(first.counts, counts);
    let second = app.checks_page(&ask("", "", first.next)).expect("a page");
    assert_eq!((names(&second).as_str(), second.next, second.counts), ("a c", None, counts));
    let full = app.checks_page(&ask("problem", " FULL ", None)).expect("a page");
    assert_eq!(names(&full), "d b");
    assert_eq!(full.counts, CheckCounts { ok: 0, ..counts });
    assert_eq!(names(&app.checks_page(&ask("warning", "", None)).expect("a page")), "b");
    for wrong in
        [ask("bad", "", None), ask("", "", Some("b".to_owned())), CheckAsk { limit: Some(0), ..CheckAsk::default() }]
    {
        assert!(app.checks_page(&wrong).is_err(), "{wrong:?}");
    }
}
