//! What comes for a check to a node that does not look at checks: it is kept in the database, and the node that looks takes it
//! within a second, as of when it came. What is sent counts at whichever node it arrives.

use serde::{Deserialize, Serialize};
use tenfold_alerting::checks::CheckStatus;
use tenfold_store::{checks as store, counters};
use tenfold_types::{ErrorCode, Fault, Timestamp};

use super::{Ran, Stands, reload, schedule};
use crate::App;

/// Rows taken at a time.
const ROWS_MAX: i64 = 500;
/// Rows that may wait: nobody takes them when there are more.
const WAITING_MAX: i64 = 100_000;

/// What came.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Came {
    Result {
        status: CheckStatus,
        output: String,
    },
    /// It is to be looked at now.
    Now,
}

/// What will not be right at another time; an alert that is one too many is told again with its check.
const fn dropped(code: ErrorCode) -> bool {
    matches!(code, ErrorCode::NotFound | ErrorCode::BadRequest | ErrorCode::Invalid | ErrorCode::TooMany)
}

impl App {
    /// Whether this node is the one that looks. With what is stored in memory then.
    pub(super) async fn looks_at_checks(&self) -> Result<bool, Fault> {
        let Some(lease) = self.alerting_lease().await? else { return Ok(false) };
        if lease.behind {
            self.alerts_taking().await?;
        }
        Ok(true)
    }

    /// Keeps what came for the node that looks.
    pub(super) async fn check_hand_on(&self, name: &str, came: &Came) -> Result<(), Fault> {
        let body = serde_json::to_string(came).map_err(|e| Fault::internal(e.to_string()))?;
        let (name, now) = (name.to_owned(), self.now());
        self.housekeeping(move |t| {
            if store::inbox_count(t.tx())? >= WAITING_MAX {
                return Err(Fault::new(ErrorCode::Unavailable, "no node looks at checks, and too many results wait")
                    .advice("look whether a server of this database runs the checks, then send it again"));
            }
            let id = counters::next(t.tx(), "check_inbox")?;
            Ok(store::inbox_put(t.tx(), &store::InboxRow { id, name: name.clone(), body: body.clone(), at: now })?)
        })
        .await
    }

    /// Takes what came to other nodes. Never while `changing` is held.
    pub(super) async fn checks_inbox(&self, now: Timestamp) -> Result<(), Fault> {
        if self.settings.database_url.is_empty() {
            return Ok(());
        }
        let waiting = !self.read(|tx| Ok(store::inbox(tx, 1)?)).await?.is_empty();
        // Whoever takes the last of it is done with it then.
        let _one = self.checks.taking.lock().await;
        if !waiting {
            return Ok(());
        }
        let rows = self.read(|tx| Ok(store::inbox(tx, ROWS_MAX)?)).await?;
        let unknown = |row: &store::InboxRow| !self.checks.table.lock().contains_key(&row.name);
        if rows.iter().any(unknown) {
            // It was put on the other node just now.
            reload(self, Stands::Kept).await?;
        }
        for row in rows {
            let (id, name) = (row.id, row.name.clone());
            match self.check_came(row, now).await {
                Ok(()) => {}
                // It was deleted since, or its alert is refused. It must not keep the others, nor count again with each tick.
                Err(fault) if dropped(fault.code) => {
                    tracing::warn!(%fault, check = name, "what came for a check was dropped, or its alert not taken");
                }
                Err(fault) => return Err(fault),
            }
            // A result was forgotten with what it changed; this is for all else.
            self.housekeeping(move |t| Ok(store::inbox_forget(t.tx(), id)?)).await?;
        }
        Ok(())
    }

    async fn check_came(&self, row: store::InboxRow, now: Timestamp) -> Result<(), Fault> {
        match serde_json::from_str(&row.body) {
            Ok(Came::Result { status, output }) => {
                let ran = Ran { status, output: output.into_bytes() };
                self.check_result_of((row.name.as_str(), Some(row.id)), ran, None, row.at.min(now)).await
            }
            Ok(Came::Now) => {
                schedule::ask(self, &row.name, now);
                Ok(())
            }
            Err(e) => Err(Fault::not_found(format!("what came for the check {} cannot be read: {e}", row.name))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_read_again() {
        let result = Came::Result { status: CheckStatus::Warning, output: "slow | t=3".to_owned() };
        for came in [result, Came::Now] {
            let text = serde_json::to_string(&came).expect("it is JSON");
            assert_eq!(serde_json::from_str::<Came>(&text).expect("it is read again"), came);
        }
    }
}
