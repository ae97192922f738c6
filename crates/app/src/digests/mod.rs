//! Digests to people: what one should know and nobody is woken for, by a person's own quiet ways.
//!
//! A digest is owed in the transaction that makes it, once by its id. It is told at least once: `sending` is committed before
//! anything leaves, and what a crash left in `sending` is sent again under the same key. In somebody's quiet hours it goes
//! by the ways they allow then, or waits until the hours are over. It never goes by a way that rings.

mod deliver;

use std::time::Duration;

use futures_util::{StreamExt, stream};
use serde::{Deserialize, Serialize};
use tenfold_store::digests as store;
use tenfold_types::Fault;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::{App, Txn, alerts::Lease};

/// How often what is due is looked at when nothing wakes the loop.
const TICK: Duration = Duration::from_secs(15);
/// Digests told at a time, and in one look.
const AT_ONCE: usize = 8;
const BATCH: i64 = 64;
/// How long what was told is remembered.
const KEEP_MS: i64 = 90 * 86_400_000;
/// Longest text; what is longer ends in the address of the page that has all of it.
const TEXT_CHARS_MAX: usize = 12_000;

/// What this part keeps in memory.
#[derive(Default)]
pub struct State {
    wake: Notify,
    working: tokio::sync::Mutex<()>,
}

impl State {
    /// A digest was made that the loop should look at now.
    pub(crate) fn wake(&self) {
        self.wake.notify_one();
    }
}

/// A digest as somebody reads it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Digest {
    /// One line.
    pub subject: String,
    /// Plain text.
    pub text: String,
    /// The page that has more, such as `/on-call`.
    pub page: String,
}

/// A digest for somebody.
#[derive(Debug, Clone)]
pub(crate) struct NewDigest {
    /// Made of what it tells and whom: the same one is owed once.
    pub id: String,
    pub login: String,
    pub digest: Digest,
}

pub async fn load(app: &App) -> Result<(), Fault> {
    let before = app.now().plus_ms(-KEEP_MS);
    app.housekeeping(move |t| Ok(store::forget(t.tx(), before)?)).await.map(|_| ())
}

/// Tells what is due, and looks for handovers, until it is stopped.
pub async fn run(app: App, stop: CancellationToken) {
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = app.digests.wake.notified() => {}
            () = tokio::time::sleep(TICK) => {}
        }
        for (what, done) in [("handovers", app.handoff_tick().await), ("digests", app.digests_tick().await)] {
            if let Err(fault) = done {
                tracing::warn!(%fault, "the {what} could not be told of; trying again");
            }
        }
    }
}

/// Somebody is owed a digest, unless they were already. In the transaction of what it tells of.
pub(crate) fn owe(t: &mut Txn<'_>, new: &NewDigest) -> Result<bool, Fault> {
    let now = t.now();
    let mut digest = new.digest.clone();
    if digest.text.chars().count() > TEXT_CHARS_MAX {
        digest.text = digest.text.chars().take(TEXT_CHARS_MAX).chain("\n…\n".chars()).collect();
    }
    let body = deliver::Body { digest, refused: Vec::new(), told_by: None };
    let row = store::DigestRow {
        id: new.id.clone(),
        person: new.login.clone(),
        state: deliver::DUE.to_owned(),
        tries: 0,
        next_at: Some(now),
        epoch: 0,
        made_at: now,
        body: body.to_json()?,
    };
    Ok(store::insert(t.tx(), &row)?)
}

impl App {
    /// Tells every digest that is due, and waits for the answers. The loop calls it; tests do after moving the clock.
    pub async fn digests_tick(&self) -> Result<(), Fault> {
        let Ok(_one) = self.digests.working.try_lock() else { return Ok(()) };
        let Some(lease) = self.alerting_lease().await? else { return Ok(()) };
        let (now, epoch) = (self.now(), lease.epoch);
        let rows = self.read(move |tx| Ok(store::due(tx, now, epoch, BATCH)?)).await?;
        told(self, &lease, rows).await
    }
}

async fn told(app: &App, lease: &Lease, rows: Vec<store::DigestRow>) -> Result<(), Fault> {
    let results: Vec<Result<(), Fault>> = stream::iter(rows)
        .map(|row| async move { deliver::one(app, lease, row.id).await })
        .buffer_unordered(AT_ONCE)
        .collect()
        .await;
    results.into_iter().collect()
}
