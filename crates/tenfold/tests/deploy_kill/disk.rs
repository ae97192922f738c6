//! The server's disk is full in the middle of a deploy.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::world::{BACK_WITHIN, PATIENCE, Pipeline, World, node_is_there, until};

/// A filesystem in memory, small enough to fill.
struct Small(PathBuf);

impl Small {
    /// Nothing, with the reason in a line, where it cannot be mounted.
    fn mount(at: &Path) -> Option<Self> {
        let mut mount = Command::new("mount");
        let mounted = mount.args(["-t", "tmpfs", "-o", "size=48m", "tenfold-test"]).arg(at).output();
        if mounted.is_ok_and(|output| output.status.success()) {
            return Some(Self(at.to_owned()));
        }
        println!("skipped: a small filesystem can be mounted by root alone");
        None
    }

    fn fill(&self) {
        let mut file = std::fs::File::create(self.0.join("filler")).unwrap();
        let piece = [1; 4096];
        while file.write_all(&piece).is_ok() {}
    }

    fn free(&self) {
        std::fs::remove_file(self.0.join("filler")).unwrap();
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).output();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_holds_a_deploy_up_and_loses_nothing() {
    if !node_is_there() {
        return;
    }
    let mut small = None;
    let mut world = World::with(2, 1, "", |data| small = Small::mount(data)).await;
    let Some(small) = small else { return };
    let first = world.deploy("photos").await;
    world.wait(first, &["succeeded"]).await;
    let hold = Duration::from_secs(8);
    let target = format!("canary: {{hosts: 1, hold_s: {}}}", hold.as_secs());
    world.pipeline("photos", &Pipeline { target, ..Pipeline::default() });
    let number = world.deploy("photos").await;
    world.wait(number, &["canary"]).await;
    small.fill();
    until("a step that cannot be written", PATIENCE, async || {
        world.servers[0].log().contains("a step of the deploy could not be written; trying again").then_some(())
    })
    .await;
    assert_eq!(world.look(number).await["state"], "canary", "what is not written has not happened");
    assert_ne!(world.on_disk(1, "photos"), world.on_disk(2, "photos"), "and nothing was ordered");
    small.free();
    // the step need not be the one that ends the hold
    until("the deploy to go on", hold + BACK_WITHIN, async || {
        (world.look(number).await["state"] == "succeeded").then_some(())
    })
    .await;
    world.is_back(number, 0, false).await;
    world.record_is_whole().await;
    world.nothing_is_left_over().await;
}
