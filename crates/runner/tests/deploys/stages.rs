//! Stages with real hosts in two environments: the same artifact goes from one to the next, by hand or by itself, and a way
//! back on one leaves the other alone.

use tenfold_app::deploys::look_at_queues;
use tenfold_app::deploys::views::{Deploy, DeployFilter, LockKind, NewDeploy, NewLock, ServiceUpdate, TrainWord};
use tenfold_app::record::EventQuery;
use tenfold_app::{App, Caller, Grant, Role};
use tenfold_types::ErrorCode;

use crate::queue::{accounts, begun, raj, said};
use crate::world::{PATIENCE, World, mei, new_deploy, ready};

/// What goes on to production, in the pipeline file's words.
fn stages(world: &World, production: &str) {
    stages_with(world, "canary: {hosts: 0}", production);
}

fn stages_with(world: &World, target: &str, production: &str) {
    world.write_pipeline(target);
    let path = world.repository().join(".tenfold/deploy.yaml");
    let text = std::fs::read_to_string(&path).unwrap();
    let beside = format!(
        "  development: {{hosts: all}}\nstages:\n  - {{environment: development}}\n  - {{environment: production{production}}}\n"
    );
    std::fs::write(&path, format!("{text}{beside}")).unwrap();
}

async fn world(production: &str) -> World {
    let mut world = World::new(1).await;
    world.start_agent_in("dev-1", "development");
    world.connected(2).await;
    let update = ServiceUpdate {
        description: String::new(),
        repository: world.repository().to_string_lossy().into_owned(),
        branch: "main".into(),
        environments: vec!["development".into(), "production".into()],
        owner_team: String::new(),
        policy: None,
        pipeline_path: ".tenfold/deploy.yaml".into(),
        dependencies: Vec::new(),
    };
    world.app().service_put(&Caller::system(), "photos", update).await.unwrap();
    stages(&world, production);
    world
}

fn to(environment: &str, reference: Option<&str>) -> NewDeploy {
    NewDeploy { environment: environment.into(), ..new_deploy(reference) }
}

async fn deployed(world: &World, new: NewDeploy) -> Deploy {
    let deploy = world.app().deploy_start(&mei(), new).await.unwrap();
    world.state(deploy.number, &["succeeded"]).await
}

/// What a host answers.
async fn version(app: &App, host: &str) -> String {
    let hosts = app.hosts();
    let host = hosts.iter().find(|h| h.name == host).unwrap();
    let address = host.releases.first().and_then(|r| r.address.clone()).unwrap();
    reqwest::get(format!("http://{address}/")).await.unwrap().text().await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn production_takes_the_artifact_that_passed_the_stage_before() {
    if !ready() {
        return;
    }
    let world = world("").await;
    let app = world.app();
    let two = world.commit("two");
    let early = app.deploy_start(&mei(), to("production", None)).await.unwrap_err();
    assert_eq!(early.code, ErrorCode::Locked);
    let words = format!("photos {} did not pass development yet", &two[..7]);
    assert!(early.message.contains(&words), "{early}");
    let next = app.deploy_next("photos", "production", None).await.unwrap();
    assert!(next.stage.unwrap().refused.unwrap().contains(&words));

    let tried = deployed(&world, to("development", None)).await;
    assert!(tried.after_stage.is_none(), "nothing is before the first");
    let three = world.commit("three");
    // What passed goes on, not what the branch is at by now.
    let next = app.deploy_next("photos", "production", None).await.unwrap();
    let stage = next.stage.unwrap();
    assert_eq!((next.next.sha.as_str(), stage.passed, stage.refused), (two.as_str(), Some(tried.number), None));
    assert!(next.plan[0].says.contains("nothing is built"), "{:?}", next.plan);
    let shipped = deployed(&world, to("production", None)).await;
    assert_eq!((shipped.to_sha.as_str(), &shipped.digest), (two.as_str(), &tried.digest));
    assert_eq!(shipped.after_stage.map(|a| (a.environment, a.deploy)), Some(("development".into(), tried.number)));
    let kinds = world.kinds(shipped.number).await;
    assert!(!kinds.iter().any(|k| k == "deploy.build_started"), "the same artifact, not one like it: {kinds:?}");

    let skipping = app.deploy_start(&mei(), to("production", Some(&three))).await.unwrap_err();
    assert_eq!(skipping.code, ErrorCode::Locked);
    let over = NewDeploy { override_reason: Some("the fix cannot wait".into()), ..to("production", Some(&three)) };
    let refused = app.deploy_start(&mei(), over.clone()).await.unwrap_err();
    assert_eq!(refused.code, ErrorCode::Forbidden, "only an admin");
    let admin = Caller { grants: vec![Grant::everywhere(Role::Admin)], ..mei() };
    let passed_over = app.deploy_start(&admin, over).await.unwrap();
    world.state(passed_over.number, &["succeeded"]).await;
    let why = world.text(passed_over.number, "deploy.overridden").await;
    assert!(why.contains("stages") && why.contains("the fix cannot wait"), "{why}");

    // A way back on one stage leaves the other alone, and what was taken back has not passed.
    let back = app.deploy_rollback(&mei(), shipped.number, None).await;
    assert!(back.is_err(), "nothing was healthy on production before it");
    let four = world.commit("four");
    let again = deployed(&world, to("development", None)).await;
    let back = app.deploy_rollback(&mei(), again.number, None).await.unwrap();
    world.state(back.number, &["succeeded"]).await;
    assert_eq!((version(app, "dev-1").await.as_str(), version(app, "host-1").await.as_str()), ("two", "three"));
    let taken_back = app.deploy_start(&mei(), to("production", Some(&four))).await.unwrap_err();
    assert_eq!(taken_back.code, ErrorCode::Locked);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_release_goes_on_by_itself_when_it_was_good_for_long_enough() {
    if !ready() {
        return;
    }
    let world = world(", auto: true, hold_s: 1").await;
    let app = world.app();
    let two = world.commit("two");
    let planned = app.deploy_next("photos", "development", None).await.unwrap();
    let last = planned.plan.last().unwrap();
    assert_eq!((last.name.as_str(), last.says.as_str()), ("next_stage", "goes on to production by itself after 1 s"));
    let tried = deployed(&world, to("development", None)).await;
    let look = async {
        loop {
            let filter = DeployFilter { environment: Some("production".into()), ..DeployFilter::default() };
            if let Some(deploy) = app.deploys(filter).await.unwrap().pop() {
                return deploy;
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    let went_on = tokio::time::timeout(PATIENCE, look).await.expect("it goes on by itself");
    assert_eq!((went_on.to_sha.as_str(), went_on.actor.kind.as_str()), (two.as_str(), "robot"));
    let held_ms = went_on.started_at.since_ms(tried.finished_at.unwrap());
    assert!(held_ms >= 1_000, "it stood for a second: {held_ms} ms");
    let done = world.state(went_on.number, &["succeeded"]).await;
    assert_eq!((&done.digest, done.after_stage.map(|a| a.deploy)), (&tried.digest, Some(tried.number)));
    assert!(world.text(went_on.number, "deploy.queued").await.contains(&format!("deploy {} tried", tried.number)));

    // What is taken back in the meantime goes on no more.
    stages(&world, ", auto: true, hold_s: 3600");
    world.commit("three");
    let doubtful = deployed(&world, to("development", None)).await;
    let queue = app.queue("photos", "production").await.unwrap();
    assert_eq!((queue.entries[0].origin.as_str(), queue.entries[0].after_deploy), ("stage", Some(doubtful.number)));
    assert!(queue.waits_for.unwrap().starts_with("its time"), "it waits for nobody else");
    let back = app.deploy_rollback(&mei(), doubtful.number, None).await.unwrap();
    world.state(back.number, &["succeeded"]).await;
    assert!(app.queues().await.unwrap().is_empty());
    let query = EventQuery { kinds: vec!["queue.dropped".into()], limit: 5, ..EventQuery::default() };
    let dropped = app.events(query).await.unwrap();
    assert!(dropped[0].text.contains("it was taken back from development"), "{}", dropped[0].text);
    assert_eq!((version(app, "dev-1").await.as_str(), version(app, "host-1").await.as_str()), ("two", "two"));
    world.end().await;
}

/// Looks at the queues until something is so.
async fn until(app: &App, what: &str, done: impl AsyncFn() -> bool) {
    let look = async {
        while !done().await {
            look_at_queues(app).await.unwrap();
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    assert!(tokio::time::timeout(PATIENCE, look).await.is_ok(), "waited in vain for {what}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_train_does_not_take_along_keeps_its_driver_from_nothing() {
    if !ready() {
        return;
    }
    let world = world(", auto: true").await;
    let app = world.app();
    app.train_say(&mei(), "photos", "production", TrainWord::Join, None).await.unwrap();
    let two = world.commit("two");
    deployed(&world, to("development", None)).await;
    until(app, "the release to be refused by the train", async || {
        let queue = app.queue("photos", "production").await.unwrap();
        queue.waits_for.is_some_and(|why| why.contains("the train of mei boards"))
    })
    .await;
    let asked = app.deploy_ask(&mei(), to("production", None)).await.unwrap();
    let own = asked.deploy.expect("nobody waits for what the train refuses");
    assert_eq!(own.to_sha, two);
    world.state(own.number, &["succeeded"]).await;
    assert_eq!(version(app, "host-1").await, "two");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_did_not_pass_lets_those_behind_it_through() {
    if !ready() {
        return;
    }
    let world = world("").await;
    let app = world.app();
    accounts(app).await;
    stages_with(&world, "canary: {hosts: 0}; approve: {count: 1}", "");
    let two = world.commit("two");
    deployed(&world, to("development", None)).await;
    let open = app.deploy_start(&mei(), to("production", Some(&two))).await.unwrap();
    world.state(open.number, &["awaiting_approval"]).await;
    let three = world.commit("three");
    let tried = deployed(&world, to("development", None)).await;
    let first = app.deploy_ask(&raj(), to("production", Some(&three))).await.unwrap().waiting.unwrap();
    let second = app.deploy_ask(&mei(), to("production", Some(&two))).await.unwrap().waiting.unwrap();
    assert_eq!((first.position, second.position), (1, 2));
    let back = app.deploy_rollback(&mei(), tried.number, None).await.unwrap();
    world.state(back.number, &["succeeded"]).await;
    app.deploy_cancel(&mei(), open.number).await.unwrap();
    world.state(open.number, &["cancelled"]).await;

    let next = begun(app, second.id).await;
    assert_eq!(next.to_sha, two);
    world.state(next.number, &["awaiting_approval"]).await;
    let queue = app.queue("photos", "production").await.unwrap();
    assert_eq!(queue.entries.iter().map(|entry| entry.id).collect::<Vec<_>>(), [first.id], "it still waits");
    app.deploy_cancel(&mei(), next.number).await.unwrap();
    world.state(next.number, &["cancelled"]).await;
    until(app, "the first to be refused", async || {
        let queue = app.queue("photos", "production").await.unwrap();
        queue.waits_for.is_some_and(|why| why.contains("did not pass development yet"))
    })
    .await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_release_whose_artifact_is_gone_leaves_the_queue_with_that_reason() {
    if !ready() {
        return;
    }
    let world = world(", auto: true").await;
    let app = world.app();
    let lock = NewLock {
        service: "photos".into(),
        environment: "production".into(),
        reason: "migrating".into(),
        expires_at: None,
        minutes: Some(30),
        kind: LockKind::Lock,
        from: None,
        sha: None,
    };
    app.lock_create(&mei(), lock).await.unwrap();
    let two = world.commit("two");
    deployed(&world, to("development", None)).await;
    assert_eq!(app.queue("photos", "production").await.unwrap().entries.len(), 1);
    let data = world.dir.path().join("data");
    std::fs::rename(data.join("manifests"), data.join("manifests-away")).unwrap();
    let gone = app.deploy_start(&mei(), to("production", Some(&two))).await.unwrap_err();
    assert!(gone.code == ErrorCode::Invalid && gone.advice.contains("deploy it there again"), "{gone:?}");
    let next = app.deploy_next("photos", "production", Some(&two)).await.unwrap();
    let is_said = next.warnings.iter().any(|warning| warning.contains("is no longer kept"));
    assert!(is_said && next.plan.is_empty(), "a rehearsal is refused as well: {next:?}");
    app.unlock(&mei(), "photos", "production").await.unwrap();
    until(app, "it to leave the queue", async || app.queues().await.unwrap().is_empty()).await;
    let why = said(app, "queue.dropped").await.pop().unwrap();
    assert!(why.contains("is no longer kept"), "{why}");
    world.end().await;
}
