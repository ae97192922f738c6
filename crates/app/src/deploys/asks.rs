//! What people ask of deploys that exist: to see them, and to hold, cancel, promote or abort one.

use tenfold_deploys::machine::{Input, State};
use tenfold_deploys::pipeline::ApproverRole;
use tenfold_store::deploys::{self as store, DeployQuery, DeployRow};
use tenfold_types::{ActorKind, Fault, Timestamp};
use tokio::sync::oneshot;

use super::{
    conductor::Signal,
    elsewhere::Word,
    expected,
    listed::LIST_MAX,
    start::reason,
    stored::{Stored, no_deploy},
    views::{Deploy, DeployFilter},
};
use crate::{App, Caller, Role};

/// What a person says to a deploy that runs or waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// A deploy that flips orders nothing more until it is promoted or aborted.
    Hold,
    /// A held deploy goes on.
    Promote,
    /// It goes back, held or not; before the first flip it is cancelled.
    Abort,
    /// It stops; hosts that have flipped already go back.
    Cancel,
}

/// How long a person's wish waits for the conductor. One that waits for the lease, which another server holds, takes none.
pub(super) const ANSWER: std::time::Duration = std::time::Duration::from_secs(10);

impl App {
    /// Deploys that match, newest first.
    pub async fn deploys(&self, filter: DeployFilter) -> Result<Vec<Deploy>, Fault> {
        Ok(self.deploys_listed(filter).await?.items)
    }

    pub async fn deploy(&self, number: i64) -> Result<Deploy, Fault> {
        let rows = self
            .read(move |tx| {
                let row = store::deploy_get(tx, number)?.ok_or_else(|| no_deploy(number))?;
                let reverted_by = store::deploy_reverted_by(tx, number)?;
                Ok((row, reverted_by, expected::scored(tx, number)?))
            })
            .await?;
        let mut view = Stored::from_row(&rows.0)?.view(rows.1);
        self.with_pods(&mut view);
        if let (Some(expects), Some(scored)) = (&mut view.expects, rows.2) {
            expects.scored_at = Some(scored.at);
            expects.metrics = scored.metrics;
            expects.replaced_by = scored.replaced_by;
        }
        Ok(view)
    }

    /// Deploys that are not final.
    pub async fn deploys_running(&self) -> Result<Vec<Deploy>, Fault> {
        self.deploys_matching(DeployQuery { unfinished: true, limit: LIST_MAX, ..DeployQuery::default() }).await
    }

    /// Deploys asked for since an instant, newest first.
    pub async fn deploys_since(&self, since: Timestamp) -> Result<Vec<Deploy>, Fault> {
        self.deploys_matching(DeployQuery { since: Some(since), limit: LIST_MAX, ..DeployQuery::default() }).await
    }

    pub(super) async fn deploys_matching(&self, query: DeployQuery) -> Result<Vec<Deploy>, Fault> {
        let rows: Vec<(DeployRow, Option<i64>)> = self
            .read(move |tx| {
                let mut out = Vec::new();
                for row in store::deploys(tx, &query)? {
                    let reverted_by = store::deploy_reverted_by(tx, row.number)?;
                    out.push((row, reverted_by));
                }
                Ok(out)
            })
            .await?;
        let view = |(row, reverted_by): &(DeployRow, Option<i64>)| {
            let mut view = Stored::from_row(row)?.view(*reverted_by);
            self.with_pods(&mut view);
            // The curve of the evidence is for the page of the one deploy.
            if let Some(judged) = &mut view.judged {
                judged.report = None;
            }
            Ok(view)
        };
        rows.iter().map(view).collect()
    }

    /// Stops a deploy. Hosts that have flipped already go back.
    pub async fn deploy_cancel(&self, who: &Caller, number: i64) -> Result<Deploy, Fault> {
        self.deploy_answer(who, number, Answer::Cancel, None).await
    }

    /// Lets a held deploy go on.
    pub async fn deploy_promote(&self, who: &Caller, number: i64) -> Result<Deploy, Fault> {
        self.deploy_answer(who, number, Answer::Promote, None).await
    }

    /// Agrees that a deploy goes on. Only people approve, those whom the pipeline file asks for, and not while a window is
    /// closed or the place is locked for whoever started it.
    pub async fn deploy_approve(&self, who: &Caller, number: i64) -> Result<Deploy, Fault> {
        let now = self.now();
        let (stored, open) = self.read(move |tx| Ok((Stored::get(tx, number)?, store::locks_open(tx, now)?))).await?;
        if who.actor.kind != ActorKind::Person {
            return Err(Fault::forbidden("only a person approves a deploy"));
        }
        let target = stored.asked.pipeline.target(&stored.environment).map_err(|e| Fault::invalid(e.to_string()))?;
        if let Some(asked) = &target.approve {
            let role = match asked.role {
                ApproverRole::Responder => Role::Responder,
                ApproverRole::Deployer => Role::Deployer,
                ApproverRole::Admin => Role::Admin,
            };
            who.require(role, Some(&stored.service), Some(&stored.environment))?;
            if !asked.by.is_empty() && !asked.by.contains(&who.actor.id) {
                let wanted = asked.by.join(", ");
                return Err(Fault::forbidden(format!("deploy {number} is approved by {wanted}, not by {}", who.name)));
            }
        }
        if stored.asked.overridden.is_none() {
            stored.check_gate(&stored.asked.actor, &open, now)?;
        }
        let starter = stored.asked.actor == who.actor;
        self.ask(number, Input::Approve { by: who.actor.id.clone(), name: who.name.clone(), starter }).await?;
        self.deploy(number).await
    }

    /// Sends a deploy back, held or not.
    pub async fn deploy_abort(&self, who: &Caller, number: i64) -> Result<Deploy, Fault> {
        self.deploy_answer(who, number, Answer::Abort, None).await
    }

    /// Holds, promotes, aborts or cancels. A reason stands in the record behind the name of who said it.
    pub async fn deploy_answer(
        &self,
        who: &Caller,
        number: i64,
        answer: Answer,
        why: Option<String>,
    ) -> Result<Deploy, Fault> {
        let deploy = self.deploy(number).await?;
        who.require(Role::Deployer, Some(&deploy.service), Some(&deploy.environment))?;
        let by = named(&who.name, reason(why)?.as_deref());
        let input = match answer {
            Answer::Hold => Input::Hold { by },
            Answer::Promote => Input::Promote { by },
            Answer::Abort => Input::Abort { by },
            Answer::Cancel => Input::Cancel { by },
        };
        self.ask(number, input).await?;
        self.deploy(number).await
    }

    /// Puts a person's wish to the conductor and waits for its answer.
    pub(super) async fn ask(&self, number: i64, input: Input) -> Result<(), Fault> {
        if let Some(word) = Word::of(&input)
            && self.conducted_elsewhere(number).await?
        {
            return match Box::pin(self.ask_elsewhere(number, &word)).await? {
                Some(answer) => answer,
                None => self.not_done(number).await,
            };
        }
        let (answer, answered) = oneshot::channel();
        let sent = match self.deploys.runs.lock().get(&number) {
            Some(handle) => handle.tx.send(Signal::Ask(input, answer)).is_ok(),
            None => false,
        };
        if sent && let Ok(Ok(answer)) = tokio::time::timeout(ANSWER, answered).await {
            return answer;
        }
        self.not_done(number).await
    }

    /// Nobody did it: the deploy is over, or whoever conducts it is not there.
    async fn not_done(&self, number: i64) -> Result<(), Fault> {
        let state = self.deploy(number).await?.state;
        if State::parse(&state).is_some_and(State::is_final) {
            return Err(Fault::conflict(format!("deploy {number} is finished ({state})")));
        }
        let why = format!("nobody conducts deploy {number} at the moment, or its next step cannot be written");
        Err(Fault::unavailable(why).advice("nothing was done; try again in a few seconds"))
    }
}

/// Who, and why, on one line: `Ana (the queue grows)`.
fn named(name: &str, why: Option<&str>) -> String {
    match why {
        Some(why) => format!("{name} ({})", why.split_whitespace().collect::<Vec<_>>().join(" ")),
        None => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::named;

    #[test]
    fn a_reason_stands_on_the_line_of_who_gave_it() {
        assert_eq!(named("Ana", None), "Ana");
        assert_eq!(named("Ana", Some("the queue\n grows")), "Ana (the queue grows)");
    }
}
