//! A random world that tries to get a run stuck.

use std::collections::BTreeMap;

use proptest::prelude::*;
use tenfold_types::Timestamp;

use super::*;

/// What a simulated host does with orders.
#[derive(Debug, Clone, Copy)]
struct SimHost {
    running: Running,
    connected: bool,
    /// Answers to activations of the new release: healthy or not.
    takes_new: bool,
    stages: bool,
    silent: bool,
    /// The new release stands beside what serves.
    prepared: bool,
    /// So does the old one.
    warm: bool,
}

#[derive(Debug, Clone)]
enum Act {
    Deliver(usize),
    Drop(usize),
    Lose(usize),
    Reconnect(usize),
    Wake,
    Crash,
    Forget,
    Sick(usize),
    Cancel,
    Promote,
    Hold,
    Abort,
    Supersede,
    Verdict(u8),
    Judge(usize),
    Approve(usize),
    Hook(bool),
}

fn acts() -> impl Strategy<Value = Act> {
    prop_oneof![
        8 => (0..8usize).prop_map(Act::Deliver),
        1 => (0..8usize).prop_map(Act::Drop),
        1 => (0..4usize).prop_map(Act::Lose),
        2 => (0..4usize).prop_map(Act::Reconnect),
        4 => Just(Act::Wake),
        1 => Just(Act::Crash),
        1 => Just(Act::Forget),
        1 => (0..4usize).prop_map(Act::Sick),
        1 => Just(Act::Cancel),
        1 => Just(Act::Promote),
        1 => Just(Act::Hold),
        1 => Just(Act::Abort),
        1 => Just(Act::Supersede),
        2 => (0..3u8).prop_map(Act::Verdict),
        2 => (0..6usize).prop_map(Act::Judge),
        2 => (0..3usize).prop_map(Act::Approve),
        2 => proptest::bool::weighted(0.8).prop_map(Act::Hook),
    ]
}

fn host_of(effect: &Effect) -> Option<String> {
    match effect {
        Effect::Stage { host, .. }
        | Effect::Prepare { host, .. }
        | Effect::Flip { host, .. }
        | Effect::Discard { host, .. }
        | Effect::Activate { host, .. }
        | Effect::Restore { host, .. }
        | Effect::Deactivate { host } => Some(host.clone()),
        _ => None,
    }
}

struct Sim {
    run: Run,
    now: Timestamp,
    hosts: BTreeMap<String, SimHost>,
    /// Orders on their way.
    wire: Vec<Effect>,
    build_fails: bool,
    /// The server has not got the artifact.
    missing: bool,
    promoted_by_person: bool,
    /// Somebody said that it shall end.
    sent_back: bool,
    locks: usize,
}

impl Sim {
    fn give(&mut self, input: Input) {
        let person = matches!(input, Input::Promote { .. });
        let passed = matches!(input, Input::Checked(Verdict::Pass { .. }));
        let before = self.run.clone();
        let (run, effects) = step(&self.run, input, self.now);
        if before.state == State::Canary && run.state == State::Promoting {
            assert!(
                before.hosts.iter().filter(|h| h.canary).count() > 0
                    && run.hosts.iter().filter(|h| h.canary).all(|h| h.state == HostState::Healthy)
            );
            let passed = passed || before.passed;
            assert!(passed || run.plan.check.is_none(), "the canary passed without its check");
            assert!(run.plan.later.is_empty(), "a step of the canary was left out");
            let judged = run.judged.as_ref().map(|j| j.verdict);
            assert!(run.plan.judge.is_none() || judged == Some(Judged::NotWorse), "passed by {judged:?}");
        }
        if before.state == State::Held && run.state == State::Promoting {
            assert!(person);
        }
        let wanted = run.plan.approve.as_ref().map_or(0, |a| a.count);
        let flips = effects.iter().any(|e| matches!(e, Effect::Activate { .. } | Effect::Flip { .. }));
        assert!(!flips || run.approvals.len() >= wanted, "a host flipped before people agreed");
        let by_person =
            matches!(run.error.as_deref(), Some(e) if e.starts_with("cancelled") || e.starts_with("aborted"));
        let went_back = run.state == State::RollingBack && before.state != State::RollingBack;
        assert!(!went_back || run.plan.irreversible.is_none() || by_person, "it went back by itself: {:?}", run.error);
        self.sent_back |= by_person;
        self.locks += effects.iter().filter(|e| matches!(e, Effect::Lock { .. })).count();
        self.promoted_by_person |= person && run.state != before.state;
        self.run = run;
        if !self.run.state.is_final() && !self.run.state.waits_for_person() {
            assert!(self.run.next_wake().is_some(), "nothing would ever wake {:?}", self.run);
        }
        for effect in effects {
            if !matches!(effect, Effect::Say(_) | Effect::Refuse(_) | Effect::StopBuild) {
                self.wire.push(effect);
            }
        }
    }
    fn deliver(&mut self, i: usize) {
        if self.wire.is_empty() {
            return;
        }
        // a connection keeps the order of its messages
        let to = host_of(&self.wire[i % self.wire.len()]);
        let first = self.wire.iter().position(|e| host_of(e) == to).unwrap();
        match self.wire.remove(first) {
            Effect::Build if self.build_fails => self.give(Input::BuildFailed { error: "exit 1".into() }),
            Effect::Build => self.give(Input::Built { digest: new() }),
            Effect::BuildAgain { .. } => {
                self.missing = self.build_fails;
                let error = self.build_fails.then(|| "exit 1".to_owned());
                self.give(Input::BuiltAgain { error });
            }
            Effect::Stage { host, digest } if self.missing => self.give(Input::Missing { host, digest }),
            Effect::Stage { host, digest } => self.answer(host, Some(digest), true),
            Effect::Prepare { host, digest } => self.prepare(host, digest),
            Effect::Flip { host, digest } => self.flip(host, digest),
            Effect::Discard { host, .. } => self.discard(&host),
            Effect::Activate { host, digest } => {
                self.leave_warm(&host);
                self.answer(host, Some(digest), false);
            }
            Effect::Restore { host, digest } => {
                self.discard(&host);
                self.answer(host, Some(digest), false);
            }
            Effect::Deactivate { host } => {
                self.discard(&host);
                self.answer(host, None, false);
            }
            Effect::RunHook { at } => self.give(Input::HookEnded { at, error: None }),
            Effect::RunCheck => self.give(Input::Checked(Verdict::Inconclusive { said: "no data".into() })),
            Effect::RunJudge { since } => {
                self.give(Input::Judged { since, judgement: judgement(Judged::NotEnoughData) });
            }
            _ => {}
        }
    }
    fn prepare(&mut self, host: String, digest: Digest) {
        let sim = self.hosts.get_mut(&host).unwrap();
        if !sim.connected || sim.silent {
            return;
        }
        sim.prepared = sim.takes_new;
        sim.warm = false;
        let running = sim.running;
        if sim.takes_new {
            return self.give(Input::Prepared { host, digest });
        }
        self.give(Input::HostFailed { host, digest: Some(digest), error: "no".into(), running });
    }
    fn flip(&mut self, host: String, digest: Digest) {
        let sim = self.hosts.get_mut(&host).unwrap();
        if !sim.connected || sim.silent {
            return;
        }
        assert!(sim.prepared, "{host} was told to flip to what does not stand there");
        self.leave_warm(&host);
        self.answer(host, Some(digest), false);
    }
    fn leave_warm(&mut self, host: &str) {
        let keeps = self.run.plan.keep_warm_ms > 0;
        let sim = self.hosts.get_mut(host).unwrap();
        if sim.connected && !sim.silent {
            sim.prepared = false;
            sim.warm |= keeps && sim.takes_new && sim.running != Running::Nothing;
        }
    }
    fn discard(&mut self, host: &str) {
        let sim = self.hosts.get_mut(host).unwrap();
        if sim.connected && !sim.silent {
            (sim.prepared, sim.warm) = (false, false);
        }
    }
    fn answer(&mut self, host: String, digest: Option<Digest>, stage: bool) {
        let sim = self.hosts.get_mut(&host).unwrap();
        if !sim.connected || sim.silent {
            return;
        }
        let fails = if stage { !sim.stages } else { digest == Some(new()) && !sim.takes_new };
        if fails {
            let running = sim.running;
            return self.give(Input::HostFailed { host, digest, error: "no".into(), running });
        }
        match digest {
            Some(digest) if stage => self.give(Input::Staged { host, digest }),
            Some(digest) => {
                sim.running = Running::Release { digest, healthy: true };
                self.give(Input::Activated { host, digest });
            }
            None => {
                sim.running = Running::Nothing;
                self.give(Input::Deactivated { host });
            }
        }
    }
    fn act(&mut self, act: Act) {
        let name = |i: usize| format!("host-{}", i % 4 + 1);
        match act {
            Act::Deliver(i) => self.deliver(i),
            Act::Drop(i) if !self.wire.is_empty() => {
                // a message is only lost together with its connection
                let i = i % self.wire.len();
                if let Some(host) = host_of(&self.wire[i]) {
                    self.lose(&host);
                }
            }
            Act::Drop(_) => {}
            Act::Lose(i) => self.lose(&name(i)),
            Act::Reconnect(i) => self.reconnect(&name(i)),
            Act::Wake => self.wake(),
            Act::Crash => {
                self.wire.clear();
                if self.run.state.is_final() {
                    // agents that connect name what stands beside, and the server ends what belongs to no deploy
                    self.hosts.values_mut().for_each(|sim| (sim.prepared, sim.warm) = (false, false));
                }
                let hosts = self.hosts.iter().map(|(n, h)| (n.clone(), h.connected.then_some(h.running))).collect();
                self.give(Input::Resumed { hosts, kept: false });
            }
            Act::Forget => self.missing = true,
            Act::Sick(i) => {
                let host = name(i);
                let sim = self.hosts.get_mut(&host).unwrap();
                if let Running::Release { healthy, .. } = &mut sim.running {
                    *healthy = false;
                }
                let running = sim.running;
                if sim.connected {
                    self.give(Input::Observed { host, running });
                }
            }
            Act::Cancel => self.give(Input::Cancel { by: "mei".into() }),
            Act::Promote => self.give(Input::Promote { by: "mei".into() }),
            Act::Hold => self.give(Input::Hold { by: "mei".into() }),
            Act::Abort => self.give(Input::Abort { by: "mei".into() }),
            Act::Supersede => self.give(Input::Supersede { by: "mei".into() }),
            Act::Judge(i) => {
                let since = self.run.watch.as_ref().map_or(self.now, |w| w.since);
                let all = [UNDECIDED.as_slice(), &[Judged::Worse, Judged::NotWorse]].concat();
                self.give(Input::Judged { since, judgement: judgement(all[i]) });
            }
            Act::Approve(i) => {
                let by = format!("person-{i}");
                self.give(Input::Approve { by: by.clone(), name: by, starter: i == 0 });
            }
            Act::Hook(well) => {
                if let Some(running) = self.run.hook {
                    self.wire.retain(|e| !matches!(e, Effect::RunHook { .. }));
                    let error = (!well).then(|| "exit 1".to_owned());
                    self.give(Input::HookEnded { at: running.at, error });
                }
            }
            Act::Verdict(0) => self.give(Input::Checked(Verdict::Pass { said: String::new() })),
            Act::Verdict(1) => self.give(Input::Checked(Verdict::Fail { said: String::new() })),
            Act::Verdict(_) => self.give(Input::Checked(Verdict::Inconclusive { said: String::new() })),
        }
    }
    fn lose(&mut self, host: &str) {
        self.hosts.get_mut(host).unwrap().connected = false;
        self.wire.retain(|e| host_of(e).as_deref() != Some(host));
        self.give(Input::Lost { host: host.into() });
    }
    fn reconnect(&mut self, host: &str) {
        let sim = self.hosts.get_mut(host).unwrap();
        if !sim.connected {
            sim.connected = true;
            if self.run.state.is_final() {
                (sim.prepared, sim.warm) = (false, false);
            }
            let running = sim.running;
            self.give(Input::Back { host: host.into(), running });
        }
    }
    fn wake(&mut self) {
        if let Some(at) = self.run.next_wake() {
            self.now = self.now.max(at);
            self.give(Input::Tick);
        }
    }
    fn settle(&mut self) {
        for _ in 0..400 {
            if self.run.state.is_final() || self.run.state.waits_for_person() {
                return;
            }
            if self.wire.is_empty() { self.wake() } else { self.deliver(0) }
        }
        panic!("stuck: {:#?}", self.run);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]
    #[test]
    fn no_world_gets_a_deploy_stuck(
        acts in proptest::collection::vec(acts(), 0..60),
        takes_new in proptest::collection::vec(proptest::bool::weighted(0.8), 4),
        stages in proptest::collection::vec(proptest::bool::weighted(0.9), 4),
        silent in proptest::collection::vec(proptest::bool::weighted(0.1), 4),
        fresh in proptest::collection::vec(proptest::bool::weighted(0.2), 4),
        prepare in 0..3usize, warm: bool, canary in 0..3usize, max_unavailable in 0..3usize, check: bool, judge in proptest::option::of(0..3usize), rollback: bool, steps in 0..3usize, approve in 0..3usize, hooks: [bool; 6], idempotent: bool, irreversible in proptest::bool::weighted(0.2), build_fails in proptest::bool::weighted(0.1),
    ) {
        let hosts: BTreeMap<String, SimHost> = (0..4).map(|i| {
            let running = if fresh[i] { Running::Nothing } else { on_old() };
            (format!("host-{}", i + 1), SimHost { running, connected: true, takes_new: takes_new[i], stages: stages[i], silent: silent[i], prepared: false, warm: false })
        }).collect();
        let before: BTreeMap<String, Running> = hosts.iter().map(|(n, h)| (n.clone(), h.running)).collect();
        let now = Timestamp(0);
        let base = if check { CanaryCheckPlan::with() } else { plan(1) };
        let then = [Inconclusive::Hold, Inconclusive::Rollback, Inconclusive::PromoteNeedsPerson];
        let judge = judge.and_then(|i| judging(then[i]).judge);
        let later = (0..if canary == 0 { 0 } else { steps }).map(|i| PlannedStep { hosts: canary + i + 1, hold_ms: 5_000, check: base.check.clone(), judge: judge.clone() }).collect();
        let approve = (approve > 0).then_some(PlannedApproval { count: approve, four_eyes: true, within_ms: 600_000 });
        let hook = |wanted: bool| wanted.then(|| super::gates::hook(idempotent));
        let [a, b, c, d, e, f] = hooks.map(hook);
        let hooks = Box::new(Hooks { before_build: a, after_build: b, before_activate: c, before_promote: d, after_promote: e, on_rollback: f });
        let irreversible = irreversible.then(|| "columns are dropped".to_owned());
        let plan = Plan { canary_hosts: canary, max_unavailable, judge, later, approve, hooks, irreversible, prepare: [Prepare::None, Prepare::Next, Prepare::All][prepare], keep_warm_ms: if warm { 60_000 } else { 0 }, ..base };
        let known = hosts.iter().map(|(n, h)| (n.clone(), Some(h.running))).collect();
        let run = if rollback { Run::rollback(Plan { canary_hosts: 0, judge: None, later: Vec::new(), approve: None, irreversible: None, hooks: Box::new(Hooks { on_rollback: plan.hooks.on_rollback.clone(), ..Hooks::default() }), ..plan }, new(), known, now) } else { Run::deploy(plan, known, now) };
        let mut sim = Sim { run, now, hosts, wire: Vec::new(), build_fails, missing: false, promoted_by_person: false, sent_back: false, locks: 0 };
        sim.give(Input::Start);
        for act in acts {
            sim.act(act);
        }
        // every host comes back and answers; then whatever waits for a person is closed by one
        let names: Vec<String> = sim.hosts.keys().cloned().collect();
        for name in &names {
            sim.hosts.get_mut(name).unwrap().silent = false;
            sim.reconnect(name);
        }
        sim.settle();
        for _ in 0..3 {
            if sim.run.state.waits_for_person() {
                sim.give(Input::Abort { by: "raj".into() });
                sim.settle();
            }
        }
        prop_assert!(sim.run.state.is_final(), "a person could not end {:?}", sim.run);
        while !sim.wire.is_empty() {
            sim.deliver(0);
        }
        for (name, host) in &sim.hosts {
            prop_assert!(!host.prepared && !host.warm, "{} keeps a process of {:?}", name, sim.run);
        }
        match sim.run.state {
            State::Succeeded => {
                for h in &sim.run.hosts {
                    prop_assert!(h.is_bad() || h.state == HostState::Healthy);
                    if h.state == HostState::Healthy {
                        prop_assert_eq!(sim.hosts[&h.name].running.digest(), Some(new()));
                    }
                }
                prop_assert!(sim.run.hosts.iter().filter(|h| h.is_bad()).count() <= sim.run.plan.max_unavailable);
            }
            State::RolledBack => {
                let touched = sim.run.hosts.iter().any(|h| h.touched);
                prop_assert!(sim.sent_back || sim.locks == usize::from(touched), "{} locks: {:?}", sim.locks, sim.run);
                for h in sim.run.hosts.iter().filter(|h| h.touched) {
                    prop_assert_eq!(sim.hosts[&h.name].running.digest(), before[&h.name].digest());
                }
            }
            State::Cancelled | State::Interrupted => {
                prop_assert!(sim.run.hosts.iter().all(|h| !h.touched));
            }
            _ => {}
        }
        // an ended run answers people and changes no more
        let (after, effects) = step(&sim.run, Input::Promote { by: "mei".into() }, sim.now);
        prop_assert_eq!(after.state, sim.run.state);
        prop_assert!(matches!(effects[..], [Effect::Refuse(_)]));
    }
}
