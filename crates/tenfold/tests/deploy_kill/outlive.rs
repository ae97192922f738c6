//! Builds and hooks that run while the server is killed or stopped: the process that was begun comes to its end, and the deploy
//! goes on with that.

use serde_json::Value;

use crate::world::{PATIENCE, Pipeline, World, node_is_there, signal, until};

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

/// Of an artifact that is made again no step says that it is under way, and yet it is gone on with.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_built_again_ends_in_the_process_that_began_it() {
    if !node_is_there() {
        return;
    }
    let mut world = World::new(2).await;
    let first = world.deploy("photos").await;
    world.wait(first, &["succeeded"]).await;
    world.pipeline("photos", &Pipeline { build_ms: 3_000, ..Pipeline::default() });
    // the second host gets none of it before the artifact is gone
    signal(world.agent_pid(2), "-STOP");
    let number = world.deploy("photos").await;
    let staged = world.is_on_the_first_alone(number).await;
    world.kill_server();
    world.kill_agent(2);
    world.forget_artifact(staged["digest"].as_str().unwrap());
    world.start_server(&[]).await;
    world.start_agent(2, &[]);
    until("it to be built again", PATIENCE, async || (world.said(number, "build begun").await == 2).then_some(()))
        .await;
    world.kill_server();
    world.start_server(&[]).await;
    let done = world.wait(number, &["succeeded"]).await;
    assert!(done["hosts"].as_array().unwrap().iter().all(|h| h["state"] == "healthy"), "{done:#}");
    assert_eq!(done["digest"], staged["digest"]);
    assert_eq!(world.on_disk(2, "photos").as_deref(), staged["digest"].as_str());
    for (line, times) in [("build begun", 2), ("the build outlived the server and is followed again", 1)] {
        assert_eq!(world.said(number, line).await, times, "{line}");
    }
    world.nothing_is_left_over().await;
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
