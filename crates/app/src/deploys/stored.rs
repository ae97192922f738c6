//! A deploy as it is kept: what was asked for (never changed), the state machine, and the view made of both.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tenfold_deploys::{
    Digest, Pipeline,
    machine::{Host, HostState, Kind, Run, State, StepOutcome},
    pipeline::{Approve, Expectation, Expects},
};
use tenfold_judge::Verdict;
use tenfold_store::{
    Tx,
    deploys::{self as store, DeployRow, DeployStep},
};
use tenfold_types::{Actor, Fault, Source, Timestamp};

use super::{
    ports::Commit,
    views::{
        ActorView, Deploy, DeployApproval, DeployExpects, DeployHost, DeployJudged, DeployLeft, DeployStepView,
        ExpectedMetric, GivenApproval,
    },
};

/// Most commits kept with a deploy; the count goes on.
pub(super) const COMMITS_KEPT_MAX: usize = 200;

/// What was asked for.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Asked {
    pub from_sha: Option<String>,
    pub from_deploy: Option<i64>,
    pub commits: Vec<Commit>,
    pub removed: Vec<Commit>,
    pub commit_count: u64,
    pub actor: Actor,
    pub actor_name: String,
    pub source: Source,
    pub reason: Option<String>,
    /// As it was at the commit that ships.
    pub pipeline: Arc<Pipeline>,
    /// Git repository at that time.
    pub repository: String,
    /// Why windows, freezes, locks and stages were passed over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overridden: Option<String>,
    /// What it was in the queue.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queued_as: Option<i64>,
    /// Where it was good before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after_stage: Option<AfterStage>,
    /// The deploy that was taken back, where this one goes forward over it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forward_of: Option<i64>,
    /// Where the forge shows what it changes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub diff_url: Option<String>,
}

/// The deploy of the stage before, which tried the same artifact.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct AfterStage {
    pub environment: String,
    pub deploy: i64,
}

/// A deploy read from the store.
#[derive(Debug, Clone)]
pub(super) struct Stored {
    pub number: i64,
    pub service: String,
    pub environment: String,
    pub sha: String,
    pub reverts: Option<i64>,
    pub started_at: Timestamp,
    pub finished_at: Option<Timestamp>,
    pub asked: Asked,
    pub run: Run,
}

impl Stored {
    pub fn from_row(row: &DeployRow) -> Result<Self, Fault> {
        let damaged = |e: serde_json::Error| Fault::internal(format!("deploy {} cannot be read: {e}", row.number));
        Ok(Self {
            number: row.number,
            service: row.service.clone(),
            environment: row.environment.clone(),
            sha: row.sha.clone(),
            reverts: row.reverts,
            started_at: row.started_at,
            finished_at: row.finished_at,
            asked: serde_json::from_str(&row.body).map_err(damaged)?,
            run: serde_json::from_str(&row.run).map_err(damaged)?,
        })
    }

    pub fn to_row(&self) -> Result<DeployRow, Fault> {
        let body = serde_json::to_string(&self.asked).map_err(|e| Fault::internal(e.to_string()))?;
        let step = step_of(&self.run, self.finished_at)?;
        Ok(DeployRow {
            number: self.number,
            service: self.service.clone(),
            environment: self.environment.clone(),
            state: step.state,
            kind: self.run.kind.word().to_owned(),
            is_final: step.is_final,
            sha: self.sha.clone(),
            digest: step.digest,
            reverts: self.reverts,
            started_at: self.started_at,
            finished_at: step.finished_at,
            body,
            run: step.run,
        })
    }

    pub fn get(tx: &mut dyn Tx, number: i64) -> Result<Self, Fault> {
        let row = store::deploy_get(tx, number)?.ok_or_else(|| no_deploy(number))?;
        Self::from_row(&row)
    }

    /// `4f2c91a`
    pub fn short_sha(&self) -> &str {
        short(&self.sha)
    }

    pub fn view(&self, reverted_by: Option<i64>) -> Deploy {
        let run = &self.run;
        Deploy {
            number: self.number,
            service: self.service.clone(),
            environment: self.environment.clone(),
            state: run.state.word().to_owned(),
            kind: run.kind.word().to_owned(),
            from_sha: self.asked.from_sha.clone(),
            to_sha: self.sha.clone(),
            from_deploy: self.asked.from_deploy,
            reverts: self.reverts,
            reverted_by,
            commits: self.asked.commits.clone(),
            removed: self.asked.removed.clone(),
            commit_count: self.asked.commit_count,
            diff_url: self.asked.diff_url.clone(),
            actor: ActorView::from(&self.asked.actor),
            actor_name: self.asked.actor_name.clone(),
            reason: self.asked.reason.clone(),
            started_at: self.started_at,
            finished_at: self.finished_at,
            digest: run.digest.as_ref().map(Digest::to_string),
            error: run.error.clone(),
            steps: run
                .steps
                .iter()
                .map(|s| DeployStepView {
                    name: s.name.word().to_owned(),
                    state: match s.state {
                        StepOutcome::Running => "running",
                        StepOutcome::Done => "done",
                        StepOutcome::Failed => "failed",
                    }
                    .to_owned(),
                    started_at: s.started_at,
                    finished_at: s.finished_at,
                })
                .collect(),
            hosts: run
                .hosts
                .iter()
                .map(|h| DeployHost {
                    host: h.name.clone(),
                    state: h.state.word().to_owned(),
                    canary: h.canary,
                    digest_observed: h.observed.digest().map(|d| d.to_string()),
                    message: h.message.clone(),
                    updated_at: h.updated_at,
                    away_since: self.away_since(h),
                    unreachable_at: self.away_since(h).map(|at| at.plus_ms(run.plan.reach_ms)),
                })
                .collect(),
            handed_to: self.handed().map(|handed| handed.says()),
            pods: Vec::new(),
            max_commits_exceeded: self.is_large(),
            max_commits: self.asked.pipeline.max_commits,
            hold_until: run.hold_until.filter(|_| run.state == State::Canary),
            judged: judged(run).map(Box::new),
            approval: self.approval(),
            canary_steps: run.steps_total.max(run.steps_passed),
            canary_steps_passed: run.steps_passed,
            hook: run.hook.map(|hook| hook.at.word().to_owned()),
            left: run.left.clone().map(|left| DeployLeft { server: left.server, what: left.what, until: left.until }),
            irreversible: run.plan.irreversible.clone(),
            overridden: self.asked.overridden.clone(),
            queued_as: self.asked.queued_as,
            after_stage: self.asked.after_stage.clone(),
            forward_of: self.asked.forward_of,
            expects: self.asked.pipeline.expects.as_ref().filter(|_| run.kind == Kind::Deploy).map(expects),
        }
    }

    /// While the deploy still waits for it.
    fn away_since(&self, host: &Host) -> Option<Timestamp> {
        let waits = !self.run.state.is_final()
            && !matches!(host.state, HostState::Unreachable | HostState::Failed | HostState::RolledBack);
        host.lost_at.filter(|_| waits)
    }

    /// More commits come or go than one deploy should carry.
    pub fn is_large(&self) -> bool {
        self.run.kind == Kind::Deploy && self.changes() > u64::from(self.asked.pipeline.max_commits)
    }

    /// Commits that come and those that go, as far as they are kept.
    pub fn changes(&self) -> u64 {
        self.asked.commit_count + self.asked.removed.len() as u64
    }

    pub fn approval(&self) -> Option<DeployApproval> {
        let run = &self.run;
        let planned = run.plan.approve.as_ref()?;
        let target = self.asked.pipeline.target(&self.environment).ok()?;
        let given = run.approvals.iter();
        Some(DeployApproval {
            count: u32::try_from(planned.count).unwrap_or(u32::MAX),
            given: given.map(|a| GivenApproval { login: a.by.clone(), name: a.name.clone(), at: a.at }).collect(),
            until: (run.state == State::AwaitingApproval).then(|| run.entered_at.plus_ms(planned.within_ms)),
            ..approval(target.approve.as_ref()?)
        })
    }
}

pub(super) fn approval(asked: &Approve) -> DeployApproval {
    DeployApproval {
        count: asked.count,
        by: asked.by.clone(),
        teams: asked.teams.clone(),
        role: asked.role.word().to_owned(),
        four_eyes: asked.four_eyes,
        given: Vec::new(),
        until: None,
    }
}

pub(super) fn expects(said: &Expects) -> DeployExpects {
    let metric = |m: &Expectation| ExpectedMetric {
        query: m.query.clone(),
        says: m.sentence(),
        outcome: None,
        before: None,
        after: None,
    };
    DeployExpects {
        metrics: said.metrics.iter().map(metric).collect(),
        risks: said.risks.clone(),
        signs: said.signs.clone(),
        contingency: said.contingency.clone(),
        after_s: said.after_s,
        scored_at: None,
        replaced_by: None,
    }
}

fn judged(run: &Run) -> Option<DeployJudged> {
    let watch = run.watch.as_ref();
    let said = watch.and_then(|w| w.last.as_ref()).or(run.judged.as_deref());
    let since = watch.map(|w| w.since);
    let waits_ms = run.plan.judge.as_ref().map(|j| i64::from(j.max_s) * 1000);
    let until = since.zip(waits_ms).map(|(since, ms)| since.plus_ms(ms)).filter(|_| run.state == State::Canary);
    match (said, since) {
        (None, None) => None,
        (None, Some(_)) => Some(DeployJudged {
            verdict: Verdict::Watching,
            said: "nothing was counted yet".to_owned(),
            since,
            until,
            report: None,
        }),
        (Some(said), _) => Some(DeployJudged {
            verdict: said.verdict,
            said: said.said.clone(),
            since,
            until,
            report: said.report.clone(),
        }),
    }
}

pub(super) fn step_of(run: &Run, finished_at: Option<Timestamp>) -> Result<DeployStep, Fault> {
    Ok(DeployStep {
        state: run.state.word().to_owned(),
        is_final: run.state.is_final(),
        digest: run.digest.as_ref().map(Digest::to_string),
        finished_at,
        run: serde_json::to_string(run).map_err(|e| Fault::internal(e.to_string()))?,
    })
}

/// The first seven of a commit.
pub(crate) fn short(sha: &str) -> &str {
    sha.get(..7).unwrap_or(sha)
}

pub(super) fn no_deploy(number: i64) -> Fault {
    Fault::not_found(format!("there is no deploy {number}")).advice("the Deploys page lists them all")
}
