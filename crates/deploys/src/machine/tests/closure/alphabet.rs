//! The inputs that are given in every state: each kind, with each host and each answer that makes a difference.

use super::*;

pub(super) const KINDS: [&str; 25] = [
    "start",
    "built",
    "build_failed",
    "missing",
    "built_again",
    "staged",
    "prepared",
    "progress",
    "activated",
    "deactivated",
    "host_failed",
    "observed",
    "lost",
    "back",
    "checked",
    "judged",
    "hook_ended",
    "tick",
    "approve",
    "cancel",
    "promote",
    "hold",
    "abort",
    "supersede",
    "resumed",
];

/// A new kind of input does not compile here until it is in the alphabet.
pub(super) fn kind(input: &Input) -> &'static str {
    match input {
        Input::Start => "start",
        Input::Built { .. } => "built",
        Input::BuildFailed { .. } => "build_failed",
        Input::Missing { .. } => "missing",
        Input::BuiltAgain { .. } => "built_again",
        Input::Staged { .. } => "staged",
        Input::Prepared { .. } => "prepared",
        Input::Progress { .. } => "progress",
        Input::Activated { .. } => "activated",
        Input::Deactivated { .. } => "deactivated",
        Input::HostFailed { .. } => "host_failed",
        Input::Observed { .. } => "observed",
        Input::Lost { .. } => "lost",
        Input::Back { .. } => "back",
        Input::Checked(_) => "checked",
        Input::Judged { .. } => "judged",
        Input::HookEnded { .. } => "hook_ended",
        Input::Tick => "tick",
        Input::Approve { .. } => "approve",
        Input::Cancel { .. } => "cancel",
        Input::Promote { .. } => "promote",
        Input::Hold { .. } => "hold",
        Input::Abort { .. } => "abort",
        Input::Supersede { .. } => "supersede",
        Input::Resumed { .. } => "resumed",
    }
}

const HOOKS: [HookAt; 6] = [
    HookAt::BeforeBuild,
    HookAt::AfterBuild,
    HookAt::BeforeActivate,
    HookAt::BeforePromote,
    HookAt::AfterPromote,
    HookAt::OnRollback,
];

/// What hosts may say that they run.
pub(super) struct Inputs {
    pub running: Vec<Running>,
    /// Also answers that belong to other orders than the one that is out.
    pub stray: bool,
    /// Hosts can start a release ahead of its flip; an older agent, or a host reached by ssh, cannot.
    pub prepares: bool,
    /// The artifact may be missing on the server.
    pub misses: bool,
}

impl Inputs {
    pub fn everything() -> Self {
        let release = |digest, healthy| Running::Release { digest, healthy };
        let running = vec![
            Running::Unknown,
            Running::Nothing,
            release(old(), true),
            release(old(), false),
            release(new(), true),
            release(new(), false),
        ];
        Self { running, stray: true, prepares: true, misses: false }
    }

    /// What a host may well say.
    pub fn likely() -> Self {
        let release = |digest, healthy| Running::Release { digest, healthy };
        Self {
            running: vec![Running::Nothing, on_old(), release(new(), true), release(new(), false)],
            stray: false,
            prepares: true,
            misses: false,
        }
    }

    /// What a host mostly says.
    pub fn fewer() -> Self {
        Self {
            running: vec![on_old(), Running::Release { digest: new(), healthy: true }],
            stray: false,
            prepares: true,
            misses: false,
        }
    }

    /// For two hosts, whose states multiply: they answer orders, or do not.
    pub fn answers() -> Self {
        Self { running: Vec::new(), stray: false, prepares: true, misses: false }
    }

    pub fn of(&self, run: &Run) -> Vec<Input> {
        let mut all = vec![Input::Start, Input::Built { digest: new() }, Input::BuildFailed { error: "e".into() }];
        for h in &run.hosts {
            self.of_host(&h.name, &mut all);
        }
        self.of_gates(run, &mut all);
        self.of_missing(run, &mut all);
        all.push(Input::Tick);
        all.push(Input::Cancel { by: "mei".into() });
        all.push(Input::Promote { by: "mei".into() });
        all.push(Input::Hold { by: "mei".into() });
        all.push(Input::Abort { by: "mei".into() });
        all.push(Input::Supersede { by: "mei".into() });
        for running in [None].into_iter().chain(self.running.iter().map(|r| Some(*r))) {
            let hosts: Vec<_> = run.hosts.iter().map(|h| (h.name.clone(), running)).collect();
            if run.building || run.hook.is_some() || run.rebuild_until.is_some() {
                all.push(Input::Resumed { hosts: hosts.clone(), kept: true });
            }
            all.push(Input::Resumed { hosts, kept: false });
        }
        all
    }

    /// Answers to what the plan does not have are given once.
    fn of_gates(&self, run: &Run, all: &mut Vec<Input>) {
        let plan = &run.plan;
        let wanted = |count, has: bool| if has || self.stray { count } else { 1 };
        let said = String::new;
        let verdicts =
            [Verdict::Pass { said: said() }, Verdict::Fail { said: said() }, Verdict::Inconclusive { said: said() }];
        all.extend(verdicts.map(Input::Checked).into_iter().take(wanted(3, plan.check.is_some())));
        let since = run.watch.as_ref().map_or(NOW, |w| w.since);
        let judged = [
            (since, Judged::NotEnoughData),
            (since, Judged::Worse),
            (since, Judged::NotWorse),
            (since.plus_ms(-1), Judged::Worse),
        ];
        let judged = judged.map(|(since, verdict)| Input::Judged { since, judgement: judgement(verdict) });
        all.extend(judged.into_iter().take(wanted(4, plan.judge.is_some())));
        let has_hook = HOOKS.iter().any(|at| plan.hooks.get(*at).is_some());
        for at in HOOKS.into_iter().take(wanted(HOOKS.len(), has_hook)) {
            all.push(Input::HookEnded { at, error: None });
            all.push(Input::HookEnded { at, error: Some("e".into()) });
        }
        let people = [("ana", true), ("mei", false), ("raj", false)];
        for (by, starter) in people.into_iter().take(wanted(3, plan.approve.is_some())) {
            all.push(Input::Approve { by: by.into(), name: by.into(), starter });
        }
    }

    /// Where nothing is missing these are strays, of an artifact that no host is to take, and change nothing.
    fn of_missing(&self, run: &Run, all: &mut Vec<Input>) {
        let digest = if self.misses { new() } else { old() };
        all.extend(run.hosts.iter().map(|h| Input::Missing { host: h.name.clone(), digest }));
        all.push(Input::BuiltAgain { error: None });
        if self.misses {
            all.push(Input::BuiltAgain { error: Some("e".into()) });
        }
    }

    fn of_host(&self, name: &str, all: &mut Vec<Input>) {
        let host = || name.to_owned();
        if self.running.is_empty() {
            all.push(Input::Staged { host: host(), digest: new() });
            all.push(Input::Prepared { host: host(), digest: new() });
            for digest in [new(), old()] {
                all.push(Input::Activated { host: host(), digest });
                let (error, running) = ("e".to_owned(), on_old());
                all.push(Input::HostFailed { host: host(), digest: Some(digest), error, running });
            }
            return;
        }
        let digests = if self.stray { vec![new(), old()] } else { vec![new()] };
        for &digest in &digests {
            all.push(Input::Staged { host: host(), digest });
            all.push(Input::Prepared { host: host(), digest });
            all.push(Input::Progress { host: host(), digest, checking: true, message: String::new() });
        }
        all.push(Input::Progress { host: host(), digest: new(), checking: false, message: "m".into() });
        for digest in [new(), old()] {
            all.push(Input::Activated { host: host(), digest });
        }
        all.push(Input::Deactivated { host: host() });
        let failures = if self.stray { vec![Some(new()), Some(old()), None] } else { vec![Some(new()), None] };
        for digest in failures {
            for &running in &self.running {
                all.push(Input::HostFailed { host: host(), digest, error: "e".into(), running });
            }
        }
        for &running in &self.running {
            all.push(Input::Observed { host: host(), running });
            all.push(Input::Back { host: host(), running });
        }
        all.push(Input::Lost { host: host() });
    }
}
