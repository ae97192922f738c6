//! Builds and hooks that run while the server is killed or stopped: the process that was begun comes to its end, and the deploy
//! goes on with that.

use serde_json::Value;

use crate::world::{PATIENCE, Pipeline, World, node_is_there, until};

async fn begun(world: &World, number: i64, line: &str) {
    until(line, PATIENCE, async || (world.said(number, line).await == 1).then_some(())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_build_and_a_hook_end_in_the_process_that_began_them() {
    if !node_is_there() {
        return;
    }
    let mut world = World::new(2).await;
    let first = world.deploy("photos").await;
    world.wait(first, &["succeeded"]).await;
    // the first by kill -9, the second as a service manager restarts it
    for asked in [false, true] {
        // one that may not run twice
        let hook = Some(("before_activate", 3_000, false));
        world.pipeline("photos", &Pipeline { build_ms: 3_000, hook, ..Pipeline::default() });
        let number = world.deploy("photos").await;
        for line in ["build begun", "hook begun"] {
            begun(&world, number, line).await;
            if asked {
                world.stop_server();
            } else {
                world.kill_server();
            }
            world.start_server(&[]).await;
        }
        world.is_back(number, 1, true).await;
        let done = world.wait(number, &["succeeded"]).await;
        assert!(done["hosts"].as_array().unwrap().iter().all(|h| h["state"] == "healthy"), "{done:#}");
        let lines = [
            ("build begun", 1),
            ("hook begun", 1),
            ("done", 2),
            ("the build outlived the server and is followed again", 1),
            ("the hook outlived the server and is followed again", 1),
        ];
        for (line, times) in lines {
            assert_eq!(world.said(number, line).await, times, "{line}");
        }
        world.nothing_is_left_over().await;
    }
    world.record_is_whole().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hook_that_was_taken_up_is_cancelled_with_its_deploy() {
    if !node_is_there() {
        return;
    }
    let mut world = World::new(1).await;
    let hook = Some(("before_activate", 600_000, false));
    world.pipeline("photos", &Pipeline { hook, ..Pipeline::default() });
    let number = world.deploy("photos").await;
    begun(&world, number, "hook begun").await;
    world.kill_server();
    world.start_server(&[]).await;
    world.is_back(number, 0, true).await;
    world.ask("POST", &format!("/api/deploys/{number}/cancel"), Value::Null).await;
    world.wait(number, &["cancelled"]).await;
    world.nothing_is_left_over().await;
    assert_eq!(world.hooks_run(number).await, 1);
}
