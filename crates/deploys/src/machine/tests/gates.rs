//! Steps of a canary, people who approve, hooks, and what cannot be undone.

use super::*;
use crate::pipeline::HookAt;

pub(super) fn hook(idempotent: bool) -> Hook {
    let yaml = format!("command: [./hook]\ntimeout_s: 60\nidempotent: {idempotent}");
    serde_saphyr::from_str(&yaml).unwrap()
}

fn hooks(which: HookAt, idempotent: bool) -> Box<Hooks> {
    serde_saphyr::from_str(&format!("{}: {{command: [./hook], timeout_s: 60, idempotent: {idempotent}}}", which.word()))
        .unwrap()
}

fn step_of(hosts: usize, hold_ms: i64) -> PlannedStep {
    PlannedStep { hosts, hold_ms, check: None, judge: None }
}

fn asked(count: usize) -> PlannedApproval {
    PlannedApproval { count, four_eyes: true, within_ms: 600_000 }
}

impl World {
    fn approve(&mut self, by: &str, starter: bool) -> &mut Self {
        self.give(Input::Approve { by: by.into(), name: by.into(), starter })
    }
    fn ended(&mut self, at: HookAt, error: Option<&str>) -> &mut Self {
        self.give(Input::HookEnded { at, error: error.map(str::to_owned) })
    }
    fn runs_hook(&self, at: HookAt) -> bool {
        self.orders.contains(&Effect::RunHook { at })
    }
    fn refused(&self) -> bool {
        self.orders.iter().any(|o| matches!(o, Effect::Refuse(_)))
    }
}

#[test]
fn a_canary_grows_step_by_step() {
    let mut w = World::new(Plan { later: vec![step_of(2, 5_000), step_of(4, 1_000)], ..plan(1) }, 5);
    w.built_and_staged();
    assert_eq!(w.ordered("activate"), ["host-1"]);
    w.activated("host-1", new()).later(10_000);
    assert_eq!((w.run.state, w.ordered("activate")), (State::Canary, vec!["host-2".to_owned()]));
    assert_eq!(w.said.last(), Some(&Fact::CanaryStep { number: 2, hosts: vec!["host-1".into(), "host-2".into()] }));
    w.activated("host-2", new()).later(4_999);
    assert!(w.ordered("activate").is_empty(), "the second step is held for five seconds");
    w.later(1);
    assert_eq!(w.ordered("activate"), ["host-3", "host-4"]);
    w.activated("host-3", new()).activated("host-4", new()).later(1_000);
    assert_eq!((w.run.state, w.ordered("activate")), (State::Promoting, vec!["host-5".to_owned()]));
    assert_eq!(w.run.steps_passed, 3);
    w.activated("host-5", new());
    assert_eq!(w.run.state, State::Succeeded);
}

#[test]
fn a_bad_second_step_takes_back_all_canaries() {
    let mut w = World::new(Plan { later: vec![step_of(2, 5_000)], ..plan(1) }, 4);
    w.built_and_staged().activated("host-1", new()).later(10_000).failed("host-2");
    assert_eq!((w.run.state, w.ordered("restore").len()), (State::RollingBack, 2));
}

#[test]
fn each_step_is_judged_by_its_own_judge() {
    let judge = judging(Inconclusive::Hold).judge;
    let later = vec![PlannedStep { judge, ..step_of(2, 0) }];
    let mut w = World::new(Plan { later, ..plan(1) }, 4);
    w.built_and_staged().activated("host-1", new()).later(10_000);
    w.activated("host-2", new()).later(5_000);
    let since = w.run.watch.as_ref().unwrap().since;
    w.give(Input::Judged { since, judgement: judgement(Judged::Worse) });
    assert_eq!(w.run.state, State::RollingBack);
}

#[test]
fn nothing_flips_before_people_agreed() {
    let mut w = World::new(Plan { approve: Some(asked(2)), ..plan(1) }, 2);
    w.built_and_staged();
    assert_eq!((w.run.state, w.ordered("activate").len()), (State::AwaitingApproval, 0));
    assert!(w.approve("mei", true).refused(), "who started it does not count");
    assert!(!w.approve("raj", false).refused());
    assert!(w.approve("raj", false).refused(), "twice is not two people");
    assert_eq!(w.run.state, State::AwaitingApproval);
    w.approve("ana", false);
    assert_eq!((w.run.state, w.ordered("activate")), (State::Canary, vec!["host-1".to_owned()]));
    assert_eq!(w.said[w.said.len() - 2], Fact::Approved { name: "ana".into(), have: 2, want: 2 });
    assert!(w.approve("eve", false).refused(), "it is on its way");
}

#[test]
fn what_nobody_approves_ends_and_changes_no_host() {
    let mut w = World::new(Plan { approve: Some(asked(1)), ..plan(1) }, 2);
    w.built_and_staged();
    assert_eq!(w.run.next_wake(), Some(w.now.plus_ms(600_000)));
    w.later(600_000);
    assert_eq!(w.run.state, State::Failed);
    for way in
        [Input::Abort { by: "mei".into() }, Input::Cancel { by: "mei".into() }, Input::Supersede { by: "mei".into() }]
    {
        let mut w = World::new(Plan { approve: Some(asked(1)), ..plan(1) }, 2);
        w.built_and_staged().give(way);
        assert!(w.run.state.is_final() && w.run.hosts.iter().all(|h| !h.touched), "{:?}", w.run.state);
    }
}

#[test]
fn a_host_that_left_while_people_thought_is_staged_again() {
    let mut w = World::new(Plan { approve: Some(asked(1)), ..plan(0) }, 2);
    w.built_and_staged().give(Input::Lost { host: "host-2".into() }).later(20_000);
    w.give(Input::Back { host: "host-2".into(), running: on_old() });
    assert_eq!(w.ordered("stage"), ["host-2"]);
    w.approve("raj", false);
    assert_eq!(w.run.state, State::AwaitingApproval, "it does not hold the artifact");
    w.give(Input::Staged { host: "host-2".into(), digest: new() });
    assert_eq!((w.run.state, w.ordered("activate").len()), (State::Promoting, 2));
}

#[test]
fn hooks_run_in_their_places_and_decide_there() {
    let failing = |which: HookAt| {
        let mut w = World::new(Plan { hooks: hooks(which, false), ..plan(1) }, 2);
        w.give(Input::Start);
        if which == HookAt::BeforeBuild {
            assert!(w.runs_hook(which) && !w.orders.contains(&Effect::Build));
            return w.ended(which, Some("exit 1")).run.clone();
        }
        w.give(Input::Built { digest: new() });
        if which == HookAt::AfterBuild {
            assert!(w.runs_hook(which) && w.ordered("stage").is_empty());
            return w.ended(which, Some("exit 1")).run.clone();
        }
        for name in w.names() {
            w.give(Input::Staged { host: name, digest: new() });
        }
        if which == HookAt::BeforeActivate {
            assert!(w.runs_hook(which) && w.ordered("activate").is_empty());
            return w.ended(which, Some("exit 1")).run.clone();
        }
        w.activated("host-1", new());
        if which == HookAt::OnRollback {
            w.give(Input::Cancel { by: "mei".into() }).activated("host-1", old());
            assert!(w.runs_hook(which));
            return w.ended(which, Some("exit 1")).run.clone();
        }
        w.later(10_000);
        if which == HookAt::BeforePromote {
            assert!(w.runs_hook(which) && w.ordered("activate").is_empty());
            return w.ended(which, Some("exit 1")).run.clone();
        }
        w.activated("host-2", new());
        assert!(w.runs_hook(which));
        w.ended(which, Some("exit 1")).run.clone()
    };
    for (which, state) in [
        (HookAt::BeforeBuild, State::Failed),
        (HookAt::AfterBuild, State::Failed),
        (HookAt::BeforeActivate, State::Failed),
        (HookAt::BeforePromote, State::RollingBack),
        (HookAt::AfterPromote, State::Succeeded),
        (HookAt::OnRollback, State::RolledBack),
    ] {
        assert_eq!(failing(which).state, state, "{which:?}");
    }
}

#[test]
fn a_hook_that_goes_well_is_passed_once() {
    let mut w = World::new(Plan { hooks: hooks(HookAt::BeforePromote, false), ..plan(1) }, 2);
    w.built_and_staged().activated("host-1", new()).later(10_000);
    assert!(w.runs_hook(HookAt::BeforePromote));
    w.ended(HookAt::AfterPromote, None);
    assert_eq!(w.run.state, State::Canary, "another hook's answer is none");
    w.ended(HookAt::BeforePromote, None);
    assert_eq!((w.run.state, w.ordered("activate")), (State::Promoting, vec!["host-2".to_owned()]));
}

#[test]
fn a_hook_without_an_answer_ends() {
    let mut w = World::new(Plan { hooks: hooks(HookAt::BeforeActivate, false), ..plan(1) }, 2);
    w.built_and_staged();
    assert_eq!(w.run.next_wake(), Some(w.now.plus_ms(150_000)));
    w.later(150_000);
    assert_eq!(w.run.state, State::Failed);
    assert!(w.orders.contains(&Effect::StopHook));
    let mut w = World::new(Plan { hooks: hooks(HookAt::BeforeActivate, false), ..plan(1) }, 2);
    w.built_and_staged().give(Input::Cancel { by: "mei".into() });
    assert!(w.run.state == State::Cancelled && w.orders.contains(&Effect::StopHook));
}

#[test]
fn a_hook_that_a_restart_cut_off_is_run_again_only_where_it_may() {
    let cut = |which: HookAt, idempotent: bool| {
        let mut w = World::new(Plan { hooks: hooks(which, idempotent), ..plan(1) }, 2);
        w.built_and_staged();
        let done = Running::Release { digest: new(), healthy: true };
        if which == HookAt::BeforePromote {
            w.activated("host-1", new()).later(10_000);
        }
        let hosts = vec![("host-1".into(), Some(if which == HookAt::BeforePromote { done } else { on_old() }))];
        w.give(Input::Resumed { hosts, kept: false });
        (w.run.state, w.runs_hook(which))
    };
    assert_eq!(cut(HookAt::BeforeActivate, true), (State::Staging, true));
    assert_eq!(cut(HookAt::BeforeActivate, false), (State::Failed, false));
    assert_eq!(cut(HookAt::BeforePromote, false), (State::Held, false), "unknown is neither good nor bad");
}

#[test]
fn a_hook_that_outlived_the_server_is_heard_and_never_begun_twice() {
    let mut w = World::new(Plan { hooks: hooks(HookAt::BeforeActivate, false), ..plan(1) }, 2);
    w.built_and_staged();
    let begun = w.run.hook.unwrap();
    // longer away than the hook may take: it has ended by its own limit, and says so
    w.now = w.now.plus_ms(3_600_000);
    let at = HookAt::BeforeActivate;
    w.give(Input::Resumed { hosts: vec![("host-1".into(), Some(on_old()))], kept: true });
    assert!(w.runs_hook(at), "whoever is told finds the one that ran: {:?}", w.orders);
    assert!(w.run.hook.unwrap().until > begun.until && w.run.state == State::Staging);
    w.give(Input::Tick);
    assert!(w.run.hook.is_some(), "its answer is waited for");
    w.give(Input::HookEnded { at, error: None });
    assert!(w.run.hook.is_none() && w.run.hooks_ended.contains(&at) && !w.runs_hook(at));
}

#[test]
fn what_cannot_be_undone_stops_and_calls_people() {
    let stays = || Plan { irreversible: Some("columns are dropped".into()), ..plan(1) };
    let mut w = World::new(stays(), 3);
    w.built_and_staged().failed("host-1");
    assert_eq!((w.run.state, w.ordered("restore").len()), (State::Held, 0));
    let paged = w.orders.iter().any(|o| matches!(o, Effect::Page { why } if why.contains("columns are dropped")));
    assert!(paged, "{:?}", w.orders);
    w.later(60_000);
    assert_eq!(w.run.state, State::Held, "and stays so");
    w.give(Input::Abort { by: "mei".into() });
    assert_eq!((w.run.state, w.ordered("restore")), (State::RollingBack, vec!["host-1".to_owned()]), "a person may");
    let mut w = World::new(stays(), 3);
    w.built_and_staged().activated("host-1", new()).give(Input::Cancel { by: "mei".into() });
    assert_eq!(w.run.state, State::RollingBack);
}
