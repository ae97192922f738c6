//! The agent: runs on a host, holds one connection to the server, and keeps the releases it is ordered to run.
//!
//! It obeys no epoch lower than the highest it has seen, touches nothing outside its folder, and when the server is away
//! it goes on as it was told last. Services live in process groups of their own and outlive the agent.

mod beside;
mod disk;
mod farm;
mod faults;
mod identity;
mod incoming;
mod limits;
mod link;
mod measure;
mod service;
mod slots;
mod state;
mod supervise;
mod turn;
mod unit;
mod user;

pub use user::{become_user, is_root};

use std::{
    collections::{BTreeMap, HashMap},
    io,
    path::{Path, PathBuf},
    sync::{Arc, OnceLock},
};

use parking_lot::Mutex;
use tenfold_protocols::agent::{FromAgent, OrderRef, Release};
use tenfold_types::Clock;
use tokio::sync::{Notify, mpsc, watch};
use tokio_util::sync::CancellationToken;

use crate::host::Host;
use incoming::Incoming;

/// How an agent is set up.
#[derive(Clone)]
pub struct AgentConfig {
    /// `http://` or `https://` addresses, one for each server that shares the database; tried in turn.
    pub servers: Vec<String>,
    /// A plain token, for a server that takes it from here; not used by a host that was enrolled.
    pub token: String,
    /// With what a host that has no certificate gets its first.
    pub enrolment: Option<String>,
    /// The host's name, unique among the agents of a server.
    pub name: String,
    pub environment: String,
    pub labels: BTreeMap<String, String>,
    /// The agent's folder.
    pub dir: PathBuf,
    /// The address at which others reach this host's services.
    pub address: String,
    pub version: String,
    pub clock: Arc<dyn Clock>,
    /// What is told of the host itself; nothing where it is absent.
    pub host: Option<Host>,
    /// This program, whose hidden verb puts a service under its limits; without it one that asks for limits is not started.
    pub launcher: Option<PathBuf>,
}

/// What the parts of an agent share.
pub(crate) struct Shared {
    pub config: AgentConfig,
    /// Empty where a plain token is used.
    pub identity: OnceLock<identity::Identity>,
    pub incoming: Incoming,
    /// What runs, by service.
    pub releases: Mutex<BTreeMap<String, Release>>,
    /// By which orders processes stand beside those that serve, by service, while nobody has said when they end.
    pub beside: Mutex<BTreeMap<String, OrderRef>>,
    /// Something in `releases` changed.
    pub changed: Notify,
    /// To the server; dropped while there is no connection.
    pub outbox: mpsc::UnboundedSender<FromAgent>,
    pub http: reqwest::Client,
    /// Read while a release is being staged, so that nothing it needs is pruned.
    pub farm: tokio::sync::RwLock<()>,
}

impl Shared {
    pub fn say(&self, message: FromAgent) {
        let _ = self.outbox.send(message);
    }
    pub fn report(&self, service: &str, release: Option<Release>) {
        let mut releases = self.releases.lock();
        let changed = match release {
            Some(release) => {
                let before = releases.insert(service.to_owned(), release.clone());
                before.as_ref() != Some(&release)
            }
            None => releases.remove(service).is_some(),
        };
        drop(releases);
        if changed {
            self.changed.notify_one();
        }
    }
    pub fn all_releases(&self) -> Vec<Release> {
        self.releases.lock().values().cloned().collect()
    }
}

/// Runs the agent until `stop` is cancelled. Services go on running after it.
pub async fn run(config: AgentConfig, stop: CancellationToken) -> io::Result<()> {
    // a second installation in one process is refused and harmless
    let _ = rustls::crypto::ring::default_provider().install_default();
    let dir = std::path::absolute(&config.dir)?;
    std::fs::create_dir_all(dir.join("services"))?;
    let _lock = disk::lock(&dir).await?;
    let config = AgentConfig { dir: dir.clone(), ..config };
    let (outbox, said) = mpsc::unbounded_channel();
    let http = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .build()
        .map_err(io::Error::other)?;
    let shared = Arc::new(Shared {
        incoming: Incoming::new(&dir),
        config,
        identity: OnceLock::new(),
        releases: Mutex::default(),
        beside: Mutex::default(),
        changed: Notify::new(),
        outbox,
        http,
        farm: tokio::sync::RwLock::default(),
    });
    let mut units = HashMap::new();
    for service in services(&dir)? {
        let unit = unit::start(&shared, &service, &stop).await;
        units.insert(service, unit);
    }
    // after the services: whatever keeps the host from being let in must not keep them from running
    if let Some(identity) = identity::Identity::open(&shared.config, &stop).await? {
        let _ = shared.identity.set(identity);
    }
    let (asked, interval) = watch::channel(None);
    let host = shared.config.host.clone();
    let measuring = host.map(|host| tokio::spawn(measure::run(shared.clone(), host, interval, stop.clone())));
    let keeping = shared.identity.get().is_some().then(|| {
        let (shared, stop) = (shared.clone(), stop.clone());
        tokio::spawn(async move {
            if let Some(identity) = shared.identity.get() {
                identity.keep(&shared.config, stop).await;
            }
        })
    });
    link::run(shared, units, said, asked, stop).await;
    if let Some(keeping) = keeping {
        let _ = keeping.await;
    }
    if let Some(measuring) = measuring {
        let _ = measuring.await;
    }
    Ok(())
}

/// Services this host has a folder for.
fn services(dir: &Path) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(dir.join("services"))? {
        let entry = entry?;
        if entry.file_type()?.is_dir()
            && let Some(name) = entry.file_name().to_str()
        {
            names.push(name.to_owned());
        }
    }
    Ok(names)
}

/// What the agent of a folder has written down of a service, for tests; null where there is nothing.
pub fn state_of(dir: &Path, service: &str) -> serde_json::Value {
    serde_json::to_value(state::Kept::load(&disk::Place::new(dir, service))).unwrap_or_default()
}

/// Ends every service that runs from an agent's folder, for tests and for taking a host out of use. The agent must not
/// run meanwhile.
pub async fn stop_services(dir: &Path) -> io::Result<()> {
    let dir = std::path::absolute(dir)?;
    let _lock = disk::lock(&dir).await?;
    for service in services(&dir)? {
        let place = disk::Place::new(&dir, &service);
        for process in state::Kept::load(&place).processes() {
            process.end(std::time::Duration::from_secs(5)).await;
        }
    }
    Ok(())
}
