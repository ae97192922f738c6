//! The queue of a place, with real deploys: who waits, that each begins once and in order, by the commit that was asked for,
//! and that nothing goes on over what did not end well.

use tenfold_app::deploys::views::{Deploy, DeployFilter, LockKind, NewDeploy, NewLock};
use tenfold_app::deploys::{QueueEntry, QueueWord, look_at_queues};
use tenfold_app::people::PersonUpdate;
use tenfold_app::record::EventQuery;
use tenfold_app::{App, Caller, Grant, Role};
use tenfold_types::{Actor, ErrorCode};

use crate::world::{PATIENCE, World, mei, new_deploy, ready};

pub fn raj() -> Caller {
    let mut raj = mei();
    raj.actor = Actor::person("raj");
    raj.name = "raj".into();
    raj.grants = vec![Grant::everywhere(Role::Deployer)];
    raj
}

/// Whoever waits begins with the rights of an account.
pub async fn accounts(app: &App) {
    for login in ["mei", "raj"] {
        let update = PersonUpdate { role: Some(Role::Deployer), ..PersonUpdate::default() };
        app.person_put(&Caller::system(), login, update).await.unwrap();
    }
}

async fn wait(app: &App, who: &Caller, reference: Option<&str>) -> QueueEntry {
    let asked = app.deploy_ask(who, new_deploy(reference)).await.unwrap();
    assert!(asked.deploy.is_none(), "it waits: {asked:?}");
    asked.waiting.unwrap()
}

/// The deploy that an entry of the queue became.
pub async fn begun(app: &App, id: i64) -> Deploy {
    let look = async {
        loop {
            let all = app.deploys(DeployFilter::default()).await.unwrap();
            if let Some(deploy) = all.into_iter().find(|d| d.queued_as == Some(id)) {
                return deploy;
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, look).await.expect("it begins by itself")
}

pub async fn said(app: &App, kind: &str) -> Vec<String> {
    let query = EventQuery { kinds: vec![kind.into()], limit: 20, ascending: true, ..EventQuery::default() };
    app.events(query).await.unwrap().into_iter().map(|event| event.text).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deploys_wait_for_their_turn_and_begin_once_in_order() {
    if !ready() {
        return;
    }
    let mut world = World::new(1).await;
    accounts(world.app()).await;
    world.write_pipeline("approve: {count: 1}");
    world.commit("two");
    let asked = world.app().deploy_ask(&mei(), new_deploy(None)).await.unwrap();
    let first = asked.deploy.expect("nothing is in the way, so it begins");
    world.state(first.number, &["awaiting_approval"]).await;

    let three = world.commit("three");
    let rajs = wait(world.app(), &raj(), None).await;
    assert_eq!((rajs.position, rajs.sha.as_str(), rajs.origin.as_str()), (1, three.as_str(), "ask"));
    let four = world.commit("four");
    let meis = wait(world.app(), &mei(), None).await;
    assert_eq!((meis.position, meis.sha.as_str()), (2, four.as_str()));
    let waiting = said(world.app(), "deploy.waiting").await;
    let line = format!("raj waits to deploy photos {} to production, 1st in the queue", &three[..7]);
    assert_eq!(waiting, [line, format!("mei waits to deploy photos {} to production, 2nd in the queue", &four[..7])]);
    let queue = world.app().queue("photos", "production").await.unwrap();
    let waits_for = queue.waits_for.unwrap();
    assert!(waits_for.contains(&format!("deploy {}, which is awaiting approval", first.number)), "{waits_for}");
    // Whoever does not wait is refused, as without a queue.
    let direct = world.app().deploy_start(&raj(), new_deploy(None)).await.unwrap_err();
    assert!(direct.code == ErrorCode::Conflict && direct.message.contains("2 deploys wait already"), "{direct}");
    // Asking again is the newer commit in the same place.
    let five = world.commit("five");
    let again = wait(world.app(), &raj(), None).await;
    assert_eq!((again.id, again.position, again.sha.as_str()), (rajs.id, 1, five.as_str()));
    let nobody = world.app().queue_say(&raj(), "photos", "production", QueueWord::Drop, Some("ana".into()), None).await;
    assert_eq!(nobody.unwrap_err().code, ErrorCode::Conflict);
    let viewer = Caller { grants: vec![Grant::everywhere(Role::Viewer)], ..raj() };
    let refused = world.app().queue_say(&viewer, "photos", "production", QueueWord::Leave, None, None).await;
    assert_eq!(refused.unwrap_err().code, ErrorCode::Forbidden);
    let idle = world.app().queue_say(&raj(), "photos", "production", QueueWord::Go, None, None).await.unwrap_err();
    assert!(idle.message.contains("does not stand"), "{idle}");

    world.restart_server().await;
    world.connected(1).await;
    assert_eq!(world.app().queue("photos", "production").await.unwrap().entries.len(), 2, "they still wait");
    let left = world.app().queue_say(&mei(), "photos", "production", QueueWord::Leave, None, None).await.unwrap();
    assert_eq!(left.entries.len(), 1);
    world.app().deploy_approve(&raj(), first.number).await.unwrap();
    world.state(first.number, &["succeeded"]).await;
    // Several look at the same moment, and one of them begins it.
    let app = world.app();
    let (one, other) = tokio::join!(look_at_queues(app), look_at_queues(app));
    one.and(other).unwrap();
    let next = begun(app, rajs.id).await;
    assert_eq!((next.to_sha.as_str(), next.actor.id.as_str()), (five.as_str(), "raj"));
    world.state(next.number, &["awaiting_approval"]).await;
    app.deploy_approve(&mei(), next.number).await.unwrap();
    world.state(next.number, &["succeeded"]).await;
    assert_eq!(world.versions().await, ["five"]);
    let all = app.deploys(DeployFilter::default()).await.unwrap();
    assert_eq!(all.iter().filter(|d| d.queued_as == Some(rajs.id)).count(), 1);
    assert!(app.queues().await.unwrap().is_empty());
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_queue_stands_after_what_did_not_end_well() {
    if !ready() {
        return;
    }
    let world = World::new(1).await;
    let app = world.app();
    accounts(app).await;
    // Nothing starts before the hook, so that a bad release is found after the approval.
    world.write_pipeline("approve: {count: 1}\nhooks: {before_activate: {command: [node, -v]}}");
    for (round, (version, goes_on)) in [("crashing", "go"), ("sick", "unlock")].into_iter().enumerate() {
        let bad = world.commit(version);
        let open = app.deploy_ask(&mei(), new_deploy(Some(&bad))).await.unwrap().deploy.unwrap();
        world.state(open.number, &["awaiting_approval"]).await;
        let good = world.commit(&format!("after {version}"));
        let waits = wait(app, &raj(), None).await;
        app.deploy_approve(&raj(), open.number).await.unwrap();
        world.state(open.number, &["rolled_back"]).await;
        assert_eq!(app.locks().await.unwrap().len(), 1, "it went back by itself");
        let queue = app.queue("photos", "production").await.unwrap();
        assert!(queue.stands && queue.entries.len() == 1, "{queue:?}");
        let stands = said(app, "queue.stands").await.pop().unwrap();
        assert!(stands.contains("1 deploy waits") && stands.contains(&format!("deploy {}", open.number)), "{stands}");
        look_at_queues(app).await.unwrap();
        let all = app.deploys(DeployFilter::default()).await.unwrap();
        assert!(all.iter().all(|d| d.queued_as != Some(waits.id)), "nothing goes on by itself");
        if goes_on == "go" {
            app.queue_say(&mei(), "photos", "production", QueueWord::Go, None, None).await.unwrap();
            look_at_queues(app).await.unwrap();
            let why = app.queue("photos", "production").await.unwrap().waits_for.unwrap_or_default();
            assert!(why.contains("photos is locked on production by tenfold"), "{why}");
        }
        // to unlock is to say that it may go on
        assert_eq!(app.unlock(&mei(), "photos", "production").await.unwrap(), 1);
        let resumed = said(app, "queue.resumed").await;
        assert_eq!(resumed.len(), round + 1, "each is said once");
        assert!(resumed[round].contains("mei lets the queue"), "{resumed:?}");
        let next = begun(app, waits.id).await;
        assert_eq!(next.to_sha, good);
        world.state(next.number, &["awaiting_approval"]).await;
        app.deploy_cancel(&mei(), next.number).await.unwrap();
        world.state(next.number, &["cancelled"]).await;
    }
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn locks_and_rights_count_when_the_turn_comes() {
    if !ready() {
        return;
    }
    let world = World::new(1).await;
    let app = world.app();
    accounts(app).await;
    world.write_pipeline("approve: {count: 1}");
    world.commit("two");
    let open = app.deploy_ask(&mei(), new_deploy(None)).await.unwrap().deploy.unwrap();
    world.state(open.number, &["awaiting_approval"]).await;
    world.commit("three");
    let waits = wait(app, &raj(), None).await;
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
    // Nobody is let in who could not begin now.
    let refused = app.deploy_ask(&raj(), new_deploy(None)).await.unwrap_err();
    assert_eq!(refused.code, ErrorCode::Locked);
    app.deploy_cancel(&mei(), open.number).await.unwrap();
    world.state(open.number, &["cancelled"]).await;
    look_at_queues(app).await.unwrap();
    let queue = app.queue("photos", "production").await.unwrap();
    let why = queue.waits_for.clone().unwrap_or_default();
    assert!(why.contains("photos is locked on production by mei") && !queue.stands, "{queue:?}");
    // The owner of the lock is kept by nobody who waits.
    let own = app.deploy_start(&mei(), new_deploy(None)).await.unwrap();
    world.state(own.number, &["awaiting_approval"]).await;
    app.deploy_cancel(&mei(), own.number).await.unwrap();
    world.state(own.number, &["cancelled"]).await;

    let gone = PersonUpdate { disabled: Some(true), ..PersonUpdate::default() };
    app.person_put(&Caller::system(), "raj", gone).await.unwrap();
    app.unlock(&mei(), "photos", "production").await.unwrap();
    let dropped = async {
        loop {
            look_at_queues(app).await.unwrap();
            if app.queues().await.unwrap().is_empty() {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, dropped).await.expect("it leaves the queue");
    let why = said(app, "queue.dropped").await.pop().unwrap();
    assert!(why.contains("there is no person `raj`"), "{why}");
    let all = app.deploys(DeployFilter::default()).await.unwrap();
    assert!(all.iter().all(|d| d.queued_as != Some(waits.id)), "whoever left deploys nothing");

    // Where nothing runs and nobody waits there is no queue, and an override never waits.
    let over = NewDeploy { override_reason: Some("the fix".into()), ..new_deploy(None) };
    let refused = app.deploy_ask(&mei(), over).await.unwrap_err();
    assert_eq!(refused.code, ErrorCode::Forbidden);
    world.end().await;
}
