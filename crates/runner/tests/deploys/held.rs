//! A person holds a deploy, and goes forward over one that was taken back; with real hosts and real programs.

use tenfold_app::deploys::views::{LockKind, NewLock};
use tenfold_app::deploys::{Answer, RollForward};

use crate::queue::said;
use crate::world::{PATIENCE, World, mei, ready};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deploy_that_a_person_holds_flips_no_further_host_until_a_person_says_so() {
    if !ready() {
        return;
    }
    let world = World::new(3).await;
    let first = world.deploy().await;
    world.state(first.number, &["succeeded"]).await;
    // long enough to be held in
    world.write_pipeline("canary: {hosts: 1, hold_s: 10}");
    world.commit("two");
    let deploy = world.deploy().await;
    world.state(deploy.number, &["canary"]).await;
    let why = Some("the graphs\nlook odd".to_owned());
    let held = world.app().deploy_answer(&mei(), deploy.number, Answer::Hold, why).await.unwrap();
    assert_eq!((held.state.as_str(), held.error.as_deref()), ("held", Some("mei (the graphs look odd) holds it")));
    let twice = world.app().deploy_answer(&mei(), deploy.number, Answer::Hold, None).await.unwrap_err();
    assert!(twice.message.contains("it can be held while it is a canary or goes to the rest"), "{twice}");
    assert!(said(world.app(), "deploy.held").await[0].contains("is held: mei (the graphs look odd) holds it"));
    let on = world.app().deploy_promote(&mei(), deploy.number).await.unwrap();
    assert_eq!(on.state, "canary", "it is watched for the whole time again");
    world.state(deploy.number, &["succeeded"]).await;
    assert_eq!(said(world.app(), "deploy.unheld").await.len(), 1);
    assert_eq!(world.versions().await, ["two"; 3]);

    world.commit("three");
    let deploy = world.deploy().await;
    world.state(deploy.number, &["canary"]).await;
    world.app().deploy_answer(&mei(), deploy.number, Answer::Hold, None).await.unwrap();
    world.app().deploy_abort(&mei(), deploy.number).await.unwrap();
    world.state(deploy.number, &["rolled_back"]).await;
    assert_eq!(world.versions().await, ["two"; 3]);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fix_goes_forward_over_what_went_back_by_itself_and_ends_its_lock() {
    if !ready() {
        return;
    }
    let world = World::new(2).await;
    let first = world.deploy().await;
    world.state(first.number, &["succeeded"]).await;
    world.commit("crashing");
    let bad = world.deploy().await;
    world.state(bad.number, &["rolled_back"]).await;
    world.commit("two");
    let forward = async || {
        let asked = RollForward { environment: "production".into(), reference: None, reason: None, again: false };
        world.app().deploy_forward(&mei(), "photos", asked).await
    };
    // somebody else's lock stays in the way, and with it the other
    let freeze = NewLock {
        service: "photos".into(),
        environment: "production".into(),
        reason: "stocktaking".into(),
        expires_at: None,
        minutes: Some(30),
        kind: LockKind::Freeze,
        from: None,
        sha: None,
    };
    let frozen = world.app().lock_create(&mei(), freeze).await.unwrap();
    let refused = forward().await.unwrap_err();
    assert!(refused.message.contains("stocktaking"), "{refused}");
    assert_eq!(world.app().locks().await.unwrap().len(), 2);
    world.app().lock_release(&mei(), &frozen.id).await.unwrap();

    let next = forward().await.unwrap();
    assert_eq!(next.forward_of, Some(bad.number));
    assert_eq!(world.app().locks().await.unwrap(), []);
    world.state(next.number, &["succeeded"]).await;
    assert_eq!(world.versions().await, ["two"; 2]);
    let over = format!("mei goes forward over deploy {}, which unlocks photos on production", bad.number);
    assert!(said(world.app(), "lock.released").await.contains(&over));
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn forward_goes_the_fix_and_not_what_was_taken_back() {
    if !ready() {
        return;
    }
    let world = World::new(2).await;
    let first = world.deploy().await;
    world.state(first.number, &["succeeded"]).await;
    let forward = async |again| {
        let asked = RollForward { environment: "production".into(), reference: None, reason: None, again };
        world.app().deploy_forward(&mei(), "photos", asked).await
    };
    let nothing = forward(false).await.unwrap_err();
    assert!(nothing.message.contains("was not put there by a way back"), "{nothing}");
    world.write_pipeline("batch: 2");
    let path = world.repository().join(".tenfold/deploy.yaml");
    let text = std::fs::read_to_string(&path).unwrap();
    let beside = "max_commits: 1\nexpects:\n  metrics: [{query: up, should: stay}]\n";
    std::fs::write(path, format!("{text}{beside}")).unwrap();
    world.commit("two");
    let bad = world.deploy().await;
    world.state(bad.number, &["succeeded"]).await;
    let back = world.app().deploy_rollback(&mei(), bad.number, None).await.unwrap();
    world.state(back.number, &["succeeded"]).await;
    // what was expected of it is not waited for any more, and that is said
    let scored = async {
        let mut seqs = world.app().record.subscribe();
        loop {
            let expects = world.app().deploy(bad.number).await.unwrap().expects.unwrap();
            if expects.scored_at.is_some() {
                return expects;
            }
            let _ = seqs.changed().await;
        }
    };
    let scored = tokio::time::timeout(PATIENCE, scored).await.expect("it is said");
    assert_eq!(scored.replaced_by, Some(back.number));
    assert_eq!(scored.metrics[0].outcome.as_deref(), Some("replaced"));
    assert!(said(world.app(), "deploy.scored").await[0].contains("took its place"));

    let same = forward(false).await.unwrap_err();
    assert!(same.message.contains("which was taken back") && same.advice.contains("`again`"), "{same:?}");
    world.commit("three");
    let next = forward(false).await.unwrap();
    assert_eq!(next.forward_of, Some(bad.number));
    world.state(next.number, &["succeeded"]).await;
    assert_eq!(world.versions().await, ["three"; 2]);
    let queued = said(world.app(), "deploy.queued").await.pop().unwrap();
    assert!(queued.contains(&format!("forward over deploy {}, which was taken back", bad.number)), "{queued}");
    let large = "it changes by 2 commits, and 1 are the most that one deploy should carry";
    assert!(!bad.max_commits_exceeded && next.max_commits_exceeded && queued.contains(large), "{queued}");
    assert!(forward(true).await.is_err(), "something newer is out");
    world.end().await;
}
