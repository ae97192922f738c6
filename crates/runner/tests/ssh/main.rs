//! Hosts without an agent: real OpenSSH servers on loopback, and Debian's capistrano on the same folders.

#![expect(clippy::unwrap_used, reason = "a test that fails should panic where it fails")]

mod capistrano;
mod crash;
mod gate;
mod linked;
mod world;

use std::os::unix::fs::MetadataExt;

use world::{World, mei};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_release_goes_to_hosts_without_agents_and_back() {
    let Some(mut world) = World::new(&["web-1", "web-2"]).await else { return };
    world.connected(2).await;
    let sha = world.head();
    let first = world.deploy().await;
    world.state(first.number, &["succeeded"]).await;
    for host in ["web-1", "web-2"] {
        let root = world.root(host);
        let current = std::fs::read_link(root.join("current")).unwrap();
        let name = current.file_name().unwrap().to_str().unwrap().to_owned();
        assert_eq!(current, root.join("releases").join(&name), "an absolute link, as Capistrano's");
        assert!(name.len() == 14 && name.bytes().all(|b| b.is_ascii_digit()), "{name}");
        assert_eq!(world.file(host, "version.txt"), "one");
        assert_eq!(world.file(host, "REVISION").trim(), sha);
        assert_eq!(world.file(host, "deep/er/run.sh"), "#!/bin/sh\n");
        assert_ne!(std::fs::metadata(root.join("current/deep/er/run.sh")).unwrap().mode() & 0o111, 0);
        assert_eq!(std::fs::read_link(root.join("current/link.txt")).unwrap().to_str(), Some("version.txt"));
        assert_eq!(std::fs::read_link(root.join("current/log")).unwrap(), root.join("shared/log"));
        assert_eq!(world.file(host, "restarted"), "one", "the restart ran in the new release");
        let log = std::fs::read_to_string(root.join("revisions.log")).unwrap();
        assert_eq!(log, format!("Deploy 1 (at {sha}) deployed as release {name} by tenfold\n"));
    }
    // the same shared folder for every release
    std::fs::write(world.root("web-1").join("current/log/a.log"), "kept").unwrap();

    world.commit("two");
    let second = world.deploy().await;
    world.state(second.number, &["succeeded"]).await;
    let root = world.root("web-1");
    let mut releases: Vec<_> = std::fs::read_dir(root.join("releases")).unwrap().map(|e| e.unwrap().path()).collect();
    releases.sort();
    assert_eq!(releases.len(), 2);
    let inode = |release: usize, path: &str| std::fs::metadata(releases[release].join(path)).unwrap().ino();
    assert_eq!(inode(0, "large.bin"), inode(1, "large.bin"), "what did not change is linked");
    assert_ne!(inode(0, "version.txt"), inode(1, "version.txt"));
    assert_eq!(world.file("web-1", "version.txt"), "two");
    assert_eq!(world.file("web-1", "log/a.log"), "kept");

    let back = world.app().deploy_rollback(&mei(), second.number, Some("slow pages".into())).await.unwrap();
    world.state(back.number, &["succeeded", "rolled_back"]).await;
    for host in ["web-1", "web-2"] {
        assert_eq!(world.file(host, "version.txt"), "one");
        let log = std::fs::read_to_string(world.root(host).join("revisions.log")).unwrap();
        assert!(log.lines().last().unwrap().starts_with("tenfold rolled back to release"), "{log}");
    }
    // a host whose key is not known is never let near
    assert!(!world.app().hosts().iter().any(|h| h.name == "stranger"));
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_release_that_does_not_come_up_goes_back() {
    let Some(mut world) = World::new(&["web-1"]).await else { return };
    world.connected(1).await;
    let first = world.deploy().await;
    world.state(first.number, &["succeeded"]).await;

    // a server that was cut off between the flip and the check leaves this behind; nobody is told that it is healthy
    let root = world.root("web-1");
    let current = std::fs::read_link(root.join("current")).unwrap();
    let note = root.join(".tenfold").join(format!("{}.json", current.file_name().unwrap().to_str().unwrap()));
    let healthy = std::fs::read_to_string(&note).unwrap();
    let (phase, other) = ("\"phase\":\"healthy\"", "\"phase\":\"activating\"");
    assert!(healthy.contains(phase), "{healthy}");
    std::fs::write(&note, healthy.replace(phase, other)).unwrap();
    world.until("it counts as unhealthy", |w| w.state_of("web-1").as_deref() == Some("unhealthy")).await;
    std::fs::write(&note, healthy).unwrap();
    world.until("it counts as healthy", |w| w.state_of("web-1").as_deref() == Some("running")).await;

    world.commit("sick");
    let second = world.deploy().await;
    let ended = world.state(second.number, &["failed", "rolled_back"]).await;
    world.app().unlock(&mei(), "photos", "production").await.unwrap();
    assert_eq!(world.file("web-1", "version.txt"), "one");
    let log = world.log_text(ended.number);
    assert!(log.contains("exit code 3"), "{log}");

    // the program's own end, which is OpenSSH's word for a line that broke
    world.commit("broken-line");
    let odd = world.deploy().await;
    world.state(odd.number, &["failed", "rolled_back"]).await;
    world.app().unlock(&mei(), "photos", "production").await.unwrap();
    assert_eq!(world.file("web-1", "version.txt"), "one");
    let log = world.log_text(odd.number);
    assert!(log.contains("exit code 254 or 255") && !log.contains("the line broke"), "{log}");

    // a file that was changed by hand in the release that stands there does not reach the next one
    let large = world.root("web-1").join("current/large.bin");
    std::fs::write(&large, "changed by hand").unwrap();
    world.commit("three");
    let third = world.deploy().await;
    world.state(third.number, &["succeeded"]).await;
    assert_eq!(std::fs::read(world.root("web-1").join("current/large.bin")).unwrap(), vec![b'x'; 300_000]);

    // a server that is not the newest one is refused
    std::fs::write(world.root("web-1").join(".tenfold/epoch"), "1000000\n").unwrap();
    world.commit("four");
    let fourth = world.deploy().await;
    world.until("the host refuses", |w| w.log_text(fourth.number).contains("it follows epoch 1000000")).await;
    assert_eq!(world.file("web-1", "version.txt"), "three");
    world.end().await;
}
