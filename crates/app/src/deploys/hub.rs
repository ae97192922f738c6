//! The agents that are connected, what they run, and the way to reach them.
//!
//! What an agent reported last is kept even while it is away, but then it counts as unknown. One connection per host: a
//! newer one replaces the older, which may be a dead half of a broken line.

use std::{
    collections::{BTreeMap, HashMap},
    net::IpAddr,
    sync::atomic::{AtomicU64, Ordering},
};

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tenfold_deploys::{Digest, machine::Running, natural_cmp};
use tenfold_protocols::agent::{Release, ReleaseState, ToAgent};
use tenfold_types::Timestamp;
use tokio::sync::mpsc;

use super::views::{Current, HeldLimits, Host, HostRelease};

/// Messages waiting for one agent; an agent that takes none is cut off and comes back.
pub const QUEUE_MESSAGES_MAX: usize = 4096;

/// What is known of a host; `body` in the store is this as JSON.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Known {
    pub environment: String,
    pub labels: BTreeMap<String, String>,
    pub version: String,
    pub releases: Vec<Release>,
    /// Its agent starts releases ahead of their flip.
    #[serde(skip)]
    pub prepares: bool,
    #[serde(skip)]
    pub last_seen: Timestamp,
    /// Where its agent calls from, if that is another machine.
    #[serde(skip)]
    pub peer: Option<IpAddr>,
    /// The store counts it as connected.
    #[serde(skip)]
    pub recorded_connected: bool,
    #[serde(skip)]
    pub link: Option<Link>,
}

#[derive(Debug, Clone)]
pub(super) struct Link {
    pub id: u64,
    pub tx: mpsc::Sender<ToAgent>,
}

#[derive(Default)]
pub struct Hub {
    hosts: Mutex<HashMap<String, Known>>,
    next_id: AtomicU64,
}

impl Hub {
    pub(super) fn put(&self, name: String, known: Known) {
        self.hosts.lock().insert(name, known);
    }

    pub(super) fn forget(&self, name: &str) {
        self.hosts.lock().remove(name);
    }

    /// Registers a connection; returns its id and whether the store already counted the host as connected.
    pub(super) fn connect(&self, name: &str, mut known: Known, tx: mpsc::Sender<ToAgent>) -> (u64, bool) {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed) + 1;
        let mut hosts = self.hosts.lock();
        let recorded = hosts.get(name).is_some_and(|k| k.recorded_connected);
        known.recorded_connected = true;
        known.link = Some(Link { id, tx });
        hosts.insert(name.to_owned(), known);
        (id, recorded)
    }

    /// Ends a connection; false when a newer one has taken its place.
    pub(super) fn disconnect(&self, name: &str, id: u64, now: Timestamp) -> bool {
        let mut hosts = self.hosts.lock();
        match hosts.get_mut(name) {
            Some(known) if known.link.as_ref().is_some_and(|l| l.id == id) => {
                known.link = None;
                known.last_seen = now;
                true
            }
            _ => false,
        }
    }

    /// Hosts the store counts as connected that have been away since before `before`; they are marked as recorded.
    pub(super) fn take_gone(&self, before: Timestamp) -> Vec<(String, Timestamp, String)> {
        let mut hosts = self.hosts.lock();
        let mut gone = Vec::new();
        for (name, known) in hosts.iter_mut() {
            if known.link.is_none() && known.recorded_connected && known.last_seen <= before {
                known.recorded_connected = false;
                gone.push((name.clone(), known.last_seen, known.environment.clone()));
            }
        }
        gone
    }

    /// Notes a report; `None` when the connection is not the current one, else whether anything changed.
    pub(super) fn observed(&self, name: &str, id: u64, releases: Option<Vec<Release>>, now: Timestamp) -> Option<bool> {
        let mut hosts = self.hosts.lock();
        let known = hosts.get_mut(name).filter(|k| k.link.as_ref().is_some_and(|l| l.id == id))?;
        known.last_seen = now;
        let Some(releases) = releases else { return Some(false) };
        let changed = known.releases != releases;
        known.releases = releases;
        Some(changed)
    }

    /// Notes one release of a host, as an answer to an order names it.
    pub(super) fn release(&self, name: &str, release: Release) {
        if let Some(known) = self.hosts.lock().get_mut(name) {
            known.releases.retain(|r| (r.service != release.service) || (r.environment != release.environment));
            known.releases.push(release);
        }
    }

    pub(super) fn get(&self, name: &str) -> Option<Known> {
        self.hosts.lock().get(name).cloned()
    }

    /// Where the agent calls from, if that is another machine.
    pub(super) fn peer(&self, name: &str) -> Option<IpAddr> {
        self.hosts.lock().get(name).and_then(|known| known.peer)
    }

    pub(super) fn is_in(&self, name: &str, environment: &str) -> bool {
        self.hosts.lock().get(name).is_some_and(|k| k.environment == environment)
    }

    pub(super) fn prepares(&self, name: &str) -> bool {
        self.hosts.lock().get(name).is_some_and(|k| k.prepares)
    }

    /// False when the host is not connected or takes no messages; then its connection is ended.
    pub(super) fn send(&self, name: &str, message: ToAgent) -> bool {
        let mut hosts = self.hosts.lock();
        let Some(known) = hosts.get_mut(name) else { return false };
        let sent = known.link.as_ref().is_some_and(|l| l.tx.try_send(message).is_ok());
        if !sent {
            // dropping the queue ends the connection; the agent comes back and is told again
            known.link = None;
        }
        sent
    }

    /// Hosts of an environment, as people count them: name, labels, connected.
    pub(super) fn of_environment(&self, environment: &str) -> Vec<(String, BTreeMap<String, String>, bool)> {
        let hosts = self.hosts.lock();
        let mut found: Vec<_> = hosts
            .iter()
            .filter(|(_, k)| k.environment == environment)
            .map(|(name, k)| (name.clone(), k.labels.clone(), k.link.is_some()))
            .collect();
        found.sort_by(|a, b| natural_cmp(&a.0, &b.0));
        found
    }

    /// Whether a deploy to an environment can be conducted here: one of its hosts is connected, or it has none, as where
    /// deploys go to a cluster.
    pub(super) fn reaches(&self, environment: &str) -> bool {
        let hosts = self.of_environment(environment);
        hosts.is_empty() || hosts.iter().any(|(_, _, connected)| *connected)
    }

    /// What a connected host runs of a service; `None` when it is not connected.
    pub(super) fn running(&self, name: &str, service: &str, environment: &str) -> Option<Running> {
        let hosts = self.hosts.lock();
        let known = hosts.get(name).filter(|k| k.link.is_some())?;
        Some(running_of(&known.releases, service, environment))
    }

    /// The release most hosts run, if any; the newest deploy among equals. Hosts that are away count as they were last seen.
    pub(super) fn current(&self, service: &str, environment: &str) -> Option<Current> {
        self.releases(service, environment).into_iter().next().map(|(current, _)| current)
    }

    /// The releases hosts run, with how many run each, most hosts first.
    pub(super) fn releases(&self, service: &str, environment: &str) -> Vec<(Current, usize)> {
        let hosts = self.hosts.lock();
        let mut found: Vec<(Current, usize)> = Vec::new();
        for release in hosts.values().flat_map(|k| &k.releases) {
            if release.service != service
                || release.environment != environment
                || release.state == ReleaseState::Stopped
            {
                continue;
            }
            match found.iter_mut().find(|(c, _)| c.sha == release.sha) {
                Some((current, count)) => {
                    *count += 1;
                    current.since = current.since.min(release.since);
                    current.deploy = current.deploy.max(release.deploy);
                }
                None => {
                    found.push((Current { sha: release.sha.clone(), deploy: release.deploy, since: release.since }, 1));
                }
            }
        }
        found.sort_by_key(|(c, n)| (std::cmp::Reverse(*n), std::cmp::Reverse(c.deploy)));
        found
    }

    pub(super) fn views(&self) -> Vec<Host> {
        let hosts = self.hosts.lock();
        let mut views: Vec<Host> = hosts.iter().map(|(name, known)| view(name, known)).collect();
        views.sort_by(|a, b| natural_cmp(&a.name, &b.name));
        views
    }
}

pub(super) fn running_of(releases: &[Release], service: &str, environment: &str) -> Running {
    releases
        .iter()
        .find(|r| r.service == service && r.environment == environment && r.state != ReleaseState::Stopped)
        .map_or(Running::Nothing, |r| Running::Release {
            digest: Digest::from_bytes(r.digest.0),
            healthy: r.state == ReleaseState::Running,
        })
}

fn view(name: &str, known: &Known) -> Host {
    let connected = known.link.is_some();
    Host {
        name: name.to_owned(),
        environment: known.environment.clone(),
        labels: known.labels.clone(),
        state: if connected { "connected" } else { "disconnected" }.to_owned(),
        last_seen: known.last_seen,
        version: known.version.clone(),
        releases: known
            .releases
            .iter()
            .map(|r| HostRelease {
                service: r.service.clone(),
                environment: r.environment.clone(),
                digest: r.digest.to_string(),
                sha: r.sha.clone(),
                deploy: r.deploy,
                state: match r.state {
                    _ if !connected => "unknown",
                    ReleaseState::Running => "running",
                    ReleaseState::Stopped => "stopped",
                    ReleaseState::Unhealthy => "unhealthy",
                }
                .to_owned(),
                address: r.address.clone(),
                limits: r
                    .limits
                    .clone()
                    .map(|limits| HeldLimits { in_force: limits.in_force, missing: limits.missing }),
                since: r.since,
            })
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_environment_is_reached_where_one_of_its_hosts_is_connected() {
        let (hub, (tx, _rx)) = (Hub::default(), mpsc::channel(1));
        let of = |environment: &str| Known { environment: environment.to_owned(), ..Known::default() };
        assert!(hub.reaches("production"), "it has no hosts");
        hub.put("host-1".to_owned(), of("production"));
        hub.put("host-2".to_owned(), of("production"));
        assert!(!hub.reaches("production"), "their agents are at another server");
        hub.connect("dev-1", of("development"), tx.clone());
        assert!(hub.reaches("development") && !hub.reaches("production"));
        let (id, _) = hub.connect("host-2", of("production"), tx);
        assert!(hub.reaches("production"));
        hub.disconnect("host-2", id, Timestamp(1));
        assert!(!hub.reaches("production"), "they went to another server");
    }
}
