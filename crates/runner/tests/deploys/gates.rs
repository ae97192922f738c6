//! What stands between a commit and the hosts besides the canary: steps, hooks, people, windows, freezes, pins, and what
//! cannot be undone; with real hosts and real programs.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tenfold_app::deploys::views::{LockKind, NewDeploy, NewLock};
use tenfold_app::people::PersonUpdate;
use tenfold_app::{Caller, Grant, Role};
use tenfold_types::{Actor, ErrorCode};

use crate::judged::{HOSTS, SCRAPE, scrape};
use crate::queue::said;
use crate::world::{World, mei, new_deploy, ready};

fn person(login: &str, role: Role) -> Caller {
    let mut caller = mei();
    caller.actor = Actor::person(login);
    login.clone_into(&mut caller.name);
    caller.grants = vec![Grant::everywhere(role)];
    caller
}

fn lock(kind: LockKind, sha: Option<&str>) -> NewLock {
    NewLock {
        service: "photos".into(),
        environment: "production".into(),
        reason: "until the fix is out".into(),
        expires_at: None,
        minutes: Some(30),
        kind,
        from: None,
        sha: sha.map(str::to_owned),
    }
}

/// The target's settings, and what stands beside the targets.
fn file(world: &World, target: &str, beside: &str) {
    world.write_pipeline(target);
    let path = world.repository().join(".tenfold/deploy.yaml");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(path, format!("{text}{beside}\n")).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deploy_goes_step_by_step_with_hooks_and_people() {
    if !ready() {
        return;
    }
    let world = World::new(4).await;
    let first = world.deploy().await;
    world.state(first.number, &["succeeded"]).await;
    let hook = |say: &str| format!("{{command: [node, -e, \"console.log('{say} ' + process.env.TENFOLD_HOOK)\"]}}");
    file(
        &world,
        "canary: {hold_s: 0, steps: [{hosts: 1}, {hosts: 3}]}; approve: {count: 2, by: [raj, ana, mei]}",
        &format!(
            "hooks:\n  before_build: {}\n  before_activate: {}\n  before_promote: {}\n  after_promote: {{command: [node, -e, \"process.exit(4)\"]}}",
            hook("hello"),
            hook("ready"),
            hook("good"),
        ),
    );
    world.commit("two");
    let planned = world.app().deploy_next("photos", "production", None).await.unwrap();
    let absent =
        "`approve.by` names who has no account in use here: raj, ana, mei; 2 have to agree, so it waits in vain";
    assert!(planned.warnings.iter().any(|warning| warning == absent), "{:?}", planned.warnings);
    let told: Vec<String> = planned.plan.iter().map(|s| format!("{} {:?}", s.name, s.hosts)).collect();
    assert_eq!(
        told[2..],
        [
            "awaiting_approval []",
            "canary [[\"host-1\"]]",
            "canary [[\"host-2\", \"host-3\"]]",
            "promoting [[\"host-4\"]]"
        ]
    );
    let deploy = world.deploy().await;
    let waiting = world.state(deploy.number, &["awaiting_approval"]).await;
    assert_eq!(waiting.approval.as_ref().map(|a| (a.count, a.four_eyes)), Some((2, true)));
    assert_eq!(world.versions().await, ["one"; 4]);
    let own = world.app().deploy_approve(&mei(), deploy.number).await.unwrap_err();
    assert!(own.message.contains("whoever started"), "{own}");
    let eve = world.app().deploy_approve(&person("eve", Role::Deployer), deploy.number).await.unwrap_err();
    assert!(eve.code == ErrorCode::Forbidden && eve.message.contains("raj, ana, mei"), "{eve}");
    let viewer = world.app().deploy_approve(&person("raj", Role::Viewer), deploy.number).await.unwrap_err();
    assert_eq!(viewer.code, ErrorCode::Forbidden);
    let robot = world.app().deploy_approve(&Caller::system(), deploy.number).await.unwrap_err();
    assert_eq!(robot.code, ErrorCode::Forbidden);
    let half = world.app().deploy_approve(&person("raj", Role::Deployer), deploy.number).await.unwrap();
    assert_eq!(half.state, "awaiting_approval");
    world.app().deploy_approve(&person("ana", Role::Deployer), deploy.number).await.unwrap();
    let done = world.state(deploy.number, &["succeeded"]).await;
    assert_eq!((done.canary_steps, done.canary_steps_passed), (2, 2));
    assert_eq!(world.versions().await, ["two"; 4]);
    let log = world.log_text(deploy.number);
    for line in ["hello before_build", "ready before_activate", "good before_promote"] {
        assert!(log.contains(line), "{line} in {log}");
    }
    let kinds = world.kinds(deploy.number).await;
    let at = |kind: &str| kinds.iter().position(|k| k == kind).unwrap_or_else(|| panic!("{kind} in {kinds:?}"));
    assert!(at("deploy.awaiting_approval") < at("deploy.approved"));
    assert!(
        at("deploy.canary_started") < at("deploy.canary_step") && at("deploy.canary_step") < at("deploy.promoting")
    );
    assert!(at("deploy.hook_failed") < at("deploy.succeeded"), "a notice that fails undoes nothing");

    file(
        &world,
        "canary: {hosts: 1, hold_s: 0}",
        "hooks:\n  before_promote: {command: [node, -e, \"process.exit(4)\"]}",
    );
    world.commit("three");
    let back = world.deploy().await;
    let back = world.state(back.number, &["rolled_back"]).await;
    assert!(
        back.error.as_deref().unwrap().contains("the hook before_promote failed: it exited with code 4"),
        "{back:?}"
    );
    assert_eq!(world.app().unlock(&mei(), "photos", "production").await.unwrap(), 1);
    file(
        &world,
        "canary: {hosts: 1, hold_s: 0}",
        "hooks:\n  before_activate: {command: [node, -e, \"setInterval(() => {}, 1000)\"], idle_timeout_s: 1}",
    );
    world.commit("four");
    let silent = world.deploy().await;
    let silent = world.state(silent.number, &["failed"]).await;
    assert!(silent.error.as_deref().unwrap().contains("printed nothing for 1 s"), "{silent:?}");
    assert_eq!(world.versions().await, ["two"; 4]);
    let hooks = world.dir.path().join("data/hooks");
    world.until("what is left of hooks to go", |_| std::fs::read_dir(&hooks).unwrap().count() == 0).await;
    world.end().await;
}

/// Who is in a team is asked when they approve, and what was given stays.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_team_approves_as_it_is_then() {
    if !ready() {
        return;
    }
    let world = World::new(1).await;
    let first = world.deploy().await;
    world.state(first.number, &["succeeded"]).await;
    world.write_pipeline("canary: {hosts: 1, hold_s: 0}; approve: {count: 2, by: [ana], teams: [photos]}");
    world.commit("two");
    let app = world.app();
    let next = app.deploy_next("photos", "production", None).await.unwrap();
    let absent = "`approve.by` names who has no account in use here: ana; `approve.teams` names teams that nobody is in: \
                  photos; 2 have to agree, so it waits in vain";
    assert!(next.warnings.iter().any(|warning| warning == absent), "{:?}", next.warnings);
    let number = world.deploy().await.number;
    let waiting = world.state(number, &["awaiting_approval"]).await.approval.unwrap();
    assert_eq!((waiting.by, waiting.teams), (vec!["ana".to_owned()], vec!["photos".to_owned()]));
    let said = world.text(number, "deploy.awaiting_approval").await;
    assert!(said.ends_with("waits for 2 people (ana, the team photos) to approve it"), "{said}");
    let raj = person("raj", Role::Deployer);
    let refused = app.deploy_approve(&raj, number).await.unwrap_err();
    let wanted = "is approved by ana, the team photos, not by raj";
    assert!(refused.code == ErrorCode::Forbidden && refused.message.contains(wanted), "{refused}");
    let join = |teams: &[&str]| PersonUpdate {
        teams: Some(teams.iter().map(|team| (*team).to_owned()).collect()),
        ..PersonUpdate::default()
    };
    for (login, teams) in [("mei", &["photos"][..]), ("raj", &["web", "photos"]), ("eve", &["web"])] {
        app.person_put(&Caller::system(), login, join(teams)).await.unwrap();
    }
    let own = app.deploy_approve(&mei(), number).await.unwrap_err();
    assert!(own.message.contains("whoever started"), "in the team, and yet: {own}");
    let other = app.deploy_approve(&person("eve", Role::Deployer), number).await.unwrap_err();
    assert_eq!(other.code, ErrorCode::Forbidden, "of another team: {other}");
    let viewer = app.deploy_approve(&person("raj", Role::Viewer), number).await.unwrap_err();
    assert_eq!(viewer.code, ErrorCode::Forbidden, "a team is no role: {viewer}");
    assert_eq!(app.deploy_approve(&raj, number).await.unwrap().state, "awaiting_approval");
    let disabled = PersonUpdate { disabled: Some(true), ..join(&["photos"]) };
    for out in [join(&[]), disabled] {
        app.person_put(&Caller::system(), "raj", out).await.unwrap();
        let left = app.deploy_approve(&raj, number).await.unwrap_err();
        assert_eq!(left.code, ErrorCode::Forbidden, "{left}");
    }
    app.deploy_approve(&person("ana", Role::Deployer), number).await.unwrap();
    let done = world.state(number, &["succeeded"]).await;
    let given: Vec<String> = done.approval.unwrap().given.into_iter().map(|given| given.login).collect();
    assert_eq!(given, ["raj", "ana"]);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hook_outlives_the_server_and_may_clean_up_when_it_is_cancelled() {
    if !ready() {
        return;
    }
    let mut world = World::new(1).await;
    // it is in the sandbox, so what it prints is all that is seen of it
    let script = "process.on('SIGTERM', () => { console.log('tidied up'); process.exit(0) }); \
                  console.log('it has begun'); setInterval(() => {}, 1000)";
    let hooks = format!("hooks:\n  before_activate: {{command: [node, -e, \"{script}\"]}}");
    file(&world, "canary: {hosts: 1, hold_s: 0}", &hooks);
    world.commit("two");
    let number = world.deploy().await.number;
    let printed = |app: &tenfold_app::App, words: &str| {
        app.deploy_log(number).after(0).iter().filter(|l| l.text == words).count()
    };
    world.until("the hook runs", |app| printed(app, "it has begun") == 1).await;
    world.restart_server().await;
    world
        .until("the hook to be found", |app| printed(app, "the hook outlived the server and is followed again") == 1)
        .await;
    let at = world.app().deploy(number).await.unwrap();
    assert!(at.finished_at.is_none() && printed(world.app(), "tidied up") == 0, "{at:?}");
    world.app().deploy_cancel(&mei(), number).await.unwrap();
    world.state(number, &["cancelled"]).await;
    world.until("the hook to end", |app| printed(app, "tidied up") == 1).await;
    assert_eq!(printed(world.app(), "it has begun"), 1, "{}", world.log_text(number));
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn windows_freezes_and_pins_refuse_with_their_reason_and_an_admin_passes() {
    if !ready() {
        return;
    }
    let world = World::new(1).await;
    let one = world.deploy().await;
    world.state(one.number, &["succeeded"]).await;
    let frozen =
        "freezes: [{from: 2020-01-01, until: 2099-01-01, zone: Europe/Berlin, reason: stocktaking, owner: ana}]";
    world.write_pipeline(frozen);
    let two = world.commit("two");
    let next = world.app().deploy_next("photos", "production", None).await.unwrap();
    assert!(next.closed.as_ref().is_some_and(|c| c.why.contains("by ana: stocktaking")), "{:?}", next.closed);
    let refused = world.app().deploy_start(&mei(), new_deploy(None)).await.unwrap_err();
    assert_eq!(refused.code, ErrorCode::Locked);
    assert!(refused.message.contains("frozen until 2099-01-01 Europe/Berlin by ana: stocktaking"), "{refused}");
    let over = || NewDeploy { override_reason: Some("the shop is down".into()), ..new_deploy(None) };
    let refused = world.app().deploy_start(&mei(), over()).await.unwrap_err();
    assert_eq!(refused.code, ErrorCode::Forbidden, "a deployer may not");
    let admin = person("boss", Role::Admin);
    let passed = world.app().deploy_start(&admin, over()).await.unwrap();
    let passed = world.state(passed.number, &["succeeded"]).await;
    assert_eq!(passed.overridden.as_deref(), Some("the shop is down"));
    assert_eq!(said(world.app(), "deploy.overridden").await.len(), 1);

    world.write_pipeline("windows: [\"Mon 00:00-00:01 UTC\"]");
    world.commit("three");
    let refused = world.app().deploy_start(&mei(), new_deploy(None)).await;
    // one minute of the week is the window
    if let Err(refused) = refused {
        assert!(refused.message.contains("outside its window Mon 00:00-00:01 UTC"), "{refused}");
        assert!(refused.advice.contains("it opens again at "), "{refused:?}");
    }

    world.write_pipeline("batch: 1");
    world.commit("four");
    let pin = world.app().lock_create(&mei(), lock(LockKind::Pin, Some(&two[..10]))).await.unwrap();
    assert_eq!(pin.sha.as_deref(), Some(two.as_str()));
    let refused = world.app().deploy_start(&mei(), new_deploy(None)).await.unwrap_err();
    assert!(refused.message.contains(&format!("pinned to {}", &two[..7])), "{refused}");
    world.app().lock_release(&mei(), &pin.id).await.unwrap();
    let freeze = world.app().lock_create(&mei(), lock(LockKind::Freeze, None)).await.unwrap();
    let refused = world.app().deploy_start(&mei(), new_deploy(None)).await.unwrap_err();
    assert!(refused.message.contains("is frozen on production by mei"), "its owner neither: {refused}");
    world.app().lock_release(&mei(), &freeze.id).await.unwrap();
    let everything = NewLock { service: "*".into(), ..lock(LockKind::Freeze, None) };
    let refused = world.app().lock_create(&mei(), everything.clone()).await.unwrap_err();
    assert_eq!(refused.code, ErrorCode::Forbidden);
    world.app().lock_create(&admin, everything).await.unwrap();
    let refused = world.app().deploy_start(&mei(), new_deploy(None)).await.unwrap_err();
    assert!(refused.message.contains("everything is frozen on production by boss"), "{refused}");
    world.app().deploy_rollback(&mei(), passed.number, None).await.expect("a rollback passes them all");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_undone_stops_and_calls_people_and_what_was_expected_is_scored() {
    if !ready() {
        return;
    }
    let world = World::new(HOSTS).await;
    let one = world.deploy().await;
    world.state(one.number, &["succeeded"]).await;
    let beside = "irreversible: {paths: [\"migrations/**\"], why: columns are dropped}";
    file(&world, "canary: {hosts: 1, hold_s: 0}", beside);
    world.commit("crashing");
    let plain = world.deploy().await;
    world.state(plain.number, &["rolled_back"]).await;
    assert_eq!(world.app().unlock(&mei(), "photos", "production").await.unwrap(), 1);
    std::fs::create_dir_all(world.repository().join("migrations")).unwrap();
    std::fs::write(world.repository().join("migrations/001.sql"), "ALTER TABLE a DROP COLUMN b;").unwrap();
    world.commit_all("Drop a column");
    let next = world.app().deploy_next("photos", "production", None).await.unwrap();
    assert_eq!(next.irreversible.as_deref(), Some("columns are dropped (migrations/001.sql changed)"));
    let bad = world.deploy().await;
    let bad = world.state(bad.number, &["held"]).await;
    let why = bad.error.as_deref().unwrap();
    assert!(why.contains("does not go back by itself: columns are dropped"), "{why}");
    let opened = said(world.app(), "incident.opened").await;
    assert!(opened.len() == 1 && opened[0].contains("needs a person"), "{opened:?}");
    world.app().deploy_abort(&mei(), bad.number).await.unwrap();
    world.state(bad.number, &["rolled_back"]).await;
    assert_eq!(world.app().unlock(&mei(), "photos", "production").await.unwrap(), 1, "it stands still, and is locked");

    let percent = Arc::new(AtomicU64::new(1));
    let stop = scrape(world.app(), &percent);
    while world.app().metrics.last_values("http_requests_total").is_empty() {
        tokio::time::sleep(SCRAPE).await;
    }
    let expects = "expects:\n  metrics:\n    - {query: \"count(http_requests_total{job='$service'})\", should: stay, by: 0}\n    - {query: \"count(http_requests_total{job='$service'})\", should: rise, why: more hosts}\n    - {query: no_such_thing, should: fall}\n  risks: [the cache is cold]\n  contingency: roll back\n  after_s: 1";
    file(&world, "canary: {hosts: 1, hold_s: 0}", expects);
    world.commit("five");
    let next = world.app().deploy_next("photos", "production", None).await.unwrap().expects.unwrap();
    assert_eq!((next.metrics.len(), next.risks.as_slice()), (3, &["the cache is cold".to_owned()][..]));
    let good = world.deploy().await;
    world.state(good.number, &["succeeded"]).await;
    let scored = async {
        let mut seqs = world.app().record.subscribe();
        loop {
            let expects = world.app().deploy(good.number).await.unwrap().expects.unwrap();
            if expects.scored_at.is_some() {
                return expects;
            }
            let _ = seqs.changed().await;
        }
    };
    let scored = tokio::time::timeout(crate::world::PATIENCE, scored).await.expect("it is scored");
    let outcomes: Vec<_> = scored.metrics.iter().map(|m| m.outcome.clone().unwrap()).collect();
    assert_eq!(outcomes, ["met", "missed", "unknown"]);
    let told = said(world.app(), "deploy.scored").await;
    assert!(told.len() == 1 && told[0].contains("1 of 3 expectations came true; missed: "), "{told:?}");
    percent.store(1, Ordering::Relaxed);
    stop.cancel();
    world.end().await;
}
