//! Rolling forward: over a release that was taken back goes the next one, and not the same once more.

use serde::Deserialize;
use tenfold_deploys::machine::{Kind, State};
use tenfold_store::Tx;
use tenfold_store::deploys::{self as store, DeployQuery};
use tenfold_types::Fault;

use super::ports::CommitRange;
use super::stored::{Stored, short};
use super::views::{Deploy, NewDeploy};
use crate::{App, Caller, Role};

/// Deploys of a place among which the one that was taken back is looked for.
const BACK_MAX: u32 = 50;

/// What goes over a deploy that was taken back.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RollForward {
    #[serde(default = "super::views::production")]
    pub environment: String,
    /// Branch, tag or commit; the service's branch when absent.
    #[serde(default, rename = "ref")]
    pub reference: Option<String>,
    #[serde(default)]
    pub reason: Option<String>,
    /// The very commits that were taken back may go once more.
    #[serde(default)]
    pub again: bool,
}

impl App {
    /// Deploys what the branch has (or a commit) over the deploy that was taken back last. Refused where that has nothing
    /// which was not taken back with it, unless somebody wants the same once more; otherwise as any other deploy. The lock
    /// that deploy left when it went back by itself ends with it.
    pub async fn deploy_forward(&self, who: &Caller, service: &str, asked: RollForward) -> Result<Deploy, Fault> {
        who.require(Role::Deployer, Some(service), Some(&asked.environment))?;
        let settings = self.service_settings(service).await?;
        let (key, environment) = (service.to_owned(), asked.environment.clone());
        let taken = self.read(move |tx| taken_back(tx, &key, &environment)).await?.ok_or_else(|| {
            Fault::conflict(format!("what runs of {service} on {} was not put there by a way back", asked.environment))
                .advice(format!("deploy it: tenfold deploy {service} --to {}", asked.environment))
        })?;
        let next = Box::pin(self.deploy_next(service, &asked.environment, asked.reference.as_deref())).await?.next;
        let runner = self.deploys.runner()?;
        // where the repository does not know it any more, only the very same is the same
        let range = runner.commits(&settings.source(service), Some(&taken.sha), &next.sha).await.ok();
        if !asked.again && brings_nothing(&taken.sha, &next.sha, range.as_ref()) {
            let what = if next.sha == taken.sha { "is what" } else { "has nothing beside what" };
            return Err(Fault::conflict(format!(
                "{} {what} deploy {} shipped, which was taken back",
                next.short, taken.number
            ))
            .advice("push the fix first; `again` ships the same once more"));
        }
        let over = format!("forward over deploy {} ({}), which was taken back", taken.number, short(&taken.sha));
        let new = NewDeploy {
            service: service.to_owned(),
            environment: asked.environment,
            reference: Some(next.sha),
            reason: Some(asked.reason.filter(|why| !why.trim().is_empty()).unwrap_or(over)),
            override_reason: None,
        };
        Box::pin(self.deploy_begin(who, new, None, Some(taken.number))).await
    }
}

/// Every commit of it was taken back as well.
fn brings_nothing(taken: &str, next: &str, range: Option<&CommitRange>) -> bool {
    next == taken || range.is_some_and(|range| range.added_count == 0)
}

/// The deploy that was taken back last, as long as nothing newer is out.
fn taken_back(tx: &mut dyn Tx, service: &str, environment: &str) -> Result<Option<Stored>, Fault> {
    let query = DeployQuery {
        service: Some(service.to_owned()),
        environment: Some(environment.to_owned()),
        limit: BACK_MAX,
        ..DeployQuery::default()
    };
    for row in store::deploys(tx, &query)? {
        let deploy = Stored::from_row(&row)?;
        match (deploy.run.kind, deploy.run.state, deploy.reverts) {
            (Kind::Deploy, State::RolledBack, _) => return Ok(Some(deploy)),
            (Kind::Rollback, State::Succeeded, Some(reverts)) => return Ok(Some(Stored::get(tx, reverts)?)),
            (_, State::Succeeded, _) => return Ok(None),
            // it changed nothing, or is not over
            _ => {}
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forward_is_with_a_commit_that_was_not_taken_back() {
        let range = |added_count, removed_count| CommitRange { added_count, removed_count, ..CommitRange::default() };
        assert!(brings_nothing("a", "a", None));
        assert!(brings_nothing("a", "b", Some(&range(0, 3))), "an older one");
        assert!(!brings_nothing("a", "b", Some(&range(1, 0))));
        assert!(!brings_nothing("a", "b", None), "what is not known is not the same");
    }
}
