//! Senders of alerts that have a secret of their own: signed webhooks, Grafana's, mails, and heartbeats.
//!
//! A source's secret is derived from its id and a key that stands in a file, so that what is in the database lets nobody in.
//! Nothing is written before the secret was shown; what was taken is remembered for as long as its signed time would let it in
//! once more.

mod heartbeat;
mod hook;
mod mail;
mod manage;
mod spec;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::OnceLock;
use std::time::Duration;

use parking_lot::Mutex;
use tenfold_types::{Fault, Timestamp};
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::{App, private_file};

pub(crate) use heartbeat::GRACE_MS as START_GRACE_MS;
pub use heartbeat::{HeartbeatAnswer, HeartbeatState, HeartbeatView, run};
pub use hook::{AlertHookAnswer, AlertSourceTry};
pub use manage::{AlertSourceList, AlertSourcePut, AlertSourceView};
pub use spec::{AlertSourceKind, AlertSourceSpec};

/// Sources there may be.
pub const SOURCES_MAX: usize = 500;
/// In the data directory, when the settings name no other.
const KEY_FILE: &str = "alert-source-key";
const KEY_BYTES_MIN: usize = 32;
/// Deliveries read at a time, and as many mails; each may hold its whole body.
const READ_MAX: usize = 16;
/// How long one waits for its turn.
const TURN: Duration = Duration::from_secs(1);
/// The label by which an alert is known as one of a source.
pub(crate) const SENDER: &str = "alert_source";

/// What a source did since the start of this node.
#[derive(Debug, Clone, Default)]
struct Heard {
    last_at: Option<Timestamp>,
    taken: u64,
    refused: u64,
    /// Why the last one was refused.
    refusal: String,
}

pub struct State {
    key: OnceLock<Vec<u8>>,
    heard: Mutex<BTreeMap<String, Heard>>,
    places: Semaphore,
    /// Of mails, so that neither way in can keep the other waiting.
    mail_places: Semaphore,
    /// Of heartbeats.
    beat_places: Semaphore,
    /// When a beat of each was stored last by this node.
    beaten: Mutex<BTreeMap<String, Timestamp>>,
    /// A heartbeat was heard; it may have been late.
    beat: tokio::sync::Notify,
    /// From when on heartbeats are listened to, and when they were looked at last.
    listening: Mutex<Option<(Timestamp, Timestamp)>>,
}

impl Default for State {
    fn default() -> Self {
        Self {
            key: OnceLock::new(),
            heard: Mutex::default(),
            places: Semaphore::new(READ_MAX),
            mail_places: Semaphore::new(READ_MAX),
            beat_places: Semaphore::new(READ_MAX),
            beaten: Mutex::default(),
            beat: tokio::sync::Notify::new(),
            listening: Mutex::default(),
        }
    }
}

impl State {
    /// The right to read a delivery; refused when too many are read for longer than a moment.
    pub async fn place(&self) -> Result<SemaphorePermit<'_>, Fault> {
        turn(&self.places).await
    }

    /// The same for a heartbeat.
    pub async fn beat_place(&self) -> Result<SemaphorePermit<'_>, Fault> {
        turn(&self.beat_places).await
    }

    /// The same for a mail.
    pub async fn mail_place(&self) -> Result<SemaphorePermit<'_>, Fault> {
        turn(&self.mail_places).await
    }
}

async fn turn(places: &Semaphore) -> Result<SemaphorePermit<'_>, Fault> {
    if let Ok(Ok(place)) = tokio::time::timeout(TURN, places.acquire()).await {
        return Ok(place);
    }
    let text = format!("{READ_MAX} deliveries are being read at this moment");
    Err(Fault::unavailable(text).advice("send it again"))
}

/// Reads the key that secrets are derived from, or makes one that only the owner may read.
pub fn load(app: &App) -> Result<(), Fault> {
    let own = || app.settings.data_dir.join(KEY_FILE);
    let path = app.settings.sources.key_file.clone().unwrap_or_else(own);
    let key = match std::fs::read(&path) {
        Ok(bytes) => bytes.trim_ascii().to_vec(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && app.settings.sources.key_file.is_none() => {
            let key = app.random_text(KEY_BYTES_MIN);
            private_file::write(&path, &key).map_err(|e| unreadable(&path, &e))?;
            key.into_bytes()
        }
        Err(error) => return Err(unreadable(&path, &error)),
    };
    if key.len() < KEY_BYTES_MIN {
        let text = format!("sources: the key in {} has fewer than {KEY_BYTES_MIN} bytes", path.display());
        return Err(Fault::invalid(text).advice("make one with `openssl rand -hex 32`"));
    }
    let _ = app.sources.key.set(key);
    Ok(())
}

fn unreadable(path: &Path, error: &std::io::Error) -> Fault {
    Fault::invalid(format!("sources: the key in {} cannot be read or made: {error}", path.display()))
}

impl App {
    fn source_secret(&self, purpose: &str, id: &str) -> Result<Vec<u8>, Fault> {
        let key = self.sources.key.get().ok_or_else(|| Fault::internal("the key of the sources is not loaded"))?;
        Ok(tenfold_protocols::signature::mac(key, &[purpose.as_bytes(), b":", id.as_bytes()]))
    }

    fn source_heard(&self, name: &str) {
        let mut heard = self.sources.heard.lock();
        let one = heard.entry(name.to_owned()).or_default();
        (one.last_at, one.taken) = (Some(self.now()), one.taken + 1);
    }

    fn source_refused(&self, name: &str, why: &str) {
        self.metrics.own.add("tenfold_alert_source_refused_total", &[("source", name)], 1.0);
        let mut heard = self.sources.heard.lock();
        let one = heard.entry(name.to_owned()).or_default();
        one.refused += 1;
        one.refusal = why.chars().take(300).collect();
    }
}
