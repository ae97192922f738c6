//! How a client is made: addresses, files and limits, each with a default that suits a server process.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tenfold_flags::ClientFeatures;

use crate::client::{Client, Dice, Threads};
use crate::event::{Event, Origin};
use crate::http::Server;
use crate::keeper::Keeper;
use crate::pace::Limits;
use crate::shared::{Listener, Shared};
use crate::state_file::{self, State};
use crate::sync::Sync;

/// How definitions are fetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// By a stream: a change is here within milliseconds. Where no stream gets through, by polling.
    #[default]
    Streaming,
    /// By asking again and again whether something changed.
    Polling,
    /// Not at all: the state file or the bootstrap is all there is. Nothing is sent either.
    Offline,
}

/// A builder that cannot make a client; only wrong arguments do this, never the server's absence.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    #[error("`{0}` is not the address of a server; write it like http://127.0.0.1:4000")]
    Url(String),
    #[error("this build speaks no TLS: use the feature `tls`, or an http:// address")]
    NoTls,
    #[error("the machine's certificate authorities cannot be read ({0}); install ca-certificates")]
    Authorities(String),
    #[error("the value for the header `{0}` holds characters that no header may hold")]
    Header(&'static str),
    #[error("the bootstrap is not a client features document: {0}")]
    Bootstrap(serde_json::Error),
    #[error("a thread could not be started: {0}")]
    Thread(std::io::Error),
}

pub(crate) struct Options {
    pub(crate) url: String,
    pub(crate) token: String,
    pub(crate) app_name: String,
    pub(crate) answer_max: Duration,
    pub(crate) idle_max: Duration,
}

/// Made by [`Client::builder`].
pub struct Builder {
    options: Options,
    mode: Mode,
    state_file: Option<PathBuf>,
    bootstrap: Option<String>,
    listener: Option<Listener>,
    poll_interval: Duration,
    counts_interval: Duration,
    backoff: (Duration, Duration),
    farewell_max: Duration,
}

const INTERVAL_MIN: Duration = Duration::from_millis(50);

impl Builder {
    pub(crate) fn new(url: String, token: String) -> Self {
        let app_name = "tenfold-client".into();
        let (answer_max, idle_max) = (Duration::from_secs(10), Duration::from_secs(45));
        Self {
            options: Options { url, token, app_name, answer_max, idle_max },
            mode: Mode::default(),
            state_file: None,
            bootstrap: None,
            listener: None,
            poll_interval: Duration::from_secs(15),
            counts_interval: Duration::from_mins(1),
            backoff: (Duration::from_secs(1), Duration::from_secs(30)),
            farewell_max: Duration::from_secs(1),
        }
    }

    /// Whose evaluations these are; the server shows it.
    pub fn app_name(mut self, name: impl Into<String>) -> Self {
        self.options.app_name = name.into();
        self
    }

    pub fn mode(mut self, mode: Mode) -> Self {
        self.mode = mode;
        self
    }

    /// Where the last good state is kept; its folder must exist. One file for each environment: what is in it serves
    /// when the process starts without the server.
    pub fn state_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.state_file = Some(path.into());
        self
    }

    /// Definitions (a client features document, as `GET /api/client/features` answers) that serve until there are
    /// others, when there is no state file yet.
    pub fn bootstrap(mut self, json: impl Into<String>) -> Self {
        self.bootstrap = Some(json.into());
        self
    }

    /// Called from the background threads, and from [`Self::start`]. It should return soon.
    pub fn on_event(mut self, listener: impl Fn(&Event) + Send + std::marker::Sync + 'static) -> Self {
        self.listener = Some(Box::new(listener));
        self
    }

    /// Between two polls, where definitions are polled. 15 s unless set.
    pub fn poll_interval(mut self, interval: Duration) -> Self {
        self.poll_interval = interval.max(INTERVAL_MIN);
        self
    }

    /// How often counts are sent. 60 s unless set.
    pub fn counts_interval(mut self, interval: Duration) -> Self {
        self.counts_interval = interval.max(INTERVAL_MIN);
        self
    }

    /// The first and the longest wait after failures; each is spread down to its half. 1 s and 30 s unless set.
    pub fn backoff(mut self, first: Duration, longest: Duration) -> Self {
        let first = first.max(INTERVAL_MIN);
        self.backoff = (first, longest.max(first));
        self
    }

    /// A stream on which nothing came for this long is given up; the server sends something every 15 s. 45 s unless
    /// set.
    pub fn idle_limit(mut self, limit: Duration) -> Self {
        self.options.idle_max = limit.max(INTERVAL_MIN);
        self
    }

    /// How long one answer may take. 10 s unless set.
    pub fn answer_limit(mut self, limit: Duration) -> Self {
        self.options.answer_max = limit.max(INTERVAL_MIN);
        self
    }

    /// How long sending the last counts may take when the client is dropped. 1 s unless set.
    pub fn farewell_limit(mut self, limit: Duration) -> Self {
        self.farewell_max = limit;
        self
    }

    /// Loads what is on disk and starts fetching. Does not wait for the server.
    pub fn start(self) -> Result<Client, StartError> {
        let url = &self.options.url;
        let rest = url.strip_prefix("http://").or_else(|| url.strip_prefix("https://"));
        if self.mode != Mode::Offline && rest.is_none_or(|r| r.is_empty() || r.starts_with('/')) {
            return Err(StartError::Url(url.clone()));
        }
        if cfg!(not(feature = "tls")) && url.starts_with("https:") {
            return Err(StartError::NoTls);
        }
        let bootstrap: Option<ClientFeatures> =
            self.bootstrap.as_deref().map(serde_json::from_str).transpose().map_err(StartError::Bootstrap)?;
        let mut dice = Dice::seeded();
        let instance = format!("{:016x}", dice.roll());
        let shared = Arc::new(Shared::new(self.listener));
        let state = first_state(&shared, self.state_file.as_deref(), bootstrap);
        let mut threads = Threads::default();
        if self.mode != Mode::Offline {
            let (backoff_min, backoff_max) = self.backoff;
            let streaming = self.mode == Mode::Streaming;
            // Two connection pools: one is cut off at the end while the other still says goodbye.
            let sync = Sync {
                shared: shared.clone(),
                server: Server::new(&self.options, &instance)?,
                limits: Limits { streaming, poll_interval: self.poll_interval, backoff_min, backoff_max },
                state,
                random: Dice::seeded(),
                has_state_file: self.state_file.is_some(),
            };
            let keeper = Keeper {
                shared: shared.clone(),
                server: Server::new(&self.options, &instance)?,
                state_file: self.state_file,
                counts_interval: self.counts_interval,
                app_name: self.options.app_name.clone(),
                instance,
                farewell_max: self.farewell_max,
            };
            let both = threads
                .start("flags-sync", sync.server.clone(), move || sync.run())
                .and_then(|()| threads.start("flags-keeper", keeper.server.clone(), move || keeper.run()));
            if let Err(error) = both {
                shared.stop();
                return Err(StartError::Thread(error));
            }
        }
        Ok(Client::new(shared, threads, dice, self.options.app_name, self.farewell_max))
    }
}

/// The state file before the bootstrap: it is what the server said last.
fn first_state(shared: &Shared, path: Option<&std::path::Path>, bootstrap: Option<ClientFeatures>) -> Option<State> {
    let loaded = path.map_or(Ok(None), state_file::load);
    let state = loaded.unwrap_or_else(|reason| {
        shared.tell(&Event::StateIgnored { reason });
        None
    });
    match (&state, bootstrap) {
        (Some(state), _) => shared.swap_in(&state.document, Origin::File),
        (None, Some(document)) => shared.swap_in(&document, Origin::Bootstrap),
        (None, None) => {}
    }
    state
}
