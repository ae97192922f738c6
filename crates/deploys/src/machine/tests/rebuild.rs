//! An artifact that is not on the server, and is built again.

use super::*;
use crate::machine::step::BUILDS_MAX;

/// Two hosts are to take what the server has not got.
fn staging() -> World {
    let mut w = World::new(Plan { build_ms: 600_000, ..plan(1) }, 2);
    w.give(Input::Start).give(Input::Built { digest: new() });
    w
}

fn miss(w: &mut World, host: &str) {
    w.give(Input::Missing { host: host.into(), digest: new() });
}

fn begins(w: &World) -> bool {
    w.orders.contains(&Effect::BuildAgain { digest: new() })
}

fn restart(w: &mut World, kept: bool) {
    let hosts = w.names().into_iter().map(|name| (name, Some(on_old()))).collect();
    w.give(Input::Resumed { hosts, kept });
}

#[test]
fn one_build_is_for_all_that_wait() {
    let mut w = staging();
    w.give(Input::Missing { host: "host-1".into(), digest: old() });
    assert!(w.orders.is_empty(), "nobody asked for that one");
    miss(&mut w, "host-1");
    assert!(begins(&w));
    miss(&mut w, "host-2");
    assert!(!begins(&w));
    w.give(Input::BuiltAgain { error: None });
    assert_eq!((w.ordered("stage"), w.run.rebuilds), (w.names(), 0));
    for name in w.names() {
        w.give(Input::Staged { host: name, digest: new() });
    }
    assert_eq!(w.run.state, State::Canary);

    let mut w = staging();
    miss(&mut w, "host-1");
    w.give(Input::BuiltAgain { error: Some("its build gives another one".into()) });
    assert_eq!(w.run.state, State::Failed);
    let error = w.run.error.unwrap();
    assert!(error.contains("host-1 (its build gives another one)"), "{error}");
}

#[test]
fn one_that_takes_the_server_down_is_begun_twice() {
    let mut w = staging();
    for begun in 1..=BUILDS_MAX {
        miss(&mut w, "host-1");
        assert!(begins(&w), "{begun}");
        // it is stored with the step, before anything is begun
        let stored = serde_json::to_string(&w.run).unwrap();
        w.run = serde_json::from_str(&stored).unwrap();
        assert_eq!(w.run.rebuilds, begun);
        restart(&mut w, false);
        assert_eq!(w.ordered("stage"), w.names());
    }
    miss(&mut w, "host-1");
    assert!(!begins(&w));
    assert_eq!(w.run.state, State::Failed);
    let error = w.run.error.unwrap();
    assert!(error.contains("the server stopped 2 times while it was built again"), "{error}");
}

#[test]
fn one_that_outlived_the_server_counts_once_and_one_that_ended_not_at_all() {
    let mut w = staging();
    for _ in 0..4 {
        miss(&mut w, "host-1");
        assert!(begins(&w));
        restart(&mut w, true);
    }
    for _ in 0..4 {
        miss(&mut w, "host-1");
        assert!(begins(&w));
        w.give(Input::BuiltAgain { error: None });
    }
    assert_eq!(w.run.state, State::Staging);
    let mut w = staging();
    miss(&mut w, "host-1");
    restart(&mut w, false);
    w.give(Input::Staged { host: "host-1".into(), digest: new() });
    assert_eq!(w.run.rebuilds, 0, "it was there after all");
}

#[test]
fn hosts_are_waited_for_as_long_as_it_may_take() {
    let mut w = staging();
    miss(&mut w, "host-1");
    miss(&mut w, "host-2");
    w.later(599_000);
    let waits = |h: &Host| h.state == HostState::Staging && h.message.as_deref().unwrap().contains("built again");
    assert!(w.run.hosts.iter().all(waits), "{:?}", w.run.hosts);
    w.give(Input::BuiltAgain { error: None });
    w.later(59_000);
    assert_eq!(w.run.state, State::Staging, "they have the time of a host from there on");
    w.later(1_000);
    let error = w.run.error.clone().unwrap();
    assert!(w.run.state == State::Failed && !error.contains("build"), "it was not the build: {error}");

    let mut w = staging();
    miss(&mut w, "host-1");
    assert_eq!(w.run.next_wake(), Some(w.now.plus_ms(60_000)), "the other has no longer than ever");
    miss(&mut w, "host-2");
    w.later(600_000);
    let error = w.run.error.clone().unwrap();
    assert!(error.contains("building it again did not end in time"), "{error}");
    assert!(w.run.state == State::Failed && w.orders.contains(&Effect::StopBuild));
}

#[test]
fn it_ends_with_its_deploy() {
    let mut w = staging();
    miss(&mut w, "host-1");
    w.give(Input::Cancel { by: "mei".into() });
    assert_eq!(w.run.state, State::Cancelled);
    assert!(w.orders.contains(&Effect::StopBuild) && w.run.rebuild_until.is_none());
    assert!(w.run.hosts.iter().all(|h| h.message.is_none()));
}
