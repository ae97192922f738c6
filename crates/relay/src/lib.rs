//! A relay: stands near the flag clients, follows a server (or another relay) over one stream for each of its tokens, and
//! answers every flag protocol by itself, from memory.
//!
//! What it serves is also on its disk. With the upstream gone (ended, stopped, cut off) it goes on, also after a restart of
//! its own. It never decides anything: definitions, and which token may read what, come from upstream; once known they are
//! kept until the upstream says otherwise.

mod answers;
mod copy;
mod definitions;
mod follow;
mod forward;
mod page;
mod routes;
mod set;
mod tokens;
mod upstream;
mod usage;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tenfold_flags::Moment;
use tenfold_httpkit::streams::{Limits, Streams};
use tenfold_types::{Clock, Entropy};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use set::Set;
use tokens::Tokens;
use upstream::Upstream;
use usage::Usage;

pub use routes::router;

/// Tokens a relay follows its upstream with.
pub const OWN_TOKENS_MAX: usize = 100;

/// The upstream says something at least every 15 s; one that is silent for longer than this is taken for gone.
pub const SILENCE_MAX: Duration = Duration::from_secs(35);

/// What a relay is told at start.
pub struct Config {
    /// Address of the server or relay it follows.
    pub upstream: String,
    /// Its own tokens, of the kind `client`: one for each environment (and set of projects) that it serves.
    pub tokens: Vec<String>,
    /// Folder for the copy on disk.
    pub data: PathBuf,
    /// Streams and connections; see [`Limits`].
    pub limits: Limits,
    /// An upstream that is silent for longer is taken for gone; [`SILENCE_MAX`] unless there is a reason.
    pub silence_max: Duration,
    pub clock: Arc<dyn Clock>,
    pub entropy: Arc<dyn Entropy>,
}

/// A relay that cannot start.
#[derive(Debug, thiserror::Error)]
pub enum RelayError {
    #[error("there is no token; name a file that holds one on each line")]
    NoToken,
    #[error("there are more than {OWN_TOKENS_MAX} tokens")]
    TooManyTokens,
    #[error("the upstream's address `{0}` is not one; it begins with http:// or https://")]
    Upstream(String),
    #[error("the folder {0} cannot be used")]
    Data(PathBuf, #[source] std::io::Error),
    #[error("streams cannot be served")]
    Streams(#[source] std::io::Error),
    #[error("requests cannot be made")]
    Http(#[source] reqwest::Error),
}

/// Cheap to clone; everything behind it is shared.
#[derive(Clone)]
pub struct Relay(Arc<Inner>);

/// What is behind a [`Relay`].
pub struct Inner {
    upstream: Upstream,
    /// By the id of the token they follow with.
    sets: BTreeMap<String, Arc<Set>>,
    tokens: Tokens,
    usage: Usage,
    impact: forward::Impact,
    answers: answers::Answers,
    silence_max: Duration,
    streams: Arc<Streams>,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    draining: AtomicBool,
}

impl std::ops::Deref for Relay {
    type Target = Inner;
    fn deref(&self) -> &Inner {
        &self.0
    }
}

impl Relay {
    /// Reads the copy on disk and starts to follow. Waits for nobody: what is on disk is served at once.
    pub fn start(config: Config, stop: &CancellationToken) -> Result<(Self, TaskTracker), RelayError> {
        if config.tokens.is_empty() {
            return Err(RelayError::NoToken);
        }
        if config.tokens.len() > OWN_TOKENS_MAX {
            return Err(RelayError::TooManyTokens);
        }
        let upstream = Upstream::new(&config.upstream)?;
        copy::prepare(&config.data).map_err(|e| RelayError::Data(config.data.clone(), e))?;
        let tokens = Tokens::load(&config.data);
        let sets = config.tokens.iter().map(|secret| Set::load(&config.data, secret.clone()));
        let relay = Self(Arc::new(Inner {
            upstream,
            sets: sets.map(|set| (set.id.clone(), Arc::new(set))).collect(),
            tokens,
            usage: Usage::default(),
            impact: forward::Impact::default(),
            answers: answers::Answers::default(),
            silence_max: config.silence_max,
            streams: Streams::new(config.limits).map_err(RelayError::Streams)?,
            clock: config.clock,
            entropy: config.entropy,
            draining: AtomicBool::new(false),
        }));
        let tasks = TaskTracker::new();
        for set in relay.sets.values() {
            tasks.spawn(follow::run(relay.clone(), set.clone(), stop.clone()));
            tasks.spawn(copy::keep(set.clone(), stop.clone()));
        }
        tasks.spawn(tokens::watch(relay.clone(), stop.clone()));
        tasks.spawn(forward::run(relay.clone(), stop.clone()));
        tasks.close();
        Ok((relay, tasks))
    }

    /// From now on the relay says that it is not ready, so that balancers send new clients elsewhere.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    fn moment(&self) -> Moment {
        let mut random = [0; 4];
        self.entropy.fill(&mut random);
        Moment { now: self.clock.now(), random: u32::from_le_bytes(random) }
    }

    /// A number below `bound` by chance, for waits that must not fall together.
    fn chance(&self, bound: u64) -> u64 {
        let mut random = [0; 8];
        self.entropy.fill(&mut random);
        u64::from_le_bytes(random) % bound.max(1)
    }
}
