//! What is started ahead of its flip, when, and that nothing of it stays.

use super::*;

fn ahead(prepare: Prepare, canary_hosts: usize) -> Plan {
    Plan { prepare, keep_warm_ms: 60_000, ..plan(canary_hosts) }
}

fn approved(mut plan: Plan) -> Plan {
    plan.approve = Some(PlannedApproval { count: 1, four_eyes: false, within_ms: 600_000 });
    plan
}

impl World {
    fn prepared(&mut self, host: &str) -> &mut Self {
        self.give(Input::Prepared { host: host.into(), digest: new() })
    }
    fn agree(&mut self) -> &mut Self {
        self.give(Input::Approve { by: "raj".into(), name: "raj".into(), starter: false })
    }
    fn host_state(&self, name: &str) -> HostState {
        self.run.host(name).unwrap().state
    }
}

#[test]
fn while_people_are_waited_for_the_first_hosts_are_prepared_and_the_click_flips_them() {
    let mut w = World::new(approved(Plan { batch: 3, ..ahead(Prepare::Next, 0) }), 3);
    w.built_and_staged();
    assert_eq!((w.run.state, w.ordered("prepare").len()), (State::AwaitingApproval, 3));
    w.prepared("host-1").prepared("host-2").agree();
    assert_eq!((w.run.state, w.host_state("host-3")), (State::AwaitingApproval, HostState::Preparing));
    w.prepared("host-3");
    assert_eq!((w.run.state, w.ordered("flip").len(), w.ordered("activate").len()), (State::Promoting, 3, 0));
    w.activated("host-1", new()).activated("host-2", new()).activated("host-3", new());
    assert_eq!(w.run.state, State::Succeeded);
    let kept: Vec<_> = w.orders.iter().filter(|e| matches!(e, Effect::Discard { after_ms: 60_000, .. })).collect();
    assert_eq!(kept.len(), 3, "what served before is kept for a minute: {:?}", w.orders);
}

#[test]
fn the_rest_is_prepared_while_the_canary_is_watched() {
    let mut w = World::new(Plan { batch: 3, ..ahead(Prepare::Next, 1) }, 4);
    w.built_and_staged();
    assert_eq!((w.ordered("activate"), w.ordered("prepare").len()), (vec!["host-1".to_owned()], 0));
    w.activated("host-1", new());
    assert_eq!((w.run.state, w.ordered("prepare").len()), (State::Canary, 3));
    w.prepared("host-2").prepared("host-3").later(10_000);
    assert_eq!((w.run.state, w.ordered("flip")), (State::Promoting, vec!["host-2".into(), "host-3".into()]));
    w.prepared("host-4");
    assert_eq!(w.ordered("flip"), ["host-4"], "it flips as soon as it can");
}

#[test]
fn only_the_next_steps_hosts_are_prepared_unless_all_are_wanted() {
    for (prepare, count) in [(Prepare::Next, 2), (Prepare::All, 5), (Prepare::None, 0)] {
        let later = vec![PlannedStep { hosts: 3, hold_ms: 1, check: None, judge: None }];
        let mut w = World::new(Plan { later, ..ahead(prepare, 1) }, 6);
        w.built_and_staged();
        if prepare == Prepare::All {
            assert_eq!((w.run.state, w.ordered("prepare").len()), (State::Staging, 6));
            for name in w.names() {
                w.prepared(&name);
            }
            assert_eq!((w.run.state, w.ordered("flip")), (State::Canary, vec!["host-1".to_owned()]));
            continue;
        }
        w.activated("host-1", new());
        assert_eq!(w.ordered("prepare").len(), count, "{prepare:?}");
        w.later(1);
        assert!(w.ordered("prepare").is_empty(), "not twice");
    }
}

#[test]
fn nothing_starts_before_the_hook_that_comes_first() {
    let hooks = Box::new(Hooks { before_activate: Some(super::gates::hook(true)), ..Hooks::default() });
    let mut w = World::new(Plan { hooks, ..ahead(Prepare::All, 0) }, 2);
    w.built_and_staged();
    assert_eq!(w.orders, [Effect::RunHook { at: HookAt::BeforeActivate }]);
    let hooks = Box::new(Hooks { before_promote: Some(super::gates::hook(true)), ..Hooks::default() });
    let mut w = World::new(Plan { hooks, ..ahead(Prepare::Next, 1) }, 2);
    w.built_and_staged().activated("host-1", new());
    assert!(w.ordered("prepare").is_empty());
}

#[test]
fn a_host_that_cannot_be_prepared_is_not_flipped_and_counts_as_failed() {
    let mut w = World::new(approved(ahead(Prepare::Next, 0)), 2);
    w.built_and_staged().failed("host-2");
    assert_eq!((w.run.state, w.ordered("discard").len()), (State::Failed, 2));
    assert!(w.run.error.as_deref().unwrap().contains("host-2 (exit 1) cannot take the release"));

    let mut w = World::new(approved(Plan { max_unavailable: 1, ..ahead(Prepare::Next, 0) }), 2);
    w.built_and_staged().failed("host-2").prepared("host-1").agree();
    assert_eq!(w.ordered("flip"), ["host-1"]);
    w.activated("host-1", new());
    assert_eq!((w.run.state, w.host_state("host-2")), (State::Succeeded, HostState::Failed));

    let mut w = World::new(approved(Plan { max_unavailable: 1, ..ahead(Prepare::Next, 1) }), 3);
    w.built_and_staged().failed("host-1");
    assert_eq!(w.run.state, State::Failed, "another canary would only fail as well");

    let mut w = World::new(ahead(Prepare::Next, 1), 3);
    w.built_and_staged().activated("host-1", new()).prepared("host-2").failed("host-3");
    assert_eq!((w.run.state, w.ordered("restore")), (State::RollingBack, vec!["host-1".to_owned()]));
    assert_eq!(w.ordered("discard"), ["host-2", "host-3"]);
}

#[test]
fn a_canary_that_is_not_prepared_in_time_ends_the_deploy_as_one_that_failed() {
    let late = "the canary host-1 failed before its flip: its agent did not answer in time";
    let mut w = World::new(approved(Plan { max_unavailable: 1, ..ahead(Prepare::Next, 1) }), 3);
    w.built_and_staged().later(30_000);
    assert_eq!((w.run.state, w.run.error.as_deref()), (State::Failed, Some(late)));
    assert!(w.run.hosts.iter().all(|h| !h.touched), "and no other host is made the canary");

    let mut w = World::new(Plan { max_unavailable: 1, ..ahead(Prepare::All, 1) }, 3);
    w.built_and_staged().prepared("host-2").prepared("host-3").later(30_000);
    assert_eq!((w.run.state, w.run.error.as_deref()), (State::Failed, Some(late)));

    let mut w = World::new(Plan { max_unavailable: 1, ..ahead(Prepare::All, 1) }, 3);
    w.built_and_staged().prepared("host-1").prepared("host-2").later(30_000);
    assert_eq!((w.host_state("host-3"), w.ordered("flip")), (HostState::Failed, vec!["host-1".to_owned()]));
}

#[test]
fn what_was_prepared_and_ended_before_its_flip_has_failed() {
    let mut w = World::new(approved(ahead(Prepare::Next, 0)), 2);
    w.built_and_staged().prepared("host-1").prepared("host-2").failed("host-1");
    assert_eq!((w.host_state("host-1"), w.run.state), (HostState::Failed, State::Failed));
}

#[test]
fn hosts_that_come_back_are_asked_again() {
    let mut w = World::new(approved(ahead(Prepare::Next, 0)), 2);
    w.built_and_staged().prepared("host-1").prepared("host-2");
    w.give(Input::Lost { host: "host-1".into() });
    w.give(Input::Back { host: "host-1".into(), running: on_old() });
    assert_eq!(w.ordered("prepare"), ["host-1"]);
    w.prepared("host-1");
    let hosts = w.names().into_iter().map(|n| (n, Some(on_old()))).collect();
    w.give(Input::Resumed { hosts, kept: false });
    assert_eq!((w.run.state, w.ordered("prepare").len()), (State::AwaitingApproval, 2));
    w.prepared("host-1").prepared("host-2").agree();
    assert_eq!(w.ordered("flip").len(), 2);
}

#[test]
fn an_end_before_the_flip_discards_what_stands_ready() {
    let mut w = World::new(approved(ahead(Prepare::Next, 0)), 2);
    w.built_and_staged().prepared("host-1");
    w.give(Input::Cancel { by: "mei".into() });
    assert_eq!((w.run.state, w.ordered("discard").len()), (State::Cancelled, 2));
    let mut w = World::new(ahead(Prepare::Next, 1), 3);
    w.built_and_staged().activated("host-1", new()).prepared("host-2");
    w.give(Input::Cancel { by: "mei".into() });
    assert_eq!((w.run.state, w.ordered("discard")), (State::RollingBack, vec!["host-2".into(), "host-3".into()]));
    assert_eq!(w.ordered("restore"), ["host-1"]);
    w.activated("host-1", old());
    assert_eq!((w.run.state, w.ordered("discard").len()), (State::RolledBack, 3), "told again: the first may be lost");
}

#[test]
fn a_canary_that_is_not_prepared_in_time_fails_the_deploy() {
    let mut w = World::new(approved(Plan { max_unavailable: 1, ..ahead(Prepare::Next, 1) }), 3);
    w.built_and_staged().later(30_000);
    assert_eq!((w.run.state, w.ordered("discard")), (State::Failed, vec!["host-1".to_owned()]));
    assert!(w.run.error.as_deref().unwrap().contains("the canary host-1 failed before its flip"));
}

#[test]
fn a_held_deploy_that_is_promoted_waits_for_what_is_still_being_prepared() {
    let mut w = World::new(ahead(Prepare::Next, 1), 3);
    w.built_and_staged().activated("host-1", new()).prepared("host-2");
    w.give(Input::Lost { host: "host-1".into() }).later(20_000);
    assert_eq!((w.run.state, w.host_state("host-3")), (State::Held, HostState::Preparing));
    w.give(Input::Promote { by: "mei".into() });
    assert_eq!((w.run.state, w.ordered("flip")), (State::Promoting, vec!["host-2".to_owned()]));
    w.prepared("host-3");
    assert_eq!(w.ordered("flip"), ["host-3"]);
    w.activated("host-2", new()).activated("host-3", new());
    assert_eq!(w.run.state, State::Succeeded);
}

#[test]
fn all_ahead_are_only_the_canaries_where_a_hook_comes_before_the_rest() {
    let hooks = || Box::new(Hooks { before_promote: Some(super::gates::hook(true)), ..Hooks::default() });
    let mut w = World::new(Plan { hooks: hooks(), ..ahead(Prepare::All, 1) }, 3);
    w.built_and_staged();
    assert_eq!(w.ordered("prepare"), ["host-1"]);
    let later = vec![PlannedStep { hosts: 2, hold_ms: 1, check: None, judge: None }];
    let mut w = World::new(Plan { later, hooks: hooks(), ..ahead(Prepare::All, 1) }, 4);
    w.built_and_staged().prepared("host-1").activated("host-1", new());
    assert_eq!((w.run.state, w.ordered("prepare")), (State::Canary, vec!["host-2".to_owned()]));
}

#[test]
fn what_was_discarded_at_the_end_is_not_called_prepared() {
    let mut w = World::new(approved(ahead(Prepare::Next, 0)), 2);
    w.built_and_staged().prepared("host-1").give(Input::Cancel { by: "mei".into() });
    assert_eq!((w.host_state("host-1"), w.host_state("host-2")), (HostState::Staged, HostState::Staged));
}
