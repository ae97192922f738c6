//! Two servers on one database: the one that conducts stands still for longer than its leases, the other goes on.

use serde_json::Value;

use crate::everything;
use crate::world::{BACK_WITHIN, PATIENCE, Pipeline, World, running_hooks, signal, until};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_slept_past_its_lease_is_refused_and_stops_what_it_began() {
    let Some((_database, mut world)) = World::two_servers(2).await else { return };
    let first = world.deploy("photos").await;
    world.wait(first, &["succeeded"]).await;
    world.service("mail", Pipeline { hook: Some(("before_activate", 250_123, false)), ..Pipeline::default() }).await;
    let after = Some(("after_promote", 0, false));
    let target = "canary: {hosts: 1, hold_s: 15}".to_owned();
    world.pipeline("photos", &Pipeline { target, hook: after, ..Pipeline::default() });
    let mail = world.deploy("mail").await;
    until("the hook to begin", PATIENCE, async || (world.hooks_run(mail).await > 0).then_some(())).await;
    let photos = world.deploy("photos").await;
    world.wait(photos, &["canary"]).await;
    until("the canary to be healthy", PATIENCE, async || {
        (world.look(photos).await["hosts"][0]["state"] == "healthy").then_some(())
    })
    .await;
    let epoch = world.kept(1, "photos")["epoch"].as_i64().unwrap();

    signal(world.servers[0].pid(), "-STOP");
    let done = world.wait_at(1, photos, &["succeeded"]).await;
    assert!(done["hosts"].as_array().unwrap().iter().all(|h| h["state"] == "healthy"), "{done:#}");
    let unknown = world.wait_at(1, mail, &["failed"]).await;
    assert!(unknown["error"].as_str().unwrap().contains("is not known"), "{unknown:#}");
    assert_eq!(unknown["left"]["what"], "hook before_activate", "{unknown:#}");
    assert!(done["left"].is_null(), "nothing of it ran there: {done:#}");
    assert!(!world.servers[0].log().contains("took the deploy over"), "it stands still");
    let hooks = || running_hooks("250123");
    assert_eq!(hooks(), 1, "the hook of the one that stands still runs on");
    let next = world.ask_at(1, "POST", "/api/deploys", serde_json::json!({"service": "mail"})).await;
    let path = format!("/api/deploys/{}/log", next["number"]);
    until("the next deploy of that service to wait", PATIENCE, async || {
        let log = world.ask_at(1, "GET", &path, Value::Null).await;
        let waits = |line: &Value| line["text"].as_str().is_some_and(|text| text.contains("may still run"));
        log["items"].as_array().unwrap().iter().any(waits).then_some(())
    })
    .await;
    assert_eq!(world.look_at(1, next["number"].as_i64().unwrap()).await["state"], "queued");
    assert_eq!(hooks(), 1, "two of them never run at once");

    signal(world.servers[0].pid(), "-CONT");
    until("the first to let go", BACK_WITHIN, async || {
        let log = world.servers[0].log();
        (log.matches("took the deploy over").count() + log.matches("goes on elsewhere").count() >= 2).then_some(())
    })
    .await;
    until("its hook to end", BACK_WITHIN, async || (hooks() == 0).then_some(())).await;
    for host in [1, 2] {
        assert_eq!(world.kept(host, "photos")["current"]["deploy"], photos);
    }
    assert!(world.kept(2, "photos")["epoch"].as_i64().unwrap() > epoch, "whom the second ordered follows it alone");
    assert_eq!(world.hooks_run(mail).await, 1, "no hook runs twice");
    assert_eq!(world.hooks_run(photos).await, 1);
    for (deploy, end) in [(photos, "deploy.succeeded"), (mail, "deploy.failed")] {
        for server in [0, 1] {
            let kinds = world.kinds(server, deploy).await;
            for kind in [end, "deploy.taken_over"] {
                assert_eq!(kinds.iter().filter(|k| *k == kind).count(), 1, "{kind}: {kinds:?}");
            }
        }
    }
    let record = world.ask_at(1, "GET", "/api/events/verify", Value::Null).await;
    assert_eq!(record["ok"], true, "{record}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_killed_for_good_is_followed_by_the_other() {
    let Some((_database, mut world)) = World::two_servers(2).await else { return };
    let first = world.deploy("photos").await;
    world.wait(first, &["succeeded"]).await;
    let target = "canary: {hosts: 1, hold_s: 300}".to_owned();
    world.pipeline("photos", &Pipeline { target, ..Pipeline::default() });
    let number = world.deploy("photos").await;
    world.wait(number, &["canary"]).await;
    let held = until("the canary to be healthy", PATIENCE, async || {
        let deploy = world.look(number).await;
        (deploy["hosts"][0]["state"] == "healthy" && deploy["hold_until"].is_string()).then_some(deploy)
    })
    .await;
    world.kill_server();
    until("the other to go on, with its hosts", BACK_WITHIN, async || {
        let resumed = world.kinds(1, number).await.iter().any(|kind| kind == "deploy.resumed");
        let deploy = world.ask_at(1, "GET", &format!("/api/deploys/{number}"), Value::Null).await;
        let hosts = deploy["hosts"].as_array().unwrap();
        let there = hosts.iter().all(|h| h["away_since"].is_null()) && hosts[0]["state"] == "healthy";
        (resumed && there && deploy["hold_until"] == held["hold_until"]).then_some(())
    })
    .await;
    world.ask_at(1, "POST", &format!("/api/deploys/{number}/cancel"), Value::Null).await;
    world.wait_at(1, number, &["rolled_back"]).await;
}

/// The files of an artifact are on the disk of the server that built it, and that one is gone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_another_server_built_is_built_again_and_is_the_same() {
    let Some((_database, mut world)) = World::two_servers(2).await else { return };
    let first = world.deploy("photos").await;
    world.wait(first, &["succeeded"]).await;
    let before = world.on_disk(1, "photos").unwrap();
    // the second host gets none of it before the server is gone
    signal(world.agent_pid(2), "-STOP");
    let number = world.deploy("photos").await;
    world.is_on_the_first_alone(number).await;
    world.kill_server();
    signal(world.agent_pid(2), "-CONT");
    world.wait_at(1, number, &["succeeded"]).await;
    let after = world.on_disk(1, "photos").unwrap();
    assert_ne!(before, after);
    assert_eq!(world.on_disk(2, "photos").as_ref(), Some(&after), "both hosts have one and the same");
    let log = world.ask_at(1, "GET", &format!("/api/deploys/{number}/log"), Value::Null).await;
    let again =
        |line: &&Value| line["text"].as_str().is_some_and(|text| text.ends_with("was built again, and is the same"));
    assert_eq!(log["items"].as_array().unwrap().iter().filter(again).count(), 1, "{log:#}");
    assert!(!world.kinds(1, number).await.iter().any(|kind| kind == "deploy.failed"));

    // what it goes back to was built there as well
    let back = world.ask_at(1, "POST", &format!("/api/deploys/{number}/rollback"), serde_json::json!({})).await;
    world.wait_at(1, back["number"].as_i64().unwrap(), &["succeeded"]).await;
    for host in [1, 2] {
        assert_eq!(world.on_disk(host, "photos").as_ref(), Some(&before));
    }
}

/// Behind a balancer a click comes to either of them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_asked_at_the_other_server_reaches_the_one_that_conducts() {
    let Some((_database, mut world)) = World::two_servers(2).await else { return };
    let first = world.deploy("photos").await;
    world.wait(first, &["succeeded"]).await;
    let target = "canary: {hosts: 1, hold_s: 300}\n    approve: {count: 1, four_eyes: false}".to_owned();
    world.pipeline("photos", &Pipeline { target, ..Pipeline::default() });
    let number = world.deploy("photos").await;
    world.wait(number, &["awaiting_approval"]).await;
    let path = |verb: &str| format!("/api/deploys/{number}/{verb}");

    world.as_mei_at(1, &path("approve"), Value::Null).await;
    let kinds = world.kinds(1, number).await;
    assert!(kinds.iter().any(|kind| kind == "deploy.approved"), "the answer comes with the step: {kinds:?}");
    world.wait_at(1, number, &["canary"]).await;
    let refused = world.signed(world.http.post(world.url(1, &path("promote")))).send().await.unwrap();
    let (status, body) = (refused.status(), refused.text().await.unwrap());
    assert!(status == 409 && body.contains("not held"), "{status} {body}");
    let held = world.ask_at(1, "POST", &path("hold"), Value::Null).await;
    assert_eq!(held["state"], "held");
    let gone_back = world.ask_at(1, "POST", &path("abort"), Value::Null).await;
    assert_ne!(gone_back["state"], "held");
    world.wait_at(1, number, &["rolled_back"]).await;
    for (kind, count) in [("deploy.approved", 1), ("deploy.held", 1), ("deploy.rolled_back", 1)] {
        let kinds = world.kinds(0, number).await;
        assert_eq!(kinds.iter().filter(|k| *k == kind).count(), count, "{kinds:?}");
    }
}

async fn count(world: &World, server: usize, number: i64, kind: &str) -> usize {
    world.kinds(server, number).await.iter().filter(|k| *k == kind).count()
}

/// Within ten seconds it is said what may still run at a server that is gone, and until when; the one that waits for it does not
/// forget it over a restart of its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_another_server_left_is_said_and_not_forgotten() {
    let Some((_database, mut world)) = World::two_servers(1).await else { return };
    world.pipeline("photos", &Pipeline { hook: Some(("before_activate", 252_123, true)), ..Pipeline::default() });
    let number = world.deploy("photos").await;
    until("the hook to begin", PATIENCE, async || (world.hooks_run(number).await > 0).then_some(())).await;
    world.kill_server();
    let left = until("what is left to be said", BACK_WITHIN, async || {
        let left = world.look_at(1, number).await["left"].clone();
        let said = count(&world, 1, number, "deploy.taken_over").await == 1;
        (said && left["what"] == "hook before_activate" && left["until"].is_string()).then_some(left)
    })
    .await;
    assert_eq!(running_hooks("252123"), 1, "it runs on by itself");

    world.servers.swap(0, 1);
    world.kill_server();
    world.start_server(&[]).await;
    until("it to be taken up again, with the hook that waits", BACK_WITHIN, async || {
        let waits = world.look(number).await["hook"] == "before_activate";
        (waits && count(&world, 0, number, "deploy.resumed").await == 2).then_some(())
    })
    .await;
    // a hook that does not wait begins within one of these
    for _ in 0..100 {
        assert_eq!(world.look(number).await["left"], left);
        assert!(running_hooks("252123") < 2, "one beside the other");
    }
    assert_eq!(count(&world, 0, number, "deploy.taken_over").await, 1, "it is taken over once");
    world.ask("POST", &format!("/api/deploys/{number}/cancel"), Value::Null).await;
    world.wait(number, &["cancelled"]).await;
}

/// The lease says then that it is its own, and the hook is still the other's.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_is_killed_as_it_takes_over_does_not_take_the_hook_for_its_own() {
    let Some((_database, mut world)) = World::two_servers(1).await else { return };
    world.pipeline("photos", &Pipeline { hook: Some(("before_activate", 253_123, true)), ..Pipeline::default() });
    let number = world.deploy("photos").await;
    until("the hook to begin", PATIENCE, async || (world.hooks_run(number).await > 0).then_some(())).await;
    world.servers.swap(0, 1);
    world.kill_server();
    world.start_server(&[("TENFOLD_DIES_WITH_LEASE", "1".to_owned())]).await;
    world.servers.swap(0, 1);
    world.kill_server();
    world.servers.swap(0, 1);
    until("the other to die with the lease", PATIENCE, async || world.server_died().map(drop)).await;
    assert_eq!(running_hooks("253123"), 1, "it runs on by itself");

    world.start_server(&[]).await;
    let left = until("what is left to be said", BACK_WITHIN, async || {
        let left = world.look(number).await["left"].clone();
        let said = count(&world, 0, number, "deploy.taken_over").await == 1;
        (said && left["what"] == "hook before_activate").then_some(left)
    })
    .await;
    // a hook that does not wait begins within one of these
    for _ in 0..100 {
        assert_eq!(world.look(number).await["left"], left);
        assert!(running_hooks("253123") < 2, "one beside the other");
    }
    world.ask("POST", &format!("/api/deploys/{number}/cancel"), Value::Null).await;
    world.wait(number, &["cancelled"]).await;
}

/// Nobody can ask the machine of a server that is gone, so its programs have a time by which they have ended.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_ran_on_a_server_that_is_gone_runs_again_after_it_has_ended() {
    if !everything() {
        return println!("skipped: it takes more than a minute; DEPLOY_KILL=all runs it");
    }
    let Some((_database, mut world)) = World::two_servers(1).await else { return };
    world.pipeline("photos", &Pipeline { hook: Some(("before_activate", 251_123, true)), ..Pipeline::default() });
    let number = world.deploy("photos").await;
    until("the hook to begin", PATIENCE, async || (world.hooks_run(number).await > 0).then_some(())).await;
    world.kill_server();
    let hooks = || {
        let running = running_hooks("251123");
        assert!(running < 2, "one beside the other");
        running
    };
    until("the other to take it over", PATIENCE, async || {
        let log = world.ask_at(1, "GET", &format!("/api/deploys/{number}/log"), Value::Null).await;
        hooks();
        log["items"]
            .as_array()
            .unwrap()
            .iter()
            .any(|l| l["text"].as_str().unwrap().contains("may run on there"))
            .then_some(())
    })
    .await;
    assert_eq!(hooks(), 1, "it runs on by itself");
    until("its end", PATIENCE, async || (hooks() == 0).then_some(())).await;
    until("the hook to run again", PATIENCE, async || (hooks() == 1).then_some(())).await;
    world.ask_at(1, "POST", &format!("/api/deploys/{number}/cancel"), Value::Null).await;
    world.wait_at(1, number, &["cancelled"]).await;
    until("its end", BACK_WITHIN, async || (hooks() == 0).then_some(())).await;
}
