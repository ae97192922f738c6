//! Servers, lines and hosts that end in the middle of an order, after each of its scripts.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use tenfold_deploys::Digest;

use crate::gate::{Step, When};
use crate::world::{World, mei};

const HOST: &str = "web-1";
/// How a deploy ends, in the record.
const ENDS: [&str; 5] =
    ["deploy.succeeded", "deploy.rolled_back", "deploy.failed", "deploy.cancelled", "deploy.interrupted"];

/// What a path is: a link's end, or a file's digest and whether it can be run.
#[derive(Debug, PartialEq, Eq)]
enum Stands {
    Link(String),
    File(String, bool),
}

/// Everything under a folder, but for what is skipped at its top.
fn tree(folder: &Path, skip: &[&str]) -> BTreeMap<String, Stands> {
    let mut all = BTreeMap::new();
    let mut open = vec![folder.to_owned()];
    while let Some(dir) = open.pop() {
        for entry in std::fs::read_dir(&dir).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(folder).unwrap().to_str().unwrap().to_owned();
            let meta = std::fs::symlink_metadata(&path).unwrap();
            if skip.contains(&name.as_str()) {
                continue;
            }
            if meta.is_dir() {
                open.push(path);
            } else if meta.is_symlink() {
                all.insert(name, Stands::Link(std::fs::read_link(&path).unwrap().to_str().unwrap().to_owned()));
            } else {
                let can_run = meta.permissions().mode() & 0o111 != 0;
                let digest = Digest::of(&std::fs::read(&path).unwrap()).to_string();
                all.insert(name, Stands::File(digest, can_run));
            }
        }
    }
    all
}

/// The names in the folder where a host keeps what is not a release yet.
fn aside(world: &World) -> Vec<String> {
    let entries = std::fs::read_dir(world.root(HOST).join(".tenfold")).unwrap();
    entries.map(|entry| entry.unwrap().file_name().to_str().unwrap().to_owned()).collect()
}

fn parts(world: &World) -> usize {
    aside(world).iter().filter(|name| name.starts_with("part-")).count()
}

fn epoch(world: &World) -> i64 {
    let text = std::fs::read_to_string(world.root(HOST).join(".tenfold/epoch")).unwrap();
    text.trim().parse().unwrap()
}

/// A commit whose archive is larger than what comes through a gate that stops half way.
fn commit(world: &World, version: &str) {
    // what xorshift gives does not get smaller in gzip
    let seed = version.bytes().fold(1_u64, |sum, b| sum.wrapping_mul(31).wrapping_add(u64::from(b)));
    let mut x = 0x9e37_79b9_7f4a_7c15 ^ seed;
    let noise: Vec<u8> = std::iter::repeat_with(|| {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        x.to_le_bytes()
    })
    .take(50_000)
    .flatten()
    .collect();
    std::fs::write(world.repository().join("noise.bin"), noise).unwrap();
    world.commit(version);
}

/// A host, with its first release, and a gate that is open.
async fn world() -> Option<World> {
    let world = World::gated(&[HOST]).await?;
    world.connected(1).await;
    let first = world.deploy().await;
    world.state(first.number, &["succeeded"]).await;
    Some(world)
}

/// Whatever happened meanwhile, the deploy has come to one good end, and the host looks as if nothing had happened.
async fn stands(world: &World, deploy: i64, version: &str, flips: usize) {
    world.state(deploy, &["succeeded"]).await;
    let kinds = world.kinds(deploy).await;
    let ends: Vec<_> = kinds.iter().filter(|kind| ENDS.contains(&kind.as_str())).collect();
    assert_eq!(ends, ["deploy.succeeded"], "{version}");

    let root = world.root(HOST);
    let current = std::fs::read_link(root.join("current")).unwrap();
    assert_eq!(current.parent(), Some(root.join("releases").as_path()), "{version}");
    let released = tree(&current, &["REVISION", "restarted", "log"]);
    assert_eq!(released, tree(&world.repository(), &[".git", ".tenfold", "log"]), "{version}");
    assert_eq!(std::fs::read_link(current.join("log")).unwrap(), root.join("shared/log"), "{version}");
    assert_eq!(world.file(HOST, "version.txt"), version);
    assert_eq!(world.file(HOST, "restarted"), version, "it was restarted in this release");

    let names: Vec<_> = std::fs::read_dir(root.join("releases")).unwrap().map(|e| e.unwrap().file_name()).collect();
    let is_name = |name: &str| name.len() == 14 && name.bytes().all(|b| b.is_ascii_digit());
    assert!(names.iter().all(|name| is_name(name.to_str().unwrap())), "{version}: {names:?}");
    let notes = aside(world).into_iter().filter(|name| name.strip_suffix(".json").is_some()).collect::<Vec<_>>();
    assert_eq!(notes.len(), names.len(), "{version}: {notes:?} of {names:?}");
    let of_deploy = format!("\"deploy\":{deploy},");
    let note = |name: &&String| std::fs::read_to_string(root.join(".tenfold").join(name)).unwrap().contains(&of_deploy);
    assert_eq!(notes.iter().filter(note).count(), 1, "{version}: one release was made");
    assert_eq!(parts(world), 0, "{version}: {:?}", aside(world));

    let log = std::fs::read_to_string(root.join("revisions.log")).unwrap();
    let line = format!("Deploy {deploy} (at {}) deployed as release ", world.head());
    assert_eq!(log.lines().filter(|said| said.starts_with(&line)).count(), flips, "{version}: {log}");
}

/// A flip that nobody was told of may not have come up: it is made once more.
fn flips(step: Step) -> usize {
    if step == Step::Flip { 2 } else { 1 }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_killed_after_any_script_goes_on() {
    let Some(mut world) = world().await else { return };
    let mut last = 0;
    for step in Step::ALL {
        let version = format!("killed after {step:?}");
        commit(&world, &version);
        world.gate(HOST).close(When::After, step);
        let deploy = world.deploy().await;
        world.until("the script has run", |w| w.gate(HOST).holds().is_some()).await;
        let before = epoch(&world);
        world.crash().await;
        world.gate(HOST).open();
        world.start().await;
        stands(&world, deploy.number, &version, flips(step)).await;
        assert!(world.kinds(deploy.number).await.iter().any(|kind| kind == "deploy.resumed"), "{version}");
        // after the mark nothing is left to be ordered
        let least = if step == Step::Mark { before } else { before + 1 };
        assert!(epoch(&world) >= least, "{version}: from epoch {before} to {}", epoch(&world));
        last = deploy.number;
    }
    // and what came about so can be gone back from
    let back = world.app().deploy_rollback(&mei(), last, None).await.unwrap();
    world.state(back.number, &["succeeded", "rolled_back"]).await;
    assert_eq!(world.file(HOST, "version.txt"), "killed after Flip");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_line_that_breaks_after_any_script_is_taken_up_again() {
    let Some(mut world) = world().await else { return };
    for step in Step::ALL {
        let version = format!("cut off after {step:?}");
        commit(&world, &version);
        world.gate(HOST).close(When::After, step);
        let deploy = world.deploy().await;
        world.until("the script has run", |w| w.gate(HOST).holds().is_some()).await;
        let before = epoch(&world);
        world.break_line(HOST);
        world.gate(HOST).open();
        stands(&world, deploy.number, &version, flips(step)).await;
        assert_eq!(epoch(&world), before, "{version}: the same server goes on");
        assert!(!world.log_text(deploy.number).contains("exit code"), "{}", world.log_text(deploy.number));
    }
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_whose_sshd_dies_in_a_transfer_is_away_until_it_is_back() {
    let Some(mut world) = world().await else { return };
    commit(&world, "two");
    world.gate(HOST).close(When::Half, Step::Unpack);
    let deploy = world.deploy().await;
    world.until("half of the archive is there", |w| w.gate(HOST).holds().is_some()).await;
    assert_eq!(parts(&world), 1);
    world.stop_sshd(HOST);
    world.gate(HOST).open();
    world.connected(0).await;
    let under_way = world.app().deploy(deploy.number).await.unwrap();
    assert!(under_way.finished_at.is_none(), "{under_way:?}");
    assert_eq!(world.file(HOST, "version.txt"), "one");
    assert_eq!(parts(&world), 1, "what is half there is no release");
    world.start_sshd(HOST);
    world.connected(1).await;
    stands(&world, deploy.number, "two", 1).await;
    world.end().await;
}
