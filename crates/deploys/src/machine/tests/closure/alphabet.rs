//! The inputs that are given in every state: each kind, with each host and each answer that makes a difference.

use super::*;

pub(super) const KINDS: [&str; 21] = [
    "start",
    "built",
    "build_failed",
    "staged",
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
        Input::Staged { .. } => "staged",
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
        Self { running, stray: true }
    }

    /// What a host may well say.
    pub fn likely() -> Self {
        let release = |digest, healthy| Running::Release { digest, healthy };
        Self { running: vec![Running::Nothing, on_old(), release(new(), true), release(new(), false)], stray: false }
    }

    /// What a host mostly says.
    pub fn fewer() -> Self {
        Self { running: vec![on_old(), Running::Release { digest: new(), healthy: true }], stray: false }
    }

    /// For two hosts, whose states multiply: they answer orders, or do not.
    pub fn answers() -> Self {
        Self { running: Vec::new(), stray: false }
    }

    pub fn of(&self, run: &Run) -> Vec<Input> {
        let mut all = vec![Input::Start, Input::Built { digest: new() }, Input::BuildFailed { error: "e".into() }];
        for h in &run.hosts {
            self.of_host(&h.name, &mut all);
        }
        for verdict in [
            Verdict::Pass { said: String::new() },
            Verdict::Fail { said: String::new() },
            Verdict::Inconclusive { said: String::new() },
        ] {
            all.push(Input::Checked(verdict));
        }
        let since = run.watch.as_ref().map_or(NOW, |w| w.since);
        for verdict in [Judged::NotEnoughData, Judged::Worse, Judged::NotWorse] {
            all.push(Input::Judged { since, judgement: judgement(verdict) });
        }
        all.push(Input::Judged { since: since.plus_ms(-1), judgement: judgement(Judged::Worse) });
        for at in HOOKS {
            all.push(Input::HookEnded { at, error: None });
            all.push(Input::HookEnded { at, error: Some("e".into()) });
        }
        all.push(Input::Tick);
        for (by, starter) in [("ana", true), ("mei", false), ("raj", false)] {
            all.push(Input::Approve { by: by.into(), name: by.into(), starter });
        }
        all.push(Input::Cancel { by: "mei".into() });
        all.push(Input::Promote { by: "mei".into() });
        all.push(Input::Abort { by: "mei".into() });
        all.push(Input::Supersede { by: "mei".into() });
        for running in [None].into_iter().chain(self.running.iter().map(|r| Some(*r))) {
            let hosts = run.hosts.iter().map(|h| (h.name.clone(), running)).collect();
            all.push(Input::Resumed { hosts });
        }
        all
    }

    fn of_host(&self, name: &str, all: &mut Vec<Input>) {
        let host = || name.to_owned();
        if self.running.is_empty() {
            all.push(Input::Staged { host: host(), digest: new() });
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
