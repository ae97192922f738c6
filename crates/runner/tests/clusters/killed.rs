//! Servers that end while a command runs. Whether the one that comes next begins the command again or finds it where it was: the
//! deploy has one end, and what is live is what it says.

use std::time::Duration;

use tenfold_app::record::EventQuery;

use crate::command::{PUT, Thing, world};
use crate::world::{PATIENCE, World, image};

/// How a deploy ends, in the record.
const ENDS: [&str; 5] =
    ["deploy.succeeded", "deploy.rolled_back", "deploy.failed", "deploy.cancelled", "deploy.interrupted"];
/// A program that has put its release there and does not end before the test lets it.
const WAITS: &str = "exec 4<>/dev/tcp/127.0.0.1/$PORT; echo wait >&4; cat <&4\n";
/// One for each program that may wait; one that was killed takes its own with it.
const ALL: usize = 8;

/// How it ended, each time it did.
async fn ends(world: &World, deploy: i64) -> Vec<String> {
    let query = EventQuery {
        correlation: Some(format!("deploy:{deploy}")),
        limit: 500,
        ascending: true,
        ..EventQuery::default()
    };
    let kinds = world.app().events(query).await.unwrap().into_iter().map(|event| event.kind);
    kinds.filter(|kind| ENDS.contains(&kind.as_str())).collect()
}

/// What was put there under a deploy: the commit, by which command, and under which epoch.
fn puts(thing: &Thing, deploy: i64) -> Vec<(String, String, i64)> {
    let of_deploy = deploy.to_string();
    let calls = thing.calls().into_iter().filter(|call| call[0] == "put" && call[5] == of_deploy);
    calls.map(|call| (call[1].clone(), call[2].clone(), call[6].parse().unwrap())).collect()
}

/// Nothing of its programs stays on the server's disk.
async fn is_tidy(world: &World) {
    let commands = world.dir.path().join("data/commands");
    let empty = async {
        while std::fs::read_dir(&commands).is_ok_and(|mut left| left.next().is_some()) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    assert!(tokio::time::timeout(PATIENCE, empty).await.is_ok(), "something stays in {}", commands.display());
}

fn epochs_rise(puts: &[(String, String, i64)]) {
    assert!(puts.is_sorted_by_key(|(_, _, epoch)| *epoch), "an older server never comes after a newer one: {puts:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn servers_killed_one_after_another_in_a_command_end_the_deploy_once() {
    let thing = Thing::start().await;
    let (mut world, _) = world(&thing, "").await;
    world.write("put.sh", &(PUT.to_owned() + WAITS));
    let second = world.commit(&thing.target(""), &image("photos-two"));
    let deploy = world.deploy().await;
    thing.called(3).await;
    for _ in 0..2 {
        world.restart().await;
        let under_way = world.app().deploy(deploy.number).await.unwrap();
        assert!(under_way.finished_at.is_none(), "its command waits: {under_way:?}");
    }
    thing.gate.add_permits(ALL);
    world.state(deploy.number, "succeeded").await;
    assert_eq!(thing.live(), second);
    assert_eq!(ends(&world, deploy.number).await, ["deploy.succeeded"]);
    let puts = puts(&thing, deploy.number);
    assert!(puts.iter().all(|(sha, command, _)| (sha, command.as_str()) == (&second, "deploy")), "{puts:?}");
    epochs_rise(&puts);
    is_tidy(&world).await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_killed_on_the_way_back_ends_on_what_was_there_before() {
    let thing = Thing::start().await;
    let (mut world, first) = world(&thing, "").await;
    // it is live when it fails
    world.write("put.sh", &format!("{PUT}\nexit 3\n"));
    world.write("back.sh", &(PUT.to_owned() + WAITS));
    let second = world.commit(&thing.target(""), &image("photos-two"));
    let deploy = world.deploy().await;
    // the first release, the second one, the first again, and that it waits
    thing.called(4).await;
    world.restart().await;
    thing.gate.add_permits(ALL);
    let back = world.state(deploy.number, "rolled_back").await;
    assert!(back.error.unwrap_or_default().contains("exited with code 3"), "the reason is kept");
    assert_eq!(thing.live(), first);
    assert_eq!(ends(&world, deploy.number).await, ["deploy.rolled_back"]);
    let puts = puts(&thing, deploy.number);
    assert_eq!((puts[0].0.as_str(), puts[0].1.as_str()), (second.as_str(), "deploy"));
    let ways_back = puts[1..].iter().all(|(sha, command, _)| (sha, command.as_str()) == (&first, "rollback"));
    assert!(ways_back && puts.len() > 1, "what failed is not begun again: {puts:?}");
    epochs_rise(&puts);
    is_tidy(&world).await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_that_ended_is_not_run_again_while_what_it_brought_about_is_waited_for() {
    let thing = Thing::start().await;
    let (mut world, _) = world(&thing, "").await;
    // it is not live at once
    world.write("put.sh", &PUT.replace("put ${TENFOLD_SHA", "later ${TENFOLD_SHA"));
    let target = thing.target("").replace("settle_s: 1", "settle_s: 120");
    let second = world.commit(&target, &image("photos-two"));
    let deploy = world.deploy().await;
    let step = world.dir.path().join(format!("data/commands/{}.step", deploy.number));
    for _ in 0..2 {
        let looked = async {
            let is_so = || {
                let about = std::fs::read_to_string(step.join("about")).unwrap_or_default();
                about.contains("observe ") && about.contains(" after deploy ") && step.join("end").exists()
            };
            while !is_so() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        assert!(tokio::time::timeout(PATIENCE, looked).await.is_ok(), "nobody looks what came of it");
        world.restart().await;
    }
    thing.live.lock().clone_from(&second);
    world.state(deploy.number, "succeeded").await;
    let calls = thing.calls();
    assert_eq!(calls.iter().filter(|call| call[0] == "later").count(), 1, "{calls:?}");
    assert_eq!(ends(&world, deploy.number).await, ["deploy.succeeded"]);
    is_tidy(&world).await;
    world.stop().await;
}
