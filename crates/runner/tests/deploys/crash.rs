//! Servers and agents that end in the middle.

use tenfold_deploys::{Digest, Pipeline};
use tenfold_runner::agent::state_of;
use tenfold_testkit::{keeper_of, kill_keeper, stat_of};

use crate::world::{World, mei, ready};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_killed_in_the_canary_goes_on() {
    if !ready() {
        return;
    }
    let mut world = World::new(3).await;
    let first = world.deploy().await;
    world.state(first.number, &["succeeded"]).await;
    // long enough to be killed in
    world.write_pipeline("canary: {hosts: 1, hold_s: 10}");
    world.commit("two");
    let second = world.deploy().await;
    let at = world.state(second.number, &["canary"]).await;
    assert!(at.finished_at.is_none());
    world.restart_server().await;
    let done = world.state(second.number, &["succeeded"]).await;
    assert!(done.hosts.iter().all(|h| h.state == "healthy"), "{:?}", done.hosts);
    assert_eq!(world.versions().await, ["two", "two", "two"]);
    assert!(world.kinds(second.number).await.iter().any(|k| k == "deploy.resumed"));
    assert!(world.log_text(second.number).contains("goes on after a restart"));
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_build_outlives_the_server_and_is_begun_once_more_when_it_is_lost() {
    if !ready() {
        return;
    }
    let mut world = World::new(1).await;
    world.commit("slow");
    let deploy = world.deploy().await;
    let said = |app: &tenfold_app::App, words: &str| {
        app.deploy_log(deploy.number).after(0).iter().filter(|l| l.text == words).count()
    };
    let step = format!("builds/{}.step", deploy.number);
    world.until("the build", |app| said(app, "building slow") == 1).await;
    for round in 1..=3 {
        world.restart_server().await;
        let words = "the build outlived the server and is followed again";
        world.until("the build to be found", |app| said(app, words) == round).await;
    }
    assert_eq!((said(world.app(), "building slow"), said(world.app(), "$ node build.mjs")), (1, 1), "it is the same");
    world.state(deploy.number, &["building"]).await;
    world.restart_server_while(|data| kill_keeper(&data.join(&step))).await;
    world.until("the second build", |app| said(app, "building slow") == 2).await;
    world.state(deploy.number, &["building"]).await;
    world.restart_server_while(|data| kill_keeper(&data.join(&step))).await;
    let ended = world.state(deploy.number, &["interrupted"]).await;
    assert!(ended.error.as_deref().unwrap().contains("while it was building"));
    assert!(ended.hosts.iter().all(|h| h.state == "waiting"));
    // what was interrupted can be started again
    world.commit("two");
    let next = world.deploy().await;
    world.state(next.number, &["succeeded"]).await;
    world.end().await;
}

/// A server of another name has started on what another one left: it cannot know that the program has ended with it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_another_server_left_is_said_and_waited_for() {
    if !ready() {
        return;
    }
    let mut world = World::new(1).await;
    world.commit("slow");
    let number = world.deploy().await.number;
    let said = |app: &tenfold_app::App, words: &str| {
        app.deploy_log(number).after(0).iter().filter(|l| l.text.contains(words)).count()
    };
    world.until("the build", |app| said(app, "building slow") == 1).await;
    world.restart_server_while(|data| std::fs::write(data.join("node"), "the-other").unwrap()).await;
    world.until("what is left to be said", |app| said(app, "its build may run on there") == 1).await;
    let left = world.app().deploy(number).await.unwrap().left.expect("a build was under way");
    assert_eq!(left.what, "build");
    assert!(left.until > world.app().now() && left.server != "the-other", "{left:?}");
    // it is not forgotten, and what only waited counts for no build that was lost
    for round in 2..=3 {
        world.restart_server().await;
        world.until("it to be taken up again", |app| said(app, "goes on after a restart") == round).await;
        let deploy = world.app().deploy(number).await.unwrap();
        assert_eq!((deploy.state.as_str(), deploy.left.as_ref()), ("building", Some(&left)));
    }
    assert_eq!(world.kinds(number).await.iter().filter(|kind| *kind == "deploy.taken_over").count(), 1);
    assert_eq!(said(world.app(), "building slow"), 1, "nothing of it is run again before");
    world.app().deploy_cancel(&mei(), number).await.unwrap();
    world.state(number, &["cancelled"]).await;
    world.end().await;
}

/// Another deploy of the commit may have built it while the server was away.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_build_that_nobody_needs_any_more_is_ended() {
    if !ready() {
        return;
    }
    let mut world = World::new(1).await;
    let first = world.deploy().await;
    let first = world.state(first.number, &["succeeded"]).await;
    let sha = world.commit("slow");
    let deploy = world.deploy().await;
    let number = deploy.number;
    let log = move |app: &tenfold_app::App| app.deploy_log(number).after(0);
    world.until("the build", |app| log(app).iter().any(|l| l.text == "building slow")).await;
    let step = world.dir.path().join(format!("data/builds/{number}.step"));
    let keeper = keeper_of(&step).expect("it has a keeper");

    let file = std::fs::read_to_string(world.repository().join(".tenfold/deploy.yaml")).unwrap();
    let pipeline = Pipeline::parse(&file).unwrap();
    let recipe = Digest::of(&serde_json::to_vec(&(&pipeline.build, &pipeline.artifact)).unwrap()).to_string();
    let digest = first.digest.expect("it has an artifact");
    let known = world.app().housekeeping(move |t| {
        let now = t.now();
        Ok(tenfold_store::deploys::artifact_put(t.tx(), "photos", &sha, &recipe, &digest, now)?)
    });
    known.await.unwrap();
    world.restart_server().await;
    world.state(number, &["succeeded"]).await;
    assert!(log(world.app()).iter().any(|l| l.text.starts_with("this commit was built before")));
    world.until("its folders to go", |_| !step.exists() && !step.with_extension("").exists()).await;
    let is_gone = || stat_of(keeper).first().is_none_or(|state| state == "Z");
    world.until("its keeper to end", |_| is_gone()).await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_that_restarts_adopts_its_service() {
    if !ready() {
        return;
    }
    let mut world = World::new(1).await;
    let first = world.deploy().await;
    world.state(first.number, &["succeeded"]).await;
    let dir = world.host_dir("host-1");
    let pid = || state_of(&dir, "photos")["current"]["process"]["pid"].as_i64();
    let before = pid().expect("a process serves");
    let address = world.app().hosts()[0].releases[0].address.clone();
    world.stop_agent("host-1").await;
    world.connected(0).await;
    assert_eq!(world.versions().await, ["one"], "the service does not need the agent");
    assert_eq!(world.app().hosts()[0].releases[0].state, "unknown");
    world.start_agent("host-1");
    world.connected(1).await;
    assert_eq!(pid(), Some(before));
    assert_eq!(world.app().hosts()[0].releases[0].address, address);
    assert_eq!(world.app().hosts()[0].releases[0].state, "running");

    // a service that dies is started again
    let status = std::process::Command::new("kill").args(["-9", &before.to_string()]).status().unwrap();
    assert!(status.success());
    world.until("the service to be down", |app| app.hosts()[0].releases[0].state == "unhealthy").await;
    world.until("the service to be up", |app| app.hosts()[0].releases[0].state == "running").await;
    assert_eq!(world.versions().await, ["one"]);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_lost_in_the_middle_holds_the_deploy() {
    if !ready() {
        return;
    }
    let mut world = World::new(2).await;
    let first = world.deploy().await;
    world.state(first.number, &["succeeded"]).await;
    world.write_pipeline("canary: {hosts: 1, hold_s: 120}");
    world.commit("two");
    let second = world.deploy().await;
    world.state(second.number, &["canary"]).await;
    world.until("the canary to be healthy", |app| app.hosts()[0].releases[0].deploy == second.number).await;
    world.stop_agent("host-1").await;
    let held = world.state(second.number, &["held"]).await;
    assert!(held.error.as_deref().unwrap().contains("host-1 is out of reach"), "{:?}", held.error);
    world.start_agent("host-1");
    world.connected(2).await;
    world.app().deploy_promote(&crate::world::mei(), second.number).await.unwrap();
    world.state(second.number, &["succeeded"]).await;
    assert_eq!(world.versions().await, ["two", "two"]);
    world.end().await;
}
