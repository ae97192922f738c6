//! A watcher of the server that stands elsewhere: it looks, and pages with credentials of its own when nobody answers.
//!
//! It knows nothing of the server's state and shares no file with it. Whom it owes a message stands in a file of its own before
//! the message is sent, so that a killed watcher owes it still.

mod look;
mod settings;
mod state;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tenfold_app::alerts::{Notice, Notifier, NotifyError};
use tenfold_app::{Settings, private_file};
use tenfold_types::Clock;
use tokio::task::JoinSet;

use crate::{Channels, SetupError};
use settings::Plan;
use state::WatchState;

pub use settings::{Receiver, WatchSettings};

/// In the directory of data.
const STATE_FILE: &str = "watch-state.json";
/// A state file is never larger.
const STATE_BYTES_MAX: u64 = 1 << 20;

/// Why the watcher cannot be set up, or cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum WatchError {
    #[error("{0}")]
    Setting(String),
    #[error(transparent)]
    Setup(#[from] SetupError),
    #[error("{path} cannot be read or written")]
    File { path: String, source: std::io::Error },
    #[error("{0} does not hold the state of a watcher; move it away to begin anew")]
    State(String),
}

pub struct Watch {
    plan: Plan,
    client: reqwest::Client,
    channels: Arc<Channels>,
    clock: Arc<dyn Clock>,
    state: WatchState,
    path: PathBuf,
}

impl Watch {
    /// `random` makes the secret that webhooks are signed with when there is none yet.
    pub fn open(
        settings: WatchSettings,
        clock: Arc<dyn Clock>,
        random: &dyn Fn(&mut [u8]),
    ) -> Result<Self, WatchError> {
        let plan = Plan::of(&settings)?;
        let WatchSettings { data_dir, mail, channels, .. } = settings;
        let path = data_dir.join(STATE_FILE);
        let own = Settings { data_dir, mail, channels, ..Settings::default() };
        let channels = Channels::open(&own, clock.clone(), random)?;
        if let Some(to) = plan.receivers.iter().find(|to| !channels.serves(to.channel)) {
            let text = format!("tell: the channel {} is not set up in this file", to.channel.as_str());
            return Err(WatchError::Setting(text));
        }
        let client = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(plan.timeout)
            .user_agent(concat!("tenfold-watch/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(SetupError::Client)?;
        let mut state = read(&path)?;
        state.resume(&plan.receivers);
        Ok(Self { plan, client, channels: Arc::new(channels), clock, state, path })
    }

    /// Between two looks.
    pub const fn every(&self) -> Duration {
        self.plan.every
    }

    /// The addresses that are looked at.
    pub fn servers(&self) -> &[String] {
        &self.plan.servers
    }

    /// Looks once, and sends what is owed now.
    pub async fn look(&mut self) -> Result<(), WatchError> {
        let missed = self.missed().await;
        if let Some(why) = &missed {
            tracing::warn!(%why, misses = self.state.misses() + 1, "the server was missed");
        }
        let mut next = self.state.clone();
        next.step(&self.plan.rules, missed.as_deref(), &self.plan.receivers, self.clock.now());
        // A full disk must not keep anybody from being told.
        let kept = self.keep(next);
        self.tell().await.and(kept)
    }

    /// Sends a message to each receiver and says what became of it; nothing is kept.
    pub async fn test(&self) -> Vec<(Receiver, Result<(), NotifyError>)> {
        let now = self.clock.now();
        let mut out = Vec::new();
        for (n, to) in self.plan.receivers.iter().enumerate() {
            let notice = Notice {
                subject: format!("[test] {}: this is how a missing server is told of", self.plan.rules.name),
                text: "This is a test of tenfold watch. Nothing is wrong.\n".to_owned(),
                link: self.plan.rules.link.clone(),
                thread: format!("watch-test-{}", now.millis()),
                incident: 0,
                service: None,
                environment: None,
                severity: "info".to_owned(),
                at: now,
            };
            let key = format!("watch-test-{}-{n}", now.millis());
            out.push((to.clone(), self.channels.send(to.channel, &to.to, &notice, &key).await));
        }
        out
    }

    /// Sends everything that is due, all of it at once: one receiver that hangs keeps nobody waiting.
    async fn tell(&mut self) -> Result<(), WatchError> {
        let mut sending = JoinSet::new();
        for owed in self.state.due(self.clock.now()) {
            let channels = self.channels.clone();
            let (to, notice, key) = (owed.to.clone(), owed.notice(&self.plan.rules), owed.key.clone());
            sending.spawn(async move { (key.clone(), channels.send(to.channel, &to.to, &notice, &key).await) });
        }
        let mut kept = Ok(());
        while let Some(sent) = sending.join_next().await {
            // One that panicked is owed still.
            let Ok((key, sent)) = sent else { continue };
            if let Err(error) = &sent {
                tracing::error!(%error, key, permanent = error.permanent, "a message could not be sent");
            }
            let mut next = self.state.clone();
            next.sent(&key, sent.as_ref().err(), self.clock.now());
            kept = self.keep(next).and(kept);
        }
        kept
    }

    /// Writes what is new, which counts even when it cannot be written.
    fn keep(&mut self, next: WatchState) -> Result<(), WatchError> {
        if next == self.state {
            return Ok(());
        }
        let text = serde_json::to_string(&next).map_err(|e| WatchError::Setting(e.to_string()))?;
        self.state = next;
        private_file::write(&self.path, &text).map_err(|source| file(&self.path, source))
    }
}

fn read(path: &std::path::Path) -> Result<WatchState, WatchError> {
    use std::io::Read;
    let opened = match std::fs::File::open(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(WatchState::default()),
        other => other.map_err(|source| file(path, source))?,
    };
    let mut text = String::new();
    opened.take(STATE_BYTES_MAX).read_to_string(&mut text).map_err(|source| file(path, source))?;
    serde_json::from_str(&text).map_err(|_| WatchError::State(path.display().to_string()))
}

fn file(path: &std::path::Path, source: std::io::Error) -> WatchError {
    WatchError::File { path: path.display().to_string(), source }
}
