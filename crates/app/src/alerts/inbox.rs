//! What is said of alerts to a node that does not take any: it is kept in the database before its sender has the answer, and
//! the node with the lease takes it at its next look, as of when it came. So a sender may be pointed at any node.
//!
//! The node with the lease takes what waits before it hears anything itself, so that words are heard in the order in which they
//! were answered. Each is forgotten when it was done. One that is heard twice, since a node died in between, changes nothing.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tenfold_protocols::alert_hook::KeyedAlert;
use tenfold_store::alert_inbox as store;
use tenfold_types::{ErrorCode, Fault};

use super::{
    PostedAlert,
    lease::Lease,
    received::{Said, read},
};
use crate::App;

/// Requests read at a time; each may hold its whole body.
const ROWS_MAX: i64 = 8;
/// How often that is done in one look: senders to this node wait meanwhile.
const READS_MAX: usize = 64;
/// What may wait: nobody takes it when there is more.
const WAITING_MAX: store::Waiting = store::Waiting { requests: 10_000, bytes: 256 << 20 };
/// How long a node that does not take alerts waits until what it was told is taken, when it is asked about it.
const TAKEN_WITHIN: Duration = Duration::from_secs(3);
/// Between two looks at that.
const LOOK: Duration = Duration::from_millis(100);

/// What somebody said who may say it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Words {
    Posted(Vec<PostedAlert>),
    Keyed {
        /// The label that every alert of the sender has.
        label: String,
        value: String,
        said: Vec<KeyedAlert>,
    },
}

impl App {
    /// Whether this node is the one that takes alerts. It has heard then what others were told before.
    pub(super) async fn takes_alerts(&self) -> Result<bool, Fault> {
        if self.settings.database_url.is_empty() {
            return Ok(true);
        }
        if self.alerting_lease().await?.is_none() {
            return Ok(false);
        }
        let lease = self.alerts_taking().await?;
        self.alerts_inbox(&lease).await?;
        Ok(true)
    }

    /// Keeps what was said for the node that takes alerts.
    pub(super) async fn alerts_hand_on(&self, words: &Words) -> Result<(), Fault> {
        let body = serde_json::to_string(words).map_err(|e| Fault::internal(e.to_string()))?;
        let now = self.now();
        self.housekeeping(move |t| {
            let waiting = store::waiting(t.tx())?;
            if waiting.requests >= WAITING_MAX.requests || waiting.bytes >= WAITING_MAX.bytes {
                return Err(Fault::unavailable("no node takes alerts, and too many wait")
                    .advice("look whether a server of this database evaluates rules, then send them again"));
            }
            store::put(t.tx(), &body, now)?;
            Ok(())
        })
        .await
    }

    /// Takes what was said to other nodes. Never while `evaluating` or `keyed` is held.
    async fn alerts_inbox(&self, lease: &Lease) -> Result<(), Fault> {
        if self.read(|tx| Ok(store::first(tx)?)).await?.is_none() {
            return Ok(());
        }
        let _one = self.alerts.keyed.lock().await;
        for _ in 0..READS_MAX {
            let rows = self.read(|tx| Ok(store::oldest(tx, ROWS_MAX)?)).await?;
            if rows.is_empty() {
                break;
            }
            for row in rows {
                let (id, lease) = (row.id, lease.clone());
                match self.heard_elsewhere(row).await {
                    Ok(()) => {}
                    // It must not keep the others, nor be said again with each look.
                    Err(fault)
                        if matches!(fault.code, ErrorCode::NotFound | ErrorCode::BadRequest | ErrorCode::Invalid) =>
                    {
                        tracing::warn!(%fault, "alerts that came to another node were not taken");
                    }
                    Err(fault) => return Err(fault),
                }
                self.housekeeping(move |t| {
                    lease.check(t)?;
                    Ok(store::forget(t.tx(), id)?)
                })
                .await?;
            }
        }
        Ok(())
    }

    /// Hears it as of when it came: what its sender did not say since then is no end.
    async fn heard_elsewhere(&self, row: store::InboxRow) -> Result<(), Fault> {
        let words: Words = serde_json::from_str(&row.body)
            .map_err(|e| Fault::invalid(format!("what was said of alerts cannot be read: {e}")))?;
        let at = row.at.min(self.now());
        match words {
            Words::Posted(posted) => {
                let resolve_timeout_ms = self.alerts.routing()?.routing.resolve_timeout_ms;
                let said: Vec<Said> =
                    posted.into_iter().filter_map(|one| read(one, at, resolve_timeout_ms).ok()).collect();
                self.hear(said, at).await
            }
            Words::Keyed { label, value, said } => self.hear_keyed((&label, &value), said, at).await,
        }
    }

    /// Waits until what was said up to now is taken, and reads what came of it. For a node that does not take alerts.
    pub(super) async fn taken_elsewhere(&self) -> Result<(), Fault> {
        let until = tokio::time::Instant::now() + TAKEN_WITHIN;
        if let Some(newest) = self.read(|tx| Ok(store::last(tx)?)).await? {
            while self.read(|tx| Ok(store::first(tx)?)).await?.is_some_and(|oldest| oldest <= newest) {
                if tokio::time::Instant::now() >= until {
                    return Err(Fault::unavailable("alerts that were sent before are not taken yet")
                        .advice("send it again in some seconds"));
                }
                tokio::time::sleep(LOOK).await;
            }
        }
        let _one = self.alerts.evaluating.lock().await;
        self.follow_other_nodes(false).await
    }

    /// Takes what waits, if this node is the one that does. A fault is said, and what waits stays for the next look.
    pub(super) async fn look_into_inbox(&self) {
        if let Err(fault) = self.takes_alerts().await {
            tracing::warn!(%fault, "alerts that came to other nodes could not be taken; trying again");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use tenfold_protocols::alert_hook::SaidState;
    use tenfold_types::Timestamp;

    use super::*;

    #[test]
    fn what_is_kept_is_read_again() {
        let at = Timestamp(1_700_000_000_000);
        let labels = BTreeMap::from([("alertname".to_owned(), "Late".to_owned())]);
        let posted = PostedAlert {
            labels: labels.clone(),
            annotations: Some(BTreeMap::new()),
            starts_at: Some(at),
            ends_at: None,
            generator_url: Some("http://sender.example/graph".to_owned()),
        };
        let keyed = |state| KeyedAlert {
            key: "db1/disk".to_owned(),
            state,
            labels: labels.clone(),
            annotations: BTreeMap::new(),
            starts_at: None,
            url: None,
        };
        let said = [SaidState::Firing, SaidState::Resolved, SaidState::Silent].map(keyed).to_vec();
        let of_keys = Words::Keyed { label: "alert_source".to_owned(), value: "nightly".to_owned(), said };
        for words in [Words::Posted(vec![posted]), of_keys] {
            let text = serde_json::to_string(&words).expect("it is JSON");
            assert_eq!(serde_json::from_str::<Words>(&text).expect("it is read again"), words);
        }
    }
}
