//! The list of deploys as people narrow it, and the words with which somebody lets a deploy go on or takes it back.

use tenfold_app::deploys::Answer;
use tenfold_app::deploys::views::DeployFilter;

use crate::world::{World, mei, ready};

fn all() -> DeployFilter {
    DeployFilter::default()
}

async fn numbers(world: &World, filter: DeployFilter) -> Vec<i64> {
    world.app().deploys_listed(filter).await.unwrap().items.iter().map(|deploy| deploy.number).collect()
}

#[expect(clippy::unnecessary_wraps, reason = "as filters and reasons are given")]
fn said(text: &str) -> Option<String> {
    Some(text.to_owned())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deploy_is_found_by_who_what_and_when_and_its_record_says_why() {
    if !ready() {
        return;
    }
    let world = World::new(2).await;
    let first = world.deploy().await;
    let first = world.state(first.number, &["succeeded"]).await;
    world.write_pipeline("canary: {hosts: 1, hold_s: 0, check: {query: nobody_counts_this, max: 1}}");
    let sha = world.commit("two");
    let held = world.deploy().await;
    let held = world.state(held.number, &["held"]).await;
    assert_eq!(numbers(&world, DeployFilter { state: said("running"), ..all() }).await, [held.number]);
    assert_eq!(numbers(&world, DeployFilter { state: said("succeeded"), ..all() }).await, [first.number]);

    let why = said(" the graph\n is fine ");
    world.app().deploy_answer(&mei(), held.number, Answer::Promote, why).await.unwrap();
    world.state(held.number, &["succeeded"]).await;
    let text = world.text(held.number, "deploy.promoting").await;
    assert!(text.starts_with("mei (the graph is fine) let photos"), "{text}");
    assert!(numbers(&world, DeployFilter { state: said("running"), ..all() }).await.is_empty());

    let back = world.app().deploy_rollback(&mei(), held.number, said("thumbnails are grey")).await.unwrap();
    world.state(back.number, &["succeeded"]).await;
    let everything = vec![back.number, held.number, first.number];
    for (filter, wanted) in [
        (all(), everything.clone()),
        (DeployFilter { kind: said("rollback"), ..all() }, vec![back.number]),
        (DeployFilter { kind: said("deploy"), ..all() }, vec![held.number, first.number]),
        (DeployFilter { actor: said("mei"), ..all() }, everything),
        (DeployFilter { actor: said("raj"), ..all() }, Vec::new()),
        (DeployFilter { commit: said(&sha[..8].to_uppercase()), ..all() }, vec![back.number, held.number]),
        (DeployFilter { q: said("ANA version"), ..all() }, vec![held.number, first.number]),
        (DeployFilter { q: said("grey thumbnails"), ..all() }, vec![back.number]),
        (DeployFilter { from: Some(held.started_at), ..all() }, vec![back.number, held.number]),
        (DeployFilter { to: Some(held.started_at), ..all() }, vec![first.number]),
    ] {
        let asked = format!("{filter:?}");
        assert_eq!(numbers(&world, filter).await, wanted, "{asked}");
    }

    // One at a time, by what only the deploy itself says.
    let one = |before| DeployFilter { actor: said("mei"), limit: Some(1), before, ..all() };
    let page = world.app().deploys_listed(one(None)).await.unwrap();
    assert_eq!((page.items.len(), page.next), (1, Some(back.number)));
    assert_eq!(numbers(&world, one(page.next)).await, [held.number]);
    let last = world.app().deploys_listed(one(Some(first.number))).await.unwrap();
    assert_eq!((last.items.len(), last.next), (0, None));
    let fault = world.app().deploys_listed(DeployFilter { commit: said("zzzz"), ..all() }).await.unwrap_err();
    assert!(fault.message.contains("`zzzz` is not the beginning of a commit"), "{}", fault.message);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deploy_that_is_sent_back_says_who_and_why() {
    if !ready() {
        return;
    }
    let world = World::new(2).await;
    let first = world.deploy().await;
    world.state(first.number, &["succeeded"]).await;
    world.write_pipeline("canary: {hosts: 1, hold_s: 0, check: {query: nobody_counts_this, max: 1}}");
    for (version, by_rollback) in [("two", false), ("three", true)] {
        world.commit(version);
        let held = world.deploy().await;
        world.state(held.number, &["held"]).await;
        let why = said("nobody asked for it");
        if by_rollback {
            world.app().deploy_rollback(&mei(), held.number, why).await.unwrap();
        } else {
            world.app().deploy_answer(&mei(), held.number, Answer::Abort, why).await.unwrap();
        }
        let back = world.state(held.number, &["rolled_back"]).await;
        assert_eq!(back.error.as_deref(), Some("aborted by mei (nobody asked for it)"));
    }
    let fault = world.app().deploy_answer(&mei(), first.number, Answer::Cancel, said(&"x".repeat(2_000))).await;
    assert!(fault.unwrap_err().message.contains("longer than 1024 bytes"));
    world.end().await;
}
