//! A person holds a deploy that flips.

use super::*;

fn hold() -> Input {
    Input::Hold { by: "mei".into() }
}
fn promote() -> Input {
    Input::Promote { by: "raj".into() }
}
fn refused(w: &World) -> &str {
    match &w.orders[..] {
        [Effect::Refuse(why)] => why,
        other => panic!("not refused: {other:?}"),
    }
}

#[test]
fn a_held_canary_is_watched_anew_when_it_goes_on() {
    let mut w = World::new(plan(1), 3);
    w.built_and_staged().activated("host-1", new()).later(9_000).give(hold());
    assert_eq!((w.run.state, w.run.held_in), (State::Held, Some(State::Canary)));
    assert_eq!(w.said.last(), Some(&Fact::Held { why: "mei holds it".into() }));
    w.later(600_000);
    assert_eq!((w.run.state, w.orders.len()), (State::Held, 0), "nothing goes on by itself");
    w.give(promote());
    assert_eq!((w.run.state, w.run.held_in, &w.run.error), (State::Canary, None, &None));
    assert_eq!(w.said.last(), Some(&Fact::Unheld { by: "raj".into() }));
    w.later(9_999);
    assert_eq!(w.run.state, State::Canary);
    w.later(1);
    assert_eq!((w.run.state, w.ordered("activate").len()), (State::Promoting, 2));
}

#[test]
fn a_held_promotion_orders_no_further_batch_and_goes_on_or_back() {
    let mut w = World::new(plan(1), 5);
    w.built_and_staged().activated("host-1", new()).later(10_000);
    assert_eq!(w.ordered("activate"), ["host-2", "host-3"]);
    w.give(hold());
    assert_eq!((w.run.state, w.run.held_in), (State::Held, Some(State::Promoting)));
    w.activated("host-2", new()).activated("host-3", new());
    assert!(w.orders.is_empty() && w.run.state == State::Held, "{:?}", w.orders);
    let mut back = World { run: w.run.clone(), now: w.now, said: Vec::new(), orders: Vec::new() };
    w.give(promote());
    assert_eq!((w.run.state, w.ordered("activate").len()), (State::Promoting, 2));
    back.give(Input::Abort { by: "mei".into() });
    assert_eq!((back.run.state, back.ordered("restore").len()), (State::RollingBack, 3));
    // what fails while it is held goes back by itself
    let mut w = World::new(plan(1), 3);
    w.built_and_staged().activated("host-1", new()).give(hold());
    w.give(Input::Observed { host: "host-1".into(), running: on_old() });
    assert_eq!(w.run.state, State::RollingBack);
}

#[test]
fn the_judge_watches_a_canary_that_is_held_and_takes_it_back() {
    let mut w = World::new(judging(Inconclusive::Hold), 3);
    w.built_and_staged().activated("host-1", new()).give(hold()).later(5_000);
    let since = w.run.watch.as_ref().unwrap().since;
    assert_eq!(w.orders, [Effect::RunJudge { since }]);
    w.give(Input::Judged { since, judgement: judgement(Judged::NotWorse) }).later(120_000);
    assert_eq!(w.run.state, State::Held, "only a person lets it go on");
    w.give(Input::Judged { since, judgement: judgement(Judged::Worse) });
    assert_eq!(w.run.state, State::RollingBack);
}

#[test]
fn what_does_not_flip_or_cannot_stop_half_way_is_not_held() {
    let mut w = World::new(plan(1), 2);
    w.give(Input::Start).give(hold());
    assert!(refused(&w).contains("building"), "{}", refused(&w));
    let hooks = Box::new(Hooks { before_promote: Some(super::gates::hook(false)), ..Hooks::default() });
    let mut w = World::new(Plan { hooks, ..plan(1) }, 2);
    w.built_and_staged().activated("host-1", new()).later(10_000).give(hold());
    assert!(refused(&w).contains("before_promote"), "{}", refused(&w));
    assert_eq!(w.run.state, State::Canary);
    let hosts = vec![("host-1".to_owned(), Some(on_old()))];
    let run = Run::rollback(plan(0), new(), hosts, Timestamp(0));
    let mut w = World { run, now: Timestamp(0), said: Vec::new(), orders: Vec::new() };
    w.give(Input::Start).give(Input::Staged { host: "host-1".into(), digest: new() }).give(hold());
    assert!(refused(&w).contains("rollback"), "{}", refused(&w));
}

#[test]
fn a_cluster_on_its_way_is_paused_and_its_time_does_not_run() {
    let mut w = World::new(Plan { handed: true, pauses: true, batch: 2, ..plan(1) }, 2);
    w.built_and_staged().activated("host-1", new()).later(10_000);
    assert_eq!(w.ordered("activate"), ["host-2"]);
    w.give(hold());
    assert_eq!(w.orders, [Effect::Pause]);
    w.later(3_600_000);
    assert_eq!(w.run.state, State::Held);
    // the order may be lost with the server
    let on_new = Running::Release { digest: new(), healthy: true };
    let hosts = vec![("host-1".into(), Some(on_new)), ("host-2".into(), Some(on_old()))];
    w.give(Input::Resumed { hosts, kept: false });
    assert_eq!(w.orders, [Effect::Pause]);
    w.give(promote());
    assert_eq!((w.run.state, w.ordered("activate")), (State::Promoting, vec!["host-2".to_owned()]));
    // at rest at its step there is nothing to pause
    let mut w = World::new(Plan { handed: true, pauses: true, ..plan(1) }, 2);
    w.built_and_staged().activated("host-1", new()).give(hold());
    assert!(w.orders.is_empty(), "{:?}", w.orders);
}

/// The next deploy has to know that the cluster stands still, and people as well, where this one ends without its going on.
#[test]
fn a_pause_is_kept_until_the_cluster_has_gone_on() {
    let on_its_way = || {
        let mut w = World::new(Plan { handed: true, pauses: true, batch: 2, ..plan(1) }, 2);
        w.built_and_staged().activated("host-1", new()).later(10_000);
        w
    };
    let mut w = on_its_way();
    assert!(!w.run.paused);
    w.give(hold());
    assert!(w.run.paused);
    w.give(Input::Supersede { by: "raj".into() });
    assert_eq!((w.run.state, w.run.paused), (State::Failed, true));
    let error = w.run.error.clone().unwrap_or_default();
    assert!(error.contains("raj took over") && error.contains("stays paused until the next deploy"), "{error}");

    let mut w = on_its_way();
    // an answer from before the pause says nothing of it
    w.give(hold()).give(Input::Activated { host: "host-1".into(), digest: new() });
    assert!(w.run.paused);
    w.give(promote()).activated("host-2", new());
    assert_eq!((w.run.state, w.run.paused), (State::Succeeded, false));

    let mut w = on_its_way();
    w.give(hold()).give(Input::Abort { by: "mei".into() });
    assert_eq!((w.run.state, w.run.paused), (State::RollingBack, true));
    w.give(Input::Activated { host: "host-1".into(), digest: old() });
    assert!(!w.run.paused);

    // one that takes over and does not come as far as the cluster says so again
    let hosts = vec![("host-1".to_owned(), Some(on_old()))];
    let mut run = Run::deploy(Plan { handed: true, pauses: true, ..plan(0) }, hosts, Timestamp(0));
    run.paused = true;
    let mut w = World { run, now: Timestamp(0), said: Vec::new(), orders: Vec::new() };
    w.give(Input::Start).give(Input::BuildFailed { error: "no disk".into() });
    assert_eq!((w.run.state, w.run.paused), (State::Failed, true));
    assert!(w.run.error.clone().unwrap_or_default().contains("stays paused"), "{:?}", w.run.error);
}
