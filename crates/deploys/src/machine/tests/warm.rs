//! A rollback to what its hosts still keep warm, and what becomes of one whose hosts do not.

use super::*;

fn rollback(hosts: usize, away: &[&str]) -> World {
    let name = |i: usize| format!("host-{i}");
    let seen = |name: &str| (!away.contains(&name)).then(on_old);
    let hosts = (1..=hosts).map(|i| (name(i), seen(&name(i)))).collect();
    let now = Timestamp(0);
    let plan = Plan { batch: 3, canary_hosts: 0, ..plan(0) };
    let run = Run::rollback(plan, new(), hosts, now).with_warm(|h| h.name != "host-3");
    World { run, now, said: Vec::new(), orders: Vec::new() }
}

#[test]
fn all_flip_in_one_step() {
    let mut w = rollback(2, &[]);
    for name in w.names() {
        w.give(Input::Back { host: name, running: on_old() });
    }
    w.give(Input::Start);
    assert_eq!((w.run.state, w.ordered("activate").len(), w.ordered("stage").len()), (State::Promoting, 2, 0));
    w.activated("host-1", new()).activated("host-2", new());
    assert_eq!(w.run.state, State::Succeeded);
    assert!(w.run.hosts.iter().all(|h| !h.warm && h.before == on_old()));
}

#[test]
fn one_that_keeps_it_no_longer_takes_the_long_way() {
    let mut w = rollback(1, &[]);
    w.give(Input::Start).failed("host-1");
    assert_eq!((w.run.state, w.ordered("stage")), (State::Promoting, vec!["host-1".to_owned()]));
    w.give(Input::Staged { host: "host-1".into(), digest: new() });
    assert_eq!(w.ordered("activate"), ["host-1"]);
    w.failed("host-1");
    assert_eq!(w.run.state, State::NeedsHuman, "once");
}

#[test]
fn one_that_was_away_is_given_the_release_first() {
    let mut w = rollback(1, &["host-1"]);
    assert_eq!(w.run.hosts[0].state, HostState::Waiting);
    w.give(Input::Start).give(Input::Back { host: "host-1".into(), running: on_old() });
    assert_eq!((w.ordered("stage").len(), w.ordered("activate").len()), (1, 0));
}

#[test]
fn those_that_have_to_be_given_it_are_waited_for() {
    let mut w = rollback(3, &[]);
    w.give(Input::Start);
    assert_eq!((w.run.state, w.ordered("stage")), (State::Staging, vec!["host-3".to_owned()]));
    // one of the others leaves and comes back meanwhile
    w.give(Input::Lost { host: "host-1".into() }).give(Input::Back { host: "host-1".into(), running: on_old() });
    assert_eq!(w.ordered("stage"), ["host-1"]);
    w.give(Input::Staged { host: "host-3".into(), digest: new() });
    w.give(Input::Staged { host: "host-1".into(), digest: new() });
    assert_eq!((w.run.state, w.ordered("activate").len()), (State::Promoting, 3));
}
