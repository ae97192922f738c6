//! What an agent remembers of a service across its own restarts: the highest epoch, what runs, and every process it
//! started that may still be there.

use serde::{Deserialize, Serialize};
use tenfold_deploys::Digest;
use tenfold_protocols::agent::{LimitsReport, OrderRef, RunSpec};
use tenfold_types::Timestamp;

use super::{
    disk::{Place, write_whole},
    faults,
};
use crate::process::ProcessId;

/// A release that takes traffic, or did when the agent looked last.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Active {
    pub digest: Digest,
    pub deploy: i64,
    pub run: RunSpec,
    pub port: u16,
    /// Absent while it is down, and always for a release that is only linked.
    pub process: Option<ProcessId>,
    pub since: Timestamp,
    /// How its process is held, where limits were asked for.
    #[serde(default)]
    pub limits: Option<LimitsReport>,
}

impl Active {
    /// Whether nothing has to be started for it to serve.
    pub fn stands(&self) -> bool {
        self.run.is_link_only() || self.process.is_some_and(ProcessId::is_alive)
    }
    pub fn is(&self, digest: Digest, run: &RunSpec) -> bool {
        self.digest == digest && self.run == *run
    }
}

/// A release whose process stands beside the one that serves.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Beside {
    pub active: Active,
    /// It was started ahead of its flip; else it served before and is kept for the way back.
    pub prepared: bool,
    /// By which it stands there.
    pub order: OrderRef,
    /// When it ends, once somebody has said so.
    pub until: Option<Timestamp>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Kept {
    /// Orders below it are refused.
    pub epoch: i64,
    pub current: Option<Active>,
    pub beside: Option<Beside>,
    /// Being started, not yet healthy.
    pub starting: Option<ProcessId>,
    /// Being ended.
    pub ending: Vec<ProcessId>,
    /// Releases that ran, the last one last; kept for the way back.
    pub ran: Vec<Digest>,
}

impl Kept {
    /// What was kept; a file that cannot be read counts as empty but for being said in the log.
    pub fn load(place: &Place) -> Self {
        match std::fs::read(place.state()) {
            Ok(text) => serde_json::from_slice(&text).unwrap_or_else(|error| {
                tracing::warn!(%error, path = %place.state().display(), "the state of a service cannot be read");
                Self::default()
            }),
            Err(_) => Self::default(),
        }
    }
    pub fn save(&self, place: &Place) -> std::io::Result<()> {
        faults::point();
        write_whole(&place.state(), &serde_json::to_vec(self).map_err(std::io::Error::other)?)?;
        faults::point();
        Ok(())
    }
    pub fn processes(&self) -> Vec<ProcessId> {
        let current = self.current.as_ref().and_then(|a| a.process);
        let beside = self.beside.as_ref().and_then(|b| b.active.process);
        current.into_iter().chain(beside).chain(self.starting).chain(self.ending.iter().copied()).collect()
    }
}

/// How a release was run last, beside it on disk.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Note {
    pub run: RunSpec,
    pub deploy: i64,
}

impl Note {
    pub fn load(place: &Place, digest: Digest) -> Option<Self> {
        serde_json::from_slice(&std::fs::read(place.release_note(digest)).ok()?).ok()
    }
    pub fn save(&self, place: &Place, digest: Digest) -> std::io::Result<()> {
        write_whole(&place.release_note(digest), &serde_json::to_vec(self).map_err(std::io::Error::other)?)
    }
}
