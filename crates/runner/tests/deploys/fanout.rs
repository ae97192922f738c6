//! What goes over the line, and what stands on a host afterwards.

use std::{fs, path::PathBuf};

use tenfold_app::deploys::hash_file;
use tenfold_deploys::{Digest, manifest::Entry};

use crate::world::{World, ready};

/// Bytes that do not compress and do not repeat.
fn noise(len: usize) -> Vec<u8> {
    let mut x = 0x2545_f491_4f6c_dd1d_u64;
    let mut step = || {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        x.to_le_bytes()[3]
    };
    (0..len).map(|_| step()).collect()
}

fn release(world: &World, host: &str) -> PathBuf {
    fs::canonicalize(world.host_dir(host).join("services/photos/current")).unwrap()
}

/// Every path of the release on the host holds what the manifest says.
fn check_tree(world: &World, host: &str) {
    let dir = release(world, host);
    let digest = Digest::parse(dir.file_name().unwrap().to_str().unwrap()).unwrap();
    let manifest = world.app().blobs().manifest(digest).unwrap();
    for entry in manifest.entries() {
        let path = dir.join(entry.path());
        match entry {
            Entry::File { blake3, size, .. } => {
                assert_eq!(hash_file(&path).unwrap(), (*blake3, *size), "{}", path.display());
            }
            Entry::Link { target, .. } => assert_eq!(fs::read_link(&path).unwrap().to_str(), Some(target.as_str())),
        }
    }
}

fn sent(world: &World, kind: &str) -> f64 {
    world.app().metrics.own.get("tenfold_blob_bytes_sent_total", &[("kind", kind)])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_file_that_changed_a_little_goes_as_a_delta() {
    if !ready() {
        return;
    }
    let world = World::new(3).await;
    let model = world.repository().join("model.bin");
    let mut bytes = noise(2 << 20);
    fs::write(&model, &bytes).unwrap();
    world.build_also("fs.copyFileSync('model.bin', 'dist/model.bin');");
    world.commit("one");
    let deploy = world.deploy().await;
    world.state(deploy.number, &["succeeded"]).await;
    let first = sent(&world, "pack");
    assert!(first >= 3.0 * f64::from(2 << 20), "each host got it once: {first}");
    assert!(first < 3.1 * f64::from(2 << 20), "and no more than that: {first}");

    bytes.splice(1_000_000..1_000_000, *b"inserted in the middle");
    fs::write(&model, &bytes).unwrap();
    world.commit("two");
    let second = world.deploy().await;
    world.state(second.number, &["succeeded"]).await;
    let more = sent(&world, "pack") - first;
    assert!(more > 0.0 && more < 30_000.0, "{more} bytes for three hosts: a delta and the version's own file");
    assert_eq!((sent(&world, "whole"), sent(&world, "delta")), (0.0, 0.0), "these agents take packs");
    for host in ["host-1", "host-2", "host-3"] {
        check_tree(&world, host);
        assert_eq!(fs::read(release(&world, host).join("dist/model.bin")).unwrap(), bytes);
    }
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_release_that_was_changed_on_a_host_is_made_anew() {
    if !ready() {
        return;
    }
    let world = World::new(1).await;
    let first = world.deploy().await;
    world.state(first.number, &["succeeded"]).await;
    let old = release(&world, "host-1");
    world.commit("two");
    let second = world.deploy().await;
    world.state(second.number, &["succeeded"]).await;
    // somebody edits the old release by hand, and with it the blob it is linked to
    let file = old.join("dist/version.txt");
    let mut rights = fs::metadata(&file).unwrap().permissions();
    std::os::unix::fs::PermissionsExt::set_mode(&mut rights, 0o644);
    fs::set_permissions(&file, rights).unwrap();
    fs::write(&file, "hacked").unwrap();
    // the same commit again is staged anew, and its tree is checked
    let again =
        world.app().deploy_start(&crate::world::mei(), crate::world::new_deploy(Some(&first.to_sha))).await.unwrap();
    world.state(again.number, &["succeeded"]).await;
    assert_eq!(world.versions().await, ["one"]);
    assert_eq!(release(&world, "host-1"), old);
    check_tree(&world, "host-1");
    world.end().await;
}
