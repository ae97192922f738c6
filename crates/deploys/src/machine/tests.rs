//! The story told step by step.

use tenfold_types::Timestamp;

use super::*;
use tenfold_judge::Verdict as Judged;

use self::judged::{UNDECIDED, judgement, judging};
use crate::pipeline::{CanaryJudge, Hook, Hooks, Inconclusive, Prepare};
use crate::plan::{Plan, PlannedApproval, PlannedStep};

mod away;
mod closure;
mod gates;
mod held;
mod judged;
mod locks;
mod prepare;
mod rebuild;
mod warm;
mod worlds;

fn old() -> Digest {
    Digest::of(b"old")
}
fn new() -> Digest {
    Digest::of(b"new")
}

fn plan(canary_hosts: usize) -> Plan {
    Plan {
        canary_hosts,
        hold_ms: 10_000,
        check: None,
        judge: None,
        batch: 2,
        max_unavailable: 0,
        build_ms: 60_000,
        stage_ms: 60_000,
        activate_ms: 30_000,
        reach_ms: 20_000,
        later: Vec::new(),
        approve: None,
        hooks: Box::default(),
        irreversible: None,
        handed: false,
        pauses: false,
        prepare: Prepare::None,
        keep_warm_ms: 0,
    }
}

fn on_old() -> Running {
    Running::Release { digest: old(), healthy: true }
}

struct World {
    run: Run,
    now: Timestamp,
    said: Vec<Fact>,
    orders: Vec<Effect>,
}

impl World {
    fn new(plan: Plan, hosts: usize) -> Self {
        let hosts = (1..=hosts).map(|i| (format!("host-{i}"), Some(on_old()))).collect();
        let now = Timestamp(1_000_000);
        Self { run: Run::deploy(plan, hosts, now), now, said: Vec::new(), orders: Vec::new() }
    }
    fn give(&mut self, input: Input) -> &mut Self {
        let (run, effects) = step(&self.run, input, self.now);
        self.run = run;
        self.orders.clear();
        for effect in effects {
            match effect {
                Effect::Say(fact) => self.said.push(fact),
                other => self.orders.push(other),
            }
        }
        self
    }
    fn built_and_staged(&mut self) -> &mut Self {
        self.give(Input::Start).give(Input::Built { digest: new() });
        for name in self.names() {
            self.give(Input::Staged { host: name, digest: new() });
        }
        self
    }
    fn names(&self) -> Vec<String> {
        self.run.hosts.iter().map(|h| h.name.clone()).collect()
    }
    fn activated(&mut self, host: &str, digest: Digest) -> &mut Self {
        self.give(Input::Activated { host: host.into(), digest })
    }
    fn later(&mut self, ms: i64) -> &mut Self {
        self.now = self.now.plus_ms(ms);
        self.give(Input::Tick)
    }
    fn failed(&mut self, host: &str) -> &mut Self {
        let running = on_old();
        self.give(Input::HostFailed { host: host.into(), digest: Some(new()), error: "exit 1".into(), running })
    }
    fn ordered(&self, what: &str) -> Vec<String> {
        self.orders
            .iter()
            .filter_map(|e| match e {
                Effect::Activate { host, .. } if what == "activate" => Some(host.clone()),
                Effect::Restore { host, .. } if what == "restore" => Some(host.clone()),
                Effect::Stage { host, .. } if what == "stage" => Some(host.clone()),
                Effect::Prepare { host, .. } if what == "prepare" => Some(host.clone()),
                Effect::Flip { host, .. } if what == "flip" => Some(host.clone()),
                Effect::Discard { host, .. } if what == "discard" => Some(host.clone()),
                _ => None,
            })
            .collect()
    }
}

#[test]
fn a_good_release_goes_canary_first_then_in_batches() {
    let mut w = World::new(plan(1), 4);
    w.give(Input::Start);
    assert_eq!((w.run.state, &w.orders[..]), (State::Building, &[Effect::Build][..]));
    w.give(Input::Built { digest: new() });
    assert_eq!(w.ordered("stage").len(), 4);
    for name in w.names() {
        w.give(Input::Staged { host: name, digest: new() });
    }
    assert_eq!((w.run.state, w.ordered("activate")), (State::Canary, vec!["host-1".to_owned()]));
    w.activated("host-1", new()).later(9_999);
    assert_eq!(w.run.state, State::Canary);
    w.later(1);
    assert_eq!((w.run.state, w.ordered("activate").len()), (State::Promoting, 2));
    w.activated("host-2", new());
    assert_eq!(w.ordered("activate"), ["host-4"]);
    w.activated("host-3", new()).activated("host-4", new());
    assert_eq!(w.run.state, State::Succeeded);
    assert_eq!(w.said.last(), Some(&Fact::Succeeded { healthy: 4, total: 4 }));
    assert!(w.run.steps.iter().all(|s| s.finished_at.is_some() && s.state == StepOutcome::Done));
}

#[test]
fn a_canary_that_fails_goes_back_and_the_rest_is_never_touched() {
    let mut w = World::new(plan(1), 4);
    w.built_and_staged().failed("host-1");
    assert_eq!((w.run.state, w.ordered("restore")), (State::RollingBack, vec!["host-1".to_owned()]));
    w.activated("host-1", old());
    assert_eq!(w.run.state, State::RolledBack);
    assert_eq!(w.run.host("host-1").unwrap().state, HostState::RolledBack);
    assert!(w.run.hosts[1..].iter().all(|h| !h.touched));
    assert!(w.run.error.as_deref().unwrap().contains("exit 1"));
}

#[test]
fn a_canary_that_turns_sick_during_the_hold_goes_back() {
    let mut w = World::new(plan(1), 2);
    w.built_and_staged().activated("host-1", new()).later(5_000);
    w.give(Input::Observed { host: "host-1".into(), running: Running::Release { digest: new(), healthy: false } });
    assert_eq!(w.run.state, State::RollingBack);
}

#[test]
fn an_unknown_canary_holds_and_a_person_decides() {
    let mut w = World::new(plan(1), 2);
    w.built_and_staged().activated("host-1", new());
    w.give(Input::Lost { host: "host-1".into() }).later(20_000);
    assert_eq!(w.run.state, State::Held);
    w.give(Input::Abort { by: "mei".into() });
    assert_eq!(w.run.state, State::NeedsHuman, "the host cannot be told to go back");
    let back = Running::Release { digest: new(), healthy: true };
    w.give(Input::Back { host: "host-1".into(), running: back });
    w.give(Input::Abort { by: "mei".into() });
    assert_eq!(w.ordered("restore"), ["host-1"]);
    w.activated("host-1", old());
    assert_eq!(w.run.state, State::RolledBack);
}

#[test]
fn the_check_passes_fails_or_holds() {
    let checked = CanaryCheckPlan::with();
    for (verdict, state) in [
        (Verdict::Pass { said: String::new() }, State::Promoting),
        (Verdict::Fail { said: String::new() }, State::RollingBack),
        (Verdict::Inconclusive { said: String::new() }, State::Held),
    ] {
        let mut w = World::new(checked.clone(), 2);
        w.built_and_staged().activated("host-1", new()).later(10_000);
        assert_eq!(w.orders, [Effect::RunCheck]);
        w.give(Input::Checked(verdict));
        assert_eq!(w.run.state, state);
    }
    let mut w = World::new(checked, 2);
    w.built_and_staged().activated("host-1", new()).later(10_000).later(30_000);
    assert_eq!(w.run.state, State::Held, "no answer is no pass");
}

struct CanaryCheckPlan;
impl CanaryCheckPlan {
    fn with() -> Plan {
        Plan { check: Some(crate::CanaryCheck { query: "up".into(), max: Some(1.0), min: None }), ..plan(1) }
    }
}

#[test]
fn failing_builds_and_full_disks_change_no_host() {
    let mut w = World::new(plan(1), 2);
    w.give(Input::Start).give(Input::BuildFailed { error: "exit 2".into() });
    assert_eq!((w.run.state, w.run.error.as_deref()), (State::Failed, Some("exit 2")));

    let mut w = World::new(plan(1), 2);
    w.give(Input::Start).give(Input::Built { digest: new() });
    for _ in 0..3 {
        let (host, error) = ("host-2".into(), "no space left on device".into());
        w.give(Input::HostFailed { host, digest: Some(new()), error, running: on_old() });
    }
    assert_eq!(w.run.state, State::Failed);
    assert!(w.run.error.as_deref().unwrap().contains("host-2 (no space left on device)"));
    assert!(w.run.hosts.iter().all(|h| !h.touched));
}

#[test]
fn hosts_within_the_budget_may_be_away() {
    let mut w = World::new(Plan { max_unavailable: 1, ..plan(1) }, 3);
    w.give(Input::Lost { host: "host-1".into() }).give(Input::Start).give(Input::Built { digest: new() });
    w.give(Input::Staged { host: "host-2".into(), digest: new() });
    w.give(Input::Staged { host: "host-3".into(), digest: new() });
    assert_eq!(w.run.state, State::Staging);
    w.later(20_000);
    assert_eq!((w.run.state, w.ordered("activate")), (State::Canary, vec!["host-2".to_owned()]));
    w.activated("host-2", new()).later(10_000).activated("host-3", new());
    assert_eq!(w.run.state, State::Succeeded);
    assert!(w.run.error.as_deref().unwrap().contains("host-1"));
}

#[test]
fn an_answer_to_an_old_order_is_no_answer_to_the_way_back() {
    let mut w = World::new(plan(1), 2);
    w.built_and_staged().give(Input::Cancel { by: "mei".into() });
    assert_eq!(w.ordered("restore"), ["host-1"]);
    w.give(Input::Observed { host: "host-1".into(), running: on_old() });
    assert_eq!(w.run.state, State::RollingBack, "the activation may still be under way");
    w.activated("host-1", new());
    assert_eq!(w.run.state, State::RollingBack);
    w.activated("host-1", old());
    assert_eq!(w.run.state, State::RolledBack);
}

#[test]
fn a_rollback_flips_all_at_once_and_needs_no_build() {
    let hosts = (1..=3).map(|i| (format!("host-{i}"), Some(on_old()))).collect();
    let now = Timestamp(0);
    let plan = Plan { batch: 3, canary_hosts: 0, ..plan(0) };
    let mut w = World { run: Run::rollback(plan, new(), hosts, now), now, said: Vec::new(), orders: Vec::new() };
    w.give(Input::Start);
    for name in w.names() {
        w.give(Input::Staged { host: name, digest: new() });
    }
    assert_eq!(w.ordered("activate").len(), 3);
    w.activated("host-1", new()).activated("host-2", new()).failed("host-3");
    assert_eq!(w.run.state, State::NeedsHuman, "a way back has no way back");
    w.give(Input::Promote { by: "raj".into() });
    assert_eq!(w.run.state, State::Promoting);
    w.give(Input::Staged { host: "host-3".into(), digest: new() }).activated("host-3", new());
    assert_eq!(w.run.state, State::Succeeded);
}

#[test]
fn a_restart_builds_once_more_then_is_interrupted() {
    let mut w = World::new(plan(1), 2);
    w.give(Input::Start).give(Input::Resumed { hosts: vec![], kept: false });
    assert_eq!((w.run.state, &w.orders[..]), (State::Building, &[Effect::Build][..]));
    w.give(Input::Resumed { hosts: vec![], kept: false });
    assert_eq!(w.run.state, State::Interrupted);
}

#[test]
fn a_build_that_outlived_the_server_counts_once() {
    let mut w = World::new(plan(1), 2);
    w.give(Input::Start);
    for _ in 0..4 {
        w.give(Input::Resumed { hosts: vec![], kept: true });
        assert_eq!((w.run.state, &w.orders[..]), (State::Building, &[Effect::Build][..]));
    }
    w.give(Input::Built { digest: new() });
    assert_eq!(w.run.state, State::Staging);
}

#[test]
fn a_restart_in_the_middle_asks_the_hosts_and_goes_on() {
    let mut w = World::new(plan(1), 3);
    w.built_and_staged().activated("host-1", new()).later(10_000);
    assert_eq!(w.run.state, State::Promoting);
    let done = Running::Release { digest: new(), healthy: true };
    let hosts = vec![("host-1".into(), Some(done)), ("host-2".into(), Some(done)), ("host-3".into(), None)];
    w.give(Input::Resumed { hosts, kept: false });
    assert_eq!(w.run.host("host-2").unwrap().state, HostState::Healthy, "it flipped while the server was away");
    w.give(Input::Back { host: "host-3".into(), running: on_old() });
    assert_eq!(w.ordered("activate"), ["host-3"]);
    w.activated("host-3", new());
    assert_eq!(w.run.state, State::Succeeded);
}
