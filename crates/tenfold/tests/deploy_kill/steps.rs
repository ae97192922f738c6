//! Killed between what was written and what follows from it: the server at each step of a deploy, the agent before and after
//! each write of its state.

use serde_json::Value;

use crate::everything;
use crate::world::{PATIENCE, Pipeline, World, node_is_there, until};

/// More steps than a deploy to two hosts has.
const STEPS_MAX: u64 = 40;
/// More writes than an agent makes in a deploy; twice, for before and after.
const POINTS_MAX: u64 = 16;

/// Those that are run without being asked for everything: what was queued and not begun, ordered and not sent, flipped.
const SOME_STEPS: [u64; 3] = [1, 5, 9];
/// A process started and not written down; a flip that is written and not told.
const SOME_POINTS: [u64; 2] = [3, 6];

fn pipeline() -> Pipeline {
    Pipeline {
        hook: Some(("after_promote", 0, true)),
        target: "canary: {hosts: 1, hold_s: 0}".into(),
        ..Pipeline::default()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_killed_between_a_step_and_its_act_makes_up_for_it() {
    if !node_is_there() {
        return;
    }
    let mut world = World::new(2).await;
    world.pipeline("photos", &pipeline());
    let mut rounds = 0;
    for step in (1..STEPS_MAX).filter(|step| everything() || SOME_STEPS.contains(step)) {
        println!("dies after step {step}");
        world.kill_server();
        world.start_server(&[("TENFOLD_DIES_AFTER_STEPS", step.to_string())]).await;
        world.connected().await;
        world.commit("photos");
        let number = newest(&world).await + 1;
        // its answer may be lost with the server
        let body = serde_json::json!({"service": "photos"});
        let request = world.http.post(world.url(0, "/api/deploys")).json(&body);
        let _ = world.signed(request).send().await;
        let died = until("the server's end, or the deploy's", PATIENCE, async || {
            if world.server_died().is_some() {
                return Some(true);
            }
            let path = world.url(0, &format!("/api/deploys/{number}"));
            let deploy: Value = world.signed(world.http.get(path)).send().await.ok()?.json().await.ok()?;
            (!deploy["finished_at"].is_null()).then_some(false)
        })
        .await;
        if !died {
            assert!(step > 8, "a deploy has more steps than {step}");
            break;
        }
        world.start_server(&[]).await;
        world.is_back(number, 0, true).await;
        world.wait(number, &["succeeded"]).await;
        world.is_back(number, 0, false).await;
        let ends = world.kinds(0, number).await.into_iter().filter(|k| k == "deploy.succeeded").count();
        assert_eq!(ends, 1, "its end is said once");
        world.nothing_is_left_over().await;
        rounds += 1;
    }
    world.record_is_whole().await;
    println!("{rounds} kills of the server between a step and its act");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_killed_around_each_write_of_its_state_leaves_nothing_half_done() {
    if !node_is_there() {
        return;
    }
    let mut world = World::new(2).await;
    world.pipeline("photos", &pipeline());
    let first = world.deploy("photos").await;
    world.wait(first, &["succeeded"]).await;
    let mut rounds = 0;
    for point in (1..POINTS_MAX).filter(|point| everything() || SOME_POINTS.contains(point)) {
        println!("the agent dies at point {point}");
        world.kill_agent(1);
        world.start_agent(1, &[("TENFOLD_AGENT_DIES_AT", point.to_string())]);
        until("the agent to be back", PATIENCE, async || world.is_told_connected(1).await.then_some(())).await;
        let number = world.deploy("photos").await;
        let died = until("the agent's end, or the deploy's", PATIENCE, async || {
            if world.agent_died(1) {
                return Some(true);
            }
            (!world.look(number).await["finished_at"].is_null()).then_some(false)
        })
        .await;
        if !died {
            assert!(point > 6, "an agent writes more often in a deploy than {point}");
            break;
        }
        world.start_agent(1, &[]);
        world.is_back(number, 0, false).await;
        // A canary that was away went back or goes on; a deploy is never left between.
        let ended = until("the deploy's end", PATIENCE, async || {
            let deploy = world.look(number).await;
            (!deploy["finished_at"].is_null()).then_some(deploy)
        })
        .await;
        assert_eq!(ended["state"], "succeeded", "{ended:#}");
        world.is_back(number, 0, false).await;
        world.nothing_is_left_over().await;
        rounds += 1;
    }
    println!("{rounds} kills of the agent around a write of its state");
}

async fn newest(world: &World) -> i64 {
    let deploys = world.ask("GET", "/api/deploys?limit=1", Value::Null).await;
    deploys["items"][0]["number"].as_i64().unwrap_or(0)
}
