//! What an agent remembers of a service across its own restarts: the highest epoch, what runs, and every process it
//! started that may still be there.

use serde::{Deserialize, Serialize};
use tenfold_deploys::Digest;
use tenfold_protocols::agent::{LimitsReport, OrderRef, RunSpec};
use tenfold_types::Timestamp;
use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::task::block_in_place;

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
    /// What served before the deploy of `current`: the way back may be to the same files, run otherwise.
    pub back: Option<Active>,
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
        let Some(text) = place.state().load().or_else(|| std::fs::read(place.state_before()).ok()) else {
            return Self::default();
        };
        serde_json::from_slice(&text).unwrap_or_else(|error| {
            tracing::warn!(%error, path = %place.root.display(), "the state of a service cannot be read");
            Self::default()
        })
    }
    pub fn save(&self, place: &Place) -> std::io::Result<()> {
        faults::point();
        let text = serde_json::to_vec(self).map_err(std::io::Error::other)?;
        // A disk that is behind takes seconds for it. An agent has two threads, and one that waits for the disk on both answers no
        // ping: its host would be given up, and with it the deploy, though all runs.
        waiting_for_disk(|| place.state().write(&text))?;
        // only where an agent of before left it: from here on it is out of date
        match std::fs::remove_file(place.state_before()) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        faults::point();
        Ok(())
    }
    /// What served before this deploy, whether or not it has changed that yet.
    pub fn before(&self, deploy: i64) -> Option<&Active> {
        match &self.current {
            Some(current) if current.deploy == deploy => self.back.as_ref(),
            current => current.as_ref(),
        }
    }
    /// What serves from now on does so by this deploy. Call it before `current` is changed.
    pub fn belongs_to(&mut self, deploy: i64) {
        self.back = self.before(deploy).cloned();
        if let Some(current) = &mut self.current {
            current.deploy = deploy;
        }
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
    pub fn of(active: &Active) -> Self {
        Self { run: active.run.clone(), deploy: active.deploy }
    }
    pub fn load(place: &Place, digest: Digest) -> Option<Self> {
        serde_json::from_slice(&std::fs::read(place.release_note(digest)).ok()?).ok()
    }
    pub fn save(&self, place: &Place, digest: Digest) -> std::io::Result<()> {
        write_whole(&place.release_note(digest), &serde_json::to_vec(self).map_err(std::io::Error::other)?)
    }
}

/// Does what waits for the disk while other tasks of this thread go on at another one, where there are others.
fn waiting_for_disk<T>(work: impl FnOnce() -> T) -> T {
    let others = Handle::try_current().is_ok_and(|handle| handle.runtime_flavor() == RuntimeFlavor::MultiThread);
    if others { block_in_place(work) } else { work() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn active(deploy: i64, colour: &str) -> Active {
        let run = serde_json::json!({
            "command": ["true"], "env": {"COLOUR": colour}, "port_env": "PORT", "health_path": "/", "sha": "a",
            "health_within_ms": 1, "drain_ms": 0, "stop_within_ms": 0,
        });
        let run = serde_json::from_value(run).unwrap();
        let limits = Some(LimitsReport { in_force: vec!["up to 64 processes".into()], missing: vec![] });
        let digest = Digest::of(b"the same files");
        Active { digest, deploy, run, port: 8000, process: None, since: Timestamp(0), limits }
    }

    #[test]
    fn what_a_deploy_displaced_is_known_however_often_it_is_asked() {
        let mut kept = Kept::default();
        assert_eq!(kept.before(1), None);
        kept.belongs_to(1);
        kept.current = Some(active(1, "blue"));
        assert_eq!((kept.before(1), kept.before(2)), (None, Some(&active(1, "blue"))));
        kept.belongs_to(2);
        kept.current = Some(active(2, "red"));
        assert_eq!(kept.before(2), Some(&active(1, "blue")));
        // the way back is the same deploy's
        for _ in 0..2 {
            kept.belongs_to(2);
            kept.current = Some(active(2, "blue"));
            assert_eq!(kept.before(2), Some(&active(1, "blue")));
        }
        // one that finds it serving and changes nothing
        for _ in 0..2 {
            kept.belongs_to(3);
            assert_eq!((kept.before(3), kept.current.as_ref()), (Some(&active(2, "blue")), Some(&active(3, "blue"))));
        }
    }

    /// As many services as the agent has threads wait for the disk, and the agent still answers.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn who_waits_for_the_disk_holds_nobody_up() {
        const PATIENCE: std::time::Duration = std::time::Duration::from_secs(20);
        let (tell, heard) = std::sync::mpsc::channel::<()>();
        let heard = std::sync::Arc::new(std::sync::Mutex::new(heard));
        let waiting: Vec<_> = (0..2)
            .map(|_| {
                let heard = heard.clone();
                tokio::spawn(async move { waiting_for_disk(|| heard.lock().unwrap().recv_timeout(PATIENCE)) })
            })
            .collect();
        let answers = tokio::spawn(async move { [tell.send(()), tell.send(())] });
        assert!(answers.await.unwrap().iter().all(Result::is_ok));
        for one in waiting {
            one.await.unwrap().unwrap();
        }
    }

    #[test]
    fn what_is_kept_survives_a_restart_also_of_an_earlier_version() {
        let dir = tempfile::tempdir().unwrap();
        let place = Place::new(dir.path(), "photos");
        place.make().unwrap();
        let current = Some(active(2, "red"));
        let kept = Kept { epoch: 3, current, back: Some(active(1, "blue")), ..Kept::default() };
        kept.save(&place).unwrap();
        assert_eq!(Kept::load(&place), kept);
        let mut old = serde_json::to_value(&kept).unwrap();
        old.as_object_mut().unwrap().remove("back");
        old["current"].as_object_mut().unwrap().remove("limits");
        let place = Place::new(dir.path(), "mail");
        place.make().unwrap();
        std::fs::write(place.state_before(), old.to_string()).unwrap();
        let current = Some(Active { limits: None, ..active(2, "red") });
        let loaded = Kept::load(&place);
        assert_eq!(loaded, Kept { current, back: None, ..kept });
        // what is written from now on counts alone
        Kept { epoch: 4, ..loaded.clone() }.save(&place).unwrap();
        assert!(!place.state_before().exists());
        assert_eq!(Kept::load(&place), Kept { epoch: 4, ..loaded });
    }
}
