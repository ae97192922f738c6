//! What goes back by itself locks, once and with the evidence; what a person sends back does not.

use super::*;
use crate::pipeline::HookAt;

/// The locks of the last step.
fn locks(w: &World) -> Vec<(Locker, &str)> {
    w.orders
        .iter()
        .filter_map(|e| if let Effect::Lock { by, why } = e { Some((*by, why.as_str())) } else { None })
        .collect()
}

#[track_caller]
fn locked(w: &World, by: Locker, why: &str) {
    assert_eq!(w.run.state, State::RollingBack, "{why}");
    match locks(w)[..] {
        [(who, said)] => assert!(who == by && said.contains(why), "{who:?}: {said}"),
        ref other => panic!("{why}: {other:?}"),
    }
}

/// A canary that is healthy.
fn healthy(plan: Plan) -> World {
    let mut w = World::new(plan, 3);
    w.built_and_staged().activated("host-1", new());
    w
}

#[test]
fn whatever_sends_a_deploy_back_without_a_persons_word_locks_once() {
    let mut w = World::new(plan(1), 3);
    w.built_and_staged().failed("host-1");
    locked(&w, Locker::Server, "the canary host-1 failed: exit 1");
    w.activated("host-1", old());
    assert_eq!((w.run.state, locks(&w)), (State::RolledBack, vec![]), "it was locked when it began to go back");

    let mut w = World::new(plan(0), 3);
    w.built_and_staged().failed("host-1");
    locked(&w, Locker::Server, "host-1 (exit 1) failed");

    let hooks = Box::new(Hooks { before_promote: Some(super::gates::hook(false)), ..Hooks::default() });
    let mut w = healthy(Plan { hooks, ..plan(1) });
    w.later(10_000).give(Input::HookEnded { at: HookAt::BeforePromote, error: Some("exit 3".into()) });
    locked(&w, Locker::Server, "the hook before_promote failed: exit 3");

    let mut w = healthy(judging(Inconclusive::Rollback));
    w.later(100_000);
    locked(&w, Locker::Judge, "gave no answer in time");

    let mut w = healthy(CanaryCheckPlan::with());
    w.later(10_000).give(Input::Checked(Verdict::Fail { said: "slow".into() }));
    locked(&w, Locker::Server, "the canary's check failed: slow");

    let mut w = healthy(plan(1));
    w.give(Input::Hold { by: "mei".into() });
    let running = Running::Release { digest: new(), healthy: false };
    w.give(Input::Observed { host: "host-1".into(), running });
    locked(&w, Locker::Server, "host-1 (stopped answering its health check) failed");
}

#[test]
fn what_cannot_be_undone_is_locked_as_well() {
    let mut w = World::new(Plan { irreversible: Some("a column".into()), ..plan(1) }, 3);
    w.built_and_staged().failed("host-1");
    assert_eq!((w.run.state, locks(&w).len()), (State::Held, 1));
    w.later(600_000);
    assert!(locks(&w).is_empty(), "{:?}", w.orders);
}

#[test]
fn a_person_who_sends_it_back_locks_nobody_out() {
    for word in [Input::Abort { by: "mei".into() }, Input::Cancel { by: "mei".into() }] {
        let mut w = healthy(plan(1));
        w.give(word);
        assert_eq!(
            (w.run.state, w.ordered("restore"), locks(&w)),
            (State::RollingBack, vec!["host-1".to_owned()], vec![])
        );
    }
    let mut w = World::new(plan(1), 3);
    w.give(Input::Start).give(Input::BuildFailed { error: "exit 2".into() });
    assert_eq!((w.run.state, locks(&w)), (State::Failed, vec![]), "no host was touched");
}

#[test]
fn a_deploy_is_aborted_wherever_it_is_but_for_a_way_back() {
    let abort = || Input::Abort { by: "mei".into() };
    let mut w = World::new(plan(1), 3);
    w.give(Input::Start).give(abort());
    assert_eq!(
        (w.run.state, w.run.error.as_deref()),
        (State::Cancelled, Some("cancelled by mei")),
        "nothing has flipped"
    );

    let mut w = healthy(plan(1));
    w.later(10_000);
    assert_eq!(w.run.state, State::Promoting);
    w.give(abort());
    assert_eq!((w.run.state, w.run.error.as_deref()), (State::RollingBack, Some("aborted by mei")));
    w.give(abort());
    assert!(matches!(&w.orders[..], [Effect::Refuse(why)] if why.contains("goes back already")), "{:?}", w.orders);

    let hosts = vec![("host-1".to_owned(), Some(on_old()))];
    let run = Run::rollback(plan(0), new(), hosts, Timestamp(0));
    let mut w = World { run, now: Timestamp(0), said: Vec::new(), orders: Vec::new() };
    w.give(Input::Start).give(Input::Staged { host: "host-1".into(), digest: new() });
    assert_eq!(w.run.state, State::Promoting);
    w.give(abort());
    assert!(matches!(&w.orders[..], [Effect::Refuse(why)] if why.contains("not left half way")), "{:?}", w.orders);
}
