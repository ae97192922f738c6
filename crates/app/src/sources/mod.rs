//! Senders of alerts that have a secret of their own: signed webhooks, Grafana's, and mails.
//!
//! A source's secret is derived from its id and a key that stands in a file, so that what is in the database lets nobody in.
//! Nothing is written before the secret was shown; what was taken is remembered for as long as its signed time would let it in
//! once more.

mod hook;
mod mail;
mod manage;
mod spec;

use std::collections::BTreeMap;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use parking_lot::Mutex;
use tenfold_types::{Fault, Timestamp};
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::App;

pub use hook::{AlertHookAnswer, AlertSourceTry};
pub use manage::{AlertSourceList, AlertSourcePut, AlertSourceView};
pub use spec::{AlertSourceKind, AlertSourceSpec};

/// Sources there may be.
pub const SOURCES_MAX: usize = 500;
/// In the data directory, when the settings name no other.
const KEY_FILE: &str = "alert-source-key";
const KEY_BYTES_MIN: usize = 32;
/// Deliveries read at a time; each may hold its whole body.
const READ_MAX: usize = 16;
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
}

impl Default for State {
    fn default() -> Self {
        Self { key: OnceLock::new(), heard: Mutex::default(), places: Semaphore::new(READ_MAX) }
    }
}

impl State {
    /// The right to read a delivery; refused at once when too many are read already.
    pub fn place(&self) -> Result<SemaphorePermit<'_>, Fault> {
        self.places.try_acquire().map_err(|_| {
            Fault::unavailable(format!("{READ_MAX} alerts are being read at this moment")).advice("send it again")
        })
    }
}

/// Reads the key that secrets are derived from, or makes one that only the owner may read.
pub fn load(app: &App) -> Result<(), Fault> {
    let own = || app.settings.data_dir.join(KEY_FILE);
    let path = app.settings.sources.key_file.clone().unwrap_or_else(own);
    let key = match std::fs::read(&path) {
        Ok(bytes) => bytes.trim_ascii().to_vec(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && app.settings.sources.key_file.is_none() => {
            make(app, &path).map_err(|e| unreadable(&path, &e))?
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

fn make(app: &App, path: &PathBuf) -> std::io::Result<Vec<u8>> {
    let key = app.random_text(KEY_BYTES_MIN);
    std::fs::create_dir_all(&app.settings.data_dir)?;
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(key.as_bytes())?;
    file.sync_all()?;
    Ok(key.into_bytes())
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
