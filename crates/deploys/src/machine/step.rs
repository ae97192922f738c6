//! The inputs: each changes what is known of the run, then `advance` draws the conclusions.

use tenfold_types::Timestamp;

use super::{
    Effect, Fact, Input, Verdict,
    host::{Host, HostState, Order, Running},
    run::{Kind, Run, State, StepLog, StepOutcome},
};
use crate::manifest::Digest;

/// Times a build is begun: once more after a restart of the server, then a person decides.
pub(super) const BUILDS_MAX: u32 = 2;
/// Times an order of one sort is given to a host.
pub(super) const TRIES_MAX: u32 = 3;

/// One step. Inputs that do not fit the state change nothing; requests by people are then answered by `Effect::Refuse`.
pub fn step(run: &Run, input: Input, now: Timestamp) -> (Run, Vec<Effect>) {
    let mut m = Machine { run: run.clone(), effects: Vec::new(), now };
    if m.run.state.is_final() {
        m.refuse_person(&input, "is finished");
        return (m.run, m.effects);
    }
    m.take(input);
    m.advance();
    (m.run, m.effects)
}

pub(super) struct Machine {
    pub(super) run: Run,
    pub(super) effects: Vec<Effect>,
    pub(super) now: Timestamp,
}

impl Machine {
    fn take(&mut self, input: Input) {
        match input {
            Input::Start => {
                if self.run.state == State::Queued {
                    self.begin();
                }
            }
            Input::Built { digest } => {
                if self.run.state == State::Building && self.run.building {
                    self.run.building = false;
                    self.run.digest = Some(digest);
                    self.say(Fact::Built { digest });
                }
            }
            Input::BuildFailed { error } => {
                if self.run.state == State::Building {
                    self.fail(error);
                }
            }
            Input::Missing { host, digest } => self.missing(&host, digest),
            Input::BuiltAgain { error } => self.built_again(error.as_deref()),
            Input::Staged { host, digest } => self.staged(&host, digest),
            Input::Prepared { host, digest } => self.prepared(&host, digest),
            Input::Progress { host, digest, checking, message } => self.progress(&host, digest, checking, message),
            Input::Activated { host, digest } => self.activated(&host, digest),
            Input::Deactivated { host } => {
                self.with_host(&host, |h, now| {
                    h.see(Running::Nothing);
                    if h.order == Some(Order::Deactivate) {
                        h.settle();
                        h.restored = true;
                        h.set(h.state, None, now);
                    }
                });
            }
            Input::HostFailed { host, digest, error, running } => {
                self.observed(&host, running);
                self.host_failed(&host, digest, error);
            }
            Input::Observed { host, running } => self.observed(&host, running),
            Input::Lost { host } => {
                self.with_host(&host, |h, now| {
                    h.lost_at = h.lost_at.or(Some(now));
                });
            }
            Input::Back { host, running } => self.back(&host, running),
            Input::Checked(verdict) => self.checked(verdict),
            Input::Judged { since, judgement } => self.judged(since, *judgement),
            Input::HookEnded { at, error } => self.take_hook(at, error),
            Input::Tick => {}
            Input::Approve { by, name, starter } => self.approve(by, name, starter),
            Input::Cancel { by } => self.cancel(by),
            Input::Promote { by } => self.promote(by),
            Input::Hold { by } => self.hold_for(&by),
            Input::Abort { by } => self.abort(by),
            Input::Supersede { by } => {
                if self.run.state.waits_for_person() {
                    self.fail(format!("{by} took over with a newer deploy"));
                } else {
                    self.refuse(format!("the deploy is {}; wait for it or cancel it", self.run.state.word()));
                }
            }
            Input::Resumed { hosts, kept } => self.resumed(hosts, kept),
        }
    }

    fn begin(&mut self) {
        if self.run.hosts.is_empty() {
            self.fail("no host takes this deploy; connect an agent with the labels the target asks for".to_owned());
        } else if self.run.digest.is_some() {
            if self.run.kind == Kind::Rollback {
                self.say(Fact::RollingBack { why: String::new() });
            }
            self.enter(State::Staging);
        } else {
            self.say(Fact::BuildStarted);
            self.enter(State::Building);
        }
    }

    fn staged(&mut self, host: &str, digest: Digest) {
        self.is_there(host, digest);
        self.with_host(host, |h, now| {
            if h.order == Some(Order::Stage { digest }) {
                h.settle();
                h.failures = 0;
                h.set(HostState::Staged, None, now);
            }
        });
    }

    fn progress(&mut self, host: &str, digest: Digest, checking: bool, message: String) {
        let message = (!message.is_empty()).then_some(message);
        self.with_host(host, |h, now| {
            if h.order.and_then(Order::digest) == Some(digest) {
                let state = match h.state {
                    HostState::Activating | HostState::Checking if checking => HostState::Checking,
                    other => other,
                };
                h.set(state, message, now);
            }
        });
    }

    fn activated(&mut self, host: &str, digest: Digest) {
        let wanted = self.run.digest;
        let rolling_back = self.run.state == State::RollingBack;
        let mut newly = false;
        self.goes_on();
        self.with_host(host, |h, now| {
            h.see(Running::Release { digest, healthy: true });
            match h.order {
                Some(Order::Activate { digest: ordered }) if ordered == digest => {
                    h.settle();
                    h.failures = 0;
                    if !rolling_back && wanted == Some(digest) {
                        newly = true;
                        h.warm = false;
                        h.set(HostState::Healthy, None, now);
                    }
                }
                Some(Order::Restore { digest: ordered }) if ordered == digest => {
                    h.settle();
                    h.restored = true;
                }
                _ => {}
            }
        });
        if newly {
            self.say(Fact::HostActivated { host: host.to_owned() });
        }
    }

    /// A failed order is tried again while that can help; a release that does not get healthy is not.
    fn host_failed(&mut self, host: &str, digest: Option<Digest>, error: String) {
        let rolling_back = self.run.state == State::RollingBack;
        let mut not_prepared = false;
        let wanted = self.run.digest;
        self.with_host(host, |h, now| {
            if h.state == HostState::Prepared && h.order.is_none() && digest.is_some() && digest == wanted {
                // it was healthy and ended before its flip
                not_prepared = true;
                return h.set(HostState::Failed, Some(error), now);
            }
            let Some(order) = h.order.filter(|o| o.digest() == digest) else { return };
            h.settle();
            if std::mem::take(&mut h.warm) {
                return h.set(HostState::Waiting, Some(error), now);
            }
            h.failures += 1;
            let again = h.failures < TRIES_MAX && (rolling_back || matches!(order, Order::Stage { .. }));
            let state = match order {
                Order::Stage { .. } if again => HostState::Waiting,
                _ if again => h.state,
                _ => HostState::Failed,
            };
            not_prepared = matches!(order, Order::Prepare { .. });
            h.set(state, Some(error), now);
        });
        if not_prepared {
            self.canary_not_prepared(host);
        }
    }

    fn observed(&mut self, host: &str, running: Running) {
        let wanted = self.run.digest;
        self.with_host(host, |h, now| {
            h.see(running);
            if h.state == HostState::Healthy && wanted.is_some_and(|w| !running.is_healthy_on(w)) {
                let said = match running {
                    Running::Release { digest, .. } if Some(digest) != wanted => "runs another release",
                    Running::Release { .. } => "stopped answering its health check",
                    Running::Nothing => "runs nothing",
                    Running::Unknown => return,
                };
                h.set(HostState::Failed, Some(said.to_owned()), now);
            }
        });
    }

    fn back(&mut self, host: &str, running: Running) {
        let wanted = self.run.digest;
        let rolling_back = self.run.state == State::RollingBack;
        let gone_back = rolling_back || (self.run.state == State::NeedsHuman && self.run.kind == Kind::Deploy);
        let queued = self.run.state == State::Queued;
        let mut was_long_away = false;
        self.with_host(host, |h, now| {
            was_long_away = h.canary && h.is_long_away(now);
            h.lost_at = None;
            // whoever was away may keep nothing warm any more
            let kept_warm = std::mem::take(&mut h.warm);
            if kept_warm && queued && h.state == HostState::Prepared {
                h.warm = true;
                return h.see(running);
            }
            h.see(running);
            // an order given before the connection broke may be lost: give it again
            h.settle();
            let state = match h.state {
                _ if rolling_back && h.touched => HostState::Activating,
                HostState::Unreachable if gone_back && h.touched => HostState::Failed,
                HostState::Staging => HostState::Waiting,
                HostState::Unreachable if !h.touched => HostState::Waiting,
                // asked again: what stands ready answers at once
                HostState::Prepared if kept_warm => HostState::Waiting,
                HostState::Preparing | HostState::Prepared => HostState::Staged,
                HostState::Activating | HostState::Checking | HostState::Unreachable | HostState::Healthy => {
                    match wanted {
                        Some(wanted) if running.is_healthy_on(wanted) => HostState::Healthy,
                        _ if kept_warm => HostState::Waiting,
                        _ => HostState::Staged,
                    }
                }
                other => other,
            };
            if state != h.state {
                h.set(state, None, now);
            }
        });
        if was_long_away {
            self.run.hold_until = None;
        }
    }

    fn checked(&mut self, verdict: Verdict) {
        if self.run.state != State::Canary || self.run.check_until.is_none() {
            return;
        }
        self.run.check_until = None;
        match verdict {
            Verdict::Pass { said } => self.canary_passed(said),
            Verdict::Fail { said } => self.roll_back(format!("the canary's check failed: {said}")),
            Verdict::Inconclusive { said } => self.hold(format!("the canary's check is inconclusive: {said}")),
        }
    }

    fn cancel(&mut self, by: String) {
        match self.run.state {
            State::Building => {
                self.effects.push(Effect::StopBuild);
                self.cancelled(by);
            }
            State::Queued | State::Staging | State::AwaitingApproval => self.cancelled(by),
            State::Canary | State::Promoting | State::Held if self.run.kind == Kind::Deploy => {
                self.go_back(format!("cancelled by {by}"));
            }
            State::NeedsHuman | State::Held => {
                let error = self.run.error.clone().unwrap_or_default();
                self.fail(format!("closed by {by}: {error}"));
            }
            _ => self.refuse(self.no_way_out()),
        }
    }

    /// Why a person cannot end it, and which word helps.
    fn no_way_out(&self) -> String {
        let what = match self.run.kind {
            Kind::Deploy => "goes back already",
            Kind::Rollback => "is the way out and is not left half way",
        };
        format!("the deploy is {}: it {what}; wait for its end", self.run.state.word())
    }

    fn promote(&mut self, by: String) {
        match (self.run.state, self.run.kind) {
            (State::Held, _) | (State::NeedsHuman, Kind::Rollback) => {
                // orders that are out stay so: their answers and their ends still come
                for h in &mut self.run.hosts {
                    h.failures = 0;
                    if h.state == HostState::Failed && h.lost_at.is_none() {
                        h.set(HostState::Waiting, None, self.now);
                    }
                }
                // who promotes has seen the hosts that are out and goes on without them
                let out = self.run.hosts.iter().filter(|h| h.is_bad()).count();
                self.run.plan.max_unavailable = self.run.plan.max_unavailable.max(out);
                self.run.error = None;
                self.rebuild_anew();
                if self.run.held_in == Some(State::Canary) {
                    // it was not passed: it is watched for the whole time again
                    self.say(Fact::Unheld { by });
                    return self.enter(State::Canary);
                }
                self.say(Fact::Promoting { by: Some(by) });
                self.enter(State::Promoting);
            }
            (state, _) => self.refuse(format!("the deploy is {} and not held", state.word())),
        }
    }

    fn abort(&mut self, by: String) {
        let flips = matches!(self.run.state, State::Canary | State::Promoting | State::Held | State::NeedsHuman);
        if flips && self.run.kind == Kind::Deploy {
            return self.go_back(format!("aborted by {by}"));
        }
        // nothing has flipped yet, or it is a way back: it ends where it is
        self.cancel(by);
    }

    fn resumed(&mut self, hosts: Vec<(String, Option<Running>)>, kept: bool) {
        for (name, running) in hosts {
            match running {
                Some(running) => self.back(&name, running),
                None => self.with_host(&name, |h, now| {
                    h.settle();
                    h.lost_at = Some(now);
                }),
            }
        }
        self.run.check_until = None;
        let now = self.now;
        // The question was lost with the server; the evidence is where it was.
        if let Some(watch) = &mut self.run.watch {
            watch.ask_at = now;
        }
        self.resume_rebuild(kept);
        if self.run.hook.is_some() {
            self.resume_hook(kept);
            if !self.run.state.is_final() {
                let state = self.run.state;
                self.say(Fact::Resumed { state });
            }
            return;
        }
        match self.run.state {
            State::Queued => self.begin(),
            State::Building if !self.run.building => self.say(Fact::Resumed { state: State::Building }),
            State::Building if kept => {
                // whoever is told finds the one that runs, which ends by its own limit
                self.run.entered_at = self.now;
                self.effects.push(Effect::Build);
                self.say(Fact::Resumed { state: State::Building });
            }
            State::Building if self.run.builds >= BUILDS_MAX => {
                let why =
                    format!("the server stopped {BUILDS_MAX} times while it was building; start the deploy again");
                self.run.error = Some(why.clone());
                self.say(Fact::Interrupted { why });
                self.enter(State::Interrupted);
            }
            State::Building => {
                self.run.building = false;
                self.say(Fact::Resumed { state: State::Building });
            }
            State::Staging => {
                self.run.entered_at = self.now;
                self.say(Fact::Resumed { state: State::Staging });
            }
            State::Held => {
                // the order to pause may be lost
                self.pause_again();
                self.say(Fact::Resumed { state: State::Held });
            }
            state => self.say(Fact::Resumed { state }),
        }
    }

    pub(super) fn with_host(&mut self, name: &str, change: impl FnOnce(&mut Host, Timestamp)) {
        let now = self.now;
        if let Some(host) = self.run.hosts.iter_mut().find(|h| h.name == name) {
            change(host, now);
        }
    }
    pub(super) fn say(&mut self, fact: Fact) {
        self.effects.push(Effect::Say(fact));
    }
    pub(super) fn refuse(&mut self, why: String) {
        self.effects.push(Effect::Refuse(why));
    }
    fn refuse_person(&mut self, input: &Input, why: &str) {
        let by_person = matches!(
            input,
            Input::Cancel { .. }
                | Input::Promote { .. }
                | Input::Hold { .. }
                | Input::Abort { .. }
                | Input::Supersede { .. }
                | Input::Approve { .. }
        );
        if by_person {
            self.refuse(format!("the deploy {why} ({})", self.run.state.word()));
        }
    }
    pub(super) fn enter(&mut self, state: State) {
        let bad = matches!(
            state,
            State::Failed | State::Cancelled | State::RollingBack | State::Interrupted | State::NeedsHuman
        );
        if let Some(last) = self.run.steps.last_mut().filter(|s| s.finished_at.is_none()) {
            last.finished_at = Some(self.now);
            last.state = if bad { StepOutcome::Failed } else { StepOutcome::Done };
        }
        if !state.is_final() {
            self.run.steps.push(StepLog {
                name: state,
                state: StepOutcome::Running,
                started_at: self.now,
                finished_at: None,
            });
        }
        if self.run.hook.take().is_some() {
            self.effects.push(Effect::StopHook);
        }
        self.run.passed = false;
        self.run.held_in = None;
        self.run.state = state;
        self.run.entered_at = self.now;
        self.run.hold_until = None;
        self.run.check_until = None;
        self.end_watch();
    }
    pub(super) fn fail(&mut self, error: String) {
        let error = error + self.left_paused();
        self.run.error = Some(error.clone());
        self.say(Fact::Failed { error });
        self.end(State::Failed);
    }
    fn cancelled(&mut self, by: String) {
        self.run.error = Some(format!("cancelled by {by}{}", self.left_paused()));
        self.say(Fact::Cancelled { by });
        self.end(State::Cancelled);
    }
    pub(super) fn end(&mut self, state: State) {
        self.stop_rebuild();
        for h in &mut self.run.hosts {
            h.settle();
        }
        self.discard_all(state);
        self.enter(state);
    }
}
