//! Hosts where somebody put links in the way of the agent: nothing is written, read or removed through them.

use std::fs;
use std::os::unix::fs::symlink;

use tenfold_deploys::Digest;
use tenfold_protocols::agent::{BlobDigest, FromAgent, OrderRef, PROTOCOL, Release, ReleaseState};
use tenfold_types::Timestamp;

use crate::world::{World, mei, ready};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_link_in_the_place_of_releases_is_refused() {
    if !ready() {
        return;
    }
    let world = World::new(1).await;
    let outside = world.dir.path().join("outside");
    fs::create_dir_all(&outside).unwrap();
    fs::write(outside.join("precious"), "precious").unwrap();
    let place = world.host_dir("host-1").join("services/photos");
    fs::create_dir_all(&place).unwrap();
    let _ = fs::remove_dir_all(place.join("releases"));
    symlink(&outside, place.join("releases")).unwrap();
    let deploy = world.deploy().await;
    let failed = world.state(deploy.number, &["failed"]).await;
    let error = failed.error.unwrap_or_default();
    assert!(error.contains("services/photos/releases is a link and no folder of the agent's own"), "{error}");
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 1, "nothing was put or removed there");
    assert!(outside.join("precious").exists());

    fs::remove_file(place.join("releases")).unwrap();
    let again = world.deploy().await;
    world.state(again.number, &["succeeded"]).await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn links_among_blobs_and_releases_are_not_followed() {
    if !ready() {
        return;
    }
    let world = World::new(1).await;
    world.build_also("fs.writeFileSync('dist/a.txt', 'planted'); fs.writeFileSync('dist/b.txt', 'another');");
    world.commit("one");
    let outside = world.dir.path().join("outside");
    fs::create_dir_all(&outside).unwrap();
    let (twin, victim) = (outside.join("twin"), outside.join("victim"));
    fs::write(&twin, "planted").unwrap();
    fs::write(&victim, "victim").unwrap();
    let blob = |text: &str| {
        let name = Digest::of(text.as_bytes()).to_string();
        let folder = world.host_dir("host-1").join("blobs").join(&name[..2]);
        fs::create_dir_all(&folder).unwrap();
        folder.join(name)
    };
    // one with the very content, which could be turned elsewhere later; and one where the next blob is to be written
    symlink(&twin, blob("planted")).unwrap();
    symlink(&victim, blob("another").with_extension("part")).unwrap();
    let deploy = world.deploy().await;
    world.state(deploy.number, &["succeeded"]).await;
    let release = fs::canonicalize(world.host_dir("host-1").join("services/photos/current")).unwrap();
    for (name, text) in [("dist/a.txt", "planted"), ("dist/b.txt", "another")] {
        let path = release.join(name);
        assert!(path.symlink_metadata().unwrap().is_file(), "{name}");
        assert_eq!(fs::read_to_string(path).unwrap(), text);
    }
    assert_eq!(fs::read_to_string(&victim).unwrap(), "victim");
    assert_eq!(fs::read_to_string(&twin).unwrap(), "planted");

    // what is pruned after the next release: links to folders, among releases and among blobs
    world.commit("two");
    let damaged = format!("services/photos/releases/{}.damaged", Digest::of(b"damaged"));
    let damaged = world.host_dir("host-1").join(damaged);
    symlink(&outside, &damaged).unwrap();
    symlink(&outside, world.host_dir("host-1").join("blobs/zz")).unwrap();
    let deploy = world.deploy().await;
    world.state(deploy.number, &["succeeded"]).await;
    world.until("pruning", |_| !damaged.is_symlink()).await;
    assert_eq!(fs::read_to_string(&victim).unwrap(), "victim", "the link goes, and not what it leads to");
    assert_eq!(fs::read_to_string(&twin).unwrap(), "planted");
    world.end().await;
}

/// A release in production that nobody deployed.
fn claimed(deploy: i64) -> Release {
    Release {
        service: "photos".into(),
        environment: "production".into(),
        digest: BlobDigest(*Digest::of(b"harm").bytes()),
        sha: "0".repeat(40),
        deploy,
        state: ReleaseState::Running,
        address: Some("127.0.0.1:9".into()),
        metrics_path: None,
        limits: None,
        since: Timestamp(0),
    }
}

fn hello(name: &str, environment: &str, releases: Vec<Release>) -> FromAgent {
    FromAgent::Hello {
        protocol: PROTOCOL,
        name: name.into(),
        environment: environment.into(),
        labels: std::collections::BTreeMap::new(),
        version: "test".into(),
        releases,
        packs: false,
        prepares: false,
        beside: Vec::new(),
    }
}

/// What answers on the server's own machine alone is not asked because a host elsewhere names it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_elsewhere_has_the_server_ask_nobody_but_itself() {
    if !ready() {
        return;
    }
    let world = World::new(0).await;
    let app = world.app();
    let targets = || {
        let targets = app.metrics.targets().into_iter();
        targets.filter(|target| target.host.as_deref() == Some("far-1")).collect::<Vec<_>>()
    };
    let urls = || targets().into_iter().map(|target| target.url).collect::<Vec<_>>();
    let release = Release { metrics_path: Some("/metrics".into()), ..claimed(1) };
    let hello = hello("far-1", "production", vec![release.clone()]);
    let far = std::net::IpAddr::from([192, 0, 2, 7]);
    let session = app.agent_connect_from(hello, Some(far)).await.unwrap();
    assert_eq!(urls(), ["http://192.0.2.7:9/metrics"]);
    let moved = Release { address: Some("169.254.169.254:80".into()), ..release.clone() };
    app.agent_message(&session, FromAgent::Observed { releases: vec![moved] }).await.unwrap();
    assert_eq!(urls(), ["http://192.0.2.7:80/metrics"]);
    let named = Release { address: Some("web-1.example:80".into()), ..release };
    app.agent_message(&session, FromAgent::Observed { releases: vec![named] }).await.unwrap();
    assert_eq!(urls(), ["http://web-1.example:80/metrics"]);
    assert!(targets().iter().all(|target| target.elsewhere), "where the name leads to is looked at by who asks");
    app.agent_disconnect(&session);
    world.end().await;
}

/// An agent may say anything: of deploys and releases of another environment than its own it counts for nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_has_no_word_in_another_environment() {
    if !ready() {
        return;
    }
    let world = World::new(1).await;
    let first = world.deploy().await;
    world.state(first.number, &["succeeded"]).await;
    world.write_pipeline("canary: {hosts: 1, hold_s: 300}");
    world.commit("two");
    let number = world.deploy().await.number;
    world.state(number, &["canary"]).await;
    let claimed = claimed(number);
    let hello = hello("dev-1", "development", vec![claimed.clone()]);
    let app = world.app();
    let session = app.agent_connect(hello).await.unwrap();
    // the epoch is easily guessed
    for epoch in 0..20 {
        let order = OrderRef { service: "photos".into(), environment: "production".into(), deploy: number, epoch };
        let failed = FromAgent::Failed {
            order: order.clone(),
            digest: None,
            error: "harm was done".into(),
            log_tail: String::new(),
            running: Some(claimed.clone()),
        };
        let activated = FromAgent::Activated { order: order.clone(), release: claimed.clone() };
        for word in [failed, activated, FromAgent::Refused { order, highest_epoch: 1_000 }] {
            app.agent_message(&session, word).await.unwrap();
        }
    }
    app.agent_message(&session, FromAgent::Observed { releases: vec![claimed] }).await.unwrap();
    let hosts = app.hosts();
    let spy = hosts.iter().find(|host| host.name == "dev-1").expect("it is connected");
    assert!(spy.releases.is_empty(), "{:?}", spy.releases);
    // whoever conducts it still does, and answers
    app.deploy_cancel(&mei(), number).await.unwrap();
    world.state(number, &["rolled_back"]).await;
    assert!(!world.kinds(number).await.iter().any(|kind| kind == "deploy.resumed"));
    let log = world.log_text(number);
    assert!(!log.contains("harm") && !log.contains("refused an order"), "{log}");
    app.agent_disconnect(&session);
    world.end().await;
}
