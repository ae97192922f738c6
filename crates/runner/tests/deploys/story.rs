//! Deploys as people live them, with a real server, real agents and real processes.

use crate::world::{World, mei, new_deploy, ready};
use tenfold_app::{
    App, Caller,
    deploys::views::{Deploy, LockKind, NewLock},
};
use tenfold_promql::Value;
use tenfold_types::ErrorCode;

fn host<'a>(deploy: &'a Deploy, name: &str) -> &'a tenfold_app::deploys::views::DeployHost {
    deploy.hosts.iter().find(|h| h.host == name).expect("the deploy knows the host")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_release_goes_out_and_comes_back() {
    if !ready() {
        return;
    }
    let world = World::new(3).await;
    let first = world.deploy().await;
    assert_eq!(first.state, "queued");
    let first = world.state(first.number, &["succeeded"]).await;
    assert_eq!(world.versions().await, ["one", "one", "one"]);
    assert!(host(&first, "host-1").canary && !host(&first, "host-2").canary);
    assert!(first.hosts.iter().all(|h| h.state == "healthy" && h.digest_observed == first.digest));

    let sha = world.commit("two");
    let next = world.app().deploy_next("photos", "production", None).await.unwrap();
    assert_eq!(next.current.as_ref().unwrap().sha, first.to_sha);
    assert_eq!((next.next.sha.as_str(), next.added_count, next.removed_count), (sha.as_str(), 1, 0));
    assert_eq!(next.added[0].message, "Version two");
    assert_eq!(next.hosts, ["host-1", "host-2", "host-3"]);

    let second = world.deploy().await;
    let second = world.state(second.number, &["succeeded"]).await;
    assert_eq!(world.versions().await, ["two", "two", "two"]);
    assert_eq!((second.from_sha.as_deref(), second.commit_count), (Some(first.to_sha.as_str()), 1));
    let said = world.text(second.number, "deploy.succeeded").await;
    assert_eq!(said, format!("mei deployed photos {} to production (1 commit), 3 hosts", &sha[..7]));
    let log = world.log_text(second.number);
    for line in ["$ node build.mjs", "building two", "built two", "started node dist/server.mjs"] {
        assert!(log.contains(line), "{line} is missing in\n{log}");
    }

    let back = world.app().deploy_rollback(&mei(), second.number, Some("slow pages".into())).await.unwrap();
    assert_eq!((back.kind.as_str(), back.reverts), ("rollback", Some(second.number)));
    let back = world.state(back.number, &["succeeded"]).await;
    assert_eq!(world.versions().await, ["one", "one", "one"]);
    assert_eq!(back.digest, first.digest);
    let kinds = world.kinds(back.number).await;
    assert!(!kinds.iter().any(|k| k == "deploy.build_started"), "nothing is built: {kinds:?}");
    assert_eq!(kinds.last().map(String::as_str), Some("deploy.rolled_back"));
    assert_eq!(world.app().deploy(second.number).await.unwrap().reverted_by, Some(back.number));

    // what was taken back still lies ahead
    let next = world.app().deploy_next("photos", "production", None).await.unwrap();
    assert_eq!((next.current.unwrap().sha, next.next.sha), (first.to_sha.clone(), sha));
    // and an older commit takes out what runs
    world.app().deploy_start(&mei(), new_deploy(None)).await.unwrap();
    world.state(4, &["succeeded"]).await;
    let older = world.app().deploy_next("photos", "production", Some(&first.to_sha)).await.unwrap();
    assert_eq!((older.added_count, older.removed_count, older.removed[0].message.as_str()), (0, 1, "Version two"));
    let log = world.log_text(4);
    assert!(log.contains("this commit was built before"), "an artifact is built once: {log}");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hosts_say_how_they_are_doing() {
    if !ready() {
        return;
    }
    let mut world = World::new(2).await;
    let deploy = world.deploy().await;
    world.state(deploy.number, &["succeeded"]).await;
    let value = |app: &App, query: &str| -> Option<f64> {
        match app.metrics.query_instant(query, app.now()).unwrap() {
            Value::Vector(found) => found.first().and_then(|sample| sample.value.float()),
            other => panic!("{query} gives {other:?}"),
        }
    };
    world.until("both hosts' load", |app| value(app, "count(node_load1)") == Some(2.0)).await;
    world
        .until("the processes of a service", |app| {
            value(app, "count(namedprocess_namegroup_num_procs{service=\"photos\"} > 0)") == Some(2.0)
        })
        .await;
    assert_eq!(value(world.app(), "count(up{job=\"node\",environment=\"production\"} == 1)"), Some(2.0));
    // One falls silent: it counts as down, and its series end. Somebody removes it, and nothing is left of it.
    world.stop_agent("host-1").await;
    world.until("silence to be seen", |app| value(app, "up{job=\"node\",instance=\"host-1\"}") == Some(0.0)).await;
    assert_eq!(value(world.app(), "node_load1{instance=\"host-1\"}"), None);
    assert_eq!(value(world.app(), "count(node_load1)"), Some(1.0));
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_goes_wrong_is_shown_and_nothing_is_lost() {
    if !ready() {
        return;
    }
    let mut world = World::new(2).await;
    let first = world.deploy().await;
    world.state(first.number, &["succeeded"]).await;

    // a build that fails
    world.commit("unbuildable");
    let failed = world.deploy().await;
    let failed = world.state(failed.number, &["failed"]).await;
    assert_eq!(failed.error.as_deref(), Some("the build exited with code 3"));
    assert!(world.log_text(failed.number).contains("no such module: left-pad"));
    assert!(failed.hosts.iter().all(|h| h.state == "waiting"));

    // a release that exits, and one whose health check never passes: the canary goes back by itself
    for (version, said) in [("crashing", "it exited with code 7"), ("sick", "it answered 503")] {
        if version == "sick" {
            let pipeline = world.repository().join(".tenfold/deploy.yaml");
            let text = std::fs::read_to_string(&pipeline).unwrap().replace("within_s: 15", "within_s: 10");
            std::fs::write(&pipeline, text).unwrap();
        }
        world.commit(version);
        let bad = world.deploy().await;
        let bad = world.state(bad.number, &["rolled_back"]).await;
        assert!(bad.error.as_deref().unwrap().contains(said), "{:?}", bad.error);
        assert_eq!(
            (host(&bad, "host-1").state.as_str(), host(&bad, "host-2").state.as_str()),
            ("rolled_back", "staged")
        );
        assert_eq!(world.versions().await, ["one", "one"], "the old release never stopped");
        // it is locked with what was seen, and whoever unlocks it may try the next
        let lock = world.app().locks().await.unwrap().remove(0);
        assert!(lock.owner_name == "tenfold" && lock.reason.contains(said), "{lock:?}");
        assert_eq!(lock.deploy, Some(bad.number));
        let refused = world.app().deploy_start(&mei(), new_deploy(None)).await.unwrap_err();
        assert!(refused.code == ErrorCode::Locked && refused.advice.contains("rollforward"), "{refused:?}");
        assert_eq!(world.app().unlock(&mei(), "photos", "production").await.unwrap(), 1);
        if version == "crashing" {
            assert!(
                world.log_text(bad.number).contains("cannot open the database"),
                "the release's last words are kept"
            );
        }
    }

    // a pipeline file that cannot be read, a branch that is not there
    std::fs::write(world.repository().join(".tenfold/deploy.yaml"), "service: photos\nbuidl: {}\n").unwrap();
    let broken = world.commit_all("Break the pipeline file");
    let fault = world.app().deploy_start(&mei(), new_deploy(None)).await.unwrap_err();
    assert!(fault.message.contains("line 2") && fault.message.contains("buidl"), "{}", fault.message);
    let next = world.app().deploy_next("photos", "production", None).await.unwrap();
    assert!(next.warnings[0].contains("line 2") && next.next.sha == broken);
    let fault = world.app().deploy_start(&mei(), new_deploy(Some("nowhere"))).await.unwrap_err();
    assert_eq!(fault.code, ErrorCode::NotFound);
    for hostile in ["--upload-pack=x", "main; reboot", "HEAD^{/x}"] {
        assert!(world.app().deploy_start(&mei(), new_deploy(Some(hostile))).await.is_err(), "{hostile}");
    }

    // hosts that are not known
    world.write_pipeline("canary: {hosts: 1, hold_s: 0}");
    let pipeline = world.repository().join(".tenfold/deploy.yaml");
    let text = std::fs::read_to_string(&pipeline).unwrap();
    std::fs::write(&pipeline, text.replace("hosts: {role: web}", "hosts: {name: host-9}")).unwrap();
    world.commit_all("Aim at a host nobody knows");
    let fault = world.app().deploy_start(&mei(), new_deploy(None)).await.unwrap_err();
    assert!(fault.message.contains("name=host-9`; known are host-1, host-2"), "{}", fault.message);

    // a host that is away: the deploy ends before anything changed
    world.write_pipeline("canary: {hosts: 1, hold_s: 0}");
    world.commit("two");
    world.stop_agent("host-2").await;
    world.connected(1).await;
    let next = world.app().deploy_next("photos", "production", None).await.unwrap();
    assert!(next.warnings.iter().any(|w| w == "Not connected: host-2"), "{:?}", next.warnings);
    let failed = world.deploy().await;
    let failed = world.state(failed.number, &["failed"]).await;
    assert!(failed.error.as_deref().unwrap().contains("host-2 (its agent is not connected)"), "{:?}", failed.error);
    assert_eq!(host(&failed, "host-2").state, "unreachable");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lock_keeps_others_out_and_not_its_owner() {
    if !ready() {
        return;
    }
    let world = World::new(1).await;
    let new = NewLock {
        service: "photos".into(),
        environment: "production".into(),
        reason: "moving the database".into(),
        expires_at: None,
        minutes: Some(30),
        kind: LockKind::Lock,
        from: None,
        sha: None,
    };
    let mut raj = mei();
    raj.actor = tenfold_types::Actor::person("raj");
    raj.name = "raj".into();
    let freeze = NewLock { reason: "stocktaking".into(), kind: LockKind::Freeze, ..new.clone() };
    let lock = world.app().lock_create(&raj, new).await.unwrap();
    let fault = world.app().deploy_start(&mei(), new_deploy(None)).await.unwrap_err();
    assert_eq!(fault.code, ErrorCode::Locked);
    assert!(fault.message.contains("by raj") && fault.message.contains("moving the database"), "{}", fault.message);
    // who only looks is told the same: the lock keeps its owner from nothing, and the freeze behind it does
    let next = async |who: &Caller| world.app().deploy_next_for(who, "photos", "production", None).await.unwrap();
    assert_eq!(next(&mei()).await.locked_out, Some(fault.message));
    let own = next(&raj).await;
    assert_eq!((own.locked_out, own.locked.map(|l| l.kind)), (None, Some(LockKind::Lock)));
    let freeze = world.app().lock_create(&raj, freeze).await.unwrap();
    let frozen = next(&raj).await;
    assert_eq!(frozen.locked.map(|l| l.kind), Some(LockKind::Freeze));
    assert!(frozen.locked_out.is_some_and(|why| why.contains("photos is frozen on production by raj")));
    world.app().lock_release(&raj, &freeze.id).await.unwrap();
    let mine = world.app().deploy_start(&raj, new_deploy(None)).await.unwrap();
    let busy = world.app().deploy_start(&raj, new_deploy(None)).await.unwrap_err();
    assert_eq!(busy.code, ErrorCode::Conflict, "one at a time: {}", busy.message);
    world.state(mine.number, &["succeeded"]).await;
    world.app().lock_release(&mei(), &lock.id).await.unwrap();
    assert!(world.app().locks().await.unwrap().is_empty());
    let nobody = Caller { grants: Vec::new(), ..mei() };
    let fault = world.app().deploy_start(&nobody, new_deploy(None)).await.unwrap_err();
    assert_eq!(fault.code, ErrorCode::Forbidden);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cancelling_a_build_ends_its_processes() {
    if !ready() {
        return;
    }
    let world = World::new(1).await;
    world.commit("slow");
    let deploy = world.deploy().await;
    let mut lines = world.app().deploy_log(deploy.number).follow();
    let seen = async { while !lines.recv().await.is_ok_and(|l| l.text == "building slow") {} };
    tokio::time::timeout(crate::world::PATIENCE, seen).await.unwrap();
    let cancelled = world.app().deploy_cancel(&mei(), deploy.number).await.unwrap();
    assert_eq!(cancelled.state, "cancelled");
    let folder = world.dir.path().join("data/builds").join(deploy.number.to_string());
    world.until("the build's folder to go", |_| !folder.exists()).await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_canary_without_data_is_held_and_with_data_is_judged() {
    if !ready() {
        return;
    }
    let world = World::new(2).await;
    let first = world.deploy().await;
    world.state(first.number, &["succeeded"]).await;
    let check = |query: &str| format!("canary: {{hosts: 1, hold_s: 0, check: {{query: '{query}', max: 0.5}}}}");
    for (version, query, state) in [
        ("two", "errors_total{job=\"$service\"}", "held"),
        ("three", "vector(0.1)", "succeeded"),
        ("four", "vector(0.9)", "rolled_back"),
    ] {
        world.write_pipeline(&check(query));
        world.commit(version);
        let deploy = world.deploy().await;
        let deploy = world.state(deploy.number, &[state]).await;
        if state == "held" {
            assert!(deploy.error.as_deref().unwrap().contains("has no data"), "{:?}", deploy.error);
            assert!(deploy.error.as_deref().unwrap().contains("job=\"photos\""), "{:?}", deploy.error);
            world.app().deploy_abort(&mei(), deploy.number).await.unwrap();
            world.state(deploy.number, &["rolled_back"]).await;
        }
    }
    assert_eq!(world.versions().await, ["three", "three"]);
    let again = world.app().deploy_start(&mei(), new_deploy(None)).await.unwrap_err();
    assert!(again.code == ErrorCode::Locked && again.message.contains("vector(0.9)"), "{again}");
    world.end().await;
}
