//! A canary whose agent is away: for a moment, since its server was taken over from, or for long.

use super::*;

fn on_new() -> Running {
    Running::Release { digest: new(), healthy: true }
}

fn in_canary() -> World {
    let mut w = World::new(plan(1), 2);
    w.built_and_staged().activated("host-1", new()).later(4_000);
    assert!(w.run.hold_until.is_some());
    w
}

fn back(w: &mut World) {
    w.give(Input::Back { host: "host-1".into(), running: on_new() });
}

#[test]
fn a_takeover_does_not_begin_the_hold_anew() {
    let mut w = in_canary();
    let until = w.run.hold_until;
    let hosts = w.names().into_iter().map(|name| (name, None)).collect();
    w.give(Input::Resumed { hosts, kept: false });
    w.later(3_000);
    assert_eq!(w.run.hold_until, until);
    back(&mut w);
    assert_eq!((w.run.state, w.run.hold_until), (State::Canary, until));
    w.later(3_000);
    assert_eq!(w.run.state, State::Promoting);
}

#[test]
fn a_canary_that_is_away_is_not_passed_and_wakes_nobody_meanwhile() {
    let mut w = in_canary();
    w.give(Input::Lost { host: "host-1".into() }).later(7_000);
    assert_eq!(w.run.state, State::Canary, "its hold is over, and it is not known to be well");
    assert!(w.run.next_wake().unwrap() > w.now);
    back(&mut w);
    assert_eq!(w.run.state, State::Promoting);
}

#[test]
fn one_that_was_away_for_long_is_watched_for_the_whole_time_again() {
    for looked in [true, false] {
        let mut w = in_canary();
        w.give(Input::Lost { host: "host-1".into() });
        w.now = w.now.plus_ms(10_000);
        if looked {
            w.give(Input::Tick);
            assert_eq!(w.run.hold_until, None);
        }
        back(&mut w);
        assert_eq!((w.run.state, w.run.hold_until), (State::Canary, Some(w.now.plus_ms(10_000))));
    }
}
