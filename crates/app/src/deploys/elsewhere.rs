//! What a person asks of a deploy at a server that does not conduct it: it is written down in the database they share. The server
//! that conducts reads it there, and its answer is written with the step that follows from it: what was answered was done,
//! and what was not answered was not. One that takes the deploy over does what was asked of the one before.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tenfold_deploys::machine::Input;
use tenfold_store::{deploy_asks as asks, deploys as store, leases};
use tenfold_types::Fault;
use tokio::time::Instant;

use super::{
    asks::{ANSWER, unanswered},
    conductor::{Conductor, Stop, lease_name},
};
use crate::App;

/// Between two looks at whether there is an answer.
const LOOK: Duration = Duration::from_millis(100);
/// Between two looks of a conductor at what was asked elsewhere.
pub(super) const ASKED: Duration = Duration::from_secs(1);
/// Whoever asked that long ago does not wait any more.
const LIVES_MS: i64 = 30_000;
/// How long it is kept after that, with its answer.
const KEPT_MS: i64 = 120_000;

/// What a person asks, as it is written down.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "word")]
pub(super) enum Word {
    Approve { by: String, name: String, starter: bool },
    Cancel { by: String },
    Promote { by: String },
    Hold { by: String },
    Abort { by: String },
    Supersede { by: String },
}

impl Word {
    /// None for what no person asks.
    pub fn of(input: &Input) -> Option<Self> {
        Some(match input.clone() {
            Input::Approve { by, name, starter } => Self::Approve { by, name, starter },
            Input::Cancel { by } => Self::Cancel { by },
            Input::Promote { by } => Self::Promote { by },
            Input::Hold { by } => Self::Hold { by },
            Input::Abort { by } => Self::Abort { by },
            Input::Supersede { by } => Self::Supersede { by },
            _ => return None,
        })
    }
}

impl From<Word> for Input {
    fn from(word: Word) -> Self {
        match word {
            Word::Approve { by, name, starter } => Self::Approve { by, name, starter },
            Word::Cancel { by } => Self::Cancel { by },
            Word::Promote { by } => Self::Promote { by },
            Word::Hold { by } => Self::Hold { by },
            Word::Abort { by } => Self::Abort { by },
            Word::Supersede { by } => Self::Supersede { by },
        }
    }
}

impl App {
    /// Another server holds the deploy's lease, or held it last and nobody has taken it since.
    pub(super) async fn conducted_elsewhere(&self, number: i64) -> Result<bool, Fault> {
        let conducts = self.deploys.runs.lock().get(&number).is_some_and(|run| run.epoch > 0);
        if conducts || self.settings.database_url.is_empty() {
            return Ok(false);
        }
        let holder = self
            .read(move |tx| {
                let row = store::deploy_get(tx, number)?.filter(|row| !row.is_final);
                let lease = row.map(|row| leases::get(tx, &lease_name(&row.service, &row.environment))).transpose()?;
                Ok(lease.flatten().map(|lease| lease.holder).unwrap_or_default())
            })
            .await?;
        Ok(!holder.is_empty() && holder != self.deploys.node()?)
    }

    /// Writes it down and waits for the answer. None when it was withdrawn, since nobody took it.
    pub(super) async fn ask_elsewhere(&self, number: i64, word: &Word) -> Result<Option<Result<(), Fault>>, Fault> {
        let text = serde_json::to_string(word).map_err(|e| Fault::internal(e.to_string()))?;
        let put = self.housekeeping(move |t| {
            let now = t.now();
            Ok(asks::put(t.tx(), number, &text, now, now.plus_ms(-KEPT_MS))?)
        });
        let id = put.await?;
        let until = Instant::now() + ANSWER;
        loop {
            tokio::time::sleep(LOOK).await;
            let look = self.read(move |tx| {
                let answer = asks::answered(tx, id)?;
                let is_over = store::deploy_get(tx, number)?.is_none_or(|row| row.is_final);
                Ok((answer, is_over))
            });
            let (answer, is_over) = look.await?;
            if let Some(said) = answer {
                return Ok(Some(if said.is_empty() { Ok(()) } else { Err(Fault::conflict(said)) }));
            }
            if !is_over && Instant::now() < until {
                continue;
            }
            if self.housekeeping(move |t| Ok(asks::withdraw(t.tx(), id)?)).await? {
                return Ok(None);
            }
            // it was taken, so the answer comes with the step, unless that cannot be written
            if Instant::now() >= until + ANSWER {
                return Err(unanswered(number));
            }
        }
    }
}

impl Conductor {
    /// Does what was asked at other servers.
    pub(super) async fn take_asked(&mut self) -> Result<(), Stop> {
        let (number, since) = (self.stored.number, self.app.now().plus_ms(-LIVES_MS));
        let taken = match self.app.read(move |tx| Ok(asks::waits(tx, number, since)?)).await {
            Ok(false) => return Ok(()),
            Ok(true) => self.app.housekeeping(move |t| Ok(asks::take(t.tx(), number, since)?)).await,
            Err(fault) => Err(fault),
        };
        let taken = match taken {
            Ok(taken) => taken,
            Err(fault) => {
                tracing::warn!(deploy = number, %fault, "what was asked at another server could not be read");
                return Ok(());
            }
        };
        for (id, text) in taken {
            let Ok(word) = serde_json::from_str::<Word>(&text) else {
                tracing::warn!(deploy = number, "another server asked for what this one does not know");
                continue;
            };
            self.answering = Some(id);
            self.apply(word.into()).await?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_ask_is_the_same_at_the_other_server() {
        let by = || "Ana".to_owned();
        let inputs = [
            Input::Approve { by: by(), name: by(), starter: true },
            Input::Cancel { by: by() },
            Input::Promote { by: by() },
            Input::Hold { by: by() },
            Input::Abort { by: by() },
            Input::Supersede { by: by() },
        ];
        for input in inputs {
            let text = serde_json::to_string(&Word::of(&input).unwrap()).unwrap();
            assert_eq!(Input::from(serde_json::from_str::<Word>(&text).unwrap()), input, "{text}");
        }
        assert_eq!(Word::of(&Input::Tick), None);
    }
}
