//! Releases that stand beside the one that serves: started ahead of their flip, or kept warm after it. With real processes,
//! of which none may be left.

use std::collections::BTreeMap;

use serde_json::Value;
use tenfold_app::{Caller, Grant, Role, deploys::views::Deploy};
use tenfold_protocols::agent::{FromAgent, PROTOCOL, Release, ReleaseState, ToAgent};
use tenfold_runner::agent::state_of;
use tenfold_types::{Actor, Timestamp};

use crate::world::{World, mei};

const APPROVED: &str = "canary: {hosts: 0}; batch: 100%; approve: {count: 1, by: [raj]}";

fn raj() -> Caller {
    Caller { actor: Actor::person("raj"), name: "raj".into(), grants: vec![Grant::everywhere(Role::Deployer)], ..mei() }
}

/// What the agent of a host has written down.
fn kept(world: &World, host: &str) -> Value {
    state_of(&world.host_dir(host), "photos")
}

fn serving(world: &World, host: &str) -> i64 {
    kept(world, host)["current"]["process"]["pid"].as_i64().expect("a process serves")
}

fn beside(world: &World, host: &str) -> Option<i64> {
    kept(world, host)["beside"]["active"]["process"]["pid"].as_i64()
}

/// A zombie does not run.
fn runs(pid: i64) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rfind(')').and_then(|end| stat[end + 1..].trim_start().chars().next()).is_some_and(|state| state != 'Z')
}

async fn hosts_are(world: &World, number: i64, wanted: &str) -> Deploy {
    let app = world.app();
    let mut changes = app.deploys.changes();
    let wait = async {
        loop {
            let deploy = app.deploy(number).await.unwrap();
            if deploy.hosts.iter().all(|h| h.state == wanted) {
                return deploy;
            }
            assert!(deploy.finished_at.is_none(), "it ended: {deploy:#?}");
            let _ = changes.recv().await;
        }
    };
    tokio::time::timeout(crate::world::PATIENCE, wait).await.expect("the hosts get there")
}

/// `one` serves everywhere, `two` stands ready everywhere and waits for a person.
async fn ready(hosts: usize, target: &str) -> Option<(World, i64)> {
    if !crate::world::ready() {
        return None;
    }
    let world = World::new(hosts).await;
    let first = world.deploy().await;
    world.state(first.number, &["succeeded"]).await;
    world.write_pipeline(target);
    world.commit("two");
    let second = world.deploy().await;
    if target == APPROVED {
        hosts_are(&world, second.number, "prepared").await;
        assert!(world.versions().await.iter().all(|v| v == "one"), "nobody is served by it yet");
    }
    Some((world, second.number))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_click_is_the_flip_and_so_is_the_way_back() {
    let Some((world, number)) = ready(2, APPROVED).await else { return };
    let hosts = ["host-1", "host-2"];
    let old = hosts.map(|h| serving(&world, h));
    let new = hosts.map(|h| beside(&world, h).expect("it stands ready"));
    world.app().deploy_approve(&raj(), number).await.unwrap();
    let done = world.state(number, &["succeeded"]).await;
    assert_eq!(world.versions().await, ["two", "two"]);
    assert_eq!(hosts.map(|h| serving(&world, h)), new, "the process that stood ready serves");
    assert_eq!(hosts.map(|h| beside(&world, h)), old.map(Some), "the old one is kept warm");
    let link = std::fs::read_link(world.host_dir("host-1").join("services/photos/current")).unwrap();
    assert!(link.to_string_lossy().starts_with("releases/"), "{link:?}");
    assert!(done.hosts.iter().all(|h| h.state == "healthy"));

    let back = world.app().deploy_rollback(&mei(), number, None).await.unwrap();
    let back = world.state(back.number, &["succeeded"]).await;
    let staging = back.steps.iter().find(|s| s.name == "staging").unwrap();
    assert_eq!(Some(staging.started_at), staging.finished_at, "it begins with the flip");
    assert_eq!(world.versions().await, ["one", "one"]);
    assert_eq!(hosts.map(|h| serving(&world, h)), old, "nothing was started for the way back");
    world.until("the bad release to end", |_| new.iter().all(|pid| !runs(*pid))).await;
    assert!(hosts.iter().all(|h| beside(&world, h).is_none()));
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_canary_that_goes_back_turns_to_the_warm_process_and_the_rest_is_let_go() {
    let Some((world, number)) = ready(2, "canary: {hosts: 1, hold_s: 120}; batch: 100%").await else { return };
    let old = serving(&world, "host-1");
    world.until("the rest to stand ready", |_| kept(&world, "host-2")["beside"]["prepared"] == true).await;
    world.until("the canary to serve", |_| beside(&world, "host-1") == Some(old)).await;
    let (canary, rest) = (serving(&world, "host-1"), beside(&world, "host-2").unwrap());
    world.app().deploy_cancel(&mei(), number).await.unwrap();
    world.state(number, &["rolled_back"]).await;
    assert_eq!((serving(&world, "host-1"), world.versions().await), (old, vec!["one".to_owned(), "one".to_owned()]));
    world.until("what the deploy started to end", |_| !runs(canary) && !runs(rest)).await;
    assert_eq!((beside(&world, "host-1"), beside(&world, "host-2")), (None, None));
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_prepared_never_flips() {
    let Some((world, number)) = ready(2, APPROVED).await else { return };
    world.app().deploy_cancel(&mei(), number).await.unwrap();
    world.state(number, &["cancelled"]).await;
    let before = serving(&world, "host-1");
    world.commit("crashing");
    let bad = world.deploy().await;
    let bad = world.state(bad.number, &["failed"]).await;
    let why = bad.error.as_deref().unwrap();
    assert!(why.contains("it exited with code 7") && why.contains("cannot take the release"), "{why}");
    assert!(world.log_text(bad.number).contains("cannot open the database"), "its last words are kept");
    assert_eq!((serving(&world, "host-1"), world.versions().await), (before, vec!["one".to_owned(), "one".to_owned()]));
    world
        .until("nothing to stand beside", |_| beside(&world, "host-1").is_none() && beside(&world, "host-2").is_none())
        .await;

    // one that stood ready and ends before anybody clicked
    world.commit("three");
    let third = world.deploy().await;
    hosts_are(&world, third.number, "prepared").await;
    let pid = beside(&world, "host-2").unwrap();
    assert!(std::process::Command::new("kill").args(["-9", &pid.to_string()]).status().unwrap().success());
    let third = world.state(third.number, &["failed"]).await;
    assert!(third.error.as_deref().unwrap().contains("host-2 (it ended before its flip"), "{:?}", third.error);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn restarts_between_preparation_and_flip_lose_nothing() {
    let Some((mut world, number)) = ready(2, APPROVED).await else { return };
    let (kept_on, ended) = (beside(&world, "host-1").unwrap(), beside(&world, "host-2").unwrap());
    world.restart_server().await;
    world.connected(2).await;
    hosts_are(&world, number, "prepared").await;
    world.stop_agent("host-1").await;
    world.stop_agent("host-2").await;
    world.connected(0).await;
    assert!(std::process::Command::new("kill").args(["-9", &ended.to_string()]).status().unwrap().success());
    world.start_agent("host-1");
    world.start_agent("host-2");
    world.connected(2).await;
    let anew = |world: &World| beside(world, "host-2").is_some_and(|pid| pid != ended);
    world.until("it to stand ready anew", |_| anew(&world)).await;
    hosts_are(&world, number, "prepared").await;
    let started = beside(&world, "host-2").unwrap();
    world.app().deploy_approve(&raj(), number).await.unwrap();
    world.state(number, &["succeeded"]).await;
    assert_eq!((serving(&world, "host-1"), serving(&world, "host-2")), (kept_on, started));
    assert_eq!(world.versions().await, ["two", "two"]);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_end_leaves_no_process_also_where_the_agent_was_away() {
    let Some((mut world, number)) = ready(2, APPROVED).await else { return };
    let pids = [beside(&world, "host-1").unwrap(), beside(&world, "host-2").unwrap()];
    world.stop_agent("host-1").await;
    world.connected(1).await;
    world.app().deploy_cancel(&mei(), number).await.unwrap();
    world.state(number, &["cancelled"]).await;
    world.until("the one to end", |_| !runs(pids[1])).await;
    assert!(runs(pids[0]), "nobody could tell it yet");
    world.start_agent("host-1");
    world.until("the other to end", |_| !runs(pids[0])).await;
    assert_eq!((beside(&world, "host-1"), beside(&world, "host-2")), (None, None));
    assert_eq!(world.versions().await, ["one", "one"]);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_warm_process_ends_when_its_time_is_over() {
    if !crate::world::ready() {
        return;
    }
    let world = World::new(1).await;
    let first = world.deploy().await;
    world.state(first.number, &["succeeded"]).await;
    let old = serving(&world, "host-1");
    let path = world.repository().join(".tenfold/deploy.yaml");
    let text = std::fs::read_to_string(&path).unwrap().replace("  drain_s: 0", "  drain_s: 0\n  keep_warm_s: 1");
    std::fs::write(&path, text).unwrap();
    world.commit("two");
    let second = world.deploy().await;
    world.state(second.number, &["succeeded"]).await;
    world.until("the old process to end", |_| !runs(old)).await;
    assert_eq!(beside(&world, "host-1"), None);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_alone_are_flipped_by_their_link() {
    if !crate::world::ready() {
        return;
    }
    let world = World::new(2).await;
    let path = world.repository().join(".tenfold/deploy.yaml");
    let reload = "run:\n  reload: [sh, -c, \"grep -q bad current/dist/version.txt && exit 3; cat current/dist/version.txt >> reloaded\"]\n";
    let text = std::fs::read_to_string(&path).unwrap();
    let (from, to) = (text.find("run:").unwrap(), text.find("health:").unwrap());
    std::fs::write(&path, format!("{}{reload}{}", &text[..from], &text[to..])).unwrap();
    world.commit("one");
    let first = world.deploy().await;
    world.state(first.number, &["succeeded"]).await;
    world.commit("two");
    let second = world.deploy().await;
    world.state(second.number, &["succeeded"]).await;
    let file =
        |name: &str| std::fs::read_to_string(world.host_dir("host-2").join("services/photos").join(name)).unwrap();
    assert_eq!((file("current/dist/version.txt"), file("reloaded")), ("two".into(), "onetwo".into()));
    let release = world.app().hosts()[1].releases[0].clone();
    assert_eq!((release.state.as_str(), release.address), ("running", None));
    world.commit("bad");
    let third = world.deploy().await;
    let third = world.state(third.number, &["rolled_back"]).await;
    assert!(third.error.as_deref().unwrap().contains("exited with code 3"), "{:?}", third.error);
    assert_eq!(file("current/dist/version.txt"), "two");
    let back = world.app().deploy_rollback(&mei(), second.number, None).await.unwrap();
    world.state(back.number, &["succeeded"]).await;
    assert_eq!((file("current/dist/version.txt"), file("reloaded")), ("one".into(), "onetwoone".into()));
    world.end().await;
}

/// The same files under another environment are the same artifact; what goes back is how it is run.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_of_the_environment_alone_is_taken_back() {
    if !crate::world::ready() {
        return;
    }
    let world = World::new(2).await;
    let server = world.repository().join("server.mjs");
    let text = std::fs::read_to_string(&server).unwrap();
    let text = text.replace(
        "response.end(version)",
        "response.end(`${version} ${process.env.COLOUR} ${process.env.TENFOLD_HOST}`)",
    );
    std::fs::write(&server, text).unwrap();
    let paint = |colour: &str, target: &str| {
        world.write_pipeline(target);
        let path = world.repository().join(".tenfold/deploy.yaml");
        let env = format!("  drain_s: 0\n  env: {{COLOUR: {colour}, TENFOLD_HOST: elsewhere}}\n");
        std::fs::write(&path, std::fs::read_to_string(&path).unwrap().replace("  drain_s: 0\n", &env)).unwrap();
        world.commit_all(colour);
    };
    paint("blue", "canary: {hosts: 1, hold_s: 0}");
    let first = world.deploy().await;
    world.state(first.number, &["succeeded"]).await;
    let before = kept(&world, "host-1")["current"].clone();

    paint("red", "canary: {hosts: 1, hold_s: 120}; batch: 100%");
    let second = world.deploy().await;
    let colour = |world: &World| kept(world, "host-1")["current"]["run"]["env"]["COLOUR"].clone();
    world.until("the canary to serve", |_| colour(&world) == "red").await;
    assert_eq!(kept(&world, "host-1")["current"]["digest"], before["digest"]);
    // so that it is started anew and not found warm
    let warm = beside(&world, "host-1").expect("the old one is kept warm");
    assert!(std::process::Command::new("kill").args(["-9", &warm.to_string()]).status().unwrap().success());
    world.until("the warm one to be missed", |_| beside(&world, "host-1").is_none()).await;
    world.app().deploy_cancel(&mei(), second.number).await.unwrap();
    world.state(second.number, &["rolled_back"]).await;
    assert_eq!(world.versions().await, ["one blue host-1", "one blue host-2"], "tenfold's own words win");
    assert_eq!(kept(&world, "host-1")["current"]["run"], before["run"]);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_that_nobody_serves_are_not_healthy() {
    if !crate::world::ready() {
        return;
    }
    let mut world = World::new(1).await;
    let path = world.repository().join(".tenfold/deploy.yaml");
    let text = std::fs::read_to_string(&path).unwrap();
    let (from, to) = (text.find("run:").unwrap(), text.find("health:").unwrap());
    let reload = "run:\n  reload: [test, \"!\", -e, down]\n";
    std::fs::write(&path, format!("{}{reload}{}", &text[..from], &text[to..])).unwrap();
    world.commit("one");
    let first = world.deploy().await;
    world.state(first.number, &["succeeded"]).await;
    world.stop_agent("host-1").await;
    world.connected(0).await;
    let down = world.host_dir("host-1").join("services/photos/down");
    std::fs::write(&down, "").unwrap();
    world.start_agent("host-1");
    world.connected(1).await;
    let is = |app: &tenfold_app::App, wanted: &str| app.hosts()[0].releases.iter().any(|r| r.state.as_str() == wanted);
    world.until("the host to say so", |app| is(app, "unhealthy")).await;
    std::fs::remove_file(&down).unwrap();
    world.until("it to be told again", |app| is(app, "running")).await;
    world.end().await;
}

/// An agent of an earlier version gets no order that it does not know.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_older_agent_is_told_to_activate() {
    if !crate::world::ready() {
        return;
    }
    let world = World::new(0).await;
    world.write_pipeline(APPROVED);
    world.commit("one");
    let hello = FromAgent::Hello {
        protocol: PROTOCOL,
        name: "host-1".into(),
        environment: "production".into(),
        labels: BTreeMap::from([("role".into(), "web".into())]),
        version: "old".into(),
        releases: Vec::new(),
        packs: false,
        prepares: false,
        beside: Vec::new(),
    };
    let mut session = world.app().agent_connect(hello).await.unwrap();
    let deploy = world.deploy().await;
    let mut told = Vec::new();
    while let Some(message) = session.messages.recv().await {
        match message {
            ToAgent::Stage { order, digest, .. } => {
                told.push("stage");
                world.app().agent_message(&session, FromAgent::Staged { order, digest }).await.unwrap();
                hosts_are(&world, deploy.number, "prepared").await;
                world.app().deploy_approve(&raj(), deploy.number).await.unwrap();
            }
            ToAgent::Activate { order, digest, run, .. } => {
                told.push("activate");
                let release = Release {
                    service: order.service.clone(),
                    environment: order.environment.clone(),
                    digest,
                    sha: run.expect("how it runs").sha,
                    deploy: order.deploy,
                    state: ReleaseState::Running,
                    address: None,
                    metrics_path: None,
                    limits: None,
                    since: Timestamp(0),
                };
                world.app().agent_message(&session, FromAgent::Activated { order, release }).await.unwrap();
                break;
            }
            ToAgent::Welcome { .. } => {}
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(told, ["stage", "activate"]);
    world.state(deploy.number, &["succeeded"]).await;
    world.end().await;
}
