//! Killed in each state that a deploy can be in: the server, an agent, or both.

use serde_json::Value;

use crate::everything;
use crate::world::{Pipeline, World, node_is_there};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Victim {
    Server,
    Agent,
    Both,
}

/// How a deploy is brought into a state, and how it has to end.
#[derive(Debug, Clone, Copy)]
enum Case {
    Building,
    Staging,
    HookOnce,
    HookAgain,
    Approval,
    Canary,
    Held,
    Promoting,
    RollingBack,
    WayBack,
    NeedsHuman,
}

const VICTIMS: [Victim; 3] = [Victim::Server, Victim::Agent, Victim::Both];

fn target(text: &str) -> Pipeline {
    Pipeline { target: text.to_owned(), ..Pipeline::default() }
}

impl Case {
    fn pipeline(self) -> Pipeline {
        match self {
            Self::Building => Pipeline { build_ms: 1_500, ..Pipeline::default() },
            Self::HookOnce => Pipeline { hook: Some(("before_activate", 1_500, false)), ..Pipeline::default() },
            Self::HookAgain => Pipeline { hook: Some(("before_activate", 1_000, true)), ..Pipeline::default() },
            Self::Approval => target("approve: {count: 1, four_eyes: false}"),
            Self::Held => target("canary: {hosts: 1, hold_s: 0, check: {query: nothing_at_all, max: 1}}"),
            Self::RollingBack => Pipeline { hook: Some(("on_rollback", 1_500, true)), ..Pipeline::default() },
            Self::WayBack | Self::NeedsHuman | Self::Promoting => target("canary: {hosts: 0}"),
            Self::Staging | Self::Canary => Pipeline::default(),
        }
    }

    /// Brings a deploy into its state; returns its number.
    async fn begin(self, world: &mut World) -> i64 {
        world.pipeline("photos", &self.pipeline());
        match self {
            Self::Staging => {
                crate::world::signal(world.agent_pid(2), "-STOP");
                let number = world.deploy("photos").await;
                world.wait(number, &["staging"]).await;
                number
            }
            Self::Promoting => {
                world.flag("slow", true);
                let number = world.deploy("photos").await;
                world.wait(number, &["promoting"]).await;
                number
            }
            Self::RollingBack => {
                world.flag("broken", true);
                let number = world.deploy("photos").await;
                world.wait(number, &["rolling_back"]).await;
                number
            }
            Self::WayBack | Self::NeedsHuman => {
                let flag = if matches!(self, Self::WayBack) { "slow" } else { "broken" };
                let number = world.deploy("photos").await;
                world.wait(number, &["succeeded"]).await;
                world.flag(flag, true);
                let back = world.ask("POST", &format!("/api/deploys/{number}/rollback"), serde_json::json!({})).await;
                let back = back["number"].as_i64().unwrap();
                world.wait(back, &[if matches!(self, Self::WayBack) { "promoting" } else { "needs_human" }]).await;
                back
            }
            Self::HookOnce | Self::HookAgain => {
                let number = world.deploy("photos").await;
                crate::world::until("the hook to begin", crate::world::PATIENCE, async || {
                    (world.hooks_run(number).await > 0).then_some(())
                })
                .await;
                number
            }
            _ => {
                let number = world.deploy("photos").await;
                let state = match self {
                    Self::Building => "building",
                    Self::Approval => "awaiting_approval",
                    Self::Held => "held",
                    _ => "canary",
                };
                world.wait(number, &[state]).await;
                number
            }
        }
    }

    /// What people do then, and how it ends.
    async fn end(self, world: &World, number: i64) -> Value {
        let path = |verb: &str| format!("/api/deploys/{number}/{verb}");
        match self {
            Self::Approval => {
                world.wait(number, &["awaiting_approval"]).await;
                world.as_mei(&path("approve"), Value::Null).await;
            }
            Self::Held | Self::NeedsHuman => {
                world.wait(number, &["held", "needs_human"]).await;
                if matches!(self, Self::NeedsHuman) {
                    world.flag("broken", false);
                }
                world.ask("POST", &path("promote"), Value::Null).await;
            }
            _ => {}
        }
        let deploy = match self {
            Self::RollingBack => world.wait(number, &["rolled_back"]).await,
            _ => world.wait(number, &["succeeded"]).await,
        };
        match self {
            Self::Promoting | Self::WayBack => world.flag("slow", false),
            Self::RollingBack => {
                world.flag("broken", false);
                assert_eq!(world.unlock().await, 1, "a way back that was killed locks once");
            }
            Self::HookOnce | Self::HookAgain => assert_eq!(world.hooks_run(number).await, 1, "a hook ran twice"),
            Self::Building => assert_eq!(world.said(number, "build begun").await, 1, "a build was begun twice"),
            _ => {}
        }
        deploy
    }

    async fn run(self, world: &mut World, victim: Victim) {
        println!("{self:?}: {victim:?}");
        let number = self.begin(world).await;
        let resumed = world.kinds(0, number).await.iter().filter(|k| *k == "deploy.resumed").count();
        // the canary, or the one that is waited for
        let host = if matches!(self, Self::Staging) { 2 } else { 1 };
        if victim != Victim::Server {
            world.kill_agent(host);
        }
        if victim != Victim::Agent {
            world.kill_server();
            world.start_server(&[]).await;
        }
        if victim != Victim::Server {
            world.start_agent(host, &[]);
        }
        if matches!(self, Self::Staging) {
            crate::world::signal(world.agent_pid(2), "-CONT");
        }
        world.is_back(number, resumed, victim != Victim::Agent).await;
        let ended = self.end(world, number).await;
        if ended["state"] == "succeeded" {
            assert!(ended["hosts"].as_array().unwrap().iter().all(|h| h["state"] == "healthy"), "{ended:#}");
        }
        let kinds = world.kinds(0, number).await;
        let ends = ["deploy.succeeded", "deploy.rolled_back", "deploy.failed"];
        let said = kinds.iter().filter(|k| ends.contains(&k.as_str())).count();
        assert_eq!(said, 1, "its end is said once: {kinds:?}");
        world.is_back(number, 0, false).await;
        world.nothing_is_left_over().await;
    }
}

/// In this order, so that each half has every victim where it matters most.
const CASES: [Case; 11] = [
    Case::HookOnce,
    Case::Building,
    Case::Approval,
    Case::Staging,
    Case::Canary,
    Case::HookAgain,
    Case::Held,
    Case::Promoting,
    Case::RollingBack,
    Case::WayBack,
    Case::NeedsHuman,
];

/// Each state with one victim, or with all three. Two halves, which run beside each other.
async fn half(which: usize) {
    if !node_is_there() {
        return;
    }
    let mut world = World::new(2).await;
    let first = world.deploy("photos").await;
    world.wait(first, &["succeeded"]).await;
    let mut rounds = 0;
    for (at, case) in CASES.into_iter().enumerate().filter(|(at, _)| at % 2 == which) {
        for (nth, victim) in VICTIMS.into_iter().enumerate() {
            if everything() || nth == at / 2 % VICTIMS.len() {
                case.run(&mut world, victim).await;
                rounds += 1;
            }
        }
    }
    world.record_is_whole().await;
    println!("{rounds} kills in a state");
}

/// Long before it counts as out of reach.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_that_stays_away_is_said_to_be_away_at_once() {
    if !node_is_there() {
        return;
    }
    let mut world = World::new(2).await;
    let first = world.deploy("photos").await;
    world.wait(first, &["succeeded"]).await;
    world.pipeline("photos", &target("canary: {hosts: 1, hold_s: 300}"));
    let number = world.deploy("photos").await;
    world.wait(number, &["canary"]).await;
    world.kill_agent(1);
    let away = crate::world::until("the host to be told as away", crate::world::BACK_WITHIN, async || {
        let deploy = world.look(number).await;
        let host = deploy["hosts"][0].clone();
        (!host["away_since"].is_null()).then_some(host)
    })
    .await;
    assert!(away["state"] != "unreachable" && away["unreachable_at"].is_string(), "{away:#}");
    world.ask("POST", &format!("/api/deploys/{number}/cancel"), Value::Null).await;
    world.start_agent(1, &[]);
    let back = world.wait(number, &["rolled_back"]).await;
    assert!(back["hosts"][0]["away_since"].is_null(), "{back:#}");
    world.nothing_is_left_over().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deploy_goes_on_in_whatever_state_its_server_or_agent_was_killed() {
    half(0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deploy_goes_on_in_whatever_other_state_its_server_or_agent_was_killed() {
    half(1).await;
}
