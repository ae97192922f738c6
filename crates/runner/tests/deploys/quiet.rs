//! `mute_alerts`: quiet while hosts flip, and not a moment longer.

use crate::queue::said;
use crate::world::{World, mei, ready};

fn file(world: &World, target: &str) {
    world.write_pipeline(target);
    let path = world.repository().join(".tenfold/deploy.yaml");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(path, format!("{text}mute_alerts: {{names: [UploadErrors, SlowUploads], for_s: 300}}\n")).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_mute_of_a_deploy_ends_with_it_and_when_it_goes_back() {
    if !ready() {
        return;
    }
    let world = World::new(2).await;
    file(&world, "canary: {hosts: 1, hold_s: 0}");
    world.commit("one");
    let first = world.deploy().await;
    world.state(first.number, &["succeeded"]).await;
    assert_eq!(world.app().mutes().await.unwrap(), []);
    let ended = said(world.app(), "mute.expired").await;
    assert!(ended.len() == 1 && ended[0].ends_with(&format!("deploy {} is succeeded", first.number)), "{ended:?}");

    file(&world, "canary: {hosts: 1, hold_s: 600}");
    world.commit("two");
    let second = world.deploy().await;
    world.state(second.number, &["canary"]).await;
    let mutes = world.app().mutes().await.unwrap();
    assert_eq!(mutes.len(), 1);
    let mute = &mutes[0];
    assert_eq!((mute.kind.as_str(), mute.deploy, mute.holds), ("deploy", Some(second.number), true));
    assert_eq!(mute.expires_at.since_ms(mute.starts_at), 300_000);
    let matchers: Vec<String> = mute.matchers.iter().map(ToString::to_string).collect();
    assert_eq!(
        matchers,
        [
            "alertname=~\"UploadErrors|SlowUploads\"",
            "service=\"photos\"",
            "environment=~\"(production)?\"",
            "env=~\"(production)?\""
        ]
    );

    world.app().deploy_cancel(&mei(), second.number).await.unwrap();
    world.state(second.number, &["rolled_back"]).await;
    assert_eq!(world.app().mutes().await.unwrap(), []);
    let ended = said(world.app(), "mute.expired").await;
    assert!(ended.len() == 2 && ended[1].ends_with("is rolling back"), "{ended:?}");
    world.end().await;
}
