//! Stages: what goes to an environment was good in the one before, as the same commit and the same artifact.

use tenfold_deploys::machine::{Kind, State};
use tenfold_deploys::{Digest, Pipeline};
use tenfold_store::deploys as store;
use tenfold_types::{ErrorCode, Fault};

use super::queue;
use super::stored::{AfterStage, Stored, short};
use super::views::NextStage;
use crate::{App, Txn};

/// What the stage before says of a commit.
pub(super) struct StagePassed {
    pub after: AfterStage,
    pub digest: Digest,
}

impl App {
    /// The commit that goes to an environment where nobody names one: the newest that the stage before runs well. Nothing
    /// where no stage is before it, or nothing passed that yet.
    pub(super) async fn stage_commit(
        &self,
        service: &str,
        pipeline: &Pipeline,
        environment: &str,
    ) -> Result<Option<String>, Fault> {
        let Some(before) = pipeline.stage_before(environment) else { return Ok(None) };
        let (key, env) = (service.to_owned(), before.environment.clone());
        let row = self.read(move |tx| Ok(store::deploys_healthy(tx, &key, &env, i64::MAX, 1)?.pop())).await?;
        Ok(row.map(|row| row.sha))
    }

    /// The deploy with which a commit passed the stage before; nothing where it did not, or no stage is before.
    pub(super) async fn stage_passed(
        &self,
        service: &str,
        pipeline: &Pipeline,
        environment: &str,
        sha: &str,
    ) -> Result<Option<StagePassed>, Fault> {
        let Some(before) = pipeline.stage_before(environment) else { return Ok(None) };
        let (key, env, commit) = (service.to_owned(), before.environment.clone(), sha.to_owned());
        let row = self.read(move |tx| Ok(store::deploy_healthy_of(tx, &key, &env, &commit)?)).await?;
        let Some(row) = row else { return Ok(None) };
        let digest = Stored::from_row(&row)?.run.digest;
        let after = AfterStage { environment: row.environment, deploy: row.number };
        Ok(digest.map(|digest| StagePassed { after, digest }))
    }

    /// Refuses a commit that did not pass the stage before.
    pub(super) async fn check_stage(
        &self,
        service: &str,
        pipeline: &Pipeline,
        environment: &str,
        sha: &str,
    ) -> Result<Option<StagePassed>, Fault> {
        let Some(before) = pipeline.stage_before(environment) else { return Ok(None) };
        match self.stage_passed(service, pipeline, environment, sha).await? {
            Some(passed) => Ok(Some(passed)),
            None => Err(not_passed(service, environment, &before.environment, sha)),
        }
    }

    /// What the stage before says of a commit that is to be deployed, with the artifact that goes on. One that is kept no
    /// more is not built anew: it would be another. One that may be on another server's disk is, and goes to hosts only if it
    /// is the same. An override asks for nothing.
    pub(super) async fn stage_of(
        &self,
        service: &str,
        pipeline: &Pipeline,
        environment: &str,
        sha: &str,
        overridden: bool,
    ) -> Result<Option<StagePassed>, Fault> {
        let passed = if overridden {
            self.stage_passed(service, pipeline, environment, sha).await?
        } else {
            self.check_stage(service, pipeline, environment, sha).await?
        };
        let Some(passed) = passed else { return Ok(None) };
        let (blobs, digest) = (self.blobs(), passed.digest);
        let kept = tokio::task::spawn_blocking(move || blobs.manifest(digest).is_some()).await.unwrap_or(false);
        if kept || pipeline.target(environment).is_ok_and(|target| self.may_make_again(target)) {
            return Ok(Some(passed));
        }
        let AfterStage { environment, deploy } = &passed.after;
        let text =
            format!("the artifact of {} that deploy {deploy} tried on {environment} is no longer kept", short(sha));
        // It never comes back by itself, so nothing waits for it.
        Err(Fault::invalid(text)
            .advice(format!("deploy it there again: tenfold deploy {service} {} --to {environment}", short(sha))))
    }

    /// Why a commit that passed the stage before cannot go on, whoever asks: its artifact is kept no more.
    pub(super) async fn stage_is_gone(
        &self,
        service: &str,
        pipeline: Option<&Pipeline>,
        environment: &str,
        sha: &str,
    ) -> Option<String> {
        let fault = self.stage_of(service, pipeline?, environment, sha, true).await.err()?;
        Some(format!("{}; {}", fault.message, fault.advice))
    }

    /// Why a release does not go on by itself any more: it was taken back where it was good.
    pub(super) async fn stage_was_left(&self, number: i64) -> Result<Option<String>, Fault> {
        let row = self
            .read(move |tx| {
                let Some(row) = store::deploy_get(tx, number)? else { return Ok(None) };
                Ok(Some((store::deploy_healthy_of(tx, &row.service, &row.environment, &row.sha)?.is_some(), row)))
            })
            .await?;
        Ok(match row {
            Some((true, _)) => None,
            Some((false, row)) => Some(format!("it was taken back from {}", row.environment)),
            None => Some(format!("deploy {number} is kept no more")),
        })
    }

    /// Where an environment stands in the order, and whether the commit may go there.
    pub(super) async fn next_stage(
        &self,
        service: &str,
        pipeline: &Pipeline,
        environment: &str,
        sha: &str,
    ) -> Result<Option<NextStage>, Fault> {
        let (before, then) = (pipeline.stage_before(environment), pipeline.stage_after(environment));
        if before.is_none() && then.is_none() {
            return Ok(None);
        }
        let passed = self.stage_passed(service, pipeline, environment, sha).await?;
        let refused = before.filter(|_| passed.is_none()).map(|stage| {
            let fault = not_passed(service, environment, &stage.environment, sha);
            format!("{}; {}", fault.message, fault.advice)
        });
        Ok(Some(NextStage {
            after: before.map(|stage| stage.environment.clone()),
            passed: passed.map(|passed| passed.after.deploy),
            refused,
            then: then.map(|stage| stage.environment.clone()),
            auto: then.is_some_and(|stage| stage.auto),
            hold_s: then.map_or(0, |stage| stage.hold_s),
        }))
    }
}

fn not_passed(service: &str, environment: &str, before: &str, sha: &str) -> Fault {
    let sha = short(sha);
    Fault::new(
        ErrorCode::Locked,
        format!("{service} {sha} did not pass {before} yet, and goes to {environment} only after that"),
    )
    .advice(format!("deploy it to {before} first; an admin may override it with a reason"))
}

impl NextStage {
    /// What happens when the deploy has succeeded, in words.
    pub(super) fn says(&self) -> Option<String> {
        let then = self.then.as_ref()?;
        Some(match (self.auto, self.hold_s) {
            (false, _) => format!("may go on to {then} when somebody deploys there"),
            (true, 0) => format!("goes on to {then} by itself"),
            (true, s) => format!("goes on to {then} by itself after {s} s"),
        })
    }
}

/// A deploy is over: one that succeeded goes on to the next stage, where that is to be by itself; and what was taken back
/// goes on no more.
pub(super) fn ended(t: &mut Txn<'_>, over: &Stored) -> Result<(), Fault> {
    if over.run.state != State::Succeeded {
        return Ok(());
    }
    if let Some(number) = over.reverts {
        return queue::stage_left(t, number, &format!("it was taken back from {}", over.environment));
    }
    if over.run.kind != Kind::Deploy {
        return Ok(());
    }
    let Some(next) = over.asked.pipeline.stage_after(&over.environment).filter(|stage| stage.auto) else {
        return Ok(());
    };
    queue::stage(t, over, &next.environment, i64::from(next.hold_s) * 1000)
}
