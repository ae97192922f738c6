//! What people ask of deploys that exist: to see them, and to hold, cancel, promote or abort one.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tenfold_deploys::machine::{Input, State};
use tenfold_deploys::pipeline::ApproverRole;
use tenfold_store::deploys::{self as store, DeployQuery, DeployRow};
use tenfold_types::{ActorKind, Fault};
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::{
    approvers,
    conductor::Signal,
    elsewhere::Word,
    expected,
    listed::LIST_MAX,
    start::reason,
    stored::{Stored, approval, no_deploy},
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
pub(super) const ANSWER: Duration = Duration::from_secs(10);

/// Who has a wish that waits: the conductor, who does it, or whoever asked and withdraws it. The first one to claim it.
#[derive(Debug, Clone, Default)]
pub(super) struct Claim(Arc<AtomicBool>);

impl Claim {
    pub fn take(&self) -> bool {
        !self.0.swap(true, Ordering::AcqRel)
    }
}

/// What came of a wish.
#[derive(Debug, PartialEq)]
enum Told {
    Answer(Result<(), Fault>),
    /// It was withdrawn: nobody has done it or will.
    Withdrawn,
    /// It was taken, and what came of it is not known.
    Taken,
}

/// Waits for the answer. A wish that is not taken in time is withdrawn; one that is taken may be on its way to a slow disk, and
/// that it was not done would not be true.
async fn told(
    mut answered: oneshot::Receiver<Result<(), Fault>>,
    claim: &Claim,
    within: Duration,
    once_taken: Duration,
) -> Told {
    let first = timeout(within, &mut answered).await;
    if let Ok(Ok(answer)) = first {
        return Told::Answer(answer);
    }
    if claim.take() {
        return Told::Withdrawn;
    }
    // whoever took it and is gone answers no more
    if first.is_ok() {
        return Told::Taken;
    }
    match timeout(once_taken, answered).await {
        Ok(Ok(answer)) => Told::Answer(answer),
        _ => Told::Taken,
    }
}

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

    /// Agrees that a deploy goes on. Only people approve, those whom the pipeline file asks for (of a team, whoever is in it
    /// now), and not while a window is closed or the place is locked for whoever started it.
    pub async fn deploy_approve(&self, who: &Caller, number: i64) -> Result<Deploy, Fault> {
        let now = self.now();
        let login = who.actor.id.clone();
        let (stored, open, teams) = self
            .read(move |tx| {
                Ok((Stored::get(tx, number)?, store::locks_open(tx, now)?, approvers::teams_of(tx, &login)?))
            })
            .await?;
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
            if !asked.lets(&who.actor.id, &teams) {
                let wanted = approval(asked).who();
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
        let claim = Claim::default();
        let sent = match self.deploys.runs.lock().get(&number) {
            Some(handle) => handle.tx.send(Signal::Ask(input, claim.clone(), answer)).is_ok(),
            None => false,
        };
        if !sent {
            return self.not_done(number).await;
        }
        match told(answered, &claim, ANSWER, ANSWER).await {
            Told::Answer(answer) => answer,
            Told::Withdrawn => self.not_done(number).await,
            Told::Taken => Err(unanswered(number)),
        }
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

/// Nobody can say whether it was done.
pub(super) fn unanswered(number: i64) -> Fault {
    let why = format!("the server that conducts deploy {number} took what was asked and has not answered");
    Fault::unavailable(why).advice("look at the deploy before you ask again")
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
    use super::*;

    #[tokio::test]
    async fn what_was_withdrawn_is_not_done_and_what_was_taken_is_not_called_undone() {
        let (soon, late) = (Duration::from_millis(1), Duration::from_mins(1));
        // nobody is there: withdrawn, and whoever comes later finds nothing to do
        let (_answer, answered) = oneshot::channel();
        let claim = Claim::default();
        assert_eq!(told(answered, &claim, soon, late).await, Told::Withdrawn);
        assert!(!claim.take());
        // the write takes longer than people are told to wait
        let (answer, answered) = oneshot::channel();
        let claim = Claim::default();
        assert!(claim.take());
        let written = async {
            tokio::time::sleep(Duration::from_millis(20)).await;
            answer.send(Ok(())).expect("somebody waits");
        };
        let (told_late, ()) = tokio::join!(told(answered, &claim, soon, late), written);
        assert_eq!(told_late, Told::Answer(Ok(())));
        // whoever took it is gone
        let (answer, answered) = oneshot::channel();
        drop(answer);
        assert_eq!(told(answered, &claim, late, late).await, Told::Taken);
    }

    #[test]
    fn a_reason_stands_on_the_line_of_who_gave_it() {
        assert_eq!(named("Ana", None), "Ana");
        assert_eq!(named("Ana", Some("the queue\n grows")), "Ana (the queue grows)");
    }
}
