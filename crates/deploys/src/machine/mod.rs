//! The state machine of one deploy: `step(run, input, now)` gives the next run and the effects for the shell to carry out.
//!
//! The shell first writes the new run, then carries out the effects. So after a crash the written run is never ahead of
//! the hosts by more than the effects of one step, and `Input::Resumed` makes up for those from what the hosts report.
//! Orders to hosts are wishes for a digest, safe to give twice. What is unknown holds the deploy; it never passes.

mod advance;
mod gates;
mod held;
mod host;
mod judged;
mod prepare;
mod rebuild;
mod run;
mod step;
#[cfg(test)]
mod tests;

pub use host::{Host, HostState, Order, Running};
pub use judged::{Judgement, Watch};
pub use run::{Approval, HookRun, Kind, Left, Run, State, StepLog, StepOutcome};
pub use step::step;

use tenfold_types::Timestamp;

use crate::manifest::Digest;
use crate::pipeline::HookAt;

/// What the shell tells the machine.
#[derive(Debug, Clone, PartialEq)]
pub enum Input {
    /// The lease is held; begin.
    Start,
    Built {
        digest: Digest,
    },
    BuildFailed {
        error: String,
    },
    /// The server has not got the files that the host was to take.
    Missing {
        host: String,
        digest: Digest,
    },
    /// The artifact was built once more; with an error in words, or it is there and is the same.
    BuiltAgain {
        error: Option<String>,
    },
    /// The host holds the artifact.
    Staged {
        host: String,
        digest: Digest,
    },
    /// The release stands beside what serves, healthy; or the host has no way to start one ahead.
    Prepared {
        host: String,
        digest: Digest,
    },
    /// The host says what it is at.
    Progress {
        host: String,
        digest: Digest,
        checking: bool,
        message: String,
    },
    /// The release runs on the host, answered its health check and takes traffic.
    Activated {
        host: String,
        digest: Digest,
    },
    /// Nothing of the service runs on the host any more.
    Deactivated {
        host: String,
    },
    /// An order could not be carried out. `digest` is the one of the order, absent for a deactivation.
    HostFailed {
        host: String,
        digest: Option<Digest>,
        error: String,
        /// What it runs instead.
        running: Running,
    },
    /// What the host runs, said without being asked.
    Observed {
        host: String,
        running: Running,
    },
    /// The host's agent is not connected.
    Lost {
        host: String,
    },
    /// The host's agent is connected (again) and reports.
    Back {
        host: String,
        running: Running,
    },
    /// The answer of the canary's query.
    Checked(Verdict),
    /// What the judge makes of the canary since then.
    Judged {
        since: Timestamp,
        judgement: Box<Judgement>,
    },
    /// A hook ended; with an error in words, or well.
    HookEnded {
        at: HookAt,
        error: Option<String>,
    },
    /// A deadline may have passed.
    Tick,
    /// Somebody who may approve agrees that it goes on.
    Approve {
        by: String,
        name: String,
        /// It is who started the deploy.
        starter: bool,
    },
    Cancel {
        by: String,
    },
    /// A person lets a held deploy go on, or asks a stopped rollback to try again.
    Promote {
        by: String,
    },
    /// A person holds a deploy that flips: nothing more is ordered until somebody promotes or aborts it.
    Hold {
        by: String,
    },
    /// A person sends a held deploy back, or asks a stopped way back to try again.
    Abort {
        by: String,
    },
    /// A newer deploy or rollback takes over from one that waits for a person.
    Supersede {
        by: String,
    },
    /// The server starts again. A host that is not connected (yet) reports nothing.
    Resumed {
        hosts: Vec<(String, Option<Running>)>,
        /// The build or hook that was under way still runs, or has left its end.
        kept: bool,
    },
}

/// What the canary's query said.
#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    Pass {
        said: String,
    },
    Fail {
        said: String,
    },
    /// No data, an error, no answer: never a pass.
    Inconclusive {
        said: String,
    },
}

/// What sent a deploy back without a person's word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Locker {
    /// Its verdict on the canary.
    Judge,
    /// A host, a query or a hook that failed.
    Server,
}

/// What the shell carries out after the run is written.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    Build,
    /// Build once more what was built before and is not on the server.
    BuildAgain {
        digest: Digest,
    },
    /// Ends the build, of whichever sort, that is under way.
    StopBuild,
    Stage {
        host: String,
        digest: Digest,
    },
    /// Start the release beside what serves and find it healthy.
    Prepare {
        host: String,
        digest: Digest,
    },
    /// Turn to the release that was prepared.
    Flip {
        host: String,
        digest: Digest,
    },
    /// Start the release, and turn to it when it is healthy.
    Activate {
        host: String,
        digest: Digest,
    },
    /// End what stands beside what serves: a release that was prepared, or the old one that was kept warm.
    Discard {
        host: String,
        after_ms: i64,
    },
    /// Activate what the host ran before, as it was run then.
    Restore {
        host: String,
        digest: Digest,
    },
    Deactivate {
        host: String,
    },
    /// Whoever carries the deploy out for us stops where it is; the next order lets it go on.
    Pause,
    RunCheck,
    /// Ask the judge about everything since the canary was healthy.
    RunJudge {
        since: Timestamp,
    },
    /// Run the hook of this place.
    RunHook {
        at: HookAt,
    },
    StopHook,
    /// Call people.
    Page {
        why: String,
    },
    /// A deploy went back by itself: keeps people from shipping over it before somebody has looked.
    Lock {
        by: Locker,
        why: String,
    },
    /// Becomes an event, in the transaction that writes the run.
    Say(Fact),
    /// A person asked for what this state does not allow; nothing changed.
    Refuse(String),
}

/// What happened, for the record.
#[derive(Debug, Clone, PartialEq)]
pub enum Fact {
    BuildStarted,
    Built {
        digest: Digest,
    },
    Staged {
        hosts: usize,
    },
    AwaitingApproval {
        count: usize,
    },
    Approved {
        name: String,
        have: usize,
        want: usize,
    },
    HookStarted {
        at: HookAt,
    },
    /// The hook failed where that changes nothing.
    HookFailed {
        at: HookAt,
        error: String,
    },
    CanaryStarted {
        hosts: Vec<String>,
    },
    /// A step of the canary was passed and the next has begun.
    CanaryStep {
        number: usize,
        hosts: Vec<String>,
    },
    HostActivated {
        host: String,
    },
    CanaryPassed {
        said: String,
    },
    /// The judge's verdict, when it is final or the time is over.
    Judged {
        judgement: Box<Judgement>,
    },
    Promoting {
        by: Option<String>,
    },
    Succeeded {
        healthy: usize,
        total: usize,
    },
    Failed {
        error: String,
    },
    Cancelled {
        by: String,
    },
    RollingBack {
        why: String,
    },
    RolledBack {
        why: String,
        hosts: usize,
    },
    Held {
        why: String,
    },
    /// The canary that a person held goes on.
    Unheld {
        by: String,
    },
    NeedsHuman {
        why: String,
    },
    Interrupted {
        why: String,
    },
    Resumed {
        state: State,
    },
}
