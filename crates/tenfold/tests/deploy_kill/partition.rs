//! An agent that stands still: its connection is open and nothing comes of it.

use serde_json::Value;

use crate::world::{PATIENCE, Pipeline, World, node_is_there, signal, until};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_canary_whose_agent_stands_still_is_unknown_and_held() {
    if !node_is_there() {
        return;
    }
    let mut world = World::new(2).await;
    let first = world.deploy("photos").await;
    world.wait(first, &["succeeded"]).await;
    world.pipeline("photos", &Pipeline { target: "canary: {hosts: 1, hold_s: 300}".into(), ..Pipeline::default() });
    let number = world.deploy("photos").await;
    until("the canary to be healthy", PATIENCE, async || {
        (world.look(number).await["hosts"][0]["state"] == "healthy").then_some(())
    })
    .await;
    signal(world.agent_pid(1), "-STOP");
    let held = world.wait(number, &["held"]).await;
    assert!(held["error"].as_str().unwrap().contains("host-1 is out of reach"), "{held:#}");
    let other = held["hosts"][1]["state"].as_str().unwrap();
    assert!(["staged", "preparing", "prepared"].contains(&other), "nothing else serves it: {held:#}");
    signal(world.agent_pid(1), "-CONT");
    world.is_back(number, 0, false).await;
    world.ask("POST", &format!("/api/deploys/{number}/promote"), Value::Null).await;
    let done = world.wait(number, &["succeeded"]).await;
    assert!(done["hosts"].as_array().unwrap().iter().all(|h| h["state"] == "healthy"), "{done:#}");
    world.nothing_is_left_over().await;
}
